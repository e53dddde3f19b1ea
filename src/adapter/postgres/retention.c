/* Days of the ledger that are past their retention (migrations/0004_retention.sql). */
#include "adapter/postgres/connection.h"

#include <stdio.h>

static enum error check_partitioned(struct pg_connection *connection, struct error_note *note)
{
	struct pg_step step = {.text = "SELECT relkind = 'p' FROM pg_class WHERE oid = 'pings'::regclass"};
	enum error error = pg_run(connection, &step, 1, PG_HARMLESS, note);
	if (error != ERROR_OK)
		return error;
	if (PQntuples(step.result) == 0 || !pg_bool(step.result, 0, 0))
		error = error_noted(note, ERROR_FAILED_PRECONDITION,
				    "the table pings was there before Ping and has no days that could be dropped: leave out "
				    "ledger-retention, or see docs/OPERATIONS.md, \"Retention\"");
	pg_clear_results(&step, 1);
	return error;
}

/* END: there is none. */
static enum error drop_day(struct pg_connection *connection, struct pg_parameters *parameters, struct ledger_day *ret_day,
			   struct error_note *note)
{
	struct pg_step step = {
		.text = "SELECT to_char(dropped, 'YYYY-MM-DD'), pings, waiting FROM pings_drop_day("
			"((clock_timestamp() - $1 * interval '1 ms') AT TIME ZONE 'UTC')::date)",
		.parameters = parameters,
	};
	pg_take_time(connection);
	enum error error = pg_run(connection, &step, 1, PG_COMMITS, note);
	if (error != ERROR_OK)
		return error == ERROR_IN_DOUBT ? ERROR_UNAVAILABLE : error; /* the next time shows what became of it */
	if (PQntuples(step.result) == 0) {
		error = ERROR_END;
	} else {
		snprintf(ret_day->text, sizeof ret_day->text, "%s", PQgetvalue(step.result, 0, 0));
		ret_day->pings = pg_int8(step.result, 0, 1);
		ret_day->waiting = pg_int8(step.result, 0, 2);
	}
	pg_clear_results(&step, 1);
	return error;
}

static enum error drop_days(struct pg_connection *connection, struct pg_parameters *parameters,
			    bool (*told)(void *context, const struct ledger_day *day), void *context, struct error_note *note)
{
	enum error error = check_partitioned(connection, note);
	while (error == ERROR_OK) {
		struct ledger_day day;
		error = drop_day(connection, parameters, &day, note);
		if (error == ERROR_OK && (!told(context, &day) || day.waiting > 0))
			return ERROR_OK;
	}
	return error == ERROR_END ? ERROR_OK : error;
}

enum error postgres_drop_days(const struct postgres_config *config, int64_t retention_ms,
			      bool (*told)(void *context, const struct ledger_day *day), void *context, struct error_note *note)
{
	struct pg_connection *connection;
	enum error error = pg_connection_create(config, &connection);
	if (error != ERROR_OK)
		return error;
	struct pg_parameters parameters;
	pg_parameters_init(&parameters);
	pg_add_int8(&parameters, retention_ms);
	error = drop_days(connection, &parameters, told, context, note);
	pg_parameters_release(&parameters);
	pg_connection_destroy(connection);
	return error;
}
