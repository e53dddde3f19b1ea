#include "rows.h"

#include "../series.h"

#include <inttypes.h>
#include <string.h>

#include "base/slice.h"

struct series {
	struct series_key key;
	int64_t position;
	int writer;
};

/* Of one row. */
struct sum {
	int64_t count, first_ms, last_ms, position;
};

int32_t rows_partition_of(const struct address *client, int32_t partition_count)
{
	return client->bytes[sizeof client->bytes - 1] % partition_count;
}

static const struct fake_log_partition *log_of(const struct rows *rows, const struct address *client)
{
	return &rows->log->partitions[rows_partition_of(client, rows->partition_count)];
}

static int64_t start_of(enum series_kind kind, int64_t ms)
{
	return kind == SERIES_WINDOW ? window_start_of(ms) : day_start_of(ms);
}

/* The client's events of [start_ms, end_ms) up to the position. */
static struct sum sum_between(const struct rows *rows, const struct address *client, int64_t start_ms, int64_t end_ms,
			      int64_t position)
{
	const struct fake_log_partition *log = log_of(rows, client);
	struct sum sum = {.position = POSITION_NONE};
	for (size_t i = 0; i < log->count && log->events[i].position <= position; i++) {
		const struct engine_event *event = &log->events[i];
		if (!address_equal(&event->client, client) || event->pinged_at_ms < start_ms || event->pinged_at_ms >= end_ms)
			continue;
		if (sum.count == 0 || event->pinged_at_ms < sum.first_ms)
			sum.first_ms = event->pinged_at_ms;
		if (event->pinged_at_ms > sum.last_ms)
			sum.last_ms = event->pinged_at_ms;
		sum.count++;
		sum.position = event->position;
	}
	return sum;
}

static struct sum sum_row(const struct rows *rows, enum series_kind kind, const struct address *client, int64_t start_ms,
			  int64_t position)
{
	int64_t end_ms = start_ms + (kind == SERIES_WINDOW ? WINDOW_MS : INT64_C(86400000));
	return sum_between(rows, client, start_ms, end_ms, position);
}

