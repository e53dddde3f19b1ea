/* What the store on CQL promises beyond the contract of all stores: one owner of a partition whatever the clocks say, counters
 * that follow, rows that go by themselves, tables that others made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/cql/server.h"

#include <stdio.h>

#define START_MS INT64_C(1728864000000) /* 2024-10-14 */
#define DAY_MS	 INT64_C(86400000)
#define ROW_OF	 "FROM window_stats WHERE client_ip = '10.0.0.1' AND window_start = 1728864000000"
#define COUNTER	 "SELECT total_pings FROM daily_stats WHERE client_ip = '10.0.0.1' AND day = '2024-10-14'"

static const uint8_t log_a[16] = "the log of tests";
static struct store *first, *second;
static struct store_reader *reader;
static struct error_note note;

static int begin(void **state)
{
	(void)state;
	server_now_ms = START_MS;
	server_monotonic_us = 0;
	server_empty();
	first = server_open_store();
	second = server_open_store();
	reader = server_open_reader();
	return 0;
}

static int end(void **state)
{
	(void)state;
	first->vtable->close(first);
	second->vtable->close(second);
	reader->vtable->close(reader);
	return 0;
}

static struct address client(uint8_t number)
{
	const uint8_t bytes[4] = {10, 0, 0, number};
	return address_from_ipv4(bytes);
}

static struct window_row window(int64_t count, int64_t position)
{
	return (struct window_row){.client = client(1),
				   .start_ms = START_MS,
				   .count = count,
				   .first_ms = START_MS + 1,
				   .last_ms = START_MS + 1000,
				   .position = position};
}

static enum error take(struct store *store, int64_t *ret_position)
{
	note = (struct error_note){""};
	return store->vtable->take(store, 0, log_a, ret_position, &note);
}

static int64_t must_take(struct store *store)
{
	int64_t position = -99;
	enum error error = take(store, &position);
	if (error != ERROR_OK)
		fail_msg("take: %s: %s", error_name(error), note.text);
	return position;
}

static enum error write_window(struct store *store, int64_t count, int64_t position)
{
	const struct window_row row = window(count, position);
	const struct engine_dirty dirty = {.windows = &row, .window_count = 1};
	note = (struct error_note){""};
	return store->vtable->write(store, 0, &dirty, position, &note);
}

static enum error write_day(struct store *store, int64_t total, int64_t position)
{
	const struct day_row row = {client(1), START_MS, total, position};
	const struct engine_dirty dirty = {.days = &row, .day_count = 1};
	note = (struct error_note){""};
	return store->vtable->write(store, 0, &dirty, position, &note);
}

static int64_t stored_count(void)
{
	struct address one = client(1);
	struct window_row row;
	size_t count = 0;
	assert_int_equal(reader->vtable->list_windows(reader, &one, START_MS, 0, &row, 1, &count, NULL), ERROR_OK);
	return count == 0 ? 0 : row.count;
}

/* ─── Who follows ─── */

static void who_follows_sees_how_far_the_engines_are_and_reads_rows_again(void **state)
{
	(void)state;
	int64_t positions[3] = {7, 7, 7};
	struct window_row rows[2] = {window(0, 0), window(0, 0)};
	rows[1].client = client(2);
	assert_int_equal(reader->vtable->positions(reader, positions, 3, &note), ERROR_OK);
	assert_int_equal(positions[0], POSITION_NONE);
	must_take(first);
	assert_int_equal(write_window(first, 3, 41), ERROR_OK);
	assert_int_equal(reader->vtable->positions(reader, positions, 3, &note), ERROR_OK);
	assert_int_equal(positions[0], 41);
	assert_int_equal(positions[1], POSITION_NONE);
	assert_int_equal(positions[2], POSITION_NONE);
	assert_int_equal(reader->vtable->read_windows(reader, rows, 2, &note), ERROR_OK);
	assert_int_equal(rows[0].count, 3);
	assert_int_equal(rows[0].last_ms, START_MS + 1000);
	assert_int_equal(rows[0].position, 41);
	assert_int_equal(rows[1].count, 0);
}

static struct store_engine recorded(void)
{
	struct store_totals totals;
	assert_int_equal(reader->vtable->totals(reader, server_now_ms, &totals, &note), ERROR_OK);
	return totals.engine;
}

