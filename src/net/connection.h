/* Inside src/net: one socket. It moves bytes and watches the clock; what they mean is its speaker's, of which there are three:
 *
 *   socket ─► PROXY v2 preamble ─► TLS, if there is ─► opening ──"PRI * HTTP/2.0…", ALPN h2──► http2
 *             from a trusted proxy                        └──────anything else───────────────► http1
 *
 *              connection_finish        all is written         the peer's end, or 1 s
 *   SPEAKING ─────────────────► FINISHING ───────────► LINGERING ────────────────────► CLOSED ─► freed when settled
 *      │                           │                       │                             ▲
 *      └───────────────────────────┴───────────────────────┴─────────────────────────────┘
 *                            connection_close: reset, error, time
 *
 * Lingering (RFC 9112, 9.6): a socket closed with unread bytes would reset, and the peer might never read the last answer.
 *
 * What one read brings is answered by one send behind it; what other threads' answers bring, by one send at the end of the turn
 * (the deferred task `settle`). What the socket doesn't take waits in `output`, or sealed in the TLS session; then nothing more
 * is sealed. TLS keeps nothing back of what was read: what the speaker does not take yet is in `input`.
 */
#ifndef PING_NET_CONNECTION_H
#define PING_NET_CONNECTION_H

#include "net/tls.h"
#include "net/worker.h"

enum { CONNECTION_SHARE_BYTES = 64 << 10 };

enum connection_state {
	CONNECTION_SPEAKING,
	CONNECTION_FINISHING,
	CONNECTION_LINGERING,
	CONNECTION_CLOSED,
	CONNECTION_STATES,
};

struct connection;

struct speaker {
	/* Takes bytes from the front and returns how many; the rest is given again, with more behind it, after the next read or
	 * connection_resume. */
	size_t (*receive)(struct connection *connection, struct slice bytes);
	/* Appends what is to be sent, about WORKER_OUTPUT_BYTES at most. Called again when that is written. */
	void (*produce)(struct connection *connection, struct buffer *output);
	/* Whether bytes are wanted now; `blocked`: the peer takes none. */
	bool (*wants_input)(struct connection *connection, bool blocked);
	/* The peer has sent its last byte. */
	void (*input_ended)(struct connection *connection);
	/* The time set by connection_expect is over. */
	void (*expired)(struct connection *connection);
	/* Finish what is in work, take no more. */
	void (*drain)(struct connection *connection);
	/* Bytes of requests and answers that it keeps. */
	size_t (*held)(const struct connection *connection);
	/* Forget everything; the connection is closed. */
	void (*release)(struct connection *connection);
};

struct connection {
	struct loop_watch watch;
	struct task settle;
	struct timer timer;
	struct worker *worker;
	struct connection *next, **link;
	const struct speaker *speaker;
	void *session; /* the speaker's */
	enum connection_state state;
	bool settling, input_ended, resumed, blocked, draining;
	struct tls_session *tls; /* NULL: none */
	bool tls_open, tls_closed;
	uint32_t events;			   /* watched for */
	int64_t read_expires_us, write_expires_us; /* INT64_MAX: never */
	int64_t read_timeout_ms;
	struct buffer input;  /* what the speaker has not taken yet; before: of a PROXY preamble */
	struct buffer output; /* what the socket has not taken yet, from output_sent on */
	size_t output_sent;
	size_t lingered_bytes;
	size_t counted_bytes; /* of what it holds, in the server's sum */
	struct address peer;  /* who connected, or for whom a trusted proxy says it did */
	bool trusts_peer;     /* its word on whom it forwards for is taken */
	bool counted;	      /* among its peer's */
	bool may_be_proxied;  /* a PROXY header may come first */
};

extern const struct speaker speaker_opening;
/* Make the connection speak it. ERROR_NO_MEMORY. */
enum error http1_open(struct connection *connection);
enum error http2_open(struct connection *connection);

/* Owns fd, also on failure, and a place in connection_count that the caller took; not on failure. tls NULL: none is spoken.
 * RESOURCE_EXHAUSTED: the peer has too many. */
enum error connection_create(struct worker *worker, int fd, const struct address *peer, struct tls *tls);
/* Hands over to another speaker; from within receive. */
void connection_speak(struct connection *connection, const struct speaker *speaker, void *session);
/* There is something to write, or to look at, at the end of the turn. */
void connection_settle_later(struct connection *connection);
/* As above, and the speaker takes input again. */
void connection_resume(struct connection *connection);
/* Brings the server's sum of what is held up to date, at the latest when a turn ends: sooner where much is added. */
void connection_count(struct connection *connection);
/* Whether it may come to hold so many bytes more: always within CONNECTION_SHARE_BYTES, past them while the server holds no more
 * than max_held_bytes. */
bool connection_has_room(struct connection *connection, size_t bytes);
/* The speaker's expired is called in timeout_ms, unless another time is set; 0: never. */
void connection_expect(struct connection *connection, int64_t timeout_ms);
/* No more input is taken; closed when all is written. */
void connection_finish(struct connection *connection);
void connection_close(struct connection *connection);
void connection_drain(struct connection *connection);
/* False: the peer has as many connections as one address may; this one is to be closed. */
bool connection_set_peer(struct connection *connection, const struct address *peer);

#endif
