/* The log by position (port/positions.h), for the audit: every partition read from end to end by a consumer without a group, each
 * at the pace that the ledger's rows ask for it. What is read ahead is bounded by the client's queues.
 */
#include "adapter/kafka/newest.h"
#include "adapter/kafka/topic.h"
#include "event/event.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	BATCH = 256,
	POLL_MS = 100,
	SILENCE_MS = 20000, /* nothing for so long: the log is away */
	READ_AHEAD = 60000, /* events over all partitions (the client needs about 600 bytes for each), and of each … */
	MIN_READ_AHEAD = 1000,
};

struct partition {
	int64_t next_offset, end_offset;
	bool started;
	size_t first, count; /* of the places that were read ahead */
	struct log_place places[BATCH];
};

struct kafka_positions {
	struct log_positions log;
	struct kafka_config config;
	struct client_state client_state;
	rd_kafka_t *client;
	rd_kafka_topic_t *topic;
	struct log_bounds *bounds; /* the caller's, while reading */
	struct partition *partitions;
	int64_t *offsets; /* room for one a partition */
};

static struct kafka_positions *of(struct log_positions *base)
{
	return (struct kafka_positions *)base;
}

static int64_t to_position(const struct kafka_positions *log, int64_t offset)
{
	return position_make(log->config.log_epoch, offset);
}

/* ─── Bounds ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error open_client(struct kafka_positions *log, struct error_note *note)
{
	if (log->client != NULL)
		return ERROR_OK;
	char read_ahead[16];
	int32_t share = READ_AHEAD / log->config.partitions;
	snprintf(read_ahead, sizeof read_ahead, "%d", (int)(share < MIN_READ_AHEAD ? MIN_READ_AHEAD : share));
	const struct client_setting settings[] = {
		{"isolation.level", "read_committed"}, {"enable.partition.eof", "true"},      {"enable.auto.commit", "false"},
		{"auto.offset.reset", "error"},	       {"fetch.wait.max.ms", "50"},	      {"queued.min.messages", read_ahead},
		{"fetch.queue.backoff.ms", "5"},       {"fetch.message.max.bytes", "262144"}, {0}};
	uint8_t id[16];
	enum error error = client_create(RD_KAFKA_CONSUMER, &log->client_state, settings, NULL, &log->client, note);
	if (error == ERROR_OK)
		error = topic_check(&log->client_state, log->client, KAFKA_TOPIC_EVENTS, log->config.partitions, TOPIC_TIMEOUT_MS,
				    id, note);
	if (error != ERROR_OK)
		return error;
	log->topic = rd_kafka_topic_new(log->client, KAFKA_TOPIC_EVENTS, NULL);
	return log->topic == NULL ? ERROR_NO_MEMORY : ERROR_OK;
}

static enum error read_offsets(struct kafka_positions *log, enum topic_offset which, struct error_note *note)
{
	return topic_offsets(&log->client_state, log->client, KAFKA_TOPIC_EVENTS, log->config.partitions, which, log->offsets,
			     note);
}

/* The shown end is asked for before the end, so that it does not lie behind it. */
static enum error positions_bounds(struct log_positions *base, struct log_bounds *ret_bounds, struct error_note *note)
{
	struct kafka_positions *log = of(base);
	enum error error = open_client(log, note);
	if (error == ERROR_OK)
		error = read_offsets(log, TOPIC_START, note);
	for (int32_t i = 0; i < log->config.partitions && error == ERROR_OK; i++)
		ret_bounds[i].start = to_position(log, log->offsets[i]);
	if (error == ERROR_OK)
		error = read_offsets(log, TOPIC_SHOWN_END, note);
	for (int32_t i = 0; i < log->config.partitions && error == ERROR_OK; i++)
		ret_bounds[i].shown_end = to_position(log, log->offsets[i]);
	if (error == ERROR_OK)
		error = read_offsets(log, TOPIC_END, note);
	for (int32_t i = 0; i < log->config.partitions && error == ERROR_OK; i++)
		ret_bounds[i].end = to_position(log, log->offsets[i]);
	return error;
}

