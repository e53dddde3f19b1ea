#include "ingest/publisher.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/batch.h"
#include "ingest/shared_slot.h"

enum {
	MAX_BATCH_DEFAULT = 4096,
	PATIENCE_MS_DEFAULT = 30000,
	RENEW_MS_DEFAULT = 3000,
	RESCUE_MS_DEFAULT = 5000,
	BACK_OFF_LEAST_MS = 100,
	BACK_OFF_MOST_MS = 5000,
	PRUNE_MS = 60000,
	PRUNE_MAX = 1000, /* keys a step, beside as many as a batch can have added */
	SOON_US = 1000,	  /* until the front or the carrier of an outbox looks again whether the other has done */
};
#define RETENTION_LEAST_MS INT64_C(86400000)

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
	int64_t newest;		    /* batch in the log */
	struct publish_run missing; /* the batches that are published again, in one transaction */
	bool no_memory;		    /* for their rows */

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

#define TO(name) (1u << PUBLISHER_##name)
static const struct {
	const char *text;
	unsigned successors;
} states[] = {
#define PUBLISHER_STATE_ROW(name, text, successors) {text, successors},
	PUBLISHER_STATES(PUBLISHER_STATE_ROW)
#undef PUBLISHER_STATE_ROW
};
#undef TO

const char *publisher_state_text(enum publisher_state state)
{
	return states[state].text;
}

static bool has_slot(const struct publisher *publisher)
{
	return publisher->slot.slot != PUBLISH_NO_SLOT;
}

static bool is_ordered(const struct publisher *publisher)
{
	return publisher->config.mode == PUBLISHER_ORDERED;
}

static bool is_carrier(const struct publisher *publisher)
{
	return publisher->front != NULL;
}

/* The front of an outbox: it never touches the log. */
static bool is_outbox(const struct publisher *publisher)
{
	return publisher->config.mode == PUBLISHER_OUTBOX && !publisher->config.rescuer && !is_carrier(publisher);
}

static bool takes_pings(const struct publisher *publisher)
{
	return !publisher->config.rescuer && !is_carrier(publisher);
}

static bool is_behind(const struct publisher *publisher)
{
	return has_slot(publisher) && (!publisher->newest_known || publisher->newest < publisher->slot.batch_seq);
}

static int64_t now_us(const struct publisher *publisher)
{
	return clock_monotonic_us(publisher->clock);
}

static enum publisher_state come_back_soon(struct publisher *publisher)
{
	publisher->idle = true;
	publisher->soon_us = now_us(publisher) + SOON_US;
	return publisher->state;
}

static void tell(struct publisher *publisher, enum publisher_news news, enum error error, const char *text)
{
	if (publisher->config.tell == NULL)
		return;
	struct publisher_status status = publisher->status;
	status.state = publisher->state;
	status.slot = publisher->slot.slot;
	status.epoch = publisher->slot.epoch;
	publisher->config.tell(publisher->config.context, news, &status, error, text);
}

static void set_ready(struct publisher *publisher, bool ready)
{
	if (publisher->ready == ready)
		return;
	publisher->ready = ready;
	ingest_set_ready(publisher->ingest, ready);
}

/* Doubles with each try, and is jittered, so that many don't come at once. */
static int64_t back_off_us(struct publisher *publisher, unsigned tries)
{
	int64_t most_ms = BACK_OFF_LEAST_MS;
	for (unsigned i = 0; i < tries && most_ms < BACK_OFF_MOST_MS; i++)
		most_ms *= 2;
	if (most_ms > BACK_OFF_MOST_MS)
		most_ms = BACK_OFF_MOST_MS;
	return (most_ms / 2 + (int64_t)random_below(publisher->random, (uint64_t)most_ms / 2 + 1)) * 1000;
}

/* What pings of a batch are told when it is known that nothing of it was or will be kept. */
static enum error as_answer(enum error error)
{
	return strcmp(error_connect_code(error), "unavailable") == 0 ? error : ERROR_UNAVAILABLE;
}

static void answer(struct publisher *publisher, enum error error, const struct error_note *note)
{
	if (publisher->batch.count == 0)
		return;
	publisher->status.batches += error == ERROR_OK;
	if (error == ERROR_IN_DOUBT) {
		publisher->status.unknown++;
		tell(publisher, PUBLISHER_UNKNOWN, error, note != NULL ? note->text : "");
	} else if (error != ERROR_OK) {
		publisher->status.failed++;
		tell(publisher, PUBLISHER_FAILED, error, note != NULL ? note->text : "");
	}
	batch_answer(&publisher->batch, error, note);
}

static void answer_kept(struct publisher *publisher)
{
	publisher->fate = FATE_OPEN;
	answer(publisher, ERROR_OK, NULL);
}

