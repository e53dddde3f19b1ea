/* gRPC, gRPC-Web and streams on the runtime, through a transport that remembers what it was told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "ping/v1/ping.pb.h"
#include "rpc/protocol.h"

enum { MESSAGE_LIMIT = 4096, BOMB_BYTES = 256 << 10 };

/* ── A transport ── */

static struct fake_exchange {
	struct rpc_exchange exchange;
	unsigned status;
	bool open, full, resumed;
	int64_t wake_us;
	char head[1024], trailers[1024]; /* "name: value\n" … */
	char body[8192];
	size_t body_size;
} fake;

static void write_fields(char *text, size_t size, const struct rpc_header *fields, size_t count)
{
	size_t used = 0;
	text[0] = 0;
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, size - used, "%.*s: %.*s\n", (int)fields[i].name.size,
					 (const char *)fields[i].name.data, (int)fields[i].value.size,
					 (const char *)fields[i].value.data);
}

static bool take_body(struct rpc_exchange *exchange, struct slice bytes)
{
	assert_ptr_equal(exchange, &fake.exchange);
	assert_true(fake.body_size + bytes.size < sizeof fake.body);
	if (bytes.size > 0)
		memcpy(fake.body + fake.body_size, bytes.data, bytes.size);
	fake.body_size += bytes.size;
	return !fake.full;
}

static void take_response(struct rpc_exchange *exchange, const struct rpc_response *response)
{
	assert_int_equal(fake.status, 0);
	assert_int_equal(exchange->call != NULL, response->open);
	fake.status = response->status;
	fake.open = response->open;
	write_fields(fake.head, sizeof fake.head, response->headers, response->header_count);
	write_fields(fake.trailers, sizeof fake.trailers, response->trailers, response->trailer_count);
	take_body(exchange, buffer_slice(response->body));
}

static void take_end(struct rpc_exchange *exchange, struct slice bytes, const struct rpc_header *trailers, size_t count)
{
	assert_true(fake.open);
	assert_null(exchange->call);
	fake.open = false;
	take_body(exchange, bytes);
	write_fields(fake.trailers, sizeof fake.trailers, trailers, count);
}

static void take_resume(struct rpc_exchange *exchange)
{
	(void)exchange;
	fake.resumed = true;
}

static void take_wake(struct rpc_exchange *exchange, int64_t due_us)
{
	(void)exchange;
	fake.wake_us = due_us;
}

static bool no_room;

static bool say_room(struct rpc_exchange *exchange, size_t bytes)
{
	(void)exchange;
	(void)bytes;
	return !no_room;
}

static const struct rpc_transport transport = {take_response, take_body, take_end, take_resume, take_wake, say_room};

static void post_nowhere(struct executor *executor, struct task *task)
{
	(void)executor;
	(void)task;
}

/* ── A service: unary, a stream out, a stream in ── */

static struct rpc_call *held;
static bool hold;
static int canceled_count, writable_count, woken_count, ended_count;
static char received[256]; /* timestamps, in their order */

static void handle_ping(struct rpc_call *call, const void *message, void *context)
{
	(void)context;
	const struct ping_v1_ping_request *request = message;
	held = call;
	if (hold)
		return;
	assert_int_equal(rpc_call_add_header(call, SLICE_LITERAL("x-seen-bin"), SLICE_LITERAL("\x01\x02")), ERROR_OK);
	assert_int_equal(rpc_call_add_header(call, SLICE_LITERAL("X-Upper"), SLICE_LITERAL("")), ERROR_INVALID_ARGUMENT);
	assert_int_equal(rpc_call_add_trailer(call, SLICE_LITERAL("x-split"), SLICE_LITERAL("a\nb")), ERROR_INVALID_ARGUMENT);
	assert_int_equal(rpc_call_add_trailer(call, SLICE_LITERAL("x-cost"), SLICE_LITERAL("7")), ERROR_OK);
	assert_int_equal(request->timestamp_ms, 5);
	rpc_call_reply(call, &(struct ping_v1_ping_response){0});
}

