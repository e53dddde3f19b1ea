/* The log as port/follow.h has it: every partition read by a consumer without a group. Each has a queue of its own, which the
 * client fills up to a bound; what lies behind where a poll may go waits there, but for one record that was taken out already.
 */
#include "adapter/kafka/record.h"
#include "adapter/kafka/topic.h"
#include "port/positions.h"

#include <stdio.h>
#include <stdlib.h>

enum { QUEUED_KB = 8192, MIN_QUEUED_KB = 64 }; /* that wait in the client, all partitions together */

struct partition {
	int64_t next_offset;
	rd_kafka_message_t *held; /* lies behind where the last poll might go; NULL: none */
};

struct kafka_follower {
	struct log_follower follower;
	struct kafka_config config;
	struct client_state client_state;
	rd_kafka_t *client; /* NULL: not connected */
	rd_kafka_topic_t *topic;
	bool reading;
	size_t turn; /* the partition that is first */
	struct partition *partitions;
	struct engine_event events[FOLLOW_MAX_EVENTS];
};

static struct kafka_follower *of(struct log_follower *base)
{
	return (struct kafka_follower *)base;
}

/* ─── Connection ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void stop_reading(struct kafka_follower *follower)
{
	for (int32_t i = 0; i < follower->config.partitions && follower->reading; i++) {
		if (follower->partitions[i].held != NULL)
			rd_kafka_message_destroy(follower->partitions[i].held);
		follower->partitions[i].held = NULL;
		rd_kafka_consume_stop(follower->topic, i);
	}
	follower->reading = false;
}

static void close_client(struct kafka_follower *follower)
{
	stop_reading(follower);
	if (follower->topic != NULL)
		rd_kafka_topic_destroy(follower->topic);
	follower->topic = NULL;
	if (follower->client != NULL)
		rd_kafka_destroy(follower->client);
	follower->client = NULL;
}

static enum error connect_client(struct kafka_follower *follower, struct error_note *note)
{
	char queued[16];
	int32_t share = QUEUED_KB / follower->config.partitions;
	snprintf(queued, sizeof queued, "%d", (int)(share < MIN_QUEUED_KB ? MIN_QUEUED_KB : share));
	const struct client_setting settings[] = {
		{"isolation.level", "read_committed"}, {"enable.auto.commit", "false"},	       {"enable.partition.eof", "true"},
		{"auto.offset.reset", "error"},	       {"fetch.wait.max.ms", "100"},	       {"fetch.queue.backoff.ms", "20"},
		{"fetch.message.max.bytes", "262144"}, {"queued.max.messages.kbytes", queued}, {0}};
	uint8_t id[16];
	enum error error = client_create(RD_KAFKA_CONSUMER, &follower->client_state, settings, NULL, &follower->client, note);
	if (error == ERROR_OK)
		error = topic_check(&follower->client_state, follower->client, KAFKA_TOPIC_EVENTS, follower->config.partitions,
				    TOPIC_TIMEOUT_MS, id, note);
	if (error != ERROR_OK)
		return error;
	follower->topic = rd_kafka_topic_new(follower->client, KAFKA_TOPIC_EVENTS, NULL);
	return follower->topic == NULL ? ERROR_NO_MEMORY : ERROR_OK;
}

static enum error start_reading(struct kafka_follower *follower, struct error_note *note)
{
	follower->reading = true; /* a partition that is not read can be stopped all the same */
	for (int32_t i = 0; i < follower->config.partitions; i++)
		if (rd_kafka_consume_start(follower->topic, i, follower->partitions[i].next_offset) != 0)
			return client_failed(&follower->client_state, follower->client, "cannot follow the log",
					     rd_kafka_last_error(), note);
	return ERROR_OK;
}

static enum error begin(struct kafka_follower *follower, struct error_note *note)
{
	if (follower->client_state.fatal)
		close_client(follower);
	enum error error = follower->topic == NULL ? connect_client(follower, note) : ERROR_OK;
	if (error == ERROR_OK && !follower->reading)
		error = start_reading(follower, note);
	if (error != ERROR_OK)
		close_client(follower);
	return error;
}

/* ─── Records ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Of the first record behind the position. An older log epoch's says nothing of this log. */
static int64_t offset_behind(const struct kafka_follower *follower, int64_t position)
{
	return position == POSITION_NONE || position_epoch(position) < follower->config.log_epoch ? 0
												  : position_offset(position) + 1;
}

/* What no engine takes changes nothing. */
static void take(struct kafka_follower *follower, const rd_kafka_message_t *message, struct follow_batch *batch)
{
	struct error_note reason;
	follower->partitions[message->partition].next_offset = message->offset + 1;
	batch->count += record_decode(&follower->config, message, &follower->events[batch->count], &reason);
}

