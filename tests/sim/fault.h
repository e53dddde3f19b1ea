/* The ports as a process sees them on a bad day. Each call through them may fail before it had an effect, or after; stop half-way
 * through a write; take its time; or be the last that the process does. What really took effect is told to the truth.
 *
 *   ingest, stream ──► fault (this) ──► ledger, log, store of the adapter under it
 *                         └─► truth
 *
 * A crash sets world->crashed. A process that crashed runs on to where it can be put away, but nothing that it does has an effect
 * any more.
 */
#ifndef PING_SIM_FAULT_H
#define PING_SIM_FAULT_H

#include "adapter.h"
#include "truth.h"

/* Once in so many calls; 0: never. */
struct fault_odds {
	uint32_t fail, in_doubt, torn, crash, disk_full, slow;
	uint32_t rebalance; /* the log gives the partition to another process for a while; of polls */
	uint32_t fence;	    /* another process takes the partition, which the log does not say yet; of writes */
};

struct fault {
	struct world *world;
	struct truth *truth;
	struct adapter *adapter;
	struct fault_odds odds;
	int64_t disk_full_until_us;
	int64_t crashes, failures;
	int64_t store_position; /* as last written */
	bool taken_over;	/* by another process, since our last take */
};

/* Wrap a port; close closes the inner one. The fault must outlive them. */
struct ledger *fault_wrap_ledger(struct fault *fault, struct ledger *inner);
struct log_reader *fault_wrap_log(struct fault *fault, struct log_reader *inner);
struct store *fault_wrap_store(struct fault *fault, struct store *inner);

#endif
