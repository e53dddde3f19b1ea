#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

struct address address_from_ipv4(const uint8_t bytes[4])
{
	struct address address;
	memcpy(address.bytes, mapped_prefix, sizeof mapped_prefix);
	memcpy(address.bytes + 12, bytes, 4);
	return address;
}

bool address_is_ipv4(const struct address *address)
{
	return memcmp(address->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

/* Four numbers of 0 to 255 without leading zeros: by hand, since every event and every request has one. */
static bool parse_quad(struct slice text, uint8_t ret_bytes[4])
{
	const uint8_t *next = text.data, *end = text.data + text.size;
	for (int i = 0; i < 4; i++) {
		unsigned value = 0;
		const uint8_t *start = next;
		for (; next < end && *next - (unsigned)'0' <= 9 && next - start < 3; next++)
			value = value * 10 + (*next - (unsigned)'0');
		if (next == start || value > 255 || (*start == '0' && next - start > 1))
			return false;
		ret_bytes[i] = (uint8_t)value;
		if (i < 3 && (next == end || *next++ != '.'))
			return false;
	}
	return next == end;
}

enum error address_parse(struct slice text, struct address *ret_address)
{
	uint8_t quad[4];
	if (text.size > 0 && parse_quad(text, quad)) {
		*ret_address = address_from_ipv4(quad);
		return ERROR_OK;
	}
	char copy[ADDRESS_TEXT_SIZE];
	const uint8_t *zone = text.size == 0 ? NULL : memchr(text.data, '%', text.size);
	size_t size = zone == NULL ? text.size : (size_t)(zone - text.data);
	if (size == 0 || size >= sizeof copy || memchr(text.data, 0, size) != NULL || (zone != NULL && size + 1 == text.size))
		return ERROR_MALFORMED;
	memcpy(copy, text.data, size);
	copy[size] = 0;
	struct address address;
	if (inet_pton(AF_INET6, copy, address.bytes) != 1)
		return ERROR_MALFORMED;
	*ret_address = address;
	return ERROR_OK;
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952, 4.2). */
static int longest_zero_run(const uint16_t groups[8], int *ret_length)
{
	int best = -1, best_length = 1;
	for (int i = 0; i < 8; i++) {
		int length = 0;
		while (i + length < 8 && groups[i + length] == 0)
			length++;
		if (length > best_length) {
			best = i;
			best_length = length;
		}
		i += length;
	}
	*ret_length = best_length;
	return best;
}

static size_t format_quad(const uint8_t bytes[4], char *ret_text)
{
	char *to = ret_text;
	for (int i = 0; i < 4; i++) {
		unsigned value = bytes[i];
		if (value >= 100)
			*to++ = (char)('0' + value / 100);
		if (value >= 10)
			*to++ = (char)('0' + value / 10 % 10);
		*to++ = (char)('0' + value % 10);
		*to++ = '.';
	}
	*--to = 0;
	return (size_t)(to - ret_text);
}

size_t address_format(const struct address *address, char ret_text[ADDRESS_TEXT_SIZE])
{
	const uint8_t *b = address->bytes;
	if (address_is_ipv4(address))
		return format_quad(b + 12, ret_text);
	uint16_t groups[8];
	for (int i = 0; i < 8; i++)
		groups[i] = (uint16_t)(b[2 * i] << 8 | b[2 * i + 1]);
	int run_length, run = longest_zero_run(groups, &run_length);
	size_t size = 0;
	for (int i = 0; i < 8; i++) {
		if (i == run) {
			size += (size_t)snprintf(ret_text + size, ADDRESS_TEXT_SIZE - size, i == 0 ? "::" : ":");
			i += run_length - 1;
			continue;
		}
		size += (size_t)snprintf(ret_text + size, ADDRESS_TEXT_SIZE - size, i == 7 ? "%x" : "%x:", groups[i]);
	}
	ret_text[size] = 0;
	return size;
}

static bool only_zero_behind(const struct address *address, unsigned bits)
{
	for (unsigned i = bits; i < 128; i++)
		if (address->bytes[i / 8] >> (7 - i % 8) & 1)
			return false;
	return true;
}

enum error address_network_parse(struct slice text, struct address_network *ret_network, struct error_note *note)
{
	int shown = text.size > 64 ? 64 : (int)text.size;
	const char *chars = text.size == 0 ? "" : (const char *)text.data;
	const uint8_t *slash = text.size == 0 ? NULL : memchr(text.data, '/', text.size);
	struct address_network network;
	struct slice host = slash == NULL ? text : slice_make(text.data, (size_t)(slash - text.data));
	if (address_parse(host, &network.address) != ERROR_OK)
		return error_noted(note, ERROR_MALFORMED, "\"%.*s\" is not an address or a network such as 10.0.0.0/8", shown,
				   chars);
	unsigned width = address_is_ipv4(&network.address) && memchr(host.data, ':', host.size) == NULL ? 32 : 128;
	unsigned prefix = width;
	if (slash != NULL) {
		const uint8_t *end = text.data + text.size, *p = slash + 1;
		if (p == end || end - p > 3)
			prefix = 129;
		else
			for (prefix = 0; p < end; p++)
				prefix = *p < '0' || *p > '9' ? 1000 : prefix * 10 + (unsigned)(*p - '0');
	}
	if (prefix > width)
		return error_noted(note, ERROR_MALFORMED, "\"%.*s\": the prefix length must be 0 to %u", shown, chars, width);
	network.prefix_bits = prefix + 128 - width;
	if (!only_zero_behind(&network.address, network.prefix_bits))
		return error_noted(note, ERROR_MALFORMED, "\"%.*s\": bits behind the prefix are set", shown, chars);
	*ret_network = network;
	return ERROR_OK;
}

bool address_network_contains(const struct address_network *network, const struct address *address)
{
	unsigned whole = network->prefix_bits / 8, rest = network->prefix_bits % 8;
	if (memcmp(network->address.bytes, address->bytes, whole) != 0)
		return false;
	return rest == 0 || (network->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}
