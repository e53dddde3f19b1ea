/* The contract of logs on a real Kafka, with one partition. The topic is made anew for each test.
 *
 * usage: kafka-log-contract BROKERS
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/kafka/kafka.h"
#include "contract/log_contract.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

enum { WAIT_MS = 60000, STEP_MS = 100, SETTLE_MS = 300, MAX_ROWS = 20000 };

static struct kafka_config config = {.partitions = 1, .slots = 1};
static struct publish_log *publisher;
static struct ledger_ping *rows;
static int64_t batch;
static rd_kafka_t *admin;

static void assert_ok(enum error error, const struct error_note *note)
{
	if (error != ERROR_OK)
		fail_msg("%s: %s", error_name(error), note->text);
}

static void delete_topic(void)
{
	rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(KAFKA_TOPIC_EVENTS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(admin);
	rd_kafka_DeleteTopics(admin, &topic, 1, NULL, queue);
	rd_kafka_event_destroy(rd_kafka_queue_poll(queue, WAIT_MS));
	rd_kafka_queue_destroy(queue);
	rd_kafka_DeleteTopic_destroy(topic);
}

/* It is there, empty, and has a leader that knows it. */
static bool is_new(void)
{
	int64_t low = -1, high = -1;
	return kafka_topics_ensure(&config, NULL, NULL, NULL) == ERROR_OK &&
	       rd_kafka_query_watermark_offsets(admin, KAFKA_TOPIC_EVENTS, 0, &low, &high, WAIT_MS) ==
		       RD_KAFKA_RESP_ERR_NO_ERROR &&
	       high == 0;
}

static void make_topic(void)
{
	delete_topic();
	for (int waited_ms = 0; !is_new(); waited_ms += STEP_MS) {
		if (waited_ms >= WAIT_MS)
			fail_msg("the topic does not become new");
		rd_kafka_poll(admin, STEP_MS);
	}
}

static void open_reader(struct log_contract *contract)
{
	struct error_note note = {""};
	assert_ok(kafka_log_open(&config, &contract->log, &note), &note);
}

static void begin(struct log_contract *contract)
{
	struct error_note note = {""};
	make_topic();
	assert_ok(kafka_publish_log_create(&config, &publisher, &note), &note);
	assert_ok(publisher->vtable->open(publisher, 0, &note), &note);
	open_reader(contract);
}

static void end(struct log_contract *contract)
{
	contract->log->vtable->close(contract->log);
	publisher->vtable->close(publisher);
}

static void append(struct log_contract *contract, const struct address *client, int64_t first_ms, int64_t received_ms,
		   size_t count)
{
	(void)contract;
	(void)received_ms;
	struct error_note note = {""};
	assert_true(count <= MAX_ROWS);
	for (size_t i = 0; i < count; i++)
		rows[i] = (struct ledger_ping){.id.bytes = {1}, .client = *client, .pinged_at_ms = first_ms + (int64_t)i};
	const struct publish_record record = {.batch = batch + 1, .after = batch};
	batch++;
	assert_ok(publisher->vtable->produce(publisher, &record, rows, count, &note), &note);
	assert_ok(publisher->vtable->commit(publisher, &note), &note);
}

static void reopen(struct log_contract *contract)
{
	contract->log->vtable->close(contract->log);
	open_reader(contract);
}

static void replace(struct log_contract *contract)
{
	end(contract);
	begin(contract);
}

int main(int argc, char **argv)
{
	struct log_contract contract = {.begin = begin,
					.end = end,
					.append = append,
					.reopen = reopen,
					.replace = replace,
					.own_clock = true,
					.settle_ms = SETTLE_MS};
	char problem[200];
	if (argc != 2)
		return 2;
	config.brokers = argv[1];
	rows = calloc(MAX_ROWS, sizeof *rows);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], problem, sizeof problem);
	admin = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, sizeof problem);
	int failed = admin == NULL || rows == NULL ? 1 : log_contract_run(&contract);
	rd_kafka_destroy(admin);
	free(rows);
	return failed;
}
