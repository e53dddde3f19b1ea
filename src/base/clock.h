/* The clock port: time enters the program here and nowhere else, so that a simulator can own it. */
#ifndef PING_BASE_CLOCK_H
#define PING_BASE_CLOCK_H

#include <stdint.h>

struct clock {
	/* Unix milliseconds, UTC; may step either way. */
	int64_t (*wall_ms)(struct clock *clock);
	/* Microseconds from an unknown start; never goes back. */
	int64_t (*monotonic_us)(struct clock *clock);
};

static inline int64_t clock_wall_ms(struct clock *clock)
{
	return clock->wall_ms(clock);
}

static inline int64_t clock_monotonic_us(struct clock *clock)
{
	return clock->monotonic_us(clock);
}

/* The machine's clock. In builds with test hooks the wall clock is moved by the milliseconds that the file named in
 * PING_TEST_CLOCK_OFFSET_FILE holds (read again at each call). */
struct clock *clock_system(void);
/* For the threads of a program, never in the core. */
void clock_sleep_ms(int64_t duration_ms);

#endif
