/* The rows of the metrics as columns: what store and store_reader share. Each list of columns goes with its read function.
 */
#ifndef PING_ADAPTER_SQLITE_ROWS_H
#define PING_ADAPTER_SQLITE_ROWS_H

#include "adapter/sqlite/database.h"
#include "engine/row.h"

#define WINDOW_COLUMNS "client_ip, window_start, ping_count, first_ping, last_ping, position"
#define DAY_COLUMNS    "client_ip, day, total, position"
#define CLIENT_COLUMNS "client_ip, first_ping, last_ping"

/* From the statement's row. CORRUPT where client_ip is no address. */
enum error read_window_row(struct database *database, sqlite3_stmt *statement, struct window_row *ret_row,
			   struct error_note *note);
enum error read_day_row(struct database *database, sqlite3_stmt *statement, struct day_row *ret_row, struct error_note *note);
enum error read_client_row(struct database *database, sqlite3_stmt *statement, struct client_row *ret_row,
			   struct error_note *note);

#endif
