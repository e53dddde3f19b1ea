#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/store_contract.h"

#include "base/random.h"

#include <stdlib.h>

/* A window's start, and the start of a day. */
#define START_MS INT64_C(1728864000000)
#define DAY_MS	 INT64_C(86400000)

static struct store_contract *suite;
static const uint8_t log_a[16] = "the log of tests", log_b[16] = "another test log";

static struct address client(unsigned number)
{
	const uint8_t bytes[4] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
	return address_from_ipv4(bytes);
}

static struct address address(const char *text)
{
	struct address parsed;
	assert_int_equal(address_parse(slice_from_string(text), &parsed), ERROR_OK);
	return parsed;
}

static struct window_row window(unsigned number, int64_t start_ms, int64_t count, int64_t position)
{
	return (struct window_row){
		.client = client(number),
		.start_ms = start_ms,
		.count = count,
		.first_ms = start_ms + 1,
		.last_ms = start_ms + count,
		.position = position,
	};
}

static struct activity_row activity(struct address of, int64_t count, int64_t due_ms)
{
	return (struct activity_row){
		.client = of,
		.start_ms = activity_start_of(START_MS),
		.count = count,
		.active_windows = count > 0 ? 2 : 0,
		.first_ms = START_MS + 10,
		.last_ms = START_MS + 700000,
		.busiest_start_ms = START_MS + WINDOW_MS,
		.busiest_count = count,
		.busiest_first_ms = START_MS + WINDOW_MS + 1,
		.busiest_last_ms = START_MS + WINDOW_MS + 2,
		.due_ms = due_ms,
	};
}

static void assert_window(const struct window_row *a, const struct window_row *b)
{
	assert_true(address_equal(&a->client, &b->client));
	assert_int_equal(a->start_ms, b->start_ms);
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->first_ms, b->first_ms);
	assert_int_equal(a->last_ms, b->last_ms);
	assert_int_equal(a->position, b->position);
}

static void assert_day(const struct day_row *a, const struct day_row *b)
{
	assert_true(address_equal(&a->client, &b->client));
	assert_int_equal(a->start_ms, b->start_ms);
	assert_int_equal(a->total, b->total);
	assert_int_equal(a->position, b->position);
}

static void assert_client(const struct client_row *a, const struct client_row *b)
{
	assert_true(address_equal(&a->client, &b->client));
	assert_int_equal(a->first_ms, b->first_ms);
	assert_int_equal(a->last_ms, b->last_ms);
}

static void assert_activity(const struct activity_row *a, const struct activity_row *b)
{
	assert_true(address_equal(&a->client, &b->client));
	assert_int_equal(a->start_ms, b->start_ms);
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->active_windows, b->active_windows);
	assert_int_equal(a->first_ms, b->first_ms);
	assert_int_equal(a->last_ms, b->last_ms);
	assert_int_equal(a->busiest_start_ms, b->busiest_start_ms);
	assert_int_equal(a->busiest_count, b->busiest_count);
	assert_int_equal(a->busiest_first_ms, b->busiest_first_ms);
	assert_int_equal(a->busiest_last_ms, b->busiest_last_ms);
	assert_int_equal(a->due_ms, b->due_ms);
}

static int64_t take(int32_t partition)
{
	int64_t position = -99;
	assert_int_equal(suite->store->vtable->take(suite->store, partition, log_a, &position, NULL), ERROR_OK);
	return position;
}

static void write_at(int32_t partition, struct engine_dirty dirty, int64_t position)
{
	struct error_note note = {""};
	enum error error = suite->store->vtable->write(suite->store, partition, &dirty, position, &note);
	if (error != ERROR_OK)
		fail_msg("write: %s: %s", error_name(error), note.text);
}

static void write_rows(struct engine_dirty dirty)
{
	write_at(0, dirty, 1);
}

static void write_client(struct address of, int64_t last_ms, int64_t ping_count)
{
	struct client_row row = {of, START_MS, last_ms};
	struct activity_row active = activity(of, ping_count, START_MS + DAY_MS);
	write_rows((struct engine_dirty){
		.clients = &row, .client_count = 1, .activities = &active, .activity_count = ping_count > 0});
}

static struct window_row read_window(unsigned number, int64_t start_ms)
{
	struct window_row row = {.client = client(number), .start_ms = start_ms, .count = -1};
	assert_int_equal(suite->store->vtable->read_windows(suite->store, &row, 1, NULL), ERROR_OK);
	return row;
}

/* ——— taking and positions ——— */

static void a_new_store_has_no_position(void **state)
{
	(void)state;
	assert_int_equal(take(0), POSITION_NONE);
	assert_int_equal(take(0), POSITION_NONE);
}

static void the_position_written_last_is_found_at_the_next_taking(void **state)
{
	(void)state;
	take(0);
	write_at(0, (struct engine_dirty){0}, 7);
	write_at(0, (struct engine_dirty){0}, 9);
	assert_int_equal(take(0), 9);
	suite->reopen(suite);
	assert_int_equal(take(0), 9);
}

