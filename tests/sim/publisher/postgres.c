#include "postgres.h"

#include <stdlib.h>

#include "base/hash.h"

enum late_kind { LATE_COMMIT, LATE_MOVE, LATE_EPOCH, LATE_RELEASE };

struct postgres_late {
	struct postgres_late *next;
	enum late_kind kind;
	bool locked;	/* it has begun and holds the slot's row */
	int64_t due_us; /* at the earliest */
	int32_t slot;
	int64_t epoch, batch;
	uint32_t transaction;
	bool finished;
	size_t count;
	struct ledger_ping rows[];
};

struct connection {
	struct slot_ledger ledger;
	struct postgres *postgres;
	struct process *process;
	uint32_t transaction; /* open; 0: none */
	unsigned session;
};

static struct connection *connection_of(struct slot_ledger *ledger)
{
	return (struct connection *)ledger;
}

static struct world *world_of(const struct postgres *postgres)
{
	return postgres->net->world;
}

void postgres_init(struct postgres *postgres, struct net *net)
{
	memset(postgres, 0, sizeof *postgres);
	postgres->net = net;
	memset(postgres->row_of, 0xff, sizeof postgres->row_of);
}

void postgres_release(struct postgres *postgres)
{
	for (struct postgres_late *next, *late = postgres->late; late != NULL; late = next) {
		next = late->next;
		free(late);
	}
}

/* Transactions and keys */

static bool is_late(const struct postgres *postgres, uint32_t transaction)
{
	for (const struct postgres_late *late = postgres->late; late != NULL; late = late->next)
		if (late->transaction == transaction)
			return true;
	return false;
}

/* Of all transactions (0) but those that aren't idle, or of one. */
static void end_transaction(struct postgres *postgres, uint32_t transaction, bool committed)
{
	size_t left = 0;
	for (size_t i = 0; i < postgres->held_count; i++) {
		struct postgres_key *key = &postgres->keys[postgres->held[i]];
		if (transaction != 0 ? key->holder != transaction : is_late(postgres, key->holder)) {
			postgres->held[left++] = postgres->held[i];
			continue;
		}
		key->holder = 0;
		key->committed |= committed;
	}
	postgres->held_count = left;
}

static void end_keys(struct postgres *postgres, uint32_t transaction, bool committed)
{
	if (transaction != 0)
		end_transaction(postgres, transaction, committed);
}

static void roll_back(struct connection *connection)
{
	end_keys(connection->postgres, connection->transaction, false);
	connection->transaction = 0;
}

/* False: the server ended the session, and its transaction, meanwhile. */
static bool session_is_alive(struct connection *connection)
{
	if (connection->transaction == 0 || connection->session == connection->postgres->sessions)
		return true;
	roll_back(connection);
	return false;
}

static void begin(struct connection *connection)
{
	if (connection->transaction != 0)
		return;
	connection->session = connection->postgres->sessions;
	connection->transaction = ++connection->postgres->transactions;
}

void postgres_end_idle_transactions(struct postgres *postgres)
{
	postgres->sessions++;
	end_transaction(postgres, 0, false);
}

/* What takes effect */

static void insert_rows(struct postgres *postgres, int32_t slot, int64_t batch, const struct ledger_ping *rows, size_t count)
{
	postgres->batches[postgres->batch_count++] =
		(struct postgres_batch){slot, batch, postgres->row_count, (uint32_t)count, false};
	for (size_t i = 0; i < count; i++) {
		uint32_t ping = ping_of(&rows[i]);
		if (postgres->row_of[ping] != NO_ROW && !postgres->lost[ping])
			world_fail(world_of(postgres), "ping %u has two rows", ping);
		postgres->row_of[ping] = (int32_t)postgres->row_count;
		postgres->rows[postgres->row_count++] = (struct postgres_row){.id = rows[i].id,
									      .ping = ping,
									      .client = rows[i].client,
									      .pinged_at_ms = rows[i].pinged_at_ms,
									      .received_at_ms = rows[i].received_at_ms,
									      .position = rows[i].position};
	}
}

static int compare_ids(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a, b, sizeof *a);
}

static void extend_lease(struct postgres *postgres, int32_t slot)
{
	postgres->slots[slot].lease_until_us = world_of(postgres)->true_us + LEASE_MS * INT64_C(1000);
}

