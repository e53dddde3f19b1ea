/* Inside src/net: what a session of libnghttp2 keeps for good, laid out so that an idle connection takes few pages. Each has a
 * buffer for one frame, 16 KiB of which most only ever use the beginning; from malloc it would lie where something else was
 * before, all of it resident.
 *
 *   slot, of fresh pages   [ session │ table of streams │ frame …                               ]
 *                          0                            7 KiB                              24 KiB
 *                          └── page ──┴── page ──┴┄┄┄┄┄ not touched while frames are small ┄┄┄┄┘
 *
 * All else is malloc's.
 */
#ifndef PING_NET_HTTP2_MEMORY_H
#define PING_NET_HTTP2_MEMORY_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http2_memory {
	nghttp2_mem mem; /* for nghttp2_session_server_new3 */
	uint8_t *slot;	 /* NULL: there is none, everything is malloc's */
	size_t used;	 /* before the frame */
	bool frame_used;
};

/* Must not move. Without fresh pages it works all the same. */
void http2_memory_init(struct http2_memory *memory);
/* After the session. */
void http2_memory_release(struct http2_memory *memory);

#endif
