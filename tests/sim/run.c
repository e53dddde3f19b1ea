#include "run.h"

#include <assert.h>
#include <stdlib.h>

#include "adapter.h"
#include "clients.h"
#include "fault.h"
#include "ingest/ingest.h"
#include "questions.h"
#include "stream/stream.h"
#include "truth.h"

const struct run_defaults run_defaults = {.seeds = 500, .steps = 4000};

enum { SETTLE_STEPS_MAX = 20000, QUIET_STEPS = 100 };
#define HOUR_MS INT64_C(3600000)
#define DAY_MS	INT64_C(86400000)

enum action {
	ACTION_SEND,
	ACTION_INGEST,
	ACTION_STREAM,
	ACTION_ASK,
	ACTION_PASS_TIME,
	ACTION_SET_CLOCK,
	ACTION_RESTART,
	ACTION_CRASH,
	ACTION_MACHINE_CRASH,
	ACTION_SYNC,
	ACTION_CHECK,
	ACTIONS,
};

/* What runs between a start and a crash. */
struct process {
	bool running;
	struct ledger *ledger;
	struct log_reader *log;
	struct store *store;
	struct random_seeded randomness;
	struct ingest *ingest;
	struct stream *stream;
};

struct run {
	const struct run_options *options;
	struct world world;
	struct truth truth;
	struct fault fault;
	struct clients *clients;
	struct adapter *adapter;
	struct process process;
	struct ingest_config ingest_config;
	struct stream_config stream_config;
	uint32_t weights[ACTIONS];
	uint32_t weight_sum;
};

static void put_down(struct run *run)
{
	struct process *process = &run->process;
	stream_destroy(process->stream);
	ingest_destroy(process->ingest);
	process->store->vtable->close(process->store);
	process->log->vtable->close(process->log);
	process->ledger->vtable->close(process->ledger);
	run->adapter->end(run->adapter);
	*process = (struct process){0};
	clients_lose_connections(run->clients);
}

static void bury_if_crashed(struct run *run)
{
	if (!run->world.crashed)
		return;
	put_down(run);
	run->world.crashed = false;
}

static bool create_parts(struct run *run)
{
	struct process *process = &run->process;
	struct random *randomness = &process->randomness.random;
	struct clock *clock = &run->world.clock;
	const struct stream_ports ports = {.log = process->log, .store = process->store, .clock = clock, .random = randomness};
	return ingest_create_simple(&run->ingest_config, process->ledger, clock, randomness, &process->ingest, NULL) ==
		       ERROR_OK &&
	       stream_create(&run->stream_config, &ports, &process->stream, NULL) == ERROR_OK;
}

static void start(struct run *run)
{
	struct process *process = &run->process;
	struct world *world = &run->world;
	/* Who starts has asked for the time. */
	world->clock_error_ms = world_between(world, -HOUR_MS / 2, HOUR_MS / 2);
	world_trace(world, "start", world->clock_error_ms, 0);
	random_seeded_init(&process->randomness, random_u64(world_random(world)));
	run->adapter->begin(run->adapter, &process->ledger, &process->log, &process->store);
	process->ledger = mutation_wrap_ledger(run->options->mutation, fault_wrap_ledger(&run->fault, process->ledger));
	process->log = mutation_wrap_log(run->options->mutation, fault_wrap_log(&run->fault, process->log));
	process->store = mutation_wrap_store(run->options->mutation, fault_wrap_store(&run->fault, process->store));
	process->running = true;
	if (!create_parts(run) && !world->crashed)
		put_down(run);
}

static void stop(struct run *run)
{
	struct process *process = &run->process;
	world_trace(&run->world, "stop", 0, 0);
	ingest_close(process->ingest);
	while (ingest_step(process->ingest))
		;
	stream_flush(process->stream, NULL);
	if (!run->world.crashed)
		put_down(run);
}

static void crash_machine(struct run *run)
{
	if (run->adapter->lose == NULL)
		return;
	if (run->process.running)
		put_down(run);
	run->fault.store_position = run->adapter->lose(run->adapter);
	truth_forget_writes(&run->truth);
	world_trace(&run->world, "machine crash", run->fault.store_position, 0);
}

static void pass_time(struct run *run)
{
	struct world *world = &run->world;
	static const int64_t longest_ms[] = {50, 50,   50,   50,    50,	    50,	     50,	  50,
					     50, 2000, 2000, 60000, 400000, HOUR_MS, 30 * HOUR_MS};
	size_t which = (size_t)world_between(world, 0, sizeof longest_ms / sizeof longest_ms[0] - 1);
	/* No request waits for hours. */
	bool waiting = run->process.running && ingest_stats(run->process.ingest).depth > 0;
	world_pass(world, world_between(world, 0, (waiting ? longest_ms[0] : longest_ms[which]) * 1000));
}

