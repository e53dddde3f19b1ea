/* What the engine does with events, one behaviour at a time. */
#include "engine/engine.h"
#include "unit/engine/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define NOW_MS	INT64_C(1728926331123)
#define OPEN_MS window_start_of(NOW_MS)
#define HOUR_MS INT64_C(3600000)
#define DAY_MS	(24 * HOUR_MS)

static struct rows store;
static struct engine *engine;
static int64_t position;

static void create(struct engine_config config)
{
	engine_destroy(engine);
	assert_int_equal(engine_create(&config, POSITION_NONE, &engine), ERROR_OK);
}

static int setup(void **state)
{
	(void)state;
	store = (struct rows){0};
	position = 0;
	create((struct engine_config){0});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	engine_destroy(engine);
	engine = NULL;
	return 0;
}

static struct engine_event event(unsigned client, int64_t pinged_at_ms)
{
	return (struct engine_event){rows_address(client), pinged_at_ms, ++position};
}

static void ping_at(unsigned client, int64_t pinged_at_ms, int64_t now_ms)
{
	struct engine_event one = event(client, pinged_at_ms);
	rows_drive(&store, engine, &one, 1, now_ms);
}

static void ping(unsigned client, int64_t pinged_at_ms)
{
	ping_at(client, pinged_at_ms, NOW_MS);
}

static struct activity_row *stored_activity(unsigned client)
{
	struct address address = rows_address(client);
	return rows_activity(&store, &address);
}

static struct window_row *stored_window(unsigned client, int64_t start_ms)
{
	struct address address = rows_address(client);
	return rows_window(&store, &address, start_ms);
}

static void refresh(unsigned client, int64_t now_ms)
{
	struct address address = rows_address(client);
	assert_int_equal(engine_refresh_activity(engine, &address, now_ms), ERROR_OK);
	rows_supply(&store, engine);
}

static void pings_become_a_window_a_day_a_client_and_an_activity(void **state)
{
	(void)state;
	ping(1, OPEN_MS + 5000);
	ping(1, OPEN_MS + 1000);
	ping(1, OPEN_MS + 9000);
	rows_flush(&store, engine);
	struct window_row *window = stored_window(1, OPEN_MS);
	assert_int_equal(window->count, 3);
	assert_int_equal(window->first_ms, OPEN_MS + 1000);
	assert_int_equal(window->last_ms, OPEN_MS + 9000);
	assert_int_equal(window->position, 3);
	assert_int_equal(store.days[0].total, 3);
	assert_int_equal(store.days[0].position, 3);
	assert_int_equal(store.clients[0].first_ms, OPEN_MS + 1000);
	assert_int_equal(store.clients[0].last_ms, OPEN_MS + 9000);
	assert_int_equal(store.activities[0].count, 3);
	assert_int_equal(engine_stats(engine).applied, 3);
	assert_int_equal(engine_position(engine), 3);
}

static void a_row_that_is_stored_is_read_before_its_first_merge(void **state)
{
	(void)state;
	ping(1, OPEN_MS + 1);
	rows_flush(&store, engine);
	create((struct engine_config){0});
	ping(1, OPEN_MS + 2);
	rows_flush(&store, engine);
	assert_int_equal(stored_window(1, OPEN_MS)->count, 2);
	assert_int_equal(store.days[0].total, 2);
	assert_int_equal(stored_activity(1)->count, 2);
}

static void a_new_client_costs_two_reads_and_one_that_is_known_none(void **state)
{
	(void)state;
	struct engine_event events[] = {event(1, OPEN_MS), event(1, OPEN_MS + 1)};
	struct engine_missing missing;
	size_t taken;
	assert_int_equal(engine_offer(engine, events, 2, NOW_MS, &taken), ERROR_OK);
	assert_true(engine_next_missing(engine, &missing));
	assert_int_equal(missing.kind, ENGINE_MISSING_CLIENT); /* its window comes along */
	assert_int_equal(missing.start_ms, activity_start_of(NOW_MS));
	assert_int_equal(engine_supply_client(engine, &missing.client, NULL, NULL, 0), ERROR_OK);
	assert_true(engine_next_missing(engine, &missing));
	assert_int_equal(missing.kind, ENGINE_MISSING_DAY);
	assert_int_equal(engine_supply_day(engine, &missing.client, missing.start_ms, NULL), ERROR_OK);
	assert_false(engine_next_missing(engine, &missing));
	engine_apply(engine);

	events[0] = event(1, OPEN_MS + 3);
	assert_int_equal(engine_offer(engine, events, 1, NOW_MS, &taken), ERROR_OK);
	assert_false(engine_next_missing(engine, &missing));
	engine_apply(engine);
}

