/* The rows of clients made anew: from the ledger's sums up to a position, from what has come since, and from what the store has.
 * Pure.
 *
 *   remake_begin(clients) ─ the store's rows: remake_see_* ─ the ledger's: remake_sum ─► remake_finish ─► dirty, removal
 *
 * Pings that a row keeps, of which neither has anything but the number, stay in it: such a row never becomes less. What the
 * ledger has of more of them than the log had is taken for some of those that are kept. A row of which ledger and log have
 * nothing is removed if it has a position; without one it is of somebody who filled the tables before us, and stays. Windows past
 * their retention are neither written nor removed: they go by themselves.
 */
#ifndef PING_STREAM_REMAKE_H
#define PING_STREAM_REMAKE_H

#include "port/store.h"
#include "stream/delta.h"

struct remake;

struct remake_scope {
	int64_t day_ms; /* rows of this day alone; REBUILD_EVERY_DAY */
	int64_t now_ms;
	int64_t window_retention_ms; /* 0: for ever */
};

/* NO_MEMORY. */
enum error remake_create(struct remake **ret_remake);
/* NULL: nothing. */
void remake_destroy(struct remake *remake);

void remake_begin(struct remake *remake, const struct remake_scope *scope);
/* What the store is to tell its rows to: context is the remake. */
struct store_rows remake_visitors(struct remake *remake);
/* What the ledger has, up to where the delta begins. */
void remake_sum(struct remake *remake, const struct ledger_sum *sum);
/* The clients stand in order of address. The arrays live until the next begin. NO_MEMORY: of anything since begin. */
enum error remake_finish(struct remake *remake, const struct address *clients, size_t count, const struct delta *delta,
			 struct engine_dirty *ret_dirty, struct store_removal *ret_removal);
/* Of those rows: how many the store had otherwise. */
size_t remake_corrected(const struct remake *remake);

#endif
