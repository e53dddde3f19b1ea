#include "adapter/sqlite/database.h"
#include "adapter/sqlite/sqlite.h"
#include "base/clock.h"
#include "base/rollup.h"
#include "base/timestamp.h"
#include "engine/row.h"

#include <stdlib.h>

/* Positions whose sums are made in one go: what the sorter holds, and for how long the WAL cannot be restarted. */
#define SUM_STEP INT64_C(500000)
/* Between two: the writer restarts its WAL only where it finds no reader over two commits. */
enum { SUM_PAUSE_MS = 20 };

enum statement { COUNT_RANGE, COUNT_ROWS, COUNT_LEVEL, END, STATEMENT_COUNT };

static const char *const texts[STATEMENT_COUNT] = {
	[COUNT_RANGE] = "SELECT coalesce(sum(count), 0) FROM ping_counts WHERE level = ?1 AND bucket >= ?2 AND bucket < ?3",
	[COUNT_ROWS] = "SELECT count(*) FROM pings",
	[COUNT_LEVEL] = "SELECT coalesce(sum(count), 0) FROM ping_counts WHERE level = ?1",
	[END] = "SELECT coalesce(max(position), 0) FROM pings",
};

struct sqlite_ledger_reader {
	struct ledger_reader reader;
	struct database database;
	int64_t summed; /* temp.sums stands at this position; 0: there is no such table */
};

static enum error read_number(struct sqlite_ledger_reader *reader, sqlite3_stmt *statement, int64_t *ret_number,
			      struct error_note *note)
{
	bool row = false;
	enum error error = database_next(&reader->database, statement, &row, "count pings", note);
	if (error == ERROR_OK)
		*ret_number = row ? sqlite3_column_int64(statement, 0) : 0;
	sqlite3_reset(statement);
	return error;
}

static enum error sum_ranges(struct sqlite_ledger_reader *reader, const struct rollup_range *ranges, size_t count,
			     int64_t *ret_sum, struct error_note *note)
{
	int64_t sum = 0;
	for (size_t i = 0; i < count; i++) {
		sqlite3_stmt *statement = reader->database.statements[COUNT_RANGE];
		int64_t part = 0;
		sqlite3_bind_int(statement, 1, ranges[i].level);
		sqlite3_bind_int64(statement, 2, ranges[i].first);
		sqlite3_bind_int64(statement, 3, ranges[i].end);
		enum error error = read_number(reader, statement, &part, note);
		if (error != ERROR_OK)
			return error;
		sum += part;
	}
	*ret_sum = sum;
	return ERROR_OK;
}

static enum error reader_count(struct ledger_reader *base, int64_t start_ms, int64_t end_ms, int64_t *ret_count,
			       struct error_note *note)
{
	struct sqlite_ledger_reader *reader = (struct sqlite_ledger_reader *)base;
	/* An open end is put on the edge of a bucket of the top level, where it costs nothing. */
	const int top = (ROLLUP_LEVELS - 1) * ROLLUP_BITS;
	const int64_t open_end = ((TIMESTAMP_MAX_MS >> top) + 1) << top;
	struct rollup_range ranges[ROLLUP_MAX_RANGES];
	size_t count =
		rollup_decompose(start_ms < 0 ? 0 : start_ms, end_ms == 0 || end_ms > open_end ? open_end : end_ms, ranges);
	enum error error = database_begin_read(&reader->database, note);
	if (error == ERROR_OK)
		error = sum_ranges(reader, ranges, count, ret_count, note);
	database_end(&reader->database, error);
	return error;
}

/* The roll-up is right where every level sums up to the rows; else a level's sum that is not is what it says. */
static enum error count_both(struct sqlite_ledger_reader *reader, int64_t *ret_rows, int64_t *ret_rolled_up,
			     struct error_note *note)
{
	int64_t rows = 0, rolled_up = 0;
	enum error error = read_number(reader, reader->database.statements[COUNT_ROWS], &rows, note);
	for (int level = ROLLUP_LEVELS - 1; level >= 0 && error == ERROR_OK; level--) {
		sqlite3_bind_int(reader->database.statements[COUNT_LEVEL], 1, level);
		error = read_number(reader, reader->database.statements[COUNT_LEVEL], &rolled_up, note);
		if (rolled_up != rows)
			break;
	}
	if (error != ERROR_OK)
		return error;
	*ret_rows = rows;
	*ret_rolled_up = rolled_up;
	return ERROR_OK;
}

static enum error reader_count_rows(struct ledger_reader *base, int64_t *ret_rows, int64_t *ret_rolled_up,
				    struct error_note *note)
{
	struct sqlite_ledger_reader *reader = (struct sqlite_ledger_reader *)base;
	enum error error = database_begin_read(&reader->database, note);
	if (error == ERROR_OK)
		error = count_both(reader, ret_rows, ret_rolled_up, note);
	database_end(&reader->database, error);
	return error;
}

enum { SUM_ADD, SUM_LIST, SUM_COUNT };