static void handle_count(struct rpc_call *call, const void *message, void *context)
{
	(void)message;
	(void)context;
	assert_int_equal(rpc_call_add_detail(call, SLICE_LITERAL("a.B"), SLICE_LITERAL("\x08\x01")), ERROR_OK);
	rpc_call_fail(call, ERROR_NOT_FOUND, "100% \xc3\xa4");
}

static void hold_call(struct rpc_call *call, const void *message, void *context)
{
	(void)message;
	(void)context;
	held = call;
}

static void receive(struct rpc_call *call, const void *message, void *context)
{
	(void)context;
	const struct ping_v1_ping_request *request = message;
	if (request == NULL) {
		ended_count++;
		return;
	}
	size_t size = strlen(received);
	snprintf(received + size, sizeof received - size, "%d ", (int)request->timestamp_ms);
	if (hold)
		rpc_call_pause(call);
}

static void on_canceled(struct rpc_call *call, void *context)
{
	(void)context;
	canceled_count++;
	assert_true(rpc_call_canceled(call));
	rpc_call_fail(call, ERROR_CANCELED, NULL);
}

static void on_writable(struct rpc_call *call, void *context)
{
	(void)call;
	(void)context;
	writable_count++;
}

static void on_wake(struct rpc_call *call, void *context)
{
	(void)call;
	(void)context;
	woken_count++;
}

static const struct method_type collect_type = {
	.name = "Collect",
	.path = "/test.Service/Collect",
	.request = &ping_v1_ping_request_type,
	.response = &ping_v1_ping_response_type,
	.client_streaming = true,
};

#define PING	"/ping.v1.PingService/Ping"
#define COUNT	"/ping.v1.PingService/PingCount"
#define WATCH	"/ping.v1.MetricsService/WatchWindowStats"
#define COLLECT "/test.Service/Collect"

static const struct rpc_method methods[] = {
	{.type = &ping_v1_ping_service_ping_method, .handle = handle_ping, .canceled = on_canceled},
	{.type = &ping_v1_ping_service_ping_count_method, .handle = handle_count},
	{.type = &ping_v1_metrics_service_watch_window_stats_method,
	 .handle = hold_call,
	 .canceled = on_canceled,
	 .writable = on_writable,
	 .wake = on_wake,
	 .endless = true},
	{.type = &collect_type, .handle = hold_call, .receive = receive, .canceled = on_canceled},
};

static struct rpc_server *server;
static struct rpc_pool *pool;

