#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"

/* The whole text as one value. */
static enum error scan(struct slice text, struct error_note *note)
{
	struct json json;
	json_init(&json, text);
	enum error error = json_skip(&json);
	if (error == ERROR_OK)
		error = json_finish(&json);
	return error == ERROR_OK ? ERROR_OK : json_problem(&json, error, note);
}

static void assert_scans(const char *text)
{
	assert_int_equal(scan(slice_from_string(text), NULL), ERROR_OK);
}

static void assert_refused(const char *text, const char *why)
{
	struct error_note note;
	assert_int_equal(scan(slice_from_string(text), &note), ERROR_MALFORMED);
	assert_string_equal(note.text, why);
}

static void takes_every_kind_of_value(void **state)
{
	(void)state;
	assert_scans("null");
	assert_scans(" true ");
	assert_scans("\t\r\nfalse\n");
	assert_scans("\"\"");
	assert_scans("[]");
	assert_scans("{}");
	assert_scans("[1, \"a\", {\"b\": [null, [ ], { }]}, -0.5e+3]");
	assert_scans("{\"a\":{\"a\":1},\"a\":2}");
}

static void refuses_what_is_no_value(void **state)
{
	(void)state;
	assert_refused("", "JSON, byte 0: expected a value");
	assert_refused("  ", "JSON, byte 2: expected a value");
	assert_refused("nul", "JSON, byte 0: expected a value");
	assert_refused("True", "JSON, byte 0: expected a value");
	assert_refused("'a'", "JSON, byte 0: expected a value");
	assert_refused("NaN", "JSON, byte 0: expected a value");
	assert_refused("\xef\xbb\xbf{}", "JSON, byte 0: expected a value");
	assert_refused("/**/1", "JSON, byte 0: expected a value");
	assert_int_equal(scan(slice_make("\0", 1), NULL), ERROR_MALFORMED);
}

static void refuses_what_follows_the_value(void **state)
{
	(void)state;
	assert_refused("{} {}", "JSON, byte 3: something follows the value");
	assert_refused("1 ,", "JSON, byte 2: something follows the value");
	assert_refused("truex", "JSON, byte 4: something follows the value");
	assert_int_equal(scan(slice_make("1\0", 2), NULL), ERROR_MALFORMED);
}

static void refuses_commas_and_colons_out_of_place(void **state)
{
	(void)state;
	assert_refused("[1,]", "JSON, byte 3: expected a value");
	assert_refused("[,1]", "JSON, byte 1: expected a value");
	assert_refused("[1 2]", "JSON, byte 3: expected ',' or ']'");
	assert_refused("[1}", "JSON, byte 2: expected ',' or ']'");
	assert_refused("[1", "JSON, byte 2: expected ',' or ']'");
	assert_refused("{\"a\":1,}", "JSON, byte 7: expected a string");
	assert_refused("{,}", "JSON, byte 1: expected a string");
	assert_refused("{\"a\" 1}", "JSON, byte 5: expected ':'");
	assert_refused("{\"a\":}", "JSON, byte 5: expected a value");
	assert_refused("{\"a\":1 \"b\":2}", "JSON, byte 7: expected ',' or '}'");
	assert_refused("{\"a\":1]", "JSON, byte 6: expected ',' or '}'");
	assert_refused("{a:1}", "JSON, byte 1: expected a string");
	assert_refused("{1:1}", "JSON, byte 1: expected a string");
}

static void takes_the_numbers_of_the_grammar_only(void **state)
{
	(void)state;
	static const char *const good[] = {"0",	  "-0",	  "10",	  "1.0",      "0.5",
					   "1e5", "1E+5", "1e-5", "-1.25e10", "123456789012345678901234567890"};
	static const char *const bad[] = {"01",	 "-01",	 "+1",	  ".5",	 "1.",	 "-",	     "1e",
					  "1e+", "0x10", "1_000", "--1", "1.e5", "Infinity", "1 "};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_scans(good[i]);
		assert_true(json_is_number(slice_from_string(good[i])));
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(json_is_number(slice_from_string(bad[i])));
	assert_false(json_is_number(slice_make(NULL, 0)));
	assert_refused("1.", "JSON, byte 0: a malformed number");
	assert_refused("01", "JSON, byte 0: a malformed number");
}

