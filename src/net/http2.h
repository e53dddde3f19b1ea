/* Inside src/net: HTTP/2 (RFC 9113) on libnghttp2, which does frames, HPACK and flow control; here are the requests and the
 * bounds.
 *
 *    HEADERS        their end       END_STREAM             respond               all sent
 *   ─────────► HEAD ─────────► BODY ──────────► WAITING ──────────► ANSWERING ─────────────► freed
 *                               │ respond (a mistake, the deadline)     ▲
 *                               └───────────────────────────────────────┘
 *                 RST_STREAM, sent or received, or the connection's end, from any of them ─► freed
 *
 * A stream of messages answers from BODY or WAITING on, while its request may go on; `body` holds what is not sent yet.
 *
 * What a peer can make a connection hold: max_streams streams, max_buffered_bytes of bodies, acknowledgements up to
 * HTTP2_MAX_ACKS, and output of one turn; while the peer takes no bytes and much is queued, nothing is read. What it can make it
 * do for nothing is the guard's to bound (net/http2_guard.h).
 */
#ifndef PING_NET_HTTP2_H
#define PING_NET_HTTP2_H

#include "net/http2_guard.h"
#include "net/http2_memory.h"
#include "net/request.h"

enum { HTTP2_MAX_ACKS = 2048, HTTP2_FREE_STREAMS = 1024, HTTP2_MAX_FIELDS = 72 };

/* What every session needs, once a server. ERROR_NO_MEMORY. */
enum error http2_shared_create(nghttp2_session_callbacks **ret_callbacks, nghttp2_option **ret_options);
/* The worker's unused streams. */
void http2_free_streams(struct worker *worker);

enum stream_state { STREAM_HEAD, STREAM_BODY, STREAM_WAITING, STREAM_ANSWERING, STREAM_STATES };

struct stream {
	struct request request;
	enum stream_state state;
	struct http2 *session;
	int32_t id;
	struct stream *next, **link; /* of the session, or the worker's free ones */
	struct buffer body;	     /* the answer's */
	size_t body_sent;
	struct buffer trailers;	 /* sizes and texts of names and values, see http2_answer.c */
	bool finished;		 /* the answer is all in `body` and `trailers` */
	bool starved;		 /* its method waits for room */
	size_t counted_bytes;	 /* what the session counts for this stream */
	size_t unconsumed_bytes; /* of the request: they stay in the peer's window while the call is paused */
	struct timer stall;	 /* the peer does not take its answer */
};

struct http2 {
	nghttp2_session *nghttp2;
	struct http2_memory memory;
	struct connection *connection;
	struct stream *streams;
	struct stream *current; /* of the frame that came last: its parts and the next one are most often this one's too */
	size_t buffered_bytes;
	size_t starved_count; /* streams */
	struct http2_guard guard;
	bool greeted; /* by the peer's SETTINGS */
	bool over;    /* the guard's word */
	bool draining, said_last;
	struct timer drain_timer;
};

void http2_set_state(struct stream *stream, enum stream_state state);
/* Counts what the stream holds. */
void http2_count(struct stream *stream);
/* The peer's window for the stream is opened again by what the call has taken. */
void http2_consume(struct stream *stream, size_t bytes);

/* http2_answer.c: what goes out. */
extern const struct rpc_transport http2_transport;
void http2_answer_init(struct stream *stream);
/* The answer is out: the rest of the request is not wanted (RFC 9113, 8.1). */
void http2_refuse_rest(struct stream *stream);
/* Streams whose methods wait and that have room again. */
void http2_feed(struct http2 *session);

#endif
