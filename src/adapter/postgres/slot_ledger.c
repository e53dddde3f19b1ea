#include "adapter/postgres/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct postgres_slot_ledger {
	struct slot_ledger ledger;
	struct pg_connection *connection;
	struct pg_parameters parameters, move_parameters;
	char owner[64]; /* for people who look at publisher_slots */
};

static struct postgres_slot_ledger *of(struct slot_ledger *base)
{
	return (struct postgres_slot_ledger *)base;
}

#define LEASE "clock_timestamp() + $1 * interval '1 ms'"
#define SLOT  "slot, epoch, batch_seq, last_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

static void begin_parameters(struct postgres_slot_ledger *ledger)
{
	pg_parameters_clear(&ledger->parameters);
	pg_add_int8(&ledger->parameters, pg_connection_config(ledger->connection)->lease_ms);
}

/* One statement that returns the slot's row, or none: then `none` is the error. */
static enum error update_slot(struct postgres_slot_ledger *ledger, const char *text, enum error none, const char *why,
			      struct publish_slot *ret_slot, struct error_note *note)
{
	struct pg_step step = {.text = text, .parameters = &ledger->parameters};
	enum error error = pg_run(ledger->connection, &step, 1, PG_COMMITS, note);
	if (error != ERROR_OK)
		return error;
	if (PQntuples(step.result) == 0)
		error = error_noted(note, none, "%s", why);
	else if (ret_slot != NULL)
		*ret_slot = (struct publish_slot){
			.slot = (int32_t)pg_int4(step.result, 0, 0),
			.epoch = pg_int8(step.result, 0, 1),
			.batch_seq = pg_int8(step.result, 0, 2),
			.last_id = pg_uuid(step.result, 0, 3),
			.taken_us = pg_int8(step.result, 0, 4),
		};
	pg_clear_results(&step, 1);
	return error;
}

static const char another_owner[] = "the publisher slot has another owner";

static enum error slot_take(struct slot_ledger *base, enum publish_take which, struct publish_slot *ret_slot,
			    struct error_note *note)
{
	struct postgres_slot_ledger *ledger = of(base);
	begin_parameters(ledger);
	pg_add_text(&ledger->parameters, ledger->owner);
	pg_add_int4(&ledger->parameters, pg_connection_config(ledger->connection)->slots);
	const char *text =
		which == PUBLISH_TAKE_DEAD
			? "UPDATE publisher_slots SET epoch = epoch + 1, held = true, lease_until = " LEASE ", owner = $2"
			  " WHERE slot = (SELECT slot FROM publisher_slots WHERE slot < $3 AND lease_until < clock_timestamp() "
			  "AND held"
			  " ORDER BY slot LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING " SLOT
			: "UPDATE publisher_slots SET epoch = epoch + 1, held = true, lease_until = " LEASE ", owner = $2"
			  " WHERE slot = (SELECT slot FROM publisher_slots WHERE slot < $3 AND lease_until < clock_timestamp()"
			  " ORDER BY held DESC, epoch = 0, slot LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING " SLOT;
	return update_slot(ledger, text, ERROR_RESOURCE_EXHAUSTED,
			   which == PUBLISH_TAKE_DEAD ? "no publisher slot is dead"
						      : "every publisher slot is held by another process",
			   ret_slot, note);
}

/* A statement that raises where the slot has another owner; batch 0: a new lease alone. */
static struct pg_step slot_move(struct postgres_slot_ledger *ledger, const struct publish_slot *slot, int64_t batch,
				const struct uuid *last_id)
{
	const struct uuid none = {0};
	struct pg_parameters *parameters = &ledger->move_parameters;
	pg_parameters_clear(parameters);
	pg_add_int4(parameters, slot->slot);
	pg_add_int8(parameters, slot->epoch);
	if (batch > 0)
		pg_add_int8(parameters, batch);
	else
		pg_add_null(parameters, PG_INT8);
	pg_add_uuid(parameters, last_id != NULL ? last_id : &none);
	pg_add_int8(parameters, pg_connection_config(ledger->connection)->lease_ms);
	return (struct pg_step){.text = "SELECT publisher_slot_move($1, $2, $3, $4, $5 * interval '1 ms')",
				.parameters = parameters};
}

static enum error slot_renew(struct slot_ledger *base, const struct publish_slot *slot, struct error_note *note)
{
	struct postgres_slot_ledger *ledger = of(base);
	struct pg_step step = slot_move(ledger, slot, 0, NULL);
	enum error error = pg_run(ledger->connection, &step, 1, PG_COMMITS, note);
	pg_clear_results(&step, 1);
	return error;
}