static void each_partition_has_its_position(void **state)
{
	(void)state;
	take(0);
	write_at(0, (struct engine_dirty){0}, 7);
	assert_int_equal(take(5), POSITION_NONE);
	write_at(5, (struct engine_dirty){0}, 3);
	assert_int_equal(take(0), 7);
	assert_int_equal(take(5), 3);
}

static void a_store_filled_from_another_log_is_refused_with_a_way_out(void **state)
{
	(void)state;
	take(0);
	write_at(0, (struct engine_dirty){0}, 7);
	struct error_note note = {""};
	int64_t position = -99;
	assert_int_equal(suite->store->vtable->take(suite->store, 0, log_b, &position, &note), ERROR_FAILED_PRECONDITION);
	assert_int_equal(position, -99);
	assert_true(note.text[0] != 0);
	assert_int_equal(suite->store->vtable->take(suite->store, 1, log_b, &position, NULL), ERROR_FAILED_PRECONDITION);
	assert_int_equal(take(0), 7);
}

static enum error take_of(const uint8_t log[16], int32_t partition, int64_t *ret_position)
{
	struct error_note note = {""};
	enum error error = suite->store->vtable->take(suite->store, partition, log, ret_position, &note);
	assert_true(error == ERROR_OK || note.text[0] != 0);
	return error;
}

static void release(int32_t partition)
{
	if (suite->store->vtable->release != NULL)
		suite->store->vtable->release(suite->store, partition);
}

static void a_log_made_anew_under_a_greater_epoch_is_gone_on_with(void **state)
{
	(void)state;
	const int64_t start = (INT64_C(2) << 48) - 1;
	int64_t position = -99;
	take(0);
	struct window_row row = window(1, START_MS, 3, 7);
	write_at(0, (struct engine_dirty){.windows = &row, .window_count = 1}, 7);
	release(0);
	suite->reopen(suite);
	suite->store->log_epoch = 2;
	assert_int_equal(take_of(log_b, 4, &position), ERROR_OK); /* one that had no position */
	assert_int_equal(position, start);
	assert_int_equal(take_of(log_b, 0, &position), ERROR_OK);
	assert_int_equal(position, start);
	struct window_row before = read_window(1, START_MS);
	assert_window(&before, &row);
	write_at(0, (struct engine_dirty){0}, start + 1);
	release(0);
	release(4);
	assert_int_equal(take_of(log_b, 0, &position), ERROR_OK);
	assert_int_equal(position, start + 1);
}

static void a_log_is_not_gone_on_with_under_the_same_epoch_nor_the_same_log_under_another(void **state)
{
	(void)state;
	int64_t position = -99;
	suite->store->log_epoch = 2;
	take(0);
	write_at(0, (struct engine_dirty){0}, INT64_C(2) << 48);
	release(0);
	assert_int_equal(take_of(log_b, 0, &position), ERROR_FAILED_PRECONDITION);
	suite->store->log_epoch = 1;
	assert_int_equal(take_of(log_b, 1, &position), ERROR_FAILED_PRECONDITION);
	suite->store->log_epoch = 3;
	assert_int_equal(take_of(log_a, 0, &position), ERROR_FAILED_PRECONDITION);
	assert_int_equal(position, -99);
}

static void a_partition_that_was_not_taken_is_not_written(void **state)
{
	(void)state;
	take(0);
	struct window_row row = window(1, START_MS, 3, 1);
	struct engine_dirty dirty = {.windows = &row, .window_count = 1};
	assert_int_equal(suite->store->vtable->write(suite->store, 4, &dirty, 1, NULL), ERROR_FENCED);
	assert_int_equal(read_window(1, START_MS).count, 0);
}

/* ——— the engine's rows ——— */

static void a_row_that_is_not_there_reads_as_empty(void **state)
{
	(void)state;
	struct day_row day = {.client = client(1), .start_ms = START_MS, .total = -1};
	assert_int_equal(read_window(1, START_MS).count, 0);
	assert_int_equal(suite->store->vtable->read_days(suite->store, &day, 1, NULL), ERROR_OK);
	assert_int_equal(day.total, 0);
}

static void rows_read_back_as_written_also_after_a_restart(void **state)
{
	(void)state;
	take(0);
	struct window_row windows[3] = {window(1, START_MS, 1, 4), window(1, START_MS + WINDOW_MS, 5, 6),
					window(2, START_MS, 9, 8)};
	struct day_row days[2] = {{client(1), START_MS, 6, 6}, {client(2), START_MS, 9, 8}};
	write_rows((struct engine_dirty){.windows = windows, .window_count = 3, .days = days, .day_count = 2});
	for (int restart = 0; restart < 2; restart++) {
		struct window_row read[4] = {0};
		for (int i = 0; i < 3; i++) {
			read[i].client = windows[i].client;
			read[i].start_ms = windows[i].start_ms;
		}
		read[3] = (struct window_row){.client = client(3), .start_ms = START_MS, .count = -1};
		assert_int_equal(suite->store->vtable->read_windows(suite->store, read, 4, NULL), ERROR_OK);
		for (int i = 0; i < 3; i++)
			assert_window(&read[i], &windows[i]);
		assert_int_equal(read[3].count, 0);
		struct day_row read_days[2] = {{.client = client(1), .start_ms = START_MS},
					       {.client = client(2), .start_ms = START_MS}};
		assert_int_equal(suite->store->vtable->read_days(suite->store, read_days, 2, NULL), ERROR_OK);
		assert_day(&read_days[0], &days[0]);
		assert_day(&read_days[1], &days[1]);
		suite->reopen(suite);
	}
}

