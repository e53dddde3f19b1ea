/* One seed: several engine processes (the real stream, engine and adapter for ScyllaDB, each with a clock of its own) over one
 * simulated server and one log. Partitions move between them, with and without their knowing; they stand still in the middle of a
 * request while others take over, and go on as zombies; they die; what they sent is carried out at once, later, twice or never.
 * Then quiet: what is in the air lands, and every row, client, list and counter must be what the log says (rows.h).
 *
 * One seed in four is calm: processes die, and answers are lost, but nothing lands late, nobody is a zombie, and no sweep comes
 * by: there counters must come right by themselves, and no row ever goes back.
 */
#include "../run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/cql/cql.h"
#include "fiber.h"
#include "mutant.h"
#include "rows.h"
#include "stream/stream.h"

const struct run_defaults run_defaults = {.seeds = 300, .steps = 6000};

enum {
	ENGINES = 4,
	MOST_PARTITIONS = 2,
	MOST_CLIENTS = 5,
	EVENTS_MAX = 400,
	QUEUE_MAX = 10, /* of FAKE_LOG_QUEUE */
	QUIET_STEPS_MAX = 400000,
	SETTLED_STEPS = 4000,
	NOBODY = -1,
	OBSERVER = 1000000, /* the reader's number, as a process */
};
#define MINUTE_MS INT64_C(60000)
#define HOUR_MS	  (60 * MINUTE_MS)
#define DAY_MS	  (24 * HOUR_MS)

struct engine {
	struct net_process process;
	struct clock clock;
	int64_t clock_error_ms;
	struct random_seeded randomness;
	struct fake_reader reader;
	struct store *store;
	struct stream *stream;
	struct fiber *fiber; /* NULL: no process */
	uint64_t paused_until;
	uint64_t lost_at[MOST_PARTITIONS]; /* the step at which it hears that a partition is another's; 0: it knows */
	bool stopping;
};

/* As the group has it. */
struct partition {
	int owner, next; /* NOBODY; next: who gets it when the owner has given it up */
};

static struct {
	const struct run_options *options;
	struct world world;
	struct net net;
	struct fake_log log;
	struct rows rows;
	struct cql_config *config;
	struct engine engines[ENGINES];
	struct partition partitions[MOST_PARTITIONS];
	int32_t partition_count;
	uint32_t client_count, events, pause_once_in, log_fails_once_in, rebalance_once_in, yield_once_in, land_once_in;
	int processes; /* that there ever were */
	bool calm, near_clocks;
	int64_t retention_ms;
	int64_t latest_wall_ms; /* of all clocks */
	uint64_t crashes, log_failures;
} sim;

static bool chance(uint32_t once_in)
{
	return world_once_in(&sim.world, once_in);
}

static uint32_t below(uint32_t bound)
{
	return (uint32_t)random_below(world_random(&sim.world), bound);
}

/* ─── A process ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int64_t engine_wall_ms(struct clock *clock)
{
	const struct engine *engine = (const struct engine *)((const char *)clock - offsetof(struct engine, clock));
	int64_t now_ms = world_true_ms(&sim.world) + engine->clock_error_ms;
	if (now_ms > sim.latest_wall_ms)
		sim.latest_wall_ms = now_ms;
	return now_ms;
}

static int64_t engine_monotonic_us(struct clock *clock)
{
	(void)clock;
	return sim.world.true_us;
}

static void set_clock(struct engine *engine)
{
	int64_t most_ms = sim.near_clocks ? 2 * MINUTE_MS : HOUR_MS;
	engine->clock_error_ms = chance(3) ? 0 : world_between(&sim.world, -most_ms, most_ms);
	world_trace(&sim.world, "clock", engine->process.number, engine->clock_error_ms);
}

/* Called by the log's reader: a partition that was revoked is given up when the next events are asked for. */
static enum error on_log_call(void *context, enum fake_log_call call)
{
	struct engine *engine = context;
	for (int32_t i = 0; i < sim.partition_count; i++) {
		struct partition *partition = &sim.partitions[i];
		bool heard = call == FAKE_POLL && engine->reader.queued == 0;
		if (heard && partition->next != NOBODY && partition->owner == (int)(engine - sim.engines))
			partition->owner = NOBODY;
	}
	if (engine->process.dead || (!sim.net.quiet && chance(sim.log_fails_once_in))) {
		sim.log_failures++;
		return ERROR_UNAVAILABLE;
	}
	return ERROR_OK;
}

