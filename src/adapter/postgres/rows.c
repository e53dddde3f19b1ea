#include "adapter/postgres/rows.h"

#include <stdio.h>
#include <stdlib.h>

enum { DAYS_AHEAD = 7, DAY_MS = 86400000 };

static void add_ids(struct pg_parameters *parameters, const struct ledger_ping *rows, size_t count)
{
	pg_parameters_clear(parameters);
	pg_add_array(parameters, PG_UUID, count);
	for (size_t i = 0; i < count; i++)
		pg_element_uuid(parameters, &rows[i].id);
	pg_add_array(parameters, PG_TIMESTAMPTZ, count);
	for (size_t i = 0; i < count; i++)
		pg_element_time(parameters, rows[i].received_at_ms);
}

static void add_positions(struct pg_parameters *parameters, const struct ledger_ping *rows, size_t count, bool positions)
{
	pg_add_array(parameters, PG_INT8, count);
	for (size_t i = 0; i < count; i++) {
		if (positions && rows[i].position >= 0)
			pg_element_int8(parameters, rows[i].position);
		else
			pg_element_null(parameters);
	}
}

struct pg_step rows_insert(struct pg_parameters *parameters, const struct ledger_ping *rows, size_t count, bool positions,
			   const struct publish_slot *slot, int64_t batch)
{
	add_ids(parameters, rows, count);
	pg_add_array(parameters, PG_INET, count);
	for (size_t i = 0; i < count; i++)
		pg_element_address(parameters, &rows[i].client);
	pg_add_array(parameters, PG_TIMESTAMPTZ, count);
	for (size_t i = 0; i < count; i++)
		pg_element_time(parameters, rows[i].pinged_at_ms);
	add_positions(parameters, rows, count, positions);
	if (slot != NULL) {
		pg_add_int4(parameters, slot->slot);
		pg_add_int8(parameters, batch);
	} else {
		pg_add_null(parameters, PG_INT4);
		pg_add_null(parameters, PG_INT8);
	}
	return (struct pg_step){
		.text = "INSERT INTO pings (id, received_at, client_ip, pinged_at, position, slot, batch_seq)"
			" SELECT r.*, $6, $7 FROM unnest($1, $2, $3, $4, $5) r",
		.parameters = parameters,
	};
}

struct bounds {
	int64_t first_ms, last_ms; /* received */
	struct uuid first_id, last_id;
};

static struct bounds bounds_of(const struct ledger_ping *rows, size_t count)
{
	struct bounds bounds = {rows[0].received_at_ms, rows[0].received_at_ms, rows[0].id, rows[0].id};
	for (size_t i = 1; i < count; i++) {
		const struct ledger_ping *row = &rows[i];
		bounds.first_ms = row->received_at_ms < bounds.first_ms ? row->received_at_ms : bounds.first_ms;
		bounds.last_ms = row->received_at_ms > bounds.last_ms ? row->received_at_ms : bounds.last_ms;
		if (memcmp(&row->id, &bounds.first_id, sizeof row->id) < 0)
			bounds.first_id = row->id;
		if (memcmp(&row->id, &bounds.last_id, sizeof row->id) > 0)
			bounds.last_id = row->id;
	}
	return bounds;
}

/* Ids grow with time, so those of a batch lie side by side: between their bounds the primary key leads straight to the rows, at
 * any size of the day; those of the days let the planner pass over all others. It knows nothing of the last minutes, or of a
 * day that was never analysed, and takes for a few rows what are thousands: a nested loop would compare each of them with each
 * row in hand, for longer than a statement may take. A join by hash is right whatever it believes. */
