/* Ledger and log by position, for the audit where they are two systems: the ledger's rows in order of their positions, and of
 * each partition the events that readers of committed records see, in order. Calls block, with timeouts of the adapter's own;
 * each object is one thread's. Adapters embed the structs as their first member.
 */
#ifndef PING_PORT_POSITIONS_H
#define PING_PORT_POSITIONS_H

#include "base/address.h"
#include "base/error.h"
#include "base/uuid.h"

/* A position is log_epoch << 48 | offset (semantics, "Ledger, log, store"). */
enum { POSITION_OFFSET_BITS = 48 };
static inline int64_t position_make(int64_t log_epoch, int64_t offset)
{
	return log_epoch << POSITION_OFFSET_BITS | offset;
}
static inline int64_t position_offset(int64_t position)
{
	return position & ((INT64_C(1) << POSITION_OFFSET_BITS) - 1);
}
static inline int64_t position_epoch(int64_t position)
{
	return position >> POSITION_OFFSET_BITS;
}

/* A row of the ledger's that has to do with the log. */
struct position_row {
	struct uuid id;
	struct address client;
	int64_t position; /* −1: none */
	int32_t slot;	  /* −1: it is of no batch */
	int64_t batch;
};

/* Rows that have not. */
struct position_apart {
	int64_t others; /* without a client, or with neither position nor slot: whoever wrote them published them, or nobody did
			 */
	int64_t gone;	/* before `from`, and not waiting to be published again */
	int64_t dropped_until_ms; /* received before: the rows were dropped, past the ledger's retention; 0: none */
};

struct ledger_positions;
struct ledger_positions_vtable {
	/* The publisher slots that have a batch, at most `max`. */
	enum error (*slots)(struct ledger_positions *ledger, int32_t *ret_slots, size_t max, size_t *ret_count,
			    struct error_note *note);
	/* A snapshot, in which all rows are that were committed before. published[slot]: the slot's newest batch that the log
	 * has, −1 for none. */
	enum error (*begin)(struct ledger_positions *ledger, int64_t from, const int64_t *published, size_t slot_count,
			    struct position_apart *ret_apart, struct error_note *note);
	/* The snapshot's next rows, ordered by position, those without one last; apart are left out. They live until the next
	 * call. count 0: that was all. */
	enum error (*next)(struct ledger_positions *ledger, const struct position_row **ret_rows, size_t *ret_count,
			   struct error_note *note);
	/* Closes the snapshot, if there is one. */
	void (*end)(struct ledger_positions *ledger);
	/* The row as it is now, without a snapshot; its client all zero where it has none. NOT_FOUND. */
	enum error (*find)(struct ledger_positions *ledger, const struct uuid *id, struct position_row *ret_row,
			   struct error_note *note);
	void (*close)(struct ledger_positions *ledger);
};
struct ledger_positions {
	const struct ledger_positions_vtable *vtable;
};

/* A partition, in positions. What lies before start has been removed. */
struct log_bounds {
	int64_t start;
	int64_t shown_end; /* the first that readers of committed records do not see yet */
	int64_t end;	   /* the first that is not there */
};

struct log_place {
	int64_t position;
	bool has_id; /* false: others wrote it */
	struct uuid id;
};

struct log_positions;
struct log_positions_vtable {
	/* The slot's newest batch that readers see. NOT_FOUND: there is none. FAILED_PRECONDITION: it is of a greater log epoch.
	 */
	enum error (*published)(struct log_positions *log, int32_t slot, int64_t *ret_batch, struct error_note *note);
	int32_t (*partition_count)(const struct log_positions *log);
	/* Where the client's events belong. */
	int32_t (*partition_of)(const struct log_positions *log, const struct address *client);
	/* Of all partitions. FAILED_PRECONDITION, with the way out: there is no such log, or it has another number of partitions.
	 */
	enum error (*bounds)(struct log_positions *log, struct log_bounds *ret_bounds, struct error_note *note);
	/* Reads each partition from its start to its shown_end. The bounds must live until `end`: where events are removed
	 * meanwhile, `start` moves. */
	enum error (*begin)(struct log_positions *log, struct log_bounds *bounds, struct error_note *note);
	/* The partition's next event. END: that was all. */
	enum error (*next)(struct log_positions *log, int32_t partition, struct log_place *ret_place, struct error_note *note);
	/* Ends reading, if it goes on. */
	void (*end)(struct log_positions *log);
	void (*close)(struct log_positions *log);
};
struct log_positions {
	const struct log_positions_vtable *vtable;
};

#endif
