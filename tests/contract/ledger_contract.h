/* What every ledger must do, whichever it is: a suite against src/port/ledger.h that each adapter and model runs.
 */
#ifndef PING_TESTS_LEDGER_CONTRACT_H
#define PING_TESTS_LEDGER_CONTRACT_H

#include "port/ledger.h"

/* How the suite gets what it tests. Each test begins with `begin` (a new, empty ledger) and ends with `end`. The functions assert
 * for themselves that they succeed. */
struct ledger_contract {
	void (*begin)(struct ledger_contract *contract);
	void (*end)(struct ledger_contract *contract);
	/* Of the same ledger; the suite closes it. NULL: there are no readers. */
	struct ledger_reader *(*open_reader)(struct ledger_contract *contract);
	/* Closes the ledger and opens it again, as a new process does. */
	void (*reopen)(struct ledger_contract *contract);
	struct ledger *ledger; /* set by begin and reopen */
	bool no_positions;     /* there is no log: no row has a position */
};

/* Runs the suite; the number of failed tests. */
int ledger_contract_run(struct ledger_contract *contract);

#endif