static void the_store_says_which_kind_of_engine_was_heard_of_last(void **state)
{
	(void)state;
	assert_string_equal(recorded().kind, "");
	must_take(first);
	assert_string_equal(recorded().kind, "native");
	assert_int_equal(recorded().heartbeat_ms, START_MS);
	assert_true(recorded().has_owner);
	server_run("INSERT INTO engine_writers (writer, kind, owner, version, heartbeat) VALUES (1, 'flink', "
		   "0x00112233445566778899aabbccddeeff, 5, 1728864000001)");
	server_run("INSERT INTO engine_writers (writer, kind, version, heartbeat) VALUES (-1, 'lane', 5, 1728864000002)");
	const struct store_engine engine = recorded();
	assert_string_equal(engine.kind, "flink");
	assert_int_equal(engine.heartbeat_ms, START_MS + 1);
	assert_int_equal(engine.owner[1], 0x11);
	server_run("UPDATE engine_writers SET heartbeat = null, owner = null WHERE writer = 1");
	first->vtable->release(first, 0);
	assert_int_equal(recorded().heartbeat_ms, 0);
	assert_false(recorded().has_owner);
}

/* ─── One owner ─── */

static void who_took_it_last_writes_and_the_one_before_is_told(void **state)
{
	(void)state;
	must_take(first);
	assert_int_equal(write_window(first, 1, 1), ERROR_OK);
	assert_int_equal(must_take(second), 1);
	assert_int_equal(write_window(second, 2, 2), ERROR_OK);
	assert_int_equal(write_window(first, 9, 9), ERROR_FENCED);
	assert_int_equal(stored_count(), 2);
	assert_int_equal(must_take(first), 2);
}

static void what_an_owner_before_still_writes_lies_below_whatever_the_clocks_say(void **state)
{
	(void)state;
	must_take(first);
	assert_int_equal(write_window(first, 1, 1), ERROR_OK);
	server_now_ms = START_MS - 120000; /* the second's clock is two minutes behind */
	must_take(second);
	assert_int_equal(write_window(second, 5, 5), ERROR_OK);
	server_now_ms = START_MS + 5000;
	assert_int_equal(write_window(first, 3, 3), ERROR_FENCED);
	assert_int_equal(stored_count(), 5);
	/* The third, with yet another clock, goes on above both. */
	server_now_ms = START_MS - 3600000;
	must_take(first);
	assert_int_equal(write_window(first, 6, 6), ERROR_OK);
	assert_int_equal(write_window(second, 7, 7), ERROR_FENCED);
	assert_int_equal(stored_count(), 6);
}

static void no_row_is_written_above_what_is_reserved(void **state)
{
	(void)state;
	must_take(first);
	for (int i = 1; i <= 4; i++) {
		server_now_ms += 40000; /* past the reservation */
		assert_int_equal(write_window(first, i, i), ERROR_OK);
		int64_t written = server_number("SELECT writetime(ping_count) " ROW_OF, 0);
		int64_t reserved = server_number("SELECT reserved_us FROM engine_writers WHERE writer = 0", 0);
		assert_true(written > 0 && written <= reserved);
		assert_true(reserved <= (server_now_ms + 31000) * 1000); /* and that doesn't run away */
	}
}

static void partitions_taken_one_after_the_other_reserve_no_more_than_one(void **state)
{
	(void)state;
	int64_t position;
	for (int32_t partition = 0; partition < 4; partition++)
		assert_int_equal(first->vtable->take(first, partition, log_a, &position, &note), ERROR_OK);
	assert_true(server_number("SELECT max(reserved_us) FROM engine_writers", 0) <= (server_now_ms + 31000) * 1000);
}

static void a_row_that_somebody_wrote_later_is_written_above(void **state)
{
	(void)state;
	server_run("INSERT INTO window_stats (client_ip, window_start, window_end, ping_count, position) VALUES"
		   " ('10.0.0.1', 1728864000000, 1728864300000, 4, 4) USING TIMESTAMP 2000000000000000"); /* 2033 */
	must_take(first);
	struct window_row row = {.client = client(1), .start_ms = START_MS};
	assert_int_equal(first->vtable->read_windows(first, &row, 1, &note), ERROR_OK);
	assert_int_equal(row.count, 4);
	assert_int_equal(write_window(first, 5, 5), ERROR_OK);
	assert_int_equal(stored_count(), 5);
	assert_true(server_number("SELECT reserved_us FROM engine_writers WHERE writer = 0", 0) > INT64_C(2000000000000000));
}

