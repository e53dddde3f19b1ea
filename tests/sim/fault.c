#include "fault.h"

#include "other.h"

#include <inttypes.h>
#include <stdlib.h>

struct faulty_ledger {
	struct ledger ledger;
	struct ledger *inner;
	struct fault *fault;
};
struct faulty_log {
	struct log_reader reader;
	struct log_reader *inner;
	struct fault *fault;
	int64_t position; /* as far as it was read */
	bool assigned;	  /* once */
	bool away;	  /* the partition is elsewhere for a while */
};
struct faulty_store {
	struct store store;
	struct store *inner;
	struct fault *fault;
};

/* What becomes of a call. */
enum fate {
	FATE_PASSES,
	FATE_FAILS,    /* without effect */
	FATE_IN_DOUBT, /* takes effect, but fails */
	FATE_TORN,     /* a part takes effect, and it fails */
};

static void crash(struct fault *fault, const char *call)
{
	fault->world->crashed = true;
	fault->crashes++;
	world_trace(fault->world, "crash at", (int64_t)call[0], (int64_t)call[1]);
}

static bool fails(struct fault *fault, bool writes)
{
	struct world *world = fault->world;
	if (fault->world->crashed)
		return true;
	if (writes && world_once_in(world, fault->odds.disk_full))
		fault->disk_full_until_us = world->true_us + world_between(world, 1, 60000000);
	return world_once_in(world, fault->odds.fail) || (writes && world->true_us < fault->disk_full_until_us);
}

static enum fate draw_fate(struct fault *fault, const char *call, bool writes)
{
	struct world *world = fault->world;
	if (fault->world->crashed)
		return FATE_FAILS;
	enum fate fate = FATE_PASSES;
	if (world_once_in(world, fault->odds.slow))
		world_pass(world, world_between(world, 1, 3000000));
	if (fails(fault, writes))
		fate = FATE_FAILS;
	else if (writes && world_once_in(world, fault->odds.in_doubt))
		fate = FATE_IN_DOUBT;
	else if (writes && world_once_in(world, fault->odds.torn))
		fate = FATE_TORN;
	fault->failures += fate != FATE_PASSES;
	world_trace(world, call, fate, 0);
	/* A crash in the call: before it took effect, after, or between its parts. */
	if (world_once_in(world, fault->odds.crash))
		crash(fault, call);
	return fate;
}

static enum error some_error(struct fault *fault, struct error_note *note)
{
	static const enum error errors[] = {ERROR_IO, ERROR_UNAVAILABLE, ERROR_READ_ONLY, ERROR_NO_MEMORY};
	struct world *world = fault->world;
	enum error error = world->true_us < fault->disk_full_until_us ? ERROR_DISK_FULL : errors[world_between(world, 0, 3)];
	return error_noted(note, error, "simulated");
}

static _Noreturn void fail_inner(struct fault *fault, const char *call, enum error error, const struct error_note *note)
{
	world_fail(fault->world, "%s failed by itself: %s (%s)", call, error_name(error), note->text);
}

static void let_another_work(struct fault *fault)
{
	if (fault->adapter->open_other_store == NULL)
		return;
	fault->store_position = other_process_works(fault->adapter, fault->truth, fault->store_position);
	fault->taken_over = true;
}

static enum error faulty_append(struct ledger *ledger, struct ledger_ping *pings, size_t count, struct error_note *note)
{
	struct faulty_ledger *faulty = (struct faulty_ledger *)ledger;
	struct fault *fault = faulty->fault;
	enum fate fate = draw_fate(fault, "append", true);
	if (fate == FATE_FAILS || fate == FATE_TORN)
		return some_error(fault, note);
	struct error_note inner_note = {0};
	enum error error = faulty->inner->vtable->append(faulty->inner, pings, count, &inner_note);
	if (error != ERROR_OK)
		fail_inner(fault, "append", error, &inner_note);
	truth_kept(fault->truth, pings, count);
	world_trace(fault->world, "appended", (int64_t)count, truth_end(fault->truth));
	return fate == FATE_IN_DOUBT || fault->world->crashed ? error_noted(note, ERROR_IN_DOUBT, "simulated") : ERROR_OK;
}

static enum error faulty_last_id(struct ledger *ledger, struct uuid *ret_id, struct error_note *note)
{
	struct faulty_ledger *faulty = (struct faulty_ledger *)ledger;
	if (draw_fate(faulty->fault, "last_id", false) == FATE_FAILS)
		return some_error(faulty->fault, note);
	return faulty->inner->vtable->last_id(faulty->inner, ret_id, note);
}

