#include "adapter/kafka/committed.h"

#include <string.h>

enum { POLL_MS = 100 };

enum error committed_open(struct committed *committed, const struct kafka_config *config, const char *what, int timeout_ms,
			  struct error_note *note)
{
	/* The group has no members: partitions are assigned, and nothing is committed. */
	static const struct client_setting settings[] = {{"group.id", "ping-publishers"},
							 {"isolation.level", "read_committed"},
							 {"enable.partition.eof", "true"},
							 {"enable.auto.commit", "false"},
							 {"auto.offset.reset", "error"},
							 {"fetch.wait.max.ms", "50"},
							 {0}};
	*committed =
		(struct committed){.client_state = {.config = config}, .deadline = client_deadline(timeout_ms), .what = what};
	enum error error = client_create(RD_KAFKA_CONSUMER, &committed->client_state, settings, NULL, &committed->client, note);
	if (error == ERROR_OK)
		rd_kafka_poll_set_consumer(committed->client);
	return error;
}

void committed_close(struct committed *committed)
{
	rd_kafka_assign(committed->client, NULL);
	rd_kafka_destroy(committed->client);
}

static enum error failed(struct committed *committed, rd_kafka_resp_err_t code, struct error_note *note)
{
	return client_failed(&committed->client_state, committed->client, committed->what, code, note);
}

enum error committed_bounds(struct committed *committed, const char *topic, int32_t partition, int64_t *ret_low, int64_t *ret_end,
			    struct error_note *note)
{
	rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(committed->client, topic, partition, ret_low, ret_end,
								    client_remaining_ms(committed->deadline));
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ? ERROR_OK : failed(committed, code, note);
}

static enum error assign(struct committed *committed, const char *topic, int32_t partition, int64_t from, struct error_note *note)
{
	rd_kafka_topic_partition_list_t *where = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(where, topic, partition)->offset = from;
	rd_kafka_resp_err_t code = rd_kafka_assign(committed->client, where);
	rd_kafka_topic_partition_list_destroy(where);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ? ERROR_OK : failed(committed, code, note);
}

/* The end that a reader comes to may lie behind markers and what was aborted. */
static bool is_before(const rd_kafka_message_t *message, int64_t end)
{
	switch (message->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		return message->offset < end - 1;
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		return message->offset < end;
	default:
		return true;
	}
}

static bool is_hopeless(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
}

enum error committed_read(struct committed *committed, const char *topic, int32_t partition, int64_t from, int64_t end,
			  enum error (*visit)(void *context, const rd_kafka_message_t *message, struct error_note *note),
			  void *context, struct error_note *note)
{
	enum error error = assign(committed, topic, partition, from, note);
	for (bool more = from < end; more && error == ERROR_OK;) {
		if (client_remaining_ms(committed->deadline) == 0)
			return failed(committed, RD_KAFKA_RESP_ERR__TIMED_OUT, note);
		rd_kafka_message_t *message = rd_kafka_consumer_poll(committed->client, POLL_MS);
		if (message == NULL)
			continue;
		/* Of the partition that was read before, something may still be on its way. */
		bool mine = message->rkt != NULL && message->partition == partition &&
			    strcmp(rd_kafka_topic_name(message->rkt), topic) == 0;
		more = !mine || is_before(message, end);
		if (mine && message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->offset < end)
			error = visit(context, message, note);
		else if (is_hopeless(message->err))
			error = failed(committed, message->err, note);
		rd_kafka_message_destroy(message);
	}
	return error;
}
