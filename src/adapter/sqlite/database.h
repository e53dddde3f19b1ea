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
	sqlite3 *handle;
	char *path;
};

/* Opens schema->file in the directory. WRITE makes and migrates it; READ wants it there in just this version. */
enum error database_open(const char *directory, const struct schema *schema, enum database_access access,
			 struct database *ret_database, struct error_note *note);
/* Its statements must be finalized. */
void database_close(struct database *database);

/* Prepares all `count` texts or none. */
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

/* A write transaction waits at most 2 s for another writer (UNAVAILABLE); a read transaction is a snapshot. */
enum error database_begin_write(struct database *database, struct error_note *note);
enum error database_begin_read(struct database *database, struct error_note *note);
/* ret_in_doubt (may be NULL): it failed, and a crash now could still bring the transaction back: its last frame may be in the
 * WAL. */
enum error database_commit(struct database *database, bool *ret_in_doubt, struct error_note *note);
/* Ends whatever is open. Never fails: what it cannot end, closing does. */
void database_rollback(struct database *database);

/* The connection's last failure as an error. The note names file, what was done, SQLite's text and errno's. */
enum error database_failure(struct database *database, const char *doing, struct error_note *note);

#endif