static enum error faulty_prune_keys(struct ledger *ledger, int64_t before_ms, size_t max, size_t *ret_removed,
				    struct error_note *note)
{
	struct faulty_ledger *faulty = (struct faulty_ledger *)ledger;
	enum fate fate = draw_fate(faulty->fault, "prune_keys", true);
	if (fate == FATE_FAILS)
		return some_error(faulty->fault, note);
	enum error error = faulty->inner->vtable->prune_keys(faulty->inner, before_ms, max, ret_removed, note);
	return fate == FATE_PASSES ? error : some_error(faulty->fault, note);
}

static enum error faulty_probe(struct ledger *ledger, struct error_note *note)
{
	struct faulty_ledger *faulty = (struct faulty_ledger *)ledger;
	if (draw_fate(faulty->fault, "probe", true) != FATE_PASSES)
		return some_error(faulty->fault, note);
	return faulty->inner->vtable->probe(faulty->inner, note);
}

static void faulty_ledger_close(struct ledger *ledger)
{
	struct faulty_ledger *faulty = (struct faulty_ledger *)ledger;
	faulty->inner->vtable->close(faulty->inner);
	free(faulty);
}

static const struct ledger_vtable ledger_vtable = {.append = faulty_append,
						   .last_id = faulty_last_id,
						   .prune_keys = faulty_prune_keys,
						   .probe = faulty_probe,
						   .close = faulty_ledger_close};

/* The log gives every row of the ledger, in order, none left out. */
static void check_batch(struct faulty_log *faulty, const struct log_event *event)
{
	struct world *world = faulty->fault->world;
	const struct rowset *rows = &faulty->fault->truth->rows;
	size_t index = rowset_lower_bound(rows, &(struct truth_row){.position = faulty->position + 1});
	for (size_t i = 0; i < event->count; i++, index++) {
		const struct engine_event *is = &event->events[i];
		const struct truth_row *should = index < rows->count ? rowset_at(rows, index) : NULL;
		if (should == NULL || is->position != should->position || is->pinged_at_ms != should->pinged_at_ms ||
		    !address_equal(&is->client, &should->client))
			world_fail(world, "the log's event at %" PRId64 " is not the ledger's next row", is->position);
	}
	if (index < rows->count && event->applied_position >= ((const struct truth_row *)rowset_at(rows, index))->position)
		world_fail(world, "the log leaves out a row before %" PRId64, event->applied_position);
	faulty->position = event->applied_position;
}

/* Several processes share a log: now and then the partition goes to another one and comes back. */
static bool rebalances(struct faulty_log *faulty, struct log_event *ret_event)
{
	struct fault *fault = faulty->fault;
	struct world *world = fault->world;
	*ret_event = (struct log_event){.kind = LOG_IDLE};
	if (faulty->away && world_once_in(world, 2))
		let_another_work(fault);
	if (faulty->away && world_once_in(world, 3)) {
		faulty->away = false;
		ret_event->kind = LOG_ASSIGNED;
		return true;
	}
	if (faulty->assigned && !faulty->away && (fault->taken_over || world_once_in(world, fault->odds.rebalance))) {
		faulty->away = true;
		ret_event->kind = fault->taken_over || world_once_in(world, 2) ? LOG_LOST : LOG_REVOKED;
		return true;
	}
	return faulty->away;
}

static enum error faulty_poll(struct log_reader *reader, int timeout_ms, struct log_event *ret_event, struct error_note *note)
{
	struct faulty_log *faulty = (struct faulty_log *)reader;
	struct world *world = faulty->fault->world;
	if (draw_fate(faulty->fault, "poll", false) == FATE_FAILS)
		return some_error(faulty->fault, note);
	if (!rebalances(faulty, ret_event)) {
		struct error_note inner_note = {0};
		enum error error = faulty->inner->vtable->poll(faulty->inner, 0, ret_event, &inner_note);
		if (error != ERROR_OK)
			fail_inner(faulty->fault, "poll", error, &inner_note);
		faulty->assigned |= ret_event->kind == LOG_ASSIGNED;
	}
	world_trace(world, "polled", ret_event->kind, (int64_t)ret_event->count);
	if (ret_event->kind == LOG_IDLE)
		world_pass(world, world_between(world, 0, INT64_C(1000) * timeout_ms));
	if (ret_event->kind == LOG_BATCH)
		check_batch(faulty, ret_event);
	return ERROR_OK;
}

