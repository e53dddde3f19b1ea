#include "codec/message_json.h"

#include <math.h>

#include "codec/wellknown.h"

/* google.protobuf's messages are reached through their descriptors, so the codec needs no generated header. */

static const struct field_type *field_of(const struct message_type *type, uint32_t number)
{
	return message_field_by_number(type, number);
}

/* --- Timestamp, Duration --- */

static struct wellknown_time load_time(const struct message_type *type, const void *message)
{
	return (struct wellknown_time){*(const int64_t *)message_field_value(field_of(type, 1), message),
				       *(const int32_t *)message_field_value(field_of(type, 2), message)};
}

static enum error decode_time(struct json_decoder *d, const struct message_type *type, void *message)
{
	bool timestamp = type->well_known == WELL_KNOWN_TIMESTAMP;
	const char *what = timestamp ? "a time such as 2024-10-14T15:45:31Z" : "a duration such as 1.5s";
	struct wellknown_time time;
	struct slice text;
	enum error error = json_decoder_read_text(d, what, &text);
	if (error != ERROR_OK)
		return error;
	error = timestamp ? wellknown_parse_timestamp(text, &time) : wellknown_parse_duration(text, &time);
	if (error == ERROR_OUT_OF_RANGE)
		what = timestamp ? "a time of the years 1 to 9999" : "a duration of at most 10,000 years";
	if (error != ERROR_OK)
		return json_decoder_expected_not(d, what, text);
	*(int64_t *)message_field_place(field_of(type, 1), message) = time.seconds;
	*(int32_t *)message_field_place(field_of(type, 2), message) = time.nanos;
	return ERROR_OK;
}

static enum error encode_time(struct json_encoder *e, const struct message_type *type, const void *message)
{
	struct wellknown_time time = load_time(type, message);
	enum error error = buffer_append_byte(e->output, '"');
	if (error == ERROR_OK)
		error = type->well_known == WELL_KNOWN_TIMESTAMP ? wellknown_append_timestamp(e->output, time)
								 : wellknown_append_duration(e->output, time);
	if (error == ERROR_OUT_OF_RANGE)
		return json_encoder_fail(e, "the time is out of range");
	return error == ERROR_OK ? buffer_append_byte(e->output, '"') : error;
}

/* --- FieldMask --- */

static enum error decode_field_mask(struct json_decoder *d, const struct message_type *type, void *message)
{
	struct slice text;
	enum error error = json_decoder_read_text(d, "paths with commas between them", &text);
	struct message_array *paths = message_field_place(field_of(type, 1), message);
	if (error != ERROR_OK || text.size == 0)
		return error;
	const uint8_t *next = text.data, *end = text.data + text.size;
	while (error == ERROR_OK && next != NULL) {
		const uint8_t *comma = memchr(next, ',', (size_t)(end - next));
		struct slice part = slice_make(next, (size_t)((comma == NULL ? end : comma) - next));
		struct slice *path = message_array_push(paths, sizeof *path, d->arena);
		error = path == NULL ? ERROR_NO_MEMORY : wellknown_parse_path(part, d->arena, path);
		if (error == ERROR_MALFORMED)
			return message_fail(&d->path, d->note, error, "\"%s\" is no path of a field mask",
					    message_excerpt(part).text);
		next = comma == NULL ? NULL : comma + 1;
	}
	return error == ERROR_NO_MEMORY ? json_decoder_no_memory(d) : error;
}

static enum error encode_field_mask(struct json_encoder *e, const struct message_type *type, const void *message)
{
	const struct message_array *paths = message_field_value(field_of(type, 1), message);
	const struct slice *items = paths->items;
	enum error error = buffer_append_byte(e->output, '"');
	for (size_t i = 0; i < paths->count && error == ERROR_OK; i++) {
		if (i > 0)
			error = buffer_append_byte(e->output, ',');
		if (error == ERROR_OK)
			error = wellknown_append_path(e->output, items[i]);
	}
	if (error == ERROR_MALFORMED)
		return json_encoder_fail(e, "a path of the field mask cannot be written in JSON");
	return error == ERROR_OK ? buffer_append_byte(e->output, '"') : error;
}

/* --- Value --- */

enum { VALUE_NULL = 1, VALUE_NUMBER, VALUE_STRING, VALUE_BOOL, VALUE_STRUCT, VALUE_LIST };

