/* The ledger port: every ping, the truth. Calls block; a `ledger` belongs to the publisher's thread, a `ledger_reader` to
 * whoever opened it. Adapters embed the struct as their first member.
 */
#ifndef PING_PORT_LEDGER_H
#define PING_PORT_LEDGER_H

#include "base/address.h"
#include "base/error.h"
#include "base/uuid.h"

enum { LEDGER_KEY_MAX = 128 };

struct ledger_ping {
	struct uuid id;
	struct address client;
	int64_t pinged_at_ms;
	int64_t received_at_ms;
	struct slice key; /* idempotency key, at most LEDGER_KEY_MAX bytes; size 0: none */
	/* Set by a successful append: */
	/* OK: kept, now or (duplicate) before; KEY_REUSED: this key stands with another pinged_at; UNAVAILABLE (with a key
	 * alone): not kept, as another transaction held its key or one beside it for too long. */
	enum error result;
	bool duplicate;	  /* its key was there already: no row was added */
	int64_t position; /* of the added row; −1 where none was */
};

struct ledger;
struct ledger_vtable {
	/* Keeps the whole batch or nothing, durably. The keys of one batch may repeat: the first counts. Any error but IN_DOUBT
	 * means that nothing was kept; IN_DOUBT means not known. */
	enum error (*append)(struct ledger *ledger, struct ledger_ping *pings, size_t count, struct error_note *note);
	/* The greatest id ever kept (all zero: none), so that a new process goes on above it. */
	enum error (*last_id)(struct ledger *ledger, struct uuid *ret_id, struct error_note *note);
	/* Forgets at most `max` idempotency keys received before `before_ms`. */
	enum error (*prune_keys)(struct ledger *ledger, int64_t before_ms, size_t max, size_t *ret_removed,
				 struct error_note *note);
	/* Writes something of no meaning, durably: can a ledger that failed be written again? */
	enum error (*probe)(struct ledger *ledger, struct error_note *note);
	void (*close)(struct ledger *ledger);
};
struct ledger {
	const struct ledger_vtable *vtable;
};

/* Sums of the ledger's rows by (client, window), for audit and rebuild. Ordered by client (bytes), then window. */
struct ledger_sum {
	struct address client;
	int64_t window_start_ms;
	int64_t count, first_ms, last_ms, position;
	int64_t pending; /* of a scope: how many of them are of batches that the log does not have for good */
};

/* Some of the ledger's rows. */
struct ledger_scope {
	int64_t up_to;		      /* their position at most */
	const struct address *client; /* NULL: every client */
	int64_t start_ms, end_ms;     /* pinged_at in [start_ms, end_ms); end_ms 0: any */
	const int64_t *published;     /* by publisher slot: its newest batch that the log has, −1 for none */
	size_t slot_count;
};

/* Of a client's rows with pinged_at in [start_ms, end_ms): those up to a position, and those behind it up to another. */
struct ledger_key {
	struct address client;
	int64_t start_ms, end_ms;
	int64_t position, bound;
};
struct ledger_key_sum {
	int64_t count, first_ms, last_ms; /* up to the key's position; all 0: none */
	int64_t later;			  /* behind it, up to its bound: how many */
};

/* A day (UTC) that is past the ledger's retention. */
struct ledger_day {
	char text[16]; /* YYYY-MM-DD */
	int64_t pings;
	int64_t waiting; /* > 0: it is still there, as so many of its pings are not in the log yet */
};

struct ledger_reader;
struct ledger_reader_vtable {
	/* Pings with pinged_at in [start_ms, end_ms), end_ms 0: open. Exact; costs the same however many they are. */
	enum error (*count)(struct ledger_reader *reader, int64_t start_ms, int64_t end_ms, int64_t *ret_count,
			    struct error_note *note);
	/* Calls `visit` for each sum over rows with position <= `up_to`, in one snapshot, until it returns false. Summed up is
	 * only what the reader didn't sum up before. */
	enum error (*sum_windows)(struct ledger_reader *reader, int64_t up_to,
				  bool (*visit)(void *context, const struct ledger_sum *sum), void *context,
				  struct error_note *note);
	/* Rows, one by one, and as the roll-up says: the audit compares the two. */
	enum error (*count_rows)(struct ledger_reader *reader, int64_t *ret_rows, int64_t *ret_rolled_up,
				 struct error_note *note);
	void (*close)(struct ledger_reader *reader);
	/* For metrics whose rows each stand at a position of their own; in one snapshot. NULL where they have one together. */
	enum error (*sum_keys)(struct ledger_reader *reader, const struct ledger_key *keys, size_t count,
			       struct ledger_key_sum *ret_sums, struct error_note *note);
	/* As sum_windows, of a scope, each time anew, from the primary; whoever was writing rows when it was called is waited
	 * for first, as their events may be in the log already. NULL where rows and events are the same: sum_windows does. */
	enum error (*sum_scope)(struct ledger_reader *reader, const struct ledger_scope *scope,
				bool (*visit)(void *context, const struct ledger_sum *sum), void *context,
				struct error_note *note);
};
struct ledger_reader {
	const struct ledger_reader_vtable *vtable;
};

#endif
