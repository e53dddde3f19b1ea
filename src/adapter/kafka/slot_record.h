/* The record of ping-publishers: the newest batch of a slot's that readers see. JSON, so that Kafka's own tools show it.
 *
 *   key    7                                the slot, so that compaction leaves the newest
 *   value  {"log_epoch":1,"batch":42,"after":41,"topic":"c0ffee00-1234-4321-8765-0123456789ab"}
 */
#ifndef PING_ADAPTER_KAFKA_SLOT_RECORD_H
#define PING_ADAPTER_KAFKA_SLOT_RECORD_H

#include "base/error.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "port/publish.h"

struct slot_record {
	int64_t log_epoch;
	struct publish_record batches;
	char topic[UUID_TEXT_SIZE]; /* the id of the raw-pings that has them; "": not known */
};

enum { SLOT_RECORD_SIZE = 128 };

/* Returns the size of the value; no NUL is part of it. */
size_t slot_record_encode(const struct slot_record *record, char ret_value[SLOT_RECORD_SIZE]);
/* Unknown members are skipped; without "after" it is of one batch, without "topic" of one that is not known. MALFORMED. */
enum error slot_record_decode(struct slice value, struct slot_record *ret_record);
/* Whether a publisher of `own.log_epoch`, whose raw-pings is `own.topic`, may go on behind the record: another topic needs a
 * greater epoch, and a greater epoch another topic. Else it would look for events where they are not, and publish them again, or
 * give events a position that engines don't count under. FAILED_PRECONDITION, with the way out. */
enum error slot_record_check(const struct slot_record *record, const struct slot_record *own, int32_t slot,
			     struct error_note *note);

#endif
