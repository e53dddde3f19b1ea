/* Whatever happens to a stream on its way (order, batches, a tiny cache, crashes, writes cut short, replays, a moving clock), the
 * same rows are left: those of a plain count.
 *
 * usage: test-engine-engine_property [SEED]
 */
#include "engine/engine.h"
#include "unit/engine/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>

#define START_MS INT64_C(1728926331123)
#define HOUR_MS	 INT64_C(3600000)
#define DAY_MS	 (24 * HOUR_MS)
enum { EVENTS = 240, SEEDS = 400 };

struct world {
	struct random_seeded seeded;
	struct random *random;
	int64_t now_ms, retention_ms;
	struct engine_event events[EVENTS];
	size_t event_count; /* in the log */
	size_t next;	    /* of the engine */
	size_t furthest;    /* of any engine: rows up to here may be stored, activities not */
	size_t committed;   /* as the store says */
	struct engine *engine;
	struct engine_config config;
	struct rows store, expected;
};

static struct world world;
static uint64_t only_seed;

static unsigned below(unsigned bound)
{
	return (unsigned)random_below(world.random, bound);
}

static void start_engine(void)
{
	engine_destroy(world.engine);
	int64_t position = world.committed == 0 ? POSITION_NONE : world.events[world.committed - 1].position;
	random_fill(world.random, world.config.hash_key, sizeof world.config.hash_key);
	assert_int_equal(engine_create(&world.config, position, &world.engine), ERROR_OK);
	world.next = world.committed;
}

static void world_init(uint64_t seed)
{
	static const size_t sizes[] = {3, 4, 7, 20, 1000};
	world = (struct world){.now_ms = START_MS};
	random_seeded_init(&world.seeded, seed);
	world.random = &world.seeded.random;
	world.config.max_rows = sizes[below(5)];
	world.config.max_refreshes = below(2) ? 1 : EVENTS;
	world.retention_ms = world.config.window_retention_ms = below(2) ? 0 : 26 * HOUR_MS;
	start_engine();
}

/* Most pings are now, some around it, some long ago; up to 5 minutes ahead is allowed. */
static int64_t some_time(void)
{
	switch (below(6)) {
	case 0:
		return world.now_ms - below(30) * HOUR_MS;
	case 1:
		return world.now_ms - below(10) * DAY_MS;
	case 2:
		return world.now_ms + below(300001);
	default:
		return world.now_ms - below(3) * WINDOW_MS;
	}
}

static void produce(void)
{
	for (unsigned n = below(8); n > 0 && world.event_count < EVENTS; n--) {
		size_t i = world.event_count;
		int64_t position = (i == 0 ? 0 : world.events[i - 1].position) + 1 + below(3);
		world.events[i] = (struct engine_event){rows_address(below(5)), some_time(), position};
		world.event_count++;
	}
}

static void move_clock(void)
{
	static const int64_t steps[] = {1000, 60000, 60000, WINDOW_MS, 20 * WINDOW_MS, 7 * HOUR_MS, -60000, -HOUR_MS};
	world.now_ms += steps[below(world.retention_ms > 0 ? 6 : 8)]; /* set back, an expired window may come to life again */
}

static void consume(void)
{
	size_t count = world.event_count - world.next;
	count = count == 0 ? 0 : 1 + below((unsigned)count);
	rows_drive(&world.store, world.engine, &world.events[world.next], count, world.now_ms);
	world.next += count;
	for (; world.furthest < world.next; world.furthest++)
		rows_count(&world.expected, &world.events[world.furthest]);
}

/* Settled: no crash left activities behind their windows. */
static void check_activities(void)
{
	if (world.next == world.furthest)
		rows_assert_activities(&world.store);
}

static void flush(void)
{
	rows_flush(&world.store, world.engine);
	world.committed = world.next;
	check_activities();
}

static void flush_while_events_come(void)
{
	struct engine_dirty dirty;
	assert_int_equal(engine_collect_dirty(world.engine, &dirty), ERROR_OK);
	size_t next = world.next;
	rows_write(&world.store, &dirty, NULL);
	if (engine_stats(world.engine).rows + 3 <= world.config.max_rows)
		consume(); /* the rows fit: no other collect comes between */
	engine_written(world.engine);
	world.committed = next;
}

