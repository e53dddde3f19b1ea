#include "model_ledger.h"

#include <stdlib.h>
#include <string.h>

#include "engine/row.h"

enum { KEY_MAX = 128 };

struct key_row {
	struct address client;
	size_t size;
	uint8_t bytes[KEY_MAX];
	int64_t pinged_at_ms, received_at_ms;
};

struct model_ledger_handle {
	union {
		struct ledger ledger;
		struct ledger_reader reader;
	};
	struct model_ledger *data;
};

static int compare_keys(const void *a, const void *b)
{
	const struct key_row *x = a, *y = b;
	int order = address_compare(&x->client, &y->client);
	if (order != 0)
		return order;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return memcmp(x->bytes, y->bytes, x->size);
}

static int compare_positions(const void *a, const void *b)
{
	int64_t x = ((const struct model_ledger_row *)a)->position, y = ((const struct model_ledger_row *)b)->position;
	return (x > y) - (x < y);
}

void model_ledger_init(struct model_ledger *data, struct random *gaps, uint8_t identity_of)
{
	*data = (struct model_ledger){.gaps = gaps};
	rowset_init(&data->rows, sizeof(struct model_ledger_row), compare_positions);
	rowset_init(&data->keys, sizeof(struct key_row), compare_keys);
	memset(data->identity, identity_of, sizeof data->identity);
}

void model_ledger_release(struct model_ledger *data)
{
	rowset_release(&data->rows);
	rowset_release(&data->keys);
}

static void add_row(struct model_ledger *data, struct ledger_ping *ping)
{
	int64_t skipped = data->gaps != NULL && random_below(data->gaps, 8) == 0 ? (int64_t)random_below(data->gaps, 3) : 0;
	data->end_position += 1 + skipped;
	ping->result = ERROR_OK;
	ping->duplicate = false;
	ping->position = data->end_position;
	rowset_append(&data->rows, &(struct model_ledger_row){ping->position, ping->id, ping->client, ping->pinged_at_ms,
							      ping->received_at_ms});
}

static void append_one(struct model_ledger *data, struct ledger_ping *ping)
{
	if (ping->key.size == 0) {
		add_row(data, ping);
		return;
	}
	struct key_row key = {.client = ping->client,
			      .size = ping->key.size,
			      .pinged_at_ms = ping->pinged_at_ms,
			      .received_at_ms = ping->received_at_ms};
	memcpy(key.bytes, ping->key.data, ping->key.size);
	const struct key_row *before = rowset_find(&data->keys, &key);
	if (before == NULL) {
		rowset_put(&data->keys, &key);
		add_row(data, ping);
		return;
	}
	ping->result = before->pinged_at_ms == ping->pinged_at_ms ? ERROR_OK : ERROR_KEY_REUSED;
	ping->duplicate = true;
	ping->position = -1;
}

static enum error model_append(struct ledger *ledger, struct ledger_ping *pings, size_t count, struct error_note *note)
{
	(void)note;
	struct model_ledger *data = ((struct model_ledger_handle *)ledger)->data;
	for (size_t i = 0; i < count; i++)
		append_one(data, &pings[i]);
	return ERROR_OK;
}

static enum error model_last_id(struct ledger *ledger, struct uuid *ret_id, struct error_note *note)
{
	(void)note;
	const struct model_ledger *data = ((struct model_ledger_handle *)ledger)->data;
	struct uuid last = {0};
	for (size_t i = 0; i < data->rows.count; i++) {
		const struct model_ledger_row *row = rowset_at(&data->rows, i);
		if (memcmp(&row->id, &last, sizeof last) > 0)
			last = row->id;
	}
	*ret_id = last;
	return ERROR_OK;
}

/* The index of the key that was received first; keys.count: there is none before before_ms. */
static size_t oldest_key(const struct rowset *keys, int64_t before_ms)
{
	size_t oldest = keys->count;
	for (size_t i = 0; i < keys->count; i++) {
		const struct key_row *key = rowset_at(keys, i);
		if (key->received_at_ms >= before_ms)
			continue;
		before_ms = key->received_at_ms;
		oldest = i;
	}
	return oldest;
}

