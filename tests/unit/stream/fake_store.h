/* A store in memory that may refuse, lose a reply, or carry a write out later, and that knows zombies: the rules of semantics.md,
 * "Exactly once, by position", in the small.
 *
 *   fake_database      what survives a crash: rows, each with the timestamp that it was written under; a partition's owner and
 * position fake_store × n     connections; the one that took a partition last is its owner, older ones are FENCED
 *
 * A write's timestamp is (owner's number, write's number): what an older owner's late write still brings lies below what the
 * newer one writes. A position is only moved by the owner, and only forward.
 */
#ifndef PING_TEST_FAKE_STORE_H
#define PING_TEST_FAKE_STORE_H

#include "port/store.h"

enum { FAKE_STORE_PARTITIONS = 8 };
enum fake_row_kind { FAKE_CLIENT, FAKE_ACTIVITY, FAKE_DAY, FAKE_WINDOW };

struct fake_row {
	enum fake_row_kind kind;
	struct address client;
	int64_t start_ms; /* 0 for client and activity */
	uint64_t timestamp;
	int32_t partition;
	union {
		struct client_row client;
		struct activity_row activity; /* due_ms 0: removed */
		struct day_row day;
		struct window_row window;
	} row;
};

/* A write that isn't carried out yet. */
struct fake_late {
	struct fake_row *rows;
	size_t count;
	int32_t partition;
	uint64_t owner;
	int64_t position;
};

struct fake_database {
	struct fake_row *rows; /* ordered by kind, client, start */
	size_t count, capacity;
	struct {
		uint64_t owner; /* 0: none yet */
		int64_t position;
		uint8_t log_identity[16];
	} partitions[FAKE_STORE_PARTITIONS];
	uint64_t owners, writes;
	struct fake_late *late;
	size_t late_count;
	bool held; /* another kind of engine is at work: takes are HELD */
};

void fake_database_init(struct fake_database *database);
void fake_database_release(struct fake_database *database);
/* NULL: no such row. */
const struct fake_row *fake_database_find(const struct fake_database *database, enum fake_row_kind kind,
					  const struct address *client, int64_t start_ms);
/* Carries the late write number `index` out. */
void fake_database_land(struct fake_database *database, size_t index);

enum fake_store_call { FAKE_TAKE, FAKE_READ_WINDOWS, FAKE_READ_DAYS, FAKE_READ_CLIENTS, FAKE_LIST_DUE, FAKE_WRITE, FAKE_PRUNE };
enum fake_fate {
	FAKE_DONE,
	FAKE_REFUSED,	 /* nothing happens; UNAVAILABLE */
	FAKE_REPLY_LOST, /* it happens; UNAVAILABLE */
	FAKE_LATE,	 /* WRITE: it happens when the database lands it, maybe never; UNAVAILABLE. Others: as REFUSED */
};

struct fake_store {
	struct store store;
	struct fake_database *database;
	/* Asked before each call. NULL: all is DONE. */
	enum fake_fate (*fate)(void *context, enum fake_store_call call);
	/* Called by each sweep, which does nothing else: whether it is urgent to go on. NULL: it is not. */
	bool (*swept)(void *context);
	void *context;
	uint64_t calls[FAKE_PRUNE + 1];

	uint64_t owner_of[FAKE_STORE_PARTITIONS]; /* the fake's own: as which owner it took each partition */
};

void fake_store_init(struct fake_store *store, struct fake_database *database);

#endif
