#include "adapter/postgres/scope_sums.h"

#include "base/clock.h"

enum { POLL_MS = 50, PATIENCE_MS = 60000 };

/* Who writes pings holds this lock until its transaction ends. */
#define WRITERS                                                                                                            \
	" FROM pg_locks WHERE locktype = 'relation' AND relation = 'pings'::regclass AND mode = 'RowExclusiveLock'"        \
	" AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND granted AND pid IS DISTINCT" \
	" FROM pg_backend_pid()"

static enum error find_writers(struct pg_connection *connection, struct pg_parameters *parameters, struct error_note *note)
{
	struct pg_step step = {.text = "SELECT coalesce(string_agg(DISTINCT virtualtransaction, ','), '')" WRITERS};
	enum error error = pg_run(connection, &step, 1, PG_HARMLESS, note);
	if (error != ERROR_OK)
		return error;
	struct slice writers = pg_bytes(step.result, 0, 0);
	pg_parameters_clear(parameters);
	pg_add_array(parameters, PG_TEXT, 1);
	pg_element_bytes(parameters, writers);
	pg_clear_results(&step, 1);
	return ERROR_OK;
}

/* An event may be in the log before its row is in the ledger, where rows are published one by one (`ordered`): whoever is at it
 * now is waited for. */
static enum error wait_for_writers(struct pg_connection *connection, struct pg_parameters *parameters, struct error_note *note)
{
	enum error error = find_writers(connection, parameters, note);
	for (int waited_ms = 0; error == ERROR_OK; waited_ms += POLL_MS) {
		struct pg_step step = {.text = "SELECT EXISTS (SELECT" WRITERS
					       " AND virtualtransaction = ANY (string_to_array(($1::text[])[1], ',')))",
				       .parameters = parameters};
		error = pg_run(connection, &step, 1, PG_HARMLESS, note);
		bool left = error == ERROR_OK && pg_bool(step.result, 0, 0);
		pg_clear_results(&step, 1);
		if (error == ERROR_OK && !left)
			return ERROR_OK;
		if (error == ERROR_OK && waited_ms >= PATIENCE_MS)
			return error_noted(note, ERROR_UNAVAILABLE,
					   "PostgreSQL: a transaction has been writing to pings for %d s and more; a rebuild "
					   "waits for it",
					   PATIENCE_MS / 1000);
		clock_sleep_ms(POLL_MS);
	}
	return error;
}

/* $1: up to, $2: by slot, the newest batch that the log has, $3, $4: [start, end) in ms, end 0: any; $5: clients, none: all. Of
 * days that were dropped there are sums, whose batches the log had. */
static const char declare_sums[] =
	"DECLARE sums NO SCROLL CURSOR FOR"
	" SELECT client_ip, first_ms - first_ms % 300000 AS window_start, sum(pings)::bigint, min(first_ms), max(last_ms),"
	"  max(position), coalesce(sum(pings) FILTER (WHERE pending), 0)::bigint"
	" FROM (SELECT client_ip, ping_ms(pinged_at) AS first_ms, ping_ms(pinged_at) AS last_ms, 1::bigint AS pings, position,"
	"   slot IS NOT NULL AND batch_seq > coalesce(($2::bigint[])[slot + 1], -1) AS pending FROM pings"
	"  UNION ALL SELECT client_ip, first_ms, last_ms, pings, position, false FROM ledger_sums) p"
	" WHERE position <= $1 AND client_ip IS NOT NULL AND (cardinality($5::inet[]) = 0 OR client_ip = ANY ($5::inet[]))"
	"  AND ($4 = 0 OR first_ms >= $3 AND first_ms < $4)" PG_SUMS_IN_ORDER;

static void add_scope(struct pg_parameters *parameters, const struct ledger_scope *scope)
{
	pg_parameters_clear(parameters);
	pg_add_int8(parameters, scope->up_to);
	pg_add_array(parameters, PG_INT8, scope->slot_count);
	for (size_t slot = 0; slot < scope->slot_count; slot++)
		pg_element_int8(parameters, scope->published[slot]);
	pg_add_int8(parameters, scope->start_ms);
	pg_add_int8(parameters, scope->end_ms);
	pg_add_array(parameters, PG_INET, scope->client == NULL ? 0 : 1);
	if (scope->client != NULL)
		pg_element_address(parameters, scope->client);
}

/* False: the visitor has had enough, or that was all. */
static bool visit_rows(const PGresult *result, bool (*visit)(void *context, const struct ledger_sum *sum), void *context)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct ledger_sum sum = {
			.window_start_ms = pg_int8(result, row, 1),
			.count = pg_int8(result, row, 2),
			.first_ms = pg_int8(result, row, 3),
			.last_ms = pg_int8(result, row, 4),
			.position = pg_int8(result, row, 5),
			.pending = pg_int8(result, row, 6),
		};
		if (pg_address(result, row, 0, &sum.client) && !visit(context, &sum))
			return false;
	}
	return PQntuples(result) > 0;
}

enum error pg_visit_sums(struct pg_connection *connection, const char *declare_sums_cursor, struct pg_parameters *parameters,
			 bool (*visit)(void *context, const struct ledger_sum *sum), void *context, struct error_note *note)
{
	struct pg_step declare = {.text = declare_sums_cursor, .parameters = parameters};
	pg_take_time(connection);
	enum error error = pg_run_begin(connection, &declare, 1, note);
	pg_clear_results(&declare, 1);
	for (bool more = true; error == ERROR_OK && more;) {
		struct pg_step fetch = {.text = "FETCH 10000 FROM sums"};
		error = pg_run_begin(connection, &fetch, 1, note);
		more = error == ERROR_OK && visit_rows(fetch.result, visit, context);
		pg_clear_results(&fetch, 1);
	}
	pg_abandon(connection);
	return error;
}

enum error pg_sum_scope(struct pg_connection *connection, struct pg_parameters *parameters, const struct ledger_scope *scope,
			bool (*visit)(void *context, const struct ledger_sum *sum), void *context, struct error_note *note)
{
	enum error error = wait_for_writers(connection, parameters, note);
	if (error != ERROR_OK)
		return error;
	add_scope(parameters, scope);
	return pg_visit_sums(connection, declare_sums, parameters, visit, context, note);
}
