/* What every slot_ledger must do, whichever it is: a suite against src/port/publish.h that each adapter and model runs.
 */
#ifndef PING_TESTS_SLOT_CONTRACT_H
#define PING_TESTS_SLOT_CONTRACT_H

#include "port/publish.h"

/* Each test begins with `begin` (new and empty; at least three slots, no row without a batch) and ends with `end`. The functions
 * assert for themselves that they succeed. */
struct slot_contract {
	void (*begin)(struct slot_contract *contract);
	void (*end)(struct slot_contract *contract);
	/* Another publisher's, of the same database; the suite closes it. Leases are longer than a test, lock_timeout is short.
	 */
	struct slot_ledger *(*open)(struct slot_contract *contract);
	/* As if the time of every lease had run out. */
	void (*expire)(struct slot_contract *contract);
	/* All rows, or those with a position. */
	int64_t (*count_rows)(struct slot_contract *contract, bool with_position);
};

/* Runs the suite; the number of failed tests. */
int slot_contract_run(struct slot_contract *contract);

#endif
