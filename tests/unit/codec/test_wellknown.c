#include "codec_test.h"

static void assert_same(const char *text)
{
	assert_json(TYPE(well_known), text, text);
}

static void assert_refused(const char *input, const char *text)
{
	assert_json_refused(TYPE(well_known), input, text);
}

static void timestamps_are_rfc_3339(void **state)
{
	(void)state;
	assert_same("{\"timestamp\":\"2024-10-14T15:45:31Z\"}");
	assert_same("{\"timestamp\":\"1970-01-01T00:00:00Z\"}");
	assert_same("{\"timestamp\":\"0001-01-01T00:00:00Z\"}");
	assert_same("{\"timestamp\":\"9999-12-31T23:59:59.999999999Z\"}");
	assert_same("{\"timestamp\":\"1969-12-31T23:59:59.500Z\"}");
	assert_json(TYPE(well_known), "{\"timestamp\":\"2024-10-14T17:45:31.5+02:00\"}",
		    "{\"timestamp\":\"2024-10-14T15:45:31.500Z\"}");
}

static void fractions_have_no_three_six_or_nine_digits(void **state)
{
	(void)state;
	assert_json(TYPE(well_known),
		    "{\"timestamps\":[\"1970-01-01T00:00:00.1Z\",\"1970-01-01T00:00:00.0001Z\",\"1970-01-01T00:00:00.0000001Z\","
		    "\"1970-01-01T00:00:00.000Z\"]}",
		    "{\"timestamps\":[\"1970-01-01T00:00:00.100Z\",\"1970-01-01T00:00:00.000100Z\",\"1970-01-01T00:00:00."
		    "000000100Z\","
		    "\"1970-01-01T00:00:00Z\"]}");
}

static void other_times_are_refused(void **state)
{
	(void)state;
	assert_refused("{\"timestamp\":\"yesterday\"}",
		       "timestamp: expected a time such as 2024-10-14T15:45:31Z, found \"yesterday\"");
	assert_refused("{\"timestamp\":\"2024-10-14\"}",
		       "timestamp: expected a time such as 2024-10-14T15:45:31Z, found \"2024-10-14\"");
	assert_refused("{\"timestamp\":1}", "timestamp: expected a time such as 2024-10-14T15:45:31Z, found a number");
	assert_refused("{\"timestamp\":\"0000-12-31T23:59:59Z\"}",
		       "timestamp: expected a time of the years 1 to 9999, found \"0000-12-31T23:59:59Z\"");
	assert_refused("{\"timestamps\":[\"2024-10-14T15:45:31.0123456789Z\"]}",
		       "timestamps[0]: expected a time such as 2024-10-14T15:45:31Z, found \"2024-10-14T15:45:31.0123456789Z\"");
}

static void durations_are_seconds(void **state)
{
	(void)state;
	assert_same("{\"duration\":\"0s\"}");
	assert_same("{\"duration\":\"3.000000001s\"}");
	assert_same("{\"duration\":\"-0.500s\"}");
	assert_same("{\"duration\":\"-315576000000s\"}");
	assert_same("{\"duration\":\"315575999999.999999999s\"}");
	assert_json(TYPE(well_known), "{\"duration\":\"1.5s\"}", "{\"duration\":\"1.500s\"}");
	assert_json(TYPE(well_known), "{\"duration\":\"-0s\"}", "{\"duration\":\"0s\"}");
}

static void other_durations_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "s", "1", "1.s", ".5s", "1m", "1 s", "1e3s", "+1s", "--1s", "1.0000000001s", "1ss"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char input[64], text[128];
		snprintf(input, sizeof input, "{\"duration\":\"%s\"}", bad[i]);
		snprintf(text, sizeof text, "duration: expected a duration such as 1.5s, found \"%s\"", bad[i]);
		assert_refused(input, text);
	}
	assert_refused("{\"duration\":\"315576000000.1s\"}",
		       "duration: expected a duration of at most 10,000 years, found \"315576000000.1s\"");
	assert_refused("{\"duration\":\"-99999999999999999999999s\"}",
		       "duration: expected a duration of at most 10,000 years, found \"-99999999999999999999999s\"");
}