static void an_idle_owner_is_heard_of_and_learns_that_it_was_followed(void **state)
{
	(void)state;
	struct address due[4];
	size_t count;
	must_take(first);
	server_now_ms += 20000;
	server_monotonic_us += 20000000;
	assert_int_equal(first->vtable->list_due(first, 0, server_now_ms, due, 4, &count, &note), ERROR_OK);
	assert_int_equal(server_number("SELECT heartbeat FROM engine_writers WHERE writer = 0", 0), server_now_ms);
	must_take(second);
	server_monotonic_us += 20000000;
	assert_int_equal(first->vtable->list_due(first, 0, server_now_ms, due, 4, &count, &note), ERROR_FENCED);
}

static void a_commit_whose_answer_was_lost_is_not_taken_back(void **state)
{
	(void)state;
	struct address due[4];
	size_t count;
	char commit[200];
	must_take(first);
	assert_int_equal(write_window(first, 1, 1), ERROR_OK);
	long long version = server_number("SELECT version FROM engine_writers WHERE writer = 0", 0);
	snprintf(commit, sizeof commit,
		 "UPDATE engine_writers SET version = %lld, position = 5 WHERE writer = 0 IF version = %lld", version + 1,
		 version);
	server_run(commit);
	server_monotonic_us += 20000000;
	assert_int_equal(first->vtable->list_due(first, 0, server_now_ms, due, 4, &count, &note), ERROR_OK);
	assert_int_equal(server_number("SELECT position FROM engine_writers WHERE writer = 0", 0), 5);
}

static void what_is_released_is_nobodys(void **state)
{
	(void)state;
	must_take(first);
	assert_int_equal(write_window(first, 1, 1), ERROR_OK);
	first->vtable->release(first, 0);
	assert_int_equal(server_number("SELECT heartbeat FROM engine_writers WHERE writer = 0", 0), 0);
	assert_int_equal(write_window(first, 2, 2), ERROR_FENCED);
	assert_int_equal(must_take(second), 1);
	first->vtable->release(first, 0); /* not its own: nothing happens */
	assert_int_equal(write_window(second, 3, 3), ERROR_OK);
}

static enum error take_refused(const char *names)
{
	int64_t position = -99;
	enum error error = take(first, &position);
	assert_int_equal(position, -99);
	if (strstr(note.text, names) == NULL)
		fail_msg("\"%s\" does not name %s", note.text, names);
	return error;
}

static void another_kind_of_engine_keeps_this_one_out_while_it_is_heard_of(void **state)
{
	(void)state;
	must_take(second);
	assert_int_equal(first->vtable->held(first, &note), ERROR_OK);
	server_run("UPDATE engine_writers SET kind = 'flink' WHERE writer = 0");
	assert_int_equal(take_refused("flink"), ERROR_HELD);
	assert_int_equal(first->vtable->held(first, &note), ERROR_HELD);
	server_now_ms += 61000;
	assert_int_equal(first->vtable->held(first, &note), ERROR_OK);
	must_take(first);
	assert_int_equal(write_window(first, 1, 1), ERROR_OK);
}

/* A row of the Flink job's, as a task of it leaves it. */
static void write_as_lane(int64_t count, int64_t timestamp_us)
{
	char text[400];
	snprintf(text, sizeof text,
		 "INSERT INTO window_stats (client_ip, window_start, window_end, ping_count, first_ping, last_ping, position) "
		 "VALUES"
		 " ('10.0.0.1', 1728864000000, 1728864300000, %d, 1728864000001, 1728864001000, 7) USING TIMESTAMP %lld",
		 (int)count, (long long)timestamp_us);
	server_run(text);
}

static void what_tasks_of_the_flink_job_still_write_lies_below(void **state)
{
	(void)state;
	const int64_t reserved_us = (START_MS + 3600000) * 1000; /* their clock is an hour ahead */
	char text[300];
	must_take(second);
	server_run("UPDATE engine_writers SET kind = 'flink', heartbeat = null WHERE writer = 0");
	for (int lane = 1; lane <= 3; lane++) {
		snprintf(text, sizeof text,
			 "INSERT INTO engine_writers (writer, kind, owner, version, reserved_us, topic_id, partition_count, "
			 "position)"
			 " VALUES (-%d, 'flink', 0x00112233445566778899aabbccddeeff, 5, %lld, 0x00, 6, -1)",
			 lane, (long long)(lane == 2 ? reserved_us : START_MS * 1000));
		server_run(text);
	}
	must_take(first);
	assert_int_equal(write_window(first, 5, 5), ERROR_OK);
	write_as_lane(4, reserved_us); /* one that slept, within what it had reserved */
	assert_int_equal(stored_count(), 5);
	/* It can't reserve more: its rows have another version. */
	for (int lane = 1; lane <= 3; lane++) {
		snprintf(text, sizeof text, "SELECT version FROM engine_writers WHERE writer = -%d", lane);
		assert_int_equal(server_number(text, 0), 6);
	}
	assert_int_equal(server_number("SELECT reserved_us FROM engine_writers WHERE writer = -2", 0), reserved_us);
	/* Whoever comes next lies above as well. */
	must_take(second);
	assert_int_equal(write_window(second, 6, 6), ERROR_OK);
	write_as_lane(4, reserved_us);
	assert_int_equal(stored_count(), 6);
	assert_int_equal(server_number("SELECT version FROM engine_writers WHERE writer = -2", 0), 6);
}

