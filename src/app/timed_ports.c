#include "app/timed_ports.h"

#include <stdlib.h>

static const struct {
	const char *port, *name;
} calls[] = {
#define TIMED_CALL_ROW(name, port, call) {port, call},
	TIMED_CALLS(TIMED_CALL_ROW)
#undef TIMED_CALL_ROW
};

const char *timed_call_port(enum timed_call call)
{
	return calls[call].port;
}

const char *timed_call_name(enum timed_call call)
{
	return calls[call].name;
}

struct timer {
	struct clock *clock;
	struct timed_ports_observer observer;
};

static enum error told(const struct timer *timer, enum timed_call call, size_t rows, int64_t begin_us, enum error error)
{
	timer->observer.called(timer->observer.context, call, rows, clock_monotonic_us(timer->clock) - begin_us, error);
	return error;
}

/* ─── Ledger ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct timed_ledger {
	struct slot_ledger ledger;
	struct slot_ledger *inner;
	struct timer timer;
};

static struct timed_ledger *begin_ledger(struct slot_ledger *base, int64_t *ret_begin_us)
{
	struct timed_ledger *self = (struct timed_ledger *)base;
	*ret_begin_us = clock_monotonic_us(self->timer.clock);
	return self;
}

static enum error timed_take(struct slot_ledger *base, enum publish_take which, struct publish_slot *ret_slot,
			     struct error_note *note)
{
	int64_t begin_us;
	struct timed_ledger *self = begin_ledger(base, &begin_us);
	enum error error = self->inner->vtable->take(self->inner, which, ret_slot, note);
	return told(&self->timer, TIMED_LEDGER_TAKE, 0, begin_us, error);
}

static enum error timed_renew(struct slot_ledger *base, const struct publish_slot *slot, struct error_note *note)
{
	int64_t begin_us;
	struct timed_ledger *self = begin_ledger(base, &begin_us);
	enum error error = self->inner->vtable->renew(self->inner, slot, note);
	return told(&self->timer, TIMED_LEDGER_RENEW, 0, begin_us, error);
}

static enum error timed_release(struct slot_ledger *base, const struct publish_slot *slot, bool finished, struct error_note *note)
{
	int64_t begin_us;
	struct timed_ledger *self = begin_ledger(base, &begin_us);
	enum error error = self->inner->vtable->release(self->inner, slot, finished, note);
	return told(&self->timer, TIMED_LEDGER_RELEASE, 0, begin_us, error);
}

static enum error timed_settle(struct slot_ledger *base, struct publish_slot *slot, struct error_note *note)
{
	int64_t begin_us;
	struct timed_ledger *self = begin_ledger(base, &begin_us);
	enum error error = self->inner->vtable->settle(self->inner, slot, note);
	return told(&self->timer, TIMED_LEDGER_SETTLE, 0, begin_us, error);
}

static enum error timed_claim(struct slot_ledger *base, struct publish_claim *claims, size_t count, struct error_note *note)
{
	int64_t begin_us;
	struct timed_ledger *self = begin_ledger(base, &begin_us);
	enum error error = self->inner->vtable->claim(self->inner, claims, count, note);
	return told(&self->timer, TIMED_LEDGER_CLAIM, 0, begin_us, error);
}

static enum error timed_commit(struct slot_ledger *base, const struct publish_slot *slot, int64_t batch,
			       const struct ledger_ping *rows, size_t count, struct error_note *note)
{
	int64_t begin_us;
	struct timed_ledger *self = begin_ledger(base, &begin_us);
	enum error error = self->inner->vtable->commit(self->inner, slot, batch, rows, count, note);
	return told(&self->timer, TIMED_LEDGER_COMMIT, count, begin_us, error);
}

static enum error timed_insert(struct slot_ledger *base, const struct ledger_ping *rows, size_t count, struct error_note *note)
{
	int64_t begin_us;
	struct timed_ledger *self = begin_ledger(base, &begin_us);
	enum error error = self->inner->vtable->insert(self->inner, rows, count, note);
	return told(&self->timer, TIMED_LEDGER_INSERT, 0, begin_us, error);
}

static enum error timed_commit_inserted(struct slot_ledger *base, const struct ledger_ping *rows, size_t count,
					struct error_note *note)
{
	int64_t begin_us;
	struct timed_ledger *self = begin_ledger(base, &begin_us);
	enum error error = self->inner->vtable->commit_inserted(self->inner, rows, count, note);
	return told(&self->timer, TIMED_LEDGER_COMMIT, count, begin_us, error);
}

/* Not a call that waits for the server, but for a ROLLBACK of what has failed anyway. */
static void pass_abandon(struct slot_ledger *base)
{
	struct timed_ledger *self = (struct timed_ledger *)base;
	self->inner->vtable->abandon(self->inner);
}

static enum error timed_read_batches(struct slot_ledger *base, const struct publish_slot *slot, int64_t after, size_t enough,
				     struct publish_run *ret_run, void (*visit)(void *context, const struct ledger_ping *row),
				     void *context, struct error_note *note)
{
	int64_t begin_us;
	struct timed_ledger *self = begin_ledger(base, &begin_us);
	enum error error = self->inner->vtable->read_batches(self->inner, slot, after, enough, ret_run, visit, context, note);
	return told(&self->timer, TIMED_LEDGER_READ_BATCHES, 0, begin_us, error);
}

