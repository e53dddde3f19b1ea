#include "ingest/publisher_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	MAX_BATCH_DEFAULT = 4096,
	PATIENCE_MS_DEFAULT = 30000,
	RENEW_MS_DEFAULT = 3000,
	RESCUE_MS_DEFAULT = 5000,
	BACK_OFF_LEAST_MS = 100,
	BACK_OFF_MOST_MS = 5000,
	SOON_US = 1000, /* until the front or the carrier of an outbox looks again whether the other has done */
};
#define RETENTION_LEAST_MS INT64_C(86400000)

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

enum publisher_state publisher_come_back_soon(struct publisher *publisher)
{
	publisher->idle = true;
	publisher->soon_us = now_us(publisher) + SOON_US;
	return publisher->state;
}

void publisher_tell(struct publisher *publisher, enum publisher_news news, enum error error, const char *text)
{
	if (publisher->config.tell == NULL)
		return;
	struct publisher_status status = publisher->status;
	status.state = publisher->state;
	status.slot = publisher->slot.slot;
	status.epoch = publisher->slot.epoch;
	publisher->config.tell(publisher->config.context, news, &status, error, text);
}

void publisher_set_ready(struct publisher *publisher, bool ready)
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

enum error publisher_as_answer(enum error error)
{
	return strcmp(error_connect_code(error), "unavailable") == 0 ? error : ERROR_UNAVAILABLE;
}

void publisher_answer(struct publisher *publisher, enum error error, const struct error_note *note)
{
	if (publisher->batch.count == 0)
		return;
	publisher->status.batches += error == ERROR_OK;
	if (error == ERROR_IN_DOUBT) {
		publisher->status.unknown++;
		publisher_tell(publisher, PUBLISHER_UNKNOWN, error, note != NULL ? note->text : "");
	} else if (error != ERROR_OK) {
		publisher->status.failed++;
		publisher_tell(publisher, PUBLISHER_FAILED, error, note != NULL ? note->text : "");
	}
	batch_answer(&publisher->batch, error, note);
}

void publisher_answer_kept(struct publisher *publisher)
{
	publisher->fate = FATE_OPEN;
	publisher_answer(publisher, ERROR_OK, NULL);
}

void publisher_answer_failed(struct publisher *publisher, enum error error, const struct error_note *note)
{
	publisher->fate = FATE_OPEN;
	publisher_answer(publisher, publisher_as_answer(error), note);
}

void publisher_answer_unknown(struct publisher *publisher, const char *text)
{
	struct error_note note;
	error_noted(&note, ERROR_IN_DOUBT, "%s", text);
	publisher_answer(publisher, ERROR_IN_DOUBT, &note);
}

enum publisher_state publisher_leave(struct publisher *publisher)
{
	if (publisher->fate != FATE_OPEN)
		publisher_answer_unknown(publisher, "the server stopped before the outcome was known");
	publisher_set_ready(publisher, false);
	return has_slot(publisher) && !is_carrier(publisher) ? PUBLISHER_RELEASING : PUBLISHER_RELEASED;
}

enum publisher_state publisher_trouble(struct publisher *publisher, enum publisher_state next, enum error error,
				       const struct error_note *note)
{
	publisher->error = error;
	publisher->note = *note;
	if (is_carrier(publisher))
		shared_slot_tell_trouble(&publisher->front->shared, error, note);
	if (ingest_closed(publisher->ingest))
		return publisher_leave(publisher);
	int64_t wait_us = back_off_us(publisher, publisher->tries++);
	publisher->retry_us = now_us(publisher) + wait_us;
	publisher_set_ready(publisher, false);
	struct error_note text;
	error_noted(&text, error, "%s; again in %d ms", note->text[0] != 0 ? note->text : error_text(error),
		    (int)(wait_us / 1000));
	publisher_tell(publisher, PUBLISHER_TROUBLE, error, text.text);
	return next;
}

