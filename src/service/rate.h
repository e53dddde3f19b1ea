/* Events per second over the last ten whole seconds: a ring of counters, one a second. Lock-free, any thread.
 *
 *   [ second 32 | count 32 ] × 11      the eleventh is the second that isn't over; an older second is overwritten
 */
#ifndef PING_SERVICE_RATE_H
#define PING_SERVICE_RATE_H

#include <stdatomic.h>
#include <stdint.h>

enum { RATE_SECONDS = 10 };

/* All zero: no events. */
struct rate {
	_Atomic uint64_t slots[RATE_SECONDS + 1];
};

/* now_us: monotonic. Past 2^32 − 1 events in one second, the rest isn't counted. */
void rate_add(struct rate *rate, int64_t now_us, uint32_t events);
double rate_per_second(const struct rate *rate, int64_t now_us);

#endif
