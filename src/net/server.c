#include "net/server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http2.h"
#include "net/worker.h"

enum {
	MAX_WORKERS = 256,
	BACKLOG = 4096,
	/* What the kernel takes ahead of what the peer's window lets out. Without a bound it takes megabytes, and who reads
	 * slowly seems not to read at all until a third of them is gone. */
	UNSENT_BYTES = 128 << 10,
};

struct server {
	struct server_shared shared;
	unsigned *ports;
	struct worker **workers;
	unsigned worker_count, started_count;
};

struct server_config server_config_default(void)
{
	return (struct server_config){
		.clock = clock_system(),
		.rpc = rpc_config_default(),
		.max_connections = 10000,
		.max_connections_per_address = 1000,
		.max_streams = 256,
		.max_header_bytes = 64 << 10,
		.max_buffered_bytes = 16 << 20,
		.max_held_bytes = 256 << 20,
		.header_timeout_ms = 10000,
		.body_timeout_ms = 30000,
		.idle_timeout_ms = 120000,
		.write_timeout_ms = 30000,
	};
}

/* "127.0.0.1:8080", "[::1]:8080", and the host in any form that address_parse knows. */
static enum error parse_endpoint(const char *text, struct sockaddr_in6 *ret_endpoint, struct error_note *note)
{
	const char *colon = strrchr(text, ':');
	size_t host_size = colon == NULL ? 0 : (size_t)(colon - text);
	bool bracketed = host_size > 1 && text[0] == '[' && text[host_size - 1] == ']';
	struct slice host = bracketed ? slice_make(text + 1, host_size - 2) : slice_make(text, host_size);
	char *end = NULL;
	long port = colon == NULL || colon[1] < '0' || colon[1] > '9' ? -1 : strtol(colon + 1, &end, 10);
	struct address address;
	if (port < 0 || port > 65535 || *end != 0 || address_parse(host, &address) != ERROR_OK ||
	    bracketed != (memchr(host.data, ':', host.size) != NULL))
		return error_noted(note, ERROR_MALFORMED,
				   "\"%s\" is not an address and port such as 127.0.0.1:8080 or [::1]:8080", text);
	*ret_endpoint = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	memcpy(&ret_endpoint->sin6_addr, address.bytes, sizeof address.bytes);
	return ERROR_OK;
}

