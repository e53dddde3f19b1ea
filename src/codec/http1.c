#include "codec/http1.h"

#include <stdlib.h>

enum {
	REQUEST_LINE_MAX = HTTP1_METHOD_MAX + HTTP1_TARGET_MAX + 16, /* with " HTTP/1.1\r\n" */
	BLOCK_MAX = 2 + REQUEST_LINE_MAX + HTTP1_FIELDS_MAX,
	BLOCK_KEPT = 4096, /* bytes that an idle parser keeps */
	CHUNK_SIZE_DIGITS = 16,
};
_Static_assert(BLOCK_MAX <= UINT16_MAX, "a span reaches everything");

struct http1_span {
	uint16_t name_at, name_size, value_at, value_size;
};

enum state {
	STATE_BETWEEN,
	STATE_REQUEST_LINE,
	STATE_FIELD_LINE,
	STATE_BODY,
	STATE_CHUNK_SIZE,
	STATE_CHUNK_EXTENSION,
	STATE_CHUNK_SIZE_LF,
	STATE_CHUNK_DATA,
	STATE_CHUNK_DATA_CR,
	STATE_CHUNK_DATA_LF,
	STATE_TRAILER_LINE,
	STATE_END,
	STATE_FAILED,
	STATE_COUNT,
};

struct http1_parser {
	enum state state;
	uint64_t max_body;
	struct buffer head;    /* request line and header lines, as they came */
	struct buffer trailer; /* one trailer line */
	size_t line_at;	       /* where the line that is being read begins */
	size_t field_bytes, field_count;
	bool skipped_blank_line;
	/* What the head says; slices of `request` are set when it is complete, since the block may move until then. */
	struct http1_request request;
	struct http1_span spans[HTTP1_FIELD_COUNT_MAX];
	struct http1_span line; /* name: the method, value: the target */
	struct http1_span host; /* of the field "Host" */
	bool has_host, has_length, wants_close, wants_keep_alive;
	/* The body. */
	uint64_t left; /* bytes of this chunk, or of all */
	uint64_t body_bytes;
	unsigned size_digits;
	size_t extension_bytes;
	unsigned status;
	const char *reason;
};

/* ── Bytes ── */

#define ALNUM(set) ['0' ... '9'] = set, ['A' ... 'Z'] = set, ['a' ... 'z'] = set

static const uint8_t token_bytes[256] = {
	ALNUM(1),  ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1,
	['+'] = 1, ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1,  ['~'] = 1,
};
/* Field content: visible, blank, tab, obs-text (RFC 9110, 5.5). */
static const uint8_t value_bytes[256] = {['\t'] = 1, [' ' ... '~'] = 1, [0x80 ... 0xff] = 1};
static const uint8_t target_bytes[256] = {['!' ... '"'] = 1, ['$' ... '~'] = 1};
/* uri-host [":" port] (RFC 3986, 3.2.2). */
static const uint8_t host_bytes[256] = {
	ALNUM(1),  ['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1, ['%'] = 1, ['!'] = 1, ['$'] = 1, ['&'] = 1, ['\''] = 1,
	['('] = 1, [')'] = 1, ['*'] = 1, ['+'] = 1, [','] = 1, [';'] = 1, ['='] = 1, [':'] = 1, ['['] = 1, [']'] = 1,
};

static bool all_in(struct slice text, const uint8_t set[256])
{
	for (size_t i = 0; i < text.size; i++)
		if (!set[text.data[i]])
			return false;
	return true;
}

static bool is_token(struct slice text)
{
	return text.size > 0 && all_in(text, token_bytes);
}

static bool begins_ignoring_case(struct slice text, const char *wanted)
{
	size_t size = strlen(wanted);
	return text.size >= size && slice_equal_ignoring_case(slice_make(text.data, size), wanted);
}

/* What stands before the first `separator`; *rest is what stands behind it, data NULL where there is none. */
static struct slice split(struct slice text, char separator, struct slice *ret_rest)
{
	const uint8_t *at = text.size == 0 ? NULL : memchr(text.data, separator, text.size);
	*ret_rest = slice_make(NULL, 0);
	if (at == NULL)
		return text;
	size_t size = (size_t)(at - text.data);
	*ret_rest = slice_make(at + 1, text.size - size - 1);
	return slice_make(text.data, size);
}

