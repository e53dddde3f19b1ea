/* What readers cannot take, written to raw-pings-dead as it was, with the headers `reason`, `partition` and `offset` beside its
 * own: so it can be looked at, and replayed. At least once: who reads a partition again may write again.
 */
#ifndef PING_ADAPTER_KAFKA_DEAD_LETTERS_H
#define PING_ADAPTER_KAFKA_DEAD_LETTERS_H

#include "adapter/kafka/client.h"

struct dead_letters;

/* Connects with the first letter. The config must outlive it. */
enum error dead_letters_create(const struct kafka_config *config, struct dead_letters **ret_letters);
/* What is not written yet is given up. NULL is fine. */
void dead_letters_destroy(struct dead_letters *letters);

/* Copies the record and sends it. UNAVAILABLE, NO_MEMORY. */
enum error dead_letters_add(struct dead_letters *letters, const rd_kafka_message_t *record, const char *reason,
			    struct error_note *note);
/* Waits for all that was added, at most timeout_ms. OK: it is written, durably. DEADLINE_EXCEEDED: not yet. Any other error: some
 * is not, and none is on its way any more. */
enum error dead_letters_wait(struct dead_letters *letters, int timeout_ms, struct error_note *note);

#endif
