/* Drives the Kafka adapter by words on stdin, for tests that kill and freeze what is around it. One command a line, answered by
 * lines of results and then one that begins with OK or ERROR.
 *
 * usage: kafka-tool BROKERS [epoch=N] [partitions=N] [slots=N] [NAME=VALUE]...
 */
#include "adapter/kafka/kafka.h"
#include "event/event.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_WORDS = 8, MAX_ROWS = 65536, MAX_SETTINGS = 32 };
#define FIRST_MS INT64_C(1728926331000)

struct tool {
	struct kafka_config config;
	const char *settings[MAX_SETTINGS];
	struct publish_log *log;
	struct log_reader *reader;     /* NULL: not opened yet */
	struct log_follower *follower; /* the same */
	struct ledger_ping *rows;
	size_t row_count; /* of the last produce */
};

static void answer(enum error error, const struct error_note *note)
{
	if (error == ERROR_OK)
		printf("OK\n");
	else
		printf("ERROR %s %s\n", error_name(error), note->text);
}

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Row number n is client n % 1000's ping at FIRST_MS + n; its id begins with "id" and has the number in text, so that it can be
 * read in what Kafka's own tools print. */
static void fill_rows(struct ledger_ping *rows, int64_t first, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int64_t number = first + (int64_t)i;
		const uint8_t ip[4] = {10, 1, (uint8_t)(number % 1000 / 256), (uint8_t)(number % 1000 % 256)};
		char id[17];
		snprintf(id, sizeof id, "id%014" PRId64, number);
		rows[i] = (struct ledger_ping){.client = address_from_ipv4(ip), .pinged_at_ms = FIRST_MS + number};
		memcpy(rows[i].id.bytes, id, sizeof rows[i].id.bytes);
	}
}

static void on_differs(void *context, const char *text)
{
	(void)context;
	printf("%s\n", text);
}

static void on_line(void *context, int level, const char *text)
{
	(void)context;
	fprintf(stderr, "librdkafka[%d]: %s\n", level, text);
}

static void do_produce(struct tool *tool, int64_t batch, int64_t first, size_t count)
{
	struct error_note note = {""};
	const struct publish_record record = {batch, batch - (batch > 0)};
	fill_rows(tool->rows, first, count);
	tool->row_count = count;
	enum error error = tool->log->vtable->produce(tool->log, &record, tool->rows, count, &note);
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		char key[ADDRESS_TEXT_SIZE];
		address_format(&tool->rows[i].client, key);
		printf("%d %" PRId64 " %s\n", event_partition(slice_from_string(key), tool->config.partitions),
		       tool->rows[i].position, key);
	}
	answer(error, &note);
}

/* `transactions` batches of `count` rows, from batch number `batch` on; microseconds a transaction. */
static void do_bench(struct tool *tool, int64_t batch, size_t transactions, size_t count)
{
	struct error_note note = {""};
	int64_t start = now_us();
	enum error error = ERROR_OK;
	for (size_t i = 0; i < transactions && error == ERROR_OK; i++) {
		fill_rows(tool->rows, (int64_t)(i * count), count);
		const struct publish_record record = {batch + (int64_t)i, batch + (int64_t)i - 1};
		error = tool->log->vtable->produce(tool->log, &record, tool->rows, count, &note);
		if (error == ERROR_OK)
			error = tool->log->vtable->commit(tool->log, &note);
	}
	if (error == ERROR_OK)
		printf("%" PRId64 "\n", (now_us() - start) / (int64_t)transactions);
	answer(error, &note);
}

/* ─── A reader of committed records, of its own ─────────────────────────────────────────────────────────────────────── */

