/* The record of ping-publishers: the newest batch of a slot's that readers see. JSON, so that Kafka's own tools show it.
 *
 *   key    7                                the slot, so that compaction leaves the newest
 *   value  {"log_epoch":1,"batch":42}
 */
#ifndef PING_ADAPTER_KAFKA_SLOT_RECORD_H
#define PING_ADAPTER_KAFKA_SLOT_RECORD_H

#include "base/error.h"
#include "base/slice.h"

struct slot_record {
	int64_t log_epoch, batch;
};

enum { SLOT_RECORD_SIZE = 80 };

/* Returns the size of the value; no NUL is part of it. */
size_t slot_record_encode(const struct slot_record *record, char ret_value[SLOT_RECORD_SIZE]);
/* Unknown members are skipped. MALFORMED. */
enum error slot_record_decode(struct slice value, struct slot_record *ret_record);

#endif
