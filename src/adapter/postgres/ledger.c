#include "adapter/postgres/rows.h"

#include <stdlib.h>

struct postgres_ledger {
	struct ledger ledger;
	struct pg_connection *connection;
	struct pg_parameters parameters;
	/* Of the batch at hand; room for `capacity` of each. */
	struct keyed {
		struct ledger_ping *ping;
		size_t claim;
	} * keyed;		      /* the pings with keys, equal keys side by side, in the batch's order */
	struct publish_claim *claims; /* one for each key */
	struct ledger_ping *rows;
	size_t keyed_count, claim_count, row_count, capacity;
};

static enum error reserve(struct postgres_ledger *ledger, size_t count)
{
	if (count <= ledger->capacity)
		return ERROR_OK;
	free(ledger->keyed);
	free(ledger->claims);
	free(ledger->rows);
	ledger->keyed = calloc(count, sizeof *ledger->keyed);
	ledger->claims = calloc(count, sizeof *ledger->claims);
	ledger->rows = calloc(count, sizeof *ledger->rows);
	bool ok = ledger->keyed != NULL && ledger->claims != NULL && ledger->rows != NULL;
	ledger->capacity = ok ? count : 0;
	return ok ? ERROR_OK : ERROR_NO_MEMORY;
}

static struct publish_claim claim_of(const struct ledger_ping *ping)
{
	return (struct publish_claim){.client = ping->client,
				      .key = ping->key,
				      .id = ping->id,
				      .pinged_at_ms = ping->pinged_at_ms,
				      .received_at_ms = ping->received_at_ms};
}

static int compare_keyed(const void *a, const void *b)
{
	const struct ledger_ping *x = ((const struct keyed *)a)->ping, *y = ((const struct keyed *)b)->ping;
	struct publish_claim left = claim_of(x), right = claim_of(y);
	int order = claim_compare(&left, &right);
	return order != 0 ? order : (x > y) - (x < y);
}

/* One claim for each key, for the first ping that has it. */
static void gather_claims(struct postgres_ledger *ledger, struct ledger_ping *pings, size_t count)
{
	ledger->keyed_count = ledger->claim_count = 0;
	for (size_t i = 0; i < count; i++) {
		pings[i].result = ERROR_OK;
		pings[i].duplicate = false;
		pings[i].position = -1;
		if (pings[i].key.size > 0)
			ledger->keyed[ledger->keyed_count++].ping = &pings[i];
	}
	qsort(ledger->keyed, ledger->keyed_count, sizeof *ledger->keyed, compare_keyed);
	for (size_t i = 0; i < ledger->keyed_count; i++) {
		struct publish_claim claim = claim_of(ledger->keyed[i].ping);
		if (i == 0 || claim_compare(&ledger->claims[ledger->claim_count - 1], &claim) != 0)
			ledger->claims[ledger->claim_count++] = claim;
		ledger->keyed[i].claim = ledger->claim_count - 1;
	}
}

/* What each ping with a key is, now that it is known who was first. */
static void settle_keys(struct postgres_ledger *ledger)
{
	for (size_t i = 0; i < ledger->keyed_count; i++) {
		const struct keyed *keyed = &ledger->keyed[i];
		const struct publish_claim *claim = &ledger->claims[keyed->claim];
		bool first_here = i == 0 || ledger->keyed[i - 1].claim != keyed->claim;
		int64_t first_ms = claim->claimed ? claim->pinged_at_ms : claim->first_pinged_at_ms;
		keyed->ping->duplicate = !(claim->claimed && first_here);
		keyed->ping->result = keyed->ping->pinged_at_ms == first_ms ? ERROR_OK : ERROR_KEY_REUSED;
	}
}

static enum error claim_keys(struct postgres_ledger *ledger, struct error_note *note)
{
	if (ledger->keyed_count == 0)
		return ERROR_OK;
	enum error error = rows_claim(ledger->connection, &ledger->parameters, ledger->claims, ledger->claim_count, note);
	if (error == ERROR_OK)
		settle_keys(ledger);
	if (error != ERROR_ABORTED)
		return error;
	/* Another transaction holds one of them: only the pings with keys have to do with it. */
	for (size_t i = 0; i < ledger->keyed_count; i++)
		ledger->keyed[i].ping->result = ERROR_UNAVAILABLE;
	return ERROR_OK;
}

