/* Reads what readers of committed records see in a stretch of one partition. */
#ifndef PING_ADAPTER_KAFKA_COMMITTED_H
#define PING_ADAPTER_KAFKA_COMMITTED_H

#include "adapter/kafka/client.h"

struct committed {
	struct client_state client_state;
	rd_kafka_t *client;
	int64_t deadline;
	const char *what; /* "cannot …": how its errors begin. Static */
};

/* All calls together may take timeout_ms. The config must outlive it. */
enum error committed_open(struct committed *committed, const struct kafka_config *config, const char *what, int timeout_ms,
			  struct error_note *note);
void committed_close(struct committed *committed);

/* The first offset that is still there, and the first that readers of committed records don't see yet. */
enum error committed_bounds(struct committed *committed, const char *topic, int32_t partition, int64_t *ret_low, int64_t *ret_end,
			    struct error_note *note);
/* The records of [from, end), in order, to `visit`, whose error ends it. Waits until transactions that are open in there have
 * ended. */
enum error committed_read(struct committed *committed, const char *topic, int32_t partition, int64_t from, int64_t end,
			  enum error (*visit)(void *context, const rd_kafka_message_t *message, struct error_note *note),
			  void *context, struct error_note *note);

#endif