/* ─── All along ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static const char *name(const struct address *client)
{
	static char text[ADDRESS_TEXT_SIZE];
	address_format(client, text);
	return text;
}

static const char *const kinds[] = {"window", "day"};

static void check_sum(const struct rows *rows, const struct series *row, const struct sum *is)
{
	struct sum should = sum_row(rows, row->key.kind, &row->key.client, row->key.start_ms, is->position);
	bool times = row->key.kind == SERIES_DAY || (is->first_ms == should.first_ms && is->last_ms == should.last_ms);
	if (is->count == should.count && is->position == should.position && times)
		return;
	world_fail(rows->world,
		   "%s %s %" PRId64 " is (count %" PRId64 ", first %" PRId64 ", last %" PRId64 ") at position %" PRId64
		   ", should be (count %" PRId64 ", first %" PRId64 ", last %" PRId64 ") at %" PRId64,
		   kinds[row->key.kind], name(&row->key.client), row->key.start_ms, is->count, is->first_ms, is->last_ms,
		   is->position, should.count, should.first_ms, should.last_ms, should.position);
}

static void check_place(const struct rows *rows, const struct series *row)
{
	const struct series *before = rowset_find(&rows->series, row);
	int64_t committed = rows->committed[rows_partition_of(&row->key.client, rows->partition_count)];
	struct sum least = sum_row(rows, row->key.kind, &row->key.client, row->key.start_ms, committed);
	if (row->position < least.position)
		world_fail(rows->world,
			   "%s %s %" PRId64 " comes to be at %" PRId64 ", though its partition is committed at %" PRId64
			   " and the event at %" PRId64 " is missing in it",
			   kinds[row->key.kind], name(&row->key.client), row->key.start_ms, row->position, committed,
			   least.position);
	if (before != NULL && row->position < before->position && (!rows->zombies || row->writer == before->writer))
		world_fail(rows->world, "%s %s %" PRId64 " goes back from %" PRId64 " to %" PRId64, kinds[row->key.kind],
			   name(&row->key.client), row->key.start_ms, before->position, row->position);
}

static bool read_client(const struct cassandra *cassandra, const struct cass_table *table, const struct cass_row *row,
			struct address *ret_client)
{
	const struct cass_value *text = cassandra_see(cassandra, table, row, "client_ip");
	return text != NULL && address_parse(slice_make(text->data, (size_t)text->size), ret_client) == ERROR_OK;
}

static void see_row(struct rows *rows, enum series_kind kind, const struct cass_table *table, const struct cass_row *row)
{
	const struct cassandra *cassandra = rows->cassandra;
	struct series series = {.key.kind = kind, .writer = row->writer};
	struct sum sum = {.position = cassandra_number(cassandra, table, row, "position", POSITION_NONE)};
	if (sum.position == POSITION_NONE || !read_client(cassandra, table, row, &series.key.client))
		return;
	if (kind == SERIES_WINDOW) {
		series.key.start_ms = cassandra_number(cassandra, table, row, "window_start", 0);
		sum.count = cassandra_number(cassandra, table, row, "ping_count", 0);
		sum.first_ms = cassandra_number(cassandra, table, row, "first_ping", 0);
		sum.last_ms = cassandra_number(cassandra, table, row, "last_ping", 0);
	} else {
		uint32_t day = (uint32_t)cassandra_number(cassandra, table, row, "day", 0);
		series.key.start_ms = ((int64_t)day - (INT64_C(1) << 31)) * 86400000;
		sum.count = cassandra_number(cassandra, table, row, "total", 0);
	}
	series.position = sum.position;
	check_sum(rows, &series, &sum);
	check_place(rows, &series);
	rowset_put(&rows->series, &series);
	rows->checked++;
}

static void check_committed(const struct rows *rows, int32_t partition)
{
	const struct fake_log_partition *log = &rows->log->partitions[partition];
	int64_t committed = rows->committed[partition];
	for (size_t i = 0; i < log->count && log->events[i].position <= committed; i++)
		for (enum series_kind kind = SERIES_WINDOW; kind <= SERIES_DAY; kind++) {
			const struct engine_event *event = &log->events[i];
			const struct series *row =
				rowset_find(&rows->series, &(struct series){.key.kind = kind,
									    .key.client = event->client,
									    .key.start_ms = start_of(kind, event->pinged_at_ms)});
			if (row == NULL || row->position < event->position)
				world_fail(rows->world,
					   "partition %d is committed at %" PRId64 ", but the event at %" PRId64
					   " is not in %s %s %" PRId64,
					   (int)partition, committed, event->position, kinds[kind], name(&event->client),
					   start_of(kind, event->pinged_at_ms));
		}
}

static void see_writer(struct rows *rows, const struct cass_table *table, const struct cass_row *row)
{
	int64_t number = cassandra_number(rows->cassandra, table, row, "writer", -1);
	int64_t position = cassandra_number(rows->cassandra, table, row, "position", POSITION_NONE);
	if (number < 0 || number >= rows->partition_count)
		world_fail(rows->world, "engine_writers has a row %" PRId64, number);
	if (position < rows->committed[number])
		world_fail(rows->world, "partition %" PRId64 " goes back from %" PRId64 " to %" PRId64, number,
			   rows->committed[number], position);
	world_trace(rows->world, number == 0 ? "partition 0 written" : "partition 1 written", row->writer, position);
	rows->committed[number] = position;
	check_committed(rows, (int32_t)number);
}

static void see(void *context, const struct cass_table *table, const struct cass_row *row)
{
	struct rows *rows = context;
	if (strcmp(table->name, "window_stats") == 0)
		see_row(rows, SERIES_WINDOW, table, row);
	else if (strcmp(table->name, "daily_totals") == 0)
		see_row(rows, SERIES_DAY, table, row);
	else if (strcmp(table->name, "engine_writers") == 0)
		see_writer(rows, table, row);
}

void rows_init(struct rows *rows, struct world *world, struct cassandra *cassandra, const struct fake_log *log,
	       int32_t partition_count)
{
	*rows = (struct rows){.world = world, .cassandra = cassandra, .log = log, .partition_count = partition_count};
	rowset_init(&rows->series, sizeof(struct series), series_compare);
	for (size_t i = 0; i < FAKE_LOG_PARTITIONS; i++)
		rows->committed[i] = POSITION_NONE;
	cassandra->changed = see;
	cassandra->context = rows;
}

void rows_release(struct rows *rows)
{
	rowset_release(&rows->series);
}

/* ─── The end ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct scan {
	struct rows *rows;
	size_t counts[2], clients, counters;
};

static bool begin_scan(void *context, int64_t position)
{
	(void)context;
	(void)position;
	return true;
}

/* The row holds everything. */
static void check_whole(struct scan *scan, const struct series *row, const struct sum *is)
{
	check_sum(scan->rows, row, is);
	struct sum whole = sum_row(scan->rows, row->key.kind, &row->key.client, row->key.start_ms, INT64_MAX - 1);
	if (is->position != whole.position)
		world_fail(scan->rows->world, "at the end %s %s %" PRId64 " is at %" PRId64 ", should be at %" PRId64,
			   kinds[row->key.kind], name(&row->key.client), row->key.start_ms, is->position, whole.position);
	scan->counts[row->key.kind]++;
	scan->rows->checked++;
}

