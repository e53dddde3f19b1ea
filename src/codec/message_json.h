/* proto3 JSON, for the codec's own files: what the plain messages (message_json_decode.c, message_json_encode.c) and
 * google.protobuf's (message_json_wellknown.c) need of each other. One path step a bracket, in both directions.
 */
#ifndef PING_CODEC_MESSAGE_JSON_H
#define PING_CODEC_MESSAGE_JSON_H

#include "base/json.h"
#include "codec/message_internal.h"

_Static_assert((int)JSON_MAX_DEPTH == (int)MESSAGE_MAX_DEPTH, "every bracket has its step");

struct json_decoder {
	struct json json;
	struct arena *arena;
	struct error_note *note;
	struct message_path path;
};

/* What the scanner said, noted. */
enum error json_decoder_fail(struct json_decoder *d, enum error error);
enum error json_decoder_no_memory(struct json_decoder *d);
/* "expected WHAT, found …" by the value that is next. */
enum error json_decoder_expected(struct json_decoder *d, const char *what);
/* "expected WHAT, found "TEXT"" by a text that was read. */
enum error json_decoder_expected_not(struct json_decoder *d, const char *what, struct slice text);
/* Into the bracket that is next, and over its members; both note what is wrong. */
enum error json_decoder_enter(struct json_decoder *d);
enum error json_decoder_next_member(struct json_decoder *d, struct slice *ret_name, bool *ret_more);
enum error json_decoder_skip(struct json_decoder *d);
/* A string, without its escapes; points into the input or the arena. what: as in json_decoder_expected. */
enum error json_decoder_read_text(struct json_decoder *d, const char *what, struct slice *ret_text);

/* Any message. `message` is its struct. */
enum error json_decode_message(struct json_decoder *d, const struct message_type *type, void *message);
enum error json_decode_object(struct json_decoder *d, const struct message_type *type, void *message);
/* A member's or element's value; a message's is its pointer, or in arrays its struct. */
enum error json_decode_value(struct json_decoder *d, const struct field_type *field, void *value);
enum error json_decode_array(struct json_decoder *d, const struct field_type *field, struct message_array *array);
enum error json_decode_map(struct json_decoder *d, const struct field_type *field, struct message_array *entries);
enum error json_decode_well_known(struct json_decoder *d, const struct message_type *type, void *message);

struct json_encoder {
	struct buffer *output;
	struct arena *scratch; /* until the encoder is done */
	struct error_note *note;
	struct message_path path;
};

/* For what can't be written: a bug of whoever made the message. */
enum error json_encoder_fail(struct json_encoder *e, const char *problem);
enum error json_encoder_open(struct json_encoder *e, uint8_t bracket);
enum error json_encoder_close(struct json_encoder *e, uint8_t bracket);
/* A comma unless *first, the name and the colon; *first is false after it. */
enum error json_encoder_name(struct json_encoder *e, struct slice name, bool *first);

enum error json_encode_message(struct json_encoder *e, const struct message_type *type, const void *message);
/* What stands between the braces. */
enum error json_encode_members(struct json_encoder *e, const struct message_type *type, const void *message, bool *first);
enum error json_encode_value(struct json_encoder *e, const struct field_type *field, const void *value);
enum error json_encode_array(struct json_encoder *e, const struct field_type *field, const struct message_array *array);
enum error json_encode_map(struct json_encoder *e, const struct field_type *field, const struct message_array *entries);
enum error json_encode_well_known(struct json_encoder *e, const struct message_type *type, const void *message);

#endif
