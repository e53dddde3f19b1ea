#include "adapter/cql/store.h"

#include "adapter/cql/rebuilds.h"
#include "adapter/cql/safeguard.h"

#include <stdlib.h>

#ifdef PING_TEST_HOOKS
enum cql_safeguard cql_left_out;
#endif

#define FROM_WINDOWS   " FROM window_stats WHERE client_ip = ? AND window_start "
#define WRITER_COLUMNS "writer, kind, owner, version, reserved_us, topic_id, partition_count, position, heartbeat"

static const struct cql_statement statements[CQL_STORE_STATEMENT_COUNT] = {
	[CQL_FIND_WRITER] = {"SELECT " WRITER_COLUMNS " FROM engine_writers WHERE writer = ?", PC_IDEMPOTENT | PC_SERIAL_READ, 0},
	[CQL_LIST_WRITERS] = {"SELECT " WRITER_COLUMNS " FROM engine_writers", PC_IDEMPOTENT, 0},
	[CQL_ANY_DAY] = {"SELECT client_ip FROM daily_totals LIMIT 1", PC_IDEMPOTENT, 0},
	[CQL_TAKE_FIRST] = {"INSERT INTO engine_writers (" WRITER_COLUMNS ") VALUES (?, 'native', ?, 1, ?, ?, ?, ?, ?)"
			    " IF NOT EXISTS",
			    0, 0},
	[CQL_TAKE] = {"UPDATE engine_writers SET kind = 'native', owner = ?, version = ?, reserved_us = ?, heartbeat = ?"
		      " WHERE writer = ? IF version = ?",
		      0, 0},
	[CQL_COMMIT] = {"UPDATE engine_writers SET version = ?, position = ?, reserved_us = ?, heartbeat = ? WHERE writer = ?"
			" IF version = ?",
			0, 0},
	[CQL_RELEASE] = {"UPDATE engine_writers SET version = ?, owner = null, heartbeat = null WHERE writer = ? IF version = ?",
			 0, 0},
	[CQL_ENTER_LOG] =
		{"UPDATE engine_writers SET version = ?, reserved_us = ?, topic_id = ?, partition_count = ?, position = ?"
		 " WHERE writer = ? IF version = ?",
		 0, 0},
	[CQL_FIND_WINDOW] = {"SELECT " WINDOW_COLUMNS FROM_WINDOWS "= ?", PC_IDEMPOTENT, 0},
	[CQL_FIND_DAY] = {"SELECT " DAY_COLUMNS " FROM daily_totals WHERE client_ip = ? AND day = ?", PC_IDEMPOTENT, 0},
	[CQL_FIND_CLIENT] = {"SELECT " CLIENT_COLUMNS " FROM clients WHERE shard = ? AND list = 0 AND rank = 0 AND address = ?",
			     PC_IDEMPOTENT, 0},
	[CQL_WINDOWS_FROM] = {"SELECT " WINDOW_COLUMNS FROM_WINDOWS ">= ?", PC_IDEMPOTENT, 0},
	[CQL_LIST_DUE] = {"SELECT due, address FROM activity_due WHERE partition = ? AND bucket = ? AND (due, address) > (?, ?)"
			  " AND (due) <= (?) LIMIT ?",
			  PC_IDEMPOTENT, 0},
	[CQL_PUT_WINDOW] =
		{"INSERT INTO window_stats (client_ip, window_start, window_end, ping_count, avg_interval_ms, first_ping,"
		 " last_ping, position) VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?",
		 PC_IDEMPOTENT, 0},
	[CQL_PUT_DAY] = {"INSERT INTO daily_totals (client_ip, day, total, position) VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
			 PC_IDEMPOTENT, 0},
	[CQL_FIND_COUNTER] = {"SELECT total_pings FROM daily_stats WHERE client_ip = ? AND day = ?", PC_IDEMPOTENT, 0},
	/* Never sent twice: after a timeout it is read again. */
	[CQL_ADD_COUNTER] = {"UPDATE daily_stats SET total_pings = total_pings + ? WHERE client_ip = ? AND day = ?", 0, 0},
	[CQL_PUT_CLIENT] = {"INSERT INTO clients (shard, list, rank, address, client_ip, first_ping, last_ping)"
			    " VALUES (?, 0, 0, ?, ?, ?, ?) USING TIMESTAMP ?",
			    PC_IDEMPOTENT, 0},
	[CQL_PUT_LISTED] = {"INSERT INTO clients (shard, list, rank, address) VALUES (?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?",
			    PC_IDEMPOTENT, 0},
	[CQL_DROP_LISTED] = {"DELETE FROM clients USING TIMESTAMP ? WHERE shard = ? AND list = ? AND rank = ? AND address = ?",
			     PC_IDEMPOTENT, 0},
	[CQL_SET_ACTIVE] = {"UPDATE clients USING TTL ? AND TIMESTAMP ? SET ping_count = ?, due = ? WHERE shard = ? AND list = 0"
			    " AND rank = 0 AND address = ?",
			    PC_IDEMPOTENT, 0},
	[CQL_PUT_ACTIVITY] = {"INSERT INTO activity_24h (client_ip, " ACTIVITY_COLUMNS ", avg_interval_ms)"
			      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?",
			      PC_IDEMPOTENT, 0},
	[CQL_DROP_ACTIVITY] = {"DELETE FROM activity_24h USING TIMESTAMP ? WHERE client_ip = ?", PC_IDEMPOTENT, 0},
	[CQL_PUT_DUE] =
		{"INSERT INTO activity_due (partition, bucket, due, address) VALUES (?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?",
		 PC_IDEMPOTENT, 0},
	[CQL_ALL_DAYS] = {"SELECT client_ip, day, total FROM daily_totals", PC_IDEMPOTENT, 64},
	[CQL_LIST_REBUILDS] = {"SELECT " REBUILD_COLUMNS " FROM rebuild_requests WHERE partition = ?", PC_IDEMPOTENT, 0},
	[CQL_PUT_REBUILD] = {"INSERT INTO rebuild_requests (" REBUILD_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
			     " USING TTL ? AND TIMESTAMP ?",
			     PC_IDEMPOTENT, 0},
	[CQL_COUNTERS_OF] = {"SELECT day, total_pings FROM daily_stats WHERE client_ip = ?", PC_IDEMPOTENT, 0},
	[CQL_WINDOWS_OF] = {"SELECT " WINDOW_COLUMNS " FROM window_stats WHERE client_ip = ?", PC_IDEMPOTENT, 0},
	[CQL_DAYS_OF] = {"SELECT " DAY_COLUMNS " FROM daily_totals WHERE client_ip = ?", PC_IDEMPOTENT, 0},
	[CQL_PUT_KEPT_WINDOW] =
		{"INSERT INTO window_stats (client_ip, window_start, window_end, ping_count, avg_interval_ms, first_ping,"
		 " last_ping, position, kept_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?",
		 PC_IDEMPOTENT, 0},
	[CQL_PUT_KEPT_DAY] = {"INSERT INTO daily_totals (client_ip, day, total, position, kept) VALUES (?, ?, ?, ?, ?)"
			      " USING TIMESTAMP ?",
			      PC_IDEMPOTENT, 0},
	[CQL_FIND_INHERITED] = {"SELECT partition FROM inherited_partitions WHERE partition = ?", PC_IDEMPOTENT, 0},
	[CQL_PUT_INHERITED] = {"INSERT INTO inherited_partitions (partition, done) VALUES (?, ?)", PC_IDEMPOTENT, 0},
	[CQL_INHERITED_BY_WINDOW] = {"SELECT DISTINCT client_ip FROM inherited_windows", PC_IDEMPOTENT, CQL_MERGE_CLIENTS},
	[CQL_INHERITED_BY_DAY] = {"SELECT DISTINCT client_ip FROM inherited_days", PC_IDEMPOTENT, CQL_MERGE_CLIENTS},
	[CQL_INHERITED_WINDOWS] = {"SELECT window_start, ping_count, avg_interval_ms FROM inherited_windows WHERE client_ip = ?",
				   PC_IDEMPOTENT, 0},
	[CQL_INHERITED_DAYS] = {"SELECT day, total_pings FROM inherited_days WHERE client_ip = ?", PC_IDEMPOTENT, 0},
	[CQL_DROP_WINDOW] = {"DELETE FROM window_stats USING TIMESTAMP ? WHERE client_ip = ? AND window_start = ?", PC_IDEMPOTENT,
			     0},
	[CQL_DROP_DAY] = {"DELETE FROM daily_totals USING TIMESTAMP ? WHERE client_ip = ? AND day = ?", PC_IDEMPOTENT, 0},
	[CQL_DROP_DUE] =
		{"DELETE FROM activity_due USING TIMESTAMP ? WHERE partition = ? AND bucket = ? AND due = ? AND address = ?",
		 PC_IDEMPOTENT, 0},
};

