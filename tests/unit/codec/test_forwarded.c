#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "codec/forwarded.h"

enum { LINES_MAX = 4 };

/* A head's fields as "name: value", in the order of the wire. */
static void assert_client(const char *peer, const char *const lines[LINES_MAX], const char *wanted)
{
	static const char *const networks[] = {"10.0.0.0/8", "127.0.0.0/8", "fd00::/8"};
	struct address_network trusted[3];
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(address_network_parse(slice_from_string(networks[i]), &trusted[i], NULL), ERROR_OK);
	struct address address;
	struct forwarded forwarded;
	char text[ADDRESS_TEXT_SIZE];
	assert_int_equal(address_parse(slice_from_string(peer), &address), ERROR_OK);
	forwarded_init(&forwarded, &address, trusted, 3);
	for (size_t i = LINES_MAX; i-- > 0;) {
		const char *colon = lines[i] == NULL ? NULL : strchr(lines[i], ':');
		if (colon != NULL)
			forwarded_take_field(&forwarded, slice_make(lines[i], (size_t)(colon - lines[i])),
					     slice_from_string(colon + 2));
	}
	address_format(forwarded_client(&forwarded), text);
	if (strcmp(text, wanted) != 0)
		fail_msg("%s instead of %s for %s", text, wanted, lines[0] == NULL ? "" : lines[0]);
}

#define ASSERT_CLIENT(peer, wanted, ...) assert_client(peer, (const char *const[LINES_MAX]){__VA_ARGS__}, wanted)

static void without_headers_the_peer_is_the_client(void **state)
{
	(void)state;
	ASSERT_CLIENT("203.0.113.7", "203.0.113.7", NULL);
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", NULL);
}

static void a_peer_that_is_not_trusted_is_the_client_whatever_it_says(void **state)
{
	(void)state;
	ASSERT_CLIENT("203.0.113.7", "203.0.113.7", "X-Forwarded-For: 1.2.3.4");
	ASSERT_CLIENT("203.0.113.7", "203.0.113.7", "Forwarded: for=1.2.3.4");
}

static void the_client_is_the_rightmost_address_that_is_not_trusted(void **state)
{
	(void)state;
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "X-Forwarded-For: 203.0.113.7");
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "X-Forwarded-For: 6.6.6.6, 203.0.113.7,10.0.0.2 ,\t10.0.0.3");
	ASSERT_CLIENT("fd00::1", "203.0.113.7", "Forwarded: for=6.6.6.6, for=203.0.113.7;proto=https, for=10.0.0.2");
	ASSERT_CLIENT("::ffff:10.0.0.1", "203.0.113.7", "X-Forwarded-For: ::ffff:203.0.113.7");
}

static void where_all_are_trusted_it_is_the_leftmost(void **state)
{
	(void)state;
	ASSERT_CLIENT("10.0.0.1", "127.0.0.9", "X-Forwarded-For: 127.0.0.9, 10.0.0.2");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.9", "Forwarded: for=10.0.0.9, for=10.0.0.2");
}

static void several_lines_are_one_list(void **state)
{
	(void)state;
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 203.0.113.7",
		      "X-FORWARDED-FOR: 10.0.0.2");
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "Forwarded: for=203.0.113.7", "Other: x",
		      "forwarded: for=10.0.0.2, for=10.0.0.3");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.2", "X-Forwarded-For: nobody", "X-Forwarded-For: 10.0.0.2");
}

static void either_header_will_do_but_where_they_differ_neither_does(void **state)
{
	(void)state;
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.7");
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "X-Forwarded-For: 6.6.6.6, 203.0.113.7", "Forwarded: for=\"203.0.113.7:80\"");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "X-Forwarded-For: 203.0.113.7", "Forwarded: for=6.6.6.6");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "Forwarded: for=203.0.113.7", "X-Forwarded-For: 6.6.6.6");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "Forwarded: for=203.0.113.7, for=10.0.0.2", "X-Forwarded-For: 6.6.6.6");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "Forwarded: for=unknown", "X-Forwarded-For: 6.6.6.6");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "Forwarded: ", "X-Forwarded-For: 6.6.6.6");
}

