/* Days that are dropped leave their sums: audit and PingCount find the same as before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "database.h"

enum { MAX_SUMS = 16, MAX_DAYS = 8 };
#define DAY_MS	    INT64_C(86400000)
#define UP_TO_TODAY (-2 * DAY_MS) /* a retention by which today is past it */

static struct database database;
static struct ledger_sum sums[MAX_SUMS];
static size_t sum_count;
static struct ledger_day days[MAX_DAYS];
static size_t day_count, wanted_days;

static int set_up(void **unused)
{
	(void)unused;
	database_make(&database, true);
	sum_count = day_count = 0;
	wanted_days = MAX_DAYS;
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	database_drop(&database);
	return 0;
}

/* Two clients, two windows, one of them of two days; and a row of somebody else's. */
static void add_pings(void)
{
	database_execute(&database, "INSERT INTO pings (client_ip, pinged_at, received_at, position) VALUES"
				    " ('203.0.113.7', '2024-10-14 18:12:11.123+00', now(), 10),"
				    " ('203.0.113.7', '2024-10-14 18:13:00+00', now(), 12),"
				    " ('203.0.113.7', '2024-10-14 18:14:59.999+00', now() + interval '1 day', 17),"
				    " ('203.0.113.7', '2024-10-14 18:15:00+00', now(), 14),"
				    " ('2001:db8::1', '2024-10-14 18:12:11+00', now(), 11);"
				    "INSERT INTO pings (pinged_at) VALUES ('2024-10-14 18:12:11+00')");
}

static struct ledger_reader *open_reader(void)
{
	struct ledger_reader *reader;
	assert_int_equal(postgres_ledger_reader_open(&database.config, &reader), ERROR_OK);
	return reader;
}

static bool on_sum(void *unused, const struct ledger_sum *sum)
{
	(void)unused;
	assert_true(sum_count < MAX_SUMS);
	sums[sum_count++] = *sum;
	return true;
}

static void assert_sum(size_t index, int64_t count, int64_t first_ms, int64_t last_ms, int64_t position)
{
	assert_int_equal(sums[index].count, count);
	assert_int_equal(sums[index].window_start_ms, first_ms - first_ms % 300000);
	assert_int_equal(sums[index].first_ms, first_ms);
	assert_int_equal(sums[index].last_ms, last_ms);
	assert_int_equal(sums[index].position, position);
}

static void assert_reads_all(void)
{
	struct ledger_reader *reader = open_reader();
	sum_count = 0;
	assert_int_equal(reader->vtable->sum_windows(reader, INT64_MAX, on_sum, NULL, NULL), ERROR_OK);
	assert_int_equal(sum_count, 3);
	assert_sum(0, 3, 1728929531123, 1728929699999, 17);
	assert_sum(1, 1, 1728929700000, 1728929700000, 14);
	assert_sum(2, 1, 1728929531000, 1728929531000, 11);
	struct ledger_key keys[] = {{sums[0].client, 1728929400000, 1728929700000, 100, 100},
				    {sums[0].client, 1728864000000, 1728950400000, 100, 100}};
	struct ledger_key_sum found[2];
	assert_int_equal(reader->vtable->sum_keys(reader, keys, 2, found, NULL), ERROR_OK);
	assert_int_equal(found[0].count, 3);
	assert_int_equal(found[0].first_ms, 1728929531123);
	assert_int_equal(found[0].last_ms, 1728929699999);
	assert_int_equal(found[1].count, 4);
	int64_t rows, rolled_up, count;
	assert_int_equal(reader->vtable->count_rows(reader, &rows, &rolled_up, NULL), ERROR_OK);
	assert_int_equal(rows, 6);
	assert_int_equal(rolled_up, 6);
	assert_int_equal(reader->vtable->count(reader, 1728929531000, 1728929531123, &count, NULL), ERROR_OK);
	assert_int_equal(count, 2);
	reader->vtable->close(reader);
}

