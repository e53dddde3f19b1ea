#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/random.h"
#include "service/rate.h"

#define SECOND_US INT64_C(1000000)

static void expect_rate(const struct rate *rate, int64_t now_us, double expected)
{
	double got = rate_per_second(rate, now_us);
	assert_true(got >= expected - 1e-9 && got <= expected + 1e-9);
}

static void without_events_it_is_0(void **state)
{
	(void)state;
	struct rate rate = {0};
	expect_rate(&rate, 0, 0);
	expect_rate(&rate, 5 * SECOND_US, 0);
}

static void a_second_counts_once_it_is_over_and_for_ten_seconds(void **state)
{
	(void)state;
	struct rate rate = {0};
	rate_add(&rate, 100 * SECOND_US, 30);
	rate_add(&rate, 101 * SECOND_US - 1, 20);
	expect_rate(&rate, 101 * SECOND_US - 1, 0);
	expect_rate(&rate, 101 * SECOND_US, 5);
	expect_rate(&rate, 111 * SECOND_US - 1, 5);
	expect_rate(&rate, 111 * SECOND_US, 0);
}

static void seconds_long_past_are_forgotten(void **state)
{
	(void)state;
	struct rate rate = {0};
	rate_add(&rate, 3 * SECOND_US, 1000);
	rate_add(&rate, 14 * SECOND_US, 10);
	expect_rate(&rate, 15 * SECOND_US, 1);
	expect_rate(&rate, 1000000 * SECOND_US, 0);
}

static void it_equals_the_mean_of_the_last_ten_seconds(void **state)
{
	(void)state;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 3);
	struct rate rate = {0};
	uint32_t events[500];
	for (int second = 0; second < 500; second++) {
		events[second] = random_below(&seeded.random, 3) == 0 ? 0 : (uint32_t)random_below(&seeded.random, 1000);
		if (events[second] > 0)
			rate_add(&rate, second * SECOND_US, events[second]);
		uint64_t sum = 0;
		for (int past = second - RATE_SECONDS; past < second; past++)
			sum += past >= 0 ? events[past] : 0;
		expect_rate(&rate, second * SECOND_US, (double)sum / RATE_SECONDS);
	}
}

static void a_second_holds_no_more_than_it_can(void **state)
{
	(void)state;
	struct rate rate = {0};
	rate_add(&rate, 0, UINT32_MAX);
	rate_add(&rate, 0, 7);
	expect_rate(&rate, SECOND_US, (double)UINT32_MAX / 10);
}

static void *add_many(void *argument)
{
	for (int i = 0; i < 20000; i++)
		rate_add(argument, SECOND_US * (i / 10000), 1);
	return NULL;
}

static void no_event_of_any_thread_is_lost(void **state)
{
	(void)state;
	/* Two seconds, so that taking over a slot races too; 0 and 1 lie in different slots. */
	struct rate rate = {0};
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, &rate), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	expect_rate(&rate, 2 * SECOND_US, 4000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_events_it_is_0),
		cmocka_unit_test(a_second_counts_once_it_is_over_and_for_ten_seconds),
		cmocka_unit_test(seconds_long_past_are_forgotten),
		cmocka_unit_test(it_equals_the_mean_of_the_last_ten_seconds),
		cmocka_unit_test(a_second_holds_no_more_than_it_can),
		cmocka_unit_test(no_event_of_any_thread_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
