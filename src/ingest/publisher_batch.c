/* A batch of pings, from the queue to its answer (publisher.h). */
#include "ingest/publisher_parts.h"

enum {
	PRUNE_MAX = 1000, /* keys a step, beside as many as a batch can have added */
};

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
		publisher->prune_us = now_us(publisher) + PUBLISHER_PRUNE_MS * INT64_C(1000);
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

static bool gathers(struct publisher *publisher)
{
	int64_t now = now_us(publisher), patience_us = ingest_patience_us(publisher->ingest);
	if (publisher->gather_us == 0)
		publisher->gather_us = now;
	if (patience_us == 0 || now >= publisher->gather_us + patience_us) {
		publisher->gather_us = 0;
		return false;
	}
	publisher->soon_us = publisher->gather_us + patience_us;
	publisher->idle = true;
	return true;
}

enum publisher_state publisher_do_ready(struct publisher *publisher)
{
	publisher_set_ready(publisher, true);
	publisher->tries = 0;
	publisher->error = ERROR_OK;
	if (gathers(publisher))
		return PUBLISHER_READY;
	if (publisher->prune_turn && prune_is_due(publisher)) {
		publisher->prune_turn = false;
		prune_keys(publisher);
		return PUBLISHER_READY;
	}
	publisher->prune_turn = true;
	if (publisher->log != NULL && !is_outbox(publisher) && publisher->log->vtable->check(publisher->log, NULL) != ERROR_OK)
		return PUBLISHER_SETTLING;
	if (batch_take(&publisher->batch, &publisher->ids, clock_wall_ms(publisher->clock)) > 0)
		return publisher->batch.claim_count > 0 ? PUBLISHER_CLAIMING : carry_out(publisher);
	if (ingest_closed(publisher->ingest))
		return carrier_works(publisher) ? publisher_come_back_soon(publisher) : publisher_leave(publisher);
	publisher->idle = true;
	return PUBLISHER_READY;
}

/* The ledger failed: ask it for something small before the next batch is tried. */
static enum publisher_state batch_failed(struct publisher *publisher, enum publisher_state next, enum error error,
					 const struct error_note *note)
{
	publisher_answer_failed(publisher, error, note);
	publisher->renew_us = now_us(publisher);
	return next;
}

enum publisher_state publisher_do_claiming(struct publisher *publisher)
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

enum publisher_state publisher_do_inserting(struct publisher *publisher)
{
	struct error_note note = {0};
	struct batch *batch = &publisher->batch;
	enum error error = publisher->ledger->vtable->insert(publisher->ledger, batch->rows, batch->row_count, &note);
	return error == ERROR_OK ? PUBLISHER_PRODUCING : batch_failed(publisher, PUBLISHER_READY, error, &note);
}

enum publisher_state publisher_do_producing(struct publisher *publisher)
{
	struct error_note note = {0};
	struct batch *batch = &publisher->batch;
	const struct publish_record record = {.batch = publisher->number, .after = publisher->number - 1};
	publisher->in_transaction = has_slot(publisher);
	enum error error = publisher->log->vtable->produce(publisher->log, &record, batch->rows, batch->row_count, &note);
	if (error == ERROR_OK)
		return PUBLISHER_COMMITTING;
	publisher->ledger->vtable->abandon(publisher->ledger);
	if (has_slot(publisher)) {
		publisher_answer_failed(publisher, error, &note);
		return error == ERROR_FENCED ? PUBLISHER_SETTLING : PUBLISHER_ABORTING;
	}
	if (error == ERROR_IN_DOUBT) /* events without rows, perhaps: there is no transaction to take them back */
		publisher_answer(publisher, ERROR_IN_DOUBT, &note);
	else
		publisher_answer_failed(publisher, error, &note);
	return PUBLISHER_READY;
}

/* ordered: the events are there already, so a failure can't be told as one. */
static enum publisher_state committed_in_order(struct publisher *publisher, enum error error, const struct error_note *note)
{
	if (error == ERROR_OK)
		publisher_answer_kept(publisher);
	else if (error == ERROR_IN_DOUBT || publisher->log != NULL)
		publisher_answer(publisher, ERROR_IN_DOUBT, note);
	else
		publisher_answer_failed(publisher, error, note);
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
	publisher_answer_kept(publisher);
	return PUBLISHER_READY;
}

