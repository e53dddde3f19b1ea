/* Log and store that fail, lose replies and carry writes out late; streams that crash, are fenced or go on as zombies; a clock
 * that moves: what is left is a plain count of the log.
 *
 * usage: test-stream-stream_property [SEED]
 */
#include "stream/stream.h"
#include "unit/engine/rows.h"
#include "unit/stream/fake_log.h"
#include "unit/stream/fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>

#define START_MS INT64_C(1728926331123)
#define HOUR_MS	 INT64_C(3600000)
enum { SEEDS = 300, STEPS = 400, PARTITIONS = 2, CLIENTS = 6, PROCESSES = 3 };

/* A process: its reader, its connection to the store, its stream. The newest owns the partitions; older ones are zombies. */
struct process {
	struct fake_reader reader;
	struct fake_store store;
	struct stream *stream;
};

static struct {
	struct clock clock;
	int64_t wall_ms, monotonic_us;
	struct random_seeded seeded;
	struct fake_log log;
	struct fake_database database;
	struct process processes[PROCESSES];
	size_t newest;
	unsigned trouble; /* in 100 calls */
	struct rows expected;
} world;
static uint64_t only_seed;

static unsigned below(unsigned bound)
{
	return (unsigned)random_below(&world.seeded.random, bound);
}

static int64_t wall_ms(struct clock *clock)
{
	(void)clock;
	return world.wall_ms;
}

static int64_t monotonic_us(struct clock *clock)
{
	(void)clock;
	return world.monotonic_us;
}

static enum fake_fate store_fate(void *context, enum fake_store_call call)
{
	(void)context;
	(void)call;
	return below(100) < world.trouble ? (enum fake_fate)(FAKE_REFUSED + below(3)) : FAKE_DONE;
}

static enum error log_fault(void *context, enum fake_log_call call)
{
	(void)context;
	(void)call;
	return below(100) < world.trouble ? ERROR_UNAVAILABLE : ERROR_OK;
}

static void end_process(struct process *process)
{
	stream_destroy(process->stream);
	fake_reader_release(&process->reader);
	process->stream = NULL;
}

static void start_process(void)
{
	static const size_t sizes[] = {3, 10, 1000};
	world.newest = (world.newest + 1) % PROCESSES;
	struct process *process = &world.processes[world.newest];
	end_process(process);
	fake_reader_init(&process->reader, &world.log);
	process->reader.fault = log_fault;
	process->reader.max_batch = 1 + below(20);
	fake_store_init(&process->store, &world.database);
	process->store.fate = store_fate;
	struct stream_config config = {
		.engine.max_rows = sizes[below(3)], .engine.max_refreshes = 1 + below(5), .max_dirty_rows = 1 + below(100)};
	struct stream_ports ports = {
		&process->reader.reader, &process->store.store, &world.clock, &world.seeded.random, NULL, NULL, NULL};
	assert_int_equal(stream_create(&config, &ports, &process->stream, NULL), ERROR_OK);
	for (int32_t partition = 0; partition < PARTITIONS; partition++)
		fake_reader_assign(&process->reader, partition);
}

static void produce(void)
{
	for (unsigned n = below(6); n > 0; n--) {
		unsigned client = below(CLIENTS);
		int64_t behind_ms = below(4) > 0 ? (int64_t)below(600000) : (int64_t)below(40) * HOUR_MS;
		struct engine_event event = {rows_address(client), world.wall_ms + (int64_t)below(300001) - behind_ms, 0};
		int32_t partition = (int32_t)(client % PARTITIONS);
		event.position = fake_log_append(&world.log, partition, &event.client, event.pinged_at_ms, world.wall_ms);
		rows_count(&world.expected, &event);
		if (below(4) == 0)
			fake_log_append_marker(&world.log, partition);
	}
}

static void pass_time(void)
{
	static const int64_t steps_ms[] = {10, 300, 2000, 60000, WINDOW_MS, 20 * WINDOW_MS, 9 * HOUR_MS, -60000};
	int64_t ms = steps_ms[below(8)];
	world.wall_ms += ms;
	world.monotonic_us += ms > 0 ? ms * 1000 : 0;
}

