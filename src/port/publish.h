/* What a publisher needs of a ledger and a log that are two systems: PostgreSQL's half of a batch, and Kafka's. Calls block, with
 * timeouts of the adapter's own; each object belongs to one publisher's thread. Adapters embed the struct as their first member.
 *
 *   slot_ledger                                   publish_log
 *   take                     epoch + 1            open        init_transactions: fences, ends what was open
 *                                                 newest      k: the newest batch that readers see
 *                                                 find        which events of the last transaction they see
 *   claim (keys; optional)   BEGIN …
 *                                                 produce     begin; events and (log_epoch, n); all acknowledged
 *   commit                   … slot row, rows, COMMIT
 *                                                 commit
 *
 * Errors are exact, or the promise is not kept:
 *   UNAVAILABLE         known: it had no effect, and never will. (Not even a request that is still on its way.)
 *   IN_DOUBT            not known: done, not done, or still to be done.
 *   FENCED              known: it had no effect, and another owner has taken over.
 *   FAILED_PRECONDITION, and whatever else is not retriable: as UNAVAILABLE, but a person must act; the note says how.
 * After an error of slot_ledger no transaction is open; a connection that was lost is made anew by the next call. What is not
 * followed by a COMMIT (claim, insert, reads) is never IN_DOUBT.
 */
#ifndef PING_PORT_PUBLISH_H
#define PING_PORT_PUBLISH_H

#include "port/ledger.h"

/* One publisher's place: the row of publisher_slots as this owner knows it. */
struct publish_slot {
	int32_t slot;
	int64_t epoch;	     /* the fence: the slot's row with another epoch refuses all that is asked for this one */
	int64_t batch_seq;   /* of the newest batch whose rows are committed; 0: the slot was never used */
	struct uuid last_id; /* the greatest id in those rows; all zero: none */
	int64_t taken_us;    /* when it was taken or settled, by the database's clock: Unix microseconds */
};

enum publish_take {
	PUBLISH_TAKE_ANY,  /* a dead one, else a free one, else one that was never used */
	PUBLISH_TAKE_DEAD, /* only one whose owner has gone and may have left something unfinished */
};

/* Batches that follow each other, all of them whole. */
struct publish_run {
	int64_t last; /* its newest batch */
	size_t batches;
};

/* The slot's record in the log: which batches are in the transaction that wrote it. */
struct publish_record {
	int64_t batch; /* the newest of them; 0: none, a slot's first record */
	int64_t after; /* the newest batch before them */
};

/* An idempotency key that a batch wants to be the first with. */
struct publish_claim {
	struct address client;
	struct slice key; /* 1–128 bytes */
	struct uuid id;	  /* of its ping */
	int64_t pinged_at_ms, received_at_ms;
	/* Set by claim: */
	bool claimed;
	int64_t first_pinged_at_ms; /* where another was first: that ping's, whose row is committed */
};

struct slot_ledger;
struct slot_ledger_vtable {
	/* Takes a slot that nobody holds by the database's clock_timestamp(): one that was released, or (dead) whose lease ran
	 * out. One UPDATE makes the epoch one greater, begins a lease and RETURNS the row, so that no batch can be committed
	 * between the two. May pass over a row that is locked. RESOURCE_EXHAUSTED: none is to be had. IN_DOUBT: one may be held
	 * in vain until its lease runs out. */
	enum error (*take)(struct slot_ledger *ledger, enum publish_take which, struct publish_slot *ret_slot,
			   struct error_note *note);
	/* A new lease. Every call below that changes the slot's row does the same. */
	enum error (*renew)(struct slot_ledger *ledger, const struct publish_slot *slot, struct error_note *note);
	/* Ends the lease: the slot is free (all its batches are in the log) or, unless `finished`, dead. */
	enum error (*release)(struct slot_ledger *ledger, const struct publish_slot *slot, bool finished,
			      struct error_note *note);
	/* After an IN_DOUBT. UPDATE … epoch + 1 WHERE epoch = mine … RETURNING, through the row's lock: waits until a transaction
	 * of the old connection, if it still runs, has ended, and shuts out what of it is still on its way. FENCED, too, when an
	 * earlier settle of this epoch was IN_DOUBT and done. */
	enum error (*settle)(struct slot_ledger *ledger, struct publish_slot *slot, struct error_note *note);

