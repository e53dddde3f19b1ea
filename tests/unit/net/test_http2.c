/* HTTP/2 on real sockets, with libnghttp2 as the client too. */
#include "fixture.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_STREAMS = 512, TEXT_SIZE = 128 };

struct result {
	unsigned status;
	char content_type[TEXT_SIZE];
	size_t body_size;
	char body[TEXT_SIZE];
	bool ended; /* its answer is whole */
	bool closed;
	uint32_t error_code;
};

static struct {
	nghttp2_session *nghttp2;
	int fd;
	struct result results[MAX_STREAMS];
	unsigned closed_count, goaways, pings;
	int32_t last_stream_ids[4];
	uint32_t goaway_code;
	bool over; /* the connection has ended */
	nghttp2_option *options;
} client;

static struct result *result_of(int32_t id)
{
	assert_in_range(id, 1, 2 * MAX_STREAMS);
	return &client.results[id / 2];
}

static void keep(char text[TEXT_SIZE], size_t at, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size && at + i < TEXT_SIZE - 1; i++)
		text[at + i] = (char)data[i];
}

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
		     const uint8_t *value, size_t value_size, uint8_t flags, void *user_data)
{
	(void)nghttp2;
	(void)flags;
	(void)user_data;
	struct result *result = result_of(frame->hd.stream_id);
	if (slice_equal_string(slice_make(name, name_size), ":status"))
		result->status = (unsigned)strtoul((const char *)value, NULL, 10);
	if (slice_equal_string(slice_make(name, name_size), "content-type"))
		keep(result->content_type, 0, value, value_size);
	return 0;
}

static int on_data(nghttp2_session *nghttp2, uint8_t flags, int32_t id, const uint8_t *data, size_t size, void *user_data)
{
	(void)nghttp2;
	(void)flags;
	(void)user_data;
	struct result *result = result_of(id);
	keep(result->body, result->body_size, data, size);
	result->body_size += size;
	return 0;
}

static int on_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user_data)
{
	(void)nghttp2;
	(void)user_data;
	if (frame->hd.type == NGHTTP2_GOAWAY && client.goaways < 4) {
		client.last_stream_ids[client.goaways++] = frame->goaway.last_stream_id;
		client.goaway_code = frame->goaway.error_code;
	}
	if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK)
		client.pings++;
	if (frame->hd.stream_id > 0 && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		result_of(frame->hd.stream_id)->ended = true;
	return 0;
}

static int on_close(nghttp2_session *nghttp2, int32_t id, uint32_t error_code, void *user_data)
{
	(void)nghttp2;
	(void)user_data;
	struct result *result = result_of(id);
	result->closed = true;
	result->error_code = error_code;
	client.closed_count++;
	return 0;
}

static void write_pending(void)
{
	const uint8_t *data;
	ssize_t size;
	while (!client.over && (size = nghttp2_session_mem_send(client.nghttp2, &data)) > 0) {
		ssize_t sent = send(client.fd, data, (size_t)size, MSG_NOSIGNAL);
		client.over = sent < 0;
	}
}

/* Writes what is pending and reads once; what has not come within WAIT_MS fails the test. */
static void exchange_bytes(void)
{
	static uint8_t bytes[65536];
	write_pending();
	ssize_t count = recv(client.fd, bytes, sizeof bytes, 0);
	client.over = count <= 0;
	if (count > 0)
		assert_int_equal(nghttp2_session_mem_recv(client.nghttp2, bytes, (size_t)count), count);
	write_pending();
}

static void run_until_closed(unsigned count)
{
	while (client.closed_count < count) {
		assert_false(client.over);
		exchange_bytes();
	}
}

static void run_until_over(void)
{
	while (!client.over)
		exchange_bytes();
}

static int setup(void **state)
{
	memset(&client, 0, sizeof client);
	return fixture_setup(state);
}

static int teardown(void **state)
{
	nghttp2_session_del(client.nghttp2);
	close(client.fd);
	return fixture_teardown(state);
}

/* Starts the server and a session with it. window_bytes: of each stream, for what the server sends. */
static void connect_client(uint32_t window_bytes)
{
	nghttp2_session_callbacks *callbacks;
	start_server();
	client.fd = dial();
	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	assert_int_equal(nghttp2_session_client_new(&client.nghttp2, callbacks, NULL), 0);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_settings_entry setting = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window_bytes};
	assert_int_equal(nghttp2_submit_settings(client.nghttp2, 0, &setting, 1), 0);
}