/* ── Outcomes of a step ── */

/* A step of the machine: GO_ON to the next one, or an event for the caller. */
enum { GO_ON = -1 };

static int fail(struct http1_parser *parser, unsigned status, const char *reason)
{
	parser->state = STATE_FAILED;
	parser->status = status;
	parser->reason = reason;
	return HTTP1_ERROR;
}

static int go_on(struct http1_parser *parser, enum state state)
{
	parser->state = state;
	return GO_ON;
}

static void advance(struct slice *input, size_t size)
{
	*input = slice_make(input->data + size, input->size - size);
}

/* ── Lines ── */

/* Moves input into the block up to the end of the line. GO_ON with the line, without its CR LF, when it is complete. The limit is
 * checked first, so that a line gives the same error whether it comes at once or in pieces. */
static int take_line(struct http1_parser *parser, struct buffer *block, size_t line_max, unsigned status_too_long,
		     struct slice *input, struct slice *ret_line)
{
	const uint8_t *newline = input->size == 0 ? NULL : memchr(input->data, '\n', input->size);
	size_t take = newline == NULL ? input->size : (size_t)(newline - input->data) + 1;
	if (take > line_max - (block->size - parser->line_at))
		return fail(parser, status_too_long, status_too_long == 414 ? "target too long" : "header fields too large");
	if (buffer_append(block, input->data, take) != ERROR_OK)
		return fail(parser, 503, "out of memory");
	advance(input, take);
	if (newline == NULL)
		return HTTP1_MORE;
	struct slice line = slice_make(block->data + parser->line_at, block->size - parser->line_at);
	if (line.size < 2 || line.data[line.size - 2] != '\r')
		return fail(parser, 400, "a line ends in LF without CR");
	parser->line_at = block->size;
	*ret_line = slice_make(line.data, line.size - 2);
	return GO_ON;
}

static int step_between(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	(void)ret_body;
	if (input->size == 0)
		return HTTP1_MORE;
	struct buffer head = parser->head, trailer = parser->trailer;
	buffer_clear(&head);
	buffer_clear(&trailer);
	if (head.capacity > BLOCK_KEPT)
		buffer_release(&head);
	*parser = (struct http1_parser){.max_body = parser->max_body, .head = head, .trailer = trailer};
	return go_on(parser, STATE_REQUEST_LINE);
}

static struct http1_span span_of(const struct http1_parser *parser, struct slice name, struct slice value)
{
	const uint8_t *base = parser->head.data;
	return (struct http1_span){(uint16_t)(name.data - base), (uint16_t)name.size, (uint16_t)(value.data - base),
				   (uint16_t)value.size};
}

static struct http1_field field_at(const uint8_t *block, struct http1_span span)
{
	return (struct http1_field){slice_make(block + span.name_at, span.name_size),
				    slice_make(block + span.value_at, span.value_size)};
}

/* ── Request line ── */

/* "HTTP/1.1": 0 when it is 1.0 or 1.1, else the status. */
static unsigned parse_version(struct slice text, unsigned *ret_minor)
{
	if (text.size != 8 || memcmp(text.data, "HTTP/", 5) != 0 || text.data[6] != '.' || text.data[5] - (unsigned)'0' > 9 ||
	    text.data[7] - (unsigned)'0' > 9)
		return 400;
	if (text.data[5] != '1' || text.data[7] > '1')
		return 505;
	*ret_minor = text.data[7] - (unsigned)'0';
	return 0;
}

