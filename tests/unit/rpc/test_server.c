/* The RPC runtime and the Connect protocol's unary calls, through a transport that only remembers what it was told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "ping/v1/ping.pb.h"
#include "rpc/server.h"

#define PING  "/ping.v1.PingService/Ping"
#define COUNT "/ping.v1.PingService/PingCount"
#define WATCH "/ping.v1.MetricsService/WatchWindowStats"

enum { MESSAGE_LIMIT = 4096 };

/* ── A clock, an executor, and a transport ── */

static int64_t now_us;

static int64_t fake_wall_ms(struct clock *clock)
{
	(void)clock;
	return now_us / 1000;
}

static int64_t fake_monotonic_us(struct clock *clock)
{
	(void)clock;
	return now_us;
}

static struct clock fake_clock = {fake_wall_ms, fake_monotonic_us};

static void post_nowhere(struct executor *executor, struct task *task)
{
	(void)executor;
	(void)task;
}

static struct executor executor = {post_nowhere};

struct fake_exchange {
	struct rpc_exchange exchange;
	int responses;
	unsigned status;
	char headers[512]; /* "name: value\n" … */
	char body[8192];
	size_t body_size;
};

static struct fake_exchange fake;

static void remember(struct rpc_exchange *exchange, const struct rpc_response *response)
{
	assert_ptr_equal(exchange, &fake.exchange);
	assert_null(exchange->call);
	fake.responses++;
	fake.status = response->status;
	fake.headers[0] = 0;
	for (size_t i = 0; i < response->header_count; i++) {
		const struct rpc_header *header = &response->headers[i];
		size_t size = strlen(fake.headers);
		snprintf(fake.headers + size, sizeof fake.headers - size, "%.*s: %.*s\n", (int)header->name.size,
			 (const char *)header->name.data, (int)header->value.size, (const char *)header->value.data);
	}
	fake.body_size = response->body->size;
	assert_true(fake.body_size < sizeof fake.body);
	if (fake.body_size > 0)
		memcpy(fake.body, response->body->data, fake.body_size);
	fake.body[fake.body_size] = 0;
}

static const struct rpc_transport fake_transport = {.respond = remember};

/* ── A service ── */

static struct rpc_call *held; /* by a method that answers later */
static int64_t seen_timestamp_ms;
static bool hold, answer_text;
static enum error answer_error;
static struct address seen_client;
static int64_t seen_deadline_us;

static void handle_ping(struct rpc_call *call, const void *message, void *context)
{
	const struct ping_v1_ping_request *request = message;
	assert_ptr_equal(context, &fake);
	seen_timestamp_ms = request->timestamp_ms;
	seen_client = *rpc_call_client(call);
	seen_deadline_us = rpc_call_deadline_us(call);
	assert_ptr_equal(rpc_call_executor(call), &executor);
	assert_non_null(arena_alloc(rpc_call_arena(call), 100));
	if (hold)
		held = call;
	else if (answer_error != ERROR_OK)
		rpc_call_fail(call, answer_error, answer_text ? "say \"why\"\n\xff" : NULL);
	else
		rpc_call_reply(call, &(struct ping_v1_ping_response){0});
}

static int64_t seen_start;

static int64_t prepared_count; /* 0: none */

static void handle_count(struct rpc_call *call, const void *message, void *context)
{
	(void)context;
	const struct ping_v1_ping_count_request *request = message;
	seen_start = request->time_range == NULL ? -1 : request->time_range->start;
	if (prepared_count != 0)
		rpc_call_prepare(call, &(struct ping_v1_ping_count_response){.ping_count = prepared_count});
	rpc_call_reply(call, &(struct ping_v1_ping_count_response){.ping_count = 7});
}

static void handle_stream(struct rpc_call *call, const void *message, void *context)
{
	(void)message;
	(void)context;
	rpc_call_fail(call, ERROR_UNIMPLEMENTED, NULL);
}

