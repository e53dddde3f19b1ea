#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "service/watch.h"

struct fixture {
	struct random_seeded random;
	struct watch_hub *hub;
	struct watch_subscriber *all;
	struct window_row rows[WATCH_MAX_ROWS];
	bool lagging;
	int wakes;
};

static void count_wake(void *context)
{
	((struct fixture *)context)->wakes++;
}

static int set_up(void **state)
{
	static struct fixture fixture;
	fixture = (struct fixture){0};
	random_seeded_init(&fixture.random, 1);
	*state = &fixture;
	return watch_hub_create(&fixture.random.random, &fixture.hub) != ERROR_OK ||
	       watch_subscribe(fixture.hub, NULL, 0, count_wake, &fixture, &fixture.all, NULL) != ERROR_OK;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	watch_unsubscribe(f->hub, f->all);
	watch_hub_destroy(f->hub);
	return 0;
}

static struct address client(unsigned number)
{
	return address_from_ipv4((uint8_t[]){10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number});
}

static void publish(struct fixture *f, unsigned number, int64_t start_ms, int64_t count)
{
	struct window_row row = {.client = client(number), .start_ms = start_ms, .count = count};
	watch_publish(f->hub, &row, 1);
}

static size_t take(struct fixture *f, size_t max)
{
	return watch_take(f->hub, f->all, f->rows, max, &f->lagging);
}

static void what_was_published_is_taken_once_in_order(void **state)
{
	struct fixture *f = *state;
	publish(f, 2, 0, 5);
	publish(f, 1, 0, 6);
	publish(f, 1, WINDOW_MS, 7);
	assert_int_equal(take(f, WATCH_MAX_ROWS), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(f->rows[i].count, 5 + i);
	assert_false(f->lagging);
	assert_int_equal(take(f, WATCH_MAX_ROWS), 0);
}

static void of_one_window_the_newest_row_stands(void **state)
{
	struct fixture *f = *state;
	for (int i = 1; i <= 10 * WATCH_MAX_ROWS; i++)
		publish(f, 1, 0, i);
	assert_int_equal(take(f, WATCH_MAX_ROWS), 1);
	assert_int_equal(f->rows[0].count, 10 * WATCH_MAX_ROWS);
	assert_false(f->lagging);
}

static void what_was_left_by_a_take_is_still_coalesced(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 10; i++)
		publish(f, i, 0, 1);
	assert_int_equal(take(f, 4), 4);
	for (unsigned i = 0; i < 10; i++)
		publish(f, i, 0, 2);
	assert_int_equal(take(f, WATCH_MAX_ROWS), 10);
	bool seen[10] = {false};
	for (int i = 0; i < 10; i++) {
		assert_int_equal(f->rows[i].count, 2);
		seen[f->rows[i].client.bytes[15]] = true;
	}
	for (int i = 0; i < 10; i++)
		assert_true(seen[i]);
}

static void a_filter_lets_only_its_clients_through(void **state)
{
	struct fixture *f = *state;
	struct watch_subscriber *some;
	struct address clients[] = {client(9), client(3), client(7)};
	assert_int_equal(watch_subscribe(f->hub, clients, 3, NULL, NULL, &some, NULL), ERROR_OK);
	for (unsigned i = 0; i < 10; i++)
		publish(f, i, 0, i);
	assert_int_equal(watch_take(f->hub, some, f->rows, WATCH_MAX_ROWS, &f->lagging), 3);
	assert_int_equal(f->rows[0].count, 3);
	assert_int_equal(f->rows[1].count, 7);
	assert_int_equal(f->rows[2].count, 9);
	watch_unsubscribe(f->hub, some);
	assert_int_equal(take(f, WATCH_MAX_ROWS), 10);
}

