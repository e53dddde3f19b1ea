/* The publisher: brings pings from ingest's queue into a ledger and a log that are two systems, so that an OK means both and
 * nothing is in one of them alone for long, whatever fails between. One batch at a time, and one call to a port a step.
 *
 *        none free: later    ┌───── FENCED, in any state: another owner has the slot
 *                  ┌───┐     ▼                                       events are missing
 *                  └── TAKING ──► FENCING ──► LOOKING ──► RECOVERING ◄─────────────────── REPUBLISHING
 *                     epoch + 1      ▲           k         │     └──► [VERIFYING] ─┐           ▲
 *                                    │       none is (more)│                REPRODUCING ──► MOVING
 *                                    │                     ▼
 *                                    │    RELEASING ◄─── READY ◄──────────────────────────────────┐
 *                                    │        ▼      close │ pings                                │ answered
 *                                    │    RELEASED         ▼                                      │
 *                                    │               [CLAIMING] ─► PRODUCING ─► COMMITTING ─► PUBLISHING
 *                                    │                                │ failed ─────┤ not known   │ not OK
 *                                    │                            ABORTING          ▼             │
 *                                    └──────────────────────────── or, failing, SETTLING ◄────────┘
 *                                                               epoch + 1, through the row's lock
 *
 *   transactional  as drawn: the log's transaction stands around the ledger's.
 *   RECOVERING     goes through the batches of the log's newest transaction, then those behind it. Events that may be in the log
 *                  already (their rows have positions) are looked for: VERIFYING. A log that is cut off in the middle of ending
 *                  a transaction can have kept a part of it; whoever hears that it may have been goes to SETTLING.
 *   outbox         Two of them share a slot, each with a thread and a connection, so that no ping ever waits for the log.
 *                  The front: TAKING ─► READY ─► [CLAIMING] ─► COMMITTING ─► answered.
 *                  Its carrier, for ever: FENCING … REPUBLISHING until nothing is missing, then on in RECOVERING.
 *                  Only a slot that was never used needs the log before its first batch (LOOKING).
 *   ordered        No slot, no transaction of the log's:
 *                  [CLAIMING] ─► INSERTING ─► PRODUCING ─► COMMITTING ─► answered.
 *                  Without a log: [CLAIMING] ─► COMMITTING.
 *   a rescuer      Takes dead slots only, comes by RECOVERING to RELEASING, and begins anew. It takes no pings.
 *
 * Steps belong to one thread; a simulator calls them itself. Without clock, chance or I/O but by its ports.
 */
#ifndef PING_INGEST_PUBLISHER_H
#define PING_INGEST_PUBLISHER_H

#include "ingest/ingest.h"
#include "port/publish.h"

/* X(name, text for status and metrics, its successors) */
/* clang-format off */
#define PUBLISHER_STATES(X) \
	X(TAKING, "taking", TO(TAKING) | TO(FENCING) | TO(LOOKING) | TO(RELEASED)) \
	X(FENCING, "fencing", TO(FENCING) | TO(LOOKING) | TO(READY) | TO(TAKING) | TO(RELEASING) | TO(RELEASED)) \
	X(LOOKING, "looking", TO(LOOKING) | TO(FENCING) | TO(RECOVERING) | TO(REPRODUCING) | TO(READY) | TO(TAKING) | TO(RELEASING) | \
	  TO(RELEASED)) \
	X(RECOVERING, "recovering", TO(RECOVERING) | TO(VERIFYING) | TO(REPRODUCING) | TO(SETTLING) | TO(READY) | TO(TAKING) | \
	  TO(RELEASING) | TO(RELEASED)) \
	X(VERIFYING, "verifying", TO(RECOVERING) | TO(REPRODUCING) | TO(RELEASING) | TO(RELEASED)) \
	X(REPRODUCING, "reproducing", TO(MOVING) | TO(REPUBLISHING) | TO(SETTLING) | TO(RELEASING) | TO(RELEASED)) \
	X(MOVING, "moving", TO(REPUBLISHING) | TO(FENCING) | TO(SETTLING) | TO(TAKING) | TO(RELEASING) | TO(RELEASED)) \
	X(REPUBLISHING, "republishing", TO(RECOVERING) | TO(LOOKING) | TO(SETTLING)) \
	X(READY, "ready", TO(READY) | TO(SETTLING) | TO(CLAIMING) | TO(INSERTING) | TO(PRODUCING) | TO(COMMITTING) | TO(TAKING) | \
	  TO(RELEASING) | TO(RELEASED)) \
	X(CLAIMING, "claiming", TO(INSERTING) | TO(PRODUCING) | TO(COMMITTING) | TO(READY)) \
	X(INSERTING, "inserting", TO(PRODUCING) | TO(READY)) \
	X(PRODUCING, "producing", TO(COMMITTING) | TO(ABORTING) | TO(SETTLING) | TO(READY)) \
	X(COMMITTING, "committing", TO(PUBLISHING) | TO(ABORTING) | TO(SETTLING) | TO(READY) | TO(TAKING) | TO(RELEASED)) \
	X(PUBLISHING, "publishing", TO(READY) | TO(SETTLING)) \
	X(ABORTING, "aborting", TO(READY) | TO(SETTLING) | TO(RELEASING)) \
	X(SETTLING, "settling", TO(SETTLING) | TO(PUBLISHING) | TO(ABORTING) | TO(FENCING) | TO(READY) | TO(TAKING) | TO(RELEASING) | \
	  TO(RELEASED)) \
	X(RELEASING, "releasing", TO(RELEASED) | TO(TAKING)) \
	X(RELEASED, "released", TO(RELEASED))
