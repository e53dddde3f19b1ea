/* One seed: several replicas with the real ingest and publishers (and a rescuer each) over modelled PostgreSQL and Kafka. Pings
 * come, steps are made in any order, processes die in any call, stand still while others take their slots, and go on as zombies;
 * then quiet, then everything is held against what was promised:
 *
 *   rows and events are the same, each event once, at the position that its row says, in the order of its slot's ids
 *   OK              the row and the event are there
 *   ALREADY_EXISTS  the key's row is another ping's
 *   not known       either way
 *   anything else   neither row nor event of this attempt, now or later
 *
 * Under `ordered` an event of an unknown attempt may have no row, and nothing else.
 */
#include "../run.h"

#include <stdio.h>
#include <stdlib.h>

#include "ingest/publisher.h"
#include "kafka.h"

enum {
	REPLICAS = 3,
	PUBLISHERS = 2,
	CARRIERS = PUBLISHERS, /* first one of each outbox */
	RESCUER = PUBLISHERS + CARRIERS,
	WORKERS = RESCUER + 1,
	MAX_ATTEMPTS = MAX_PINGS,
	MAX_BATCH = 64,
	QUIET_STEPS = 200000,
};

const struct run_defaults run_defaults = {.seeds = 2000, .steps = 6000};

enum attempt_state { ATTEMPT_WAITS, ATTEMPT_ANSWERED, ATTEMPT_CUT_OFF };

struct attempt {
	struct ingest_ping ping;
	enum attempt_state state;
	uint32_t number; /* of the ping */
	int32_t key;	 /* −1: none */
	uint32_t key_bytes;
	unsigned replica;
	enum error error;
	bool duplicate;
};

struct replica {
	struct process process;
	struct clock clock;
	int64_t clock_error_ms;
	uint64_t paused_until;
	struct ingest *ingest;
	struct publisher *publishers[WORKERS]; /* NULL: not started */
	struct slot_ledger *ledgers[WORKERS];
	struct publish_log *logs[WORKERS];
};

static struct {
	struct world world;
	struct net net;
	struct postgres postgres;
	struct kafka kafka;
	enum publisher_mode mode;
	struct replica replicas[REPLICAS];
	struct attempt attempts[MAX_ATTEMPTS];
	uint32_t attempt_count, ping_count, key_count;
	uint32_t pings_of_keys[MAX_KEYS];
	uint32_t first_waiting;
	uint64_t rows_checked, crashes, answers[3]; /* OK, not known, failed */
	bool ending;				    /* a clean stop */
} sim;

static bool chance(uint32_t once_in)
{
	return world_once_in(&sim.world, once_in);
}

static uint32_t below(uint32_t bound)
{
	return (uint32_t)random_below(world_random(&sim.world), bound);
}

/* Answers */

static bool row_is(const struct attempt *attempt)
{
	int32_t row = sim.postgres.row_of[attempt->number];
	return row != NO_ROW && memcmp(&sim.postgres.rows[row].id, &attempt->ping.ping.id, sizeof(struct uuid)) == 0;
}

static bool event_is_visible(const struct attempt *attempt)
{
	int32_t row = sim.postgres.row_of[attempt->number];
	const struct kafka_record *record = kafka_at(&sim.kafka, attempt->number, sim.postgres.rows[row].position);
	return record != NULL && record->state == RECORD_VISIBLE &&
	       memcmp(&record->id, &sim.postgres.rows[row].id, sizeof record->id) == 0;
}

static void check_answer(const struct attempt *attempt)
{
	bool has_row = sim.postgres.row_of[attempt->number] != NO_ROW, lost = sim.postgres.lost[attempt->number];
	if (attempt->error == ERROR_OK && !has_row && !lost)
		world_fail(&sim.world, "ping %u was answered OK and has no row", attempt->number);
	if (attempt->error == ERROR_OK && !attempt->duplicate && !lost && !row_is(attempt))
		world_fail(&sim.world, "ping %u was answered OK and its row is another attempt's", attempt->number);
	if (attempt->error == ERROR_OK && !attempt->duplicate && !lost && sim.mode != PUBLISHER_OUTBOX &&
	    !event_is_visible(attempt))
		world_fail(&sim.world, "ping %u was answered OK before its event was visible", attempt->number);
	if (attempt->error != ERROR_OK && attempt->error != ERROR_KEY_REUSED && attempt->error != ERROR_IN_DOUBT &&
	    row_is(attempt))
		world_fail(&sim.world, "ping %u was answered %s and has a row", attempt->number, error_name(attempt->error));
}