static void a_window_newer_than_all_of_its_client_is_not_read(void **state)
{
	(void)state;
	ping(1, OPEN_MS - 2 * WINDOW_MS);
	rows_flush(&store, engine);
	create((struct engine_config){.max_rows = 7}); /* no room for windows that nobody needs yet */
	refresh(1, NOW_MS);
	ping(1, OPEN_MS);
	assert_int_equal(engine_stats(engine).loads, 2); /* client and day */
	ping(1, OPEN_MS - 2 * WINDOW_MS);
	assert_int_equal(engine_stats(engine).loads, 3);
	rows_flush(&store, engine);
	assert_int_equal(stored_window(1, OPEN_MS - 2 * WINDOW_MS)->count, 2);
	rows_assert_activities(&store);
}

/* Windows are written before their client's row, so a crash can leave newer ones than that one knows of. */
static void a_window_that_a_crash_left_behind_its_client_is_read(void **state)
{
	(void)state;
	ping(1, OPEN_MS - 2 * WINDOW_MS);
	rows_flush(&store, engine);
	struct client_row before = *rows_client(&store, &store.clients[0].client);
	struct engine_event again[] = {event(1, OPEN_MS), event(1, OPEN_MS + 1)};
	rows_drive(&store, engine, again, 2, NOW_MS);
	rows_flush(&store, engine);
	store.clients[0] = before;
	create((struct engine_config){0});
	refresh(1, NOW_MS);
	rows_drive(&store, engine, again, 2, NOW_MS);
	assert_int_equal(engine_stats(engine).skipped, 2);
	rows_flush(&store, engine);
	assert_int_equal(stored_window(1, OPEN_MS)->count, 2);
	assert_int_equal(stored_activity(1)->count, 3);
	assert_int_equal(store.clients[0].last_ms, OPEN_MS + 1);
}

/* What it wrote is of events that come from the log again. */
static void a_newest_window_that_another_wrote_behind_the_activity_is_made_anew(void **state)
{
	(void)state;
	ping(1, OPEN_MS - WINDOW_MS);
	rows_flush(&store, engine);
	create((struct engine_config){0});
	refresh(1, NOW_MS);
	struct engine_event events[] = {event(1, OPEN_MS), event(1, OPEN_MS + 1)};
	rows_count(&store, &events[0]);
	rows_count(&store, &events[1]);
	rows_drive(&store, engine, events, 2, NOW_MS);
	rows_flush(&store, engine);
	assert_int_equal(stored_window(1, OPEN_MS)->count, 2);
	assert_int_equal(store.days[0].total, 3);
	assert_int_equal(stored_activity(1)->count, 3);
}

static void a_refresh_that_finds_a_late_window_of_another_does_not_count_it_twice(void **state)
{
	(void)state;
	ping(1, OPEN_MS - 2 * WINDOW_MS);
	rows_flush(&store, engine);
	struct engine_event late = event(1, OPEN_MS);
	rows_count(&store, &late); /* by an owner before this one */
	refresh(1, NOW_MS);
	rows_drive(&store, engine, &late, 1, NOW_MS);
	rows_flush(&store, engine);
	assert_int_equal(stored_window(1, OPEN_MS)->count, 1);
	rows_assert_activities(&store);
}

static void a_window_that_made_room_is_read_again(void **state)
{
	(void)state;
	create((struct engine_config){.max_rows = 12});
	ping(1, OPEN_MS);
	rows_flush(&store, engine);
	for (int i = 1; i < 20; i++) {
		ping(1, OPEN_MS - i * WINDOW_MS);
		rows_flush(&store, engine);
	}
	ping(1, OPEN_MS + 1);
	rows_flush(&store, engine);
	assert_int_equal(stored_window(1, OPEN_MS)->count, 2);
}