static int open_socket(const struct sockaddr_in6 *endpoint, bool shared)
{
	bool ipv4 = IN6_IS_ADDR_V4MAPPED(&endpoint->sin6_addr);
	int fd = socket(ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	/* These two are the connections' by inheritance. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){UNSENT_BYTES}, sizeof(int));
	if (shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
	int result;
	if (ipv4) {
		struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = endpoint->sin6_port};
		memcpy(&four.sin_addr, endpoint->sin6_addr.s6_addr + 12, 4);
		result = bind(fd, (struct sockaddr *)&four, sizeof four);
	} else {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
		result = bind(fd, (const struct sockaddr *)endpoint, sizeof *endpoint);
	}
	if (result == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* One socket a worker. SO_REUSEPORT would also let another process of this user in beside ours, so that the port is first taken
 * without it: a port in use is an error. */
static enum error listen_on(const char *text, int *fds, unsigned count, unsigned *ret_port, struct error_note *note)
{
	struct sockaddr_in6 endpoint;
	enum error error = parse_endpoint(text, &endpoint, note);
	if (error != ERROR_OK)
		return error;
	int probe = open_socket(&endpoint, false);
	if (probe < 0)
		goto fail;
	close(probe);
	for (unsigned i = 0; i < count; i++) {
		struct sockaddr_in6 bound;
		fds[i] = open_socket(&endpoint, true);
		if (fds[i] < 0 || listen(fds[i], BACKLOG) != 0 ||
		    getsockname(fds[i], (struct sockaddr *)&bound, &(socklen_t){sizeof bound}) != 0)
			goto fail;
		endpoint.sin6_port = bound.sin6_port; /* at the same place in sockaddr_in */
	}
	*ret_port = ntohs(endpoint.sin6_port);
	return ERROR_OK;
fail:
	return error_noted(note, errno == ENOMEM ? ERROR_NO_MEMORY : ERROR_UNAVAILABLE, "cannot listen on %s: %s%s", text,
			   strerror(errno),
			   errno == EADDRINUSE ? "; stop what listens there or choose another address (--listen)" : "");
}

static void close_all(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Fills sockets[address][worker] by way of fds[worker * addresses + address]. */
static enum error listen_on_all(struct server *server, int *fds, struct error_note *note)
{
	size_t addresses = server->shared.config.address_count;
	unsigned count = server->worker_count;
	int row[MAX_WORKERS];
	for (size_t i = 0; i < addresses; i++) {
		for (unsigned j = 0; j < count; j++)
			row[j] = -1;
		enum error error = listen_on(server->shared.config.addresses[i], row, count, &server->ports[i], note);
		for (unsigned j = 0; j < count; j++)
			fds[j * addresses + i] = row[j];
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

static unsigned count_workers(unsigned wished)
{
	long cores = wished > 0 ? (long)wished : sysconf(_SC_NPROCESSORS_ONLN);
	return cores < 1 ? 1 : cores > MAX_WORKERS ? MAX_WORKERS : (unsigned)cores;
}

static enum error create_shared(struct server *server, const struct server_config *config)
{
	server->shared.config = *config;
	server->worker_count = count_workers(config->worker_count);
	server->ports = calloc(config->address_count, sizeof *server->ports);
	server->workers = calloc(server->worker_count, sizeof(struct worker *));
	if (server->ports == NULL || server->workers == NULL)
		return ERROR_NO_MEMORY;
	enum error error =
		peer_counts_create(config->max_connections_per_address, config->max_connections, &server->shared.peers);
	if (error != ERROR_OK)
		return error;
	error = http2_shared_create(&server->shared.http2_callbacks, &server->shared.http2_options);
	if (error != ERROR_OK)
		return error;
	return rpc_server_create(&config->rpc, config->methods, config->method_count, &server->shared.rpc);
}

static enum error create_workers(struct server *server, int *fds)
{
	size_t addresses = server->shared.config.address_count;
	for (unsigned i = 0; i < server->worker_count; i++) {
		int *own = &fds[i * addresses];
		enum error error = worker_create(&server->shared, own, addresses, &server->workers[i]);
		for (size_t j = 0; j < addresses; j++)
			own[j] = -1;
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

static enum error start_workers(struct server *server)
{
	for (; server->started_count < server->worker_count; server->started_count++) {
		enum error error = worker_start(server->workers[server->started_count]);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

enum error server_start(const struct server_config *config, struct server **ret_server, struct error_note *note)
{
	assert(config->address_count > 0);
	struct server *server = calloc(1, sizeof *server);
	if (server == NULL)
		return ERROR_NO_MEMORY;
	int *fds = NULL;
	enum error error = create_shared(server, config);
	size_t fd_count = config->address_count * server->worker_count;
	if (error == ERROR_OK && (fds = malloc(fd_count * sizeof *fds)) == NULL)
		error = ERROR_NO_MEMORY;
	for (size_t i = 0; fds != NULL && i < fd_count; i++)
		fds[i] = -1;
	if (error == ERROR_OK)
		error = listen_on_all(server, fds, note);
	if (error == ERROR_OK)
		error = create_workers(server, fds);
	if (error == ERROR_OK)
		error = start_workers(server);
	if (fds != NULL)
		close_all(fds, fd_count);
	free(fds);
	if (error != ERROR_OK) {
		server_stop(server);
		server_join(server);
		server_destroy(server);
		return error;
	}
	*ret_server = server;
	return ERROR_OK;
}

unsigned server_port(const struct server *server, size_t index)
{
	return server->ports[index];
}

void server_drain(struct server *server, int64_t timeout_ms)
{
	for (unsigned i = 0; i < server->started_count; i++)
		worker_post_drain(server->workers[i], timeout_ms);
}

void server_stop(struct server *server)
{
	server_drain(server, 0);
}

void server_join(struct server *server)
{
	for (; server->started_count > 0; server->started_count--)
		worker_join(server->workers[server->started_count - 1]);
}

void server_destroy(struct server *server)
{
	if (server == NULL)
		return;
	assert(server->started_count == 0);
	for (unsigned i = 0; server->workers != NULL && i < server->worker_count; i++)
		worker_destroy(server->workers[i]);
	rpc_server_destroy(server->shared.rpc);
	peer_counts_destroy(server->shared.peers);
	nghttp2_session_callbacks_del(server->shared.http2_callbacks);
	nghttp2_option_del(server->shared.http2_options);
	free(server->workers);
	free(server->ports);
	free(server);
}

static uint64_t sum(const struct server *server, unsigned counter)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < server->worker_count; i++)
		total += atomic_load_explicit(&server->workers[i]->counters[counter], memory_order_relaxed);
	return total;
}

struct server_stats server_stats(const struct server *server)
{
	uint64_t closed = sum(server, COUNTER_CLOSED), accepted = sum(server, COUNTER_ACCEPTED);
	struct server_stats stats = {
		.connections_accepted = accepted,
		.connections_open = accepted > closed ? accepted - closed : 0,
		.connections_refused = sum(server, COUNTER_REFUSED),
		.accept_pauses = sum(server, COUNTER_ACCEPT_PAUSES),
		.requests_http1 = sum(server, COUNTER_REQUESTS_HTTP1),
		.requests_http2 = sum(server, COUNTER_REQUESTS_HTTP2),
		.protocol_errors = sum(server, COUNTER_PROTOCOL_ERRORS),
		.timeouts = sum(server, COUNTER_TIMEOUTS),
		.held_bytes = atomic_load_explicit(&server->shared.held_bytes, memory_order_relaxed),
		.crowded = sum(server, COUNTER_CROWDED),
		.tls_handshakes = sum(server, COUNTER_TLS_HANDSHAKES),
		.tls_failures = sum(server, COUNTER_TLS_FAILURES),
	};
	for (unsigned i = 0; i < 6; i++)
		stats.responses[i] = sum(server, COUNTER_RESPONSES + i);
	return stats;
}