static bool has_any(const struct postgres *postgres, const struct ledger_ping *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int32_t row = postgres->row_of[ping_of(&rows[i])];
		if (row != NO_ROW && compare_ids(&postgres->rows[row].id, &rows[i].id) == 0)
			return true;
	}
	return false;
}

static enum error commit(struct postgres *postgres, int32_t slot, int64_t epoch, int64_t batch, const struct ledger_ping *rows,
			 size_t count, uint32_t transaction)
{
	if (slot >= 0 && postgres->slots[slot].epoch != epoch && postgres->net->without != WITHOUT_RAISE) {
		end_keys(postgres, transaction, false);
		return ERROR_FENCED;
	}
	if (has_any(postgres, rows, count)) { /* the primary key */
		end_keys(postgres, transaction, false);
		return ERROR_UNAVAILABLE;
	}
	if (slot >= 0 && postgres->slots[slot].epoch == epoch) {
		struct postgres_slot *row = &postgres->slots[slot];
		if (!postgres->net->loss && postgres->net->without == WITH_ALL &&
		    (batch <= row->batch_seq || compare_ids(&rows[0].id, &row->last_id) <= 0))
			world_fail(world_of(postgres), "slot %d goes back to batch %lld", slot, (long long)batch);
		row->batch_seq = batch;
		row->last_id = rows[count - 1].id;
		extend_lease(postgres, slot);
	}
	insert_rows(postgres, slot, batch, rows, count);
	end_keys(postgres, transaction, true);
	return ERROR_OK;
}

static enum error move(struct postgres *postgres, int32_t slot, int64_t epoch, const struct ledger_ping *rows, size_t count)
{
	if (postgres->slots[slot].epoch != epoch && postgres->net->without != WITHOUT_EPOCH_IN_REPUBLISH)
		return ERROR_FENCED;
	for (size_t i = 0; i < count; i++) {
		int32_t row = postgres->row_of[ping_of(&rows[i])];
		if (row != NO_ROW && compare_ids(&postgres->rows[row].id, &rows[i].id) == 0)
			postgres->rows[row].position = rows[i].position;
	}
	return ERROR_OK;
}

static enum error raise_epoch(struct postgres *postgres, int32_t slot, int64_t epoch)
{
	if (postgres->slots[slot].epoch != epoch)
		return ERROR_FENCED;
	if (postgres->net->without != WITHOUT_EPOCH)
		postgres->slots[slot].epoch++;
	extend_lease(postgres, slot);
	return ERROR_OK;
}

static enum error release(struct postgres *postgres, int32_t slot, int64_t epoch, bool finished)
{
	if (postgres->slots[slot].epoch != epoch)
		return ERROR_FENCED;
	postgres->slots[slot].lease_until_us = finished ? 0 : world_of(postgres)->true_us;
	return ERROR_OK;
}

/* Requests that are carried out late */

static struct postgres_late *delay(struct postgres *postgres, enum late_kind kind, int32_t slot, int64_t epoch,
				   const struct ledger_ping *rows, size_t count)
{
	struct postgres_late *late = malloc(sizeof *late + count * sizeof late->rows[0]);
	if (late == NULL)
		abort();
	*late = (struct postgres_late){.next = postgres->late, .kind = kind, .slot = slot, .epoch = epoch, .count = count};
	/* Where the statement before COMMIT was carried out, the row is locked until the transaction ends. */
	late->locked = slot >= 0 && (kind == LATE_COMMIT || kind == LATE_MOVE) && postgres->slots[slot].epoch == epoch &&
		       world_once_in(world_of(postgres), 2);
	if (world_once_in(world_of(postgres), 2)) /* long enough for a lease to run out */
		late->due_us = world_of(postgres)->true_us + world_between(world_of(postgres), 0, 3 * LEASE_MS) * 1000;
	if (count > 0)
		memcpy(late->rows, rows, count * sizeof *rows);
	postgres->late = late;
	return late;
}

static void carry_out(struct postgres *postgres, struct postgres_late *late)
{
	bool lost = world_once_in(world_of(postgres), 3);
	world_trace(world_of(postgres), lost ? "late request lost" : "late request", late->kind, late->slot);
	if (lost)
		end_keys(postgres, late->transaction, false);
	else if (late->kind == LATE_COMMIT)
		commit(postgres, late->slot, late->epoch, late->batch, late->rows, late->count, late->transaction);
	else if (late->kind == LATE_MOVE)
		move(postgres, late->slot, late->epoch, late->rows, late->count);
	else if (late->kind == LATE_EPOCH)
		raise_epoch(postgres, late->slot, late->epoch);
	else
		release(postgres, late->slot, late->epoch, late->finished);
	free(late);
}

