/* The binary encoding's wire types ("Encoding"), for the codec's own files. */
#ifndef PING_CODEC_MESSAGE_BINARY_H
#define PING_CODEC_MESSAGE_BINARY_H

#include "codec/message_type.h"

enum wire_type {
	WIRE_VARINT,
	WIRE_FIXED64,
	WIRE_LENGTH,
	WIRE_GROUP_START,
	WIRE_GROUP_END,
	WIRE_FIXED32,
};

static inline enum wire_type wire_type_of(enum field_kind kind)
{
	switch (kind) {
	case FIELD_DOUBLE:
	case FIELD_FIXED64:
	case FIELD_SFIXED64:
		return WIRE_FIXED64;
	case FIELD_FLOAT:
	case FIELD_FIXED32:
	case FIELD_SFIXED32:
		return WIRE_FIXED32;
	case FIELD_STRING:
	case FIELD_BYTES:
	case FIELD_MESSAGE:
		return WIRE_LENGTH;
	default:
		return WIRE_VARINT;
	}
}

#endif
