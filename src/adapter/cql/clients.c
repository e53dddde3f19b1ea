#include "adapter/cql/reader.h"

/* What the audit reads: of some clients all rows at once, and of whom there are any, table after table, in no order. */

struct reading {
	const struct address *clients;
	const struct store_rows *rows;
};

static void ask_counters(void *context, size_t i, struct cql_request *request)
{
	const struct reading *reading = context;
	cql_call(request, CQL_SCAN_COUNTERS);
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
	static const size_t statements[QUESTIONS] = {CQL_SCAN_WINDOWS, CQL_SCAN_DAYS, CQL_READ_CLIENT};
	const struct reading *reading = context;
	const struct address *client = &reading->clients[i / QUESTIONS];
	cql_call(request, statements[i % QUESTIONS]);
	if (i % QUESTIONS == OF_CLIENT) {
		cql_put_int16(request, cql_shard_of(client));
		cql_put_address(request, client);
	} else {
		cql_put_address_text(request, client);
	}
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
			cql_read_window(rows, row, client, &window, &own, NULL);
			told->window(told->context, &window);
		} else if (i % QUESTIONS == OF_DAYS) {
			cql_read_day(rows, row, client, &day, NULL);
			told->day(told->context, &day);
		} else if (cql_read_client(rows, row, &found, NULL)) {
			told->client(told->context, &found.row);
		}
	}
	return ERROR_OK;
}

enum error cql_read_rows(struct store_reader *base, const struct address *clients, size_t count, const struct store_rows *rows,
			 struct error_note *note)
{
	struct cql_reader *reader = (struct cql_reader *)base;
	struct reading reading = {clients, rows};
	const struct cql_round counters = {count, ask_counters, answer_counters, &reading};
	const struct cql_round others = {QUESTIONS * count, ask_rows, answer_rows, &reading};
	enum error error = cql_run(reader->connection, &counters, note);
	return error == ERROR_OK ? cql_run(reader->connection, &others, note) : error;
}

struct listing {
	void (*visit)(void *context, const struct address *client);
	void *context;
};

enum { TABLES = 3 }; /* named by text; then the shards of the clients */

static void ask_any(void *context, size_t i, struct cql_request *request)
{
	static const size_t statements[TABLES] = {CQL_ANY_WINDOWS, CQL_ANY_DAYS, CQL_ANY_COUNTERS};
	(void)context;
	cql_call(request, i < TABLES ? statements[i] : CQL_ANY_CLIENTS);
	if (i >= TABLES)
		cql_put_int16(request, (int16_t)(i - TABLES));
}

static enum error answer_any(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	const struct listing *listing = context;
	struct address client;
	for (size_t row = 0; row < pc_result_rows(rows); row++) {
		bool found = i < TABLES ? address_parse(cql_get_slice(rows, row, 0), &client) == ERROR_OK
					: cql_get_address(rows, row, 0, &client);
		if (found)
			listing->visit(listing->context, &client);
	}
	return ERROR_OK;
}

enum error cql_list_any(struct store_reader *base, void (*visit)(void *context, const struct address *client), void *context,
			struct error_note *note)
{
	struct cql_reader *reader = (struct cql_reader *)base;
	struct listing listing = {visit, context};
	const struct cql_round round = {TABLES + CQL_SHARDS, ask_any, answer_any, &listing};
	return cql_run(reader->connection, &round, note);
}