/* ─── Reads ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct read_windows {
	struct cql_store *store;
	struct window_row *rows;
};

static void ask_window(void *context, size_t i, struct cql_request *request)
{
	const struct window_row *row = &((struct read_windows *)context)->rows[i];
	cql_call(request, CQL_FIND_WINDOW);
	cql_put_address_text(request, &row->client);
	cql_put_bigint(request, row->start_ms);
}

/* A row without a position is of somebody who kept none: the log's events make it anew. */
static enum error answer_window(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct read_windows *read = context;
	struct window_row *row = &read->rows[i];
	bool own = false;
	if (pc_result_rows(rows) > 0)
		cql_read_window(rows, 0, &row->client, row, &own, &read->store->seen_us);
	if (!own)
		row->count = 0;
	return ERROR_OK;
}

static enum error store_read_windows(struct store *base, struct window_row *rows, size_t count, struct error_note *note)
{
	struct read_windows read = {(struct cql_store *)base, rows};
	const struct cql_round round = {count, ask_window, answer_window, &read};
	return cql_run(read.store->connection, &round, note);
}

struct read_days {
	struct cql_store *store;
	struct day_row *rows;
};

static void ask_day(void *context, size_t i, struct cql_request *request)
{
	const struct day_row *row = &((struct read_days *)context)->rows[i];
	cql_call(request, CQL_FIND_DAY);
	cql_put_address_text(request, &row->client);
	cql_put_date(request, row->start_ms);
}

