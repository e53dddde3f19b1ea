/* What comes into a partition's windows since a position. */
#include "stream/delta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define START_MS INT64_C(1728864000000)

static const uint8_t hash_key[16] = "of the test only";
static struct delta *delta;

static struct address client(uint32_t number)
{
	const uint8_t bytes[4] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
	return address_from_ipv4(bytes);
}

static void create(size_t max_windows)
{
	assert_int_equal(delta_create(max_windows, hash_key, &delta), ERROR_OK);
	delta_reset(delta, 100);
}

static int end(void **state)
{
	(void)state;
	delta_destroy(delta);
	delta = NULL;
	return 0;
}

static void add(uint32_t number, int64_t pinged_at_ms, int64_t position)
{
	const struct engine_event event = {client(number), pinged_at_ms, position};
	delta_add(delta, &event, 1);
}

/* The client's only window. */
static struct window_row only_window(uint32_t number)
{
	struct address of = client(number);
	struct window_row row, more;
	size_t place = 0;
	assert_true(delta_next(delta, &of, &place, &row));
	assert_false(delta_next(delta, &of, &place, &more));
	return row;
}

static void events_are_added_up_by_client_and_window(void **state)
{
	(void)state;
	create(0);
	add(1, START_MS + 700, 101);
	add(1, START_MS + 200, 102);
	add(2, START_MS + 900, 103);
	add(1, START_MS + 500, 109);
	const struct window_row row = only_window(1);
	assert_int_equal(row.start_ms, START_MS);
	assert_int_equal(row.count, 3);
	assert_int_equal(row.first_ms, START_MS + 200);
	assert_int_equal(row.last_ms, START_MS + 700);
	assert_int_equal(row.position, 109);
	assert_int_equal(only_window(2).count, 1);
	assert_int_equal(delta_windows(delta), 2);
}

static void what_lies_before_it_or_is_read_again_is_left_out(void **state)
{
	(void)state;
	create(0);
	add(1, START_MS, 99);
	add(1, START_MS, 100);
	assert_int_equal(delta_windows(delta), 0);
	add(1, START_MS, 105);
	add(1, START_MS, 105);
	add(1, START_MS, 103);
	assert_int_equal(only_window(1).count, 1);
}

static void each_of_many_windows_of_many_clients_is_given_once(void **state)
{
	(void)state;
	enum { CLIENTS = 300, WINDOWS = 20 };
	create(0);
	int64_t position = 100;
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t window = 0; window < WINDOWS; window++)
			for (uint32_t number = 0; number < CLIENTS; number++)
				add(number, START_MS + window * WINDOW_MS + round, ++position);
	for (uint32_t number = 0; number < CLIENTS; number++) {
		struct address of = client(number);
		struct window_row row;
		uint32_t seen = 0;
		for (size_t place = 0; delta_next(delta, &of, &place, &row);) {
			assert_true(address_equal(&row.client, &of));
			assert_int_equal(row.count, 2);
			seen |= UINT32_C(1) << (row.start_ms - START_MS) / WINDOW_MS;
		}
		assert_int_equal(seen, (UINT32_C(1) << WINDOWS) - 1);
	}
	struct address nobody = client(CLIENTS);
	struct window_row row;
	size_t place = 0;
	assert_false(delta_next(delta, &nobody, &place, &row));
}

static void more_than_it_may_keep_makes_it_useless_until_it_is_reset(void **state)
{
	(void)state;
	create(2);
	add(1, START_MS, 101);
	add(2, START_MS, 102);
	add(1, START_MS, 103);
	assert_false(delta_is_short(delta));
	add(3, START_MS, 104);
	assert_true(delta_is_short(delta));
	add(1, START_MS, 105);
	assert_int_equal(delta_windows(delta), 0);
	delta_reset(delta, 105);
	assert_false(delta_is_short(delta));
	add(1, START_MS, 106);
	assert_int_equal(only_window(1).count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(events_are_added_up_by_client_and_window, end),
		cmocka_unit_test_teardown(what_lies_before_it_or_is_read_again_is_left_out, end),
		cmocka_unit_test_teardown(each_of_many_windows_of_many_clients_is_given_once, end),
		cmocka_unit_test_teardown(more_than_it_may_keep_makes_it_useless_until_it_is_reset, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