static void writing_again_replaces_and_writing_the_same_changes_nothing(void **state)
{
	(void)state;
	take(0);
	struct window_row row = window(1, START_MS, 1, 4);
	for (int i = 0; i < 2; i++)
		write_rows((struct engine_dirty){.windows = &row, .window_count = 1});
	struct window_row found = read_window(1, START_MS);
	assert_window(&found, &row);
	row = window(1, START_MS, 7, 9);
	write_rows((struct engine_dirty){.windows = &row, .window_count = 1});
	found = read_window(1, START_MS);
	assert_window(&found, &row);
}

struct seen_clients {
	size_t calls, known, windows;
	struct address unknown;
	struct client_row row;
	int64_t count;
};

static void see_client(void *context, const struct address *of, const struct client_row *row, const struct window_row *windows,
		       size_t window_count)
{
	struct seen_clients *seen = context;
	seen->calls++;
	seen->windows += window_count;
	if (row == NULL) {
		seen->unknown = *of;
		return;
	}
	assert_true(address_equal(&row->client, of));
	seen->known++;
	seen->row = *row;
	for (size_t i = 0; i < window_count; i++) {
		assert_true(address_equal(&windows[i].client, of));
		seen->count += windows[i].count;
	}
}

static void a_client_is_read_with_its_windows_from_a_start_on(void **state)
{
	(void)state;
	take(0);
	struct client_row row = {client(1), START_MS + 1, START_MS + 5000};
	struct window_row windows[4] = {window(1, START_MS, 1, 1), window(1, START_MS + WINDOW_MS, 10, 2),
					window(1, START_MS + 2 * WINDOW_MS, 100, 3), window(3, START_MS + WINDOW_MS, 1000, 4)};
	write_rows((struct engine_dirty){.windows = windows, .window_count = 4, .clients = &row, .client_count = 1});
	struct seen_clients seen = {0};
	struct address clients[2] = {client(1), client(2)};
	assert_int_equal(
		suite->store->vtable->read_clients(suite->store, clients, 2, START_MS + WINDOW_MS, see_client, &seen, NULL),
		ERROR_OK);
	assert_int_equal(seen.calls, 2);
	assert_int_equal(seen.known, 1);
	assert_int_equal(seen.windows, 2);
	assert_int_equal(seen.count, 110);
	assert_client(&seen.row, &row);
	assert_true(address_equal(&seen.unknown, &clients[1]));
}

static void of_a_client_any_number_of_rows_of_each_kind_is_written(void **state)
{
	(void)state;
	take(0);
	enum { DAYS = 2, MOST = 40 };
	struct window_row windows[MOST];
	for (unsigned count = 10; count < MOST; count++) {
		struct day_row days[DAYS] = {{client(count), START_MS, count, count},
					     {client(count), START_MS + DAY_MS, 7, count}};
		struct client_row row = {client(count), START_MS, START_MS + DAY_MS};
		struct activity_row active = activity(client(count), count, START_MS + DAY_MS);
		for (unsigned i = 0; i < count; i++)
			windows[i] = window(count, START_MS + i * WINDOW_MS, i + 1, i);
		write_rows((struct engine_dirty){windows, count, days, DAYS, &row, 1, &active, 1, POSITION_NONE, NULL, NULL});
		for (unsigned i = 0; i < count; i++) {
			struct window_row read = read_window(count, windows[i].start_ms);
			assert_window(&read, &windows[i]);
		}
		struct day_row read[DAYS] = {{.client = row.client, .start_ms = START_MS},
					     {.client = row.client, .start_ms = START_MS + DAY_MS}};
		assert_int_equal(suite->store->vtable->read_days(suite->store, read, DAYS, NULL), ERROR_OK);
		for (int i = 0; i < DAYS; i++)
			assert_day(&read[i], &days[i]);
	}
}

static void more_windows_than_a_day_has_are_read(void **state)
{
	(void)state;
	take(0);
	enum { COUNT = 2000 };
	struct client_row row = {client(1), START_MS + 1, START_MS + 5000};
	struct window_row *windows = calloc(COUNT, sizeof *windows);
	for (int i = 0; i < COUNT; i++)
		windows[i] = window(1, START_MS + i * WINDOW_MS, 1, i);
	write_rows((struct engine_dirty){.windows = windows, .window_count = COUNT, .clients = &row, .client_count = 1});
	struct seen_clients seen = {0};
	assert_int_equal(suite->store->vtable->read_clients(suite->store, &row.client, 1, START_MS, see_client, &seen, NULL),
			 ERROR_OK);
	assert_int_equal(seen.windows, COUNT);
	assert_int_equal(seen.count, COUNT);
	free(windows);
}

