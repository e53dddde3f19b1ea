#include "codec_test.h"

#include "ping/v1/ping.pb.h"

/* --- what users send --- */

static void the_tour_in_the_readme(void **state)
{
	(void)state;
	assert_json(&ping_v1_ping_request_type, "{\"timestamp_ms\": 1728926331000}", "{\"timestampMs\":\"1728926331000\"}");
	assert_json(&ping_v1_ping_request_type, "{\"timestampMs\":\"1728926331000\"}", "{\"timestampMs\":\"1728926331000\"}");
	assert_json(&ping_v1_ping_response_type, "{}", "{}");
}

static void errors_name_the_field_by_its_path(void **state)
{
	(void)state;
	assert_json_refused(&ping_v1_ping_request_type, "{\"timestampMs\":true}",
			    "timestamp_ms: expected an integer, found true");
	assert_json_refused(&ping_v1_ping_count_request_type, "{\"time_range\":{\"start\":{}}}",
			    "time_range.start: expected an integer, found an object");
	assert_json_refused(&ping_v1_list_clients_response_type, "{\"clients\":[{},{\"busiestWindow\":{\"open\":1}}]}",
			    "clients[1].busiest_window.open: expected true or false, found a number");
	assert_json_refused(TYPE(maps), "{\"recursive\":{\"7\":{\"messages\":{\"-1\":{\"int32Value\":1.5}}}}}",
			    "recursive[\"7\"].messages[\"-1\"].int32_value: expected an integer, found 1.5");
	assert_json_refused(TYPE(well_known), "{\"struct\":{\"a\":[null,{\"b\":1e999}]}}",
			    "struct[\"a\"][1][\"b\"]: 1e999 is out of range for double");
	assert_json_refused(TYPE(everything), "[]", "expected an object, found an array");
}

static void what_is_quoted_in_errors_is_short_and_printable(void **state)
{
	(void)state;
	assert_json_refused(TYPE(scalars), "{\"color\":\"\\u0000\\n\xc3\xa4\"}", "color: \"????\" is no value of this enum");
	assert_json_refused(TYPE(maps), "{\"int32s\":{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1}}",
			    "int32s[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\"]: expected an integer, "
			    "found \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\"");
}

static void both_names_of_a_field_are_read_and_the_camel_case_one_written(void **state)
{
	(void)state;
	assert_json(TYPE(names), "{\"snake_case_2x\":1,\"camelCase\":2}", "{\"snakeCase2x\":1,\"camelCase\":2}");
	assert_json(TYPE(names), "{\"snakeCase2x\":1}", "{\"snakeCase2x\":1}");
	assert_json(TYPE(names), "{\"an odd name\":\"a\"}", "{\"an odd name\":\"a\"}");
	assert_json(TYPE(names), "{\"renamed\":\"a\"}", "{\"an odd name\":\"a\"}");
	assert_json(TYPE(names), "{\"\\u0069nt\":1}", "{\"int\":1}");
}

static void unknown_fields_are_ignored(void **state)
{
	(void)state;
	assert_json(TYPE(scalars), "{\"a\":1,\"int32Value\":5,\"b\":{\"c\":[{},[],\"\",null]},\"\":true}", "{\"int32Value\":5}");
	assert_json(TYPE(scalars), "{\"INT32VALUE\":5}", "{}");
}

static void unknown_fields_must_be_json_too(void **state)
{
	(void)state;
	assert_json_refused(TYPE(scalars), "{\"a\":[1,]}", "JSON, byte 8: expected a value");
	assert_json_refused(TYPE(scalars), "{\"a\":\"\\ud800\"}", "JSON, byte 6: a malformed escape");
}

