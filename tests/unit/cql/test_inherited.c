/* On a real server: tables that somebody filled after the RFC, and a log that holds all, a part or nothing of what they counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/cql/cql.h"
#include "unit/cql/engines.h"
#include "unit/cql/server.h"

#include <inttypes.h>
#include <stdio.h>

enum { MAX_ENGINES = 8, MAX_STEPS = 3000 };
#define DAY_START_MS INT64_C(1728864000000) /* 2024-10-14 */
#define HOUR_MS	     INT64_C(3600000)

/* A ledger that knows these sums. */
struct known_sums {
	struct rebuild_source source;
	const struct ledger_sum *sums;
	size_t count, next;
	int32_t partition;
};

static struct cql_config *config;
static struct fake_log fake_log;
static struct random_seeded seeded;
static struct known_sums ledger;
static struct engine_process engines[MAX_ENGINES];
static size_t engine_count;

static struct address client(int number)
{
	const uint8_t bytes[4] = {10, 0, 0, (uint8_t)number};
	return address_from_ipv4(bytes);
}

static int32_t partition_of(const struct address *address, int32_t partition_count)
{
	return address->bytes[15] % partition_count;
}

/* ─── The ledger ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error begin(struct rebuild_source *source, const struct rebuild_request *request, int64_t position,
			struct error_note *note)
{
	(void)position;
	(void)note;
	((struct known_sums *)source)->next = 0;
	((struct known_sums *)source)->partition = request->partition;
	return ERROR_OK;
}

static enum error next(struct rebuild_source *source, struct ledger_sum *ret_sum, struct error_note *note)
{
	struct known_sums *self = (struct known_sums *)source;
	(void)note;
	while (self->next < self->count && partition_of(&self->sums[self->next].client, ENGINES_PARTITIONS) != self->partition)
		self->next++;
	if (self->next == self->count)
		return ERROR_END;
	*ret_sum = self->sums[self->next++];
	return ERROR_OK;
}

static void end(struct rebuild_source *source)
{
	(void)source;
}

/* ─── Engines ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct engine_process *start_engine(void)
{
	static const struct rebuild_source_vtable ledger_calls = {begin, next, end, end};
	struct engine_process *engine = &engines[engine_count++];
	struct store *store;
	assert_true(engine_count <= MAX_ENGINES);
	ledger.source.vtable = &ledger_calls;
	const struct cql_store_config store_config = {
		.cql = config, .partition_count = ENGINES_PARTITIONS, .clock = server_clock(), .partition_of = partition_of};
	assert_int_equal(cql_store_open(&store_config, &store), ERROR_OK);
	engine_start(engine, &fake_log, store, &seeded.random, &ledger.source);
	return engine;
}

static void end_engines(void)
{
	for (size_t i = 0; i < engine_count; i++)
		engine_end(&engines[i]);
	engine_count = 0;
}

static void read_all(struct engine_process *engine)
{
	int steps = 0;
	for (; steps < MAX_STEPS && !engine_is_at_end(engine); steps++)
		engine_step(engine);
	assert_true(steps < MAX_STEPS);
	engine_step(engine);
	assert_int_equal(stream_flush(engine->stream, NULL), ERROR_OK);
}

/* Row -1, and each partition's. */
static void merge_all(struct engine_process *engine)
{
	int steps = 0;
	for (; steps < MAX_STEPS &&
	       server_number("SELECT count(*) FROM inherited.inherited_partitions", 0) < 1 + ENGINES_PARTITIONS;
	     steps++)
		engine_step(engine);
	assert_true(steps < MAX_STEPS);
	read_all(engine);
}

/* ─── What there is ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static int drop(void **state)
{
	(void)state;
	end_engines();
	server_run("DROP KEYSPACE IF EXISTS inherited");
	return 0;
}

static void put_window(int number, int64_t start_ms, int count, int average_ms)
{
	char text[400];
	snprintf(text, sizeof text,
		 "INSERT INTO inherited.window_stats (client_ip, window_start, window_end, ping_count, avg_interval_ms) VALUES"
		 " ('10.0.0.%d', %" PRId64 ", %" PRId64 ", %d, %d)",
		 number, start_ms, start_ms + WINDOW_MS, count, average_ms);
	server_run(text);
}

static void add_to_counter(int number, const char *day, int count)
{
	char text[300];
	snprintf(text, sizeof text,
		 "UPDATE inherited.daily_stats SET total_pings = total_pings + %d WHERE client_ip = '10.0.0.%d' AND day = '%s'",
		 count, number, day);
	server_run(text);
}

static void append(int number, int64_t start_ms, int count)
{
	struct address address = client(number);
	for (int i = 0; i < count; i++)
		fake_log_append(&fake_log, partition_of(&address, ENGINES_PARTITIONS), &address, start_ms + 200000 + 1000 * i,
				server_now_ms);
}

static void make_tables(void)
{
	server_run("CREATE KEYSPACE inherited WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}");
	server_run("CREATE TABLE inherited.window_stats (client_ip text, window_start timestamp, window_end timestamp,"
		   " ping_count int, avg_interval_ms double, PRIMARY KEY ((client_ip), window_start))"
		   " WITH CLUSTERING ORDER BY (window_start DESC)");
	server_run("CREATE TABLE inherited.daily_stats (client_ip text, day date, total_pings counter,"
		   " PRIMARY KEY ((client_ip), day)) WITH CLUSTERING ORDER BY (day DESC)");
}

static void migrate(void)
{
	struct error_note note = {""};
	const struct cql_migration migration = {.mode = CQL_MIGRATE_AUTO, .patience_ms = 120000};
	if (cql_migrate(config, &migration, NULL, &note) != ERROR_OK)
		fail_msg("%s", note.text);
}

#define FIRST_MS  (DAY_START_MS + HOUR_MS)     /* the log holds the end of it */
#define SECOND_MS (DAY_START_MS + 2 * HOUR_MS) /* nothing */
#define THIRD_MS  (DAY_START_MS + 3 * HOUR_MS) /* all, and more than was counted */

