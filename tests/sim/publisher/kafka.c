#include "kafka.h"

#include <stdlib.h>

struct client {
	struct publish_log log;
	struct kafka *kafka;
	struct process *process;
	int32_t slot;
	uint32_t epoch;
	uint64_t transaction;	     /* that it began; 0: none */
	struct publish_record early; /* newest record before it was opened */
	uint64_t early_ends;	     /* and the newest end of a transaction's */
	uint64_t broker_crashes;     /* when it was opened */
};

static struct client *client_of_log(struct publish_log *log)
{
	return (struct client *)log;
}

void kafka_init(struct kafka *kafka, struct net *net, struct postgres *postgres)
{
	kafka->net = net;
	kafka->postgres = postgres;
	kafka->transactions = kafka->ends = kafka->timeouts = kafka->broker_crashes = 0;
	kafka->late_count = 0;
	for (size_t i = 0; i < PARTITIONS; i++)
		kafka->partitions[i].count = 0;
	for (size_t i = 0; i < SLOTS; i++)
		kafka->producers[i] = (struct kafka_producer){.newest = {-1, -1}};
}

/* What takes effect */

static struct kafka_record *append(struct kafka *kafka, uint32_t partition, const struct kafka_record *record)
{
	struct kafka_partition *to = &kafka->partitions[partition];
	if (to->count == MAX_PINGS)
		world_fail(kafka->net->world, "the simulated log is full");
	to->records[to->count] = *record;
	return &to->records[to->count++];
}

/* An end in a partition is that of everything which the producer has open there. */
static void end_what_was_left(struct kafka_producer *producer, const bool partitions[PARTITIONS], bool commit)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < producer->left_count; i++) {
		struct kafka_record *record = producer->left[i];
		if (partitions[kafka_partition_of(record->ping)])
			record->state = commit ? RECORD_VISIBLE : RECORD_ABORTED;
		else
			producer->left[left++] = record;
	}
	producer->left_count = left;
}

static void end_transaction(struct kafka *kafka, struct kafka_producer *producer, bool commit)
{
	if (producer->transaction == 0)
		return;
	end_what_was_left(producer, producer->touched, commit);
	kafka->ends++;
	producer->before = producer->newest;
	producer->fresh = true;
	producer->record_seen = false;
	for (uint32_t i = 0; i < producer->open_count; i++) {
		producer->open[i]->state = commit ? RECORD_VISIBLE : RECORD_ABORTED;
		producer->open[i]->end = kafka->ends;
	}
	for (uint32_t i = 0; i < PARTITIONS; i++)
		if (producer->touched[i])
			append(kafka, i, &(struct kafka_record){.state = RECORD_MARKER});
	if (commit && producer->record.batch >= 0)
		producer->newest = producer->record;
	producer->transaction = 0;
}

static int64_t produce_row(struct kafka *kafka, struct kafka_producer *producer, int32_t slot, const struct ledger_ping *row)
{
	uint32_t ping = ping_of(row), partition = kafka_partition_of(ping);
	struct kafka_record *record =
		append(kafka, partition,
		       &(struct kafka_record){producer != NULL ? RECORD_OPEN : RECORD_VISIBLE, slot, ping, row->id, 0});
	if (producer != NULL) {
		if (producer->open_count == MAX_OPEN)
			world_fail(kafka->net->world, "a transaction is larger than the simulator's");
		producer->open[producer->open_count++] = record;
		producer->touched[partition] = true;
	}
	return (int64_t)LOG_EPOCH << 48 | (record - kafka->partitions[partition].records);
}

static enum error commit_as(struct kafka *kafka, const struct kafka_late *commit)
{
	struct kafka_producer *producer = &kafka->producers[commit->slot];
	if (producer->epoch != commit->epoch)
		return ERROR_FENCED;
	if (producer->transaction == 0 || producer->transaction != commit->transaction)
		return ERROR_ABORTED;
	end_transaction(kafka, producer, true);
	return ERROR_OK;
}