static void null_is_absent(void **state)
{
	(void)state;
	assert_json(TYPE(scalars), "{\"int32Value\":null,\"stringValue\":null,\"color\":null}", "{}");
	assert_json(TYPE(optionals), "{\"int32Value\":null,\"message\":null}", "{}");
	assert_json(TYPE(repeated), "{\"int32Values\":null,\"messages\":null}", "{}");
	assert_json(TYPE(maps), "{\"strings\":null}", "{}");
	assert_json(TYPE(oneof), "{\"int32Value\":null,\"stringValue\":\"a\"}", "{\"stringValue\":\"a\"}");
}

static void null_is_no_element(void **state)
{
	(void)state;
	assert_json_refused(TYPE(repeated), "{\"int32Values\":[1,null]}", "int32_values[1]: expected an integer, found null");
	assert_json_refused(TYPE(repeated), "{\"messages\":[null]}", "messages[0]: expected an object, found null");
	assert_json_refused(TYPE(maps), "{\"strings\":{\"a\":null}}", "strings[\"a\"]: expected a string, found null");
}

static void a_field_comes_once(void **state)
{
	(void)state;
	assert_json_refused(TYPE(scalars), "{\"int32Value\":1,\"int32Value\":1}", "int32_value: the field comes twice");
	assert_json_refused(TYPE(scalars), "{\"int32Value\":1,\"a\":0,\"int32_value\":1}", "int32_value: the field comes twice");
	assert_json_refused(TYPE(scalars), "{\"int32Value\":null,\"int32Value\":1}", "int32_value: the field comes twice");
	assert_json_refused(TYPE(repeated), "{\"int32Values\":[],\"int32Values\":[]}", "int32_values: the field comes twice");
}

static void one_field_of_a_oneof_comes(void **state)
{
	(void)state;
	assert_json(TYPE(oneof), "{\"int32Value\":0}", "{\"int32Value\":0}");
	assert_json(TYPE(oneof), "{\"stringValue\":\"\"}", "{\"stringValue\":\"\"}");
	assert_json(TYPE(oneof), "{\"boolValue\":false,\"default\":\"0\",\"between\":\"\"}",
		    "{\"boolValue\":false,\"default\":\"0\"}");
	assert_json(TYPE(oneof), "{\"empty\":{}}", "{\"empty\":{}}");
	assert_json_refused(TYPE(oneof), "{\"int32Value\":0,\"stringValue\":\"\"}",
			    "string_value: another field of the same oneof is there too");
	assert_json_refused(TYPE(oneof), "{\"empty\":{},\"nullValue\":null}",
			    "null_value: another field of the same oneof is there too");
}

static void an_empty_body_is_no_json(void **state)
{
	(void)state;
	assert_json_refused(TYPE(scalars), "", "JSON, byte 0: expected a value");
	assert_json_refused(TYPE(scalars), " \n", "JSON, byte 2: expected a value");
	assert_json_refused(TYPE(scalars), "null", "expected an object, found null");
}

static void nothing_may_follow(void **state)
{
	(void)state;
	assert_json(TYPE(scalars), " {} \r\n\t", "{}");
	assert_json_refused(TYPE(scalars), "{}{}", "JSON, byte 2: something follows the value");
	assert_decode_fails(TYPE(scalars), true, BYTES("{}\0"), ERROR_MALFORMED, "JSON, byte 2: something follows the value");
}

/* --- scalars --- */

static void integers_are_read_as_numbers_or_strings(void **state)
{
	(void)state;
	const char *all = "{\"int32Value\":-7,\"int64Value\":\"-7\",\"uint32Value\":7,\"uint64Value\":\"7\",\"sint32Value\":-7,"
			  "\"sint64Value\":\"-7\","
			  "\"fixed32Value\":7,\"fixed64Value\":\"7\",\"sfixed32Value\":-7,\"sfixed64Value\":\"-7\"}";
	assert_json(TYPE(scalars), all, all);
	assert_json(TYPE(scalars),
		    "{\"int32Value\":\"-7\",\"int64Value\":-7,\"uint32Value\":\"7\",\"uint64Value\":7,\"sint32Value\":\"-7\","
		    "\"sint64Value\":-7,"
		    "\"fixed32Value\":\"7\",\"fixed64Value\":7,\"sfixed32Value\":\"-7\",\"sfixed64Value\":-7}",
		    all);
}