static enum error slot_release(struct slot_ledger *base, const struct publish_slot *slot, bool finished, struct error_note *note)
{
	struct postgres_slot_ledger *ledger = of(base);
	pg_parameters_clear(&ledger->parameters);
	pg_add_int4(&ledger->parameters, slot->slot);
	pg_add_int8(&ledger->parameters, slot->epoch);
	const char *text =
		finished ? "UPDATE publisher_slots SET held = false, lease_until = '-infinity', owner = NULL"
			   " WHERE slot = $1 AND epoch = $2 RETURNING slot"
			 : "UPDATE publisher_slots SET lease_until = '-infinity' WHERE slot = $1 AND epoch = $2 RETURNING slot";
	return update_slot(ledger, text, ERROR_FENCED, another_owner, NULL, note);
}

static enum error slot_settle(struct slot_ledger *base, struct publish_slot *slot, struct error_note *note)
{
	struct postgres_slot_ledger *ledger = of(base);
	begin_parameters(ledger);
	pg_add_int4(&ledger->parameters, slot->slot);
	pg_add_int8(&ledger->parameters, slot->epoch);
	return update_slot(ledger,
			   "UPDATE publisher_slots SET epoch = epoch + 1, lease_until = " LEASE
			   " WHERE slot = $2 AND epoch = $3 RETURNING " SLOT,
			   ERROR_FENCED, another_owner, slot, note);
}

static enum error slot_claim(struct slot_ledger *base, struct publish_claim *claims, size_t count, struct error_note *note)
{
	return rows_claim(of(base)->connection, &of(base)->parameters, claims, count, note);
}

static enum error slot_commit(struct slot_ledger *base, const struct publish_slot *slot, int64_t batch,
			      const struct ledger_ping *rows, size_t count, struct error_note *note)
{
	struct postgres_slot_ledger *ledger = of(base);
	struct pg_step steps[2];
	size_t used = 0;
	if (slot != NULL)
		steps[used++] = slot_move(ledger, slot, batch, &rows[count - 1].id);
	steps[used++] = rows_insert(&ledger->parameters, rows, count, true, slot, batch);
	enum error error = pg_run_commit(ledger->connection, steps, used, note);
	pg_clear_results(steps, used);
	return error;
}

static enum error slot_insert(struct slot_ledger *base, const struct ledger_ping *rows, size_t count, struct error_note *note)
{
	struct postgres_slot_ledger *ledger = of(base);
	struct pg_step step = rows_insert(&ledger->parameters, rows, count, false, NULL, 0);
	enum error error = pg_run_begin(ledger->connection, &step, 1, note);
	pg_clear_results(&step, 1);
	return error;
}

static enum error slot_commit_inserted(struct slot_ledger *base, const struct ledger_ping *rows, size_t count,
				       struct error_note *note)
{
	struct postgres_slot_ledger *ledger = of(base);
	if (!pg_in_transaction(ledger->connection))
		return error_noted(note, ERROR_UNAVAILABLE, "the transaction of these rows is gone");
	struct pg_step steps[ROWS_POSITION_STEPS];
	rows_set_positions(&ledger->parameters, rows, count, steps);
	enum error error = pg_run_commit(ledger->connection, steps, ROWS_POSITION_STEPS, note);
	pg_clear_results(steps, ROWS_POSITION_STEPS);
	return error;
}

static void slot_abandon(struct slot_ledger *base)
{
	pg_abandon(of(base)->connection);
}

/* The batch in which the first $4 rows end is the last one. */
static const char read_batches[] =
	"SELECT id, client_ip, pinged_at, received_at, position, batch_seq FROM pings"
	" WHERE slot = $1 AND batch_seq > $2 AND batch_seq <="
	" (SELECT max(batch_seq) FROM (SELECT batch_seq FROM pings WHERE slot = $1 AND batch_seq > $2 AND batch_seq <= $3"
	" ORDER BY batch_seq LIMIT $4) first) ORDER BY batch_seq, id";

