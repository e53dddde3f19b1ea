/* Which rows' events readers see at the positions that the rows say. */
#ifndef PING_ADAPTER_KAFKA_PLACED_H
#define PING_ADAPTER_KAFKA_PLACED_H

#include "adapter/kafka/kafka.h"

/* publish_log's find (port/publish.h). A position of another log_epoch, or before the log's first offset, is left as it is. */
enum error placed_check(const struct kafka_config *config, struct ledger_ping *rows, size_t count, struct error_note *note);

#endif
