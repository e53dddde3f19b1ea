/* An input that begins with lines: a method, a path, a header as "name value". */
#ifndef PING_TESTS_FUZZ_LINES_H
#define PING_TESTS_FUZZ_LINES_H

#include "fuzz.h"
#include "rpc/server.h"

static inline struct slice take_line(struct slice *rest)
{
	const uint8_t *end = rest->size == 0 ? NULL : memchr(rest->data, '\n', rest->size);
	struct slice line = *rest;
	if (end != NULL)
		line.size = (size_t)(end - rest->data);
	size_t used = line.size + (end != NULL);
	if (used > 0)
		*rest = slice_make(rest->data + used, rest->size - used);
	return line;
}

static inline struct rpc_header split_header(struct slice line)
{
	const uint8_t *space = line.size == 0 ? NULL : memchr(line.data, ' ', line.size);
	if (space == NULL)
		return (struct rpc_header){line, {NULL, 0}};
	size_t size = (size_t)(space - line.data);
	return (struct rpc_header){slice_make(line.data, size), slice_make(space + 1, line.size - size - 1)};
}

#endif
