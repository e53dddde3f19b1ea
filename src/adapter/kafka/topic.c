#include "adapter/kafka/topic.h"

#include "base/clock.h"

/* Waits for what was asked; the caller destroys the event. */
static enum error await(struct client_state *state, rd_kafka_t *client, rd_kafka_queue_t *queue, const char *what, int timeout_ms,
			rd_kafka_event_t **ret_event, struct error_note *note)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
	rd_kafka_resp_err_t code = event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		rd_kafka_event_destroy(event);
		return client_failed(state, client, what, code, note);
	}
	*ret_event = event;
	return ERROR_OK;
}

static rd_kafka_AdminOptions_t *make_options(rd_kafka_t *client, rd_kafka_admin_op_t operation, int timeout_ms)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, operation);
	rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, NULL, 0);
	return options;
}

/* ─── Which topic it is ─────────────────────────────────────────────────────────────────────────────────────────────── */

static void take_id(const rd_kafka_TopicDescription_t *description, uint8_t ret_id[16])
{
	const rd_kafka_Uuid_t *id = rd_kafka_TopicDescription_topic_id(description);
	uint64_t halves[] = {(uint64_t)rd_kafka_Uuid_most_significant_bits(id),
			     (uint64_t)rd_kafka_Uuid_least_significant_bits(id)};
	for (int i = 0; i < 16; i++)
		ret_id[i] = (uint8_t)(halves[i / 8] >> (56 - i % 8 * 8));
}

static enum error check_description(struct client_state *state, rd_kafka_t *client, const char *name, int32_t partitions,
				    const rd_kafka_TopicDescription_t *description, uint8_t ret_id[16], struct error_note *note)
{
	rd_kafka_resp_err_t code = rd_kafka_error_code(rd_kafka_TopicDescription_error(description));
	if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "Kafka: there is no topic %s: pingd makes it when it starts as a publisher; is this the right "
				   "cluster?",
				   name);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return client_failed(state, client, name, code, note);
	size_t found = 0;
	rd_kafka_TopicDescription_partitions(description, &found);
	if (found != (size_t)partitions)
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "Kafka: topic %s has %zu partitions, configured are %d: set --log-partitions to the number it "
				   "has, or follow the procedure of --log-epoch",
				   name, found, (int)partitions);
	take_id(description, ret_id);
	return ERROR_OK;
}

enum error topic_check(struct client_state *state, rd_kafka_t *client, const char *name, int32_t partitions, int timeout_ms,
		       uint8_t ret_id[16], struct error_note *note)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
	rd_kafka_AdminOptions_t *options = make_options(client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout_ms);
	rd_kafka_TopicCollection_t *names = rd_kafka_TopicCollection_of_topic_names(&name, 1);
	rd_kafka_event_t *event = NULL;
	rd_kafka_DescribeTopics(client, names, options, queue);
	enum error error = await(state, client, queue, "cannot look at the topic", timeout_ms, &event, note);
	if (error == ERROR_OK) {
		size_t count;
		const rd_kafka_TopicDescription_t **descriptions =
			rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &count);
		error = count != 1 ? ERROR_INTERNAL
				   : check_description(state, client, name, partitions, descriptions[0], ret_id, note);
	}
	rd_kafka_event_destroy(event);
	rd_kafka_TopicCollection_destroy(names);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return error;
}

/* ─── Where its partitions begin and end ────────────────────────────────────────────────────────────────────────────── */

/* A partition that was just made, or changes its leader, is led again within moments. */
static bool will_be_led(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
}

static enum error take_offsets(const rd_kafka_ListOffsets_result_t *result, int32_t partitions, int64_t *ret_offsets,
			       rd_kafka_resp_err_t *ret_code)
{
	size_t count;
	const rd_kafka_ListOffsetsResultInfo_t **infos = rd_kafka_ListOffsets_result_infos(result, &count);
	*ret_code = RD_KAFKA_RESP_ERR_NO_ERROR;
	for (size_t i = 0; i < count; i++) {
		const rd_kafka_topic_partition_t *found = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
		if (found->partition < 0 || found->partition >= partitions)
			return ERROR_INTERNAL;
		ret_offsets[found->partition] = found->offset;
		if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
		    (*ret_code == RD_KAFKA_RESP_ERR_NO_ERROR || will_be_led(*ret_code)))
			*ret_code = found->err;
	}
	return count == (size_t)partitions ? ERROR_OK : ERROR_INTERNAL;
}

/* Asks once. The code is why a partition's offset could not be found; one that waiting does not mend goes before others. */
static enum error ask_offsets(struct client_state *state, rd_kafka_t *client, rd_kafka_topic_partition_list_t *asked,
			      rd_kafka_IsolationLevel_t isolation, int timeout_ms, int64_t *ret_offsets,
			      rd_kafka_resp_err_t *ret_code, struct error_note *note)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
	rd_kafka_AdminOptions_t *options = make_options(client, RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout_ms);
	rd_kafka_error_destroy(rd_kafka_AdminOptions_set_isolation_level(options, isolation));
	rd_kafka_event_t *event = NULL;
	rd_kafka_ListOffsets(client, asked, options, queue);
	enum error error = await(state, client, queue, "cannot find the topic's bounds", timeout_ms, &event, note);
	if (error == ERROR_OK)
		error = take_offsets(rd_kafka_event_ListOffsets_result(event), asked->cnt, ret_offsets, ret_code);
	rd_kafka_event_destroy(event);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return error;
}

enum error topic_offsets(struct client_state *state, rd_kafka_t *client, const char *name, int32_t partitions,
			 enum topic_offset which, int64_t *ret_offsets, struct error_note *note)
{
	enum { PAUSE_MS = 50 };
	rd_kafka_IsolationLevel_t isolation =
		which == TOPIC_SHOWN_END ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED;
	rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_new(partitions);
	for (int32_t partition = 0; partition < partitions; partition++)
		rd_kafka_topic_partition_list_add(asked, name, partition)->offset =
			which == TOPIC_START ? RD_KAFKA_OFFSET_SPEC_EARLIEST : RD_KAFKA_OFFSET_SPEC_LATEST;
	int64_t deadline = client_deadline(TOPIC_TIMEOUT_MS);
	int left_ms;
	rd_kafka_resp_err_t code;
	enum error error = ask_offsets(state, client, asked, isolation, TOPIC_TIMEOUT_MS, ret_offsets, &code, note);
	while (error == ERROR_OK && will_be_led(code) && (left_ms = client_remaining_ms(deadline)) > PAUSE_MS) {
		clock_sleep_ms(PAUSE_MS);
		error = ask_offsets(state, client, asked, isolation, left_ms - PAUSE_MS, ret_offsets, &code, note);
	}
	if (error == ERROR_OK && code != RD_KAFKA_RESP_ERR_NO_ERROR)
		error = client_failed(state, client, "cannot find a partition's bounds", code, note);
	rd_kafka_topic_partition_list_destroy(asked);
	return error;
}
