/* The descriptors that drive the codec: written by scripts/protoc-gen-pingc, read by src/codec/message*.c alone.
 *
 *   message_type ──► field_type[]  by number ──► message_type (also of a map's entries), enum_type
 *
 * A field says where its value stands in the C struct (message.h has the conventions) and where its presence is noted.
 */
#ifndef PING_CODEC_MESSAGE_TYPE_H
#define PING_CODEC_MESSAGE_TYPE_H

#include "base/slice.h"

enum { MESSAGE_MAX_FIELDS = 512 }; /* of one message; the generator refuses more */

/* A slice of a literal, for static tables. */
#define MESSAGE_TEXT(literal)                                   \
	{                                                       \
		(const uint8_t *)(literal), sizeof(literal) - 1 \
	}

enum field_kind {
	FIELD_DOUBLE,
	FIELD_FLOAT,
	FIELD_INT32,
	FIELD_INT64,
	FIELD_UINT32,
	FIELD_UINT64,
	FIELD_SINT32,
	FIELD_SINT64,
	FIELD_FIXED32,
	FIELD_FIXED64,
	FIELD_SFIXED32,
	FIELD_SFIXED64,
	FIELD_BOOL,
	FIELD_ENUM,
	FIELD_STRING,
	FIELD_BYTES,
	FIELD_MESSAGE,
};

enum field_label {
	FIELD_PLAIN,	/* present when not zero; a message when not NULL */
	FIELD_OPTIONAL, /* present when the bool at `presence` says so */
	FIELD_ONEOF,	/* present when the uint32_t at `presence` is its number */
	FIELD_REPEATED, /* an array at `offset` */
	FIELD_MAP,	/* an array of entries: messages with key = 1 and value = 2 */
};

struct enum_value {
	struct slice name;
	int32_t number;
};

struct enum_type {
	const struct enum_value *values; /* as declared: of two names for a number the first is written */
	size_t count;
	bool is_null_value; /* google.protobuf.NullValue: null in JSON */
};

struct field_type {
	struct slice name, json_name;
	uint32_t number;
	uint8_t kind, label;
	bool packed; /* written as one run of values; both are read */
	uint32_t offset, presence;
	const struct message_type *message;
	const struct enum_type *enumeration;
};

/* google.protobuf's messages whose JSON is not that of their fields. */
enum well_known {
	WELL_KNOWN_NONE,
	WELL_KNOWN_ANY,
	WELL_KNOWN_TIMESTAMP,
	WELL_KNOWN_DURATION,
	WELL_KNOWN_FIELD_MASK,
	WELL_KNOWN_STRUCT,
	WELL_KNOWN_VALUE,
	WELL_KNOWN_LIST_VALUE,
	WELL_KNOWN_WRAPPER,
};

struct message_type {
	const char *name;
	size_t size;
	const struct field_type *fields; /* by number */
	size_t field_count;
	enum well_known well_known;
	const struct message_type *const *any_types; /* Any: what it may hold in JSON; NULL ends it */
};

#endif