void rows_set_positions(struct pg_parameters *parameters, const struct ledger_ping *rows, size_t count,
			struct pg_step ret_steps[ROWS_POSITION_STEPS])
{
	struct bounds bounds = bounds_of(rows, count);
	add_ids(parameters, rows, count);
	add_positions(parameters, rows, count, true);
	pg_add_time(parameters, bounds.first_ms - bounds.first_ms % DAY_MS);
	pg_add_time(parameters, bounds.last_ms - bounds.last_ms % DAY_MS + DAY_MS);
	pg_add_uuid(parameters, &bounds.first_id);
	pg_add_uuid(parameters, &bounds.last_id);
	ret_steps[0] = (struct pg_step){.text = "SELECT set_config('enable_nestloop', 'off', true)"};
	ret_steps[1] = (struct pg_step){
		.text = "UPDATE pings p SET position = r.position FROM unnest($1, $2, $3) r (id, received_at, position)"
			" WHERE p.id = r.id AND p.received_at = r.received_at AND p.received_at >= $4 AND p.received_at < $5"
			" AND p.id BETWEEN $6 AND $7",
		.parameters = parameters,
	};
}

int claim_compare(const struct publish_claim *a, const struct publish_claim *b)
{
	int order = address_compare(&a->client, &b->client);
	if (order != 0)
		return order;
	size_t common = a->key.size < b->key.size ? a->key.size : b->key.size;
	order = memcmp(a->key.data, b->key.data, common);
	return order != 0 ? order : (a->key.size > b->key.size) - (a->key.size < b->key.size);
}

static int compare_pointers(const void *a, const void *b)
{
	return claim_compare(*(struct publish_claim *const *)a, *(struct publish_claim *const *)b);
}

static void add_keys(struct pg_parameters *parameters, struct publish_claim *const *claims, size_t count)
{
	pg_parameters_clear(parameters);
	pg_add_array(parameters, PG_INET, count);
	for (size_t i = 0; i < count; i++)
		pg_element_address(parameters, &claims[i]->client);
	pg_add_array(parameters, PG_BYTEA, count);
	for (size_t i = 0; i < count; i++)
		pg_element_bytes(parameters, claims[i]->key);
}

/* Which of the sorted claims a row's first two columns name; NULL: none. */
static struct publish_claim *claim_of_row(struct publish_claim **claims, size_t count, const PGresult *result, int row)
{
	struct publish_claim wanted = {.key = pg_bytes(result, row, 1)}, *key = &wanted;
	if (!pg_address(result, row, 0, &wanted.client))
		return NULL;
	struct publish_claim **found = bsearch(&key, claims, count, sizeof *claims, compare_pointers);
	return found == NULL ? NULL : *found;
}

static enum error insert_keys(struct pg_connection *connection, struct pg_parameters *parameters, struct publish_claim **claims,
			      size_t count, struct error_note *note)
{
	char set_timeout[80];
	snprintf(set_timeout, sizeof set_timeout, "SELECT set_config('lock_timeout', '%d', true)",
		 pg_connection_config(connection)->lock_timeout_ms);
	add_keys(parameters, claims, count);
	pg_add_array(parameters, PG_TIMESTAMPTZ, count);
	for (size_t i = 0; i < count; i++)
		pg_element_time(parameters, claims[i]->pinged_at_ms);
	pg_add_array(parameters, PG_TIMESTAMPTZ, count);
	for (size_t i = 0; i < count; i++)
		pg_element_time(parameters, claims[i]->received_at_ms);
	struct pg_step steps[] = {
		{.text = set_timeout},
		{.text = "INSERT INTO idempotency_keys (client_ip, key, pinged_at, received_at)"
			 " SELECT * FROM unnest($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING client_ip, key",
		 .parameters = parameters},
		{.text = "SELECT set_config('lock_timeout', '0', true)"},
	};
	enum error error = pg_run_begin(connection, steps, 3, note);
	if (error != ERROR_OK)
		return strcmp(pg_sqlstate(connection), "55P03") == 0 ? ERROR_ABORTED : error;
	for (int row = 0; row < PQntuples(steps[1].result); row++) {
		struct publish_claim *claim = claim_of_row(claims, count, steps[1].result, row);
		if (claim != NULL)
			claim->claimed = true;
	}
	pg_clear_results(steps, 3);
	return ERROR_OK;
}