/* Clients 1 and 3 are of partition 1, client 2 of partition 0. */
static void make_rows_and_log(void)
{
	put_window(1, FIRST_MS, 10, 10000);
	put_window(1, SECOND_MS, 3, 2000);
	put_window(1, THIRD_MS, 2, 1000);
	add_to_counter(1, "2024-10-14", 25); /* windows of the day are gone already */
	put_window(2, FIRST_MS, 7, 1000);
	add_to_counter(2, "2024-10-14", 7);
	put_window(3, SECOND_MS, 4, 5000);
	add_to_counter(3, "2024-10-14", 4);
	add_to_counter(3, "2024-10-13", 50);

	fake_log_init(&fake_log);
	append(1, FIRST_MS, 6);
	fake_log_trim(&fake_log, 1, fake_log_end(&fake_log, 1)); /* what retention does */
	append(1, FIRST_MS, 4);
	append(1, THIRD_MS, 5);
	append(2, FIRST_MS, 7);
}

static int prepare(void **state)
{
	drop(state);
	server_now_ms = DAY_START_MS + 20 * HOUR_MS;
	random_seeded_init(&seeded, 3);
	ledger = (struct known_sums){0};
	make_tables();
	make_rows_and_log();
	migrate();
	return 0;
}

static int finish(void **state)
{
	end_engines();
	fake_log_release(&fake_log);
	return drop(state);
}

/* ─── What must be ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct store_reader *open_reader(void)
{
	struct store_reader *reader;
	assert_int_equal(cql_store_reader_open(server_url("inherited"), &reader, NULL), ERROR_OK);
	return reader;
}

static struct window_row window_of(int number, int64_t start_ms)
{
	struct store_reader *reader = open_reader();
	struct address address = client(number);
	struct window_row row = {0};
	size_t count = 0;
	assert_int_equal(reader->vtable->list_windows(reader, &address, start_ms, start_ms + 1, &row, 1, &count, NULL), ERROR_OK);
	reader->vtable->close(reader);
	return row;
}

static int64_t kept_in(int number, int64_t start_ms)
{
	char text[200];
	snprintf(text, sizeof text,
		 "SELECT cast(kept_count AS bigint) FROM inherited.window_stats WHERE client_ip = '10.0.0.%d' AND window_start = "
		 "%" PRId64,
		 number, start_ms);
	return server_number(text, 0);
}

/* Total and counter, which must agree. */
static int64_t total_of(int number, const char *day)
{
	char text[200];
	snprintf(text, sizeof text, "SELECT total_pings FROM inherited.daily_stats WHERE client_ip = '10.0.0.%d' AND day = '%s'",
		 number, day);
	int64_t counter = server_number(text, 0);
	snprintf(text, sizeof text, "SELECT total FROM inherited.daily_totals WHERE client_ip = '10.0.0.%d' AND day = '%s'",
		 number, day);
	assert_int_equal(server_number(text, -1), counter);
	return counter;
}

static void assert_window(int number, int64_t start_ms, int64_t count, int64_t kept)
{
	struct window_row row = window_of(number, start_ms);
	assert_int_equal(row.count, count);
	assert_int_equal(kept_in(number, start_ms), kept);
	assert_true(row.position >= 0);
	assert_true(row.first_ms >= start_ms && row.last_ms < start_ms + WINDOW_MS);
}

static void assert_merged(int late)
{
	assert_window(1, FIRST_MS, 10 + late, 6);
	assert_window(1, SECOND_MS, 3, 3);
	assert_window(1, THIRD_MS, 5, 0);
	assert_int_equal(total_of(1, "2024-10-14"), 25 + late);
	assert_window(2, FIRST_MS, 7, 0);
	assert_int_equal(total_of(2, "2024-10-14"), 7);
	assert_window(3, SECOND_MS, 4 + late, 4);
	assert_int_equal(total_of(3, "2024-10-14"), 4 + late);
	assert_int_equal(total_of(3, "2024-10-13"), 50);
}