/* A statement on the slot's row waits until who holds its lock has ended. */
static void wait_for_lock(struct postgres *postgres, int32_t slot)
{
	for (struct postgres_late **link = &postgres->late; *link != NULL;) {
		struct postgres_late *late = *link;
		if (late->locked && late->slot == slot) {
			*link = late->next;
			carry_out(postgres, late);
		} else {
			link = &late->next;
		}
	}
}

bool postgres_land(struct postgres *postgres, int64_t due_us)
{
	uint64_t count = 0;
	struct postgres_late **chosen = NULL;
	for (struct postgres_late **link = &postgres->late; *link != NULL; link = &(*link)->next)
		if ((*link)->due_us <= due_us && random_below(world_random(world_of(postgres)), ++count) == 0)
			chosen = link;
	if (chosen == NULL)
		return false;
	struct postgres_late *late = *chosen;
	*chosen = late->next;
	if (late->slot >= 0 && !late->locked)
		wait_for_lock(postgres, late->slot);
	carry_out(postgres, late);
	return true;
}

static void lose_row(struct postgres *postgres, struct postgres_row *row)
{
	row->lost = true;
	postgres->lost[row->ping] = true;
	postgres->row_of[row->ping] = NO_ROW;
	for (size_t key = 0; key < KEY_PLACES; key++)
		if (postgres->keys[key].committed && postgres->keys[key].pinged_at_ms == row->pinged_at_ms)
			postgres->keys[key].committed = false;
}

/* What was on its way to the server that is gone. */
static void drop_late(struct postgres *postgres, int32_t slot)
{
	for (struct postgres_late **link = &postgres->late; *link != NULL;) {
		struct postgres_late *late = *link;
		if (late->slot != slot) {
			link = &late->next;
			continue;
		}
		*link = late->next;
		end_keys(postgres, late->transaction, false);
		free(late);
	}
}

void postgres_lose_newest(struct postgres *postgres)
{
	int32_t slot = (int32_t)random_below(world_random(world_of(postgres)), SLOTS);
	struct postgres_slot *row = &postgres->slots[slot];
	struct postgres_batch *newest = NULL, *before = NULL;
	for (uint32_t i = 0; i < postgres->batch_count; i++) {
		struct postgres_batch *batch = &postgres->batches[i];
		if (batch->slot != slot || batch->lost)
			continue;
		if (batch->number == row->batch_seq)
			newest = batch;
		else
			before = batch;
	}
	if (newest == NULL || before == NULL)
		return;
	world_trace(world_of(postgres), "ledger loses batch", slot, row->batch_seq);
	newest->lost = true;
	drop_late(postgres, slot);
	for (uint32_t i = 0; i < newest->count; i++)
		lose_row(postgres, &postgres->rows[newest->first + i]);
	row->batch_seq = before->number;
	row->last_id = postgres->rows[before->first + before->count - 1].id;
}

/* The port */

static enum fate request(struct connection *connection)
{
	enum fate fate = net_request(connection->postgres->net, POSTGRES, connection->process);
	if (fate != CARRIED_OUT && fate != LATE && fate != REPLY_LOST)
		roll_back(connection);
	return fate;
}

/* Dead, free, never used. */
static int rank(const struct postgres *postgres, int32_t slot)
{
	int64_t until_us = postgres->slots[slot].lease_until_us;
	if (until_us > world_of(postgres)->true_us)
		return -1;
	return until_us != 0 ? 0 : postgres->slots[slot].epoch > 0 ? 1 : 2;
}

static bool arrives_later(const struct postgres *postgres, enum fate fate)
{
	return fate == LATE || postgres->net->doubled;
}

static int32_t find_slot(const struct postgres *postgres, enum publish_take which)
{
	int32_t first = (int32_t)random_below(world_random(world_of(postgres)), SLOTS);
	for (int wanted = 0; wanted < (which == PUBLISH_TAKE_DEAD ? 1 : 3); wanted++)
		for (int32_t i = 0; i < SLOTS; i++)
			if (rank(postgres, (first + i) % SLOTS) == wanted)
				return (first + i) % SLOTS;
	return PUBLISH_NO_SLOT;
}

