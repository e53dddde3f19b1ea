#include "adapter/cql/reader.h"

#include <stdlib.h>

#define LATEST_MS INT64_C(253402300800000) /* 10000-01-01: behind every window and day */

static const struct cql_statement statements[CQL_READER_STATEMENT_COUNT] = {
	[CQL_READ_WINDOWS] = {"SELECT " WINDOW_COLUMNS " FROM window_stats WHERE client_ip = ? AND window_start >= ?"
			      " AND window_start < ? LIMIT ?",
			      PC_IDEMPOTENT, 0},
	[CQL_READ_DAYS] = {"SELECT " DAY_COLUMNS " FROM daily_totals WHERE client_ip = ? AND day >= ? AND day < ? LIMIT ?",
			   PC_IDEMPOTENT, 0},
	[CQL_READ_COUNTERS] = {"SELECT day, total_pings FROM daily_stats WHERE client_ip = ? AND day >= ? AND day < ? LIMIT ?",
			       PC_IDEMPOTENT, 0},
	[CQL_READ_CLIENT] = {"SELECT " CLIENT_COLUMNS " FROM clients WHERE shard = ? AND list = 0 AND rank = 0 AND address = ?",
			     PC_IDEMPOTENT, 0},
	[CQL_READ_ACTIVITY] = {"SELECT " ACTIVITY_COLUMNS " FROM activity_24h WHERE client_ip = ?", PC_IDEMPOTENT, 0},
	[CQL_READ_LIST] = {"SELECT rank, address FROM clients WHERE shard = ? AND list = ? AND (rank, address) > (?, ?) LIMIT ?",
			   PC_IDEMPOTENT, 0},
	[CQL_COUNT_ALL] = {"SELECT count(*) FROM clients WHERE shard = ? AND list = 0", PC_IDEMPOTENT, 0},
	[CQL_COUNT_RANKS] = {"SELECT count(*) FROM clients WHERE shard = ? AND list = 1 AND rank > ? AND rank <= ?",
			     PC_IDEMPOTENT, 0},
	[CQL_LIST_RANKS] = {"SELECT rank, address FROM clients WHERE shard = ? AND list = 1 AND rank <= ?", PC_IDEMPOTENT, 0},
	[CQL_COUNT_WINDOWS] = {"SELECT count(*) FROM window_stats WHERE client_ip = ? AND window_start > ?", PC_IDEMPOTENT, 0},
	[CQL_READ_POSITION] = {"SELECT position FROM engine_writers WHERE writer = 0", PC_IDEMPOTENT, 0},
	[CQL_READ_POSITIONS] = {"SELECT writer, position FROM engine_writers", PC_IDEMPOTENT, 0},
	[CQL_READ_ENGINES] = {"SELECT writer, kind, owner, heartbeat FROM engine_writers", PC_IDEMPOTENT, 0},
	[CQL_READ_WINDOW] = {"SELECT " WINDOW_COLUMNS " FROM window_stats WHERE client_ip = ? AND window_start = ?",
			     PC_IDEMPOTENT, 0},
	[CQL_SCAN_WINDOWS] = {"SELECT " WINDOW_COLUMNS " FROM window_stats WHERE client_ip = ? ORDER BY window_start ASC",
			      PC_IDEMPOTENT, 0},
	[CQL_SCAN_COUNTERS] = {"SELECT day, total_pings FROM daily_stats WHERE client_ip = ?", PC_IDEMPOTENT, 0},
	[CQL_ANY_WINDOWS] = {"SELECT DISTINCT client_ip FROM window_stats", PC_IDEMPOTENT, 0},
	[CQL_ANY_DAYS] = {"SELECT DISTINCT client_ip FROM daily_totals", PC_IDEMPOTENT, 0},
	[CQL_ANY_COUNTERS] = {"SELECT DISTINCT client_ip FROM daily_stats", PC_IDEMPOTENT, 0},
	[CQL_ANY_CLIENTS] = {"SELECT address FROM clients WHERE shard = ? AND list = 0", PC_IDEMPOTENT, 0},
	[CQL_SCAN_DAYS] = {"SELECT " DAY_COLUMNS " FROM daily_totals WHERE client_ip = ? ORDER BY day ASC", PC_IDEMPOTENT, 0},
};