static enum error faulty_seek(struct log_reader *reader, int32_t partition, int64_t position, struct error_note *note)
{
	struct faulty_log *faulty = (struct faulty_log *)reader;
	if (draw_fate(faulty->fault, "seek", false) == FATE_FAILS)
		return some_error(faulty->fault, note);
	struct error_note inner_note = {0};
	enum error error = faulty->inner->vtable->seek(faulty->inner, partition, position, &inner_note);
	if (error != ERROR_OK)
		fail_inner(faulty->fault, "seek", error, &inner_note);
	faulty->position = position;
	return ERROR_OK;
}

static enum error faulty_commit(struct log_reader *reader, int32_t partition, int64_t position, struct error_note *note)
{
	struct faulty_log *faulty = (struct faulty_log *)reader;
	struct fault *fault = faulty->fault;
	if (draw_fate(fault, "commit", false) == FATE_FAILS)
		return some_error(fault, note);
	if (position > fault->store_position)
		world_fail(fault->world, "the log is told position %" PRId64 ", the store is at %" PRId64, position,
			   fault->store_position);
	return faulty->inner->vtable->commit(faulty->inner, partition, position, note);
}

static enum error faulty_identity(struct log_reader *reader, uint8_t ret_identity[16], struct error_note *note)
{
	struct faulty_log *faulty = (struct faulty_log *)reader;
	if (draw_fate(faulty->fault, "identity", false) == FATE_FAILS)
		return some_error(faulty->fault, note);
	return faulty->inner->vtable->identity(faulty->inner, ret_identity, note);
}

static void faulty_log_close(struct log_reader *reader)
{
	struct faulty_log *faulty = (struct faulty_log *)reader;
	faulty->inner->vtable->close(faulty->inner);
	free(faulty);
}

static const struct log_reader_vtable log_vtable = {.poll = faulty_poll,
						    .seek = faulty_seek,
						    .commit = faulty_commit,
						    .identity = faulty_identity,
						    .close = faulty_log_close};

static enum error faulty_take(struct store *store, int32_t partition, const uint8_t log_identity[16], int64_t *ret_position,
			      struct error_note *note)
{
	struct faulty_store *faulty = (struct faulty_store *)store;
	struct fault *fault = faulty->fault;
	enum fate fate = draw_fate(fault, "take", true);
	if (fate == FATE_FAILS)
		return some_error(fault, note);
	struct error_note inner_note = {0};
	int64_t position;
	enum error error = faulty->inner->vtable->take(faulty->inner, partition, log_identity, &position, &inner_note);
	if (error != ERROR_OK)
		fail_inner(fault, "take", error, &inner_note);
	fault->taken_over = false;
	if (position != fault->store_position)
		world_fail(fault->world, "the store says position %" PRId64 ", it was told %" PRId64, position,
			   fault->store_position);
	if (fate != FATE_PASSES || fault->world->crashed)
		return some_error(fault, note);
	*ret_position = position;
	return ERROR_OK;
}

static bool read_fails(struct faulty_store *faulty, const char *call)
{
	return draw_fate(faulty->fault, call, false) == FATE_FAILS;
}

static enum error faulty_read_windows(struct store *store, struct window_row *rows, size_t count, struct error_note *note)
{
	struct faulty_store *faulty = (struct faulty_store *)store;
	if (read_fails(faulty, "read_windows"))
		return some_error(faulty->fault, note);
	return faulty->inner->vtable->read_windows(faulty->inner, rows, count, note);
}

static enum error faulty_read_days(struct store *store, struct day_row *rows, size_t count, struct error_note *note)
{
	struct faulty_store *faulty = (struct faulty_store *)store;
	if (read_fails(faulty, "read_days"))
		return some_error(faulty->fault, note);
	return faulty->inner->vtable->read_days(faulty->inner, rows, count, note);
}

static enum error faulty_read_clients(struct store *store, const struct address *clients, size_t count, int64_t start_ms,
				      void (*visit)(void *context, const struct address *client, const struct client_row *row,
						    const struct window_row *windows, size_t window_count),
				      void *context, struct error_note *note)
{
	struct faulty_store *faulty = (struct faulty_store *)store;
	if (read_fails(faulty, "read_clients"))
		return some_error(faulty->fault, note);
	/* Some are visited, then it fails. */
	if (count > 1 && world_once_in(faulty->fault->world, faulty->fault->odds.fail)) {
		size_t some = (size_t)world_between(faulty->fault->world, 0, (int64_t)count - 1);
		faulty->inner->vtable->read_clients(faulty->inner, clients, some, start_ms, visit, context, note);
		return some_error(faulty->fault, note);
	}
	return faulty->inner->vtable->read_clients(faulty->inner, clients, count, start_ms, visit, context, note);
}

