#include "adapter/cql/client_rows.h"
#include "adapter/cql/reader.h"

/* What the audit reads: of some clients all rows at once, and of whom there are any, table after table, in no order. */

enum error cql_read_rows(struct store_reader *base, const struct address *clients, size_t count, const struct store_rows *rows,
			 struct error_note *note)
{
	static const struct cql_client_statements statements = {CQL_SCAN_COUNTERS, CQL_SCAN_WINDOWS, CQL_SCAN_DAYS,
								CQL_READ_CLIENT};
	return cql_read_client_rows(((struct cql_reader *)base)->connection, &statements, clients, count, rows, NULL, note);
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