static enum error decode_any_value(struct json_decoder *d, const struct message_type *type, void *message)
{
	static const uint8_t numbers[] = {
		[JSON_OBJECT] = VALUE_STRUCT, [JSON_ARRAY] = VALUE_LIST, [JSON_STRING] = VALUE_STRING,
		[JSON_NUMBER] = VALUE_NUMBER, [JSON_TRUE] = VALUE_BOOL,	 [JSON_FALSE] = VALUE_BOOL,
		[JSON_NULL] = VALUE_NULL,
	};
	enum json_kind kind = json_peek(&d->json);
	if (kind == JSON_INVALID)
		return json_decoder_expected(d, "a value");
	const struct field_type *field = field_of(type, numbers[kind]);
	return json_decode_value(d, field, message_field_claim(field, message));
}

static enum error encode_any_value(struct json_encoder *e, const struct message_type *type, const void *message)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field_type *field = &type->fields[i];
		const void *value = message_field_value(field, message);
		if (!message_field_present(field, message))
			continue;
		if (field->kind == FIELD_DOUBLE && !isfinite(*(const double *)value))
			return json_encoder_fail(e, "a google.protobuf.Value cannot hold this number in JSON");
		return json_encode_value(e, field, value);
	}
	return json_encoder_fail(e, "a google.protobuf.Value holds nothing");
}

/* --- Any --- */

/* "type.googleapis.com/ping.v1.PingRequest" */
static const struct message_type *find_any_type(const struct message_type *any, struct slice url)
{
	const uint8_t *slash = url.size == 0 ? NULL : memrchr(url.data, '/', url.size);
	struct slice name = slash == NULL ? url : slice_make(slash + 1, (size_t)(url.data + url.size - slash - 1));
	for (const struct message_type *const *type = any->any_types; *type != NULL; type++)
		if (slice_equal_string(name, (*type)->name))
			return *type;
	return NULL;
}

/* Reads the object to its end: what the @type is (data NULL: the object is empty). */
static enum error find_type_url(struct json_decoder *d, struct slice *ret_url)
{
	struct slice url = {0};
	bool empty = true;
	enum error error = json_decoder_enter(d);
	while (error == ERROR_OK) {
		struct slice name;
		bool more;
		error = json_decoder_next_member(d, &name, &more);
		if (error != ERROR_OK || !more)
			break;
		empty = false;
		if (!slice_equal_string(name, "@type")) {
			error = json_decoder_skip(d);
			continue;
		}
		if (url.data != NULL)
			return message_fail(&d->path, d->note, ERROR_MALFORMED, "@type comes twice");
		error = json_decoder_read_text(d, "the type's URL in @type", &url);
	}
	if (error == ERROR_OK && url.data == NULL && !empty)
		return message_fail(&d->path, d->note, ERROR_MALFORMED, "a google.protobuf.Any needs its @type");
	*ret_url = url;
	return error;
}

/* A message with JSON of its own stands in the member "value". */
static enum error decode_value_member(struct json_decoder *d, const struct message_type *type, void *message)
{
	bool found = false;
	enum error error = json_decoder_enter(d);
	while (error == ERROR_OK) {
		struct slice name;
		bool more;
		error = json_decoder_next_member(d, &name, &more);
		if (error != ERROR_OK || !more)
			break;
		if (!slice_equal_string(name, "value"))
			error = json_decoder_skip(d);
		else if (found)
			return message_fail(&d->path, d->note, ERROR_MALFORMED, "the value comes twice");
		else
			error = json_decode_message(d, type, message);
		found |= slice_equal_string(name, "value");
	}
	if (error == ERROR_OK && !found)
		return message_fail(&d->path, d->note, ERROR_MALFORMED, "there is no \"value\" beside the @type");
	return error;
}

/* The message in its binary form, in the arena. */
static enum error pack(struct json_decoder *d, const struct message_type *type, const void *message, struct slice *ret_bytes)
{
	struct buffer buffer;
	buffer_init(&buffer, d->arena->limit);
	enum error error = message_encode_binary(type, message, &buffer);
	struct slice bytes = error == ERROR_OK ? arena_copy(d->arena, buffer_slice(&buffer)) : slice_make(NULL, 0);
	buffer_release(&buffer);
	if (bytes.data == NULL)
		return message_fail(&d->path, d->note, error == ERROR_OK ? ERROR_NO_MEMORY : error,
				    "too large or too deep to hold");
	*ret_bytes = bytes;
	return ERROR_OK;
}