static void done(struct ingest_ping *ping, enum error error, const struct error_note *note)
{
	struct attempt *attempt = (struct attempt *)ping;
	(void)note;
	if (sim.replicas[attempt->replica].process.dead)
		return; /* nobody hears it */
	if (attempt->state != ATTEMPT_WAITS)
		world_fail(&sim.world, "ping %u was answered twice", attempt->number);
	attempt->state = ATTEMPT_ANSWERED;
	attempt->error = error;
	attempt->duplicate = ping->ping.duplicate;
	sim.answers[error == ERROR_OK || error == ERROR_KEY_REUSED ? 0 : error == ERROR_IN_DOUBT ? 1 : 2]++;
	check_answer(attempt);
}

/* Clients */

static void submit(uint32_t number, int32_t key)
{
	struct replica *replica = &sim.replicas[below(REPLICAS)];
	if (replica->ingest == NULL || sim.attempt_count == MAX_ATTEMPTS)
		return;
	struct attempt *attempt = &sim.attempts[sim.attempt_count];
	*attempt = (struct attempt){.number = number, .key = key, .key_bytes = (uint32_t)key};
	attempt->replica = (unsigned)(replica - sim.replicas);
	attempt->ping.done = done;
	attempt->ping.ping = (struct ledger_ping){.client = client_of(number), .pinged_at_ms = START_MS + number};
	attempt->ping.ping.received_at_ms = clock_wall_ms(&replica->clock);
	if (key >= 0)
		attempt->ping.ping.key = slice_make(&attempt->key_bytes, sizeof attempt->key_bytes);
	if (ingest_submit(replica->ingest, &attempt->ping) == ERROR_OK)
		sim.attempt_count++;
}

static void send_ping(void)
{
	if (sim.ping_count == MAX_PINGS || sim.key_count == MAX_KEYS)
		return;
	bool again = sim.key_count > 0 && chance(12);
	if (again || chance(6)) {
		/* Mostly a key that was used a moment ago; sometimes for another ping of the same client. */
		uint32_t back = below(sim.key_count < 40 ? sim.key_count + 1 : 40);
		int32_t key = again ? (int32_t)(sim.key_count - 1 - (back < sim.key_count ? back : 0)) : (int32_t)sim.key_count++;
		if (!again)
			sim.pings_of_keys[key] = sim.ping_count++;
		uint32_t number = sim.pings_of_keys[key];
		if (again && chance(4) && sim.ping_count + 61 < MAX_PINGS) {
			number = sim.ping_count + (61 + number % 61 - sim.ping_count % 61) % 61;
			sim.ping_count = number + 1;
		}
		submit(number, key);
		if (chance(8))
			submit(number, key); /* twice at once */
	} else {
		submit(sim.ping_count++, -1);
	}
}

/* Replicas */

static int64_t replica_wall_ms(struct clock *clock)
{
	const struct replica *replica = (struct replica *)((char *)clock - offsetof(struct replica, clock));
	return world_true_ms(&sim.world) + replica->clock_error_ms;
}

static int64_t replica_monotonic_us(struct clock *clock)
{
	(void)clock;
	return sim.world.true_us;
}

static void heard(void *context, enum publisher_news news, const struct publisher_status *status, enum error error,
		  const char *text)
{
	(void)context;
	(void)text;
	static const char *const names[] = {"changed", "taken",	  "fenced",    "trouble",
					    "failed",  "unknown", "recovered", "ledger lost"};
	world_trace(&sim.world, news == PUBLISHER_CHANGED ? publisher_state_text(status->state) : names[news], status->slot,
		    news == PUBLISHER_CHANGED ? status->batch_seq : (int64_t)error);
}