static void integers_may_be_written_with_points_and_exponents(void **state)
{
	(void)state;
	assert_json(TYPE(scalars), "{\"int32Value\":1e3,\"int64Value\":5.0}", "{\"int32Value\":1000,\"int64Value\":\"5\"}");
	assert_json(TYPE(scalars), "{\"int32Value\":\"-1.20e1\",\"int64Value\":\"1E2\"}",
		    "{\"int32Value\":-12,\"int64Value\":\"100\"}");
	assert_json_refused(TYPE(scalars), "{\"int64Value\":1.5}", "int64_value: expected an integer, found 1.5");
	assert_json_refused(TYPE(scalars), "{\"int64Value\":\"1e-1\"}", "int64_value: expected an integer, found 1e-1");
}

static void integers_keep_all_their_digits(void **state)
{
	(void)state;
	assert_json(TYPE(scalars), "{\"int64Value\":9223372036854775807,\"uint64Value\":18446744073709551615}",
		    "{\"int64Value\":\"9223372036854775807\",\"uint64Value\":\"18446744073709551615\"}");
	assert_json(TYPE(scalars), "{\"int64Value\":-9223372036854775808}", "{\"int64Value\":\"-9223372036854775808\"}");
	assert_json(TYPE(scalars), "{\"int64Value\":1234567890123456789}", "{\"int64Value\":\"1234567890123456789\"}");
}

static void integers_out_of_range_are_refused(void **state)
{
	(void)state;
	assert_json_refused(TYPE(scalars), "{\"int32Value\":2147483648}", "int32_value: 2147483648 is out of range for int32");
	assert_json_refused(TYPE(scalars), "{\"sint32Value\":-2147483649}",
			    "sint32_value: -2147483649 is out of range for int32");
	assert_json_refused(TYPE(scalars), "{\"uint32Value\":4294967296}", "uint32_value: 4294967296 is out of range for uint32");
	assert_json_refused(TYPE(scalars), "{\"fixed32Value\":-1}", "fixed32_value: -1 is out of range for uint32");
	assert_json_refused(TYPE(scalars), "{\"int64Value\":9223372036854775808}",
			    "int64_value: 9223372036854775808 is out of range for int64");
	assert_json_refused(TYPE(scalars), "{\"uint64Value\":\"-1\"}", "uint64_value: -1 is out of range for uint64");
	assert_json_refused(TYPE(scalars), "{\"uint64Value\":1e20}", "uint64_value: 1e20 is out of range for uint64");
	assert_json(TYPE(scalars), "{\"int32Value\":2147483647,\"uint32Value\":4294967295,\"sint32Value\":-2147483648}",
		    "{\"int32Value\":2147483647,\"uint32Value\":4294967295,\"sint32Value\":-2147483648}");
}

static void texts_that_are_no_numbers_are_refused(void **state)
{
	(void)state;
	assert_json_refused(TYPE(scalars), "{\"int64Value\":\"\"}", "int64_value: expected an integer, found \"\"");
	assert_json_refused(TYPE(scalars), "{\"int64Value\":\" 1\"}", "int64_value: expected an integer, found \" 1\"");
	assert_json_refused(TYPE(scalars), "{\"int64Value\":\"0x1\"}", "int64_value: expected an integer, found \"0x1\"");
	assert_json_refused(TYPE(scalars), "{\"int64Value\":\"NaN\"}", "int64_value: expected an integer, found \"NaN\"");
	assert_json_refused(TYPE(scalars), "{\"doubleValue\":\"1,5\"}", "double_value: expected a number, found \"1,5\"");
	assert_json_refused(TYPE(scalars), "{\"doubleValue\":\"nan\"}", "double_value: expected a number, found \"nan\"");
	assert_json_refused(TYPE(scalars), "{\"doubleValue\":true}", "double_value: expected a number, found true");
	assert_json_refused(TYPE(scalars), "{\"doubleValue\":NaN}", "JSON, byte 15: expected a value");
}