static void answer_failed(struct publisher *publisher, enum error error, const struct error_note *note)
{
	publisher->fate = FATE_OPEN;
	answer(publisher, as_answer(error), note);
}

static void answer_unknown(struct publisher *publisher, const char *text)
{
	struct error_note note;
	error_noted(&note, ERROR_IN_DOUBT, "%s", text);
	answer(publisher, ERROR_IN_DOUBT, &note);
}

/* Whatever was begun can't be ended by us any more, or is not worth it. */
static enum publisher_state leave(struct publisher *publisher)
{
	if (publisher->fate != FATE_OPEN)
		answer_unknown(publisher, "the server stopped before the outcome was known");
	set_ready(publisher, false);
	return has_slot(publisher) && !is_carrier(publisher) ? PUBLISHER_RELEASING : PUBLISHER_RELEASED;
}

/* An attempt failed; `next` is where it is made again. */
static enum publisher_state trouble(struct publisher *publisher, enum publisher_state next, enum error error,
				    const struct error_note *note)
{
	publisher->error = error;
	publisher->note = *note;
	if (is_carrier(publisher))
		shared_slot_tell_trouble(&publisher->front->shared, error, note);
	if (ingest_closed(publisher->ingest))
		return leave(publisher);
	int64_t wait_us = back_off_us(publisher, publisher->tries++);
	publisher->retry_us = now_us(publisher) + wait_us;
	set_ready(publisher, false);
	struct error_note text;
	error_noted(&text, error, "%s; again in %d ms", note->text[0] != 0 ? note->text : error_text(error),
		    (int)(wait_us / 1000));
	tell(publisher, PUBLISHER_TROUBLE, error, text.text);
	return next;
}

static void forget_slot(struct publisher *publisher)
{
	publisher->slot = (struct publish_slot){.slot = PUBLISH_NO_SLOT};
	publisher->in_transaction = publisher->newest_known = false;
	publisher->top = 0;
}

/* Another owner has the slot. What became of a batch whose COMMIT was asked for, only that one can find out. */
static enum publisher_state fenced(struct publisher *publisher)
{
	tell(publisher, PUBLISHER_FENCED, ERROR_FENCED, "another publisher has taken the slot over");
	publisher->status.fenced++;
	if (publisher->fate != FATE_OPEN)
		answer_unknown(publisher, "another publisher took over before the outcome was known");
	publisher->fate = FATE_OPEN;
	set_ready(publisher, false);
	forget_slot(publisher);
	return ingest_closed(publisher->ingest) ? PUBLISHER_RELEASED : PUBLISHER_TAKING;
}

/* The carrier's: the slot as its front has it. False: it is no longer the one that it carries for. */
static bool look(struct publisher *publisher)
{
	publisher->view = shared_slot_look(&publisher->front->shared, &publisher->version);
	if (publisher->view.slot.slot == PUBLISH_NO_SLOT || publisher->view.lost ||
	    publisher->view.ownership != publisher->ownership)
		return false;
	publisher->slot = publisher->view.slot;
	return true;
}

static enum publisher_state take_from_front(struct publisher *publisher)
{
	publisher->view = shared_slot_look(&publisher->front->shared, &publisher->version);
	publisher->ownership = publisher->view.ownership;
	if (publisher->view.front_left)
		return PUBLISHER_RELEASED;
	if (!look(publisher)) {
		publisher->idle = true;
		return PUBLISHER_TAKING;
	}
	return PUBLISHER_FENCING;
}

static enum publisher_state do_taking(struct publisher *publisher)
{
	if (is_carrier(publisher))
		return take_from_front(publisher);
	if (ingest_closed(publisher->ingest))
		return PUBLISHER_RELEASED;
	struct error_note note = {0};
	bool rescuer = publisher->config.rescuer;
	struct publish_slot slot;
	enum error error =
		publisher->ledger->vtable->take(publisher->ledger, rescuer ? PUBLISH_TAKE_DEAD : PUBLISH_TAKE_ANY, &slot, &note);
	if (error == ERROR_RESOURCE_EXHAUSTED && rescuer) {
		publisher->error = ERROR_OK;
		publisher->retry_us = now_us(publisher) + publisher->config.rescue_ms * 1000;
		return PUBLISHER_TAKING;
	}
	if (error != ERROR_OK)
		return trouble(publisher, PUBLISHER_TAKING, error, &note);
	publisher->slot = slot;
	publisher->renew_us = now_us(publisher) + publisher->config.renew_ms * 1000;
	uuid_generator_init(&publisher->ids, publisher->random, &slot.last_id);
	publisher->ownership++;
	tell(publisher, PUBLISHER_TAKEN, ERROR_OK, "");
	return is_outbox(publisher) ? PUBLISHER_LOOKING : PUBLISHER_FENCING;
}

