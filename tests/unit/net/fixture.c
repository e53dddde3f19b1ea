#include "fixture.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "ping/v1/ping.pb.h"

enum { MAX_HELD = 64 };

struct server *server;
struct server_config config;

/* ── What the server serves ── */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct held {
	struct task task;
	struct rpc_call *call;
} held[MAX_HELD];
static unsigned held_count, released_count;

static void hold_ping(struct rpc_call *call, const void *request, void *context)
{
	(void)request;
	(void)context;
	pthread_mutex_lock(&lock);
	held[held_count++].call = call;
	pthread_mutex_unlock(&lock);
}

static void answer_count(struct rpc_call *call, const void *request, void *context)
{
	(void)request;
	(void)context;
	rpc_call_reply(call, &(struct ping_v1_ping_count_response){.ping_count = rpc_call_client(call)->bytes[15]});
}

static void answer_big(struct rpc_call *call, const void *request, void *context)
{
	(void)request;
	(void)context;
	char *text = arena_alloc(rpc_call_arena(call), BIG_BYTES);
	if (text == NULL)
		abort();
	memset(text, 'a', BIG_BYTES);
	struct ping_v1_activity activity = {.client_ip = slice_make(text, BIG_BYTES)};
	rpc_call_reply(call, &(struct ping_v1_get_activity_response){.activity = &activity});
}

static void show_page(void *context, const struct rpc_request *request, struct http_response *response)
{
	(void)request;
	response->content_type = "text/plain";
	if (buffer_append_string(response->body, context) != ERROR_OK)
		abort();
}

static const struct rpc_method methods[] = {
	{.type = &ping_v1_ping_service_ping_count_method, .handle = answer_count, .context = NULL},
	{.type = &ping_v1_ping_service_ping_method, .handle = hold_ping, .context = NULL},
	{.type = &ping_v1_metrics_service_get_activity_method, .handle = answer_big, .context = NULL},
};

/* Whoever names a tag has it. */
static void show_file(void *context, const struct rpc_request *request, struct http_response *response)
{
	response->headers[response->header_count++] = (struct rpc_header){SLICE_LITERAL("etag"), SLICE_LITERAL("\"1\"")};
	if (rpc_request_header(request, "if-none-match") != NULL)
		response->status = 304;
	else
		show_page(context, request, response);
}

static char page[] = "alive\n", file[] = "file\n";
static const struct http_route routes[] = {
	{"/livez", show_page, page}, {"/files/one", show_page, page}, {"/files/*", show_file, file}};

static void answer_held(struct task *task)
{
	rpc_call_reply(((struct held *)task)->call, &(struct ping_v1_ping_response){0});
}

void release_held(void)
{
	pthread_mutex_lock(&lock);
	for (; released_count < held_count; released_count++) {
		struct held *one = &held[released_count];
		one->task.run = answer_held;
		executor_post(rpc_call_executor(one->call), &one->task);
	}
	pthread_mutex_unlock(&lock);
}

static unsigned count_held(void)
{
	pthread_mutex_lock(&lock);
	unsigned count = held_count - released_count;
	pthread_mutex_unlock(&lock);
	return count;
}

void rest(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

void wait_for_held(unsigned count)
{
	WAIT_UNTIL(count_held() >= count);
}

void wait_for_canceled(void)
{
	pthread_mutex_lock(&lock);
	struct rpc_call *call = held[released_count].call;
	pthread_mutex_unlock(&lock);
	WAIT_UNTIL(rpc_call_canceled(call));
}

/* ── Its life ── */

int fixture_setup(void **state)
{
	(void)state;
	static const char *const addresses[] = {"127.0.0.1:0"};
	held_count = released_count = 0;
	config = server_config_default();
	config.addresses = addresses;
	config.address_count = 1;
	config.worker_count = 2;
	config.methods = methods;
	config.method_count = sizeof methods / sizeof methods[0];
	config.routes = routes;
	config.route_count = sizeof routes / sizeof routes[0];
	return 0;
}

void start_server(void)
{
	struct error_note note = {""};
	enum error error = server_start(&config, &server, &note);
	if (error != ERROR_OK)
		fail_msg("server_start: %s: %s", error_name(error), note.text);
}

void drain_and_join(int64_t timeout_ms)
{
	server_drain(server, timeout_ms);
	server_join(server);
}

int fixture_teardown(void **state)
{
	(void)state;
	if (server == NULL)
		return 0;
	release_held();
	drain_and_join(0);
	server_destroy(server);
	server = NULL;
	return 0;
}

/* ── The client ── */

int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct timeval wait = {.tv_sec = WAIT_MS / 1000};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server_port(server, 0))};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

void send_bytes(int fd, const void *data, size_t size)
{
	for (size_t sent = 0; sent < size;) {
		ssize_t count = send(fd, (const char *)data + sent, size - sent, MSG_NOSIGNAL);
		assert_true(count > 0);
		sent += (size_t)count;
	}
}

void send_text(int fd, const char *text)
{
	send_bytes(fd, text, strlen(text));
}

struct answer read_answer(int fd, bool is_head)
{
	struct answer answer = {0};
	size_t size = 0;
	while (strstr(answer.head, "\r\n\r\n") == NULL) {
		assert_true(size + 1 < sizeof answer.head);
		assert_int_equal(recv(fd, answer.head + size, 1, 0), 1);
		size++;
	}
	assert_int_equal(sscanf(answer.head, "HTTP/1.1 %u ", &answer.status), 1);
	const char *length = strstr(answer.head, "Content-Length: ");
	answer.body_size = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
	for (size_t got = 0; !is_head && got < answer.body_size;) {
		char bytes[65536];
		size_t left = answer.body_size - got;
		ssize_t count = recv(fd, bytes, left < sizeof bytes ? left : sizeof bytes, 0);
		assert_true(count > 0);
		if (got < sizeof answer.body - 1) {
			size_t room = sizeof answer.body - 1 - got;
			memcpy(answer.body + got, bytes, (size_t)count < room ? (size_t)count : room);
		}
		got += (size_t)count;
	}
	return answer;
}

bool has_header(const struct answer *answer, const char *line)
{
	char whole[256];
	snprintf(whole, sizeof whole, "\r\n%s\r\n", line);
	return strcasestr(answer->head, whole) != NULL;
}

void expect_end(int fd)
{
	char byte;
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
}
