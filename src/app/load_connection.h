/* One HTTP/2 connection of a load: pings go out as streams, many at once, and come back in any order.
 *
 *   CLOSED ──open──► CONNECTING ──► OPEN ──GOAWAY──► DRAINING ──last answer──► CLOSED
 *      ▲                 │           │                   │
 *      └─────────────────┴───────────┴── error, end ─────┘     what was in flight is then UNKNOWN
 *
 * Over libnghttp2 instead of libcurl, with which all else is done: libcurl 7.88 fails every request but the first on a
 * prior-knowledge HTTP/2 connection (CURLE_HTTP2), and costs several times as much a request, which would measure the client.
 */
#ifndef PING_APP_LOAD_CONNECTION_H
#define PING_APP_LOAD_CONNECTION_H

#include "base/address.h"
#include "net/tls.h"

#include <sys/socket.h>

enum { LOAD_BODY_SIZE = 256, LOAD_ANSWER_SIZE = 512 };

/* One ping on its way. The caller owns it and leaves it alone from submit to done. */
struct load_request {
	char client[ADDRESS_TEXT_SIZE]; /* X-Forwarded-For */
	uint8_t body[LOAD_BODY_SIZE];
	size_t body_size;
	/* The caller's. */
	int64_t number, timestamp_ms, due_us, first_us;
	int attempts;
	struct load_request *next;
	/* The answer. */
	unsigned status; /* HTTP */
	uint8_t answer[LOAD_ANSWER_SIZE];
	size_t answer_size;
	/* The connection's. */
	int32_t stream_id;
	int64_t sent_us;
	size_t body_sent;
	struct load_request *newer, *older;
};

enum load_result {
	LOAD_ANSWERED,
	LOAD_NOT_TAKEN, /* the server said that it did not begin with it */
	LOAD_UNKNOWN,	/* the connection ended, or no answer came in time */
};

enum load_connection_state { LOAD_CLOSED, LOAD_CONNECTING, LOAD_OPEN, LOAD_DRAINING };

struct load_target {
	struct sockaddr_storage address;
	socklen_t address_size;
	char authority[300]; /* "127.0.0.1:8080" */
	char timeout_ms[16]; /* told to the server */
	char host[256];	     /* without brackets: whose certificate is wanted */
	struct tls *tls;     /* NULL: none */
};

struct load_connection;

/* "http://HOST:PORT", or https with `files`. INVALID_ARGUMENT, UNAVAILABLE (the name is not known), tls_create's; the note says
 * why. */
enum error load_target_resolve(const char *url, const struct tls_files *files, int64_t timeout_ms, struct load_target *ret_target,
			       struct error_note *note);
/* A zeroed one is fine. No connection may be left. */
void load_target_release(struct load_target *target);

/* done(): once for each request that was submitted, inside load_connection_turn, _expire or _close. */
enum error load_connection_create(const struct load_target *target,
				  void (*done)(void *context, struct load_request *request, enum load_result result),
				  void *context, struct load_connection **ret_connection);
void load_connection_destroy(struct load_connection *connection);
enum load_connection_state load_connection_state(const struct load_connection *connection);
/* errno of why it closed; 0: the other side ended it. */
int load_connection_errno(const struct load_connection *connection);
/* CLOSED → CONNECTING. IO: the socket cannot be made. */
enum error load_connection_open(struct load_connection *connection);
/* OPEN only. What is submitted goes out with the next turn. */
enum error load_connection_submit(struct load_connection *connection, struct load_request *request, int64_t now_us);
/* For poll(2): -1 while CLOSED. */
int load_connection_poll(const struct load_connection *connection, short *ret_events);
/* Reads and writes what it can. */
void load_connection_turn(struct load_connection *connection, short events);
/* Closes it when a request that was sent before `before_us` still has no answer. */
void load_connection_expire(struct load_connection *connection, int64_t before_us);
void load_connection_close(struct load_connection *connection);

#endif