static void assert_string(const char *text, const char *wanted, size_t size)
{
	struct json json;
	struct json_string string;
	uint8_t out[64];
	json_init(&json, slice_from_string(text));
	assert_int_equal(json_peek(&json), JSON_STRING);
	assert_int_equal(json_read_string(&json, &string), ERROR_OK);
	assert_int_equal(json_finish(&json), ERROR_OK);
	assert_true(string.raw.size <= sizeof out);
	assert_int_equal(string.escaped, memchr(text, '\\', strlen(text)) != NULL);
	assert_int_equal(json_string_decode(&string, out), size);
	assert_memory_equal(out, wanted, size);
}

static void decodes_strings(void **state)
{
	(void)state;
	assert_string("\"\"", "", 0);
	assert_string("\"longer than eight bytes \x7f\"", "longer than eight bytes \x7f", 25);
	assert_string("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9);
	assert_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
	assert_string("\"\\u0041\\u00e4\\u20AC\\u0000\"", "A\xc3\xa4\xe2\x82\xac\0", 7);
	assert_string("\"\\ud83d\\ude00\\uDBFF\\uDFFF\"", "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf", 8);
}

static void refuses_malformed_strings(void **state)
{
	(void)state;
	assert_refused("\"abc", "JSON, byte 4: a string without its end");
	assert_refused("\"abc\\\"", "JSON, byte 6: a string without its end");
	assert_refused("\"a\nb\"", "JSON, byte 2: a control character in a string");
	assert_refused("\"0123456789\x1f\"", "JSON, byte 11: a control character in a string");
	assert_refused("\"\\a\"", "JSON, byte 1: a malformed escape");
	assert_refused("\"\\", "JSON, byte 1: a malformed escape");
	assert_refused("\"\\u12g4\"", "JSON, byte 1: a malformed escape");
	assert_refused("\"\\u12\"", "JSON, byte 1: a malformed escape");
	assert_refused("\"\xc0\xaf\"", "JSON, byte 1: text that is not UTF-8");
	assert_refused("\"a\xe2\x82\"", "JSON, byte 2: text that is not UTF-8");
	assert_refused("\"\xed\xa0\x80\"", "JSON, byte 1: text that is not UTF-8");
}

static void refuses_lone_surrogates(void **state)
{
	(void)state;
	assert_refused("\"\\ud800\"", "JSON, byte 1: a malformed escape");
	assert_refused("\"\\ude00\"", "JSON, byte 1: a malformed escape");
	assert_refused("\"\\ud83d\\ud83d\"", "JSON, byte 1: a malformed escape");
	assert_refused("\"\\ud83d\\n0000000\"", "JSON, byte 1: a malformed escape");
	assert_refused("\"\\ud83dxude00\"", "JSON, byte 1: a malformed escape");
	assert_refused("\"\\ude00\\ud83d\"", "JSON, byte 1: a malformed escape");
}

static enum error scan_nested(unsigned levels, struct error_note *note)
{
	char text[2 * (JSON_MAX_DEPTH + 10)];
	memset(text, '[', levels);
	memset(text + levels, ']', levels);
	return scan(slice_make(text, 2 * levels), note);
}

static void nests_a_hundred_levels_and_no_more(void **state)
{
	(void)state;
	struct error_note note;
	assert_int_equal(scan_nested(JSON_MAX_DEPTH, &note), ERROR_OK);
	assert_int_equal(scan_nested(JSON_MAX_DEPTH + 1, &note), ERROR_TOO_LARGE);
	assert_string_equal(note.text, "JSON, byte 100: more than 100 levels of nesting");
}

static void walks_through_objects_and_arrays(void **state)
{
	(void)state;
	struct json json;
	struct json_string name;
	struct slice number;
	bool more, value;
	json_init(&json, SLICE_LITERAL(" { \"a\" : [ 1 , 2 ] , \"b\" : false } "));
	assert_int_equal(json_enter(&json), ERROR_OK);
	assert_int_equal(json_next_member(&json, &name, &more), ERROR_OK);
	assert_true(more && slice_equal_string(name.raw, "a"));
	assert_int_equal(json_enter(&json), ERROR_OK);
	assert_int_equal(json_next_element(&json, &more), ERROR_OK);
	assert_int_equal(json_read_number(&json, &number), ERROR_OK);
	assert_int_equal(json_next_element(&json, &more), ERROR_OK);
	assert_int_equal(json_read_number(&json, &number), ERROR_OK);
	assert_true(more && slice_equal_string(number, "2"));
	assert_int_equal(json_next_element(&json, &more), ERROR_OK);
	assert_false(more);
	assert_int_equal(json_next_member(&json, &name, &more), ERROR_OK);
	assert_true(more && slice_equal_string(name.raw, "b"));
	assert_int_equal(json_read_bool(&json, &value), ERROR_OK);
	assert_false(value);
	assert_int_equal(json_next_member(&json, &name, &more), ERROR_OK);
	assert_false(more);
	assert_int_equal(json_finish(&json), ERROR_OK);
}

static void assert_int64(const char *text, int64_t wanted)
{
	int64_t value = 0;
	assert_int_equal(json_number_to_int64(slice_from_string(text), &value), ERROR_OK);
	assert_true(value == wanted);
}

static void integers_are_exact(void **state)
{
	(void)state;
	assert_int64("0", 0);
	assert_int64("-0", 0);
	assert_int64("9223372036854775807", INT64_MAX);
	assert_int64("-9223372036854775808", INT64_MIN);
	assert_int64("9007199254740993", 9007199254740993);
	uint64_t value;
	assert_int_equal(json_number_to_uint64(SLICE_LITERAL("18446744073709551615"), &value), ERROR_OK);
	assert_true(value == UINT64_MAX);
}

static void integers_may_have_points_and_exponents(void **state)
{
	(void)state;
	assert_int64("5.0", 5);
	assert_int64("1e3", 1000);
	assert_int64("1.5e1", 15);
	assert_int64("-12.3400e+2", -1234);
	assert_int64("1000e-3", 1);
	assert_int64("0.00001e5", 1);
	assert_int64("0e999999999999999999999", 0);
	assert_int64("0.0e-999999999999999999999", 0);
	assert_int64("922337203685477580700e-2", INT64_MAX);
	assert_int64("9.223372036854775807e18", INT64_MAX);
}

static void fractions_are_no_integers(void **state)
{
	(void)state;
	static const char *const texts[] = {"1.5", "1e-1", "0.1", "15e-1", "1e-999999999999999999999", "-0.5"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		int64_t value = 77;
		assert_int_equal(json_number_to_int64(slice_from_string(texts[i]), &value), ERROR_MALFORMED);
		assert_int_equal(value, 77);
	}
}

static void integers_out_of_range_are_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {"9223372036854775808", "-9223372036854775809", "1e19", "1e999999999999999999999",
					    "18446744073709551616"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		int64_t value = 77;
		assert_int_equal(json_number_to_int64(slice_from_string(texts[i]), &value), ERROR_OUT_OF_RANGE);
		assert_int_equal(value, 77);
	}
	uint64_t value;
	assert_int_equal(json_number_to_uint64(SLICE_LITERAL("-1"), &value), ERROR_OUT_OF_RANGE);
	assert_int_equal(json_number_to_uint64(SLICE_LITERAL("-0"), &value), ERROR_OK);
	assert_int_equal(json_number_to_uint64(SLICE_LITERAL("18446744073709551616"), &value), ERROR_OUT_OF_RANGE);
}