static ssize_t read_text(nghttp2_session *nghttp2, int32_t id, uint8_t *output, size_t size, uint32_t *flags,
			 nghttp2_data_source *source, void *user_data)
{
	(void)nghttp2;
	(void)id;
	(void)user_data;
	const char *text = source->ptr;
	size_t length = strlen(text);
	assert_true(length <= size);
	memcpy(output, text, length);
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)length;
}

/* A body that never ends: each call gives what is asked for. */
static ssize_t read_endless(nghttp2_session *nghttp2, int32_t id, uint8_t *output, size_t size, uint32_t *flags,
			    nghttp2_data_source *source, void *user_data)
{
	(void)nghttp2;
	(void)id;
	(void)flags;
	(void)source;
	(void)user_data;
	memset(output, ' ', size);
	return (ssize_t)size;
}

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* `name`, `value`: one header more, or NULL. */
static int32_t submit(const char *path, const nghttp2_data_provider *body, const char *name, const char *value)
{
	nghttp2_nv fields[6] = {field(":method", "POST"), field(":scheme", "http"), field(":authority", "a"),
				field(":path", path), field("content-type", "application/json")};
	if (name != NULL)
		fields[5] = field(name, value);
	int32_t id = nghttp2_submit_request(client.nghttp2, NULL, fields, name == NULL ? 5 : 6, body, NULL);
	assert_true(id > 0);
	return id;
}

static int32_t submit_call(const char *path)
{
	static char text[] = "{}";
	nghttp2_data_provider body = {.source.ptr = text, .read_callback = read_text};
	return submit(path, &body, NULL, NULL);
}

static void expect_count(const struct result *result)
{
	assert_int_equal(result->status, 200);
	assert_string_equal(result->content_type, "application/json");
	assert_string_equal(result->body, "{\"pingCount\":\"1\"}");
	assert_int_equal(result->error_code, NGHTTP2_NO_ERROR);
}

static void many_streams_are_answered_at_once(void **state)
{
	(void)state;
	connect_client(65535);
	for (int i = 0; i < 400; i++) /* the last ones wait for the limit of 256 to allow them */
		submit_call(COUNT_PATH);
	run_until_closed(400);
	for (int i = 0; i < 400; i++)
		expect_count(&client.results[i]);
	assert_int_equal(server_stats(server).requests_http2, 400);
	assert_int_equal(server_stats(server).connections_accepted, 1);
}

static void a_held_call_does_not_hold_up_the_others(void **state)
{
	(void)state;
	connect_client(65535);
	int32_t held = submit_call(PING_PATH);
	int32_t other = submit_call(COUNT_PATH);
	run_until_closed(1);
	expect_count(result_of(other));
	assert_false(result_of(held)->closed);
	wait_for_held(1);
	release_held();
	run_until_closed(2);
	assert_string_equal(result_of(held)->body, "{}");
}

static void pages_and_404_are_served(void **state)
{
	(void)state;
	connect_client(65535);
	nghttp2_nv get[] = {field(":method", "GET"), field(":scheme", "http"), field(":authority", "a"),
			    field(":path", "/livez?x")};
	nghttp2_nv head[] = {field(":method", "HEAD"), field(":scheme", "http"), field(":authority", "a"),
			     field(":path", "/livez")};
	nghttp2_nv nowhere[] = {field(":method", "GET"), field(":scheme", "http"), field(":authority", "a"),
				field(":path", "/nowhere")};
	nghttp2_submit_request(client.nghttp2, NULL, get, 4, NULL, NULL);
	nghttp2_submit_request(client.nghttp2, NULL, head, 4, NULL, NULL);
	nghttp2_nv known[] = {field(":method", "GET"), field(":scheme", "http"), field(":authority", "a"),
			      field(":path", "/files/two"), field("if-none-match", "\"1\"")};
	nghttp2_submit_request(client.nghttp2, NULL, nowhere, 4, NULL, NULL);
	nghttp2_submit_request(client.nghttp2, NULL, known, 5, NULL, NULL);
	run_until_closed(4);
	assert_int_equal(client.results[3].status, 304);
	assert_int_equal(client.results[3].body_size, 0);
	assert_string_equal(client.results[0].body, "alive\n");
	assert_int_equal(client.results[1].status, 200);
	assert_int_equal(client.results[1].body_size, 0);
	assert_int_equal(client.results[2].status, 404);
}

