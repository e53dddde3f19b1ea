#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/address.h"
#include "base/random.h"

static struct address parsed(const char *text)
{
	struct address address;
	if (address_parse(slice_from_string(text), &address) != ERROR_OK)
		fail_msg("refused: %s", text);
	return address;
}

static void assert_canonical(const char *text, const char *wanted)
{
	struct address address = parsed(text);
	char canonical[ADDRESS_TEXT_SIZE];
	assert_int_equal(address_format(&address, canonical), strlen(wanted));
	assert_string_equal(canonical, wanted);
}

/* RFC 5952, sections 4 and 1. */
static void ipv6_text_is_that_of_rfc_5952(void **state)
{
	(void)state;
	assert_canonical("2001:0db8::0001", "2001:db8::1");
	assert_canonical("2001:db8:0:0:0:0:2:1", "2001:db8::2:1");
	assert_canonical("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
	assert_canonical("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
	assert_canonical("2001:0:0:1:0:0:0:1", "2001:0:0:1::1");
	assert_canonical("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
	assert_canonical("2001:DB8:AAAA:BBBB:CCCC:DDDD:EEEE:0001", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1");
	assert_canonical("2001:db8:0:0:aaaa::1", "2001:db8::aaaa:0:0:1");
	assert_canonical("0:0:0:0:0:0:0:0", "::");
	assert_canonical("::1", "::1");
	assert_canonical("1::", "1::");
	assert_canonical("0:0:1::", "0:0:1::");
	assert_canonical("::2:0:0:0", "::2:0:0:0");
	assert_canonical("1:0:0:2::", "1:0:0:2::");
	assert_canonical("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_canonical("64:ff9b::192.0.2.33", "64:ff9b::c000:221");
}

static void ipv4_is_a_dotted_quad(void **state)
{
	(void)state;
	assert_canonical("203.0.113.7", "203.0.113.7");
	assert_canonical("0.0.0.0", "0.0.0.0");
	assert_canonical("255.255.255.255", "255.255.255.255");
	assert_canonical("10.20.0.100", "10.20.0.100");
}

static void mapped_ipv4_is_folded(void **state)
{
	(void)state;
	struct address mapped = parsed("::ffff:cb00:7107"), plain = parsed("203.0.113.7"), other = parsed("::203.0.113.7");
	assert_true(address_equal(&mapped, &plain));
	assert_true(address_is_ipv4(&mapped));
	assert_canonical("::FFFF:203.0.113.7", "203.0.113.7");
	assert_false(address_is_ipv4(&other));
	assert_int_equal(address_compare(&mapped, &plain), 0);
}

static void a_zone_is_dropped(void **state)
{
	(void)state;
	assert_canonical("fe80::1%eth0", "fe80::1");
	assert_canonical("fe80::1%1", "fe80::1");
}

static void malformed_text_is_refused_and_the_result_untouched(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"",
		" ",
		"1",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.4.",
		".1.2.3.4",
		"1..2.3",
		"256.1.1.1",
		"1.2.3.1000",
		"01.2.3.4",
		"1.2.3.00",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.4%eth0",
		"1.2.3.-4",
		"1.2.3.0x4",
		"1,2,3,4",
		":",
		":::",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"1::2::3",
		"12345::",
		"g::",
		"::1%",
		"%eth0",
		"[::1]",
		"::1]",
		"::1/128",
		"::1.2.3",
		"::1.2.3.256",
		"1:2:3:4:5:6:7:1.2.3.4",
		"localhost",
		"::ffff:1.2.3.4:80",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:0000",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct address address = {.bytes = {42}}, before = address;
		if (address_parse(slice_from_string(wrong[i]), &address) != ERROR_MALFORMED)
			fail_msg("accepted: %s", wrong[i]);
		assert_true(address_equal(&address, &before));
	}
	struct address address;
	assert_int_equal(address_parse(SLICE_LITERAL("::1\0"), &address), ERROR_MALFORMED);
	assert_int_equal(address_parse(SLICE_LITERAL("1.2.3.4\0"), &address), ERROR_MALFORMED);
	assert_int_equal(address_parse(slice_make(NULL, 0), &address), ERROR_MALFORMED);
}

static void what_is_formatted_parses_back(void **state)
{
	(void)state;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 7);
	for (int i = 0; i < 100000; i++) {
		struct address address;
		char text[ADDRESS_TEXT_SIZE];
		random_fill(&seeded.random, &address, sizeof address);
		uint64_t zeros = random_u64(&seeded.random); /* many runs of zero groups */
		for (int group = 0; group < 8; group++)
			if (zeros >> group & 1)
				address.bytes[2 * group] = address.bytes[2 * group + 1] = 0;
		address_format(&address, text);
		struct address back = parsed(text);
		assert_true(address_equal(&back, &address));
	}
}

static struct address_network network_of(const char *text)
{
	struct address_network network;
	if (address_network_parse(slice_from_string(text), &network, NULL) != ERROR_OK)
		fail_msg("refused: %s", text);
	return network;
}

static void assert_contains(const char *network_text, const char *text, bool wanted)
{
	struct address_network network = network_of(network_text);
	struct address address = parsed(text);
	if (address_network_contains(&network, &address) != wanted)
		fail_msg("%s in %s: not %d", text, network_text, wanted);
}

static void a_network_contains_what_shares_its_prefix(void **state)
{
	(void)state;
	assert_contains("10.0.0.0/8", "10.255.255.255", true);
	assert_contains("10.0.0.0/8", "11.0.0.0", false);
	assert_contains("10.0.0.0/8", "::ffff:10.0.0.1", true);
	assert_contains("192.168.4.0/23", "192.168.5.255", true);
	assert_contains("192.168.4.0/23", "192.168.6.0", false);
	assert_contains("fd00::/8", "fdff::1", true);
	assert_contains("fd00::/8", "fe00::1", false);
	assert_contains("2001:db8:8000::/33", "2001:db8:ffff::1", true);
	assert_contains("2001:db8:8000::/33", "2001:db8:7fff::1", false);
	assert_contains("::1", "::1", true);
	assert_contains("::1", "::2", false);
	assert_contains("203.0.113.7", "203.0.113.7", true);
	assert_contains("203.0.113.7/32", "203.0.113.6", false);
}

static void all_of_ipv4_is_not_all_of_ipv6(void **state)
{
	(void)state;
	assert_contains("0.0.0.0/0", "1.2.3.4", true);
	assert_contains("0.0.0.0/0", "::1", false);
	assert_contains("::/0", "1.2.3.4", true);
	assert_contains("::ffff:0:0/96", "1.2.3.4", true);
	assert_contains("::ffff:0:0/96", "::1", false);
}

static void assert_network_refused(const char *text, const char *why)
{
	struct address_network network = {.prefix_bits = 42};
	struct error_note note = {""};
	if (address_network_parse(slice_from_string(text), &network, &note) != ERROR_MALFORMED)
		fail_msg("accepted: %s", text);
	assert_int_equal(network.prefix_bits, 42);
	assert_non_null(strstr(note.text, why));
}

static void a_malformed_network_is_refused_with_the_reason(void **state)
{
	(void)state;
	assert_network_refused("", "\"\" is not an address or a network");
	assert_network_refused("/8", "is not an address");
	assert_network_refused("10.0.0/8", "\"10.0.0/8\" is not an address");
	assert_network_refused("10.0.0.0/", "must be 0 to 32");
	assert_network_refused("10.0.0.0/33", "must be 0 to 32");
	assert_network_refused("10.0.0.0/-1", "must be 0 to 32");
	assert_network_refused("10.0.0.0/8x", "must be 0 to 32");
	assert_network_refused("10.0.0.0/0008", "must be 0 to 32");
	assert_network_refused("::/129", "must be 0 to 128");
	assert_network_refused("10.0.0.1/8", "bits behind the prefix are set");
	assert_network_refused("fd00::1/8", "bits behind the prefix are set");
	assert_network_refused("0.0.0.1/31", "bits behind the prefix are set");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv6_text_is_that_of_rfc_5952),
		cmocka_unit_test(ipv4_is_a_dotted_quad),
		cmocka_unit_test(mapped_ipv4_is_folded),
		cmocka_unit_test(a_zone_is_dropped),
		cmocka_unit_test(malformed_text_is_refused_and_the_result_untouched),
		cmocka_unit_test(what_is_formatted_parses_back),
		cmocka_unit_test(a_network_contains_what_shares_its_prefix),
		cmocka_unit_test(all_of_ipv4_is_not_all_of_ipv6),
		cmocka_unit_test(a_malformed_network_is_refused_with_the_reason),
	};
	return cmocka_run_group_tests_name("base/address", tests, NULL, NULL);
}
