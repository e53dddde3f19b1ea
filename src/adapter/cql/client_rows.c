#include "adapter/cql/client_rows.h"
#include "adapter/cql/rows.h"

struct reading {
	const struct cql_client_statements *statements;
	const struct address *clients;
	const struct store_rows *rows;
	int64_t *seen_us;
};

static void ask_counters(void *context, size_t i, struct cql_request *request)
{
	const struct reading *reading = context;
	cql_call(request, reading->statements->counters);
	cql_put_address_text(request, &reading->clients[i]);
}

static enum error answer_counters(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	const struct reading *reading = context;
	int64_t day_ms, total;
	for (size_t row = 0; row < pc_result_rows(rows); row++)
		if (cql_get_date(rows, row, 0, &day_ms) && cql_get_bigint(rows, row, 1, &total))
			reading->rows->counter(reading->rows->context, &reading->clients[i], day_ms, total);
	return ERROR_OK;
}

enum { OF_WINDOWS, OF_DAYS, OF_CLIENT, QUESTIONS };

static void ask_rows(void *context, size_t i, struct cql_request *request)
{
	const struct reading *reading = context;
	const size_t statements[QUESTIONS] = {reading->statements->windows, reading->statements->days,
					      reading->statements->client};
	const struct address *client = &reading->clients[i / QUESTIONS];
	cql_call(request, statements[i % QUESTIONS]);
	if (i % QUESTIONS == OF_CLIENT) {
		cql_put_client_key(request, client);
	} else {
		cql_put_address_text(request, client);
	}
}

static void tell_kept(const struct store_rows *told, const struct address *client, int64_t start_ms, bool of_day, int64_t kept)
{
	if (kept > 0 && told->kept != NULL)
		told->kept(told->context, client, start_ms, of_day, kept);
}

static enum error answer_rows(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	const struct reading *reading = context;
	const struct store_rows *told = reading->rows;
	const struct address *client = &reading->clients[i / QUESTIONS];
	for (size_t row = 0; row < pc_result_rows(rows); row++) {
		struct window_row window;
		struct day_row day;
		struct cql_client found;
		bool own;
		if (i % QUESTIONS == OF_WINDOWS) {
			cql_read_window(rows, row, client, &window, &own, reading->seen_us);
			told->window(told->context, &window);
			tell_kept(told, client, window.start_ms, false, cql_read_window_kept(rows, row));
		} else if (i % QUESTIONS == OF_DAYS) {
			cql_read_day(rows, row, client, &day, reading->seen_us);
			told->day(told->context, &day);
			tell_kept(told, client, day.start_ms, true, cql_read_day_kept(rows, row));
		} else if (cql_read_client(rows, row, &found, reading->seen_us)) {
			told->client(told->context, &found.row);
		}
	}
	return ERROR_OK;
}

enum error cql_read_client_rows(struct cql_connection *connection, const struct cql_client_statements *statements,
				const struct address *clients, size_t count, const struct store_rows *rows, int64_t *seen_us,
				struct error_note *note)
{
	struct reading reading = {statements, clients, rows, seen_us};
	const struct cql_round counters = {count, ask_counters, answer_counters, &reading};
	const struct cql_round others = {QUESTIONS * count, ask_rows, answer_rows, &reading};
	enum error error = cql_run(connection, &counters, note);
	return error == ERROR_OK ? cql_run(connection, &others, note) : error;
}