static void times_that_json_has_not_cannot_be_written(void **state)
{
	(void)state;
	assert_json_unwritable(TYPE(well_known), BYTES("\x12\x06\x10\x80\x94\xeb\xdc\x03"), ERROR_INTERNAL,
			       "timestamp: the time is out of range");
	assert_json_unwritable(TYPE(well_known), BYTES("\x12\x07\x08\x80\x83\xd1\xff\xaf\x07"), ERROR_INTERNAL,
			       "timestamp: the time is out of range");
	assert_json_unwritable(TYPE(well_known), BYTES("\x1a\x0d\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
			       ERROR_INTERNAL, "duration: the time is out of range");
}

static void field_masks_are_paths_in_camel_case(void **state)
{
	(void)state;
	assert_same("{\"fieldMask\":\"\"}");
	assert_same("{\"fieldMask\":\"user.displayName,photo,x1.aB\"}");
	assert_json(TYPE(well_known), "{\"fieldMask\":\"Upper\"}", "{\"fieldMask\":\"Upper\"}");
	assert_refused("{\"fieldMask\":\"display_name\"}", "field_mask: \"display_name\" is no path of a field mask");
	assert_refused("{\"fieldMask\":\"a,,b\"}", "field_mask: \"\" is no path of a field mask");
	assert_refused("{\"fieldMask\":\"a.\"}", "field_mask: \"a.\" is no path of a field mask");
	assert_refused("{\"fieldMask\":\"1a\"}", "field_mask: \"1a\" is no path of a field mask");
	assert_refused("{\"fieldMask\":\"a b\"}", "field_mask: \"a b\" is no path of a field mask");
	assert_refused("{\"fieldMask\":[]}", "field_mask: expected paths with commas between them, found an array");
}

static void paths_that_would_not_come_back_cannot_be_written(void **state)
{
	(void)state;
	const char *text = "field_mask: a path of the field mask cannot be written in JSON";
	assert_json_unwritable(TYPE(well_known), BYTES("\x22\x06\x0a\x04\x66\x6f\x6f\x5f"), ERROR_INTERNAL, text);
	assert_json_unwritable(TYPE(well_known), BYTES("\x22\x06\x0a\x04\x66\x5f\x31\x61"), ERROR_INTERNAL, text);
	assert_json_unwritable(TYPE(well_known), BYTES("\x22\x05\x0a\x03\x61\x42\x63"), ERROR_INTERNAL, text);
	assert_json_unwritable(TYPE(well_known), BYTES("\x22\x05\x0a\x03\x61\x2c\x62"), ERROR_INTERNAL, text);
}

static void structs_are_any_json(void **state)
{
	(void)state;
	assert_same("{\"struct\":{}}");
	assert_same("{\"struct\":{\"\":null,\"a\":[1,-0.5,\"x\",true,false,null,[],{}],\"b\":{\"c\":{}}}}");
	assert_same("{\"listValue\":[[[]],{\"a\":[]}]}");
	assert_refused("{\"struct\":[]}", "struct: expected an object, found an array");
	assert_refused("{\"listValue\":{}}", "list_value: expected an array, found an object");
}

static void a_value_may_be_null(void **state)
{
	(void)state;
	assert_same("{\"value\":null}");
	assert_same("{\"values\":[null,1,\"a\",[],{}]}");
	assert_json(TYPE(well_known), "{\"values\":null,\"struct\":null}", "{}");
	assert_json(&google_protobuf_value_type, " 1e3", "1000");
	assert_json(TYPE(maps), "{\"values\":{\"a\":null}}", "{\"values\":{\"a\":null}}");
}

static void values_without_json_cannot_be_written(void **state)
{
	(void)state;
	assert_json_unwritable(TYPE(well_known), BYTES("\x32\x00"), ERROR_INTERNAL,
			       "value: a google.protobuf.Value holds nothing");
	assert_json_unwritable(TYPE(well_known), BYTES("\x32\x09\x11\0\0\0\0\0\0\xf8\x7f"), ERROR_INTERNAL,
			       "value: a google.protobuf.Value cannot hold this number in JSON");
}

static void null_values_are_null(void **state)
{
	(void)state;
	assert_json(TYPE(oneof), "{\"nullValue\":null}", "{\"nullValue\":null}");
	assert_json(TYPE(oneof), "{\"nullValue\":\"NULL_VALUE\"}", "{\"nullValue\":null}");
	assert_same("{\"nullValues\":[null,null]}");
	assert_json(TYPE(well_known), "{\"nullValue\":null}", "{}");
}

static void wrappers_are_what_they_wrap(void **state)
{
	(void)state;
	assert_same("{\"doubleValue\":0,\"floatValue\":1.5,\"int64Value\":\"0\",\"uint64Value\":\"1\",\"int32Value\":0,"
		    "\"uint32Value\":7,"
		    "\"boolValue\":false,\"stringValue\":\"\",\"bytesValue\":\"\"}");
	assert_json(TYPE(well_known), "{\"int64Value\":null,\"boolValue\":null}", "{}");
	assert_same("{\"int64Values\":[\"0\",\"5\"]}");
	assert_refused("{\"int64Values\":[null]}", "int64_values[0]: expected an integer, found null");
	assert_refused("{\"boolValue\":{}}", "bool_value: expected true or false, found an object");
}

static void empty_is_an_object(void **state)
{
	(void)state;
	assert_same("{\"empty\":{}}");
	assert_json(TYPE(well_known), "{\"empty\":{\"a\":1}}", "{\"empty\":{}}");
	assert_refused("{\"empty\":1}", "empty: expected an object, found a number");
}

/* --- Any --- */

static void an_any_names_its_type_beside_the_fields(void **state)
{
	(void)state;
	assert_same("{\"any\":{\"@type\":\"type.googleapis.com/test.everything.v1.Scalars\",\"int32Value\":5}}");
	assert_same("{\"any\":{\"@type\":\"example.com/a/test.everything.v1.Empty\"}}");
	assert_json(TYPE(well_known), "{\"any\":{\"int32_value\":5,\"a\":[],\"@type\":\"x/test.everything.v1.Scalars\"}}",
		    "{\"any\":{\"@type\":\"x/test.everything.v1.Scalars\",\"int32Value\":5}}");
}

static void an_any_holds_what_has_json_of_its_own_in_value(void **state)
{
	(void)state;
	assert_same("{\"any\":{\"@type\":\"x/google.protobuf.Duration\",\"value\":\"1.500s\"}}");
	assert_same("{\"any\":{\"@type\":\"x/google.protobuf.Struct\",\"value\":{\"a\":[null],\"b\":{}}}}");
	assert_same("{\"any\":{\"@type\":\"x/google.protobuf.Int64Value\",\"value\":\"0\"}}");
	assert_same("{\"any\":{\"@type\":\"x/google.protobuf.Value\",\"value\":null}}");
	assert_same("{\"any\":{\"@type\":\"x/google.protobuf.Any\",\"value\":{\"@type\":\"x/"
		    "test.everything.v1.Oneof\",\"boolValue\":false}}}");
}

static void an_empty_any_is_an_empty_object(void **state)
{
	(void)state;
	assert_same("{\"any\":{},\"anys\":[{},{}]}");
}

static void an_any_needs_a_type_that_is_known(void **state)
{
	(void)state;
	assert_refused("{\"any\":{\"a\":1}}", "any: a google.protobuf.Any needs its @type");
	assert_refused("{\"any\":{\"@type\":\"x/nowhere.Nothing\"}}", "any: @type: \"x/nowhere.Nothing\" is not known here");
	assert_refused("{\"any\":{\"@type\":\"\"}}", "any: @type: \"\" is not known here");
	assert_refused("{\"any\":{\"@type\":5}}", "any: expected the type's URL in @type, found a number");
	assert_refused("{\"any\":{\"@type\":\"x/google.protobuf.Empty\",\"@type\":\"x/google.protobuf.Empty\"}}",
		       "any: @type comes twice");
	assert_refused("{\"any\":[]}", "any: expected an object, found an array");
}

static void what_an_any_holds_is_checked(void **state)
{
	(void)state;
	assert_refused("{\"any\":{\"@type\":\"x/test.everything.v1.Scalars\",\"int32Value\":true}}",
		       "any.int32_value: expected an integer, found true");
	assert_refused("{\"any\":{\"@type\":\"x/google.protobuf.Duration\",\"value\":5}}",
		       "any: expected a duration such as 1.5s, found a number");
	assert_refused("{\"any\":{\"@type\":\"x/google.protobuf.Duration\"}}", "any: there is no \"value\" beside the @type");
	assert_refused("{\"any\":{\"@type\":\"x/google.protobuf.BoolValue\",\"value\":true,\"value\":true}}",
		       "any: the value comes twice");
}

static void an_any_that_cannot_be_read_cannot_be_written(void **state)
{
	(void)state;
	assert_json_unwritable(TYPE(well_known), BYTES("\x0a\x05\x0a\x03\x78\x2f\x79"), ERROR_INTERNAL,
			       "any: the type that the google.protobuf.Any holds is not known here");
	assert_json_unwritable(TYPE(well_known), BYTES("\x0a\x03\x12\x01\x61"), ERROR_INTERNAL,
			       "any: the type that the google.protobuf.Any holds is not known here");
	assert_json_unwritable(TYPE(well_known), BYTES("\x0a\x20\x0a\x1b\x78/google.protobuf.BoolValue\x12\x01\x08"),
			       ERROR_INTERNAL, "any: what the google.protobuf.Any holds is malformed");
}

/* Each level is opaque bytes to the one above it: only writing them as JSON opens them. */
static void anys_in_anys_end_at_a_hundred_levels(void **state)
{
	(void)state;
	struct buffer binary, output;
	struct error_note note;
	struct google_protobuf_any any = {.type_url = SLICE_LITERAL("x/google.protobuf.Any")};
	uint8_t copy[8192];
	buffer_init(&binary, TEST_LIMIT);
	buffer_init(&output, TEST_LIMIT);
	for (int i = 0; i < 150; i++) {
		buffer_clear(&binary);
		assert_int_equal(message_encode_binary(&google_protobuf_any_type, &any, &binary), ERROR_OK);
		memcpy(copy, binary.data, binary.size);
		any.value = slice_make(copy, binary.size);
	}
	assert_int_equal(message_encode_json(&google_protobuf_any_type, &any, &output, &note), ERROR_TOO_LARGE);
	assert_int_equal(output.size, 0);
	buffer_release(&binary);
	buffer_release(&output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timestamps_are_rfc_3339),
		cmocka_unit_test(fractions_have_no_three_six_or_nine_digits),
		cmocka_unit_test(other_times_are_refused),
		cmocka_unit_test(durations_are_seconds),
		cmocka_unit_test(other_durations_are_refused),
		cmocka_unit_test(times_that_json_has_not_cannot_be_written),
		cmocka_unit_test(field_masks_are_paths_in_camel_case),
		cmocka_unit_test(paths_that_would_not_come_back_cannot_be_written),
		cmocka_unit_test(structs_are_any_json),
		cmocka_unit_test(a_value_may_be_null),
		cmocka_unit_test(values_without_json_cannot_be_written),
		cmocka_unit_test(null_values_are_null),
		cmocka_unit_test(wrappers_are_what_they_wrap),
		cmocka_unit_test(empty_is_an_object),
		cmocka_unit_test(an_any_names_its_type_beside_the_fields),
		cmocka_unit_test(an_any_holds_what_has_json_of_its_own_in_value),
		cmocka_unit_test(an_empty_any_is_an_empty_object),
		cmocka_unit_test(an_any_needs_a_type_that_is_known),
		cmocka_unit_test(what_an_any_holds_is_checked),
		cmocka_unit_test(an_any_that_cannot_be_read_cannot_be_written),
		cmocka_unit_test(anys_in_anys_end_at_a_hundred_levels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
