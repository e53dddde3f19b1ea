#include "codec/message_json.h"

#include <math.h>
#include <stdlib.h>

#include "base/base64.h"

/* --- what goes wrong --- */

enum error json_decoder_fail(struct json_decoder *d, enum error error)
{
	return json_problem(&d->json, error, d->note);
}

enum error json_decoder_no_memory(struct json_decoder *d)
{
	return message_fail(&d->path, d->note, ERROR_NO_MEMORY, "too large to decode");
}

enum error json_decoder_expected(struct json_decoder *d, const char *what)
{
	enum json_kind kind = json_peek(&d->json);
	if (kind == JSON_INVALID)
		return json_decoder_fail(d, json_skip(&d->json));
	return message_fail(&d->path, d->note, ERROR_MALFORMED, "expected %s, found %s", what, json_kind_text(kind));
}

enum error json_decoder_expected_not(struct json_decoder *d, const char *what, struct slice text)
{
	return message_fail(&d->path, d->note, ERROR_MALFORMED, "expected %s, found \"%s\"", what, message_excerpt(text).text);
}

/* --- the scanner, with its failures noted --- */

enum error json_decoder_enter(struct json_decoder *d)
{
	enum error error = json_enter(&d->json);
	if (error != ERROR_OK)
		return json_decoder_fail(d, error);
	message_path_push(&d->path);
	return ERROR_OK;
}

/* The text without its escapes, in the input where there are none. */
static enum error unescape(struct json_decoder *d, const struct json_string *string, struct slice *ret_text)
{
	if (!string->escaped) {
		*ret_text = string->raw;
		return ERROR_OK;
	}
	uint8_t *text = arena_alloc(d->arena, string->raw.size);
	if (text == NULL)
		return json_decoder_no_memory(d);
	*ret_text = slice_make(text, json_string_decode(string, text));
	return ERROR_OK;
}

enum error json_decoder_next_member(struct json_decoder *d, struct slice *ret_name, bool *ret_more)
{
	struct json_string name;
	enum error error = json_next_member(&d->json, &name, ret_more);
	if (error != ERROR_OK)
		return json_decoder_fail(d, error);
	if (*ret_more)
		return unescape(d, &name, ret_name);
	d->path.depth--;
	return ERROR_OK;
}

enum error json_decoder_skip(struct json_decoder *d)
{
	enum error error = json_skip(&d->json);
	return error == ERROR_OK ? ERROR_OK : json_decoder_fail(d, error);
}

enum error json_decoder_read_text(struct json_decoder *d, const char *what, struct slice *ret_text)
{
	struct json_string string;
	if (json_peek(&d->json) != JSON_STRING)
		return json_decoder_expected(d, what);
	enum error error = json_read_string(&d->json, &string);
	return error == ERROR_OK ? unescape(d, &string, ret_text) : json_decoder_fail(d, error);
}

/* --- numbers --- */

static const char *const kind_names[] = {
	[FIELD_DOUBLE] = "double",  [FIELD_FLOAT] = "float",	[FIELD_INT32] = "int32",    [FIELD_INT64] = "int64",
	[FIELD_UINT32] = "uint32",  [FIELD_UINT64] = "uint64",	[FIELD_SINT32] = "int32",   [FIELD_SINT64] = "int64",
	[FIELD_FIXED32] = "uint32", [FIELD_FIXED64] = "uint64", [FIELD_SFIXED32] = "int32", [FIELD_SFIXED64] = "int64",
	[FIELD_ENUM] = "an enum",
};

static enum error fail_range(struct json_decoder *d, const struct field_type *field, struct slice number)
{
	return message_fail(&d->path, d->note, ERROR_MALFORMED, "%s is out of range for %s", message_excerpt(number).text,
			    kind_names[field->kind]);
}

/* The text of a number, which may stand between quotes; then it need not be one. */
static enum error read_number_text(struct json_decoder *d, const char *what, struct slice *ret_text)
{
	enum json_kind kind = json_peek(&d->json);
	if (kind == JSON_STRING)
		return json_decoder_read_text(d, what, ret_text);
	if (kind != JSON_NUMBER)
		return json_decoder_expected(d, what);
	enum error error = json_read_number(&d->json, ret_text);
	return error == ERROR_OK ? ERROR_OK : json_decoder_fail(d, error);
}

