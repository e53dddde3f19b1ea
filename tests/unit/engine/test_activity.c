/* The rolling 24 hours: what counts, when it is due. */
#include "engine/activity.h"
#include "unit/engine/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define NOW_MS	 INT64_C(1728926331123)
#define OPEN_MS	 window_start_of(NOW_MS)
#define START_MS activity_start_of(NOW_MS)

static struct activity_row activity;

static int setup(void **state)
{
	(void)state;
	struct address client = rows_address(7);
	activity_init(&activity, &client, START_MS);
	return 0;
}

static void add(int64_t start_ms, int64_t count, int64_t added)
{
	struct window_row row = {activity.client, start_ms, count, start_ms + 10, start_ms + 20, 1};
	activity_add(&activity, &row, added);
}

static void the_oldest_of_288_windows_counts_and_the_one_before_does_not(void **state)
{
	(void)state;
	add(OPEN_MS - 288 * WINDOW_MS, 5, 5);
	assert_int_equal(activity.count, 0);
	add(OPEN_MS - 287 * WINDOW_MS, 5, 5);
	assert_int_equal(activity.count, 5);
	assert_int_equal(activity.active_windows, 1);
}

static void it_is_due_when_its_oldest_window_leaves(void **state)
{
	(void)state;
	add(OPEN_MS, 1, 1);
	add(OPEN_MS - 100 * WINDOW_MS, 1, 1);
	assert_int_equal(activity.due_ms, OPEN_MS + 188 * WINDOW_MS);
	assert_false(activity_stale(&activity, activity.due_ms - 1));
	assert_true(activity_stale(&activity, activity.due_ms));
	assert_true(activity_start_of(activity.due_ms) > OPEN_MS - 100 * WINDOW_MS);
	assert_true(activity_start_of(activity.due_ms - 1) == OPEN_MS - 100 * WINDOW_MS);
}

static void a_window_that_has_not_opened_counts_nothing_but_makes_it_due_when_it_opens(void **state)
{
	(void)state;
	add(OPEN_MS + WINDOW_MS, 3, 3);
	assert_int_equal(activity.count, 0);
	assert_int_equal(activity.first_ms, 0);
	assert_int_equal(activity.due_ms, OPEN_MS + WINDOW_MS);
}

static void of_equally_busy_windows_the_newest_wins_in_any_order(void **state)
{
	(void)state;
	add(OPEN_MS - 3 * WINDOW_MS, 4, 4);
	add(OPEN_MS - 1 * WINDOW_MS, 4, 4);
	add(OPEN_MS - 2 * WINDOW_MS, 4, 4);
	assert_int_equal(activity.busiest_start_ms, OPEN_MS - WINDOW_MS);
	assert_int_equal(activity.busiest_first_ms, OPEN_MS - WINDOW_MS + 10);
	assert_int_equal(activity.busiest_last_ms, OPEN_MS - WINDOW_MS + 20);
}

static void a_window_that_grows_is_one_active_window(void **state)
{
	(void)state;
	add(OPEN_MS, 1, 1);
	add(OPEN_MS, 2, 1);
	add(OPEN_MS, 5, 3);
	assert_int_equal(activity.count, 5);
	assert_int_equal(activity.active_windows, 1);
	assert_int_equal(activity.busiest_count, 5);
}

static void a_replayed_ping_adds_nothing(void **state)
{
	(void)state;
	add(OPEN_MS, 2, 2);
	struct activity_row before = activity;
	add(OPEN_MS, 2, 0);
	rows_assert_activity(&activity, &before);
}

static void a_clock_set_back_over_a_boundary_makes_it_stale(void **state)
{
	(void)state;
	add(OPEN_MS, 1, 1);
	assert_false(activity_stale(&activity, OPEN_MS));
	assert_true(activity_stale(&activity, OPEN_MS - 1));
}

static void a_silent_client_has_no_due_time(void **state)
{
	(void)state;
	add(OPEN_MS - 1000 * WINDOW_MS, 9, 9);
	assert_int_equal(activity.due_ms, 0);
	assert_false(activity_stale(&activity, NOW_MS + 100 * WINDOW_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_oldest_of_288_windows_counts_and_the_one_before_does_not, setup),
		cmocka_unit_test_setup(it_is_due_when_its_oldest_window_leaves, setup),
		cmocka_unit_test_setup(a_window_that_has_not_opened_counts_nothing_but_makes_it_due_when_it_opens, setup),
		cmocka_unit_test_setup(of_equally_busy_windows_the_newest_wins_in_any_order, setup),
		cmocka_unit_test_setup(a_window_that_grows_is_one_active_window, setup),
		cmocka_unit_test_setup(a_replayed_ping_adds_nothing, setup),
		cmocka_unit_test_setup(a_clock_set_back_over_a_boundary_makes_it_stale, setup),
		cmocka_unit_test_setup(a_silent_client_has_no_due_time, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
