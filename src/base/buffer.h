/* A growable run of bytes: what is being written. Growth doubles; the owner sets the limit.
 *
 *   data [0 … size … capacity … limit]
 *
 * After an append failed the buffer is as it was before, and stays usable.
 */
#ifndef PING_BASE_BUFFER_H
#define PING_BASE_BUFFER_H

#include "base/error.h"
#include "base/slice.h"

struct buffer {
	uint8_t *data;
	size_t size;
	size_t capacity;
	size_t limit; /* bytes; an append past it is ERROR_TOO_LARGE */
};

/* An empty buffer; allocates nothing yet. */
void buffer_init(struct buffer *buffer, size_t limit);
/* Frees the bytes; the buffer is empty again and may be used. */
void buffer_release(struct buffer *buffer);
/* Empties it, keeps the memory. */
void buffer_clear(struct buffer *buffer);
/* Makes room for `more` bytes behind `size`. ERROR_TOO_LARGE, ERROR_NO_MEMORY. */
enum error buffer_reserve(struct buffer *buffer, size_t more);
enum error buffer_append(struct buffer *buffer, const void *data, size_t size);
enum error buffer_append_string(struct buffer *buffer, const char *text);
enum error buffer_append_byte(struct buffer *buffer, uint8_t byte);
enum error buffer_append_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first `size` bytes (at most all), moves the rest to the front. */
void buffer_consume(struct buffer *buffer, size_t size);
static inline struct slice buffer_slice(const struct buffer *buffer)
{
	return slice_make(buffer->data, buffer->size);
}

#endif
