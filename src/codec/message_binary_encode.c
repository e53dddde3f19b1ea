#include <endian.h>

#include "base/utf8.h"
#include "codec/message_binary.h"
#include "codec/message_internal.h"

struct encoder {
	struct buffer *output;
	size_t depth;
};

enum { VARINT_SIZE = 10 };

static size_t put_varint(uint64_t value, uint8_t ret_bytes[VARINT_SIZE])
{
	size_t size = 0;
	for (; value > 0x7f; value >>= 7)
		ret_bytes[size++] = (uint8_t)(value | 0x80);
	ret_bytes[size++] = (uint8_t)value;
	return size;
}

static enum error append_varint(struct buffer *output, uint64_t value)
{
	uint8_t bytes[VARINT_SIZE];
	return buffer_append(output, bytes, put_varint(value, bytes));
}

static enum error append_tag(struct buffer *output, const struct field_type *field, enum wire_type wire)
{
	return append_varint(output, field->number << 3 | wire);
}

static uint64_t load_varint(enum field_kind kind, const void *value)
{
	int32_t narrow;
	int64_t wide;
	switch (kind) {
	case FIELD_INT32: /* negative ones take ten bytes, so that they can be read as an int64 */
	case FIELD_ENUM:
		memcpy(&narrow, value, sizeof narrow);
		return (uint64_t)(int64_t)narrow;
	case FIELD_UINT32:
		return *(const uint32_t *)value;
	case FIELD_SINT32:
		narrow = *(const int32_t *)value;
		return (uint32_t)narrow << 1 ^ (uint32_t)(narrow >> 31);
	case FIELD_SINT64:
		wide = *(const int64_t *)value;
		return (uint64_t)wide << 1 ^ (uint64_t)(wide >> 63);
	case FIELD_BOOL:
		return *(const bool *)value;
	default:
		memcpy(&wide, value, sizeof wide);
		return (uint64_t)wide;
	}
}

static enum error append_number(struct buffer *output, enum field_kind kind, const void *value)
{
	uint64_t fixed64;
	uint32_t fixed32;
	switch (wire_type_of(kind)) {
	case WIRE_VARINT:
		return append_varint(output, load_varint(kind, value));
	case WIRE_FIXED64:
		memcpy(&fixed64, value, sizeof fixed64);
		fixed64 = htole64(fixed64);
		return buffer_append(output, &fixed64, sizeof fixed64);
	default:
		memcpy(&fixed32, value, sizeof fixed32);
		fixed32 = htole32(fixed32);
		return buffer_append(output, &fixed32, sizeof fixed32);
	}
}

/* A length stands in front of what it measures: one byte is left for it, and what follows moves when that is too few. */
static enum error begin_length(struct buffer *output, size_t *ret_at)
{
	*ret_at = output->size;
	return buffer_append_byte(output, 0);
}

static enum error end_length(struct buffer *output, size_t at)
{
	uint8_t bytes[VARINT_SIZE];
	size_t size = output->size - at - 1, extra = put_varint(size, bytes) - 1;
	enum error error = buffer_reserve(output, extra);
	if (error != ERROR_OK)
		return error;
	uint8_t *length = output->data + at;
	memmove(length + 1 + extra, length + 1, size);
	memcpy(length, bytes, 1 + extra);
	output->size += extra;
	return ERROR_OK;
}

static enum error encode_message(struct encoder *e, const struct message_type *type, const void *message);

/* With its tag. */
static enum error encode_value(struct encoder *e, const struct field_type *field, const void *value)
{
	enum wire_type wire = wire_type_of(field->kind);
	enum error error = append_tag(e->output, field, wire);
	if (error != ERROR_OK)
		return error;
	if (wire != WIRE_LENGTH)
		return append_number(e->output, field->kind, value);
	if (field->kind == FIELD_MESSAGE) {
		size_t at;
		error = begin_length(e->output, &at);
		if (error == ERROR_OK)
			error = encode_message(e, field->message,
					       field->label < FIELD_REPEATED ? *(const message_pointer *)value : value);
		return error == ERROR_OK ? end_length(e->output, at) : error;
	}
	struct slice bytes = *(const struct slice *)value;
	if (field->kind == FIELD_STRING && !utf8_valid(bytes))
		return ERROR_INTERNAL;
	error = append_varint(e->output, bytes.size);
	return error == ERROR_OK ? buffer_append(e->output, bytes.data, bytes.size) : error;
}

static enum error encode_packed(struct encoder *e, const struct field_type *field, const struct message_array *array)
{
	size_t at, size = message_value_size(field);
	enum error error = append_tag(e->output, field, WIRE_LENGTH);
	if (error == ERROR_OK)
		error = begin_length(e->output, &at);
	for (size_t i = 0; i < array->count && error == ERROR_OK; i++)
		error = append_number(e->output, field->kind, (const uint8_t *)array->items + i * size);
	return error == ERROR_OK ? end_length(e->output, at) : error;
}

static enum error encode_field(struct encoder *e, const struct field_type *field, const void *value)
{
	if (field->label < FIELD_REPEATED)
		return encode_value(e, field, value);
	if (field->packed)
		return encode_packed(e, field, value);
	const struct message_array *array = value;
	size_t size = message_value_size(field);
	enum error error = ERROR_OK;
	for (size_t i = 0; i < array->count && error == ERROR_OK; i++)
		error = encode_value(e, field, (const uint8_t *)array->items + i * size);
	return error;
}

static enum error encode_message(struct encoder *e, const struct message_type *type, const void *message)
{
	if (e->depth == MESSAGE_MAX_DEPTH)
		return ERROR_TOO_LARGE;
	e->depth++;
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field_type *field = &type->fields[i];
		if (!message_field_present(field, message))
			continue;
		enum error error = encode_field(e, field, message_field_value(field, message));
		if (error != ERROR_OK)
			return error;
	}
	e->depth--;
	return ERROR_OK;
}

enum error message_encode_binary(const struct message_type *type, const void *message, struct buffer *output)
{
	struct encoder encoder = {.output = output};
	size_t before = output->size;
	enum error error = encode_message(&encoder, type, message);
	if (error != ERROR_OK)
		output->size = before;
	return error;
}