static enum publisher_state do_fencing(struct publisher *publisher)
{
	struct error_note note = {0};
	publisher->in_transaction = false;
	enum error error = publisher->log->vtable->open(publisher->log, publisher->slot.slot, &note);
	if (error != ERROR_OK)
		return trouble(publisher, PUBLISHER_FENCING, error, &note);
	return has_slot(publisher) ? PUBLISHER_LOOKING : PUBLISHER_READY;
}

static void set_newest(struct publisher *publisher, int64_t newest)
{
	publisher->newest = newest;
	publisher->newest_known = true;
	if (is_carrier(publisher)) {
		shared_slot_tell_newest(&publisher->front->shared, publisher->ownership, newest);
		publisher->tries = 0;
		publisher->error = ERROR_OK;
	}
}

/* The front can do without its carrier's having reached the log, but for a slot that was never used: that gets its record first.
 */
static enum publisher_state wait_for_first_record(struct publisher *publisher)
{
	if (publisher->newest_known || publisher->slot.batch_seq > 0)
		return PUBLISHER_READY;
	if (ingest_closed(publisher->ingest))
		return leave(publisher);
	if (publisher->view.trouble != ERROR_OK) {
		publisher->error = publisher->view.trouble;
		publisher->note = publisher->view.note;
		ingest_refuse(publisher->ingest, as_answer(publisher->error), &publisher->note);
	}
	return come_back_soon(publisher);
}

/* A slot's first record, of a batch 0 without rows, is made before its first batch: who finds batches and no record knows that
 * the log is another one. */
static enum publisher_state do_looking(struct publisher *publisher)
{
	if (is_outbox(publisher))
		return wait_for_first_record(publisher);
	struct error_note note = {0};
	int64_t newest;
	enum error error = publisher->log->vtable->newest(publisher->log, &newest, &note);
	if (error == ERROR_NOT_FOUND && publisher->slot.batch_seq == 0) {
		publisher->missing = (struct publish_run){0};
		batch_clear_rows(&publisher->batch);
		return PUBLISHER_REPRODUCING;
	}
	if (error == ERROR_NOT_FOUND)
		error = error_noted(&note, ERROR_FAILED_PRECONDITION,
				    "slot %d has published %lld batches, but not to this log: if it is a new one, "
				    "follow the procedure of log_epoch (drain, count, log_epoch + 1)",
				    publisher->slot.slot, (long long)publisher->slot.batch_seq);
	if (error != ERROR_OK)
		return trouble(publisher, PUBLISHER_FENCING, error, &note);
	if (newest > publisher->slot.batch_seq) {
		publisher->status.lost++;
		tell(publisher, PUBLISHER_LEDGER_LOST, ERROR_DATA_LOSS,
		     "the ledger lacks batches that the log has: it lost committed rows, as an asynchronous standby may; "
		     "compare with pingctl audit");
	}
	set_newest(publisher, newest);
	return PUBLISHER_RECOVERING;
}

static void add_row(void *context, const struct ledger_ping *row)
{
	struct publisher *publisher = context;
	if (batch_add_row(&publisher->batch, row) != ERROR_OK)
		publisher->no_memory = true;
}

static enum publisher_state recovered(struct publisher *publisher)
{
	if (publisher->fate == FATE_COMMITTED && publisher->slot.batch_seq < publisher->number)
		answer_unknown(publisher, "the ledger lost the batch after it was committed");
	else if (publisher->fate == FATE_COMMITTED)
		answer_kept(publisher);
	publisher->fate = FATE_OPEN;
	publisher->idle = is_carrier(publisher); /* until its front has more */
	return publisher->config.rescuer ? PUBLISHER_RELEASING : is_carrier(publisher) ? PUBLISHER_RECOVERING : PUBLISHER_READY;
}

/* As many as make up a batch of the greatest size go together: those of a slow trickle are small, and each transaction of the
 * log's takes its time, so that one by one a backlog would last longer than it took to come about. */
static enum publisher_state do_recovering(struct publisher *publisher)
{
	if (!is_behind(publisher))
		return recovered(publisher);
	struct error_note note = {0};
	batch_clear_rows(&publisher->batch);
	publisher->no_memory = false;
	enum error error =
		publisher->ledger->vtable->read_batches(publisher->ledger, &publisher->slot, publisher->newest,
							publisher->batch.max, &publisher->missing, add_row, publisher, &note);
	if (error == ERROR_NOT_FOUND) { /* numbers that were never used, or rows past their retention */
		set_newest(publisher, publisher->slot.batch_seq);
		return recovered(publisher);
	}
	if (error == ERROR_OK && publisher->no_memory)
		error = ERROR_NO_MEMORY;
	return error == ERROR_OK ? PUBLISHER_REPRODUCING : trouble(publisher, PUBLISHER_RECOVERING, error, &note);
}

