/* The world of one seed: chance, time, the trace, and the way out when something is wrong. All that happens in a run follows from
 * the seed: the same seed makes the same run, step by step, on any machine; the trace's hash shows it.
 */
#ifndef PING_SIM_WORLD_H
#define PING_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/random.h"

struct world {
	uint64_t seed;
	const char *replay; /* the command that replays the run, but for the seed */
	struct random_seeded chance;
	uint64_t step;

	struct clock clock;	/* what the process sees: */
	int64_t true_us;	/* time that really passed since the world began */
	int64_t clock_error_ms; /* the wall clock's distance from it; steps either way */
	int64_t latest_wall_ms; /* that it ever showed */

	bool crashed; /* the process: what it still does until it is put away has no effect and reaches nobody */

	bool trace; /* to stdout */
	uint64_t trace_hash;
};

void world_init(struct world *world, uint64_t seed, const char *replay, bool trace);

static inline struct random *world_random(struct world *world)
{
	return &world->chance.random;
}
/* In [low, high]. */
int64_t world_between(struct world *world, int64_t low, int64_t high);
/* True once in `odds` times; 0: never. */
bool world_once_in(struct world *world, uint32_t odds);

/* Unix milliseconds, as a perfect clock would show them. */
int64_t world_true_ms(const struct world *world);
void world_pass(struct world *world, int64_t us);

/* `what` happened, with two numbers that say more. */
void world_trace(struct world *world, const char *what, int64_t a, int64_t b);
/* A promise was broken: prints it and the command that replays the run, and ends the process with code 1. */
_Noreturn void world_fail(const struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