static int setup(void **state)
{
	static struct executor executor = {post_nowhere};
	(void)state;
	struct rpc_config config = rpc_config_default();
	config.max_message_bytes = MESSAGE_LIMIT;
	fake = (struct fake_exchange){.exchange.transport = &transport};
	held = NULL;
	hold = false;
	canceled_count = writable_count = woken_count = ended_count = 0;
	received[0] = 0;
	assert_int_equal(rpc_server_create(&config, methods, sizeof methods / sizeof methods[0], &server), ERROR_OK);
	assert_int_equal(rpc_pool_create(server, &executor, &pool), ERROR_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(rpc_pool_live(pool), 0);
	rpc_pool_destroy(pool);
	rpc_server_destroy(server);
	return 0;
}

/* ── Requests ── */

static void begin(const char *path, const char *type, const char *name, const char *value)
{
	static struct rpc_header headers[2];
	headers[0] = (struct rpc_header){SLICE_LITERAL("content-type"), slice_from_string(type)};
	headers[1] = (struct rpc_header){slice_from_string(name), slice_from_string(value)};
	struct rpc_request request = {
		.method = SLICE_LITERAL("POST"),
		.path = slice_from_string(path),
		.headers = headers,
		.header_count = 2,
		.body_bytes = -1,
	};
	assert_int_equal(rpc_call_create(pool, &fake.exchange), ERROR_OK);
	assert_true(rpc_call_begin(fake.exchange.call, &request));
}

static void data(const void *bytes, size_t size)
{
	for (size_t i = 0; i < size && fake.exchange.call != NULL; i++)
		rpc_call_data(fake.exchange.call, slice_make((const uint8_t *)bytes + i, 1));
}

static void end(void)
{
	if (fake.exchange.call != NULL)
		rpc_call_end(fake.exchange.call);
}

#define DATA(literal) data(literal, sizeof(literal) - 1)
/* timestamp_ms = 5, in an envelope. */
#define FIVE "\0\0\0\0\2\x08\5"

static void expect_body(const char *bytes, size_t size)
{
	assert_int_equal(fake.body_size, size);
	assert_memory_equal(fake.body, bytes, size);
}
#define EXPECT_BODY(literal) expect_body(literal, sizeof(literal) - 1)

static void grpc_answers_in_an_envelope_and_trailers(void **state)
{
	(void)state;
	begin(PING, "application/grpc", "te", "trailers");
	DATA(FIVE);
	end();
	assert_int_equal(fake.status, 200);
	assert_string_equal(fake.head, "content-type: application/grpc+proto\nx-seen-bin: AQI\n");
	EXPECT_BODY("\0\0\0\0\0");
	assert_string_equal(fake.trailers, "grpc-status: 0\nx-cost: 7\n");
}

static void a_grpc_error_without_messages_is_one_head(void **state)
{
	(void)state;
	begin(COUNT, "application/grpc+json", "te", "trailers");
	DATA("\0\0\0\0\2{}");
	end();
	assert_int_equal(fake.status, 200);
	EXPECT_BODY("");
	assert_string_equal(fake.trailers, "");
	assert_string_equal(fake.head, "content-type: application/grpc+json\ngrpc-status: 5\ngrpc-message: 100%25 %C3%A4\n"
				       "grpc-status-details-bin: CAUSBzEwMCUgw6QaHQoXdHlwZS5nb29nbGVhcGlzLmNvbS9hLkISAggB\n");
}

static void grpc_web_writes_its_trailers_into_the_body(void **state)
{
	(void)state;
	begin(PING, "application/grpc-web+proto", "x-grpc-web", "1");
	DATA(FIVE);
	end();
	assert_string_equal(fake.trailers, "");
	EXPECT_BODY("\0\0\0\0\0\x80\0\0\0\x1bgrpc-status: 0\r\nx-cost: 7\r\n");
}

static void grpc_web_text_is_base64_both_ways(void **state)
{
	(void)state;
	begin(PING, "application/grpc-web-text", "x-grpc-web", "1");
	DATA("AAAAAAI="); /* two pieces, each padded */
	DATA("CAU=");
	end();
	uint8_t bytes[512];
	size_t size;
	assert_int_equal(base64_decode(slice_make(fake.body, fake.body_size), bytes, &size), ERROR_OK);
	assert_int_equal(size, 5 + 5 + 27);
	assert_memory_equal(bytes + 10, "grpc-status: 0\r\n", 16);
}

static void grpc_timeouts_have_units(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t us;
	} cases[] = {{"2S", 2000000}, {"100m", 100000}, {"99999999u", 99999999}, {"1500000n", 1500}, {"1M", 60000000}};
	hold = true;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		fake = (struct fake_exchange){.exchange.transport = &transport};
		begin(PING, "application/grpc", "grpc-timeout", cases[i].text);
		DATA(FIVE);
		end();
		assert_int_equal(rpc_call_timeout_us(held), cases[i].us);
		rpc_call_expire(fake.exchange.call);
		assert_non_null(strstr(fake.head, "grpc-status: 4\n"));
	}
	static const char *const wrong[] = {"", "5", "S", "123456789S", "-1S", "1s", "1.5S"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		fake = (struct fake_exchange){.exchange.transport = &transport};
		begin(PING, "application/grpc", "grpc-timeout", wrong[i]);
		assert_non_null(strstr(fake.head, "grpc-status: 3\n"));
	}
}

static void a_request_of_one_message_has_exactly_one(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
		const char *status;
	} cases[] = {
		{FIVE FIVE, 14, "grpc-status: 12\n"},	       /* two */
		{"", 0, "grpc-status: 12\n"},		       /* none */
		{FIVE, 6, "grpc-status: 3\n"},		       /* less than one */
		{"\2\0\0\0\2\x08\5", 7, "grpc-status: 3\n"},   /* an unknown flag */
		{"\0\0\0\x10\1", 5, "grpc-status: 8\n"},       /* past the limit, said before it comes */
		{"\1\0\0\0\2\x08\5", 7, "grpc-status: 13\n"},  /* compressed, by nothing that was named */
		{"\0\0\0\0\2\xff\xff", 7, "grpc-status: 3\n"}, /* no message */
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		fake = (struct fake_exchange){.exchange.transport = &transport};
		begin(PING, "application/grpc", "te", "trailers");
		data(cases[i].bytes, cases[i].size);
		end();
		assert_non_null(strstr(fake.head, cases[i].status));
	}
}

