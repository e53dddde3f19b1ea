/* A view of bytes that somebody else owns. Not NUL-terminated. */
#ifndef PING_BASE_SLICE_H
#define PING_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

#endif
