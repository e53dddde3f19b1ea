#include "ingest/batch.h"

#include <stdlib.h>

struct batch_keyed {
	const struct ingest_ping *ping;
	size_t index;
};

enum error batch_init(struct batch *batch, struct ingest *ingest, size_t max)
{
	*batch = (struct batch){.ingest = ingest, .max = max, .row_capacity = max};
	batch->pings = calloc(max, sizeof(struct ingest_ping *));
	batch->claim_of = calloc(max, sizeof *batch->claim_of);
	batch->claims = calloc(max, sizeof *batch->claims);
	batch->keyed = calloc(max, sizeof *batch->keyed);
	batch->rows = calloc(max, sizeof *batch->rows);
	if (batch->pings == NULL || batch->claim_of == NULL || batch->claims == NULL || batch->keyed == NULL ||
	    batch->rows == NULL) {
		batch_release(batch);
		return ERROR_NO_MEMORY;
	}
	return ERROR_OK;
}

void batch_release(struct batch *batch)
{
	free(batch->pings);
	free(batch->claim_of);
	free(batch->claims);
	free(batch->keyed);
	free(batch->rows);
	*batch = (struct batch){0};
}

static int compare_keys(const struct ledger_ping *a, const struct ledger_ping *b)
{
	int order = address_compare(&a->client, &b->client);
	if (order != 0)
		return order;
	order = memcmp(a->key.data, b->key.data, a->key.size < b->key.size ? a->key.size : b->key.size);
	return order != 0 ? order : (a->key.size > b->key.size) - (a->key.size < b->key.size);
}

static int compare_keyed(const void *left, const void *right)
{
	const struct batch_keyed *a = left, *b = right;
	int order = compare_keys(&a->ping->ping, &b->ping->ping);
	return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

/* Sorts the keyed pings by key; the first of each key claims it. */
static void make_claims(struct batch *batch, size_t keyed_count)
{
	batch->claim_count = 0;
	if (keyed_count == 0)
		return;
	qsort(batch->keyed, keyed_count, sizeof *batch->keyed, compare_keyed);
	for (size_t i = 0; i < keyed_count; i++) {
		const struct ledger_ping *ping = &batch->keyed[i].ping->ping;
		if (i == 0 || compare_keys(&batch->keyed[i - 1].ping->ping, ping) != 0)
			batch->claims[batch->claim_count++] = (struct publish_claim){
				.client = ping->client,
				.key = ping->key,
				.id = ping->id,
				.pinged_at_ms = ping->pinged_at_ms,
				.received_at_ms = ping->received_at_ms,
			};
		batch->claim_of[batch->keyed[i].index] = (int32_t)batch->claim_count - 1;
	}
}

size_t batch_take(struct batch *batch, struct uuid_generator *ids, int64_t now_ms)
{
	struct ingest_ping *ping;
	batch->count = ingest_take(batch->ingest, batch->max, &ping);
	size_t keyed_count = 0;
	for (size_t i = 0; i < batch->count; i++, ping = ping->next) {
		ping->ping.id = uuid_generate(ids, now_ms);
		batch->pings[i] = ping;
		batch->claim_of[i] = -1;
		if (ping->ping.key.size > 0)
			batch->keyed[keyed_count++] = (struct batch_keyed){ping, i};
	}
	make_claims(batch, keyed_count);
	batch_clear_rows(batch);
	return batch->count;
}

static void settle(struct batch *batch, size_t index, enum error error, bool duplicate)
{
	struct ingest_ping *ping = batch->pings[index];
	batch->pings[index] = NULL;
	ping->ping.result = error;
	ping->ping.duplicate = duplicate;
	ping->ping.position = -1;
	ping->next = batch->answered;
	batch->answered = ping;
	if (error == ERROR_OK && !duplicate)
		batch->outcome.accepted++;
	else if (error == ERROR_OK || error == ERROR_KEY_REUSED)
		batch->outcome.duplicates++;
	else
		batch->outcome.failed++;
}

static void settle_repetition(struct batch *batch, size_t index, int64_t first_pinged_at_ms)
{
	bool same = batch->pings[index]->ping.pinged_at_ms == first_pinged_at_ms;
	settle(batch, index, same ? ERROR_OK : ERROR_KEY_REUSED, same);
}

/* They are counted before they are told: who was told must not find an older count. */
static void send_answers(struct batch *batch, const struct error_note *note)
{
	ingest_count(batch->ingest, &batch->outcome);
	batch->outcome = (struct ingest_outcome){0};
	struct ingest_ping *ping = batch->answered;
	batch->answered = NULL;
	for (struct ingest_ping *next; ping != NULL; ping = next) {
		next = ping->next;
		enum error error = ping->ping.result;
		ping->done(ping, error, error == ERROR_OK || error == ERROR_KEY_REUSED ? NULL : note);
	}
}

void batch_answer_duplicates(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		int32_t claim = batch->claim_of[i];
		if (batch->pings[i] != NULL && claim >= 0 && !batch->claims[claim].claimed)
			settle_repetition(batch, i, batch->claims[claim].first_pinged_at_ms);
	}
	send_answers(batch, NULL);
}

void batch_answer_keyed(struct batch *batch, enum error error, const struct error_note *note)
{
	for (size_t i = 0; i < batch->count; i++)
		if (batch->pings[i] != NULL && batch->claim_of[i] >= 0)
			settle(batch, i, error, false);
	send_answers(batch, note);
}

/* Is the ping the one that stands for its key? */
static bool is_first(const struct batch *batch, size_t index)
{
	int32_t claim = batch->claim_of[index];
	return claim < 0 ||
	       memcmp(&batch->claims[claim].id, &batch->pings[index]->ping.id, sizeof batch->pings[index]->ping.id) == 0;
}

void batch_make_rows(struct batch *batch)
{
	batch->row_count = 0;
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->pings[i] == NULL || !is_first(batch, i))
			continue;
		batch->rows[batch->row_count] = batch->pings[i]->ping;
		batch->rows[batch->row_count++].position = -1;
	}
}

void batch_answer(struct batch *batch, enum error error, const struct error_note *note)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->pings[i] == NULL)
			continue;
		if (error == ERROR_OK && !is_first(batch, i))
			settle_repetition(batch, i, batch->claims[batch->claim_of[i]].pinged_at_ms);
		else
			settle(batch, i, error, false);
	}
	batch->outcome.batches = 1;
	batch->outcome.failed_batches = error != ERROR_OK;
	batch->count = 0;
	batch->claim_count = 0;
	send_answers(batch, note);
}

void batch_clear_rows(struct batch *batch)
{
	batch->row_count = 0;
}

void batch_drop_placed_rows(struct batch *batch)
{
	size_t kept = 0;
	for (size_t i = 0; i < batch->row_count; i++)
		if (batch->rows[i].position < 0)
			batch->rows[kept++] = batch->rows[i];
	batch->row_count = kept;
}

enum error batch_add_row(struct batch *batch, const struct ledger_ping *row)
{
	if (batch->row_count == batch->row_capacity) {
		size_t capacity = batch->row_capacity * 2;
		struct ledger_ping *rows = reallocarray(batch->rows, capacity, sizeof *rows);
		if (rows == NULL)
			return ERROR_NO_MEMORY;
		batch->rows = rows;
		batch->row_capacity = capacity;
	}
	batch->rows[batch->row_count++] = *row;
	return ERROR_OK;
}
