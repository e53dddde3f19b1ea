#include "base/utf8.h"

/* Table 3-7 of the Unicode standard: only the second byte's range depends on the first. */
size_t utf8_character_size(struct slice text)
{
	if (text.size == 0)
		return 0;
	const uint8_t *data = text.data;
	uint8_t first = data[0];
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (text.size < size)
		return 0;
	uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
	if (data[1] < low || data[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++)
		if ((data[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

bool utf8_valid(struct slice text)
{
	while (text.size > 0) {
		uint64_t word;
		size_t size;
		if (text.size >= sizeof word &&
		    (memcpy(&word, text.data, sizeof word), (word & UINT64_C(0x8080808080808080)) == 0))
			size = sizeof word;
		else
			size = utf8_character_size(text);
		if (size == 0)
			return false;
		text = slice_make(text.data + size, text.size - size);
	}
	return true;
}

size_t utf8_put(uint32_t character, uint8_t ret_bytes[4])
{
	if (character < 0x80) {
		ret_bytes[0] = (uint8_t)character;
		return 1;
	}
	size_t size = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
	for (size_t i = size - 1; i > 0; i--) {
		ret_bytes[i] = (uint8_t)(0x80 | (character & 0x3f));
		character >>= 6;
	}
	static const uint8_t lead[] = {[2] = 0xc0, [3] = 0xe0, [4] = 0xf0};
	ret_bytes[0] = (uint8_t)(lead[size] | character);
	return size;
}