static int step_request_line(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	(void)ret_body;
	struct slice line, rest, version;
	int outcome = take_line(parser, &parser->head, REQUEST_LINE_MAX, 414, input, &line);
	if (outcome != GO_ON)
		return outcome;
	if (line.size == 0 && !parser->skipped_blank_line) { /* one is let pass (RFC 9112, 2.2) */
		parser->skipped_blank_line = true;
		return GO_ON;
	}
	struct slice method = split(line, ' ', &rest), target = split(rest, ' ', &version);
	if (!is_token(method) || target.size == 0 || !all_in(target, target_bytes))
		return fail(parser, 400, "malformed request line");
	unsigned status = parse_version(version, &parser->request.minor_version);
	if (status != 0)
		return fail(parser, status, status == 505 ? "HTTP version not supported" : "malformed request line");
	if (method.size > HTTP1_METHOD_MAX)
		return fail(parser, 501, "method not known");
	if (target.size > HTTP1_TARGET_MAX)
		return fail(parser, 414, "target too long");
	parser->line = span_of(parser, method, target);
	return go_on(parser, STATE_FIELD_LINE);
}

/* Origin form, absolute form, or "*" for OPTIONS (RFC 9112, 3.2). Authority form is for CONNECT, which a server like this has
 * not. */
static bool parse_target(struct http1_request *request)
{
	struct slice path = request->target;
	if (slice_equal_string(path, "*")) {
		request->path = path;
		return slice_equal_string(request->method, "OPTIONS");
	}
	if (path.data[0] != '/') {
		size_t scheme = begins_ignoring_case(path, "http://") ? 7 : begins_ignoring_case(path, "https://") ? 8 : 0;
		if (scheme == 0)
			return false;
		advance(&path, scheme);
		size_t size = 0;
		while (size < path.size && path.data[size] != '/' && path.data[size] != '?')
			size++;
		request->authority = slice_make(path.data, size);
		if (size == 0 || !all_in(request->authority, host_bytes))
			return false;
		advance(&path, size);
	}
	request->path = split(path, '?', &request->query);
	if (request->path.size == 0)
		request->path = SLICE_LITERAL("/");
	return true;
}

/* ── Fields ── */

static int note_content_length(struct http1_parser *parser, struct slice value)
{
	uint64_t length = 0;
	if (parser->has_length)
		return fail(parser, 400, "more than one Content-Length");
	if (value.size == 0)
		return fail(parser, 400, "malformed Content-Length");
	for (size_t i = 0; i < value.size; i++) {
		unsigned digit = value.data[i] - (unsigned)'0';
		if (digit > 9)
			return fail(parser, 400, "malformed Content-Length");
		if (__builtin_mul_overflow(length, 10, &length) || __builtin_add_overflow(length, digit, &length))
			length = UINT64_MAX;
	}
	parser->has_length = true;
	parser->request.content_length = length;
	return GO_ON;
}

static int note_transfer_encoding(struct http1_parser *parser, struct slice value)
{
	if (parser->request.chunked)
		return fail(parser, 400, "more than one Transfer-Encoding");
	if (!slice_equal_ignoring_case(value, "chunked"))
		return is_token(value) ? fail(parser, 501, "transfer coding not known")
				       : fail(parser, 400, "Transfer-Encoding is not \"chunked\"");
	parser->request.chunked = true;
	return GO_ON;
}

static int note_host(struct http1_parser *parser, struct slice value)
{
	if (parser->has_host)
		return fail(parser, 400, "more than one Host");
	if (!all_in(value, host_bytes))
		return fail(parser, 400, "malformed Host");
	parser->has_host = true;
	parser->host = parser->spans[parser->request.field_count - 1];
	return GO_ON;
}

static int note_connection(struct http1_parser *parser, struct slice value)
{
	for (struct slice rest = value; rest.data != NULL;) {
		struct slice option = slice_trim(split(rest, ',', &rest));
		parser->wants_close |= slice_equal_ignoring_case(option, "close");
		parser->wants_keep_alive |= slice_equal_ignoring_case(option, "keep-alive");
	}
	return GO_ON;
}

static int note_expect(struct http1_parser *parser, struct slice value)
{
	if (!slice_equal_ignoring_case(value, "100-continue"))
		return fail(parser, 417, "expectation not known");
	parser->request.expect_continue = parser->request.minor_version >= 1; /* RFC 9110, 10.1.1 */
	return GO_ON;
}

static const struct {
	const char *name;
	int (*note)(struct http1_parser *parser, struct slice value);
} noted_fields[] = {
	{"content-length", note_content_length},
	{"transfer-encoding", note_transfer_encoding},
	{"host", note_host},
	{"connection", note_connection},
	{"expect", note_expect},
};