/* Before each request: others may run here. */
static void stand_still(void *context, struct net_process *process)
{
	(void)context;
	if (process->number == OBSERVER || process->dead)
		return;
	struct engine *engine = (struct engine *)((char *)process - offsetof(struct engine, process));
	if (!sim.net.quiet && !sim.calm && chance(sim.pause_once_in))
		engine->paused_until = sim.world.step + below(chance(4) ? 4000 : 400);
	if (chance(sim.yield_once_in))
		fiber_yield();
}

static void step_stream(struct engine *engine)
{
	struct error_note note = {""};
	enum error error = stream_step(engine->stream, 0, &note);
	if (error == ERROR_FAILED_PRECONDITION || error == ERROR_DATA_LOSS)
		world_fail(&sim.world, "engine %d stops: %s", engine->process.number, note.text);
}

static void run_engine(void *context)
{
	struct engine *engine = context;
	while (!engine->process.dead && !engine->stopping) {
		step_stream(engine);
		fiber_yield();
	}
	if (!engine->process.dead)
		stream_flush(engine->stream, NULL);
	stream_destroy(engine->stream);
	engine->store->vtable->close(engine->store);
}

static void start_engine(int slot)
{
	struct engine *engine = &sim.engines[slot];
	*engine = (struct engine){.process.number = ++sim.processes, .clock = {engine_wall_ms, engine_monotonic_us}};
	world_trace(&sim.world, "start", engine->process.number, slot);
	set_clock(engine);
	random_seeded_init(&engine->randomness, random_u64(world_random(&sim.world)));
	fake_reader_init(&engine->reader, &sim.log);
	engine->reader.max_batch = 1 + below(12);
	engine->reader.fault = on_log_call;
	engine->reader.context = engine;
	const struct cql_store_config store_config = {.cql = sim.config,
						      .partition_count = sim.partition_count,
						      .window_retention_ms = sim.retention_ms,
						      .clock = &engine->clock,
						      .partition_of = rows_partition_of};
	const struct stream_config config = {
		.engine = {.max_rows = chance(2) ? 24 : 4096, .window_retention_ms = sim.retention_ms},
		.flush_interval_ms = 20 + (int)below(500)};
	struct store *inner;
	if (cql_store_open(&store_config, &inner) != ERROR_OK)
		abort();
	engine->store = mutant_wrap(sim.options->mutation, !sim.calm, inner);
	const struct stream_ports ports = {.log = &engine->reader.reader,
					   .store = engine->store,
					   .clock = &engine->clock,
					   .random = &engine->randomness.random};
	if (stream_create(&config, &ports, &engine->stream, NULL) != ERROR_OK)
		abort();
	engine->fiber = fiber_create(run_engine, engine);
}

/* Until it gives way. */
static void resume(struct engine *engine)
{
	sim.net.current = &engine->process;
	fiber_resume(engine->fiber);
	if (!fiber_ended(engine->fiber))
		return;
	world_trace(&sim.world, engine->process.dead ? "is dead" : "has ended", engine->process.number, 0);
	fake_reader_release(&engine->reader);
	fiber_destroy(engine->fiber);
	engine->fiber = NULL;
	for (int32_t i = 0; i < sim.partition_count; i++)
		if (sim.partitions[i].owner == engine - sim.engines)
			sim.partitions[i].owner = NOBODY;
}

static void crash(struct engine *engine)
{
	engine->process.dead = true;
	sim.crashes++;
	while (engine->fiber != NULL)
		resume(engine);
}

