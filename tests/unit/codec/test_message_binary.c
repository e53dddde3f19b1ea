#include "codec_test.h"

#include "ping/v1/ping.pb.h"

/* JSON in, bytes out; and those bytes in, the same JSON out. */
static void assert_binary(const struct message_type *type, const char *json, struct slice binary)
{
	assert_converts(type, true, slice_from_string(json), false, binary);
	assert_converts(type, false, binary, true, slice_from_string(json));
}

/* Bytes that nobody writes but may come: read as `json`. */
static void assert_reads(const struct message_type *type, struct slice binary, const char *json)
{
	assert_converts(type, false, binary, true, slice_from_string(json));
}

static void assert_refused(const struct message_type *type, struct slice binary, const char *text)
{
	assert_decode_fails(type, false, binary, ERROR_MALFORMED, text);
}

/* --- the encoding --- */

static void the_examples_of_the_specification(void **state)
{
	(void)state;
	assert_binary(TYPE(scalars), "{\"int32Value\":150}", BYTES("\x18\x96\x01"));
	assert_binary(TYPE(scalars), "{\"stringValue\":\"testing\"}", BYTES("\x72\x07testing"));
	assert_binary(TYPE(repeated), "{\"int32Values\":[3,270,86942]}", BYTES("\x1a\x06\x03\x8e\x02\x9e\xa7\x05"));
}

