/* The plan of a load and its statistics. */
#include "app/call_client.h"
#include "app/load_plan.h"
#include "app/load_stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

enum { HOUR_MS = 3600000 };

static void assert_client_of(const struct load_plan *plan, int64_t number, const char *wanted)
{
	char text[ADDRESS_TEXT_SIZE];
	load_plan_client(plan, number, text);
	assert_string_equal(text, wanted);
}

static void assert_client(int64_t clients, int64_t number, const char *wanted)
{
	struct load_plan plan = {.clients = clients};
	assert_client_of(&plan, number, wanted);
}

static void clients_come_in_turn_from_10_0_0_1_on(void **state)
{
	(void)state;
	assert_client(3, 0, "10.0.0.1");
	assert_client(3, 2, "10.0.0.3");
	assert_client(3, 3, "10.0.0.1");
	assert_client(100000, 255, "10.0.1.0");
	assert_client(LOAD_MAX_CLIENTS, LOAD_MAX_CLIENTS - 1, "10.255.255.254");
}

static void spread_times_lie_in_the_span_before_the_start(void **state)
{
	(void)state;
	struct load_plan plan = {
		.clients = 1, .times = LOAD_TIMES_SPREAD, .span_ms = HOUR_MS, .start_ms = 10 * HOUR_MS, .seed = 7};
	int64_t quarters[4] = {0};
	for (int64_t i = 0; i < 4000; i++) {
		int64_t ms = load_plan_timestamp_ms(&plan, i, 0);
		assert_in_range(ms, 9 * HOUR_MS + 1, 10 * HOUR_MS);
		quarters[(ms - 9 * HOUR_MS - 1) / (HOUR_MS / 4)]++;
	}
	for (size_t i = 0; i < 4; i++)
		assert_in_range(quarters[i], 850, 1150);
}

static void a_ping_sent_again_has_its_time_and_key(void **state)
{
	(void)state;
	struct load_plan plan = {
		.clients = 1, .times = LOAD_TIMES_SPREAD, .span_ms = HOUR_MS, .start_ms = 10 * HOUR_MS, .seed = 7};
	assert_int_equal(load_plan_timestamp_ms(&plan, 5, 1), load_plan_timestamp_ms(&plan, 5, 2));
	char first[LOAD_KEY_SIZE], again[LOAD_KEY_SIZE], other[LOAD_KEY_SIZE];
	load_plan_key(&plan, 5, first);
	load_plan_key(&plan, 5, again);
	assert_string_equal(first, again);
	load_plan_key(&plan, 6, other);
	assert_string_not_equal(first, other);
	plan.seed = 8;
	load_plan_key(&plan, 5, other);
	assert_string_not_equal(first, other);
}

static void a_fleets_times_are_in_order_but_for_those_that_are_late(void **state)
{
	(void)state;
	enum { PINGS = 20000 };
	struct load_plan plan = {.clients = 1,
				 .pings = PINGS,
				 .times = LOAD_TIMES_FLEET,
				 .span_ms = 24 * HOUR_MS,
				 .start_ms = 100 * HOUR_MS,
				 .seed = 7};
	int64_t minutes = 0, days = 0;
	for (int64_t i = 0; i < PINGS; i++) {
		int64_t late_ms = 76 * HOUR_MS + i * 24 * HOUR_MS / PINGS - load_plan_timestamp_ms(&plan, i, 0);
		assert_in_range(late_ms + 1, 0, 72 * HOUR_MS + 1); /* rounded */
		days += late_ms >= 24 * HOUR_MS - 1;
		minutes += late_ms > 1 && late_ms <= HOUR_MS / 3;
		assert_true(late_ms <= HOUR_MS / 3 || late_ms >= 24 * HOUR_MS - 1);
	}
	assert_in_range(minutes, PINGS / 20 - 150, PINGS / 20 + 150);
	assert_in_range(days, PINGS / 100 - 70, PINGS / 100 + 70);
}

static void a_fleets_clients_come_in_bursts_of_five(void **state)
{
	(void)state;
	enum { CLIENTS = 70, PINGS = CLIENTS * 10 };
	struct load_plan plan = {.clients = CLIENTS, .pings = PINGS, .times = LOAD_TIMES_FLEET, .span_ms = HOUR_MS};
	char clients[PINGS][ADDRESS_TEXT_SIZE];
	for (int64_t i = 0; i < PINGS; i++)
		load_plan_client(&plan, i, clients[i]);
	assert_string_equal(clients[0], "10.0.0.1");
	assert_string_equal(clients[15], "10.0.0.16");
	assert_string_equal(clients[64], clients[0]);
	assert_string_equal(clients[80], "10.0.0.17");
	for (size_t i = 0; i < PINGS; i++) {
		size_t same = 0;
		for (size_t j = 0; j < PINGS; j++)
			same += strcmp(clients[i], clients[j]) == 0;
		assert_in_range(same, 5, 15);
	}
	plan.clients = 3;
	assert_client_of(&plan, 2, "10.0.0.3");
	assert_client_of(&plan, 14, "10.0.0.3");
	assert_client_of(&plan, 15, "10.0.0.1");
}

