/* An engine of nothing but its log, for tests that kill it: it keeps in a file how far it has read each partition, and which
 * number the last event there had. Numbers of a partition's events follow one another, so an event that is passed over is seen at
 * the next one.
 *
 * usage: kafka-log-storm write BROKERS COUNT PAUSE_MS   at most COUNT events to each partition, in small transactions; says how
 * many kafka-log-storm read BROKERS FILE PAUSE_MS     until an event is missing Both end in order at SIGTERM. PAUSE_MS: behind
 * each transaction or batch.
 */
#include "adapter/kafka/kafka.h"
#include "event/event.h"

#include <fcntl.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PARTITIONS = 6, BATCH = 10, POLL_MS = 50, RETAKE_MS = 1000 };
#define FIRST_MS INT64_C(1728926331000)

/* ─── What is kept, by whom ─────────────────────────────────────────────────────────────────────────────────────────── */

struct place {
	int64_t position, number; /* of the last event */
};
struct row {
	struct place places[2];
	volatile uint64_t generation; /* places[generation % 2] counts */
	volatile uint64_t owner;
};
struct reader {
	struct row *rows;
	int file;
	uint64_t self;
	struct log_reader *log;
	bool ours[PARTITIONS], assigned[PARTITIONS];
	int64_t retake_at_ms[PARTITIONS];
	struct place at[PARTITIONS];
};

static volatile sig_atomic_t ends;

