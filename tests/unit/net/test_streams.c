/* Streams on real sockets: pieces of an answer and trailers over HTTP/1.1 and HTTP/2, and what holds a method or a client up when
 * the other side does not read. */
#include "fixture.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ping/v1/ping.pb.h"

#define GIVE_PATH "/test.Service/Give"
#define ECHO_PATH "/test.Service/Echo"
#define WAIT_PATH "/test.Service/Wait"

/* ── A service: gives as many messages as it is asked for; echoes what it is sent ── */

enum { FILLING_BYTES = 1000 };

static atomic_int given, canceled, echoed;
static atomic_bool pausing;
static struct rpc_call *_Atomic paused;

static void give_more(struct rpc_call *call, void *context)
{
	(void)context;
	int64_t *left = rpc_call_data_of(call);
	static char filling[FILLING_BYTES];
	memset(filling, 'a', sizeof filling);
	while (*left > 0) {
		struct ping_v1_ping_request message = {.timestamp_ms = *left,
						       .idempotency_key = slice_make(filling, sizeof filling)};
		(*left)--;
		atomic_fetch_add(&given, 1);
		if (!rpc_call_send(call, &message))
			return;
	}
	rpc_call_finish(call);
}

static void begin_giving(struct rpc_call *call, const void *request, void *context)
{
	int64_t *left = arena_alloc(rpc_call_arena(call), sizeof *left);
	if (left == NULL)
		abort();
	*left = ((const struct ping_v1_ping_request *)request)->timestamp_ms;
	rpc_call_set_data(call, left);
	if (rpc_call_add_trailer(call, SLICE_LITERAL("x-end"), SLICE_LITERAL("yes")) != ERROR_OK)
		abort();
	give_more(call, context);
}

static void give_up(struct rpc_call *call, void *context)
{
	(void)context;
	atomic_fetch_add(&canceled, 1);
	rpc_call_fail(call, ERROR_CANCELED, NULL);
}

static void begin_echo(struct rpc_call *call, const void *request, void *context)
{
	(void)request;
	(void)context;
	if (!atomic_load(&pausing))
		return;
	rpc_call_pause(call);
	atomic_store(&paused, call);
}

static void begin_waiting(struct rpc_call *call, const void *request, void *context)
{
	(void)request;
	(void)context;
	rpc_call_send(call, &(struct ping_v1_ping_request){.timestamp_ms = 1});
}

static void echo(struct rpc_call *call, const void *message, void *context)
{
	(void)context;
	if (message == NULL) {
		rpc_call_finish(call);
		return;
	}
	atomic_fetch_add(&echoed, 1);
	rpc_call_send(call, message);
}

static const struct method_type give_type = {.name = "Give",
					     .path = GIVE_PATH,
					     .request = &ping_v1_ping_request_type,
					     .response = &ping_v1_ping_request_type,
					     .server_streaming = true};
static const struct method_type echo_type = {.name = "Echo",
					     .path = ECHO_PATH,
					     .request = &ping_v1_ping_request_type,
					     .response = &ping_v1_ping_request_type,
					     .client_streaming = true,
					     .server_streaming = true};
static const struct method_type wait_type = {.name = "Wait",
					     .path = WAIT_PATH,
					     .request = &ping_v1_ping_request_type,
					     .response = &ping_v1_ping_request_type,
					     .server_streaming = true};
static const struct rpc_method stream_methods[] = {
	{.type = &give_type, .handle = begin_giving, .writable = give_more, .canceled = give_up},
	{.type = &wait_type, .handle = begin_waiting, .canceled = give_up},
	{.type = &echo_type, .handle = begin_echo, .receive = echo, .canceled = give_up},
};

/* ── A client of either version; what it is sent is kept whole ── */

static struct {
	int fd;
	nghttp2_session *nghttp2;
	struct buffer text; /* of HTTP/1.1: all; of HTTP/2: the heads and trailers, "name: value\n" */
	struct buffer body;
	struct buffer request; /* what HTTP/2 has to send, `sent` of it */
	size_t sent;
	bool request_ends, closed, over;
	uint32_t error_code;
} client;

