/* A publisher's producer (port/publish.h). Every answer is exact: what librdkafka cannot know is IN_DOUBT, never guessed.
 *
 *   CLOSED ──open──► READY ──produce──► PRODUCED ──commit──► READY
 *                      ▲ └────error──────┐  │
 *                      └──── abort ◄── FAILED ◄┘ (or abort at once)
 *   anything ──an error of open, commit or abort──► CLOSED: a new client is needed, whose init_transactions fences the old one
 *
 * A broker that is killed while it ends a transaction, and comes back alone, can take the end for complete although some
 * partitions never got it (seen with Kafka 4.3): their events stay open until the same producer ends its next transaction there,
 * which decides over them too. So a producer that heard of a lost connection begins nothing more, and a new one first aborts a
 * transaction of its own in every partition (sweep). What was cut off that way, `find` finds out.
 *
 * Without transactions there are READY and CLOSED alone, and produce opens by itself.
 */
#include "adapter/kafka/client.h"
#include "adapter/kafka/newest.h"
#include "adapter/kafka/placed.h"
#include "adapter/kafka/slot_record.h"
#include "adapter/kafka/topic.h"
#include "base/clock.h"
#include "event/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	TRANSACTION_TIMEOUT_MS = 10000, /* Kafka aborts what is open for longer */
	MESSAGE_TIMEOUT_MS = 8000,	/* librdkafka gives a message up */
	REPORT_TIMEOUT_MS = 9000,	/* every report is in by then */
	OPEN_TIMEOUT_MS = 15000,	/* it may have to wait until the transaction of the one before has ended */
	LOOK_TIMEOUT_MS = 5000,		/* which topic it is */
	COMMIT_TIMEOUT_MS = 10000,
	ABORT_TIMEOUT_MS = 5000,
	POLL_MS = 100,
	/* Kafka answers a commit before it has written the transaction's markers. It refuses the next one until then, and
	 * librdkafka asks again after 20 ms, whatever is configured: half of all batches were seen to. A millisecond is mostly
	 * enough. */
	MARKERS_US = 1000,
};

enum state { STATE_CLOSED, STATE_READY, STATE_PRODUCED, STATE_FAILED };

/* What the delivery reports of one batch came to. */
struct reports {
	uint32_t batch; /* which batch a report is of: late ones of an earlier batch are dropped */
	size_t expected, arrived;
	size_t without_offset; /* acknowledged, but where? */
	size_t not_kept, maybe_kept;
	rd_kafka_resp_err_t error; /* the first */
	struct ledger_ping *rows;  /* NULL: no produce is in work */
};

struct producer {
	struct publish_log log;
	struct kafka_config config;
	struct client_state client_state;
	enum state state;
	int32_t slot;
	char topic[UUID_TEXT_SIZE]; /* id of raw-pings when it was opened; "": not told */
	rd_kafka_t *client;
	rd_kafka_topic_t *events, *slots;
	struct reports reports;
	int64_t committed_us; /* when the newest transaction was; monotonic */
};

/* ─── Opening ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void close_client(struct producer *producer)
{
	producer->state = STATE_CLOSED;
	if (producer->events != NULL)
		rd_kafka_topic_destroy(producer->events);
	if (producer->slots != NULL)
		rd_kafka_topic_destroy(producer->slots);
	producer->events = producer->slots = NULL;
	if (producer->client == NULL)
		return;
	rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
	rd_kafka_destroy(producer->client);
	producer->client = NULL;
}

static void on_report(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque);

static void configure(rd_kafka_conf_t *conf)
{
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
}

static enum error open_client(struct producer *producer, struct error_note *note)
{
	char id[32], transaction_timeout[16], message_timeout[16];
	snprintf(id, sizeof id, "ping-publisher-%d", (int)producer->slot);
	snprintf(transaction_timeout, sizeof transaction_timeout, "%d", TRANSACTION_TIMEOUT_MS);
	snprintf(message_timeout, sizeof message_timeout, "%d", MESSAGE_TIMEOUT_MS);
	const struct client_setting settings[] = {
		{"enable.idempotence", "true"},
		{"acks", "all"},
		{"message.timeout.ms", message_timeout},
		{producer->slot == PUBLISH_NO_SLOT ? NULL : "transactional.id", id}, /* NULL: the list ends here */
		{"transaction.timeout.ms", transaction_timeout},
		{0}};
	enum error error =
		client_create(RD_KAFKA_PRODUCER, &producer->client_state, settings, configure, &producer->client, note);
	if (error != ERROR_OK)
		return error;
	producer->events = rd_kafka_topic_new(producer->client, KAFKA_TOPIC_EVENTS, NULL);
	producer->slots = rd_kafka_topic_new(producer->client, KAFKA_TOPIC_SLOTS, NULL);
	return producer->events == NULL || producer->slots == NULL ? ERROR_NO_MEMORY : ERROR_OK;
}

