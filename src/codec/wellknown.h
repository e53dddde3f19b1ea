/* The texts that stand in JSON for google.protobuf.Timestamp, Duration and FieldMask ("ProtoJSON Format"). */
#ifndef PING_CODEC_WELLKNOWN_H
#define PING_CODEC_WELLKNOWN_H

#include "base/arena.h"
#include "base/buffer.h"

struct wellknown_time {
	int64_t seconds;
	int32_t nanos;
};

/* "2024-10-14T15:45:31.123456789Z": years 1 to 9999, any offset on input; 0, 3, 6 or 9 fraction digits on output.
 * MALFORMED; OUT_OF_RANGE. */
enum error wellknown_parse_timestamp(struct slice text, struct wellknown_time *ret_time);
enum error wellknown_append_timestamp(struct buffer *output, struct wellknown_time time);

/* "-3.000000001s": within ±10,000 years; seconds and nanos have the same sign. MALFORMED; OUT_OF_RANGE. */
enum error wellknown_parse_duration(struct slice text, struct wellknown_time *ret_time);
enum error wellknown_append_duration(struct buffer *output, struct wellknown_time time);

/* One path of a field mask: "user.displayName" to "user.display_name" and back. The result lies in the arena, or is appended.
 * MALFORMED: not made of identifiers, or would not come back as it was. */
enum error wellknown_parse_path(struct slice text, struct arena *arena, struct slice *ret_path);
enum error wellknown_append_path(struct buffer *output, struct slice path);

#endif
