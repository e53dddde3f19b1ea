/* What every store must do, whichever it is: a suite against src/port/store.h that each adapter and model runs.
 */
#ifndef PING_TESTS_STORE_CONTRACT_H
#define PING_TESTS_STORE_CONTRACT_H

#include "port/store.h"

/* Each test begins with `begin` (a new, empty store) and ends with `end`. The functions assert for themselves that they succeed.
 */
struct store_contract {
	void (*begin)(struct store_contract *contract);
	void (*end)(struct store_contract *contract);
	/* Closes both and opens them again, as a new process does. */
	void (*reopen)(struct store_contract *contract);
	/* Windows go by their TTL, and a clock that was set back is not noticed: the tests of those are left out. */
	bool distributed;
	/* Set by begin and reopen. */
	struct store *store;
	struct store_reader *reader;
};

/* Runs the suite; the number of failed tests. */
int store_contract_run(struct store_contract *contract);

#endif
