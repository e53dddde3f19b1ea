/* What the codec's tests share: a message goes in as text or bytes, and is compared as text or bytes. */
#ifndef PING_TESTS_CODEC_TEST_H
#define PING_TESTS_CODEC_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "codec/message.h"
#include "everything.pb.h"

enum { TEST_LIMIT = 1 << 20 };

#define TYPE(name) (&test_everything_v1_##name##_type)
/* Bytes with NULs in them. */
#define BYTES(literal) slice_make(literal, sizeof(literal) - 1)

static inline enum error decode(const struct message_type *type, bool json, struct slice input, struct arena *arena,
				void **ret_message, struct error_note *note)
{
	/* A block of its own size, so that a sanitizer sees a read past the end. */
	struct slice copy = arena_copy(arena, input);
	*ret_message = arena_alloc(arena, message_type_size(type));
	assert_non_null(copy.data);
	assert_non_null(*ret_message);
	return json ? message_decode_json(type, copy, arena, *ret_message, note)
		    : message_decode_binary(type, copy, arena, *ret_message, note);
}

/* FROM is read, TO is what is then written. */
static inline void assert_converts(const struct message_type *type, bool from_json, struct slice from, bool to_json,
				   struct slice to)
{
	struct arena arena;
	struct buffer output;
	struct error_note note = {""};
	void *message;
	arena_init(&arena, TEST_LIMIT);
	buffer_init(&output, TEST_LIMIT);
	enum error error = decode(type, from_json, from, &arena, &message, &note);
	if (error == ERROR_OK)
		error = to_json ? message_encode_json(type, message, &output, &note)
				: message_encode_binary(type, message, &output);
	assert_string_equal(note.text, "");
	assert_int_equal(error, ERROR_OK);
	if (to_json && !slice_equal(buffer_slice(&output), to))
		print_error("wanted %.*s\ngot    %.*s\n", (int)to.size, (const char *)to.data, (int)output.size,
			    (char *)output.data);
	assert_int_equal(output.size, to.size);
	if (to.size > 0)
		assert_memory_equal(output.data, to.data, to.size);
	buffer_release(&output);
	arena_release(&arena);
}

/* Written as `canonical` when read from `text`; and the same by way of the binary encoding. */
static inline void assert_json(const struct message_type *type, const char *text, const char *canonical)
{
	struct arena arena;
	struct buffer binary;
	struct error_note note = {""};
	void *message;
	arena_init(&arena, TEST_LIMIT);
	buffer_init(&binary, TEST_LIMIT);
	assert_converts(type, true, slice_from_string(text), true, slice_from_string(canonical));
	assert_int_equal(decode(type, true, slice_from_string(text), &arena, &message, &note), ERROR_OK);
	assert_int_equal(message_encode_binary(type, message, &binary), ERROR_OK);
	assert_converts(type, false, buffer_slice(&binary), true, slice_from_string(canonical));
	buffer_release(&binary);
	arena_release(&arena);
}

static inline void assert_decode_fails(const struct message_type *type, bool json, struct slice input, enum error wanted,
				       const char *text)
{
	struct arena arena;
	struct error_note note = {""};
	void *message;
	arena_init(&arena, TEST_LIMIT);
	enum error error = decode(type, json, input, &arena, &message, &note);
	assert_string_equal(note.text, text);
	assert_int_equal(error, wanted);
	arena_release(&arena);
}

static inline void assert_json_refused(const struct message_type *type, const char *input, const char *text)
{
	assert_decode_fails(type, true, slice_from_string(input), ERROR_MALFORMED, text);
}

/* What a binary message holds cannot be written as JSON. */
static inline void assert_json_unwritable(const struct message_type *type, struct slice binary, enum error wanted,
					  const char *text)
{
	struct arena arena;
	struct buffer output;
	struct error_note note = {""};
	void *message;
	arena_init(&arena, TEST_LIMIT);
	buffer_init(&output, TEST_LIMIT);
	buffer_append_string(&output, "before");
	assert_int_equal(decode(type, false, binary, &arena, &message, &note), ERROR_OK);
	assert_int_equal(message_encode_json(type, message, &output, &note), wanted);
	assert_string_equal(note.text, text);
	assert_true(slice_equal_string(buffer_slice(&output), "before"));
	buffer_release(&output);
	arena_release(&arena);
}

#endif
