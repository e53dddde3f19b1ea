#include "app/observed_ledger.h"

#include <stdlib.h>

struct observed_ledger {
	struct ledger ledger;
	struct ledger *inner;
	struct clock *clock;
	struct ledger_observer observer;
};

static struct observed_ledger *observed(struct ledger *ledger)
{
	return (struct observed_ledger *)ledger;
}

static void tell(struct observed_ledger *self, size_t count, int64_t begin_us, enum error error, const struct error_note *note)
{
	self->observer.appended(self->observer.context, count, clock_monotonic_us(self->clock) - begin_us, error, note);
}

static enum error observed_append(struct ledger *ledger, struct ledger_ping *pings, size_t count, struct error_note *note)
{
	struct observed_ledger *self = observed(ledger);
	int64_t begin_us = clock_monotonic_us(self->clock);
	enum error error = self->inner->vtable->append(self->inner, pings, count, note);
	tell(self, count, begin_us, error, note);
	return error;
}

static enum error observed_probe(struct ledger *ledger, struct error_note *note)
{
	struct observed_ledger *self = observed(ledger);
	int64_t begin_us = clock_monotonic_us(self->clock);
	enum error error = self->inner->vtable->probe(self->inner, note);
	tell(self, 0, begin_us, error, note);
	return error;
}

static enum error observed_last_id(struct ledger *ledger, struct uuid *ret_id, struct error_note *note)
{
	return observed(ledger)->inner->vtable->last_id(observed(ledger)->inner, ret_id, note);
}

static enum error observed_prune_keys(struct ledger *ledger, int64_t before_ms, size_t max, size_t *ret_removed,
				      struct error_note *note)
{
	return observed(ledger)->inner->vtable->prune_keys(observed(ledger)->inner, before_ms, max, ret_removed, note);
}

static void observed_close(struct ledger *ledger)
{
	observed(ledger)->inner->vtable->close(observed(ledger)->inner);
	free(ledger);
}

static const struct ledger_vtable observed_vtable = {
	.append = observed_append,
	.last_id = observed_last_id,
	.prune_keys = observed_prune_keys,
	.probe = observed_probe,
	.close = observed_close,
};

enum error observed_ledger_create(struct ledger *inner, struct clock *clock, const struct ledger_observer *observer,
				  struct ledger **ret_ledger)
{
	struct observed_ledger *self = malloc(sizeof *self);
	if (self == NULL)
		return ERROR_NO_MEMORY;
	*self = (struct observed_ledger){
		.ledger.vtable = &observed_vtable, .inner = inner, .clock = clock, .observer = *observer};
	*ret_ledger = &self->ledger;
	return ERROR_OK;
}
