/* What the cluster says of one topic: for readers, whose bounds come from here and who must not take another topic for theirs. */
#ifndef PING_ADAPTER_KAFKA_TOPIC_H
#define PING_ADAPTER_KAFKA_TOPIC_H

#include "adapter/kafka/client.h"

enum { TOPIC_TIMEOUT_MS = 15000 };

/* Its id (16 bytes), which a topic that is made anew does not have. FAILED_PRECONDITION, with the way out: there is no such
 * topic, or it has not that many partitions. UNAVAILABLE: nobody told within timeout_ms. */
enum error topic_check(struct client_state *state, rd_kafka_t *client, const char *name, int32_t partitions, int timeout_ms,
		       uint8_t ret_id[16], struct error_note *note);

enum topic_offset {
	TOPIC_START,	 /* of the oldest record that is still there */
	TOPIC_SHOWN_END, /* of the first that readers of committed records do not see yet */
	TOPIC_END,	 /* of the first that is not there */
};

/* One for each partition. One that has no leader yet is waited for, within the same TOPIC_TIMEOUT_MS. UNAVAILABLE, or as the
 * cluster refuses it. */
enum error topic_offsets(struct client_state *state, rd_kafka_t *client, const char *name, int32_t partitions,
			 enum topic_offset which, int64_t *ret_offsets, struct error_note *note);

#endif
