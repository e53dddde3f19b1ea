/* Who asks often does not make the store count often; who asks a small store sees each change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/service/fake_clock.h"
#include "service/totals.h"

enum { NOW_MS = 1000000, SLOW_US = 10000 };

/* Counting takes time, and may ask back while it does. */
struct slow_store {
	struct store_reader reader;
	struct fake_clock *clock;
	struct totals *asked_meanwhile;
	int64_t took_us, clients;
	unsigned counts;
	enum error fail;
};

static struct fake_clock clock_;
static struct totals totals;
static struct slow_store store;

static enum error read_now(int64_t *ret_clients)
{
	struct store_totals got = {.clients = -1};
	struct error_note note = {""};
	enum error error = totals_read(&totals, &store.reader, &clock_.clock, &got, &note);
	*ret_clients = got.clients;
	return error;
}

static enum error count(struct store_reader *reader, int64_t now_ms, struct store_totals *ret_totals, struct error_note *note)
{
	struct slow_store *slow = (struct slow_store *)reader;
	(void)now_ms;
	(void)note;
	slow->counts++;
	slow->clock->now_us += slow->took_us;
	if (slow->asked_meanwhile != NULL) {
		int64_t clients;
		slow->asked_meanwhile = NULL;
		assert_int_equal(read_now(&clients), ERROR_OK);
		assert_int_equal(clients, slow->clients - 1); /* what there was */
		assert_int_equal(slow->counts, 2);
	}
	if (slow->fail != ERROR_OK)
		return slow->fail;
	*ret_totals = (struct store_totals){.clients = slow->clients};
	return ERROR_OK;
}

static int setup(void **state)
{
	(void)state;
	static const struct store_reader_vtable vtable = {.totals = count};
	fake_clock_init(&clock_, NOW_MS);
	totals_init(&totals);
	store = (struct slow_store){.reader.vtable = &vtable, .clock = &clock_, .clients = 1};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	totals_release(&totals);
	return 0;
}

static void expect_clients(int64_t wanted)
{
	int64_t clients;
	assert_int_equal(read_now(&clients), ERROR_OK);
	assert_int_equal(clients, wanted);
}

static void a_small_store_is_counted_each_time(void **state)
{
	(void)state;
	for (; store.clients < 5; store.clients++)
		expect_clients(store.clients);
	assert_int_equal(store.counts, 4);
}

static void a_large_one_rests_fifty_times_as_long_as_it_took(void **state)
{
	(void)state;
	store.took_us = SLOW_US;
	expect_clients(1);
	store.clients = 2;
	clock_.now_us += TOTALS_REST * SLOW_US - 1;
	expect_clients(1);
	clock_.now_us += 1;
	expect_clients(2);
	assert_int_equal(store.counts, 2);
}

static void nobody_is_given_what_is_older_than_the_limit(void **state)
{
	(void)state;
	store.took_us = TOTALS_MAX_AGE_US;
	expect_clients(1);
	store.clients = 2;
	clock_.now_us += TOTALS_MAX_AGE_US - 1;
	expect_clients(1);
	clock_.now_us += 1;
	expect_clients(2);
}

static void while_one_counts_others_do_not_wait(void **state)
{
	(void)state;
	expect_clients(1);
	store.clients = 2;
	store.asked_meanwhile = &totals;
	expect_clients(2);
}

static void what_cannot_be_counted_is_not_known_from_before(void **state)
{
	(void)state;
	int64_t clients;
	store.took_us = SLOW_US;
	expect_clients(1);
	clock_.now_us += TOTALS_MAX_AGE_US;
	store.fail = ERROR_UNAVAILABLE;
	assert_int_equal(read_now(&clients), ERROR_UNAVAILABLE);
	assert_int_equal(clients, -1);
	assert_int_equal(read_now(&clients), ERROR_UNAVAILABLE);
	store.fail = ERROR_OK;
	expect_clients(1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_small_store_is_counted_each_time),
		TEST(a_large_one_rests_fifty_times_as_long_as_it_took),
		TEST(nobody_is_given_what_is_older_than_the_limit),
		TEST(while_one_counts_others_do_not_wait),
		TEST(what_cannot_be_counted_is_not_known_from_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
