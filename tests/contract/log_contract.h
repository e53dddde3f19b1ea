/* What every log with one partition must do, whichever it is: a suite against src/port/log.h that each adapter and model runs.
 */
#ifndef PING_TESTS_LOG_CONTRACT_H
#define PING_TESTS_LOG_CONTRACT_H

#include "port/log.h"

/* Each test begins with `begin` (a new, empty log and a reader of it) and ends with `end`. The functions assert for themselves
 * that they succeed. */
struct log_contract {
	void (*begin)(struct log_contract *contract);
	void (*end)(struct log_contract *contract);
	/* Adds `count` events of the client in one commit, with pinged_at = first_ms, first_ms + 1, …; all received at
	 * received_ms, unless the log has a clock of its own. Any thread. */
	void (*append)(struct log_contract *contract, const struct address *client, int64_t first_ms, int64_t received_ms,
		       size_t count);
	/* Closes the reader and opens another, of the same log. */
	void (*reopen)(struct log_contract *contract);
	/* Makes the log anew: an empty one, with a new reader. */
	void (*replace)(struct log_contract *contract);
	struct log_reader *log; /* set by all that open */
	bool own_clock;		/* the log says when an event was received */
	int settle_ms;		/* so long it may take until a reader hears of what is there; 0: it knows at once */
};

/* Runs the suite; the number of failed tests. */
int log_contract_run(struct log_contract *contract);

#endif
