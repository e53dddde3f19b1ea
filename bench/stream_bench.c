/* The stream's way from Kafka to rows, measured in steps; one JSON line each. The topic must be there, its partitions as
 * configured.
 *
 *   produce   events as publishers write them, in transactions of 50,000: a random client's each, their times spread over the
 * span read      librdkafka alone reads them all, its call for many records at once, and looks at none decode    pingd's reader:
 * the same, and an address and a time of each, in its own partition engine    reader, stream and engine together, over a store in
 * which there is nothing and which keeps nothing
 *
 * usage: stream_bench BROKERS produce|read|decode|engine EVENTS [CLIENTS [SPAN_S]]
 */
#include "adapter/kafka/kafka.h"
#include "app/allocator.h"
#include "event/event.h"
#include "port/positions.h"
#include "stream/stream.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	TRANSACTION = 50000,
	MANY = 4096,
	MANY_WAIT_MS = 50, /* it waits so long for all of the many, so the last call does */
	STEP_WAIT_MS = 1000,
	SILENCES = 1200, /* of those waits, then nothing is taken to come any more */
	WAIT_MS = 60000,
};

struct bench {
	const char *brokers;
	size_t events;
	uint32_t clients;
	int64_t span_ms;
};

/* ─── Figures ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* From the first record on: what a group takes to form is no part of it. */
struct stopwatch {
	double begin_s, begin_cpu_s;
};

static double seconds_of(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void begin(struct stopwatch *watch)
{
	*watch = (struct stopwatch){seconds_of(CLOCK_MONOTONIC), seconds_of(CLOCK_PROCESS_CPUTIME_ID)};
}

static void tell(const struct stopwatch *watch, const char *what, size_t events)
{
	double took_s = seconds_of(CLOCK_MONOTONIC) - watch->begin_s,
	       cpu_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - watch->begin_cpu_s;
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"what\":\"%s\",\"events\":%zu,\"seconds\":%.3f,\"events_per_second\":%.0f,\"cpu_ns_per_event\":%.0f,"
	       "\"rss_mb\":%ld,\"memory\":\"%s\"}\n",
	       what, events, took_s, (double)events / took_s, cpu_s / (double)events * 1e9, usage.ru_maxrss / 1024,
	       allocator_text());
}

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "stream_bench: %s: %s\n", what, why);
	return 1;
}

