#include "adapter/sqlite/rows.h"
#include "adapter/sqlite/sqlite.h"

#include <stdlib.h>

/* A client with its activity, which may be missing: read_listed. */
#define LISTED                                                                                                               \
	"SELECT c.client_ip, c.first_ping, c.last_ping, a.since, a.ping_count, a.active_windows, a.first_ping, a.last_ping," \
	" a.busiest_window_start, a.busiest_ping_count, a.busiest_first_ping, a.busiest_last_ping, a.due FROM "
#define ACTIVE	       LISTED "activity_24h a CROSS JOIN clients c ON c.client_ip = a.client_ip WHERE "
#define ALL	       LISTED "clients c LEFT JOIN activity_24h a ON a.client_ip = c.client_ip WHERE "
#define MATCHES(table) " AND (?3 IS NULL OR address_has_prefix(" table ".client_ip, ?3)) ORDER BY "

enum statement {
	LIST_WINDOWS,
	LIST_DAYS,
	FIND_CLIENT,
	/* ListClients, of value ?1 and client ?2, with prefix ?3, ?4 at most. Equal values and smaller ones apart, as no index
	 * serves
	 * "(value, client) behind (?1, ?2)" where one falls and the other rises. */
	COUNT_EQUAL,
	COUNT_BELOW,
	SILENT,
	LAST_EQUAL,
	LAST_BELOW,
	BY_CLIENT,
	TOTALS,
	POSITION,
	SCAN_WINDOWS,
	SCAN_DAYS,
	SCAN_CLIENTS,
	STATEMENT_COUNT,
};

static const char *const texts[STATEMENT_COUNT] = {
	[LIST_WINDOWS] =
		"SELECT " WINDOW_COLUMNS " FROM window_stats WHERE client_ip = ?1 AND window_start >= ?2 AND window_start < ?3"
		" ORDER BY window_start DESC LIMIT ?4",
	[LIST_DAYS] = "SELECT " DAY_COLUMNS
		      " FROM daily_totals WHERE client_ip = ?1 AND day >= ?2 AND day < ?3 ORDER BY day DESC LIMIT ?4",
	[FIND_CLIENT] = "SELECT " CLIENT_COLUMNS " FROM clients WHERE client_ip = ?1",
	[COUNT_EQUAL] = ACTIVE "a.ping_count = ?1 AND a.client_ip > ?2" MATCHES("a") "a.client_ip LIMIT ?4",
	[COUNT_BELOW] = ACTIVE "a.ping_count < ?1 AND a.ping_count > 0" MATCHES("a") "a.ping_count DESC, a.client_ip LIMIT ?4",
	[SILENT] = ALL "c.client_ip > ?2 AND coalesce(a.ping_count, 0) = 0" MATCHES("c") "c.client_ip LIMIT ?4",
	[LAST_EQUAL] = ALL "c.last_ping = ?1 AND c.client_ip > ?2" MATCHES("c") "c.client_ip LIMIT ?4",
	[LAST_BELOW] = ALL "c.last_ping < ?1" MATCHES("c") "c.last_ping DESC, c.client_ip LIMIT ?4",
	[BY_CLIENT] = ALL "c.client_ip > ?2" MATCHES("c") "c.client_ip LIMIT ?4",
	/* Active: the last ping is in the 24 hours; or it lies ahead of them and another is in. */
	[TOTALS] = "SELECT coalesce((SELECT position FROM engine_position WHERE partition = 0), -1),"
		   " (SELECT count(*) FROM clients),"
		   " (SELECT count(*) FROM clients WHERE last_ping >= ?1 AND last_ping < ?2)"
		   " + (SELECT count(*) FROM clients c CROSS JOIN activity_24h a ON a.client_ip = c.client_ip"
		   " WHERE c.last_ping >= ?2 AND a.ping_count > 0),"
		   " (SELECT count(*) FROM window_stats WHERE window_start > ?3)",
	[POSITION] = "SELECT position FROM engine_position WHERE partition = 0",
	[SCAN_WINDOWS] = "SELECT " WINDOW_COLUMNS " FROM window_stats ORDER BY client_ip, window_start",
	[SCAN_DAYS] = "SELECT " DAY_COLUMNS " FROM daily_totals ORDER BY client_ip, day",
	[SCAN_CLIENTS] = "SELECT " CLIENT_COLUMNS " FROM clients ORDER BY client_ip",
};

