#include "adapter/sqlite/ledger_mark.h"
#include "adapter/sqlite/rows.h"
#include "adapter/sqlite/sqlite.h"
#include "port/positions.h"

#include <stdlib.h>
#include <string.h>

enum statement {
	FIND_POSITION,
	FIND_EPOCH,
	ENTER_LOG,
	FIND_OTHERS,
	TAKE_PARTITION,
	SET_POSITION,
	FIND_WINDOW,
	FIND_DAY,
	FIND_CLIENT,
	LIST_WINDOWS,
	LIST_DUE,
	LIST_AHEAD,
	PUT_WINDOW,
	PUT_DAY,
	PUT_CLIENT,
	PUT_ACTIVITY,
	REMOVE_ACTIVITY,
	PRUNE_WINDOWS,
	STATEMENT_COUNT,
};

static const char *const texts[STATEMENT_COUNT] = {
	[FIND_POSITION] = "SELECT log_identity = ?2, position, ping_id FROM engine_position WHERE partition = ?1",
	/* Rows of another log; rows of which no position tells where they are from. */
	[FIND_EPOCH] = "SELECT max(position) FROM engine_position",
	[ENTER_LOG] = "UPDATE engine_position SET log_identity = ?1, position = ?2, ping_id = NULL WHERE log_identity <> ?1",
	[FIND_OTHERS] = "SELECT EXISTS (SELECT 1 FROM engine_position WHERE log_identity <> ?1)"
			" OR (NOT EXISTS (SELECT 1 FROM engine_position) AND EXISTS (SELECT 1 FROM clients))",
	[TAKE_PARTITION] = "INSERT INTO engine_position (partition, log_identity, position) VALUES (?1, ?2,"
			   " CASE WHEN EXISTS (SELECT 1 FROM engine_position) THEN ?3 ELSE -1 END)"
			   " RETURNING position",
	[SET_POSITION] = "UPDATE engine_position SET position = ?2, ping_id = ?3 WHERE partition = ?1",
	[FIND_WINDOW] = "SELECT " WINDOW_COLUMNS " FROM window_stats WHERE client_ip = ?1 AND window_start = ?2",
	[FIND_DAY] = "SELECT " DAY_COLUMNS " FROM daily_totals WHERE client_ip = ?1 AND day = ?2",
	[FIND_CLIENT] = "SELECT " CLIENT_COLUMNS " FROM clients WHERE client_ip = ?1",
	[LIST_WINDOWS] = "SELECT " WINDOW_COLUMNS " FROM window_stats WHERE client_ip = ?1 AND window_start >= ?2",
	[LIST_DUE] = "SELECT client_ip FROM activity_24h WHERE due <= ?2 AND partition = ?1 ORDER BY due LIMIT ?3",
	/* Made when the clock was further on; or removed then, and nobody knows whose they were if not the only partition's. */
	[LIST_AHEAD] = "SELECT c.client_ip FROM clients c LEFT JOIN activity_24h a ON a.client_ip = c.client_ip"
		       " WHERE c.last_ping >= ?2 AND (a.since > ?2 AND ?1 IN (a.partition, -1) OR a.client_ip IS NULL"
		       " AND (SELECT count(*) FROM engine_position) = 1 AND EXISTS"
		       " (SELECT 1 FROM window_stats w WHERE w.client_ip = c.client_ip AND w.window_start >= ?2)) LIMIT ?3",
	[PUT_WINDOW] =
		"INSERT INTO window_stats (client_ip, window_start, window_end, ping_count, avg_interval_ms, first_ping, "
		"last_ping,"
		" position) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET ping_count = excluded.ping_count,"
		" avg_interval_ms = excluded.avg_interval_ms, first_ping = excluded.first_ping, last_ping = excluded.last_ping,"
		" position = excluded.position",
	[PUT_DAY] = "INSERT INTO daily_totals (client_ip, day, total, position) VALUES (?1, ?2, ?3, ?4)"
		    " ON CONFLICT DO UPDATE SET total = excluded.total, position = excluded.position",
	[PUT_CLIENT] = "INSERT INTO clients (client_ip, first_ping, last_ping) VALUES (?1, ?2, ?3)"
		       " ON CONFLICT DO UPDATE SET first_ping = excluded.first_ping, last_ping = excluded.last_ping",
	[PUT_ACTIVITY] =
		"INSERT INTO activity_24h (client_ip, since, ping_count, active_windows, avg_interval_ms, first_ping, last_ping,"
		" busiest_window_start, busiest_ping_count, busiest_first_ping, busiest_last_ping, due, partition)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO UPDATE SET"
		" since = excluded.since, ping_count = excluded.ping_count, active_windows = excluded.active_windows,"
		" avg_interval_ms = excluded.avg_interval_ms, first_ping = excluded.first_ping, last_ping = excluded.last_ping,"
		" busiest_window_start = excluded.busiest_window_start, busiest_ping_count = excluded.busiest_ping_count,"
		" busiest_first_ping = excluded.busiest_first_ping, busiest_last_ping = excluded.busiest_last_ping,"
		" due = excluded.due, partition = excluded.partition",
	[REMOVE_ACTIVITY] = "DELETE FROM activity_24h WHERE client_ip = ?1",
	[PRUNE_WINDOWS] =
		"DELETE FROM window_stats WHERE (client_ip, window_start) IN (SELECT client_ip, window_start FROM window_stats"
		" WHERE window_start < ?1 ORDER BY window_start LIMIT ?2)",
};

