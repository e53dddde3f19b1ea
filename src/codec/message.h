/* Protocol buffers, table driven: one description of each message, made from the .proto by a protoc plugin at build time
 * (scripts/protoc-gen-pingc), drives both encodings, binary ("Encoding") and proto3 JSON ("ProtoJSON
 * Format"). A message is a plain C struct:
 *
 *   scalar, enum             the C type                         proto3 optional: and `bool has_NAME` before it
 *   string, bytes            struct slice
 *   message                  pointer, NULL: absent
 *   repeated T               struct { T *items; size_t count; }  (messages: an array of structs)
 *   map<K, V>                repeated of a generated entry struct { K key; V value; }
 *   oneof NAME               `uint32_t which_NAME` (the field's number; 0: none) and a union NAME of its fields
 *
 * What a decoder gives lies in the arena; strings of binary messages point into the input, which must outlive the message.
 */
#ifndef PING_CODEC_MESSAGE_H
#define PING_CODEC_MESSAGE_H

#include "base/arena.h"
#include "base/buffer.h"

struct message_type;

/* One RPC of a service, as the .proto declares it. */
struct method_type {
	const char *name; /* "Ping" */
	const char *path; /* "/ping.v1.PingService/Ping" */
	const struct message_type *request, *response;
	bool no_side_effects;
	bool client_streaming, server_streaming;
};

/* "ping.v1.PingRequest" */
const char *message_type_name(const struct message_type *type);
/* Bytes of the C struct. */
size_t message_type_size(const struct message_type *type);

/* `ret_message` is a zeroed struct of the type's size. On failure it may be half filled; the note names the field, as
 * "timestamp_ms: expected an integer, found a string". MALFORMED, NO_MEMORY; TOO_LARGE past 100 levels of nesting. Unknown fields
 * are ignored. */
enum error message_decode_binary(const struct message_type *type, struct slice input, struct arena *arena, void *ret_message,
				 struct error_note *note);
enum error message_decode_json(const struct message_type *type, struct slice input, struct arena *arena, void *ret_message,
			       struct error_note *note);

/* Append to `output`. Deterministic: fields in order of their numbers, map entries as they stand. */
enum error message_encode_binary(const struct message_type *type, const void *message, struct buffer *output);
enum error message_encode_json(const struct message_type *type, const void *message, struct buffer *output,
			       struct error_note *note);

#endif