/* A new client; what the one before had open, nobody asks for any more. */
static enum error reopen(struct producer *producer, int32_t slot, struct error_note *note)
{
	close_client(producer);
	producer->slot = slot;
	enum error error = open_client(producer, note);
	if (error == ERROR_OK)
		producer->state = STATE_READY;
	else
		close_client(producer);
	return error;
}

/* ─── Producing ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A message's tag: which batch, which of its rows; the slot's record has the number after the last row's. */
static void *tag_of(uint32_t batch, size_t index)
{
	return (void *)(uintptr_t)((uint64_t)batch << 32 | (uint64_t)index);
}

static void on_report(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
	(void)client;
	struct client_state *state = opaque;
	struct producer *producer = (struct producer *)((char *)state - offsetof(struct producer, client_state));
	struct reports *reports = &producer->reports;
	uint64_t tag = (uint64_t)(uintptr_t)message->_private;
	size_t index = (size_t)(tag & UINT32_MAX);
	if (reports->rows == NULL || tag >> 32 != reports->batch)
		return;
	reports->arrived++;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		if (reports->error == RD_KAFKA_RESP_ERR_NO_ERROR)
			reports->error = message->err;
		bool not_kept = rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
		(*(not_kept ? &reports->not_kept : &reports->maybe_kept))++;
	} else if (message->offset < 0) {
		reports->without_offset++;
	} else if (index < reports->expected && message->rkt == producer->events) {
		reports->rows[index].position = position_make(producer->config.log_epoch, message->offset);
	}
}

static enum error produce_one(struct producer *producer, rd_kafka_topic_t *topic, int32_t partition, struct slice key,
			      struct slice value, const struct uuid *id, size_t index)
{
	rd_kafka_vu_t fields[7] = {
		{.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
		{.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
		{.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)key.data, key.size}},
		{.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)value.data, value.size}},
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
		{.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = tag_of(producer->reports.batch, index)},
	};
	size_t count = 6;
	if (id != NULL)
		fields[count++] =
			(rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_HEADER, .u.header = {"id", id->bytes, (ssize_t)sizeof id->bytes}};
	rd_kafka_error_t *error = rd_kafka_produceva(producer->client, fields, count);
	if (error == NULL) {
		producer->reports.expected++;
		return ERROR_OK;
	}
	if (producer->reports.error == RD_KAFKA_RESP_ERR_NO_ERROR)
		producer->reports.error = rd_kafka_error_code(error);
	rd_kafka_error_destroy(error);
	return ERROR_UNAVAILABLE;
}

static enum error produce_row(struct producer *producer, const struct ledger_ping *row, size_t index)
{
	struct event event = {.client = row->client, .pinged_at_ms = row->pinged_at_ms};
	struct event_record record;
	event_encode(&event, &record);
	struct slice key = slice_make(record.key, record.key_size);
	return produce_one(producer, producer->events, event_partition(key, producer->config.partitions), key,
			   slice_make(record.value, record.value_size), &row->id, index);
}

static struct slot_record own_record(const struct producer *producer, const struct publish_record *batches)
{
	struct slot_record record = {.log_epoch = producer->config.log_epoch, .batches = *batches};
	snprintf(record.topic, sizeof record.topic, "%s", producer->topic);
	return record;
}

static enum error produce_slot_record(struct producer *producer, const struct publish_record *batches, size_t index)
{
	const struct slot_record record = own_record(producer, batches);
	char value[SLOT_RECORD_SIZE], key[16];
	size_t size = slot_record_encode(&record, value);
	int key_size = snprintf(key, sizeof key, "%d", (int)producer->slot);
	return produce_one(producer, producer->slots, producer->slot, slice_make(key, (size_t)key_size), slice_make(value, size),
			   NULL, index);
}

static void begin_reports(struct producer *producer, struct ledger_ping *rows)
{
	producer->reports = (struct reports){.batch = producer->reports.batch + 1, .rows = rows};
}