enum publisher_state publisher_do_committing(struct publisher *publisher)
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
		publisher_answer_failed(publisher, error, &note);
		return publisher_fenced(publisher);
	default:
		return batch_failed(publisher, is_outbox(publisher) ? PUBLISHER_READY : PUBLISHER_ABORTING, error, &note);
	}
}

enum publisher_state publisher_do_publishing(struct publisher *publisher)
{
	struct error_note note = {0};
	publisher->in_transaction = false;
	enum error error = publisher->log->vtable->commit(publisher->log, &note);
	if (error != ERROR_OK) {
		publisher->status.aborted++;
		return PUBLISHER_SETTLING;
	}
	publisher->newest = publisher->number;
	publisher_answer_kept(publisher);
	return PUBLISHER_READY;
}

enum publisher_state publisher_do_aborting(struct publisher *publisher)
{
	struct error_note note = {0};
	publisher->in_transaction = false;
	enum error error = publisher->log->vtable->abort(publisher->log, &note);
	return error == ERROR_OK ? PUBLISHER_READY : publisher_trouble(publisher, PUBLISHER_SETTLING, error, &note);
}

/* While it is inside, its front asks for nothing: what that began under the epoch before has ended. */
static enum publisher_state settle_for_front(struct publisher *publisher)
{
	struct shared_slot *shared = &publisher->front->shared;
	if (!shared_slot_enter(shared, true, &publisher->view))
		return publisher_come_back_soon(publisher);
	struct shared_view *view = &publisher->view;
	struct error_note note = {0};
	enum error error = ERROR_OK;
	bool same = view->ownership == publisher->ownership && view->slot.slot == publisher->slot.slot && !view->lost;
	if (same && view->slot.epoch == publisher->slot.epoch)
		error = publisher->ledger->vtable->settle(publisher->ledger, &view->slot, &note);
	shared_slot_leave_carrier(shared, &view->slot, view->lost || error == ERROR_FENCED);
	if (!same || error == ERROR_FENCED) {
		publisher_forget_slot(publisher);
		return PUBLISHER_TAKING;
	}
	return error == ERROR_OK ? PUBLISHER_FENCING : publisher_trouble(publisher, PUBLISHER_SETTLING, error, &note);
}

enum publisher_state publisher_do_settling(struct publisher *publisher)
{
	if (is_carrier(publisher))
		return settle_for_front(publisher);
	struct error_note note = {0};
	enum error error = publisher->ledger->vtable->settle(publisher->ledger, &publisher->slot, &note);
	if (error == ERROR_FENCED)
		return publisher_fenced(publisher);
	if (error != ERROR_OK)
		return publisher_trouble(publisher, PUBLISHER_SETTLING, error, &note);
	publisher->renew_us = now_us(publisher) + publisher->config.renew_ms * 1000;
	if (publisher->fate != FATE_UNKNOWN) /* it was the log that left something open */
		return PUBLISHER_FENCING;
	if (publisher->slot.batch_seq == publisher->number)
		return committed(publisher);
	error_noted(&note, ERROR_UNAVAILABLE, "the ledger did not keep the batch");
	publisher_answer_failed(publisher, ERROR_UNAVAILABLE, &note);
	return is_outbox(publisher) ? PUBLISHER_READY : PUBLISHER_ABORTING;
}

enum publisher_state publisher_do_releasing(struct publisher *publisher)
{
	bool finished = !is_behind(publisher) && publisher->fate == FATE_OPEN;
	/* If this fails, the lease runs out. */
	publisher->ledger->vtable->release(publisher->ledger, &publisher->slot, finished, NULL);
	publisher->fate = FATE_OPEN;
	publisher_forget_slot(publisher);
	return ingest_closed(publisher->ingest) ? PUBLISHER_RELEASED : PUBLISHER_TAKING;
}

enum publisher_state publisher_do_released(struct publisher *publisher)
{
	struct error_note note;
	error_noted(&note, ERROR_SHUTTING_DOWN, "%s", error_text(ERROR_SHUTTING_DOWN));
	if (takes_pings(publisher))
		ingest_refuse(publisher->ingest, ERROR_SHUTTING_DOWN, &note);
	publisher->idle = true;
	return PUBLISHER_RELEASED;
}