static int finished_count;
static enum error finished_error;
static int64_t finished_us;

static void remember_finished(void *context, const struct method_type *method, enum error error, int64_t latency_us)
{
	assert_ptr_equal(context, &fake_clock);
	assert_non_null(method);
	finished_count++;
	finished_error = error;
	finished_us = latency_us;
}

static struct rpc_server *server;
static struct rpc_pool *pool;

static const struct rpc_method methods[] = {
	{.type = &ping_v1_ping_service_ping_method, .handle = handle_ping, .context = &fake},
	{.type = &ping_v1_ping_service_ping_count_method, .handle = handle_count, .context = NULL},
	{.type = &ping_v1_metrics_service_watch_window_stats_method, .handle = handle_stream, .context = NULL},
};

static int setup(void **state)
{
	(void)state;
	now_us = 1000000;
	hold = answer_text = false;
	answer_error = ERROR_OK;
	held = NULL;
	seen_timestamp_ms = seen_start = -2;
	finished_count = 0;
	fake = (struct fake_exchange){.exchange.transport = &fake_transport};
	struct rpc_config config = rpc_config_default();
	config.max_message_bytes = MESSAGE_LIMIT;
	config.max_response_bytes = 4096;
	config.clock = &fake_clock;
	config.finished = remember_finished;
	config.context = &fake_clock;
	assert_int_equal(rpc_server_create(&config, methods, 3, &server), ERROR_OK);
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

struct spec {
	const char *method, *path, *query, *body;
	size_t body_size;	/* 0: strlen(body) */
	const char *headers[8]; /* name, value, … */
};

static bool begin(const struct spec *spec)
{
	struct rpc_header headers[4];
	size_t count = 0;
	for (; count < 4 && spec->headers[2 * count] != NULL; count++)
		headers[count] = (struct rpc_header){slice_from_string(spec->headers[2 * count]),
						     slice_from_string(spec->headers[2 * count + 1])};
	struct rpc_request request = {
		.method = slice_from_string(spec->method),
		.path = slice_from_string(spec->path),
		.query = slice_from_string(spec->query == NULL ? "" : spec->query),
		.headers = headers,
		.header_count = count,
		.body_bytes = -1,
		.client = {{1, 2, 3}},
	};
	assert_int_equal(rpc_call_create(pool, &fake.exchange), ERROR_OK);
	return rpc_call_begin(fake.exchange.call, &request);
}

#define POST(path_, body_, ...)                                                            \
	{                                                                                  \
		.method = "POST", .path = path_, .body = body_, .headers = { __VA_ARGS__ } \
	}
#define GET(path_, query_)                                      \
	{                                                       \
		.method = "GET", .path = path_, .query = query_ \
	}
#define JSON  "content-type", "application/json"
#define PROTO "content-type", "application/proto"

/* The whole request, as a transport would: it stops when the answer is there. */
static void send_request(const struct spec *spec)
{
	assert_true(begin(spec));
	size_t size = spec->body == NULL ? 0 : spec->body_size > 0 ? spec->body_size : strlen(spec->body);
	for (size_t i = 0; i < size && fake.exchange.call != NULL; i++)
		rpc_call_data(fake.exchange.call, slice_make(spec->body + i, 1));
	if (fake.exchange.call != NULL)
		rpc_call_end(fake.exchange.call);
}

static void expect_response(unsigned status, const char *header, const char *body)
{
	assert_int_equal(fake.responses, 1);
	assert_int_equal(fake.status, status);
	assert_string_equal(fake.headers, header);
	assert_string_equal(fake.body, body);
}

#define JSON_TYPE  "content-type: application/json\n"
#define PROTO_TYPE "content-type: application/proto\n"

static void a_json_call_is_answered_in_json(void **state)
{
	(void)state;
	send_request(&(struct spec)POST(PING, "{\"timestampMs\": \"1728926331000\"}", JSON));
	expect_response(200, JSON_TYPE, "{}");
	assert_int_equal(seen_timestamp_ms, 1728926331000);
}

static void a_binary_call_is_answered_in_binary(void **state)
{
	(void)state;
	send_request(&(struct spec)POST(COUNT, NULL, PROTO));
	assert_int_equal(fake.status, 200);
	assert_string_equal(fake.headers, PROTO_TYPE);
	assert_int_equal(fake.body_size, 2);
	assert_memory_equal(fake.body, "\x08\x07", 2);
}

static void the_content_types_charset_is_taken_and_given_back(void **state)
{
	(void)state;
	send_request(&(struct spec)POST(PING, "{}", "content-type", "Application/JSON;  Charset=UTF-8"));
	expect_response(200, "content-type: application/json; charset=utf-8\n", "{}");
}

static void the_method_sees_the_client_and_its_deadline(void **state)
{
	(void)state;
	send_request(&(struct spec)POST(PING, "{}", JSON, "connect-timeout-ms", "1500"));
	assert_int_equal(seen_client.bytes[2], 3);
	assert_int_equal(seen_deadline_us, now_us + 1500000);
}

static void without_a_timeout_the_default_holds_and_a_longer_one_is_cut(void **state)
{
	(void)state;
	send_request(&(struct spec)POST(PING, "{}", JSON));
	assert_int_equal(seen_deadline_us, now_us + 30000000);
	send_request(&(struct spec)POST(PING, "{}", JSON, "connect-timeout-ms", "9999999999"));
	assert_int_equal(seen_deadline_us, now_us + 300000000);
}

static void an_unknown_path_is_left_to_the_transport(void **state)
{
	(void)state;
	assert_false(begin(&(struct spec)POST("/ping.v1.PingService/Pin", NULL, JSON)));
	assert_int_equal(fake.responses, 0);
	assert_non_null(fake.exchange.call);
	rpc_call_abandon(fake.exchange.call);
	assert_null(fake.exchange.call);
	assert_int_equal(finished_count, 0);
}

/* What a method without streams takes, and one with them. */
#define UNARY_TYPES                                                                                         \
	"accept-post: application/proto, application/json, application/grpc+proto, application/grpc+json, " \
	"application/grpc-web+proto, application/grpc-web+json, application/grpc-web-text+proto, "          \
	"application/grpc-web-text+json\n"
#define STREAM_TYPES                                                                                                        \
	"accept-post: application/connect+proto, application/connect+json, application/grpc+proto, application/grpc+json, " \
	"application/grpc-web+proto, application/grpc-web+json, application/grpc-web-text+proto, "                          \
	"application/grpc-web-text+json\n"

/* What is refused, and how. */
static const struct {
	struct spec spec;
	unsigned status;
	const char *header, *body;
} refusals[] = {
	{GET(PING, "encoding=json&message=%7B%7D"), 405, "allow: POST\n", ""},
	{{.method = "PUT", .path = COUNT, .body = "{}", .headers = {JSON}}, 405, "allow: GET, POST\n", ""},
	{POST(PING, "{}", "content-type", "text/plain"), 415, UNARY_TYPES, ""},
	{POST(PING, "{}", NULL), 415, UNARY_TYPES, ""},
	{POST(PING, "{}", "content-type", "application/json; charset=latin1"), 415, UNARY_TYPES, ""},
	{POST(PING, "{}", "content-type", "application/"), 415, UNARY_TYPES, ""},
	{POST(WATCH, "{}", JSON), 415, STREAM_TYPES, ""},
	{GET(COUNT, "message=%7B%7D"), 415, UNARY_TYPES, ""},
	{POST(PING, "{}", JSON, "connect-protocol-version", "2"), 400, JSON_TYPE,
	 "{\"code\":\"invalid_argument\",\"message\":\"Connect protocol version \\\"2\\\" is not supported; send 1\"}"},
	{POST(PING, "{}", PROTO, "content-encoding", "br"), 501, JSON_TYPE,
	 "{\"code\":\"unimplemented\",\"message\":\"unknown compression \\\"br\\\": supported encodings are gzip, zstd, "
	 "identity\"}"},
	{POST(PING, "{}", JSON, "connect-timeout-ms", "12345678901"), 400, JSON_TYPE,
	 "{\"code\":\"invalid_argument\",\"message\":\"Connect-Timeout-Ms \\\"12345678901\\\" is not a number of milliseconds of "
	 "at most 10 digits\"}"},
	{POST(PING, "{}", JSON, "connect-timeout-ms", "-1"), 400, JSON_TYPE,
	 "{\"code\":\"invalid_argument\",\"message\":\"Connect-Timeout-Ms \\\"-1\\\" is not a number of milliseconds of at most "
	 "10 digits\"}"},
	{POST(PING, "{}", JSON, "connect-timeout-ms", "1e3"), 400, JSON_TYPE,
	 "{\"code\":\"invalid_argument\",\"message\":\"Connect-Timeout-Ms \\\"1e3\\\" is not a number of milliseconds of at most "
	 "10 digits\"}"},
	{POST(PING, "{}", JSON, "connect-timeout-ms", "0"), 504, JSON_TYPE,
	 "{\"code\":\"deadline_exceeded\",\"message\":\"the deadline passed; the outcome is not known\"}"},
	{GET(COUNT, "encoding=json"), 400, JSON_TYPE,
	 "{\"code\":\"invalid_argument\",\"message\":\"the query has no parameter \\\"message\\\"\"}"},
	{GET(COUNT, "encoding=json&message=%7"), 400, JSON_TYPE,
	 "{\"code\":\"invalid_argument\",\"message\":\"the query's parameter \\\"message\\\" is not well encoded\"}"},
	{GET(COUNT, "encoding=json&base64=1&message=a"), 400, JSON_TYPE,
	 "{\"code\":\"invalid_argument\",\"message\":\"the query's parameter \\\"message\\\" is not well encoded\"}"},
	{GET(COUNT, "encoding=json&message={}&connect=v2"), 400, JSON_TYPE,
	 "{\"code\":\"invalid_argument\",\"message\":\"Connect protocol version \\\"v2\\\" is not supported; send v1\"}"},
	{GET(COUNT, "encoding=json&message={}&compression=br"), 501, JSON_TYPE,
	 "{\"code\":\"unimplemented\",\"message\":\"unknown compression \\\"br\\\": supported encodings are gzip, zstd, "
	 "identity\"}"},
	{{.method = "GET", .path = COUNT, .query = "encoding=json&message={}", .body = "{}"},
	 400,
	 JSON_TYPE,
	 "{\"code\":\"invalid_argument\",\"message\":\"a GET has no body: the message is in the query\"}"},
};

static void what_is_wrong_with_a_request_is_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		fake.responses = 0;
		finished_count = 0;
		seen_timestamp_ms = -2;
		send_request(&refusals[i].spec);
		expect_response(refusals[i].status, refusals[i].header, refusals[i].body);
		assert_int_equal(finished_count, 1);
		assert_int_not_equal(finished_error, ERROR_OK);
		assert_int_equal(seen_timestamp_ms, -2); /* no method was asked */
	}
}