static enum error model_prune_keys(struct ledger *ledger, int64_t before_ms, size_t max, size_t *ret_removed,
				   struct error_note *note)
{
	(void)note;
	struct rowset *keys = &((struct model_ledger_handle *)ledger)->data->keys;
	size_t removed = 0, oldest;
	while (removed < max && (oldest = oldest_key(keys, before_ms)) < keys->count) {
		rowset_remove(keys, oldest);
		removed++;
	}
	*ret_removed = removed;
	return ERROR_OK;
}

static enum error model_probe(struct ledger *ledger, struct error_note *note)
{
	(void)ledger;
	(void)note;
	return ERROR_OK;
}

static void model_close(struct ledger *ledger)
{
	free(ledger);
}

static const struct ledger_vtable ledger_vtable = {.append = model_append,
						   .last_id = model_last_id,
						   .prune_keys = model_prune_keys,
						   .probe = model_probe,
						   .close = model_close};

static enum error model_count(struct ledger_reader *reader, int64_t start_ms, int64_t end_ms, int64_t *ret_count,
			      struct error_note *note)
{
	(void)note;
	const struct model_ledger *data = ((struct model_ledger_handle *)reader)->data;
	int64_t count = 0;
	for (size_t i = 0; i < data->rows.count; i++) {
		const struct model_ledger_row *row = rowset_at(&data->rows, i);
		count += row->pinged_at_ms >= start_ms && (end_ms == 0 || row->pinged_at_ms < end_ms);
	}
	*ret_count = count;
	return ERROR_OK;
}

static int compare_sums(const void *a, const void *b)
{
	const struct ledger_sum *x = a, *y = b;
	int order = address_compare(&x->client, &y->client);
	return order != 0 ? order : (x->window_start_ms > y->window_start_ms) - (x->window_start_ms < y->window_start_ms);
}

static void add_to_sum(struct rowset *sums, const struct model_ledger_row *row)
{
	struct ledger_sum sum = {.client = row->client, .window_start_ms = window_start_of(row->pinged_at_ms)};
	const struct ledger_sum *before = rowset_find(sums, &sum);
	if (before != NULL)
		sum = *before;
	if (sum.count == 0 || row->pinged_at_ms < sum.first_ms)
		sum.first_ms = row->pinged_at_ms;
	if (sum.count == 0 || row->pinged_at_ms > sum.last_ms)
		sum.last_ms = row->pinged_at_ms;
	sum.count++;
	sum.position = row->position;
	rowset_put(sums, &sum);
}

static enum error model_sum_windows(struct ledger_reader *reader, int64_t up_to,
				    bool (*visit)(void *context, const struct ledger_sum *sum), void *context,
				    struct error_note *note)
{
	(void)note;
	const struct model_ledger *data = ((struct model_ledger_handle *)reader)->data;
	struct rowset sums;
	rowset_init(&sums, sizeof(struct ledger_sum), compare_sums);
	for (size_t i = 0; i < data->rows.count; i++) {
		const struct model_ledger_row *row = rowset_at(&data->rows, i);
		if (row->position <= up_to)
			add_to_sum(&sums, row);
	}
	for (size_t i = 0; i < sums.count; i++)
		if (!visit(context, rowset_at(&sums, i)))
			break;
	rowset_release(&sums);
	return ERROR_OK;
}

static enum error model_count_rows(struct ledger_reader *reader, int64_t *ret_rows, int64_t *ret_rolled_up,
				   struct error_note *note)
{
	(void)note;
	const struct model_ledger *data = ((struct model_ledger_handle *)reader)->data;
	*ret_rows = *ret_rolled_up = (int64_t)data->rows.count;
	return ERROR_OK;
}

static void model_reader_close(struct ledger_reader *reader)
{
	free(reader);
}

static const struct ledger_reader_vtable reader_vtable = {
	.count = model_count, .sum_windows = model_sum_windows, .count_rows = model_count_rows, .close = model_reader_close};

static struct model_ledger_handle *open_handle(struct model_ledger *data)
{
	struct model_ledger_handle *handle = calloc(1, sizeof *handle);
	if (handle == NULL)
		abort();
	handle->data = data;
	return handle;
}

struct ledger *model_ledger_open(struct model_ledger *data)
{
	struct model_ledger_handle *handle = open_handle(data);
	handle->ledger.vtable = &ledger_vtable;
	return &handle->ledger;
}

struct ledger_reader *model_ledger_open_reader(struct model_ledger *data)
{
	struct model_ledger_handle *handle = open_handle(data);
	handle->reader.vtable = &reader_vtable;
	return &handle->reader;
}
