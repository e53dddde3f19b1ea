#include "codec/message_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"

/* For sorting maps and for what an Any holds. */
enum { SCRATCH_LIMIT = 64 << 20 };

enum error json_encoder_fail(struct json_encoder *e, const char *problem)
{
	return message_fail(&e->path, e->note, ERROR_INTERNAL, "%s", problem);
}

enum error json_encoder_open(struct json_encoder *e, uint8_t bracket)
{
	if (!message_path_push(&e->path))
		return message_fail(&e->path, e->note, ERROR_TOO_LARGE, "more than %d levels of nesting", MESSAGE_MAX_DEPTH);
	return buffer_append_byte(e->output, bracket);
}

enum error json_encoder_close(struct json_encoder *e, uint8_t bracket)
{
	e->path.depth--;
	return buffer_append_byte(e->output, bracket);
}

static enum error append_separator(struct json_encoder *e, bool *first)
{
	bool needed = !*first;
	*first = false;
	return needed ? buffer_append_byte(e->output, ',') : ERROR_OK;
}

static enum error append_string(struct json_encoder *e, struct slice text)
{
	enum error error = json_append_string(e->output, text);
	return error == ERROR_MALFORMED ? json_encoder_fail(e, "the text is not UTF-8") : error;
}

enum error json_encoder_name(struct json_encoder *e, struct slice name, bool *first)
{
	enum error error = append_separator(e, first);
	if (error == ERROR_OK)
		error = append_string(e, name);
	return error == ERROR_OK ? buffer_append_byte(e->output, ':') : error;
}

/* --- scalars --- */

static enum error append_float(struct buffer *output, float value)
{
	char text[24];
	for (int digits = 6; digits <= 9; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, (double)value);
		if (strtof(text, NULL) == value)
			break;
	}
	return buffer_append_string(output, text);
}

static enum error encode_floating(struct json_encoder *e, const struct field_type *field, const void *value)
{
	double number = field->kind == FIELD_FLOAT ? (double)*(const float *)value : *(const double *)value;
	if (isnan(number))
		return buffer_append_string(e->output, "\"NaN\"");
	if (isinf(number))
		return buffer_append_string(e->output, number > 0 ? "\"Infinity\"" : "\"-Infinity\"");
	return field->kind == FIELD_FLOAT ? append_float(e->output, *(const float *)value)
					  : json_append_double(e->output, number);
}

static enum error append_integer(struct buffer *output, const struct field_type *field, const void *value)
{
	switch (field->kind) {
	case FIELD_UINT32:
	case FIELD_FIXED32:
		return json_append_uint64(output, *(const uint32_t *)value);
	case FIELD_UINT64:
	case FIELD_FIXED64:
		return json_append_uint64(output, *(const uint64_t *)value);
	case FIELD_INT64:
	case FIELD_SINT64:
	case FIELD_SFIXED64:
		return json_append_int64(output, *(const int64_t *)value);
	default:
		return json_append_int64(output, *(const int32_t *)value);
	}
}

/* JavaScript's numbers hold 53 bits: those of 64 go as strings. */
static enum error encode_integer(struct json_encoder *e, const struct field_type *field, const void *value, bool quoted)
{
	enum error error = quoted ? buffer_append_byte(e->output, '"') : ERROR_OK;
	if (error == ERROR_OK)
		error = append_integer(e->output, field, value);
	return error == ERROR_OK && quoted ? buffer_append_byte(e->output, '"') : error;
}

static enum error encode_enum(struct json_encoder *e, const struct field_type *field, const void *value)
{
	const struct enum_type *type = field->enumeration;
	int32_t number;
	memcpy(&number, value, sizeof number);
	if (type->is_null_value && number == 0)
		return buffer_append_string(e->output, "null");
	for (size_t i = 0; i < type->count; i++)
		if (type->values[i].number == number)
			return append_string(e, type->values[i].name);
	return json_append_int64(e->output, number);
}

static enum error encode_bytes(struct json_encoder *e, struct slice bytes)
{
	enum error error = buffer_append_byte(e->output, '"');
	if (error == ERROR_OK)
		error = base64_append(e->output, bytes, true);
	return error == ERROR_OK ? buffer_append_byte(e->output, '"') : error;
}

static enum error encode_child(struct json_encoder *e, const struct field_type *field, const void *value)
{
	const void *child = field->label >= FIELD_REPEATED ? value : *(const message_pointer *)value;
	return child == NULL ? json_encoder_fail(e, "the message is missing") : json_encode_message(e, field->message, child);
}