static enum error timed_set_positions(struct slot_ledger *base, const struct publish_slot *slot, const struct ledger_ping *rows,
				      size_t count, struct error_note *note)
{
	int64_t begin_us;
	struct timed_ledger *self = begin_ledger(base, &begin_us);
	enum error error = self->inner->vtable->set_positions(self->inner, slot, rows, count, note);
	return told(&self->timer, TIMED_LEDGER_SET_POSITIONS, 0, begin_us, error);
}

static enum error timed_prune_keys(struct slot_ledger *base, int64_t retention_ms, size_t max, size_t *ret_removed,
				   struct error_note *note)
{
	int64_t begin_us;
	struct timed_ledger *self = begin_ledger(base, &begin_us);
	enum error error = self->inner->vtable->prune_keys(self->inner, retention_ms, max, ret_removed, note);
	return told(&self->timer, TIMED_LEDGER_PRUNE_KEYS, 0, begin_us, error);
}

static void close_ledger(struct slot_ledger *base)
{
	struct timed_ledger *self = (struct timed_ledger *)base;
	self->inner->vtable->close(self->inner);
	free(self);
}

enum error timed_slot_ledger_create(struct slot_ledger *inner, struct clock *clock, const struct timed_ports_observer *observer,
				    struct slot_ledger **ret_ledger)
{
	static const struct slot_ledger_vtable vtable = {
		.take = timed_take,
		.renew = timed_renew,
		.release = timed_release,
		.settle = timed_settle,
		.claim = timed_claim,
		.commit = timed_commit,
		.insert = timed_insert,
		.commit_inserted = timed_commit_inserted,
		.abandon = pass_abandon,
		.read_batches = timed_read_batches,
		.set_positions = timed_set_positions,
		.prune_keys = timed_prune_keys,
		.close = close_ledger,
	};
	struct timed_ledger *self = malloc(sizeof *self);
	if (self == NULL)
		return ERROR_NO_MEMORY;
	*self = (struct timed_ledger){.ledger.vtable = &vtable, .inner = inner, .timer = {clock, *observer}};
	*ret_ledger = &self->ledger;
	return ERROR_OK;
}

/* ─── Log ───────────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct timed_log {
	struct publish_log log;
	struct publish_log *inner;
	struct timer timer;
};

static struct timed_log *begin_log(struct publish_log *base, int64_t *ret_begin_us)
{
	struct timed_log *self = (struct timed_log *)base;
	*ret_begin_us = clock_monotonic_us(self->timer.clock);
	return self;
}

static enum error timed_open(struct publish_log *base, int32_t slot, struct error_note *note)
{
	int64_t begin_us;
	struct timed_log *self = begin_log(base, &begin_us);
	enum error error = self->inner->vtable->open(self->inner, slot, note);
	return told(&self->timer, TIMED_LOG_OPEN, 0, begin_us, error);
}

static enum error timed_check(struct publish_log *base, struct error_note *note)
{
	struct timed_log *self = (struct timed_log *)base;
	return self->inner->vtable->check(self->inner, note);
}

static enum error timed_newest(struct publish_log *base, struct publish_record *ret_record, struct error_note *note)
{
	int64_t begin_us;
	struct timed_log *self = begin_log(base, &begin_us);
	enum error error = self->inner->vtable->newest(self->inner, ret_record, note);
	return told(&self->timer, TIMED_LOG_NEWEST, 0, begin_us, error);
}

static enum error timed_find(struct publish_log *base, struct ledger_ping *rows, size_t count, struct error_note *note)
{
	int64_t begin_us;
	struct timed_log *self = begin_log(base, &begin_us);
	enum error error = self->inner->vtable->find(self->inner, rows, count, note);
	return told(&self->timer, TIMED_LOG_FIND, 0, begin_us, error);
}

static enum error timed_produce(struct publish_log *base, const struct publish_record *record, struct ledger_ping *rows,
				size_t count, struct error_note *note)
{
	int64_t begin_us;
	struct timed_log *self = begin_log(base, &begin_us);
	enum error error = self->inner->vtable->produce(self->inner, record, rows, count, note);
	return told(&self->timer, TIMED_LOG_PRODUCE, count, begin_us, error);
}

static enum error timed_log_commit(struct publish_log *base, struct error_note *note)
{
	int64_t begin_us;
	struct timed_log *self = begin_log(base, &begin_us);
	enum error error = self->inner->vtable->commit(self->inner, note);
	return told(&self->timer, TIMED_LOG_COMMIT, 0, begin_us, error);
}

static enum error timed_abort(struct publish_log *base, struct error_note *note)
{
	int64_t begin_us;
	struct timed_log *self = begin_log(base, &begin_us);
	enum error error = self->inner->vtable->abort(self->inner, note);
	return told(&self->timer, TIMED_LOG_ABORT, 0, begin_us, error);
}

static void close_log(struct publish_log *base)
{
	struct timed_log *self = (struct timed_log *)base;
	self->inner->vtable->close(self->inner);
	free(self);
}

enum error timed_publish_log_create(struct publish_log *inner, struct clock *clock, const struct timed_ports_observer *observer,
				    struct publish_log **ret_log)
{
	static const struct publish_log_vtable vtable = {
		.open = timed_open,
		.check = timed_check,
		.newest = timed_newest,
		.find = timed_find,
		.produce = timed_produce,
		.commit = timed_log_commit,
		.abort = timed_abort,
		.close = close_log,
	};
	struct timed_log *self = malloc(sizeof *self);
	if (self == NULL)
		return ERROR_NO_MEMORY;
	*self = (struct timed_log){.log.vtable = &vtable, .inner = inner, .timer = {clock, *observer}};
	*ret_log = &self->log;
	return ERROR_OK;
}