static void windows_that_came_with_their_client_are_not_read_again(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		ping(1, OPEN_MS - i * WINDOW_MS);
	rows_flush(&store, engine);
	create((struct engine_config){0});
	for (int i = 4; i >= 0; i--)
		ping(1, OPEN_MS - i * WINDOW_MS);
	assert_int_equal(engine_stats(engine).loads, 2); /* client and day */
	ping(1, OPEN_MS - 10 * WINDOW_MS);		 /* known not to be stored */
	assert_int_equal(engine_stats(engine).loads, 2);
	ping(1, OPEN_MS - ACTIVITY_WINDOWS * WINDOW_MS);
	assert_int_equal(engine_stats(engine).loads, 4); /* and its day */
	rows_flush(&store, engine);
	for (int i = 0; i < 5; i++)
		assert_int_equal(stored_window(1, OPEN_MS - i * WINDOW_MS)->count, 2);
	rows_assert_activities(&store);
}

static void a_late_ping_reads_and_corrects_its_old_window(void **state)
{
	(void)state;
	ping(1, NOW_MS - 40 * DAY_MS);
	rows_flush(&store, engine);
	create((struct engine_config){0});
	ping(1, NOW_MS - 40 * DAY_MS);
	rows_flush(&store, engine);
	assert_int_equal(stored_window(1, window_start_of(NOW_MS - 40 * DAY_MS))->count, 2);
	assert_null(stored_activity(1));
}

static void an_event_that_is_in_already_changes_nothing_but_is_written_again(void **state)
{
	(void)state;
	ping(1, OPEN_MS + 1);
	rows_flush(&store, engine);
	struct rows before = store;
	create((struct engine_config){0});
	position = 0;
	ping(1, OPEN_MS + 1);
	assert_int_equal(engine_stats(engine).skipped, 1);
	assert_int_equal(engine_stats(engine).applied, 0);
	struct engine_dirty dirty;
	assert_int_equal(engine_collect_dirty(engine, &dirty), ERROR_OK);
	assert_int_equal(dirty.window_count, 1);
	assert_int_equal(dirty.day_count, 1);
	assert_int_equal(dirty.client_count, 1);
	assert_int_equal(dirty.activity_count, 1);
	rows_flush(&store, engine);
	rows_assert_equal(&store, &before, true);
	assert_int_equal(stored_activity(1)->count, 1);
}

static void what_was_not_written_is_collected_again(void **state)
{
	(void)state;
	struct engine_dirty dirty;
	ping(1, OPEN_MS);
	assert_int_equal(engine_collect_dirty(engine, &dirty), ERROR_OK);
	ping(1, OPEN_MS + 1);
	assert_int_equal(engine_collect_dirty(engine, &dirty), ERROR_OK);
	assert_int_equal(dirty.window_count, 1);
	assert_int_equal(dirty.windows[0].count, 2);
	assert_int_equal(dirty.position, 2);
}

static void what_changed_after_the_collect_stays_dirty(void **state)
{
	(void)state;
	struct engine_dirty dirty;
	ping(1, OPEN_MS);
	ping(2, OPEN_MS);
	assert_int_equal(engine_collect_dirty(engine, &dirty), ERROR_OK);
	ping(1, OPEN_MS + 1);
	engine_written(engine);
	assert_int_equal(engine_collect_dirty(engine, &dirty), ERROR_OK);
	assert_int_equal(dirty.window_count, 1);
	assert_int_equal(dirty.windows[0].count, 2);
}

static void a_window_past_its_retention_is_neither_read_nor_written(void **state)
{
	(void)state;
	create((struct engine_config){.window_retention_ms = 30 * DAY_MS});
	/* An hour before the row would expire: its end + 30 days = now + 1 h. */
	int64_t expired_ms = window_start_of(NOW_MS + HOUR_MS - 30 * DAY_MS) - WINDOW_MS;
	ping(1, expired_ms);
	ping(1, expired_ms + WINDOW_MS);
	rows_flush(&store, engine);
	assert_int_equal(store.window_count, 1);
	assert_int_equal(store.windows[0].start_ms, expired_ms + WINDOW_MS);
	assert_int_equal(store.days[0].total, 2);
	assert_int_equal(store.clients[0].first_ms, expired_ms);
	assert_int_equal(engine_stats(engine).expired, 1);
	assert_int_equal(engine_stats(engine).applied, 2);
}

