#include "adapter/kafka/client.h"

#include <stdio.h>
#include <stdlib.h>

enum { TIMEOUT_MS = 15000, ATTEMPT_MS = 500, WANTED_REPLICAS = 3, TOPIC_COUNT = 3, MAX_SETTINGS = 5 };

struct topic {
	const char *name;
	int partitions;
	struct client_setting settings[MAX_SETTINGS]; /* ends with a NULL name */
	/* As found: */
	bool exists;
	int found_partitions, found_replicas;
};

struct topics {
	struct client_state client_state;
	rd_kafka_t *client;
	int timeout_ms; /* for the cluster to show */
	int replicas;	/* what the cluster can, at most WANTED_REPLICAS */
	struct topic topics[TOPIC_COUNT];
	void (*differs)(void *context, const char *text);
	void *context;
};

static void fill(struct topics *topics, const struct kafka_config *config)
{
	const char *in_sync = topics->replicas > 1 ? "2" : "1";
	struct topic events = {
		.name = KAFKA_TOPIC_EVENTS,
		.partitions = config->partitions,
		.settings = {{"cleanup.policy", "delete"},
			     {"retention.ms", "604800000"},
			     {"message.timestamp.type", "LogAppendTime"},
			     {"min.insync.replicas", in_sync}},
	};
	topics->topics[0] = events;
	topics->topics[1] = events;
	topics->topics[1].name = KAFKA_TOPIC_DEAD;
	topics->topics[2] = (struct topic){
		.name = KAFKA_TOPIC_SLOTS,
		.partitions = config->slots,
		.settings = {{"cleanup.policy", "compact"}, {"min.insync.replicas", in_sync}},
	};
}

/* ─── Asking the cluster ────────────────────────────────────────────────────────────────────────────────────────────── */

typedef void (*request)(struct topics *topics, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue);

/* Sends a request and waits; the caller destroys the event. */
static enum error ask(struct topics *topics, rd_kafka_admin_op_t operation, request send, const char *what,
		      rd_kafka_event_t **ret_event, struct error_note *note)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(topics->client);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(topics->client, operation);
	rd_kafka_AdminOptions_set_request_timeout(options, TIMEOUT_MS, NULL, 0);
	send(topics, options, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS + 1000);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	rd_kafka_resp_err_t code = event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		rd_kafka_event_destroy(event);
		return client_failed(&topics->client_state, topics->client, what, code, note);
	}
	*ret_event = event;
	return ERROR_OK;
}

/* A wrong password is told soon, a broker that isn't there (yet) only after the whole time. */
static enum error count_brokers(struct topics *topics, struct error_note *note)
{
	const struct rd_kafka_metadata *metadata;
	int64_t deadline = client_deadline(topics->timeout_ms);
	rd_kafka_resp_err_t code;
	do {
		code = rd_kafka_metadata(topics->client, 0, NULL, &metadata, ATTEMPT_MS);
		rd_kafka_poll(topics->client, 0);
	} while (code != RD_KAFKA_RESP_ERR_NO_ERROR && !topics->client_state.refused && client_remaining_ms(deadline) > 0);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		enum error error = client_failed(&topics->client_state, topics->client, "cannot reach the cluster", code, note);
		return topics->client_state.refused ? ERROR_FAILED_PRECONDITION : error;
	}
	topics->replicas = metadata->broker_cnt < WANTED_REPLICAS ? metadata->broker_cnt : WANTED_REPLICAS;
	rd_kafka_metadata_destroy(metadata);
	return ERROR_OK;
}

static void send_describe(struct topics *topics, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
	const char *names[TOPIC_COUNT];
	for (size_t i = 0; i < TOPIC_COUNT; i++)
		names[i] = topics->topics[i].name;
	rd_kafka_TopicCollection_t *collection = rd_kafka_TopicCollection_of_topic_names(names, TOPIC_COUNT);
	rd_kafka_DescribeTopics(topics->client, collection, options, queue);
	rd_kafka_TopicCollection_destroy(collection);
}

static enum error take_description(struct topics *topics, const rd_kafka_TopicDescription_t *description, struct error_note *note)
{
	struct topic *topic = topics->topics;
	while (strcmp(topic->name, rd_kafka_TopicDescription_name(description)) != 0)
		if (++topic == topics->topics + TOPIC_COUNT)
			return ERROR_INTERNAL;
	const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(description);
	rd_kafka_resp_err_t code = rd_kafka_error_code(error);
	topic->exists = code == RD_KAFKA_RESP_ERR_NO_ERROR;
	if (!topic->exists)
		return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
			       ? ERROR_OK
			       : client_failed(&topics->client_state, topics->client, topic->name, code, note);
	size_t partitions, replicas = 0;
	const rd_kafka_TopicPartitionInfo_t **infos = rd_kafka_TopicDescription_partitions(description, &partitions);
	if (partitions > 0)
		rd_kafka_TopicPartitionInfo_replicas(infos[0], &replicas);
	topic->found_partitions = (int)partitions;
	topic->found_replicas = (int)replicas;
	return ERROR_OK;
}

