#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/timestamp.h"
#include "event/event.h"

static struct event event_of(const char *client, int64_t pinged_at_ms)
{
	struct event event = {.pinged_at_ms = pinged_at_ms};
	assert_int_equal(address_parse(slice_from_string(client), &event.client), ERROR_OK);
	return event;
}

static void assert_encodes(const char *client, int64_t pinged_at_ms, const char *key, const char *value)
{
	struct event event = event_of(client, pinged_at_ms);
	struct event_record record;
	event_encode(&event, &record);
	assert_true(slice_equal_string(slice_make(record.key, record.key_size), key));
	assert_true(slice_equal_string(slice_make(record.value, record.value_size), value));
}

/* Both ways of decoding agree, and leave the event alone when they refuse. */
static enum error decode(const char *value, struct event *ret_event, struct error_note *note)
{
	static const struct event untouched = {.pinged_at_ms = 42};
	struct event fast = untouched, strict = untouched;
	enum error error = event_decode(slice_from_string(value), &fast, note);
	assert_int_equal(event_decode_strict(slice_from_string(value), &strict, NULL), error);
	assert_memory_equal(&fast, error == ERROR_OK ? &strict : &untouched, sizeof fast);
	*ret_event = fast;
	return error;
}

static void assert_decodes(const char *value, const char *client, int64_t pinged_at_ms)
{
	struct event event, wanted = event_of(client, pinged_at_ms);
	struct error_note note = {""};
	if (decode(value, &event, &note) != ERROR_OK)
		fail_msg("refused: %s: %s", value, note.text);
	assert_memory_equal(&event.client, &wanted.client, sizeof event.client);
	assert_int_equal(event.pinged_at_ms, pinged_at_ms);
}

static void assert_refused(const char *value, const char *reason)
{
	struct event event;
	struct error_note note = {""};
	if (decode(value, &event, &note) != ERROR_MALFORMED)
		fail_msg("accepted: %s", value);
	assert_string_equal(note.text, reason);
}

static void is_written_as_go_would_write_it(void **state)
{
	(void)state;
	assert_encodes("203.0.113.7", 1728920731123, "203.0.113.7",
		       "{\"ClientIP\":\"203.0.113.7\",\"Timestamp\":\"2024-10-14T15:45:31.123Z\"}");
	assert_encodes("203.0.113.7", 1728920731000, "203.0.113.7",
		       "{\"ClientIP\":\"203.0.113.7\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}");
	assert_encodes("2001:DB8:0::7", 1728920731100, "2001:db8::7",
		       "{\"ClientIP\":\"2001:db8::7\",\"Timestamp\":\"2024-10-14T15:45:31.1Z\"}");
}

static void the_longest_event_fits_and_reads_back(void **state)
{
	(void)state;
	struct event event = event_of("1111:2222:3333:4444:5555:6666:7777:8888", TIMESTAMP_MAX_MS), back;
	struct event_record record;
	event_encode(&event, &record);
	assert_int_equal(event_decode(slice_make(record.value, record.value_size), &back, NULL), ERROR_OK);
	assert_memory_equal(&back, &event, sizeof event);
}

static void fields_come_in_any_order_with_blanks_and_unknown_ones(void **state)
{
	(void)state;
	assert_decodes(" {\t\"Timestamp\" : \"2024-10-14T15:45:31.123Z\" ,\r\n \"ClientIP\" : \"203.0.113.7\" } \n",
		       "203.0.113.7", 1728920731123);
	assert_decodes("{\"a\":[1,-2.5e+3,{\"b\":[[],{}]},null,true,false,\"\\\"}\"],\"ClientIP\":\"::1\",\"z\":{\"ClientIP\":7},"
		       "\"Timestamp\":\"2024-10-14T15:45:31Z\",\"n\":0}",
		       "::1", 1728920731000);
}

static void names_are_matched_in_any_case(void **state)
{
	(void)state;
	assert_decodes("{\"clientip\":\"::1\",\"TIMESTAMP\":\"2024-10-14T15:45:31Z\"}", "::1", 1728920731000);
	assert_decodes("{\"CLIENTip\":\"::1\",\"Time\xc5\xbftamp\":\"2024-10-14T15:45:31Z\"}", "::1", 1728920731000);
	assert_refused("{\"ClientIPs\":\"::1\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}", "no ClientIP");
	assert_refused("{\"Client\\u0049\":\"::1\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}", "no ClientIP");
	assert_refused("{\"Client-P\":\"::1\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}", "no ClientIP");
}

