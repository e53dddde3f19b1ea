#include "mutation.h"

#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "pass_store.h"

struct left_out {
	struct mutation mutation;
	/* What is not NULL takes the place of the call to the port. */
	struct ledger_vtable ledger;
	struct log_reader_vtable log;
	struct store_vtable store;
};

struct mutant_ledger {
	struct ledger ledger;
	struct ledger *inner;
	struct ledger_vtable vtable;
};
struct mutant_log {
	struct log_reader reader;
	struct log_reader *inner;
	struct log_reader_vtable vtable;
};

static struct ledger *inner_ledger(struct ledger *ledger)
{
	return ((struct mutant_ledger *)ledger)->inner;
}

static struct log_reader *inner_log(struct log_reader *reader)
{
	return ((struct mutant_log *)reader)->inner;
}

static enum error pass_append(struct ledger *ledger, struct ledger_ping *pings, size_t count, struct error_note *note)
{
	return inner_ledger(ledger)->vtable->append(inner_ledger(ledger), pings, count, note);
}

static enum error pass_last_id(struct ledger *ledger, struct uuid *ret_id, struct error_note *note)
{
	return inner_ledger(ledger)->vtable->last_id(inner_ledger(ledger), ret_id, note);
}

static enum error pass_prune_keys(struct ledger *ledger, int64_t before_ms, size_t max, size_t *ret_removed,
				  struct error_note *note)
{
	return inner_ledger(ledger)->vtable->prune_keys(inner_ledger(ledger), before_ms, max, ret_removed, note);
}

static enum error pass_probe(struct ledger *ledger, struct error_note *note)
{
	return inner_ledger(ledger)->vtable->probe(inner_ledger(ledger), note);
}

static void pass_ledger_close(struct ledger *ledger)
{
	inner_ledger(ledger)->vtable->close(inner_ledger(ledger));
	free(ledger);
}

static enum error pass_poll(struct log_reader *reader, int timeout_ms, struct log_event *ret_event, struct error_note *note)
{
	return inner_log(reader)->vtable->poll(inner_log(reader), timeout_ms, ret_event, note);
}

static enum error pass_seek(struct log_reader *reader, int32_t partition, int64_t position, struct error_note *note)
{
	return inner_log(reader)->vtable->seek(inner_log(reader), partition, position, note);
}

static enum error pass_commit(struct log_reader *reader, int32_t partition, int64_t position, struct error_note *note)
{
	return inner_log(reader)->vtable->commit(inner_log(reader), partition, position, note);
}

static enum error pass_identity(struct log_reader *reader, uint8_t ret_identity[16], struct error_note *note)
{
	return inner_log(reader)->vtable->identity(inner_log(reader), ret_identity, note);
}

static void pass_log_close(struct log_reader *reader)
{
	inner_log(reader)->vtable->close(inner_log(reader));
	free(reader);
}

static enum error in_doubt_is_unavailable(struct ledger *ledger, struct ledger_ping *pings, size_t count, struct error_note *note)
{
	enum error error = pass_append(ledger, pings, count, note);
	return error == ERROR_IN_DOUBT ? ERROR_UNAVAILABLE : error;
}

static enum error failure_is_ok(struct ledger *ledger, struct ledger_ping *pings, size_t count, struct error_note *note)
{
	for (size_t i = 0; i < count; i++) {
		pings[i].result = ERROR_OK;
		pings[i].duplicate = false;
		pings[i].position = 0;
	}
	pass_append(ledger, pings, count, note);
	return ERROR_OK;
}

/* The table knows keys of earlier batches only: of a key's repetitions in one batch each becomes a row. */
static enum error keys_settled_by_table_alone(struct ledger *ledger, struct ledger_ping *pings, size_t count,
					      struct error_note *note)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i && pings[i].key.size > 0; j++)
			if (address_equal(&pings[i].client, &pings[j].client) && slice_equal(pings[i].key, pings[j].key))
				pings[i].key.size = 0;
	return pass_append(ledger, pings, count, note);
}

static enum error no_last_id(struct ledger *ledger, struct uuid *ret_id, struct error_note *note)
{
	struct uuid last;
	enum error error = pass_last_id(ledger, &last, note);
	if (error == ERROR_OK)
		*ret_id = (struct uuid){0};
	return error;
}

static enum error prune_early(struct ledger *ledger, int64_t before_ms, size_t max, size_t *ret_removed, struct error_note *note)
{
	return pass_prune_keys(ledger, before_ms + INT64_C(23) * 3600000, max, ret_removed, note);
}

/* The engine is told that no event is in a row yet. */
static enum error windows_without_position(struct store *store, struct window_row *rows, size_t count, struct error_note *note)
{
	enum error error = pass_read_windows(store, rows, count, note);
	for (size_t i = 0; error == ERROR_OK && i < count; i++)
		rows[i].position = POSITION_NONE;
	return error;
}

static enum error days_without_position(struct store *store, struct day_row *rows, size_t count, struct error_note *note)
{
	enum error error = pass_read_days(store, rows, count, note);
	for (size_t i = 0; error == ERROR_OK && i < count; i++)
		rows[i].position = POSITION_NONE;
	return error;
}

static enum error position_first(struct store *store, int32_t partition, const struct engine_dirty *dirty, int64_t position,
				 struct error_note *note)
{
	const struct engine_dirty nothing = {.position = dirty->position};
	enum error error = pass_write(store, partition, &nothing, position, note);
	return error != ERROR_OK ? error : pass_write(store, partition, dirty, position, note);
}