static enum publisher_state do_reproducing(struct publisher *publisher)
{
	struct error_note note = {0};
	struct batch *batch = &publisher->batch;
	publisher->in_transaction = true;
	enum error error =
		publisher->log->vtable->produce(publisher->log, publisher->missing.last, batch->rows, batch->row_count, &note);
	if (error == ERROR_FENCED)
		return PUBLISHER_SETTLING;
	if (error != ERROR_OK)
		return trouble(publisher, PUBLISHER_FENCING, error, &note);
	return batch->row_count > 0 ? PUBLISHER_MOVING : PUBLISHER_REPUBLISHING;
}

static enum publisher_state do_moving(struct publisher *publisher)
{
	struct error_note note = {0};
	struct batch *batch = &publisher->batch;
	enum error error = publisher->ledger->vtable->set_positions(publisher->ledger, &publisher->slot, batch->rows,
								    batch->row_count, &note);
	if (error == ERROR_FENCED && !is_carrier(publisher))
		return fenced(publisher);
	if (error == ERROR_IN_DOUBT || error == ERROR_FENCED) /* perhaps it was the front that settled */
		return PUBLISHER_SETTLING;
	return error == ERROR_OK ? PUBLISHER_REPUBLISHING : trouble(publisher, PUBLISHER_FENCING, error, &note);
}

static enum publisher_state do_republishing(struct publisher *publisher)
{
	struct error_note note = {0};
	publisher->in_transaction = false;
	enum error error = publisher->log->vtable->commit(publisher->log, &note);
	if (error != ERROR_OK) {
		publisher->status.aborted++;
		return PUBLISHER_SETTLING;
	}
	set_newest(publisher, publisher->missing.last);
	if (publisher->missing.batches > 0) {
		publisher->status.recovered += publisher->missing.batches;
		if (!is_carrier(publisher))
			tell(publisher, PUBLISHER_RECOVERED, ERROR_OK, "batches that were committed, but not published");
	}
	return PUBLISHER_RECOVERING;
}

/* Keys are forgotten in small steps between batches, so that none waits for long. */
static bool prune_is_due(const struct publisher *publisher)
{
	return now_us(publisher) >= publisher->prune_us;
}

static void prune_keys(struct publisher *publisher)
{
	size_t max = PRUNE_MAX + publisher->batch.max, removed = 0;
	enum error error = publisher->ledger->vtable->prune_keys(publisher->ledger, publisher->config.idempotency_retention_ms,
								 max, &removed, NULL);
	/* A failure costs room alone; the next round makes up for it. */
	if (error != ERROR_OK || removed < max)
		publisher->prune_us = now_us(publisher) + PRUNE_MS * INT64_C(1000);
}

