#include "adapter/sqlite/database.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUSY_WAIT_MS = 2000 };

static enum error classify_errno(int cause, enum error other)
{
	switch (cause) {
	case ENOSPC:
	case EDQUOT:
		return ERROR_DISK_FULL;
	case EROFS:
	case EACCES:
	case EPERM:
		return ERROR_READ_ONLY;
	default:
		return other;
	}
}

static enum error classify(int code, int cause)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		return ERROR_DISK_FULL;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return ERROR_READ_ONLY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERROR_UNAVAILABLE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERROR_CORRUPT;
	case SQLITE_NOMEM:
		return ERROR_NO_MEMORY;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return code == SQLITE_IOERR_NOMEM ? ERROR_NO_MEMORY : classify_errno(cause, ERROR_IO);
	default:
		return ERROR_IO;
	}
}

static const char *way_out(const struct database *database, enum error error)
{
	switch (error) {
	case ERROR_DISK_FULL:
		return "make room";
	case ERROR_UNAVAILABLE:
		return "another program holds its lock";
	case ERROR_CORRUPT:
		return database->schema->damaged;
	default:
		return NULL;
	}
}

enum error database_failure(struct database *database, const char *doing, struct error_note *note)
{
	int code = sqlite3_extended_errcode(database->handle);
	int cause =
		(code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN ? sqlite3_system_errno(database->handle) : 0;
	enum error error = classify(code, cause);
	const char *way = way_out(database, error);
	return error_noted(note, error, "%s: cannot %s: %s%s%s%s%s%s", database->path, doing, sqlite3_errmsg(database->handle),
			   cause == 0 ? "" : " (", cause == 0 ? "" : strerror(cause), cause == 0 ? "" : ")",
			   way == NULL ? "" : "; ", way == NULL ? "" : way);
}

void database_finalize(sqlite3_stmt **statements, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		sqlite3_finalize(statements[i]);
		statements[i] = NULL;
	}
}

enum error database_prepare(struct database *database, const char *const *texts, size_t count, sqlite3_stmt **ret_statements,
			    struct error_note *note)
{
	for (size_t i = 0; i < count; i++) {
		if (sqlite3_prepare_v3(database->handle, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &ret_statements[i], NULL) ==
		    SQLITE_OK)
			continue;
		enum error error = database_failure(database, "prepare a statement", note);
		database_finalize(ret_statements, i);
		return error;
	}
	return ERROR_OK;
}

enum error database_execute(struct database *database, const char *text, const char *doing, struct error_note *note)
{
	return sqlite3_exec(database->handle, text, NULL, NULL, NULL) == SQLITE_OK ? ERROR_OK
										   : database_failure(database, doing, note);
}

enum error database_next(struct database *database, sqlite3_stmt *statement, bool *ret_row, const char *doing,
			 struct error_note *note)
{
	int code = sqlite3_step(statement);
	enum error error = code == SQLITE_ROW || code == SQLITE_DONE ? ERROR_OK : database_failure(database, doing, note);
	if (code != SQLITE_ROW)
		sqlite3_reset(statement);
	if (error == ERROR_OK)
		*ret_row = code == SQLITE_ROW;
	return error;
}

enum error database_run(struct database *database, sqlite3_stmt *statement, const char *doing, struct error_note *note)
{
	bool row;
	return database_next(database, statement, &row, doing, note);
}

void database_bind_address(sqlite3_stmt *statement, int parameter, const struct address *address)
{
	sqlite3_bind_blob(statement, parameter, address->bytes, sizeof address->bytes, SQLITE_STATIC);
}

enum error database_read_address(struct database *database, sqlite3_stmt *statement, int column, struct address *ret_address,
				 struct error_note *note)
{
	const void *bytes = sqlite3_column_blob(statement, column);
	if (bytes == NULL || sqlite3_column_bytes(statement, column) != sizeof ret_address->bytes)
		return error_noted(note, ERROR_CORRUPT, "%s has a row whose client_ip is not an address of 16 bytes",
				   database->path);
	memcpy(ret_address->bytes, bytes, sizeof ret_address->bytes);
	return ERROR_OK;
}

enum { BEGIN_READ, BEGIN_WRITE, COMMIT, ROLLBACK, CONTROL_COUNT };

static const char *const control_texts[CONTROL_COUNT] = {"BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"};

