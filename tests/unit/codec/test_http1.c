#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "codec/http1.h"

enum { MAX_BODY = 1000 };

/* What happened, as text: "[GET /path?query host 1.1 keep]", "<" body ">", ";" at each end, "!400" at an error. */
struct transcript {
	char text[4096];
	size_t size;
	bool in_body;
};

static void note(struct transcript *transcript, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct transcript *transcript, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int size = vsnprintf(transcript->text + transcript->size, sizeof transcript->text - transcript->size, format, args);
	va_end(args);
	assert_true(size >= 0 && transcript->size + (size_t)size < sizeof transcript->text);
	transcript->size += (size_t)size;
}

#define SHOWN(slice) (int)(slice).size, (const char *)(slice).data

static void note_head(struct transcript *transcript, const struct http1_request *request)
{
	note(transcript, "[%.*s %.*s%s%.*s %.*s 1.%u%s", SHOWN(request->method), SHOWN(request->path),
	     request->query.size > 0 ? "?" : "", SHOWN(request->query), SHOWN(request->authority), request->minor_version,
	     request->keep_alive ? " keep" : "");
	if (request->chunked)
		note(transcript, " chunked");
	else if (request->content_length > 0)
		note(transcript, " %llu", (unsigned long long)request->content_length);
	note(transcript, "%s]", request->expect_continue ? " expect" : "");
}

static bool feed(struct http1_parser *parser, struct slice input, struct transcript *transcript)
{
	for (;;) {
		struct slice body;
		enum http1_event event = http1_parser_next(parser, &input, &body);
		if (event == HTTP1_BODY && !transcript->in_body)
			note(transcript, "<");
		if (event != HTTP1_BODY && event != HTTP1_MORE && transcript->in_body)
			note(transcript, ">");
		transcript->in_body = event == HTTP1_BODY || (event == HTTP1_MORE && transcript->in_body);
		if (event == HTTP1_MORE) {
			assert_int_equal(input.size, 0);
			return true;
		} else if (event == HTTP1_HEAD) {
			note_head(transcript, http1_parser_request(parser));
		} else if (event == HTTP1_BODY) {
			assert_true(body.size > 0);
			note(transcript, "%.*s", SHOWN(body));
		} else if (event == HTTP1_END) {
			note(transcript, ";");
		} else {
			assert_non_null(http1_parser_reason(parser));
			note(transcript, "!%u", http1_parser_status(parser));
			return false;
		}
	}
}

/* Fed in two pieces cut at `cut`, then, with step > 0, in pieces of that size. Each piece is a block of its own. */
static void run(struct slice input, size_t cut, size_t step, struct transcript *ret_transcript)
{
	struct http1_parser *parser;
	assert_int_equal(http1_parser_create(MAX_BODY, &parser), ERROR_OK);
	*ret_transcript = (struct transcript){.size = 0};
	bool going = true;
	for (size_t at = 0; going && at < input.size;) {
		size_t size = step > 0 ? step : at == 0 && cut > 0 ? cut : input.size - at;
		if (size > input.size - at)
			size = input.size - at;
		uint8_t *piece = malloc(size);
		assert_non_null(piece);
		memcpy(piece, input.data + at, size);
		going = feed(parser, slice_make(piece, size), ret_transcript);
		free(piece);
		at += size;
	}
	http1_parser_destroy(parser);
}

static void assert_gives_slice(struct slice input, const char *wanted)
{
	struct transcript whole, other;
	run(input, 0, 0, &whole);
	assert_string_equal(whole.text, wanted);
	for (size_t cut = 1; cut < input.size && cut < 600; cut++) {
		run(input, cut, 0, &other);
		assert_string_equal(other.text, wanted);
	}
	for (size_t step = 1; step < 8; step++) {
		run(input, 0, step, &other);
		assert_string_equal(other.text, wanted);
	}
}

static void assert_gives(const char *input, const char *wanted)
{
	assert_gives_slice(slice_from_string(input), wanted);
}

static void a_get_has_no_body(void **state)
{
	(void)state;
	assert_gives("GET /a/b?c=d HTTP/1.1\r\nHost: example.org:8080\r\n\r\n", "[GET /a/b?c=d example.org:8080 1.1 keep];");
}