enum { ANY_PARTITION = -1 }; /* of LIST_AHEAD */

struct sqlite_store {
	struct store store;
	struct database database;
	char *directory;
	struct ledger_mark mark; /* since the take */
	/* No activity was made as seen from later than this; INT64_MAX: not known yet. */
	int64_t latest_start_ms;
	/* Windows of the client at hand in read_clients. */
	struct window_row *windows;
	size_t window_count, window_capacity;
	/* Rows of one kind in order of client: written so, each page of the file is touched once. */
	const struct address **order;
	size_t order_capacity;
};

static sqlite3_stmt *statement_of(struct sqlite_store *store, enum statement statement)
{
	return store->database.statements[statement];
}

static enum error refuse_other_log(struct sqlite_store *store, struct error_note *note)
{
	return error_noted(
		note, ERROR_FAILED_PRECONDITION,
		"%s was filled from another log than this one; move it away: it is made again from the ledger at the next start",
		store->database.path);
}

/* Where a partition stands when all of the log epochs before are done, and nothing of this one. */
static int64_t log_start(const struct sqlite_store *store)
{
	return position_make(store->store.log_epoch, 0) - 1;
}

/* What was filled from a log of an epoch before goes on with this one, all partitions at once: clients may have changed theirs.
 */
static enum error enter_log(struct sqlite_store *store, const uint8_t log_identity[16], struct error_note *note)
{
	sqlite3_stmt *find = statement_of(store, FIND_EPOCH), *enter = statement_of(store, ENTER_LOG);
	bool row = false;
	enum error error = database_next(&store->database, find, &row, "read the log's epoch", note);
	int64_t newest = row ? sqlite3_column_int64(find, 0) : POSITION_NONE;
	sqlite3_reset(find);
	if (error != ERROR_OK || (newest >= 0 && position_epoch(newest) >= store->store.log_epoch))
		return error;
	sqlite3_bind_blob(enter, 1, log_identity, 16, SQLITE_STATIC);
	sqlite3_bind_int64(enter, 2, log_start(store));
	return database_run(&store->database, enter, "enter a log that was made anew", note);
}

static enum error check_epoch(const struct sqlite_store *store, int64_t position, struct error_note *note)
{
	int32_t log_epoch = store->store.log_epoch;
	return position < 0 || position == log_start(store) || position_epoch(position) >= log_epoch
		       ? ERROR_OK
		       : error_noted(
				 note, ERROR_FAILED_PRECONDITION,
				 "log-epoch is %d, but the topic is the one that %s was filled from at %lld: its events would "
				 "count twice; set --log-epoch back, or make the topic anew as the procedure says",
				 (int)log_epoch, store->database.path, (long long)position_epoch(position));
}

