#include "adapter/sqlite/database.h"
#include "adapter/sqlite/sqlite.h"

#include <stdlib.h>

/* Rows of one BATCH. */
enum { BATCH_EVENTS = 4096 };

/* Nothing can appear behind a reader: SQLite lets one write transaction at a time in, positions are given inside it, each greater
 * than every one before (AUTOINCREMENT), so the order of positions is the order of commits, and what a snapshot shows is a prefix
 * of it. */
enum statement { NEXT, END, IDENTITY, STATEMENT_COUNT };

static const char *const texts[STATEMENT_COUNT] = {
	[NEXT] = "SELECT position, client_ip, pinged_at, received_at FROM pings WHERE position > ?1 ORDER BY position LIMIT ?2",
	[END] = "SELECT coalesce(max(position), ?1) FROM pings",
	[IDENTITY] = "SELECT identity FROM ledger",
};

struct sqlite_log {
	struct log_reader log;
	struct log_tail *tail;
	struct database database;
	bool assigned;
	int64_t position; /* the next batch starts behind it */
	struct engine_event events[BATCH_EVENTS];
};

static enum error read_events(struct sqlite_log *log, struct log_event *event, struct error_note *note)
{
	sqlite3_stmt *next = log->database.statements[NEXT];
	sqlite3_bind_int64(next, 1, log->position);
	sqlite3_bind_int(next, 2, BATCH_EVENTS);
	for (;;) {
		bool row = false;
		enum error error = database_next(&log->database, next, &row, "read the log", note);
		if (error != ERROR_OK || !row)
			return error;
		struct engine_event *read = &log->events[event->count];
		read->position = sqlite3_column_int64(next, 0);
		read->pinged_at_ms = sqlite3_column_int64(next, 2);
		event->newest_received_ms = sqlite3_column_int64(next, 3);
		error = database_read_address(&log->database, next, 1, &read->client, note);
		if (error != ERROR_OK) {
			sqlite3_reset(next);
			return error;
		}
		event->count++;
	}
}

static enum error read_end(struct sqlite_log *log, int64_t *ret_end, struct error_note *note)
{
	sqlite3_stmt *end = log->database.statements[END];
	sqlite3_bind_int64(end, 1, POSITION_NONE);
	bool row = false;
	enum error error = database_next(&log->database, end, &row, "read the end of the log", note);
	if (error == ERROR_OK)
		*ret_end = row ? sqlite3_column_int64(end, 0) : POSITION_NONE;
	sqlite3_reset(end);
	return error;
}

/* BATCH with what lies behind the position, or IDLE. */
static enum error read_batch(struct sqlite_log *log, struct log_event *ret_event, struct error_note *note)
{
	struct log_event event = {.kind = LOG_BATCH, .events = log->events};
	enum error error = database_connect(&log->database, note);
	if (error == ERROR_OK)
		error = read_events(log, &event, note);
	if (error != ERROR_OK)
		return error;
	if (event.count == 0) {
		*ret_event =
			(struct log_event){.kind = LOG_IDLE, .applied_position = log->position, .end_position = log->position};
		return ERROR_OK;
	}
	event.applied_position = log->events[event.count - 1].position;
	event.end_position = event.applied_position;
	if (event.count == BATCH_EVENTS)
		error = read_end(log, &event.end_position, note);
	if (error != ERROR_OK)
		return error;
	log->position = event.applied_position;
	*ret_event = event;
	return ERROR_OK;
}

static enum error log_poll(struct log_reader *base, int timeout_ms, struct log_event *ret_event, struct error_note *note)
{
	struct sqlite_log *log = (struct sqlite_log *)base;
	if (!log->assigned) {
		log->assigned = true;
		*ret_event = (struct log_event){.kind = LOG_ASSIGNED};
		return ERROR_OK;
	}
	int64_t tail = log_tail_position(log->tail);
	struct log_event event;
	enum error error = read_batch(log, &event, note);
	if (error == ERROR_OK && event.kind == LOG_IDLE && timeout_ms > 0) {
		/* Another process's rows move no tail of ours: they are found after the timeout. */
		log_tail_wait(log->tail, tail, timeout_ms);
		error = read_batch(log, &event, note);
	}
	if (error == ERROR_OK)
		*ret_event = event;
	else
		database_end(&log->database, error);
	return error;
}

static enum error log_seek(struct log_reader *base, int32_t partition, int64_t position, struct error_note *note)
{
	struct sqlite_log *log = (struct sqlite_log *)base;
	int64_t end = POSITION_NONE;
	if (partition != 0)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "the embedded log has partition 0 alone, not %d",
				   (int)partition);
	enum error error = database_connect(&log->database, note);
	if (error == ERROR_OK)
		error = read_end(log, &end, note);
	if (error != ERROR_OK)
		return error;
	if (position > end)
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "%s ends at position %lld, but the metrics are at %lld: the ledger is an older copy; move "
				   "metrics.db away, "
				   "it is made again from the ledger at the next start",
				   log->database.path, (long long)end, (long long)position);
	log->position = position;
	return ERROR_OK;
}

static enum error log_commit(struct log_reader *base, int32_t partition, int64_t position, struct error_note *note)
{
	/* No tool but the store asks how far it is. */
	(void)base;
	(void)partition;
	(void)position;
	(void)note;
	return ERROR_OK;
}

static enum error log_identity(struct log_reader *base, uint8_t ret_identity[16], struct error_note *note)
{
	struct sqlite_log *log = (struct sqlite_log *)base;
	enum error error = database_connect(&log->database, note);
	if (error != ERROR_OK)
		return error;
	sqlite3_stmt *identity = log->database.statements[IDENTITY];
	bool row = false;
	error = database_next(&log->database, identity, &row, "read the ledger's identity", note);
	if (error == ERROR_OK && (!row || sqlite3_column_bytes(identity, 0) != 16))
		error = error_noted(note, ERROR_CORRUPT, "%s: its table `ledger` is damaged; restore the file from a backup",
				    log->database.path);
	if (error == ERROR_OK)
		memcpy(ret_identity, sqlite3_column_blob(identity, 0), 16);
	sqlite3_reset(identity);
	return error;
}

static void log_close(struct log_reader *base)
{
	struct sqlite_log *log = (struct sqlite_log *)base;
	database_close(&log->database);
	free(log);
}

enum error sqlite_log_open(struct data_directory *directory, struct log_reader **ret_log, struct error_note *note)
{
	static const struct log_reader_vtable vtable = {
		.poll = log_poll, .seek = log_seek, .commit = log_commit, .identity = log_identity, .close = log_close};
	struct sqlite_log *log = calloc(1, sizeof *log);
	if (log == NULL)
		return ERROR_NO_MEMORY;
	log->log.vtable = &vtable;
	log->tail = data_directory_tail(directory);
	log->position = POSITION_NONE;
	enum error error = database_open(&log->database, data_directory_path(directory), &schema_ledger, DATABASE_READ, texts,
					 STATEMENT_COUNT, note);
	if (error != ERROR_OK) {
		free(log);
		return error;
	}
	*ret_log = &log->log;
	return ERROR_OK;
}
