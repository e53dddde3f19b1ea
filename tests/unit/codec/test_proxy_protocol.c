#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "codec/proxy_protocol.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TCP4	  "\xcb\x00\x71\x07\x0a\x00\x00\x01\x12\x34\x00\x50"
#define TCP6                                         \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07" \
	"\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"       \
	"\x12\x34\x00\x50"

static void assert_source(struct slice input, size_t size, const char *source, unsigned port)
{
	struct proxy_protocol header;
	char text[ADDRESS_TEXT_SIZE];
	assert_int_equal(proxy_protocol_parse(input, &header), ERROR_OK);
	assert_int_equal(header.size, size);
	assert_int_equal(header.has_source, source != NULL);
	if (source != NULL) {
		address_format(&header.source, text);
		assert_string_equal(text, source);
		assert_int_equal(header.source_port, port);
	}
}

static void assert_malformed(struct slice input)
{
	struct proxy_protocol header = {.size = 42};
	assert_int_equal(proxy_protocol_parse(input, &header), ERROR_MALFORMED);
	assert_int_equal(header.size, 42);
}

static void the_source_is_what_the_balancer_saw(void **state)
{
	(void)state;
	assert_source(SLICE_LITERAL(SIGNATURE "\x21\x11\x00\x0c" TCP4 "GET /"), 28, "203.0.113.7", 0x1234);
	assert_source(SLICE_LITERAL(SIGNATURE "\x21\x21\x00\x24" TCP6 "GET /"), 52, "2001:db8::7", 0x1234);
}

static void tlvs_are_passed_over(void **state)
{
	(void)state;
	assert_source(SLICE_LITERAL(SIGNATURE "\x21\x11\x00\x11" TCP4 "\x04\x00\x02xx"
					      "GET /"),
		      33, "203.0.113.7", 0x1234);
}

static void a_health_check_has_no_source(void **state)
{
	(void)state;
	assert_source(SLICE_LITERAL(SIGNATURE "\x20\x00\x00\x00"), 16, NULL, 0);
	assert_source(SLICE_LITERAL(SIGNATURE "\x20\x11\x00\x0c" TCP4), 28, NULL, 0);
	assert_source(SLICE_LITERAL(SIGNATURE "\x21\x00\x00\x02xx"), 18, NULL, 0);
}

static void every_prefix_asks_for_more(void **state)
{
	(void)state;
	struct slice whole = SLICE_LITERAL(SIGNATURE "\x21\x11\x00\x11" TCP4 "\x04\x00\x02xx");
	for (size_t size = 0; size < whole.size; size++) {
		struct proxy_protocol header;
		assert_int_equal(proxy_protocol_parse(slice_make(whole.data, size), &header), ERROR_END);
	}
}

static void anything_else_is_refused_at_its_first_wrong_byte(void **state)
{
	(void)state;
	assert_malformed(SLICE_LITERAL("G"));
	assert_malformed(SLICE_LITERAL("PROXY TCP4 203.0.113.7 10.0.0.1 1 2\r\n"));
	assert_malformed(SLICE_LITERAL("\r\n\r\n\0\r\nQUIX"));
}

static void an_unknown_version_command_or_family_is_refused(void **state)
{
	(void)state;
	assert_malformed(SLICE_LITERAL(SIGNATURE "\x11\x11\x00\x0c" TCP4));
	assert_malformed(SLICE_LITERAL(SIGNATURE "\x22\x11\x00\x0c" TCP4));
	assert_malformed(SLICE_LITERAL(SIGNATURE "\x21\x12\x00\x0c" TCP4));
	assert_malformed(SLICE_LITERAL(SIGNATURE "\x21\x31\x00\xd8" TCP4));
}

static void addresses_that_are_cut_are_refused(void **state)
{
	(void)state;
	assert_malformed(SLICE_LITERAL(SIGNATURE "\x21\x11\x00\x0b" TCP4));
	assert_malformed(SLICE_LITERAL(SIGNATURE "\x21\x21\x00\x23" TCP6));
}

static void a_header_is_at_most_4_kib_long(void **state)
{
	(void)state;
	static uint8_t input[PROXY_PROTOCOL_MAX] = SIGNATURE "\x21\x11\x0f\xf0" TCP4;
	assert_source(slice_make(input, sizeof input), PROXY_PROTOCOL_MAX, "203.0.113.7", 0x1234);
	assert_malformed(SLICE_LITERAL(SIGNATURE "\x21\x11\x0f\xf1" TCP4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_source_is_what_the_balancer_saw),
		cmocka_unit_test(tlvs_are_passed_over),
		cmocka_unit_test(a_health_check_has_no_source),
		cmocka_unit_test(every_prefix_asks_for_more),
		cmocka_unit_test(anything_else_is_refused_at_its_first_wrong_byte),
		cmocka_unit_test(an_unknown_version_command_or_family_is_refused),
		cmocka_unit_test(addresses_that_are_cut_are_refused),
		cmocka_unit_test(a_header_is_at_most_4_kib_long),
	};
	return cmocka_run_group_tests_name("codec/proxy_protocol", tests, NULL, NULL);
}
