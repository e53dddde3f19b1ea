/* Base64, percent-coding and queries: what is read back is what was written, in its one form; nothing is read past the end. */
#include "base/base64.h"
#include "fuzz.h"
#include "rpc/query.h"

static void check_base64(struct slice bytes)
{
	for (int padded = 0; padded < 2; padded++) {
		struct buffer text;
		buffer_init(&text, SIZE_MAX);
		FUZZ_CHECK(base64_append(&text, bytes, padded) == ERROR_OK);
		FUZZ_CHECK(!padded || text.size % 4 == 0);
		size_t size;
		FUZZ_CHECK(base64_decode(buffer_slice(&text), text.data, &size) == ERROR_OK);
		FUZZ_CHECK(size == bytes.size && (size == 0 || memcmp(text.data, bytes.data, size) == 0));
		buffer_release(&text);
	}
}

/* As a text: refused, or bytes within the bound. */
static void read_base64(struct slice text)
{
	uint8_t *bytes = malloc(base64_decoded_bound(text.size));
	size_t size = 0;
	FUZZ_CHECK(bytes != NULL);
	if (base64_decode(text, bytes, &size) == ERROR_OK)
		FUZZ_CHECK(size <= base64_decoded_bound(text.size) && size <= text.size);
	free(bytes);
}

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Refused when, and only when, a '%' has no two digits behind it. */
static void read_percent(struct slice text, struct arena *arena)
{
	struct slice bytes;
	size_t expected = 0, percents = 0;
	bool fine = true;
	for (size_t i = 0; fine && i < text.size; i++, expected++) {
		if (text.data[i] != '%')
			continue;
		fine = text.size - i > 2 && is_hex(text.data[i + 1]) && is_hex(text.data[i + 2]);
		percents++;
		i += 2;
	}
	enum error error = query_decode(text, arena, &bytes);
	FUZZ_CHECK(error == (fine ? ERROR_OK : ERROR_MALFORMED));
	FUZZ_CHECK(!fine || bytes.size == expected);
	FUZZ_CHECK(!fine || percents > 0 || text.size == bytes.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_make(data, size), value;
	struct arena arena;
	arena_init(&arena, SIZE_MAX);
	check_base64(bytes);
	read_base64(bytes);
	if (query_find(bytes, "message", &value)) {
		FUZZ_CHECK(value.data >= data && value.data + value.size <= data + size);
		FUZZ_CHECK(value.size == 0 || memchr(value.data, '&', value.size) == NULL);
		read_percent(value, &arena);
		read_base64(value);
	}
	read_percent(bytes, &arena);
	arena_release(&arena);
	return 0;
}
