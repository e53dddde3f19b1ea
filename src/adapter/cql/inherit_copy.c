#include "adapter/cql/inherit_copy.h"

#include "adapter/cql/connection.h"
#include "engine/row.h"

enum { ANY_WRITER, ALL_WINDOWS, ALL_COUNTERS, PUT_WINDOW, PUT_DAY, MARK };
static const struct cql_statement statements[] = {
	[ANY_WRITER] = {"SELECT writer FROM engine_writers LIMIT 1", PC_IDEMPOTENT, 0},
	[ALL_WINDOWS] =
		{"SELECT client_ip, window_start, ping_count, avg_interval_ms, position, ttl(ping_count) FROM window_stats",
		 PC_IDEMPOTENT, 0},
	[ALL_COUNTERS] = {"SELECT client_ip, day, total_pings FROM daily_stats", PC_IDEMPOTENT, 0},
	[PUT_WINDOW] = {"INSERT INTO inherited_windows (client_ip, window_start, ping_count, avg_interval_ms) VALUES (?, ?, ?, ?)"
			" USING TTL ?",
			PC_IDEMPOTENT, 0},
	[PUT_DAY] = {"INSERT INTO inherited_days (client_ip, day, total_pings) VALUES (?, ?, ?)", PC_IDEMPOTENT, 0},
	[MARK] = {"INSERT INTO inherited_partitions (partition, done) VALUES (-1, ?)", PC_IDEMPOTENT, 0},
};

struct copying {
	const struct cql_inherit_copy *copy;
	struct cql_connection *connection;
	const struct pc_result *page;
	int64_t copied;
};

/* Lives no longer than the row that it is of, nor than such a window's is written for. False: its time is over. */
static bool find_ttl(const struct copying *copying, size_t row, int64_t start_ms, int32_t *ret_ttl_s)
{
	int64_t retention_ms = copying->copy->window_retention_ms;
	int64_t left_ms = start_ms + WINDOW_MS + retention_ms - copying->copy->now_ms;
	int32_t ttl_s = 0;
	cql_get_int(copying->page, row, 5, &ttl_s);
	if (window_is_expiring(start_ms, retention_ms, copying->copy->now_ms))
		return false;
	if (retention_ms != 0 && (ttl_s == 0 || left_ms / 1000 < ttl_s))
		ttl_s = (int32_t)(left_ms / 1000);
	*ret_ttl_s = ttl_s;
	return true;
}

static void ask_window(void *context, size_t i, struct cql_request *request)
{
	struct copying *copying = context;
	const struct pc_result *rows = copying->page;
	struct address client;
	int64_t start_ms, position;
	int32_t count, ttl_s;
	double average_ms;
	if (address_parse(cql_get_slice(rows, i, 0), &client) != ERROR_OK || !cql_get_bigint(rows, i, 1, &start_ms) ||
	    !cql_get_int(rows, i, 2, &count) || count <= 0 || cql_get_bigint(rows, i, 4, &position) || start_ms < 0 ||
	    start_ms != window_start_of(start_ms) || !find_ttl(copying, i, start_ms, &ttl_s))
		return;
	cql_call(request, PUT_WINDOW);
	cql_put_address_text(request, &client);
	cql_put_bigint(request, start_ms);
	cql_put_int(request, count);
	if (cql_get_double(rows, i, 3, &average_ms))
		cql_put_double(request, average_ms);
	else
		cql_put_null(request);
	cql_put_int(request, ttl_s);
	copying->copied++;
}

static void ask_day(void *context, size_t i, struct cql_request *request)
{
	struct copying *copying = context;
	const struct pc_result *rows = copying->page;
	struct address client;
	int64_t day_ms, total;
	if (address_parse(cql_get_slice(rows, i, 0), &client) != ERROR_OK || !cql_get_date(rows, i, 1, &day_ms) || day_ms < 0 ||
	    !cql_get_bigint(rows, i, 2, &total) || total <= 0)
		return;
	cql_call(request, PUT_DAY);
	cql_put_address_text(request, &client);
	cql_put_date(request, day_ms);
	cql_put_bigint(request, total);
	copying->copied++;
}

static enum error copy_table(struct copying *copying, size_t statement,
			     void (*ask)(void *context, size_t i, struct cql_request *request), struct error_note *note)
{
	struct cql_request request = {0};
	struct pc_result *before = NULL, *page = NULL;
	enum error error = ERROR_OK;
	bool more = true;
	cql_call(&request, statement);
	copying->copied = 0;
	while (more && error == ERROR_OK) {
		error = copying->copy->check(copying->copy->context, note);
		if (error == ERROR_OK)
			error = cql_ask_page(copying->connection, &request, before, &page, note);
		if (error != ERROR_OK)
			break;
		pc_result_free(before);
		before = page;
		copying->page = page;
		const struct cql_round round = {pc_result_rows(page), ask, NULL, copying};
		error = cql_run(copying->connection, &round, note);
		more = pc_result_more(page);
	}
	pc_result_free(before);
	return error;
}

static enum error ask_once(struct copying *copying, const struct cql_request *request, size_t *ret_rows, struct error_note *note)
{
	struct pc_result *rows;
	enum error error = cql_ask(copying->connection, request, &rows, note);
	if (error != ERROR_OK)
		return error;
	*ret_rows = pc_result_rows(rows);
	pc_result_free(rows);
	return ERROR_OK;
}

static enum error copy_all(struct copying *copying, int64_t *ret_windows, int64_t *ret_days, struct error_note *note)
{
	struct cql_request any = {0}, mark = {0};
	size_t writers = 0, rows;
	cql_call(&any, ANY_WRITER);
	enum error error = ask_once(copying, &any, &writers, note);
	if (error != ERROR_OK || writers > 0)
		return error; /* rows without a position are few, and no longer what they were */
	error = copy_table(copying, ALL_WINDOWS, ask_window, note);
	*ret_windows = copying->copied;
	if (error == ERROR_OK)
		error = copy_table(copying, ALL_COUNTERS, ask_day, note);
	*ret_days = copying->copied;
	if (error != ERROR_OK || *ret_windows + *ret_days == 0)
		return error;
	cql_call(&mark, MARK);
	cql_put_bigint(&mark, copying->copy->now_ms);
	return ask_once(copying, &mark, &rows, note);
}

enum error cql_copy_inherited(const struct cql_config *config, const struct cql_inherit_copy *copy, int64_t *ret_windows,
			      int64_t *ret_days, struct error_note *note)
{
	struct copying copying = {.copy = copy};
	*ret_windows = *ret_days = 0;
	enum error error =
		cql_connection_create(config, statements, sizeof statements / sizeof *statements, true, &copying.connection);
	if (error == ERROR_OK)
		error = cql_connect_patiently(copying.connection, note);
	if (error == ERROR_OK)
		error = copy_all(&copying, ret_windows, ret_days, note);
	cql_connection_destroy(copying.connection);
	return error;
}