static enum error ledger_append(struct ledger *base, struct ledger_ping *pings, size_t count, struct error_note *note)
{
	struct postgres_ledger *ledger = (struct postgres_ledger *)base;
	enum error error = reserve(ledger, count);
	if (error != ERROR_OK)
		return error;
	gather_claims(ledger, pings, count);
	error = claim_keys(ledger, note);
	if (error != ERROR_OK)
		return error;
	ledger->row_count = 0;
	for (size_t i = 0; i < count; i++)
		if (pings[i].result == ERROR_OK && !pings[i].duplicate)
			ledger->rows[ledger->row_count++] = pings[i];
	if (ledger->row_count == 0) {
		pg_abandon(ledger->connection);
		return ERROR_OK;
	}
	struct pg_step insert = rows_insert(&ledger->parameters, ledger->rows, ledger->row_count, false, NULL, 0);
	error = pg_run_commit(ledger->connection, &insert, 1, note);
	if (error == ERROR_OK)
		pg_clear_results(&insert, 1);
	return error;
}

/* Among random ids of others, those of pingd are the ones in order of time. A year ahead of the database's clock there are none;
 * farther down only few of the others' lie between. */
static enum error ledger_last_id(struct ledger *base, struct uuid *ret_id, struct error_note *note)
{
	struct postgres_ledger *ledger = (struct postgres_ledger *)base;
	struct pg_step step = {
		.text = "SELECT id FROM pings WHERE client_ip IS NOT NULL AND id < (rpad(lpad(to_hex(floor((extract(epoch FROM"
			" clock_timestamp()) + 31536000) * 1000)::bigint), 12, '0'), 32, '0'))::uuid ORDER BY id DESC LIMIT 1"};
	enum error error = pg_run(ledger->connection, &step, 1, PG_HARMLESS, note);
	if (error != ERROR_OK)
		return error;
	*ret_id = PQntuples(step.result) == 1 ? pg_uuid(step.result, 0, 0) : (struct uuid){0};
	pg_clear_results(&step, 1);
	return ERROR_OK;
}

static enum error ledger_prune_keys(struct ledger *base, int64_t before_ms, size_t max, size_t *ret_removed,
				    struct error_note *note)
{
	struct postgres_ledger *ledger = (struct postgres_ledger *)base;
	return rows_prune_keys(ledger->connection, &ledger->parameters, before_ms, 0, max, ret_removed, note);
}

/* Takes a write transaction's number, which a standby and a full disk refuse, and lets it go. */
static enum error ledger_probe(struct ledger *base, struct error_note *note)
{
	struct postgres_ledger *ledger = (struct postgres_ledger *)base;
	struct pg_step step = {.text = "UPDATE ping_counts_state SET counted = counted"};
	enum error error = pg_run(ledger->connection, &step, 1, PG_HARMLESS, note);
	if (error == ERROR_OK)
		pg_clear_results(&step, 1);
	return error;
}

static void ledger_close(struct ledger *base)
{
	struct postgres_ledger *ledger = (struct postgres_ledger *)base;
	pg_connection_destroy(ledger->connection);
	pg_parameters_release(&ledger->parameters);
	free(ledger->keyed);
	free(ledger->claims);
	free(ledger->rows);
	free(ledger);
}

enum error postgres_ledger_open(const struct postgres_config *config, struct ledger **ret_ledger)
{
	static const struct ledger_vtable vtable = {ledger_append, ledger_last_id, ledger_prune_keys, ledger_probe, ledger_close};
	struct postgres_ledger *ledger = calloc(1, sizeof *ledger);
	if (ledger == NULL)
		return ERROR_NO_MEMORY;
	ledger->ledger.vtable = &vtable;
	pg_parameters_init(&ledger->parameters);
	enum error error = pg_connection_create(config, &ledger->connection);
	if (error != ERROR_OK) {
		free(ledger);
		return error;
	}
	*ret_ledger = &ledger->ledger;
	return ERROR_OK;
}