static void version_1_and_identity_are_fine(void **state)
{
	(void)state;
	send_request(&(struct spec)POST(PING, "{}", JSON, "connect-protocol-version", "1", "content-encoding", "identity"));
	expect_response(200, JSON_TYPE, "{}");
}

static void a_get_carries_its_message_in_the_query(void **state)
{
	(void)state;
	send_request(&(struct spec)GET(COUNT, "connect=v1&encoding=json&message=%7B%22time_range%22:%7B%22start%22:+5%7D%7D"));
	expect_response(200, JSON_TYPE, "{\"pingCount\":\"7\"}");
	assert_int_equal(seen_start, 5);
}

static void a_gets_message_may_be_base64(void **state)
{
	(void)state;
	send_request(&(struct spec)GET(COUNT, "message=CgIIBQ&base64=1&encoding=proto"));
	assert_int_equal(fake.status, 200);
	assert_string_equal(fake.headers, PROTO_TYPE);
	assert_int_equal(seen_start, 5);
}

static void a_malformed_message_is_an_invalid_argument_that_names_the_field(void **state)
{
	(void)state;
	send_request(&(struct spec)POST(PING, "{\"timestamp_ms\": \"x\"}", JSON));
	assert_int_equal(fake.status, 400);
	assert_non_null(strstr(fake.body, "\"code\":\"invalid_argument\""));
	assert_non_null(strstr(fake.body, "timestamp_ms"));
}

