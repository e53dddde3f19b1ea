/* Inside src/net: a thread's share of the server. Everything here is for the worker's own thread, but for worker_post_drain. */
#ifndef PING_NET_WORKER_H
#define PING_NET_WORKER_H

#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/loop.h"
#include "net/peer_counts.h"
#include "net/server.h"

enum { WORKER_INPUT_BYTES = 64 << 10, WORKER_OUTPUT_BYTES = 64 << 10, DATE_SIZE = 30 };

enum worker_counter {
	COUNTER_ACCEPTED,
	COUNTER_CLOSED,
	COUNTER_REFUSED,
	COUNTER_ACCEPT_PAUSES,
	COUNTER_REQUESTS_HTTP1,
	COUNTER_REQUESTS_HTTP2,
	COUNTER_RESPONSES, /* six of them */
	COUNTER_PROTOCOL_ERRORS = COUNTER_RESPONSES + 6,
	COUNTER_TIMEOUTS,
	COUNTER_TLS_HANDSHAKES,
	COUNTER_TLS_FAILURES,
	COUNTER_CROWDED,
	COUNTERS,
};

/* What all workers read. */
struct server_shared {
	struct server_config config;
	struct rpc_server *rpc;
	nghttp2_session_callbacks *http2_callbacks;
	nghttp2_option *http2_options;
	struct peer_counts *peers;
	atomic_uint connection_count;
	atomic_size_t held_bytes; /* by all connections, see connection_count */
};

struct listener {
	struct loop_watch watch;
	struct timer resume; /* armed: accepting is paused */
	struct worker *worker;
	struct tls *tls; /* NULL: none is spoken here */
};

struct worker {
	struct server_shared *shared;
	struct loop *loop;
	struct rpc_pool *pool;
	pthread_t thread;
	struct listener *listeners; /* one an address */
	size_t listener_count;
	struct connection *connections;
	struct stream *free_streams;
	size_t free_stream_count;
	struct buffer output, page; /* scratch: what a turn writes to one connection; a route's body */
	struct task drain;
	atomic_bool drain_posted;
	atomic_int_fast64_t drain_timeout_ms;
	struct timer drain_timer, quit_timer;
	int64_t date_us, date_s;
	char date[DATE_SIZE];
	atomic_uint_fast64_t counters[COUNTERS];		       /* written by this thread alone */
	uint8_t input[WORKER_INPUT_BYTES], opened[WORKER_INPUT_BYTES]; /* of a socket; what TLS makes of it */
};

static inline void worker_count(struct worker *worker, unsigned counter)
{
	atomic_uint_fast64_t *count = &worker->counters[counter];
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* `fds` are listening sockets, one an address; they become the worker's also on failure. */
enum error worker_create(struct server_shared *shared, const int *fds, size_t count, struct worker **ret_worker);
enum error worker_start(struct worker *worker);
/* Any thread, any number of times: the last timeout counts. */
void worker_post_drain(struct worker *worker, int64_t timeout_ms);
void worker_join(struct worker *worker);
void worker_destroy(struct worker *worker);

/* The value of a Date header (RFC 9110, 5.6.7), made once a second. */
struct slice worker_date(struct worker *worker);

#endif