static void doubles_are_written_in_the_shortest_form_that_reads_back(void **state)
{
	(void)state;
	assert_json(TYPE(scalars), "{\"doubleValue\":0.1}", "{\"doubleValue\":0.1}");
	assert_json(TYPE(scalars), "{\"doubleValue\":\"0.30000000000000004\"}", "{\"doubleValue\":0.30000000000000004}");
	assert_json(TYPE(scalars), "{\"doubleValue\":300000.00000}", "{\"doubleValue\":300000}");
	assert_json(TYPE(scalars), "{\"doubleValue\":1e-400}", "{}");
	assert_json(TYPE(scalars), "{\"doubleValue\":-0.0}", "{\"doubleValue\":-0}");
	assert_json(TYPE(scalars), "{\"floatValue\":0.1}", "{\"floatValue\":0.1}");
	assert_json(TYPE(scalars), "{\"floatValue\":16777217}", "{\"floatValue\":16777216}");
	assert_json(TYPE(scalars), "{\"floatValue\":3.4028234664e38}", "{\"floatValue\":3.4028235e+38}");
	/* Rounded by way of a double it would be 16777216. */
	assert_json(TYPE(scalars), "{\"floatValue\":16777217.000000000001}", "{\"floatValue\":16777218}");
}

static void doubles_out_of_range_are_refused(void **state)
{
	(void)state;
	assert_json_refused(TYPE(scalars), "{\"doubleValue\":1e400}", "double_value: 1e400 is out of range for double");
	assert_json_refused(TYPE(scalars), "{\"floatValue\":-3.5e38}", "float_value: -3.5e38 is out of range for float");
}

static void numbers_that_json_has_not_are_strings(void **state)
{
	(void)state;
	const char *text =
		"{\"doubleValues\":[\"NaN\",\"Infinity\",\"-Infinity\"],\"floatValues\":[\"NaN\",\"Infinity\",\"-Infinity\"]}";
	assert_json(TYPE(repeated), text, text);
}

static void strings_keep_every_character(void **state)
{
	(void)state;
	assert_json(TYPE(scalars), "{\"stringValue\":\"\\u0000\\u001f\\\"\\\\\\/\xc3\xa4\\u20ac\\ud83d\\ude00\"}",
		    "{\"stringValue\":\"\\u0000\\u001f\\\"\\\\/\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"}");
	assert_json_refused(TYPE(scalars), "{\"stringValue\":\"\xff\"}", "JSON, byte 16: text that is not UTF-8");
	assert_json_refused(TYPE(scalars), "{\"stringValue\":\"\\udc00\"}", "JSON, byte 16: a malformed escape");
	assert_json_refused(TYPE(scalars), "{\"stringValue\":5}", "string_value: expected a string, found a number");
}

static void bytes_are_base64_of_either_alphabet(void **state)
{
	(void)state;
	assert_json(TYPE(scalars), "{\"bytesValue\":\"+/8=\"}", "{\"bytesValue\":\"+/8=\"}");
	assert_json(TYPE(scalars), "{\"bytesValue\":\"-_8\"}", "{\"bytesValue\":\"+/8=\"}");
	assert_json(TYPE(scalars), "{\"bytesValue\":\"+\\/8\"}", "{\"bytesValue\":\"+/8=\"}");
	assert_json(TYPE(optionals), "{\"bytesValue\":\"\"}", "{\"bytesValue\":\"\"}");
	assert_json_refused(TYPE(scalars), "{\"bytesValue\":\"a\"}", "bytes_value: expected a base64 string, found \"a\"");
	assert_json_refused(TYPE(scalars), "{\"bytesValue\":\"YW*h\"}", "bytes_value: expected a base64 string, found \"YW*h\"");
	assert_json_refused(TYPE(scalars), "{\"bytesValue\":[1]}", "bytes_value: expected a base64 string, found an array");
}