/* The partition has no position yet. */
static enum error take_first(struct sqlite_store *store, int32_t partition, const uint8_t log_identity[16], int64_t *ret_position,
			     struct error_note *note)
{
	sqlite3_stmt *others = statement_of(store, FIND_OTHERS), *take = statement_of(store, TAKE_PARTITION);
	bool row = false;
	sqlite3_bind_blob(others, 1, log_identity, 16, SQLITE_STATIC);
	enum error error = database_next(&store->database, others, &row, "look for another log's rows", note);
	if (error == ERROR_OK && row && sqlite3_column_int(others, 0) != 0)
		error = refuse_other_log(store, note);
	if (error != ERROR_OK)
		return error;
	sqlite3_bind_int(take, 1, partition);
	sqlite3_bind_blob(take, 2, log_identity, 16, SQLITE_STATIC);
	sqlite3_bind_int64(take, 3, log_start(store));
	sqlite3_reset(others);
	error = database_next(&store->database, take, &row, "take a partition", note);
	if (error == ERROR_OK)
		*ret_position = sqlite3_column_int64(take, 0);
	sqlite3_reset(take);
	return error;
}

/* The ping at the position must be the one that was there when the row was written. */
static enum error check_ping(struct sqlite_store *store, int64_t position, const struct uuid *id, struct error_note *note)
{
	struct uuid now;
	bool found = false;
	enum error error = ledger_mark_read(&store->mark, position, &now, &found, note);
	if (error != ERROR_OK || !store->mark.open || (found && memcmp(id->bytes, now.bytes, sizeof now.bytes) == 0))
		return error;
	return error_noted(
		note, ERROR_FAILED_PRECONDITION,
		"%s is at position %lld, where ledger.db has another ping or none: an older copy of it was put back; move "
		"metrics.db away, it is made again at the next start",
		store->database.path, (long long)position);
}

static enum error take(struct sqlite_store *store, int32_t partition, const uint8_t log_identity[16], int64_t *ret_position,
		       struct error_note *note)
{
	sqlite3_stmt *find = statement_of(store, FIND_POSITION);
	bool row = false, same = false, known = false;
	int64_t position = POSITION_NONE;
	struct uuid id;
	sqlite3_bind_int(find, 1, partition);
	sqlite3_bind_blob(find, 2, log_identity, 16, SQLITE_STATIC);
	enum error error = store->store.log_epoch > 0 ? enter_log(store, log_identity, note) : ERROR_OK;
	if (error == ERROR_OK)
		error = database_next(&store->database, find, &row, "read the position", note);
	if (error == ERROR_OK && row) {
		same = sqlite3_column_int(find, 0) != 0;
		position = sqlite3_column_int64(find, 1);
		known = sqlite3_column_bytes(find, 2) == sizeof id.bytes;
		if (known)
			memcpy(id.bytes, sqlite3_column_blob(find, 2), sizeof id.bytes);
	}
	sqlite3_reset(find);
	if (error == ERROR_OK && !row)
		error = take_first(store, partition, log_identity, &position, note);
	else if (error == ERROR_OK && !same)
		error = refuse_other_log(store, note);
	else if (error == ERROR_OK)
		error = check_epoch(store, position, note);
	if (error == ERROR_OK && known)
		error = check_ping(store, position, &id, note);
	if (error == ERROR_OK)
		error = database_commit(&store->database, NULL, note);
	if (error == ERROR_OK)
		*ret_position = position;
	return error;
}

static enum error store_take(struct store *base, int32_t partition, const uint8_t log_identity[16], int64_t *ret_position,
			     struct error_note *note)
{
	struct sqlite_store *store = (struct sqlite_store *)base;
	enum error error = ledger_mark_open(&store->mark, store->directory, log_identity, note);
	if (error == ERROR_OK)
		error = database_begin_write(&store->database, note);
	if (error == ERROR_OK)
		error = take(store, partition, log_identity, ret_position, note);
	if (error != ERROR_OK)
		database_end(&store->database, error);
	return error;
}