static size_t list_due(int32_t partition, int64_t now_ms, struct address *ret_clients, size_t max)
{
	size_t count = 99;
	assert_int_equal(suite->store->vtable->list_due(suite->store, partition, now_ms, ret_clients, max, &count, NULL),
			 ERROR_OK);
	return count;
}

static void due_activities_are_listed_the_most_overdue_first(void **state)
{
	(void)state;
	take(0);
	struct activity_row rows[4] = {activity(client(1), 1, START_MS + 30), activity(client(2), 2, START_MS + 10),
				       activity(client(3), 3, START_MS + 20), activity(client(4), 4, START_MS + 31)};
	write_rows((struct engine_dirty){.activities = rows, .activity_count = 4});
	struct address due[4];
	assert_int_equal(list_due(0, START_MS + 9, due, 4), 0);
	assert_int_equal(list_due(0, START_MS + 30, due, 4), 3);
	assert_true(address_equal(&due[0], &rows[1].client));
	assert_true(address_equal(&due[1], &rows[2].client));
	assert_true(address_equal(&due[2], &rows[0].client));
	assert_int_equal(list_due(0, START_MS + 30, due, 2), 2);
	assert_true(address_equal(&due[1], &rows[2].client));
}

static void due_activities_are_those_of_the_partition(void **state)
{
	(void)state;
	take(0);
	take(1);
	struct activity_row rows[2] = {activity(client(1), 1, START_MS), activity(client(2), 2, START_MS)};
	write_at(0, (struct engine_dirty){.activities = &rows[0], .activity_count = 1}, 1);
	write_at(1, (struct engine_dirty){.activities = &rows[1], .activity_count = 1}, 1);
	struct address due[2];
	assert_int_equal(list_due(1, START_MS, due, 2), 1);
	assert_true(address_equal(&due[0], &rows[1].client));
}

static void an_activity_without_a_due_is_removed_and_one_of_the_future_is_kept(void **state)
{
	(void)state;
	take(0);
	struct activity_row rows[2] = {activity(client(1), 1, START_MS), activity(client(2), 2, START_MS)};
	write_rows((struct engine_dirty){.activities = rows, .activity_count = 2});
	rows[0] = activity(client(1), 0, 0);
	rows[1] = activity(client(2), 0, START_MS + 5);
	write_rows((struct engine_dirty){.activities = rows, .activity_count = 2});
	struct address due[2];
	assert_int_equal(list_due(0, START_MS + 5, due, 2), 1);
	assert_true(address_equal(&due[0], &rows[1].client));
}

static void after_the_clock_was_set_back_activities_made_ahead_are_due(void **state)
{
	(void)state;
	take(0);
	int64_t past_ms = START_MS - 2 * WINDOW_MS;
	struct window_row windows[3];
	struct client_row clients[3];
	struct activity_row rows[2];
	for (unsigned i = 0; i < 3; i++) {
		windows[i] = window(i, past_ms, 1, 1);
		clients[i] = (struct client_row){client(i), past_ms + 1, past_ms + 1};
	}
	rows[0] = activity(client(0), 1, START_MS + WINDOW_MS); /* ahead of the past */
	rows[1] = activity(client(1), 1, START_MS + WINDOW_MS);
	rows[1].start_ms = activity_start_of(past_ms);
	/* That of client 2 was removed. */
	write_rows((struct engine_dirty){.windows = windows,
					 .window_count = 3,
					 .clients = clients,
					 .client_count = 3,
					 .activities = rows,
					 .activity_count = 2});
	struct address due[3];
	assert_int_equal(list_due(0, START_MS, due, 3), 1); /* client 2 */
	assert_int_equal(list_due(0, past_ms, due, 3), 2);
	assert_int_equal(list_due(0, past_ms, due, 1), 1);
	rows[0].start_ms = activity_start_of(past_ms);
	rows[1].client = client(2);
	write_rows((struct engine_dirty){.activities = rows, .activity_count = 2});
	assert_int_equal(list_due(0, past_ms, due, 3), 0);
	suite->reopen(suite);
	take(0);
	assert_int_equal(list_due(0, past_ms, due, 3), 0);
}

static void after_the_clock_was_set_back_each_partition_makes_its_own_activities_anew(void **state)
{
	(void)state;
	take(0);
	take(1);
	int64_t past_ms = START_MS - 2 * WINDOW_MS;
	struct client_row clients[2] = {{client(1), past_ms, past_ms}, {client(2), past_ms, past_ms}};
	struct activity_row rows[2] = {activity(client(1), 1, START_MS + 9), activity(client(2), 2, START_MS + 9)};
	write_at(0, (struct engine_dirty){.clients = clients, .client_count = 1, .activities = rows, .activity_count = 1}, 1);
	write_at(1, (struct engine_dirty){.clients = clients + 1, .client_count = 1, .activities = rows + 1, .activity_count = 1},
		 1);
	struct address due[2];
	assert_int_equal(list_due(0, past_ms, due, 2), 1);
	assert_true(address_equal(&due[0], &rows[0].client));
	rows[0].start_ms = activity_start_of(past_ms);
	write_at(0, (struct engine_dirty){.activities = rows, .activity_count = 1}, 1);
	assert_int_equal(list_due(0, past_ms, due, 2), 0);
	assert_int_equal(list_due(1, past_ms, due, 2), 1);
	assert_true(address_equal(&due[0], &rows[1].client));
}