static void enums_are_read_by_name_or_number_and_written_by_name(void **state)
{
	(void)state;
	assert_json(TYPE(scalars), "{\"color\":\"COLOR_RED\"}", "{\"color\":\"COLOR_RED\"}");
	assert_json(TYPE(scalars), "{\"color\":-7}", "{\"color\":\"COLOR_BEYOND\"}");
	assert_json(TYPE(scalars), "{\"color\":2.0}", "{\"color\":\"COLOR_GREEN\"}");
	assert_json(TYPE(scalars), "{\"color\":77}", "{\"color\":77}");
	assert_json(TYPE(scalars), "{\"color\":\"COLOR_UNSPECIFIED\"}", "{}");
	assert_json_refused(TYPE(scalars), "{\"color\":\"RED\"}", "color: \"RED\" is no value of this enum");
	assert_json_refused(TYPE(scalars), "{\"color\":\"1\"}", "color: \"1\" is no value of this enum");
	assert_json_refused(TYPE(scalars), "{\"color\":2147483648}", "color: 2147483648 is out of range for an enum");
	assert_json_refused(TYPE(scalars), "{\"color\":false}", "color: expected an enum value's name or number, found false");
}

/* --- presence --- */

static void defaults_are_left_out(void **state)
{
	(void)state;
	assert_json(TYPE(scalars),
		    "{\"doubleValue\":0,\"floatValue\":0,\"int32Value\":0,\"uint64Value\":\"0\",\"boolValue\":false,"
		    "\"stringValue\":\"\","
		    "\"bytesValue\":\"\",\"color\":0}",
		    "{}");
	assert_json(TYPE(repeated), "{\"int32Values\":[],\"messages\":[]}", "{}");
	assert_json(TYPE(maps), "{\"strings\":{}}", "{}");
}

static void optional_fields_keep_their_defaults(void **state)
{
	(void)state;
	const char *text =
		"{\"doubleValue\":0,\"floatValue\":0,\"int32Value\":0,\"int64Value\":\"0\",\"uint32Value\":0,\"uint64Value\":"
		"\"0\","
		"\"sint32Value\":0,\"sint64Value\":\"0\",\"fixed32Value\":0,\"fixed64Value\":\"0\",\"sfixed32Value\":0,"
		"\"sfixed64Value\":\"0\",\"boolValue\":false,\"stringValue\":\"\",\"bytesValue\":\"\",\"color\":\"COLOR_"
		"UNSPECIFIED\","
		"\"message\":{}}";
	assert_json(TYPE(optionals), text, text);
}

static void messages_are_present_when_they_are_empty(void **state)
{
	(void)state;
	assert_json(TYPE(everything), "{\"scalars\":{},\"recursive\":{\"recursive\":{}},\"children\":[{},{}]}",
		    "{\"scalars\":{},\"recursive\":{\"recursive\":{}},\"children\":[{},{}]}");
}

static void the_struct_says_what_is_there(void **state)
{
	(void)state;
	struct arena arena;
	void *message;
	arena_init(&arena, TEST_LIMIT);
	assert_int_equal(decode(TYPE(optionals), true, SLICE_LITERAL("{\"int32Value\":0,\"message\":{\"color\":\"COLOR_RED\"}}"),
				&arena, &message, NULL),
			 ERROR_OK);
	struct test_everything_v1_optionals *optionals = message;
	assert_true(optionals->has_int32_value);
	assert_false(optionals->has_int64_value);
	assert_int_equal(optionals->message->color, TEST_EVERYTHING_V1_COLOR_RED);
	assert_int_equal(decode(TYPE(oneof), true, SLICE_LITERAL("{\"stringValue\":\"abc\"}"), &arena, &message, NULL), ERROR_OK);
	struct test_everything_v1_oneof *oneof = message;
	assert_int_equal(oneof->which_choice, 2);
	assert_int_equal(oneof->which_register, 0);
	assert_true(slice_equal_string(oneof->choice.string_value, "abc"));
	arena_release(&arena);
}

