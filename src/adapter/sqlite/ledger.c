#include "adapter/sqlite/database.h"
#include "adapter/sqlite/sqlite.h"
#include "base/rollup.h"

#include <stdlib.h>

/* Rows of one INSERT: saves steps and, as AUTOINCREMENT counts once a statement, most writes of sqlite_sequence. */
enum { INSERT_ROWS = 64, INSERT_COLUMNS = 4 };

#define ROW	     "(?,?,?,?)"
#define ROWS_8	     ROW "," ROW "," ROW "," ROW "," ROW "," ROW "," ROW "," ROW
#define INSERT_PINGS "INSERT INTO pings (id, client_ip, pinged_at, received_at) VALUES "

enum statement {
	INSERT_ONE,
	INSERT_MANY,
	CLAIM_KEY,
	FIND_KEY,
	ADD_COUNT,
	SET_LAST_ID,
	LAST_ID,
	PRUNE_KEYS,
	PROBE,
	END,
	STATEMENT_COUNT
};

static const char *const texts[STATEMENT_COUNT] = {
	[INSERT_ONE] = INSERT_PINGS ROW,
	[INSERT_MANY] = INSERT_PINGS ROWS_8 "," ROWS_8 "," ROWS_8 "," ROWS_8 "," ROWS_8 "," ROWS_8 "," ROWS_8 "," ROWS_8,
	[CLAIM_KEY] = "INSERT INTO idempotency_keys (client_ip, key, pinged_at, received_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT "
		      "DO NOTHING",
	[FIND_KEY] = "SELECT pinged_at FROM idempotency_keys WHERE client_ip = ?1 AND key = ?2",
	[ADD_COUNT] = "INSERT INTO ping_counts (level, bucket, count) VALUES (?1, ?2, ?3)"
		      " ON CONFLICT (level, bucket) DO UPDATE SET count = count + excluded.count",
	[SET_LAST_ID] = "UPDATE ledger SET last_id = max(last_id, ?1)",
	[LAST_ID] = "SELECT last_id FROM ledger",
	[PRUNE_KEYS] = "DELETE FROM idempotency_keys WHERE (client_ip, key) IN"
		       " (SELECT client_ip, key FROM idempotency_keys WHERE received_at < ?1 ORDER BY received_at LIMIT ?2)",
	[END] = "SELECT coalesce(max(position), -1) FROM pings",
	[PROBE] = "UPDATE ledger SET probes = probes + 1", /* what changes nothing is not written */
};

struct sqlite_ledger {
	struct ledger ledger;
	struct data_directory *directory;
	struct database database;
	/* Of the batch at hand: the pings that become rows, and their times in order. */
	struct ledger_ping **kept;
	int64_t *times;
	size_t kept_count, capacity;
};

static enum error reserve(struct sqlite_ledger *ledger, size_t count)
{
	if (count <= ledger->capacity)
		return ERROR_OK;
	struct ledger_ping **kept = reallocarray(ledger->kept, count, sizeof *kept);
	if (kept == NULL)
		return ERROR_NO_MEMORY;
	ledger->kept = kept;
	int64_t *times = reallocarray(ledger->times, count, sizeof *times);
	if (times == NULL)
		return ERROR_NO_MEMORY;
	ledger->times = times;
	ledger->capacity = count;
	return ERROR_OK;
}

/* Claims the ping's key, or finds out what it stands for already: in the table, or since earlier in this batch. */
static enum error claim_key(struct sqlite_ledger *ledger, struct ledger_ping *ping, struct error_note *note)
{
	sqlite3_stmt *claim = ledger->database.statements[CLAIM_KEY], *find = ledger->database.statements[FIND_KEY];
	database_bind_address(claim, 1, &ping->client);
	sqlite3_bind_blob(claim, 2, ping->key.data, (int)ping->key.size, SQLITE_STATIC);
	sqlite3_bind_int64(claim, 3, ping->pinged_at_ms);
	sqlite3_bind_int64(claim, 4, ping->received_at_ms);
	enum error error = database_run(&ledger->database, claim, "claim an idempotency key", note);
	ping->duplicate = error == ERROR_OK && sqlite3_changes(ledger->database.handle) == 0;
	if (!ping->duplicate)
		return error;
	database_bind_address(find, 1, &ping->client);
	sqlite3_bind_blob(find, 2, ping->key.data, (int)ping->key.size, SQLITE_STATIC);
	bool row = false;
	error = database_next(&ledger->database, find, &row, "find an idempotency key", note);
	if (error == ERROR_OK && row && sqlite3_column_int64(find, 0) != ping->pinged_at_ms)
		ping->result = ERROR_KEY_REUSED;
	sqlite3_reset(find);
	return error;
}