/* Partition, the partition that its key belongs to, offset, key, value, header `id`. */
static void print_record(const struct tool *tool, const rd_kafka_message_t *message)
{
	rd_kafka_headers_t *headers = NULL;
	const void *id = "";
	size_t id_size = 0;
	if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_header_get_last(headers, "id", &id, &id_size);
	int32_t expected = event_partition(slice_make(message->key, message->key_len), tool->config.partitions);
	printf("%d %d %" PRId64 " %.*s %.*s ", message->partition, expected, message->offset, (int)message->key_len,
	       (const char *)message->key, (int)message->len, (const char *)message->payload);
	for (size_t i = 0; i < id_size; i++)
		printf("%02x", ((const uint8_t *)id)[i]);
	printf("\n");
}

static rd_kafka_t *open_reader(const struct tool *tool)
{
	char problem[200];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "bootstrap.servers", tool->config.brokers, problem, sizeof problem);
	rd_kafka_conf_set(conf, "group.id", "kafka-tool", problem, sizeof problem);
	rd_kafka_conf_set(conf, "isolation.level", "read_committed", problem, sizeof problem);
	rd_kafka_conf_set(conf, "enable.partition.eof", "true", problem, sizeof problem);
	rd_kafka_conf_set(conf, "fetch.wait.max.ms", "20", problem, sizeof problem);
	return rd_kafka_new(RD_KAFKA_CONSUMER, conf, problem, sizeof problem);
}

static void do_read(const struct tool *tool, const char *topic, int partitions)
{
	rd_kafka_t *reader = open_reader(tool);
	rd_kafka_topic_partition_list_t *where = rd_kafka_topic_partition_list_new(partitions);
	for (int i = 0; i < partitions; i++)
		rd_kafka_topic_partition_list_add(where, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_poll_set_consumer(reader);
	rd_kafka_assign(reader, where);
	rd_kafka_topic_partition_list_destroy(where);
	int64_t deadline_us = now_us() + INT64_C(60000000);
	for (int ended = 0; ended < partitions && now_us() < deadline_us;) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 100);
		if (message == NULL)
			continue;
		if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			ended++;
		else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
			print_record(tool, message);
		rd_kafka_message_destroy(message);
	}
	rd_kafka_destroy(reader);
	answer(now_us() < deadline_us ? ERROR_OK : ERROR_UNAVAILABLE, &(struct error_note){"no end in 60 s"});
}

/* ─── The engine's reader ───────────────────────────────────────────────────────────────────────────────────────────── */

/* "BATCH partition applied end", then a line for each event: position, client, pinged_at. Each is read again from nothing: the
 * memory lives until the next poll alone. */
static void print_event(const struct log_event *event)
{
	static const char *const names[] = {"IDLE", "ASSIGNED", "BATCH", "REVOKED", "LOST"};
	printf("%s %d %" PRId64 " %" PRId64 "\n", names[event->kind], event->partition, event->applied_position,
	       event->end_position);
	for (size_t i = 0; i < event->count; i++) {
		char client[ADDRESS_TEXT_SIZE];
		address_format(&event->events[i].client, client);
		printf("%" PRId64 " %s %" PRId64 "\n", event->events[i].position, client, event->events[i].pinged_at_ms);
	}
}

static void do_poll(struct tool *tool, int timeout_ms)
{
	struct error_note note = {""};
	struct log_event event;
	enum error error = tool->reader->vtable->poll(tool->reader, timeout_ms, &event, &note);
	if (error == ERROR_OK)
		print_event(&event);
	answer(error, &note);
}

/* Reads on until `count` events were read in all; microseconds. */
static void do_drain(struct tool *tool, size_t count)
{
	struct error_note note = {""};
	struct log_event event;
	size_t read = 0;
	enum error error = ERROR_OK;
	int64_t start = now_us();
	while (read < count && error == ERROR_OK) {
		error = tool->reader->vtable->poll(tool->reader, 1000, &event, &note);
		if (error == ERROR_OK && event.kind == LOG_ASSIGNED)
			error = tool->reader->vtable->seek(tool->reader, event.partition, POSITION_NONE, &note);
		read += error == ERROR_OK ? event.count : 0;
	}
	if (error == ERROR_OK)
		printf("%" PRId64 "\n", now_us() - start);
	answer(error, &note);
}

