/* Inside src/net: what an HTTP/2 peer may do that costs it nothing and the server something, and how often.
 *
 * Each such thing takes a token of a bucket that holds 1,000 and is filled by 100 a second; who finds it empty is told
 * ENHANCE_YOUR_CALM and the connection ends. What belongs to work (a window opened for data, a priority or trailers of a stream,
 * the pings by which gRPC clients measure the way) is paid from a credit that the work earns, and only past it by tokens.
 *
 *   tokens           SETTINGS, RST_STREAM, CONTINUATION, empty DATA, what makes the server refuse or reset a stream
 *   credit, tokens   WINDOW_UPDATE, PING, PRIORITY, PRIORITY_UPDATE, HEADERS of a stream that is not new
 *   free             a request, and DATA that holds any: they cost the peer as much; what libnghttp2 skips unread (unknown
 * frames, DATA of closed streams)
 *
 * So end rapid reset (CVE-2023-44487) and made-you-reset (CVE-2025-8671), and the floods of CVE-2019-9511 to 9518. An HPACK bomb,
 * small on the wire, large when read, is told by the size of a head as it is read. No I/O, no clock.
 */
#ifndef PING_NET_HTTP2_GUARD_H
#define PING_NET_HTTP2_GUARD_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>

enum {
	HTTP2_GUARD_TOKENS = 1000,
	HTTP2_GUARD_TOKENS_PER_S = 100,
	HTTP2_GUARD_PER_STREAM = 4, /* credit; the first HEADERS take one */
	HTTP2_GUARD_PER_DATA = 4,   /* credit: receivers open two windows for a frame, some more often */
	HTTP2_GUARD_CREDIT = 4096,  /* at most */
	HTTP2_GUARD_HEADS = 4,	    /* times the limit of a head: past the limit 431, past this the connection ends */
};

struct http2_guard {
	int tokens, credit;
	int64_t filled_us;
	size_t head_bytes; /* of the header block that is being read */
};

/* Monotonic microseconds, as below. */
void http2_guard_init(struct http2_guard *guard, int64_t now_us);
/* False: the peer has done so too often. So below. */
bool http2_guard_spend(struct http2_guard *guard, int64_t now_us);
/* The header of a frame has come. */
bool http2_guard_frame(struct http2_guard *guard, const nghttp2_frame_hd *header, int64_t now_us);
/* All of a frame has come: padding can hide that it is empty. */
bool http2_guard_data(struct http2_guard *guard, const nghttp2_data *frame, int64_t now_us);
/* A stream was opened, a frame of data sent. */
void http2_guard_earn(struct http2_guard *guard, int credit);
/* A header block begins; a field of it, with `limit` bytes allowed to a head (RFC 9113, 6.5.2). */
void http2_guard_begin_head(struct http2_guard *guard);
bool http2_guard_field(struct http2_guard *guard, size_t name_bytes, size_t value_bytes, size_t limit);

#endif