static void start_replica(struct replica *replica)
{
	struct ingest_config ingest_config = {0};
	*replica = (struct replica){.clock = {replica_wall_ms, replica_monotonic_us}};
	replica->clock_error_ms = world_between(&sim.world, -600000, 600000);
	if (ingest_create(&ingest_config, &replica->clock, &replica->ingest) != ERROR_OK)
		abort();
	for (size_t i = 0; i < WORKERS; i++) {
		bool rescuer = i == RESCUER, carrier = !rescuer && i >= PUBLISHERS;
		if ((rescuer && sim.mode == PUBLISHER_ORDERED) || (carrier && sim.mode != PUBLISHER_OUTBOX))
			continue;
		struct publisher_config config = {.mode = sim.mode, .rescuer = rescuer, .max_batch = MAX_BATCH, .tell = heard};
		config.carries_for = carrier ? replica->publishers[i - PUBLISHERS] : NULL;
		replica->ledgers[i] = postgres_connect(&sim.postgres, &replica->process);
		replica->logs[i] = kafka_connect(&sim.kafka, &replica->process);
		if (publisher_create(&config, replica->ingest, replica->ledgers[i], replica->logs[i], &replica->clock,
				     world_random(&sim.world), &replica->publishers[i]) != ERROR_OK)
			abort();
	}
}

static void end_replica(struct replica *replica)
{
	for (size_t i = WORKERS; i-- > 0;) {
		if (replica->publishers[i] == NULL)
			continue;
		publisher_destroy(replica->publishers[i]);
		replica->ledgers[i]->vtable->close(replica->ledgers[i]);
		replica->logs[i]->vtable->close(replica->logs[i]);
		replica->publishers[i] = NULL;
	}
	ingest_destroy(replica->ingest);
	replica->ingest = NULL;
	while (sim.first_waiting < sim.attempt_count && sim.attempts[sim.first_waiting].state != ATTEMPT_WAITS)
		sim.first_waiting++;
	for (uint32_t i = sim.first_waiting; i < sim.attempt_count; i++)
		if (sim.attempts[i].state == ATTEMPT_WAITS && &sim.replicas[sim.attempts[i].replica] == replica)
			sim.attempts[i].state = ATTEMPT_CUT_OFF;
}

static void crash_replica(struct replica *replica)
{
	world_trace(&sim.world, "crash", replica - sim.replicas, 0);
	replica->process.dead = true;
	sim.crashes++;
	end_replica(replica);
}

/* True: somebody had something to do. */
static bool step_replica(struct replica *replica, size_t worker)
{
	if (replica->ingest == NULL || replica->publishers[worker] == NULL || replica->paused_until > sim.world.step)
		return false;
	bool busy = publisher_step(replica->publishers[worker]);
	if (replica->process.dead)
		crash_replica(replica);
	return busy;
}

/* What goes wrong by itself */

static void pass_time(void)
{
	int64_t us = (int64_t)below(20000);
	if (chance(100))
		us += (int64_t)below(1000000);
	if (chance(600))
		us += (int64_t)below(15000000);
	world_pass(&sim.world, us);
}

static void disturb(void)
{
	struct replica *replica = &sim.replicas[below(REPLICAS)];
	if (chance(400) && replica->ingest != NULL)
		crash_replica(replica);
	if (chance(200))
		replica->paused_until = sim.world.step + below(400);
	if (chance(20) && replica->ingest == NULL)
		start_replica(replica);
	if (chance(600))
		sim.net.down_until_us[below(2)] = sim.world.true_us + (int64_t)below(20000000);
	if (chance(100))
		postgres_end_idle_transactions(&sim.postgres);
	if (chance(8))
		postgres_land(&sim.postgres, sim.world.true_us);
	if (chance(8))
		kafka_land(&sim.kafka);
	if (chance(400))
		kafka_crash(&sim.kafka);
	if (sim.net.loss && chance(250))
		postgres_lose_newest(&sim.postgres);
	kafka_end_old_transactions(&sim.kafka);
}

/* Quiet */

static bool is_quiet(void)
{
	for (int32_t slot = 0; slot < SLOTS && sim.mode != PUBLISHER_ORDERED; slot++) {
		const struct kafka_producer *producer = &sim.kafka.producers[slot];
		if (producer->transaction != 0 || producer->left_count > 0 ||
		    (sim.postgres.slots[slot].batch_seq > 0 && producer->newest.batch < sim.postgres.slots[slot].batch_seq))
			return false;
	}
	for (uint32_t i = sim.first_waiting; i < sim.attempt_count; i++)
		if (sim.attempts[i].state == ATTEMPT_WAITS)
			return false;
	return true;
}