static void another_number_of_partitions_is_refused(void **state)
{
	(void)state;
	must_take(second);
	server_run("UPDATE engine_writers SET partition_count = 12 WHERE writer = 0");
	assert_int_equal(take_refused("12 partitions"), ERROR_FAILED_PRECONDITION);
}

static void rows_whose_positions_are_lost_are_refused(void **state)
{
	(void)state;
	must_take(second);
	assert_int_equal(write_day(second, 1, 1), ERROR_OK);
	server_run("TRUNCATE engine_writers");
	assert_int_equal(take_refused("engine_writers"), ERROR_FAILED_PRECONDITION);
}

/* ─── A log that was made anew ─── */

static const uint8_t log_b[16] = "the log of today";

static enum error take_anew(struct store *store, int32_t partition)
{
	int64_t position;
	note = (struct error_note){""};
	return store->vtable->take(store, partition, log_b, &position, &note);
}

static void an_engine_of_the_log_before_is_let_come_to_its_end(void **state)
{
	(void)state;
	must_take(first);
	second->log_epoch = 1;
	assert_int_equal(take_anew(second, 1), ERROR_FAILED_PRECONDITION);
	assert_non_null(strstr(note.text, "come to the log's end"));
	first->vtable->release(first, 0);
	assert_int_equal(take_anew(second, 1), ERROR_OK);
	assert_int_equal(server_number("SELECT position FROM engine_writers WHERE writer = 0", 0), (INT64_C(1) << 48) - 1);
	int64_t position = -99;
	assert_int_equal(take(first, &position), ERROR_FAILED_PRECONDITION);
}

/* Its client is another partition's now, whose new owner has a clock that is behind. */
static void what_an_owner_in_the_log_before_still_writes_lies_below(void **state)
{
	(void)state;
	must_take(first);
	assert_int_equal(write_window(first, 1, 1), ERROR_OK);
	server_now_ms += 61000; /* it is not heard of any more */
	second->log_epoch = 1;
	assert_int_equal(take_anew(second, 3), ERROR_OK);
	server_now_ms = START_MS - 120000;
	const struct window_row row = window(5, INT64_C(1) << 48);
	const struct engine_dirty dirty = {.windows = &row, .window_count = 1};
	assert_int_equal(second->vtable->write(second, 3, &dirty, row.position, &note), ERROR_OK);
	server_now_ms = START_MS + 62000;
	assert_int_equal(write_window(first, 3, 3), ERROR_FENCED);
	assert_int_equal(stored_count(), 5);
}

/* However many there are, and whether or not they were moved: above the log before, and not above one another. */
static void partitions_of_a_log_made_anew_reserve_no_more_the_more_they_are(void **state)
{
	(void)state;
	must_take(first);
	int64_t before_us = server_number("SELECT reserved_us FROM engine_writers WHERE writer = 0", 0);
	first->vtable->release(first, 0);
	second->log_epoch = 1;
	for (int32_t partition = 0; partition < 6; partition++)
		assert_int_equal(take_anew(second, partition), ERROR_OK);
	assert_true(server_number("SELECT max(reserved_us) FROM engine_writers", 0) <= before_us + 61000000);
	for (int32_t partition = 0; partition < 6; partition++) {
		struct window_row row = window(5, INT64_C(1) << 48);
		row.client = client((uint8_t)(1 + partition));
		const struct engine_dirty dirty = {.windows = &row, .window_count = 1};
		assert_int_equal(second->vtable->write(second, partition, &dirty, row.position, &note), ERROR_OK);
	}
	for (uint8_t number = 1; number <= 6; number++) {
		char text[160];
		snprintf(text, sizeof text, "SELECT writetime(ping_count) FROM window_stats WHERE client_ip = '10.0.0.%d'",
			 number);
		int64_t written_us = server_number(text, 0);
		assert_true(written_us > before_us && written_us <= before_us + 31000000);
	}
}