static enum error answer_day(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct read_days *read = context;
	struct day_row *row = &read->rows[i];
	if (pc_result_rows(rows) > 0)
		cql_read_day(rows, 0, &row->client, row, &read->store->seen_us);
	else
		row->total = 0;
	return ERROR_OK;
}

static enum error store_read_days(struct store *base, struct day_row *rows, size_t count, struct error_note *note)
{
	struct read_days read = {(struct cql_store *)base, rows};
	const struct cql_round round = {count, ask_day, answer_day, &read};
	return cql_run(read.store->connection, &round, note);
}

/* Some clients at once: each needs its row and its windows, in whatever order they come. */
enum { READ_CLIENTS = 256 };
struct read_clients {
	struct cql_store *store;
	const struct address *clients;
	int64_t start_ms;
	struct {
		struct cql_client client;
		bool found;
		struct window_row *windows;
		size_t count, capacity;
	} read[READ_CLIENTS];
};

static void ask_client(void *context, size_t i, struct cql_request *request)
{
	struct read_clients *read = context;
	const struct address *client = &read->clients[i / 2];
	if (i % 2 == 0) {
		cql_call(request, CQL_FIND_CLIENT);
		cql_put_client_key(request, client);
		return;
	}
	cql_call(request, CQL_WINDOWS_FROM);
	cql_put_address_text(request, client);
	cql_put_bigint(request, read->start_ms);
}

static enum error add_windows(struct read_clients *read, size_t i, const struct pc_result *rows)
{
	size_t needed = read->read[i].count + pc_result_rows(rows);
	if (needed > read->read[i].capacity) {
		struct window_row *windows = reallocarray(read->read[i].windows, needed, sizeof *windows);
		if (windows == NULL)
			return ERROR_NO_MEMORY;
		read->read[i].windows = windows;
		read->read[i].capacity = needed;
	}
	for (size_t row = 0; row < pc_result_rows(rows); row++) {
		bool own;
		cql_read_window(rows, row, &read->clients[i], &read->read[i].windows[read->read[i].count], &own,
				&read->store->seen_us);
		read->read[i].count += own;
	}
	return ERROR_OK;
}

