#include "adapter/sqlite/rows.h"

enum error read_window_row(struct database *database, sqlite3_stmt *statement, struct window_row *ret_row,
			   struct error_note *note)
{
	struct window_row row = {
		.start_ms = sqlite3_column_int64(statement, 1),
		.count = sqlite3_column_int64(statement, 2),
		.first_ms = sqlite3_column_int64(statement, 3),
		.last_ms = sqlite3_column_int64(statement, 4),
		.position = sqlite3_column_int64(statement, 5),
	};
	enum error error = database_read_address(database, statement, 0, &row.client, note);
	if (error == ERROR_OK)
		*ret_row = row;
	return error;
}

enum error read_day_row(struct database *database, sqlite3_stmt *statement, struct day_row *ret_row, struct error_note *note)
{
	struct day_row row = {
		.start_ms = sqlite3_column_int64(statement, 1),
		.total = sqlite3_column_int64(statement, 2),
		.position = sqlite3_column_int64(statement, 3),
	};
	enum error error = database_read_address(database, statement, 0, &row.client, note);
	if (error == ERROR_OK)
		*ret_row = row;
	return error;
}

enum error read_client_row(struct database *database, sqlite3_stmt *statement, struct client_row *ret_row,
			   struct error_note *note)
{
	struct client_row row = {
		.first_ms = sqlite3_column_int64(statement, 1),
		.last_ms = sqlite3_column_int64(statement, 2),
	};
	enum error error = database_read_address(database, statement, 0, &row.client, note);
	if (error == ERROR_OK)
		*ret_row = row;
	return error;
}