static int setup(void **state)
{
	fixture_setup(state);
	config.methods = stream_methods;
	config.method_count = sizeof stream_methods / sizeof stream_methods[0];
	atomic_store(&given, 0);
	atomic_store(&canceled, 0);
	atomic_store(&echoed, 0);
	atomic_store(&pausing, false);
	atomic_store(&paused, NULL);
	memset(&client, 0, sizeof client);
	buffer_init(&client.text, SIZE_MAX);
	buffer_init(&client.body, SIZE_MAX);
	buffer_init(&client.request, SIZE_MAX);
	client.fd = -1;
	return 0;
}

static int teardown(void **state)
{
	nghttp2_session_del(client.nghttp2);
	if (client.fd >= 0)
		close(client.fd);
	buffer_release(&client.text);
	buffer_release(&client.body);
	buffer_release(&client.request);
	return fixture_teardown(state);
}

static void append(struct buffer *buffer, const void *data, size_t size)
{
	assert_int_equal(buffer_append(buffer, data, size), ERROR_OK);
}

/* An envelope with a PingRequest of this timestamp (below 16384). */
static void append_message(struct buffer *buffer, unsigned timestamp)
{
	const uint8_t bytes[] = {0, 0, 0, 0, 3, 0x08, (uint8_t)(timestamp | 0x80), (uint8_t)(timestamp >> 7)};
	append(buffer, bytes, sizeof bytes);
}

/* Envelopes in the body, whose flags are those. */
static unsigned count_messages(uint8_t flags)
{
	unsigned count = 0;
	for (size_t at = 0; at + 5 <= client.body.size;) {
		const uint8_t *head = client.body.data + at;
		size_t size = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
		if (at + 5 + size > client.body.size)
			break;
		count += head[0] == flags;
		at += 5 + size;
	}
	return count;
}

static bool says(const char *text)
{
	return client.text.size > 0 && memmem(client.text.data, client.text.size, text, strlen(text)) != NULL;
}

/* What a method has given when it gives no more for a while; that it waits is then known by the count alone. */
static int wait_until_given_rests(void)
{
	int before;
	do {
		before = atomic_load(&given);
		for (int i = 0; i < 50; i++)
			rest();
	} while (atomic_load(&given) != before);
	return before;
}

/* ── HTTP/1.1 ── */

static void send_give(unsigned count, const char *version, const char *type)
{
	struct buffer body;
	buffer_init(&body, SIZE_MAX);
	append_message(&body, count);
	char head[300];
	int size = snprintf(head, sizeof head,
			    "POST " GIVE_PATH " HTTP/%s\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", version,
			    type, body.size);
	send_bytes(client.fd, head, (size_t)size);
	send_bytes(client.fd, body.data, body.size);
	buffer_release(&body);
}

/* Reads until the text ends so, or the connection does. */
static void read_until(const char *end)
{
	static char bytes[65536];
	size_t size = strlen(end);
	while (client.text.size < size || memcmp(client.text.data + client.text.size - size, end, size) != 0) {
		ssize_t count = recv(client.fd, bytes, sizeof bytes, 0);
		assert_true(count >= 0);
		if (count == 0) {
			client.over = true;
			return;
		}
		append(&client.text, bytes, (size_t)count);
	}
}

/* Takes the chunks of the text apart, from its head's end on, into the body; returns where the last one ended. */
static size_t take_chunks(void)
{
	const char *text = (const char *)client.text.data;
	const char *at = memmem(text, client.text.size, "\r\n\r\n", 4);
	assert_non_null(at);
	at += 4;
	for (;;) {
		char *end;
		size_t size = strtoul(at, &end, 16);
		assert_memory_equal(end, "\r\n", 2);
		at = end + 2;
		if (size == 0)
			return (size_t)(at - text);
		append(&client.body, at, size);
		assert_memory_equal(at + size, "\r\n", 2);
		at += size + 2;
	}
}