static enum error store_read_windows(struct store *base, struct window_row *rows, size_t count, struct error_note *note)
{
	struct sqlite_store *store = (struct sqlite_store *)base;
	enum error error = database_begin_read(&store->database, note);
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		sqlite3_stmt *find = statement_of(store, FIND_WINDOW);
		bool found = false;
		database_bind_address(find, 1, &rows[i].client);
		sqlite3_bind_int64(find, 2, rows[i].start_ms);
		error = database_next(&store->database, find, &found, "read a window", note);
		if (error == ERROR_OK && found)
			error = read_window_row(&store->database, find, &rows[i], note);
		else
			rows[i].count = 0;
		sqlite3_reset(find);
	}
	database_end(&store->database, error);
	return error;
}

static enum error store_read_days(struct store *base, struct day_row *rows, size_t count, struct error_note *note)
{
	struct sqlite_store *store = (struct sqlite_store *)base;
	enum error error = database_begin_read(&store->database, note);
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		sqlite3_stmt *find = statement_of(store, FIND_DAY);
		bool found = false;
		database_bind_address(find, 1, &rows[i].client);
		sqlite3_bind_int64(find, 2, rows[i].start_ms);
		error = database_next(&store->database, find, &found, "read a day", note);
		if (error == ERROR_OK && found)
			error = read_day_row(&store->database, find, &rows[i], note);
		else
			rows[i].total = 0;
		sqlite3_reset(find);
	}
	database_end(&store->database, error);
	return error;
}

static enum error reserve_window(struct sqlite_store *store)
{
	if (store->window_count < store->window_capacity)
		return ERROR_OK;
	size_t capacity = store->window_capacity == 0 ? 2 * ACTIVITY_WINDOWS : 2 * store->window_capacity;
	struct window_row *windows = reallocarray(store->windows, capacity, sizeof *windows);
	if (windows == NULL)
		return ERROR_NO_MEMORY;
	store->windows = windows;
	store->window_capacity = capacity;
	return ERROR_OK;
}

/* All windows of the client from start_ms on, to store->windows. */
static enum error load_windows(struct sqlite_store *store, const struct address *client, int64_t start_ms,
			       struct error_note *note)
{
	sqlite3_stmt *list = statement_of(store, LIST_WINDOWS);
	database_bind_address(list, 1, client);
	sqlite3_bind_int64(list, 2, start_ms);
	for (store->window_count = 0;; store->window_count++) {
		bool row = false;
		enum error error = database_next(&store->database, list, &row, "read a client's windows", note);
		if (error == ERROR_OK && row)
			error = reserve_window(store);
		if (error == ERROR_OK && row)
			error = read_window_row(&store->database, list, &store->windows[store->window_count], note);
		if (error != ERROR_OK || !row)
			return error;
	}
}

static enum error load_client(struct sqlite_store *store, const struct address *client, struct client_row *row, bool *ret_found,
			      struct error_note *note)
{
	sqlite3_stmt *find = statement_of(store, FIND_CLIENT);
	database_bind_address(find, 1, client);
	enum error error = database_next(&store->database, find, ret_found, "read a client", note);
	if (error == ERROR_OK && *ret_found)
		error = read_client_row(&store->database, find, row, note);
	sqlite3_reset(find);
	return error;
}

static enum error store_read_clients(struct store *base, const struct address *clients, size_t count, int64_t start_ms,
				     void (*visit)(void *context, const struct address *client, const struct client_row *row,
						   const struct window_row *windows, size_t window_count),
				     void *context, struct error_note *note)
{
	struct sqlite_store *store = (struct sqlite_store *)base;
	enum error error = database_begin_read(&store->database, note);
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		struct client_row row;
		bool found = false;
		error = load_client(store, &clients[i], &row, &found, note);
		if (error == ERROR_OK)
			error = load_windows(store, &clients[i], start_ms, note);
		if (error == ERROR_OK)
			visit(context, &clients[i], found ? &row : NULL, store->windows, store->window_count);
	}
	database_end(&store->database, error);
	return error;
}