/* ─── Windows and days ──────────────────────────────────────────────────────────────────────────────────────────────── */

struct range {
	const struct address *client;
	int64_t start_ms, end_ms;
	size_t max;
	struct window_row *windows;
	struct day_row *days;
	size_t count;
	struct day_row *counters; /* of days that have no total: somebody else's */
	size_t counter_count;
};

static void ask_windows(void *context, size_t i, struct cql_request *request)
{
	(void)i;
	const struct range *range = context;
	cql_call(request, CQL_READ_WINDOWS);
	cql_put_address_text(request, range->client);
	cql_put_bigint(request, range->start_ms);
	cql_put_bigint(request, range->end_ms == 0 ? LATEST_MS : range->end_ms);
	cql_put_int(request, (int32_t)range->max);
}

static enum error answer_windows(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)i;
	(void)last;
	(void)note;
	struct range *range = context;
	bool own;
	for (size_t row = 0; row < pc_result_rows(rows) && range->count < range->max; row++)
		cql_read_window(rows, row, range->client, &range->windows[range->count++], &own, NULL);
	return ERROR_OK;
}

static enum error reader_list_windows(struct store_reader *base, const struct address *client, int64_t start_ms, int64_t end_ms,
				      struct window_row *ret_rows, size_t max, size_t *ret_count, struct error_note *note)
{
	struct cql_reader *reader = (struct cql_reader *)base;
	struct range range = {.client = client, .start_ms = start_ms, .end_ms = end_ms, .max = max, .windows = ret_rows};
	const struct cql_round round = {1, ask_windows, answer_windows, &range};
	enum error error = cql_run(reader->connection, &round, note);
	if (error == ERROR_OK)
		*ret_count = range.count;
	return error;
}

/* A day is named by its start: the first that begins in the range is that of start_ms, or the next one. */
static int64_t next_day(int64_t ms)
{
	return ms == day_start_of(ms) ? ms : day_start_of(ms) + INT64_C(86400000);
}

static void ask_days(void *context, size_t i, struct cql_request *request)
{
	const struct range *range = context;
	cql_call(request, i == 0 ? CQL_READ_DAYS : CQL_READ_COUNTERS);
	cql_put_address_text(request, range->client);
	cql_put_date(request, next_day(range->start_ms));
	cql_put_date(request, range->end_ms == 0 ? LATEST_MS : next_day(range->end_ms));
	cql_put_int(request, (int32_t)range->max);
}

static enum error answer_days(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct range *range = context;
	struct day_row *days = i == 0 ? range->days : range->counters;
	size_t *count = i == 0 ? &range->count : &range->counter_count;
	for (size_t row = 0; row < pc_result_rows(rows) && *count < range->max; row++) {
		struct day_row *day = &days[(*count)++];
		if (i == 0) {
			cql_read_day(rows, row, range->client, day, NULL);
			continue;
		}
		*day = (struct day_row){.client = *range->client, .position = POSITION_NONE};
		cql_get_date(rows, row, 0, &day->start_ms);
		cql_get_bigint(rows, row, 1, &day->total);
	}
	return ERROR_OK;
}

/* Newest first, at most max of both; the total counts where a day has one. */
static size_t merge_days(const struct range *range, struct day_row *ret_rows)
{
	size_t count = 0;
	for (size_t i = 0, k = 0; count < range->max && (i < range->count || k < range->counter_count);) {
		bool own =
			k == range->counter_count || (i < range->count && range->days[i].start_ms >= range->counters[k].start_ms);
		if (own && k < range->counter_count && range->days[i].start_ms == range->counters[k].start_ms)
			k++;
		const struct day_row *day = own ? &range->days[i++] : &range->counters[k++];
		if (day->total != 0)
			ret_rows[count++] = *day;
	}
	return count;
}

