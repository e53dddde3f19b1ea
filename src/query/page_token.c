#include "query/page_token.h"

#include "base/base64.h"

enum { TOKEN_VERSION = 1, TOKEN_BYTES = 33, TOKEN_TEXT = 44 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

uint64_t page_fingerprint(uint64_t fingerprint, const void *data, size_t size)
{
	uint64_t hash = fingerprint == 0 ? UINT64_C(0xcbf29ce484222325) : fingerprint;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ ((const uint8_t *)data)[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static void put_u64(uint8_t *bytes, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t get_u64(const uint8_t *bytes)
{
	uint64_t value = 0;
	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

uint64_t page_fingerprint_number(uint64_t fingerprint, int64_t number)
{
	uint8_t bytes[8];
	put_u64(bytes, (uint64_t)number);
	return page_fingerprint(fingerprint, bytes, sizeof bytes);
}

struct slice page_token_make(uint64_t fingerprint, const struct page_place *place, struct arena *arena)
{
	uint8_t bytes[TOKEN_BYTES] = {TOKEN_VERSION};
	put_u64(bytes + 1, fingerprint);
	put_u64(bytes + 9, (uint64_t)place->value);
	memcpy(bytes + 17, place->client.bytes, sizeof place->client.bytes);

	char text[TOKEN_TEXT];
	for (size_t in = 0, out = 0; in < TOKEN_BYTES; in += 3, out += 4) {
		unsigned bits = (unsigned)bytes[in] << 16 | (unsigned)bytes[in + 1] << 8 | bytes[in + 2];
		for (size_t i = 0; i < 4; i++)
			text[out + i] = alphabet[bits >> (18 - 6 * i) & 63];
	}
	return arena_copy(arena, slice_make(text, sizeof text));
}

static bool decode(struct slice token, uint8_t ret_bytes[TOKEN_BYTES])
{
	uint8_t bytes[TOKEN_BYTES + 3]; /* base64_decoded_bound(TOKEN_TEXT) */
	size_t size;
	if (token.size != TOKEN_TEXT || base64_decode(token, bytes, &size) != ERROR_OK || size != TOKEN_BYTES)
		return false;
	memcpy(ret_bytes, bytes, TOKEN_BYTES);
	return true;
}

enum error page_token_parse(struct slice token, uint64_t fingerprint, struct page_place *ret_place, struct error_note *note)
{
	uint8_t bytes[TOKEN_BYTES];
	if (!decode(token, bytes))
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "page_token: not a token of this server; pass a next_page_token as it came, or none");
	if (bytes[0] != TOKEN_VERSION)
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "page_token: of another version of the server; begin at the first page again");
	if (get_u64(bytes + 1) != fingerprint)
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "page_token: of another query; all but page_size must stay as it was on the first page");
	ret_place->value = (int64_t)get_u64(bytes + 9);
	memcpy(ret_place->client.bytes, bytes + 17, sizeof ret_place->client.bytes);
	return ERROR_OK;
}
