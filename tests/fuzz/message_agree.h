/* For the codec's fuzzers: whatever a message was read from, once it is written its texts and bytes stay the same, and both
 * encodings say the same.
 */
#ifndef PING_TESTS_MESSAGE_AGREE_H
#define PING_TESTS_MESSAGE_AGREE_H

#include <stdlib.h>

#include "codec/message.h"
#include "everything.pb.h"

enum { FUZZ_LIMIT = 64 << 20 };

static const struct message_type *const fuzz_type = &test_everything_v1_everything_type;

static inline void *fuzz_message(struct arena *arena)
{
	void *message = arena_alloc(arena, message_type_size(fuzz_type));
	if (message == NULL)
		abort();
	return message;
}

/* The message's JSON must read back, and come out the same again. False: it has none. */
static inline bool json_agrees(const void *message, struct arena *arena, struct buffer *json)
{
	struct error_note note;
	struct buffer again;
	void *read = fuzz_message(arena);
	if (message_encode_json(fuzz_type, message, json, &note) != ERROR_OK)
		return false;
	buffer_init(&again, FUZZ_LIMIT);
	if (message_decode_json(fuzz_type, buffer_slice(json), arena, read, &note) != ERROR_OK ||
	    message_encode_json(fuzz_type, read, &again, &note) != ERROR_OK ||
	    !slice_equal(buffer_slice(json), buffer_slice(&again)))
		abort();
	buffer_release(&again);
	return true;
}

/* The message's bytes must read back, come out the same again, and have the same JSON. False: it is too deep for bytes. */
static inline bool binary_agrees(const void *message, struct arena *arena, const struct buffer *json)
{
	struct error_note note;
	struct buffer binary, again;
	void *read = fuzz_message(arena);
	buffer_init(&binary, FUZZ_LIMIT);
	buffer_init(&again, FUZZ_LIMIT);
	enum error error = message_encode_binary(fuzz_type, message, &binary);
	if (error == ERROR_OK) {
		if (message_decode_binary(fuzz_type, buffer_slice(&binary), arena, read, &note) != ERROR_OK ||
		    message_encode_binary(fuzz_type, read, &again) != ERROR_OK ||
		    !slice_equal(buffer_slice(&binary), buffer_slice(&again)))
			abort();
		buffer_clear(&again);
		if (json != NULL && (message_encode_json(fuzz_type, read, &again, &note) != ERROR_OK ||
				     !slice_equal(buffer_slice(json), buffer_slice(&again))))
			abort();
	} else if (error != ERROR_TOO_LARGE) {
		abort();
	}
	buffer_release(&binary);
	buffer_release(&again);
	return error == ERROR_OK;
}

#endif
