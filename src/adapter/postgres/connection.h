/* One connection, made when needed, and statements on it: sent together, one round trip, with exact errors.
 *
 *   CLOSED ──pg_run: connect──► IDLE ──pg_begin──► IN TRANSACTION ──pg_run(PG_COMMITS)──► IDLE
 *     ▲ │ failed: not again                             │
 *     │ │ before a pause                                │
 *     └─┴──── lost, or an error that cannot be rolled back ◄┘ (an error that can be: IDLE)
 *
 * Without pg_begin the statements of one pg_run are a transaction of their own: all or nothing.
 */
#ifndef PING_ADAPTER_POSTGRES_CONNECTION_H
#define PING_ADAPTER_POSTGRES_CONNECTION_H

#include "adapter/postgres/postgres.h"
#include "adapter/postgres/values.h"

struct pg_connection;

struct pg_step {
	const char *text;		  /* one statement, $1 … */
	struct pg_parameters *parameters; /* NULL: none */
	PGresult *result;		  /* set when pg_run succeeds: the caller's to PQclear; binary */
};

/* What a reply that never comes leaves open. */
enum pg_effect {
	PG_HARMLESS, /* nothing, or a transaction without its COMMIT: UNAVAILABLE */
	PG_COMMITS,  /* it may be committed: IN_DOUBT */
};

enum { PG_MAX_STEPS = 4 };

/* ERROR_NO_MEMORY. */
enum error pg_connection_create(const struct postgres_config *config, struct pg_connection **ret_connection);
void pg_connection_destroy(struct pg_connection *connection);
const struct postgres_config *pg_connection_config(const struct pg_connection *connection);

/* At most PG_MAX_STEPS. After an error no transaction is open and no result is set. An SQLSTATE that the table in connection.c
 * doesn't know is INTERNAL. */
enum error pg_run(struct pg_connection *connection, struct pg_step *steps, size_t count, enum pg_effect effect,
		  struct error_note *note);
/* The same behind a BEGIN: the transaction stays open. */
enum error pg_run_begin(struct pg_connection *connection, struct pg_step *steps, size_t count, struct error_note *note);
/* The same with a COMMIT behind, where pg_run_begin came before; else in a transaction of their own. */
enum error pg_run_commit(struct pg_connection *connection, struct pg_step *steps, size_t count, struct error_note *note);
bool pg_in_transaction(const struct pg_connection *connection);
/* Ends the open transaction, if there is one, for good: by a ROLLBACK or by giving up the connection. */
void pg_abandon(struct pg_connection *connection);
/* Text of any number of statements, without parameters or results; no timeout. As they say: BEGIN and COMMIT are theirs. */
enum error pg_script(struct pg_connection *connection, const char *text, struct error_note *note);
/* No limit on a statement's time in the next pg_run or pg_run_begin, nor up to its commit, nor on the time between two of them:
 * for long reads, whose reader may be slow. */
void pg_take_time(struct pg_connection *connection);
/* Of the last error; "" where the server did not say. */
const char *pg_sqlstate(const struct pg_connection *connection);
void pg_clear_results(struct pg_step *steps, size_t count);

#endif