static enum error store_integer(struct json_decoder *d, const struct field_type *field, struct slice text, void *value)
{
	int64_t number = 0;
	if (!json_is_number(text))
		return json_decoder_expected_not(d, "an integer", text);
	bool is_unsigned = field->kind == FIELD_UINT64 || field->kind == FIELD_FIXED64;
	enum error error = is_unsigned ? json_number_to_uint64(text, (uint64_t *)&number) : json_number_to_int64(text, &number);
	if (error == ERROR_MALFORMED)
		return message_fail(&d->path, d->note, error, "expected an integer, found %s", message_excerpt(text).text);
	bool narrow = message_value_size(field) == 4;
	bool is_unsigned_narrow = field->kind == FIELD_UINT32 || field->kind == FIELD_FIXED32;
	int64_t low = is_unsigned_narrow ? 0 : INT32_MIN, high = is_unsigned_narrow ? UINT32_MAX : INT32_MAX;
	if (error != ERROR_OK || (narrow && (number < low || number > high)))
		return fail_range(d, field, text);
	if (narrow) {
		uint32_t low_bits = (uint32_t)number;
		memcpy(value, &low_bits, sizeof low_bits);
	} else {
		memcpy(value, &number, sizeof number);
	}
	return ERROR_OK;
}

static enum error decode_integer(struct json_decoder *d, const struct field_type *field, void *value)
{
	struct slice text;
	enum error error = read_number_text(d, "an integer", &text);
	return error == ERROR_OK ? store_integer(d, field, text, value) : error;
}

static bool is_special(struct slice text, double *ret_number)
{
	if (slice_equal_string(text, "NaN"))
		*ret_number = NAN;
	else if (slice_equal_string(text, "Infinity"))
		*ret_number = INFINITY;
	else if (slice_equal_string(text, "-Infinity"))
		*ret_number = -INFINITY;
	else
		return false;
	return true;
}

static enum error decode_floating(struct json_decoder *d, const struct field_type *field, void *value)
{
	struct slice text;
	bool quoted = json_peek(&d->json) == JSON_STRING;
	double number;
	enum error error = read_number_text(d, "a number", &text);
	if (error != ERROR_OK)
		return error;
	if (!quoted || !is_special(text, &number)) {
		if (!json_is_number(text))
			return json_decoder_expected_not(d, "a number", text);
		struct slice copy = arena_copy(d->arena, text); /* strtod wants a NUL behind it */
		if (copy.data == NULL)
			return json_decoder_no_memory(d);
		/* Straight to the nearest float: by way of double it could be rounded twice. */
		number = field->kind == FIELD_FLOAT ? (double)strtof((const char *)copy.data, NULL)
						    : strtod((const char *)copy.data, NULL);
		if (isinf(number))
			return fail_range(d, field, text);
	}
	if (field->kind == FIELD_FLOAT)
		*(float *)value = (float)number;
	else
		*(double *)value = number;
	return ERROR_OK;
}

/* --- the other scalars --- */

static enum error decode_bool(struct json_decoder *d, bool *value)
{
	enum json_kind kind = json_peek(&d->json);
	if (kind != JSON_TRUE && kind != JSON_FALSE)
		return json_decoder_expected(d, "true or false");
	enum error error = json_read_bool(&d->json, value);
	return error == ERROR_OK ? ERROR_OK : json_decoder_fail(d, error);
}

static enum error decode_enum(struct json_decoder *d, const struct field_type *field, void *value)
{
	const struct enum_type *type = field->enumeration;
	enum json_kind kind = json_peek(&d->json);
	if (kind == JSON_NUMBER)
		return decode_integer(d, field, value);
	if (kind == JSON_NULL && type->is_null_value) {
		enum error error = json_read_null(&d->json); /* NULL_VALUE is 0 */
		return error == ERROR_OK ? ERROR_OK : json_decoder_fail(d, error);
	}
	struct slice name;
	enum error error = json_decoder_read_text(d, "an enum value's name or number", &name);
	if (error != ERROR_OK)
		return error;
	for (size_t i = 0; i < type->count; i++) {
		if (slice_equal(type->values[i].name, name)) {
			memcpy(value, &type->values[i].number, sizeof type->values[i].number);
			return ERROR_OK;
		}
	}
	return message_fail(&d->path, d->note, ERROR_MALFORMED, "\"%s\" is no value of this enum", message_excerpt(name).text);
}