	/* Opens a transaction and claims the keys in it. No key comes twice; they are sorted here (client, key: bytes), as every
	 * publisher must, lest two deadlock. ABORTED: a key is held by another transaction for longer than lock_timeout; none is
	 * claimed and no transaction is open. */
	enum error (*claim)(struct slot_ledger *ledger, struct publish_claim *claims, size_t count, struct error_note *note);
	/* In the open transaction, else in one of its own: the slot's row to (batch, the last row's id) WHERE epoch = mine, as a
	 * statement that raises when there is no such row; the rows, with positions (−1: NULL), slot and batch; COMMIT. Rows are
	 * ordered by id; count > 0. slot NULL: no slot's row, and rows of no batch. */
	enum error (*commit)(struct slot_ledger *ledger, const struct publish_slot *slot, int64_t batch,
			     const struct ledger_ping *rows, size_t count, struct error_note *note);
	/* The RFC's order, without slots: the rows without positions in the open transaction, else in a new one, which stays
	 * open; … */
	enum error (*insert)(struct slot_ledger *ledger, const struct ledger_ping *rows, size_t count, struct error_note *note);
	/* … then their positions, and COMMIT. */
	enum error (*commit_inserted)(struct slot_ledger *ledger, const struct ledger_ping *rows, size_t count,
				      struct error_note *note);
	/* Rolls back the open transaction, if there is one. If need be by giving up the connection: for good, either way. */
	void (*abandon)(struct slot_ledger *ledger);

	/* The slot's first batches after `after` (and up to slot->batch_seq: numbers may have gaps), whole ones, and no more once
	 * there are `enough` rows (> 0): their rows to `visit`, ordered by batch and id, without keys. NOT_FOUND: there is none.
	 * What visit was given before an error is worth nothing. */
	enum error (*read_batches)(struct slot_ledger *ledger, const struct publish_slot *slot, int64_t after, size_t enough,
				   struct publish_run *ret_run, void (*visit)(void *context, const struct ledger_ping *row),
				   void *context, struct error_note *note);
	/* The rows' new positions (by id and received_at), in one transaction that checks the epoch as commit does, with the
	 * slot's row locked from then to its end. */
	enum error (*set_positions)(struct slot_ledger *ledger, const struct publish_slot *slot, const struct ledger_ping *rows,
				    size_t count, struct error_note *note);

	/* Forgets at most `max` keys that were received more than retention_ms ago by the database's clock. Publishers may do so
	 * at the same time. */
	enum error (*prune_keys)(struct slot_ledger *ledger, int64_t retention_ms, size_t max, size_t *ret_removed,
				 struct error_note *note);
	void (*close)(struct slot_ledger *ledger);
};
struct slot_ledger {
	const struct slot_ledger_vtable *vtable;
};

enum { PUBLISH_NO_SLOT = -1 };

struct publish_log;
struct publish_log_vtable {
	/* Becomes the slot's producer: init_transactions of its transactional id fences every producer before, and ends the
	 * transaction that one left open before this returns: a commit that had begun is finished, anything else aborted. But a
	 * broker that died in the middle of ending a transaction may believe afterwards that it had done so in every partition;
	 * in the others the events are aborted here, and find tells which are missing. May be called again at any time; what the
	 * earlier one had open is ended too. PUBLISH_NO_SLOT: a producer without transactions. */
	enum error (*open)(struct publish_log *log, int32_t slot, struct error_note *note);
	/* OK: nothing was heard since open that could have cut the end of a transaction short. UNAVAILABLE: open anew before
	 * another is begun. Asks nobody. Behind a commit it may take a moment: until the log can begin another transaction. */
	enum error (*check)(struct publish_log *log, struct error_note *note);
	/* The slot's newest record, committed, up to the end of its partition when called (after open: nobody else can add one).
	 * NOT_FOUND: there is none. FAILED_PRECONDITION: it is of a greater log_epoch than this log's. */
	enum error (*newest)(struct publish_log *log, struct publish_record *ret_record, struct error_note *note);
	/* After open, so for good: sets the position of each row whose event readers don't see there (with the row's id) to −1.
	 * Rows that have none, or one that the log keeps no more, stay as they are. */
	enum error (*find)(struct publish_log *log, struct ledger_ping *rows, size_t count, struct error_note *note);
	/* Begins a transaction; produces the rows as events (count may be 0) and the slot's record, with the log_epoch; returns
	 * when all are acknowledged with an offset, with the rows' positions set (log_epoch << 48 | offset). Nothing is visible
	 * to readers yet. After an error abort must follow; FENCED: another producer has the slot. Without transactions: events
	 * alone, visible at once; UNAVAILABLE: none of them is in the log; IN_DOUBT: some may be. */
	enum error (*produce)(struct publish_log *log, const struct publish_record *record, struct ledger_ping *rows,
			      size_t count, struct error_note *note);
	/* OK: readers see it, or will after an open and a find. ABORTED: known that they don't and never will. FENCED: another
	 * producer has the slot, and knows. IN_DOUBT, UNAVAILABLE: open and newest tell. */
	enum error (*commit)(struct publish_log *log, struct error_note *note);
	/* Ends the open transaction, if there is one. Unless OK: open anew. */
	enum error (*abort)(struct publish_log *log, struct error_note *note);
	void (*close)(struct publish_log *log);
};
struct publish_log {
	const struct publish_log_vtable *vtable;
};

#endif