/* ─── The group ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_up(int slot)
{
	const struct engine *engine = &sim.engines[slot];
	return engine->fiber != NULL && !engine->stopping && engine->reader.queued < QUEUE_MAX;
}

static void hear_of_loss(struct engine *engine, int32_t partition)
{
	if (engine->fiber == NULL || engine->lost_at[partition] == 0)
		return;
	engine->lost_at[partition] = 0;
	fake_reader_lose(&engine->reader, partition);
}

static void assign(int32_t number, int slot)
{
	struct partition *partition = &sim.partitions[number];
	world_trace(&sim.world, "assigned", number, sim.engines[slot].process.number);
	hear_of_loss(&sim.engines[slot], number);
	fake_reader_assign(&sim.engines[slot].reader, number);
	partition->owner = slot;
	partition->next = NOBODY;
}

/* The group takes it from an owner that it heard nothing of, and who may hear of that much later. */
static void take_away(int32_t number)
{
	struct partition *partition = &sim.partitions[number];
	if (partition->owner == NOBODY)
		return;
	struct engine *old = &sim.engines[partition->owner];
	old->lost_at[number] = sim.world.step + 1 + below(chance(3) ? 2000 : 200);
	partition->owner = NOBODY;
}

static void rebalance(void)
{
	int32_t number = (int32_t)below((uint32_t)sim.partition_count);
	struct partition *partition = &sim.partitions[number];
	int to = (int)below(ENGINES);
	if (!is_up(to) || partition->owner == NOBODY || partition->next != NOBODY)
		return;
	if (!sim.calm && chance(2)) {
		take_away(number);
		assign(number, to);
	} else if (is_up(partition->owner)) {
		fake_reader_revoke(&sim.engines[partition->owner].reader, number);
		partition->next = to;
	}
}

/* What nobody has goes to somebody. */
static void settle_group(void)
{
	for (int32_t i = 0; i < sim.partition_count; i++) {
		struct partition *partition = &sim.partitions[i];
		int to = partition->next != NOBODY && is_up(partition->next) ? partition->next : (int)below(ENGINES);
		if (partition->owner == NOBODY && is_up(to))
			assign(i, to);
	}
	for (int slot = 0; slot < ENGINES; slot++)
		for (int32_t i = 0; i < sim.partition_count; i++)
			if (sim.engines[slot].lost_at[i] != 0 && sim.engines[slot].lost_at[i] <= sim.world.step && is_up(slot))
				hear_of_loss(&sim.engines[slot], i);
}

/* ─── What happens ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct address client_of(uint32_t number)
{
	const uint8_t bytes[4] = {10, 0, 0, (uint8_t)(number + 1)};
	return address_from_ipv4(bytes);
}

static void append_event(void)
{
	static const int64_t ages_ms[] = {10000, 10000, 10 * MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 26 * HOUR_MS, 5 * DAY_MS};
	if (sim.events == EVENTS_MAX)
		return;
	struct address client = client_of(below(sim.client_count));
	int32_t partition = rows_partition_of(&client, sim.partition_count);
	int64_t now_ms = world_true_ms(&sim.world), age_ms = ages_ms[below(sizeof ages_ms / sizeof *ages_ms)];
	/* At few moments, so that windows have many events. */
	int64_t pinged_at_ms = now_ms - (chance(2) ? below(10000) : world_between(&sim.world, 0, age_ms));
	fake_log_append(&sim.log, partition, &client, pinged_at_ms, now_ms);
	if (chance(3))
		fake_log_append_marker(&sim.log, partition);
	sim.events++;
}

static void pass_time(void)
{
	int64_t us = below(4000);
	if (chance(60))
		us += below(1000000);
	if (chance(300))
		us += below(40000000);
	if (chance(3000))
		us += world_between(&sim.world, 0, 8 * HOUR_MS) * 1000;
	world_pass(&sim.world, us);
}