/* Decides for each ping whether it becomes a row. */
static enum error select_rows(struct sqlite_ledger *ledger, struct ledger_ping *pings, size_t count, struct error_note *note)
{
	ledger->kept_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct ledger_ping *ping = &pings[i];
		ping->result = ERROR_OK;
		ping->duplicate = false;
		ping->position = -1;
		enum error error = ping->key.size == 0 ? ERROR_OK : claim_key(ledger, ping, note);
		if (error != ERROR_OK)
			return error;
		if (!ping->duplicate)
			ledger->kept[ledger->kept_count++] = ping;
	}
	return ERROR_OK;
}

static enum error insert_some(struct sqlite_ledger *ledger, sqlite3_stmt *insert, struct ledger_ping **pings, int count,
			      struct error_note *note)
{
	for (int i = 0; i < count; i++) {
		const struct ledger_ping *ping = pings[i];
		int column = i * INSERT_COLUMNS;
		sqlite3_bind_blob(insert, column + 1, ping->id.bytes, sizeof ping->id.bytes, SQLITE_STATIC);
		database_bind_address(insert, column + 2, &ping->client);
		sqlite3_bind_int64(insert, column + 3, ping->pinged_at_ms);
		sqlite3_bind_int64(insert, column + 4, ping->received_at_ms);
	}
	enum error error = database_run(&ledger->database, insert, "insert pings", note);
	if (error != ERROR_OK)
		return error;
	/* The write lock is ours and AUTOINCREMENT counts by one. */
	int64_t last = sqlite3_last_insert_rowid(ledger->database.handle);
	for (int i = 0; i < count; i++)
		pings[i]->position = last - (count - 1 - i);
	return ERROR_OK;
}

static enum error insert_rows(struct sqlite_ledger *ledger, struct error_note *note)
{
	enum error error = ERROR_OK;
	for (size_t done = 0; done < ledger->kept_count && error == ERROR_OK;) {
		bool many = ledger->kept_count - done >= INSERT_ROWS;
		int count = many ? INSERT_ROWS : 1;
		error = insert_some(ledger, ledger->database.statements[many ? INSERT_MANY : INSERT_ONE], ledger->kept + done,
				    count, note);
		done += (size_t)count;
	}
	return error;
}

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* Adds the batch to the roll-up: in order of time the pings of one bucket stand together on every level. */
static enum error add_counts(struct sqlite_ledger *ledger, struct error_note *note)
{
	sqlite3_stmt *add = ledger->database.statements[ADD_COUNT];
	size_t count = ledger->kept_count;
	for (size_t i = 0; i < count; i++)
		ledger->times[i] = ledger->kept[i]->pinged_at_ms;
	qsort(ledger->times, count, sizeof *ledger->times, compare_times);
	for (int level = 0; level < ROLLUP_LEVELS; level++) {
		for (size_t first = 0, end; first < count; first = end) {
			int64_t bucket = rollup_bucket(ledger->times[first], level);
			for (end = first + 1; end < count && rollup_bucket(ledger->times[end], level) == bucket; end++)
				;
			sqlite3_bind_int(add, 1, level);
			sqlite3_bind_int64(add, 2, bucket);
			sqlite3_bind_int64(add, 3, (int64_t)(end - first));
			enum error error = database_run(&ledger->database, add, "count pings", note);
			if (error != ERROR_OK)
				return error;
		}
	}
	return ERROR_OK;
}

static enum error set_last_id(struct sqlite_ledger *ledger, struct error_note *note)
{
	const struct uuid *greatest = &ledger->kept[0]->id;
	for (size_t i = 1; i < ledger->kept_count; i++)
		if (memcmp(ledger->kept[i]->id.bytes, greatest->bytes, sizeof greatest->bytes) > 0)
			greatest = &ledger->kept[i]->id;
	sqlite3_bind_blob(ledger->database.statements[SET_LAST_ID], 1, greatest->bytes, sizeof greatest->bytes, SQLITE_STATIC);
	return database_run(&ledger->database, ledger->database.statements[SET_LAST_ID], "keep the last id", note);
}

static enum error write_batch(struct sqlite_ledger *ledger, struct ledger_ping *pings, size_t count, struct error_note *note)
{
	enum error error = database_begin_write(&ledger->database, note);
	if (error == ERROR_OK)
		error = select_rows(ledger, pings, count, note);
	if (error != ERROR_OK || ledger->kept_count == 0)
		return error;
	error = insert_rows(ledger, note);
	if (error == ERROR_OK)
		error = add_counts(ledger, note);
	if (error == ERROR_OK)
		error = set_last_id(ledger, note);
	return error;
}

