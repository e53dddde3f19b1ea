#include "adapter/kafka/record.h"

#include "event/event.h"
#include "port/positions.h"

bool record_decode(const struct kafka_config *config, const rd_kafka_message_t *message, struct engine_event *ret_event,
		   struct error_note *reason)
{
	struct event event;
	if (event_decode(slice_make(message->payload, message->len), &event, reason) != ERROR_OK)
		return false;
	char key[ADDRESS_TEXT_SIZE];
	size_t size = address_format(&event.client, key);
	if (event_partition(slice_make(key, size), config->partitions) != message->partition) {
		error_noted(reason, ERROR_MALFORMED, "misplaced");
		return false;
	}
	*ret_event = (struct engine_event){.client = event.client,
					   .pinged_at_ms = event.pinged_at_ms,
					   .position = position_make(config->log_epoch, message->offset)};
	return true;
}
