#include "model_store.h"

#include "port/positions.h"

#include <stdlib.h>
#include <string.h>

struct partition_row {
	int32_t partition;
	int64_t owner;
	int64_t position;
	uint8_t log_identity[16];
};

struct stored_activity {
	struct activity_row row;
	int32_t partition; /* whose owner wrote it */
};

union any_row {
	struct window_row window;
	struct day_row day;
	struct client_row client;
	struct stored_activity activity;
	struct partition_row partition;
};

struct undo_row {
	int64_t transaction;
	enum model_store_table table;
	bool existed;
	union any_row row; /* as it was; where it did not exist, its key */
};

struct model_store_handle {
	union {
		struct store store;
		struct store_reader reader;
	};
	struct model_store *data;
	struct rowset owned; /* partition_row of each partition taken */
};

static int compare_start(const struct address *a, int64_t a_start_ms, const struct address *b, int64_t b_start_ms)
{
	int order = address_compare(a, b);
	return order != 0 ? order : (a_start_ms > b_start_ms) - (a_start_ms < b_start_ms);
}

static int compare_windows(const void *a, const void *b)
{
	const struct window_row *x = a, *y = b;
	return compare_start(&x->client, x->start_ms, &y->client, y->start_ms);
}

static int compare_days(const void *a, const void *b)
{
	const struct day_row *x = a, *y = b;
	return compare_start(&x->client, x->start_ms, &y->client, y->start_ms);
}

static int compare_clients(const void *a, const void *b)
{
	return address_compare(&((const struct client_row *)a)->client, &((const struct client_row *)b)->client);
}

static int compare_activities(const void *a, const void *b)
{
	return address_compare(&((const struct stored_activity *)a)->row.client,
			       &((const struct stored_activity *)b)->row.client);
}

static int compare_partitions(const void *a, const void *b)
{
	int32_t x = ((const struct partition_row *)a)->partition, y = ((const struct partition_row *)b)->partition;
	return (x > y) - (x < y);
}

void model_store_init(struct model_store *data)
{
	*data = (struct model_store){0};
	rowset_init(&data->tables[STORE_WINDOWS], sizeof(struct window_row), compare_windows);
	rowset_init(&data->tables[STORE_DAYS], sizeof(struct day_row), compare_days);
	rowset_init(&data->tables[STORE_CLIENTS], sizeof(struct client_row), compare_clients);
	rowset_init(&data->tables[STORE_ACTIVITIES], sizeof(struct stored_activity), compare_activities);
	rowset_init(&data->tables[STORE_PARTITIONS], sizeof(struct partition_row), compare_partitions);
	rowset_init(&data->undo, sizeof(struct undo_row), NULL);
}

void model_store_release(struct model_store *data)
{
	for (int i = 0; i < STORE_TABLES; i++)
		rowset_release(&data->tables[i]);
	rowset_release(&data->undo);
}

void model_store_sync(struct model_store *data)
{
	data->undo.count = 0;
	data->transactions = 0;
}

static void remove_row(struct rowset *table, const void *key)
{
	if (rowset_find(table, key) != NULL)
		rowset_remove(table, rowset_lower_bound(table, key));
}

void model_store_lose(struct model_store *data, int64_t count)
{
	data->transactions = count < data->transactions ? data->transactions - count : 0;
	while (data->undo.count > 0) {
		const struct undo_row *undo = rowset_at(&data->undo, data->undo.count - 1);
		if (undo->transaction < data->transactions)
			break;
		if (undo->existed)
			rowset_put(&data->tables[undo->table], &undo->row);
		else
			remove_row(&data->tables[undo->table], &undo->row);
		data->undo.count--;
	}
}

/* Writes or (row == NULL) removes within the transaction that is open. */
static void change(struct model_store *data, enum model_store_table which, const void *key, const void *row)
{
	struct rowset *table = &data->tables[which];
	const void *before = rowset_find(table, key);
	struct undo_row undo = {.transaction = data->transactions, .table = which, .existed = before != NULL};
	memcpy(&undo.row, before != NULL ? before : key, table->row_size);
	rowset_append(&data->undo, &undo);
	if (row != NULL)
		rowset_put(table, row);
	else
		remove_row(table, key);
}

