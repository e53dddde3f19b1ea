/* The codec's binary encoding: what it reads it can write, and both encodings agree on it. */
#include "message_agree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct buffer json;
	struct error_note note;
	arena_init(&arena, FUZZ_LIMIT);
	buffer_init(&json, FUZZ_LIMIT);
	void *message = fuzz_message(&arena);
	if (message_decode_binary(fuzz_type, slice_make(data, size), &arena, message, &note) == ERROR_OK) {
		bool has_json = json_agrees(message, &arena, &json);
		if (!binary_agrees(message, &arena, has_json ? &json : NULL))
			abort();
	}
	buffer_release(&json);
	arena_release(&arena);
	return 0;
}
