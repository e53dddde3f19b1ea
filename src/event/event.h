/* The log's record: one ping as Kafka carries it, as Go's encoding/json writes it, and the partition that it belongs to.
 *
 *   key    203.0.113.7                                                                canonical text of the address
 *   value  {"ClientIP":"203.0.113.7","Timestamp":"2024-10-14T15:45:31.123Z"}
 */
#ifndef PING_EVENT_EVENT_H
#define PING_EVENT_EVENT_H

#include "base/address.h"

struct event {
	struct address client;
	int64_t pinged_at_ms; /* 1 … TIMESTAMP_MAX_MS */
};

enum { EVENT_VALUE_SIZE = 100 };

struct event_record {
	char key[ADDRESS_TEXT_SIZE];
	char value[EVENT_VALUE_SIZE];
	uint8_t key_size, value_size;
};

void event_encode(const struct event *event, struct event_record *ret_record);

/* Any JSON (RFC 8259) that Go's encoding/json would read into the RFC's struct: fields in any order, by their names in any case,
 * the last of equals counts, null changes nothing, unknown ones are skipped (to JSON_MAX_DEPTH levels of nesting); any RFC 3339
 * offset, up to nanoseconds, cut to milliseconds; any textual form of the address. Stricter than Go in this: text must be valid
 * Unicode, and both fields must be there and in range. ERROR_MALFORMED, with the reason in the note. */
enum error event_decode(struct slice value, struct event *ret_event, struct error_note *note);
/* The same, without the fast path for the layout that event_encode writes. For tests: the two must agree. */
enum error event_decode_strict(struct slice value, struct event *ret_event, struct error_note *note);

/* MurmurHash2 (Austin Appleby) with the seed of Kafka's Java client. */
uint32_t event_murmur2(struct slice key);
/* What the Java client's default partitioner chooses for a key: toPositive(murmur2(key)) % partitions. partitions > 0. */
int32_t event_partition(struct slice key, int32_t partitions);

#endif