static size_t prune(int64_t before_ms, size_t max)
{
	size_t removed = 99;
	assert_int_equal(suite->store->vtable->prune_windows(suite->store, before_ms, max, &removed, NULL), ERROR_OK);
	return removed;
}

static void windows_that_ended_before_are_pruned_the_oldest_first(void **state)
{
	(void)state;
	take(0);
	struct window_row windows[4];
	for (int i = 0; i < 4; i++)
		windows[i] = window(4 - (unsigned)i, START_MS + i * WINDOW_MS, 1, i);
	write_rows((struct engine_dirty){.windows = windows, .window_count = 4});
	assert_int_equal(prune(START_MS + WINDOW_MS, 10), 0); /* ends just then */
	assert_int_equal(prune(START_MS + 3 * WINDOW_MS + 1, 2), 2);
	assert_int_equal(read_window(4, START_MS).count, 0);
	assert_int_equal(read_window(3, START_MS + WINDOW_MS).count, 0);
	assert_int_equal(prune(START_MS + 3 * WINDOW_MS + 1, 2), 1);
	assert_int_equal(prune(START_MS + 3 * WINDOW_MS + 1, 2), 0);
	assert_int_equal(read_window(1, START_MS + 3 * WINDOW_MS).count, 1);
}

/* ——— queries ——— */

static void windows_of_a_range_are_listed_the_newest_first(void **state)
{
	(void)state;
	take(0);
	struct window_row windows[5], found[5];
	for (int i = 0; i < 4; i++)
		windows[i] = window(1, START_MS + i * WINDOW_MS, i + 1, i);
	windows[4] = window(2, START_MS, 1, 9);
	write_rows((struct engine_dirty){.windows = windows, .window_count = 5});
	struct address one = client(1), none = client(9);
	struct store_reader *reader = suite->reader;
	size_t count = 99;
	assert_int_equal(reader->vtable->list_windows(reader, &one, 0, 0, found, 5, &count, NULL), ERROR_OK);
	assert_int_equal(count, 4);
	for (int i = 0; i < 4; i++)
		assert_window(&found[i], &windows[3 - i]);
	assert_int_equal(reader->vtable->list_windows(reader, &one, START_MS + WINDOW_MS, START_MS + 3 * WINDOW_MS, found, 5,
						      &count, NULL),
			 ERROR_OK);
	assert_int_equal(count, 2);
	assert_window(&found[0], &windows[2]);
	assert_window(&found[1], &windows[1]);
	assert_int_equal(reader->vtable->list_windows(reader, &one, 0, 0, found, 2, &count, NULL), ERROR_OK);
	assert_int_equal(count, 2);
	assert_window(&found[0], &windows[3]);
	assert_int_equal(reader->vtable->list_windows(reader, &none, 0, 0, found, 5, &count, NULL), ERROR_OK);
	assert_int_equal(count, 0);
}

static void days_of_a_range_are_listed_the_newest_first(void **state)
{
	(void)state;
	take(0);
	struct day_row days[4], found[4];
	for (int i = 0; i < 4; i++)
		days[i] = (struct day_row){client(1), START_MS + i * DAY_MS, i + 1, i};
	write_rows((struct engine_dirty){.days = days, .day_count = 4});
	struct address one = client(1);
	struct store_reader *reader = suite->reader;
	size_t count = 99;
	assert_int_equal(reader->vtable->list_days(reader, &one, 0, 0, found, 3, &count, NULL), ERROR_OK);
	assert_int_equal(count, 3);
	for (int i = 0; i < 3; i++)
		assert_day(&found[i], &days[3 - i]);
	assert_int_equal(
		reader->vtable->list_days(reader, &one, START_MS + DAY_MS, START_MS + 2 * DAY_MS, found, 4, &count, NULL),
		ERROR_OK);
	assert_int_equal(count, 1);
	assert_day(&found[0], &days[1]);
}

static void a_client_is_found_or_was_never_seen(void **state)
{
	(void)state;
	take(0);
	struct client_row row = {client(1), START_MS + 1, START_MS + 5000}, found;
	struct address none = client(2);
	write_rows((struct engine_dirty){.clients = &row, .client_count = 1});
	assert_int_equal(suite->reader->vtable->get_client(suite->reader, &row.client, &found, NULL), ERROR_OK);
	assert_client(&found, &row);
	assert_int_equal(suite->reader->vtable->get_client(suite->reader, &none, &found, NULL), ERROR_NOT_FOUND);
}