/* What was to be read is removed: on from `end`. */
static enum error pass_over(struct kafka_follower *follower, int32_t number, int64_t end, struct error_note *note)
{
	rd_kafka_consume_stop(follower->topic, number);
	follower->partitions[number].next_offset = end;
	if (rd_kafka_consume_start(follower->topic, number, end) != 0)
		return client_failed(&follower->client_state, follower->client, "cannot follow the log", rd_kafka_last_error(),
				     note);
	return ERROR_OK;
}

/* The partition's end, which may lie behind markers and what was aborted; or it cannot be read on from where it is. An error that
 * is older than the last start still comes. */
static enum error take_error(struct kafka_follower *follower, const rd_kafka_message_t *message, int64_t end,
			     struct follow_batch *batch, struct error_note *note)
{
	struct partition *partition = &follower->partitions[message->partition];
	switch (message->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		if (message->offset > partition->next_offset)
			partition->next_offset = message->offset;
		return ERROR_OK;
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		if (message->offset < partition->next_offset)
			return ERROR_OK;
		batch->missed = true;
		return pass_over(follower, message->partition, end, note);
	default:
		return client_error(message->err) == ERROR_UNAVAILABLE
			       ? ERROR_OK /* the client tries again by itself */
			       : client_failed(&follower->client_state, follower->client, "cannot follow the log", message->err,
					       note);
	}
}

static enum error poll_partition(struct kafka_follower *follower, int32_t number, int64_t until, struct follow_batch *batch,
				 struct error_note *note)
{
	struct partition *partition = &follower->partitions[number];
	int64_t end = offset_behind(follower, until);
	enum error error = ERROR_OK;
	while (error == ERROR_OK && batch->count < FOLLOW_MAX_EVENTS && partition->next_offset < end) {
		rd_kafka_message_t *message =
			partition->held != NULL ? partition->held : rd_kafka_consume(follower->topic, number, 0);
		partition->held = NULL;
		if (message == NULL)
			break;
		if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
			error = take_error(follower, message, end, batch, note);
		} else if (message->offset >= end) {
			/* What lay before it is none: markers, and what was aborted. */
			partition->next_offset = end;
			partition->held = message;
			return ERROR_OK;
		} else {
			take(follower, message, batch);
		}
		rd_kafka_message_destroy(message);
	}
	batch->behind |= partition->next_offset < end;
	return error;
}

static void follower_skip(struct log_follower *base, const int64_t *positions)
{
	struct kafka_follower *follower = of(base);
	stop_reading(follower);
	for (int32_t i = 0; i < follower->config.partitions; i++)
		follower->partitions[i].next_offset = offset_behind(follower, positions[i]);
}

static enum error follower_poll(struct log_follower *base, const int64_t *until, struct follow_batch *ret_batch,
				struct error_note *note)
{
	struct kafka_follower *follower = of(base);
	struct follow_batch batch = {.events = follower->events};
	enum error error = begin(follower, note);
	size_t count = (size_t)follower->config.partitions, first = follower->turn++;
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		int32_t number = (int32_t)((first + i) % count);
		error = poll_partition(follower, number, until[number], &batch, note);
	}
	if (follower->client != NULL)
		rd_kafka_poll(follower->client, 0);
	if (error != ERROR_OK) {
		close_client(follower);
		return error;
	}
	*ret_batch = batch;
	return ERROR_OK;
}

/* ─── Life ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int32_t follower_partition_count(const struct log_follower *base)
{
	return ((const struct kafka_follower *)base)->config.partitions;
}

static void follower_close(struct log_follower *base)
{
	struct kafka_follower *follower = of(base);
	close_client(follower);
	free(follower->partitions);
	free(follower);
}

enum error kafka_follower_open(const struct kafka_config *config, struct log_follower **ret_follower, struct error_note *note)
{
	static const struct log_follower_vtable vtable = {follower_poll, follower_skip, follower_partition_count, follower_close};
	enum error error = kafka_config_check(config, note);
	if (error != ERROR_OK)
		return error;
	struct kafka_follower *follower = calloc(1, sizeof *follower);
	if (follower == NULL)
		return ERROR_NO_MEMORY;
	follower->follower.vtable = &vtable;
	follower->config = *config;
	follower->client_state.config = &follower->config;
	follower->partitions = calloc((size_t)config->partitions, sizeof *follower->partitions);
	if (follower->partitions == NULL) {
		follower_close(&follower->follower);
		return ERROR_NO_MEMORY;
	}
	*ret_follower = &follower->follower;
	return ERROR_OK;
}
