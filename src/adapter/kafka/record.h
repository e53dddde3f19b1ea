/* A record of raw-pings as the engine takes it, for all who read it. */
#ifndef PING_ADAPTER_KAFKA_RECORD_H
#define PING_ADAPTER_KAFKA_RECORD_H

#include "adapter/kafka/client.h"
#include "engine/engine.h"

/* False, with the reason: nothing that an engine could take, or in another partition than its client's. */
bool record_decode(const struct kafka_config *config, const rd_kafka_message_t *message, struct engine_event *ret_event,
		   struct error_note *reason);

#endif