static bool is_filled_from_another_log(const struct model_store *data, const uint8_t log_identity[16])
{
	const struct rowset *partitions = &data->tables[STORE_PARTITIONS];
	for (size_t i = 0; i < partitions->count; i++) {
		const struct partition_row *row = rowset_at(partitions, i);
		if (memcmp(row->log_identity, log_identity, sizeof row->log_identity) != 0)
			return true;
	}
	return false;
}

static int64_t log_start(const struct store *store)
{
	return position_make(store->log_epoch, 0) - 1;
}

/* All partitions at once go on with a log that was made anew under a greater epoch. */
static void enter_log(const struct store *store, struct model_store *data, const uint8_t log_identity[16])
{
	struct rowset *partitions = &data->tables[STORE_PARTITIONS];
	for (size_t i = 0; i < partitions->count; i++) {
		const struct partition_row *row = rowset_at(partitions, i);
		if (row->position >= 0 && position_epoch(row->position) >= store->log_epoch)
			return;
	}
	for (size_t i = 0; i < partitions->count; i++) {
		struct partition_row row = *(struct partition_row *)rowset_at(partitions, i);
		if (memcmp(row.log_identity, log_identity, sizeof row.log_identity) == 0)
			continue;
		memcpy(row.log_identity, log_identity, sizeof row.log_identity);
		row.position = log_start(store);
		row.owner = ++data->owners;
		change(data, STORE_PARTITIONS, &row, &row);
	}
}

static bool is_behind_epoch(const struct store *store, int64_t position)
{
	return position >= 0 && position != log_start(store) && position_epoch(position) < store->log_epoch;
}

static enum error model_take(struct store *store, int32_t partition, const uint8_t log_identity[16], int64_t *ret_position,
			     struct error_note *note)
{
	struct model_store_handle *handle = (struct model_store_handle *)store;
	struct model_store *data = handle->data;
	if (store->log_epoch > 0)
		enter_log(store, data, log_identity);
	if (is_filled_from_another_log(data, log_identity))
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "the store was filled from another log; rebuild it with pingctl rebuild");
	bool first = data->tables[STORE_PARTITIONS].count == 0;
	struct partition_row row = {.partition = partition, .position = first ? POSITION_NONE : log_start(store)};
	memcpy(row.log_identity, log_identity, sizeof row.log_identity);
	const struct partition_row *before = rowset_find(&data->tables[STORE_PARTITIONS], &row);
	if (before != NULL)
		row.position = before->position;
	if (is_behind_epoch(store, row.position))
		return error_noted(note, ERROR_FAILED_PRECONDITION, "the epoch is greater, the log the same");
	row.owner = ++data->owners;
	change(data, STORE_PARTITIONS, &row, &row);
	data->transactions++;
	rowset_put(&handle->owned, &row);
	*ret_position = row.position;
	return ERROR_OK;
}

static enum error model_read_windows(struct store *store, struct window_row *rows, size_t count, struct error_note *note)
{
	(void)note;
	const struct model_store *data = ((struct model_store_handle *)store)->data;
	for (size_t i = 0; i < count; i++) {
		const struct window_row *row = rowset_find(&data->tables[STORE_WINDOWS], &rows[i]);
		rows[i] = row != NULL ? *row : (struct window_row){.client = rows[i].client, .start_ms = rows[i].start_ms};
	}
	return ERROR_OK;
}

static enum error model_read_days(struct store *store, struct day_row *rows, size_t count, struct error_note *note)
{
	(void)note;
	const struct model_store *data = ((struct model_store_handle *)store)->data;
	for (size_t i = 0; i < count; i++) {
		const struct day_row *row = rowset_find(&data->tables[STORE_DAYS], &rows[i]);
		rows[i] = row != NULL ? *row : (struct day_row){.client = rows[i].client, .start_ms = rows[i].start_ms};
	}
	return ERROR_OK;
}

/* The client's windows with start in [start_ms, end_ms), which lie side by side. */
static const struct window_row *windows_of(const struct model_store *data, const struct address *client, int64_t start_ms,
					   int64_t end_ms, size_t *ret_count)
{
	const struct rowset *windows = &data->tables[STORE_WINDOWS];
	size_t first = rowset_lower_bound(windows, &(struct window_row){.client = *client, .start_ms = start_ms});
	size_t end = rowset_lower_bound(windows, &(struct window_row){.client = *client, .start_ms = end_ms});
	*ret_count = end > first ? end - first : 0;
	return windows->rows == NULL ? NULL : rowset_at(windows, first);
}