static int64_t greater(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Above all that ledger or log have or, in case a ledger loses it, had. An outbox that can't ask the log does not know what a
 * ledger has lost in a failover: it takes the time for its first number, which grows faster than batches are made. */
static int64_t next_number(const struct publisher *publisher)
{
	int64_t last = greater(publisher->slot.batch_seq, publisher->top);
	if (publisher->newest_known)
		last = greater(last, publisher->newest);
	else if (publisher->top == 0)
		last = greater(last, publisher->slot.taken_us);
	return last + 1;
}

/* Where the rows go from here. */
static enum publisher_state carry_out(struct publisher *publisher)
{
	batch_make_rows(&publisher->batch);
	if (publisher->batch.row_count == 0) {
		publisher->ledger->vtable->abandon(publisher->ledger);
		return PUBLISHER_READY;
	}
	if (is_ordered(publisher))
		return publisher->log != NULL ? PUBLISHER_INSERTING : PUBLISHER_COMMITTING;
	publisher->number = next_number(publisher);
	return is_outbox(publisher) ? PUBLISHER_COMMITTING : PUBLISHER_PRODUCING;
}

/* A front that leaves lets its carrier finish, while that gets on, and not for ever. */
static bool carrier_works(struct publisher *publisher)
{
	if (publisher->leave_us == 0)
		publisher->leave_us = now_us(publisher) + publisher->config.patience_ms * 1000;
	return is_outbox(publisher) && publisher->shared.has_carrier && is_behind(publisher) &&
	       publisher->view.trouble == ERROR_OK && now_us(publisher) < publisher->leave_us;
}

static enum publisher_state do_ready(struct publisher *publisher)
{
	set_ready(publisher, true);
	publisher->tries = 0;
	publisher->error = ERROR_OK;
	if (publisher->prune_turn && prune_is_due(publisher)) {
		publisher->prune_turn = false;
		prune_keys(publisher);
		return PUBLISHER_READY;
	}
	publisher->prune_turn = true;
	if (batch_take(&publisher->batch, &publisher->ids, clock_wall_ms(publisher->clock)) > 0)
		return publisher->batch.claim_count > 0 ? PUBLISHER_CLAIMING : carry_out(publisher);
	if (ingest_closed(publisher->ingest))
		return carrier_works(publisher) ? come_back_soon(publisher) : leave(publisher);
	publisher->idle = true;
	return PUBLISHER_READY;
}

/* The ledger failed: ask it for something small before the next batch is tried. */
static enum publisher_state batch_failed(struct publisher *publisher, enum publisher_state next, enum error error,
					 const struct error_note *note)
{
	answer_failed(publisher, error, note);
	publisher->renew_us = now_us(publisher);
	return next;
}

static enum publisher_state do_claiming(struct publisher *publisher)
{
	struct error_note note = {0};
	struct batch *batch = &publisher->batch;
	enum error error = publisher->ledger->vtable->claim(publisher->ledger, batch->claims, batch->claim_count, &note);
	if (error == ERROR_ABORTED)
		batch_answer_keyed(batch, ERROR_UNAVAILABLE, &note);
	else if (error == ERROR_OK)
		batch_answer_duplicates(batch);
	else
		return batch_failed(publisher, PUBLISHER_READY, error, &note);
	return carry_out(publisher);
}

static enum publisher_state do_inserting(struct publisher *publisher)
{
	struct error_note note = {0};
	struct batch *batch = &publisher->batch;
	enum error error = publisher->ledger->vtable->insert(publisher->ledger, batch->rows, batch->row_count, &note);
	return error == ERROR_OK ? PUBLISHER_PRODUCING : batch_failed(publisher, PUBLISHER_READY, error, &note);
}

static enum publisher_state do_producing(struct publisher *publisher)
{
	struct error_note note = {0};
	struct batch *batch = &publisher->batch;
	publisher->in_transaction = has_slot(publisher);
	enum error error =
		publisher->log->vtable->produce(publisher->log, publisher->number, batch->rows, batch->row_count, &note);
	if (error == ERROR_OK)
		return PUBLISHER_COMMITTING;
	publisher->ledger->vtable->abandon(publisher->ledger);
	if (has_slot(publisher)) {
		answer_failed(publisher, error, &note);
		return error == ERROR_FENCED ? PUBLISHER_SETTLING : PUBLISHER_ABORTING;
	}
	if (error == ERROR_IN_DOUBT) /* events without rows, perhaps: there is no transaction to take them back */
		answer(publisher, ERROR_IN_DOUBT, &note);
	else
		answer_failed(publisher, error, &note);
	return PUBLISHER_READY;
}

/* ordered: the events are there already, so a failure can't be told as one. */
static enum publisher_state committed_in_order(struct publisher *publisher, enum error error, const struct error_note *note)
{
	if (error == ERROR_OK)
		answer_kept(publisher);
	else if (error == ERROR_IN_DOUBT || publisher->log != NULL)
		answer(publisher, ERROR_IN_DOUBT, note);
	else
		answer_failed(publisher, error, note);
	return PUBLISHER_READY;
}

static enum error commit_rows(struct publisher *publisher, struct error_note *note)
{
	const struct slot_ledger_vtable *vtable = publisher->ledger->vtable;
	const struct batch *batch = &publisher->batch;
	if (!is_ordered(publisher))
		return vtable->commit(publisher->ledger, &publisher->slot, publisher->number, batch->rows, batch->row_count,
				      note);
	if (publisher->log != NULL)
		return vtable->commit_inserted(publisher->ledger, batch->rows, batch->row_count, note);
	return vtable->commit(publisher->ledger, NULL, 0, batch->rows, batch->row_count, note);
}

/* The ledger has the batch; the log not yet, or not for readers. */
static enum publisher_state committed(struct publisher *publisher)
{
	publisher->fate = FATE_COMMITTED;
	if (!is_outbox(publisher))
		return publisher->in_transaction ? PUBLISHER_PUBLISHING : PUBLISHER_FENCING;
	answer_kept(publisher);
	return PUBLISHER_READY;
}

static enum publisher_state do_committing(struct publisher *publisher)
{
	struct error_note note = {0};
	struct batch *batch = &publisher->batch;
	enum error error = commit_rows(publisher, &note);
	publisher->deadline_us = now_us(publisher) + publisher->config.patience_ms * 1000;
	if (is_ordered(publisher))
		return committed_in_order(publisher, error, &note);
	switch (error) {
	case ERROR_OK:
		publisher->top = publisher->number;
		publisher->slot.batch_seq = publisher->number;
		publisher->slot.last_id = batch->rows[batch->row_count - 1].id;
		publisher->renew_us = now_us(publisher) + publisher->config.renew_ms * 1000;
		return committed(publisher);
	case ERROR_IN_DOUBT:
		publisher->top = publisher->number;
		publisher->fate = FATE_UNKNOWN;
		return PUBLISHER_SETTLING;
	case ERROR_FENCED: /* the statement raised: nothing was kept */
		answer_failed(publisher, error, &note);
		return fenced(publisher);
	default:
		return batch_failed(publisher, is_outbox(publisher) ? PUBLISHER_READY : PUBLISHER_ABORTING, error, &note);
	}
}

static enum publisher_state do_publishing(struct publisher *publisher)
{
	struct error_note note = {0};
	publisher->in_transaction = false;
	enum error error = publisher->log->vtable->commit(publisher->log, &note);
	if (error != ERROR_OK) {
		publisher->status.aborted++;
		return PUBLISHER_SETTLING;
	}
	publisher->newest = publisher->number;
	answer_kept(publisher);
	return PUBLISHER_READY;
}

static enum publisher_state do_aborting(struct publisher *publisher)
{
	struct error_note note = {0};
	publisher->in_transaction = false;
	enum error error = publisher->log->vtable->abort(publisher->log, &note);
	return error == ERROR_OK ? PUBLISHER_READY : trouble(publisher, PUBLISHER_FENCING, error, &note);
}

/* While it is inside, its front asks for nothing: what that began under the epoch before has ended. */
static enum publisher_state settle_for_front(struct publisher *publisher)
{
	struct shared_slot *shared = &publisher->front->shared;
	if (!shared_slot_enter(shared, true, &publisher->view))
		return come_back_soon(publisher);
	struct shared_view *view = &publisher->view;
	struct error_note note = {0};
	enum error error = ERROR_OK;
	bool same = view->ownership == publisher->ownership && view->slot.slot == publisher->slot.slot && !view->lost;
	if (same && view->slot.epoch == publisher->slot.epoch)
		error = publisher->ledger->vtable->settle(publisher->ledger, &view->slot, &note);
	shared_slot_leave_carrier(shared, &view->slot, view->lost || error == ERROR_FENCED);
	if (!same || error == ERROR_FENCED) {
		forget_slot(publisher);
		return PUBLISHER_TAKING;
	}
	return error == ERROR_OK ? PUBLISHER_FENCING : trouble(publisher, PUBLISHER_SETTLING, error, &note);
}

static enum publisher_state do_settling(struct publisher *publisher)
{
	if (is_carrier(publisher))
		return settle_for_front(publisher);
	struct error_note note = {0};
	enum error error = publisher->ledger->vtable->settle(publisher->ledger, &publisher->slot, &note);
	if (error == ERROR_FENCED)
		return fenced(publisher);
	if (error != ERROR_OK)
		return trouble(publisher, PUBLISHER_SETTLING, error, &note);
	publisher->renew_us = now_us(publisher) + publisher->config.renew_ms * 1000;
	if (publisher->fate != FATE_UNKNOWN) /* it was the log that left something open */
		return PUBLISHER_FENCING;
	if (publisher->slot.batch_seq == publisher->number)
		return committed(publisher);
	error_noted(&note, ERROR_UNAVAILABLE, "the ledger did not keep the batch");
	answer_failed(publisher, ERROR_UNAVAILABLE, &note);
	return is_outbox(publisher) ? PUBLISHER_READY : PUBLISHER_ABORTING;
}

static enum publisher_state do_releasing(struct publisher *publisher)
{
	bool finished = !is_behind(publisher) && publisher->fate == FATE_OPEN;
	/* If this fails, the lease runs out. */
	publisher->ledger->vtable->release(publisher->ledger, &publisher->slot, finished, NULL);
	publisher->fate = FATE_OPEN;
	forget_slot(publisher);
	return ingest_closed(publisher->ingest) ? PUBLISHER_RELEASED : PUBLISHER_TAKING;
}

static enum publisher_state do_released(struct publisher *publisher)
{
	struct error_note note;
	error_noted(&note, ERROR_SHUTTING_DOWN, "%s", error_text(ERROR_SHUTTING_DOWN));
	if (takes_pings(publisher))
		ingest_refuse(publisher->ingest, ERROR_SHUTTING_DOWN, &note);
	publisher->idle = true;
	return PUBLISHER_RELEASED;
}

static enum publisher_state (*const actions[])(struct publisher *) = {
	[PUBLISHER_TAKING] = do_taking,
	[PUBLISHER_FENCING] = do_fencing,
	[PUBLISHER_LOOKING] = do_looking,
	[PUBLISHER_RECOVERING] = do_recovering,
	[PUBLISHER_REPRODUCING] = do_reproducing,
	[PUBLISHER_MOVING] = do_moving,
	[PUBLISHER_REPUBLISHING] = do_republishing,
	[PUBLISHER_READY] = do_ready,
	[PUBLISHER_CLAIMING] = do_claiming,
	[PUBLISHER_INSERTING] = do_inserting,
	[PUBLISHER_PRODUCING] = do_producing,
	[PUBLISHER_COMMITTING] = do_committing,
	[PUBLISHER_PUBLISHING] = do_publishing,
	[PUBLISHER_ABORTING] = do_aborting,
	[PUBLISHER_SETTLING] = do_settling,
	[PUBLISHER_RELEASING] = do_releasing,
	[PUBLISHER_RELEASED] = do_released,
};

/* Where no transaction of the ledger's is open, and nothing else is to be settled first. */
static bool renews(const struct publisher *publisher)
{
	enum publisher_state state = publisher->state;
	return has_slot(publisher) && !is_carrier(publisher) &&
	       (state == PUBLISHER_FENCING || state == PUBLISHER_LOOKING || state == PUBLISHER_RECOVERING ||
		state == PUBLISHER_READY);
}

static enum publisher_state renew(struct publisher *publisher)
{
	struct error_note note = {0};
	enum error error = publisher->ledger->vtable->renew(publisher->ledger, &publisher->slot, &note);
	publisher->renew_us = now_us(publisher) + publisher->config.renew_ms * 1000;
	if (error == ERROR_FENCED)
		return fenced(publisher);
	if (error == ERROR_OK)
		return publisher->state;
	enum publisher_state next = trouble(publisher, publisher->state, error, &note);
	publisher->renew_us = publisher->retry_us;
	return next;
}

static void change(struct publisher *publisher, enum publisher_state next)
{
	assert((states[publisher->state].successors >> next & 1) != 0);
	if (publisher->state == next)
		return;
	publisher->state = next;
	tell(publisher, PUBLISHER_CHANGED, ERROR_OK, "");
}

static void show_status(struct publisher *publisher)
{
	struct publisher_status *status = &publisher->status;
	status->state = publisher->state;
	status->ready = publisher->ready;
	status->slot = publisher->slot.slot;
	status->epoch = publisher->slot.epoch;
	status->batch_seq = publisher->slot.batch_seq;
	status->newest = publisher->newest_known ? publisher->newest : 0;
	status->behind = is_behind(publisher);
	status->error = publisher->error;
	snprintf(status->error_text, sizeof status->error_text, "%s", publisher->error == ERROR_OK ? "" : publisher->note.text);
	pthread_mutex_lock(&publisher->mutex);
	publisher->shown = *status;
	pthread_mutex_unlock(&publisher->mutex);
}

/* While it waits to try again: pings that nobody will carry out are told so at once. */
static enum publisher_state wait_for_retry(struct publisher *publisher)
{
	if (takes_pings(publisher))
		ingest_refuse(publisher->ingest, as_answer(publisher->error), &publisher->note);
	publisher->idle = true;
	return publisher->state;
}

/* What has to be known of the other half of an outbox before a step. False: not now. */
static bool enter(struct publisher *publisher)
{
	enum publisher_state state = publisher->state;
	if (is_carrier(publisher)) {
		bool looks = state == PUBLISHER_FENCING || state == PUBLISHER_LOOKING || state == PUBLISHER_RECOVERING;
		if (looks && !look(publisher)) {
			forget_slot(publisher);
			change(publisher, PUBLISHER_TAKING);
		}
		return true;
	}
	if (!is_outbox(publisher) || publisher->inside)
		return true;
	if (!shared_slot_enter(&publisher->shared, false, &publisher->view))
		return false;
	publisher->inside = true;
	if (!has_slot(publisher) || publisher->view.ownership != publisher->ownership)
		return true;
	publisher->slot = publisher->view.slot;
	publisher->newest_known = publisher->view.newest_known;
	publisher->newest = publisher->view.newest;
	if (publisher->view.lost)
		change(publisher, fenced(publisher));
	return true;
}

static void leave_shared(struct publisher *publisher)
{
	enum publisher_state state = publisher->state;
	bool between_batches = state == PUBLISHER_TAKING || state == PUBLISHER_LOOKING || state == PUBLISHER_READY ||
			       state == PUBLISHER_RELEASED;
	if (!publisher->inside || !between_batches)
		return;
	publisher->inside = false;
	shared_slot_leave_front(&publisher->shared, &publisher->slot, publisher->ownership, state == PUBLISHER_RELEASED);
}

static enum publisher_state act(struct publisher *publisher)
{
	if (renews(publisher) && now_us(publisher) >= publisher->renew_us)
		return renew(publisher);
	if (now_us(publisher) < publisher->retry_us && !ingest_closed(publisher->ingest))
		return wait_for_retry(publisher);
	return actions[publisher->state](publisher);
}

bool publisher_step(struct publisher *publisher)
{
	publisher->idle = false;
	publisher->soon_us = INT64_MAX;
	if (publisher->fate != FATE_OPEN && now_us(publisher) >= publisher->deadline_us)
		answer_unknown(publisher, "the outcome could not be found out in time");
	if (enter(publisher))
		change(publisher, act(publisher));
	else
		come_back_soon(publisher);
	leave_shared(publisher);
	show_status(publisher);
	return !publisher->idle;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t publisher_due_us(const struct publisher *publisher)
{
	if (publisher->state == PUBLISHER_RELEASED)
		return INT64_MAX;
	int64_t due_us = publisher->soon_us;
	if (publisher->retry_us > now_us(publisher))
		due_us = earlier(due_us, publisher->retry_us);
	else if (publisher->ready)
		due_us = earlier(due_us, publisher->prune_us);
	if (renews(publisher))
		due_us = earlier(due_us, publisher->renew_us);
	if (publisher->fate != FATE_OPEN && publisher->batch.count > 0)
		due_us = earlier(due_us, publisher->deadline_us);
	return due_us;
}

void publisher_wait(struct publisher *publisher, int timeout_ms)
{
	int64_t due_us = publisher_due_us(publisher), now = now_us(publisher);
	if (due_us <= now)
		return;
	if (due_us - now < timeout_ms * INT64_C(1000))
		timeout_ms = (int)((due_us - now + 999) / 1000);
	if (is_carrier(publisher))
		shared_slot_wait(&publisher->front->shared, publisher->version, timeout_ms);
	else if (publisher->ready && publisher->soon_us == INT64_MAX)
		ingest_wait(publisher->ingest, timeout_ms);
	else
		ingest_wait_unready(publisher->ingest, takes_pings(publisher), timeout_ms);
}

bool publisher_ended(const struct publisher *publisher)
{
	return publisher->state == PUBLISHER_RELEASED;
}

struct publisher_status publisher_status(struct publisher *publisher)
{
	pthread_mutex_lock(&publisher->mutex);
	struct publisher_status status = publisher->shown;
	pthread_mutex_unlock(&publisher->mutex);
	return status;
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
	return value != 0 ? value : otherwise;
}

static void configure(struct publisher *publisher, const struct publisher_config *config)
{
	publisher->config = *config;
	publisher->config.renew_ms = or_default(config->renew_ms, RENEW_MS_DEFAULT);
	publisher->config.patience_ms = or_default(config->patience_ms, PATIENCE_MS_DEFAULT);
	publisher->config.rescue_ms = or_default(config->rescue_ms, RESCUE_MS_DEFAULT);
	if (config->idempotency_retention_ms < RETENTION_LEAST_MS)
		publisher->config.idempotency_retention_ms = RETENTION_LEAST_MS;
}

static bool init_sharing(struct publisher *publisher)
{
	if (pthread_mutex_init(&publisher->mutex, NULL) != 0)
		return false;
	if (shared_slot_init(&publisher->shared))
		return true;
	pthread_mutex_destroy(&publisher->mutex);
	return false;
}

enum error publisher_create(const struct publisher_config *config, struct ingest *ingest, struct slot_ledger *ledger,
			    struct publish_log *log, struct clock *clock, struct random *random, struct publisher **ret_publisher)
{
	struct publisher *publisher = calloc(1, sizeof *publisher);
	if (publisher == NULL)
		return ERROR_NO_MEMORY;
	configure(publisher, config);
	publisher->ingest = ingest;
	publisher->ledger = ledger;
	publisher->log = log;
	publisher->clock = clock;
	publisher->random = random;
	publisher->slot.slot = PUBLISH_NO_SLOT;
	publisher->soon_us = INT64_MAX;
	publisher->front = config->carries_for;
	publisher->prune_us = now_us(publisher) + PRUNE_MS * INT64_C(1000);
	publisher->state = !is_ordered(publisher) ? PUBLISHER_TAKING : log != NULL ? PUBLISHER_FENCING : PUBLISHER_READY;
	uuid_generator_init(&publisher->ids, random, &(struct uuid){0});
	size_t max_batch = config->max_batch != 0 ? config->max_batch : MAX_BATCH_DEFAULT;
	if (batch_init(&publisher->batch, ingest, max_batch) != ERROR_OK) {
		free(publisher);
		return ERROR_NO_MEMORY;
	}
	if (!init_sharing(publisher)) {
		batch_release(&publisher->batch);
		free(publisher);
		return ERROR_NO_MEMORY;
	}
	if (is_carrier(publisher))
		publisher->front->shared.has_carrier = true;
	show_status(publisher);
	*ret_publisher = publisher;
	return ERROR_OK;
}

void publisher_destroy(struct publisher *publisher)
{
	if (publisher == NULL)
		return;
	set_ready(publisher, false);
	shared_slot_release(&publisher->shared);
	pthread_mutex_destroy(&publisher->mutex);
	batch_release(&publisher->batch);
	free(publisher);
}
