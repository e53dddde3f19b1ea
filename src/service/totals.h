/* The store's totals for all who ask. Counting 100,000 clients takes milliseconds, and every open dashboard asks each other
 * second: so what was counted is kept for TOTALS_REST times as long as the counting took, and while one counts the others are
 * given what there is. A small store is counted each time; a large one takes a fiftieth of a core, however many ask. Any thread.
 */
#ifndef PING_SERVICE_TOTALS_H
#define PING_SERVICE_TOTALS_H

#include "base/clock.h"
#include "port/store.h"

#include <pthread.h>

enum { TOTALS_REST = 50, TOTALS_MAX_AGE_US = 2000000 };

struct totals {
	pthread_mutex_t lock; /* guards the following */
	struct store_totals counted;
	int64_t until_us; /* monotonic: it need not be counted before */
	bool known, counting;
};

void totals_init(struct totals *totals);
void totals_release(struct totals *totals);
/* As of at most TOTALS_MAX_AGE_US before, and the time that counting takes. What the store says where it cannot be counted. */
enum error totals_read(struct totals *totals, struct store_reader *store, struct clock *clock, struct store_totals *ret_totals,
		       struct error_note *note);

#endif