static void a_message_past_the_limit_is_refused_when_it_gets_there(void **state)
{
	(void)state;
	static char body[MESSAGE_LIMIT + 100];
	send_request(&(struct spec){.method = "POST", .path = PING, .body = body, .body_size = sizeof body, .headers = {PROTO}});
	expect_response(429, JSON_TYPE,
			"{\"code\":\"resource_exhausted\",\"message\":\"message larger than the limit of 4096 bytes\"}");
}

static void an_announced_body_past_the_limit_is_refused_at_once(void **state)
{
	(void)state;
	struct rpc_header type = {SLICE_LITERAL("content-type"), SLICE_LITERAL("application/proto")};
	struct rpc_request request = {SLICE_LITERAL("POST"), SLICE_LITERAL(PING), {NULL, 0}, &type, 1, MESSAGE_LIMIT + 1, {{0}}};
	assert_int_equal(rpc_call_create(pool, &fake.exchange), ERROR_OK);
	assert_true(rpc_call_begin(fake.exchange.call, &request));
	assert_int_equal(fake.status, 429);
}

static void every_error_has_its_code_and_status(void **state)
{
	(void)state;
	for (int i = 1; i < ERROR_COUNT; i++) {
		fake.responses = 0;
		answer_error = (enum error)i;
		send_request(&(struct spec)POST(PING, NULL, PROTO));
		char body[512];
		snprintf(body, sizeof body, "{\"code\":\"%s\",\"message\":\"%s\"}", error_connect_code(answer_error),
			 error_text(answer_error));
		expect_response(error_http_status(answer_error), JSON_TYPE, body);
		assert_int_equal(finished_error, answer_error);
	}
}

