#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "service/watch_feed.h"

enum { PARTITIONS = 2, MAX_EVENTS = 40000, MAX_CLIENTS = 20000 };

/* A log: event number n is at position n of partition 0; and a store whose rows count their events up to its position. */
struct fixture {
	struct log_follower follower;
	struct store_reader reader;
	struct engine_event events[MAX_EVENTS];
	int64_t event_count, next, stored;
	int64_t first; /* events before it were removed */
	int64_t kept_from_ms;
	enum error log_fails, store_fails, windows_fail;
	size_t polls, positions_read, windows_read, largest_read;
	void (*on_positions)(struct fixture *fixture); /* after they were read; NULL: nothing */
	struct random_seeded random;
	struct watch_hub *hub;
	struct watch_feed *feed;
	struct watch_subscriber *subscriber; /* NULL: none */
	struct window_row rows[MAX_CLIENTS];
	size_t row_count;
	bool lagging, behind;
};

static struct fixture *of_follower(const struct log_follower *follower)
{
	return (struct fixture *)((char *)(uintptr_t)follower - offsetof(struct fixture, follower));
}

static struct fixture *of_reader(struct store_reader *reader)
{
	return (struct fixture *)((char *)reader - offsetof(struct fixture, reader));
}

static enum error fake_poll(struct log_follower *follower, const int64_t *until, struct follow_batch *ret_batch,
			    struct error_note *note)
{
	struct fixture *f = of_follower(follower);
	f->polls++;
	if (f->log_fails != ERROR_OK)
		return error_noted(note, f->log_fails, "the log");
	struct follow_batch batch = {.events = &f->events[f->next], .missed = f->next < f->first};
	if (batch.missed)
		f->next = until[0] + 1;
	while (batch.count < FOLLOW_MAX_EVENTS && f->next <= until[0]) {
		batch.count++;
		f->next++;
	}
	batch.behind = f->next <= until[0];
	*ret_batch = batch;
	return ERROR_OK;
}

static void fake_skip(struct log_follower *follower, const int64_t *positions)
{
	of_follower(follower)->next = positions[0] + 1;
}

static int32_t fake_partition_count(const struct log_follower *follower)
{
	(void)follower;
	return PARTITIONS;
}

static enum error fake_positions(struct store_reader *reader, int64_t *ret_positions, size_t partition_count,
				 struct error_note *note)
{
	struct fixture *f = of_reader(reader);
	assert_int_equal(partition_count, PARTITIONS);
	f->positions_read++;
	if (f->store_fails != ERROR_OK)
		return error_noted(note, f->store_fails, "the store");
	ret_positions[0] = f->stored;
	ret_positions[1] = POSITION_NONE;
	if (f->on_positions != NULL)
		f->on_positions(f);
	return ERROR_OK;
}

static enum error fake_read_windows(struct store_reader *reader, struct window_row *rows, size_t count, struct error_note *note)
{
	struct fixture *f = of_reader(reader);
	if (f->windows_fail != ERROR_OK)
		return error_noted(note, f->windows_fail, "the store's windows");
	f->windows_read += count;
	f->largest_read = count > f->largest_read ? count : f->largest_read;
	for (size_t i = 0; i < count; i++) {
		rows[i].count = 0;
		for (int64_t n = 0; n <= f->stored && rows[i].start_ms >= f->kept_from_ms; n++)
			rows[i].count += address_equal(&f->events[n].client, &rows[i].client) &&
					 window_start_of(f->events[n].pinged_at_ms) == rows[i].start_ms;
	}
	return ERROR_OK;
}

static int set_up(void **state)
{
	static const struct log_follower_vtable follower = {
		.poll = fake_poll, .skip = fake_skip, .partition_count = fake_partition_count};
	static const struct store_reader_vtable reader = {.positions = fake_positions, .read_windows = fake_read_windows};
	struct fixture *f = calloc(1, sizeof *f);
	f->follower.vtable = &follower;
	f->reader.vtable = &reader;
	f->stored = POSITION_NONE;
	random_seeded_init(&f->random, 1);
	*state = f;
	return watch_hub_create(&f->random.random, &f->hub) != ERROR_OK ||
	       watch_feed_create(f->hub, &f->follower, &f->feed) != ERROR_OK;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	if (f->subscriber != NULL)
		watch_unsubscribe(f->hub, f->subscriber);
	watch_feed_destroy(f->feed);
	watch_hub_destroy(f->hub);
	free(f);
	return 0;
}