static void escapes_are_undone(void **state)
{
	(void)state;
	assert_decodes("{\"\\u0043lientIP\":\"203\\u002e0.113.7\",\"\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\\\\\":0,"
		       "\"Time\\u0073tamp\":\"2024-10-14\\u005415:45:31\\u005A\"}",
		       "203.0.113.7", 1728920731000);
}

static void of_equal_fields_the_last_one_counts(void **state)
{
	(void)state;
	assert_decodes("{\"ClientIP\":\"::1\",\"Timestamp\":\"2024-10-14T15:45:31Z\",\"clientip\":\"::2\"}", "::2",
		       1728920731000);
	assert_decodes("{\"ClientIP\":\"nobody\",\"Timestamp\":\"2024-10-14T15:45:31Z\",\"ClientIP\":\"::2\"}", "::2",
		       1728920731000);
	assert_refused("{\"ClientIP\":\"::1\",\"Timestamp\":\"2024-10-14T15:45:31Z\",\"ClientIP\":\"nobody\"}",
		       "ClientIP is not an address");
}

static void null_leaves_a_field_as_it_was(void **state)
{
	(void)state;
	assert_decodes("{\"ClientIP\":\"::1\",\"Timestamp\":\"2024-10-14T15:45:31Z\",\"ClientIP\":null,\"Timestamp\":null}",
		       "::1", 1728920731000);
	assert_refused("{\"ClientIP\":null,\"Timestamp\":\"2024-10-14T15:45:31Z\"}", "no ClientIP");
}

static void any_offset_and_nanoseconds_are_taken(void **state)
{
	(void)state;
	assert_decodes("{\"ClientIP\":\"::1\",\"Timestamp\":\"2024-10-14T17:45:31.123999999+02:00\"}", "::1", 1728920731123);
}

static void an_address_in_any_form_is_made_canonical(void **state)
{
	(void)state;
	assert_decodes("{\"ClientIP\":\"::ffff:203.0.113.7\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}", "203.0.113.7",
		       1728920731000);
	assert_decodes("{\"ClientIP\":\"2001:DB8:0:0::7%eth0\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}", "2001:db8::7",
		       1728920731000);
}

/* A zone may hold anything: also what would end the string too early. */
static void a_zone_does_not_mislead_the_fast_path(void **state)
{
	(void)state;
	assert_refused("{\"ClientIP\":\"::1%\\\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}", "JSON, byte 21: expected ',' or '}'");
}

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	assert_refused("", "not a JSON object");
	assert_refused("null", "not a JSON object");
	assert_refused("[]", "not a JSON object");
	assert_refused("{}", "no ClientIP");
	assert_refused("{\"ClientIP\":\"::1\"}", "no Timestamp");
	assert_refused("{\"ClientIP\":\"::1\",\"Timestamp\":1728920731123}", "Timestamp is not a string");
	assert_refused("{\"ClientIP\":1,\"Timestamp\":\"2024-10-14T15:45:31Z\"}", "ClientIP is not a string");
	assert_refused("{\"ClientIP\":\"::1\",\"Timestamp\":\"2024-10-14\"}", "Timestamp is not a time as in RFC 3339");
	assert_refused("{\"ClientIP\":\"\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}", "ClientIP is not an address");
	assert_refused("{\"ClientIP\":\"203.0.113.07\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}", "ClientIP is not an address");
	assert_refused("{\"ClientIP\":\"::1\",\"Timestamp\":\"1970-01-01T00:00:00Z\"}", "Timestamp is not within 1970 and 9999");
	assert_refused("{\"ClientIP\":\"::1\",\"Timestamp\":\"0001-01-01T00:00:00Z\"}", "Timestamp is not within 1970 and 9999");
}

static void broken_json_is_refused(void **state)
{
	(void)state;
	static const char *const heads[] = {
		"{\"a\":01",
		"{\"a\":1.",
		"{\"a\":-",
		"{\"a\":+1",
		"{\"a\":1e",
		"{\"a\":nul",
		"{\"a\":'b'",
		"{\"a\"",
		"{\"a\" 1",
		"{\"a\":[1,]",
		"{\"a\":{\"b\":1,}",
		"{a:1",
		"{,\"a\":1",
		"{\"a\":1,",
		"{\"a\":1,}",
		"{\"a\":1}",
		"{\"a\":\"\\x\"",
		"{\"a\":\"\\u12g4\"",
		"{\"a\":\"\\u12`4\"",
		"{\"a\":\"\\ud800\"",
		"{\"a\":\"\\ud800\\u0041\"",
		"{\"a\":\"\\udc00\"",
		"{\"a\":\"\t\"",
		"{\"a\":\"\xff\"",
		"{\"a\":\"\xc0\x80\"",
		"{\"a\":\"\xed\xa0\x80\"",
		"{\"a\":\"\xf4\x90\x80\x80\"",
		"{\"a\":\"\xe2\x82\"",
	};
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		char value[256];
		struct event event;
		snprintf(value, sizeof value, "%s,\"ClientIP\":\"::1\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}", heads[i]);
		if (decode(value, &event, NULL) != ERROR_MALFORMED)
			fail_msg("accepted: %s", value);
	}
	assert_refused("{\"ClientIP\":\"::1\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}x",
		       "JSON, byte 53: something follows the value");
}

