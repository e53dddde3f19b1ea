#include <endian.h>

#include "base/utf8.h"
#include "codec/message_binary.h"
#include "codec/message_internal.h"

struct decoder {
	struct arena *arena;
	struct error_note *note;
	struct message_path path;
};

/* What is left of a message. */
struct cursor {
	const uint8_t *next, *end;
};

static enum error fail(struct decoder *d, const char *problem)
{
	return message_fail(&d->path, d->note, ERROR_MALFORMED, "%s", problem);
}

static enum error fail_memory(struct decoder *d)
{
	return message_fail(&d->path, d->note, ERROR_NO_MEMORY, "too large to decode");
}

/* At most ten bytes; what lies above the 64th bit is dropped, as others do. False: malformed. */
static bool read_varint(struct cursor *in, uint64_t *ret_value)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64 && in->next < in->end; shift += 7) {
		uint8_t byte = *in->next++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool read_bytes(struct cursor *in, uint64_t size, struct slice *ret_bytes)
{
	if (size > (size_t)(in->end - in->next))
		return false;
	*ret_bytes = slice_make(in->next, (size_t)size);
	in->next += size;
	return true;
}

static bool read_length(struct cursor *in, struct slice *ret_bytes)
{
	uint64_t size;
	return read_varint(in, &size) && read_bytes(in, size, ret_bytes);
}

static enum error read_tag(struct decoder *d, struct cursor *in, uint32_t *ret_number, unsigned *ret_wire)
{
	uint64_t tag;
	if (!read_varint(in, &tag) || tag > UINT32_MAX || tag >> 3 == 0 || (tag & 7) > WIRE_FIXED32)
		return fail(d, "a malformed tag");
	*ret_number = (uint32_t)tag >> 3;
	*ret_wire = tag & 7;
	return ERROR_OK;
}

/* --- fields that nobody knows --- */

static enum error skip_group(struct decoder *d, struct cursor *in, uint32_t number, size_t depth);

static enum error skip_value(struct decoder *d, struct cursor *in, uint32_t number, unsigned wire, size_t depth)
{
	uint64_t varint;
	struct slice bytes;
	bool fine = false;
	switch (wire) {
	case WIRE_VARINT:
		fine = read_varint(in, &varint);
		break;
	case WIRE_FIXED64:
		fine = read_bytes(in, 8, &bytes);
		break;
	case WIRE_FIXED32:
		fine = read_bytes(in, 4, &bytes);
		break;
	case WIRE_LENGTH:
		fine = read_length(in, &bytes);
		break;
	case WIRE_GROUP_START:
		return skip_group(d, in, number, depth + 1);
	default:
		return fail(d, "a group ends that did not begin");
	}
	return fine ? ERROR_OK : fail(d, "an unknown field is cut short or malformed");
}

static enum error skip_group(struct decoder *d, struct cursor *in, uint32_t number, size_t depth)
{
	if (depth > MESSAGE_MAX_DEPTH)
		return message_fail(&d->path, d->note, ERROR_TOO_LARGE, "more than %d levels of nesting", MESSAGE_MAX_DEPTH);
	for (;;) {
		uint32_t inner;
		unsigned wire;
		enum error error = read_tag(d, in, &inner, &wire);
		if (error != ERROR_OK)
			return error;
		if (wire == WIRE_GROUP_END)
			return inner == number ? ERROR_OK : fail(d, "a group ends that did not begin");
		error = skip_value(d, in, inner, wire, depth);
		if (error != ERROR_OK)
			return error;
	}
}

/* --- values --- */

static void store_varint(enum field_kind kind, uint64_t varint, void *value)
{
	uint32_t low = (uint32_t)varint;
	switch (kind) {
	case FIELD_INT32:
	case FIELD_UINT32:
	case FIELD_ENUM:
		memcpy(value, &low, sizeof low);
		break;
	case FIELD_SINT32:
		*(int32_t *)value = (int32_t)(low >> 1 ^ (0 - (low & 1)));
		break;
	case FIELD_SINT64:
		*(int64_t *)value = (int64_t)(varint >> 1 ^ (0 - (varint & 1)));
		break;
	case FIELD_BOOL:
		*(bool *)value = varint != 0;
		break;
	default:
		memcpy(value, &varint, sizeof varint);
	}
}

/* Any kind that can be packed. */
static enum error read_number(struct decoder *d, const struct field_type *field, struct cursor *in, void *value)
{
	struct slice bytes;
	uint64_t varint;
	uint32_t fixed32;
	switch (wire_type_of(field->kind)) {
	case WIRE_VARINT:
		if (!read_varint(in, &varint))
			return fail(d, "a malformed integer");
		store_varint(field->kind, varint, value);
		return ERROR_OK;
	case WIRE_FIXED64:
		if (!read_bytes(in, 8, &bytes))
			return fail(d, "cut short");
		memcpy(&varint, bytes.data, sizeof varint);
		varint = le64toh(varint);
		memcpy(value, &varint, sizeof varint);
		return ERROR_OK;
	default:
		if (!read_bytes(in, 4, &bytes))
			return fail(d, "cut short");
		memcpy(&fixed32, bytes.data, sizeof fixed32);
		fixed32 = le32toh(fixed32);
		memcpy(value, &fixed32, sizeof fixed32);
		return ERROR_OK;
	}
}

/* NULL: out of memory. */
static void *push(struct decoder *d, const struct field_type *field, void *message)
{
	struct message_array *array = message_field_place(field, message);
	message_path_top(&d->path)->index = array->count;
	return message_array_push(array, message_value_size(field), d->arena);
}

static enum error decode_packed(struct decoder *d, const struct field_type *field, struct cursor *in, void *message)
{
	struct slice bytes;
	if (!read_length(in, &bytes))
		return fail(d, "cut short");
	struct cursor packed = {bytes.data, bytes.data + bytes.size};
	while (packed.next < packed.end) {
		void *value = push(d, field, message);
		enum error error = value == NULL ? fail_memory(d) : read_number(d, field, &packed, value);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

static enum error decode_message(struct decoder *d, const struct message_type *type, struct slice input, void *message);

static enum error allocate_message(struct decoder *d, const struct field_type *field, message_pointer *pointer)
{
	if (*pointer == NULL)
		*pointer = arena_alloc(d->arena, field->message->size);
	return *pointer == NULL ? fail_memory(d) : ERROR_OK;
}

/* A value that came twice is merged. A map's entry without its message has the empty one. */
static enum error decode_child(struct decoder *d, const struct field_type *field, struct slice input, void *value)
{
	enum error error;
	if (field->label < FIELD_REPEATED) {
		message_pointer *pointer = value;
		error = allocate_message(d, field, pointer);
		return error == ERROR_OK ? decode_message(d, field->message, input, *pointer) : error;
	}
	error = decode_message(d, field->message, input, value);
	if (error != ERROR_OK || field->label != FIELD_MAP)
		return error;
	const struct field_type *entry_value = &field->message->fields[1];
	return entry_value->kind == FIELD_MESSAGE ? allocate_message(d, entry_value, message_field_place(entry_value, value))
						  : ERROR_OK;
}

static enum error decode_field(struct decoder *d, const struct field_type *field, unsigned wire, struct cursor *in, void *message)
{
	enum wire_type expected = wire_type_of(field->kind);
	if (wire == WIRE_LENGTH && expected != WIRE_LENGTH && field->label == FIELD_REPEATED)
		return decode_packed(d, field, in, message);
	if (wire != expected) /* as a field that nobody knows: of an older or newer .proto */
		return skip_value(d, in, field->number, wire, d->path.depth);
	void *value = field->label >= FIELD_REPEATED ? push(d, field, message) : message_field_claim(field, message);
	if (value == NULL)
		return fail_memory(d);
	if (wire != WIRE_LENGTH)
		return read_number(d, field, in, value);
	struct slice bytes;
	if (!read_length(in, &bytes))
		return fail(d, "cut short");
	if (field->kind == FIELD_MESSAGE)
		return decode_child(d, field, bytes, value);
	if (field->kind == FIELD_STRING && !utf8_valid(bytes))
		return fail(d, "the text is not UTF-8");
	*(struct slice *)value = bytes;
	return ERROR_OK;
}

static enum error decode_message(struct decoder *d, const struct message_type *type, struct slice input, void *message)
{
	if (!message_path_push(&d->path))
		return message_fail(&d->path, d->note, ERROR_TOO_LARGE, "more than %d levels of nesting", MESSAGE_MAX_DEPTH);
	struct message_step *step = message_path_top(&d->path);
	struct cursor in = {input.data, input.size == 0 ? input.data : input.data + input.size};
	while (in.next < in.end) {
		uint32_t number;
		unsigned wire;
		step->field = NULL;
		step->index = MESSAGE_NO_INDEX;
		enum error error = read_tag(d, &in, &number, &wire);
		if (error != ERROR_OK)
			return error;
		step->field = message_field_by_number(type, number);
		error = step->field == NULL ? skip_value(d, &in, number, wire, d->path.depth)
					    : decode_field(d, step->field, wire, &in, message);
		if (error != ERROR_OK)
			return error;
	}
	d->path.depth--;
	return ERROR_OK;
}

enum error message_decode_binary(const struct message_type *type, struct slice input, struct arena *arena, void *ret_message,
				 struct error_note *note)
{
	struct decoder decoder;
	decoder.arena = arena;
	decoder.note = note;
	decoder.path.depth = 0;
	return decode_message(&decoder, type, input, ret_message);
}