enum error database_begin_write(struct database *database, struct error_note *note)
{
	enum error error = database_connect(database, note);
	return error == ERROR_OK ? database_run(database, database->control[BEGIN_WRITE], "begin a transaction", note) : error;
}

enum error database_begin_read(struct database *database, struct error_note *note)
{
	enum error error = database_connect(database, note);
	return error == ERROR_OK ? database_run(database, database->control[BEGIN_READ], "begin a snapshot", note) : error;
}

enum error database_commit(struct database *database, bool *ret_in_doubt, struct error_note *note)
{
	enum error error = database_run(database, database->control[COMMIT], "commit", note);
	/* Out of space, the frame that commits was not written whole; busy, nothing was. Any other failure may have come after
	 * it. */
	int code = error == ERROR_OK ? SQLITE_OK : sqlite3_errcode(database->handle) & 0xff;
	if (ret_in_doubt != NULL)
		*ret_in_doubt = code != SQLITE_OK && code != SQLITE_FULL && code != SQLITE_BUSY;
	return error;
}

static void disconnect(struct database *database)
{
	database_finalize(database->statements, database->statement_count);
	database_finalize(database->control, CONTROL_COUNT);
	sqlite3_close(database->handle);
	database->handle = NULL;
}

void database_end(struct database *database, enum error error)
{
	if (database->handle == NULL)
		return;
	for (size_t i = 0; i < database->statement_count; i++)
		sqlite3_reset(database->statements[i]);
	if (sqlite3_get_autocommit(database->handle) == 0) {
		sqlite3_step(database->control[ROLLBACK]);
		sqlite3_reset(database->control[ROLLBACK]);
	}
	if (error != ERROR_OK && error != ERROR_UNAVAILABLE && error != ERROR_DISK_FULL)
		disconnect(database);
}

static enum error read_pragma(struct database *database, const char *text, int64_t *ret_value, struct error_note *note)
{
	sqlite3_stmt *statement;
	bool row = false;
	enum error error = database_prepare(database, &text, 1, &statement, note);
	if (error != ERROR_OK)
		return error;
	error = database_next(database, statement, &row, "open it", note);
	if (error == ERROR_OK)
		*ret_value = row ? sqlite3_column_int64(statement, 0) : 0;
	sqlite3_finalize(statement);
	return error;
}

/* The version of the file, 0: an empty one. */
static enum error check_schema(struct database *database, int64_t *ret_version, struct error_note *note)
{
	const struct schema *schema = database->schema;
	int64_t application = 0, version = 0, tables = 0;
	enum error error = read_pragma(database, "SELECT count(*) FROM sqlite_master", &tables, note);
	if (error == ERROR_OK)
		error = read_pragma(database, "PRAGMA application_id", &application, note);
	if (error == ERROR_OK)
		error = read_pragma(database, "PRAGMA user_version", &version, note);
	if (error != ERROR_OK)
		return error;
	bool empty = tables == 0 && application == 0 && version == 0;
	if (!empty && application != schema->application_id)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"%s is another program's file (application_id %lld, not the %s's %d); move it away or choose another "
			"--data-dir",
			database->path, (long long)application, schema->what, schema->application_id);
	if (version > schema->version)
		return error_noted(
			note, ERROR_SCHEMA_NEWER,
			"%s has schema version %lld, this program knows %d; run the version that wrote it, or a newer one",
			database->path, (long long)version, schema->version);
	*ret_version = version;
	return ERROR_OK;
}

static enum error migrate_step(struct database *database, int64_t version, struct error_note *note)
{
	const struct schema *schema = database->schema;
	char stamp[96];
	snprintf(stamp, sizeof stamp, "PRAGMA application_id = %d; PRAGMA user_version = %d", schema->application_id,
		 (int)version + 1);
	enum error error = database_begin_write(database, note);
	if (error == ERROR_OK)
		error = database_execute(database, schema->migrations[version], "migrate it", note);
	if (error == ERROR_OK)
		error = database_execute(database, stamp, "migrate it", note);
	if (error == ERROR_OK)
		error = database_commit(database, NULL, note);
	return error; /* what is open ends with the connection */
}

