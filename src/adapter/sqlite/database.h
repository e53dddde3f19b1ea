/* One connection to one of the files: opening, transactions, statements, and errors in our terms. Internal to the adapter.
 */
#ifndef PING_ADAPTER_SQLITE_DATABASE_H
#define PING_ADAPTER_SQLITE_DATABASE_H

#include "adapter/sqlite/schema.h"
#include "base/address.h"

#include <stdbool.h>
#include <stddef.h>

enum database_access { DATABASE_READ, DATABASE_WRITE };

struct database {
	sqlite3 *handle; /* NULL after a failure that may have left it in a bad state: database_connect opens a new one */
	sqlite3_stmt **statements;
	char *path;
	const struct schema *schema;
	enum database_access access;
	const char *const *texts;
	size_t statement_count;
	sqlite3_stmt *control[4]; /* BEGIN, COMMIT and so on */
};

/* Opens schema->file in the directory, and prepares a statement of each of the texts (static). WRITE makes and migrates the file;
 * READ wants it there in just this version. Nothing to close after a failure. */
enum error database_open(struct database *ret_database, const char *directory, const struct schema *schema,
			 enum database_access access, const char *const *texts, size_t count, struct error_note *note);
/* Opens it again where a failure made that necessary: the first thing every call of the adapter does, by itself or in a begin. */
enum error database_connect(struct database *database, struct error_note *note);
/* Resets every statement and rolls back what is open; after an error closes the connection too, unless that tells that it is
 * sound (busy, disk full). So ends every snapshot and every call that failed. */
void database_end(struct database *database, enum error error);
void database_close(struct database *database);

/* Statements for once: prepares all `count` texts or none. */
enum error database_prepare(struct database *database, const char *const *texts, size_t count, sqlite3_stmt **ret_statements,
			    struct error_note *note);
void database_finalize(sqlite3_stmt **statements, size_t count);

enum error database_execute(struct database *database, const char *text, const char *doing, struct error_note *note);
/* Steps a statement that gives no rows, and resets it. */
enum error database_run(struct database *database, sqlite3_stmt *statement, const char *doing, struct error_note *note);
/* The next row; *ret_row false behind the last, when the statement is reset (as after an error). */
enum error database_next(struct database *database, sqlite3_stmt *statement, bool *ret_row, const char *doing,
			 struct error_note *note);

void database_bind_address(sqlite3_stmt *statement, int parameter, const struct address *address);
/* CORRUPT where the column isn't sixteen bytes. */
enum error database_read_address(struct database *database, sqlite3_stmt *statement, int column, struct address *ret_address,
				 struct error_note *note);

/* A write transaction waits at most 2 s for another writer (UNAVAILABLE); a read transaction is a snapshot, ended by
 * database_end. */
enum error database_begin_write(struct database *database, struct error_note *note);
enum error database_begin_read(struct database *database, struct error_note *note);
/* ret_in_doubt (may be NULL): it failed, and a crash now could still bring the transaction back: its last frame may be in the
 * WAL. */
enum error database_commit(struct database *database, bool *ret_in_doubt, struct error_note *note);
/* The connection's last failure as an error. The note names file, what was done, SQLite's text and errno's. */
enum error database_failure(struct database *database, const char *doing, struct error_note *note);

#endif
