/* Inside src/net: HTTP/2 (RFC 9113) on libnghttp2, which does frames, HPACK and flow control; here are the requests and the
 * bounds.
 *
 *    HEADERS        their end       END_STREAM             respond               all sent
 *   ─────────► HEAD ─────────► BODY ──────────► WAITING ──────────► ANSWERING ─────────────► freed
 *                               │ respond (a mistake, the deadline)     ▲
 *                               └───────────────────────────────────────┘
 *                 RST_STREAM, sent or received, or the connection's end, from any of them ─► freed
 *
 * What a peer can make a connection hold: max_streams streams, max_buffered_bytes of bodies, acknowledgements up to
 * HTTP2_MAX_ACKS, and output of one turn; while the peer takes no bytes and much is queued, nothing is read. What it can make it
 * do for nothing (resets, pings, settings, priorities, empty frames) costs tokens of a bucket; an empty bucket ends the
 * connection with ENHANCE_YOUR_CALM.
 */
#ifndef PING_NET_HTTP2_H
#define PING_NET_HTTP2_H

#include "net/request.h"

enum { HTTP2_MAX_ACKS = 2048, HTTP2_FREE_STREAMS = 1024 };

/* What every session needs, once a server. ERROR_NO_MEMORY. */
enum error http2_shared_create(nghttp2_session_callbacks **ret_callbacks, nghttp2_option **ret_options);
/* The worker's unused streams. */
void http2_free_streams(struct worker *worker);

#endif