static enum error model_read_clients(struct store *store, const struct address *clients, size_t count, int64_t start_ms,
				     void (*visit)(void *context, const struct address *client, const struct client_row *row,
						   const struct window_row *windows, size_t window_count),
				     void *context, struct error_note *note)
{
	(void)note;
	const struct model_store *data = ((struct model_store_handle *)store)->data;
	for (size_t i = 0; i < count; i++) {
		size_t window_count;
		const struct window_row *windows = windows_of(data, &clients[i], start_ms, INT64_MAX, &window_count);
		const struct client_row *row = rowset_find(&data->tables[STORE_CLIENTS], &clients[i]);
		visit(context, &clients[i], row, windows, window_count);
	}
	return ERROR_OK;
}

static int compare_due(const void *a, const void *b)
{
	const struct activity_row *x = a, *y = b;
	if (x->due_ms != y->due_ms)
		return x->due_ms < y->due_ms ? -1 : 1;
	return address_compare(&x->client, &y->client);
}

/* Made as seen from later than start_ms; or removed then: known to be this partition's where there is no other. */
static bool is_ahead(const struct model_store *data, const struct client_row *client, int32_t partition, int64_t start_ms)
{
	const struct stored_activity *activity = rowset_find(&data->tables[STORE_ACTIVITIES], &client->client);
	if (activity != NULL)
		return activity->partition == partition && activity->row.start_ms > start_ms;
	size_t windows;
	windows_of(data, &client->client, start_ms, INT64_MAX, &windows);
	return windows > 0 && data->tables[STORE_PARTITIONS].count == 1;
}

static enum error model_list_due(struct store *store, int32_t partition, int64_t now_ms, struct address *ret_clients, size_t max,
				 size_t *ret_count, struct error_note *note)
{
	(void)note;
	const struct model_store *data = ((struct model_store_handle *)store)->data;
	const struct rowset *activities = &data->tables[STORE_ACTIVITIES], *clients = &data->tables[STORE_CLIENTS];
	struct rowset due;
	rowset_init(&due, sizeof(struct activity_row), compare_due);
	for (size_t i = 0; i < activities->count; i++) {
		const struct stored_activity *activity = rowset_at(activities, i);
		if (activity->partition == partition && activity->row.due_ms <= now_ms)
			rowset_put(&due, &activity->row);
	}
	size_t count = due.count < max ? due.count : max;
	for (size_t i = 0; i < count; i++)
		ret_clients[i] = ((const struct activity_row *)rowset_at(&due, i))->client;
	for (size_t i = 0; i < clients->count && count < max; i++) {
		const struct client_row *client = rowset_at(clients, i);
		if (is_ahead(data, client, partition, activity_start_of(now_ms)))
			ret_clients[count++] = client->client;
	}
	*ret_count = count;
	rowset_release(&due);
	return ERROR_OK;
}

static void write_rows(struct model_store *data, int32_t partition, const struct engine_dirty *dirty)
{
	for (size_t i = 0; i < dirty->window_count; i++)
		change(data, STORE_WINDOWS, &dirty->windows[i], &dirty->windows[i]);
	for (size_t i = 0; i < dirty->day_count; i++)
		change(data, STORE_DAYS, &dirty->days[i], &dirty->days[i]);
	for (size_t i = 0; i < dirty->client_count; i++)
		change(data, STORE_CLIENTS, &dirty->clients[i], &dirty->clients[i]);
	for (size_t i = 0; i < dirty->activity_count; i++) {
		struct stored_activity activity = {dirty->activities[i], partition};
		change(data, STORE_ACTIVITIES, &activity, activity.row.due_ms != 0 ? &activity : NULL);
	}
}

static enum error model_write(struct store *store, int32_t partition, const struct engine_dirty *dirty, int64_t position,
			      struct error_note *note)
{
	struct model_store_handle *handle = (struct model_store_handle *)store;
	struct model_store *data = handle->data;
	const struct partition_row key = {.partition = partition};
	const struct partition_row *before = rowset_find(&data->tables[STORE_PARTITIONS], &key);
	const struct partition_row *taken = rowset_find(&handle->owned, &key);
	if (before == NULL || taken == NULL || before->owner != taken->owner)
		return error_noted(note, ERROR_FENCED, "partition %d has another owner", (int)partition);
	struct partition_row row = *before;
	row.position = position;
	write_rows(data, partition, dirty);
	change(data, STORE_PARTITIONS, &row, &row);
	data->transactions++;
	return ERROR_OK;
}