static void a_stream_comes_in_chunks_and_leaves_the_connection_open(void **state)
{
	(void)state;
	start_server();
	client.fd = dial();
	for (int round = 0; round < 2; round++) {
		buffer_clear(&client.text);
		buffer_clear(&client.body);
		send_give(500, "1.1", "application/connect+proto");
		read_until("\r\n0\r\n\r\n");
		assert_true(says("HTTP/1.1 200 OK\r\n") && says("Transfer-Encoding: chunked\r\n") && !says("Connection: close"));
		take_chunks();
		assert_int_equal(count_messages(0), 500);
		assert_int_equal(count_messages(2), 1);
	}
}

static void a_stream_to_http_1_0_ends_with_the_connection(void **state)
{
	(void)state;
	start_server();
	client.fd = dial();
	send_give(100, "1.0", "application/connect+proto");
	read_until("never");
	assert_true(client.over && !says("chunked"));
	const uint8_t *body = memmem(client.text.data, client.text.size, "\r\n\r\n", 4);
	append(&client.body, body + 4, client.text.size - (size_t)(body + 4 - client.text.data));
	assert_int_equal(count_messages(0), 100);
	assert_int_equal(count_messages(2), 1);
}

static void trailers_follow_the_last_chunk(void **state)
{
	(void)state;
	start_server();
	client.fd = dial();
	send_give(1, "1.1", "application/grpc");
	read_until("\r\n\r\n");
	while (!says("grpc-status"))
		read_until("yes\r\n\r\n");
	size_t end = take_chunks();
	static const char trailers[] = "grpc-status: 0\r\nx-end: yes\r\n\r\n";
	assert_int_equal(client.text.size - end, sizeof trailers - 1);
	assert_memory_equal(client.text.data + end, trailers, sizeof trailers - 1);
	assert_int_equal(count_messages(0), 1);
}

static void a_method_waits_for_who_does_not_read_http1(void **state)
{
	(void)state;
	start_server();
	client.fd = dial();
	send_give(16000, "1.1", "application/connect+proto"); /* 16 MB */
	int before = wait_until_given_rests();
	assert_in_range(before, 1, 4000);
	read_until("\r\n0\r\n\r\n");
	assert_int_equal(atomic_load(&given), 16000);
}

/* Nothing is sent that could fail: the end of what the client sends is all that tells. */
static void a_stream_that_says_nothing_is_canceled_when_its_client_closes(void **state)
{
	(void)state;
	start_server();
	client.fd = dial();
	append_message(&client.body, 200);
	char head[200];
	int size = snprintf(head, sizeof head,
			    "POST " WAIT_PATH
			    " HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: %zu\r\n\r\n",
			    client.body.size);
	send_bytes(client.fd, head, (size_t)size);
	send_bytes(client.fd, client.body.data, client.body.size);
	read_until("\x02\x08\x01\r\n"); /* the one message */
	shutdown(client.fd, SHUT_WR);
	WAIT_UNTIL(atomic_load(&canceled) == 1);
}

static void a_stream_whose_client_goes_is_canceled(void **state)
{
	(void)state;
	start_server();
	client.fd = dial();
	send_give(16000, "1.1", "application/connect+proto");
	wait_until_given_rests();
	close(client.fd);
	client.fd = -1;
	WAIT_UNTIL(atomic_load(&canceled) == 1);
}

/* ── HTTP/2 ── */

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
		     const uint8_t *value, size_t value_size, uint8_t flags, void *user_data)
{
	(void)nghttp2, (void)frame, (void)flags, (void)user_data;
	append(&client.text, name, name_size);
	append(&client.text, ": ", 2);
	append(&client.text, value, value_size);
	append(&client.text, "\n", 1);
	return 0;
}

static int on_data(nghttp2_session *nghttp2, uint8_t flags, int32_t id, const uint8_t *data, size_t size, void *user_data)
{
	(void)nghttp2, (void)flags, (void)id, (void)user_data;
	append(&client.body, data, size);
	return 0;
}

static int on_close(nghttp2_session *nghttp2, int32_t id, uint32_t error_code, void *user_data)
{
	(void)nghttp2, (void)id, (void)user_data;
	client.closed = true;
	client.error_code = error_code;
	return 0;
}