static enum error answer_client(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct read_clients *read = context;
	if (i % 2 == 1)
		return add_windows(read, i / 2, rows);
	struct cql_client client = {0};
	read->read[i / 2].found = pc_result_rows(rows) > 0 && cql_read_client(rows, 0, &client, &read->store->seen_us);
	read->read[i / 2].client = client;
	client.row.client = read->clients[i / 2];
	cql_know_client(read->store->known, &client); /* so that its next write needn't ask */
	return ERROR_OK;
}

static enum error store_read_clients(struct store *base, const struct address *clients, size_t count, int64_t start_ms,
				     void (*visit)(void *context, const struct address *client, const struct client_row *row,
						   const struct window_row *windows, size_t window_count),
				     void *context, struct error_note *note)
{
	struct cql_store *store = (struct cql_store *)base;
	struct read_clients *read = calloc(1, sizeof *read);
	if (read == NULL)
		return ERROR_NO_MEMORY;
	read->store = store;
	read->start_ms = start_ms;
	enum error error = ERROR_OK;
	for (size_t done = 0; done < count && error == ERROR_OK; done += READ_CLIENTS) {
		size_t some = count - done < READ_CLIENTS ? count - done : READ_CLIENTS;
		read->clients = clients + done;
		for (size_t i = 0; i < some; i++) {
			read->read[i].found = false;
			read->read[i].count = 0;
		}
		const struct cql_round round = {2 * some, ask_client, answer_client, read};
		error = cql_run(store->connection, &round, note);
		for (size_t i = 0; i < some && error == ERROR_OK; i++)
			visit(context, &read->clients[i], read->read[i].found ? &read->read[i].client.row : NULL,
			      read->read[i].windows, read->read[i].count);
	}
	for (size_t i = 0; i < READ_CLIENTS; i++)
		free(read->read[i].windows);
	free(read);
	return error;
}

/* Windows go by their TTL. */
static enum error store_prune_windows(struct store *base, int64_t before_ms, size_t max, size_t *ret_removed,
				      struct error_note *note)
{
	(void)base;
	(void)before_ms;
	(void)max;
	(void)note;
	*ret_removed = 0;
	return ERROR_OK;
}

/* ─── Life ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void store_close(struct store *base)
{
	struct cql_store *store = (struct cql_store *)base;
	while (store->count > 0)
		cql_forget(store, store->partitions[0]);
	cql_connection_destroy(store->connection);
	cql_known_destroy(store->known);
	pc_result_free(store->swept);
	free(store->partitions);
	free(store);
}

enum error cql_store_open(const struct cql_store_config *config, struct store **ret_store)
{
	static const struct store_vtable vtable = {
		.take = cql_take,
		.release = cql_release,
		.read_windows = store_read_windows,
		.read_days = store_read_days,
		.read_clients = store_read_clients,
		.list_due = cql_list_due,
		.write = cql_write,
		.prune_windows = store_prune_windows,
		.sweep = cql_sweep,
		.close = store_close,
		.find_rebuild = cql_find_rebuild,
		.put_rebuild = cql_put_rebuild,
		.read_rows = cql_store_read_rows,
		.remove = cql_remove,
		.held = cql_held,
		.find_inherited = cql_find_inherited,
		.merge_inherited = cql_merge_inherited,
	};
	struct cql_store *store = calloc(1, sizeof *store);
	if (store == NULL)
		return ERROR_NO_MEMORY;
	store->store.vtable = &vtable;
	store->clock = config->clock;
	store->partition_count = config->partition_count;
	store->partition_of = config->partition_of;
	store->window_retention_ms = config->window_retention_ms;
	random_fill(random_system(), store->owner, sizeof store->owner);
	enum error error = cql_known_create(&store->known);
	if (error == ERROR_OK)
		error = cql_connection_create(config->cql, statements, CQL_STORE_STATEMENT_COUNT, true, &store->connection);
	if (error != ERROR_OK) {
		store_close(&store->store);
		return error;
	}
	*ret_store = &store->store;
	return ERROR_OK;
}