static void a_retention_that_cuts_into_the_24_hours_is_refused(void **state)
{
	(void)state;
	struct engine *none = NULL;
	struct engine_config config = {.window_retention_ms = 24 * HOUR_MS};
	assert_int_equal(engine_create(&config, POSITION_NONE, &none), ERROR_INVALID_ARGUMENT);
	assert_null(none);
}

static void a_full_cache_of_dirty_rows_takes_fewer_events(void **state)
{
	(void)state;
	create((struct engine_config){.max_rows = 6});
	struct engine_event events[] = {event(1, OPEN_MS), event(2, OPEN_MS), event(3, OPEN_MS)};
	size_t taken;
	assert_int_equal(engine_offer(engine, events, 3, NOW_MS, &taken), ERROR_OK);
	assert_int_equal(taken, 2);
	rows_supply(&store, engine);
	engine_apply(engine);
	assert_int_equal(engine_offer(engine, events + 2, 1, NOW_MS, &taken), ERROR_OK);
	assert_int_equal(taken, 0);
	engine_apply(engine);
	rows_flush(&store, engine);
	assert_int_equal(engine_offer(engine, events + 2, 1, NOW_MS, &taken), ERROR_OK);
	assert_int_equal(taken, 1);
	assert_int_equal(engine_stats(engine).evictions, 3);
	assert_int_equal(engine_stats(engine).rows, 6);
}

static void the_cache_never_holds_more_than_max_rows(void **state)
{
	(void)state;
	create((struct engine_config){.max_rows = 50});
	for (unsigned i = 0; i < 500; i++) {
		ping(i % 250, OPEN_MS - i * WINDOW_MS);
		assert_true(engine_stats(engine).rows <= 50);
		if (i % 10 == 0)
			rows_flush(&store, engine);
	}
}

static void a_lower_limit_is_come_down_to_and_a_higher_one_is_that_it_was_made_with(void **state)
{
	(void)state;
	create((struct engine_config){.max_rows = 50});
	for (unsigned i = 0; i < 40; i++)
		ping(i, OPEN_MS);
	rows_flush(&store, engine);
	engine_limit_rows(engine, 20);
	ping(100, OPEN_MS);
	assert_in_range(engine_stats(engine).rows, 10, 20);
	rows_flush(&store, engine);
	engine_limit_rows(engine, 1000);
	for (unsigned i = 0; i < 100; i++) {
		ping(i, OPEN_MS);
		rows_flush(&store, engine);
	}
	assert_in_range(engine_stats(engine).rows, 40, 50);
	engine_limit_rows(engine, 0);
	ping(1, OPEN_MS + WINDOW_MS);
	assert_in_range(engine_stats(engine).rows, 1, 3);
}

static void a_row_in_use_outlives_one_that_is_not(void **state)
{
	(void)state;
	create((struct engine_config){.max_rows = 12});
	for (unsigned i = 0; i < 200; i++) {
		ping(1, OPEN_MS + i);
		ping(2 + i, OPEN_MS);
		rows_flush(&store, engine);
	}
	/* Client 1's three rows were read once: all other reads are of the new clients (2 each). */
	assert_true(engine_stats(engine).loads <= 2 + 200 * 2);
}

static void an_activity_past_its_due_is_derived_again_when_its_client_pings(void **state)
{
	(void)state;
	ping(1, OPEN_MS - 200 * WINDOW_MS);
	ping(1, OPEN_MS - 100 * WINDOW_MS);
	rows_flush(&store, engine);
	int64_t later_ms = OPEN_MS + 88 * WINDOW_MS; /* the first has just left */
	assert_int_equal(stored_activity(1)->due_ms, later_ms);
	ping_at(1, later_ms, later_ms);
	rows_flush(&store, engine);
	assert_int_equal(stored_activity(1)->count, 2);
	assert_int_equal(stored_activity(1)->start_ms, activity_start_of(later_ms));
	rows_assert_activities(&store);
}