static void an_answer_waits_for_the_window(void **state)
{
	(void)state;
	connect_client(1000);
	int32_t big = submit_call(BIG_PATH);
	run_until_closed(1);
	assert_int_equal(result_of(big)->error_code, NGHTTP2_NO_ERROR);
	assert_true(result_of(big)->body_size > BIG_BYTES);
}

static void an_answer_that_is_not_read_is_given_up(void **state)
{
	(void)state;
	config.write_timeout_ms = 30;
	connect_client(0); /* and never opened */
	int32_t big = submit_call(BIG_PATH);
	run_until_closed(1);
	assert_int_equal(result_of(big)->error_code, NGHTTP2_CANCEL);
}

static void an_answer_before_the_bodys_end_stops_the_body(void **state)
{
	(void)state;
	config.rpc.max_message_bytes = 100000;
	connect_client(65535);
	nghttp2_data_provider endless = {.read_callback = read_endless};
	int32_t id = submit(COUNT_PATH, &endless, NULL, NULL);
	run_until_closed(1);
	assert_int_equal(result_of(id)->status, 429);
	assert_true(result_of(id)->ended);
	assert_int_equal(result_of(id)->error_code, NGHTTP2_NO_ERROR);
	submit_call(COUNT_PATH);
	run_until_closed(2);
	expect_count(&client.results[1]);
}

static void a_page_posted_to_with_an_endless_body_is_answered_and_the_body_stopped(void **state)
{
	(void)state;
	connect_client(65535);
	nghttp2_data_provider endless = {.read_callback = read_endless};
	nghttp2_nv head[] = {field(":method", "HEAD"), field(":scheme", "http"), field(":authority", "a"),
			     field(":path", "/livez")};
	nghttp2_submit_request(client.nghttp2, NULL, head, 4, &endless, NULL);
	submit(COUNT_PATH "?", &endless, "connect-protocol-version", "0");
	submit("/livez", &endless, NULL, NULL);
	run_until_closed(3);
	assert_int_equal(client.results[0].status, 200);
	assert_int_equal(client.results[1].status, 400);
	assert_int_equal(client.results[2].status, 405);
}

static void an_answer_past_the_limit_is_refused_also_after_others(void **state)
{
	(void)state;
	config.rpc.max_response_bytes = 100000;
	connect_client(65535);
	for (int i = 0; i < 3; i++) {
		submit_call(COUNT_PATH);
		int32_t big = submit_call(BIG_PATH);
		run_until_closed(2 * (unsigned)i + 2);
		assert_int_equal(result_of(big)->status, 429);
	}
}

static void a_deadline_is_answered(void **state)
{
	(void)state;
	connect_client(65535);
	static char text[] = "{}";
	nghttp2_data_provider body = {.source.ptr = text, .read_callback = read_text};
	int32_t id = submit(PING_PATH, &body, "connect-timeout-ms", "20");
	run_until_closed(1);
	assert_int_equal(result_of(id)->status, 504);
}

static void a_reset_cancels_the_call(void **state)
{
	(void)state;
	connect_client(65535);
	int32_t id = submit_call(PING_PATH);
	write_pending();
	wait_for_held(1);
	nghttp2_submit_rst_stream(client.nghttp2, 0, id, NGHTTP2_CANCEL);
	write_pending();
	wait_for_canceled();
	release_held();
	submit_call(COUNT_PATH);
	run_until_closed(2);
	expect_count(&client.results[1]);
}

static void a_connection_that_ends_cancels_its_calls(void **state)
{
	(void)state;
	connect_client(65535);
	submit_call(PING_PATH);
	write_pending();
	wait_for_held(1);
	shutdown(client.fd, SHUT_RDWR);
	wait_for_canceled();
}

static void headers_past_the_limit_are_answered_431(void **state)
{
	(void)state;
	config.max_header_bytes = 1000;
	connect_client(65535);
	char value[1001];
	memset(value, 'a', 1000);
	value[1000] = 0;
	int32_t id = submit(COUNT_PATH, NULL, "x", value);
	run_until_closed(1);
	assert_int_equal(result_of(id)->status, 431);
}