static ssize_t read_request(nghttp2_session *nghttp2, int32_t id, uint8_t *output, size_t size, uint32_t *flags,
			    nghttp2_data_source *source, void *user_data)
{
	(void)nghttp2, (void)id, (void)source, (void)user_data;
	size_t left = client.request.size - client.sent, count = left < size ? left : size;
	if (count > 0)
		memcpy(output, client.request.data + client.sent, count);
	client.sent += count;
	if (client.sent == client.request.size && client.request_ends)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	else if (count == 0)
		return NGHTTP2_ERR_DEFERRED;
	return (ssize_t)count;
}

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* One request, whose body is client.request as it grows. `window`: of the stream, which this client never opens by itself. */
static void request_stream(const char *path, uint32_t window)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *options;
	client.fd = dial();
	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	assert_int_equal(nghttp2_option_new(&options), 0);
	nghttp2_option_set_no_auto_window_update(options, 1);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	assert_int_equal(nghttp2_session_client_new2(&client.nghttp2, callbacks, NULL, options), 0);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(options);
	nghttp2_settings_entry setting = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window};
	nghttp2_submit_settings(client.nghttp2, 0, &setting, 1);
	nghttp2_session_set_local_window_size(client.nghttp2, 0, 0, 1 << 30);
	nghttp2_nv fields[] = {field(":method", "POST"),
			       field(":scheme", "http"),
			       field(":authority", "a"),
			       field(":path", path),
			       field("content-type", "application/grpc"),
			       field("te", "trailers")};
	nghttp2_data_provider body = {.read_callback = read_request};
	assert_int_equal(nghttp2_submit_request(client.nghttp2, NULL, fields, 6, &body, NULL), 1);
}

static void write_pending(void)
{
	const uint8_t *data;
	ssize_t size;
	while ((size = nghttp2_session_mem_send(client.nghttp2, &data)) > 0)
		send_bytes(client.fd, data, (size_t)size);
}

/* Writes what is pending, reads once. */
static void exchange_bytes(void)
{
	static uint8_t bytes[65536];
	write_pending();
	ssize_t count = recv(client.fd, bytes, sizeof bytes, 0);
	assert_true(count > 0);
	assert_int_equal(nghttp2_session_mem_recv(client.nghttp2, bytes, (size_t)count), count);
	nghttp2_session_consume_connection(client.nghttp2, (size_t)count);
	write_pending();
}

static void more_of_the_request(void)
{
	nghttp2_session_resume_data(client.nghttp2, 1);
	write_pending();
}

static void ask_for(unsigned count, uint32_t window)
{
	start_server();
	append_message(&client.request, count);
	client.request_ends = true;
	request_stream(GIVE_PATH, window);
}

static void trailers_come_behind_the_messages(void **state)
{
	(void)state;
	ask_for(300, 1 << 30);
	while (!client.closed)
		exchange_bytes();
	assert_int_equal(client.error_code, NGHTTP2_NO_ERROR);
	assert_int_equal(count_messages(0), 300);
	static const char trailers[] = "grpc-status: 0\nx-end: yes\n";
	assert_true(says(":status: 200\ncontent-type: application/grpc+proto\n"));
	assert_memory_equal(client.text.data + client.text.size - (sizeof trailers - 1), trailers, sizeof trailers - 1);
}

static void a_stream_of_nothing_has_head_and_trailers(void **state)
{
	(void)state;
	ask_for(0, 1 << 20);
	while (!client.closed)
		exchange_bytes();
	assert_int_equal(client.body.size, 0);
	assert_true(says(":status: 200\n") && says("grpc-status: 0\n"));
}

static void a_method_waits_for_the_window(void **state)
{
	(void)state;
	ask_for(2000, 1000);
	while (client.body.size < 1000)
		exchange_bytes();
	assert_in_range(wait_until_given_rests(), 2, 200); /* 64 KiB wait, a message is a KiB */
	assert_int_equal(client.body.size, 1000);
	nghttp2_submit_window_update(client.nghttp2, 0, 1, 1 << 29);
	while (!client.closed)
		exchange_bytes();
	assert_int_equal(count_messages(0), 2000);
	assert_int_equal(client.error_code, NGHTTP2_NO_ERROR);
}