static void on_signal(int signal_number)
{
	(void)signal_number;
	ends = 1;
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct place take(struct reader *reader, int partition)
{
	struct row *row = &reader->rows[partition];
	flock(reader->file, LOCK_EX);
	row->owner = reader->self;
	struct place place = row->places[row->generation % 2];
	flock(reader->file, LOCK_UN);
	return place;
}

static bool save(struct reader *reader, int partition)
{
	struct row *row = &reader->rows[partition];
	flock(reader->file, LOCK_EX);
	bool ours = row->owner == reader->self;
	if (ours) {
		row->places[(row->generation + 1) % 2] = reader->at[partition];
		__sync_synchronize();
		row->generation++;
	}
	flock(reader->file, LOCK_UN);
	return ours;
}

/* ─── Reading ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void say(const char *what, int partition, const struct place *place)
{
	printf("%" PRId64 " %d %s %d position %" PRId64 " number %" PRId64 "\n", now_ms(), (int)getpid(), what, partition,
	       place->position, place->number);
	fflush(stdout);
}

static void begin(struct reader *reader, int partition)
{
	struct error_note note = {""};
	reader->at[partition] = take(reader, partition);
	reader->ours[partition] = false;
	enum error error = reader->log->vtable->seek(reader->log, partition, reader->at[partition].position, &note);
	if (error != ERROR_OK) {
		printf("seek %d: %s\n", partition, note.text);
		reader->retake_at_ms[partition] = now_ms() + 100;
		return;
	}
	reader->ours[partition] = true;
	say("begin", partition, &reader->at[partition]);
}

static void check_batch(struct reader *reader, const struct log_event *event)
{
	int partition = event->partition;
	struct place *at = &reader->at[partition];
	for (size_t i = 0; i < event->count; i++) {
		int64_t number = event->events[i].pinged_at_ms - FIRST_MS;
		if (number <= at->number) {
			say("AGAIN", partition, at);
			continue;
		}
		if (number != at->number + 1) {
			say("MISSING behind", partition, at);
			printf("next is number %" PRId64 " at %" PRId64 ", applied %" PRId64 ", end %" PRId64 "\n", number,
			       event->events[i].position, event->applied_position, event->end_position);
			fflush(stdout);
			_exit(3);
		}
		at->number = number;
	}
	at->position = event->applied_position;
}

static void handle(struct reader *reader, const struct log_event *event)
{
	int partition = event->partition;
	switch (event->kind) {
	case LOG_IDLE:
		return;
	case LOG_ASSIGNED:
		reader->assigned[partition] = true;
		do
			begin(reader, partition);
		while (!reader->ours[partition]);
		return;
	case LOG_BATCH:
		if (!reader->ours[partition])
			return;
		check_batch(reader, event);
		if (!save(reader, partition)) {
			say("fenced", partition, &reader->at[partition]);
			reader->ours[partition] = false;
			reader->retake_at_ms[partition] = now_ms() + RETAKE_MS;
		}
		return;
	case LOG_REVOKED:
	case LOG_LOST:
		say(event->kind == LOG_LOST ? "lost" : "revoked", partition, &reader->at[partition]);
		reader->ours[partition] = reader->assigned[partition] = false;
	}
}

static int read_all(const struct kafka_config *config, const char *path, int pause_ms)
{
	struct reader reader = {.file = open(path, O_RDWR | O_CREAT, 0600), .self = (uint64_t)getpid()};
	struct error_note note = {""};
	size_t size = PARTITIONS * sizeof(struct row);
	if (reader.file < 0 || ftruncate(reader.file, (off_t)size) != 0)
		return 1;
	reader.rows = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, reader.file, 0);
	for (int i = 0; i < PARTITIONS; i++)
		if (reader.rows[i].generation == 0) {
			reader.rows[i].places[0] = reader.rows[i].places[1] = (struct place){POSITION_NONE, -1};
			reader.rows[i].generation = 2;
		}
	if (kafka_log_open(config, &reader.log, &note) != ERROR_OK)
		return 1;
	while (!ends) {
		struct log_event event = {.kind = LOG_IDLE};
		enum error error = reader.log->vtable->poll(reader.log, POLL_MS, &event, &note);
		if (error != ERROR_OK)
			printf("%" PRId64 " %d poll: %s\n", now_ms(), (int)getpid(), note.text);
		else
			handle(&reader, &event);
		for (int i = 0; i < PARTITIONS; i++)
			if (reader.assigned[i] && !reader.ours[i] && now_ms() >= reader.retake_at_ms[i])
				begin(&reader, i);
		if (pause_ms > 0 && event.kind == LOG_BATCH)
			usleep((useconds_t)pause_ms * 1000);
	}
	reader.log->vtable->close(reader.log);
	return 0;
}

/* ─── Writing ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct address client_of(int partition)
{
	for (uint8_t i = 1;; i++) {
		const uint8_t ip[4] = {10, 1, 0, i};
		struct address client = address_from_ipv4(ip);
		char key[ADDRESS_TEXT_SIZE];
		size_t size = address_format(&client, key);
		if (event_partition(slice_make(key, size), PARTITIONS) == partition)
			return client;
	}
}

static bool put(rd_kafka_t *client, int partition, int64_t number)
{
	static struct address clients[PARTITIONS];
	static bool known;
	for (int i = 0; !known && i < PARTITIONS; i++)
		clients[i] = client_of(i);
	known = true;
	struct event event = {clients[partition], FIRST_MS + number};
	struct event_record record;
	event_encode(&event, &record);
	return rd_kafka_producev(client, RD_KAFKA_V_TOPIC("raw-pings"), RD_KAFKA_V_PARTITION(partition),
				 RD_KAFKA_V_KEY(record.key, record.key_size), RD_KAFKA_V_VALUE(record.value, record.value_size),
				 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* One transaction; false: it was aborted, or nobody knows. */
static bool write_batch(rd_kafka_t *client, int64_t first, int count)
{
	rd_kafka_error_t *error = rd_kafka_begin_transaction(client);
	bool ok = error == NULL;
	for (int i = 0; ok && i < count; i++)
		for (int partition = 0; ok && partition < PARTITIONS; partition++)
			ok = put(client, partition, first + i);
	while (ok && (error = rd_kafka_commit_transaction(client, 20000)) != NULL && rd_kafka_error_is_retriable(error))
		rd_kafka_error_destroy(error);
	if (error == NULL && ok)
		return true;
	fprintf(stderr, "transaction: %s\n", error == NULL ? "?" : rd_kafka_error_string(error));
	bool aborts = error != NULL && rd_kafka_error_txn_requires_abort(error);
	if (error != NULL)
		rd_kafka_error_destroy(error);
	if (!aborts)
		exit(4);
	while ((error = rd_kafka_abort_transaction(client, 20000)) != NULL) {
		if (!rd_kafka_error_is_retriable(error))
			exit(4);
		rd_kafka_error_destroy(error);
	}
	return false;
}

static int write_all(const char *brokers, int64_t count, int pause_ms)
{
	char text[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof text);
	rd_kafka_conf_set(conf, "transactional.id", "storm", text, sizeof text);
	rd_kafka_conf_set(conf, "linger.ms", "0", text, sizeof text);
	rd_kafka_conf_set(conf, "transaction.timeout.ms", "60000", text, sizeof text);
	rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
	if (client == NULL || rd_kafka_init_transactions(client, 30000) != NULL)
		return 1;
	int64_t first = 0;
	while (!ends && first < count) {
		int batch = 1 + rand() % BATCH;
		if (write_batch(client, first, batch))
			first += batch;
		usleep((useconds_t)pause_ms * 1000);
	}
	printf("%" PRId64 "\n", first);
	rd_kafka_destroy(client);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const settings[] = {"heartbeat.interval.ms=100"}; /* by which members hear of a rebalance */
	const struct kafka_config config = {.brokers = argc > 2 ? argv[2] : NULL,
					    .partitions = PARTITIONS,
					    .slots = 32,
					    .settings = settings,
					    .setting_count = 1};
	if (argc != 5)
		return 64;
	signal(SIGTERM, on_signal);
	return strcmp(argv[1], "read") == 0 ? read_all(&config, argv[3], atoi(argv[4]))
					    : write_all(argv[2], atoll(argv[3]), atoi(argv[4]));
}