static void bodies_past_the_connections_limit_are_refused(void **state)
{
	(void)state;
	config.max_buffered_bytes = 30000;
	connect_client(65535);
	nghttp2_data_provider endless = {.read_callback = read_endless};
	int32_t first = submit(COUNT_PATH, &endless, NULL, NULL);
	run_until_closed(1);
	assert_int_equal(result_of(first)->error_code, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void rapid_resets_end_the_connection(void **state)
{
	(void)state;
	connect_client(65535);
	/* HEADERS and RST_STREAM as raw frames: a client session would not reset so fast. POST, http, "/", and "a" as authority.
	 */
	write_pending();
	static uint8_t frames[3000 * 28], *p = frames;
	for (uint32_t i = 0; i < 3000; i++) {
		uint8_t high = (uint8_t)((2 * i + 1) >> 8), low = (uint8_t)(2 * i + 1);
		const uint8_t frame[28] = {0,
					   0,
					   6,
					   NGHTTP2_HEADERS,
					   NGHTTP2_FLAG_END_HEADERS,
					   0,
					   0,
					   high,
					   low,
					   0x83,
					   0x86,
					   0x84,
					   0x41,
					   1,
					   'a',
					   0,
					   0,
					   4,
					   NGHTTP2_RST_STREAM,
					   0,
					   0,
					   0,
					   high,
					   low,
					   0,
					   0,
					   0,
					   NGHTTP2_CANCEL};
		memcpy(p, frame, sizeof frame);
		p += sizeof frame;
	}
	send(client.fd, frames, sizeof frames, MSG_NOSIGNAL);
	uint8_t bytes[4096];
	uint8_t last[17] = {0};
	ssize_t count;
	while ((count = recv(client.fd, bytes, sizeof bytes, 0)) > 0)
		if (count >= 17)
			memcpy(last, bytes + count - 17, 17);
	assert_int_equal(last[3], NGHTTP2_GOAWAY);
	assert_int_equal(last[16], NGHTTP2_ENHANCE_YOUR_CALM);
	assert_true(server_stats(server).requests_http2 < 1500);
	assert_int_equal(server_stats(server).protocol_errors, 1);
}

static void a_flood_of_pings_ends_the_connection(void **state)
{
	(void)state;
	connect_client(65535);
	for (int i = 0; i < 3000; i++)
		nghttp2_submit_ping(client.nghttp2, 0, NULL);
	run_until_over();
	assert_true(client.pings < 1500);
	assert_int_equal(client.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void what_is_no_http2_ends_the_connection(void **state)
{
	(void)state;
	connect_client(65535);
	exchange_bytes();
	send_text(client.fd, "this is no frame at all, not at all");
	run_until_over();
	assert_int_equal(client.goaways, 1);
	assert_int_not_equal(client.goaway_code, NGHTTP2_NO_ERROR);
}

static void an_idle_connection_is_told_and_closed(void **state)
{
	(void)state;
	config.idle_timeout_ms = 30;
	connect_client(65535);
	run_until_over();
	assert_int_equal(client.goaways, 1);
	assert_int_equal(client.goaway_code, NGHTTP2_NO_ERROR);
}

static void draining_says_goaway_twice_and_answers_what_is_in_work(void **state)
{
	(void)state;
	connect_client(65535);
	int32_t held = submit_call(PING_PATH);
	write_pending();
	wait_for_held(1);
	server_drain(server, WAIT_MS);
	while (client.goaways == 0)
		exchange_bytes();
	assert_int_equal(client.last_stream_ids[0], INT32_MAX);
	/* The answer to the ping is out, so the second one comes, and names what will be answered. */
	while (client.goaways == 1)
		exchange_bytes();
	assert_int_equal(client.last_stream_ids[1], held);
	release_held();
	run_until_over();
	assert_string_equal(result_of(held)->body, "{}");
	server_join(server);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(many_streams_are_answered_at_once),
		TEST(a_held_call_does_not_hold_up_the_others),
		TEST(pages_and_404_are_served),
		TEST(an_answer_waits_for_the_window),
		TEST(an_answer_that_is_not_read_is_given_up),
		TEST(an_answer_before_the_bodys_end_stops_the_body),
		TEST(a_page_posted_to_with_an_endless_body_is_answered_and_the_body_stopped),
		TEST(an_answer_past_the_limit_is_refused_also_after_others),
		TEST(a_deadline_is_answered),
		TEST(a_reset_cancels_the_call),
		TEST(a_connection_that_ends_cancels_its_calls),
		TEST(headers_past_the_limit_are_answered_431),
		TEST(bodies_past_the_connections_limit_are_refused),
		TEST(rapid_resets_end_the_connection),
		TEST(a_flood_of_pings_ends_the_connection),
		TEST(what_is_no_http2_ends_the_connection),
		TEST(an_idle_connection_is_told_and_closed),
		TEST(draining_says_goaway_twice_and_answers_what_is_in_work),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