static void disturb(void)
{
	struct engine *engine = &sim.engines[below(ENGINES)];
	if (engine->fiber == NULL) {
		if (chance(20))
			start_engine((int)(engine - sim.engines));
		return;
	}
	if (chance(800))
		crash(engine);
	else if (chance(800) && engine->paused_until <= sim.world.step)
		engine->stopping = true;
	else if (chance(400))
		set_clock(engine);
	else if (!sim.calm && chance(3 * sim.pause_once_in))
		engine->paused_until = sim.world.step + below(chance(4) ? 4000 : 500);
	if (chance(sim.rebalance_once_in))
		rebalance();
	if (chance(2000))
		sim.net.down_until_us = sim.world.true_us + below(3000000);
	if (chance(sim.land_once_in))
		net_land(&sim.net);
}

static void step_one(void)
{
	struct engine *engine = &sim.engines[below(ENGINES)];
	if (engine->fiber != NULL && engine->paused_until <= sim.world.step)
		resume(engine);
}

/* ─── Quiet ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_at_end(void)
{
	for (int32_t i = 0; i < sim.partition_count; i++)
		if (sim.rows.committed[i] < fake_log_end(&sim.log, i) && fake_log_end(&sim.log, i) > 0)
			return false;
	return true;
}

static bool holds(const struct engine *engine, int32_t partition)
{
	struct stream_status status;
	stream_status(engine->stream, &status);
	for (size_t i = 0; i < status.partition_count; i++)
		if (status.partitions[i].partition == partition)
			return true;
	return false;
}

/* Who was fenced by one that heard late has dropped the partition, until the group shares it out anew. */
static void share_out_dropped(void)
{
	for (int32_t i = 0; i < sim.partition_count; i++) {
		struct partition *partition = &sim.partitions[i];
		if (partition->owner != NOBODY && is_up(partition->owner) && sim.engines[partition->owner].reader.queued == 0 &&
		    !holds(&sim.engines[partition->owner], i))
			assign(i, partition->owner);
	}
}

static void step_quietly(void)
{
	sim.world.step++;
	if (sim.world.step % 2000 == 0)
		share_out_dropped();
	world_pass(&sim.world, below(10000));
	settle_group();
	if (chance(8))
		net_land(&sim.net);
	step_one();
}

/* Everybody hears everything, and partitions are shared out once more; not where that would make zombies. */
static void become_quiet(void)
{
	world_trace(&sim.world, "quiet", 0, 0);
	sim.net.quiet = true;
	for (int slot = 0; slot < ENGINES; slot++) {
		struct engine *engine = &sim.engines[slot];
		engine->paused_until = 0;
		for (int32_t i = 0; i < sim.partition_count; i++)
			hear_of_loss(engine, i);
		if (engine->fiber == NULL)
			start_engine(slot);
		engine->clock_error_ms = 0;
	}
	for (int32_t i = 0; i < sim.partition_count && !sim.calm; i++) {
		take_away(i);
		sim.partitions[i].next = NOBODY;
	}
}

/* Who has what, as far as it knows. */
static _Noreturn void fail_restless(void)
{
	char text[1200] = "";
	size_t size = 0;
	for (int32_t i = 0; i < sim.partition_count; i++)
		size += (size_t)snprintf(
			text + size, sizeof text - size, "\n  partition %d: %d has it, committed at %lld of %lld", (int)i,
			sim.partitions[i].owner == NOBODY ? 0 : sim.engines[sim.partitions[i].owner].process.number,
			(long long)sim.rows.committed[i], (long long)fake_log_end(&sim.log, i));
	for (int slot = 0; slot < ENGINES; slot++) {
		struct stream_status status;
		if (sim.engines[slot].fiber == NULL)
			continue;
		stream_status(sim.engines[slot].stream, &status);
		size += (size_t)snprintf(text + size, sizeof text - size, "\n  engine %d: %s, %s, has",
					 sim.engines[slot].process.number, stream_state_name(status.state), status.note.text);
		for (size_t i = 0; i < status.partition_count; i++)
			size += (size_t)snprintf(text + size, sizeof text - size, " %d", (int)status.partitions[i].partition);
	}
	world_fail(&sim.world, "it never comes to rest%s", text);
}