static enum error visit_row(const PGresult *result, int row, void (*visit)(void *context, const struct ledger_ping *row),
			    void *context, struct error_note *note)
{
	struct ledger_ping ping = {
		.id = pg_uuid(result, row, 0),
		.pinged_at_ms = pg_time(result, row, 2),
		.received_at_ms = pg_time(result, row, 3),
		.position = PQgetisnull(result, row, 4) ? -1 : pg_int8(result, row, 4),
	};
	if (!pg_address(result, row, 1, &ping.client))
		return error_noted(note, ERROR_CORRUPT, "a row of batch %lld has no client_ip",
				   (long long)pg_int8(result, row, 5));
	visit(context, &ping);
	return ERROR_OK;
}

static enum error slot_read_batches(struct slot_ledger *base, const struct publish_slot *slot, int64_t after, size_t enough,
				    struct publish_run *ret_run, void (*visit)(void *context, const struct ledger_ping *row),
				    void *context, struct error_note *note)
{
	struct postgres_slot_ledger *ledger = of(base);
	pg_parameters_clear(&ledger->parameters);
	pg_add_int4(&ledger->parameters, slot->slot);
	pg_add_int8(&ledger->parameters, after);
	pg_add_int8(&ledger->parameters, slot->batch_seq);
	pg_add_int8(&ledger->parameters, (int64_t)enough);
	struct pg_step step = {.text = read_batches, .parameters = &ledger->parameters};
	enum error error = pg_run(ledger->connection, &step, 1, PG_HARMLESS, note);
	if (error != ERROR_OK)
		return error;
	struct publish_run run = {.last = after};
	int count = PQntuples(step.result);
	for (int row = 0; row < count && error == ERROR_OK; row++) {
		int64_t batch = pg_int8(step.result, row, 5);
		run.batches += batch != run.last;
		run.last = batch;
		error = visit_row(step.result, row, visit, context, note);
	}
	*ret_run = run;
	pg_clear_results(&step, 1);
	return count > 0 ? error : ERROR_NOT_FOUND;
}

static enum error slot_set_positions(struct slot_ledger *base, const struct publish_slot *slot, const struct ledger_ping *rows,
				     size_t count, struct error_note *note)
{
	struct postgres_slot_ledger *ledger = of(base);
	/* The slot's row last: whoever carries out pings there waits for its lock, and the rows take their time. */
	struct pg_step steps[ROWS_POSITION_STEPS + 1];
	rows_set_positions(&ledger->parameters, rows, count, steps);
	steps[ROWS_POSITION_STEPS] = slot_move(ledger, slot, 0, NULL);
	enum error error = pg_run_commit(ledger->connection, steps, ROWS_POSITION_STEPS + 1, note);
	pg_clear_results(steps, ROWS_POSITION_STEPS + 1);
	return error;
}

static enum error slot_prune_keys(struct slot_ledger *base, int64_t retention_ms, size_t max, size_t *ret_removed,
				  struct error_note *note)
{
	return rows_prune_keys(of(base)->connection, &of(base)->parameters, 0, retention_ms, max, ret_removed, note);
}

static void slot_close(struct slot_ledger *base)
{
	struct postgres_slot_ledger *ledger = of(base);
	pg_connection_destroy(ledger->connection);
	pg_parameters_release(&ledger->parameters);
	pg_parameters_release(&ledger->move_parameters);
	free(ledger);
}

/* "host:pid" */
static void write_owner(char *ret_text, size_t size)
{
	char host[48] = "";
	gethostname(host, sizeof host - 1);
	snprintf(ret_text, size, "%s:%d", host, (int)getpid());
}

enum error postgres_slot_ledger_open(const struct postgres_config *config, struct slot_ledger **ret_ledger)
{
	static const struct slot_ledger_vtable vtable = {
		.take = slot_take,
		.renew = slot_renew,
		.release = slot_release,
		.settle = slot_settle,
		.claim = slot_claim,
		.commit = slot_commit,
		.insert = slot_insert,
		.commit_inserted = slot_commit_inserted,
		.abandon = slot_abandon,
		.read_batches = slot_read_batches,
		.set_positions = slot_set_positions,
		.prune_keys = slot_prune_keys,
		.close = slot_close,
	};
	struct postgres_slot_ledger *ledger = calloc(1, sizeof *ledger);
	if (ledger == NULL)
		return ERROR_NO_MEMORY;
	ledger->ledger.vtable = &vtable;
	pg_parameters_init(&ledger->parameters);
	pg_parameters_init(&ledger->move_parameters);
	write_owner(ledger->owner, sizeof ledger->owner);
	enum error error = pg_connection_create(config, &ledger->connection);
	if (error != ERROR_OK) {
		free(ledger);
		return error;
	}
	*ret_ledger = &ledger->ledger;
	return ERROR_OK;
}
