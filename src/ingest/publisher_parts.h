/* What the publisher's parts share: publisher.c steps it, publisher_recovery.c brings a slot up to date, publisher_batch.c
 * carries pings out. A function that returns a state returns the next one.
 */
#ifndef PING_INGEST_PUBLISHER_PARTS_H
#define PING_INGEST_PUBLISHER_PARTS_H

#include <pthread.h>

#include "ingest/batch.h"
#include "ingest/publisher.h"
#include "ingest/shared_slot.h"

enum { PUBLISHER_PRUNE_MS = 60000 };

/* The batch in hand, once COMMIT was asked for. */
enum fate { FATE_OPEN, FATE_UNKNOWN, FATE_COMMITTED };

struct publisher {
	struct publisher_config config;
	struct ingest *ingest;
	struct slot_ledger *ledger;
	struct publish_log *log;
	struct clock *clock;
	struct random *random;

	enum publisher_state state;
	bool ready;	 /* as ingest was told */
	bool idle;	 /* the step found nothing to do */
	int64_t soon_us; /* when there may be something to do again, though nobody says so */
	unsigned tries;	 /* that failed since it was last ready */
	int64_t retry_us, renew_us, prune_us;
	int64_t gather_us; /* since when it waits for more pings; 0: it does not */
	bool prune_turn;
	enum error error; /* the last trouble */
	struct error_note note;

	struct publish_slot slot; /* slot.slot PUBLISH_NO_SLOT: none is held */
	struct uuid_generator ids;

	struct batch batch;
	int64_t number; /* of the batch in hand */
	int64_t top;	/* number with which this owner asked for a COMMIT; 0: none yet */
	enum fate fate;
	int64_t deadline_us; /* for the pings of a fate that is not known */

	/* The log's side. */
	bool in_transaction;
	bool newest_known;
	int64_t newest; /* batch in the log */

	/* Recovery's. */
	struct publish_record found; /* the slot's newest record, when it was looked for */
	int64_t verified;	     /* of found's batches: up to this one the log has every event */
	bool verifies;		     /* the run in hand is of found's batches, not of those behind them */
	struct publish_run run;	     /* batches in hand, in one transaction */
	bool no_memory;		     /* for their rows */

	/* An outbox's. */
	struct shared_slot shared;   /* the front's */
	struct publisher *front;     /* the carrier's; NULL: it is none */
	struct shared_view view;     /* of the shared slot, as last seen */
	uint64_t version, ownership; /* of the carrier's view; of the slot */
	bool inside;		     /* the front is */
	int64_t leave_us;	     /* the front waits until then for its carrier; 0: it is not leaving */

	struct publisher_status status; /* its counters are kept here, the rest is filled in at each step's end */

	pthread_mutex_t mutex; /* guards the following */
	struct publisher_status shown;
};

static inline bool has_slot(const struct publisher *publisher)
{
	return publisher->slot.slot != PUBLISH_NO_SLOT;
}

static inline bool is_ordered(const struct publisher *publisher)
{
	return publisher->config.mode == PUBLISHER_ORDERED;
}

static inline bool is_carrier(const struct publisher *publisher)
{
	return publisher->front != NULL;
}

/* The front of an outbox: it never touches the log. */
static inline bool is_outbox(const struct publisher *publisher)
{
	return publisher->config.mode == PUBLISHER_OUTBOX && !publisher->config.rescuer && !is_carrier(publisher);
}

static inline bool takes_pings(const struct publisher *publisher)
{
	return !publisher->config.rescuer && !is_carrier(publisher);
}

/* The log may lack events of batches that the ledger has. */
static inline bool is_behind(const struct publisher *publisher)
{
	return has_slot(publisher) && (!publisher->newest_known || publisher->newest < publisher->slot.batch_seq ||
				       publisher->verified < publisher->found.batch);
}

static inline int64_t now_us(const struct publisher *publisher)
{
	return clock_monotonic_us(publisher->clock);
}

/* Again soon, though nobody will say that there is something to do. */
enum publisher_state publisher_come_back_soon(struct publisher *publisher);
void publisher_tell(struct publisher *publisher, enum publisher_news news, enum error error, const char *text);
void publisher_set_ready(struct publisher *publisher, bool ready);

/* What pings of a batch are told when it is known that nothing of it was or will be kept. */
enum error publisher_as_answer(enum error error);
/* To the pings in hand, if there are any. */
void publisher_answer(struct publisher *publisher, enum error error, const struct error_note *note);
void publisher_answer_kept(struct publisher *publisher);
void publisher_answer_failed(struct publisher *publisher, enum error error, const struct error_note *note);
void publisher_answer_unknown(struct publisher *publisher, const char *text);

/* Whatever was begun can't be ended by us any more, or is not worth it. */
enum publisher_state publisher_leave(struct publisher *publisher);
/* An attempt failed; `next` is where it is made again. */
enum publisher_state publisher_trouble(struct publisher *publisher, enum publisher_state next, enum error error,
				       const struct error_note *note);
void publisher_forget_slot(struct publisher *publisher);
/* Another owner has the slot. What became of a batch whose COMMIT was asked for, only that one can find out. */
enum publisher_state publisher_fenced(struct publisher *publisher);
/* The carrier's: the slot as its front has it. False: it is no longer the one that it carries for. */
bool publisher_look(struct publisher *publisher);

/* One for each state. */
enum publisher_state publisher_do_taking(struct publisher *publisher);
enum publisher_state publisher_do_fencing(struct publisher *publisher);
enum publisher_state publisher_do_looking(struct publisher *publisher);
enum publisher_state publisher_do_recovering(struct publisher *publisher);
enum publisher_state publisher_do_verifying(struct publisher *publisher);
enum publisher_state publisher_do_reproducing(struct publisher *publisher);
enum publisher_state publisher_do_moving(struct publisher *publisher);
enum publisher_state publisher_do_republishing(struct publisher *publisher);
enum publisher_state publisher_do_ready(struct publisher *publisher);
enum publisher_state publisher_do_claiming(struct publisher *publisher);
enum publisher_state publisher_do_inserting(struct publisher *publisher);
enum publisher_state publisher_do_producing(struct publisher *publisher);
enum publisher_state publisher_do_committing(struct publisher *publisher);
enum publisher_state publisher_do_publishing(struct publisher *publisher);
enum publisher_state publisher_do_aborting(struct publisher *publisher);
enum publisher_state publisher_do_settling(struct publisher *publisher);
enum publisher_state publisher_do_releasing(struct publisher *publisher);
enum publisher_state publisher_do_released(struct publisher *publisher);

#endif