bool kafka_land(struct kafka *kafka)
{
	if (kafka->late_count == 0)
		return false;
	size_t index = (size_t)random_below(world_random(kafka->net->world), kafka->late_count);
	struct kafka_late late = kafka->late[index];
	kafka->late[index] = kafka->late[--kafka->late_count];
	enum error error = commit_as(kafka, &late);
	world_trace(kafka->net->world, "late log commit", late.slot, error);
	return true;
}

static void leave_without_end(struct kafka *kafka, struct kafka_producer *producer)
{
	bool left[PARTITIONS];
	for (uint32_t i = 0; i < PARTITIONS; i++)
		left[i] = producer->touched[i] && world_once_in(kafka->net->world, 2);
	for (uint32_t i = 0; i < producer->open_count; i++) {
		struct kafka_record *record = producer->open[i];
		if (!left[kafka_partition_of(record->ping)])
			continue;
		if (producer->left_count == MAX_OPEN)
			world_fail(kafka->net->world, "more is left without an end than the simulator takes");
		record->state = RECORD_OPEN;
		producer->left[producer->left_count++] = record;
	}
	/* The slot's record lies in a partition of its own. */
	if (!producer->record_seen && world_once_in(kafka->net->world, 2))
		producer->newest = producer->before;
	producer->fresh = false;
}

/* Not of a slot that nobody holds: its last transaction would hold readers back until somebody takes it, which is said in
 * docs/KAFKA.md. */
void kafka_crash(struct kafka *kafka)
{
	world_trace(kafka->net->world, "the broker crashes", 0, 0);
	kafka->broker_crashes++;
	for (int32_t slot = 0; slot < SLOTS; slot++)
		if (kafka->producers[slot].fresh && kafka->postgres->slots[slot].lease_until_us != 0)
			leave_without_end(kafka, &kafka->producers[slot]);
}

void kafka_end_old_transactions(struct kafka *kafka)
{
	for (int32_t slot = 0; slot < SLOTS; slot++) {
		struct kafka_producer *producer = &kafka->producers[slot];
		if (producer->transaction == 0 ||
		    kafka->net->world->true_us - producer->since_us < TRANSACTION_TIMEOUT_MS * INT64_C(1000))
			continue;
		world_trace(kafka->net->world, "log aborts transaction", slot, producer->record.batch);
		end_transaction(kafka, producer, false);
		producer->epoch += world_once_in(kafka->net->world, 2); /* as newer brokers do */
		kafka->timeouts++;
	}
}

const struct kafka_record *kafka_at(const struct kafka *kafka, uint32_t ping, int64_t position)
{
	const struct kafka_partition *partition = &kafka->partitions[kafka_partition_of(ping)];
	int64_t offset = position & ((INT64_C(1) << 48) - 1);
	if (position < 0 || position >> 48 != LOG_EPOCH || offset >= partition->count)
		return NULL;
	return &partition->records[offset];
}

/* The port */

static enum error open_producer(struct publish_log *log, int32_t slot, struct error_note *note)
{
	struct client *client = client_of_log(log);
	struct kafka *kafka = client->kafka;
	if (slot != PUBLISH_NO_SLOT)
		client->early = kafka->producers[slot].newest;
	client->early_ends = kafka->ends;
	enum fate fate = net_request(kafka->net, KAFKA, client->process);
	if (fate == REFUSED || fate == VANISHED || fate == LATE)
		return net_reply(fate, false, note);
	client->slot = slot;
	client->transaction = 0;
	if (slot != PUBLISH_NO_SLOT) {
		struct kafka_producer *producer = &kafka->producers[slot];
		while (world_once_in(kafka->net->world, 2) && kafka_land(kafka)) /* a commit that had begun is finished */
			;
		end_transaction(kafka, producer, false);
		static const bool all[PARTITIONS] = {true, true, true};
		if (kafka->net->without != WITHOUT_SWEEP)
			end_what_was_left(producer, all, false);
		producer->fresh = false;
		client->epoch = ++producer->epoch;
		client->broker_crashes = kafka->broker_crashes;
	}
	return net_reply(fate, false, note);
}