static enum error decode_string(struct json_decoder *d, struct slice *value)
{
	struct slice text;
	enum error error = json_decoder_read_text(d, "a string", &text);
	if (error != ERROR_OK)
		return error;
	*value = arena_copy(d->arena, text);
	return value->data == NULL ? json_decoder_no_memory(d) : ERROR_OK;
}

static enum error decode_bytes(struct json_decoder *d, struct slice *value)
{
	struct slice text;
	enum error error = json_decoder_read_text(d, "a base64 string", &text);
	if (error != ERROR_OK)
		return error;
	size_t size;
	uint8_t *data = arena_alloc(d->arena, base64_decoded_bound(text.size));
	if (data == NULL)
		return json_decoder_no_memory(d);
	if (base64_decode(text, data, &size) != ERROR_OK)
		return json_decoder_expected_not(d, "a base64 string", text);
	*value = slice_make(data, size);
	return ERROR_OK;
}

static enum error decode_child(struct json_decoder *d, const struct field_type *field, void *value)
{
	if (field->label >= FIELD_REPEATED)
		return json_decode_message(d, field->message, value);
	message_pointer *pointer = value;
	*pointer = arena_alloc(d->arena, field->message->size);
	return *pointer == NULL ? json_decoder_no_memory(d) : json_decode_message(d, field->message, *pointer);
}

enum error json_decode_value(struct json_decoder *d, const struct field_type *field, void *value)
{
	switch ((enum field_kind)field->kind) {
	case FIELD_DOUBLE:
	case FIELD_FLOAT:
		return decode_floating(d, field, value);
	case FIELD_BOOL:
		return decode_bool(d, value);
	case FIELD_ENUM:
		return decode_enum(d, field, value);
	case FIELD_STRING:
		return decode_string(d, value);
	case FIELD_BYTES:
		return decode_bytes(d, value);
	case FIELD_MESSAGE:
		return decode_child(d, field, value);
	default:
		return decode_integer(d, field, value);
	}
}

/* --- arrays and maps --- */

enum error json_decode_array(struct json_decoder *d, const struct field_type *field, struct message_array *array)
{
	if (json_peek(&d->json) != JSON_ARRAY)
		return json_decoder_expected(d, "an array");
	enum error error = json_decoder_enter(d);
	while (error == ERROR_OK) {
		bool more;
		error = json_next_element(&d->json, &more);
		if (error != ERROR_OK)
			return json_decoder_fail(d, error);
		if (!more) {
			d->path.depth--;
			break;
		}
		message_path_top(&d->path)->index = array->count;
		void *value = message_array_push(array, message_value_size(field), d->arena);
		error = value == NULL ? json_decoder_no_memory(d) : json_decode_value(d, field, value);
	}
	return error;
}

static enum error store_key(struct json_decoder *d, const struct field_type *field, struct slice text, void *value)
{
	if (field->kind == FIELD_STRING) {
		struct slice copy = arena_copy(d->arena, text);
		if (copy.data == NULL)
			return json_decoder_no_memory(d);
		*(struct slice *)value = copy;
		return ERROR_OK;
	}
	if (field->kind != FIELD_BOOL)
		return store_integer(d, field, text, value);
	*(bool *)value = slice_equal_string(text, "true");
	return *(bool *)value || slice_equal_string(text, "false") ? ERROR_OK
								   : json_decoder_expected_not(d, "true or false", text);
}

static enum error check_keys(struct json_decoder *d, const struct field_type *field, const struct message_array *entries)
{
	const void **sorted = message_map_sort(field, entries, d->arena);
	if (sorted == NULL)
		return json_decoder_no_memory(d);
	for (size_t i = 1; i < entries->count; i++)
		if (message_map_same_key(field, sorted[i - 1], sorted[i]))
			return message_fail(&d->path, d->note, ERROR_MALFORMED, "a key comes twice");
	return ERROR_OK;
}

