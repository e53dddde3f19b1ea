/* HTTP/1.1: the same bytes at once, one by one and in pieces give the same events. The first byte is the size of the pieces. */
#include "codec/http1.h"
#include "fuzz.h"

struct transcript {
	struct buffer text;
	bool in_body;
};

static void note(struct transcript *transcript, const char *kind, struct slice text)
{
	FUZZ_CHECK(buffer_append_string(&transcript->text, kind) == ERROR_OK);
	FUZZ_CHECK(buffer_append(&transcript->text, text.data, text.size) == ERROR_OK);
}

static void note_head(struct transcript *transcript, const struct http1_request *request)
{
	FUZZ_CHECK(request->method.size > 0 && request->target.size > 0 && request->path.size > 0);
	FUZZ_CHECK(request->field_count <= HTTP1_FIELD_COUNT_MAX && (!request->chunked || request->content_length == 0));
	note(transcript, "\nhead ", request->method);
	note(transcript, " ", request->target);
	note(transcript, " ", request->path);
	note(transcript, " ", request->query);
	note(transcript, " ", request->authority);
	for (size_t i = 0; i < request->field_count; i++) {
		struct http1_field field = http1_request_field(request, i);
		FUZZ_CHECK(field.name.size > 0);
		note(transcript, "\n", field.name);
		note(transcript, ": ", field.value);
	}
	FUZZ_CHECK(buffer_append_format(&transcript->text, "\n1.%u %llu %d %d %d", request->minor_version,
					(unsigned long long)request->content_length, request->chunked, request->keep_alive,
					request->expect_continue) == ERROR_OK);
}

static bool feed(struct http1_parser *parser, struct slice input, struct transcript *transcript)
{
	for (;;) {
		struct slice body;
		enum http1_event event = http1_parser_next(parser, &input, &body);
		switch (event) {
		case HTTP1_MORE:
			FUZZ_CHECK(input.size == 0);
			return true;
		case HTTP1_HEAD:
			note_head(transcript, http1_parser_request(parser));
			break;
		case HTTP1_BODY:
			FUZZ_CHECK(body.size > 0);
			note(transcript, transcript->in_body ? "" : "\nbody ", body);
			break;
		case HTTP1_END:
			FUZZ_CHECK(http1_parser_is_between(parser));
			note(transcript, "\nend", slice_make(NULL, 0));
			break;
		case HTTP1_ERROR:
			FUZZ_CHECK(buffer_append_format(&transcript->text, "\nerror %u %s", http1_parser_status(parser),
							http1_parser_reason(parser)) == ERROR_OK);
			return false;
		}
		transcript->in_body = event == HTTP1_BODY;
	}
}

static void run(struct slice input, size_t step, struct transcript *transcript)
{
	struct http1_parser *parser;
	FUZZ_CHECK(http1_parser_create(100000, &parser) == ERROR_OK);
	buffer_clear(&transcript->text);
	transcript->in_body = false;
	bool going = true;
	for (size_t at = 0; going && at < input.size; at += step)
		going = feed(parser, slice_make(input.data + at, input.size - at < step ? input.size - at : step), transcript);
	http1_parser_destroy(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct slice input = slice_make(data + 1, size - 1);
	const size_t steps[] = {1, 1 + (size_t)data[0]};
	struct transcript whole = {.in_body = false}, pieces = {.in_body = false};
	buffer_init(&whole.text, SIZE_MAX);
	buffer_init(&pieces.text, SIZE_MAX);
	run(input, input.size, &whole);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		run(input, steps[i], &pieces);
		FUZZ_CHECK(slice_equal(buffer_slice(&whole.text), buffer_slice(&pieces.text)));
	}
	buffer_release(&whole.text);
	buffer_release(&pieces.text);
	return 0;
}
