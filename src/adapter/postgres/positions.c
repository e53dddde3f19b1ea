/* The ledger's rows by position (port/positions.h), for the audit: one cursor over them, which is one snapshot. No index serves
 * it: it would cost every ping something, and the audit is asked for seldom. So PostgreSQL sorts, in temporary files where
 * work_mem is full.
 */
#include "adapter/postgres/connection.h"

#include <stdlib.h>

enum { FETCH_ROWS = 10000 };
#define FETCH "FETCH 10000 FROM places"

struct postgres_positions {
	struct ledger_positions ledger;
	struct pg_connection *connection;
	struct pg_parameters parameters;
	struct position_row *rows; /* room for FETCH_ROWS */
};

static struct postgres_positions *of(struct ledger_positions *base)
{
	return (struct postgres_positions *)base;
}

static enum error positions_slots(struct ledger_positions *base, int32_t *ret_slots, size_t max, size_t *ret_count,
				  struct error_note *note)
{
	struct postgres_positions *ledger = of(base);
	pg_parameters_clear(&ledger->parameters);
	pg_add_int8(&ledger->parameters, (int64_t)max);
	struct pg_step step = {.text = "SELECT slot FROM publisher_slots WHERE batch_seq > 0 ORDER BY slot LIMIT $1",
			       .parameters = &ledger->parameters};
	enum error error = pg_run(ledger->connection, &step, 1, PG_HARMLESS, note);
	if (error != ERROR_OK)
		return error;
	*ret_count = (size_t)PQntuples(step.result);
	for (int row = 0; row < PQntuples(step.result); row++)
		ret_slots[row] = (int32_t)pg_int4(step.result, row, 0);
	pg_clear_results(&step, 1);
	return ERROR_OK;
}

/* $1: from, $2: the newest batch that the log has, by slot. Others': without a client, or of no position and no batch. Gone: what
 * lies before `from`, if it is not yet to be published again. */
#define OTHERS	    "(client_ip IS NULL OR position IS NULL AND slot IS NULL)"
#define PUBLISHED   "(slot IS NULL OR batch_seq <= coalesce(($2::bigint[])[slot + 1], -1))"
#define GONE	    "(position < $1 AND " PUBLISHED ")"
#define BEGIN_STEPS 3

static const char declare_places[] = "DECLARE places NO SCROLL CURSOR FOR"
				     " SELECT id, client_ip, position, slot, batch_seq FROM pings"
				     " WHERE NOT " OTHERS " AND " GONE " IS NOT TRUE ORDER BY position NULLS LAST";
static const char count_apart[] =
	"SELECT count(*) FILTER (WHERE " OTHERS "), count(*) FILTER (WHERE NOT " OTHERS " AND " GONE "),"
	" coalesce((SELECT (extract(epoch FROM max(day) + 1) * 1000)::bigint FROM ledger_days_dropped), 0) FROM pings";

static enum error positions_begin(struct ledger_positions *base, int64_t from, const int64_t *published, size_t slot_count,
				  struct position_apart *ret_apart, struct error_note *note)
{
	struct postgres_positions *ledger = of(base);
	struct pg_parameters *parameters = &ledger->parameters;
	pg_parameters_clear(parameters);
	pg_add_int8(parameters, from);
	pg_add_array(parameters, PG_INT8, slot_count);
	for (size_t slot = 0; slot < slot_count; slot++)
		pg_element_int8(parameters, published[slot]);
	struct pg_step steps[BEGIN_STEPS] = {{.text = "SET LOCAL work_mem = '64MB'"},
					     {.text = declare_places, .parameters = parameters},
					     {.text = count_apart, .parameters = parameters}};
	pg_take_time(ledger->connection);
	enum error error = pg_run_begin(ledger->connection, steps, BEGIN_STEPS, note);
	if (error == ERROR_OK)
		*ret_apart = (struct position_apart){.others = pg_int8(steps[2].result, 0, 0),
						     .gone = pg_int8(steps[2].result, 0, 1),
						     .dropped_until_ms = pg_int8(steps[2].result, 0, 2)};
	pg_clear_results(steps, BEGIN_STEPS);
	return error;
}

static struct position_row read_row(const PGresult *result, int row)
{
	struct position_row read = {
		.id = pg_uuid(result, row, 0),
		.position = PQgetisnull(result, row, 2) ? -1 : pg_int8(result, row, 2),
		.slot = PQgetisnull(result, row, 3) ? -1 : (int32_t)pg_int4(result, row, 3),
		.batch = pg_int8(result, row, 4),
	};
	pg_address(result, row, 1, &read.client);
	return read;
}

static enum error positions_next(struct ledger_positions *base, const struct position_row **ret_rows, size_t *ret_count,
				 struct error_note *note)
{
	struct postgres_positions *ledger = of(base);
	struct pg_step fetch = {.text = FETCH};
	enum error error = pg_run_begin(ledger->connection, &fetch, 1, note);
	if (error != ERROR_OK)
		return error;
	int count = PQntuples(fetch.result);
	for (int row = 0; row < count && row < FETCH_ROWS; row++)
		ledger->rows[row] = read_row(fetch.result, row);
	pg_clear_results(&fetch, 1);
	*ret_rows = ledger->rows;
	*ret_count = (size_t)count;
	return ERROR_OK;
}

static void positions_end(struct ledger_positions *base)
{
	pg_abandon(of(base)->connection);
}

static enum error positions_find(struct ledger_positions *base, const struct uuid *id, struct position_row *ret_row,
				 struct error_note *note)
{
	struct postgres_positions *ledger = of(base);
	pg_parameters_clear(&ledger->parameters);
	pg_add_uuid(&ledger->parameters, id);
	struct pg_step step = {.text = "SELECT id, client_ip, position, slot, batch_seq FROM pings WHERE id = $1 LIMIT 1",
			       .parameters = &ledger->parameters};
	pg_take_time(ledger->connection); /* an original server's table may have no index on it */
	enum error error = pg_run(ledger->connection, &step, 1, PG_HARMLESS, note);
	if (error != ERROR_OK)
		return error;
	if (PQntuples(step.result) == 0)
		error = ERROR_NOT_FOUND;
	else
		*ret_row = read_row(step.result, 0);
	pg_clear_results(&step, 1);
	return error;
}

static void positions_close(struct ledger_positions *base)
{
	struct postgres_positions *ledger = of(base);
	pg_connection_destroy(ledger->connection);
	pg_parameters_release(&ledger->parameters);
	free(ledger->rows);
	free(ledger);
}

enum error postgres_positions_open(const struct postgres_config *config, struct ledger_positions **ret_ledger)
{
	static const struct ledger_positions_vtable vtable = {
		.slots = positions_slots,
		.begin = positions_begin,
		.next = positions_next,
		.end = positions_end,
		.find = positions_find,
		.close = positions_close,
	};
	struct postgres_positions *ledger = calloc(1, sizeof *ledger);
	if (ledger == NULL)
		return ERROR_NO_MEMORY;
	ledger->ledger.vtable = &vtable;
	pg_parameters_init(&ledger->parameters);
	ledger->rows = calloc(FETCH_ROWS, sizeof *ledger->rows);
	enum error error = ledger->rows == NULL ? ERROR_NO_MEMORY : pg_connection_create(config, &ledger->connection);
	if (error != ERROR_OK) {
		positions_close(&ledger->ledger);
		return error;
	}
	*ret_ledger = &ledger->ledger;
	return ERROR_OK;
}
