/* A view of bytes that somebody else owns. Not NUL-terminated. */
#ifndef PING_BASE_SLICE_H
#define PING_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct slice {
	const uint8_t *data;
	size_t size;
};

static inline struct slice slice_make(const void *data, size_t size)
{
	return (struct slice){.data = data, .size = size};
}

static inline struct slice slice_from_string(const char *text)
{
	return slice_make(text, strlen(text));
}

#define SLICE_LITERAL(text) slice_make("" text, sizeof(text) - 1)

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool slice_equal_string(struct slice a, const char *text)
{
	return slice_equal(a, slice_from_string(text));
}

/* ASCII letters count as equal in both cases: protocol elements. */
static inline bool slice_equal_ignoring_case(struct slice a, const char *text)
{
	return a.size == strlen(text) && strncasecmp((const char *)a.data, text, a.size) == 0;
}

static inline bool slice_is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

/* Without the spaces and tabs at both ends (RFC 9110, 5.6.3). */
static inline struct slice slice_trim(struct slice text)
{
	while (text.size > 0 && slice_is_blank(text.data[0]))
		text = slice_make(text.data + 1, text.size - 1);
	while (text.size > 0 && slice_is_blank(text.data[text.size - 1]))
		text.size--;
	return text;
}

/* The part before the separator, which it moves the text behind; all of the text where there is none. */
static inline struct slice slice_take(struct slice *text, uint8_t separator)
{
	const uint8_t *end = text->size == 0 ? NULL : (const uint8_t *)memchr(text->data, separator, text->size);
	struct slice part = *text;
	if (end == NULL) {
		*text = slice_make(NULL, 0);
		return part;
	}
	part.size = (size_t)(end - text->data);
	*text = slice_make(end + 1, text->size - part.size - 1);
	return part;
}

#endif