static enum error faulty_list_due(struct store *store, int32_t partition, int64_t now_ms, struct address *ret_clients, size_t max,
				  size_t *ret_count, struct error_note *note)
{
	struct faulty_store *faulty = (struct faulty_store *)store;
	if (read_fails(faulty, "list_due"))
		return some_error(faulty->fault, note);
	return faulty->inner->vtable->list_due(faulty->inner, partition, now_ms, ret_clients, max, ret_count, note);
}

static size_t some_of(struct world *world, size_t count)
{
	return (size_t)world_between(world, 0, (int64_t)count);
}

/* A store that isn't one transaction may be left like this: some rows written, the position not. */
static struct engine_dirty tear(struct world *world, const struct engine_dirty *dirty)
{
	struct engine_dirty part = *dirty;
	part.window_count = some_of(world, dirty->window_count);
	part.day_count = some_of(world, dirty->day_count);
	part.client_count = some_of(world, dirty->client_count);
	part.activity_count = some_of(world, dirty->activity_count);
	return part;
}

static enum error faulty_write(struct store *store, int32_t partition, const struct engine_dirty *dirty, int64_t position,
			       struct error_note *note)
{
	struct faulty_store *faulty = (struct faulty_store *)store;
	struct fault *fault = faulty->fault;
	enum fate fate = draw_fate(fault, "write", true);
	if (fate == FATE_FAILS)
		return some_error(fault, note);
	if (world_once_in(fault->world, fault->odds.fence))
		let_another_work(fault);
	struct engine_dirty part = *dirty;
	if (fate == FATE_TORN) {
		part = tear(fault->world, dirty);
		position = fault->store_position;
		fault->truth->torn = true;
	}
	struct error_note inner_note = {0};
	enum error error = faulty->inner->vtable->write(faulty->inner, partition, &part, position, &inner_note);
	if (error == ERROR_FENCED && fault->taken_over)
		return ERROR_FENCED;
	if (error != ERROR_OK)
		fail_inner(fault, "write", error, &inner_note);
	truth_check_write(fault->truth, &part, position);
	if (position < fault->store_position)
		world_fail(fault->world, "the store's position goes back from %" PRId64 " to %" PRId64, fault->store_position,
			   position);
	fault->store_position = position;
	world_trace(fault->world, "wrote", (int64_t)(part.window_count + part.day_count), position);
	return fate == FATE_PASSES && !fault->world->crashed ? ERROR_OK : some_error(fault, note);
}

static enum error faulty_prune_windows(struct store *store, int64_t before_ms, size_t max, size_t *ret_removed,
				       struct error_note *note)
{
	struct faulty_store *faulty = (struct faulty_store *)store;
	enum fate fate = draw_fate(faulty->fault, "prune_windows", true);
	if (fate == FATE_FAILS)
		return some_error(faulty->fault, note);
	enum error error = faulty->inner->vtable->prune_windows(faulty->inner, before_ms, max, ret_removed, note);
	return fate == FATE_PASSES ? error : some_error(faulty->fault, note);
}

static void faulty_store_close(struct store *store)
{
	struct faulty_store *faulty = (struct faulty_store *)store;
	faulty->inner->vtable->close(faulty->inner);
	free(faulty);
}

static const struct store_vtable store_vtable = {.take = faulty_take,
						 .read_windows = faulty_read_windows,
						 .read_days = faulty_read_days,
						 .read_clients = faulty_read_clients,
						 .list_due = faulty_list_due,
						 .write = faulty_write,
						 .prune_windows = faulty_prune_windows,
						 .close = faulty_store_close};

static void *must(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

struct ledger *fault_wrap_ledger(struct fault *fault, struct ledger *inner)
{
	struct faulty_ledger *faulty = must(calloc(1, sizeof *faulty));
	*faulty = (struct faulty_ledger){{&ledger_vtable}, inner, fault};
	return &faulty->ledger;
}

struct log_reader *fault_wrap_log(struct fault *fault, struct log_reader *inner)
{
	struct faulty_log *faulty = must(calloc(1, sizeof *faulty));
	*faulty = (struct faulty_log){.reader.vtable = &log_vtable, .inner = inner, .fault = fault, .position = POSITION_NONE};
	return &faulty->reader;
}

struct store *fault_wrap_store(struct fault *fault, struct store *inner)
{
	struct faulty_store *faulty = must(calloc(1, sizeof *faulty));
	*faulty = (struct faulty_store){{.vtable = &store_vtable}, inner, fault};
	return &faulty->store;
}