/* Index of the window that ended first, before before_ms; count: there is none. */
static size_t oldest_window(const struct rowset *windows, int64_t before_ms)
{
	size_t oldest = windows->count;
	for (size_t i = 0; i < windows->count; i++) {
		int64_t end_ms = ((const struct window_row *)rowset_at(windows, i))->start_ms + WINDOW_MS;
		if (end_ms >= before_ms)
			continue;
		before_ms = end_ms;
		oldest = i;
	}
	return oldest;
}

static enum error model_prune_windows(struct store *store, int64_t before_ms, size_t max, size_t *ret_removed,
				      struct error_note *note)
{
	(void)note;
	struct model_store *data = ((struct model_store_handle *)store)->data;
	struct rowset *windows = &data->tables[STORE_WINDOWS];
	size_t removed = 0, oldest;
	while (removed < max && (oldest = oldest_window(windows, before_ms)) < windows->count) {
		struct window_row row = *(const struct window_row *)rowset_at(windows, oldest);
		change(data, STORE_WINDOWS, &row, NULL);
		removed++;
	}
	data->transactions++;
	*ret_removed = removed;
	return ERROR_OK;
}

static void model_close(struct store *store)
{
	rowset_release(&((struct model_store_handle *)store)->owned);
	free(store);
}

static const struct store_vtable store_vtable = {.take = model_take,
						 .read_windows = model_read_windows,
						 .read_days = model_read_days,
						 .read_clients = model_read_clients,
						 .list_due = model_list_due,
						 .write = model_write,
						 .prune_windows = model_prune_windows,
						 .close = model_close};

static enum error model_list_windows(struct store_reader *reader, const struct address *client, int64_t start_ms, int64_t end_ms,
				     struct window_row *ret_rows, size_t max, size_t *ret_count, struct error_note *note)
{
	(void)note;
	size_t found;
	const struct window_row *windows = windows_of(((struct model_store_handle *)reader)->data, client, start_ms,
						      end_ms == 0 ? INT64_MAX : end_ms, &found);
	size_t count = found < max ? found : max;
	for (size_t i = 0; i < count; i++)
		ret_rows[i] = windows[found - 1 - i];
	*ret_count = count;
	return ERROR_OK;
}

static enum error model_list_days(struct store_reader *reader, const struct address *client, int64_t start_ms, int64_t end_ms,
				  struct day_row *ret_rows, size_t max, size_t *ret_count, struct error_note *note)
{
	(void)note;
	const struct rowset *days = &((struct model_store_handle *)reader)->data->tables[STORE_DAYS];
	struct day_row low = {.client = *client, .start_ms = start_ms};
	struct day_row high = {.client = *client, .start_ms = end_ms == 0 ? INT64_MAX : end_ms};
	size_t first = rowset_lower_bound(days, &low), end = rowset_lower_bound(days, &high), count = 0;
	while (end > first && count < max)
		ret_rows[count++] = *(const struct day_row *)rowset_at(days, --end);
	*ret_count = count;
	return ERROR_OK;
}

static int compare_page(const void *a, const void *b)
{
	const struct store_client *x = a, *y = b;
	if (x->order_value != y->order_value)
		return x->order_value > y->order_value ? -1 : 1;
	return address_compare(&x->client.client, &y->client.client);
}

static bool on_page(const struct store_client_page *page, const struct store_client *client)
{
	char text[ADDRESS_TEXT_SIZE];
	size_t size = address_format(&client->client.client, text);
	if (page->prefix.size > size || (page->prefix.size > 0 && memcmp(text, page->prefix.data, page->prefix.size) != 0))
		return false;
	struct store_client last = {.client.client = page->after_client, .order_value = page->after_value};
	return !page->after || compare_page(client, &last) > 0;
}

static struct store_client client_as_listed(const struct model_store *data, const struct client_row *row,
					    enum store_client_order order)
{
	struct store_client client = {.client = *row, .activity.client = row->client};
	const struct stored_activity *activity =
		rowset_find(&data->tables[STORE_ACTIVITIES], &(struct stored_activity){.row = client.activity});
	if (activity != NULL)
		client.activity = activity->row;
	if (order != STORE_ORDER_CLIENT_IP)
		client.order_value = order == STORE_ORDER_LAST_PING ? row->last_ms : client.activity.count;
	return client;
}

