#include "net/cors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const two[] = {"https://a.example", "http://localhost:3000"};
static const char *const any[] = {"*"};

/* "name: value\n" of what is said to a request of this method and origin (NULL: it names none). */
static const char *fields_for(const struct cors *cors, const char *method, const char *origin, bool asks)
{
	static char text[1024];
	struct rpc_header headers[2] = {{SLICE_LITERAL("content-type"), SLICE_LITERAL("application/json")}};
	struct rpc_request request = {.method = slice_from_string(method), .headers = headers, .header_count = 1};
	if (origin != NULL)
		headers[0] = (struct rpc_header){SLICE_LITERAL("origin"), slice_from_string(origin)};
	if (asks)
		headers[request.header_count++] =
			(struct rpc_header){SLICE_LITERAL("access-control-request-method"), SLICE_LITERAL("POST")};
	struct cors_answer answer = cors_judge(cors, &request);
	struct rpc_header fields[CORS_MAX_FIELDS];
	size_t count = cors_fields(&answer, fields), used = 0;
	assert_true(count <= CORS_MAX_FIELDS);
	text[0] = 0;
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%.*s: %.*s\n", (int)fields[i].name.size,
					 (const char *)fields[i].name.data, (int)fields[i].value.size,
					 (const char *)fields[i].value.data);
	return text;
}

static void unless_configured_nothing_is_said(void **state)
{
	(void)state;
	const struct cors none = {NULL, 0};
	assert_string_equal(fields_for(&none, "POST", "https://a.example", false), "");
	assert_string_equal(fields_for(&none, "OPTIONS", "https://a.example", true), "");
}

static void who_is_named_may_read_and_caches_are_told_that_it_varies(void **state)
{
	(void)state;
	const struct cors cors = {two, 2};
	assert_string_equal(fields_for(&cors, "POST", "http://localhost:3000", false),
			    "vary: origin\naccess-control-allow-origin: http://localhost:3000\n"
			    "access-control-expose-headers: grpc-status, grpc-message, grpc-status-details-bin, *\n");
	assert_string_equal(fields_for(&cors, "POST", NULL, false), "vary: origin\n");
}

static void others_may_not(void **state)
{
	(void)state;
	const struct cors cors = {two, 2};
	static const char *const others[] = {"https://a.example.org", "http://a.example", "https://a.example:443", "null", "",
					     "https://A.example"};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		assert_string_equal(fields_for(&cors, "POST", others[i], false), "vary: origin\n");
		assert_string_equal(fields_for(&cors, "OPTIONS", others[i], true), "vary: origin\n");
	}
}

static void anyone_is_told_by_a_star(void **state)
{
	(void)state;
	const struct cors cors = {any, 1};
	assert_string_equal(fields_for(&cors, "GET", "https://elsewhere.example", false),
			    "access-control-allow-origin: *\n"
			    "access-control-expose-headers: grpc-status, grpc-message, grpc-status-details-bin, *\n");
}

static void who_asks_first_is_told_what_may_be_sent(void **state)
{
	(void)state;
	const struct cors cors = {two, 2};
	assert_string_equal(
		fields_for(&cors, "OPTIONS", "https://a.example", true),
		"vary: origin\naccess-control-allow-origin: https://a.example\naccess-control-allow-methods: GET, POST\n"
		"access-control-allow-headers: content-type, connect-protocol-version, connect-timeout-ms, grpc-timeout, "
		"x-grpc-web, x-user-agent, *\naccess-control-max-age: 7200\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unless_configured_nothing_is_said),
		cmocka_unit_test(who_is_named_may_read_and_caches_are_told_that_it_varies),
		cmocka_unit_test(others_may_not),
		cmocka_unit_test(anyone_is_told_by_a_star),
		cmocka_unit_test(who_asks_first_is_told_what_may_be_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