static enum error reader_list_days(struct store_reader *base, const struct address *client, int64_t start_ms, int64_t end_ms,
				   struct day_row *ret_rows, size_t max, size_t *ret_count, struct error_note *note)
{
	struct cql_reader *reader = (struct cql_reader *)base;
	struct day_row *rows = calloc(2 * max + 1, sizeof *rows);
	if (rows == NULL)
		return ERROR_NO_MEMORY;
	struct range range = {
		.client = client, .start_ms = start_ms, .end_ms = end_ms, .max = max, .days = rows, .counters = rows + max};
	const struct cql_round round = {2, ask_days, answer_days, &range};
	enum error error = cql_run(reader->connection, &round, note);
	if (error == ERROR_OK)
		*ret_count = merge_days(&range, ret_rows);
	free(rows);
	return error;
}

/* ─── One client ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error reader_get_client(struct store_reader *base, const struct address *client, struct client_row *ret_row,
				    struct error_note *note)
{
	struct cql_reader *reader = (struct cql_reader *)base;
	struct cql_request request = {0};
	struct pc_result *rows;
	struct cql_client found;
	cql_call(&request, CQL_READ_CLIENT);
	cql_put_client_key(&request, client);
	enum error error = cql_ask(reader->connection, &request, &rows, note);
	if (error != ERROR_OK)
		return error;
	bool known = pc_result_rows(rows) > 0 && cql_read_client(rows, 0, &found, NULL);
	pc_result_free(rows);
	if (!known)
		return error_noted(note, ERROR_NOT_FOUND, "this client was never seen");
	*ret_row = found.row;
	return ERROR_OK;
}

/* ─── Totals ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Of the list by last ping. Who pinged last in the open window has that one open; who pinged last in a later one (clocks are
 * ahead) is looked at one by one. */
enum { ALL, ACTIVE, OPEN, AHEAD, QUESTIONS };
struct counting {
	int64_t active_start_ms, open_start_ms, open_end_ms;
	int64_t counts[QUESTIONS];
	struct address *ahead;
	size_t ahead_count;
	int64_t ahead_windows, ahead_active;
	int64_t open_after_ms;
};

static void ask_count(void *context, size_t i, struct cql_request *request)
{
	const struct counting *counting = context;
	static const size_t statements_of[QUESTIONS] = {CQL_COUNT_ALL, CQL_COUNT_RANKS, CQL_COUNT_RANKS, CQL_LIST_RANKS};
	size_t question = i % QUESTIONS;
	cql_call(request, statements_of[question]);
	cql_put_int16(request, (int16_t)(i / QUESTIONS));
	if (question == ACTIVE || question == OPEN) {
		cql_put_bigint(request, -counting->open_end_ms);
		cql_put_bigint(request, question == ACTIVE ? -counting->active_start_ms : -counting->open_start_ms);
	} else if (question == AHEAD) {
		cql_put_bigint(request, -counting->open_end_ms);
	}
}

static enum error answer_count(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct counting *counting = context;
	int64_t count = 0;
	if (i % QUESTIONS != AHEAD) {
		if (pc_result_rows(rows) > 0)
			cql_get_bigint(rows, 0, 0, &count);
		counting->counts[i % QUESTIONS] += count;
		return ERROR_OK;
	}
	size_t needed = counting->ahead_count + pc_result_rows(rows);
	struct address *ahead = needed == 0 ? NULL : reallocarray(counting->ahead, needed, sizeof *ahead);
	if (needed > 0 && ahead == NULL)
		return ERROR_NO_MEMORY;
	counting->ahead = ahead;
	for (size_t row = 0; row < pc_result_rows(rows); row++)
		if (cql_get_address(rows, row, 1, &ahead[counting->ahead_count]))
			counting->ahead_count++;
	return ERROR_OK;
}

static void ask_ahead(void *context, size_t i, struct cql_request *request)
{
	const struct counting *counting = context;
	const struct address *client = &counting->ahead[i / 2];
	cql_call(request, i % 2 == 0 ? CQL_COUNT_WINDOWS : CQL_READ_CLIENT);
	if (i % 2 == 0) {
		cql_put_address_text(request, client);
		cql_put_bigint(request, counting->open_after_ms);
	} else {
		cql_put_client_key(request, client);
	}
}

