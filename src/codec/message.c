#include "codec/message_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *message_type_name(const struct message_type *type)
{
	return type->name;
}

size_t message_type_size(const struct message_type *type)
{
	return type->size;
}

/* --- where --- */

bool message_path_push(struct message_path *path)
{
	if (path->depth == MESSAGE_MAX_DEPTH)
		return false;
	path->steps[path->depth++] = (struct message_step){.index = MESSAGE_NO_INDEX};
	return true;
}

struct message_excerpt message_excerpt(struct slice text)
{
	struct message_excerpt excerpt;
	size_t room = sizeof excerpt.text - 1, size = text.size < room ? text.size : room;
	for (size_t i = 0; i < size; i++)
		excerpt.text[i] = (char)(text.data[i] >= 0x20 && text.data[i] < 0x7f ? text.data[i] : '?');
	if (size < text.size)
		memcpy(excerpt.text + size - 3, "...", 3);
	excerpt.text[size] = 0;
	return excerpt;
}

static size_t format_step(const struct message_step *step, bool first, char *text, size_t room)
{
	int size = 0;
	if (step->field != NULL)
		size = snprintf(text, room, "%s%.*s", first ? "" : ".", (int)step->field->name.size,
				(const char *)step->field->name.data);
	else if (step->key.data != NULL)
		size = snprintf(text, room, "[\"%s\"]", message_excerpt(step->key).text);
	if (step->index != MESSAGE_NO_INDEX && (size_t)size < room)
		size += snprintf(text + size, room - (size_t)size, "[%zu]", step->index);
	return (size_t)size < room ? (size_t)size : room - 1;
}

enum error message_fail(const struct message_path *path, struct error_note *note, enum error error, const char *format, ...)
{
	if (note == NULL)
		return error;
	char where[160], text[sizeof note->text];
	size_t size = 0;
	where[0] = 0;
	for (size_t i = 0; i < path->depth; i++)
		size += format_step(&path->steps[i], size == 0, where + size, sizeof where - size);
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return error_noted(note, error, "%s%s%s", where, size == 0 ? "" : ": ", text);
}

/* --- fields --- */

