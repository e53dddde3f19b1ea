#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "fake_store.h"
#include "query/activity.h"

#define NOW_MS (INT64_C(1728926331000))

static struct window_row window(int64_t start_ms, int64_t count)
{
	return (struct window_row){.client = fake_client(1),
				   .start_ms = start_ms,
				   .count = count,
				   .first_ms = start_ms + 5,
				   .last_ms = start_ms + 5 + count};
}

static struct activity_row derive(const struct window_row *windows, size_t count, int64_t *ret_counts)
{
	struct activity_row activity;
	struct address client = fake_client(1);
	activity_derive(&client, NOW_MS, windows, count, &activity, ret_counts);
	return activity;
}

static void the_open_window_is_the_last_of_288(void **state)
{
	(void)state;
	int64_t counts[ACTIVITY_WINDOWS];
	struct window_row open = window(window_start_of(NOW_MS), 3);
	struct activity_row activity = derive(&open, 1, counts);
	assert_int_equal(activity.start_ms, window_start_of(NOW_MS) - 287 * WINDOW_MS);
	assert_int_equal(counts[287], 3);
	assert_int_equal(activity.count, 3);
	assert_int_equal(activity.active_windows, 1);
}

static void windows_before_the_24_hours_and_in_the_future_are_left_out(void **state)
{
	(void)state;
	int64_t start_ms = activity_start_of(NOW_MS);
	struct window_row windows[] = {window(start_ms - WINDOW_MS, 9), window(start_ms, 2),
				       window(window_start_of(NOW_MS) + WINDOW_MS, 9)};
	int64_t counts[ACTIVITY_WINDOWS];
	struct activity_row activity = derive(windows, 3, counts);
	assert_int_equal(activity.count, 2);
	assert_int_equal(counts[0], 2);
	assert_int_equal(counts[287], 0);
	assert_int_equal(activity.first_ms, start_ms + 5);
	assert_int_equal(activity.last_ms, start_ms + 7);
}

static void the_busiest_window_is_the_newest_of_equals(void **state)
{
	(void)state;
	int64_t start_ms = activity_start_of(NOW_MS);
	struct window_row windows[] = {window(start_ms, 7), window(start_ms + 2 * WINDOW_MS, 7), window(start_ms + WINDOW_MS, 7),
				       window(start_ms + 3 * WINDOW_MS, 6)};
	struct activity_row activity = derive(windows, 4, NULL);
	assert_int_equal(activity.busiest_start_ms, start_ms + 2 * WINDOW_MS);
	assert_int_equal(activity.busiest_count, 7);
	assert_int_equal(activity.busiest_first_ms, windows[1].first_ms);
	assert_int_equal(activity.busiest_last_ms, windows[1].last_ms);
}

static void without_windows_there_is_an_activity_of_0(void **state)
{
	(void)state;
	int64_t counts[ACTIVITY_WINDOWS] = {[5] = 1};
	struct activity_row activity = derive(NULL, 0, counts);
	assert_int_equal(activity.count, 0);
	assert_int_equal(activity.active_windows, 0);
	assert_int_equal(activity.first_ms, 0);
	for (size_t i = 0; i < ACTIVITY_WINDOWS; i++)
		assert_int_equal(counts[i], 0);
}

enum { PINGS_MAX = 400 };

/* Each number by its definition, from the pings alone. */
static void check_against_pings(const struct activity_row *activity, const int64_t *counts, const int64_t *pings, size_t count)
{
	int64_t start_ms = activity_start_of(NOW_MS), total = 0, first = INT64_MAX, last = 0, busiest = 0, busiest_start = 0;
	int32_t active = 0;
	for (int64_t at = start_ms; at <= window_start_of(NOW_MS); at += WINDOW_MS) {
		int64_t here = 0;
		for (size_t i = 0; i < count; i++) {
			if (pings[i] < at || pings[i] >= at + WINDOW_MS)
				continue;
			here++;
			first = pings[i] < first ? pings[i] : first;
			last = pings[i] > last ? pings[i] : last;
		}
		assert_int_equal(counts[(at - start_ms) / WINDOW_MS], here);
		total += here;
		active += here > 0;
		if (here > 0 && here >= busiest) {
			busiest = here;
			busiest_start = at;
		}
	}
	assert_int_equal(activity->count, total);
	assert_int_equal(activity->active_windows, active);
	assert_int_equal(activity->first_ms, total > 0 ? first : 0);
	assert_int_equal(activity->last_ms, last);
	assert_int_equal(activity->busiest_count, busiest);
	assert_int_equal(activity->busiest_start_ms, busiest_start);
}

static size_t windows_of(const int64_t *pings, size_t count, struct window_row *ret_windows)
{
	size_t windows = 0;
	for (size_t i = 0; i < count; i++) {
		size_t at = 0;
		while (at < windows && ret_windows[at].start_ms != window_start_of(pings[i]))
			at++;
		if (at == windows)
			ret_windows[windows++] = (struct window_row){
				.start_ms = window_start_of(pings[i]), .first_ms = pings[i], .last_ms = pings[i]};
		ret_windows[at].count++;
		ret_windows[at].first_ms = pings[i] < ret_windows[at].first_ms ? pings[i] : ret_windows[at].first_ms;
		ret_windows[at].last_ms = pings[i] > ret_windows[at].last_ms ? pings[i] : ret_windows[at].last_ms;
	}
	return windows;
}

static void it_equals_what_the_pings_say_whatever_they_are(void **state)
{
	(void)state;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 20241014);
	for (int round = 0; round < 300; round++) {
		int64_t pings[PINGS_MAX];
		struct window_row windows[PINGS_MAX];
		size_t count = random_below(&seeded.random, PINGS_MAX);
		/* Spread from an hour to 30 hours, up to one window ahead. */
		uint64_t spread_ms = 3600000 + random_below(&seeded.random, 29 * UINT64_C(3600000));
		for (size_t i = 0; i < count; i++)
			pings[i] = NOW_MS + WINDOW_MS - (int64_t)random_below(&seeded.random, spread_ms);
		int64_t counts[ACTIVITY_WINDOWS];
		struct activity_row activity = derive(windows, windows_of(pings, count, windows), counts);
		check_against_pings(&activity, counts, pings, count);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_open_window_is_the_last_of_288),
		cmocka_unit_test(windows_before_the_24_hours_and_in_the_future_are_left_out),
		cmocka_unit_test(the_busiest_window_is_the_newest_of_equals),
		cmocka_unit_test(without_windows_there_is_an_activity_of_0),
		cmocka_unit_test(it_equals_what_the_pings_say_whatever_they_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
