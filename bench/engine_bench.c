/* The engine alone, from memory: events in batches, what is missing answered with "no such row", a flush (collect, written) every
 * some batches. Prints one line a case.
 *
 * usage: engine_bench [--count EVENTS]   (one case of that many events: two runs under callgrind give the instructions of the
 * difference)
 */
#include "base/random.h"
#include "engine/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { BATCH = 4096, BATCHES_PER_FLUSH = 4 };

#define NOW_MS INT64_C(1728926400000)

struct bench_case {
	uint32_t clients;
	unsigned late_percent;
	size_t events;
};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct address client_of(uint32_t n)
{
	return address_from_ipv4((const uint8_t[4]){10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n});
}

/* Clients at random; late pings lie in one of the 12 windows before the open one. */
static void make_events(struct engine_event *events, const struct bench_case *bench, size_t first, struct random *random)
{
	for (size_t i = 0; i < BATCH; i++) {
		bool late = random_below(random, 100) < bench->late_percent;
		int64_t behind_ms = late ? (int64_t)(1 + random_below(random, 12)) * WINDOW_MS : 0;
		events[i] =
			(struct engine_event){client_of((uint32_t)random_below(random, bench->clients)),
					      NOW_MS + (int64_t)(first + i) / 1000 % 300000 - behind_ms, (int64_t)(first + i)};
	}
}

static void supply(struct engine *engine)
{
	struct engine_missing missing;
	while (engine_next_missing(engine, &missing)) {
		if (missing.kind == ENGINE_MISSING_CLIENT)
			engine_supply_client(engine, &missing.client, NULL, NULL, 0);
		else if (missing.kind == ENGINE_MISSING_WINDOW)
			engine_supply_window(engine, &missing.client, missing.start_ms, NULL);
		else
			engine_supply_day(engine, &missing.client, missing.start_ms, NULL);
	}
}

static void flush(struct engine *engine)
{
	struct engine_dirty dirty;
	if (engine_collect_dirty(engine, &dirty) != ERROR_OK)
		abort();
	engine_written(engine);
}

static void feed(struct engine *engine, const struct engine_event *events)
{
	for (size_t next = 0, taken; next < BATCH; next += taken) {
		if (engine_offer(engine, &events[next], BATCH - next, NOW_MS + 300000, &taken) != ERROR_OK)
			abort();
		supply(engine);
		engine_apply(engine);
		if (taken == 0)
			flush(engine);
	}
}

struct result {
	uint64_t batches_ns, flushes_ns, slowest_ns;
};

/* Not timed: the events are made, and a first round makes every client known. */
static struct result run(const struct bench_case *bench, struct engine *engine)
{
	static struct engine_event events[BATCH];
	struct random_seeded seeded;
	random_seeded_init(&seeded, 1);
	struct result result = {0};
	size_t warm_up = (size_t)bench->clients * 5;
	for (size_t done = 0, batches = 0; done < warm_up + bench->events; done += BATCH) {
		make_events(events, bench, done, &seeded.random);
		bool timed = done >= warm_up;
		uint64_t start_ns = now_ns();
		feed(engine, events);
		uint64_t fed_ns = now_ns() - start_ns;
		start_ns = now_ns();
		if (++batches % BATCHES_PER_FLUSH == 0)
			flush(engine);
		result.batches_ns += timed ? fed_ns : 0;
		result.flushes_ns += timed ? now_ns() - start_ns : 0;
		result.slowest_ns = timed && fed_ns > result.slowest_ns ? fed_ns : result.slowest_ns;
	}
	return result;
}

static void report(const struct bench_case *bench)
{
	struct engine *engine;
	if (engine_create(&(struct engine_config){.hash_key = "0123456789abcde"}, POSITION_NONE, &engine) != ERROR_OK)
		abort();
	struct result result = run(bench, engine);
	struct engine_stats stats = engine_stats(engine);
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	double ns = (double)result.batches_ns / (double)bench->events;
	double flush_ns = (double)result.flushes_ns / (double)bench->events;
	printf("%7" PRIu32 " clients, %2u %% late %7.1f ns/event + %4.1f ns/flush, %5.2f M events/s, slowest batch %5.2f ms, "
	       "%6zu rows, %ld MB\n",
	       bench->clients, bench->late_percent, ns, flush_ns, 1000 / (ns + flush_ns), (double)result.slowest_ns / 1e6,
	       stats.rows, usage.ru_maxrss / 1024);
	engine_destroy(engine);
}

int main(int argc, char **argv)
{
	static const struct bench_case cases[] = {{10, 0, 10000000},	 {1000, 0, 10000000},	{1000, 5, 10000000},
						  {100000, 0, 10000000}, {100000, 5, 10000000}, {300000, 0, 10000000}};
	if (argc == 3 && strcmp(argv[1], "--count") == 0) {
		report(&(struct bench_case){10000, 0, strtoull(argv[2], NULL, 10)});
		return 0;
	}
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		report(&cases[i]);
	return 0;
}