static void what_decompresses_past_the_limit_is_refused(void **state)
{
	(void)state;
	static uint8_t zeros[BOMB_BYTES];
	for (size_t i = 0; i < rpc_compression_count; i++) {
		struct buffer bomb;
		buffer_init(&bomb, SIZE_MAX);
		assert_int_equal(rpc_compressions[i].compress(slice_make(zeros, sizeof zeros), &bomb), ERROR_OK);
		assert_true(bomb.size < MESSAGE_LIMIT);
		fake = (struct fake_exchange){.exchange.transport = &transport};
		begin(PING, "application/proto", "content-encoding", rpc_compressions[i].name);
		data(bomb.data, bomb.size);
		end();
		assert_int_equal(fake.status, 429);
		fake = (struct fake_exchange){.exchange.transport = &transport};
		begin(PING, "application/proto", "content-encoding", rpc_compressions[i].name);
		data(bomb.data, bomb.size - 1);
		end();
		assert_int_equal(fake.status, 429);
		buffer_release(&bomb);
	}
}

static void what_is_compressed_is_read_and_cut_short_it_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < rpc_compression_count; i++)
		for (size_t cut = 0; cut < 2; cut++) {
			struct buffer small;
			buffer_init(&small, SIZE_MAX);
			assert_int_equal(rpc_compressions[i].compress(SLICE_LITERAL("{\"timestampMs\":5}"), &small), ERROR_OK);
			fake = (struct fake_exchange){.exchange.transport = &transport};
			begin(PING, "application/json", "content-encoding", rpc_compressions[i].name);
			data(small.data, small.size - cut);
			end();
			assert_int_equal(fake.status, cut == 0 ? 200 : 400);
			buffer_release(&small);
		}
}

/* RFC 1952, 2.2; RFC 8878, 3.1: both are what comes of their parts. */
static void what_is_compressed_in_parts_is_read_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < rpc_compression_count; i++)
		for (size_t cut = 0; cut < 2; cut++) {
			struct buffer parts;
			buffer_init(&parts, 4096);
			assert_int_equal(rpc_compressions[i].compress(SLICE_LITERAL("{\"timestamp"), &parts), ERROR_OK);
			assert_int_equal(rpc_compressions[i].compress(SLICE_LITERAL(""), &parts), ERROR_OK);
			assert_int_equal(rpc_compressions[i].compress(SLICE_LITERAL("Ms\":5}"), &parts), ERROR_OK);
			fake = (struct fake_exchange){.exchange.transport = &transport};
			begin(PING, "application/json", "content-encoding", rpc_compressions[i].name);
			data(parts.data, parts.size - cut);
			end();
			assert_int_equal(fake.status, cut == 0 ? 200 : 400);
			buffer_release(&parts);
		}
}

static void the_first_compression_that_is_known_and_wanted_is_chosen(void **state)
{
	(void)state;
	static const struct {
		const char *accept, *name;
	} cases[] = {{"br, gzip", "gzip"},
		     {"zstd;q=0.5, gzip", "zstd"},
		     {"zstd;q=0, gzip;q=0.0", NULL},
		     {"identity", NULL},
		     {"", NULL}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct slice accept = slice_from_string(cases[i].accept);
		const struct rpc_compression *chosen = rpc_compression_choose(&accept);
		assert_string_equal(chosen == NULL ? "" : chosen->name, cases[i].name == NULL ? "" : cases[i].name);
	}
}

/* ── Streams ── */

static void open_watch(const char *type)
{
	begin(WATCH, type, "x", "");
	DATA("\0\0\0\0\0");
	end();
	assert_non_null(held);
}