/* ─── Counters ─── */

static void the_counter_follows_the_total_however_often_it_is_written(void **state)
{
	(void)state;
	must_take(first);
	for (int i = 0; i < 3; i++)
		assert_int_equal(write_day(first, 7, 7), ERROR_OK);
	assert_int_equal(server_number(COUNTER, 0), 7);
	assert_int_equal(write_day(first, 12, 12), ERROR_OK);
	assert_int_equal(server_number(COUNTER, 0), 12);
}

static void a_counter_that_somebody_changed_is_put_right_by_adding(void **state)
{
	(void)state;
	must_take(first);
	assert_int_equal(write_day(first, 7, 7), ERROR_OK);
	server_run("UPDATE daily_stats SET total_pings = total_pings + 100 WHERE client_ip = '10.0.0.1' AND day = '2024-10-14'");
	assert_int_equal(write_day(first, 7, 7), ERROR_OK);
	assert_int_equal(server_number(COUNTER, 0), 7);
}

static void who_is_an_owner_no_more_leaves_counters_alone(void **state)
{
	(void)state;
	must_take(first);
	assert_int_equal(write_day(first, 7, 7), ERROR_OK);
	must_take(second);
	assert_int_equal(write_day(second, 12, 12), ERROR_OK);
	assert_int_equal(write_day(first, 8, 8), ERROR_FENCED);
	assert_int_equal(server_number(COUNTER, 0), 12);
}

static void a_counter_that_was_added_to_long_after_is_found_by_the_sweep(void **state)
{
	(void)state;
	enum { DAYS = 150 };
	static struct day_row days[DAYS];
	size_t repaired = 99, all = 0;
	bool urgent = true;
	for (int i = 0; i < DAYS; i++)
		days[i] = (struct day_row){client((uint8_t)(i % 9 + 1)), START_MS - i / 9 * DAY_MS, i + 1, i};
	const struct engine_dirty dirty = {.days = days, .day_count = DAYS};
	must_take(first);
	assert_int_equal(first->vtable->write(first, 0, &dirty, 1, &note), ERROR_OK);
	for (int i = 0; i < 4; i++) { /* more than one round */
		assert_int_equal(first->vtable->sweep(first, &repaired, &urgent, &note), ERROR_OK);
		assert_int_equal(repaired, 0);
	}
	server_run("UPDATE daily_stats SET total_pings = total_pings - 3 WHERE client_ip = '10.0.0.1' AND day = '2024-10-14'");
	for (int i = 0; i < 4; i++) {
		assert_int_equal(first->vtable->sweep(first, &repaired, &urgent, &note), ERROR_OK);
		all += repaired;
	}
	assert_int_equal(all, 1);
	assert_int_equal(server_number(COUNTER, 0), days[0].total);
	/* Whose partition is another's now leaves it to that one. */
	must_take(second);
	server_run("UPDATE daily_stats SET total_pings = total_pings + 1 WHERE client_ip = '10.0.0.1' AND day = '2024-10-14'");
	for (int i = 0; i < 4; i++)
		assert_int_equal(first->vtable->sweep(first, &repaired, &urgent, &note), ERROR_OK);
	assert_int_equal(server_number(COUNTER, 0), days[0].total + 1);
}

static size_t sweep_while_urgent(struct store *store, int *ret_pages)
{
	size_t repaired, all = 0;
	bool urgent = true;
	for (*ret_pages = 0; urgent; ++*ret_pages) {
		assert_true(*ret_pages < 20);
		assert_int_equal(store->vtable->sweep(store, &repaired, &urgent, &note), ERROR_OK);
		all += repaired;
	}
	return all;
}