static void set_clock(struct run *run)
{
	struct world *world = &run->world;
	world->clock_error_ms = world_between(world, -HOUR_MS / 2, HOUR_MS / 2);
	/* Far ahead for a while: not where windows would be thrown away for it. */
	if (run->truth.window_retention_ms == 0 && world_once_in(world, 8))
		world->clock_error_ms += world_between(world, 0, 5 * DAY_MS);
	world_trace(world, "clock", world->clock_error_ms, 0);
}

static enum action choose_action(struct run *run)
{
	uint64_t draw = random_below(world_random(&run->world), run->weight_sum);
	for (enum action action = 0;; action++) {
		if (draw < run->weights[action])
			return action;
		draw -= run->weights[action];
	}
}

/* Those that need no process, or have none at hand. */
static bool act_alone(struct run *run, enum action action)
{
	switch (action) {
	case ACTION_PASS_TIME:
		pass_time(run);
		return true;
	case ACTION_SET_CLOCK:
		set_clock(run);
		return true;
	case ACTION_MACHINE_CRASH:
		crash_machine(run);
		return true;
	case ACTION_SYNC:
		if (run->adapter->sync != NULL)
			run->adapter->sync(run->adapter);
		return true;
	case ACTION_CHECK:
		truth_check_store(&run->truth, run->adapter->store_reader);
		return true;
	case ACTION_ASK:
		questions_ask(&run->truth, run->clients, run->adapter->ledger_reader, run->adapter->store_reader);
		return true;
	default:
		return false;
	}
}

static void act(struct run *run, enum action action)
{
	if (act_alone(run, action))
		return;
	if (!run->process.running) {
		if (action != ACTION_SEND)
			start(run);
		return;
	}
	switch (action) {
	case ACTION_SEND:
		clients_send(run->clients, run->process.ingest);
		break;
	case ACTION_INGEST:
		ingest_step(run->process.ingest);
		break;
	case ACTION_STREAM:
		stream_step(run->process.stream, (int)world_between(&run->world, 0, 100), NULL);
		break;
	case ACTION_RESTART:
		stop(run);
		break;
	default:
		put_down(run);
	}
}

/* Everything that is on its way arrives: the log's end is in the store, and what became due meanwhile is written too. */
static void settle(struct run *run)
{
	struct world *world = &run->world;
	for (int i = 0, quiet_steps = 0; i < SETTLE_STEPS_MAX; i++) {
		if (!run->process.running)
			start(run);
		bool busy = ingest_step(run->process.ingest);
		busy |= stream_step(run->process.stream, 100, NULL) != ERROR_OK;
		busy |= run->fault.store_position != truth_end(&run->truth);
		world_pass(world, 50000);
		quiet_steps = busy ? 0 : quiet_steps + 1;
		if (quiet_steps > QUIET_STEPS && clock_wall_ms(&world->clock) % WINDOW_MS > QUIET_STEPS * 50)
			return;
	}
	world_fail(world, "it never comes to rest: the store is at %lld, the log ends at %lld",
		   (long long)run->fault.store_position, (long long)truth_end(&run->truth));
}

static void check_stream(struct run *run)
{
	struct stream_status status;
	stream_status(run->process.stream, &status);
	if (status.state != STREAM_RUNNING || status.lag_events != 0)
		world_fail(&run->world, "the stream is %s with a lag of %lld, though all is in the store",
			   stream_state_name(status.state), (long long)status.lag_events);
}

static void check_all(struct run *run)
{
	settle(run);
	check_stream(run);
	clients_check(run->clients);
	int64_t position = truth_check_store(&run->truth, run->adapter->store_reader);
	if (position != truth_end(&run->truth))
		world_fail(&run->world, "the store says that it is at %lld", (long long)position);
	int64_t now_ms = clock_wall_ms(&run->world.clock);
	/* What was materialised by a clock ahead of time holds only when time has come there. (Queries see that, and derive
	 * again.) */
	if (now_ms >= run->world.latest_wall_ms)
		truth_check_activities(&run->truth, run->adapter->store_reader, now_ms);
	truth_check_ledger(&run->truth, run->adapter->ledger_reader);
}