static enum error positions_published(struct log_positions *base, int32_t slot, int64_t *ret_batch, struct error_note *note)
{
	struct kafka_positions *log = of(base);
	struct slot_record record;
	enum error error = newest_read(&log->config, slot, &record, note);
	if (error != ERROR_OK)
		return error;
	if (record.log_epoch > log->config.log_epoch)
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "Kafka: %s, partition %d is of log epoch %lld, configured is %d: set --log-epoch to pingd's",
				   KAFKA_TOPIC_SLOTS, (int)slot, (long long)record.log_epoch, (int)log->config.log_epoch);
	*ret_batch = record.batches.batch;
	return ERROR_OK;
}

static int32_t positions_partition_count(const struct log_positions *base)
{
	return ((const struct kafka_positions *)base)->config.partitions;
}

static int32_t positions_partition_of(const struct log_positions *base, const struct address *client)
{
	char key[ADDRESS_TEXT_SIZE];
	size_t size = address_format(client, key);
	return event_partition(slice_make(key, size), ((const struct kafka_positions *)base)->config.partitions);
}

/* ─── Reading ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void stop_partition(struct kafka_positions *log, int32_t number)
{
	if (log->partitions[number].started)
		rd_kafka_consume_stop(log->topic, number);
	log->partitions[number].started = false;
}

static enum error start_partition(struct kafka_positions *log, int32_t number, struct error_note *note)
{
	struct partition *partition = &log->partitions[number];
	if (rd_kafka_consume_start(log->topic, number, partition->next_offset) != 0)
		return client_failed(&log->client_state, log->client, "cannot read the log", rd_kafka_last_error(), note);
	partition->started = true;
	return ERROR_OK;
}

static void positions_end(struct log_positions *base)
{
	struct kafka_positions *log = of(base);
	for (int32_t i = 0; log->bounds != NULL && i < log->config.partitions; i++)
		stop_partition(log, i);
	log->bounds = NULL;
}

static enum error positions_begin(struct log_positions *base, struct log_bounds *bounds, struct error_note *note)
{
	struct kafka_positions *log = of(base);
	log->bounds = bounds;
	enum error error = ERROR_OK;
	for (int32_t i = 0; i < log->config.partitions && error == ERROR_OK; i++) {
		log->partitions[i] = (struct partition){.next_offset = position_offset(bounds[i].start),
							.end_offset = position_offset(bounds[i].shown_end)};
		if (log->partitions[i].next_offset < log->partitions[i].end_offset)
			error = start_partition(log, i, note);
	}
	return error;
}

static struct log_place to_place(const struct kafka_positions *log, const rd_kafka_message_t *message)
{
	struct log_place place = {.position = to_position(log, message->offset)};
	rd_kafka_headers_t *headers = NULL;
	const void *id = NULL;
	size_t size = 0;
	if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
	    rd_kafka_header_get_last(headers, "id", &id, &size) == RD_KAFKA_RESP_ERR_NO_ERROR && size == sizeof place.id.bytes) {
		place.has_id = true;
		memcpy(place.id.bytes, id, size);
	}
	return place;
}

/* Retention has removed what was to be read next. */
static enum error skip_removed(struct kafka_positions *log, int32_t number, struct error_note *note)
{
	struct partition *partition = &log->partitions[number];
	enum error error = read_offsets(log, TOPIC_START, note);
	if (error != ERROR_OK)
		return error;
	if (log->offsets[number] <= partition->next_offset)
		return error_noted(note, ERROR_UNAVAILABLE, "Kafka: partition %d of %s cannot be read at offset %lld",
				   (int)number, KAFKA_TOPIC_EVENTS, (long long)partition->next_offset);
	stop_partition(log, number);
	partition->next_offset = log->offsets[number];
	log->bounds[number].start = to_position(log, partition->next_offset);
	return partition->next_offset < partition->end_offset ? start_partition(log, number, note) : ERROR_OK;
}