static void an_error_message_is_valid_json_whatever_is_in_it(void **state)
{
	(void)state;
	answer_error = ERROR_UNAVAILABLE;
	answer_text = true;
	send_request(&(struct spec)POST(PING, NULL, PROTO));
	expect_response(503, JSON_TYPE, "{\"code\":\"unavailable\",\"message\":\"say \\\"why\\\"\\n?\"}");
}

static void hold_a_call(void)
{
	hold = true;
	send_request(&(struct spec)POST(PING, NULL, PROTO));
	assert_non_null(held);
	assert_int_equal(fake.responses, 0);
	assert_false(rpc_call_canceled(held));
}

static void a_method_may_answer_later(void **state)
{
	(void)state;
	hold_a_call();
	now_us += 5000;
	rpc_call_reply(held, &(struct ping_v1_ping_response){0});
	assert_int_equal(fake.responses, 1);
	assert_int_equal(fake.status, 200);
	assert_int_equal(finished_us, 5000);
}

static void an_answer_that_was_prepared_is_sent_as_it_was(void **state)
{
	(void)state;
	prepared_count = 9;
	send_request(&(struct spec)POST(COUNT, "{}", JSON));
	expect_response(200, JSON_TYPE, "{\"pingCount\":\"9\"}");
	prepared_count = 0;
	fake.responses = 0;
	send_request(&(struct spec)POST(COUNT, "{}", JSON));
	expect_response(200, JSON_TYPE, "{\"pingCount\":\"7\"}");
}

