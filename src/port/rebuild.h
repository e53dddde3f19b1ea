/* Rebuild: rows of the metrics made anew from the ledger (semantics, "Audit and rebuild"), one request a partition, kept in the
 * store until the partition's owner, whoever that is by then, has carried it out.
 *
 *   who asks ── ask ──► [ requests in the store ] ◄── the store port: list, progress ── the owner
 *            ◄─ list ──                                 rebuild_source: the ledger's sums ──┘
 *
 * Adapters embed the structs as their first member.
 */
#ifndef PING_PORT_REBUILD_H
#define PING_PORT_REBUILD_H

#include "base/uuid.h"
#include "port/ledger.h"

enum rebuild_state { REBUILD_ASKED, REBUILD_RUNNING, REBUILD_DONE };
#define REBUILD_EVERY_DAY INT64_C(-1)

struct rebuild_request {
	struct uuid id; /* of version 7: the oldest is carried out first */
	int32_t partition;
	bool of_client; /* false: of every client of the partition */
	struct address client;
	int64_t day_ms; /* the UTC day's start; REBUILD_EVERY_DAY */
	int64_t asked_ms;
	/* The owner's: */
	enum rebuild_state state;
	bool has_place; /* clients up to `place` (by address) are done */
	struct address place;
	int64_t clients, rows;	/* so many are done, so many rows of theirs written or removed */
	int64_t corrected;	/* rows that were other than they should be */
	int64_t put_off;	/* clients with pings whose batch is not in the log for good yet; they are tried again */
	int64_t updated_ms;	/* by the owner's clock; 0: no owner has seen it */
	struct error_note note; /* why it does not get on; "" */
};

/* For who asks. Calls block; one thread. */
struct rebuild_requests;
struct rebuild_requests_vtable {
	/* Keeps the requests, as ASKED; again with the same ids changes nothing. UNAVAILABLE: not known of some. */
	enum error (*ask)(struct rebuild_requests *requests, const struct rebuild_request *rebuilds, size_t count,
			  struct error_note *note);
	/* Each of the requests as it is now, found by id and partition; one that is gone counts as DONE. */
	enum error (*look)(struct rebuild_requests *requests, struct rebuild_request *rebuilds, size_t count,
			   struct error_note *note);
	void (*close)(struct rebuild_requests *requests);
};
struct rebuild_requests {
	const struct rebuild_requests_vtable *vtable;
};

/* What the ledger says, for the owner: read on a thread of the source's own, some way ahead. One thread calls. */
struct rebuild_source;
struct rebuild_source_vtable {
	/* Begins to sum up what the ledger holds of the request's scope up to `position`, at which the partition stands now.
	 * Returns at once; what was begun before is given up. RESOURCE_EXHAUSTED, NO_MEMORY. */
	enum error (*begin)(struct rebuild_source *source, const struct rebuild_request *request, int64_t position,
			    struct error_note *note);
	/* The next sum, in order of client, then window; behind them, one each and in no order, with count 0, clients that have
	 * rows in the store and no ping of the scope in the ledger. DEADLINE_EXCEEDED: none is at hand yet. END: that was all.
	 * Any other error ends it: begin again. */
	enum error (*next)(struct rebuild_source *source, struct ledger_sum *ret_sum, struct error_note *note);
	/* Gives up what was begun, if there is something. */
	void (*end)(struct rebuild_source *source);
	void (*close)(struct rebuild_source *source);
};
struct rebuild_source {
	const struct rebuild_source_vtable *vtable;
};

#endif
