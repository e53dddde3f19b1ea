/* Another process with an engine of its own, which has the partition for a while: it takes it in the store and carries the log on
 * up to some position. What this process still knows or writes is stale from then on.
 */
#ifndef PING_SIM_OTHER_H
#define PING_SIM_OTHER_H

#include "adapter.h"
#include "truth.h"

/* The position that the store stands at then. The adapter can have another process; store_position: where it stands now. */
int64_t other_process_works(struct adapter *adapter, struct truth *truth, int64_t store_position);

#endif