static bool on_day(void *unused, const struct ledger_day *day)
{
	(void)unused;
	assert_true(day_count < MAX_DAYS);
	days[day_count++] = *day;
	return day_count < wanted_days;
}

static void drop(int64_t retention_ms)
{
	struct error_note note = {0};
	enum error error = postgres_drop_days(&database.config, retention_ms, on_day, NULL, &note);
	if (error != ERROR_OK)
		fail_msg("%s: %s", error_name(error), note.text);
}

static void what_is_dropped_is_still_summed_up_and_counted(void **unused)
{
	(void)unused;
	add_pings();
	assert_reads_all();
	drop(UP_TO_TODAY + DAY_MS); /* up to the end of today */
	assert_int_equal(day_count, 1);
	assert_int_equal(days[0].pings, 5);
	assert_int_equal(days[0].waiting, 0);
	assert_int_equal(database_number(&database, "SELECT count(*) FROM pings"), 1);
	assert_reads_all();
	drop(UP_TO_TODAY);
	assert_int_equal(day_count, 2);
	assert_true(strcmp(days[0].text, days[1].text) < 0);
	assert_int_equal(days[1].pings, 1);
	assert_int_equal(database_number(&database, "SELECT count(*) FROM pings"), 0);
	assert_reads_all();
}

static void a_day_stays_while_any_of_it_is_not_in_the_log(void **unused)
{
	(void)unused;
	add_pings();
	database_execute(&database,
			 "INSERT INTO pings (client_ip, pinged_at, slot, batch_seq) VALUES ('203.0.113.9', now(), 1, 7)");
	drop(UP_TO_TODAY);
	assert_int_equal(day_count, 1);
	assert_int_equal(days[0].pings, 6);
	assert_int_equal(days[0].waiting, 1);
	assert_int_equal(database_number(&database, "SELECT count(*) FROM pings"), 7);
	assert_int_equal(database_number(&database, "SELECT count(*) FROM ledger_sums"), 0);
	database_execute(&database, "UPDATE pings SET position = 18 WHERE slot = 1");
	drop(UP_TO_TODAY);
	assert_int_equal(day_count, 3);
	assert_int_equal(database_number(&database, "SELECT count(*) FROM pings"), 0);
}

static void days_within_the_retention_and_the_default_partition_stay(void **unused)
{
	(void)unused;
	add_pings();
	database_execute(&database, "INSERT INTO pings (pinged_at, received_at) VALUES (now(), now() - interval '100 days')");
	drop(0);
	assert_int_equal(day_count, 0);
	drop(UP_TO_TODAY);
	assert_int_equal(day_count, 2);
	assert_int_equal(database_number(&database, "SELECT count(*) FROM pings"), 1);
}

static void who_has_had_enough_is_told_no_more(void **unused)
{
	(void)unused;
	wanted_days = 1;
	drop(-6 * DAY_MS);
	assert_int_equal(day_count, 1);
	assert_int_equal(database_number(&database, "SELECT count(*) FROM ledger_days_dropped"), 1);
}

static void a_table_without_days_is_refused_with_the_way_out(void **unused)
{
	(void)unused;
	database_execute(&database,
			 "DROP VIEW ledger_pings; DROP TABLE pings; CREATE TABLE pings (id uuid, pinged_at timestamptz)");
	struct error_note note = {0};
	assert_int_equal(postgres_drop_days(&database.config, DAY_MS, on_day, NULL, &note), ERROR_FAILED_PRECONDITION);
	assert_non_null(strstr(note.text, "leave out ledger-retention"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_dropped_is_still_summed_up_and_counted),
		TEST(a_day_stays_while_any_of_it_is_not_in_the_log),
		TEST(days_within_the_retention_and_the_default_partition_stay),
		TEST(who_has_had_enough_is_told_no_more),
		TEST(a_table_without_days_is_refused_with_the_way_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