/* A time after the last request has landed; by then the sweep has come by, and what is due is made anew. */
static void come_to_rest(void)
{
	int settled = 0;
	for (int i = 0; settled < SETTLED_STEPS; i++) {
		if (i == QUIET_STEPS_MAX)
			fail_restless();
		step_quietly();
		settled = is_at_end() && sim.net.air.count == 0 ? settled + 1 : 0;
	}
	if (sim.latest_wall_ms > world_true_ms(&sim.world)) /* time comes to where a clock was already */
		world_pass(&sim.world, (sim.latest_wall_ms - world_true_ms(&sim.world) + 1000) * 1000);
	for (int i = 0; i < SETTLED_STEPS || world_true_ms(&sim.world) % WINDOW_MS < MINUTE_MS; i++)
		step_quietly();
}

static void check_all(void)
{
	struct net_process observer = {.number = OBSERVER};
	struct store_reader *reader;
	sim.net.current = &observer;
	if (cql_store_reader_open("scylla://10.0.0.1:9042", &reader, NULL) != ERROR_OK)
		abort();
	rows_check_end(&sim.rows, reader, sim.near_clocks);
	reader->vtable->close(reader);
}

/* ─── The whole ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void set_up(uint64_t seed, const struct run_options *options)
{
	memset(&sim, 0, sizeof sim);
	sim.options = options;
	world_init(&sim.world, seed, options->replay, options->trace);
	sim.calm = seed % 4 == 0;
	sim.near_clocks = chance(2);
	sim.retention_ms = chance(2) ? 0 : 90 * DAY_MS;
	sim.partition_count = 1 + (int32_t)below(MOST_PARTITIONS);
	sim.client_count = 1 + below(MOST_CLIENTS);
	sim.pause_once_in = 50 + below(400);
	sim.log_fails_once_in = 50 + below(200);
	sim.rebalance_once_in = 50 + below(1000);
	sim.yield_once_in = 2 + below(12);
	sim.land_once_in = chance(2) ? 12 : 1000;
	net_init(&sim.net, &sim.world);
	sim.net.late = !sim.calm;
	sim.net.fail_once_in = 20 + below(300);
	sim.net.counter_fails_once_in = 3 + below(30);
	sim.net.crash_once_in = 300 + below(3000);
	sim.net.pause = stand_still;
	mutant_begin(options->mutation, &sim.net.cassandra);
	fake_log_init(&sim.log);
	rows_init(&sim.rows, &sim.world, &sim.net.cassandra, &sim.log, sim.partition_count);
	sim.rows.zombies = !sim.calm;
	if (cql_config_create("scylla://10.0.0.1:9042", &sim.config, NULL) != ERROR_OK)
		abort();
	for (size_t i = 0; i < MOST_PARTITIONS; i++)
		sim.partitions[i] = (struct partition){NOBODY, NOBODY};
	start_engine(0);
}

static void tear_down(void)
{
	for (int slot = 0; slot < ENGINES; slot++)
		if (sim.engines[slot].fiber != NULL)
			crash(&sim.engines[slot]);
	cql_config_destroy(sim.config);
	rows_release(&sim.rows);
	fake_log_release(&sim.log);
	net_release(&sim.net);
}

struct run_result run_seed(uint64_t seed, const struct run_options *options)
{
	set_up(seed, options);
	uint32_t event_once_in = 1 + below(40);
	for (uint64_t i = 0; i < options->steps; i++) {
		sim.world.step++;
		pass_time();
		if (chance(event_once_in))
			append_event();
		disturb();
		settle_group();
		step_one();
	}
	become_quiet();
	come_to_rest();
	check_all();
	struct run_result result = {.hash = sim.world.trace_hash,
				    .pings = sim.events,
				    .rows_checked = sim.rows.checked,
				    .crashes = sim.crashes + sim.net.crashes,
				    .failures = sim.net.failures + sim.log_failures};
	tear_down();
	return result;
}