/* A statement of its own: only a new snapshot sees the rows that the insert waited for. */
static enum error find_keys(struct pg_connection *connection, struct pg_parameters *parameters, struct publish_claim **claims,
			    size_t count, struct error_note *note)
{
	size_t left = 0;
	for (size_t i = 0; i < count; i++)
		if (!claims[i]->claimed)
			claims[left++] = claims[i];
	if (left == 0)
		return ERROR_OK;
	add_keys(parameters, claims, left);
	struct pg_step step = {
		.text = "SELECT k.client_ip, k.key, k.pinged_at FROM unnest($1, $2) WITH ORDINALITY w (client_ip, key, place)"
			" CROSS JOIN LATERAL (SELECT * FROM idempotency_keys k WHERE k.client_ip = w.client_ip AND k.key = w.key"
			" OFFSET 0) k",
		.parameters = parameters,
	};
	enum error error = pg_run_begin(connection, &step, 1, note);
	if (error != ERROR_OK)
		return error;
	size_t found = 0;
	for (int row = 0; row < PQntuples(step.result); row++) {
		struct publish_claim *claim = claim_of_row(claims, left, step.result, row);
		if (claim == NULL)
			continue;
		claim->first_pinged_at_ms = pg_time(step.result, row, 2);
		found++;
	}
	pg_clear_results(&step, 1);
	/* Forgotten between the two statements: the next attempt is the first again. */
	if (found < left) {
		pg_abandon(connection);
		return error_noted(note, ERROR_ABORTED, "an idempotency key ran out while it was looked at");
	}
	return ERROR_OK;
}

enum error rows_claim(struct pg_connection *connection, struct pg_parameters *parameters, struct publish_claim *claims,
		      size_t count, struct error_note *note)
{
	struct publish_claim **sorted = calloc(count, sizeof *sorted);
	if (sorted == NULL)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < count; i++) {
		sorted[i] = &claims[i];
		claims[i].claimed = false;
	}
	qsort(sorted, count, sizeof *sorted, compare_pointers);
	enum error error = insert_keys(connection, parameters, sorted, count, note);
	if (error == ERROR_OK)
		error = find_keys(connection, parameters, sorted, count, note);
	free(sorted);
	return error;
}

enum error rows_prune_keys(struct pg_connection *connection, struct pg_parameters *parameters, int64_t before_ms, int64_t age_ms,
			   size_t max, size_t *ret_removed, struct error_note *note)
{
	pg_parameters_clear(parameters);
	if (before_ms != 0)
		pg_add_time(parameters, before_ms);
	else
		pg_add_null(parameters, PG_TIMESTAMPTZ);
	pg_add_int8(parameters, age_ms);
	pg_add_int8(parameters, (int64_t)max);
	struct pg_step step = {
		.text = "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY (SELECT ctid FROM idempotency_keys"
			" WHERE received_at < coalesce($1, clock_timestamp() - $2 * interval '1 ms')"
			" ORDER BY received_at LIMIT $3 FOR UPDATE SKIP LOCKED))",
		.parameters = parameters,
	};
	enum error error = pg_run(connection, &step, 1, PG_COMMITS, note);
	if (error != ERROR_OK)
		return error;
	*ret_removed = (size_t)strtoull(PQcmdTuples(step.result), NULL, 10);
	pg_clear_results(&step, 1);
	/* Not worth an error: without its day a row lies in the default partition. */
	char make_days[80];
	snprintf(make_days, sizeof make_days, "SELECT pings_make_days(%d)", DAYS_AHEAD);
	struct pg_step days[] = {{.text = "SELECT set_config('lock_timeout', '1000', true)"}, {.text = make_days}};
	if (pg_run(connection, days, 2, PG_HARMLESS, NULL) == ERROR_OK)
		pg_clear_results(days, 2);
	return ERROR_OK;
}