/* Adds what the statement lists behind the *count clients there are, up to max. */
static enum error list_clients(struct sqlite_store *store, enum statement statement, int32_t partition, int64_t ms,
			       struct address *ret_clients, size_t max, size_t *count, struct error_note *note)
{
	sqlite3_stmt *list = statement_of(store, statement);
	sqlite3_bind_int(list, 1, partition);
	sqlite3_bind_int64(list, 2, ms);
	sqlite3_bind_int64(list, 3, (int64_t)(max - *count));
	for (; *count < max; ++*count) {
		bool row = false;
		enum error error = database_next(&store->database, list, &row, "list due activities", note);
		if (error == ERROR_OK && row)
			error = database_read_address(&store->database, list, 0, &ret_clients[*count], note);
		if (error != ERROR_OK || !row)
			return error;
	}
	return ERROR_OK;
}

/* No index tells what was made ahead of a clock that was set back: the clients are looked through, until none is left. */
static enum error list_ahead(struct sqlite_store *store, int32_t partition, int64_t start_ms, struct address *ret_clients,
			     size_t max, size_t *count, struct error_note *note)
{
	size_t before = *count, left = 0;
	struct address any;
	if (start_ms >= store->latest_start_ms || before == max)
		return ERROR_OK;
	enum error error = list_clients(store, LIST_AHEAD, partition, start_ms, ret_clients, max, count, note);
	if (error == ERROR_OK && *count == before)
		error = list_clients(store, LIST_AHEAD, ANY_PARTITION, start_ms, &any, 1, &left, note);
	if (error == ERROR_OK && *count == before && left == 0)
		store->latest_start_ms = start_ms;
	return error;
}

static enum error store_list_due(struct store *base, int32_t partition, int64_t now_ms, struct address *ret_clients, size_t max,
				 size_t *ret_count, struct error_note *note)
{
	struct sqlite_store *store = (struct sqlite_store *)base;
	size_t count = 0;
	enum error error = database_begin_read(&store->database, note);
	if (error == ERROR_OK)
		error = list_clients(store, LIST_DUE, partition, now_ms, ret_clients, max, &count, note);
	if (error == ERROR_OK)
		error = list_ahead(store, partition, activity_start_of(now_ms), ret_clients, max, &count, note);
	database_end(&store->database, error);
	if (error == ERROR_OK)
		*ret_count = count;
	return error;
}

/* NULL where there is no interval. */
static void bind_average(sqlite3_stmt *statement, int parameter, int64_t count, int64_t first_ms, int64_t last_ms)
{
	double average_ms;
	if (row_average_interval(count, first_ms, last_ms, &average_ms))
		sqlite3_bind_double(statement, parameter, average_ms);
	else
		sqlite3_bind_null(statement, parameter);
}

static enum error put_window(struct sqlite_store *store, const struct window_row *row, struct error_note *note)
{
	sqlite3_stmt *put = statement_of(store, PUT_WINDOW);
	database_bind_address(put, 1, &row->client);
	sqlite3_bind_int64(put, 2, row->start_ms);
	sqlite3_bind_int64(put, 3, row->start_ms + WINDOW_MS);
	sqlite3_bind_int64(put, 4, row->count);
	bind_average(put, 5, row->count, row->first_ms, row->last_ms);
	sqlite3_bind_int64(put, 6, row->first_ms);
	sqlite3_bind_int64(put, 7, row->last_ms);
	sqlite3_bind_int64(put, 8, row->position);
	return database_run(&store->database, put, "write a window", note);
}

static enum error put_day(struct sqlite_store *store, const struct day_row *row, struct error_note *note)
{
	sqlite3_stmt *put = statement_of(store, PUT_DAY);
	database_bind_address(put, 1, &row->client);
	sqlite3_bind_int64(put, 2, row->start_ms);
	sqlite3_bind_int64(put, 3, row->total);
	sqlite3_bind_int64(put, 4, row->position);
	return database_run(&store->database, put, "write a day", note);
}