static bool is_down(const struct client *client)
{
	return client->slot != PUBLISH_NO_SLOT && client->broker_crashes != client->kafka->broker_crashes &&
	       client->kafka->net->without != WITHOUT_CHECK;
}

static enum error check(struct publish_log *log, struct error_note *note)
{
	return is_down(client_of_log(log)) ? error_noted(note, ERROR_UNAVAILABLE, "the broker was down") : ERROR_OK;
}

static enum error newest(struct publish_log *log, struct publish_record *ret_record, struct error_note *note)
{
	struct client *client = client_of_log(log);
	struct kafka *kafka = client->kafka;
	enum fate fate = net_request(kafka->net, KAFKA, client->process);
	if (fate != CARRIED_OUT)
		return net_reply(fate, false, note);
	struct publish_record record = kafka->producers[client->slot].newest;
	kafka->producers[client->slot].record_seen = true;
	if (kafka->net->without == WITHOUT_NEWEST_AFTER_OPEN)
		record = client->early;
	if (kafka->net->without == WITHOUT_MAX && record.batch > kafka->postgres->slots[client->slot].batch_seq)
		record.batch = record.after = kafka->postgres->slots[client->slot].batch_seq;
	if (kafka->net->without == WITHOUT_AFTER && record.batch > 0)
		record.after = record.batch - 1;
	if (record.batch < 0)
		return ERROR_NOT_FOUND;
	*ret_record = record;
	return ERROR_OK;
}

static bool is_there(const struct client *client, const struct kafka_record *record, const struct ledger_ping *row)
{
	if (client->kafka->net->without == WITHOUT_NEWEST_AFTER_OPEN && record != NULL && record->end > client->early_ends)
		return false;
	return record != NULL && record->state == RECORD_VISIBLE && memcmp(&record->id, &row->id, sizeof record->id) == 0;
}

static bool is_before(struct kafka_record *const *records, uint32_t count, const struct kafka_record *end)
{
	for (uint32_t i = 0; i < count; i++)
		if (records[i] <= end && kafka_partition_of(records[i]->ping) == kafka_partition_of(end->ping))
			return true;
	return false;
}

/* Readers of committed records come no further than to the first one that is open. */
static bool is_held_back(const struct kafka *kafka, const struct kafka_record *record)
{
	for (size_t slot = 0; slot < SLOTS; slot++) {
		const struct kafka_producer *producer = &kafka->producers[slot];
		if ((producer->transaction != 0 && is_before(producer->open, producer->open_count, record)) ||
		    is_before(producer->left, producer->left_count, record))
			return true;
	}
	return false;
}

static enum error find(struct publish_log *log, struct ledger_ping *rows, size_t count, struct error_note *note)
{
	struct client *client = client_of_log(log);
	struct kafka *kafka = client->kafka;
	enum fate fate = net_request(kafka->net, KAFKA, client->process);
	if (fate != CARRIED_OUT)
		return net_reply(fate, false, note);
	if (kafka->net->without == WITHOUT_FIND)
		return ERROR_OK;
	for (size_t i = 0; i < count; i++) {
		const struct kafka_record *record = kafka_at(kafka, ping_of(&rows[i]), rows[i].position);
		if (record != NULL && is_held_back(kafka, record))
			return error_noted(note, ERROR_UNAVAILABLE, "another transaction is open before that record");
	}
	for (size_t i = 0; i < count; i++) {
		const struct kafka_record *record = kafka_at(kafka, ping_of(&rows[i]), rows[i].position);
		if (!is_there(client, record, &rows[i]))
			rows[i].position = -1;
	}
	return ERROR_OK;
}

static enum error produce_alone(struct client *client, struct ledger_ping *rows, size_t count, struct error_note *note)
{
	struct kafka *kafka = client->kafka;
	enum fate fate = net_request(kafka->net, KAFKA, client->process);
	if (fate == REFUSED)
		return net_reply(fate, true, note);
	size_t done = fate == CARRIED_OUT ? count : (size_t)random_below(world_random(kafka->net->world), count + 1);
	for (size_t i = 0; i < done; i++)
		rows[i].position = produce_row(kafka, NULL, PUBLISH_NO_SLOT, &rows[i]);
	return net_reply(fate, true, note);
}