static enum error rows_not_read(struct store *store, struct window_row *rows, size_t count, struct error_note *note)
{
	(void)store;
	(void)note;
	for (size_t i = 0; i < count; i++)
		rows[i].count = 0;
	return ERROR_OK;
}

static enum error nothing_due(struct store *store, int32_t partition, int64_t now_ms, struct address *ret_clients, size_t max,
			      size_t *ret_count, struct error_note *note)
{
	(void)store;
	(void)partition;
	(void)now_ms;
	(void)ret_clients;
	(void)max;
	(void)note;
	*ret_count = 0;
	return ERROR_OK;
}

static enum error failed_write_is_ok(struct store *store, int32_t partition, const struct engine_dirty *dirty, int64_t position,
				     struct error_note *note)
{
	pass_write(store, partition, dirty, position, note);
	return ERROR_OK;
}

static enum error first_event_lost(struct log_reader *reader, int timeout_ms, struct log_event *ret_event,
				   struct error_note *note)
{
	enum error error = pass_poll(reader, timeout_ms, ret_event, note);
	if (error == ERROR_OK && ret_event->kind == LOG_BATCH && ret_event->count > 1) {
		ret_event->events++;
		ret_event->count--;
	}
	return error;
}

static const struct left_out mutations[] = {
	{.mutation = {"none", "nothing"}},
	{.mutation = {"in-doubt-as-unavailable", "an append in doubt is answered as not kept"},
	 .ledger.append = in_doubt_is_unavailable},
	{.mutation = {"answer-before-durable", "pings are answered OK whatever the ledger says"}, .ledger.append = failure_is_ok},
	{.mutation = {"keys-by-table-alone", "keys are not looked for within the batch"},
	 .ledger.append = keys_settled_by_table_alone},
	{.mutation = {"keys-pruned-early", "keys are kept for an hour"}, .ledger.prune_keys = prune_early},
	{.mutation = {"ids-start-anew", "a new process does not go on above the last id"}, .ledger.last_id = no_last_id},
	{.mutation = {"no-position-check", "rows are read without the position of their newest event"},
	 .store.read_windows = windows_without_position,
	 .store.read_days = days_without_position},
	{.mutation = {"position-first", "the position is written before the rows"}, .store.write = position_first},
	{.mutation = {"rows-not-read", "windows that are not in the cache start at 0"}, .store.read_windows = rows_not_read},
	{.mutation = {"failed-write-is-ok", "a failed write is taken for a good one"}, .store.write = failed_write_is_ok},
	{.mutation = {"nothing-due", "activities are not rewritten when a window leaves"}, .store.list_due = nothing_due},
	{.mutation = {"event-lost", "the first event of each batch is not applied"}, .log.poll = first_event_lost},
};

const struct mutation *mutation_at(size_t index)
{
	return index < sizeof mutations / sizeof mutations[0] ? &mutations[index].mutation : NULL;
}

static void *must(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

#define CALL_OR(call, otherwise) ((call) != NULL ? (call) : (otherwise))

struct ledger *mutation_wrap_ledger(const struct mutation *mutation, struct ledger *inner)
{
	const struct ledger_vtable *own = &((const struct left_out *)mutation)->ledger;
	struct mutant_ledger *mutant = must(calloc(1, sizeof *mutant));
	mutant->inner = inner;
	mutant->ledger.vtable = &mutant->vtable;
	mutant->vtable = (struct ledger_vtable){.append = CALL_OR(own->append, pass_append),
						.last_id = CALL_OR(own->last_id, pass_last_id),
						.prune_keys = CALL_OR(own->prune_keys, pass_prune_keys),
						.probe = CALL_OR(own->probe, pass_probe),
						.close = pass_ledger_close};
	return &mutant->ledger;
}

struct log_reader *mutation_wrap_log(const struct mutation *mutation, struct log_reader *inner)
{
	const struct log_reader_vtable *own = &((const struct left_out *)mutation)->log;
	struct mutant_log *mutant = must(calloc(1, sizeof *mutant));
	mutant->inner = inner;
	mutant->reader.vtable = &mutant->vtable;
	mutant->vtable = (struct log_reader_vtable){.poll = CALL_OR(own->poll, pass_poll),
						    .seek = CALL_OR(own->seek, pass_seek),
						    .commit = CALL_OR(own->commit, pass_commit),
						    .identity = CALL_OR(own->identity, pass_identity),
						    .close = pass_log_close};
	return &mutant->reader;
}

struct store *mutation_wrap_store(const struct mutation *mutation, struct store *inner)
{
	const struct store_vtable *own = &((const struct left_out *)mutation)->store;
	struct pass_store *mutant = must(calloc(1, sizeof *mutant));
	mutant->inner = inner;
	mutant->store.vtable = &mutant->vtable;
	mutant->vtable = (struct store_vtable){.take = CALL_OR(own->take, pass_take),
					       .read_windows = CALL_OR(own->read_windows, pass_read_windows),
					       .read_days = CALL_OR(own->read_days, pass_read_days),
					       .read_clients = CALL_OR(own->read_clients, pass_read_clients),
					       .list_due = CALL_OR(own->list_due, pass_list_due),
					       .write = CALL_OR(own->write, pass_write),
					       .prune_windows = CALL_OR(own->prune_windows, pass_prune_windows),
					       .close = pass_store_close};
	return &mutant->store;
}
