/* Protocol buffers, table driven: one description of each message, made from the .proto by a protoc plugin at build time
 * (scripts/protoc-gen-pingc), drives both encodings, binary ("Encoding") and proto3 JSON ("ProtoJSON Format"). A message is a
 * plain C struct:
 *
 *   scalar, enum             the C type                         proto3 optional: and `bool has_NAME` before it
 *   string, bytes            struct slice
 *   message                  pointer, NULL: absent, also in a oneof
 *   repeated T               struct { T *items; size_t count; }  (messages: an array of structs)
 *   map<K, V>                repeated of a generated entry struct { K key; V value; }
 *   oneof NAME               `uint32_t which_NAME` (the field's number; 0: none) and a union NAME of its fields
 *
 * A name that is a keyword of C has a _ behind it. An enum may hold numbers that it has no names for.
 *
 * What a decoder gives lies in the arena; strings of binary messages point into the input, which must outlive the message.
 */
#ifndef PING_CODEC_MESSAGE_H
#define PING_CODEC_MESSAGE_H

#include "base/arena.h"
#include "base/buffer.h"

struct message_type;

/* A .proto as protoc read it. */
struct file_type {
	const char *name;			/* "ping/v1/ping.proto" */
	struct slice descriptor;		/* a google.protobuf.FileDescriptorProto */
	const char *const *symbols;		/* the full names of what it declares, up to NULL */
	const struct file_type *const *imports; /* up to NULL */
};

/* One RPC of a service, as the .proto declares it. */
struct method_type {
	const char *name; /* "Ping" */
	const char *path; /* "/ping.v1.PingService/Ping" */
	const struct message_type *request, *response;
	const struct file_type *file; /* that declares it; NULL: none */
	bool no_side_effects;
	bool client_streaming, server_streaming;
};

/* "ping.v1.PingRequest" */
const char *message_type_name(const struct message_type *type);
/* Bytes of the C struct. */
size_t message_type_size(const struct message_type *type);

/* `ret_message` is a zeroed struct of the type's size. On failure it may be half filled; the note names the field, as
 * "time_range.start: expected an integer, found true". MALFORMED, NO_MEMORY; TOO_LARGE past 100 levels of nesting: of messages in
 * binary, of brackets in JSON. Unknown fields are ignored. Of a map's entries with the same key the last counts in binary (all
 * are given); JSON may have no such, nor a field or a oneof twice. A google.protobuf.Any in JSON may hold what was generated with
 * it. */
enum error message_decode_binary(const struct message_type *type, struct slice input, struct arena *arena, void *ret_message,
				 struct error_note *note);
enum error message_decode_json(const struct message_type *type, struct slice input, struct arena *arena, void *ret_message,
			       struct error_note *note);

/* Append to `output`, which stays as it was on failure. Deterministic: fields in the order of their numbers, map entries as they
 * stand, or in JSON by key. As buffer_append; TOO_LARGE past 100 levels; INTERNAL for what has no encoding, such as text that is
 * not UTF-8, which is the fault of whoever made the message. JSON needs LC_NUMERIC "C". */
enum error message_encode_binary(const struct message_type *type, const void *message, struct buffer *output);
enum error message_encode_json(const struct message_type *type, const void *message, struct buffer *output,
			       struct error_note *note);

#endif