const struct field_type *message_field_by_number(const struct message_type *type, uint32_t number)
{
	size_t low = 0, high = type->field_count;
	if (number - 1 < high && type->fields[number - 1].number == number)
		return &type->fields[number - 1];
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (type->fields[middle].number == number)
			return &type->fields[middle];
		if (type->fields[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct field_type *message_field_by_name(const struct message_type *type, struct slice name, size_t *next)
{
	for (size_t i = 0, at = *next; i < type->field_count; i++, at++) {
		if (at >= type->field_count)
			at = 0;
		const struct field_type *field = &type->fields[at];
		if (slice_equal(field->json_name, name) || slice_equal(field->name, name)) {
			*next = at + 1;
			return field;
		}
	}
	return NULL;
}

static size_t kind_size(enum field_kind kind)
{
	switch (kind) {
	case FIELD_DOUBLE:
	case FIELD_INT64:
	case FIELD_UINT64:
	case FIELD_SINT64:
	case FIELD_FIXED64:
	case FIELD_SFIXED64:
		return 8;
	case FIELD_FLOAT:
	case FIELD_INT32:
	case FIELD_UINT32:
	case FIELD_SINT32:
	case FIELD_FIXED32:
	case FIELD_SFIXED32:
	case FIELD_ENUM:
		return 4;
	case FIELD_BOOL:
		return sizeof(bool);
	case FIELD_STRING:
	case FIELD_BYTES:
		return sizeof(struct slice);
	case FIELD_MESSAGE:
		return sizeof(void *);
	}
	__builtin_unreachable();
}

size_t message_value_size(const struct field_type *field)
{
	return field->label >= FIELD_REPEATED && field->kind == FIELD_MESSAGE ? field->message->size : kind_size(field->kind);
}

static bool is_set(const struct field_type *field, const void *value)
{
	if (field->kind == FIELD_STRING || field->kind == FIELD_BYTES)
		return ((const struct slice *)value)->size > 0;
	uint64_t bits = 0;
	memcpy(&bits, value, kind_size(field->kind));
	return bits != 0;
}

bool message_field_present(const struct field_type *field, const void *message)
{
	const void *value = message_field_value(field, message), *presence = (const uint8_t *)message + field->presence;
	switch ((enum field_label)field->label) {
	case FIELD_PLAIN:
		return is_set(field, value);
	case FIELD_OPTIONAL:
		return *(const bool *)presence;
	case FIELD_ONEOF:
		return *(const uint32_t *)presence == field->number && (field->kind != FIELD_MESSAGE || is_set(field, value));
	case FIELD_REPEATED:
	case FIELD_MAP:
		return ((const struct message_array *)value)->count > 0;
	}
	__builtin_unreachable();
}

void *message_field_claim(const struct field_type *field, void *message)
{
	void *value = message_field_place(field, message), *presence = (uint8_t *)message + field->presence;
	if (field->label == FIELD_OPTIONAL)
		*(bool *)presence = true;
	if (field->label == FIELD_ONEOF && *(uint32_t *)presence != field->number) {
		*(uint32_t *)presence = field->number;
		memset(value, 0, kind_size(field->kind));
	}
	return value;
}

/* --- arrays and maps --- */

/* An array that holds 0, 4, 8, 16, … elements is full, for whoever pushes: so the structs need no member for the capacity. */
void *message_array_push(struct message_array *array, size_t element_size, struct arena *arena)
{
	size_t count = array->count;
	if (count == 0 || (count >= 4 && (count & (count - 1)) == 0)) {
		size_t capacity = count == 0 ? 4 : count * 2;
		void *items = arena_alloc_array(arena, capacity, element_size);
		if (items == NULL)
			return NULL;
		if (count > 0)
			memcpy(items, array->items, count * element_size);
		array->items = items;
	}
	array->count++;
	return (uint8_t *)array->items + count * element_size;
}

static int compare_keys(const struct field_type *key, const void *a, const void *b)
{
	if (key->kind == FIELD_STRING) {
		const struct slice *left = a, *right = b;
		size_t size = left->size < right->size ? left->size : right->size;
		int order = size == 0 ? 0 : memcmp(left->data, right->data, size);
		return order != 0 ? order : (left->size > right->size) - (left->size < right->size);
	}
	int64_t left = 0, right = 0;
	switch (key->kind) {
	case FIELD_INT32:
	case FIELD_SINT32:
	case FIELD_SFIXED32:
		left = *(const int32_t *)a;
		right = *(const int32_t *)b;
		break;
	default:
		memcpy(&left, a, kind_size(key->kind));
		memcpy(&right, b, kind_size(key->kind));
	}
	if (key->kind == FIELD_UINT64 || key->kind == FIELD_FIXED64)
		return ((uint64_t)left > (uint64_t)right) - ((uint64_t)left < (uint64_t)right);
	return (left > right) - (left < right);
}

static int compare_entries(const void *a, const void *b, void *context)
{
	const struct field_type *key = context;
	const uint8_t *left = *(const uint8_t *const *)a, *right = *(const uint8_t *const *)b;
	int order = compare_keys(key, left + key->offset, right + key->offset);
	return order != 0 ? order : (left > right) - (left < right);
}

const void **message_map_sort(const struct field_type *map, const struct message_array *entries, struct arena *arena)
{
	const void **sorted = arena_alloc_array(arena, entries->count, sizeof *sorted);
	if (sorted == NULL)
		return NULL;
	for (size_t i = 0; i < entries->count; i++)
		sorted[i] = (const uint8_t *)entries->items + i * map->message->size;
	qsort_r(sorted, entries->count, sizeof *sorted, compare_entries, (void *)&map->message->fields[0]);
	return sorted;
}

bool message_map_same_key(const struct field_type *map, const void *a, const void *b)
{
	const struct field_type *key = &map->message->fields[0];
	return compare_keys(key, message_field_value(key, a), message_field_value(key, b)) == 0;
}
