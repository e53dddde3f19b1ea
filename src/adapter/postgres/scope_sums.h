/* The sums that a rebuild works from: of some rows, by client and window, in one snapshot (port/ledger.h, sum_scope). */
#ifndef PING_ADAPTER_POSTGRES_SCOPE_SUMS_H
#define PING_ADAPTER_POSTGRES_SCOPE_SUMS_H

#include "adapter/postgres/connection.h"

/* Whoever was writing pings when it was called is waited for, a minute at most: UNAVAILABLE then. */
enum error pg_sum_scope(struct pg_connection *connection, struct pg_parameters *parameters, const struct ledger_scope *scope,
			bool (*visit)(void *context, const struct ledger_sum *sum), void *context, struct error_note *note);

#endif