static void step_all(void)
{
	sim.world.step++;
	bool busy = false;
	for (size_t i = 0; i < REPLICAS; i++)
		for (size_t worker = 0; worker < WORKERS; worker++)
			busy |= step_replica(&sim.replicas[i], worker);
	world_pass(&sim.world, busy ? 1000 : 100000);
	kafka_end_old_transactions(&sim.kafka);
}

static void become_quiet(void)
{
	sim.net.quiet = true;
	while (postgres_land(&sim.postgres, INT64_MAX) || kafka_land(&sim.kafka))
		;
	postgres_end_idle_transactions(&sim.postgres);
	for (size_t i = 0; i < REPLICAS; i++) {
		sim.replicas[i].paused_until = 0;
		if (sim.replicas[i].ingest == NULL)
			start_replica(&sim.replicas[i]);
	}
	/* The longest that anything waits: a lease, a transaction's timeout, a look for dead slots. */
	int64_t settled_us = sim.world.true_us + INT64_C(60000000);
	for (int i = 0; sim.world.true_us < settled_us || !is_quiet(); i++) {
		if (i == QUIET_STEPS)
			world_fail(&sim.world, "it does not come to rest");
		step_all();
	}
}

static void stop_replicas(void)
{
	for (size_t i = 0; i < REPLICAS; i++)
		ingest_close(sim.replicas[i].ingest);
	for (int i = 0; i < 1000; i++)
		step_all();
	for (size_t i = 0; i < REPLICAS; i++) {
		for (size_t worker = 0; worker < WORKERS; worker++)
			if (sim.replicas[i].publishers[worker] != NULL && !publisher_ended(sim.replicas[i].publishers[worker]))
				world_fail(&sim.world, "a publisher does not end");
		end_replica(&sim.replicas[i]);
	}
	for (size_t i = 0; i < SLOTS; i++)
		if (sim.postgres.slots[i].lease_until_us > sim.world.true_us)
			world_fail(&sim.world, "slot %zu is still held", i);
}

/* What must be */

static bool has_failed(const struct attempt *attempt)
{
	return attempt->state == ATTEMPT_ANSWERED && attempt->error != ERROR_OK && attempt->error != ERROR_KEY_REUSED &&
	       attempt->error != ERROR_IN_DOUBT;
}

static void check_event(const struct kafka_record *record, int64_t position, struct uuid newest_ids[SLOTS])
{
	int32_t row = sim.postgres.row_of[record->ping];
	bool mine = row != NO_ROW && memcmp(&sim.postgres.rows[row].id, &record->id, sizeof record->id) == 0;
	if (mine && sim.postgres.rows[row].position != position)
		world_fail(&sim.world, "the event of ping %u is there twice, or its row has another position", record->ping);
	if (!mine && !sim.postgres.lost[record->ping] && sim.mode != PUBLISHER_ORDERED)
		world_fail(&sim.world, "the event of ping %u has no row", record->ping);
	if (record->slot < 0 || sim.net.loss)
		return;
	if (memcmp(&newest_ids[record->slot], &record->id, sizeof record->id) >= 0)
		world_fail(&sim.world, "the event of ping %u is out of its slot's order", record->ping);
	newest_ids[record->slot] = record->id;
}

static int compare_record_ids(const void *a, const void *b)
{
	return memcmp(&(*(struct kafka_record *const *)a)->id, &(*(struct kafka_record *const *)b)->id, sizeof(struct uuid));
}

/* Visible events, by id. */
static struct kafka_record *events[MAX_PINGS * PARTITIONS];
static size_t event_count;

static void check_events(void)
{
	event_count = 0;
	for (uint32_t i = 0; i < PARTITIONS; i++) {
		struct uuid newest_ids[SLOTS] = {0};
		struct kafka_partition *partition = &sim.kafka.partitions[i];
		for (uint32_t offset = 0; offset < partition->count; offset++) {
			struct kafka_record *record = &partition->records[offset];
			if (record->state == RECORD_OPEN)
				world_fail(&sim.world, "an event of ping %u is held back for ever", record->ping);
			if (record->state != RECORD_VISIBLE)
				continue;
			check_event(record, (int64_t)LOG_EPOCH << 48 | offset, newest_ids);
			events[event_count++] = record;
		}
	}
}

