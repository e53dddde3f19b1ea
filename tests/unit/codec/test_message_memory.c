#include "codec_test.h"

/* One of everything that a decoder allocates. */
static const char json[] =
	"{\"scalars\":{\"stringValue\":\"\\u0061bc\",\"bytesValue\":\"AAAA\",\"doubleValue\":1.5},"
	"\"repeated\":{\"int32Values\":[1,2,3,4,5,6,7,8,9],\"messages\":[{},{},{},{},{\"stringValue\":\"a\"}],\"stringValues\":["
	"\"a\",\"b\"]},"
	"\"oneof\":{\"message\":{}},"
	"\"maps\":{\"strings\":{\"a\":\"b\",\"c\":\"d\"},\"messages\":{\"1\":{},\"2\":{}},\"times\":{\"a\":\"1970-01-01T00:00:"
	"01Z\"}},"
	"\"wellKnown\":{\"any\":{\"@type\":\"x/test.everything.v1.Scalars\",\"stringValue\":\"a\"},\"struct\":{\"a\":[1,{}]},"
	"\"fieldMask\":\"aB,c\",\"anys\":[{\"@type\":\"x/google.protobuf.Duration\",\"value\":\"1s\"}],\"int64Value\":\"1\"},"
	"\"names\":{\"inner\":{\"info\":{}},\"struct\":\"a\"}}";

/* Decodes under every limit from none to enough: each too small one must fail, and cleanly. */
static void fails_cleanly_at_each_limit(bool from_json, struct slice input)
{
	size_t needed = 0;
	enum error error = ERROR_NO_MEMORY;
	for (size_t limit = 0; error != ERROR_OK; limit++) {
		struct arena arena;
		struct error_note note;
		struct test_everything_v1_everything message = {0};
		arena_init(&arena, limit);
		error = from_json ? message_decode_json(TYPE(everything), input, &arena, &message, &note)
				  : message_decode_binary(TYPE(everything), input, &arena, &message, &note);
		if (error != ERROR_OK) {
			assert_true(error == ERROR_NO_MEMORY || error == ERROR_TOO_LARGE);
			assert_non_null(strstr(note.text, "too large"));
		}
		needed = limit;
		arena_release(&arena);
	}
	assert_true(needed > 1000);
}

static void decoding_json_fails_cleanly_at_each_limit(void **state)
{
	(void)state;
	fails_cleanly_at_each_limit(true, slice_from_string(json));
}

/* The message, in an arena of its own, with both encodings. */
static void *load(struct arena *arena, struct buffer *binary)
{
	void *message;
	arena_init(arena, TEST_LIMIT);
	buffer_init(binary, TEST_LIMIT);
	assert_int_equal(decode(TYPE(everything), true, slice_from_string(json), arena, &message, NULL), ERROR_OK);
	assert_int_equal(message_encode_binary(TYPE(everything), message, binary), ERROR_OK);
	return message;
}

static void decoding_binary_fails_cleanly_at_each_limit(void **state)
{
	(void)state;
	struct arena arena;
	struct buffer binary;
	load(&arena, &binary);
	fails_cleanly_at_each_limit(false, buffer_slice(&binary));
	buffer_release(&binary);
	arena_release(&arena);
}

static void encoding_fails_cleanly_at_each_limit(void **state)
{
	(void)state;
	struct arena arena;
	struct buffer binary;
	const void *message = load(&arena, &binary);
	for (int to_json = 0; to_json < 2; to_json++) {
		enum error error = ERROR_TOO_LARGE;
		size_t limit = 0;
		for (; error != ERROR_OK; limit++) {
			struct buffer output;
			struct error_note note;
			buffer_init(&output, limit);
			error = to_json ? message_encode_json(TYPE(everything), message, &output, &note)
					: message_encode_binary(TYPE(everything), message, &output);
			assert_true(error == ERROR_OK || (error == ERROR_TOO_LARGE && output.size == 0));
			buffer_release(&output);
		}
		assert_true(limit > 200);
	}
	buffer_release(&binary);
	arena_release(&arena);
}

static void a_note_is_not_needed(void **state)
{
	(void)state;
	struct arena arena;
	struct test_everything_v1_scalars message = {0};
	arena_init(&arena, TEST_LIMIT);
	assert_int_equal(message_decode_json(TYPE(scalars), SLICE_LITERAL("{\"int32Value\":true}"), &arena, &message, NULL),
			 ERROR_MALFORMED);
	assert_int_equal(message_decode_json(TYPE(scalars), SLICE_LITERAL("{"), &arena, &message, NULL), ERROR_MALFORMED);
	assert_int_equal(message_decode_binary(TYPE(scalars), BYTES("\x00"), &arena, &message, NULL), ERROR_MALFORMED);
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoding_json_fails_cleanly_at_each_limit),
		cmocka_unit_test(decoding_binary_fails_cleanly_at_each_limit),
		cmocka_unit_test(encoding_fails_cleanly_at_each_limit),
		cmocka_unit_test(a_note_is_not_needed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