static void nesting_is_bounded(void **state)
{
	(void)state;
	char open[JSON_MAX_DEPTH], close[JSON_MAX_DEPTH], value[512];
	memset(open, '[', sizeof open);
	memset(close, ']', sizeof close);
	for (int depth = JSON_MAX_DEPTH - 1; depth <= JSON_MAX_DEPTH; depth++) {
		struct event event;
		snprintf(value, sizeof value, "{\"a\":%.*s%.*s,\"ClientIP\":\"::1\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}",
			 depth, open, depth, close);
		assert_int_equal(decode(value, &event, NULL), depth < JSON_MAX_DEPTH ? ERROR_OK : ERROR_MALFORMED);
	}
}

static void long_names_and_values_are_no_fields(void **state)
{
	(void)state;
	char value[2048], longer[512];
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	snprintf(value, sizeof value, "{\"%s\":\"%s\",\"ClientIP\":\"::1\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}", longer,
		 longer);
	assert_decodes(value, "::1", 1728920731000);
	snprintf(value, sizeof value, "{\"ClientIP\":\"::1%%%s\\n\",\"Timestamp\":\"2024-10-14T15:45:31Z\"}", longer);
	assert_refused(value, "ClientIP is not an address");
	snprintf(value, sizeof value, "{\"ClientIP\":\"::1\",\"Timestamp\":\"2024-10-14T15:45:31Z%s\"}", longer);
	assert_refused(value, "Timestamp is not a time as in RFC 3339");
}

/* The vectors of Kafka's own UtilsTest. */
static void murmur2_is_that_of_the_java_client(void **state)
{
	(void)state;
	assert_int_equal((int32_t)event_murmur2(SLICE_LITERAL("21")), -973932308);
	assert_int_equal((int32_t)event_murmur2(SLICE_LITERAL("foobar")), -790332482);
	assert_int_equal((int32_t)event_murmur2(SLICE_LITERAL("a-little-bit-long-string")), -985981536);
	assert_int_equal((int32_t)event_murmur2(SLICE_LITERAL("a-little-bit-longer-string")), -1486304829);
	assert_int_equal((int32_t)event_murmur2(SLICE_LITERAL("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8")), -58897971);
	assert_int_equal((int32_t)event_murmur2(SLICE_LITERAL("abc")), 479470107);
}

static void the_partition_is_the_positive_hash_modulo_the_count(void **state)
{
	(void)state;
	assert_int_equal(event_partition(SLICE_LITERAL("abc"), 6), 479470107 % 6);
	assert_int_equal(event_partition(SLICE_LITERAL("foobar"), 6), (-790332482 & 0x7fffffff) % 6);
	assert_int_equal(event_partition(SLICE_LITERAL("foobar"), 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_written_as_go_would_write_it),
		cmocka_unit_test(the_longest_event_fits_and_reads_back),
		cmocka_unit_test(fields_come_in_any_order_with_blanks_and_unknown_ones),
		cmocka_unit_test(names_are_matched_in_any_case),
		cmocka_unit_test(escapes_are_undone),
		cmocka_unit_test(of_equal_fields_the_last_one_counts),
		cmocka_unit_test(null_leaves_a_field_as_it_was),
		cmocka_unit_test(any_offset_and_nanoseconds_are_taken),
		cmocka_unit_test(an_address_in_any_form_is_made_canonical),
		cmocka_unit_test(a_zone_does_not_mislead_the_fast_path),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(broken_json_is_refused),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(long_names_and_values_are_no_fields),
		cmocka_unit_test(murmur2_is_that_of_the_java_client),
		cmocka_unit_test(the_partition_is_the_positive_hash_modulo_the_count),
	};
	return cmocka_run_group_tests_name("event/event", tests, NULL, NULL);
}