static enum error answer_ahead(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct counting *counting = context;
	struct cql_client client;
	int64_t count = 0;
	if (pc_result_rows(rows) == 0)
		return ERROR_OK;
	if (i % 2 == 0 && cql_get_bigint(rows, 0, 0, &count))
		counting->ahead_windows += count;
	else if (i % 2 == 1 && cql_read_client(rows, 0, &client, NULL))
		counting->ahead_active += client.ping_count > 0;
	return ERROR_OK;
}

enum error cql_read_position(struct cql_reader *reader, int64_t *ret_position, struct error_note *note)
{
	struct cql_request request = {0};
	struct pc_result *rows;
	int64_t position = POSITION_NONE;
	cql_call(&request, CQL_READ_POSITION);
	enum error error = cql_ask(reader->connection, &request, &rows, note);
	if (error != ERROR_OK)
		return error;
	if (pc_result_rows(rows) > 0)
		cql_get_bigint(rows, 0, 0, &position);
	pc_result_free(rows);
	*ret_position = position;
	return ERROR_OK;
}

static enum error reader_totals(struct store_reader *base, int64_t now_ms, struct store_totals *ret_totals,
				struct error_note *note)
{
	struct cql_reader *reader = (struct cql_reader *)base;
	struct counting counting = {.active_start_ms = activity_start_of(now_ms),
				    .open_start_ms = window_start_of(now_ms),
				    .open_end_ms = window_start_of(now_ms) + WINDOW_MS,
				    .open_after_ms = now_ms - WINDOW_MS};
	int64_t position = POSITION_NONE;
	const struct cql_round round = {QUESTIONS * CQL_SHARDS, ask_count, answer_count, &counting};
	struct store_engine engine;
	enum error error = cql_read_position(reader, &position, note);
	if (error == ERROR_OK)
		error = cql_read_engine(reader, &engine, note);
	if (error == ERROR_OK)
		error = cql_run(reader->connection, &round, note);
	const struct cql_round ahead = {2 * counting.ahead_count, ask_ahead, answer_ahead, &counting};
	if (error == ERROR_OK)
		error = cql_run(reader->connection, &ahead, note);
	free(counting.ahead);
	if (error == ERROR_OK)
		*ret_totals = (struct store_totals){
			.position = position,
			.clients = counting.counts[ALL],
			.active_clients = counting.counts[ACTIVE] + counting.ahead_active,
			.open_windows = counting.counts[OPEN] + counting.ahead_windows,
			.engine = engine,
		};
	return error;
}

/* ─── Life ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void reader_close(struct store_reader *base)
{
	struct cql_reader *reader = (struct cql_reader *)base;
	cql_connection_destroy(reader->connection);
	cql_config_destroy(reader->config);
	free(reader);
}

enum error cql_store_reader_open(const char *url, struct store_reader **ret_reader, struct error_note *note)
{
	static const struct store_reader_vtable vtable = {
		.list_windows = reader_list_windows,
		.list_days = reader_list_days,
		.list_clients = cql_list_clients,
		.get_client = reader_get_client,
		.totals = reader_totals,
		.positions = cql_read_positions,
		.read_windows = cql_reread_windows,
		.scan = cql_scan,
		.close = reader_close,
		.read_rows = cql_read_rows,
		.list_any = cql_list_any,
	};
	struct cql_reader *reader = calloc(1, sizeof *reader);
	if (reader == NULL)
		return ERROR_NO_MEMORY;
	reader->reader.vtable = &vtable;
	enum error error = cql_config_create(url, &reader->config, note);
	if (error == ERROR_OK)
		error = cql_connection_create(reader->config, statements, CQL_READER_STATEMENT_COUNT, true, &reader->connection);
	if (error != ERROR_OK) {
		reader_close(&reader->reader);
		return error;
	}
	*ret_reader = &reader->reader;
	return ERROR_OK;
}
