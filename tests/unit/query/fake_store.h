/* A store_reader over plain arrays: the port's contract at its simplest. Tests fill the arrays; order doesn't matter.
 */
#ifndef PING_TESTS_FAKE_STORE_H
#define PING_TESTS_FAKE_STORE_H

#include "port/store.h"

enum { FAKE_STORE_MAX = 8192 };

struct fake_store {
	struct store_reader reader;
	struct window_row windows[FAKE_STORE_MAX];
	struct day_row days[FAKE_STORE_MAX];
	struct store_client clients[FAKE_STORE_MAX];
	size_t window_count, day_count, client_count;
	int64_t position;
	struct store_engine engine;
	enum error fail;		/* what every call answers, where it isn't OK */
	unsigned window_reads;		/* calls of list_windows */
	bool unordered;			/* scans windows as they were added */
	void (*on_scan)(void *context); /* before the snapshot; NULL: nothing */
	void *context;
};

struct fake_store *fake_store_create(void);
void fake_store_destroy(struct fake_store *fake);

/* IPv4 10.0.x.y */
struct address fake_client(unsigned number);
/* A window in which `count` pings came one ms after another from its start on. */
void fake_store_add_window(struct fake_store *fake, unsigned client, int64_t start_ms, int64_t count);
void fake_store_add_day(struct fake_store *fake, unsigned client, int64_t start_ms, int64_t total);
/* Without an activity: silent. */
struct store_client *fake_store_add_client(struct fake_store *fake, unsigned client, int64_t first_ms, int64_t last_ms);

#endif
