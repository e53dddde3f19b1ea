/* The audit of metrics whose rows each stand at a position of their own: over a ledger and a store that are arrays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "audit/metrics.h"

#include <string.h>

enum { MAX = 16, PARTITIONS = 2 };
#define START_MS INT64_C(1728864000000) /* begins a day */

struct ping {
	struct address client;
	int64_t ms, position;
};

static struct ping pings[MAX]; /* by client, then time */
static size_t ping_count;
static struct window_row windows[MAX];
static struct day_row days[MAX];
static int64_t counters[MAX]; /* of each day */
static struct client_row clients[MAX];
static int64_t window_kept[MAX], day_kept[MAX];
static size_t window_count, day_count, client_count;
static int64_t positions[PARTITIONS];
static struct metrics_report report;

static struct address client(uint8_t number)
{
	const uint8_t bytes[4] = {10, 0, 0, number};
	return address_from_ipv4(bytes);
}

static int32_t partition_of(const struct address *address, int32_t partition_count)
{
	return address->bytes[15] % partition_count;
}

/* ─── Ledger ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error sum_windows(struct ledger_reader *reader, int64_t up_to,
			      bool (*visit)(void *context, const struct ledger_sum *sum), void *context, struct error_note *note)
{
	(void)reader;
	(void)up_to;
	(void)note;
	for (size_t i = 0; i < ping_count;) {
		struct ledger_sum sum = {pings[i].client, window_start_of(pings[i].ms), 0, pings[i].ms, pings[i].ms, 0, 0};
		for (; i < ping_count && address_equal(&pings[i].client, &sum.client) &&
		       window_start_of(pings[i].ms) == sum.window_start_ms;
		     i++) {
			sum.count++;
			sum.last_ms = pings[i].ms;
			sum.position = pings[i].position > sum.position ? pings[i].position : sum.position;
		}
		if (!visit(context, &sum))
			break;
	}
	return ERROR_OK;
}

static enum error sum_keys(struct ledger_reader *reader, const struct ledger_key *keys, size_t count,
			   struct ledger_key_sum *ret_sums, struct error_note *note)
{
	(void)reader;
	(void)note;
	for (size_t i = 0; i < count; i++) {
		struct ledger_key_sum sum = {0};
		for (size_t k = 0; k < ping_count; k++) {
			const struct ping *ping = &pings[k];
			if (!address_equal(&ping->client, &keys[i].client) || ping->ms < keys[i].start_ms ||
			    ping->ms >= keys[i].end_ms)
				continue;
			sum.later += ping->position > keys[i].position && ping->position <= keys[i].bound;
			if (ping->position > keys[i].position)
				continue;
			sum.first_ms = sum.count == 0 ? ping->ms : sum.first_ms;
			sum.last_ms = ping->ms;
			sum.count++;
		}
		ret_sums[i] = sum;
	}
	return ERROR_OK;
}

/* ─── Store ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error read_positions(struct store_reader *reader, int64_t *ret_positions, size_t partition_count,
				 struct error_note *note)
{
	(void)reader;
	(void)note;
	assert_int_equal(partition_count, PARTITIONS);
	memcpy(ret_positions, positions, sizeof positions);
	return ERROR_OK;
}

static void tell_window(const struct store_rows *rows, size_t k)
{
	rows->window(rows->context, &windows[k]);
	if (window_kept[k] > 0)
		rows->kept(rows->context, &windows[k].client, windows[k].start_ms, false, window_kept[k]);
}

static void tell_day(const struct store_rows *rows, size_t k)
{
	rows->day(rows->context, &days[k]);
	if (day_kept[k] > 0)
		rows->kept(rows->context, &days[k].client, days[k].start_ms, true, day_kept[k]);
}

static enum error read_rows(struct store_reader *reader, const struct address *asked, size_t count, const struct store_rows *rows,
			    struct error_note *note)
{
	(void)reader;
	(void)note;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < day_count; k++)
			if (address_equal(&days[k].client, &asked[i]))
				rows->counter(rows->context, &asked[i], days[k].start_ms, counters[k]);
		for (size_t k = 0; k < window_count; k++)
			if (address_equal(&windows[k].client, &asked[i]))
				tell_window(rows, k);
		for (size_t k = 0; k < day_count; k++)
			if (address_equal(&days[k].client, &asked[i]))
				tell_day(rows, k);
		for (size_t k = 0; k < client_count; k++)
			if (address_equal(&clients[k].client, &asked[i]))
				rows->client(rows->context, &clients[k]);
	}
	return ERROR_OK;
}

static enum error list_any(struct store_reader *reader, void (*visit)(void *context, const struct address *client), void *context,
			   struct error_note *note)
{
	(void)reader;
	(void)note;
	for (size_t k = 0; k < window_count; k++)
		visit(context, &windows[k].client);
	for (size_t k = 0; k < client_count; k++)
		visit(context, &clients[k].client);
	return ERROR_OK;
}

/* ─── Three clients, each with two pings in a window, all in the metrics ────────────────────────────────────────────── */

