/* A VFS for tests that stands before the system's and makes chosen I/O calls fail: as the disk does, on one thread.
 *
 *   calls:  1 2 3 4 5 …           after = 4, for_ever = false: the fourth fails, the fifth works again
 *
 * A write that fails has written half of it. After a sync that fails everything is there: the worst that can be on the disk for a
 * transaction that was reported as failed.
 */
#ifndef PING_TESTS_SQLITE_FAULTY_VFS_H
#define PING_TESTS_SQLITE_FAULTY_VFS_H

#include <stdbool.h>

enum fault_kind {
	FAULT_ANY = 1 | 2 | 4,
	FAULT_WRITE = 1, /* write, truncate, grow the shared memory */
	FAULT_SYNC = 2,
	FAULT_READ = 4, /* read, size, open */
};

struct faults {
	int kinds;	/* of the calls that count and fail */
	long after;	/* which of them fails; 0: none */
	bool for_ever;	/* and all behind it */
	bool disk_full; /* writes fail with "no space", not with an error */
	long calls;	/* counted so far */
};

extern struct faults faults;

/* Makes it the VFS of every connection opened from now on. */
void faulty_vfs_install(void);
/* Counts from 0 again, with these. */
void faults_set(struct faults set);

#endif
