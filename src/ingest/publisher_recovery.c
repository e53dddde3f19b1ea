/* From a slot that was taken to nothing missing in the log (publisher.h). */
#include "ingest/publisher_parts.h"

/* The carrier's: the slot as its front has it. False: it is no longer the one that it carries for. */
bool publisher_look(struct publisher *publisher)
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
	if (!publisher_look(publisher)) {
		publisher->idle = true;
		return PUBLISHER_TAKING;
	}
	return PUBLISHER_FENCING;
}

enum publisher_state publisher_do_taking(struct publisher *publisher)
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
		return publisher_trouble(publisher, PUBLISHER_TAKING, error, &note);
	publisher->slot = slot;
	publisher->renew_us = now_us(publisher) + publisher->config.renew_ms * 1000;
	uuid_generator_init(&publisher->ids, publisher->random, &slot.last_id);
	publisher->ownership++;
	publisher_tell(publisher, PUBLISHER_TAKEN, ERROR_OK, "");
	return is_outbox(publisher) ? PUBLISHER_LOOKING : PUBLISHER_FENCING;
}

enum publisher_state publisher_do_fencing(struct publisher *publisher)
{
	struct error_note note = {0};
	publisher->in_transaction = publisher->newest_known = false;
	enum error error = publisher->log->vtable->open(publisher->log, publisher->slot.slot, &note);
	if (error != ERROR_OK)
		return publisher_trouble(publisher, PUBLISHER_FENCING, error, &note);
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
		return publisher_leave(publisher);
	if (publisher->view.trouble != ERROR_OK) {
		publisher->error = publisher->view.trouble;
		publisher->note = publisher->view.note;
		ingest_refuse(publisher->ingest, publisher_as_answer(publisher->error), &publisher->note);
	}
	return publisher_come_back_soon(publisher);
}

/* A slot's first record, of a batch 0 without rows, is made before its first batch: who finds batches and no record knows that
 * the log is another one. */
enum publisher_state publisher_do_looking(struct publisher *publisher)
{
	if (is_outbox(publisher))
		return wait_for_first_record(publisher);
	struct error_note note = {0};
	struct publish_record found;
	enum error error = publisher->log->vtable->newest(publisher->log, &found, &note);
	if (error == ERROR_NOT_FOUND && publisher->slot.batch_seq == 0) {
		publisher->run = (struct publish_run){0};
		publisher->verifies = false;
		batch_clear_rows(&publisher->batch);
		return PUBLISHER_REPRODUCING;
	}
	if (error == ERROR_NOT_FOUND)
		error = error_noted(&note, ERROR_FAILED_PRECONDITION,
				    "slot %d has published %lld batches, but not to this log: if it is a new one, "
				    "follow the procedure of log_epoch (drain, count, log_epoch + 1)",
				    publisher->slot.slot, (long long)publisher->slot.batch_seq);
	if (error != ERROR_OK)
		return publisher_trouble(publisher, PUBLISHER_FENCING, error, &note);
	if (found.batch > publisher->slot.batch_seq) {
		publisher->status.lost++;
		publisher_tell(
			publisher, PUBLISHER_LEDGER_LOST, ERROR_DATA_LOSS,
			"the ledger lacks batches that the log has: it lost committed rows, as an asynchronous standby may; "
			"compare with pingctl audit");
	}
	publisher->found = found;
	publisher->verified = found.after;
	set_newest(publisher, found.batch);
	return PUBLISHER_RECOVERING;
}

/* A row of a published batch that has no position lost it in a failover of the ledger's: its event is somewhere. */
static void add_row(void *context, const struct ledger_ping *row)
{
	struct publisher *publisher = context;
	if (publisher->verifies && row->position < 0)
		return;
	if (batch_add_row(&publisher->batch, row) != ERROR_OK)
		publisher->no_memory = true;
}

static enum publisher_state recovered(struct publisher *publisher)
{
	if (publisher->fate == FATE_COMMITTED && publisher->slot.batch_seq < publisher->number)
		publisher_answer_unknown(publisher, "the ledger lost the batch after it was committed");
	else if (publisher->fate == FATE_COMMITTED)
		publisher_answer_kept(publisher);
	publisher->fate = FATE_OPEN;
	publisher->idle = is_carrier(publisher); /* until its front has more */
	return publisher->config.rescuer ? PUBLISHER_RELEASING : is_carrier(publisher) ? PUBLISHER_RECOVERING : PUBLISHER_READY;
}

/* The next run of batches, into the rows in hand. As many as make up a batch of the greatest size go together: those of a slow
 * trickle are small, and each transaction of the log's takes its time, so that one by one a backlog would last longer than it
 * took to come about. */
