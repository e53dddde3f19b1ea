/* Rebuilds in memory: requests and rows that go, on a fake_store; a source that sums up a fake_log as a ledger would, haltingly.
 */
#ifndef PING_TEST_FAKE_REBUILD_H
#define PING_TEST_FAKE_REBUILD_H

#include "base/random.h"
#include "port/rebuild.h"
#include "unit/stream/fake_log.h"
#include "unit/stream/fake_store.h"

enum { FAKE_REQUESTS = 8, FAKE_SUMS = 4096 };

struct fake_requests {
	struct rebuild_request requests[FAKE_REQUESTS];
	size_t count;
};

/* The store's rebuilds. It must have been initialised. */
void fake_store_add_rebuilds(struct fake_store *store, struct fake_requests *requests);
/* As somebody does by hand: under the newest timestamp of its partition. */
void fake_database_put(struct fake_database *database, struct fake_row row);
void fake_database_drop(struct fake_database *database, enum fake_row_kind kind, const struct address *client, int64_t start_ms);

struct fake_source {
	struct rebuild_source source;
	const struct fake_log *log;
	const struct fake_database *database;
	struct random *random; /* NULL: everything is at hand at once */
	unsigned trouble;      /* in 100 calls */
	size_t pending_begins; /* so often the first client has a ping that is pending */
	size_t begins;

	/* The fake's own. */
	struct ledger_sum sums[FAKE_SUMS];
	size_t count, next;
	bool begun;
};
void fake_source_init(struct fake_source *source, const struct fake_log *log, const struct fake_database *database);

#endif