static bool scan_window(void *context, const struct window_row *row)
{
	const struct series series = {.key.kind = SERIES_WINDOW, .key.client = row->client, .key.start_ms = row->start_ms};
	const struct sum sum = {row->count, row->first_ms, row->last_ms, row->position};
	check_whole(context, &series, &sum);
	return true;
}

static bool scan_day(void *context, const struct day_row *row)
{
	const struct series series = {.key.kind = SERIES_DAY, .key.client = row->client, .key.start_ms = row->start_ms};
	const struct sum sum = {.count = row->total, .position = row->position};
	check_whole(context, &series, &sum);
	return true;
}

static bool scan_client(void *context, const struct client_row *row)
{
	struct scan *scan = context;
	struct sum whole = sum_between(scan->rows, &row->client, 0, INT64_MAX, INT64_MAX - 1);
	if (row->first_ms != whole.first_ms || row->last_ms != whole.last_ms)
		world_fail(scan->rows->world,
			   "client %s has pings from %" PRId64 " to %" PRId64 ", should be from %" PRId64 " to %" PRId64,
			   name(&row->client), row->first_ms, row->last_ms, whole.first_ms, whole.last_ms);
	scan->clients++;
	return true;
}

static void see_counter(void *context, const struct address *client, int64_t day_ms, int64_t total)
{
	struct scan *scan = context;
	struct sum whole = sum_row(scan->rows, SERIES_DAY, client, day_ms, INT64_MAX - 1);
	if (total != whole.count)
		world_fail(scan->rows->world, "the counter of %s %" PRId64 " is %" PRId64 ", should be %" PRId64, name(client),
			   day_ms, total, whole.count);
	scan->counters++;
}

static void pass_window(void *context, const struct window_row *row)
{
	(void)context;
	(void)row;
}

static void pass_day(void *context, const struct day_row *row)
{
	(void)context;
	(void)row;
}

static void pass_client(void *context, const struct client_row *row)
{
	(void)context;
	(void)row;
}

/* Of the whole log: how many rows of a kind there must be, and clients. */
static size_t count_rows(const struct rows *rows, enum series_kind kind)
{
	struct rowset all;
	rowset_init(&all, sizeof(struct series), series_compare);
	for (int32_t i = 0; i < rows->partition_count; i++)
		for (size_t k = 0; k < rows->log->partitions[i].count; k++) {
			const struct engine_event *event = &rows->log->partitions[i].events[k];
			rowset_put(&all, &(struct series){.key.kind = kind,
							  .key.client = event->client,
							  .key.start_ms = start_of(kind, event->pinged_at_ms)});
		}
	size_t count = all.count;
	rowset_release(&all);
	return count;
}

static size_t list_of_clients(const struct rows *rows, struct rowset *clients)
{
	rowset_init(clients, sizeof(struct series), series_compare);
	for (int32_t i = 0; i < rows->partition_count; i++)
		for (size_t k = 0; k < rows->log->partitions[i].count; k++)
			rowset_put(clients, &(struct series){.key.client = rows->log->partitions[i].events[k].client});
	return clients->count;
}