static void every_scalar(void **state)
{
	(void)state;
	assert_binary(TYPE(scalars), "{\"doubleValue\":1}", BYTES("\x09\0\0\0\0\0\0\xf0\x3f"));
	assert_binary(TYPE(scalars), "{\"floatValue\":1}", BYTES("\x15\0\0\x80\x3f"));
	assert_binary(TYPE(scalars), "{\"int32Value\":-1}", BYTES("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
	assert_binary(TYPE(scalars), "{\"int64Value\":\"-1\"}", BYTES("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
	assert_binary(TYPE(scalars), "{\"uint32Value\":4294967295}", BYTES("\x28\xff\xff\xff\xff\x0f"));
	assert_binary(TYPE(scalars), "{\"uint64Value\":\"18446744073709551615\"}",
		      BYTES("\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
	assert_binary(TYPE(scalars), "{\"sint32Value\":-2147483648}", BYTES("\x38\xff\xff\xff\xff\x0f"));
	assert_binary(TYPE(scalars), "{\"sint64Value\":\"1\"}", BYTES("\x40\x02"));
	assert_binary(TYPE(scalars), "{\"fixed32Value\":4294967295}", BYTES("\x4d\xff\xff\xff\xff"));
	assert_binary(TYPE(scalars), "{\"fixed64Value\":\"258\"}", BYTES("\x51\x02\x01\0\0\0\0\0\0"));
	assert_binary(TYPE(scalars), "{\"sfixed32Value\":-2}", BYTES("\x5d\xfe\xff\xff\xff"));
	assert_binary(TYPE(scalars), "{\"sfixed64Value\":\"-2\"}", BYTES("\x61\xfe\xff\xff\xff\xff\xff\xff\xff"));
	assert_binary(TYPE(scalars), "{\"boolValue\":true}", BYTES("\x68\x01"));
	assert_binary(TYPE(scalars), "{\"bytesValue\":\"AP8=\"}", BYTES("\x7a\x02\x00\xff"));
	assert_binary(TYPE(scalars), "{\"color\":\"COLOR_BEYOND\"}", BYTES("\x80\x01\xf9\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
}

static void an_empty_body_is_the_empty_message(void **state)
{
	(void)state;
	assert_binary(TYPE(scalars), "{}", BYTES(""));
	assert_binary(&ping_v1_ping_response_type, "{}", BYTES(""));
	assert_converts(TYPE(scalars), false, slice_make(NULL, 0), false, BYTES(""));
}

static void optional_fields_keep_their_defaults(void **state)
{
	(void)state;
	assert_binary(TYPE(optionals), "{\"int32Value\":0,\"stringValue\":\"\",\"message\":{}}",
		      BYTES("\x18\x00\x72\x00\x8a\x01\x00"));
	assert_binary(TYPE(oneof), "{\"bytesValue\":\"\"}", BYTES("\x1a\x00"));
}

static void repeated_numbers_are_packed_unless_told_otherwise(void **state)
{
	(void)state;
	assert_binary(TYPE(repeated), "{\"boolValues\":[true,false]}", BYTES("\x6a\x02\x01\x00"));
	assert_binary(TYPE(repeated), "{\"fixed32Values\":[1,2]}", BYTES("\x4a\x08\x01\0\0\0\x02\0\0\0"));
	assert_binary(TYPE(repeated), "{\"unpackedValues\":[1,2]}", BYTES("\x90\x01\x01\x90\x01\x02"));
	assert_binary(TYPE(repeated), "{\"stringValues\":[\"a\",\"\"]}", BYTES("\x72\x01\x61\x72\x00"));
}

static void packed_and_unpacked_are_both_read(void **state)
{
	(void)state;
	assert_reads(TYPE(repeated), BYTES("\x18\x01\x1a\x02\x02\x03\x18\x04\x1a\x00"), "{\"int32Values\":[1,2,3,4]}");
	assert_reads(TYPE(repeated), BYTES("\x92\x01\x02\x01\x02"), "{\"unpackedValues\":[1,2]}");
	assert_reads(TYPE(repeated), BYTES("\x0a\x10\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x40"), "{\"doubleValues\":[1,2]}");
}

static void lengths_of_more_than_one_byte_move_what_they_measure(void **state)
{
	(void)state;
	struct arena arena;
	struct buffer output;
	struct test_everything_v1_everything child = {.names = &(struct test_everything_v1_names){.struct_ = {NULL, 0}}},
					     root = {.recursive = &child};
	static char text[20000];
	memset(text, 'a', sizeof text);
	arena_init(&arena, TEST_LIMIT);
	buffer_init(&output, TEST_LIMIT);
	for (size_t size = 0; size < sizeof text; size = size < 300 ? size + 1 : size * 2 - 1) {
		void *message;
		child.names->struct_ = slice_make(text, size);
		buffer_clear(&output);
		assert_int_equal(message_encode_binary(TYPE(everything), &root, &output), ERROR_OK);
		assert_int_equal(decode(TYPE(everything), false, buffer_slice(&output), &arena, &message, NULL), ERROR_OK);
		const struct test_everything_v1_everything *read = message;
		assert_true(slice_equal(read->recursive->names->struct_, child.names->struct_));
	}
	buffer_release(&output);
	arena_release(&arena);
}

static void strings_point_into_the_input(void **state)
{
	(void)state;
	struct arena arena;
	struct test_everything_v1_scalars message = {0};
	struct slice input = BYTES("\x72\x03\x61\x62\x63");
	arena_init(&arena, 0);
	assert_int_equal(message_decode_binary(TYPE(scalars), input, &arena, &message, NULL), ERROR_OK);
	assert_ptr_equal(message.string_value.data, input.data + 2);
	arena_release(&arena);
}

static void numbers_far_apart_are_found(void **state)
{
	(void)state;
	assert_binary(TYPE(names), "{\"int\":1,\"far\":2,\"farthest\":3}", BYTES("\x08\x01\xc0\x3e\x02\xf8\xff\xff\xff\x0f\x03"));
}

/* --- what may come twice, or is not known --- */

static void the_last_value_of_a_field_counts(void **state)
{
	(void)state;
	assert_reads(TYPE(scalars), BYTES("\x18\x01\x18\x02\x72\x01\x61\x72\x01\x62"),
		     "{\"int32Value\":2,\"stringValue\":\"b\"}");
	assert_reads(TYPE(oneof), BYTES("\x08\x01\x12\x01\x61\x08\x00"), "{\"int32Value\":0}");
	assert_reads(TYPE(oneof), BYTES("\x22\x02\x18\x05\x08\x07\x22\x00"), "{\"message\":{}}");
}

static void messages_that_come_twice_are_merged(void **state)
{
	(void)state;
	assert_reads(TYPE(everything), BYTES("\x0a\x02\x18\x01\x0a\x02\x20\x02"),
		     "{\"scalars\":{\"int32Value\":1,\"int64Value\":\"2\"}}");
	assert_reads(TYPE(oneof), BYTES("\x22\x02\x18\x05\x22\x02\x20\x06"),
		     "{\"message\":{\"int32Value\":5,\"int64Value\":\"6\"}}");
	assert_reads(TYPE(everything), BYTES("\x1a\x03\x1a\x01\x01\x1a\x03\x1a\x01\x02"),
		     "{\"repeated\":{\"int32Values\":[1,2]}}");
}

static void the_last_entry_of_a_map_key_counts(void **state)
{
	(void)state;
	assert_reads(TYPE(maps),
		     BYTES("\x0a\x06\x0a\x01\x61\x12\x01\x31\x0a\x06\x0a\x01\x62\x12\x01\x32\x0a\x06\x0a\x01\x61\x12\x01\x33"),
		     "{\"strings\":{\"a\":\"3\",\"b\":\"2\"}}");
}

static void map_entries_without_key_or_value_have_the_defaults(void **state)
{
	(void)state;
	assert_reads(TYPE(maps), BYTES("\x0a\x00"), "{\"strings\":{\"\":\"\"}}");
	assert_reads(TYPE(maps), BYTES("\x3a\x02\x08\x03"), "{\"messages\":{\"-2\":{}}}");
	assert_reads(TYPE(maps), BYTES("\x0a\x05\x12\x01\x31\x18\x07"), "{\"strings\":{\"\":\"1\"}}");
}

static void unknown_fields_are_ignored(void **state)
{
	(void)state;
	assert_reads(TYPE(scalars), BYTES("\xf8\x07\x01\xf9\x07\1\2\3\4\5\6\7\x08\xfa\x07\x02\x61\x62\xfd\x07\1\2\3\4\x18\x05"),
		     "{\"int32Value\":5}");
	/* A group, with another one in it. */
	assert_reads(TYPE(scalars), BYTES("\xfb\x07\x08\x01\xf3\x07\xf4\x07\x12\x01\x61\xfc\x07\x18\x05"), "{\"int32Value\":5}");
}

static void a_known_number_with_another_wire_type_is_unknown(void **state)
{
	(void)state;
	assert_reads(TYPE(scalars), BYTES("\x1d\1\2\3\4\x1a\x01\x61\x70\x05\x20\x07"), "{\"int64Value\":\"7\"}");
}

static void unknown_enum_values_are_kept(void **state)
{
	(void)state;
	assert_binary(TYPE(scalars), "{\"color\":77}", BYTES("\x80\x01\x4d"));
	assert_binary(TYPE(repeated), "{\"colors\":[77,\"COLOR_RED\"]}", BYTES("\x82\x01\x02\x4d\x01"));
}

static void integers_that_are_too_long_lose_their_high_bits(void **state)
{
	(void)state;
	assert_reads(TYPE(scalars), BYTES("\x18\x81\x80\x80\x80\x10"), "{\"int32Value\":1}");
	assert_reads(TYPE(scalars), BYTES("\x68\x80\x80\x80\x80\x10"), "{\"boolValue\":true}");
	assert_reads(TYPE(scalars), BYTES("\x20\x81\x80\x80\x80\x80\x80\x80\x80\x80\x7e"), "{\"int64Value\":\"1\"}");
	assert_reads(TYPE(scalars), BYTES("\x20\x85\x80\x00"), "{\"int64Value\":\"5\"}");
}

/* --- malformed input --- */

static void input_that_is_cut_short_is_refused(void **state)
{
	(void)state;
	assert_refused(TYPE(scalars), BYTES("\x18"), "int32_value: a malformed integer");
	assert_refused(TYPE(scalars), BYTES("\x18\x80"), "int32_value: a malformed integer");
	assert_refused(TYPE(scalars), BYTES("\x09\1\2\3\4\5\6\7"), "double_value: cut short");
	assert_refused(TYPE(scalars), BYTES("\x15\1\2\3"), "float_value: cut short");
	assert_refused(TYPE(scalars), BYTES("\x72\x03\x61\x62"), "string_value: cut short");
	assert_refused(TYPE(scalars), BYTES("\x7a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "bytes_value: cut short");
	assert_refused(TYPE(everything), BYTES("\x0a\x02\x18"), "scalars: cut short");
	assert_refused(TYPE(repeated), BYTES("\x0a\x09\1\2\3\4\5\6\7\x08\x09"), "double_values[1]: cut short");
	assert_refused(TYPE(repeated), BYTES("\x1a\x05\x01"), "int32_values: cut short");
	assert_refused(TYPE(scalars), BYTES("\xfa\x07\x02\x61"), "an unknown field is cut short or malformed");
	assert_refused(TYPE(scalars), BYTES("\xfb\x07\x08\x01"), "a malformed tag");
}

static void integers_of_more_than_ten_bytes_are_refused(void **state)
{
	(void)state;
	assert_refused(TYPE(scalars), BYTES("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		       "int64_value: a malformed integer");
}

static void malformed_tags_are_refused(void **state)
{
	(void)state;
	assert_refused(TYPE(scalars), BYTES("\x00\x01"), "a malformed tag");
	assert_refused(TYPE(scalars), BYTES("\x1e\x01"), "a malformed tag");
	assert_refused(TYPE(scalars), BYTES("\x1f\x01"), "a malformed tag");
	assert_refused(TYPE(scalars), BYTES("\x80\x80\x80\x80\x10\x01"), "a malformed tag");
	assert_refused(TYPE(scalars), BYTES("\x1c"), "int32_value: a group ends that did not begin");
	assert_refused(TYPE(scalars), BYTES("\xfb\x07\xf4\x07"), "a group ends that did not begin");
}

static void text_must_be_utf8(void **state)
{
	(void)state;
	assert_refused(TYPE(scalars), BYTES("\x72\x01\xff"), "string_value: the text is not UTF-8");
	assert_refused(TYPE(scalars), BYTES("\x72\x03\xed\xa0\x80"), "string_value: the text is not UTF-8");
	assert_refused(TYPE(maps), BYTES("\x0a\x03\x0a\x01\xff"), "strings[0].key: the text is not UTF-8");
}

static void errors_name_the_field_by_its_path(void **state)
{
	(void)state;
	assert_refused(&ping_v1_list_clients_response_type, BYTES("\x0a\x00\x0a\x04\x3a\x02\x40\x80"),
		       "clients[1].busiest_window.open: a malformed integer");
	assert_refused(TYPE(maps), BYTES("\x42\x0a\x12\x08\x0a\x00\x0a\x04\x12\x02\xc3\x28"),
		       "recursive[0].value.strings[1].value: the text is not UTF-8");
}

/* --- nesting --- */

/* `levels` messages, one in the other. */
static struct slice nested(uint8_t *space, size_t room, unsigned levels)
{
	size_t at = room;
	for (unsigned i = 1; i < levels; i++) {
		size_t size = room - at;
		if (size > 127)
			space[--at] = (uint8_t)(size >> 7);
		space[--at] = (uint8_t)((size & 0x7f) | (size > 127 ? 0x80 : 0));
		space[--at] = 0x42;
	}
	return slice_make(space + at, room - at);
}

static void nests_a_hundred_levels_and_no_more(void **state)
{
	(void)state;
	uint8_t space[1000];
	assert_converts(TYPE(everything), false, nested(space, sizeof space, 100), false, nested(space, sizeof space, 100));
	struct arena arena;
	struct error_note note;
	void *message;
	arena_init(&arena, TEST_LIMIT);
	assert_int_equal(decode(TYPE(everything), false, nested(space, sizeof space, 101), &arena, &message, &note),
			 ERROR_TOO_LARGE);
	assert_non_null(strstr(note.text, "more than 100 levels of nesting"));
	arena_release(&arena);
}

static void unknown_groups_nest_no_deeper(void **state)
{
	(void)state;
	uint8_t groups[2 * 100];
	memset(groups, 0x0b, 99);
	memset(groups + 99, 0x0c, 99);
	assert_converts(TYPE(empty), false, slice_make(groups, 2 * 99), true, SLICE_LITERAL("{}"));
	memset(groups, 0x0b, 100);
	memset(groups + 100, 0x0c, 100);
	assert_decode_fails(TYPE(empty), false, slice_make(groups, 2 * 100), ERROR_TOO_LARGE, "more than 100 levels of nesting");
}

/* --- messages that programs make --- */

static void what_cannot_be_read_back_is_not_written(void **state)
{
	(void)state;
	struct buffer output;
	struct error_note note;
	struct test_everything_v1_scalars bad_text = {.string_value = SLICE_LITERAL("\xff")};
	struct test_everything_v1_everything loop = {0}, holder = {.scalars = &bad_text};
	loop.recursive = &loop;
	buffer_init(&output, TEST_LIMIT);
	buffer_append_string(&output, "before");
	assert_int_equal(message_encode_binary(TYPE(everything), &holder, &output), ERROR_INTERNAL);
	assert_int_equal(message_encode_json(TYPE(everything), &holder, &output, &note), ERROR_INTERNAL);
	assert_string_equal(note.text, "scalars.string_value: the text is not UTF-8");
	assert_int_equal(message_encode_binary(TYPE(everything), &loop, &output), ERROR_TOO_LARGE);
	assert_int_equal(message_encode_json(TYPE(everything), &loop, &output, &note), ERROR_TOO_LARGE);
	assert_true(slice_equal_string(buffer_slice(&output), "before"));
	buffer_release(&output);
}

static void a_oneof_whose_message_is_null_is_absent(void **state)
{
	(void)state;
	struct buffer output;
	struct test_everything_v1_oneof message = {.which_choice = 4};
	buffer_init(&output, TEST_LIMIT);
	assert_int_equal(message_encode_binary(TYPE(oneof), &message, &output), ERROR_OK);
	assert_int_equal(output.size, 0);
	buffer_release(&output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_specification),
		cmocka_unit_test(every_scalar),
		cmocka_unit_test(an_empty_body_is_the_empty_message),
		cmocka_unit_test(optional_fields_keep_their_defaults),
		cmocka_unit_test(repeated_numbers_are_packed_unless_told_otherwise),
		cmocka_unit_test(packed_and_unpacked_are_both_read),
		cmocka_unit_test(lengths_of_more_than_one_byte_move_what_they_measure),
		cmocka_unit_test(strings_point_into_the_input),
		cmocka_unit_test(numbers_far_apart_are_found),
		cmocka_unit_test(the_last_value_of_a_field_counts),
		cmocka_unit_test(messages_that_come_twice_are_merged),
		cmocka_unit_test(the_last_entry_of_a_map_key_counts),
		cmocka_unit_test(map_entries_without_key_or_value_have_the_defaults),
		cmocka_unit_test(unknown_fields_are_ignored),
		cmocka_unit_test(a_known_number_with_another_wire_type_is_unknown),
		cmocka_unit_test(unknown_enum_values_are_kept),
		cmocka_unit_test(integers_that_are_too_long_lose_their_high_bits),
		cmocka_unit_test(input_that_is_cut_short_is_refused),
		cmocka_unit_test(integers_of_more_than_ten_bytes_are_refused),
		cmocka_unit_test(malformed_tags_are_refused),
		cmocka_unit_test(text_must_be_utf8),
		cmocka_unit_test(errors_name_the_field_by_its_path),
		cmocka_unit_test(nests_a_hundred_levels_and_no_more),
		cmocka_unit_test(unknown_groups_nest_no_deeper),
		cmocka_unit_test(what_cannot_be_read_back_is_not_written),
		cmocka_unit_test(a_oneof_whose_message_is_null_is_absent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