static enum error take(struct slot_ledger *ledger, enum publish_take which, struct publish_slot *ret_slot,
		       struct error_note *note)
{
	struct connection *connection = connection_of(ledger);
	struct postgres *postgres = connection->postgres;
	enum fate fate = request(connection);
	int32_t slot = find_slot(postgres, which);
	if (slot != PUBLISH_NO_SLOT && arrives_later(postgres, fate))
		delay(postgres, LATE_EPOCH, slot, postgres->slots[slot].epoch, NULL, 0);
	if (fate != CARRIED_OUT && fate != REPLY_LOST)
		return net_reply(fate, true, note);
	if (slot == PUBLISH_NO_SLOT)
		return fate == REPLY_LOST ? ERROR_IN_DOUBT : error_noted(note, ERROR_RESOURCE_EXHAUSTED, "no slot is free");
	struct postgres_slot *row = &postgres->slots[slot];
	struct postgres_slot early = *row;
	if (postgres->net->without == WITHOUT_RETURNING) /* read by a statement before the UPDATE */
		while (postgres_land(postgres, INT64_MAX))
			;
	wait_for_lock(postgres, slot);
	postgres->takeovers += row->lease_until_us != 0;
	raise_epoch(postgres, slot, row->epoch);
	*ret_slot =
		(struct publish_slot){slot, row->epoch, row->batch_seq, row->last_id, world_true_ms(world_of(postgres)) * 1000};
	if (postgres->net->without == WITHOUT_RETURNING) {
		ret_slot->batch_seq = early.batch_seq;
		ret_slot->last_id = early.last_id;
	}
	return net_reply(fate, true, note);
}

static enum error renew(struct slot_ledger *ledger, const struct publish_slot *slot, struct error_note *note)
{
	struct connection *connection = connection_of(ledger);
	struct postgres *postgres = connection->postgres;
	enum fate fate = request(connection);
	if (fate == CARRIED_OUT || fate == REPLY_LOST) {
		wait_for_lock(postgres, slot->slot);
		if (postgres->slots[slot->slot].epoch != slot->epoch)
			return fate == REPLY_LOST ? ERROR_IN_DOUBT : ERROR_FENCED;
		extend_lease(postgres, slot->slot);
	}
	return net_reply(fate, true, note);
}

static enum error release_slot(struct slot_ledger *ledger, const struct publish_slot *slot, bool finished,
			       struct error_note *note)
{
	struct connection *connection = connection_of(ledger);
	struct postgres *postgres = connection->postgres;
	enum fate fate = request(connection);
	enum error error = ERROR_OK;
	if (arrives_later(postgres, fate))
		delay(postgres, LATE_RELEASE, slot->slot, slot->epoch, NULL, 0)->finished = finished;
	if (fate == CARRIED_OUT || fate == REPLY_LOST) {
		wait_for_lock(postgres, slot->slot);
		error = release(postgres, slot->slot, slot->epoch, finished);
	}
	return fate == CARRIED_OUT ? error : net_reply(fate, true, note);
}

static enum error settle(struct slot_ledger *ledger, struct publish_slot *slot, struct error_note *note)
{
	struct connection *connection = connection_of(ledger);
	struct postgres *postgres = connection->postgres;
	enum fate fate = request(connection);
	if (postgres->net->without == WITHOUT_ROW_LOCK) { /* a plain SELECT */
		if (fate == CARRIED_OUT)
			slot->batch_seq = postgres->slots[slot->slot].batch_seq;
		return net_reply(fate, true, note);
	}
	if (arrives_later(postgres, fate))
		delay(postgres, LATE_EPOCH, slot->slot, slot->epoch, NULL, 0);
	if (fate != CARRIED_OUT && fate != REPLY_LOST)
		return net_reply(fate, true, note);
	wait_for_lock(postgres, slot->slot);
	enum error error = raise_epoch(postgres, slot->slot, slot->epoch);
	if (fate == REPLY_LOST)
		return net_reply(fate, true, note);
	if (error == ERROR_FENCED && postgres->net->without == WITHOUT_FENCED_IN_SETTLE)
		return ERROR_OK;
	if (error != ERROR_OK)
		return error;
	const struct postgres_slot *row = &postgres->slots[slot->slot];
	*slot = (struct publish_slot){slot->slot, row->epoch, row->batch_seq, row->last_id,
				      world_true_ms(world_of(postgres)) * 1000};
	return ERROR_OK;
}