static const char *const sum_texts[SUM_COUNT] = {
	[SUM_ADD] = "INSERT INTO temp.sums SELECT client_ip, pinged_at - pinged_at % 300000, count(*), min(pinged_at), "
		    "max(pinged_at),"
		    " max(position) FROM pings WHERE position > ?1 AND position <= ?2 GROUP BY 1, 2"
		    " ON CONFLICT DO UPDATE SET count = count + excluded.count, first = min(first, excluded.first),"
		    " last = max(last, excluded.last), position = excluded.position",
	[SUM_LIST] =
		"SELECT client_ip, window_start, count, first, last, position FROM temp.sums ORDER BY client_ip, window_start",
};

/* Brings the sums from where they stand up to a position. */
static enum error gather_sums(struct sqlite_ledger_reader *reader, sqlite3_stmt *add, int64_t up_to, struct error_note *note)
{
	int64_t end = 0;
	enum error error = read_number(reader, reader->database.statements[END], &end, note);
	if (end > up_to)
		end = up_to;
	while (error == ERROR_OK && reader->summed < end) {
		int64_t next = end - reader->summed < SUM_STEP ? end : reader->summed + SUM_STEP;
		sqlite3_bind_int64(add, 1, reader->summed);
		sqlite3_bind_int64(add, 2, next);
		error = database_run(&reader->database, add, "sum up the ledger in a temporary file", note);
		if (error == ERROR_OK)
			reader->summed = next;
		if (error == ERROR_OK && next < end)
			clock_sleep_ms(SUM_PAUSE_MS);
	}
	return error;
}

static enum error visit_sums(struct sqlite_ledger_reader *reader, sqlite3_stmt *list,
			     bool (*visit)(void *context, const struct ledger_sum *sum), void *context, struct error_note *note)
{
	for (;;) {
		bool row = false;
		enum error error = database_next(&reader->database, list, &row, "read the sums of the ledger", note);
		if (error != ERROR_OK || !row)
			return error;
		struct ledger_sum sum = {
			.window_start_ms = sqlite3_column_int64(list, 1),
			.count = sqlite3_column_int64(list, 2),
			.first_ms = sqlite3_column_int64(list, 3),
			.last_ms = sqlite3_column_int64(list, 4),
			.position = sqlite3_column_int64(list, 5),
		};
		error = database_read_address(&reader->database, list, 0, &sum.client, note);
		if (error != ERROR_OK || !visit(context, &sum)) {
			sqlite3_reset(list);
			return error;
		}
	}
}

/* The table, empty unless what it holds can be built upon. */
static enum error prepare_sums(struct sqlite_ledger_reader *reader, int64_t up_to, struct error_note *note)
{
	enum error error = database_connect(&reader->database, note);
	if (error != ERROR_OK || (reader->summed > 0 && reader->summed <= up_to))
		return error;
	reader->summed = 0;
	return database_execute(
		&reader->database,
		"DROP TABLE IF EXISTS temp.sums;"
		"CREATE TEMP TABLE sums (client_ip, window_start INTEGER, count INTEGER, first INTEGER, last INTEGER,"
		" position INTEGER, PRIMARY KEY (client_ip, window_start)) WITHOUT ROWID",
		"make a temporary table", note);
}

/* Rows are only added, at the end: up to a position that is there already the ledger never changes, and any number of reads are
 * one snapshot of it. So the sums are gathered step by step in a temporary table (in SQLite's temporary folder: SQLITE_TMPDIR,
 * else /var/tmp), which is as large as the sums are, not as the ledger is, and the writer can restart its WAL between two steps.
 * The table stays: whoever asks again, for the same position or a later one, waits only for what came since.
 */
static enum error reader_sum_windows(struct ledger_reader *base, int64_t up_to,
				     bool (*visit)(void *context, const struct ledger_sum *sum), void *context,
				     struct error_note *note)
{
	struct sqlite_ledger_reader *reader = (struct sqlite_ledger_reader *)base;
	sqlite3_stmt *statements[SUM_COUNT] = {0};
	enum error error = prepare_sums(reader, up_to, note);
	if (error == ERROR_OK)
		error = database_prepare(&reader->database, sum_texts, SUM_COUNT, statements, note);
	if (error == ERROR_OK)
		error = gather_sums(reader, statements[SUM_ADD], up_to, note);
	if (error == ERROR_OK)
		error = visit_sums(reader, statements[SUM_LIST], visit, context, note);
	database_finalize(statements, SUM_COUNT);
	if (error != ERROR_OK)
		reader->summed = 0;
	database_end(&reader->database, error);
	return error;
}

static void reader_close(struct ledger_reader *base)
{
	struct sqlite_ledger_reader *reader = (struct sqlite_ledger_reader *)base;
	database_close(&reader->database);
	free(reader);
}

enum error sqlite_ledger_reader_open(const char *path, struct ledger_reader **ret_reader, struct error_note *note)
{
	static const struct ledger_reader_vtable vtable = {
		reader_count, reader_sum_windows, reader_count_rows, reader_close, NULL, NULL};
	struct sqlite_ledger_reader *reader = calloc(1, sizeof *reader);
	if (reader == NULL)
		return ERROR_NO_MEMORY;
	reader->reader.vtable = &vtable;
	enum error error = database_open(&reader->database, path, &schema_ledger, DATABASE_READ, texts, STATEMENT_COUNT, note);
	if (error != ERROR_OK) {
		free(reader);
		return error;
	}
	*ret_reader = &reader->reader;
	return ERROR_OK;
}
