#include "adapter/kafka/newest.h"

#include "adapter/kafka/client.h"

enum {
	TIMEOUT_MS = 15000,
	POLL_MS = 100,
	FIRST_STRIDE = 64, /* a batch takes two offsets, its record's and its marker's: the newest is nearly always in here */
	STRIDE_FACTOR = 64,
};

struct search {
	struct client_state *client_state;
	rd_kafka_t *client;
	int32_t slot;
	int64_t deadline;
	bool found;
	struct slot_record newest;
};

static enum error take(struct search *search, const rd_kafka_message_t *message, struct error_note *note)
{
	struct slot_record record;
	/* Nobody but publishers writes here; what isn't theirs must not be taken for "none". */
	if (slot_record_decode(slice_make(message->payload, message->len), &record) != ERROR_OK)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"Kafka: %s, partition %d, offset %lld is not a publisher's record: another program writes there",
			KAFKA_TOPIC_SLOTS, (int)search->slot, (long long)message->offset);
	search->newest = record;
	search->found = true;
	return ERROR_OK;
}

/* Reads what lies in [from, end), in order. */
static enum error read_range(struct search *search, int64_t from, int64_t end, struct error_note *note)
{
	rd_kafka_topic_partition_list_t *where = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(where, KAFKA_TOPIC_SLOTS, search->slot)->offset = from;
	rd_kafka_resp_err_t code = rd_kafka_assign(search->client, where);
	rd_kafka_topic_partition_list_destroy(where);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return client_failed(search->client_state, search->client, "cannot read the slot's newest batch", code, note);
	enum error error = ERROR_OK;
	for (bool more = true; more && error == ERROR_OK;) {
		if (client_remaining_ms(search->deadline) == 0)
			return client_failed(search->client_state, search->client, "cannot read the slot's newest batch",
					     RD_KAFKA_RESP_ERR__TIMED_OUT, note);
		rd_kafka_message_t *message = rd_kafka_consumer_poll(search->client, POLL_MS);
		if (message == NULL)
			continue;
		if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->offset < end)
			error = take(search, message, note);
		/* The end that a reader comes to may lie behind markers and what was aborted. */
		more = message->err == RD_KAFKA_RESP_ERR_NO_ERROR	  ? message->offset < end - 1
		       : message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF ? message->offset < end
									  : true;
		if (message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
		    message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
			error = client_failed(search->client_state, search->client, "cannot read the slot's newest batch",
					      message->err, note);
		rd_kafka_message_destroy(message);
	}
	return error;
}

/* From the end backwards, in growing strides: what compaction has not seen yet can be long. */
static enum error search_backwards(struct search *search, struct error_note *note)
{
	int64_t low, end;
	rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(search->client, KAFKA_TOPIC_SLOTS, search->slot, &low, &end,
								    client_remaining_ms(search->deadline));
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return client_failed(search->client_state, search->client, "cannot find the end of the slot's partition", code,
				     note);
	enum error error = ERROR_OK;
	int64_t before = end;
	for (int64_t stride = FIRST_STRIDE; error == ERROR_OK && !search->found && before > low; stride *= STRIDE_FACTOR) {
		int64_t from = before - low > stride ? before - stride : low;
		error = read_range(search, from, before, note);
		before = from;
	}
	return error != ERROR_OK || search->found ? error : ERROR_NOT_FOUND;
}

enum error newest_read(const struct kafka_config *config, int32_t slot, struct slot_record *ret_record, struct error_note *note)
{
	static const struct client_setting settings[] = {
		{"group.id", "ping-publishers"},
		/* no member of it: assigned, nothing committed */ {"isolation.level", "read_committed"},
		{"enable.partition.eof", "true"},
		{"enable.auto.commit", "false"},
		{"auto.offset.reset", "error"},
		{"fetch.wait.max.ms", "50"},
		{0}};
	struct client_state client_state = {.config = config};
	struct search search = {.client_state = &client_state, .slot = slot, .deadline = client_deadline(TIMEOUT_MS)};
	enum error error = client_create(RD_KAFKA_CONSUMER, &client_state, settings, NULL, &search.client, note);
	if (error != ERROR_OK)
		return error;
	rd_kafka_poll_set_consumer(search.client);
	error = search_backwards(&search, note);
	rd_kafka_assign(search.client, NULL);
	rd_kafka_destroy(search.client);
	if (error == ERROR_OK)
		*ret_record = search.newest;
	return error;
}