static enum error decode_any(struct json_decoder *d, const struct message_type *any, void *message)
{
	if (json_peek(&d->json) != JSON_OBJECT)
		return json_decoder_expected(d, "an object");
	struct json start = d->json;
	struct slice url;
	enum error error = find_type_url(d, &url);
	if (error != ERROR_OK || url.data == NULL)
		return error;
	const struct message_type *type = find_any_type(any, url);
	if (type == NULL)
		return message_fail(&d->path, d->note, ERROR_MALFORMED, "@type: \"%s\" is not known here",
				    message_excerpt(url).text);
	void *held = arena_alloc(d->arena, type->size);
	struct slice copy = arena_copy(d->arena, url);
	if (held == NULL || copy.data == NULL)
		return json_decoder_no_memory(d);
	d->json = start;
	error = type->well_known == WELL_KNOWN_NONE ? json_decode_object(d, type, held) : decode_value_member(d, type, held);
	if (error != ERROR_OK)
		return error;
	*(struct slice *)message_field_place(field_of(any, 1), message) = copy;
	return pack(d, type, held, message_field_place(field_of(any, 2), message));
}

static enum error encode_held(struct json_encoder *e, const struct message_type *type, struct slice url, const void *held)
{
	bool first = true;
	enum error error = json_encoder_open(e, '{');
	if (error == ERROR_OK)
		error = json_encoder_name(e, SLICE_LITERAL("@type"), &first);
	if (error == ERROR_OK)
		error = json_append_string(e->output, url);
	if (error == ERROR_OK && type->well_known == WELL_KNOWN_NONE) {
		error = json_encode_members(e, type, held, &first);
	} else if (error == ERROR_OK) {
		error = json_encoder_name(e, SLICE_LITERAL("value"), &first);
		if (error == ERROR_OK)
			error = json_encode_message(e, type, held);
	}
	return error == ERROR_OK ? json_encoder_close(e, '}') : error;
}

static enum error encode_any(struct json_encoder *e, const struct message_type *any, const void *message)
{
	struct slice url = *(const struct slice *)message_field_value(field_of(any, 1), message);
	struct slice bytes = *(const struct slice *)message_field_value(field_of(any, 2), message);
	if (url.size == 0 && bytes.size == 0)
		return buffer_append_string(e->output, "{}");
	const struct message_type *type = find_any_type(any, url);
	if (type == NULL)
		return json_encoder_fail(e, "the type that the google.protobuf.Any holds is not known here");
	void *held = arena_alloc(e->scratch, type->size);
	if (held == NULL)
		return ERROR_NO_MEMORY;
	enum error error = message_decode_binary(type, bytes, e->scratch, held, NULL);
	if (error == ERROR_MALFORMED)
		return json_encoder_fail(e, "what the google.protobuf.Any holds is malformed");
	return error == ERROR_OK ? encode_held(e, type, url, held) : error;
}

/* --- all of them --- */

enum error json_decode_well_known(struct json_decoder *d, const struct message_type *type, void *message)
{
	const struct field_type *first = &type->fields[0];
	switch (type->well_known) {
	case WELL_KNOWN_ANY:
		return decode_any(d, type, message);
	case WELL_KNOWN_TIMESTAMP:
	case WELL_KNOWN_DURATION:
		return decode_time(d, type, message);
	case WELL_KNOWN_FIELD_MASK:
		return decode_field_mask(d, type, message);
	case WELL_KNOWN_STRUCT:
		return json_decode_map(d, first, message_field_place(first, message));
	case WELL_KNOWN_VALUE:
		return decode_any_value(d, type, message);
	case WELL_KNOWN_LIST_VALUE:
		return json_decode_array(d, first, message_field_place(first, message));
	case WELL_KNOWN_WRAPPER:
		return json_decode_value(d, first, message_field_place(first, message));
	case WELL_KNOWN_NONE:
		break;
	}
	return ERROR_INTERNAL;
}

enum error json_encode_well_known(struct json_encoder *e, const struct message_type *type, const void *message)
{
	const struct field_type *first = &type->fields[0];
	switch (type->well_known) {
	case WELL_KNOWN_ANY:
		return encode_any(e, type, message);
	case WELL_KNOWN_TIMESTAMP:
	case WELL_KNOWN_DURATION:
		return encode_time(e, type, message);
	case WELL_KNOWN_FIELD_MASK:
		return encode_field_mask(e, type, message);
	case WELL_KNOWN_STRUCT:
		return json_encode_map(e, first, message_field_value(first, message));
	case WELL_KNOWN_VALUE:
		return encode_any_value(e, type, message);
	case WELL_KNOWN_LIST_VALUE:
		return json_encode_array(e, first, message_field_value(first, message));
	case WELL_KNOWN_WRAPPER:
		return json_encode_value(e, first, message_field_value(first, message));
	case WELL_KNOWN_NONE:
		break;
	}
	return ERROR_INTERNAL;
}