static enum error put_client(struct sqlite_store *store, const struct client_row *row, struct error_note *note)
{
	sqlite3_stmt *put = statement_of(store, PUT_CLIENT);
	database_bind_address(put, 1, &row->client);
	sqlite3_bind_int64(put, 2, row->first_ms);
	sqlite3_bind_int64(put, 3, row->last_ms);
	return database_run(&store->database, put, "write a client", note);
}

static enum error put_activity(struct sqlite_store *store, int32_t partition, const struct activity_row *row,
			       struct error_note *note)
{
	sqlite3_stmt *put = statement_of(store, row->due_ms == 0 ? REMOVE_ACTIVITY : PUT_ACTIVITY);
	if (row->start_ms > store->latest_start_ms)
		store->latest_start_ms = row->start_ms;
	database_bind_address(put, 1, &row->client);
	if (row->due_ms != 0) {
		sqlite3_bind_int64(put, 2, row->start_ms);
		sqlite3_bind_int64(put, 3, row->count);
		sqlite3_bind_int(put, 4, row->active_windows);
		bind_average(put, 5, row->count, row->first_ms, row->last_ms);
		sqlite3_bind_int64(put, 6, row->first_ms);
		sqlite3_bind_int64(put, 7, row->last_ms);
		sqlite3_bind_int64(put, 8, row->busiest_start_ms);
		sqlite3_bind_int64(put, 9, row->busiest_count);
		sqlite3_bind_int64(put, 10, row->busiest_first_ms);
		sqlite3_bind_int64(put, 11, row->busiest_last_ms);
		sqlite3_bind_int64(put, 12, row->due_ms);
		sqlite3_bind_int(put, 13, partition);
	}
	return database_run(&store->database, put, "write an activity", note);
}

static enum error set_position(struct sqlite_store *store, int32_t partition, int64_t position, struct error_note *note)
{
	sqlite3_stmt *set = statement_of(store, SET_POSITION);
	sqlite3_bind_int(set, 1, partition);
	sqlite3_bind_int64(set, 2, position);
	sqlite3_bind_null(set, 3);
	struct uuid id;
	bool known = false;
	enum error error = ledger_mark_read(&store->mark, position, &id, &known, note);
	if (error == ERROR_OK && known)
		sqlite3_bind_blob(set, 3, id.bytes, sizeof id.bytes, SQLITE_STATIC);
	if (error == ERROR_OK)
		error = database_run(&store->database, set, "write the position", note);
	if (error == ERROR_OK && sqlite3_changes(store->database.handle) == 0)
		return error_noted(note, ERROR_FENCED, "%s: partition %d was not taken", store->database.path, (int)partition);
	return error;
}

/* Every row begins with its client. */
_Static_assert(offsetof(struct window_row, client) == 0 && offsetof(struct day_row, client) == 0 &&
		       offsetof(struct client_row, client) == 0 && offsetof(struct activity_row, client) == 0,
	       "sort_rows takes a row for its client");

static int compare_clients(const void *a, const void *b)
{
	return address_compare(*(const struct address *const *)a, *(const struct address *const *)b);
}

/* store->order becomes the rows' addresses in order. */
static enum error sort_rows(struct sqlite_store *store, const void *rows, size_t count, size_t row_size)
{
	if (count > store->order_capacity) {
		const struct address **order = reallocarray(store->order, count, sizeof *order);
		if (order == NULL)
			return ERROR_NO_MEMORY;
		store->order = order;
		store->order_capacity = count;
	}
	for (size_t i = 0; i < count; i++)
		store->order[i] = (const struct address *)((const uint8_t *)rows + i * row_size);
	if (count > 0)
		qsort(store->order, count, sizeof *store->order, compare_clients);
	return ERROR_OK;
}