/* The partition goes away and comes back. */
static void rebalance(void)
{
	struct process *process = &world.processes[world.newest];
	int32_t partition = (int32_t)below(PARTITIONS);
	if (process->reader.queued > FAKE_LOG_QUEUE - 3)
		return;
	if (below(2))
		fake_reader_revoke(&process->reader, partition);
	else
		fake_reader_lose(&process->reader, partition);
	fake_reader_assign(&process->reader, partition);
}

static void land_late_write(void)
{
	if (world.database.late_count > 0)
		fake_database_land(&world.database, below((unsigned)world.database.late_count));
}

/* The newest, mostly. */
static void step_process(void)
{
	size_t which = below(4) > 0 ? world.newest : below(PROCESSES);
	if (world.processes[which].stream != NULL)
		stream_step(world.processes[which].stream, 0, NULL);
}

static void do_something(void)
{
	produce();
	switch (below(12)) {
	case 0:
	case 1:
		pass_time();
		break;
	case 2:
		land_late_write();
		break;
	case 3:
		if (below(4) == 0)
			start_process();
		break;
	case 4:
		if (below(3) == 0)
			rebalance();
		break;
	default:
		step_process();
	}
}

static void stored_rows(struct rows *rows)
{
	*rows = (struct rows){0};
	for (size_t i = 0; i < world.database.count; i++) {
		const struct fake_row *row = &world.database.rows[i];
		if (row->kind == FAKE_CLIENT)
			rows->clients[rows->client_count++] = row->row.client;
		else if (row->kind == FAKE_DAY)
			rows->days[rows->day_count++] = row->row.day;
		else if (row->kind == FAKE_WINDOW)
			rows->windows[rows->window_count++] = row->row.window;
		else if (row->row.activity.due_ms != 0)
			rows->activities[rows->activity_count++] = row->row.activity;
	}
}

/* Quiet now: one owner catches up. Some of what is late lands before, some while, some after it does. */
static void settle(void)
{
	world.trouble = 0;
	start_process();
	struct stream *stream = world.processes[world.newest].stream;
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(stream_step(stream, 0, NULL), ERROR_OK);
		world.wall_ms += 100;
		world.monotonic_us += 100000;
		if (below(8) == 0)
			land_late_write();
	}
	struct stream_status status;
	stream_status(stream, &status);
	assert_int_equal(status.lag_events, 0);
	for (int32_t partition = 0; partition < PARTITIONS; partition++)
		if (fake_log_end(&world.log, partition) > 0)
			assert_int_equal(world.database.partitions[partition].position, fake_log_end(&world.log, partition));
	while (world.database.late_count > 0)
		land_late_write();
}

static void check(void)
{
	static struct rows stored;
	stored_rows(&stored);
	rows_assert_equal(&stored, &world.expected, true);
	rows_assert_activities(&stored);
	for (size_t i = 0; i < stored.client_count; i++) {
		const struct address *client = &stored.clients[i].client;
		struct activity_row now = rows_derive(&stored, client, activity_start_of(world.wall_ms));
		const struct activity_row *activity = rows_activity(&stored, client);
		assert_true(activity != NULL || now.due_ms == 0);
		if (activity != NULL)
			assert_int_equal(activity->count, now.count);
	}
}

static void run(uint64_t seed)
{
	random_seeded_init(&world.seeded, seed);
	world.clock = (struct clock){wall_ms, monotonic_us};
	world.wall_ms = START_MS;
	world.monotonic_us = 0;
	world.expected = (struct rows){0};
	world.trouble = below(3) * 10;
	fake_log_init(&world.log);
	fake_database_init(&world.database);
	start_process();
	for (int i = 0; i < STEPS; i++)
		do_something();
	settle();
	check();
	for (size_t i = 0; i < PROCESSES; i++)
		end_process(&world.processes[i]);
	fake_log_release(&world.log);
	fake_database_release(&world.database);
}

static void whatever_happens_on_the_way_the_rows_are_a_plain_count_of_the_log(void **state)
{
	(void)state;
	for (uint64_t seed = only_seed ? only_seed : 1; seed <= (only_seed ? only_seed : SEEDS); seed++) {
		print_message("# seed %" PRIu64 "\n", seed);
		run(seed);
	}
}

int main(int argc, char **argv)
{
	only_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_happens_on_the_way_the_rows_are_a_plain_count_of_the_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
