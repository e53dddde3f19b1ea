/* The store as the stream has it: the real adapter, with or without one of its safeguards.
 */
#ifndef PING_SIM_CQL_MUTANT_H
#define PING_SIM_CQL_MUTANT_H

#include "../mutation.h"
#include "cassandra.h"
#include "port/store.h"

/* Leaves out what lies in the adapter or in the server; to be called for each seed. */
void mutant_begin(const struct mutation *mutation, struct cassandra *cassandra);
/* Leaves out what lies between stream and adapter. Its close closes the inner one. sweep: counters are compared, endlessly. */
struct store *mutant_wrap(const struct mutation *mutation, bool sweep, struct store *inner);

#endif