static void crash_while_writing(void)
{
	struct engine_dirty dirty;
	assert_int_equal(engine_collect_dirty(world.engine, &dirty), ERROR_OK);
	rows_write(&world.store, &dirty, world.random);
	start_engine();
}

static void refresh_due(void)
{
	for (size_t i = 0; i < world.store.activity_count; i++) {
		if (world.store.activities[i].due_ms > world.now_ms)
			continue;
		struct address client = world.store.activities[i].client;
		enum error error = engine_refresh_activity(world.engine, &client, world.now_ms);
		if (error == ERROR_RESOURCE_EXHAUSTED)
			break;
		assert_int_equal(error, ERROR_OK);
	}
	rows_supply(&world.store, world.engine);
	flush();
}

static void step(void)
{
	produce();
	switch (below(10)) {
	case 0:
		move_clock();
		break;
	case 1:
		flush();
		break;
	case 2:
		flush_while_events_come();
		break;
	case 3:
		start_engine(); /* a crash */
		break;
	case 4:
		crash_while_writing();
		break;
	case 5:
		refresh_due();
		break;
	default:
		consume();
	}
}

/* Whether a window got its pings before it was past its retention is chance, and nobody sees it any more. */
static void prune_windows(struct rows *rows)
{
	for (size_t i = rows->window_count; world.retention_ms > 0 && i-- > 0;)
		if (rows->windows[i].start_ms + WINDOW_MS + world.retention_ms <= world.now_ms + HOUR_MS)
			rows->windows[i] = rows->windows[--rows->window_count];
}

static void finish(void)
{
	while (world.next < world.event_count)
		consume();
	flush();
	while (engine_stats(world.engine).dirty_rows == 0) {
		size_t due = 0;
		for (size_t i = 0; i < world.store.activity_count; i++)
			due += world.store.activities[i].due_ms <= world.now_ms;
		if (due == 0)
			break;
		refresh_due();
	}
}

static void run(uint64_t seed)
{
	world_init(seed);
	for (int i = 0; i < 300; i++)
		step();
	finish();
	prune_windows(&world.store);
	prune_windows(&world.expected);
	rows_assert_equal(&world.store, &world.expected, true);
	rows_assert_activities(&world.store);
	engine_destroy(world.engine);
	world.engine = NULL;
}

static void crashes_replays_and_a_tiny_cache_leave_the_same_rows(void **state)
{
	(void)state;
	for (uint64_t seed = only_seed ? only_seed : 1; seed <= (only_seed ? only_seed : SEEDS); seed++) {
		if (seed % 100 == 0 || only_seed)
			print_message("# seed %" PRIu64 "\n", seed);
		run(seed);
	}
}

static void shuffle(struct engine_event *events, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t j = below((unsigned)i);
		struct engine_event swap = events[i - 1];
		events[i - 1] = events[j];
		events[j] = swap;
	}
}

/* The same pings in another order get other places in the log, and leave the same rows but for the positions. */
static void the_order_of_the_pings_makes_no_difference(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		world_init(seed);
		world.config.window_retention_ms = world.retention_ms = 0;
		start_engine();
		while (world.event_count < EVENTS)
			produce();
		for (int round = 0; round < 2; round++) {
			for (size_t i = 0; i < EVENTS; i++) {
				world.events[i].position = (int64_t)i + 1;
				if (round == 0)
					rows_count(&world.expected, &world.events[i]);
			}
			world.next = 0;
			rows_drive(&world.store, world.engine, world.events, EVENTS, world.now_ms);
			rows_flush(&world.store, world.engine);
			rows_assert_equal(&world.store, &world.expected, false);
			rows_assert_activities(&world.store);
			shuffle(world.events, EVENTS);
			world.store = (struct rows){0};
			world.committed = 0;
			start_engine();
		}
		engine_destroy(world.engine);
		world.engine = NULL;
	}
}

int main(int argc, char **argv)
{
	only_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crashes_replays_and_a_tiny_cache_leave_the_same_rows),
		cmocka_unit_test(the_order_of_the_pings_makes_no_difference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