static enum error describe(struct topics *topics, struct error_note *note)
{
	rd_kafka_event_t *event;
	enum error error =
		ask(topics, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, send_describe, "cannot look at the topics", &event, note);
	if (error != ERROR_OK)
		return error;
	size_t count;
	const rd_kafka_TopicDescription_t **descriptions =
		rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &count);
	for (size_t i = 0; i < count && error == ERROR_OK; i++)
		error = take_description(topics, descriptions[i], note);
	rd_kafka_event_destroy(event);
	return error;
}

/* ─── Creating ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static size_t count_missing(const struct topics *topics)
{
	size_t missing = 0;
	for (size_t i = 0; i < TOPIC_COUNT; i++)
		missing += !topics->topics[i].exists;
	return missing;
}

static void send_create(struct topics *topics, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
	rd_kafka_NewTopic_t *wanted[TOPIC_COUNT];
	size_t count = 0;
	for (size_t i = 0; i < TOPIC_COUNT; i++) {
		const struct topic *topic = &topics->topics[i];
		if (topic->exists)
			continue;
		wanted[count] = rd_kafka_NewTopic_new(topic->name, topic->partitions, topics->replicas, NULL, 0);
		for (const struct client_setting *setting = topic->settings; setting->name != NULL; setting++)
			rd_kafka_NewTopic_set_config(wanted[count], setting->name, setting->value);
		count++;
	}
	rd_kafka_AdminOptions_set_operation_timeout(options, TIMEOUT_MS, NULL, 0);
	rd_kafka_CreateTopics(topics->client, wanted, count, options, queue);
	rd_kafka_NewTopic_destroy_array(wanted, count);
}

static enum error create_missing(struct topics *topics, struct error_note *note)
{
	if (count_missing(topics) == 0)
		return ERROR_OK;
	rd_kafka_event_t *event;
	enum error error = ask(topics, RD_KAFKA_ADMIN_OP_CREATETOPICS, send_create, "cannot create the topics", &event, note);
	if (error != ERROR_OK)
		return error;
	size_t count;
	const rd_kafka_topic_result_t **results =
		rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
		if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
			error = error_noted(note, client_error(code), "Kafka: cannot create topic %s: %s",
					    rd_kafka_topic_result_name(results[i]), rd_kafka_err2str(code));
	}
	rd_kafka_event_destroy(event);
	return error;
}

/* ─── Growing ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A slot's partition is its number, so that more of them move nothing. */
static struct topic *slots_topic(struct topics *topics)
{
	return &topics->topics[TOPIC_COUNT - 1];
}

static bool lacks_slots(struct topics *topics)
{
	return slots_topic(topics)->found_partitions < slots_topic(topics)->partitions;
}

static void send_grow(struct topics *topics, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
	const struct topic *topic = slots_topic(topics);
	rd_kafka_NewPartitions_t *wanted = rd_kafka_NewPartitions_new(topic->name, (size_t)topic->partitions, NULL, 0);
	rd_kafka_AdminOptions_set_operation_timeout(options, TIMEOUT_MS, NULL, 0);
	rd_kafka_CreatePartitions(topics->client, &wanted, 1, options, queue);
	rd_kafka_NewPartitions_destroy(wanted);
}

static enum error grow_slots(struct topics *topics, struct error_note *note)
{
	rd_kafka_event_t *event;
	enum error error =
		ask(topics, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, send_grow, "cannot add partitions for slots", &event, note);
	if (error != ERROR_OK)
		return error;
	size_t count;
	const rd_kafka_topic_result_t **results =
		rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &count);
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
		/* INVALID_PARTITIONS: another process was faster. */
		if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_INVALID_PARTITIONS)
			error = error_noted(note, client_error(code), "Kafka: cannot add partitions to topic %s for %d slots: %s",
					    KAFKA_TOPIC_SLOTS, slots_topic(topics)->partitions, rd_kafka_err2str(code));
	}
	rd_kafka_event_destroy(event);
	return error;
}