static void do_identity(struct tool *tool)
{
	struct error_note note = {""};
	uint8_t identity[16];
	enum error error = tool->reader->vtable->identity(tool->reader, identity, &note);
	for (size_t i = 0; i < sizeof identity && error == ERROR_OK; i++)
		printf("%02x%s", identity[i], i + 1 == sizeof identity ? "\n" : "");
	answer(error, &note);
}

static int64_t number_of(char *const *words, int index)
{
	return words[index] == NULL ? 0 : strtoll(words[index], NULL, 10);
}

/* ─── Who follows the log ───────────────────────────────────────────────────────────────────────────────────────────── */

/* One poll: "missed behind" as 0 or 1, then a line for each event. */
static enum error do_follow(struct tool *tool, const int64_t *until, struct error_note *note)
{
	struct follow_batch batch;
	enum error error = tool->follower->vtable->poll(tool->follower, until, &batch, note);
	if (error != ERROR_OK)
		return error;
	printf("%d %d\n", batch.missed, batch.behind);
	for (size_t i = 0; i < batch.count; i++) {
		char client[ADDRESS_TEXT_SIZE];
		address_format(&batch.events[i].client, client);
		printf("%" PRId64 " %s %" PRId64 "\n", batch.events[i].position, client, batch.events[i].pinged_at_ms);
	}
	return ERROR_OK;
}

/* A position for each partition, or one for all. */
static void obey_follower(struct tool *tool, char *const *words)
{
	struct error_note note = {""};
	const char *command = words[0];
	int64_t positions[KAFKA_PARTITIONS];
	for (int i = 0; i < KAFKA_PARTITIONS; i++)
		positions[i] = number_of(words, words[2] == NULL ? 1 : i + 1);
	enum error error = tool->follower != NULL ? ERROR_OK : kafka_follower_open(&tool->config, &tool->follower, &note);
	if (error == ERROR_OK && strcmp(command, "follow") == 0)
		error = do_follow(tool, positions, &note);
	else if (error == ERROR_OK)
		tool->follower->vtable->skip(tool->follower, positions);
	answer(error, &note);
}

/* ─── Commands ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void do_newest(struct tool *tool)
{
	struct error_note note = {""};
	struct publish_record record;
	enum error error = tool->log->vtable->newest(tool->log, &record, &note);
	if (error == ERROR_OK)
		printf("%" PRId64 " %" PRId64 "\n", record.batch, record.after);
	answer(error, &note);
}

/* Which of the rows that the last produce made are where it said: a line each, 1 or 0. */
static void do_find(struct tool *tool)
{
	struct error_note note = {""};
	enum error error = tool->log->vtable->find(tool->log, tool->rows, tool->row_count, &note);
	for (size_t i = 0; i < tool->row_count && error == ERROR_OK; i++)
		printf("%d\n", tool->rows[i].position >= 0);
	answer(error, &note);
}

static void obey_reader(struct tool *tool, char *const *words)
{
	struct error_note note = {""};
	const char *command = words[0];
	enum error error = tool->reader != NULL ? ERROR_OK : kafka_log_open(&tool->config, &tool->reader, &note);
	if (error != ERROR_OK)
		answer(error, &note);
	else if (strcmp(command, "poll") == 0)
		do_poll(tool, (int)number_of(words, 1));
	else if (strcmp(command, "drain") == 0)
		do_drain(tool, (size_t)number_of(words, 1));
	else if (strcmp(command, "seek") == 0)
		answer(tool->reader->vtable->seek(tool->reader, (int32_t)number_of(words, 1), number_of(words, 2), &note), &note);
	else if (strcmp(command, "store") == 0)
		answer(tool->reader->vtable->commit(tool->reader, (int32_t)number_of(words, 1), number_of(words, 2), &note),
		       &note);
	else if (strcmp(command, "identity") == 0)
		do_identity(tool);
	else
		printf("ERROR UNIMPLEMENTED %s\n", command);
}

