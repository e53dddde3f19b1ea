#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

#include "base/random.h"
#include "base/timestamp.h"

#define YEAR_0_MS INT64_C(-62167219200000)

static int64_t parsed(const char *text)
{
	int64_t ms;
	if (timestamp_parse(slice_from_string(text), &ms) != ERROR_OK)
		fail_msg("refused: %s", text);
	return ms;
}

static void assert_formats(int64_t ms, const char *wanted)
{
	char text[TIMESTAMP_TEXT_SIZE];
	size_t size = timestamp_format(ms, text);
	assert_string_equal(text, wanted);
	assert_int_equal(size, strlen(wanted));
}

static void the_fraction_has_no_trailing_zeros(void **state)
{
	(void)state;
	assert_formats(1728920731123, "2024-10-14T15:45:31.123Z");
	assert_formats(1728920731120, "2024-10-14T15:45:31.12Z");
	assert_formats(1728920731100, "2024-10-14T15:45:31.1Z");
	assert_formats(1728920731001, "2024-10-14T15:45:31.001Z");
	assert_formats(1728920731000, "2024-10-14T15:45:31Z");
}

static void the_ends_of_the_range_have_a_text(void **state)
{
	(void)state;
	assert_formats(TIMESTAMP_MAX_MS, "9999-12-31T23:59:59.999Z");
	assert_formats(YEAR_0_MS, "0000-01-01T00:00:00Z");
	assert_formats(0, "1970-01-01T00:00:00Z");
	assert_formats(-1, "1969-12-31T23:59:59.999Z");
}

static void agrees_with_the_c_library_on_every_day_of_ten_thousand_years(void **state)
{
	(void)state;
	for (int64_t ms = YEAR_0_MS; ms < TIMESTAMP_MAX_MS; ms += TIMESTAMP_DAY_MS) {
		time_t seconds = ms / 1000;
		struct tm tm;
		char day[TIMESTAMP_DAY_SIZE], wanted[64];
		gmtime_r(&seconds, &tm);
		timestamp_format_day(ms, day);
		snprintf(wanted, sizeof wanted, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
		assert_string_equal(day, wanted);
		int64_t back;
		assert_int_equal(timestamp_parse_day(slice_from_string(day), &back), ERROR_OK);
		assert_int_equal(back, ms);
	}
}

static void what_is_formatted_parses_back(void **state)
{
	(void)state;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 3);
	for (int i = 0; i < 100000; i++) {
		int64_t ms = YEAR_0_MS + (int64_t)random_below(&seeded.random, (uint64_t)(TIMESTAMP_MAX_MS - YEAR_0_MS) + 1);
		char text[TIMESTAMP_TEXT_SIZE];
		timestamp_format(ms, text);
		assert_int_equal(parsed(text), ms);
	}
}

static void an_offset_is_taken_off(void **state)
{
	(void)state;
	assert_int_equal(parsed("2024-10-14T17:45:31.123+02:00"), 1728920731123);
	assert_int_equal(parsed("2024-10-14T06:15:31.123-09:30"), 1728920731123);
	assert_int_equal(parsed("2024-10-14T15:45:31.123+00:00"), 1728920731123);
	assert_int_equal(parsed("2024-10-14T15:45:31.123-00:00"), 1728920731123);
	assert_int_equal(parsed("2024-10-15T15:44:31.123+23:59"), 1728920731123);
}

static void fractions_are_cut_toward_the_past(void **state)
{
	(void)state;
	assert_int_equal(parsed("2024-10-14T15:45:31.123999999Z"), 1728920731123);
	assert_int_equal(parsed("2024-10-14T15:45:31.5Z"), 1728920731500);
	assert_int_equal(parsed("2024-10-14T15:45:31.05Z"), 1728920731050);
	assert_int_equal(parsed("1969-12-31T23:59:59.9999Z"), -1);
}

static void leap_days_exist_in_leap_years_only(void **state)
{
	(void)state;
	int64_t ms;
	assert_int_equal(parsed("2024-02-29T00:00:00Z"), 1709164800000);
	assert_int_equal(parsed("2000-02-29T00:00:00Z"), 951782400000);
	assert_int_equal(timestamp_parse(SLICE_LITERAL("2023-02-29T00:00:00Z"), &ms), ERROR_MALFORMED);
	assert_int_equal(timestamp_parse(SLICE_LITERAL("1900-02-29T00:00:00Z"), &ms), ERROR_MALFORMED);
}