static void times_are_now_a_spread_or_a_fleets(void **state)
{
	(void)state;
	enum load_times times = LOAD_TIMES_FLEET;
	int64_t span_ms = -1;
	assert_int_equal(load_plan_parse_times("now", &times, &span_ms), ERROR_OK);
	assert_true(times == LOAD_TIMES_NOW && span_ms == 0);
	assert_int_equal(load_plan_parse_times("spread:24h", &times, &span_ms), ERROR_OK);
	assert_true(times == LOAD_TIMES_SPREAD && span_ms == 24 * HOUR_MS);
	assert_int_equal(load_plan_parse_times("fleet:1h", &times, &span_ms), ERROR_OK);
	assert_true(times == LOAD_TIMES_FLEET && span_ms == HOUR_MS);
	const char *const bad[] = {"", "spread", "spread:", "spread:0", "spread:24", "later", "fleet", "fleet:", "fleet:0", "f"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(load_plan_parse_times(bad[i], &times, &span_ms), ERROR_MALFORMED);
}

static void percentiles_are_right_to_three_percent(void **state)
{
	(void)state;
	static struct load_stats stats;
	for (int64_t us = 1; us <= 100000; us++)
		load_stats_add_latency(&stats, us);
	assert_in_range(load_stats_percentile_us(&stats, 50), 50000, 51600);
	assert_in_range(load_stats_percentile_us(&stats, 90), 90000, 92900);
	assert_in_range(load_stats_percentile_us(&stats, 99), 99000, 100000);
	assert_int_equal(load_stats_percentile_us(&stats, 100), 100000);
	assert_int_equal(stats.max_us, 100000);
}

static void small_latencies_are_exact(void **state)
{
	(void)state;
	static struct load_stats stats;
	for (int64_t us = 1; us <= 10; us++)
		load_stats_add_latency(&stats, us);
	assert_int_equal(load_stats_percentile_us(&stats, 50), 5);
	assert_int_equal(load_stats_percentile_us(&stats, 10), 1);
}

static void latencies_of_any_size_are_counted(void **state)
{
	(void)state;
	static struct load_stats stats;
	assert_int_equal(load_stats_percentile_us(&stats, 50), 0);
	load_stats_add_latency(&stats, -5);
	load_stats_add_latency(&stats, INT64_MAX);
	assert_int_equal(stats.latencies, 2);
	assert_int_equal(stats.max_us, INT64_MAX);
}

static void failures_are_counted_by_code_up_to_twenty_of_them(void **state)
{
	(void)state;
	static struct load_stats stats;
	load_stats_add_failure(&stats, "unavailable");
	load_stats_add_failure(&stats, "internal");
	load_stats_add_failure(&stats, "unavailable");
	assert_int_equal(stats.code_count, 2);
	assert_string_equal(stats.codes[0].name, "unavailable");
	assert_int_equal(stats.codes[0].count, 2);
	for (int i = 0; i < 50; i++) {
		char code[16];
		snprintf(code, sizeof code, "code_%d", i);
		load_stats_add_failure(&stats, code);
	}
	assert_int_equal(stats.code_count, LOAD_MAX_CODES);
	assert_string_equal(stats.codes[LOAD_MAX_CODES - 1].name, "other");
	int64_t sum = 0;
	for (size_t i = 0; i < stats.code_count; i++)
		sum += stats.codes[i].count;
	assert_int_equal(sum, 53);
	assert_int_equal(stats.failed, 53);
}

static void a_connect_error_is_read_and_made_printable(void **state)
{
	(void)state;
	struct call_error error;
	assert_true(call_error_parse(
		SLICE_LITERAL("{\"code\":\"invalid_argument\",\"message\":\"a\\u001b[31mb\\n\",\"details\":[]}"), &error));
	assert_string_equal(error.code, "invalid_argument");
	assert_string_equal(error.message, "a [31mb ");
	assert_false(call_error_parse(SLICE_LITERAL("<html>"), &error));
	assert_false(call_error_parse(SLICE_LITERAL("{}"), &error));
	assert_false(call_error_parse(SLICE_LITERAL(""), &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_come_in_turn_from_10_0_0_1_on),
		cmocka_unit_test(spread_times_lie_in_the_span_before_the_start),
		cmocka_unit_test(a_ping_sent_again_has_its_time_and_key),
		cmocka_unit_test(a_fleets_times_are_in_order_but_for_those_that_are_late),
		cmocka_unit_test(a_fleets_clients_come_in_bursts_of_five),
		cmocka_unit_test(times_are_now_a_spread_or_a_fleets),
		cmocka_unit_test(percentiles_are_right_to_three_percent),
		cmocka_unit_test(small_latencies_are_exact),
		cmocka_unit_test(latencies_of_any_size_are_counted),
		cmocka_unit_test(failures_are_counted_by_code_up_to_twenty_of_them),
		cmocka_unit_test(a_connect_error_is_read_and_made_printable),
	};
	return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