static void obey(struct tool *tool, char *const *words)
{
	struct error_note note = {""};
	const char *command = words[0];
	if (strcmp(command, "check") == 0)
		answer(kafka_config_check(&tool->config, &note), &note);
	else if (strcmp(command, "topics") == 0)
		answer(kafka_topics_ensure(&tool->config, on_differs, NULL, &note), &note);
	else if (strcmp(command, "open") == 0)
		answer(tool->log->vtable->open(tool->log, (int32_t)number_of(words, 1), &note), &note);
	else if (strcmp(command, "newest") == 0)
		do_newest(tool);
	else if (strcmp(command, "find") == 0)
		do_find(tool);
	else if (strcmp(command, "alive") == 0)
		answer(tool->log->vtable->check(tool->log, &note), &note);
	else if (strcmp(command, "produce") == 0)
		do_produce(tool, number_of(words, 1), number_of(words, 2), (size_t)number_of(words, 3) % (MAX_ROWS + 1));
	else if (strcmp(command, "commit") == 0)
		answer(tool->log->vtable->commit(tool->log, &note), &note);
	else if (strcmp(command, "abort") == 0)
		answer(tool->log->vtable->abort(tool->log, &note), &note);
	else if (strcmp(command, "bench") == 0)
		do_bench(tool, number_of(words, 1), (size_t)number_of(words, 2), (size_t)number_of(words, 3) % (MAX_ROWS + 1));
	else if (strcmp(command, "read") == 0)
		do_read(tool, words[1], (int)number_of(words, 2));
	else if (strcmp(command, "follow") == 0 || strcmp(command, "skip") == 0)
		obey_follower(tool, words);
	else
		obey_reader(tool, words);
}

static bool take_argument(struct tool *tool, const char *argument)
{
	if (sscanf(argument, "epoch=%d", &tool->config.log_epoch) == 1 ||
	    sscanf(argument, "partitions=%d", &tool->config.partitions) == 1 ||
	    sscanf(argument, "slots=%d", &tool->config.slots) == 1)
		return true;
	if (tool->config.setting_count == MAX_SETTINGS)
		return false;
	tool->settings[tool->config.setting_count++] = argument;
	return true;
}

int main(int argc, char **argv)
{
	static struct tool tool;
	tool.config = (struct kafka_config){
		.settings = tool.settings, .partitions = KAFKA_PARTITIONS, .slots = KAFKA_SLOTS, .observer.line = on_line};
	struct error_note note = {""};
	if (argc < 2)
		return 2;
	tool.config.brokers = argv[1];
	for (int i = 2; i < argc; i++)
		if (!take_argument(&tool, argv[i]))
			return 2;
	tool.rows = calloc(MAX_ROWS, sizeof *tool.rows);
	enum error error = kafka_publish_log_create(&tool.config, &tool.log, &note);
	answer(error, &note);
	fflush(stdout);
	char line[1000];
	while (error == ERROR_OK && fgets(line, sizeof line, stdin) != NULL) {
		char *words[MAX_WORDS + 1] = {NULL}, *rest = line;
		for (int i = 0; i < MAX_WORDS && (words[i] = strtok_r(rest, " \n", &rest)) != NULL; i++)
			continue;
		if (words[0] != NULL)
			obey(&tool, words);
		fflush(stdout);
	}
	if (tool.reader != NULL)
		tool.reader->vtable->close(tool.reader);
	if (tool.follower != NULL)
		tool.follower->vtable->close(tool.follower);
	if (error == ERROR_OK)
		tool.log->vtable->close(tool.log);
	free(tool.rows);
	return error == ERROR_OK ? 0 : 1;
}
