/* Drops the days of the ledger that are past --ledger-retention: at the start, and each hour from then on, on a thread of its
 * own, as a day takes a while to add up. Any number of processes may do so: one day is dropped once.
 */
#ifndef PING_APP_LEDGER_RETENTION_H
#define PING_APP_LEDGER_RETENTION_H

#include "app/backend.h"

struct ledger_retention;

/* Where nothing is to be dropped, *ret_retention is NULL. The config must outlive it. NO_MEMORY, RESOURCE_EXHAUSTED (no thread).
 */
enum error ledger_retention_start(const struct pingd_config *config, struct ledger_retention **ret_retention);
/* Waits for a day that is being dropped. NULL: nothing. */
void ledger_retention_stop(struct ledger_retention *retention);

#endif