static void who_takes_a_partition_from_an_owner_soon_looks_at_all_counters(void **state)
{
	(void)state;
	enum { DAYS = 150 };
	static struct day_row days[DAYS];
	int pages;
	for (int i = 0; i < DAYS; i++)
		days[i] = (struct day_row){client((uint8_t)(i % 9 + 1)), START_MS - i / 9 * DAY_MS, i + 1, i};
	const struct engine_dirty dirty = {.days = days, .day_count = DAYS};
	server_monotonic_us = 1000;
	must_take(first);
	assert_int_equal(first->vtable->write(first, 0, &dirty, 1, &note), ERROR_OK);
	server_monotonic_us += 60000000;
	assert_int_equal(sweep_while_urgent(first, &pages), 0);
	assert_int_equal(pages, 1); /* it took it from nobody */
	must_take(second);
	assert_int_equal(sweep_while_urgent(second, &pages), 0);
	assert_int_equal(pages, 1); /* what is late is not there yet */
	server_run("UPDATE daily_stats SET total_pings = total_pings + 3 WHERE client_ip = '10.0.0.1' AND day = '2024-10-14'");
	server_run("UPDATE daily_stats SET total_pings = total_pings + 3 WHERE client_ip = '10.0.0.9' AND day = '2024-10-14'");
	server_monotonic_us += 10000000;
	assert_int_equal(sweep_while_urgent(second, &pages), 2);
	assert_in_range(pages, 5, 8); /* the rest of the round that had begun, and a whole one */
	assert_int_equal(server_number(COUNTER, 0), days[0].total);
	assert_int_equal(sweep_while_urgent(second, &pages), 0);
	assert_int_equal(pages, 1);
	/* Who gave it back has nothing under way. */
	second->vtable->release(second, 0);
	must_take(first);
	server_monotonic_us += 10000000;
	assert_int_equal(sweep_while_urgent(first, &pages), 0);
	assert_int_equal(pages, 1);
}

/* ─── Time ─── */

static void an_activity_goes_a_day_after_its_newest_window(void **state)
{
	(void)state;
	struct activity_row row = {.client = client(1),
				   .start_ms = activity_start_of(START_MS),
				   .count = 3,
				   .active_windows = 1,
				   .first_ms = START_MS + 1,
				   .last_ms = START_MS + 1000,
				   .due_ms = START_MS + DAY_MS};
	const struct engine_dirty dirty = {.activities = &row, .activity_count = 1};
	must_take(first);
	server_now_ms = START_MS + WINDOW_MS + DAY_MS - 3600000; /* an hour before */
	assert_int_equal(first->vtable->write(first, 0, &dirty, 1, &note), ERROR_OK);
	int64_t left = server_number("SELECT cast(ttl(ping_count) AS bigint) FROM activity_24h WHERE client_ip = '10.0.0.1'", 0);
	assert_true(left > 1800 && left <= 3600);
	server_now_ms += 3600000; /* past it */
	assert_int_equal(first->vtable->write(first, 0, &dirty, 2, &note), ERROR_OK);
	assert_int_equal(server_number("SELECT count(*) FROM activity_24h", -1), 0);
}

/* ─── Lists ─── */

static void what_a_crash_left_in_a_list_is_not_shown(void **state)
{
	(void)state;
	struct client_row row = {client(1), START_MS, START_MS + 5};
	const struct engine_dirty dirty = {.clients = &row, .client_count = 1};
	must_take(first);
	assert_int_equal(first->vtable->write(first, 0, &dirty, 1, &note), ERROR_OK);
	int64_t shard = server_number("SELECT cast(shard AS bigint) FROM clients LIMIT 1", -1);
	char text[256];
	for (int rank = 1; rank <= 2; rank++) {
		snprintf(text, sizeof text,
			 "INSERT INTO clients (shard, list, rank, address) VALUES (%d, %d, -99, "
			 "0x00000000000000000000ffff0a000001)",
			 (int)shard, rank);
		server_run(text);
	}
	for (int order = STORE_ORDER_PING_COUNT; order <= STORE_ORDER_CLIENT_IP; order++) {
		const struct store_client_page page = {.order = order, .max = 5};
		struct store_client found[5];
		size_t count = 99;
		assert_int_equal(reader->vtable->list_clients(reader, &page, found, &count, &note), ERROR_OK);
		assert_int_equal(count, 1);
	}
}

/* ─── Rebuilds ─── */

static void ask_for_rebuild(int32_t partition, uint8_t id)
{
	char text[240];
	snprintf(text, sizeof text,
		 "INSERT INTO rebuild_requests (partition, id, asked, client, state) VALUES (%d, 0x%032x, 1728864000000,"
		 " 0x00000000000000000000ffff0a000001, 0) USING TIMESTAMP 1",
		 (int)partition, (unsigned)id);
	server_run(text);
}