static void a_derived_activity_counts_windows_that_are_not_stored_yet(void **state)
{
	(void)state;
	ping(1, OPEN_MS - 200 * WINDOW_MS);
	ping(1, OPEN_MS - 100 * WINDOW_MS);
	rows_flush(&store, engine);
	ping(1, OPEN_MS - 100 * WINDOW_MS);
	ping(1, OPEN_MS - 50 * WINDOW_MS);
	int64_t later_ms = OPEN_MS + 88 * WINDOW_MS;
	ping_at(1, later_ms, later_ms);
	rows_flush(&store, engine);
	assert_int_equal(stored_activity(1)->count, 4);
	rows_assert_activities(&store);
}

static void a_derived_activity_counts_windows_that_changed_during_the_last_write(void **state)
{
	(void)state;
	ping(1, OPEN_MS - 100 * WINDOW_MS);
	struct engine_dirty dirty;
	assert_int_equal(engine_collect_dirty(engine, &dirty), ERROR_OK);
	rows_write(&store, &dirty, NULL);
	ping(1, OPEN_MS - 100 * WINDOW_MS);
	ping(1, OPEN_MS - 50 * WINDOW_MS);
	engine_written(engine);
	refresh(1, NOW_MS);
	rows_flush(&store, engine);
	assert_int_equal(stored_activity(1)->count, 3);
	rows_assert_activities(&store);
}

static void past_its_bound_an_offer_leaves_activities_as_they_were_seen_from_their_start(void **state)
{
	(void)state;
	create((struct engine_config){.max_refreshes = 1});
	ping(1, OPEN_MS - 287 * WINDOW_MS);
	ping(2, OPEN_MS - 287 * WINDOW_MS);
	int64_t later_ms = OPEN_MS + WINDOW_MS;
	struct engine_event events[] = {event(1, later_ms), event(2, later_ms), event(2, OPEN_MS)};
	rows_drive(&store, engine, events, 3, later_ms);
	rows_flush(&store, engine);
	assert_int_equal(stored_activity(1)->start_ms, activity_start_of(later_ms));
	assert_int_equal(stored_activity(2)->start_ms, activity_start_of(NOW_MS));
	assert_int_equal(stored_activity(2)->count, 2); /* the one to leave, and that of the window open at the time */
	assert_true(stored_activity(2)->due_ms <= later_ms);
	rows_assert_activities(&store);
}

static void a_refreshed_activity_is_written_without_its_client(void **state)
{
	(void)state;
	ping(1, OPEN_MS - 200 * WINDOW_MS);
	ping(1, OPEN_MS);
	rows_flush(&store, engine);
	create((struct engine_config){0});
	refresh(1, OPEN_MS + 88 * WINDOW_MS);
	struct engine_dirty dirty;
	assert_int_equal(engine_collect_dirty(engine, &dirty), ERROR_OK);
	assert_int_equal(dirty.client_count, 0);
	assert_int_equal(dirty.activity_count, 1);
	assert_int_equal(dirty.activities[0].count, 1);
}

static void a_window_that_another_wrote_behind_the_activity_makes_it_due(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	rows_flush(&store, engine);
	create((struct engine_config){0});
	refresh(1, NOW_MS);
	struct engine_event late = event(1, OPEN_MS - WINDOW_MS);
	rows_count(&store, &late); /* by an owner before this one, now that the windows are read */
	rows_drive(&store, engine, &late, 1, NOW_MS);
	rows_flush(&store, engine);
	assert_int_equal(stored_window(1, OPEN_MS - WINDOW_MS)->count, 1);
	assert_true(stored_activity(1)->due_ms <= NOW_MS);
	refresh(1, NOW_MS);
	rows_flush(&store, engine);
	assert_int_equal(stored_activity(1)->count, 2);
	assert_true(stored_activity(1)->due_ms > NOW_MS);
}

static void the_activity_of_a_client_that_fell_silent_is_removed(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	rows_flush(&store, engine);
	assert_int_equal(store.activity_count, 1);
	refresh(1, OPEN_MS + 288 * WINDOW_MS);
	rows_flush(&store, engine);
	assert_int_equal(store.activity_count, 0);
	assert_int_equal(store.client_count, 1);
}