static void malformed_text_is_refused_and_the_result_untouched(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"",
		"2024",
		"2024-10-14",
		"2024-10-14T15:45:31",
		"2024-10-14T15:45:31+02",
		"2024-10-14T15:45:31+0200",
		"2024-10-14T15:45:31+24:00",
		"2024-10-14T15:45:31+02:60",
		"2024-10-14T15:45:31.Z",
		"2024-10-14T15:45:31.1234567890Z",
		"2024-10-14T15:45:31,5Z",
		"2024-10-14t15:45:31Z",
		"2024-10-14T15:45:31z",
		"2024-10-14 15:45:31Z",
		"2024-10-14T15:45:60Z",
		"2024-10-14T15:60:31Z",
		"2024-10-14T24:00:00Z",
		"2024-00-14T15:45:31Z",
		"2024-13-14T15:45:31Z",
		"2024-10-00T15:45:31Z",
		"2024-10-32T15:45:31Z",
		"2024-11-31T15:45:31Z",
		"2024-10-14T15:45:31Zx",
		" 2024-10-14T15:45:31Z",
		"24-10-14T15:45:31Z",
		"2024-1-14T15:45:31Z",
		"-024-10-14T15:45:31Z",
		"+2024-10-14T15:45:31Z",
		"2024-10-14T15:4 :31Z",
		"202x-10-14T15:45:31Z",
		"x024-10-14T15:45:31Z",
		"0000-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		int64_t ms = 42;
		if (timestamp_parse(slice_from_string(wrong[i]), &ms) != ERROR_MALFORMED)
			fail_msg("accepted: %s", wrong[i]);
		assert_int_equal(ms, 42);
	}
}

static void no_byte_can_be_another(void **state)
{
	(void)state;
	static const char text[] = "2024-10-14T15:45:31+02:00";
	for (size_t at = 0; at < sizeof text - 1; at++)
		for (int byte = 0; byte < 256; byte++) {
			char changed[sizeof text];
			int64_t ms;
			memcpy(changed, text, sizeof text);
			changed[at] = (char)byte;
			bool digit = text[at] >= '0' && text[at] <= '9';
			bool may_be = digit ? byte >= '0' && byte <= '9' : byte == text[at] || (text[at] == '+' && byte == '-');
			if (!may_be)
				assert_int_equal(timestamp_parse(slice_make(changed, sizeof text - 1), &ms), ERROR_MALFORMED);
		}
}

static void a_day_parses_alone(void **state)
{
	(void)state;
	int64_t ms = 42;
	assert_int_equal(timestamp_parse_day(SLICE_LITERAL("2024-10-14T"), &ms), ERROR_MALFORMED);
	assert_int_equal(timestamp_parse_day(SLICE_LITERAL("2024-10-1"), &ms), ERROR_MALFORMED);
	assert_int_equal(timestamp_parse_day(slice_make(NULL, 0), &ms), ERROR_MALFORMED);
	assert_int_equal(ms, 42);
	assert_int_equal(timestamp_parse_day(SLICE_LITERAL("2024-10-14"), &ms), ERROR_OK);
	assert_int_equal(ms, 1728864000000);
}

static void a_day_starts_at_midnight_also_before_1970(void **state)
{
	(void)state;
	assert_int_equal(timestamp_day_start_ms(1728920731123), 1728864000000);
	assert_int_equal(timestamp_day_start_ms(0), 0);
	assert_int_equal(timestamp_day_start_ms(-1), -TIMESTAMP_DAY_MS);
	assert_int_equal(timestamp_day_start_ms(-TIMESTAMP_DAY_MS), -TIMESTAMP_DAY_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fraction_has_no_trailing_zeros),
		cmocka_unit_test(the_ends_of_the_range_have_a_text),
		cmocka_unit_test(agrees_with_the_c_library_on_every_day_of_ten_thousand_years),
		cmocka_unit_test(what_is_formatted_parses_back),
		cmocka_unit_test(an_offset_is_taken_off),
		cmocka_unit_test(fractions_are_cut_toward_the_past),
		cmocka_unit_test(leap_days_exist_in_leap_years_only),
		cmocka_unit_test(malformed_text_is_refused_and_the_result_untouched),
		cmocka_unit_test(no_byte_can_be_another),
		cmocka_unit_test(a_day_parses_alone),
		cmocka_unit_test(a_day_starts_at_midnight_also_before_1970),
	};
	return cmocka_run_group_tests_name("base/timestamp", tests, NULL, NULL);
}
