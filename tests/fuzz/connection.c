/* A whole connection: bytes from a peer, in pieces, through sockets, loop, HTTP/1.1, HTTP/2 (libnghttp2's callbacks) and the
 * runtime, to methods and back. Whatever comes, it ends when the peer goes or time passes, every call is given back, and what an
 * HTTP/2 peer is sent are frames.
 *
 * input: a byte that says how (0: all at once, 1 to 127: in pieces of so many bytes; 128 more: the peer reads late);
 * the rest is what the peer sends.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "net/connection.h"
#include "net/http2.h"
#include "service.h"

enum { LATE = 0x80, PIECES = 0x7f, TURNS = 200, FRAME_HEAD = 9, FRAME_MOST = 16384 };

/* ── Time stands still until it is moved ── */

static const int64_t hour_us = INT64_C(3600000000);
static int64_t time_us = 1000000;

static int64_t tell_us(struct clock *clock)
{
	(void)clock;
	return time_us;
}

static int64_t tell_ms(struct clock *clock)
{
	(void)clock;
	return time_us / 1000;
}

static struct clock standing = {.wall_ms = tell_ms, .monotonic_us = tell_us};

/* ── The server: one worker, whose loop is turned here ── */

static struct server_shared shared;
static struct worker *worker;

static void show_page(void *context, const struct rpc_request *request, struct http_response *response)
{
	(void)context;
	(void)request;
	response->content_type = "text/plain";
	FUZZ_CHECK(buffer_append_string(response->body, "alive\n") == ERROR_OK);
}

static void start_once(void)
{
	static const struct http_route routes[] = {{"/livez", show_page, NULL}};
	static struct address_network anyone;
	if (worker != NULL)
		return;
	shared.config = server_config_default();
	shared.config.clock = shared.config.rpc.clock = &standing;
	shared.config.routes = routes;
	shared.config.route_count = 1;
	shared.config.trusted_proxies = &anyone;
	shared.config.trusted_proxy_count = 1;
	shared.config.rpc.max_message_bytes = 1 << 16;
	FUZZ_CHECK(rpc_server_create(&shared.config.rpc, fuzz_methods, fuzz_method_count, &shared.rpc) == ERROR_OK);
	FUZZ_CHECK(http2_shared_create(&shared.http2_callbacks, &shared.http2_options) == ERROR_OK);
	FUZZ_CHECK(peer_counts_create(0, 1, &shared.peers) == ERROR_OK);
	FUZZ_CHECK(worker_create(&shared, NULL, 0, &worker) == ERROR_OK);
}

static void end_turn(struct task *task)
{
	(void)task;
	loop_quit(worker->loop);
}

static void turn(void)
{
	struct task last = {.run = end_turn};
	loop_defer(worker->loop, &last);
	loop_run(worker->loop);
}

/* ── The peer ── */

struct peer {
	int fd;
	bool closed, http2;
	uint8_t head[FRAME_HEAD];
	size_t head_size, payload_left;
};

/* What is sent to an HTTP/2 peer is a run of frames of kinds that a server sends. */
static void check_frames(struct peer *peer, struct slice bytes)
{
	for (size_t i = 0; i < bytes.size; i++) {
		if (peer->payload_left > 0) {
			peer->payload_left--;
			continue;
		}
		peer->head[peer->head_size++] = bytes.data[i];
		if (peer->head_size < FRAME_HEAD)
			continue;
		peer->head_size = 0;
		peer->payload_left = (size_t)peer->head[0] << 16 | (size_t)peer->head[1] << 8 | peer->head[2];
		FUZZ_CHECK(peer->payload_left <= FRAME_MOST);
		FUZZ_CHECK(peer->head[3] <= NGHTTP2_CONTINUATION && peer->head[3] != NGHTTP2_PUSH_PROMISE);
	}
}

static void read_all(struct peer *peer)
{
	static uint8_t bytes[1 << 16];
	ssize_t count;
	while ((count = recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		if (peer->http2)
			check_frames(peer, slice_make(bytes, (size_t)count));
	peer->closed |= count == 0;
}

static void write_all(struct peer *peer, struct slice bytes, size_t piece, bool late)
{
	for (int turns = 0; bytes.size > 0 && !peer->closed && turns < TURNS; turns++) {
		size_t size = piece > 0 && piece < bytes.size && turns < TURNS - 1 ? piece : bytes.size;
		ssize_t sent = send(peer->fd, bytes.data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent > 0)
			bytes = slice_make(bytes.data + sent, bytes.size - (size_t)sent);
		turn();
		if (!late)
			read_all(peer);
	}
}

/* No byte comes any more: in an hour all that waits has ended. */
static void wait_for_the_end(struct peer *peer)
{
	shutdown(peer->fd, SHUT_WR);
	for (int turns = 0; worker->connections != NULL; turns++) {
		FUZZ_CHECK(turns < TURNS);
		turn();
		read_all(peer);
		if (turns >= 8)
			time_us += hour_us;
	}
	FUZZ_CHECK(!peer->http2 || (peer->head_size == 0 && peer->payload_left == 0));
	close(peer->fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	int fds[2];
	if (size == 0)
		return 0;
	start_once();
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	struct peer peer = {.fd = fds[1]};
	struct slice bytes = slice_make(data + 1, size - 1);
	peer.http2 = bytes.size >= sizeof preface - 1 && memcmp(bytes.data, preface, sizeof preface - 1) == 0;
	FUZZ_CHECK(connection_create(worker, fds[0], &(struct address){{0}}, NULL) == ERROR_OK);
	write_all(&peer, bytes, data[0] & PIECES, data[0] & LATE);
	wait_for_the_end(&peer);
	for (int turns = 0; rpc_pool_live(worker->pool) > 0; turns++) {
		FUZZ_CHECK(turns < TURNS);
		turn();
	}
	return 0;
}