void publisher_forget_slot(struct publisher *publisher)
{
	publisher->slot = (struct publish_slot){.slot = PUBLISH_NO_SLOT};
	publisher->in_transaction = publisher->newest_known = false;
	publisher->top = 0;
}

enum publisher_state publisher_fenced(struct publisher *publisher)
{
	publisher_tell(publisher, PUBLISHER_FENCED, ERROR_FENCED, "another publisher has taken the slot over");
	publisher->status.fenced++;
	if (publisher->fate != FATE_OPEN)
		publisher_answer_unknown(publisher, "another publisher took over before the outcome was known");
	publisher->fate = FATE_OPEN;
	publisher_set_ready(publisher, false);
	publisher_forget_slot(publisher);
	return ingest_closed(publisher->ingest) ? PUBLISHER_RELEASED : PUBLISHER_TAKING;
}

static enum publisher_state (*const actions[])(struct publisher *) = {
	[PUBLISHER_TAKING] = publisher_do_taking,	  [PUBLISHER_FENCING] = publisher_do_fencing,
	[PUBLISHER_LOOKING] = publisher_do_looking,	  [PUBLISHER_RECOVERING] = publisher_do_recovering,
	[PUBLISHER_VERIFYING] = publisher_do_verifying,	  [PUBLISHER_REPRODUCING] = publisher_do_reproducing,
	[PUBLISHER_MOVING] = publisher_do_moving,	  [PUBLISHER_REPUBLISHING] = publisher_do_republishing,
	[PUBLISHER_READY] = publisher_do_ready,		  [PUBLISHER_CLAIMING] = publisher_do_claiming,
	[PUBLISHER_INSERTING] = publisher_do_inserting,	  [PUBLISHER_PRODUCING] = publisher_do_producing,
	[PUBLISHER_COMMITTING] = publisher_do_committing, [PUBLISHER_PUBLISHING] = publisher_do_publishing,
	[PUBLISHER_ABORTING] = publisher_do_aborting,	  [PUBLISHER_SETTLING] = publisher_do_settling,
	[PUBLISHER_RELEASING] = publisher_do_releasing,	  [PUBLISHER_RELEASED] = publisher_do_released,
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
		return publisher_fenced(publisher);
	if (error == ERROR_OK)
		return publisher->state;
	enum publisher_state next = publisher_trouble(publisher, publisher->state, error, &note);
	publisher->renew_us = publisher->retry_us;
	return next;
}

static void change(struct publisher *publisher, enum publisher_state next)
{
	assert((states[publisher->state].successors >> next & 1) != 0);
	if (publisher->state == next)
		return;
	publisher->state = next;
	publisher_tell(publisher, PUBLISHER_CHANGED, ERROR_OK, "");
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
		ingest_refuse(publisher->ingest, publisher_as_answer(publisher->error), &publisher->note);
	publisher->idle = true;
	return publisher->state;
}

/* What has to be known of the other half of an outbox before a step. False: not now. */
static bool enter(struct publisher *publisher)
{
	enum publisher_state state = publisher->state;
	if (is_carrier(publisher)) {
		bool looks = state == PUBLISHER_FENCING || state == PUBLISHER_LOOKING || state == PUBLISHER_RECOVERING;
		if (looks && !publisher_look(publisher)) {
			publisher_forget_slot(publisher);
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
		change(publisher, publisher_fenced(publisher));
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
		publisher_answer_unknown(publisher, "the outcome could not be found out in time");
	if (enter(publisher))
		change(publisher, act(publisher));
	else
		publisher_come_back_soon(publisher);
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
	else if (publisher->ready && publisher->gather_us != 0)
		ingest_wait_gathered(publisher->ingest, timeout_ms);
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
	publisher->prune_us = now_us(publisher) + PUBLISHER_PRUNE_MS * INT64_C(1000);
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
	publisher_set_ready(publisher, false);
	shared_slot_release(&publisher->shared);
	pthread_mutex_destroy(&publisher->mutex);
	batch_release(&publisher->batch);
	free(publisher);
}