/* ─── Checking ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void send_configs(struct topics *topics, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
	rd_kafka_ConfigResource_t *resources[TOPIC_COUNT];
	for (size_t i = 0; i < TOPIC_COUNT; i++)
		resources[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics->topics[i].name);
	rd_kafka_DescribeConfigs(topics->client, resources, TOPIC_COUNT, options, queue);
	rd_kafka_ConfigResource_destroy_array(resources, TOPIC_COUNT);
}

static void tell(struct topics *topics, const char *topic, const char *name, const char *found, const char *wanted)
{
	char text[256];
	snprintf(text, sizeof text, "topic %s: %s is %s, meant is %s", topic, name, found, wanted);
	if (topics->differs != NULL)
		topics->differs(topics->context, text);
}

static void check_config(struct topics *topics, const rd_kafka_ConfigResource_t *resource)
{
	const struct topic *topic = topics->topics;
	while (strcmp(topic->name, rd_kafka_ConfigResource_name(resource)) != 0)
		if (++topic == topics->topics + TOPIC_COUNT)
			return;
	size_t count;
	const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
	for (size_t i = 0; i < count; i++) {
		const char *name = rd_kafka_ConfigEntry_name(entries[i]), *value = rd_kafka_ConfigEntry_value(entries[i]);
		for (const struct client_setting *setting = topic->settings; setting->name != NULL; setting++)
			if (strcmp(setting->name, name) == 0 && value != NULL && strcmp(setting->value, value) != 0)
				tell(topics, topic->name, name, value, setting->value);
	}
}

static enum error refuse_partitions(const struct topic *topic, struct error_note *note)
{
	bool slots = strcmp(topic->name, KAFKA_TOPIC_SLOTS) == 0;
	if (slots && topic->found_partitions < topic->partitions)
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "Kafka: topic %s has %d partitions, one for each publisher slot, and publisher-slots is %d: "
				   "add them by pingctl migrate --publisher-slots %d",
				   topic->name, topic->found_partitions, topic->partitions, topic->partitions);
	if (slots)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"Kafka: topic %s has %d partitions, one for each publisher slot, and publisher-slots is %d: set "
			"it to %d, as the other processes have it; slots can be added, not taken away",
			topic->name, topic->found_partitions, topic->partitions, topic->found_partitions);
	return error_noted(
		note, ERROR_FAILED_PRECONDITION,
		"Kafka: topic %s has %d partitions, configured are %d: a client's events would lie in two of them. Set "
		"the number it has, or follow the procedure of --log-epoch",
		topic->name, topic->found_partitions, topic->partitions);
}

static enum error check(struct topics *topics, struct error_note *note)
{
	for (const struct topic *topic = topics->topics; topic < topics->topics + TOPIC_COUNT; topic++) {
		char found[16], wanted[16];
		snprintf(found, sizeof found, "%d", topic->found_replicas);
		snprintf(wanted, sizeof wanted, "%d", topics->replicas);
		if (topic->found_partitions != topic->partitions)
			return refuse_partitions(topic, note);
		if (topic->found_replicas < topics->replicas)
			tell(topics, topic->name, "its replication factor", found, wanted);
	}
	rd_kafka_event_t *event;
	enum error error =
		ask(topics, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, send_configs, "cannot look at the topics' settings", &event, note);
	if (error != ERROR_OK)
		return error;
	size_t count;
	const rd_kafka_ConfigResource_t **resources =
		rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
	for (size_t i = 0; i < count; i++)
		check_config(topics, resources[i]);
	rd_kafka_event_destroy(event);
	return ERROR_OK;
}

static bool any_missing(struct topics *topics)
{
	return count_missing(topics) != 0;
}

/* What was created, also by another process at the same time, is there when metadata shows it: within moments. */
static enum error wait_while(struct topics *topics, bool (*is_missing)(struct topics *topics), struct error_note *note)
{
	enum { PAUSE_MS = 50 };
	int64_t deadline = client_deadline(TIMEOUT_MS);
	enum error error = describe(topics, note);
	while (error == ERROR_OK && is_missing(topics)) {
		if (client_remaining_ms(deadline) == 0)
			return error_noted(note, ERROR_UNAVAILABLE, "Kafka: topics or partitions were created, but do not show");
		rd_kafka_poll(topics->client, PAUSE_MS);
		error = describe(topics, note);
	}
	return error;
}

enum error kafka_topics_ensure(const struct kafka_config *config, void (*differs)(void *context, const char *text), void *context,
			       struct error_note *note)
{
	struct topics *topics = calloc(1, sizeof *topics);
	if (topics == NULL)
		return ERROR_NO_MEMORY;
	topics->client_state.config = config;
	topics->timeout_ms = config->topics_timeout_ms > 0 ? config->topics_timeout_ms : TIMEOUT_MS;
	topics->differs = differs;
	topics->context = context;
	enum error error = client_create(RD_KAFKA_PRODUCER, &topics->client_state, (const struct client_setting[]){{0}}, NULL,
					 &topics->client, note);
	if (error == ERROR_OK)
		error = count_brokers(topics, note);
	if (error == ERROR_OK) {
		fill(topics, config);
		error = describe(topics, note);
	}
	if (error == ERROR_OK)
		error = create_missing(topics, note);
	if (error == ERROR_OK)
		error = wait_while(topics, any_missing, note);
	bool grows = config->grow_slots && error == ERROR_OK && lacks_slots(topics);
	if (grows)
		error = grow_slots(topics, note);
	if (grows && error == ERROR_OK)
		error = wait_while(topics, lacks_slots, note);
	if (error == ERROR_OK)
		error = check(topics, note);
	if (topics->client != NULL)
		rd_kafka_destroy(topics->client);
	free(topics);
	return error;
}
