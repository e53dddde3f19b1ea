/* The server: RPC methods and plain pages over HTTP/1.1 and HTTP/2 on each of its addresses, with TLS (ALPN) or without (h2c by
 * prior knowledge).
 *
 *   server ─► worker (a thread, a loop, a pool of calls) ─► listener ─► connection ─► request (HTTP/2: a stream)
 *                │ one a core, nothing shared            SO_REUSEPORT spreads the connections over the workers
 *
 *   server_start ─► running ── server_drain ──► draining ── all answered, or too late ──► stopped ─► server_join
 *                      └───────────────────── server_stop ──────────────────────────────────▲            ─► server_destroy
 */
#ifndef PING_NET_SERVER_H
#define PING_NET_SERVER_H

#include "net/tls.h"
#include "net/cors.h"
#include "rpc/server.h"

enum { HTTP_RESPONSE_MAX_HEADERS = 16 };

struct http_response {
	unsigned status;				      /* 200 unless set. With 304 the body stays empty */
	const char *content_type;			      /* static; NULL: none */
	struct buffer *body;				      /* to append to */
	struct rpc_header headers[HTTP_RESPONSE_MAX_HEADERS]; /* beside the content type; static, names in lower case */
	size_t header_count;
};

/* A page: GET and HEAD of exactly this path; one that ends in '*' is for all that begin so, and stands behind those that are
 * exact. Answers at once, on a loop's thread: it must not block. */
struct http_route {
	const char *path;
	void (*handle)(void *context, const struct rpc_request *request, struct http_response *response);
	void *context;
};

/* server_config_default gives the values written here. */
struct server_config {
	const char *const *addresses; /* "127.0.0.1:8080", "[::1]:8080"; port 0: any; [::] is IPv6 alone */
	size_t address_count;
	size_t plain_count;    /* so many of the addresses, the last ones, speak without TLS also where there is a certificate */
	unsigned worker_count; /* 0: one a core */
	struct clock *clock;   /* the system's */

	struct rpc_config rpc;
	const struct rpc_method *methods; /* copied */
	size_t method_count;
	const struct http_route *routes; /* must outlive the server */
	size_t route_count;

	struct tls *tls; /* NULL: none. Must outlive the server */

	/* Peers whose PROXY v2 preamble, Forwarded and X-Forwarded-For are believed. Must outlive the server. */
	const struct address_network *trusted_proxies;
	size_t trusted_proxy_count;

	struct cors cors; /* who else may call from a browser: nobody */

	/* Of the whole server. At the limit, as when the process has no file descriptor left, nothing is accepted for 50 ms at a
	 * time; the kernel's backlog holds who comes meanwhile. 10,000 */
	unsigned max_connections;
	/* Of one client: an IPv4 address, or the /64 of an IPv6 one; more are closed at once. By what PROXY says where that is
	 * believed; a trusted proxy's own are not counted. 0: no limit. 1,000 */
	unsigned max_connections_per_address;
	unsigned max_streams;	   /* of one HTTP/2 connection at a time. 256 */
	size_t max_header_bytes;   /* of one request's head: RFC 9113's measure, 32 bytes a field more than its text. 64 KiB */
	size_t max_buffered_bytes; /* request and response bodies that one HTTP/2 connection holds; then its new streams are
				      refused. 16 MiB */
	/* The same of all connections together, and what TLS has sealed; while there is more, no connection may hold more than 64
	 * KiB: its request or answer becomes RESOURCE_EXHAUSTED. 256 MiB */
	size_t max_held_bytes;
	int64_t header_timeout_ms; /* from a request's first byte, or the connection's begin (the TLS handshake
				      is within), to the head's end. 10 s */
	int64_t body_timeout_ms;   /* from there to the body's end, or from a message's first byte to its last where the client
				      streams. 30 s */
	int64_t idle_timeout_ms;   /* between requests. 120 s */
	int64_t write_timeout_ms;  /* without the peer taking a byte. 30 s */
};

struct server_config server_config_default(void);

struct server;

/* Listens, then starts the threads. The note names the address and the reason: ERROR_MALFORMED (no address), ERROR_UNAVAILABLE
 * (in use, not allowed), ERROR_NO_MEMORY, ERROR_IO. */
enum error server_start(const struct server_config *config, struct server **ret_server, struct error_note *note);
/* The port that addresses[index] got. */
unsigned server_port(const struct server *server, size_t index);
/* Stops accepting; says so to every connection (HTTP/1.1: `connection: close`, HTTP/2: GOAWAY twice, RFC 9113, 6.8); requests in
 * work are answered. What is left after the timeout is closed. Returns at once. Any thread. */
void server_drain(struct server *server, int64_t timeout_ms);
/* The same with no time at all. */
void server_stop(struct server *server);
/* Waits until all threads have ended, which they do when they were drained or stopped and every call that a method still has is
 * answered. */
void server_join(struct server *server);
/* After server_join, and when the threads that answered calls have ended: until then one may still be within executor_post. */
void server_destroy(struct server *server);

struct server_stats {
	uint64_t connections_accepted, connections_open;
	uint64_t connections_refused; /* their address had as many as it may */
	uint64_t accept_pauses;	      /* at the limit, or out of file descriptors */
	uint64_t requests_http1, requests_http2;
	uint64_t responses[6];		       /* by the status' hundreds: [2] is 2xx */
	uint64_t protocol_errors;	       /* connections closed for what they sent */
	uint64_t timeouts;		       /* connections closed for what they did not send or take */
	uint64_t held_bytes, crowded;	       /* see max_held_bytes: now; and requests and answers refused for it */
	uint64_t tls_handshakes, tls_failures; /* done; and those that were none, or broke later */
};

/* Any thread; the numbers of one moment, more or less. */
struct server_stats server_stats(const struct server *server);

#endif