/* Events, or that the partition ends, or that it has moved. */
static enum error take(struct kafka_positions *log, int32_t number, const rd_kafka_message_t *message, struct error_note *note)
{
	struct partition *partition = &log->partitions[number];
	switch (message->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		if (message->offset < partition->end_offset)
			partition->places[partition->count++] = to_place(log, message);
		partition->next_offset = message->offset + 1;
		return ERROR_OK;
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		if (message->offset > partition->next_offset)
			partition->next_offset = message->offset;
		return ERROR_OK;
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		return skip_removed(log, number, note);
	default:
		return client_error(message->err) == ERROR_UNAVAILABLE
			       ? ERROR_OK /* the client tries again by itself */
			       : client_failed(&log->client_state, log->client, "cannot read the log", message->err, note);
	}
}

/* Waits for one, then takes what else is there. */
static ssize_t consume(struct kafka_positions *log, int32_t number, rd_kafka_message_t **messages)
{
	ssize_t count = rd_kafka_consume_batch(log->topic, number, 0, messages, BATCH);
	if (count != 0)
		return count;
	messages[0] = rd_kafka_consume(log->topic, number, POLL_MS);
	return messages[0] != NULL;
}

static enum error fill(struct kafka_positions *log, int32_t number, struct error_note *note)
{
	struct partition *partition = &log->partitions[number];
	rd_kafka_message_t *messages[BATCH];
	int64_t deadline = client_deadline(SILENCE_MS);
	partition->first = partition->count = 0;
	enum error error = ERROR_OK;
	while (error == ERROR_OK && partition->count == 0 && partition->next_offset < partition->end_offset) {
		ssize_t count = consume(log, number, messages);
		rd_kafka_poll(log->client, 0);
		for (ssize_t i = 0; i < count; i++) {
			if (error == ERROR_OK)
				error = take(log, number, messages[i], note);
			rd_kafka_message_destroy(messages[i]);
		}
		if (error == ERROR_OK && partition->count == 0 && client_remaining_ms(deadline) == 0)
			error = client_failed(&log->client_state, log->client, "cannot read the log",
					      RD_KAFKA_RESP_ERR__TIMED_OUT, note);
	}
	return error;
}

static enum error positions_next(struct log_positions *base, int32_t number, struct log_place *ret_place, struct error_note *note)
{
	struct kafka_positions *log = of(base);
	struct partition *partition = &log->partitions[number];
	if (partition->first == partition->count) {
		enum error error = fill(log, number, note);
		if (error != ERROR_OK)
			return error;
		if (partition->count == 0) {
			stop_partition(log, number); /* reads nothing more ahead */
			return ERROR_END;
		}
	}
	*ret_place = partition->places[partition->first++];
	return ERROR_OK;
}

/* ─── Life ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void positions_close(struct log_positions *base)
{
	struct kafka_positions *log = of(base);
	positions_end(base);
	if (log->topic != NULL)
		rd_kafka_topic_destroy(log->topic);
	if (log->client != NULL)
		rd_kafka_destroy(log->client);
	free(log->partitions);
	free(log->offsets);
	free(log);
}

enum error kafka_positions_open(const struct kafka_config *config, struct log_positions **ret_log, struct error_note *note)
{
	static const struct log_positions_vtable vtable = {
		.published = positions_published,
		.partition_count = positions_partition_count,
		.partition_of = positions_partition_of,
		.bounds = positions_bounds,
		.begin = positions_begin,
		.next = positions_next,
		.end = positions_end,
		.close = positions_close,
	};
	enum error error = kafka_config_check(config, note);
	if (error != ERROR_OK)
		return error;
	struct kafka_positions *log = calloc(1, sizeof *log);
	if (log == NULL)
		return ERROR_NO_MEMORY;
	log->log.vtable = &vtable;
	log->config = *config;
	log->client_state.config = &log->config;
	log->partitions = calloc((size_t)config->partitions, sizeof *log->partitions);
	log->offsets = calloc((size_t)config->partitions, sizeof *log->offsets);
	if (log->partitions == NULL || log->offsets == NULL) {
		positions_close(&log->log);
		return ERROR_NO_MEMORY;
	}
	*ret_log = &log->log;
	return ERROR_OK;
}