static void a_body_is_as_long_as_content_length_says(void **state)
{
	(void)state;
	assert_gives("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "[POST /x a 1.1 keep 5]<hello>;");
	assert_gives("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "[POST /x a 1.1 keep];");
	assert_gives("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0005\r\n\r\nhel", "[POST /x a 1.1 keep 5]<hel");
}

static void chunks_are_put_together(void **state)
{
	(void)state;
	assert_gives("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
		     "5\r\nhello\r\n00A;name=\"value\"\r\n, world, x\r\n0\r\nTrailer: ignored\r\nContent-Length: 7\r\n\r\n",
		     "[POST /x a 1.1 keep chunked]<hello, world, x>;");
	assert_gives("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		     "[POST /x a 1.1 keep chunked];");
}

static void pipelined_requests_follow_one_another(void **state)
{
	(void)state;
	assert_gives("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
		     "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
		     "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
		     "GET /4 HTTP/1.1\r\nHost: a\r\n\r\n",
		     "[GET /1 a 1.1 keep];[POST /2 a 1.1 keep 2]<hi>;[POST /3 a 1.1 keep chunked]<x>;[GET /4 a 1.1 keep];");
}

static void one_empty_line_before_a_request_is_let_pass(void **state)
{
	(void)state;
	assert_gives("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		     "[GET / a 1.1 keep];[GET / a 1.1 keep];");
	assert_gives("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "!400");
}

static void the_connection_is_kept_as_the_version_and_the_client_say(void **state)
{
	(void)state;
	assert_gives("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "[GET / a 1.1];");
	assert_gives("GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: y , CLOSE,\r\n\r\n", "[GET / a 1.1];");
	assert_gives("GET / HTTP/1.0\r\n\r\n", "[GET /  1.0];");
	assert_gives("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", "[GET / a 1.0 keep];");
	assert_gives("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "[GET /  1.0];");
}

static void a_client_that_waits_for_100_is_told_apart(void **state)
{
	(void)state;
	assert_gives("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
		     "[PUT / a 1.1 keep 1 expect]<x>;");
	assert_gives("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", "[PUT /  1.0 1]<x>;");
	assert_gives("PUT / HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\n\r\n", "!417");
}

static void targets_come_in_three_forms(void **state)
{
	(void)state;
	assert_gives("GET http://b:81/p?q HTTP/1.1\r\nHost: a\r\n\r\n", "[GET /p?q b:81 1.1 keep];");
	assert_gives("GET HTTPS://[::1] HTTP/1.1\r\nHost: a\r\n\r\n", "[GET / [::1] 1.1 keep];");
	assert_gives("GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n", "[GET /?q b 1.1 keep];");
	assert_gives("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "[OPTIONS * a 1.1 keep];");
	assert_gives("GET * HTTP/1.1\r\nHost: a\r\n\r\n", "!400");
	assert_gives("GET http:///p HTTP/1.1\r\nHost: a\r\n\r\n", "!400");
	assert_gives("GET http://user@b/ HTTP/1.1\r\nHost: a\r\n\r\n", "!400");
	assert_gives("GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "!400");
	assert_gives("GET http:/ HTTP/1.1\r\nHost: a\r\n\r\n", "!400");
	assert_gives("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", "!400");
}

/* Each of these has been read in two ways by some pair of a proxy and a server. One way is left: to refuse. */
static void what_could_smuggle_a_request_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *fields, *rest, *wanted;
	} vectors[] = {
		/* Two lengths. */
		{"Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n", "!400"},
		{"Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n", "!400"},
		{"Content-Length: 5\r\nContent-Length: 5", "hello", "!400"},
		{"Content-Length: 5\r\ncontent-length: 6", "hello", "!400"},
		{"Content-Length: 5, 5", "hello", "!400"},
		{"Content-Length: +5", "hello", "!400"},
		{"Content-Length: -5", "hello", "!400"},
		{"Content-Length: 0x5", "hello", "!400"},
		{"Content-Length: 5 5", "hello", "!400"},
		{"Content-Length: 5;", "hello", "!400"},
		{"Content-Length: \"5\"", "hello", "!400"},
		{"Content-Length:", "hello", "!400"},
		{"Content-Length: 1001", "", "!413"},
		{"Content-Length: 18446744073709551621", "hello", "!413"},
		{"Content-Length: 99999999999999999999999999", "hello", "!413"},
		/* A coding that isn't quite chunked. */
		{"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n", "!400"},
		{"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n", "!400"},
		{"Transfer-Encoding: chunked, chunked", "0\r\n\r\n", "!400"},
		{"Transfer-Encoding: chunked, identity", "0\r\n\r\n", "!400"},
		{"Transfer-Encoding: gzip, chunked", "0\r\n\r\n", "!400"},
		{"Transfer-Encoding: ,chunked", "0\r\n\r\n", "!400"},
		{"Transfer-Encoding: chunked;q=1", "0\r\n\r\n", "!400"},
		{"Transfer-Encoding: \"chunked\"", "0\r\n\r\n", "!400"},
		{"Transfer-Encoding:", "0\r\n\r\n", "!400"},
		{"Transfer-Encoding: xchunked", "0\r\n\r\n", "!501"},
		{"Transfer-Encoding: gzip", "0\r\n\r\n", "!501"},
		{"Transfer-Encoding: \x0b"
		 "chunked",
		 "0\r\n\r\n", "!400"},
		{"Transfer-Encoding : chunked", "0\r\n\r\n", "!400"},
		{"Transfer-Encoding\t: chunked", "0\r\n\r\n", "!400"},
		{"Transfer_Encoding: chunked\r\nContent-Length: 3", "abc", "[POST / a 1.1 keep 3]<abc>;"},
		{" Transfer-Encoding: chunked", "0\r\n\r\n", "!400"},
		{"X: y\r\n Transfer-Encoding: chunked", "0\r\n\r\n", "!400"},
		{"X: y\r\n\tfolded", "", "!400"},
		/* Line ends. */
		{"X: y\nTransfer-Encoding: chunked", "0\r\n\r\n", "!400"},
		{"X: y\rTransfer-Encoding: chunked", "0\r\n\r\n", "!400"},
		{"X: y\r\r\nZ: 1", "", "!400"},
		{"X: y\n\n", "", "!400"},
		/* Names and values. */
		{"X", "", "!400"},
		{": y", "", "!400"},
		{"X Y: z", "", "!400"},
		{"X\x80: z", "", "!400"},
		{"X(: z", "", "!400"},
		{"X: \x01", "", "!400"},
		{"X: \x7f", "", "!400"},
		{"X: \xc3\xa9\t!", "", "[POST / a 1.1 keep];"},
		{"X:", "", "[POST / a 1.1 keep];"},
		/* Host. */
		{"Host: b", "", "!400"},
		{"hOST: a", "", "!400"},
		/* Chunks. */
		{"Transfer-Encoding: chunked", "5\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "5\rhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "5\r\nhello\n0\r\n\r\n", "[POST / a 1.1 keep chunked]<hello>!400"},
		{"Transfer-Encoding: chunked", "5\r\nhello0\r\n\r\n", "[POST / a 1.1 keep chunked]<hello>!400"},
		{"Transfer-Encoding: chunked", "5\r\nhello\rX0\r\n\r\n", "[POST / a 1.1 keep chunked]<hello>!400"},
		{"Transfer-Encoding: chunked", "5 \r\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", " 5\r\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "0x5\r\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "+5\r\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "-1\r\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "g\r\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "\r\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "1\r\nx\r\n\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]<x>!400"},
		{"Transfer-Encoding: chunked", "00000001\r\nx\r\n00000001\r\ny\r\n00000000\r\n\r\n",
		 "[POST / a 1.1 keep chunked]<xy>;"},
		{"Transfer-Encoding: chunked", ";x\r\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "5;x\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "5;\x01\r\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "00000000000000005\r\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "10000000000000005\r\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", "[POST / a 1.1 keep chunked]!413"},
		{"Transfer-Encoding: chunked", "3e9\r\n", "[POST / a 1.1 keep chunked]!413"},
		{"Transfer-Encoding: chunked", "1\r\nx\r\n3e8\r\n", "[POST / a 1.1 keep chunked]<x>!413"},
		{"Transfer-Encoding: chunked", "0\r\nX : y\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "0\r\nX: y\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "0\r\n folded\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
		{"Transfer-Encoding: chunked", "0\r\nGET / HTTP/1.1\r\n\r\n", "[POST / a 1.1 keep chunked]!400"},
	};
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		char input[1024];
		snprintf(input, sizeof input, "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n%s", vectors[i].fields, vectors[i].rest);
		assert_gives(input, vectors[i].wanted);
	}
}

static void malformed_request_lines_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *line, *wanted;
	} vectors[] = {
		{"GET / HTTP/1.1\n", "!400"},
		{"GET /\r\n", "!400"},
		{"GET\r\n", "!400"},
		{"GET  / HTTP/1.1\r\n", "!400"},
		{"GET /  HTTP/1.1\r\n", "!400"},
		{"GET / HTTP/1.1 \r\n", "!400"},
		{" GET / HTTP/1.1\r\n", "!400"},
		{"GET\t/\tHTTP/1.1\r\n", "!400"},
		{"GET /a b HTTP/1.1\r\n", "!400"},
		{"G(T / HTTP/1.1\r\n", "!400"},
		{"GET /\x80 HTTP/1.1\r\n", "!400"},
		{"GET /\x7f HTTP/1.1\r\n", "!400"},
		{"GET /#f HTTP/1.1\r\n", "!400"},
		{"GET /\rx HTTP/1.1\r\n", "!400"},
		{"GET a HTTP/1.1\r\nHost: a\r\n\r\n", "!400"},
		{"GET / http/1.1\r\n", "!400"},
		{"GET / HTTP/11\r\n", "!400"},
		{"GET / HTTP/1.10\r\n", "!400"},
		{"GET / HTTP/1.x\r\n", "!400"},
		{"GET / HTTP/1.2\r\n", "!505"},
		{"GET / HTTP/0.9\r\n", "!505"},
		{"PRI * HTTP/2.0\r\n", "!505"},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n", "!501"},
		{"GET / HTTP/1.1\r\n\r\n", "!400"},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "!400"},
		{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "!400"},
		{"GET / HTTP/1.1\r\nHost:\r\n\r\n", "[GET /  1.1 keep];"},
		{"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "!400"},
		{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "!400"},
	};
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
		assert_gives(vectors[i].line, vectors[i].wanted);
}

static void a_nul_is_refused_wherever_it_stands(void **state)
{
	(void)state;
	assert_gives_slice(SLICE_LITERAL("GET /\0 HTTP/1.1\r\n"), "!400");
	assert_gives_slice(SLICE_LITERAL("GET / HTTP/1.1\r\nHost: a\r\nX\0: y\r\n"), "!400");
	assert_gives_slice(SLICE_LITERAL("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n"), "!400");
	assert_gives_slice(SLICE_LITERAL("GET / HTTP/1.1\r\nHost: a\0b\r\n"), "!400");
}

enum { INPUT_SIZE = 40000 };

/* `count` times `byte` between two texts. */
static struct slice around(char *input, const char *before, char byte, size_t count, const char *behind)
{
	size_t before_size = strlen(before), behind_size = strlen(behind);
	memcpy(input, before, before_size);
	memset(input + before_size, byte, count);
	memcpy(input + before_size + count, behind, behind_size);
	return slice_make(input, before_size + count + behind_size);
}

static void assert_ends_with(struct slice input, const char *wanted)
{
	struct transcript whole, pieces;
	run(input, 0, 0, &whole);
	run(input, 0, 1, &pieces);
	assert_string_equal(whole.text, pieces.text);
	size_t size = strlen(wanted);
	assert_true(whole.size >= size);
	assert_string_equal(whole.text + whole.size - size, wanted);
}

static void a_long_target_is_taken_to_its_limit(void **state)
{
	(void)state;
	static char input[INPUT_SIZE];
	struct http1_parser *parser;
	struct slice body, fine = around(input, "GET /", 'x', HTTP1_TARGET_MAX - 1, " HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(http1_parser_create(MAX_BODY, &parser), ERROR_OK);
	assert_int_equal(http1_parser_next(parser, &fine, &body), HTTP1_HEAD);
	assert_int_equal(http1_parser_request(parser)->target.size, HTTP1_TARGET_MAX);
	http1_parser_destroy(parser);
	assert_ends_with(around(input, "GET /", 'x', HTTP1_TARGET_MAX, " HTTP/1.1\r\nHost: a\r\n\r\n"), "!414");
	assert_ends_with(around(input, "GET /", 'x', 10000, " HTTP/1.1\r\nHost: a\r\n\r\n"), "!414");
	assert_ends_with(around(input, "GET /", 'x', 10000, ""), "!414");
}

static void header_fields_are_taken_to_their_limit(void **state)
{
	(void)state;
	static char input[INPUT_SIZE];
	size_t room = HTTP1_FIELDS_MAX - strlen("Host: a\r\nX: \r\n\r\n");
	assert_ends_with(around(input, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 'x', room, "\r\n\r\n"), "];");
	assert_ends_with(around(input, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 'x', room + 1, "\r\n\r\n"), "!431");
	assert_ends_with(around(input, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 'x', 20000, ""), "!431");
	assert_ends_with(around(input, "GET / HTTP/1.1\r\nHost: a\r\n", '\n', 1, "X: y\r\n"), "!400");
}

static struct slice with_fields(char input[INPUT_SIZE], const char *before, unsigned count)
{
	size_t size = (size_t)snprintf(input, INPUT_SIZE, "%s", before);
	for (unsigned i = 0; i < count; i++)
		size += (size_t)snprintf(input + size, INPUT_SIZE - size, "X: %u\r\n", i);
	size += (size_t)snprintf(input + size, INPUT_SIZE - size, "\r\n");
	return slice_make(input, size);
}

static void a_hundred_fields_are_the_most(void **state)
{
	(void)state;
	static char input[INPUT_SIZE];
	static const char before[] = "GET / HTTP/1.1\r\nHost: a\r\n";
	assert_ends_with(with_fields(input, before, 99), "];");
	assert_ends_with(with_fields(input, before, 100), "!431");
}

static void trailers_share_the_limits_of_the_head(void **state)
{
	(void)state;
	static char input[INPUT_SIZE];
	static const char before[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
	assert_ends_with(with_fields(input, before, 98), "];");
	assert_ends_with(with_fields(input, before, 99), "!431");
	static char long_before[128];
	snprintf(long_before, sizeof long_before, "%sX: ", before);
	assert_ends_with(around(input, long_before, 'x', 17000, "\r\n\r\n"), "!431");
}

static void chunk_extensions_are_bounded_over_the_message(void **state)
{
	(void)state;
	static char input[INPUT_SIZE];
	static const char before[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;";
	assert_ends_with(around(input, before, 'x', HTTP1_EXTENSIONS_MAX, "\r\na\r\n0\r\n\r\n"), "<a>;");
	assert_ends_with(around(input, before, 'x', HTTP1_EXTENSIONS_MAX, "\r\na\r\n1;x\r\na\r\n0\r\n\r\n"), "<a>!400");
	assert_ends_with(around(input, before, 'x', HTTP1_EXTENSIONS_MAX + 1, ""), "!400");
}

static void an_error_lasts(void **state)
{
	(void)state;
	struct http1_parser *parser;
	struct slice body, input = SLICE_LITERAL("nonsense\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(http1_parser_create(MAX_BODY, &parser), ERROR_OK);
	assert_int_equal(http1_parser_next(parser, &input, &body), HTTP1_ERROR);
	assert_int_equal(http1_parser_next(parser, &input, &body), HTTP1_ERROR);
	assert_int_equal(http1_parser_status(parser), 400);
	http1_parser_destroy(parser);
}

static void a_parser_knows_whether_a_request_has_begun(void **state)
{
	(void)state;
	struct http1_parser *parser;
	struct slice body, input = SLICE_LITERAL("GET / HTTP/1.1\r\nHost: a\r\n\r\nG");
	assert_int_equal(http1_parser_create(MAX_BODY, &parser), ERROR_OK);
	assert_true(http1_parser_is_between(parser));
	assert_int_equal(http1_parser_next(parser, &input, &body), HTTP1_HEAD);
	assert_false(http1_parser_is_between(parser));
	assert_int_equal(http1_parser_next(parser, &input, &body), HTTP1_END);
	assert_true(http1_parser_is_between(parser));
	assert_int_equal(http1_parser_next(parser, &input, &body), HTTP1_MORE);
	assert_false(http1_parser_is_between(parser));
	http1_parser_destroy(parser);
}

static void fields_keep_their_order_and_lose_the_blanks_around_values(void **state)
{
	(void)state;
	struct http1_parser *parser;
	struct slice body,
		input = SLICE_LITERAL(
			"GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-for:  1.2.3.4 \t\r\nOther: o\r\nX-FORWARDED-FOR: ::1\r\n\r\n");
	assert_int_equal(http1_parser_create(MAX_BODY, &parser), ERROR_OK);
	assert_int_equal(http1_parser_next(parser, &input, &body), HTTP1_HEAD);
	assert_int_equal(http1_parser_next(parser, &input, &body), HTTP1_END);
	const struct http1_request *request = http1_parser_request(parser);
	assert_int_equal(request->field_count, 4);
	assert_true(slice_equal_string(http1_request_field(request, 2).name, "Other"));
	assert_true(slice_equal_string(http1_request_field(request, 1).name, "x-forwarded-for"));
	assert_true(slice_equal_string(http1_request_field(request, 1).value, "1.2.3.4"));
	assert_true(slice_equal_string(http1_request_field(request, 3).value, "::1"));
	http1_parser_destroy(parser);
}

static void assert_writes(const struct http1_response *response, const char *wanted)
{
	struct buffer output;
	buffer_init(&output, 4096);
	assert_int_equal(http1_write_head(response, &output), ERROR_OK);
	assert_int_equal(output.size, strlen(wanted));
	assert_memory_equal(output.data, wanted, output.size);
	buffer_release(&output);
}

static void a_response_head_is_written(void **state)
{
	(void)state;
	struct http1_field type = {SLICE_LITERAL("Content-Type"), SLICE_LITERAL("application/json")};
	struct http1_response response = {
		.status = 200, .minor_version = 1, .keep_alive = true, .content_length = 2, .fields = &type, .field_count = 1};
	assert_writes(&response, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n");
	response.minor_version = 0;
	response.field_count = 0;
	assert_writes(&response, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n");
	response.keep_alive = false;
	response.status = 299;
	assert_writes(&response, "HTTP/1.1 299 \r\nContent-Length: 2\r\nConnection: close\r\n\r\n");
	response =
		(struct http1_response){.status = 100, .minor_version = 1, .keep_alive = true, .content_length = HTTP1_NO_LENGTH};
	assert_writes(&response, "HTTP/1.1 100 Continue\r\n\r\n");
}

static void a_response_cannot_be_split_by_a_value(void **state)
{
	(void)state;
	struct http1_field wrong[] = {
		{SLICE_LITERAL("X"), SLICE_LITERAL("a\r\nSet-Cookie: b")},
		{SLICE_LITERAL("X"), SLICE_LITERAL("a\0")},
		{SLICE_LITERAL("X: y"), SLICE_LITERAL("a")},
		{SLICE_LITERAL(""), SLICE_LITERAL("a")},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct buffer output;
		buffer_init(&output, 4096);
		assert_int_equal(buffer_append_string(&output, "before"), ERROR_OK);
		struct http1_response response = {.status = 200, .keep_alive = true, .fields = &wrong[i], .field_count = 1};
		assert_int_equal(http1_write_head(&response, &output), ERROR_INVALID_ARGUMENT);
		assert_int_equal(output.size, 6);
		buffer_release(&output);
	}
}

static void a_full_buffer_is_left_as_it_was(void **state)
{
	(void)state;
	struct http1_response response = {.status = 200, .minor_version = 1, .content_length = 7};
	struct buffer whole;
	buffer_init(&whole, 4096);
	assert_int_equal(http1_write_head(&response, &whole), ERROR_OK);
	for (size_t limit = 0; limit < whole.size; limit++) {
		struct buffer output;
		buffer_init(&output, limit);
		assert_int_equal(http1_write_head(&response, &output), ERROR_TOO_LARGE);
		assert_int_equal(output.size, 0);
		buffer_release(&output);
	}
	buffer_release(&whole);
}

static void a_body_of_unknown_length_is_written_in_chunks(void **state)
{
	(void)state;
	struct buffer output;
	buffer_init(&output, SIZE_MAX);
	const struct http1_response head = {
		.status = 200, .minor_version = 1, .keep_alive = true, .content_length = HTTP1_CHUNKED};
	assert_int_equal(http1_write_head(&head, &output), ERROR_OK);
	assert_int_equal(http1_write_chunk(SLICE_LITERAL("hello, chunked world"), &output), ERROR_OK);
	assert_int_equal(http1_write_chunk(slice_make(NULL, 0), &output), ERROR_OK); /* would be the last one */
	assert_int_equal(http1_write_chunk(SLICE_LITERAL("!"), &output), ERROR_OK);
	const struct http1_field trailers[] = {{SLICE_LITERAL("grpc-status"), SLICE_LITERAL("0")},
					       {SLICE_LITERAL("a"), SLICE_LITERAL("")}};
	assert_int_equal(http1_write_end(trailers, 2, &output), ERROR_OK);
	static const char expected[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				       "14\r\nhello, chunked world\r\n1\r\n!\r\n0\r\ngrpc-status: 0\r\na: \r\n\r\n";
	assert_int_equal(output.size, sizeof expected - 1);
	assert_memory_equal(output.data, expected, sizeof expected - 1);
	buffer_release(&output);
}

static void a_body_without_length_or_chunks_says_neither(void **state)
{
	(void)state;
	struct buffer output;
	buffer_init(&output, SIZE_MAX);
	const struct http1_response head = {.status = 200, .content_length = HTTP1_NO_LENGTH};
	assert_int_equal(http1_write_head(&head, &output), ERROR_OK);
	static const char expected[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
	assert_int_equal(output.size, sizeof expected - 1);
	assert_memory_equal(output.data, expected, sizeof expected - 1);
	buffer_release(&output);
}

static void a_trailer_cannot_split_a_response(void **state)
{
	(void)state;
	const struct http1_field wrong[] = {{SLICE_LITERAL("a"), SLICE_LITERAL("b\r\nc: d")},
					    {SLICE_LITERAL("a b"), SLICE_LITERAL("c")},
					    {SLICE_LITERAL(""), SLICE_LITERAL("c")}};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct buffer output;
		buffer_init(&output, SIZE_MAX);
		assert_int_equal(http1_write_chunk(SLICE_LITERAL("x"), &output), ERROR_OK);
		assert_int_equal(http1_write_end(&wrong[i], 1, &output), ERROR_INVALID_ARGUMENT);
		assert_int_equal(output.size, 6); /* as it was */
		buffer_release(&output);
	}
}

static void a_chunk_that_does_not_fit_is_not_begun(void **state)
{
	(void)state;
	struct buffer output;
	buffer_init(&output, 10);
	assert_int_equal(http1_write_chunk(SLICE_LITERAL("12345678"), &output), ERROR_TOO_LARGE);
	assert_int_equal(output.size, 0);
	assert_int_equal(http1_write_chunk(SLICE_LITERAL("12345"), &output), ERROR_OK);
	assert_int_equal(http1_write_end(NULL, 0, &output), ERROR_TOO_LARGE);
	assert_int_equal(output.size, 10);
	buffer_release(&output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_get_has_no_body),
		cmocka_unit_test(a_body_is_as_long_as_content_length_says),
		cmocka_unit_test(chunks_are_put_together),
		cmocka_unit_test(pipelined_requests_follow_one_another),
		cmocka_unit_test(one_empty_line_before_a_request_is_let_pass),
		cmocka_unit_test(the_connection_is_kept_as_the_version_and_the_client_say),
		cmocka_unit_test(a_client_that_waits_for_100_is_told_apart),
		cmocka_unit_test(targets_come_in_three_forms),
		cmocka_unit_test(what_could_smuggle_a_request_is_refused),
		cmocka_unit_test(malformed_request_lines_are_refused),
		cmocka_unit_test(a_nul_is_refused_wherever_it_stands),
		cmocka_unit_test(a_long_target_is_taken_to_its_limit),
		cmocka_unit_test(header_fields_are_taken_to_their_limit),
		cmocka_unit_test(a_hundred_fields_are_the_most),
		cmocka_unit_test(trailers_share_the_limits_of_the_head),
		cmocka_unit_test(chunk_extensions_are_bounded_over_the_message),
		cmocka_unit_test(an_error_lasts),
		cmocka_unit_test(a_parser_knows_whether_a_request_has_begun),
		cmocka_unit_test(fields_keep_their_order_and_lose_the_blanks_around_values),
		cmocka_unit_test(a_response_head_is_written),
		cmocka_unit_test(a_response_cannot_be_split_by_a_value),
		cmocka_unit_test(a_full_buffer_is_left_as_it_was),
		cmocka_unit_test(a_body_of_unknown_length_is_written_in_chunks),
		cmocka_unit_test(a_body_without_length_or_chunks_says_neither),
		cmocka_unit_test(a_trailer_cannot_split_a_response),
		cmocka_unit_test(a_chunk_that_does_not_fit_is_not_begun),
	};
	return cmocka_run_group_tests_name("codec/http1", tests, NULL, NULL);
}