static enum error prepare_writer(struct database *database, struct error_note *note)
{
	int64_t version = 0;
	char pragmas[192];
	/* Checked before anything is changed: WAL would mark another program's file. */
	enum error error = check_schema(database, &version, note);
	if (error != ERROR_OK)
		return error;
	/* The writer checkpoints, between two batches, once 16 MB of WAL (4,000 pages) have come together; what a long reader
	 * made it grow beyond 64 MB is given back at the next restart of the WAL. */
	snprintf(pragmas, sizeof pragmas,
		 "PRAGMA journal_mode = WAL; PRAGMA synchronous = %s; PRAGMA wal_autocheckpoint = 4000;"
		 "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384",
		 database->schema->synchronous);
	error = database_execute(database, pragmas, "open it for writing", note);
	for (; error == ERROR_OK && version < database->schema->version; version++)
		error = migrate_step(database, version, note);
	return error;
}

/* Whoever reads a file in WAL mode shares an index of the WAL with the others, in a file beside it. */
static enum error prepare_reader(struct database *database, struct error_note *note)
{
	int64_t version = 0;
	enum error error = check_schema(database, &version, note);
	int code = sqlite3_errcode(database->handle) & 0xff;
	if (error != ERROR_OK && (code == SQLITE_CANTOPEN || code == SQLITE_READONLY))
		return error_noted(note, ERROR_READ_ONLY,
				   "%s can be read only where files can be made beside it (-wal, -shm); read it as the user of "
				   "pingd, or read a copy",
				   database->path);
	if (error == ERROR_OK && version < database->schema->version)
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "%s has schema version %lld, this program needs %d; start pingd to migrate it", database->path,
				   (long long)version, database->schema->version);
	return error;
}

/* SQL: address_has_prefix(client_ip, prefix), of the canonical text. */
static void address_has_prefix(sqlite3_context *context, int count, sqlite3_value **values)
{
	(void)count;
	struct address address;
	char text[ADDRESS_TEXT_SIZE];
	const void *bytes = sqlite3_value_blob(values[0]);
	bool matches = false;
	if (bytes != NULL && sqlite3_value_bytes(values[0]) == sizeof address.bytes) {
		memcpy(address.bytes, bytes, sizeof address.bytes);
		size_t size = address_format(&address, text), wanted = (size_t)sqlite3_value_bytes(values[1]);
		matches = wanted <= size && memcmp(text, sqlite3_value_text(values[1]), wanted) == 0;
	}
	sqlite3_result_int(context, matches);
}

static enum error open_failure(struct database *database, struct error_note *note)
{
	if (database->handle == NULL)
		return ERROR_NO_MEMORY;
	if (database->access == DATABASE_READ && sqlite3_system_errno(database->handle) == ENOENT)
		return error_noted(note, ERROR_NOT_FOUND,
				   "%s: no such file; start pingd once, or name its directory (--data-dir)", database->path);
	return database_failure(database, "open it", note);
}

enum error database_connect(struct database *database, struct error_note *note)
{
	if (database->handle != NULL)
		return ERROR_OK;
	bool write = database->access == DATABASE_WRITE;
	int flags = SQLITE_OPEN_NOMUTEX | (write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
	enum error error = ERROR_OK;
	if (sqlite3_open_v2(database->path, &database->handle, flags, NULL) != SQLITE_OK)
		error = open_failure(database, note);
	if (error == ERROR_OK) {
		sqlite3_extended_result_codes(database->handle, 1);
		sqlite3_busy_timeout(database->handle, BUSY_WAIT_MS);
		sqlite3_create_function_v2(database->handle, "address_has_prefix", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
					   address_has_prefix, NULL, NULL, NULL);
		error = database_prepare(database, control_texts, CONTROL_COUNT, database->control, note);
	}
	if (error == ERROR_OK)
		error = write ? prepare_writer(database, note) : prepare_reader(database, note);
	if (error == ERROR_OK)
		error = database_prepare(database, database->texts, database->statement_count, database->statements, note);
	if (error != ERROR_OK)
		disconnect(database);
	return error;
}

enum error database_open(struct database *ret_database, const char *directory, const struct schema *schema,
			 enum database_access access, const char *const *texts, size_t count, struct error_note *note)
{
	struct database database = {.schema = schema, .access = access, .texts = texts, .statement_count = count};
	database.statements = calloc(count, sizeof *database.statements);
	if (database.statements == NULL || asprintf(&database.path, "%s/%s", directory, schema->file) < 0) {
		free(database.statements);
		return ERROR_NO_MEMORY;
	}
	enum error error = database_connect(&database, note);
	if (error == ERROR_OK)
		*ret_database = database;
	else
		database_close(&database);
	return error;
}

void database_close(struct database *database)
{
	disconnect(database);
	free(database->statements);
	free(database->path);
	*database = (struct database){0};
}