static void assert_written(const struct buffer *buffer, const char *wanted)
{
	assert_int_equal(buffer->size, strlen(wanted));
	assert_memory_equal(buffer->data, wanted, buffer->size);
}

static void writes_strings_with_their_escapes(void **state)
{
	(void)state;
	struct buffer buffer;
	buffer_init(&buffer, 1000);
	assert_int_equal(json_append_string(&buffer, slice_make("a\"\\/\b\f\n\r\t\0\x1f\x7f\xc3\xa4\xf0\x9f\x98\x80", 18)),
			 ERROR_OK);
	assert_written(&buffer, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\xc3\xa4\xf0\x9f\x98\x80\"");
	buffer_clear(&buffer);
	assert_int_equal(json_append_string(&buffer, slice_make(NULL, 0)), ERROR_OK);
	assert_written(&buffer, "\"\"");
	buffer_release(&buffer);
}

static void a_string_that_cannot_be_written_leaves_nothing(void **state)
{
	(void)state;
	struct buffer buffer;
	buffer_init(&buffer, 6);
	buffer_append_string(&buffer, "x");
	assert_int_equal(json_append_string(&buffer, SLICE_LITERAL("ab\xff")), ERROR_MALFORMED);
	assert_written(&buffer, "x");
	assert_int_equal(json_append_string(&buffer, SLICE_LITERAL("abcd")), ERROR_TOO_LARGE);
	assert_written(&buffer, "x");
	assert_int_equal(json_append_string(&buffer, SLICE_LITERAL("abc")), ERROR_OK);
	assert_written(&buffer, "x\"abc\"");
	buffer_release(&buffer);
}