static size_t list(struct store_client_page page, struct store_client *ret_clients)
{
	size_t count = 99;
	struct error_note note = {""};
	enum error error = suite->reader->vtable->list_clients(suite->reader, &page, ret_clients, &count, &note);
	if (error != ERROR_OK)
		fail_msg("list_clients: %s: %s", error_name(error), note.text);
	return count;
}

static void assert_listed(const struct store_client *clients, size_t count, const char *const *expected, size_t expected_count)
{
	assert_int_equal(count, expected_count);
	for (size_t i = 0; i < count; i++) {
		char text[ADDRESS_TEXT_SIZE];
		address_format(&clients[i].client.client, text);
		assert_string_equal(text, expected[i]);
		assert_true(address_equal(&clients[i].client.client, &clients[i].activity.client));
	}
}

static void write_some_clients(void)
{
	take(0);
	write_client(address("10.0.0.9"), START_MS + 50, 4);
	write_client(address("10.0.0.10"), START_MS + 60, 7);
	write_client(address("2001:db8::1"), START_MS + 10, 4);
	write_client(address("10.0.0.2"), START_MS + 60, 0);
	write_client(address("192.0.2.1"), START_MS + 60, 4);
	write_client(address("10.1.0.1"), START_MS + 20, 0);
}

static void clients_are_listed_by_ping_count_the_silent_ones_last(void **state)
{
	(void)state;
	write_some_clients();
	static const char *const expected[] = {"10.0.0.10", "10.0.0.9", "192.0.2.1", "2001:db8::1", "10.0.0.2", "10.1.0.1"};
	struct store_client found[10];
	size_t count = list((struct store_client_page){.order = STORE_ORDER_PING_COUNT, .max = 10}, found);
	assert_listed(found, count, expected, 6);
	static const int64_t values[] = {7, 4, 4, 4, 0, 0};
	for (int i = 0; i < 6; i++) {
		assert_int_equal(found[i].order_value, values[i]);
		assert_int_equal(found[i].activity.count, values[i]);
	}
}

static void clients_are_listed_by_last_ping_the_newest_first(void **state)
{
	(void)state;
	write_some_clients();
	static const char *const expected[] = {"10.0.0.2", "10.0.0.10", "192.0.2.1", "10.0.0.9", "10.1.0.1", "2001:db8::1"};
	struct store_client found[10];
	size_t count = list((struct store_client_page){.order = STORE_ORDER_LAST_PING, .max = 10}, found);
	assert_listed(found, count, expected, 6);
	for (int i = 0; i < 6; i++)
		assert_int_equal(found[i].order_value, found[i].client.last_ms);
}

static void clients_are_listed_by_address(void **state)
{
	(void)state;
	write_some_clients();
	static const char *const expected[] = {"10.0.0.2", "10.0.0.9", "10.0.0.10", "10.1.0.1", "192.0.2.1", "2001:db8::1"};
	struct store_client found[10];
	size_t count = list((struct store_client_page){.order = STORE_ORDER_CLIENT_IP, .max = 10}, found);
	assert_listed(found, count, expected, 6);
}

static void a_prefix_of_the_address_selects_in_every_order(void **state)
{
	(void)state;
	write_some_clients();
	struct store_client found[10];
	static const char *const by_count[] = {"10.0.0.10", "10.0.0.9", "10.0.0.2"};
	static const char *const by_last[] = {"10.0.0.2", "10.0.0.10", "10.0.0.9"};
	static const char *const by_address[] = {"10.0.0.2", "10.0.0.9", "10.0.0.10"};
	struct store_client_page page = {.order = STORE_ORDER_PING_COUNT, .prefix = SLICE_LITERAL("10.0."), .max = 10};
	assert_listed(found, list(page, found), by_count, 3);
	page.order = STORE_ORDER_LAST_PING;
	assert_listed(found, list(page, found), by_last, 3);
	page.order = STORE_ORDER_CLIENT_IP;
	assert_listed(found, list(page, found), by_address, 3);
	page.prefix = SLICE_LITERAL("2001:");
	assert_int_equal(list(page, found), 1);
	page.prefix = SLICE_LITERAL("10.0.0.9");
	assert_int_equal(list(page, found), 1);
	page.prefix = SLICE_LITERAL("10.0.0.9 or longer than any address can ever be");
	assert_int_equal(list(page, found), 0);
}

static void pages_of_any_size_join_to_the_whole_list_in_every_order(void **state)
{
	(void)state;
	enum { COUNT = 60 };
	struct random_seeded seeded;
	random_seeded_init(&seeded, 3);
	take(0);
	for (unsigned i = 0; i < COUNT; i++)
		write_client(client(i * 77), START_MS + (int64_t)random_below(&seeded.random, 8),
			     (int64_t)random_below(&seeded.random, 5));
	for (int order = STORE_ORDER_PING_COUNT; order <= STORE_ORDER_CLIENT_IP; order++) {
		struct store_client whole[COUNT + 1], part[COUNT];
		assert_int_equal(list((struct store_client_page){.order = order, .max = COUNT + 1}, whole), COUNT);
		for (size_t size = 1; size <= COUNT; size += 1 + size / 3) {
			struct store_client_page page = {.order = order, .max = size};
			size_t seen = 0;
			for (size_t count; (count = list(page, part)) > 0; seen += count) {
				assert_true(count <= size && seen + count <= COUNT);
				for (size_t i = 0; i < count; i++)
					assert_client(&part[i].client, &whole[seen + i].client);
				page.after = true;
				page.after_value = part[count - 1].order_value;
				page.after_client = part[count - 1].client.client;
			}
			assert_int_equal(seen, COUNT);
		}
	}
}

