/* The producer against librdkafka's own mock of a cluster, which fails as it is told: what a real broker can hardly be brought
 * to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "adapter/kafka/client.h"
#include "adapter/kafka/topic.h"

/* Of rdkafka_mock.h, which is not installed everywhere. */
typedef struct rd_kafka_mock_cluster_s rd_kafka_mock_cluster_t;
rd_kafka_mock_cluster_t *rd_kafka_mock_cluster_new(rd_kafka_t *client, int brokers);
void rd_kafka_mock_cluster_destroy(rd_kafka_mock_cluster_t *cluster);
const char *rd_kafka_mock_cluster_bootstraps(const rd_kafka_mock_cluster_t *cluster);
rd_kafka_resp_err_t rd_kafka_mock_topic_create(rd_kafka_mock_cluster_t *cluster, const char *topic, int partitions, int replicas);
void rd_kafka_mock_push_request_errors(rd_kafka_mock_cluster_t *cluster, int16_t api_key, size_t count, ...);
rd_kafka_resp_err_t rd_kafka_mock_broker_set_down(rd_kafka_mock_cluster_t *cluster, int32_t broker);
rd_kafka_resp_err_t rd_kafka_mock_broker_set_up(rd_kafka_mock_cluster_t *cluster, int32_t broker);

enum { API_PRODUCE = 0, API_LIST_OFFSETS = 2, SLOT = 3, WAIT_MS = 120000 };

static rd_kafka_t *host;
static rd_kafka_mock_cluster_t *cluster;
static struct kafka_config config;
static struct publish_log *producer;

static int set_up(void **state)
{
	(void)state;
	char problem[200];
	host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), problem, sizeof problem);
	cluster = rd_kafka_mock_cluster_new(host, 1);
	assert_non_null(cluster);
	config = (struct kafka_config){.brokers = rd_kafka_mock_cluster_bootstraps(cluster), .partitions = 2, .slots = 8};
	assert_int_equal(rd_kafka_mock_topic_create(cluster, KAFKA_TOPIC_EVENTS, config.partitions, 1), 0);
	assert_int_equal(rd_kafka_mock_topic_create(cluster, KAFKA_TOPIC_SLOTS, config.slots, 1), 0);
	struct error_note note = {""};
	assert_int_equal(kafka_publish_log_create(&config, &producer, &note), ERROR_OK);
	assert_int_equal(producer->vtable->open(producer, SLOT, &note), ERROR_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	producer->vtable->close(producer);
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(host);
	return 0;
}

static enum error produce(struct ledger_ping *row, struct error_note *note)
{
	*row = (struct ledger_ping){.client = address_from_ipv4((const uint8_t[]){203, 0, 113, 7}),
				    .pinged_at_ms = 1728926331000};
	return producer->vtable->produce(producer, &(struct publish_record){1, 0}, row, 1, note);
}

static void a_batch_is_produced_and_committed(void **state)
{
	(void)state;
	struct error_note note = {""};
	struct ledger_ping row;
	assert_int_equal(produce(&row, &note), ERROR_OK);
	assert_true(row.position >= 0);
	assert_int_equal(producer->vtable->commit(producer, &note), ERROR_OK);
	assert_int_equal(producer->vtable->check(producer, &note), ERROR_OK);
}

/* The broker says that it has the event already, and not where: a repetition whose first reply was lost. */
static void an_acknowledgement_without_an_offset_aborts_the_batch(void **state)
{
	(void)state;
	struct error_note note = {""};
	struct ledger_ping row;
	rd_kafka_mock_push_request_errors(cluster, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER);
	assert_int_equal(produce(&row, &note), ERROR_UNAVAILABLE);
	assert_non_null(strstr(note.text, "without an offset"));
	assert_int_equal(producer->vtable->commit(producer, &note), ERROR_ABORTED);
	assert_int_equal(producer->vtable->abort(producer, &note), ERROR_OK);
	/* The mock never had the event that it called a repetition, and takes none after it. */
	assert_int_equal(producer->vtable->open(producer, SLOT, &note), ERROR_OK);
	assert_int_equal(produce(&row, &note), ERROR_OK);
	assert_int_equal(producer->vtable->commit(producer, &note), ERROR_OK);
}

static void after_a_lost_connection_nothing_is_begun_until_it_is_opened_anew(void **state)
{
	(void)state;
	struct error_note note = {""};
	struct ledger_ping row;
	rd_kafka_mock_broker_set_down(cluster, 1);
	int64_t deadline = client_deadline(WAIT_MS);
	while (producer->vtable->check(producer, &note) == ERROR_OK)
		assert_int_not_equal(client_remaining_ms(deadline), 0);
	rd_kafka_mock_broker_set_up(cluster, 1);
	assert_int_equal(produce(&row, &note), ERROR_UNAVAILABLE);
	assert_int_equal(producer->vtable->open(producer, SLOT, &note), ERROR_OK);
	assert_int_equal(producer->vtable->check(producer, &note), ERROR_OK);
	assert_int_equal(produce(&row, &note), ERROR_OK);
}

static rd_kafka_t *make_client(struct client_state *state)
{
	*state = (struct client_state){.config = &config};
	rd_kafka_t *client;
	struct error_note note;
	assert_int_equal(client_create(RD_KAFKA_PRODUCER, state, (const struct client_setting[]){{0}}, NULL, &client, &note),
			 ERROR_OK);
	return client;
}

static void a_partition_that_is_not_led_yet_is_waited_for(void **state)
{
	(void)state;
	struct error_note note = {""};
	struct client_state client_state;
	struct ledger_ping row;
	assert_int_equal(produce(&row, &note), ERROR_OK);
	assert_int_equal(producer->vtable->commit(producer, &note), ERROR_OK);
	rd_kafka_t *client = make_client(&client_state);
	int64_t start[2] = {-1, -1}, end[2] = {-1, -1};
	rd_kafka_mock_push_request_errors(cluster, API_LIST_OFFSETS, 2, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
					  RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
	assert_int_equal(topic_offsets(&client_state, client, KAFKA_TOPIC_EVENTS, config.partitions, TOPIC_END, end, &note),
			 ERROR_OK);
	assert_int_equal(topic_offsets(&client_state, client, KAFKA_TOPIC_EVENTS, config.partitions, TOPIC_START, start, &note),
			 ERROR_OK);
	assert_int_equal(start[0], 0);
	assert_int_equal(start[1], 0);
	assert_true(end[0] > 0 && end[1] > 0 && end[0] != end[1]); /* each has the sweep's, one of them the event, too */
	rd_kafka_destroy(client);
}

static void a_partitions_other_trouble_is_told_at_once(void **state)
{
	(void)state;
	struct error_note note = {""};
	struct client_state client_state;
	rd_kafka_t *client = make_client(&client_state);
	int64_t end[2];
	rd_kafka_mock_push_request_errors(cluster, API_LIST_OFFSETS, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	assert_int_equal(topic_offsets(&client_state, client, KAFKA_TOPIC_EVENTS, config.partitions, TOPIC_END, end, &note),
			 ERROR_FAILED_PRECONDITION);
	assert_non_null(strstr(note.text, "cannot find a partition's bounds: Broker: Topic authorization failed"));
	rd_kafka_destroy(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_batch_is_produced_and_committed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_acknowledgement_without_an_offset_aborts_the_batch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(after_a_lost_connection_nothing_is_begun_until_it_is_opened_anew, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_partition_that_is_not_led_yet_is_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_partitions_other_trouble_is_told_at_once, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