/* A header or trailer line; GO_ON with the field, whose name is empty on the empty line that ends them. */
static int take_field(struct http1_parser *parser, struct buffer *block, struct slice *input, struct http1_field *ret_field)
{
	struct slice line, value;
	int outcome = take_line(parser, block, HTTP1_FIELDS_MAX - parser->field_bytes, 431, input, &line);
	if (outcome != GO_ON)
		return outcome;
	parser->field_bytes += line.size + 2;
	*ret_field = (struct http1_field){0};
	if (line.size == 0)
		return GO_ON;
	struct slice name = split(line, ':', &value);
	/* A blank in the name is refused with the rest: before the colon, or in front, which once folded a line (RFC 9112, 5.2).
	 */
	if (value.data == NULL || !is_token(name) || !all_in(value, value_bytes))
		return fail(parser, 400, "malformed header line");
	if (++parser->field_count > HTTP1_FIELD_COUNT_MAX)
		return fail(parser, 431, "too many header fields");
	*ret_field = (struct http1_field){name, slice_trim(value)};
	return GO_ON;
}

/* The framing of the message (RFC 9112, 6.3), now that every field is known. */
static int finish_head(struct http1_parser *parser)
{
	struct http1_request *request = &parser->request;
	struct http1_field line = field_at(parser->head.data, parser->line);
	request->block = parser->head.data;
	request->spans = parser->spans;
	request->method = line.name;
	request->target = line.value;
	request->keep_alive = !parser->wants_close && (request->minor_version >= 1 || parser->wants_keep_alive);
	if (parser->has_host)
		request->authority = field_at(parser->head.data, parser->host).value;
	else if (request->minor_version >= 1)
		return fail(parser, 400, "no Host");
	if (!parse_target(request))
		return fail(parser, 400, "malformed target");
	if (request->chunked && (parser->has_length || request->minor_version == 0))
		return fail(parser, 400, "Transfer-Encoding with Content-Length or in HTTP/1.0");
	if (request->content_length > parser->max_body)
		return fail(parser, 413, "body too large");
	parser->left = request->content_length;
	parser->state = request->chunked ? STATE_CHUNK_SIZE : STATE_BODY;
	return HTTP1_HEAD;
}

static int step_field_line(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	(void)ret_body;
	struct http1_field field;
	int outcome = take_field(parser, &parser->head, input, &field);
	if (outcome != GO_ON)
		return outcome;
	if (field.name.size == 0)
		return finish_head(parser);
	parser->spans[parser->request.field_count++] = span_of(parser, field.name, field.value);
	for (size_t i = 0; i < sizeof noted_fields / sizeof noted_fields[0]; i++)
		if (slice_equal_ignoring_case(field.name, noted_fields[i].name))
			return noted_fields[i].note(parser, field.value);
	return GO_ON;
}

/* Checked as a header field is, then dropped: nothing here uses trailers, and none may change what the head said. */
static int step_trailer_line(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	(void)ret_body;
	struct http1_field field;
	int outcome = take_field(parser, &parser->trailer, input, &field);
	if (outcome != GO_ON)
		return outcome;
	buffer_clear(&parser->trailer);
	parser->line_at = 0;
	return go_on(parser, field.name.size == 0 ? STATE_END : STATE_TRAILER_LINE);
}

/* ── Body ── */

/* A piece of what is left. */
static int take_body(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	if (input->size == 0)
		return HTTP1_MORE;
	size_t size = input->size < parser->left ? input->size : (size_t)parser->left;
	*ret_body = slice_make(input->data, size);
	parser->left -= size;
	advance(input, size);
	return HTTP1_BODY;
}

static int step_body(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	return parser->left == 0 ? go_on(parser, STATE_END) : take_body(parser, input, ret_body);
}

static int step_chunk_data(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	return parser->left == 0 ? go_on(parser, STATE_CHUNK_DATA_CR) : take_body(parser, input, ret_body);
}

