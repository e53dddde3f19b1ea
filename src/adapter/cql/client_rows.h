/* All rows of some clients, each kind by a statement of the caller's. */
#ifndef PING_ADAPTER_CQL_CLIENT_ROWS_H
#define PING_ADAPTER_CQL_CLIENT_ROWS_H

#include "adapter/cql/connection.h"
#include "port/store.h"

/* Of the connection's: `client` takes the key of `clients`, the others the client's text. */
struct cql_client_statements {
	size_t counters, windows, days, client;
};

/* Counters first, then the others, in no order. *seen_us (NULL: not wanted): raised to the latest timestamp that a row was
 * written with. The connection's errors. */
enum error cql_read_client_rows(struct cql_connection *connection, const struct cql_client_statements *statements,
				const struct address *clients, size_t count, const struct store_rows *rows, int64_t *seen_us,
				struct error_note *note);

#endif