/* Its place, or a new one. */
static struct postgres_key *key_of(struct postgres *postgres, const struct publish_claim *claim)
{
	static const uint8_t hash_key[16];
	struct postgres_key wanted = {.client = claim->client, .size = claim->key.size};
	memcpy(wanted.bytes, claim->key.data, claim->key.size);
	uint64_t place = hash_keyed(hash_key, &wanted, offsetof(struct postgres_key, size));
	struct postgres_key *key;
	for (;; place++) {
		key = &postgres->keys[place % KEY_PLACES];
		if (key->size == 0)
			*key = wanted;
		if (memcmp(key, &wanted, offsetof(struct postgres_key, size)) == 0 && key->size == wanted.size)
			return key;
	}
}

static enum error claim(struct slot_ledger *ledger, struct publish_claim *claims, size_t count, struct error_note *note)
{
	struct connection *connection = connection_of(ledger);
	struct postgres *postgres = connection->postgres;
	enum fate fate = request(connection);
	if (fate != CARRIED_OUT) {
		roll_back(connection);
		return net_reply(fate, false, note);
	}
	begin(connection);
	for (size_t i = 0; i < count; i++) {
		struct postgres_key *key = key_of(postgres, &claims[i]);
		if (key->holder == connection->transaction)
			world_fail(world_of(postgres), "a batch claims a key twice");
		if (key->holder != 0 && postgres->net->without != WITHOUT_KEY_LOCKS) {
			roll_back(connection);
			return error_noted(note, ERROR_ABORTED, "lock_timeout");
		}
		claims[i].claimed = !key->committed;
		claims[i].first_pinged_at_ms = key->pinged_at_ms;
		if (claims[i].claimed) {
			if (key->holder == 0)
				postgres->held[postgres->held_count++] = (uint32_t)(key - postgres->keys);
			key->holder = connection->transaction;
			key->pinged_at_ms = claims[i].pinged_at_ms;
			key->received_at_ms = claims[i].received_at_ms;
		}
	}
	return ERROR_OK;
}

static enum error commit_in(struct connection *connection, int32_t slot, int64_t epoch, int64_t batch,
			    const struct ledger_ping *rows, size_t count, struct error_note *note)
{
	struct postgres *postgres = connection->postgres;
	if (!session_is_alive(connection))
		return error_noted(note, ERROR_UNAVAILABLE, "the session was ended");
	enum fate fate = request(connection);
	enum error error = ERROR_OK;
	if (fate == CARRIED_OUT || fate == REPLY_LOST) {
		if (slot >= 0)
			wait_for_lock(postgres, slot);
		error = commit(postgres, slot, epoch, batch, rows, count, connection->transaction);
	}
	if (arrives_later(postgres, fate)) {
		struct postgres_late *late = delay(postgres, LATE_COMMIT, slot, epoch, rows, count);
		late->batch = batch;
		late->transaction = fate == LATE ? connection->transaction : 0; /* its keys are settled */
	}
	connection->transaction = 0;
	if (fate != CARRIED_OUT && postgres->net->without == WITHOUT_DOUBT)
		return error_noted(note, ERROR_UNAVAILABLE, "taken for a failure");
	return fate == CARRIED_OUT ? error : net_reply(fate, true, note);
}

static enum error commit_batch(struct slot_ledger *ledger, const struct publish_slot *slot, int64_t batch,
			       const struct ledger_ping *rows, size_t count, struct error_note *note)
{
	int32_t number = slot != NULL ? slot->slot : PUBLISH_NO_SLOT;
	return commit_in(connection_of(ledger), number, slot != NULL ? slot->epoch : 0, batch, rows, count, note);
}

static enum error insert(struct slot_ledger *ledger, const struct ledger_ping *rows, size_t count, struct error_note *note)
{
	struct connection *connection = connection_of(ledger);
	(void)rows;
	(void)count;
	bool alive = session_is_alive(connection);
	enum fate fate = request(connection);
	if (!alive || fate != CARRIED_OUT) {
		roll_back(connection);
		return error_noted(note, ERROR_UNAVAILABLE, "not inserted");
	}
	begin(connection);
	return ERROR_OK;
}

static enum error commit_inserted(struct slot_ledger *ledger, const struct ledger_ping *rows, size_t count,
				  struct error_note *note)
{
	return commit_in(connection_of(ledger), PUBLISH_NO_SLOT, 0, 0, rows, count, note);
}

static void abandon(struct slot_ledger *ledger)
{
	roll_back(connection_of(ledger));
}