static int hex_digit(uint8_t byte)
{
	uint8_t letter = byte | 0x20;
	return byte >= '0' && byte <= '9' ? byte - '0' : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* chunk-size [ ";" chunk-ext ] CRLF (RFC 9112, 7.1). No blank before the semicolon: it is "bad whitespace" that nobody sends. */
static int step_chunk_size(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	(void)ret_body;
	if (input->size == 0)
		return HTTP1_MORE;
	uint8_t byte = input->data[0];
	int digit = hex_digit(byte);
	advance(input, 1);
	if (digit >= 0 && parser->size_digits < CHUNK_SIZE_DIGITS) {
		parser->size_digits++;
		parser->left = parser->left << 4 | (unsigned)digit;
		return GO_ON;
	}
	if (parser->size_digits == 0 || (byte != ';' && byte != '\r'))
		return fail(parser, 400, "malformed chunk size");
	return go_on(parser, byte == ';' ? STATE_CHUNK_EXTENSION : STATE_CHUNK_SIZE_LF);
}

/* Ignored, but it must be text and can't go on for ever. */
static int step_chunk_extension(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	(void)ret_body;
	if (input->size == 0)
		return HTTP1_MORE;
	uint8_t byte = input->data[0];
	advance(input, 1);
	if (byte == '\r')
		return go_on(parser, STATE_CHUNK_SIZE_LF);
	if (!value_bytes[byte] || ++parser->extension_bytes > HTTP1_EXTENSIONS_MAX)
		return fail(parser, 400, "malformed or too long chunk extension");
	return GO_ON;
}

static int expect_byte(struct http1_parser *parser, struct slice *input, uint8_t wanted, enum state next)
{
	if (input->size == 0)
		return HTTP1_MORE;
	if (input->data[0] != wanted)
		return fail(parser, 400, "a chunk's CR LF is missing");
	advance(input, 1);
	return go_on(parser, next);
}

static int step_chunk_size_lf(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	(void)ret_body;
	int outcome = expect_byte(parser, input, '\n', parser->left == 0 ? STATE_TRAILER_LINE : STATE_CHUNK_DATA);
	if (outcome != GO_ON)
		return outcome;
	if (parser->left > parser->max_body - parser->body_bytes)
		return fail(parser, 413, "body too large");
	parser->body_bytes += parser->left;
	parser->size_digits = 0;
	parser->line_at = 0;
	return GO_ON;
}

static int step_chunk_data_cr(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	(void)ret_body;
	return expect_byte(parser, input, '\r', STATE_CHUNK_DATA_LF);
}

static int step_chunk_data_lf(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	(void)ret_body;
	return expect_byte(parser, input, '\n', STATE_CHUNK_SIZE);
}

static int step_end(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	(void)input, (void)ret_body;
	parser->state = STATE_BETWEEN;
	return HTTP1_END;
}

static int step_failed(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	(void)parser, (void)input, (void)ret_body;
	return HTTP1_ERROR;
}

/* ── The machine ── */

static int (*const steps[STATE_COUNT])(struct http1_parser *parser, struct slice *input, struct slice *ret_body) = {
	[STATE_BETWEEN] = step_between,
	[STATE_REQUEST_LINE] = step_request_line,
	[STATE_FIELD_LINE] = step_field_line,
	[STATE_BODY] = step_body,
	[STATE_CHUNK_SIZE] = step_chunk_size,
	[STATE_CHUNK_EXTENSION] = step_chunk_extension,
	[STATE_CHUNK_SIZE_LF] = step_chunk_size_lf,
	[STATE_CHUNK_DATA] = step_chunk_data,
	[STATE_CHUNK_DATA_CR] = step_chunk_data_cr,
	[STATE_CHUNK_DATA_LF] = step_chunk_data_lf,
	[STATE_TRAILER_LINE] = step_trailer_line,
	[STATE_END] = step_end,
	[STATE_FAILED] = step_failed,
};

enum http1_event http1_parser_next(struct http1_parser *parser, struct slice *input, struct slice *ret_body)
{
	int outcome;
	do
		outcome = steps[parser->state](parser, input, ret_body);
	while (outcome == GO_ON);
	return (enum http1_event)outcome;
}

enum error http1_parser_create(uint64_t max_body, struct http1_parser **ret_parser)
{
	struct http1_parser *parser = calloc(1, sizeof *parser);
	if (parser == NULL)
		return ERROR_NO_MEMORY;
	parser->max_body = max_body;
	buffer_init(&parser->head, BLOCK_MAX);
	buffer_init(&parser->trailer, HTTP1_FIELDS_MAX);
	*ret_parser = parser;
	return ERROR_OK;
}

void http1_parser_destroy(struct http1_parser *parser)
{
	if (parser == NULL)
		return;
	buffer_release(&parser->head);
	buffer_release(&parser->trailer);
	free(parser);
}

const struct http1_request *http1_parser_request(const struct http1_parser *parser)
{
	return &parser->request;
}

unsigned http1_parser_status(const struct http1_parser *parser)
{
	return parser->status;
}

const char *http1_parser_reason(const struct http1_parser *parser)
{
	return parser->reason;
}

bool http1_parser_is_between(const struct http1_parser *parser)
{
	return parser->state == STATE_BETWEEN;
}

struct http1_field http1_request_field(const struct http1_request *request, size_t index)
{
	return field_at(request->block, request->spans[index]);
}

/* ── Writer ── */

static const char *reason_phrase(unsigned status)
{
	static const struct {
		unsigned status;
		const char *phrase;
	} phrases[] = {
		{100, "Continue"},
		{200, "OK"},
		{204, "No Content"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{412, "Precondition Failed"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{417, "Expectation Failed"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{499, "Client Closed Request"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
	};
	for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "";
}

static enum error write_field(const struct http1_field *field, struct buffer *output)
{
	if (!is_token(field->name) || !all_in(field->value, value_bytes))
		return ERROR_INVALID_ARGUMENT;
	enum error error = buffer_reserve(output, field->name.size + field->value.size + 4);
	if (error != ERROR_OK)
		return error;
	buffer_append(output, field->name.data, field->name.size);
	buffer_append(output, ": ", 2);
	buffer_append(output, field->value.data, field->value.size);
	return buffer_append(output, "\r\n", 2);
}

enum error http1_write_head(const struct http1_response *response, struct buffer *output)
{
	size_t before = output->size;
	enum error error =
		buffer_append_format(output, "HTTP/1.1 %03u %s\r\n", response->status, reason_phrase(response->status));
	for (size_t i = 0; error == ERROR_OK && i < response->field_count; i++)
		error = write_field(&response->fields[i], output);
	if (error == ERROR_OK && response->content_length == HTTP1_CHUNKED)
		error = buffer_append_string(output, "Transfer-Encoding: chunked\r\n");
	else if (error == ERROR_OK && response->content_length != HTTP1_NO_LENGTH)
		error = buffer_append_format(output, "Content-Length: %llu\r\n", (unsigned long long)response->content_length);
	if (error == ERROR_OK && !response->keep_alive)
		error = buffer_append_string(output, "Connection: close\r\n");
	else if (error == ERROR_OK && response->minor_version == 0)
		error = buffer_append_string(output, "Connection: keep-alive\r\n");
	if (error == ERROR_OK)
		error = buffer_append_string(output, "\r\n");
	if (error != ERROR_OK)
		output->size = before;
	return error;
}

enum error http1_write_chunk(struct slice bytes, struct buffer *output)
{
	if (bytes.size == 0)
		return ERROR_OK;
	size_t before = output->size;
	enum error error = buffer_append_format(output, "%zx\r\n", bytes.size);
	if (error == ERROR_OK)
		error = buffer_append(output, bytes.data, bytes.size);
	if (error == ERROR_OK)
		error = buffer_append_string(output, "\r\n");
	if (error != ERROR_OK)
		output->size = before;
	return error;
}

enum error http1_write_end(const struct http1_field *trailers, size_t count, struct buffer *output)
{
	size_t before = output->size;
	enum error error = buffer_append_string(output, "0\r\n");
	for (size_t i = 0; error == ERROR_OK && i < count; i++)
		error = write_field(&trailers[i], output);
	if (error == ERROR_OK)
		error = buffer_append_string(output, "\r\n");
	if (error != ERROR_OK)
		output->size = before;
	return error;
}