/* --- arrays and maps --- */

static void arrays_keep_their_order(void **state)
{
	(void)state;
	const char *text = "{\"int64Values\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"],\"boolValues\":[true,false],"
			   "\"stringValues\":[\"a\",\"\"],"
			   "\"bytesValues\":[\"\",\"AA==\"],\"colors\":[\"COLOR_UNSPECIFIED\",5],\"messages\":[{},{"
			   "\"int32Value\":1}],\"nothings\":[{},{}]}";
	assert_json(TYPE(repeated), text, text);
	assert_json_refused(TYPE(repeated), "{\"int64Values\":\"1\"}", "int64_values: expected an array, found a string");
	assert_json_refused(TYPE(repeated), "{\"int64Values\":{}}", "int64_values: expected an array, found an object");
}

static void arrays_may_be_long(void **state)
{
	(void)state;
	struct buffer text;
	buffer_init(&text, TEST_LIMIT);
	buffer_append_string(&text, "{\"stringValues\":[\"0\"");
	for (int i = 1; i < 700; i++)
		buffer_append_format(&text, ",\"%d\"", i);
	buffer_append_string(&text, "],\"messages\":[{}");
	for (int i = 1; i < 700; i++)
		buffer_append_format(&text, ",{\"int32Value\":%d,\"stringValue\":\"%d\"}", i, i);
	buffer_append_string(&text, "]}");
	buffer_append_byte(&text, 0);
	assert_json(TYPE(repeated), (const char *)text.data, (const char *)text.data);
	buffer_release(&text);
}

static void map_keys_are_strings_and_come_out_in_order(void **state)
{
	(void)state;
	assert_json(TYPE(maps), "{\"strings\":{\"b\":\"1\",\"\":\"2\",\"aa\":\"3\",\"a\":\"4\"}}",
		    "{\"strings\":{\"\":\"2\",\"a\":\"4\",\"aa\":\"3\",\"b\":\"1\"}}");
	assert_json(TYPE(maps), "{\"int32s\":{\"10\":1,\"-2\":\"2\",\"0\":0}}",
		    "{\"int32s\":{\"-2\":\"2\",\"0\":\"0\",\"10\":\"1\"}}");
	assert_json(TYPE(maps), "{\"uint64s\":{\"18446744073709551615\":true,\"1\":false}}",
		    "{\"uint64s\":{\"1\":false,\"18446744073709551615\":true}}");
	assert_json(TYPE(maps), "{\"bools\":{\"true\":1,\"false\":\"COLOR_UNSPECIFIED\"}}",
		    "{\"bools\":{\"false\":\"COLOR_UNSPECIFIED\",\"true\":\"COLOR_RED\"}}");
	assert_json(TYPE(maps), "{\"messages\":{\"1\":{}},\"recursive\":{\"5\":{\"strings\":{\"a\":\"\"}}}}",
		    "{\"messages\":{\"1\":{}},\"recursive\":{\"5\":{\"strings\":{\"a\":\"\"}}}}");
	assert_json_refused(TYPE(maps), "{\"int32s\":{\"a\":1}}", "int32s[\"a\"]: expected an integer, found \"a\"");
	assert_json_refused(TYPE(maps), "{\"bools\":{\"1\":1}}", "bools[\"1\"]: expected true or false, found \"1\"");
	assert_json_refused(TYPE(maps), "{\"strings\":[]}", "strings: expected an object, found an array");
}