static const struct postgres_batch *batch_of(uint32_t row)
{
	const struct postgres_batch *batch = sim.postgres.batches;
	while (row >= batch->first + batch->count)
		batch++;
	return batch;
}

static void check_rows(void)
{
	for (uint32_t i = 0; i < sim.postgres.row_count; i++) {
		const struct postgres_row *row = &sim.postgres.rows[i];
		if (row->lost)
			continue;
		const struct kafka_record *record = kafka_at(&sim.kafka, row->ping, row->position);
		if (record == NULL || record->state != RECORD_VISIBLE || memcmp(&record->id, &row->id, sizeof row->id) != 0)
			world_fail(&sim.world, "the row of ping %u (batch %lld of slot %d) has no event at its position %llx",
				   row->ping, (long long)batch_of(i)->number, batch_of(i)->slot,
				   (unsigned long long)row->position);
		sim.rows_checked++;
	}
}

static void check_attempts(void)
{
	bool sorted = false;
	for (uint32_t i = 0; i < sim.attempt_count; i++) {
		const struct attempt *attempt = &sim.attempts[i];
		if (attempt->state != ATTEMPT_ANSWERED)
			continue;
		check_answer(attempt);
		if (attempt->error == ERROR_KEY_REUSED && !sim.net.loss && sim.postgres.row_of[attempt->number] != NO_ROW)
			world_fail(&sim.world, "ping %u has a row, and was told that its key is another's", attempt->number);
		if (sim.mode != PUBLISHER_ORDERED || !has_failed(attempt))
			continue; /* in the other modes an event has a row, or it was found already */
		if (!sorted)
			qsort(events, event_count, sizeof(struct kafka_record *), compare_record_ids);
		sorted = true;
		const struct kafka_record wanted = {.id = attempt->ping.ping.id}, *key = &wanted;
		if (bsearch(&key, events, event_count, sizeof(struct kafka_record *), compare_record_ids) != NULL)
			world_fail(&sim.world, "ping %u was answered %s and has an event", attempt->number,
				   error_name(attempt->error));
	}
}

static void set_up(uint64_t seed, const struct run_options *options)
{
	world_init(&sim.world, seed, options->replay, options->trace);
	sim.net = (struct net){.world = &sim.world, .without = mutation_safeguard(options->mutation)};
	sim.net.fail_once_in = 10 + below(100);
	sim.net.crash_once_in = 500 + below(2000);
	sim.mode = seed % 8 < 4 ? PUBLISHER_TRANSACTIONAL : seed % 8 < 7 ? PUBLISHER_OUTBOX : PUBLISHER_ORDERED;
	sim.net.loss = sim.mode != PUBLISHER_ORDERED && chance(4);
	postgres_init(&sim.postgres, &sim.net);
	kafka_init(&sim.kafka, &sim.net, &sim.postgres);
	sim.attempt_count = sim.ping_count = sim.key_count = sim.first_waiting = 0;
	sim.rows_checked = sim.crashes = 0;
	memset(sim.answers, 0, sizeof sim.answers);
	for (size_t i = 0; i < REPLICAS; i++)
		start_replica(&sim.replicas[i]);
}

struct run_result run_seed(uint64_t seed, const struct run_options *options)
{
	set_up(seed, options);
	uint32_t burst = 1 + below(10);
	for (uint64_t i = 0; i < options->steps; i++) {
		sim.world.step++;
		pass_time();
		for (uint32_t left = below(burst + 1); left > 0; left--)
			send_ping();
		for (uint32_t left = below(2 * REPLICAS * WORKERS); left > 0; left--)
			step_replica(&sim.replicas[below(REPLICAS)], below(WORKERS));
		disturb();
	}
	become_quiet();
	check_events();
	check_rows();
	check_attempts();
	stop_replicas();
	postgres_release(&sim.postgres);
	return (struct run_result){.hash = sim.world.trace_hash,
				   .pings = sim.attempt_count,
				   .rows_checked = sim.rows_checked,
				   .crashes = sim.crashes,
				   .failures = sim.net.failures};
}