static void the_oldest_request_of_a_partition_is_found_until_it_is_done(void **state)
{
	(void)state;
	struct rebuild_request request;
	must_take(first);
	assert_int_equal(first->vtable->find_rebuild(first, 0, &request, &note), ERROR_NOT_FOUND);
	ask_for_rebuild(0, 2);
	ask_for_rebuild(0, 1);
	ask_for_rebuild(1, 0); /* another partition's */
	assert_int_equal(first->vtable->find_rebuild(first, 0, &request, &note), ERROR_OK);
	assert_int_equal(request.id.bytes[15], 1);
	assert_int_equal(request.state, REBUILD_ASKED);
	assert_int_equal(request.asked_ms, START_MS);
	assert_true(request.of_client);
	struct address one = client(1), two = client(2);
	assert_true(address_equal(&request.client, &one));
	assert_int_equal(request.day_ms, REBUILD_EVERY_DAY);
	assert_false(request.has_place);

	request.state = REBUILD_RUNNING;
	request.has_place = true;
	request.place = two;
	request.clients = 3;
	request.rows = 40;
	request.corrected = 5;
	request.put_off = 6;
	request.updated_ms = START_MS + 7;
	error_noted(&request.note, ERROR_UNAVAILABLE, "waits");
	assert_int_equal(first->vtable->put_rebuild(first, &request, &note), ERROR_OK);
	struct rebuild_request found;
	assert_int_equal(first->vtable->find_rebuild(first, 0, &found, &note), ERROR_OK);
	assert_int_equal(found.id.bytes[15], 1);
	assert_int_equal(found.state, REBUILD_RUNNING);
	assert_true(found.has_place && address_equal(&found.place, &two));
	assert_int_equal(found.clients, 3);
	assert_int_equal(found.rows, 40);
	assert_int_equal(found.corrected, 5);
	assert_int_equal(found.put_off, 6);
	assert_int_equal(found.updated_ms, START_MS + 7);
	assert_string_equal(found.note.text, "waits");
	ask_for_rebuild(0, 1); /* asked again: what its owner says stays */
	assert_int_equal(first->vtable->find_rebuild(first, 0, &found, &note), ERROR_OK);
	assert_int_equal(found.clients, 3);

	request.state = REBUILD_DONE;
	assert_int_equal(first->vtable->put_rebuild(first, &request, &note), ERROR_OK);
	assert_int_equal(first->vtable->find_rebuild(first, 0, &found, &note), ERROR_OK);
	assert_int_equal(found.id.bytes[15], 2);
}

static void only_the_owner_says_how_far_a_rebuild_is(void **state)
{
	(void)state;
	struct rebuild_request request;
	ask_for_rebuild(0, 1);
	must_take(first);
	assert_int_equal(first->vtable->find_rebuild(first, 0, &request, &note), ERROR_OK);
	request.clients = 1;
	assert_int_equal(second->vtable->put_rebuild(second, &request, &note), ERROR_FENCED);
	must_take(second);
	request.clients = 2;
	assert_int_equal(second->vtable->put_rebuild(second, &request, &note), ERROR_OK);
	request.clients = 1; /* who does not know yet that it was followed writes below */
	first->vtable->put_rebuild(first, &request, &note);
	assert_int_equal(second->vtable->find_rebuild(second, 0, &request, &note), ERROR_OK);
	assert_int_equal(request.clients, 2);
}

static void what_is_removed_is_gone_its_counter_is_0_and_all_else_stays(void **state)
{
	(void)state;
	const struct window_row windows[2] = {
		window(3, 7), {client(1), START_MS + WINDOW_MS, 2, START_MS + WINDOW_MS, START_MS + WINDOW_MS, 8}};
	const struct day_row days[2] = {{client(1), START_MS, 5, 8}, {client(2), START_MS, 1, 6}};
	const struct client_row clients[2] = {{client(1), START_MS, START_MS + 1000}, {client(2), START_MS, START_MS}};
	const struct engine_dirty dirty = {
		.windows = windows, .window_count = 2, .days = days, .day_count = 2, .clients = clients, .client_count = 2};
	const struct store_removal removal = {
		.windows = windows, .window_count = 1, .days = days, .day_count = 1, .clients = clients, .client_count = 1};
	must_take(first);
	assert_int_equal(first->vtable->write(first, 0, &dirty, 8, &note), ERROR_OK);
	assert_int_equal(server_number(COUNTER, -1), 5);
	assert_int_equal(second->vtable->remove(second, 0, &removal, &note), ERROR_FENCED);
	for (int again = 0; again < 2; again++) { /* done again it changes nothing */
		assert_int_equal(first->vtable->remove(first, 0, &removal, &note), ERROR_OK);
		assert_int_equal(server_number("SELECT position " ROW_OF, -7), -7);
		assert_int_equal(server_number("SELECT count(*) FROM window_stats", -1), 1);
		assert_int_equal(server_number("SELECT total FROM daily_totals WHERE client_ip = '10.0.0.1'", -7), -7);
		assert_int_equal(server_number(COUNTER, -1), 0);
		assert_int_equal(server_number("SELECT total_pings FROM daily_stats WHERE client_ip = '10.0.0.2'", -1), 1);
		struct client_row row;
		assert_int_equal(reader->vtable->get_client(reader, &clients[0].client, &row, &note), ERROR_NOT_FOUND);
		assert_int_equal(reader->vtable->get_client(reader, &clients[1].client, &row, &note), ERROR_OK);
	}
	assert_int_equal(first->vtable->write(first, 0, &dirty, 8, &note), ERROR_OK); /* and written anew it is all there */
	assert_int_equal(server_number("SELECT position " ROW_OF, -7), 7);
	assert_int_equal(server_number(COUNTER, -1), 5);
}