/* No more faults: now everything must come right, and stay so when time passes and after a restart. */
static void finish(struct run *run)
{
	struct world *world = &run->world;
	world_trace(world, "quiet", 0, 0);
	run->fault.odds = (struct fault_odds){0};
	run->fault.disk_full_until_us = 0;
	world->clock_error_ms = 0;
	check_all(run);
	if (world->latest_wall_ms > world_true_ms(world))
		world_pass(world, (world->latest_wall_ms - world_true_ms(world)) * 1000);
	check_all(run);
	world_pass(world, world_between(world, 0, 26 * HOUR_MS) * 1000);
	check_all(run);
	stop(run);
	truth_check_store(&run->truth, run->adapter->store_reader);
	check_all(run);
	put_down(run);
}

static uint32_t odds(struct world *world, int64_t low, int64_t high)
{
	return world_once_in(world, 3) ? 0 : (uint32_t)world_between(world, low, high);
}

/* Each seed is another kind of day: what happens often in one never does in another. */
static void choose_day(struct run *run)
{
	struct world *world = &run->world;
	run->fault.odds = (struct fault_odds){.fail = odds(world, 5, 200),
					      .in_doubt = odds(world, 5, 100),
					      .torn = odds(world, 5, 100),
					      .crash = odds(world, 50, 2000),
					      .disk_full = odds(world, 100, 1000),
					      .slow = odds(world, 10, 100),
					      .rebalance = odds(world, 20, 200),
					      .fence = odds(world, 20, 200)};
	run->weights[ACTION_SEND] = (uint32_t)world_between(world, 200, 800);
	run->weights[ACTION_INGEST] = (uint32_t)world_between(world, 50, 400);
	run->weights[ACTION_STREAM] = (uint32_t)world_between(world, 50, 400);
	run->weights[ACTION_ASK] = (uint32_t)world_between(world, 1, 20);
	run->weights[ACTION_PASS_TIME] = (uint32_t)world_between(world, 10, 200);
	run->weights[ACTION_SET_CLOCK] = (uint32_t)world_between(world, 0, 10);
	run->weights[ACTION_RESTART] = (uint32_t)world_between(world, 0, 5);
	run->weights[ACTION_CRASH] = (uint32_t)world_between(world, 0, 5);
	run->weights[ACTION_MACHINE_CRASH] = (uint32_t)world_between(world, 0, 3);
	run->weights[ACTION_SYNC] = (uint32_t)world_between(world, 0, 10);
	run->weights[ACTION_CHECK] = 3;
	for (int i = 0; i < ACTIONS; i++)
		run->weight_sum += run->weights[i];
	run->ingest_config = (struct ingest_config){.max_queue = (size_t)world_between(world, 2, 200),
						    .max_batch = (size_t)world_between(world, 1, 50)};
	int64_t retention_ms = world_once_in(world, 3) ? world_between(world, 30, 100) * HOUR_MS : 0;
	run->truth.window_retention_ms = retention_ms;
	run->stream_config = (struct stream_config){
		.engine = {.max_rows = (size_t)(world_once_in(world, 2) ? world_between(world, 1, 60) : 5000),
			   .max_refreshes = (size_t)world_between(world, 1, 20),
			   .window_retention_ms = retention_ms},
		.flush_interval_ms = (int)world_between(world, 1, 1000),
		.max_dirty_rows = (size_t)(world_once_in(world, 2) ? world_between(world, 1, 60) : 0)};
}

struct run_result run_seed(uint64_t seed, const struct run_options *options)
{
	struct run run = {.options = options};
	world_init(&run.world, seed, options->replay, options->trace);
	truth_init(&run.truth, &run.world);
	run.fault = (struct fault){.world = &run.world, .truth = &run.truth, .store_position = POSITION_NONE};
	choose_day(&run);
	run.clients = clients_create(&run.world, &run.truth);
	run.adapter = options->sqlite ? sqlite_adapter_create(&run.world) : model_adapter_create(&run.world);
	run.fault.adapter = run.adapter;
	while (run.world.step++ < options->steps) {
		act(&run, choose_action(&run));
		bury_if_crashed(&run);
	}
	finish(&run);
	struct run_result result = {.hash = run.world.trace_hash,
				    .pings = run.truth.rows.count,
				    .rows_checked = run.truth.rows_checked,
				    .crashes = (uint64_t)run.fault.crashes,
				    .failures = (uint64_t)run.fault.failures};
	run.adapter->destroy(run.adapter);
	clients_destroy(run.clients);
	truth_release(&run.truth);
	return result;
}
