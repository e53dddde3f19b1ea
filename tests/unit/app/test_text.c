/* What pingctl prints with: times, spans, counts, tables, bars. */
#include "app/sparkline.h"
#include "app/text_table.h"
#include "app/text_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

enum { MINUTE_MS = 60000, HOUR_MS = 3600000 };
#define NOW_MS INT64_C(1728926331123) /* 2024-10-14T17:18:51.123Z */

static void assert_time(const char *text, int64_t wanted_ms)
{
	int64_t ms = -1;
	assert_int_equal(text_time_parse(text, NOW_MS, &ms), ERROR_OK);
	assert_int_equal(ms, wanted_ms);
}

static void times_are_read_in_every_form(void **state)
{
	(void)state;
	assert_time("1728926331123", NOW_MS);
	assert_time("2024-10-14T17:18:51.123Z", NOW_MS);
	assert_time("2024-10-14T19:18:51.123+02:00", NOW_MS);
	assert_time("2024-10-14", NOW_MS - NOW_MS % (24 * HOUR_MS));
	assert_time("now", NOW_MS);
	assert_time("-1h", NOW_MS - HOUR_MS);
	assert_time("+5m", NOW_MS + 5 * MINUTE_MS);
	assert_time("0", 0);
}

static void other_texts_are_no_times(void **state)
{
	(void)state;
	const char *const bad[] = {
		"",   "-", "-1", "yesterday", "2024-13-01", "2024-10-14 17:18", "1h", "-1h -2h", "12345 ", "99999999999999999999",
		"NOW"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int64_t ms = -1;
		assert_int_equal(text_time_parse(bad[i], NOW_MS, &ms), ERROR_MALFORMED);
		assert_int_equal(ms, -1);
		assert_false(text_time_is_valid(bad[i]));
	}
}

static void times_are_written_in_utc_or_local_time(void **state)
{
	(void)state;
	char text[TEXT_TIME_SIZE];
	text_time_format(NOW_MS, true, TEXT_TIME_MINUTES, text);
	assert_string_equal(text, "2024-10-14 17:18");
	text_time_format(NOW_MS, true, TEXT_TIME_SECONDS, text);
	assert_string_equal(text, "2024-10-14 17:18:51");
	text_time_format(NOW_MS, false, TEXT_TIME_MILLISECONDS, text);
	assert_string_equal(text, "2024-10-14 19:18:51.123");
	text_time_format(-1, true, TEXT_TIME_MILLISECONDS, text);
	assert_string_equal(text, "1969-12-31 23:59:59.999");
	text_time_zone(NOW_MS, true, text);
	assert_string_equal(text, "UTC");
	text_time_zone(NOW_MS, false, text);
	assert_string_equal(text, "CEST");
}

static void spans_have_the_unit_that_suits_them(void **state)
{
	(void)state;
	const struct {
		double ms;
		const char *text;
	} spans[] = {{0, "0 ms"},
		     {850, "850 ms"},
		     {4200, "4.2 s"},
		     {300000, "5.0 min"},
		     {1.3 * HOUR_MS, "1.3 h"},
		     {30.0 * HOUR_MS, "30.0 h"},
		     {84.0 * HOUR_MS, "3.5 d"}};
	for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
		char text[TEXT_SPAN_SIZE];
		text_span_format(spans[i].ms, text);
		assert_string_equal(text, spans[i].text);
	}
}

static void counts_are_grouped_by_thousands(void **state)
{
	(void)state;
	const struct {
		int64_t count;
		const char *text;
	} counts[] = {{0, "0"},
		      {999, "999"},
		      {1000, "1,000"},
		      {1234567, "1,234,567"},
		      {-123456, "-123,456"},
		      {INT64_MAX, "9,223,372,036,854,775,807"}};
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		char text[TEXT_COUNT_SIZE];
		text_count_format(counts[i].count, text);
		assert_string_equal(text, counts[i].text);
	}
}

static void assert_table(const struct text_table *table, bool bold, const char *wanted)
{
	struct buffer output;
	buffer_init(&output, 1 << 16);
	assert_int_equal(text_table_write(table, bold, &output), ERROR_OK);
	assert_int_equal(buffer_append_byte(&output, 0), ERROR_OK);
	assert_string_equal((char *)output.data, wanted);
	buffer_release(&output);
}

static const struct text_column columns[] = {{"client", false}, {"pings", true}, {"", false}};

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 1 << 16);
	struct text_table table;
	text_table_init(&table, &arena, columns, 3);
	const char *const cells[] = {"203.0.113.7", "1,234", "open", "::1", "–", ""};
	for (size_t i = 0; i < 6; i++)
		text_table_cell(&table, "%s", cells[i]);
	assert_table(&table, false,
		     "client       pings  \n"
		     "203.0.113.7  1,234  open\n"
		     "::1              –  \n");
	assert_table(&table, true,
		     "\033[1mclient       pings  \n"
		     "\033[0m203.0.113.7  1,234  open\n"
		     "::1              –  \n");
	arena_release(&arena);
}

