#include "app/timed_store.h"

#include <stdlib.h>

/* What a store learns to do must be passed on here, too. */
_Static_assert(sizeof(struct store_vtable) == 17 * sizeof(void (*)(void)), "every call of a store has its own below");

const char *store_call_name(enum store_call call)
{
	static const char *const names[] = {
#define STORE_CALL_NAME(name, call) call,
		STORE_CALLS(STORE_CALL_NAME)
#undef STORE_CALL_NAME
	};
	return names[call];
}

struct timed_store {
	struct store store;
	struct store *inner;
	struct clock *clock;
	struct store_observer observer;
	struct store_vtable vtable;
};

static struct timed_store *begin(struct store *base, int64_t *ret_begin_us)
{
	struct timed_store *self = (struct timed_store *)base;
	*ret_begin_us = clock_monotonic_us(self->clock);
	return self;
}

static enum error told(const struct timed_store *self, enum store_call call, size_t rows, int64_t begin_us, enum error error)
{
	self->observer.called(self->observer.context, call, rows, clock_monotonic_us(self->clock) - begin_us, error);
	return error;
}

static enum error timed_take(struct store *base, int32_t partition, const uint8_t log_identity[16], int64_t *ret_position,
			     struct error_note *note)
{
	int64_t begin_us;
	struct timed_store *self = begin(base, &begin_us);
	enum error error = self->inner->vtable->take(self->inner, partition, log_identity, ret_position, note);
	return told(self, STORE_CALL_TAKE, 0, begin_us, error);
}

static void pass_release(struct store *base, int32_t partition)
{
	struct timed_store *self = (struct timed_store *)base;
	self->inner->vtable->release(self->inner, partition);
}

static enum error timed_read_windows(struct store *base, struct window_row *rows, size_t count, struct error_note *note)
{
	int64_t begin_us;
	struct timed_store *self = begin(base, &begin_us);
	enum error error = self->inner->vtable->read_windows(self->inner, rows, count, note);
	return told(self, STORE_CALL_READ_WINDOWS, count, begin_us, error);
}

static enum error timed_read_days(struct store *base, struct day_row *rows, size_t count, struct error_note *note)
{
	int64_t begin_us;
	struct timed_store *self = begin(base, &begin_us);
	enum error error = self->inner->vtable->read_days(self->inner, rows, count, note);
	return told(self, STORE_CALL_READ_DAYS, count, begin_us, error);
}

static enum error timed_read_clients(struct store *base, const struct address *clients, size_t count, int64_t start_ms,
				     void (*visit)(void *context, const struct address *client, const struct client_row *row,
						   const struct window_row *windows, size_t window_count),
				     void *context, struct error_note *note)
{
	int64_t begin_us;
	struct timed_store *self = begin(base, &begin_us);
	enum error error = self->inner->vtable->read_clients(self->inner, clients, count, start_ms, visit, context, note);
	return told(self, STORE_CALL_READ_CLIENTS, count, begin_us, error);
}

static enum error timed_list_due(struct store *base, int32_t partition, int64_t now_ms, struct address *ret_clients, size_t max,
				 size_t *ret_count, struct error_note *note)
{
	int64_t begin_us;
	struct timed_store *self = begin(base, &begin_us);
	enum error error = self->inner->vtable->list_due(self->inner, partition, now_ms, ret_clients, max, ret_count, note);
	return told(self, STORE_CALL_LIST_DUE, error == ERROR_OK ? *ret_count : 0, begin_us, error);
}

static enum error timed_write(struct store *base, int32_t partition, const struct engine_dirty *dirty, int64_t position,
			      struct error_note *note)
{
	int64_t begin_us;
	struct timed_store *self = begin(base, &begin_us);
	size_t rows = dirty->window_count + dirty->day_count + dirty->client_count + dirty->activity_count;
	enum error error = self->inner->vtable->write(self->inner, partition, dirty, position, note);
	return told(self, STORE_CALL_WRITE, rows, begin_us, error);
}

static enum error timed_prune_windows(struct store *base, int64_t before_ms, size_t max, size_t *ret_removed,
				      struct error_note *note)
{
	int64_t begin_us;
	struct timed_store *self = begin(base, &begin_us);
	enum error error = self->inner->vtable->prune_windows(self->inner, before_ms, max, ret_removed, note);
	return told(self, STORE_CALL_PRUNE_WINDOWS, error == ERROR_OK ? *ret_removed : 0, begin_us, error);
}