static void a_connect_stream_ends_with_its_outcome(void **state)
{
	(void)state;
	open_watch("application/connect+proto");
	assert_true(rpc_call_send(held, &(struct ping_v1_watch_window_stats_response){0}));
	assert_string_equal(fake.head, "content-type: application/connect+proto\n");
	assert_true(rpc_call_send(held, &(struct ping_v1_watch_window_stats_response){0}));
	assert_int_equal(rpc_call_add_trailer(held, SLICE_LITERAL("a"), SLICE_LITERAL("1")), ERROR_OK);
	assert_int_equal(rpc_call_add_trailer(held, SLICE_LITERAL("b"), SLICE_LITERAL("3")), ERROR_OK);
	assert_int_equal(rpc_call_add_trailer(held, SLICE_LITERAL("a"), SLICE_LITERAL("2")), ERROR_OK);
	rpc_call_fail(held, ERROR_ABORTED, "enough");
	assert_false(fake.open);
	EXPECT_BODY("\0\0\0\0\0\0\0\0\0\0\2\0\0\0\x54{\"error\":{\"code\":\"aborted\",\"message\":\"enough\"},"
		    "\"metadata\":{\"a\":[\"1\",\"2\"],\"b\":[\"3\"]}}");
}

static void a_stream_without_messages_has_a_head_and_an_end(void **state)
{
	(void)state;
	open_watch("application/grpc");
	rpc_call_finish(held);
	assert_string_equal(fake.head, "content-type: application/grpc+proto\n");
	assert_string_equal(fake.trailers, "grpc-status: 0\n");
}

static void who_sends_too_much_is_told_to_wait_and_then_to_go_on(void **state)
{
	(void)state;
	open_watch("application/grpc");
	fake.full = true;
	assert_false(rpc_call_send(held, &(struct ping_v1_watch_window_stats_response){0}));
	assert_false(rpc_call_canceled(held));
	fake.full = false;
	rpc_call_writable(held);
	assert_int_equal(writable_count, 1);
	rpc_call_wake(held, 20);
	assert_true(fake.wake_us > 0);
	rpc_call_woken(held);
	assert_int_equal(woken_count, 1);
	rpc_call_finish(held);
	EXPECT_BODY("\0\0\0\0\0");
}

static void a_stream_nobody_waits_for_is_told_so(void **state)
{
	(void)state;
	open_watch("application/grpc");
	rpc_call_send(held, &(struct ping_v1_watch_window_stats_response){0});
	rpc_call_abandon(fake.exchange.call);
	assert_int_equal(canceled_count, 1);
}

static void an_endless_stream_has_no_deadline_but_its_callers(void **state)
{
	(void)state;
	open_watch("application/grpc");
	assert_int_equal(rpc_call_deadline_us(held), INT64_MAX);
	rpc_call_finish(held);
}

static void another_stream_ends_at_the_longest_timeout(void **state)
{
	(void)state;
	int64_t before_us = clock_monotonic_us(clock_system());
	begin(COLLECT, "application/grpc", "x", "");
	int64_t longest_us = rpc_config_default().max_timeout_ms * 1000;
	assert_true(rpc_call_deadline_us(held) >= before_us + longest_us);
	assert_true(rpc_call_deadline_us(held) <= clock_monotonic_us(clock_system()) + longest_us);
	rpc_call_expire(fake.exchange.call);
	assert_int_equal(canceled_count, 1);
}

static void a_message_on_its_way_is_told_from_a_pause(void **state)
{
	(void)state;
	begin(COLLECT, "application/grpc", "x", "");
	assert_int_equal(rpc_call_message_begun(held), 0);
	DATA("\0\0\0");
	assert_int_equal(rpc_call_message_begun(held), 1);
	DATA("\0\2\x08\5");
	assert_int_equal(rpc_call_message_begun(held), 0);
	DATA("\0");
	assert_int_equal(rpc_call_message_begun(held), 2);
	rpc_call_pause(held);
	assert_int_equal(rpc_call_message_begun(held), 0);
	rpc_call_refuse(held, ERROR_RESOURCE_EXHAUSTED, "enough");
	assert_int_equal(canceled_count, 1);
	assert_string_equal(fake.head, "content-type: application/grpc+proto\ngrpc-status: 8\ngrpc-message: enough\n");
}