static void assert_clients(void)
{
	const struct store_client_page page = {.order = STORE_ORDER_CLIENT_IP, .now_ms = server_now_ms, .max = 5};
	struct store_reader *reader = open_reader();
	struct store_client found[5];
	size_t count = 0;
	assert_int_equal(reader->vtable->list_clients(reader, &page, found, &count, NULL), ERROR_OK);
	assert_int_equal(count, 3);
	assert_int_equal(found[0].activity.count, 18);
	assert_int_equal(found[1].activity.count, 7);
	assert_int_equal(found[2].activity.count, 4);
	assert_int_equal(found[2].client.first_ms, DAY_START_MS - 24 * HOUR_MS);
	assert_int_equal(found[2].client.last_ms, SECOND_MS + 15000);
	reader->vtable->close(reader);
}

static void what_neither_holds_is_kept_and_nothing_is_doubled(void **state)
{
	(void)state;
	struct engine_process *engine = start_engine();
	merge_all(engine);
	assert_merged(0);
	assert_clients();
	/* As their average says, as close before the last as it lets them. */
	struct window_row row = window_of(1, FIRST_MS);
	assert_int_equal(row.last_ms - row.first_ms, 90000);
	row = window_of(3, SECOND_MS);
	assert_int_equal(row.first_ms, SECOND_MS);
	assert_int_equal(row.last_ms, SECOND_MS + 15000);

	append(1, FIRST_MS, 1);
	append(3, SECOND_MS, 1);
	read_all(engine);
	assert_merged(1);
}

/* The next owner merges what one that died left, again, and none that comes later finds anything to do. */
static void engines_that_die_in_the_middle_leave_the_same_rows(void **state)
{
	(void)state;
	for (int steps = 2; steps <= 8; steps += 2) {
		struct engine_process *engine = start_engine();
		for (int i = 0; i < steps; i++)
			engine_step(engine);
	}
	merge_all(start_engine());
	assert_merged(0);
	append(1, FIRST_MS, 1);
	append(3, SECOND_MS, 1);
	read_all(start_engine());
	assert_merged(1);
}

static void rebuild_all(struct engine_process *engine)
{
	struct rebuild_requests *requests;
	struct rebuild_request asked[ENGINES_PARTITIONS];
	assert_int_equal(cql_rebuild_requests_open(server_url("inherited"), &requests, NULL), ERROR_OK);
	for (int32_t i = 0; i < ENGINES_PARTITIONS; i++)
		asked[i] = (struct rebuild_request){.id.bytes = {1, (uint8_t)i}, .partition = i, .day_ms = REBUILD_EVERY_DAY};
	assert_int_equal(requests->vtable->ask(requests, asked, ENGINES_PARTITIONS, NULL), ERROR_OK);
	int steps = 0;
	for (bool done = false; steps < MAX_STEPS && !done; steps++) {
		engine_step(engine);
		assert_int_equal(requests->vtable->look(requests, asked, ENGINES_PARTITIONS, NULL), ERROR_OK);
		done = asked[0].state == REBUILD_DONE && asked[1].state == REBUILD_DONE;
	}
	assert_true(steps < MAX_STEPS);
	requests->vtable->close(requests);
	read_all(engine);
}

/* The ledger has three more of the first window than the log. */
static void what_the_ledger_holds_takes_the_place_of_what_was_kept(void **state)
{
	(void)state;
	struct engine_process *engine = start_engine();
	merge_all(engine);
	int64_t first = fake_log_end(&fake_log, 1), second = fake_log_end(&fake_log, 0);
	const struct ledger_sum sums[] = {
		{client(1), FIRST_MS, 7, FIRST_MS + 100000, FIRST_MS + 203000, first, 0},
		{client(1), THIRD_MS, 5, THIRD_MS + 200000, THIRD_MS + 204000, first, 0},
		{client(2), FIRST_MS, 7, FIRST_MS + 200000, FIRST_MS + 206000, second, 0},
		{client(3), 0, 0, 0, 0, POSITION_NONE, 0},
	};
	ledger.sums = sums;
	ledger.count = sizeof sums / sizeof *sums;
	rebuild_all(engine);
	assert_window(1, FIRST_MS, 10, 3);
	assert_window(1, SECOND_MS, 3, 3);
	assert_window(1, THIRD_MS, 5, 0);
	assert_int_equal(total_of(1, "2024-10-14"), 25);
	assert_int_equal(
		server_number("SELECT kept FROM inherited.daily_totals WHERE client_ip = '10.0.0.1' AND day = '2024-10-14'", 0),
		13);
	assert_window(3, SECOND_MS, 4, 4);
	assert_int_equal(total_of(3, "2024-10-13"), 50);
	assert_clients();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_neither_holds_is_kept_and_nothing_is_doubled),
		TEST(engines_that_die_in_the_middle_leave_the_same_rows),
		TEST(what_the_ledger_holds_takes_the_place_of_what_was_kept),
	};
	server_prepare();
	if (cql_config_create(server_url("inherited"), &config, NULL) != ERROR_OK)
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	cql_config_destroy(config);
	server_end();
	return failed;
}