static void a_map_key_comes_once(void **state)
{
	(void)state;
	assert_json_refused(TYPE(maps), "{\"strings\":{\"a\":\"1\",\"b\":\"\",\"\\u0061\":\"1\"}}", "strings: a key comes twice");
	assert_json_refused(TYPE(maps), "{\"int32s\":{\"1\":1,\"1.0\":2}}", "int32s: a key comes twice");
	assert_json_refused(TYPE(well_known), "{\"struct\":{\"a\":1,\"a\":1}}", "struct: a key comes twice");
}

/* --- nesting --- */

static size_t nest(char *text, const char *open, const char *close, unsigned levels)
{
	size_t size = 0;
	for (unsigned i = 0; i < levels; i++)
		size += (size_t)snprintf(text + size, 100, "%s", open);
	for (unsigned i = 0; i < levels; i++)
		size += (size_t)snprintf(text + size, 100, "%s", close);
	return size;
}

static void nests_a_hundred_levels_and_no_more(void **state)
{
	(void)state;
	char text[100 * 20];
	struct arena arena;
	void *message;
	arena_init(&arena, TEST_LIMIT);
	size_t size = nest(text, "{\"children\":[", "]}", 50);
	assert_int_equal(decode(TYPE(everything), true, slice_make(text, size), &arena, &message, NULL), ERROR_OK);
	arena_release(&arena);
	size = nest(text, "{\"children\":[", "]}", 51);
	assert_decode_fails(TYPE(everything), true, slice_make(text, size), ERROR_TOO_LARGE,
			    "JSON, byte 650: more than 100 levels of nesting");
	size = nest(text, "{\"unknown\":[", "]}", 51);
	assert_decode_fails(TYPE(everything), true, slice_make(text, size), ERROR_TOO_LARGE,
			    "JSON, byte 600: more than 100 levels of nesting");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tour_in_the_readme),
		cmocka_unit_test(errors_name_the_field_by_its_path),
		cmocka_unit_test(what_is_quoted_in_errors_is_short_and_printable),
		cmocka_unit_test(both_names_of_a_field_are_read_and_the_camel_case_one_written),
		cmocka_unit_test(unknown_fields_are_ignored),
		cmocka_unit_test(unknown_fields_must_be_json_too),
		cmocka_unit_test(null_is_absent),
		cmocka_unit_test(null_is_no_element),
		cmocka_unit_test(a_field_comes_once),
		cmocka_unit_test(one_field_of_a_oneof_comes),
		cmocka_unit_test(an_empty_body_is_no_json),
		cmocka_unit_test(nothing_may_follow),
		cmocka_unit_test(integers_are_read_as_numbers_or_strings),
		cmocka_unit_test(integers_may_be_written_with_points_and_exponents),
		cmocka_unit_test(integers_keep_all_their_digits),
		cmocka_unit_test(integers_out_of_range_are_refused),
		cmocka_unit_test(texts_that_are_no_numbers_are_refused),
		cmocka_unit_test(doubles_are_written_in_the_shortest_form_that_reads_back),
		cmocka_unit_test(doubles_out_of_range_are_refused),
		cmocka_unit_test(numbers_that_json_has_not_are_strings),
		cmocka_unit_test(strings_keep_every_character),
		cmocka_unit_test(bytes_are_base64_of_either_alphabet),
		cmocka_unit_test(enums_are_read_by_name_or_number_and_written_by_name),
		cmocka_unit_test(defaults_are_left_out),
		cmocka_unit_test(optional_fields_keep_their_defaults),
		cmocka_unit_test(messages_are_present_when_they_are_empty),
		cmocka_unit_test(the_struct_says_what_is_there),
		cmocka_unit_test(arrays_keep_their_order),
		cmocka_unit_test(arrays_may_be_long),
		cmocka_unit_test(map_keys_are_strings_and_come_out_in_order),
		cmocka_unit_test(a_map_key_comes_once),
		cmocka_unit_test(nests_a_hundred_levels_and_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
