/* What the files of the codec share: finding fields, reaching into the C structs, and saying where something is wrong. */
#ifndef PING_CODEC_MESSAGE_INTERNAL_H
#define PING_CODEC_MESSAGE_INTERNAL_H

#include "codec/message.h"
#include "codec/message_type.h"

enum { MESSAGE_MAX_DEPTH = 100 };

/* --- where: one step a level, rendered as time_range.start, labels["a"], window_stats[3].client_ip --- */

struct message_step {
	const struct field_type *field; /* NULL: this level has no name */
	struct slice key;		/* of a map in JSON; data NULL: none */
	size_t index;			/* of an array; MESSAGE_NO_INDEX: none */
};

#define MESSAGE_NO_INDEX SIZE_MAX

/* Big: never copied, and only the steps in use are initialised. */
struct message_path {
	size_t depth;
	struct message_step steps[MESSAGE_MAX_DEPTH];
};

/* False: too deep. */
bool message_path_push(struct message_path *path);
static inline struct message_step *message_path_top(struct message_path *path)
{
	return &path->steps[path->depth - 1];
}
/* Notes "PATH: text", without PATH where it is empty; returns `error`. */
enum error message_fail(const struct message_path *path, struct error_note *note, enum error error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A text from outside made fit for a note: cut, and what isn't printable ASCII is shown as '?'. */
struct message_excerpt {
	char text[48];
};
struct message_excerpt message_excerpt(struct slice text);

/* --- fields --- */

const struct field_type *message_field_by_number(const struct message_type *type, uint32_t number);
/* By either name. *next is where the field is expected (0 at first), and moves behind it. */
const struct field_type *message_field_by_name(const struct message_type *type, struct slice name, size_t *next);

/* Bytes of one value in the struct, or in the array of a repeated field. */
size_t message_value_size(const struct field_type *field);
bool message_field_present(const struct field_type *field, const void *message);
/* Notes the field's presence; where another of its oneof stood, its place is zeroed. Returns the value's place. */
void *message_field_claim(const struct field_type *field, void *message);

static inline void *message_field_place(const struct field_type *field, void *message)
{
	return (uint8_t *)message + field->offset;
}

static inline const void *message_field_value(const struct field_type *field, const void *message)
{
	return (const uint8_t *)message + field->offset;
}

/* --- the generated structs' members, seen without their types --- */

typedef void *__attribute__((may_alias)) message_pointer;

struct __attribute__((may_alias)) message_array {
	void *items;
	size_t count;
};

/* A zeroed element behind the others; NULL: out of memory. The capacity follows from the count: see message.c. */
void *message_array_push(struct message_array *array, size_t element_size, struct arena *arena);

/* The entries of a map by their keys, entries with the same key in their order. NULL: out of memory. */
const void **message_map_sort(const struct field_type *map, const struct message_array *entries, struct arena *arena);
bool message_map_same_key(const struct field_type *map, const void *a, const void *b);

#endif
