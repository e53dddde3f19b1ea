#include "world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#define START_MS INT64_C(1728926331000) /* 2024-10-14 */

static struct world *world_of(struct clock *clock)
{
	return (struct world *)((char *)clock - offsetof(struct world, clock));
}

static int64_t virtual_wall_ms(struct clock *clock)
{
	struct world *world = world_of(clock);
	int64_t now_ms = world_true_ms(world) + world->clock_error_ms;
	if (now_ms > world->latest_wall_ms)
		world->latest_wall_ms = now_ms;
	return now_ms;
}

static int64_t virtual_monotonic_us(struct clock *clock)
{
	return world_of(clock)->true_us;
}

void world_init(struct world *world, uint64_t seed, const char *replay, bool trace)
{
	*world = (struct world){.seed = seed, .replay = replay, .trace = trace, .trace_hash = seed};
	world->clock = (struct clock){virtual_wall_ms, virtual_monotonic_us};
	random_seeded_init(&world->chance, seed);
	/* Any time of day. */
	world->true_us = world_between(world, 0, INT64_C(2) * 86400000) * 1000;
}

int64_t world_between(struct world *world, int64_t low, int64_t high)
{
	return low + (int64_t)random_below(world_random(world), (uint64_t)(high - low) + 1);
}

bool world_once_in(struct world *world, uint32_t odds)
{
	return odds != 0 && random_below(world_random(world), odds) == 0;
}

int64_t world_true_ms(const struct world *world)
{
	return START_MS + world->true_us / 1000;
}

void world_pass(struct world *world, int64_t us)
{
	world->true_us += us;
}

/* FNV-1a's step, on words. */
static void hash_word(struct world *world, uint64_t word)
{
	world->trace_hash = (world->trace_hash ^ word) * UINT64_C(0x100000001b3);
	world->trace_hash ^= world->trace_hash >> 29;
}

void world_trace(struct world *world, const char *what, int64_t a, int64_t b)
{
	for (const char *c = what; *c != 0; c++)
		hash_word(world, (uint64_t)*c);
	hash_word(world, (uint64_t)a);
	hash_word(world, (uint64_t)b);
	if (world->trace)
		printf("%6" PRIu64 " %12.3f s  %-28s %" PRId64 " %" PRId64 "\n", world->step, (double)world->true_us / 1e6, what,
		       a, b);
}

void world_fail(const struct world *world, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fflush(stdout);
	fprintf(stderr, "seed %" PRIu64 ", step %" PRIu64 ": ", world->seed, world->step);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n  replay: %s --seed %" PRIu64 " --trace\n", world->replay, world->seed);
	va_end(args);
	_exit(1);
}
