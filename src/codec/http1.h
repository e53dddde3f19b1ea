/* HTTP/1.1 on the server's side (RFC 9112, RFC 9110): a strict, incremental parser of requests and a writer of response heads. No
 * I/O. What two parties could read in two ways is refused, since that is what request smuggling lives on.
 *
 *                 ┌──────────────────────────── next call ────────────────────────────┐
 *                 ▼                                                                     │
 *   BETWEEN ► REQUEST_LINE ► FIELD_LINE ─► HEAD ─► BODY (content-length) ──────────► END
 *                                            └───► CHUNK_SIZE ► … CHUNK_DATA ► TRAILER ─┘
 *   any of them ─► FAILED: answer with http1_parser_status, close
 *
 * However the bytes are split, the events are the same (only BODY comes in other pieces).
 */
#ifndef PING_CODEC_HTTP1_H
#define PING_CODEC_HTTP1_H

#include "base/buffer.h"

enum {
	HTTP1_METHOD_MAX = 32,	     /* bytes; longer: 501 */
	HTTP1_TARGET_MAX = 8192,     /* bytes; longer: 414 */
	HTTP1_FIELDS_MAX = 16384,    /* bytes of header and trailer lines together; more: 431 */
	HTTP1_FIELD_COUNT_MAX = 100, /* header and trailer fields together; more: 431 */
	HTTP1_EXTENSIONS_MAX = 4096, /* bytes of chunk extensions of a message; more: 400 */
};

struct http1_field {
	struct slice name, value; /* the value without blanks around it */
};

struct http1_span;

/* A head. Valid, with all its slices, until the call after END. */
struct http1_request {
	struct slice method;
	struct slice target;	 /* as sent; visible ASCII without '#' */
	struct slice authority;	 /* from an absolute-form target, else from Host; may be empty */
	struct slice path;	 /* what stands before '?'; "*" in OPTIONS * */
	struct slice query;	 /* what stands behind '?'; empty: none */
	unsigned minor_version;	 /* HTTP/1.minor: 0 or 1 */
	uint64_t content_length; /* 0 where the length isn't known before the end (chunked) */
	bool chunked;
	bool keep_alive;      /* what the client wants */
	bool expect_continue; /* it waits for "100 Continue" before it sends the body */
	size_t field_count;
	const uint8_t *block;		/* the parser's */
	const struct http1_span *spans; /* the parser's */
};

struct http1_field http1_request_field(const struct http1_request *request, size_t index);

enum http1_event {
	HTTP1_MORE, /* all input is consumed */
	HTTP1_HEAD, /* http1_parser_request is there */
	HTTP1_BODY, /* a piece of the body, inside the input */
	HTTP1_END,  /* the message is complete; what is left of the input belongs to the next one */
	HTTP1_ERROR,
};

struct http1_parser;

/* max_body: bytes; more: 413. ERROR_NO_MEMORY. */
enum error http1_parser_create(uint64_t max_body, struct http1_parser **ret_parser);
void http1_parser_destroy(struct http1_parser *parser);
/* Consumes from the front of *input until something happens. Call it again with the rest until MORE (or ERROR, which lasts).
 * After HEAD a message without a body gives END, also with an empty input. Each call takes time proportional to what it consumes.
 */
enum http1_event http1_parser_next(struct http1_parser *parser, struct slice *input, struct slice *ret_body);
const struct http1_request *http1_parser_request(const struct http1_parser *parser);
/* After ERROR: the status to answer with, and what was wrong, for a person. */
unsigned http1_parser_status(const struct http1_parser *parser);
const char *http1_parser_reason(const struct http1_parser *parser);
/* No byte of a next message has come yet. */
bool http1_parser_is_between(const struct http1_parser *parser);

#define HTTP1_NO_LENGTH UINT64_MAX	 /* no Content-Length: 1xx, 204, or the body ends with the connection */
#define HTTP1_CHUNKED	(UINT64_MAX - 1) /* Transfer-Encoding: chunked, RFC 9112, 7.1 */

struct http1_response {
	unsigned status;
	unsigned minor_version; /* the request's */
	bool keep_alive;	/* false: says "Connection: close" */
	uint64_t content_length;
	const struct http1_field *fields;
	size_t field_count;
};

/* Appends status line, fields, Content-Length, Connection where it must be said, and the empty line. INVALID_ARGUMENT when a name
 * or a value can't stand in a field: nothing a caller was given can forge one. On failure nothing was appended. */
enum error http1_write_head(const struct http1_response *response, struct buffer *output);
/* One chunk; nothing for no bytes. */
enum error http1_write_chunk(struct slice bytes, struct buffer *output);
/* The last chunk, with trailers. As http1_write_head. */
enum error http1_write_end(const struct http1_field *trailers, size_t count, struct buffer *output);

#endif