static void tables_grow_with_their_rows_and_keep_rows_whole(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 1 << 20);
	struct text_table table;
	text_table_init(&table, &arena, columns, 3);
	for (int i = 0; i < 3 * 1000 + 1; i++)
		text_table_cell(&table, "%d", i);
	struct buffer output;
	buffer_init(&output, 1 << 20);
	assert_int_equal(text_table_write(&table, false, &output), ERROR_OK);
	size_t lines = 0;
	for (size_t i = 0; i < output.size; i++)
		lines += output.data[i] == '\n';
	assert_int_equal(lines, 1 + 1000);
	buffer_release(&output);
	arena_release(&arena);
}

static void a_table_without_memory_says_so_when_written(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 64);
	struct text_table table;
	struct buffer output;
	buffer_init(&output, 1 << 16);
	text_table_init(&table, &arena, columns, 3);
	text_table_cell(&table, "x");
	assert_int_equal(text_table_write(&table, false, &output), ERROR_NO_MEMORY);
	buffer_release(&output);
	arena_release(&arena);
}

static void assert_bars(const int64_t *counts, size_t count, int64_t start_ms, bool unicode, bool utc, const char *wanted)
{
	struct buffer output;
	buffer_init(&output, 1 << 16);
	assert_int_equal(sparkline_write(counts, count, start_ms, 5 * MINUTE_MS, unicode, utc, &output), ERROR_OK);
	assert_int_equal(buffer_append_byte(&output, 0), ERROR_OK);
	assert_string_equal((char *)output.data, wanted);
	buffer_release(&output);
}

static void bars_are_scaled_to_the_greatest_count(void **state)
{
	(void)state;
	const int64_t counts[] = {0, 1, 100, 200, 300, 400, 500, 600, 700, 800};
	assert_bars(counts, 10, MINUTE_MS, true, true, " ▁▁▂▃▄▅▆▇█\n\n");
	assert_bars(counts, 10, MINUTE_MS, false, true, " ..:-=+*#@\n\n");
}

static void without_pings_there_are_no_bars(void **state)
{
	(void)state;
	const int64_t counts[4] = {0};
	assert_bars(counts, 4, MINUTE_MS, true, true, "    \n\n");
}

static void hours_stand_under_the_window_that_begins_them(void **state)
{
	(void)state;
	const int64_t counts[15] = {8, [12] = 8};
	assert_bars(counts, 15, 15 * HOUR_MS - 10 * MINUTE_MS, false, true,
		    "@           @  \n"
		    "  15          16\n");
	assert_bars(counts, 3, NOW_MS - NOW_MS % HOUR_MS, false, false, "@  \n19\n");
}

static void a_day_is_four_rows_of_six_hours(void **state)
{
	(void)state;
	int64_t counts[288] = {[72] = 1, [287] = 1};
	struct buffer output;
	buffer_init(&output, 1 << 16);
	assert_int_equal(sparkline_write(counts, 288, 0, 5 * MINUTE_MS, false, true, &output), ERROR_OK);
	assert_int_equal(buffer_append_byte(&output, 0), ERROR_OK);
	char *line = (char *)output.data, *lines[8];
	for (size_t i = 0; i < 8; i++) {
		lines[i] = line;
		line = strchr(line, '\n');
		assert_non_null(line);
		*line++ = 0;
	}
	assert_int_equal(*line, 0);
	assert_int_equal(strlen(lines[0]), 72);
	assert_int_equal(lines[2][0], '@');
	assert_int_equal(lines[6][71], '@');
	assert_memory_equal(lines[3], "06          07          08", 26);
	assert_memory_equal(lines[7], "18          19          20", 26);
	buffer_release(&output);
}

int main(void)
{
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_read_in_every_form),
		cmocka_unit_test(other_texts_are_no_times),
		cmocka_unit_test(times_are_written_in_utc_or_local_time),
		cmocka_unit_test(spans_have_the_unit_that_suits_them),
		cmocka_unit_test(counts_are_grouped_by_thousands),
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(tables_grow_with_their_rows_and_keep_rows_whole),
		cmocka_unit_test(a_table_without_memory_says_so_when_written),
		cmocka_unit_test(bars_are_scaled_to_the_greatest_count),
		cmocka_unit_test(without_pings_there_are_no_bars),
		cmocka_unit_test(hours_stand_under_the_window_that_begins_them),
		cmocka_unit_test(a_day_is_four_rows_of_six_hours),
	};
	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
