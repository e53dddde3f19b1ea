#include "net/peer_counts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct peer_counts *counts;

static struct address address_of(const char *text)
{
	struct address address;
	assert_int_equal(address_parse(slice_from_string(text), &address), ERROR_OK);
	return address;
}

static bool enter(const char *text)
{
	struct address address = address_of(text);
	return peer_counts_enter(counts, &address);
}

static void leave(const char *text)
{
	struct address address = address_of(text);
	peer_counts_leave(counts, &address);
}

static int create(unsigned limit)
{
	return peer_counts_create(limit, 10, &counts);
}

static int teardown(void **state)
{
	(void)state;
	peer_counts_destroy(counts);
	return 0;
}

static void an_address_has_so_many_and_no_more(void **state)
{
	(void)state;
	assert_int_equal(create(2), ERROR_OK);
	assert_true(enter("192.0.2.1"));
	assert_true(enter("192.0.2.1"));
	assert_false(enter("192.0.2.1"));
	assert_true(enter("192.0.2.2"));
	leave("192.0.2.1");
	assert_true(enter("192.0.2.1"));
	assert_false(enter("192.0.2.1"));
}

static void an_ipv6_client_is_its_64(void **state)
{
	(void)state;
	assert_int_equal(create(1), ERROR_OK);
	assert_true(enter("2001:db8:0:1::1"));
	assert_false(enter("2001:db8:0:1:ffff::2"));
	assert_true(enter("2001:db8:0:2::1"));
	leave("2001:db8:0:1:ffff::2");
	assert_true(enter("2001:db8:0:1::3"));
}

static void many_addresses_are_kept_apart(void **state)
{
	(void)state;
	assert_int_equal(create(1), ERROR_OK);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5000; i++) {
			char text[32];
			snprintf(text, sizeof text, "10.0.%d.%d", i / 250, i % 250);
			assert_true(enter(text));
			assert_false(enter(text));
		}
		for (int i = 0; i < 5000; i++) {
			char text[32];
			snprintf(text, sizeof text, "10.0.%d.%d", i / 250, i % 250);
			leave(text);
		}
	}
	assert_true(enter("192.0.2.1")); /* left in: destroyed with the rest */
}

static void without_a_limit_nothing_is_counted(void **state)
{
	(void)state;
	assert_int_equal(create(0), ERROR_OK);
	for (int i = 0; i < 1000; i++)
		assert_true(enter("192.0.2.1"));
	leave("192.0.2.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(an_address_has_so_many_and_no_more, teardown),
		cmocka_unit_test_teardown(an_ipv6_client_is_its_64, teardown),
		cmocka_unit_test_teardown(many_addresses_are_kept_apart, teardown),
		cmocka_unit_test_teardown(without_a_limit_nothing_is_counted, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