static void a_ping_of_the_near_future_counts_once_its_window_opens(void **state)
{
	(void)state;
	ping(1, OPEN_MS + WINDOW_MS);
	rows_flush(&store, engine);
	assert_int_equal(stored_activity(1)->count, 0);
	assert_int_equal(stored_activity(1)->due_ms, OPEN_MS + WINDOW_MS);
	refresh(1, OPEN_MS + WINDOW_MS);
	rows_flush(&store, engine);
	assert_int_equal(stored_activity(1)->count, 1);
}

static void an_answer_that_nobody_asked_for_changes_nothing(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	struct address client = rows_address(1);
	struct window_row window = {client, OPEN_MS, 77, OPEN_MS, OPEN_MS, 99};
	struct day_row day = {client, day_start_of(OPEN_MS), 77, 99};
	assert_int_equal(engine_supply_window(engine, &client, OPEN_MS, &window), ERROR_OK);
	assert_int_equal(engine_supply_window(engine, &client, OPEN_MS - WINDOW_MS, &window), ERROR_OK);
	assert_int_equal(engine_supply_day(engine, &client, day.start_ms, &day), ERROR_OK);
	assert_int_equal(engine_supply_client(engine, &client, NULL, &window, 1), ERROR_OK);
	rows_flush(&store, engine);
	assert_int_equal(stored_window(1, OPEN_MS)->count, 1);
	assert_int_equal(store.days[0].total, 1);
	assert_int_equal(stored_activity(1)->count, 1);
}

static void the_position_is_that_of_the_newest_event_and_starts_at_the_stored_one(void **state)
{
	(void)state;
	struct engine *other;
	assert_int_equal(engine_create(&(struct engine_config){0}, 41, &other), ERROR_OK);
	assert_int_equal(engine_position(other), 41);
	struct engine_event one = {rows_address(1), OPEN_MS, 45};
	rows_drive(&store, other, &one, 1, NOW_MS);
	assert_int_equal(engine_position(other), 45);
	engine_destroy(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pings_become_a_window_a_day_a_client_and_an_activity),
		TEST(a_row_that_is_stored_is_read_before_its_first_merge),
		TEST(a_new_client_costs_two_reads_and_one_that_is_known_none),
		TEST(a_window_newer_than_all_of_its_client_is_not_read),
		TEST(a_window_that_a_crash_left_behind_its_client_is_read),
		TEST(a_newest_window_that_another_wrote_behind_the_activity_is_made_anew),
		TEST(a_refresh_that_finds_a_late_window_of_another_does_not_count_it_twice),
		TEST(a_window_that_made_room_is_read_again),
		TEST(windows_that_came_with_their_client_are_not_read_again),
		TEST(a_late_ping_reads_and_corrects_its_old_window),
		TEST(an_event_that_is_in_already_changes_nothing_but_is_written_again),
		TEST(what_was_not_written_is_collected_again),
		TEST(what_changed_after_the_collect_stays_dirty),
		TEST(a_window_past_its_retention_is_neither_read_nor_written),
		TEST(a_retention_that_cuts_into_the_24_hours_is_refused),
		TEST(a_full_cache_of_dirty_rows_takes_fewer_events),
		TEST(the_cache_never_holds_more_than_max_rows),
		TEST(a_lower_limit_is_come_down_to_and_a_higher_one_is_that_it_was_made_with),
		TEST(a_row_in_use_outlives_one_that_is_not),
		TEST(an_activity_past_its_due_is_derived_again_when_its_client_pings),
		TEST(a_derived_activity_counts_windows_that_are_not_stored_yet),
		TEST(a_derived_activity_counts_windows_that_changed_during_the_last_write),
		TEST(past_its_bound_an_offer_leaves_activities_as_they_were_seen_from_their_start),
		TEST(a_refreshed_activity_is_written_without_its_client),
		TEST(a_window_that_another_wrote_behind_the_activity_makes_it_due),
		TEST(the_activity_of_a_client_that_fell_silent_is_removed),
		TEST(a_ping_of_the_near_future_counts_once_its_window_opens),
		TEST(an_answer_that_nobody_asked_for_changes_nothing),
		TEST(the_position_is_that_of_the_newest_event_and_starts_at_the_stored_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
