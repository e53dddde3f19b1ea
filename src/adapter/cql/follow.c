/* For who follows the engines, wherever they run: how far they are, and rows again. */
#include "adapter/cql/reader.h"

#include <string.h>

struct positions {
	int64_t *positions;
	size_t count;
};

static void ask_positions(void *context, size_t i, struct cql_request *request)
{
	(void)context;
	(void)i;
	cql_call(request, CQL_READ_POSITIONS);
}

static enum error take_positions(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)i;
	(void)last;
	(void)note;
	const struct positions *read = context;
	for (size_t row = 0; row < pc_result_rows(rows); row++) {
		int32_t number = -1;
		int64_t position = POSITION_NONE;
		cql_get_int(rows, row, 0, &number);
		cql_get_bigint(rows, row, 1, &position);
		if (number >= 0 && (size_t)number < read->count)
			read->positions[number] = position;
	}
	return ERROR_OK;
}

enum error cql_read_positions(struct store_reader *base, int64_t *ret_positions, size_t partition_count, struct error_note *note)
{
	struct positions read = {ret_positions, partition_count};
	const struct cql_round round = {1, ask_positions, take_positions, &read};
	for (size_t i = 0; i < partition_count; i++)
		ret_positions[i] = POSITION_NONE;
	return cql_run(((struct cql_reader *)base)->connection, &round, note);
}

static void ask_engines(void *context, size_t i, struct cql_request *request)
{
	(void)context;
	(void)i;
	cql_call(request, CQL_READ_ENGINES);
}

/* Rows below 0 are lanes of the Flink job, which nobody asks who was heard of. */
static void take_engine(const struct pc_result *rows, size_t row, struct store_engine *engine)
{
	int32_t number = -1;
	int64_t heartbeat_ms = 0;
	cql_get_int(rows, row, 0, &number);
	cql_get_bigint(rows, row, 3, &heartbeat_ms);
	if (number < 0 || (engine->kind[0] != 0 && heartbeat_ms <= engine->heartbeat_ms))
		return;
	struct slice kind = cql_get_slice(rows, row, 1), owner = cql_get_slice(rows, row, 2);
	*engine = (struct store_engine){.heartbeat_ms = heartbeat_ms, .has_owner = owner.size == sizeof engine->owner};
	if (kind.size > 0)
		memcpy(engine->kind, kind.data, kind.size < sizeof engine->kind ? kind.size : sizeof engine->kind - 1);
	if (engine->has_owner)
		memcpy(engine->owner, owner.data, sizeof engine->owner);
}

static enum error take_engines(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)i;
	(void)last;
	(void)note;
	for (size_t row = 0; row < pc_result_rows(rows); row++)
		take_engine(rows, row, context);
	return ERROR_OK;
}

enum error cql_read_engine(struct cql_reader *reader, struct store_engine *ret_engine, struct error_note *note)
{
	struct store_engine engine = {.kind = ""};
	const struct cql_round round = {1, ask_engines, take_engines, &engine};
	enum error error = cql_run(reader->connection, &round, note);
	if (error == ERROR_OK)
		*ret_engine = engine;
	return error;
}

static void ask(void *context, size_t i, struct cql_request *request)
{
	const struct window_row *row = &((const struct window_row *)context)[i];
	cql_call(request, CQL_READ_WINDOW);
	cql_put_address_text(request, &row->client);
	cql_put_bigint(request, row->start_ms);
}

static enum error answer(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct window_row *row = &((struct window_row *)context)[i];
	bool own;
	row->count = 0;
	if (pc_result_rows(rows) > 0)
		cql_read_window(rows, 0, &row->client, row, &own, NULL);
	return ERROR_OK;
}

enum error cql_reread_windows(struct store_reader *base, struct window_row *rows, size_t count, struct error_note *note)
{
	const struct cql_round round = {count, ask, answer, rows};
	return cql_run(((struct cql_reader *)base)->connection, &round, note);
}