static enum error model_list_clients(struct store_reader *reader, const struct store_client_page *page,
				     struct store_client *ret_clients, size_t *ret_count, struct error_note *note)
{
	(void)note;
	const struct model_store *data = ((struct model_store_handle *)reader)->data;
	struct rowset listed;
	rowset_init(&listed, sizeof(struct store_client), compare_page);
	for (size_t i = 0; i < data->tables[STORE_CLIENTS].count; i++) {
		struct store_client client = client_as_listed(data, rowset_at(&data->tables[STORE_CLIENTS], i), page->order);
		if (on_page(page, &client))
			rowset_put(&listed, &client);
	}
	size_t count = listed.count < page->max ? listed.count : page->max;
	if (count > 0)
		memcpy(ret_clients, listed.rows, count * listed.row_size);
	*ret_count = count;
	rowset_release(&listed);
	return ERROR_OK;
}

static enum error model_get_client(struct store_reader *reader, const struct address *client, struct client_row *ret_row,
				   struct error_note *note)
{
	(void)note;
	const struct client_row *row = rowset_find(&((struct model_store_handle *)reader)->data->tables[STORE_CLIENTS], client);
	if (row == NULL)
		return ERROR_NOT_FOUND;
	*ret_row = *row;
	return ERROR_OK;
}

static enum error model_totals(struct store_reader *reader, int64_t now_ms, struct store_totals *ret_totals,
			       struct error_note *note)
{
	(void)note;
	const struct model_store *data = ((struct model_store_handle *)reader)->data;
	const struct partition_row *partition = rowset_find(&data->tables[STORE_PARTITIONS], &(struct partition_row){0});
	struct store_totals totals = {.position = partition != NULL ? partition->position : POSITION_NONE};
	for (size_t i = 0; i < data->tables[STORE_CLIENTS].count; i++) {
		const struct client_row *client = rowset_at(&data->tables[STORE_CLIENTS], i);
		size_t active, open;
		windows_of(data, &client->client, activity_start_of(now_ms), window_start_of(now_ms) + 1, &active);
		windows_of(data, &client->client, window_start_of(now_ms), INT64_MAX, &open); /* not ended yet */
		totals.clients++;
		totals.active_clients += active > 0;
		totals.open_windows += (int64_t)open;
	}
	*ret_totals = totals;
	return ERROR_OK;
}

static enum error model_scan(struct store_reader *reader, const struct store_scan *scan, struct error_note *note)
{
	(void)note;
	const struct model_store *data = ((struct model_store_handle *)reader)->data;
	const struct partition_row *partition = rowset_find(&data->tables[STORE_PARTITIONS], &(struct partition_row){0});
	bool go_on = scan->begin(scan->context, partition != NULL ? partition->position : POSITION_NONE);
	for (size_t i = 0; go_on && i < data->tables[STORE_WINDOWS].count; i++)
		go_on = scan->window(scan->context, rowset_at(&data->tables[STORE_WINDOWS], i));
	for (size_t i = 0; go_on && i < data->tables[STORE_DAYS].count; i++)
		go_on = scan->day(scan->context, rowset_at(&data->tables[STORE_DAYS], i));
	for (size_t i = 0; go_on && i < data->tables[STORE_CLIENTS].count; i++)
		go_on = scan->client(scan->context, rowset_at(&data->tables[STORE_CLIENTS], i));
	return ERROR_OK;
}

static void model_reader_close(struct store_reader *reader)
{
	free(reader);
}

static const struct store_reader_vtable reader_vtable = {.list_windows = model_list_windows,
							 .list_days = model_list_days,
							 .list_clients = model_list_clients,
							 .get_client = model_get_client,
							 .totals = model_totals,
							 .scan = model_scan,
							 .close = model_reader_close};

static struct model_store_handle *open_handle(struct model_store *data)
{
	struct model_store_handle *handle = calloc(1, sizeof *handle);
	if (handle == NULL)
		abort();
	handle->data = data;
	return handle;
}

struct store *model_store_open(struct model_store *data)
{
	struct model_store_handle *handle = open_handle(data);
	handle->store.vtable = &store_vtable;
	rowset_init(&handle->owned, sizeof(struct partition_row), compare_partitions);
	return &handle->store;
}

struct store_reader *model_store_open_reader(struct model_store *data)
{
	struct model_store_handle *handle = open_handle(data);
	handle->reader.vtable = &reader_vtable;
	return &handle->reader;
}