/* clang-format on */

enum publisher_state {
#define PUBLISHER_STATE_ENUM(name, text, successors) PUBLISHER_##name,
	PUBLISHER_STATES(PUBLISHER_STATE_ENUM)
#undef PUBLISHER_STATE_ENUM
		PUBLISHER_STATE_COUNT,
};

/* "taking". Static. */
const char *publisher_state_text(enum publisher_state state);

enum publisher_mode { PUBLISHER_TRANSACTIONAL, PUBLISHER_ORDERED, PUBLISHER_OUTBOX };

enum publisher_news {
	PUBLISHER_CHANGED,     /* to another state; error OK, no text */
	PUBLISHER_TAKEN,       /* a slot */
	PUBLISHER_FENCED,      /* another owner took it */
	PUBLISHER_TROUBLE,     /* an attempt failed and will be made again; the text says how long until then */
	PUBLISHER_FAILED,      /* a batch; its pings were told */
	PUBLISHER_UNKNOWN,     /* a batch whose pings were told that its outcome is not known */
	PUBLISHER_RECOVERED,   /* batches that an owner before, or a transaction aborted by the log, had left */
	PUBLISHER_LEDGER_LOST, /* the log has batches that the ledger no longer has: a failover to an asynchronous standby */
};

struct publisher_status {
	enum publisher_state state;
	bool ready;	    /* to carry out pings */
	int32_t slot;	    /* PUBLISH_NO_SLOT: none is held */
	int64_t epoch;	    /* of the slot */
	int64_t batch_seq;  /* newest batch in the ledger */
	int64_t newest;	    /* newest batch in the log, as far as is known */
	bool behind;	    /* the log may lack batches of the slot */
	uint64_t batches;   /* carried out */
	uint64_t failed;    /* batches whose pings were told a failure */
	uint64_t unknown;   /* batches whose pings were told that the outcome is not known */
	uint64_t aborted;   /* transactions of the log's that it ended without the publisher's wish, or that were not answered */
	uint64_t recovered; /* batches published again, or (outbox) at last */
	uint64_t fenced;    /* slots lost to another owner */
	uint64_t lost;	    /* times that the ledger was found to lack batches that the log has */
	enum error error;   /* the last trouble; OK again when ready */
	char error_text[256];
};

struct publisher_config {
	enum publisher_mode mode;
	bool rescuer;
	struct publisher *carries_for;	  /* NULL: not a carrier. It is destroyed before the one that it carries for */
	size_t max_batch;		  /* pings in one transaction; 0: 4,096 */
	int64_t idempotency_retention_ms; /* 0: 24 h, which is the least */
	int64_t renew_ms;		  /* between renewals of the lease, well below it; 0: 3 s */
	int64_t patience_ms;		  /* pings in doubt are answered (IN_DOUBT) after so long at the latest; 0: 30 s */
	int64_t rescue_ms;		  /* between looks for dead slots; 0: 5 s */
	/* Optional; called within a step. `status` is that of before it, but for state and slot. */
	void (*tell)(void *context, enum publisher_news news, const struct publisher_status *status, enum error error,
		     const char *text);
	void *context;
};

struct publisher;

/* All that is given stays the caller's and must outlive it. log may be NULL under `ordered`: there is none. NO_MEMORY. */
enum error publisher_create(const struct publisher_config *config, struct ingest *ingest, struct slot_ledger *ledger,
			    struct publish_log *log, struct clock *clock, struct random *random,
			    struct publisher **ret_publisher);
/* Pings in its hands are forgotten unanswered: bring it to RELEASED first. */
void publisher_destroy(struct publisher *publisher);

/* At most one call to a port. False: nothing is to be done until publisher_due_us, or until something is submitted or closed.
 * After ingest_close it carries out what waits, frees its slot and comes to RELEASED; trouble on the way cuts that short. */
bool publisher_step(struct publisher *publisher);
/* When (monotonic clock) there is something to do even if nothing is submitted. */
int64_t publisher_due_us(const struct publisher *publisher);
/* Its thread: sleeps until there may be something to do, at most timeout_ms. */
void publisher_wait(struct publisher *publisher, int timeout_ms);
/* RELEASED: steps do nothing any more. */
bool publisher_ended(const struct publisher *publisher);
/* Any thread; as of the last step. */
struct publisher_status publisher_status(struct publisher *publisher);

#endif