static void an_unknown_method_is_told_in_grpcs_words(void **state)
{
	(void)state;
	begin("/ping.v1.PingService/Pong", "application/grpc", "te", "trailers");
	assert_int_equal(fake.status, 200);
	assert_false(fake.open);
	assert_string_equal(fake.head, "content-type: application/grpc+proto\ngrpc-status: 12\n"
				       "grpc-message: there is no method /ping.v1.PingService/Pong here\n");
	fake = (struct fake_exchange){.exchange.transport = &transport};
	begin("/nowhere", "application/grpc-web-text+proto", "x", "");
	assert_int_equal(fake.status, 200);
}

static void an_answer_without_room_is_an_error(void **state)
{
	(void)state;
	no_room = true;
	begin(PING, "application/grpc", "te", "trailers");
	DATA(FIVE);
	end();
	no_room = false;
	assert_non_null(strstr(fake.trailers, "grpc-status: 8\n"));
	EXPECT_BODY("");
}

static void a_clients_messages_come_one_by_one(void **state)
{
	(void)state;
	begin(COLLECT, "application/grpc", "x", "");
	assert_non_null(held);
	DATA(FIVE);
	assert_string_equal(received, "5 ");
	DATA("\0\0\0\0\2\x08\6");
	assert_string_equal(received, "5 6 ");
	assert_int_equal(ended_count, 0);
	end();
	assert_int_equal(ended_count, 1);
	rpc_call_reply(held, &(struct ping_v1_ping_response){0});
	assert_string_equal(fake.trailers, "grpc-status: 0\n");
}

static void a_method_that_pauses_gets_no_message_until_it_goes_on(void **state)
{
	(void)state;
	hold = true;
	begin(COLLECT, "application/grpc", "x", "");
	DATA(FIVE FIVE FIVE);
	end();
	assert_string_equal(received, "5 ");
	assert_true(rpc_call_paused(held));
	assert_int_equal(rpc_call_held_bytes(held), 14);
	rpc_call_resume(held);
	assert_true(fake.resumed);
	assert_string_equal(received, "5 5 ");
	hold = false;
	rpc_call_resume(held);
	assert_string_equal(received, "5 5 5 ");
	assert_int_equal(ended_count, 1);
	rpc_call_reply(held, &(struct ping_v1_ping_response){0});
}

static void a_message_that_is_wrong_ends_the_clients_stream(void **state)
{
	(void)state;
	begin(COLLECT, "application/connect+json", "x", "");
	DATA("\0\0\0\0\1[");
	assert_int_equal(canceled_count, 1);
	assert_null(fake.exchange.call);
	assert_non_null(strstr(fake.body + 5, "\"invalid_argument\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(grpc_answers_in_an_envelope_and_trailers, setup, teardown),
		cmocka_unit_test_setup_teardown(a_grpc_error_without_messages_is_one_head, setup, teardown),
		cmocka_unit_test_setup_teardown(grpc_web_writes_its_trailers_into_the_body, setup, teardown),
		cmocka_unit_test_setup_teardown(grpc_web_text_is_base64_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(grpc_timeouts_have_units, setup, teardown),
		cmocka_unit_test_setup_teardown(a_request_of_one_message_has_exactly_one, setup, teardown),
		cmocka_unit_test_setup_teardown(what_decompresses_past_the_limit_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_compressed_is_read_and_cut_short_it_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_compressed_in_parts_is_read_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(the_first_compression_that_is_known_and_wanted_is_chosen, setup, teardown),
		cmocka_unit_test_setup_teardown(a_connect_stream_ends_with_its_outcome, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stream_without_messages_has_a_head_and_an_end, setup, teardown),
		cmocka_unit_test_setup_teardown(who_sends_too_much_is_told_to_wait_and_then_to_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stream_nobody_waits_for_is_told_so, setup, teardown),
		cmocka_unit_test_setup_teardown(an_endless_stream_has_no_deadline_but_its_callers, setup, teardown),
		cmocka_unit_test_setup_teardown(another_stream_ends_at_the_longest_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(a_message_on_its_way_is_told_from_a_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unknown_method_is_told_in_grpcs_words, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_without_room_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clients_messages_come_one_by_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_method_that_pauses_gets_no_message_until_it_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(a_message_that_is_wrong_ends_the_clients_stream, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