static void writes_integers_to_their_limits(void **state)
{
	(void)state;
	struct buffer buffer;
	buffer_init(&buffer, 1000);
	static const int64_t values[] = {0, -1, 7, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		json_append_int64(&buffer, values[i]);
		buffer_append_byte(&buffer, ' ');
	}
	json_append_uint64(&buffer, UINT64_MAX);
	assert_written(&buffer, "0 -1 7 9223372036854775807 -9223372036854775808 18446744073709551615");
	buffer_release(&buffer);
}

static void writes_the_shortest_doubles(void **state)
{
	(void)state;
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{0, "0"},
		{-0.0, "-0"},
		{0.1, "0.1"},
		{1728926331000, "1728926331000"},
		{1e21, "1e+21"},
		{0.1 + 0.2, "0.30000000000000004"},
		{1.7976931348623157e308, "1.7976931348623157e+308"},
		{5e-324, "4.94065645841247e-324"},
		{-2.5, "-2.5"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buffer buffer;
		buffer_init(&buffer, 100);
		assert_int_equal(json_append_double(&buffer, cases[i].value), ERROR_OK);
		assert_written(&buffer, cases[i].text);
		buffer_release(&buffer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_every_kind_of_value),
		cmocka_unit_test(refuses_what_is_no_value),
		cmocka_unit_test(refuses_what_follows_the_value),
		cmocka_unit_test(refuses_commas_and_colons_out_of_place),
		cmocka_unit_test(takes_the_numbers_of_the_grammar_only),
		cmocka_unit_test(decodes_strings),
		cmocka_unit_test(refuses_malformed_strings),
		cmocka_unit_test(refuses_lone_surrogates),
		cmocka_unit_test(nests_a_hundred_levels_and_no_more),
		cmocka_unit_test(walks_through_objects_and_arrays),
		cmocka_unit_test(integers_are_exact),
		cmocka_unit_test(integers_may_have_points_and_exponents),
		cmocka_unit_test(fractions_are_no_integers),
		cmocka_unit_test(integers_out_of_range_are_refused),
		cmocka_unit_test(writes_strings_with_their_escapes),
		cmocka_unit_test(a_string_that_cannot_be_written_leaves_nothing),
		cmocka_unit_test(writes_integers_to_their_limits),
		cmocka_unit_test(writes_the_shortest_doubles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