/* ─── produce ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static rd_kafka_t *open_client(const struct bench *bench, rd_kafka_type_t type, const char *const settings[][2])
{
	char problem[200];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "bootstrap.servers", bench->brokers, problem, sizeof problem);
	for (; (*settings)[0] != NULL; settings++)
		if (rd_kafka_conf_set(conf, (*settings)[0], (*settings)[1], problem, sizeof problem) != RD_KAFKA_CONF_OK)
			fail((*settings)[0], problem);
	rd_kafka_t *client = rd_kafka_new(type, conf, problem, sizeof problem);
	if (client == NULL)
		fail("no client", problem);
	return client;
}

static struct event event_of(const struct bench *bench, size_t number, int64_t first_ms, struct random *random)
{
	uint64_t n = random_below(random, bench->clients);
	const uint8_t ip[4] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	return (struct event){.client = address_from_ipv4(ip),
			      .pinged_at_ms =
				      first_ms + (int64_t)((double)number / (double)bench->events * (double)bench->span_ms)};
}

static rd_kafka_resp_err_t produce_event(rd_kafka_t *client, const struct event *event, struct random *random)
{
	struct event_record record;
	uint8_t id[16];
	event_encode(event, &record);
	random_fill(random, id, sizeof id);
	return rd_kafka_producev(client, RD_KAFKA_V_TOPIC(KAFKA_TOPIC_EVENTS),
				 RD_KAFKA_V_PARTITION(event_partition(slice_make(record.key, record.key_size), KAFKA_PARTITIONS)),
				 RD_KAFKA_V_KEY(record.key, record.key_size), RD_KAFKA_V_VALUE(record.value, record.value_size),
				 RD_KAFKA_V_HEADER("id", id, sizeof id),
				 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK), RD_KAFKA_V_END);
}

static rd_kafka_error_t *produce_transaction(const struct bench *bench, rd_kafka_t *client, size_t first, int64_t first_ms,
					     struct random *random)
{
	rd_kafka_error_t *error = rd_kafka_begin_transaction(client);
	for (size_t i = first; error == NULL && i < first + TRANSACTION && i < bench->events; i++) {
		const struct event event = event_of(bench, i, first_ms, random);
		rd_kafka_resp_err_t code = produce_event(client, &event, random);
		if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
			error = rd_kafka_error_new(code, "%s", rd_kafka_err2str(code));
	}
	return error == NULL ? rd_kafka_commit_transaction(client, WAIT_MS) : error;
}

static int produce(const struct bench *bench)
{
	static const char *const settings[][2] = {{"transactional.id", "stream-bench"}, {"linger.ms", "5"}, {NULL, NULL}};
	int64_t first_ms = (int64_t)time(NULL) * 1000 - bench->span_ms;
	struct random_seeded seeded;
	struct stopwatch watch;
	random_seeded_init(&seeded, 1);
	rd_kafka_t *client = open_client(bench, RD_KAFKA_PRODUCER, settings);
	if (client == NULL)
		return 1;
	rd_kafka_error_t *error = rd_kafka_init_transactions(client, WAIT_MS);
	begin(&watch);
	for (size_t done = 0; error == NULL && done < bench->events; done += TRANSACTION)
		error = produce_transaction(bench, client, done, first_ms, &seeded.random);
	if (error != NULL)
		return fail("produce", rd_kafka_error_string(error));
	tell(&watch, "produce", bench->events);
	rd_kafka_destroy(client);
	return 0;
}

/* ─── read ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static size_t count_records(rd_kafka_message_t **messages, ssize_t count)
{
	size_t records = 0;
	for (ssize_t i = 0; i < count; i++) {
		records += messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR;
		rd_kafka_message_destroy(messages[i]);
	}
	return records;
}

static int read_alone(const struct bench *bench)
{
	static const char *const settings[][2] = {{"group.id", "stream-bench"},
						  {"isolation.level", "read_committed"},
						  {"enable.auto.commit", "false"},
						  {NULL, NULL}};
	static rd_kafka_message_t *messages[MANY];
	struct stopwatch watch;
	rd_kafka_t *client = open_client(bench, RD_KAFKA_CONSUMER, settings);
	if (client == NULL)
		return 1;
	rd_kafka_topic_partition_list_t *where = rd_kafka_topic_partition_list_new(KAFKA_PARTITIONS);
	for (int i = 0; i < KAFKA_PARTITIONS; i++)
		rd_kafka_topic_partition_list_add(where, KAFKA_TOPIC_EVENTS, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(client, where);
	rd_kafka_topic_partition_list_destroy(where);
	rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
	size_t read = 0;
	for (int silences = 0; read < bench->events && silences < SILENCES;) {
		ssize_t count = rd_kafka_consume_batch_queue(queue, MANY_WAIT_MS, messages, MANY);
		silences = count > 0 ? 0 : silences + 1;
		if (read == 0)
			begin(&watch);
		read += count_records(messages, count);
	}
	if (read < bench->events)
		return fail("read", "nothing came for a minute");
	tell(&watch, "read", read);
	rd_kafka_queue_destroy(queue);
	rd_kafka_consumer_close(client);
	rd_kafka_destroy(client);
	return 0;
}

/* ─── decode ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error open_reader(const struct bench *bench, struct log_reader **ret_reader, struct error_note *note)
{
	static char group[64];
	snprintf(group, sizeof group, "ping-metrics-bench-%ld-%ld", (long)time(NULL), (long)getpid());
	const struct kafka_config config = {
		.brokers = bench->brokers, .partitions = KAFKA_PARTITIONS, .slots = KAFKA_SLOTS, .group = group};
	return kafka_log_open(&config, ret_reader, note);
}

static int decode(const struct bench *bench)
{
	struct error_note note = {""};
	struct log_reader *reader;
	struct log_event event;
	struct stopwatch watch;
	enum error error = open_reader(bench, &reader, &note);
	for (size_t read = 0; error == ERROR_OK && read < bench->events;) {
		error = reader->vtable->poll(reader, WAIT_MS, &event, &note);
		if (error == ERROR_OK && event.kind == LOG_ASSIGNED)
			error = reader->vtable->seek(reader, event.partition, POSITION_NONE, &note);
		if (error != ERROR_OK || event.kind != LOG_BATCH)
			continue;
		if (read == 0)
			begin(&watch);
		read += event.count;
	}
	if (error != ERROR_OK)
		return fail("decode", note.text);
	tell(&watch, "decode", bench->events);
	reader->vtable->close(reader);
	return 0;
}

/* ─── engine ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error nothing_take(struct store *store, int32_t partition, const uint8_t log_identity[16], int64_t *ret_position,
			       struct error_note *note)
{
	(void)store, (void)partition, (void)log_identity, (void)note;
	*ret_position = POSITION_NONE;
	return ERROR_OK;
}

static enum error nothing_read_windows(struct store *store, struct window_row *rows, size_t count, struct error_note *note)
{
	(void)store, (void)note;
	for (size_t i = 0; i < count; i++)
		rows[i].count = 0;
	return ERROR_OK;
}

static enum error nothing_read_days(struct store *store, struct day_row *rows, size_t count, struct error_note *note)
{
	(void)store, (void)note;
	for (size_t i = 0; i < count; i++)
		rows[i].total = 0;
	return ERROR_OK;
}

static enum error nothing_read_clients(struct store *store, const struct address *clients, size_t count, int64_t start_ms,
				       void (*visit)(void *context, const struct address *client, const struct client_row *row,
						     const struct window_row *windows, size_t window_count),
				       void *context, struct error_note *note)
{
	(void)store, (void)start_ms, (void)note;
	for (size_t i = 0; i < count; i++)
		visit(context, &clients[i], NULL, NULL, 0);
	return ERROR_OK;
}

static enum error nothing_list_due(struct store *store, int32_t partition, int64_t now_ms, struct address *ret_clients,
				   size_t max, size_t *ret_count, struct error_note *note)
{
	(void)store, (void)partition, (void)now_ms, (void)ret_clients, (void)max, (void)note;
	*ret_count = 0;
	return ERROR_OK;
}

static enum error nothing_write(struct store *store, int32_t partition, const struct engine_dirty *dirty, int64_t position,
				struct error_note *note)
{
	(void)store, (void)partition, (void)dirty, (void)position, (void)note;
	return ERROR_OK;
}

static enum error nothing_prune(struct store *store, int64_t before_ms, size_t max, size_t *ret_removed, struct error_note *note)
{
	(void)store, (void)before_ms, (void)max, (void)note;
	*ret_removed = 0;
	return ERROR_OK;
}

static const struct store_vtable nothing_vtable = {
	.take = nothing_take,
	.read_windows = nothing_read_windows,
	.read_days = nothing_read_days,
	.read_clients = nothing_read_clients,
	.list_due = nothing_list_due,
	.write = nothing_write,
	.prune_windows = nothing_prune,
};

static int engine(const struct bench *bench)
{
	struct error_note note = {""};
	struct store store = {.vtable = &nothing_vtable};
	struct log_reader *reader;
	struct stream *stream;
	struct stream_status status = {0};
	struct stopwatch watch;
	enum error error = open_reader(bench, &reader, &note);
	if (error != ERROR_OK)
		return fail("engine", note.text);
	const struct stream_ports ports = {.log = reader, .store = &store, .clock = clock_system(), .random = random_system()};
	error = stream_create(&(struct stream_config){0}, &ports, &stream, &note);
	while (error == ERROR_OK && status.engine.applied < bench->events) {
		bool first = status.engine.applied == 0;
		error = stream_step(stream, STEP_WAIT_MS, &note);
		stream_status(stream, &status);
		if (first && status.engine.applied > 0)
			begin(&watch);
	}
	if (error == ERROR_OK)
		error = stream_flush(stream, &note);
	if (error != ERROR_OK)
		return fail("engine", note.text);
	tell(&watch, "engine", status.engine.applied);
	stream_destroy(stream);
	reader->vtable->close(reader);
	return 0;
}

/* ─── main ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct bench *bench);
	} steps[] = {{"produce", produce}, {"read", read_alone}, {"decode", decode}, {"engine", engine}};
	if (argc >= 4 && argc <= 6) {
		const struct bench bench = {.brokers = argv[1],
					    .events = strtoull(argv[3], NULL, 10),
					    .clients = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 10000,
					    .span_ms = (argc > 5 ? strtoll(argv[5], NULL, 10) : 3600) * 1000};
		for (size_t i = 0; bench.events > 0 && bench.clients > 0 && i < sizeof steps / sizeof *steps; i++)
			if (strcmp(argv[2], steps[i].name) == 0)
				return steps[i].run(&bench);
	}
	fprintf(stderr, "usage: stream_bench BROKERS produce|read|decode|engine EVENTS [CLIENTS [SPAN_S]]\n");
	return 2;
}
