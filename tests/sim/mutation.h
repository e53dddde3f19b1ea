/* Safeguards left out, one at a time, by standing between the code and its ports: seeds must find each of them, or the simulator
 * proves nothing. "none" leaves everything in.
 */
#ifndef PING_SIM_MUTATION_H
#define PING_SIM_MUTATION_H

#include "port/ledger.h"
#include "port/log.h"
#include "port/store.h"

/* Each simulator embeds it in its own, which says how. */
struct mutation {
	const char *name, *what; /* is left out */
};

/* The simulator's index-th; NULL behind the last. The first is "none". */
const struct mutation *mutation_at(size_t index);

/* close closes the inner one. */
struct ledger *mutation_wrap_ledger(const struct mutation *mutation, struct ledger *inner);
struct log_reader *mutation_wrap_log(const struct mutation *mutation, struct log_reader *inner);
struct store *mutation_wrap_store(const struct mutation *mutation, struct store *inner);

#endif
