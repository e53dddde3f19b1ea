/* The RPC runtime without I/O: a transport hands in the head of a request, then its body in pieces, and is handed one answer.
 *
 *   transport                                       runtime
 *     rpc_call_create(pool, exchange)  ───────────►   a call; its arena takes the head
 *     rpc_call_begin(call, request)    ───────────►   method, protocol, codec, deadline
 *     rpc_call_data(call, bytes) …     ───────────►   collects, up to max_message_bytes
 *     rpc_call_end(call)               ───────────►   decodes, hands to the method
 *     respond(response)                ◄───────────   once, from begin on; but for a stream the exchange has no call any more
 *     send(body) …, finish(trailers)   ◄───────────   a stream's messages and end
 *     rpc_call_writable(call)          ───────────►   after send said that enough is waiting
 *     rpc_call_expire(call)            ───────────►   the deadline passed: answers so, drops what the method answers later
 *     rpc_call_abandon(call)           ───────────►   nobody waits for the answer; there will be none
 *
 *              begin            end              reply, fail
 *   CREATED ─────────► RECEIVING ─────► HANDLING ───────────────────────────► (back in the pool)
 *      │                   │               │ expire, abandon      reply, fail        ▲
 *      │ abandon           │ a mistake,    └───────────────► DETACHED ───────────────┤
 *      └───────────────────┴ expire, abandon ────────────────────────────────────────┘
 *
 * The wire is a table of protocols (rpc/protocol.h) chosen by content type; each names how it frames, and which codecs it takes.
 */
#ifndef PING_RPC_SERVER_H
#define PING_RPC_SERVER_H

#include "base/clock.h"
#include "rpc/call.h"

struct rpc_config {
	size_t max_message_bytes;   /* of one request message as sent; past it RESOURCE_EXHAUSTED. 4 MiB */
	size_t max_arena_bytes;	    /* of one call's memory: head, decoded message, what the method takes. 32 MiB */
	size_t max_response_bytes;  /* 64 MiB */
	size_t compress_min_bytes;  /* smaller messages are not compressed. 1 KiB */
	int64_t default_timeout_ms; /* for callers that give none; of streams it is max_timeout_ms. 30 s */
	int64_t max_timeout_ms;	    /* a longer wish is cut to it; methods that are endless have none. 5 min */
	struct clock *clock;
	/* Told of each call to a known method, when it is answered or abandoned (CANCELED), on the call's thread. Refused by
	 * HTTP's own means (405, 415): UNIMPLEMENTED. Optional. */
	void (*finished)(void *context, const struct method_type *method, enum error error, int64_t latency_us);
	void *context;
};

/* The defaults named above, with the system's clock. */
struct rpc_config rpc_config_default(void);

/* The methods. Read-only once made: all threads share it. */
struct rpc_server;

/* The methods are copied; their types and contexts must outlive the server. ERROR_ALREADY_EXISTS: two have one path. */
enum error rpc_server_create(const struct rpc_config *config, const struct rpc_method *methods, size_t count,
			     struct rpc_server **ret_server);
void rpc_server_destroy(struct rpc_server *server);

/* The calls of one thread, whose executor is given; calls and their memory are used again. */
struct rpc_pool;

enum error rpc_pool_create(struct rpc_server *server, struct executor *executor, struct rpc_pool **ret_pool);
/* No call may be left. */
void rpc_pool_destroy(struct rpc_pool *pool);
/* Calls that are not back in the pool. */
size_t rpc_pool_live(const struct rpc_pool *pool);

struct rpc_request {
	struct slice method; /* "POST" */
	struct slice path;   /* without the query */
	struct slice query;  /* behind the '?', as it came */
	const struct rpc_header *headers;
	size_t header_count;
	int64_t body_bytes; /* as announced; -1: not */
	struct address client;
};

struct rpc_response {
	unsigned status; /* HTTP's */
	const struct rpc_header *headers;
	size_t header_count;
	/* The transport may take the memory by swapping in another buffer. */
	struct buffer *body;
	/* Behind the body. */
	const struct rpc_header *trailers;
	size_t trailer_count;
	bool open; /* more is to come: send, finish */
};

struct rpc_exchange;

/* What the arguments hold is valid during the call alone. None of them abandons the call while it runs. */
struct rpc_transport {
	void (*respond)(struct rpc_exchange *exchange, const struct rpc_response *response);
	/* After an open response: more of the body. False: enough is waiting. */
	bool (*send)(struct rpc_exchange *exchange, struct slice bytes);
	/* The end, behind the rest of the body; the exchange has no call any more. */
	void (*finish)(struct rpc_exchange *exchange, struct slice bytes, const struct rpc_header *trailers, size_t count);
	/* rpc_call_paused has become false. */
	void (*resume)(struct rpc_exchange *exchange);
	/* rpc_call_woken is wanted then. Monotonic microseconds. */
	void (*wake)(struct rpc_exchange *exchange, int64_t due_us);
	/* Whether an answer of so many bytes may be kept until it is taken; if not, the caller is told RESOURCE_EXHAUSTED
	 * instead. NULL: always. */
	bool (*has_room)(struct rpc_exchange *exchange, size_t bytes);
};

/* The transport's side of one request, embedded in what it keeps for it. */
struct rpc_exchange {
	const struct rpc_transport *transport;
	struct rpc_call *call; /* NULL: answered, or never one */
};

/* Sets exchange->call. ERROR_NO_MEMORY. */
enum error rpc_call_create(struct rpc_pool *pool, struct rpc_exchange *exchange);
/* The request's headers and query must live as long as the call, as they do in its arena; the request itself need not. May
 * respond; UNIMPLEMENTED in gRPC's own words where it asks for a method that there is not. False: no method has this path, and
 * it is no gRPC; the call stays CREATED. */
bool rpc_call_begin(struct rpc_call *call, const struct rpc_request *request);
/* May respond; the rest of the body is then the transport's to drop. */
void rpc_call_data(struct rpc_call *call, struct slice bytes);
/* May respond. */
void rpc_call_end(struct rpc_call *call);
/* Responds. After begin. */
void rpc_call_expire(struct rpc_call *call);
void rpc_call_abandon(struct rpc_call *call);
/* Little is left of what was sent. May send and finish. */
void rpc_call_writable(struct rpc_call *call);
void rpc_call_woken(struct rpc_call *call);
/* The method takes no messages now: what comes should stay where it is. */
bool rpc_call_paused(const struct rpc_call *call);
/* Which message of a client that streams is on its way, from 1 on; 0: none, or it is not taken in now. */
uint64_t rpc_call_message_begun(const struct rpc_call *call);
/* Answers an error that has nothing to do with the method. After begin. */
void rpc_call_refuse(struct rpc_call *call, enum error error, const char *message);
/* Bytes of the request that are kept. */
size_t rpc_call_held_bytes(const struct rpc_call *call);
/* The client streams: its request ends when it likes. */
bool rpc_call_client_streams(const struct rpc_call *call);

/* The value of the first header of this name, or NULL. */
const struct slice *rpc_request_header(const struct rpc_request *request, const char *name);
/* Of one entry of an Accept- header: "q=0", also with zeros behind a point, says that it is not wanted (RFC 9110, 12.4.2). */
bool rpc_is_zero_weight(struct slice parameter);

#endif
