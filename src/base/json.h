/* JSON text (RFC 8259): a strict pull scanner that allocates nothing, and what is needed to write it.
 *
 *   json_init ─► json_peek ─► json_read_string | json_read_number | json_read_bool | json_read_null | json_skip
 *                    │
 *                    └─► json_enter ─► json_next_member | json_next_element, each followed by one value, until there is no more
 *   … ─► json_finish
 *
 * Readers fail with MALFORMED, or with TOO_LARGE past JSON_MAX_DEPTH levels of nesting; json_problem then says what is wrong.
 * After a failure only json_problem may be called. Text must be UTF-8; lone surrogates are refused.
 */
#ifndef PING_BASE_JSON_H
#define PING_BASE_JSON_H

#include "base/buffer.h"

enum { JSON_MAX_DEPTH = 100 };

enum json_kind {
	JSON_INVALID, /* no value begins here: the end, or a byte out of place */
	JSON_OBJECT,
	JSON_ARRAY,
	JSON_STRING,
	JSON_NUMBER,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NULL,
};

struct json {
	const uint8_t *start, *next, *end;
	const char *problem;
	unsigned depth; /* objects and arrays that are open */
	bool first;	/* nothing was read yet of the innermost one */
};

/* What stands between the quotes, checked; points into the text. */
struct json_string {
	struct slice raw;
	bool escaped; /* there are escapes in it: json_string_decode */
};

/* The text must outlive the scanner. A copy of the struct is a place to come back to. */
void json_init(struct json *json, struct slice text);
/* What the next value is; steps over blanks only. */
enum json_kind json_peek(struct json *json);
/* "an object", "a string", "true", … */
const char *json_kind_text(enum json_kind kind);

enum error json_read_string(struct json *json, struct json_string *ret_string);
enum error json_read_number(struct json *json, struct slice *ret_number);
enum error json_read_bool(struct json *json, bool *ret_value);
enum error json_read_null(struct json *json);
/* Any value, with what is in it. */
enum error json_skip(struct json *json);
/* Opens the object or array that is next. */
enum error json_enter(struct json *json);
/* ret_more: there is another; its value is next. Otherwise the object or array is closed. */
enum error json_next_member(struct json *json, struct json_string *ret_name, bool *ret_more);
enum error json_next_element(struct json *json, bool *ret_more);
/* Nothing but blanks may follow. */
enum error json_finish(struct json *json);
/* "JSON, byte 17: expected ':'" */
enum error json_problem(const struct json *json, enum error error, struct error_note *note);

/* Writes the text without its escapes to `ret_text`, which has room for raw.size bytes; returns its size. */
size_t json_string_decode(const struct json_string *string, uint8_t *ret_text);
/* The whole text is one number. */
bool json_is_number(struct slice text);
/* Of a checked number; exact, also for 5.0 and 1e3. MALFORMED: not an integer; OUT_OF_RANGE. */
enum error json_number_to_int64(struct slice number, int64_t *ret_value);
enum error json_number_to_uint64(struct slice number, uint64_t *ret_value);

/* With quotes and escapes. MALFORMED: not UTF-8; else as buffer_append. */
enum error json_append_string(struct buffer *output, struct slice text);
enum error json_append_int64(struct buffer *output, int64_t value);
enum error json_append_uint64(struct buffer *output, uint64_t value);
/* The shortest of 15 to 17 digits that reads back as the same; the value must be finite. Needs LC_NUMERIC "C". */
enum error json_append_double(struct buffer *output, double value);

#endif