static enum error timed_sweep(struct store *base, size_t *ret_repaired, bool *ret_urgent, struct error_note *note)
{
	int64_t begin_us;
	struct timed_store *self = begin(base, &begin_us);
	enum error error = self->inner->vtable->sweep(self->inner, ret_repaired, ret_urgent, note);
	return told(self, STORE_CALL_SWEEP, error == ERROR_OK ? *ret_repaired : 0, begin_us, error);
}

static enum error pass_find_rebuild(struct store *base, int32_t partition, struct rebuild_request *ret_request,
				    struct error_note *note)
{
	struct timed_store *self = (struct timed_store *)base;
	return self->inner->vtable->find_rebuild(self->inner, partition, ret_request, note);
}

static enum error pass_put_rebuild(struct store *base, const struct rebuild_request *request, struct error_note *note)
{
	struct timed_store *self = (struct timed_store *)base;
	return self->inner->vtable->put_rebuild(self->inner, request, note);
}

static enum error timed_read_rows(struct store *base, const struct address *clients, size_t count, const struct store_rows *rows,
				  struct error_note *note)
{
	int64_t begin_us;
	struct timed_store *self = begin(base, &begin_us);
	enum error error = self->inner->vtable->read_rows(self->inner, clients, count, rows, note);
	return told(self, STORE_CALL_READ_ROWS, count, begin_us, error);
}

static enum error timed_remove(struct store *base, int32_t partition, const struct store_removal *removal,
			       struct error_note *note)
{
	int64_t begin_us;
	struct timed_store *self = begin(base, &begin_us);
	size_t rows = removal->window_count + removal->day_count + removal->client_count;
	enum error error = self->inner->vtable->remove(self->inner, partition, removal, note);
	return told(self, STORE_CALL_REMOVE, rows, begin_us, error);
}

static enum error pass_held(struct store *base, struct error_note *note)
{
	struct timed_store *self = (struct timed_store *)base;
	return self->inner->vtable->held(self->inner, note);
}

static enum error pass_find_inherited(struct store *base, int32_t partition, struct error_note *note)
{
	struct timed_store *self = (struct timed_store *)base;
	return self->inner->vtable->find_inherited(self->inner, partition, note);
}

static enum error pass_merge_inherited(struct store *base, int32_t partition, struct store_merge *ret_merge,
				       struct error_note *note)
{
	struct timed_store *self = (struct timed_store *)base;
	return self->inner->vtable->merge_inherited(self->inner, partition, ret_merge, note);
}

static void close_both(struct store *base)
{
	struct timed_store *self = (struct timed_store *)base;
	self->inner->vtable->close(self->inner);
	free(self);
}

enum error timed_store_create(struct store *inner, struct clock *clock, const struct store_observer *observer,
			      struct store **ret_store)
{
	struct timed_store *self = calloc(1, sizeof *self);
	if (self == NULL)
		return ERROR_NO_MEMORY;
	self->inner = inner;
	self->clock = clock;
	self->observer = *observer;
	self->vtable = (struct store_vtable){
		.take = timed_take,
		.release = inner->vtable->release == NULL ? NULL : pass_release,
		.read_windows = timed_read_windows,
		.read_days = timed_read_days,
		.read_clients = timed_read_clients,
		.list_due = timed_list_due,
		.write = timed_write,
		.prune_windows = timed_prune_windows,
		.sweep = inner->vtable->sweep == NULL ? NULL : timed_sweep,
		.close = close_both,
		.held = inner->vtable->held == NULL ? NULL : pass_held,
	};
	if (inner->vtable->find_rebuild != NULL) {
		self->vtable.find_rebuild = pass_find_rebuild;
		self->vtable.put_rebuild = pass_put_rebuild;
		self->vtable.read_rows = timed_read_rows;
		self->vtable.remove = timed_remove;
	}
	if (inner->vtable->find_inherited != NULL) {
		self->vtable.find_inherited = pass_find_inherited;
		self->vtable.merge_inherited = pass_merge_inherited;
	}
	self->store.vtable = &self->vtable;
	self->store.log_epoch = inner->log_epoch;
	*ret_store = &self->store;
	return ERROR_OK;
}
