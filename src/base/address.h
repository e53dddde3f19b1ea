/* An IP address as the project's key for a client: sixteen bytes, IPv4 as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2), so that one
 * address has one value whatever form it came in. No zone, no port.
 */
#ifndef PING_BASE_ADDRESS_H
#define PING_BASE_ADDRESS_H

#include "base/error.h"
#include "base/slice.h"

struct address {
	uint8_t bytes[16];
};

enum { ADDRESS_TEXT_SIZE = 46 }; /* the longest text and its NUL */

/* Any textual form of RFC 4291 (2.2) or dotted quad, with an optional %zone, which is dropped. No brackets, no port, no
 * blanks, no leading zeros in a quad. ERROR_MALFORMED. */
enum error address_parse(struct slice text, struct address *ret_address);
/* Canonical text (RFC 5952; IPv4-mapped as a dotted quad). Returns its length. */
size_t address_format(const struct address *address, char ret_text[ADDRESS_TEXT_SIZE]);
struct address address_from_ipv4(const uint8_t bytes[4]);
bool address_is_ipv4(const struct address *address);
static inline bool address_equal(const struct address *a, const struct address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
static inline int address_compare(const struct address *a, const struct address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

/* A network in CIDR notation (RFC 4632, RFC 4291 2.3); prefix_bits counts over the sixteen bytes. */
struct address_network {
	struct address address;
	unsigned prefix_bits;
};

/* "10.0.0.0/8", "::1", "fd00::/8"; a plain address is one host. Bits behind the prefix must be 0. ERROR_MALFORMED, with the
 * text and the reason in the note. */
enum error address_network_parse(struct slice text, struct address_network *ret_network, struct error_note *note);
bool address_network_contains(const struct address_network *network, const struct address *address);

#endif
