/* Who sent a request that came through proxies: the rightmost address that is not a trusted proxy's.
 *
 *   Forwarded: for=6.6.6.6, for=203.0.113.7, for="[2001:db8::2]:443"        peer 10.0.0.1
 *              └ anyone's word └ the client: not trusted └ a trusted proxy ◄─ a trusted proxy     walked from the right
 *
 * Each hop is believed only as long as the one that tells of it is trusted. A peer that is not trusted is the client, whatever
 * its headers say. An entry without an address (unknown, obfuscated, malformed) ends the walk: the client is then the last
 * address known, that of the trusted proxy that wrote the entry. Where all are trusted it is the leftmost.
 *
 * Most proxies write one of Forwarded (RFC 7239) and X-Forwarded-For and pass the other on as anyone sent it. Which one that is
 * can't be seen: where the two differ neither is believed, and the client is the peer.
 */
#ifndef PING_CODEC_FORWARDED_H
#define PING_CODEC_FORWARDED_H

#include "base/address.h"

/* One header's walk. */
struct forwarded_walk {
	struct address client;
	bool seen, ended;
};

struct forwarded {
	struct address peer;
	const struct address_network *trusted;
	size_t trusted_count;
	struct forwarded_walk standard, legacy; /* Forwarded; X-Forwarded-For */
};

/* The networks stay the caller's and must outlive the walk. */
void forwarded_init(struct forwarded *forwarded, const struct address *peer, const struct address_network *trusted,
		    size_t trusted_count);
/* To be called for the fields of a head, the LAST one first; other fields than the two are passed over. Several lines of one name
 * are one list. */
void forwarded_take_field(struct forwarded *forwarded, struct slice name, struct slice value);
const struct address *forwarded_client(const struct forwarded *forwarded);

#endif