enum error json_encode_value(struct json_encoder *e, const struct field_type *field, const void *value)
{
	switch ((enum field_kind)field->kind) {
	case FIELD_DOUBLE:
	case FIELD_FLOAT:
		return encode_floating(e, field, value);
	case FIELD_BOOL:
		return buffer_append_string(e->output, *(const bool *)value ? "true" : "false");
	case FIELD_ENUM:
		return encode_enum(e, field, value);
	case FIELD_STRING:
		return append_string(e, *(const struct slice *)value);
	case FIELD_BYTES:
		return encode_bytes(e, *(const struct slice *)value);
	case FIELD_MESSAGE:
		return encode_child(e, field, value);
	default:
		return encode_integer(e, field, value, message_value_size(field) == 8);
	}
}

/* --- arrays and maps --- */

enum error json_encode_array(struct json_encoder *e, const struct field_type *field, const struct message_array *array)
{
	size_t size = message_value_size(field);
	bool first = true;
	enum error error = json_encoder_open(e, '[');
	for (size_t i = 0; i < array->count && error == ERROR_OK; i++) {
		message_path_top(&e->path)->index = i;
		error = append_separator(e, &first);
		if (error == ERROR_OK)
			error = json_encode_value(e, field, (const uint8_t *)array->items + i * size);
	}
	return error == ERROR_OK ? json_encoder_close(e, ']') : error;
}

static enum error encode_key(struct json_encoder *e, const struct field_type *field, const void *key)
{
	if (field->kind == FIELD_STRING)
		return append_string(e, *(const struct slice *)key);
	if (field->kind == FIELD_BOOL)
		return buffer_append_string(e->output, *(const bool *)key ? "\"true\"" : "\"false\"");
	return encode_integer(e, field, key, true);
}

static enum error encode_entry(struct json_encoder *e, const struct field_type *field, const void *entry)
{
	const struct field_type *key = &field->message->fields[0], *value = &field->message->fields[1];
	enum error error = encode_key(e, key, message_field_value(key, entry));
	if (error == ERROR_OK)
		error = buffer_append_byte(e->output, ':');
	return error == ERROR_OK ? json_encode_value(e, value, message_field_value(value, entry)) : error;
}

/* Sorted by key; of entries with the same key, which binary messages may have, the last counts. */
enum error json_encode_map(struct json_encoder *e, const struct field_type *field, const struct message_array *entries)
{
	const void **sorted = message_map_sort(field, entries, e->scratch);
	if (sorted == NULL)
		return ERROR_NO_MEMORY;
	bool first = true;
	enum error error = json_encoder_open(e, '{');
	for (size_t i = 0; i < entries->count && error == ERROR_OK; i++) {
		if (i + 1 < entries->count && message_map_same_key(field, sorted[i], sorted[i + 1]))
			continue;
		error = append_separator(e, &first);
		if (error == ERROR_OK)
			error = encode_entry(e, field, sorted[i]);
	}
	return error == ERROR_OK ? json_encoder_close(e, '}') : error;
}

/* --- messages --- */

enum error json_encode_members(struct json_encoder *e, const struct message_type *type, const void *message, bool *first)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field_type *field = &type->fields[i];
		const void *value = message_field_value(field, message);
		if (!message_field_present(field, message))
			continue;
		message_path_top(&e->path)->field = field;
		enum error error = json_encoder_name(e, field->json_name, first);
		if (error != ERROR_OK)
			return error;
		if (field->label == FIELD_REPEATED)
			error = json_encode_array(e, field, value);
		else if (field->label == FIELD_MAP)
			error = json_encode_map(e, field, value);
		else
			error = json_encode_value(e, field, value);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

enum error json_encode_message(struct json_encoder *e, const struct message_type *type, const void *message)
{
	if (type->well_known != WELL_KNOWN_NONE)
		return json_encode_well_known(e, type, message);
	bool first = true;
	enum error error = json_encoder_open(e, '{');
	if (error == ERROR_OK)
		error = json_encode_members(e, type, message, &first);
	return error == ERROR_OK ? json_encoder_close(e, '}') : error;
}

enum error message_encode_json(const struct message_type *type, const void *message, struct buffer *output,
			       struct error_note *note)
{
	struct arena scratch;
	struct json_encoder encoder;
	size_t before = output->size;
	arena_init(&scratch, SCRATCH_LIMIT);
	encoder.output = output;
	encoder.scratch = &scratch;
	encoder.note = note;
	encoder.path.depth = 0;
	enum error error = json_encode_message(&encoder, type, message);
	arena_release(&scratch);
	if (error != ERROR_OK)
		output->size = before;
	return error;
}