static void past_the_limit_the_subscriber_is_told_to_read_again_once(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < WATCH_MAX_ROWS; i++)
		publish(f, i, 0, 1);
	publish(f, 0, 0, 2);
	assert_int_equal(take(f, WATCH_MAX_ROWS), WATCH_MAX_ROWS);
	assert_false(f->lagging);
	for (unsigned i = 0; i <= WATCH_MAX_ROWS; i++)
		publish(f, i, 0, 1);
	publish(f, 1, 0, 2);
	assert_int_equal(take(f, WATCH_MAX_ROWS), 0);
	assert_true(f->lagging);
	publish(f, 1, 0, 3);
	assert_int_equal(take(f, WATCH_MAX_ROWS), 1);
	assert_int_equal(f->rows[0].count, 3);
	assert_false(f->lagging);
}

static void one_that_lags_does_not_disturb_another(void **state)
{
	struct fixture *f = *state;
	struct watch_subscriber *one;
	struct address only = client(5);
	assert_int_equal(watch_subscribe(f->hub, &only, 1, NULL, NULL, &one, NULL), ERROR_OK);
	for (unsigned i = 0; i < 2 * WATCH_MAX_ROWS; i++)
		publish(f, i, 0, i);
	bool lagging = true;
	assert_int_equal(watch_take(f->hub, one, f->rows, 10, &lagging), 1);
	assert_false(lagging);
	watch_unsubscribe(f->hub, one);
}

static void it_wakes_once_until_all_was_taken(void **state)
{
	struct fixture *f = *state;
	publish(f, 1, 0, 1);
	publish(f, 2, 0, 1);
	assert_int_equal(f->wakes, 1);
	take(f, WATCH_MAX_ROWS);
	publish(f, 1, 0, 2);
	assert_int_equal(f->wakes, 2);
	take(f, WATCH_MAX_ROWS);
	static struct window_row many[WATCH_MAX_ROWS + 1];
	for (unsigned i = 0; i <= WATCH_MAX_ROWS; i++)
		many[i].client = client(i);
	watch_publish(f->hub, many, WATCH_MAX_ROWS + 1);
	assert_int_equal(f->wakes, 3);
}

static void there_is_a_most_of_clients_and_of_subscribers(void **state)
{
	struct fixture *f = *state;
	static struct address clients[WATCH_MAX_CLIENTS + 1];
	struct watch_subscriber *subscribers[WATCH_MAX_SUBSCRIBERS] = {f->all}, *more;
	struct error_note note;
	assert_int_equal(watch_subscribe(f->hub, clients, WATCH_MAX_CLIENTS + 1, NULL, NULL, &more, &note),
			 ERROR_INVALID_ARGUMENT);
	assert_memory_equal(note.text, "client_ips: 1001", 16);
	for (int i = 1; i < WATCH_MAX_SUBSCRIBERS; i++)
		assert_int_equal(watch_subscribe(f->hub, clients, 1, NULL, NULL, &subscribers[i], NULL), ERROR_OK);
	assert_int_equal(watch_subscribe(f->hub, NULL, 0, NULL, NULL, &more, &note), ERROR_RESOURCE_EXHAUSTED);
	for (int i = 1; i < WATCH_MAX_SUBSCRIBERS; i++)
		watch_unsubscribe(f->hub, subscribers[i]);
}

static void who_is_wanted_is_whom_somebody_watches(void **state)
{
	struct fixture *f = *state;
	const struct address one = client(1), two = client(2);
	assert_true(watch_wanted(f->hub, &one));
	watch_unsubscribe(f->hub, f->all);
	assert_false(watch_wanted(f->hub, &one));
	assert_int_equal(watch_subscribe(f->hub, &one, 1, NULL, NULL, &f->all, NULL), ERROR_OK);
	assert_true(watch_wanted(f->hub, &one));
	assert_false(watch_wanted(f->hub, &two));
}