static struct address client(unsigned number)
{
	return address_from_ipv4((uint8_t[]){10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number});
}

static void watch(struct fixture *f, const struct address *clients, size_t count)
{
	assert_int_equal(watch_subscribe(f->hub, clients, count, NULL, NULL, &f->subscriber, NULL), ERROR_OK);
}

static void happens(struct fixture *f, unsigned number, int64_t at_ms)
{
	f->events[f->event_count] = (struct engine_event){client(number), at_ms, f->event_count};
	f->event_count++;
}

/* The engine has written everything. */
static void is_stored(struct fixture *f)
{
	f->stored = f->event_count - 1;
}

static enum error step(struct fixture *f)
{
	struct error_note note;
	enum error error = watch_feed_step(f->feed, &f->reader, &f->behind, &note);
	f->row_count = f->subscriber == NULL ? 0 : watch_take(f->hub, f->subscriber, f->rows, MAX_CLIENTS, &f->lagging);
	return error;
}

static void must_step(struct fixture *f)
{
	assert_int_equal(step(f), ERROR_OK);
}

/* Somebody watches, and the feed has begun. */
static void begin(struct fixture *f)
{
	must_step(f);
	watch(f, NULL, 0);
}

static void a_row_is_told_once_it_is_in_the_store(void **state)
{
	struct fixture *f = *state;
	begin(f);
	happens(f, 1, 5);
	must_step(f);
	assert_int_equal(f->row_count, 0);
	assert_int_equal(f->windows_read, 0);
	is_stored(f);
	must_step(f);
	assert_int_equal(f->row_count, 1);
	assert_true(f->rows[0].client.bytes[15] == 1);
	assert_int_equal(f->rows[0].count, 1);
	must_step(f);
	assert_int_equal(f->row_count, 0);
	assert_int_equal(f->windows_read, 1);
}

static void events_of_one_window_are_one_read(void **state)
{
	struct fixture *f = *state;
	begin(f);
	for (unsigned i = 0; i < 3000; i++)
		happens(f, i % 3, i % 2 * WINDOW_MS + i);
	is_stored(f);
	must_step(f);
	assert_int_equal(f->windows_read, 6);
	assert_int_equal(f->row_count, 6);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(f->rows[i].count, 500);
}

static void only_who_is_watched_is_read(void **state)
{
	struct fixture *f = *state;
	const struct address two = client(2);
	must_step(f);
	watch(f, &two, 1);
	for (unsigned i = 0; i < 100; i++)
		happens(f, i, i);
	is_stored(f);
	must_step(f);
	assert_int_equal(f->windows_read, 1);
	assert_int_equal(f->row_count, 1);
}

static void while_nobody_watches_the_log_is_not_read(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 100; i++) {
		happens(f, i, i);
		is_stored(f);
		must_step(f);
	}
	assert_int_equal(f->polls, 0);
	assert_int_equal(f->windows_read, 0);
	assert_int_equal(f->next, 100);
}

/* It was in the log before, and nobody would have been told then. */
static void what_is_written_after_somebody_came_is_told(void **state)
{
	struct fixture *f = *state;
	must_step(f);
	happens(f, 1, 1);
	must_step(f);
	watch(f, NULL, 0);
	is_stored(f);
	must_step(f);
	assert_int_equal(f->row_count, 1);
	assert_false(f->lagging);
}

static void come_now(struct fixture *f)
{
	f->on_positions = NULL;
	watch(f, NULL, 0);
	happens(f, 2, 2);
	is_stored(f);
}

static void who_comes_while_positions_are_read_misses_nothing(void **state)
{
	struct fixture *f = *state;
	must_step(f);
	happens(f, 1, 1);
	is_stored(f);
	f->on_positions = come_now;
	must_step(f);
	must_step(f);
	assert_false(f->lagging);
	assert_int_equal(f->rows[f->row_count - 1].client.bytes[15], 2);
}

