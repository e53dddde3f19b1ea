/* The record of ping-publishers: the newest batch of a slot's that readers see. JSON, so that Kafka's own tools show it.
 *
 *   key    7                                the slot, so that compaction leaves the newest
 *   value  {"log_epoch":1,"batch":42,"after":41}
 */
#ifndef PING_ADAPTER_KAFKA_SLOT_RECORD_H
#define PING_ADAPTER_KAFKA_SLOT_RECORD_H

#include "base/error.h"
#include "base/slice.h"
#include "port/publish.h"

struct slot_record {
	int64_t log_epoch;
	struct publish_record batches;
};

enum { SLOT_RECORD_SIZE = 80 };

/* Returns the size of the value; no NUL is part of it. */
size_t slot_record_encode(const struct slot_record *record, char ret_value[SLOT_RECORD_SIZE]);
/* Unknown members are skipped; without "after" it is of one batch. MALFORMED. */
enum error slot_record_decode(struct slice value, struct slot_record *ret_record);

#endif
