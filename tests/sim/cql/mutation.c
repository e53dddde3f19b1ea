/* The safeguards of the native engine on ScyllaDB, left out one at a time: seeds must find each of them. */
#include <stdlib.h>
#include <string.h>

#include "adapter/cql/safeguard.h"
#include "mutant.h"
#include "../pass_store.h"
#include "../series.h"

enum where { NOWHERE, IN_ADAPTER, IN_SERVER, POSITION, REWRITE, SWEEP, ROWS_FIRST };

struct left_out {
	struct mutation mutation;
	enum where where;
	enum cql_safeguard safeguard;
};

static const struct left_out mutations[] = {
	{{"none", "nothing is left out"}, NOWHERE, CQL_WITH_ALL},
	{{"position", "rows are read without the position of their newest event"}, POSITION, CQL_WITH_ALL},
	{{"reservation", "rows are written at the clock's time"}, IN_ADAPTER, CQL_RESERVATION},
	{{"floor", "a new owner does not begin above what the one before may write"}, IN_ADAPTER, CQL_FLOOR},
	{{"ceiling", "an owner writes above what it has reserved"}, IN_ADAPTER, CQL_CEILING},
	{{"version", "engine_writers is changed whatever its version"}, IN_SERVER, CQL_WITH_ALL},
	{{"rewrite", "rows in which every event was skipped are not written again"}, REWRITE, CQL_WITH_ALL},
	{{"rows-first", "the position is committed before the rows"}, ROWS_FIRST, CQL_WITH_ALL},
	{{"counters-first", "the position is committed before counters follow"}, IN_ADAPTER, CQL_COUNTERS_FIRST},
	{{"verify-read", "what is added to a counter is believed, and added again after a timeout"}, IN_ADAPTER, CQL_VERIFY_READ},
	{{"sweep", "nobody comes by to compare counters again"}, SWEEP, CQL_WITH_ALL},
};

const struct mutation *mutation_at(size_t index)
{
	return index < sizeof mutations / sizeof mutations[0] ? &mutations[index].mutation : NULL;
}

void mutant_begin(const struct mutation *base, struct cassandra *cassandra)
{
	const struct left_out *mutation = (const struct left_out *)base;
	cql_left_out = mutation->safeguard;
	cassandra->without_conditions = mutation->where == IN_SERVER;
}

/* ─── Between stream and adapter ────────────────────────────────────────────────────────────────────────────────────── */

/* A row as it is in the store, as far as this process knows. */
struct known {
	struct series_key key;
	int64_t position;
};

struct mutant {
	struct pass_store pass;
	struct rowset known;
};

static struct store *inner_of(struct store *store)
{
	return ((struct pass_store *)store)->inner;
}

static void know_window(struct mutant *mutant, const struct window_row *row)
{
	rowset_put(&mutant->known, &(struct known){{SERIES_WINDOW, row->client, row->start_ms}, row->position});
}

static void know_day(struct mutant *mutant, const struct day_row *row)
{
	rowset_put(&mutant->known, &(struct known){{SERIES_DAY, row->client, row->start_ms}, row->position});
}

static bool is_known(const struct mutant *mutant, const struct known *row)
{
	const struct known *known = rowset_find(&mutant->known, row);
	return known != NULL && known->position == row->position;
}

static void pass_release(struct store *store, int32_t partition)
{
	inner_of(store)->vtable->release(inner_of(store), partition);
}

static enum error noted_read_windows(struct store *store, struct window_row *rows, size_t count, struct error_note *note)
{
	enum error error = pass_read_windows(store, rows, count, note);
	for (size_t i = 0; error == ERROR_OK && i < count; i++)
		know_window((struct mutant *)store, &rows[i]);
	return error;
}

static enum error noted_read_days(struct store *store, struct day_row *rows, size_t count, struct error_note *note)
{
	enum error error = pass_read_days(store, rows, count, note);
	for (size_t i = 0; error == ERROR_OK && i < count; i++)
		know_day((struct mutant *)store, &rows[i]);
	return error;
}

typedef void (*visitor)(void *context, const struct address *client, const struct client_row *row,
			const struct window_row *windows, size_t window_count);
struct visit {
	struct mutant *mutant;
	visitor visit;
	void *context;
	bool without_position;
};

static void visit_client(void *context, const struct address *client, const struct client_row *row,
			 const struct window_row *windows, size_t window_count)
{
	const struct visit *visit = context;
	struct window_row *copies = calloc(window_count + 1, sizeof *copies);
	if (copies == NULL)
		abort();
	for (size_t i = 0; i < window_count; i++) {
		copies[i] = windows[i];
		if (visit->without_position)
			copies[i].position = POSITION_NONE;
		else
			know_window(visit->mutant, &windows[i]);
	}
	visit->visit(visit->context, client, row, copies, window_count);
	free(copies);
}