static void who_came_before_the_store_could_be_asked_is_told_to_look_again(void **state)
{
	struct fixture *f = *state;
	watch(f, NULL, 0);
	f->store_fails = ERROR_UNAVAILABLE;
	assert_int_equal(step(f), ERROR_UNAVAILABLE);
	assert_false(f->lagging);
	happens(f, 1, 1);
	is_stored(f);
	f->store_fails = ERROR_OK;
	must_step(f);
	assert_true(f->lagging);
	happens(f, 1, 2);
	is_stored(f);
	must_step(f);
	assert_false(f->lagging);
	assert_int_equal(f->row_count, 1);
	assert_int_equal(f->rows[0].count, 2);
}

static void what_was_removed_from_the_log_is_told(void **state)
{
	struct fixture *f = *state;
	begin(f);
	happens(f, 1, 1);
	happens(f, 2, 1);
	is_stored(f);
	f->first = 1;
	must_step(f);
	assert_true(f->lagging);
}

static void a_store_that_fails_loses_nothing(void **state)
{
	struct fixture *f = *state;
	begin(f);
	happens(f, 1, 1);
	is_stored(f);
	f->windows_fail = ERROR_UNAVAILABLE;
	assert_int_equal(step(f), ERROR_UNAVAILABLE);
	happens(f, 2, 1);
	is_stored(f);
	assert_int_equal(step(f), ERROR_UNAVAILABLE);
	f->windows_fail = ERROR_OK;
	must_step(f);
	assert_int_equal(f->row_count, 2);
}

static void a_log_that_fails_keeps_no_row_back(void **state)
{
	struct fixture *f = *state;
	begin(f);
	happens(f, 1, 1);
	is_stored(f);
	f->windows_fail = ERROR_UNAVAILABLE;
	assert_int_equal(step(f), ERROR_UNAVAILABLE);
	f->windows_fail = ERROR_OK;
	f->log_fails = ERROR_FAILED_PRECONDITION;
	assert_int_equal(step(f), ERROR_FAILED_PRECONDITION);
	assert_int_equal(f->row_count, 1);
}

/* What does not fit waits in the log. */
static void a_store_that_is_away_takes_no_memory(void **state)
{
	struct fixture *f = *state;
	begin(f);
	for (unsigned i = 0; i < MAX_CLIENTS; i++)
		happens(f, i, 1);
	is_stored(f);
	f->windows_fail = ERROR_UNAVAILABLE;
	for (int i = 0; i < 20; i++)
		assert_int_equal(step(f), ERROR_UNAVAILABLE);
	assert_true(f->next <= WATCH_FEED_MAX);
	assert_true(f->behind);
}

static void all_are_told_in_reads_that_have_a_bound(void **state)
{
	struct fixture *f = *state;
	begin(f);
	for (unsigned i = 0; i < 3 * WATCH_FEED_READ; i++)
		happens(f, i, 1);
	is_stored(f);
	must_step(f);
	assert_int_equal(f->row_count, 3 * WATCH_FEED_READ);
	assert_int_equal(f->largest_read, WATCH_FEED_READ);
	assert_false(f->behind);
}

/* Past its retention the engine writes none. */
static void a_window_that_the_store_does_not_keep_is_no_row(void **state)
{
	struct fixture *f = *state;
	begin(f);
	f->kept_from_ms = WINDOW_MS;
	happens(f, 1, 1);
	happens(f, 1, WINDOW_MS);
	is_stored(f);
	must_step(f);
	assert_int_equal(f->row_count, 1);
	assert_int_equal(f->rows[0].start_ms, WINDOW_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_row_is_told_once_it_is_in_the_store),
		TEST(events_of_one_window_are_one_read),
		TEST(only_who_is_watched_is_read),
		TEST(while_nobody_watches_the_log_is_not_read),
		TEST(what_is_written_after_somebody_came_is_told),
		TEST(who_comes_while_positions_are_read_misses_nothing),
		TEST(who_came_before_the_store_could_be_asked_is_told_to_look_again),
		TEST(what_was_removed_from_the_log_is_told),
		TEST(a_store_that_fails_loses_nothing),
		TEST(a_log_that_fails_keeps_no_row_back),
		TEST(a_store_that_is_away_takes_no_memory),
		TEST(a_window_that_the_store_does_not_keep_is_no_row),
		TEST(all_are_told_in_reads_that_have_a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