struct sqlite_store_reader {
	struct store_reader reader;
	struct database database;
};

static sqlite3_stmt *statement_of(struct sqlite_store_reader *reader, enum statement statement)
{
	return reader->database.statements[statement];
}

static void bind_range(sqlite3_stmt *list, const struct address *client, int64_t start_ms, int64_t end_ms, size_t max)
{
	database_bind_address(list, 1, client);
	sqlite3_bind_int64(list, 2, start_ms);
	sqlite3_bind_int64(list, 3, end_ms == 0 ? INT64_MAX : end_ms);
	sqlite3_bind_int64(list, 4, (int64_t)max);
}

static enum error reader_list_windows(struct store_reader *base, const struct address *client, int64_t start_ms, int64_t end_ms,
				      struct window_row *ret_rows, size_t max, size_t *ret_count, struct error_note *note)
{
	struct sqlite_store_reader *reader = (struct sqlite_store_reader *)base;
	enum error error = database_begin_read(&reader->database, note);
	size_t count = 0;
	if (error == ERROR_OK)
		bind_range(statement_of(reader, LIST_WINDOWS), client, start_ms, end_ms, max);
	for (bool row = true; error == ERROR_OK && count < max; count++) {
		error = database_next(&reader->database, statement_of(reader, LIST_WINDOWS), &row, "list windows", note);
		if (error != ERROR_OK || !row)
			break;
		error = read_window_row(&reader->database, statement_of(reader, LIST_WINDOWS), &ret_rows[count], note);
	}
	database_end(&reader->database, error);
	if (error == ERROR_OK)
		*ret_count = count;
	return error;
}

static enum error reader_list_days(struct store_reader *base, const struct address *client, int64_t start_ms, int64_t end_ms,
				   struct day_row *ret_rows, size_t max, size_t *ret_count, struct error_note *note)
{
	struct sqlite_store_reader *reader = (struct sqlite_store_reader *)base;
	enum error error = database_begin_read(&reader->database, note);
	size_t count = 0;
	if (error == ERROR_OK)
		bind_range(statement_of(reader, LIST_DAYS), client, start_ms, end_ms, max);
	for (bool row = true; error == ERROR_OK && count < max; count++) {
		error = database_next(&reader->database, statement_of(reader, LIST_DAYS), &row, "list days", note);
		if (error != ERROR_OK || !row)
			break;
		error = read_day_row(&reader->database, statement_of(reader, LIST_DAYS), &ret_rows[count], note);
	}
	database_end(&reader->database, error);
	if (error == ERROR_OK)
		*ret_count = count;
	return error;
}

/* One of the statements that a page is put together from; its rows come behind those of the one before. */
struct page_part {
	enum statement statement;
	int64_t value;
	const struct address *client; /* NULL: from the first */
};

/* The parts of a page, in order; at most 3. */
static size_t page_parts(const struct store_client_page *page, struct page_part ret_parts[3])
{
	const struct address *after = page->after ? &page->after_client : NULL;
	int64_t value = page->after ? page->after_value : INT64_MAX;
	bool by_count = page->order == STORE_ORDER_PING_COUNT;
	size_t count = 0;
	if (page->order == STORE_ORDER_CLIENT_IP) {
		ret_parts[count++] = (struct page_part){BY_CLIENT, 0, after};
		return count;
	}
	if (by_count && page->after && value == 0) {
		ret_parts[count++] = (struct page_part){SILENT, 0, after};
		return count;
	}
	if (page->after)
		ret_parts[count++] = (struct page_part){by_count ? COUNT_EQUAL : LAST_EQUAL, value, after};
	ret_parts[count++] = (struct page_part){by_count ? COUNT_BELOW : LAST_BELOW, value, NULL};
	if (by_count)
		ret_parts[count++] = (struct page_part){SILENT, 0, NULL};
	return count;
}

