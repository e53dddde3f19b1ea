/* PROXY protocol, version 2, on the receiving side (haproxy, "The PROXY protocol", 2.2): the address that a load balancer puts in
 * front of a connection's bytes. Version 1, the textual one, is not accepted.
 *
 *   signature 12 │ version, command 1 │ family 1 │ length 2 │ addresses │ TLVs, passed over
 */
#ifndef PING_CODEC_PROXY_PROTOCOL_H
#define PING_CODEC_PROXY_PROTOCOL_H

#include "base/address.h"

enum {
	PROXY_PROTOCOL_HEADER_SIZE = 16,
	PROXY_PROTOCOL_MAX =
		4096, /* bytes with addresses and TLVs; the format's 65,551 would let a stranger hold as much memory */
};

struct proxy_protocol {
	size_t size;	 /* bytes of the header: what stands behind them is the connection's own */
	bool has_source; /* false: LOCAL (a health check), or a family without an address: the peer is the source */
	struct address source;
	uint16_t source_port;
};

/* `input`: all bytes of the connection so far. ERROR_OK; MALFORMED, as soon as it can't become a header; END: more bytes are
 * needed. */
enum error proxy_protocol_parse(struct slice input, struct proxy_protocol *ret_header);

#endif