static enum error ledger_append(struct ledger *base, struct ledger_ping *pings, size_t count, struct error_note *note)
{
	struct sqlite_ledger *ledger = (struct sqlite_ledger *)base;
	enum error error = reserve(ledger, count);
	if (error != ERROR_OK)
		return error;
	bool in_doubt = false;
	error = write_batch(ledger, pings, count, note);
	if (error == ERROR_OK)
		error = database_commit(&ledger->database, &in_doubt, note);
	if (error != ERROR_OK) {
		database_end(&ledger->database, error);
		return in_doubt ? ERROR_IN_DOUBT : error;
	}
	if (ledger->kept_count > 0)
		log_tail_advance(data_directory_tail(ledger->directory), ledger->kept[ledger->kept_count - 1]->position);
	return ERROR_OK;
}

static enum error ledger_last_id(struct ledger *base, struct uuid *ret_id, struct error_note *note)
{
	struct sqlite_ledger *ledger = (struct sqlite_ledger *)base;
	enum error error = database_connect(&ledger->database, note);
	if (error != ERROR_OK)
		return error;
	sqlite3_stmt *statement = ledger->database.statements[LAST_ID];
	bool row = false;
	error = database_next(&ledger->database, statement, &row, "read the last id", note);
	if (error == ERROR_OK && (!row || sqlite3_column_bytes(statement, 0) != sizeof ret_id->bytes))
		error = error_noted(note, ERROR_CORRUPT, "%s: its table `ledger` is damaged; restore the file from a backup",
				    ledger->database.path);
	if (error == ERROR_OK)
		memcpy(ret_id->bytes, sqlite3_column_blob(statement, 0), sizeof ret_id->bytes);
	sqlite3_reset(statement);
	return error;
}

static enum error ledger_prune_keys(struct ledger *base, int64_t before_ms, size_t max, size_t *ret_removed,
				    struct error_note *note)
{
	struct sqlite_ledger *ledger = (struct sqlite_ledger *)base;
	enum error error = database_connect(&ledger->database, note);
	if (error != ERROR_OK)
		return error;
	sqlite3_stmt *prune = ledger->database.statements[PRUNE_KEYS];
	sqlite3_bind_int64(prune, 1, before_ms);
	sqlite3_bind_int64(prune, 2, (int64_t)max);
	error = database_run(&ledger->database, prune, "prune idempotency keys", note);
	if (error != ERROR_OK)
		database_end(&ledger->database, error);
	else
		*ret_removed = (size_t)sqlite3_changes(ledger->database.handle);
	return error;
}

static enum error ledger_probe(struct ledger *base, struct error_note *note)
{
	struct sqlite_ledger *ledger = (struct sqlite_ledger *)base;
	enum error error = database_connect(&ledger->database, note);
	if (error != ERROR_OK)
		return error;
	error = database_run(&ledger->database, ledger->database.statements[PROBE], "write a probe", note);
	if (error != ERROR_OK)
		database_end(&ledger->database, error);
	return error;
}

static void ledger_close(struct ledger *base)
{
	struct sqlite_ledger *ledger = (struct sqlite_ledger *)base;
	database_close(&ledger->database);
	free(ledger->kept);
	free(ledger->times);
	free(ledger);
}

/* The tail begins where the ledger ends, so that what there is to do is known before the log is first read. */
static enum error find_tail(struct sqlite_ledger *ledger, struct error_note *note)
{
	sqlite3_stmt *end = ledger->database.statements[END];
	bool row = false;
	enum error error = database_next(&ledger->database, end, &row, "find the end of the ledger", note);
	if (error == ERROR_OK && row)
		log_tail_advance(data_directory_tail(ledger->directory), sqlite3_column_int64(end, 0));
	sqlite3_reset(end);
	return error;
}

enum error sqlite_ledger_open(struct data_directory *directory, struct ledger **ret_ledger, struct error_note *note)
{
	static const struct ledger_vtable vtable = {ledger_append, ledger_last_id, ledger_prune_keys, ledger_probe, ledger_close};
	struct sqlite_ledger *ledger = calloc(1, sizeof *ledger);
	if (ledger == NULL)
		return ERROR_NO_MEMORY;
	ledger->ledger.vtable = &vtable;
	ledger->directory = directory;
	enum error error = database_open(&ledger->database, data_directory_path(directory), &schema_ledger, DATABASE_WRITE, texts,
					 STATEMENT_COUNT, note);
	if (error == ERROR_OK && (error = find_tail(ledger, note)) != ERROR_OK)
		database_close(&ledger->database);
	if (error != ERROR_OK) {
		free(ledger);
		return error;
	}
	*ret_ledger = &ledger->ledger;
	return ERROR_OK;
}