/* Hands everything over; what could not be is the reports' error. */
static void hand_over(struct producer *producer, const struct publish_record *record, struct ledger_ping *rows, size_t count)
{
	begin_reports(producer, rows);
	enum error error = ERROR_OK;
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		rows[i].position = -1;
		error = produce_row(producer, &rows[i], i);
	}
	if (error == ERROR_OK && producer->slot != PUBLISH_NO_SLOT)
		produce_slot_record(producer, record, count);
}

/* False, and the reports' error is that the time is over: not all came. All is handed over, and is to linger no more. */
static bool wait_for_reports(struct producer *producer, int timeout_ms)
{
	int64_t deadline = client_deadline(timeout_ms);
	struct reports *reports = &producer->reports;
	while (reports->arrived < reports->expected) {
		int left = client_remaining_ms(deadline);
		if (left == 0) {
			if (reports->error == RD_KAFKA_RESP_ERR_NO_ERROR)
				reports->error = RD_KAFKA_RESP_ERR__TIMED_OUT;
			return false;
		}
		client_flush(producer->client, left < POLL_MS ? left : POLL_MS);
	}
	return true;
}

/* Hears what is waiting to be heard, too. */
static enum error check(struct producer *producer, struct error_note *note)
{
	rd_kafka_poll(producer->client, 0);
	return producer->client_state.shaken
		       ? error_noted(note, ERROR_UNAVAILABLE, "Kafka: a connection was lost; slot %d must be opened anew",
				     (int)producer->slot)
		       : ERROR_OK;
}

static enum error begin(struct producer *producer, struct error_note *note)
{
	rd_kafka_error_t *problem = rd_kafka_begin_transaction(producer->client);
	if (problem == NULL)
		return ERROR_OK;
	bool fatal = rd_kafka_error_is_fatal(problem);
	enum error error =
		client_failed_by(&producer->client_state, producer->client, "cannot begin a transaction", problem, note);
	return fatal ? ERROR_FENCED : error;
}