/* ─── Tables that others made ─── */

static void rows_without_positions_are_shown_until_the_log_makes_them_anew(void **state)
{
	(void)state;
	server_run("INSERT INTO window_stats (client_ip, window_start, window_end, ping_count, avg_interval_ms) VALUES"
		   " ('10.0.0.1', 1728864000000, 1728864300000, 4, 1000)");
	server_run("UPDATE daily_stats SET total_pings = total_pings + 4 WHERE client_ip = '10.0.0.1' AND day = '2024-10-14'");
	server_run("UPDATE daily_stats SET total_pings = total_pings + 9 WHERE client_ip = '10.0.0.1' AND day = '2024-10-01'");
	must_take(first); /* no owner, but no row with a position either */
	assert_int_equal(stored_count(), 4);
	struct window_row row = {.client = client(1), .start_ms = START_MS, .count = -1};
	assert_int_equal(first->vtable->read_windows(first, &row, 1, &note), ERROR_OK);
	assert_int_equal(row.count, 0);
	assert_int_equal(write_window(first, 6, 6), ERROR_OK);
	assert_int_equal(write_day(first, 6, 6), ERROR_OK);
	assert_int_equal(stored_count(), 6);
	struct address one = client(1);
	struct day_row days[4];
	size_t count = 0;
	assert_int_equal(reader->vtable->list_days(reader, &one, 0, 0, days, 4, &count, &note), ERROR_OK);
	assert_int_equal(count, 2);
	assert_int_equal(days[0].total, 6);
	assert_int_equal(days[1].total, 9);
	assert_int_equal(server_number(COUNTER, 0), 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_took_it_last_writes_and_the_one_before_is_told),
		TEST(what_an_owner_before_still_writes_lies_below_whatever_the_clocks_say),
		TEST(who_follows_sees_how_far_the_engines_are_and_reads_rows_again),
		TEST(no_row_is_written_above_what_is_reserved),
		TEST(partitions_taken_one_after_the_other_reserve_no_more_than_one),
		TEST(an_engine_of_the_log_before_is_let_come_to_its_end),
		TEST(what_an_owner_in_the_log_before_still_writes_lies_below),
		TEST(partitions_of_a_log_made_anew_reserve_no_more_the_more_they_are),
		TEST(a_row_that_somebody_wrote_later_is_written_above),
		TEST(an_idle_owner_is_heard_of_and_learns_that_it_was_followed),
		TEST(a_commit_whose_answer_was_lost_is_not_taken_back),
		TEST(what_is_released_is_nobodys),
		TEST(the_store_says_which_kind_of_engine_was_heard_of_last),
		TEST(another_kind_of_engine_keeps_this_one_out_while_it_is_heard_of),
		TEST(what_tasks_of_the_flink_job_still_write_lies_below),
		TEST(another_number_of_partitions_is_refused),
		TEST(rows_whose_positions_are_lost_are_refused),
		TEST(the_counter_follows_the_total_however_often_it_is_written),
		TEST(a_counter_that_somebody_changed_is_put_right_by_adding),
		TEST(who_is_an_owner_no_more_leaves_counters_alone),
		TEST(a_counter_that_was_added_to_long_after_is_found_by_the_sweep),
		TEST(who_takes_a_partition_from_an_owner_soon_looks_at_all_counters),
		TEST(an_activity_goes_a_day_after_its_newest_window),
		TEST(what_a_crash_left_in_a_list_is_not_shown),
		TEST(the_oldest_request_of_a_partition_is_found_until_it_is_done),
		TEST(only_the_owner_says_how_far_a_rebuild_is),
		TEST(what_is_removed_is_gone_its_counter_is_0_and_all_else_stays),
		TEST(rows_without_positions_are_shown_until_the_log_makes_them_anew),
	};
	server_prepare();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	server_end();
	return failed;
}
