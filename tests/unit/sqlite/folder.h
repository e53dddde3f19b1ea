/* A temporary folder that a test fills and that goes with it.
 */
#ifndef PING_TESTS_SQLITE_FOLDER_H
#define PING_TESTS_SQLITE_FOLDER_H

struct folder {
	char path[64];
};

/* Both assert that they succeed. */
void folder_make(struct folder *folder);
void folder_remove(struct folder *folder);

#endif