static bool is_fenced(const struct producer *producer)
{
	char text[8];
	rd_kafka_resp_err_t code = rd_kafka_fatal_error(producer->client, text, sizeof text);
	return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
	       code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

/* What the reports come to in a transaction. */
static enum error judge(struct producer *producer, struct error_note *note)
{
	const struct reports *reports = &producer->reports;
	if (is_fenced(producer))
		return error_noted(note, ERROR_FENCED, "Kafka: another producer has slot %d, or the transaction took too long",
				   (int)producer->slot);
	if (reports->error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return client_failed(&producer->client_state, producer->client, "events were not acknowledged", reports->error,
				     note);
	if (reports->without_offset != 0)
		return error_noted(note, ERROR_UNAVAILABLE, "Kafka: %zu events were acknowledged without an offset",
				   reports->without_offset);
	return check(producer, note);
}

static enum error await_reports(struct producer *producer, struct error_note *note)
{
	if (producer->reports.error == RD_KAFKA_RESP_ERR_NO_ERROR)
		wait_for_reports(producer, REPORT_TIMEOUT_MS);
	enum error error = judge(producer, note);
	producer->reports.rows = NULL;
	if (error == ERROR_OK)
		producer->state = STATE_PRODUCED;
	return error;
}

static enum error produce_in_transaction(struct producer *producer, const struct publish_record *record, struct ledger_ping *rows,
					 size_t count, struct error_note *note)
{
	if (producer->state != STATE_READY)
		return error_noted(note, ERROR_UNAVAILABLE, "Kafka: slot %d must be opened anew", (int)producer->slot);
	producer->state = STATE_FAILED;
	enum error error = check(producer, note);
	if (error == ERROR_OK)
		error = begin(producer, note);
	if (error != ERROR_OK)
		return error;
	hand_over(producer, record, rows, count);
	return await_reports(producer, note);
}

/* Without a transaction an event that was acknowledged stays. */
static enum error produce_at_once(struct producer *producer, struct ledger_ping *rows, size_t count, struct error_note *note)
{
	if (producer->state == STATE_CLOSED || producer->client_state.fatal) {
		enum error error = reopen(producer, PUBLISH_NO_SLOT, note);
		if (error != ERROR_OK)
			return error;
	}
	hand_over(producer, NULL, rows, count);
	bool complete = wait_for_reports(producer, REPORT_TIMEOUT_MS);
	struct reports reports = producer->reports;
	producer->reports.rows = NULL;
	if (reports.error == RD_KAFKA_RESP_ERR_NO_ERROR && reports.without_offset == 0)
		return ERROR_OK;
	enum error error =
		client_failed(&producer->client_state, producer->client, "events were not acknowledged", reports.error, note);
	bool none = complete && reports.not_kept == reports.expected;
	if (!complete || producer->client_state.fatal)
		close_client(producer);
	return none ? error : ERROR_IN_DOUBT;
}

static enum error producer_produce(struct publish_log *log, const struct publish_record *record, struct ledger_ping *rows,
				   size_t count, struct error_note *note)
{
	struct producer *producer = (struct producer *)log;
	return producer->slot == PUBLISH_NO_SLOT ? produce_at_once(producer, rows, count, note)
						 : produce_in_transaction(producer, record, rows, count, note);
}

/* ─── Ending ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Once a commit was asked for, an error says little: the request, or one of its repetitions, may have been carried out before the
 * one that failed. What the next client's init_transactions leaves is the truth. */
static enum error producer_commit(struct publish_log *log, struct error_note *note)
{
	struct producer *producer = (struct producer *)log;
	if (producer->slot == PUBLISH_NO_SLOT)
		return ERROR_OK;
	if (producer->state != STATE_PRODUCED)
		return error_noted(note, ERROR_ABORTED, "Kafka: no transaction of slot %d is open", (int)producer->slot);
	rd_kafka_error_t *problem = rd_kafka_commit_transaction(producer->client, COMMIT_TIMEOUT_MS);
	if (problem == NULL && check(producer, note) == ERROR_OK) {
		producer->state = STATE_READY;
		producer->committed_us = clock_monotonic_us(clock_system());
		return ERROR_OK;
	}
	if (problem != NULL)
		client_failed_by(&producer->client_state, producer->client, "the commit's outcome is not known", problem, note);
	close_client(producer);
	return ERROR_IN_DOUBT;
}

static enum error producer_abort(struct publish_log *log, struct error_note *note)
{
	struct producer *producer = (struct producer *)log;
	if (producer->state != STATE_PRODUCED && producer->state != STATE_FAILED)
		return ERROR_OK;
	bool fenced = is_fenced(producer);
	rd_kafka_error_t *problem = fenced ? NULL : rd_kafka_abort_transaction(producer->client, ABORT_TIMEOUT_MS);
	enum error error = ERROR_OK;
	if (fenced)
		error = error_noted(note, ERROR_FENCED, "Kafka: another producer has slot %d", (int)producer->slot);
	else if (problem != NULL && rd_kafka_error_code(problem) == RD_KAFKA_RESP_ERR__STATE && producer->state == STATE_FAILED)
		rd_kafka_error_destroy(problem); /* begin had failed: none is open */
	else if (problem != NULL)
		error = client_failed_by(&producer->client_state, producer->client, "cannot abort", problem, note);
	if (error == ERROR_OK)
		producer->state = STATE_READY;
	else
		close_client(producer);
	return error;
}

/* ─── Opening for a slot ──────────────────────────────────────────────────────────────────────────────────────────────── */

/* Ends what is still open in any partition under this producer's name. */
static enum error sweep(struct producer *producer, struct error_note *note)
{
	rd_kafka_poll(producer->client, 0);
	producer->client_state.shaken = false; /* on the way to the first broker that answers, some may not */
	enum error error = begin(producer, note);
	if (error != ERROR_OK)
		return error;
	const struct slice none = {0};
	char key[16]; /* a compacted topic takes nothing without one */
	int key_size = snprintf(key, sizeof key, "%d", (int)producer->slot);
	struct ledger_ping unused; /* there is no row, but reports are to be counted */
	begin_reports(producer, &unused);
	for (int32_t partition = 0; partition < producer->config.partitions && error == ERROR_OK; partition++)
		error = produce_one(producer, producer->events, partition, none, none, NULL, UINT32_MAX);
	if (error == ERROR_OK)
		produce_one(producer, producer->slots, producer->slot, slice_make(key, (size_t)key_size), none, NULL, UINT32_MAX);
	producer->state = STATE_FAILED;
	error = await_reports(producer, note);
	return error == ERROR_OK ? producer_abort(&producer->log, note) : error;
}

/* Who can't be told within its time goes on without: the brokers have other trouble then, and what this is to find out is a
 * mistake of the operator's. */
static enum error look_at_topic(struct producer *producer, struct error_note *note)
{
	static const struct uuid none;
	struct uuid id;
	producer->topic[0] = '\0';
	enum error error = topic_check(&producer->client_state, producer->client, KAFKA_TOPIC_EVENTS, producer->config.partitions,
				       LOOK_TIMEOUT_MS, id.bytes, note);
	if (error == ERROR_OK && memcmp(&id, &none, sizeof id) != 0)
		uuid_format(&id, producer->topic);
	return error == ERROR_FAILED_PRECONDITION ? error : ERROR_OK;
}

static enum error producer_open(struct publish_log *log, int32_t slot, struct error_note *note)
{
	struct producer *producer = (struct producer *)log;
	enum error error = reopen(producer, slot, note);
	if (error != ERROR_OK || slot == PUBLISH_NO_SLOT)
		return error;
	rd_kafka_error_t *problem = rd_kafka_init_transactions(producer->client, OPEN_TIMEOUT_MS);
	if (problem != NULL)
		error = client_failed_by(&producer->client_state, producer->client, "cannot become the slot's producer", problem,
					 note);
	else
		error = look_at_topic(producer, note);
	if (error == ERROR_OK)
		error = sweep(producer, note);
	if (error != ERROR_OK)
		close_client(producer);
	return error == ERROR_FENCED ? ERROR_UNAVAILABLE : error;
}

static void wait_for_markers(const struct producer *producer)
{
	int64_t left_us = producer->committed_us + MARKERS_US - clock_monotonic_us(clock_system());
	if (left_us > 0)
		nanosleep(&(struct timespec){.tv_nsec = left_us * 1000}, NULL);
}

static enum error producer_check(struct publish_log *log, struct error_note *note)
{
	struct producer *producer = (struct producer *)log;
	if (producer->slot == PUBLISH_NO_SLOT)
		return ERROR_OK;
	wait_for_markers(producer);
	return producer->client == NULL ? error_noted(note, ERROR_UNAVAILABLE, "Kafka: slot %d is not open", (int)producer->slot)
					: check(producer, note);
}

static enum error check_record(void *context, int32_t slot, const struct slot_record *record, struct error_note *note)
{
	const struct slot_record own = own_record(context, &record->batches);
	return slot_record_check(record, &own, slot, note);
}

/* A slot that was never used has nothing to contradict this log; those of the others may have. */
static enum error producer_newest(struct publish_log *log, struct publish_record *ret_record, struct error_note *note)
{
	struct producer *producer = (struct producer *)log;
	struct slot_record record;
	enum error error = newest_read(&producer->config, producer->slot, &record, note);
	if (error == ERROR_NOT_FOUND) {
		error = newest_visit(&producer->config, check_record, producer, note);
		return error == ERROR_OK ? ERROR_NOT_FOUND : error;
	}
	if (error == ERROR_OK)
		error = check_record(producer, producer->slot, &record, note);
	if (error != ERROR_OK)
		return error;
	*ret_record = record.batches;
	return ERROR_OK;
}

static enum error producer_find(struct publish_log *log, struct ledger_ping *rows, size_t count, struct error_note *note)
{
	return placed_check(&((struct producer *)log)->config, rows, count, note);
}

static void producer_close(struct publish_log *log)
{
	struct producer *producer = (struct producer *)log;
	close_client(producer);
	free(producer);
}

enum error kafka_publish_log_create(const struct kafka_config *config, struct publish_log **ret_log, struct error_note *note)
{
	static const struct publish_log_vtable vtable = {
		.open = producer_open,
		.check = producer_check,
		.newest = producer_newest,
		.find = producer_find,
		.produce = producer_produce,
		.commit = producer_commit,
		.abort = producer_abort,
		.close = producer_close,
	};
	enum error error = kafka_config_check(config, note);
	if (error != ERROR_OK)
		return error;
	struct producer *producer = calloc(1, sizeof *producer);
	if (producer == NULL)
		return ERROR_NO_MEMORY;
	producer->log.vtable = &vtable;
	producer->config = *config;
	producer->client_state.config = &producer->config;
	producer->slot = PUBLISH_NO_SLOT;
	*ret_log = &producer->log;
	return ERROR_OK;
}