static enum error read_listed(struct sqlite_store_reader *reader, sqlite3_stmt *list, enum store_client_order order,
			      struct store_client *ret_client, struct error_note *note)
{
	struct store_client listed = {
		.activity =
			{
				.start_ms = sqlite3_column_int64(list, 3),
				.count = sqlite3_column_int64(list, 4),
				.active_windows = sqlite3_column_int(list, 5),
				.first_ms = sqlite3_column_int64(list, 6),
				.last_ms = sqlite3_column_int64(list, 7),
				.busiest_start_ms = sqlite3_column_int64(list, 8),
				.busiest_count = sqlite3_column_int64(list, 9),
				.busiest_first_ms = sqlite3_column_int64(list, 10),
				.busiest_last_ms = sqlite3_column_int64(list, 11),
				.due_ms = sqlite3_column_int64(list, 12),
			},
	};
	enum error error = read_client_row(&reader->database, list, &listed.client, note);
	if (error != ERROR_OK)
		return error;
	listed.activity.client = listed.client.client;
	if (order == STORE_ORDER_PING_COUNT)
		listed.order_value = listed.activity.count;
	else if (order == STORE_ORDER_LAST_PING)
		listed.order_value = listed.client.last_ms;
	*ret_client = listed;
	return ERROR_OK;
}

/* Adds the part's clients behind the *count there are, up to the page's max. */
static enum error list_part(struct sqlite_store_reader *reader, const struct store_client_page *page,
			    const struct page_part *part, struct store_client *ret_clients, size_t *count,
			    struct error_note *note)
{
	sqlite3_stmt *list = statement_of(reader, part->statement);
	sqlite3_bind_int64(list, 1, part->value);
	if (part->client == NULL)
		sqlite3_bind_zeroblob(list, 2, 0);
	else
		database_bind_address(list, 2, part->client);
	if (page->prefix.size == 0)
		sqlite3_bind_null(list, 3);
	else
		sqlite3_bind_text(list, 3, (const char *)page->prefix.data, (int)page->prefix.size, SQLITE_STATIC);
	sqlite3_bind_int64(list, 4, (int64_t)(page->max - *count));
	for (; *count < page->max; ++*count) {
		bool row = false;
		enum error error = database_next(&reader->database, list, &row, "list clients", note);
		if (error == ERROR_OK && row)
			error = read_listed(reader, list, page->order, &ret_clients[*count], note);
		if (error != ERROR_OK || !row)
			return error;
	}
	return ERROR_OK;
}

static enum error reader_list_clients(struct store_reader *base, const struct store_client_page *page,
				      struct store_client *ret_clients, size_t *ret_count, struct error_note *note)
{
	struct sqlite_store_reader *reader = (struct sqlite_store_reader *)base;
	struct page_part parts[3];
	size_t part_count = page_parts(page, parts), count = 0;
	enum error error = database_begin_read(&reader->database, note);
	for (size_t i = 0; i < part_count && error == ERROR_OK; i++)
		error = list_part(reader, page, &parts[i], ret_clients, &count, note);
	database_end(&reader->database, error);
	if (error == ERROR_OK)
		*ret_count = count;
	return error;
}

static enum error reader_get_client(struct store_reader *base, const struct address *client, struct client_row *ret_row,
				    struct error_note *note)
{
	struct sqlite_store_reader *reader = (struct sqlite_store_reader *)base;
	bool found = false;
	enum error error = database_begin_read(&reader->database, note);
	if (error == ERROR_OK) {
		database_bind_address(statement_of(reader, FIND_CLIENT), 1, client);
		error = database_next(&reader->database, statement_of(reader, FIND_CLIENT), &found, "read a client", note);
	}
	if (error == ERROR_OK && found)
		error = read_client_row(&reader->database, statement_of(reader, FIND_CLIENT), ret_row, note);
	database_end(&reader->database, error);
	if (error == ERROR_OK && !found)
		return error_noted(note, ERROR_NOT_FOUND, "this client was never seen");
	return error;
}

static enum error reader_totals(struct store_reader *base, int64_t now_ms, struct store_totals *ret_totals,
				struct error_note *note)
{
	struct sqlite_store_reader *reader = (struct sqlite_store_reader *)base;
	bool row = false;
	enum error error = database_begin_read(&reader->database, note);
	if (error == ERROR_OK) {
		sqlite3_stmt *totals = statement_of(reader, TOTALS);
		sqlite3_bind_int64(totals, 1, activity_start_of(now_ms));
		sqlite3_bind_int64(totals, 2, window_start_of(now_ms) + WINDOW_MS);
		sqlite3_bind_int64(totals, 3, now_ms - WINDOW_MS);
		error = database_next(&reader->database, totals, &row, "read totals", note);
		if (error == ERROR_OK && row)
			*ret_totals = (struct store_totals){
				.position = sqlite3_column_int64(totals, 0),
				.clients = sqlite3_column_int64(totals, 1),
				.active_clients = sqlite3_column_int64(totals, 2),
				.open_windows = sqlite3_column_int64(totals, 3),
			};
	}
	database_end(&reader->database, error);
	return error;
}

