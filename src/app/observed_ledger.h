/* A ledger that tells how its appends went: the health of the ledger, and how long commits take. Everything else is passed
 * through.
 */
#ifndef PING_APP_OBSERVED_LEDGER_H
#define PING_APP_OBSERVED_LEDGER_H

#include "base/clock.h"
#include "port/ledger.h"

struct ledger_observer {
	/* On the publisher's thread, after each append or probe. */
	void (*appended)(void *context, size_t count, int64_t took_us, enum error error, const struct error_note *note);
	void *context;
};

/* `inner` is closed with it. ERROR_NO_MEMORY. */
enum error observed_ledger_create(struct ledger *inner, struct clock *clock, const struct ledger_observer *observer,
				  struct ledger **ret_ledger);

#endif