static enum error read_clients(struct store *store, const struct address *clients, size_t count, int64_t start_ms,
			       struct visit *visit, struct error_note *note)
{
	return pass_read_clients(store, clients, count, start_ms, visit_client, visit, note);
}

static enum error noted_read_clients(struct store *store, const struct address *clients, size_t count, int64_t start_ms,
				     visitor visit, void *context, struct error_note *note)
{
	struct visit visiting = {(struct mutant *)store, visit, context, false};
	return read_clients(store, clients, count, start_ms, &visiting, note);
}

static enum error pass_sweep(struct store *store, size_t *ret_repaired, bool *ret_urgent, struct error_note *note)
{
	return inner_of(store)->vtable->sweep(inner_of(store), ret_repaired, ret_urgent, note);
}

static void close_mutant(struct store *store)
{
	rowset_release(&((struct mutant *)store)->known);
	pass_store_close(store);
}

static enum error windows_without_position(struct store *store, struct window_row *rows, size_t count, struct error_note *note)
{
	enum error error = noted_read_windows(store, rows, count, note);
	for (size_t i = 0; error == ERROR_OK && i < count; i++)
		rows[i].position = POSITION_NONE;
	return error;
}

static enum error days_without_position(struct store *store, struct day_row *rows, size_t count, struct error_note *note)
{
	enum error error = noted_read_days(store, rows, count, note);
	for (size_t i = 0; error == ERROR_OK && i < count; i++)
		rows[i].position = POSITION_NONE;
	return error;
}

static enum error clients_without_position(struct store *store, const struct address *clients, size_t count, int64_t start_ms,
					   visitor visit, void *context, struct error_note *note)
{
	struct visit visiting = {(struct mutant *)store, visit, context, true};
	return read_clients(store, clients, count, start_ms, &visiting, note);
}

/* Rows that stand as they were read, or written, are left out. */
static enum error changed_rows_alone(struct store *store, int32_t partition, const struct engine_dirty *dirty, int64_t position,
				     struct error_note *note)
{
	struct mutant *mutant = (struct mutant *)store;
	struct window_row *windows = calloc(dirty->window_count + 1, sizeof *windows);
	struct day_row *days = calloc(dirty->day_count + 1, sizeof *days);
	if (windows == NULL || days == NULL)
		abort();
	struct engine_dirty changed = *dirty;
	changed.windows = windows;
	changed.days = days;
	changed.window_count = changed.day_count = 0;
	for (size_t i = 0; i < dirty->window_count; i++) {
		const struct window_row *row = &dirty->windows[i];
		if (!is_known(mutant, &(struct known){{SERIES_WINDOW, row->client, row->start_ms}, row->position}))
			windows[changed.window_count++] = *row;
	}
	for (size_t i = 0; i < dirty->day_count; i++) {
		const struct day_row *row = &dirty->days[i];
		if (!is_known(mutant, &(struct known){{SERIES_DAY, row->client, row->start_ms}, row->position}))
			days[changed.day_count++] = *row;
	}
	enum error error = pass_write(store, partition, &changed, position, note);
	for (size_t i = 0; error == ERROR_OK && i < changed.window_count; i++)
		know_window(mutant, &windows[i]);
	for (size_t i = 0; error == ERROR_OK && i < changed.day_count; i++)
		know_day(mutant, &days[i]);
	free(windows);
	free(days);
	return error;
}

static enum error position_first(struct store *store, int32_t partition, const struct engine_dirty *dirty, int64_t position,
				 struct error_note *note)
{
	const struct engine_dirty nothing = {.position = dirty->position};
	enum error error = pass_write(store, partition, &nothing, position, note);
	return error != ERROR_OK ? error : pass_write(store, partition, dirty, position, note);
}

struct store *mutant_wrap(const struct mutation *base, bool sweep, struct store *inner)
{
	const struct left_out *mutation = (const struct left_out *)base;
	struct mutant *mutant = calloc(1, sizeof *mutant);
	if (mutant == NULL)
		abort();
	mutant->pass.vtable = (struct store_vtable){
		.take = pass_take,
		.release = pass_release,
		.read_windows = mutation->where == POSITION ? windows_without_position : noted_read_windows,
		.read_days = mutation->where == POSITION ? days_without_position : noted_read_days,
		.read_clients = mutation->where == POSITION ? clients_without_position : noted_read_clients,
		.list_due = pass_list_due,
		.write = mutation->where == REWRITE	 ? changed_rows_alone
			 : mutation->where == ROWS_FIRST ? position_first
							 : pass_write,
		.prune_windows = pass_prune_windows,
		.sweep = sweep && mutation->where != SWEEP ? pass_sweep : NULL,
		.close = close_mutant,
	};
	mutant->pass.store.vtable = &mutant->pass.vtable;
	mutant->pass.inner = inner;
	rowset_init(&mutant->known, sizeof(struct known), series_compare);
	return &mutant->pass.store;
}