/* The scans: *going turns false when a visitor has ended it. */
static enum error scan_position(struct sqlite_store_reader *reader, const struct store_scan *scan, bool *going,
				struct error_note *note)
{
	bool row = false;
	sqlite3_stmt *position = statement_of(reader, POSITION);
	enum error error = database_next(&reader->database, position, &row, "read the position", note);
	if (error == ERROR_OK)
		*going = scan->begin(scan->context, row ? sqlite3_column_int64(position, 0) : POSITION_NONE);
	return error;
}

static enum error scan_windows(struct sqlite_store_reader *reader, const struct store_scan *scan, bool *going,
			       struct error_note *note)
{
	enum error error = ERROR_OK;
	for (bool row = true; *going;) {
		struct window_row window;
		error = database_next(&reader->database, statement_of(reader, SCAN_WINDOWS), &row, "scan windows", note);
		if (error == ERROR_OK && row)
			error = read_window_row(&reader->database, statement_of(reader, SCAN_WINDOWS), &window, note);
		if (error != ERROR_OK || !row)
			break;
		*going = scan->window(scan->context, &window);
	}
	return error;
}

static enum error scan_days(struct sqlite_store_reader *reader, const struct store_scan *scan, bool *going,
			    struct error_note *note)
{
	enum error error = ERROR_OK;
	for (bool row = true; *going;) {
		struct day_row day;
		error = database_next(&reader->database, statement_of(reader, SCAN_DAYS), &row, "scan days", note);
		if (error == ERROR_OK && row)
			error = read_day_row(&reader->database, statement_of(reader, SCAN_DAYS), &day, note);
		if (error != ERROR_OK || !row)
			break;
		*going = scan->day(scan->context, &day);
	}
	return error;
}

static enum error scan_clients(struct sqlite_store_reader *reader, const struct store_scan *scan, bool *going,
			       struct error_note *note)
{
	enum error error = ERROR_OK;
	for (bool row = true; *going;) {
		struct client_row client;
		error = database_next(&reader->database, statement_of(reader, SCAN_CLIENTS), &row, "scan clients", note);
		if (error == ERROR_OK && row)
			error = read_client_row(&reader->database, statement_of(reader, SCAN_CLIENTS), &client, note);
		if (error != ERROR_OK || !row)
			break;
		*going = scan->client(scan->context, &client);
	}
	return error;
}

static enum error reader_scan(struct store_reader *base, const struct store_scan *scan, struct error_note *note)
{
	struct sqlite_store_reader *reader = (struct sqlite_store_reader *)base;
	bool going = true;
	enum error error = database_begin_read(&reader->database, note);
	if (error == ERROR_OK)
		error = scan_position(reader, scan, &going, note);
	if (error == ERROR_OK)
		error = scan_windows(reader, scan, &going, note);
	if (error == ERROR_OK)
		error = scan_days(reader, scan, &going, note);
	if (error == ERROR_OK)
		error = scan_clients(reader, scan, &going, note);
	database_end(&reader->database, error);
	return error;
}

static void reader_close(struct store_reader *base)
{
	struct sqlite_store_reader *reader = (struct sqlite_store_reader *)base;
	database_close(&reader->database);
	free(reader);
}

enum error sqlite_store_reader_open(const char *path, struct store_reader **ret_reader, struct error_note *note)
{
	static const struct store_reader_vtable vtable = {
		.list_windows = reader_list_windows,
		.list_days = reader_list_days,
		.list_clients = reader_list_clients,
		.get_client = reader_get_client,
		.totals = reader_totals,
		.scan = reader_scan,
		.close = reader_close,
	};
	struct sqlite_store_reader *reader = calloc(1, sizeof *reader);
	if (reader == NULL)
		return ERROR_NO_MEMORY;
	reader->reader.vtable = &vtable;
	enum error error = database_open(&reader->database, path, &schema_metrics, DATABASE_READ, texts, STATEMENT_COUNT, note);
	if (error != ERROR_OK) {
		free(reader);
		return error;
	}
	*ret_reader = &reader->reader;
	return ERROR_OK;
}