static void a_listed_client_shows_its_activity_as_written(void **state)
{
	(void)state;
	take(0);
	struct client_row row = {client(1), START_MS + 1, START_MS + 5000};
	struct activity_row active = activity(client(1), 12, START_MS + DAY_MS);
	write_rows((struct engine_dirty){.clients = &row, .client_count = 1, .activities = &active, .activity_count = 1});
	struct store_client found[2];
	for (int order = STORE_ORDER_PING_COUNT; order <= STORE_ORDER_CLIENT_IP; order++) {
		assert_int_equal(list((struct store_client_page){.order = order, .max = 2}, found), 1);
		assert_client(&found[0].client, &row);
		assert_activity(&found[0].activity, &active);
	}
}

static struct store_totals totals(int64_t now_ms)
{
	struct store_totals found = {.position = -99, .clients = -99, .active_clients = -99, .open_windows = -99};
	assert_int_equal(suite->reader->vtable->totals(suite->reader, now_ms, &found, NULL), ERROR_OK);
	return found;
}

static void an_empty_store_has_empty_totals(void **state)
{
	(void)state;
	struct store_totals found = totals(START_MS);
	assert_int_equal(found.position, POSITION_NONE);
	assert_int_equal(found.clients, 0);
	assert_int_equal(found.active_clients, 0);
	assert_int_equal(found.open_windows, 0);
}

static void totals_count_clients_active_ones_and_open_windows(void **state)
{
	(void)state;
	take(0);
	struct window_row windows[3] = {window(1, START_MS, 1, 1), window(2, START_MS, 1, 2),
					window(2, START_MS + WINDOW_MS, 1, 3)};
	write_at(0, (struct engine_dirty){.windows = windows, .window_count = 3}, 42);
	write_client(client(1), START_MS + 1, 1);
	write_client(client(2), START_MS + WINDOW_MS + 1, 2);
	write_at(0, (struct engine_dirty){0}, 42);
	struct store_totals found = totals(START_MS + WINDOW_MS - 1);
	assert_int_equal(found.position, 42);
	assert_int_equal(found.clients, 2);
	assert_int_equal(found.active_clients, 2);
	assert_int_equal(found.open_windows, 3);
	assert_int_equal(totals(START_MS + WINDOW_MS).open_windows, 1);
	assert_int_equal(totals(START_MS + 2 * WINDOW_MS).open_windows, 0);
	/* The first window leaves the 24 hours when the 288th after it opens. */
	assert_int_equal(totals(START_MS + ACTIVITY_WINDOWS * WINDOW_MS - 1).active_clients, 2);
	assert_int_equal(totals(START_MS + ACTIVITY_WINDOWS * WINDOW_MS).active_clients, 1);
	assert_int_equal(totals(START_MS + (ACTIVITY_WINDOWS + 1) * WINDOW_MS).active_clients, 0);
}

/* ——— the audit's scan ——— */

struct scanned {
	int64_t position;
	size_t windows, days, clients, stop_after;
	struct window_row last_window;
	struct day_row last_day;
	struct client_row last_client;
	bool disordered;
};

static bool goes_on(const struct scanned *scanned)
{
	return 1 + scanned->windows + scanned->days + scanned->clients != scanned->stop_after;
}

static bool scan_begin(void *context, int64_t position)
{
	struct scanned *scanned = context;
	scanned->position = position;
	return goes_on(scanned);
}

static bool scan_window(void *context, const struct window_row *row)
{
	struct scanned *scanned = context;
	int order = address_compare(&scanned->last_window.client, &row->client);
	scanned->disordered |= order > 0 || (order == 0 && scanned->last_window.start_ms >= row->start_ms) || scanned->days > 0;
	scanned->last_window = *row;
	scanned->windows++;
	return goes_on(scanned);
}

static bool scan_day(void *context, const struct day_row *row)
{
	struct scanned *scanned = context;
	int order = address_compare(&scanned->last_day.client, &row->client);
	scanned->disordered |= order > 0 || (order == 0 && scanned->last_day.start_ms >= row->start_ms) || scanned->clients > 0;
	scanned->last_day = *row;
	scanned->days++;
	return goes_on(scanned);
}

static bool scan_client(void *context, const struct client_row *row)
{
	struct scanned *scanned = context;
	scanned->disordered |= address_compare(&scanned->last_client.client, &row->client) >= 0;
	scanned->last_client = *row;
	scanned->clients++;
	return goes_on(scanned);
}