static enum error produce(struct publish_log *log, const struct publish_record *record, struct ledger_ping *rows, size_t count,
			  struct error_note *note)
{
	struct client *client = client_of_log(log);
	struct kafka *kafka = client->kafka;
	if (client->slot == PUBLISH_NO_SLOT)
		return produce_alone(client, rows, count, note);
	struct kafka_producer *producer = &kafka->producers[client->slot];
	enum fate fate = net_request(kafka->net, KAFKA, client->process);
	if (fate == REFUSED || fate == VANISHED)
		return net_reply(fate, false, note);
	if (is_down(client))
		return error_noted(note, ERROR_UNAVAILABLE, "the broker was down");
	if (client->epoch != producer->epoch)
		return ERROR_FENCED;
	if (producer->transaction != 0)
		world_fail(kafka->net->world, "slot %d: a second transaction at a time", client->slot);
	producer->transaction = client->transaction = ++kafka->transactions;
	producer->since_us = kafka->net->world->true_us;
	producer->open_count = 0;
	producer->fresh = false;
	memset(producer->touched, 0, sizeof producer->touched);
	bool whole = fate == CARRIED_OUT || fate == REPLY_LOST;
	size_t done = whole ? count : (size_t)random_below(world_random(kafka->net->world), count + 1);
	for (size_t i = 0; i < done; i++)
		rows[i].position = produce_row(kafka, producer, client->slot, &rows[i]);
	producer->record = whole ? *record : (struct publish_record){-1, -1};
	return net_reply(fate, false, note);
}

static enum error commit(struct publish_log *log, struct error_note *note)
{
	struct client *client = client_of_log(log);
	struct kafka *kafka = client->kafka;
	enum fate fate = net_request(kafka->net, KAFKA, client->process);
	struct kafka_late commit = {client->slot, client->epoch, client->transaction};
	client->transaction = 0;
	enum error error = ERROR_OK;
	if (fate == CARRIED_OUT || fate == REPLY_LOST)
		error = commit_as(kafka, &commit);
	if ((fate == LATE || kafka->net->doubled) && kafka->late_count < sizeof kafka->late / sizeof kafka->late[0])
		kafka->late[kafka->late_count++] = commit;
	if (!kafka->net->quiet && world_once_in(kafka->net->world, 500))
		kafka_crash(kafka);
	if (error == ERROR_OK && is_down(client))
		return error_noted(note, ERROR_IN_DOUBT, "the broker was down");
	if (error == ERROR_ABORTED && kafka->net->without == WITHOUT_ABORTED_COMMIT)
		return ERROR_OK;
	return fate == CARRIED_OUT ? error : net_reply(fate, true, note);
}

static enum error abort_transaction(struct publish_log *log, struct error_note *note)
{
	struct client *client = client_of_log(log);
	struct kafka *kafka = client->kafka;
	struct kafka_producer *producer = &kafka->producers[client->slot];
	enum fate fate = net_request(kafka->net, KAFKA, client->process);
	if (fate == CARRIED_OUT || fate == REPLY_LOST) {
		if (producer->epoch != client->epoch)
			return ERROR_FENCED;
		if (producer->transaction == client->transaction)
			end_transaction(kafka, producer, false);
		client->transaction = 0;
	}
	return net_reply(fate, true, note);
}

static void close_client(struct publish_log *log)
{
	free(log);
}

static const struct publish_log_vtable vtable = {
	.open = open_producer,
	.check = check,
	.newest = newest,
	.find = find,
	.produce = produce,
	.commit = commit,
	.abort = abort_transaction,
	.close = close_client,
};

struct publish_log *kafka_connect(struct kafka *kafka, struct process *process)
{
	struct client *client = malloc(sizeof *client);
	if (client == NULL)
		abort();
	*client = (struct client){.log.vtable = &vtable, .kafka = kafka, .process = process, .slot = PUBLISH_NO_SLOT};
	return &client->log;
}