static void ports_and_brackets_are_taken_off(void **state)
{
	(void)state;
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "X-Forwarded-For: 203.0.113.7:8080");
	ASSERT_CLIENT("10.0.0.1", "2001:db8::7", "X-Forwarded-For: 2001:db8::7");
	ASSERT_CLIENT("10.0.0.1", "2001:db8::7", "X-Forwarded-For: [2001:db8::7]");
	ASSERT_CLIENT("10.0.0.1", "2001:db8::7", "X-Forwarded-For: [2001:db8::7]:443");
	ASSERT_CLIENT("10.0.0.1", "2001:db8::7", "Forwarded: For=\"[2001:DB8::7]:4711\"");
	ASSERT_CLIENT("10.0.0.1", "2001:db8::7", "Forwarded: for=\"[2001:db8::7%eth0]\"");
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "Forwarded: for=\"203.0.113.7:_port\";by=_x");
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "Forwarded: for=203.0.113.7:80");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "X-Forwarded-For: [203.0.113.7]");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "X-Forwarded-For: 203.0.113.7:");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "X-Forwarded-For: 203.0.113.7:123456");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "X-Forwarded-For: [2001:db8::7]443");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "X-Forwarded-For: [2001:db8::7");
}

static void what_has_no_address_ends_the_walk_at_the_last_one_known(void **state)
{
	(void)state;
	ASSERT_CLIENT("10.0.0.1", "10.0.0.2", "Forwarded: for=203.0.113.7, for=unknown, for=10.0.0.2");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.2", "Forwarded: for=203.0.113.7, for=_hidden, for=10.0.0.2");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.2", "Forwarded: for=203.0.113.7, proto=https, for=10.0.0.2");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "Forwarded: for=203.0.113.7;for=6.6.6.6");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "Forwarded: for=\"203.0.113.7");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "Forwarded: for=\"203.0.113.7\"x");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "Forwarded: for 203.0.113.7");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.1", "Forwarded: for =203.0.113.7");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.2", "X-Forwarded-For: 203.0.113.7, unknown, 10.0.0.2");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.2", "X-Forwarded-For: 203.0.113.7, \"1.2.3.4\", 10.0.0.2");
	ASSERT_CLIENT("10.0.0.1", "10.0.0.2", "X-Forwarded-For: 203.0.113.7 6.6.6.6, 10.0.0.2");
}

static void empty_elements_are_passed_over(void **state)
{
	(void)state;
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "X-Forwarded-For: , 203.0.113.7,, ,10.0.0.2 ,");
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "Forwarded: ,for=203.0.113.7 ,\t, for=10.0.0.2,");
}

static void quoted_commas_and_semicolons_separate_nothing(void **state)
{
	(void)state;
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "Forwarded: for=203.0.113.7;host=\"a, for=6.6.6.6\"");
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "Forwarded: host=\"a;for=6.6.6.6\";for=203.0.113.7");
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "Forwarded: for=203.0.113.7;host=\"a\\\", for=6.6.6.6\"");
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "Forwarded: for=203.0.113.7;host=\"a, for=6.6.6.6\\\"\"");
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "Forwarded: host=\"a\\\\\", for=203.0.113.7, for=\"10.0.0.2\"");
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "Forwarded: for=\"2\\03.0.113.7\"");
}

/* A stranger's half of the list can't hide or change what a trusted proxy appended. */
static void a_lone_quote_on_the_left_hides_nothing(void **state)
{
	(void)state;
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "Forwarded: for=\"6.6.6.6, for=203.0.113.7");
	ASSERT_CLIENT("10.0.0.1", "203.0.113.7", "Forwarded: host=\"x\\, for=203.0.113.7, for=10.0.0.2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_headers_the_peer_is_the_client),
		cmocka_unit_test(a_peer_that_is_not_trusted_is_the_client_whatever_it_says),
		cmocka_unit_test(the_client_is_the_rightmost_address_that_is_not_trusted),
		cmocka_unit_test(where_all_are_trusted_it_is_the_leftmost),
		cmocka_unit_test(several_lines_are_one_list),
		cmocka_unit_test(either_header_will_do_but_where_they_differ_neither_does),
		cmocka_unit_test(ports_and_brackets_are_taken_off),
		cmocka_unit_test(what_has_no_address_ends_the_walk_at_the_last_one_known),
		cmocka_unit_test(empty_elements_are_passed_over),
		cmocka_unit_test(quoted_commas_and_semicolons_separate_nothing),
		cmocka_unit_test(a_lone_quote_on_the_left_hides_nothing),
	};
	return cmocka_run_group_tests_name("codec/forwarded", tests, NULL, NULL);
}