static struct scanned scan(size_t stop_after)
{
	struct scanned scanned = {.position = -99, .stop_after = stop_after};
	struct store_scan visitors = {&scanned, scan_begin, scan_window, scan_day, scan_client};
	assert_int_equal(suite->reader->vtable->scan(suite->reader, &visitors, NULL), ERROR_OK);
	return scanned;
}

static void a_scan_shows_every_row_in_order(void **state)
{
	(void)state;
	assert_int_equal(scan(0).position, POSITION_NONE);
	take(0);
	for (unsigned i = 0; i < 50; i++) {
		struct window_row windows[2] = {window(i * 7 % 50, START_MS + WINDOW_MS, 1, 1),
						window(i * 7 % 50, START_MS, 1, 1)};
		struct day_row days[2] = {{client(i * 7 % 50), START_MS + DAY_MS, 2, 1}, {client(i * 7 % 50), START_MS, 2, 1}};
		struct client_row row = {client(i * 7 % 50), START_MS, START_MS};
		write_at(0,
			 (struct engine_dirty){.windows = windows,
					       .window_count = 2,
					       .days = days,
					       .day_count = 2,
					       .clients = &row,
					       .client_count = 1},
			 i);
	}
	struct scanned scanned = scan(0);
	assert_int_equal(scanned.position, 49);
	assert_int_equal(scanned.windows, 100);
	assert_int_equal(scanned.days, 100);
	assert_int_equal(scanned.clients, 50);
	assert_false(scanned.disordered);
	assert_int_equal(scanned.last_window.count, 1);
	assert_int_equal(scanned.last_day.total, 2);
}

static void a_scan_ends_where_a_visitor_ends_it(void **state)
{
	(void)state;
	take(0);
	struct window_row row = window(1, START_MS, 1, 1);
	struct day_row day = {client(1), START_MS, 1, 1};
	struct client_row one = {client(1), START_MS, START_MS};
	write_rows((struct engine_dirty){
		.windows = &row, .window_count = 1, .days = &day, .day_count = 1, .clients = &one, .client_count = 1});
	for (size_t stop = 1; stop <= 4; stop++) {
		struct scanned scanned = scan(stop);
		assert_int_equal(1 + scanned.windows + scanned.days + scanned.clients, stop);
	}
	assert_int_equal(scan(0).clients, 1);
}

static int begin(void **state)
{
	(void)state;
	suite->begin(suite);
	return 0;
}

static int end(void **state)
{
	(void)state;
	suite->end(suite);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int store_contract_run(struct store_contract *contract)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_store_has_no_position),
		TEST(the_position_written_last_is_found_at_the_next_taking),
		TEST(each_partition_has_its_position),
		TEST(a_store_filled_from_another_log_is_refused_with_a_way_out),
		TEST(a_log_made_anew_under_a_greater_epoch_is_gone_on_with),
		TEST(a_log_is_not_gone_on_with_under_the_same_epoch_nor_the_same_log_under_another),
		TEST(a_partition_that_was_not_taken_is_not_written),
		TEST(a_row_that_is_not_there_reads_as_empty),
		TEST(rows_read_back_as_written_also_after_a_restart),
		TEST(writing_again_replaces_and_writing_the_same_changes_nothing),
		TEST(a_client_is_read_with_its_windows_from_a_start_on),
		TEST(of_a_client_any_number_of_rows_of_each_kind_is_written),
		TEST(more_windows_than_a_day_has_are_read),
		TEST(due_activities_are_listed_the_most_overdue_first),
		TEST(due_activities_are_those_of_the_partition),
		TEST(an_activity_without_a_due_is_removed_and_one_of_the_future_is_kept),
		TEST(windows_of_a_range_are_listed_the_newest_first),
		TEST(days_of_a_range_are_listed_the_newest_first),
		TEST(a_client_is_found_or_was_never_seen),
		TEST(clients_are_listed_by_ping_count_the_silent_ones_last),
		TEST(clients_are_listed_by_last_ping_the_newest_first),
		TEST(clients_are_listed_by_address),
		TEST(a_prefix_of_the_address_selects_in_every_order),
		TEST(pages_of_any_size_join_to_the_whole_list_in_every_order),
		TEST(a_listed_client_shows_its_activity_as_written),
		TEST(an_empty_store_has_empty_totals),
		TEST(totals_count_clients_active_ones_and_open_windows),
		TEST(a_scan_shows_every_row_in_order),
		TEST(a_scan_ends_where_a_visitor_ends_it),
		/* Of embedded stores. */
		TEST(after_the_clock_was_set_back_activities_made_ahead_are_due),
		TEST(after_the_clock_was_set_back_each_partition_makes_its_own_activities_anew),
		TEST(windows_that_ended_before_are_pruned_the_oldest_first),
	};
	enum { EMBEDDED = 3 };
	size_t count = sizeof tests / sizeof *tests - (contract->distributed ? EMBEDDED : 0);
	suite = contract;
	return _cmocka_run_group_tests("store", tests, count, NULL, NULL);
}