/* The first after `after`. */
static const struct postgres_batch *find_batch(const struct postgres *postgres, const struct publish_slot *slot, int64_t after)
{
	const struct postgres_batch *found = NULL;
	bool newest = postgres->net->without == WITHOUT_ORDER_IN_REPUBLISH;
	for (uint32_t i = 0; i < postgres->batch_count; i++) {
		const struct postgres_batch *batch = &postgres->batches[i];
		if (batch->slot == slot->slot && !batch->lost && batch->number > after && batch->number <= slot->batch_seq &&
		    (found == NULL || (batch->number < found->number) != newest))
			found = batch;
	}
	return found;
}

static void visit_row(const struct postgres_row *row, void (*visit)(void *context, const struct ledger_ping *row), void *context)
{
	visit(context, &(struct ledger_ping){.id = row->id,
					     .client = row->client,
					     .pinged_at_ms = row->pinged_at_ms,
					     .received_at_ms = row->received_at_ms,
					     .position = row->position});
}

static enum error read_batches(struct slot_ledger *ledger, const struct publish_slot *slot, int64_t after, size_t enough,
			       struct publish_run *ret_run, void (*visit)(void *context, const struct ledger_ping *row),
			       void *context, struct error_note *note)
{
	struct connection *connection = connection_of(ledger);
	struct postgres *postgres = connection->postgres;
	enum fate fate = request(connection);
	if (fate != CARRIED_OUT)
		return net_reply(fate, false, note);
	struct publish_run run = {.last = after};
	size_t rows = 0;
	const struct postgres_batch *batch;
	while (rows < enough && (batch = find_batch(postgres, slot, run.last)) != NULL) {
		bool cut = postgres->net->without == WITHOUT_WHOLE_BATCHES;
		for (uint32_t i = 0; i < batch->count && !(cut && rows == enough); i++, rows++)
			visit_row(&postgres->rows[batch->first + i], visit, context);
		run.last = batch->number;
		run.batches++;
	}
	*ret_run = run;
	return run.batches > 0 ? ERROR_OK : ERROR_NOT_FOUND;
}

static enum error set_positions(struct slot_ledger *ledger, const struct publish_slot *slot, const struct ledger_ping *rows,
				size_t count, struct error_note *note)
{
	struct connection *connection = connection_of(ledger);
	struct postgres *postgres = connection->postgres;
	enum fate fate = request(connection);
	enum error error = ERROR_OK;
	if (arrives_later(postgres, fate))
		delay(postgres, LATE_MOVE, slot->slot, slot->epoch, rows, count);
	if (fate == CARRIED_OUT || fate == REPLY_LOST) {
		wait_for_lock(postgres, slot->slot);
		error = move(postgres, slot->slot, slot->epoch, rows, count);
	}
	return fate == CARRIED_OUT ? error : net_reply(fate, true, note);
}

static enum error prune_keys(struct slot_ledger *ledger, int64_t retention_ms, size_t max, size_t *ret_removed,
			     struct error_note *note)
{
	struct postgres *postgres = connection_of(ledger)->postgres;
	(void)note;
	size_t removed = 0;
	for (size_t i = 0; i < KEY_PLACES && removed < max; i++) {
		struct postgres_key *key = &postgres->keys[i];
		if (!key->committed || key->received_at_ms >= world_true_ms(world_of(postgres)) - retention_ms)
			continue;
		key->committed = false;
		removed++;
	}
	*ret_removed = removed;
	return ERROR_OK;
}

static void close_connection(struct slot_ledger *ledger)
{
	struct connection *connection = connection_of(ledger);
	/* The server may learn late that a process is gone: what it held stays locked. */
	if (!connection->process->dead || world_once_in(world_of(connection->postgres), 2))
		roll_back(connection);
	free(ledger);
}

static const struct slot_ledger_vtable vtable = {
	.take = take,
	.renew = renew,
	.release = release_slot,
	.settle = settle,
	.claim = claim,
	.commit = commit_batch,
	.insert = insert,
	.commit_inserted = commit_inserted,
	.abandon = abandon,
	.read_batches = read_batches,
	.set_positions = set_positions,
	.prune_keys = prune_keys,
	.close = close_connection,
};

struct slot_ledger *postgres_connect(struct postgres *postgres, struct process *process)
{
	struct connection *connection = malloc(sizeof *connection);
	if (connection == NULL)
		abort();
	*connection = (struct connection){.ledger.vtable = &vtable, .postgres = postgres, .process = process};
	return &connection->ledger;
}
