#include "unit/engine/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

struct address rows_address(unsigned n)
{
	return address_from_ipv4((const uint8_t[4]){198, 51, 100, (uint8_t)n});
}

struct window_row *rows_window(struct rows *rows, const struct address *client, int64_t start_ms)
{
	for (size_t i = 0; i < rows->window_count; i++)
		if (rows->windows[i].start_ms == start_ms && address_equal(&rows->windows[i].client, client))
			return &rows->windows[i];
	return NULL;
}

struct day_row *rows_day(struct rows *rows, const struct address *client, int64_t start_ms)
{
	for (size_t i = 0; i < rows->day_count; i++)
		if (rows->days[i].start_ms == start_ms && address_equal(&rows->days[i].client, client))
			return &rows->days[i];
	return NULL;
}

struct client_row *rows_client(struct rows *rows, const struct address *client)
{
	for (size_t i = 0; i < rows->client_count; i++)
		if (address_equal(&rows->clients[i].client, client))
			return &rows->clients[i];
	return NULL;
}

struct activity_row *rows_activity(struct rows *rows, const struct address *client)
{
	for (size_t i = 0; i < rows->activity_count; i++)
		if (address_equal(&rows->activities[i].client, client))
			return &rows->activities[i];
	return NULL;
}

static void put_window(struct rows *rows, const struct window_row *row)
{
	struct window_row *old = rows_window(rows, &row->client, row->start_ms);
	assert_true(old != NULL || rows->window_count < ROWS_MAX);
	*(old != NULL ? old : &rows->windows[rows->window_count++]) = *row;
}

static void put_day(struct rows *rows, const struct day_row *row)
{
	struct day_row *old = rows_day(rows, &row->client, row->start_ms);
	assert_true(old != NULL || rows->day_count < ROWS_MAX);
	*(old != NULL ? old : &rows->days[rows->day_count++]) = *row;
}

static void put_client(struct rows *rows, const struct client_row *row)
{
	struct client_row *old = rows_client(rows, &row->client);
	assert_true(old != NULL || rows->client_count < ROWS_MAX);
	*(old != NULL ? old : &rows->clients[rows->client_count++]) = *row;
}

static void put_activity(struct rows *rows, const struct activity_row *row)
{
	struct activity_row *old = rows_activity(rows, &row->client);
	if (row->due_ms == 0) {
		if (old != NULL)
			*old = rows->activities[--rows->activity_count];
		return;
	}
	assert_true(old != NULL || rows->activity_count < ROWS_MAX);
	*(old != NULL ? old : &rows->activities[rows->activity_count++]) = *row;
}

void rows_count(struct rows *rows, const struct engine_event *event)
{
	int64_t ms = event->pinged_at_ms;
	struct client_row *client = rows_client(rows, &event->client);
	if (client == NULL)
		put_client(rows, &(struct client_row){event->client, ms, ms});
	else if (ms < client->first_ms)
		client->first_ms = ms;
	else if (ms > client->last_ms)
		client->last_ms = ms;

	struct day_row *day = rows_day(rows, &event->client, day_start_of(ms));
	if (day == NULL) {
		put_day(rows, &(struct day_row){event->client, day_start_of(ms), 1, event->position});
	} else if (event->position > day->position) {
		day->total++;
		day->position = event->position;
	}

	struct window_row *window = rows_window(rows, &event->client, window_start_of(ms));
	if (window == NULL) {
		put_window(rows, &(struct window_row){event->client, window_start_of(ms), 1, ms, ms, event->position});
	} else if (event->position > window->position) {
		window->count++;
		window->first_ms = ms < window->first_ms ? ms : window->first_ms;
		window->last_ms = ms > window->last_ms ? ms : window->last_ms;
		window->position = event->position;
	}
}

struct activity_row rows_derive(const struct rows *rows, const struct address *client, int64_t start_ms)
{
	const int64_t day_ms = INT64_C(86400000);
	struct activity_row activity = {.client = *client, .start_ms = start_ms};
	int64_t oldest_ms = INT64_MAX, future_ms = INT64_MAX;
	for (size_t i = 0; i < rows->window_count; i++) {
		const struct window_row *row = &rows->windows[i];
		if (!address_equal(&row->client, client) || row->start_ms < start_ms)
			continue;
		if (row->start_ms >= start_ms + day_ms) {
			future_ms = row->start_ms < future_ms ? row->start_ms : future_ms;
			continue;
		}
		bool busier = row->count > activity.busiest_count ||
			      (row->count == activity.busiest_count && row->start_ms > activity.busiest_start_ms);
		if (busier) {
			activity.busiest_start_ms = row->start_ms;
			activity.busiest_count = row->count;
			activity.busiest_first_ms = row->first_ms;
			activity.busiest_last_ms = row->last_ms;
		}
		if (activity.count == 0 || row->first_ms < activity.first_ms)
			activity.first_ms = row->first_ms;
		if (row->last_ms > activity.last_ms)
			activity.last_ms = row->last_ms;
		activity.count += row->count;
		activity.active_windows++;
		oldest_ms = row->start_ms < oldest_ms ? row->start_ms : oldest_ms;
	}
	if (oldest_ms != INT64_MAX)
		activity.due_ms = oldest_ms + day_ms;
	if (future_ms != INT64_MAX && (activity.due_ms == 0 || future_ms < activity.due_ms))
		activity.due_ms = future_ms;
	return activity;
}

