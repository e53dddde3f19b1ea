/* A clock that stands until a test moves it. One thread, or atomics. */
#ifndef PING_TESTS_FAKE_CLOCK_H
#define PING_TESTS_FAKE_CLOCK_H

#include "base/clock.h"

#include <stdatomic.h>

struct fake_clock {
	struct clock clock;
	_Atomic int64_t now_ms, now_us;
};

static inline int64_t fake_wall_ms(struct clock *clock)
{
	return ((struct fake_clock *)clock)->now_ms;
}

static inline int64_t fake_monotonic_us(struct clock *clock)
{
	return ((struct fake_clock *)clock)->now_us;
}

static inline void fake_clock_init(struct fake_clock *clock, int64_t now_ms)
{
	clock->clock = (struct clock){.wall_ms = fake_wall_ms, .monotonic_us = fake_monotonic_us};
	clock->now_ms = now_ms;
	clock->now_us = 1000000;
}

#endif
