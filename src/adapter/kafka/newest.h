/* Reads the newest committed record of a slot's partition of ping-publishers. */
#ifndef PING_ADAPTER_KAFKA_NEWEST_H
#define PING_ADAPTER_KAFKA_NEWEST_H

#include "adapter/kafka/kafka.h"
#include "adapter/kafka/slot_record.h"

/* Up to the end that readers of committed records have when this is called. NOT_FOUND: there is none. */
enum error newest_read(const struct kafka_config *config, int32_t slot, struct slot_record *ret_record, struct error_note *note);
/* The same of every slot that has one, until the visitor fails. */
enum error newest_visit(const struct kafka_config *config,
			enum error (*visit)(void *context, int32_t slot, const struct slot_record *record,
					    struct error_note *note),
			void *context, struct error_note *note);

#endif