static void a_stream_whose_window_stays_shut_is_given_up(void **state)
{
	(void)state;
	config.write_timeout_ms = 30;
	ask_for(2000, 1000);
	while (!client.closed)
		exchange_bytes();
	assert_int_equal(client.error_code, NGHTTP2_CANCEL);
	WAIT_UNTIL(atomic_load(&canceled) == 1);
}

static void a_reset_cancels_a_stream_that_waits(void **state)
{
	(void)state;
	ask_for(2000, 1000);
	while (client.body.size < 1000)
		exchange_bytes();
	nghttp2_submit_rst_stream(client.nghttp2, 0, 1, NGHTTP2_CANCEL);
	write_pending();
	WAIT_UNTIL(atomic_load(&canceled) == 1);
}

static void both_sides_send_at_once(void **state)
{
	(void)state;
	start_server();
	request_stream(ECHO_PATH, 1 << 30);
	for (unsigned i = 1; i <= 20; i++) {
		append_message(&client.request, 200 + i);
		more_of_the_request();
		while (count_messages(0) < i) /* before the next one is sent */
			exchange_bytes();
	}
	client.request_ends = true;
	more_of_the_request();
	while (!client.closed)
		exchange_bytes();
	assert_int_equal(client.body.size, client.request.size);
	assert_memory_equal(client.body.data, client.request.data, client.request.size);
	assert_true(says("grpc-status: 0\n"));
}

static void go_on(struct task *task)
{
	(void)task;
	rpc_call_resume(atomic_load(&paused));
}

static void a_client_waits_for_a_method_that_pauses(void **state)
{
	(void)state;
	enum { MESSAGES = 1 << 17, BYTES = MESSAGES * 8, WINDOW = 256 << 10 }; /* a MiB, into a window of 256 KiB */
	static struct task task = {.run = go_on};
	atomic_store(&pausing, true);
	start_server();
	for (unsigned i = 0; i < MESSAGES; i++)
		append_message(&client.request, 200);
	client.request_ends = true;
	request_stream(ECHO_PATH, 1 << 30);
	nghttp2_submit_ping(client.nghttp2, 0, NULL);
	while (client.sent < WINDOW || nghttp2_session_get_stream_remote_window_size(client.nghttp2, 1) > 0)
		exchange_bytes();
	assert_in_range(client.sent, WINDOW, WINDOW + 65536);
	assert_int_equal(atomic_load(&echoed), 0);
	WAIT_UNTIL(atomic_load(&paused) != NULL); /* the bytes may be there before the method */
	executor_post(rpc_call_executor(atomic_load(&paused)), &task);
	while (!client.closed)
		exchange_bytes();
	assert_int_equal(atomic_load(&echoed), MESSAGES);
	assert_int_equal(client.body.size, BYTES);
}

static void a_message_that_is_none_ends_the_stream_with_its_error(void **state)
{
	(void)state;
	start_server();
	append_message(&client.request, 100);
	append(&client.request, "\0\0\0\0\2\xff\xff", 7);
	request_stream(ECHO_PATH, 1 << 30);
	while (!client.closed)
		exchange_bytes();
	assert_int_equal(count_messages(0), 1);
	assert_true(says("grpc-status: 3\n"));
	assert_int_equal(atomic_load(&canceled), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_stream_comes_in_chunks_and_leaves_the_connection_open),
		TEST(a_stream_to_http_1_0_ends_with_the_connection),
		TEST(trailers_follow_the_last_chunk),
		TEST(a_method_waits_for_who_does_not_read_http1),
		TEST(a_stream_that_says_nothing_is_canceled_when_its_client_closes),
		TEST(a_stream_whose_client_goes_is_canceled),
		TEST(trailers_come_behind_the_messages),
		TEST(a_stream_of_nothing_has_head_and_trailers),
		TEST(a_method_waits_for_the_window),
		TEST(a_stream_whose_window_stays_shut_is_given_up),
		TEST(a_reset_cancels_a_stream_that_waits),
		TEST(both_sides_send_at_once),
		TEST(a_client_waits_for_a_method_that_pauses),
		TEST(a_message_that_is_none_ends_the_stream_with_its_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
