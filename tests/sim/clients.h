/* The simulated clients: what they send, what they were answered, and whether the answers hold. Some clocks are wrong, some pings
 * late or ahead, some keys repeated: after an unknown outcome, twice at once, or (wrongly) for another ping.
 *
 *   OK             the ledger has the ping exactly once, a key's ping once for all its attempts
 *   ALREADY_EXISTS the key's one ping in the ledger is another one
 *   not known      either way; a repetition with the key finds out
 *   anything else  the ledger does not have it, now or later
 */
#ifndef PING_SIM_CLIENTS_H
#define PING_SIM_CLIENTS_H

#include "ingest/ingest.h"
#include "truth.h"

struct clients;

struct clients *clients_create(struct world *world, const struct truth *truth);
void clients_destroy(struct clients *clients);

/* One client sends something. ingest NULL: nobody listens. */
void clients_send(struct clients *clients, struct ingest *ingest);
/* The process is gone: what it had not answered is not known. */
void clients_lose_connections(struct clients *clients);
/* Every answer ever given holds, and every row of the ledger was asked for. */
void clients_check(struct clients *clients);

size_t clients_count(const struct clients *clients);
const struct address *clients_address(const struct clients *clients, size_t index);
/* Pings that the ledger was asked to keep. */
size_t clients_attempts(const struct clients *clients);

#endif
