/* A ledger_reader over an array of sums. Its contract at its simplest; order of adding doesn't matter.
 */
#ifndef PING_TESTS_FAKE_LEDGER_H
#define PING_TESTS_FAKE_LEDGER_H

#include "port/ledger.h"

enum { FAKE_LEDGER_MAX = 8192 };

struct fake_ledger {
	struct ledger_reader reader;
	struct ledger_sum sums[FAKE_LEDGER_MAX];
	size_t count;
	int64_t rolled_up; /* beside the rows' sum; 0: it is equal */
	enum error fail;   /* what every call answers, where it isn't OK */
	unsigned runs;	   /* of sum_windows */
	int64_t up_to;	   /* of the last of them */
	bool unordered;	   /* gives the sums as they were added */
};

struct fake_ledger *fake_ledger_create(void);
void fake_ledger_destroy(struct fake_ledger *fake);
/* As fake_store_add_window; position 1. */
struct ledger_sum *fake_ledger_add(struct fake_ledger *fake, struct address client, int64_t start_ms, int64_t count);

#endif