static void check_activity(const struct rows *rows, const struct store_client *client)
{
	int64_t now_ms = world_true_ms(rows->world), start_ms = activity_start_of(now_ms);
	const struct activity_row *is = &client->activity;
	struct sum should = sum_between(rows, &client->client.client, start_ms, now_ms + WINDOW_MS, INT64_MAX - 1);
	if (is->count != should.count || is->first_ms != should.first_ms || is->last_ms != should.last_ms ||
	    (is->due_ms != 0 && is->due_ms <= now_ms))
		world_fail(rows->world,
			   "activity of %s is (count %" PRId64 ", first %" PRId64 ", last %" PRId64 ", due %" PRId64
			   "), should be (count %" PRId64 ", first %" PRId64 ", last %" PRId64 ") at %" PRId64,
			   name(&client->client.client), is->count, is->first_ms, is->last_ms, is->due_ms, should.count,
			   should.first_ms, should.last_ms, now_ms);
}

/* All clients in one order, page by page. */
static void check_list(struct rows *rows, struct store_reader *reader, enum store_client_order order, size_t clients,
		       bool activities)
{
	enum { PAGE = 3 };
	struct store_client_page page = {.order = order, .now_ms = world_true_ms(rows->world), .max = PAGE};
	struct store_client found[PAGE];
	size_t count, all = 0;
	do {
		enum error error = reader->vtable->list_clients(reader, &page, found, &count, NULL);
		if (error != ERROR_OK)
			world_fail(rows->world, "list of clients: %s", error_name(error));
		for (size_t i = 0; i < count; i++) {
			if (activities)
				check_activity(rows, &found[i]);
			if (page.after && order != STORE_ORDER_CLIENT_IP && found[i].order_value > page.after_value)
				world_fail(rows->world, "clients are listed in a wrong order");
			page.after = true;
			page.after_value = found[i].order_value;
			page.after_client = found[i].client.client;
		}
		all += count;
	} while (count > 0);
	if (all != clients)
		world_fail(rows->world, "%zu clients are listed by order %d, there are %zu", all, (int)order, clients);
}

static void check_counters(struct scan *scan, struct store_reader *reader, const struct rowset *clients)
{
	const struct store_rows visitors = {scan, see_counter, pass_window, pass_day, pass_client, NULL};
	for (size_t i = 0; i < clients->count; i++) {
		const struct series *client = rowset_at(clients, i);
		enum error error = reader->vtable->read_rows(reader, &client->key.client, 1, &visitors, NULL);
		if (error != ERROR_OK)
			world_fail(scan->rows->world, "rows of a client: %s", error_name(error));
	}
}

void rows_check_end(struct rows *rows, struct store_reader *reader, bool activities)
{
	struct scan scan = {.rows = rows};
	const struct store_scan visitors = {&scan, begin_scan, scan_window, scan_day, scan_client};
	struct rowset clients;
	size_t count = list_of_clients(rows, &clients);
	enum error error = reader->vtable->scan(reader, &visitors, NULL);
	if (error != ERROR_OK)
		world_fail(rows->world, "scan: %s", error_name(error));
	check_counters(&scan, reader, &clients);
	size_t windows = count_rows(rows, SERIES_WINDOW), days = count_rows(rows, SERIES_DAY);
	if (scan.counts[SERIES_WINDOW] != windows || scan.counts[SERIES_DAY] != days || scan.clients != count ||
	    scan.counters != days)
		world_fail(rows->world,
			   "there are %zu windows, %zu days, %zu clients and %zu counters, should be %zu, %zu, %zu and %zu",
			   scan.counts[SERIES_WINDOW], scan.counts[SERIES_DAY], scan.clients, scan.counters, windows, days, count,
			   days);
	for (enum store_client_order order = STORE_ORDER_PING_COUNT; order <= STORE_ORDER_CLIENT_IP; order++)
		check_list(rows, reader, order, count, activities);
	rowset_release(&clients);
}