void rows_write(struct rows *rows, const struct engine_dirty *dirty, struct random *coin)
{
	for (size_t i = 0; i < dirty->window_count; i++)
		if (coin == NULL || random_below(coin, 2))
			put_window(rows, &dirty->windows[i]);
	for (size_t i = 0; i < dirty->day_count; i++)
		if (coin == NULL || random_below(coin, 2))
			put_day(rows, &dirty->days[i]);
	for (size_t i = 0; i < dirty->client_count; i++)
		if (coin == NULL || random_below(coin, 2))
			put_client(rows, &dirty->clients[i]);
	for (size_t i = 0; i < dirty->activity_count; i++)
		if (coin == NULL || random_below(coin, 2))
			put_activity(rows, &dirty->activities[i]);
}

static void supply_client(struct rows *rows, struct engine *engine, const struct engine_missing *missing)
{
	static struct window_row windows[ROWS_MAX];
	size_t count = 0;
	for (size_t i = rows->window_count; i-- > 0;)
		if (address_equal(&rows->windows[i].client, &missing->client) && rows->windows[i].start_ms >= missing->start_ms)
			windows[count++] = rows->windows[i];
	const struct client_row *row = rows_client(rows, &missing->client);
	assert_int_equal(engine_supply_client(engine, &missing->client, row, windows, count), ERROR_OK);
}

void rows_supply(struct rows *rows, struct engine *engine)
{
	struct engine_missing missing;
	while (engine_next_missing(engine, &missing)) {
		const struct address *client = &missing.client;
		int64_t start_ms = missing.start_ms;
		enum error error = ERROR_OK;
		if (missing.kind == ENGINE_MISSING_CLIENT)
			supply_client(rows, engine, &missing);
		else if (missing.kind == ENGINE_MISSING_WINDOW)
			error = engine_supply_window(engine, client, start_ms, rows_window(rows, client, start_ms));
		else
			error = engine_supply_day(engine, client, start_ms, rows_day(rows, client, start_ms));
		assert_int_equal(error, ERROR_OK);
	}
}

void rows_flush(struct rows *rows, struct engine *engine)
{
	struct engine_dirty dirty;
	assert_int_equal(engine_collect_dirty(engine, &dirty), ERROR_OK);
	rows_write(rows, &dirty, NULL);
	engine_written(engine);
	assert_int_equal(engine_stats(engine).dirty_rows, 0);
}

void rows_drive(struct rows *rows, struct engine *engine, const struct engine_event *events, size_t count, int64_t now_ms)
{
	while (count > 0) {
		size_t taken;
		assert_int_equal(engine_offer(engine, events, count, now_ms, &taken), ERROR_OK);
		rows_supply(rows, engine);
		engine_apply(engine);
		if (taken == 0) {
			assert_true(engine_stats(engine).dirty_rows > 0);
			rows_flush(rows, engine);
		}
		events += taken;
		count -= taken;
	}
}

void rows_assert_activity(const struct activity_row *actual, const struct activity_row *expected)
{
	assert_memory_equal(&actual->client, &expected->client, sizeof actual->client);
	assert_int_equal(actual->start_ms, expected->start_ms);
	assert_int_equal(actual->count, expected->count);
	assert_int_equal(actual->active_windows, expected->active_windows);
	assert_int_equal(actual->first_ms, expected->first_ms);
	assert_int_equal(actual->last_ms, expected->last_ms);
	assert_int_equal(actual->busiest_start_ms, expected->busiest_start_ms);
	assert_int_equal(actual->busiest_count, expected->busiest_count);
	assert_int_equal(actual->busiest_first_ms, expected->busiest_first_ms);
	assert_int_equal(actual->busiest_last_ms, expected->busiest_last_ms);
	assert_int_equal(actual->due_ms, expected->due_ms);
}

void rows_assert_activities(struct rows *rows)
{
	for (size_t i = 0; i < rows->client_count; i++) {
		const struct address *client = &rows->clients[i].client;
		const struct activity_row *activity = rows_activity(rows, client);
		if (activity == NULL)
			continue;
		struct activity_row expected = rows_derive(rows, client, activity->start_ms);
		if (activity->due_ms % WINDOW_MS != 0 && activity->due_ms < expected.due_ms)
			expected.due_ms = activity->due_ms; /* no window's end: it was in doubt, and is right all the same */
		rows_assert_activity(activity, &expected);
	}
}

void rows_assert_equal(struct rows *actual, struct rows *expected, bool with_positions)
{
	assert_int_equal(actual->window_count, expected->window_count);
	for (size_t i = 0; i < expected->window_count; i++) {
		const struct window_row *want = &expected->windows[i];
		const struct window_row *have = rows_window(actual, &want->client, want->start_ms);
		assert_non_null(have);
		assert_int_equal(have->count, want->count);
		assert_int_equal(have->first_ms, want->first_ms);
		assert_int_equal(have->last_ms, want->last_ms);
		if (with_positions)
			assert_int_equal(have->position, want->position);
	}
	assert_int_equal(actual->day_count, expected->day_count);
	for (size_t i = 0; i < expected->day_count; i++) {
		const struct day_row *want = &expected->days[i];
		const struct day_row *have = rows_day(actual, &want->client, want->start_ms);
		assert_non_null(have);
		assert_int_equal(have->total, want->total);
		if (with_positions)
			assert_int_equal(have->position, want->position);
	}
	assert_int_equal(actual->client_count, expected->client_count);
	for (size_t i = 0; i < expected->client_count; i++) {
		const struct client_row *want = &expected->clients[i], *have = rows_client(actual, &want->client);
		assert_non_null(have);
		assert_int_equal(have->first_ms, want->first_ms);
		assert_int_equal(have->last_ms, want->last_ms);
	}
}
