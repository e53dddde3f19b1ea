/* The dashboard's files as a browser gets them: encodings, tags, how long they are kept, what the page may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "web/web.h"

enum { PAGE, SCRIPT, TINY };

const struct web_file web_files[] = {
	{"/",
	 "text/html; charset=utf-8",
	 "\"page\"",
	 "\"page-gzip\"",
	 false,
	 {(const uint8_t *)"<html>", 6},
	 {(const uint8_t *)"zip", 3}},
	{"/assets/a-1.js",
	 "text/javascript",
	 "\"js\"",
	 "\"js-gzip\"",
	 true,
	 {(const uint8_t *)"script", 6},
	 {(const uint8_t *)"z", 1}},
	{"/assets/b-2.svg", "image/svg+xml", "\"svg\"", "\"svg-gzip\"", true, {(const uint8_t *)"<svg/>", 6}, {NULL, 0}},
};
const size_t web_file_count = 3;

static struct http_response response;
static struct buffer body;

static void ask(size_t file, const char *accept_encoding, const char *if_none_match)
{
	struct rpc_header headers[2];
	size_t count = 0;
	if (accept_encoding != NULL)
		headers[count++] = (struct rpc_header){SLICE_LITERAL("accept-encoding"), slice_from_string(accept_encoding)};
	if (if_none_match != NULL)
		headers[count++] = (struct rpc_header){SLICE_LITERAL("if-none-match"), slice_from_string(if_none_match)};
	const struct rpc_request request = {.method = SLICE_LITERAL("GET"), .headers = headers, .header_count = count};
	buffer_clear(&body);
	response = (struct http_response){.status = 200, .body = &body};
	web_file_serve((void *)&web_files[file], &request, &response);
}

/* Empty: it is not there. */
static struct slice header(const char *name)
{
	for (size_t i = 0; i < response.header_count; i++)
		if (slice_equal_string(response.headers[i].name, name))
			return response.headers[i].value;
	return slice_make(NULL, 0);
}

static void assert_header(const char *name, const char *value)
{
	struct slice found = header(name);
	assert_int_equal(found.size, strlen(value));
	assert_memory_equal(found.data, value, found.size);
}

static void assert_body(const char *text)
{
	assert_int_equal(body.size, strlen(text));
	if (body.size > 0)
		assert_memory_equal(body.data, text, body.size);
}

static bool policy_has(const char *part)
{
	struct slice policy = header("content-security-policy");
	return memmem(policy.data, policy.size, part, strlen(part)) != NULL;
}

static void who_takes_gzip_gets_it(void **state)
{
	(void)state;
	static const char *const takers[] = {"gzip", "GZip", "deflate, gzip;q=0.5", "x-gzip", "*", "br;q=1, *;q=0.1"};
	for (size_t i = 0; i < sizeof takers / sizeof takers[0]; i++) {
		ask(PAGE, takers[i], NULL);
		assert_int_equal(response.status, 200);
		assert_header("content-encoding", "gzip");
		assert_header("etag", "\"page-gzip\"");
		assert_header("vary", "accept-encoding");
		assert_body("zip");
	}
}

static void who_does_not_gets_it_as_it_is(void **state)
{
	(void)state;
	static const char *const others[] = {NULL, "", "br", "gzip;q=0", "gzip; q=0.00, *", "*;q=0", "identity", "gzipped"};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		ask(PAGE, others[i], NULL);
		assert_header("content-encoding", "");
		assert_header("etag", "\"page\"");
		assert_header("vary", "accept-encoding");
		assert_body("<html>");
	}
}

static void what_does_not_shrink_is_never_packed(void **state)
{
	(void)state;
	ask(TINY, "gzip", NULL);
	assert_header("content-encoding", "");
	assert_header("etag", "\"svg\"");
	assert_body("<svg/>");
}

static void who_has_it_is_told_so(void **state)
{
	(void)state;
	static const char *const known[] = {"\"page-gzip\"", "W/\"page-gzip\"", "\"old\", \"page-gzip\"", "*"};
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		ask(PAGE, "gzip", known[i]);
		assert_int_equal(response.status, 304);
		assert_null(response.content_type);
		assert_header("etag", "\"page-gzip\"");
		assert_header("cache-control", "no-cache");
		assert_header("content-encoding", "");
		assert_body("");
	}
}

static void who_has_another_gets_this_one(void **state)
{
	(void)state;
	static const char *const known[] = {"\"old\"", "page-gzip", "\"page\"", "W/", ""};
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		ask(PAGE, "gzip", known[i]);
		assert_int_equal(response.status, 200);
		assert_body("zip");
	}
}

static void the_page_may_do_only_what_it_must(void **state)
{
	(void)state;
	ask(PAGE, NULL, NULL);
	assert_string_equal(response.content_type, "text/html; charset=utf-8");
	assert_header("cache-control", "no-cache");
	assert_header("x-content-type-options", "nosniff");
	assert_header("referrer-policy", "no-referrer");
	assert_header("x-frame-options", "DENY");
	assert_true(policy_has("default-src 'none'"));
	assert_true(policy_has("script-src 'self';"));
	assert_true(policy_has("connect-src 'self';"));
	assert_true(policy_has("frame-ancestors 'none'"));
	assert_false(policy_has("unsafe"));
}

static void what_is_named_by_its_hash_is_kept_for_ever(void **state)
{
	(void)state;
	ask(SCRIPT, "gzip", NULL);
	assert_string_equal(response.content_type, "text/javascript");
	assert_header("cache-control", "public, max-age=31536000, immutable");
	assert_header("x-content-type-options", "nosniff");
}

static void each_file_has_a_route(void **state)
{
	(void)state;
	struct http_route routes[4];
	assert_int_equal(web_routes(routes, 4), 3);
	assert_string_equal(routes[SCRIPT].path, "/assets/a-1.js");
	assert_ptr_equal(routes[SCRIPT].context, &web_files[SCRIPT]);
	assert_int_equal(web_routes(routes, 2), 2);
}

static int release(void **state)
{
	(void)state;
	buffer_release(&body);
	return 0;
}

int main(void)
{
	buffer_init(&body, SIZE_MAX);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_takes_gzip_gets_it),
		cmocka_unit_test(who_does_not_gets_it_as_it_is),
		cmocka_unit_test(what_does_not_shrink_is_never_packed),
		cmocka_unit_test(who_has_it_is_told_so),
		cmocka_unit_test(who_has_another_gets_this_one),
		cmocka_unit_test(the_page_may_do_only_what_it_must),
		cmocka_unit_test(what_is_named_by_its_hash_is_kept_for_ever),
		cmocka_unit_test(each_file_has_a_route),
	};
	return cmocka_run_group_tests(tests, NULL, release);
}
