/* The queries' side of the store, in its parts: store_reader.c reads one client's rows and the totals, pages.c lists clients,
 * scan.c shows everything in order, clients.c to the audit what clients have, follow.c what changed to who watches.
 */
#ifndef PING_ADAPTER_CQL_READER_H
#define PING_ADAPTER_CQL_READER_H

#include "adapter/cql/lists.h"
#include "port/store.h"

enum cql_reader_statement {
	CQL_READ_WINDOWS,
	CQL_READ_DAYS,
	CQL_READ_COUNTERS,
	CQL_READ_CLIENT,
	CQL_READ_ACTIVITY,
	CQL_READ_LIST,
	CQL_COUNT_ALL,
	CQL_COUNT_RANKS,
	CQL_LIST_RANKS,
	CQL_COUNT_WINDOWS,
	CQL_READ_POSITION,
	CQL_READ_POSITIONS,
	CQL_READ_ENGINES,
	CQL_READ_WINDOW,
	CQL_SCAN_WINDOWS,
	CQL_SCAN_DAYS,
	CQL_SCAN_COUNTERS,
	CQL_ANY_WINDOWS,
	CQL_ANY_DAYS,
	CQL_ANY_COUNTERS,
	CQL_ANY_CLIENTS,
	CQL_READER_STATEMENT_COUNT,
};

struct cql_reader {
	struct store_reader reader;
	struct cql_config *config;
	struct cql_connection *connection;
};

/* Of partition 0; POSITION_NONE where there is none. */
enum error cql_read_position(struct cql_reader *reader, int64_t *ret_position, struct error_note *note);
/* follow.c: whose heartbeat is the newest. */
enum error cql_read_engine(struct cql_reader *reader, struct store_engine *ret_engine, struct error_note *note);
/* As port/store.h has them. */
enum error cql_list_clients(struct store_reader *base, const struct store_client_page *page, struct store_client *ret_clients,
			    size_t *ret_count, struct error_note *note);
enum error cql_read_positions(struct store_reader *base, int64_t *ret_positions, size_t partition_count, struct error_note *note);
enum error cql_reread_windows(struct store_reader *base, struct window_row *rows, size_t count, struct error_note *note);
enum error cql_read_rows(struct store_reader *base, const struct address *clients, size_t count, const struct store_rows *rows,
			 struct error_note *note);
enum error cql_list_any(struct store_reader *base, void (*visit)(void *context, const struct address *client), void *context,
			struct error_note *note);
enum error cql_scan(struct store_reader *base, const struct store_scan *scan, struct error_note *note);

#endif