static enum error put_rows(struct sqlite_store *store, int32_t partition, const struct engine_dirty *dirty,
			   struct error_note *note)
{
	enum error error = sort_rows(store, dirty->windows, dirty->window_count, sizeof *dirty->windows);
	for (size_t i = 0; i < dirty->window_count && error == ERROR_OK; i++)
		error = put_window(store, (const struct window_row *)store->order[i], note);
	if (error == ERROR_OK)
		error = sort_rows(store, dirty->days, dirty->day_count, sizeof *dirty->days);
	for (size_t i = 0; i < dirty->day_count && error == ERROR_OK; i++)
		error = put_day(store, (const struct day_row *)store->order[i], note);
	if (error == ERROR_OK)
		error = sort_rows(store, dirty->clients, dirty->client_count, sizeof *dirty->clients);
	for (size_t i = 0; i < dirty->client_count && error == ERROR_OK; i++)
		error = put_client(store, (const struct client_row *)store->order[i], note);
	if (error == ERROR_OK)
		error = sort_rows(store, dirty->activities, dirty->activity_count, sizeof *dirty->activities);
	for (size_t i = 0; i < dirty->activity_count && error == ERROR_OK; i++)
		error = put_activity(store, partition, (const struct activity_row *)store->order[i], note);
	return error;
}

static enum error write_all(struct sqlite_store *store, int32_t partition, const struct engine_dirty *dirty, int64_t position,
			    struct error_note *note)
{
	enum error error = database_begin_write(&store->database, note);
	if (error == ERROR_OK)
		error = put_rows(store, partition, dirty, note);
	if (error == ERROR_OK)
		error = set_position(store, partition, position, note);
	return error == ERROR_OK ? database_commit(&store->database, NULL, note) : error;
}

static enum error store_write(struct store *base, int32_t partition, const struct engine_dirty *dirty, int64_t position,
			      struct error_note *note)
{
	struct sqlite_store *store = (struct sqlite_store *)base;
	enum error error = write_all(store, partition, dirty, position, note);
	if (error != ERROR_OK)
		database_end(&store->database, error);
	return error;
}

static enum error store_prune_windows(struct store *base, int64_t before_ms, size_t max, size_t *ret_removed,
				      struct error_note *note)
{
	struct sqlite_store *store = (struct sqlite_store *)base;
	enum error error = database_connect(&store->database, note);
	if (error != ERROR_OK)
		return error;
	sqlite3_stmt *prune = statement_of(store, PRUNE_WINDOWS);
	sqlite3_bind_int64(prune, 1, before_ms - WINDOW_MS);
	sqlite3_bind_int64(prune, 2, (int64_t)max);
	error = database_run(&store->database, prune, "prune windows", note);
	if (error == ERROR_OK)
		*ret_removed = (size_t)sqlite3_changes(store->database.handle);
	else
		database_end(&store->database, error);
	return error;
}

static void store_close(struct store *base)
{
	struct sqlite_store *store = (struct sqlite_store *)base;
	ledger_mark_close(&store->mark);
	database_close(&store->database);
	free(store->directory);
	free(store->windows);
	free(store->order);
	free(store);
}

enum error sqlite_store_open(struct data_directory *directory, struct store **ret_store, struct error_note *note)
{
	static const struct store_vtable vtable = {
		.take = store_take,
		.read_windows = store_read_windows,
		.read_days = store_read_days,
		.read_clients = store_read_clients,
		.list_due = store_list_due,
		.write = store_write,
		.prune_windows = store_prune_windows,
		.close = store_close,
	};
	struct sqlite_store *store = calloc(1, sizeof *store);
	if (store == NULL)
		return ERROR_NO_MEMORY;
	store->store.vtable = &vtable;
	store->latest_start_ms = INT64_MAX;
	store->directory = strdup(data_directory_path(directory));
	enum error error = store->directory == NULL ? ERROR_NO_MEMORY
						    : database_open(&store->database, store->directory, &schema_metrics,
								    DATABASE_WRITE, texts, STATEMENT_COUNT, note);
	if (error != ERROR_OK) {
		free(store->directory);
		free(store);
		return error;
	}
	*ret_store = &store->store;
	return ERROR_OK;
}
