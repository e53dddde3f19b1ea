/* Sums of rows by client and window, in one snapshot; those that a rebuild works from are of some rows (port/ledger.h,
 * sum_scope). */
#ifndef PING_ADAPTER_POSTGRES_SCOPE_SUMS_H
#define PING_ADAPTER_POSTGRES_SCOPE_SUMS_H

#include "adapter/postgres/connection.h"

/* In the order of the addresses' sixteen bytes, IPv4 stands among IPv6: behind what is less than ::ffff:0:0. */
#define PG_SUMS_IN_ORDER                                                                                               \
	" GROUP BY client_ip, window_start"                                                                            \
	" ORDER BY CASE WHEN family(client_ip) = 4 THEN 1 WHEN client_ip < '::ffff:0:0' THEN 0 ELSE 2 END, client_ip," \
	" window_start"

/* Through what declares a cursor `sums`, of client, window, count, first, last (ms), position, pending; until `visit` says false.
 */
enum error pg_visit_sums(struct pg_connection *connection, const char *declare_sums_cursor, struct pg_parameters *parameters,
			 bool (*visit)(void *context, const struct ledger_sum *sum), void *context, struct error_note *note);

/* Whoever was writing pings when it was called is waited for, a minute at most: UNAVAILABLE then. */
enum error pg_sum_scope(struct pg_connection *connection, struct pg_parameters *parameters, const struct ledger_scope *scope,
			bool (*visit)(void *context, const struct ledger_sum *sum), void *context, struct error_note *note);

#endif
