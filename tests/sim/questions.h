/* What people ask while everything runs: the real queries, and whether their answers are the truth at the position that the store
 * stands at.
 */
#ifndef PING_SIM_QUESTIONS_H
#define PING_SIM_QUESTIONS_H

#include "clients.h"
#include "truth.h"

/* One question, chosen by chance. */
void questions_ask(struct truth *truth, const struct clients *clients, struct ledger_reader *ledger, struct store_reader *store);

#endif