static void after_a_loss_everybody_is_told_to_read_again_once(void **state)
{
	struct fixture *f = *state;
	struct watch_subscriber *some;
	const struct address one = client(1);
	assert_int_equal(watch_subscribe(f->hub, &one, 1, NULL, NULL, &some, NULL), ERROR_OK);
	publish(f, 1, 0, 1);
	watch_lose(f->hub);
	publish(f, 1, 0, 2);
	assert_int_equal(take(f, WATCH_MAX_ROWS), 0);
	assert_true(f->lagging);
	assert_int_equal(watch_take(f->hub, some, f->rows, WATCH_MAX_ROWS, &f->lagging), 0);
	assert_true(f->lagging);
	publish(f, 1, 0, 3);
	assert_int_equal(take(f, WATCH_MAX_ROWS), 1);
	assert_false(f->lagging);
	assert_int_equal(watch_take(f->hub, some, f->rows, WATCH_MAX_ROWS, &f->lagging), 1);
	assert_false(f->lagging);
	watch_unsubscribe(f->hub, some);
}

static void a_loss_wakes_those_who_sleep(void **state)
{
	struct fixture *f = *state;
	watch_lose(f->hub);
	assert_int_equal(f->wakes, 1);
	assert_int_equal(take(f, 1), 0);
	assert_true(f->lagging);
}

struct race {
	struct fixture *fixture;
	_Atomic bool ended;
};

enum { RACE_ROUNDS = 2000, RACE_CLIENTS = 40 };

static void *publish_many(void *argument)
{
	struct race *race = argument;
	for (int64_t round = 1; round <= RACE_ROUNDS; round++)
		for (unsigned i = 0; i < RACE_CLIENTS; i++)
			publish(race->fixture, i, 0, round);
	race->ended = true;
	return NULL;
}

static void *come_and_go(void *argument)
{
	struct race *race = argument;
	struct address only = client(1);
	while (!race->ended) {
		struct watch_subscriber *one;
		struct window_row row;
		bool lagging;
		if (watch_subscribe(race->fixture->hub, &only, 1, NULL, NULL, &one, NULL) != ERROR_OK)
			continue;
		watch_take(race->fixture->hub, one, &row, 1, &lagging);
		watch_unsubscribe(race->fixture->hub, one);
	}
	return NULL;
}

static void each_row_only_grows_for_a_taker_and_its_last_value_comes(void **state)
{
	struct fixture *f = *state;
	struct race race = {.fixture = f};
	pthread_t publisher, guest;
	assert_int_equal(pthread_create(&publisher, NULL, publish_many, &race), 0);
	assert_int_equal(pthread_create(&guest, NULL, come_and_go, &race), 0);
	int64_t last[RACE_CLIENTS] = {0};
	bool more = true;
	while (more) {
		more = !race.ended; /* read before the take that is then the last */
		size_t count = take(f, 7);
		more = more || count > 0;
		for (size_t i = 0; i < count; i++) {
			int64_t *at = &last[f->rows[i].client.bytes[15]];
			assert_true(f->rows[i].count > *at);
			*at = f->rows[i].count;
		}
	}
	pthread_join(publisher, NULL);
	pthread_join(guest, NULL);
	for (int i = 0; i < RACE_CLIENTS; i++)
		assert_int_equal(last[i], RACE_ROUNDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_was_published_is_taken_once_in_order),
		TEST(of_one_window_the_newest_row_stands),
		TEST(what_was_left_by_a_take_is_still_coalesced),
		TEST(a_filter_lets_only_its_clients_through),
		TEST(past_the_limit_the_subscriber_is_told_to_read_again_once),
		TEST(one_that_lags_does_not_disturb_another),
		TEST(it_wakes_once_until_all_was_taken),
		TEST(there_is_a_most_of_clients_and_of_subscribers),
		TEST(who_is_wanted_is_whom_somebody_watches),
		TEST(after_a_loss_everybody_is_told_to_read_again_once),
		TEST(a_loss_wakes_those_who_sleep),
		TEST(each_row_only_grows_for_a_taker_and_its_last_value_comes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
