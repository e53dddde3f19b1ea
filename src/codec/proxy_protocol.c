#include "codec/proxy_protocol.h"

enum {
	VERSION_LOCAL = 0x20,
	VERSION_PROXY = 0x21,
	FAMILY_NONE = 0x00,
	FAMILY_TCP4 = 0x11,
	FAMILY_TCP6 = 0x21,
	ADDRESSES_TCP4 = 4 + 4 + 2 + 2,
	ADDRESSES_TCP6 = 16 + 16 + 2 + 2,
};

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static uint16_t load16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static bool has_room(uint8_t family, size_t size)
{
	return family == FAMILY_NONE || (family == FAMILY_TCP4 && size >= ADDRESSES_TCP4) ||
	       (family == FAMILY_TCP6 && size >= ADDRESSES_TCP6);
}

/* Addresses, the source first, then ports. */
static void take_source(const uint8_t *addresses, uint8_t family, struct proxy_protocol *header)
{
	header->has_source = true;
	if (family == FAMILY_TCP4)
		header->source = address_from_ipv4(addresses);
	else
		memcpy(header->source.bytes, addresses, sizeof header->source.bytes);
	header->source_port = load16(addresses + (family == FAMILY_TCP4 ? 8 : 32));
}

enum error proxy_protocol_parse(struct slice input, struct proxy_protocol *ret_header)
{
	size_t known = input.size < sizeof signature ? input.size : sizeof signature;
	if (known > 0 && memcmp(input.data, signature, known) != 0)
		return ERROR_MALFORMED;
	if (input.size < PROXY_PROTOCOL_HEADER_SIZE)
		return ERROR_END;
	uint8_t command = input.data[12], family = input.data[13];
	size_t size = load16(input.data + 14);
	struct proxy_protocol header = {.size = PROXY_PROTOCOL_HEADER_SIZE + size};
	if ((command != VERSION_LOCAL && command != VERSION_PROXY) || header.size > PROXY_PROTOCOL_MAX)
		return ERROR_MALFORMED;
	if (command == VERSION_PROXY && !has_room(family, size))
		return ERROR_MALFORMED;
	if (input.size < header.size)
		return ERROR_END;
	if (command == VERSION_PROXY && family != FAMILY_NONE)
		take_source(input.data + PROXY_PROTOCOL_HEADER_SIZE, family, &header);
	*ret_header = header;
	return ERROR_OK;
}
