#include "adapter/sqlite/ledger_mark.h"

#include <string.h>

enum { SAME_LOG, FIND_ID, STATEMENT_COUNT };

static const char *const texts[STATEMENT_COUNT] = {
	[SAME_LOG] = "SELECT 1 FROM ledger WHERE identity = ?1",
	[FIND_ID] = "SELECT id FROM pings WHERE position = ?1",
};

enum error ledger_mark_open(struct ledger_mark *mark, const char *directory, const uint8_t log_identity[16],
			    struct error_note *note)
{
	ledger_mark_close(mark);
	enum error error = database_open(&mark->database, directory, &schema_ledger, DATABASE_READ, texts, STATEMENT_COUNT, note);
	if (error != ERROR_OK)
		return error == ERROR_NOT_FOUND ? ERROR_OK : error;
	sqlite3_stmt *same = mark->database.statements[SAME_LOG];
	sqlite3_bind_blob(same, 1, log_identity, 16, SQLITE_STATIC);
	error = database_next(&mark->database, same, &mark->open, "read the ledger's identity", note);
	sqlite3_reset(same);
	if (error != ERROR_OK || !mark->open)
		database_close(&mark->database);
	return error;
}

enum error ledger_mark_read(struct ledger_mark *mark, int64_t position, struct uuid *ret_id, bool *ret_found,
			    struct error_note *note)
{
	bool found = false;
	if (!mark->open) {
		*ret_found = false;
		return ERROR_OK;
	}
	enum error error = database_connect(&mark->database, note);
	if (error != ERROR_OK)
		return error;
	sqlite3_stmt *find = mark->database.statements[FIND_ID];
	sqlite3_bind_int64(find, 1, position);
	error = database_next(&mark->database, find, &found, "read a ping's id", note);
	if (error == ERROR_OK && found && sqlite3_column_bytes(find, 0) != sizeof ret_id->bytes)
		error = error_noted(note, ERROR_CORRUPT, "%s: ping %lld has no id; restore the file from a backup",
				    mark->database.path, (long long)position);
	if (error == ERROR_OK && found)
		memcpy(ret_id->bytes, sqlite3_column_blob(find, 0), sizeof ret_id->bytes);
	database_end(&mark->database, error);
	if (error == ERROR_OK)
		*ret_found = found;
	return error;
}

void ledger_mark_close(struct ledger_mark *mark)
{
	if (mark->open)
		database_close(&mark->database);
	mark->open = false;
}
