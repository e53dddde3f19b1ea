#include "rpc/query.h"

bool query_find(struct slice query, const char *name, struct slice *ret_value)
{
	if (query.size == 0)
		return false;
	size_t name_size = strlen(name);
	const uint8_t *p = query.data, *end = query.data + query.size;
	while (p < end) {
		const uint8_t *stop = memchr(p, '&', (size_t)(end - p));
		if (stop == NULL)
			stop = end;
		const uint8_t *equals = memchr(p, '=', (size_t)(stop - p));
		const uint8_t *name_end = equals == NULL ? stop : equals;
		if ((size_t)(name_end - p) == name_size && memcmp(p, name, name_size) == 0) {
			const uint8_t *value = equals == NULL ? stop : equals + 1;
			*ret_value = slice_make(value, (size_t)(stop - value));
			return true;
		}
		p = stop + (stop < end);
	}
	return false;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum error query_decode(struct slice text, struct arena *arena, struct slice *ret_bytes)
{
	uint8_t *bytes = arena_alloc(arena, text.size);
	if (bytes == NULL)
		return ERROR_NO_MEMORY;
	size_t size = 0;
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];
		if (c == '%') {
			int high = text.size - i > 2 ? hex_digit(text.data[i + 1]) : -1;
			int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
			if (low < 0)
				return ERROR_MALFORMED;
			c = (uint8_t)(high << 4 | low);
			i += 2;
		} else if (c == '+') {
			c = ' ';
		}
		bytes[size++] = c;
	}
	*ret_bytes = slice_make(bytes, size);
	return ERROR_OK;
}
