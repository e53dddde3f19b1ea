/* Inside src/net: one HTTP request of either version, between a speaker and what answers it: an RPC method, a page, or 404.
 *
 *   request_open ─► request_add_header … ─► request_begin ─► request_data … ─► request_end
 *                                                 └─────────────┴────────────────┴──► respond, once, in the call or later;
 *                                                                                     of a stream then send … finish
 *   request_close, at any time: no answer is wanted any more
 */
#ifndef PING_NET_REQUEST_H
#define PING_NET_REQUEST_H

#include "net/connection.h"

enum { REQUEST_MAX_HEADERS = 128 };

struct request {
	struct rpc_exchange exchange;
	struct connection *connection;
	struct timer timer;	 /* the deadline, or the body's timeout if sooner */
	struct timer wake_timer; /* the method's */
	struct rpc_request head; /* in the call's arena, while there is a call */
	struct rpc_header *headers;
	size_t header_capacity, header_bytes;
	struct cors_answer cors;
	bool any_case;	/* header names come in any, as HTTP/1.1 has them */
	bool is_head;	/* HEAD: the answer has no body */
	bool too_large; /* the head: it will be answered 431 */
	bool begun, ended;
	uint64_t message; /* of a client that streams: which one is on its way, for body_timeout */
};

/* The transport is the speaker's. ERROR_NO_MEMORY. */
enum error request_open(struct request *request, struct connection *connection, const struct rpc_transport *transport);
/* For the speaker's respond and finish: the clock stops; respond is counted. */
void request_responded(struct request *request, const struct rpc_response *response);
void request_finished(struct request *request);
/* The speaker's wake, and has_room. */
void request_wake(struct rpc_exchange *exchange, int64_t due_us);
bool request_has_room(struct rpc_exchange *exchange, size_t bytes);
/* Copies. ":method" and ":path" are the request line, as in HTTP/2. Past the limits the request is marked too large. */
void request_add_header(struct request *request, struct slice name, struct slice value);
/* All headers are in. */
void request_begin(struct request *request);
void request_data(struct request *request, struct slice bytes);
void request_end(struct request *request);
void request_close(struct request *request);
static inline bool request_answered(const struct request *request)
{
	return request->begun && request->exchange.call == NULL;
}

/* "200 OK", for the status line and (its first three bytes) for :status. A status that is not in the table is one for which the
 * table lacks a row: 500. */
struct slice http_status_text(unsigned status);

#endif