enum error json_decode_map(struct json_decoder *d, const struct field_type *field, struct message_array *entries)
{
	const struct field_type *key = &field->message->fields[0], *value = &field->message->fields[1];
	if (json_peek(&d->json) != JSON_OBJECT)
		return json_decoder_expected(d, "an object");
	enum error error = json_decoder_enter(d);
	while (error == ERROR_OK) {
		struct slice name;
		bool more;
		error = json_decoder_next_member(d, &name, &more);
		if (error != ERROR_OK || !more)
			break;
		message_path_top(&d->path)->key = name;
		void *entry = message_array_push(entries, message_value_size(field), d->arena);
		if (entry == NULL)
			return json_decoder_no_memory(d);
		error = store_key(d, key, name, message_field_place(key, entry));
		if (error == ERROR_OK)
			error = json_decode_value(d, value, message_field_place(value, entry));
	}
	return error == ERROR_OK && entries->count > 1 ? check_keys(d, field, entries) : error;
}

/* --- messages --- */

/* null is a value of its own only to google.protobuf.Value and NullValue. */
static bool takes_null(const struct field_type *field)
{
	if (field->label >= FIELD_REPEATED)
		return false;
	return field->kind == FIELD_MESSAGE ? field->message->well_known == WELL_KNOWN_VALUE
					    : field->kind == FIELD_ENUM && field->enumeration->is_null_value;
}

static enum error decode_field(struct json_decoder *d, const struct field_type *field, void *message)
{
	if (json_peek(&d->json) == JSON_NULL && !takes_null(field))
		return json_decoder_skip(d);
	if (field->label == FIELD_REPEATED)
		return json_decode_array(d, field, message_field_place(field, message));
	if (field->label == FIELD_MAP)
		return json_decode_map(d, field, message_field_place(field, message));
	if (field->label == FIELD_ONEOF && *(const uint32_t *)((const uint8_t *)message + field->presence) != 0)
		return message_fail(&d->path, d->note, ERROR_MALFORMED, "another field of the same oneof is there too");
	return json_decode_value(d, field, message_field_claim(field, message));
}

enum error json_decode_object(struct json_decoder *d, const struct message_type *type, void *message)
{
	uint64_t seen[MESSAGE_MAX_FIELDS / 64] = {0};
	size_t next = 0;
	if (json_peek(&d->json) != JSON_OBJECT)
		return json_decoder_expected(d, "an object");
	enum error error = json_decoder_enter(d);
	while (error == ERROR_OK) {
		struct slice name;
		bool more;
		error = json_decoder_next_member(d, &name, &more);
		if (error != ERROR_OK || !more)
			break;
		const struct field_type *field = message_field_by_name(type, name, &next);
		message_path_top(&d->path)->field = field;
		if (field == NULL) {
			error = json_decoder_skip(d);
			continue;
		}
		size_t index = (size_t)(field - type->fields);
		if ((seen[index / 64] >> index % 64 & 1) != 0)
			return message_fail(&d->path, d->note, ERROR_MALFORMED, "the field comes twice");
		seen[index / 64] |= UINT64_C(1) << index % 64;
		error = decode_field(d, field, message);
	}
	return error;
}

enum error json_decode_message(struct json_decoder *d, const struct message_type *type, void *message)
{
	return type->well_known == WELL_KNOWN_NONE ? json_decode_object(d, type, message)
						   : json_decode_well_known(d, type, message);
}

enum error message_decode_json(const struct message_type *type, struct slice input, struct arena *arena, void *ret_message,
			       struct error_note *note)
{
	struct json_decoder decoder;
	json_init(&decoder.json, input);
	decoder.arena = arena;
	decoder.note = note;
	decoder.path.depth = 0;
	enum error error = json_decode_message(&decoder, type, ret_message);
	if (error == ERROR_OK) {
		error = json_finish(&decoder.json);
		if (error != ERROR_OK)
			json_decoder_fail(&decoder, error);
	}
	return error;
}
