#include "adapter/cql/rebuilds.h"

#include "adapter/cql/cql.h"

#include <stdlib.h>

void cql_read_rebuild(const struct pc_result *rows, size_t row, struct rebuild_request *ret_request)
{
	struct rebuild_request request = {.day_ms = REBUILD_EVERY_DAY};
	int32_t state = REBUILD_ASKED;
	struct slice id = cql_get_slice(rows, row, 1), note = cql_get_slice(rows, row, 12);
	cql_get_int(rows, row, 0, &request.partition);
	if (id.size == sizeof request.id.bytes)
		memcpy(request.id.bytes, id.data, id.size);
	cql_get_bigint(rows, row, 2, &request.asked_ms);
	request.of_client = cql_get_address(rows, row, 3, &request.client);
	cql_get_date(rows, row, 4, &request.day_ms);
	cql_get_int(rows, row, 5, &state);
	request.state = state == REBUILD_DONE || state == REBUILD_RUNNING ? (enum rebuild_state)state : REBUILD_ASKED;
	request.has_place = cql_get_address(rows, row, 6, &request.place);
	cql_get_bigint(rows, row, 7, &request.clients);
	cql_get_bigint(rows, row, 8, &request.rows);
	cql_get_bigint(rows, row, 9, &request.corrected);
	cql_get_bigint(rows, row, 10, &request.put_off);
	cql_get_bigint(rows, row, 11, &request.updated_ms);
	size_t size = note.size < sizeof request.note.text ? note.size : sizeof request.note.text - 1;
	if (size > 0)
		memcpy(request.note.text, note.data, size);
	*ret_request = request;
}

static void put_optional_address(struct cql_request *request, bool there, const struct address *address)
{
	if (there)
		cql_put_address(request, address);
	else
		cql_put_null(request);
}

void cql_put_rebuild_columns(struct cql_request *request, const struct rebuild_request *rebuild)
{
	cql_put_int(request, rebuild->partition);
	cql_put_bytes(request, rebuild->id.bytes, sizeof rebuild->id.bytes);
	cql_put_bigint(request, rebuild->asked_ms);
	put_optional_address(request, rebuild->of_client, &rebuild->client);
	if (rebuild->day_ms == REBUILD_EVERY_DAY)
		cql_put_null(request);
	else
		cql_put_date(request, rebuild->day_ms);
	cql_put_int(request, (int32_t)rebuild->state);
	put_optional_address(request, rebuild->has_place, &rebuild->place);
	cql_put_bigint(request, rebuild->clients);
	cql_put_bigint(request, rebuild->rows);
	cql_put_bigint(request, rebuild->corrected);
	cql_put_bigint(request, rebuild->put_off);
	cql_put_bigint(request, rebuild->updated_ms);
	cql_put_text(request, rebuild->note.text);
}

/* ─── Who asks ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum { ASK, LOOK, STATEMENT_COUNT };
static const struct cql_statement statements[STATEMENT_COUNT] = {
	[ASK] = {"INSERT INTO rebuild_requests (" REBUILD_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
		 " USING TIMESTAMP 1",
		 PC_IDEMPOTENT, 0},
	[LOOK] = {"SELECT " REBUILD_COLUMNS " FROM rebuild_requests WHERE partition = ? AND id = ?", PC_IDEMPOTENT, 0},
};

struct cql_requests {
	struct rebuild_requests requests;
	struct cql_config *config;
	struct cql_connection *connection;
};

static void ask_one(void *context, size_t i, struct cql_request *request)
{
	cql_call(request, ASK);
	cql_put_rebuild_columns(request, &((const struct rebuild_request *)context)[i]);
}

static enum error requests_ask(struct rebuild_requests *base, const struct rebuild_request *rebuilds, size_t count,
			       struct error_note *note)
{
	struct cql_requests *requests = (struct cql_requests *)base;
	const struct cql_round round = {count, ask_one, NULL, (void *)(uintptr_t)rebuilds};
	return cql_run(requests->connection, &round, note);
}

static void look_at(void *context, size_t i, struct cql_request *request)
{
	const struct rebuild_request *rebuild = &((const struct rebuild_request *)context)[i];
	cql_call(request, LOOK);
	cql_put_int(request, rebuild->partition);
	cql_put_bytes(request, rebuild->id.bytes, sizeof rebuild->id.bytes);
}

static enum error see(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct rebuild_request *rebuild = &((struct rebuild_request *)context)[i];
	if (pc_result_rows(rows) > 0)
		cql_read_rebuild(rows, 0, rebuild);
	else
		rebuild->state = REBUILD_DONE; /* a day ago */
	return ERROR_OK;
}

static enum error requests_look(struct rebuild_requests *base, struct rebuild_request *rebuilds, size_t count,
				struct error_note *note)
{
	struct cql_requests *requests = (struct cql_requests *)base;
	const struct cql_round round = {count, look_at, see, rebuilds};
	return cql_run(requests->connection, &round, note);
}

static void requests_close(struct rebuild_requests *base)
{
	struct cql_requests *requests = (struct cql_requests *)base;
	cql_connection_destroy(requests->connection);
	cql_config_destroy(requests->config);
	free(requests);
}

enum error cql_rebuild_requests_open(const char *url, struct rebuild_requests **ret_requests, struct error_note *note)
{
	static const struct rebuild_requests_vtable vtable = {requests_ask, requests_look, requests_close};
	struct cql_requests *requests = calloc(1, sizeof *requests);
	if (requests == NULL)
		return ERROR_NO_MEMORY;
	requests->requests.vtable = &vtable;
	enum error error = cql_config_create(url, &requests->config, note);
	if (error == ERROR_OK)
		error = cql_connection_create(requests->config, statements, STATEMENT_COUNT, true, &requests->connection);
	if (error != ERROR_OK) {
		requests_close(&requests->requests);
		return error;
	}
	*ret_requests = &requests->requests;
	return ERROR_OK;
}