static void a_deadline_that_passes_is_answered_at_once_and_the_methods_answer_dropped(void **state)
{
	(void)state;
	hold_a_call();
	rpc_call_expire(fake.exchange.call);
	assert_int_equal(fake.responses, 1);
	assert_int_equal(fake.status, 504);
	assert_true(rpc_call_canceled(held));
	assert_int_equal(rpc_pool_live(pool), 1);
	rpc_call_reply(held, &(struct ping_v1_ping_response){0});
	assert_int_equal(fake.responses, 1);
	assert_int_equal(finished_count, 1);
	assert_int_equal(finished_error, ERROR_DEADLINE_EXCEEDED);
}

static void a_deadline_that_passes_within_the_body_ends_the_call(void **state)
{
	(void)state;
	assert_true(begin(&(struct spec)POST(PING, NULL, PROTO)));
	rpc_call_data(fake.exchange.call, SLICE_LITERAL("x"));
	rpc_call_expire(fake.exchange.call);
	assert_int_equal(fake.status, 504);
	assert_null(fake.exchange.call);
}

static void an_abandoned_call_stays_valid_until_its_method_answers(void **state)
{
	(void)state;
	hold_a_call();
	rpc_call_abandon(fake.exchange.call);
	assert_null(fake.exchange.call);
	assert_true(rpc_call_canceled(held));
	assert_int_equal(finished_error, ERROR_CANCELED);
	rpc_call_fail(held, ERROR_UNAVAILABLE, NULL);
	assert_int_equal(fake.responses, 0);
	assert_int_equal(finished_count, 1);
}

static void a_call_is_used_again_as_new(void **state)
{
	(void)state;
	hold_a_call();
	rpc_call_abandon(fake.exchange.call);
	struct rpc_call *first = held;
	rpc_call_fail(held, ERROR_UNAVAILABLE, NULL);
	hold_a_call();
	assert_ptr_equal(held, first);
	rpc_call_reply(held, &(struct ping_v1_ping_response){0});
	assert_int_equal(fake.responses, 1);
}

static void two_methods_of_one_path_are_refused(void **state)
{
	(void)state;
	struct rpc_server *other;
	struct rpc_method twice[2] = {methods[0], methods[0]};
	struct rpc_config config = rpc_config_default();
	assert_int_equal(rpc_server_create(&config, twice, 2, &other), ERROR_ALREADY_EXISTS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_json_call_is_answered_in_json),
		TEST(a_binary_call_is_answered_in_binary),
		TEST(the_content_types_charset_is_taken_and_given_back),
		TEST(the_method_sees_the_client_and_its_deadline),
		TEST(without_a_timeout_the_default_holds_and_a_longer_one_is_cut),
		TEST(an_unknown_path_is_left_to_the_transport),
		TEST(what_is_wrong_with_a_request_is_said),
		TEST(version_1_and_identity_are_fine),
		TEST(a_get_carries_its_message_in_the_query),
		TEST(a_gets_message_may_be_base64),
		TEST(a_malformed_message_is_an_invalid_argument_that_names_the_field),
		TEST(a_message_past_the_limit_is_refused_when_it_gets_there),
		TEST(an_announced_body_past_the_limit_is_refused_at_once),
		TEST(every_error_has_its_code_and_status),
		TEST(an_error_message_is_valid_json_whatever_is_in_it),
		TEST(a_method_may_answer_later),
		TEST(an_answer_that_was_prepared_is_sent_as_it_was),
		TEST(a_deadline_that_passes_is_answered_at_once_and_the_methods_answer_dropped),
		TEST(a_deadline_that_passes_within_the_body_ends_the_call),
		TEST(an_abandoned_call_stays_valid_until_its_method_answers),
		TEST(a_call_is_used_again_as_new),
		TEST(two_methods_of_one_path_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