static enum error read_run(struct publisher *publisher, struct error_note *note)
{
	struct publish_slot upto = publisher->slot;
	if (publisher->verifies && publisher->found.batch < upto.batch_seq)
		upto.batch_seq = publisher->found.batch;
	batch_clear_rows(&publisher->batch);
	publisher->no_memory = false;
	enum error error = publisher->ledger->vtable->read_batches(
		publisher->ledger, &upto, publisher->verifies ? publisher->verified : publisher->newest, publisher->batch.max,
		&publisher->run, add_row, publisher, note);
	return error == ERROR_OK && publisher->no_memory ? ERROR_NO_MEMORY : error;
}

static bool has_positions(const struct batch *batch)
{
	for (size_t i = 0; i < batch->row_count; i++)
		if (batch->rows[i].position >= 0)
			return true;
	return false;
}

/* The log has every event up to the batch. */
static void set_published(struct publisher *publisher, int64_t batch)
{
	if (publisher->verifies)
		publisher->verified = batch;
	else
		set_newest(publisher, batch);
}

enum publisher_state publisher_do_recovering(struct publisher *publisher)
{
	struct error_note note = {0};
	if (publisher->log->vtable->check(publisher->log, NULL) != ERROR_OK)
		return PUBLISHER_SETTLING;
	publisher->verifies = publisher->verified < publisher->found.batch;
	if (!publisher->verifies && !is_behind(publisher))
		return recovered(publisher);
	enum error error = read_run(publisher, &note);
	if (error == ERROR_NOT_FOUND) { /* numbers that were never used, or rows past their retention */
		set_published(publisher, publisher->verifies ? publisher->found.batch : publisher->slot.batch_seq);
		return PUBLISHER_RECOVERING;
	}
	if (error != ERROR_OK)
		return publisher_trouble(publisher, PUBLISHER_RECOVERING, error, &note);
	return publisher->verifies || has_positions(&publisher->batch) ? PUBLISHER_VERIFYING : PUBLISHER_REPRODUCING;
}

enum publisher_state publisher_do_verifying(struct publisher *publisher)
{
	struct error_note note = {0};
	struct batch *batch = &publisher->batch;
	enum error error = publisher->log->vtable->find(publisher->log, batch->rows, batch->row_count, &note);
	if (error != ERROR_OK)
		return publisher_trouble(publisher, PUBLISHER_RECOVERING, error, &note);
	batch_drop_placed_rows(batch);
	if (!publisher->verifies || batch->row_count > 0)
		return PUBLISHER_REPRODUCING;
	set_published(publisher, publisher->run.last);
	return PUBLISHER_RECOVERING;
}

enum publisher_state publisher_do_reproducing(struct publisher *publisher)
{
	struct error_note note = {0};
	struct batch *batch = &publisher->batch;
	struct publish_record record = {publisher->run.last, publisher->newest_known ? publisher->newest : 0};
	publisher->in_transaction = true;
	enum error error = publisher->log->vtable->produce(publisher->log, publisher->verifies ? &publisher->found : &record,
							   batch->rows, batch->row_count, &note);
	if (error == ERROR_FENCED)
		return PUBLISHER_SETTLING;
	if (error != ERROR_OK)
		return publisher_trouble(publisher, PUBLISHER_SETTLING, error, &note);
	return batch->row_count > 0 ? PUBLISHER_MOVING : PUBLISHER_REPUBLISHING;
}

enum publisher_state publisher_do_moving(struct publisher *publisher)
{
	struct error_note note = {0};
	struct batch *batch = &publisher->batch;
	enum error error = publisher->ledger->vtable->set_positions(publisher->ledger, &publisher->slot, batch->rows,
								    batch->row_count, &note);
	if (error == ERROR_FENCED && !is_carrier(publisher))
		return publisher_fenced(publisher);
	if (error == ERROR_IN_DOUBT || error == ERROR_FENCED) /* perhaps it was the front that settled */
		return PUBLISHER_SETTLING;
	return error == ERROR_OK ? PUBLISHER_REPUBLISHING : publisher_trouble(publisher, PUBLISHER_FENCING, error, &note);
}

enum publisher_state publisher_do_republishing(struct publisher *publisher)
{
	struct error_note note = {0};
	publisher->in_transaction = false;
	enum error error = publisher->log->vtable->commit(publisher->log, &note);
	if (error != ERROR_OK) {
		publisher->status.aborted++;
		return PUBLISHER_SETTLING;
	}
	if (publisher->run.batches == 0) /* a slot's first record: no batch before readers see it */
		return PUBLISHER_LOOKING;
	set_published(publisher, publisher->run.last);
	publisher->status.recovered += publisher->run.batches;
	if (!is_carrier(publisher))
		publisher_tell(publisher, PUBLISHER_RECOVERED, ERROR_OK, "batches that were committed, but not published");
	return PUBLISHER_RECOVERING;
}