static int fill(void **state)
{
	(void)state;
	enum { CLIENTS = 3 };
	ping_count = window_count = day_count = client_count = 0;
	memset(window_kept, 0, sizeof window_kept);
	memset(day_kept, 0, sizeof day_kept);
	for (uint8_t i = 0; i < CLIENTS; i++) {
		for (int n = 0; n < 2; n++)
			pings[ping_count++] = (struct ping){client(i), START_MS + 1000 + n, i * 2 + n};
		windows[window_count++] =
			(struct window_row){client(i), START_MS, 2, START_MS + 1000, START_MS + 1001, i * 2 + 1};
		counters[day_count] = 2;
		days[day_count++] = (struct day_row){client(i), START_MS, 2, i * 2 + 1};
		clients[client_count++] = (struct client_row){client(i), START_MS + 1000, START_MS + 1001};
	}
	positions[0] = positions[1] = 10;
	return 0;
}

static struct metrics_options options = {
	.now_ms = START_MS + 3600000, .partition_count = PARTITIONS, .partition_of = partition_of, .max_examples = 10};

static void audit(void)
{
	static const struct ledger_reader_vtable ledger_vtable = {.sum_windows = sum_windows, .sum_keys = sum_keys};
	static const struct store_reader_vtable store_vtable = {
		.positions = read_positions, .read_rows = read_rows, .list_any = list_any};
	struct ledger_reader sums = {&ledger_vtable}, keys = {&ledger_vtable};
	struct store_reader store = {&store_vtable};
	assert_int_equal(metrics_audit(&sums, &keys, &store, &options, &report, NULL), ERROR_OK);
}

static void expect(int64_t of_windows, int64_t of_days, int64_t of_counters, int64_t of_clients)
{
	audit();
	assert_int_equal(report.kinds[METRICS_WINDOWS].differences, of_windows);
	assert_int_equal(report.kinds[METRICS_DAYS].differences, of_days);
	assert_int_equal(report.kinds[METRICS_COUNTERS].differences, of_counters);
	assert_int_equal(report.kinds[METRICS_CLIENTS].differences, of_clients);
	assert_int_equal(metrics_differences(&report), of_windows + of_days + of_counters + of_clients);
}

static void what_is_equal_is_checked_and_no_difference(void **state)
{
	(void)state;
	expect(0, 0, 0, 0);
	for (int kind = 0; kind < METRICS_KIND_COUNT; kind++)
		assert_int_equal(report.kinds[kind].checked, 3);
}

static void pings_behind_the_partition_s_position_are_on_their_way(void **state)
{
	(void)state;
	pings[5].position = 11; /* of client 2, in partition 0 */
	windows[2] = (struct window_row){client(2), START_MS, 1, START_MS + 1000, START_MS + 1000, 4};
	days[2] = (struct day_row){client(2), START_MS, 1, 4};
	counters[2] = 1;
	clients[2].last_ms = START_MS + 1000;
	expect(0, 0, 0, 0);
	positions[0] = 11;
	expect(1, 1, 0, 1);
	assert_non_null(strstr(report.examples[0].text, "10.0.0.2"));
}

