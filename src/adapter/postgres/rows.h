/* Statements that ledger and slot_ledger share: claims of keys, rows of a batch. They fill in parameters and return the step. */
#ifndef PING_ADAPTER_POSTGRES_ROWS_H
#define PING_ADAPTER_POSTGRES_ROWS_H

#include "adapter/postgres/connection.h"

/* The rows with their positions (−1: NULL) or all without, of the slot's batch (slot NULL: of none). */
struct pg_step rows_insert(struct pg_parameters *parameters, const struct ledger_ping *rows, size_t count, bool positions,
			   const struct publish_slot *slot, int64_t batch);
/* By id and received_at; count > 0. Fills in ROWS_POSITION_STEPS steps, of one transaction. */
enum { ROWS_POSITION_STEPS = 2 };
void rows_set_positions(struct pg_parameters *parameters, const struct ledger_ping *rows, size_t count,
			struct pg_step ret_steps[ROWS_POSITION_STEPS]);

/* slot_ledger's claim on this connection: see port/publish.h. */
enum error rows_claim(struct pg_connection *connection, struct pg_parameters *parameters, struct publish_claim *claims,
		      size_t count, struct error_note *note);

/* Removes keys older than `age_ms` by the database's clock, or, where before_ms isn't 0, received before it; at most max. Makes
 * the days ahead, too, where some are missing. */
enum error rows_prune_keys(struct pg_connection *connection, struct pg_parameters *parameters, int64_t before_ms, int64_t age_ms,
			   size_t max, size_t *ret_removed, struct error_note *note);

/* In an order that is the same for every publisher. */
int claim_compare(const struct publish_claim *a, const struct publish_claim *b);

#endif
