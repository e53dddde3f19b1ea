#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFFER_FIRST_CAPACITY = 256 };

void buffer_init(struct buffer *buffer, size_t limit)
{
	*buffer = (struct buffer){.limit = limit};
}

void buffer_release(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){.limit = buffer->limit};
}

void buffer_clear(struct buffer *buffer)
{
	buffer->size = 0;
}

enum error buffer_reserve(struct buffer *buffer, size_t more)
{
	if (more <= buffer->capacity - buffer->size)
		return ERROR_OK;
	if (more > buffer->limit - buffer->size)
		return ERROR_TOO_LARGE;
	size_t capacity = buffer->capacity == 0 ? BUFFER_FIRST_CAPACITY : buffer->capacity;
	while (capacity - buffer->size < more)
		capacity = capacity > SIZE_MAX / 2 ? SIZE_MAX : capacity * 2;
	if (capacity > buffer->limit)
		capacity = buffer->limit;
	/* One byte more, for the NUL that vsnprintf must write somewhere. */
	uint8_t *data = capacity == SIZE_MAX ? NULL : realloc(buffer->data, capacity + 1);
	if (data == NULL)
		return ERROR_NO_MEMORY;
	buffer->data = data;
	buffer->capacity = capacity;
	return ERROR_OK;
}

enum error buffer_append(struct buffer *buffer, const void *data, size_t size)
{
	enum error error = buffer_reserve(buffer, size);
	if (error != ERROR_OK)
		return error;
	if (size > 0)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
	return ERROR_OK;
}

enum error buffer_append_string(struct buffer *buffer, const char *text)
{
	return buffer_append(buffer, text, strlen(text));
}

enum error buffer_append_byte(struct buffer *buffer, uint8_t byte)
{
	return buffer_append(buffer, &byte, 1);
}

enum error buffer_append_format(struct buffer *buffer, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	enum error error = length < 0 ? ERROR_INTERNAL : buffer_reserve(buffer, (size_t)length);
	if (error == ERROR_OK && length > 0) {
		vsnprintf((char *)buffer->data + buffer->size, (size_t)length + 1, format, again);
		buffer->size += (size_t)length;
	}
	va_end(again);
	return error;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
	if (size > buffer->size)
		size = buffer->size;
	if (size == 0)
		return;
	memmove(buffer->data, buffer->data + size, buffer->size - size);
	buffer->size -= size;
}