/* It counts a ping that the ledger has not: that is no matter of order, as a row is in the ledger before its event is shown. */
static void a_ping_that_the_ledger_lacks_is_a_difference(void **state)
{
	(void)state;
	ping_count--;
	expect(1, 1, 0, 1);
}

static void rows_that_are_lacking_or_wrong_or_nobody_s_are_named(void **state)
{
	(void)state;
	windows[0].count = 7;
	days[1].total = 3;
	client_count = 2;
	windows[window_count++] = (struct window_row){client(9), START_MS, 1, START_MS, START_MS, 3};
	expect(2, 1, 1, 1);
	assert_int_equal(report.example_count, 5);
}

static void a_counter_counts_once_its_total_is_behind_the_position(void **state)
{
	(void)state;
	counters[1] = 1;
	positions[1] = 2; /* client 1 stands at 3 */
	expect(0, 0, 0, 0);
	positions[1] = 3;
	expect(0, 0, 1, 0);
	assert_non_null(strstr(report.examples[0].text, "total 2, counter 1"));
}

static void settle(void *context)
{
	(void)context;
	windows[0].count = 2;
}

static void what_is_right_when_looked_at_again_is_no_difference(void **state)
{
	(void)state;
	windows[0].count = 1;
	options.pause = settle;
	expect(0, 0, 0, 0);
	options.pause = NULL;
}

static void old_windows_and_rows_of_others_are_apart(void **state)
{
	(void)state;
	windows[0].count = 9;
	options.window_retention_ms = 30 * INT64_C(3600000);
	options.now_ms = START_MS + 40 * INT64_C(3600000);
	expect(0, 0, 0, 0);
	assert_int_equal(report.expired, 3);
	options.window_retention_ms = 0;
	windows[0].count = 2;
	windows[window_count++] = (struct window_row){client(9), START_MS, 1, START_MS, START_MS, POSITION_NONE};
	expect(0, 0, 0, 0);
	assert_int_equal(report.others, 1);
}

/* Of whoever filled the tables before us: client 1 has pings beside them, client 7 nothing else. */
static void what_rows_keep_the_ledger_need_not_have(void **state)
{
	(void)state;
	window_kept[1] = day_kept[1] = 3;
	windows[1].count = days[1].total = counters[1] = 5;
	windows[1].first_ms = clients[1].first_ms = START_MS;
	windows[window_count] = (struct window_row){client(7), START_MS, 4, START_MS, START_MS + 9, 8};
	days[day_count] = (struct day_row){client(7), START_MS, 6, 8};
	clients[client_count++] = (struct client_row){client(7), START_MS, START_MS + 9};
	window_kept[window_count++] = 4;
	day_kept[day_count] = 6;
	counters[day_count++] = 6;
	audit();
	expect(0, 0, 0, 0);

	windows[1].count = 6; /* one more than is kept and known */
	counters[1] = 4;
	windows[3].count = 3; /* one less than is kept */
	audit();
	expect(2, 0, 1, 0);

	clients[1].first_ms = START_MS + 1001; /* behind a ping that is known */
	audit();
	expect(2, 0, 1, 1);
}

#define TEST(name) cmocka_unit_test_setup(name, fill)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_equal_is_checked_and_no_difference),
		TEST(pings_behind_the_partition_s_position_are_on_their_way),
		TEST(a_ping_that_the_ledger_lacks_is_a_difference),
		TEST(rows_that_are_lacking_or_wrong_or_nobody_s_are_named),
		TEST(a_counter_counts_once_its_total_is_behind_the_position),
		TEST(what_is_right_when_looked_at_again_is_no_difference),
		TEST(old_windows_and_rows_of_others_are_apart),
		TEST(what_rows_keep_the_ledger_need_not_have),
	};
	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
