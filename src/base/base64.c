#include "base/base64.h"

enum error base64_append(struct buffer *output, struct slice data, bool padded)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	if (data.size > SIZE_MAX / 2)
		return ERROR_TOO_LARGE;
	enum error error = buffer_reserve(output, data.size / 3 * 4 + 4);
	if (error != ERROR_OK)
		return error;
	uint8_t *to = output->data + output->size;
	for (size_t i = 0; i < data.size; i += 3) {
		size_t left = data.size - i < 3 ? data.size - i : 3;
		uint32_t bits = (uint32_t)data.data[i] << 16;
		bits |= left > 1 ? (uint32_t)data.data[i + 1] << 8 : 0;
		bits |= left > 2 ? data.data[i + 2] : 0;
		for (size_t j = 0; j < 4; j++) {
			if (j <= left)
				*to++ = (uint8_t)alphabet[bits >> (18 - 6 * j) & 0x3f];
			else if (padded)
				*to++ = '=';
		}
	}
	output->size = (size_t)(to - output->data);
	return ERROR_OK;
}

static int value_of(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

enum error base64_decode(struct slice text, uint8_t *ret_data, size_t *ret_size)
{
	size_t size = text.size, done = 0;
	while (size > 0 && text.data[size - 1] == '=')
		size--;
	size_t padding = text.size - size;
	if (size % 4 == 1 || (padding > 0 && (padding > 2 || text.size % 4 != 0)))
		return ERROR_MALFORMED;
	uint32_t bits = 0;
	for (size_t i = 0; i < size; i++) {
		int value = value_of(text.data[i]);
		if (value < 0)
			return ERROR_MALFORMED;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4 > 0)
			ret_data[done++] = (uint8_t)(bits >> (6 - i % 4 * 2));
	}
	*ret_size = done;
	return ERROR_OK;
}
