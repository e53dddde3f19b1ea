#include "adapter/cql/writers.h"

static bool read_bytes(const struct pc_result *rows, size_t row, size_t column, uint8_t ret_bytes[16])
{
	struct slice bytes = cql_get_slice(rows, row, column);
	if (bytes.size != 16)
		return false;
	memcpy(ret_bytes, bytes.data, 16);
	return true;
}

struct cql_writer cql_read_writer(const struct pc_result *rows, size_t row)
{
	struct cql_writer writer = {.found = true, .position = POSITION_NONE};
	cql_get_int(rows, row, 0, &writer.number);
	struct slice kind = cql_get_slice(rows, row, 1);
	size_t size = kind.size < sizeof writer.kind ? kind.size : sizeof writer.kind - 1;
	memcpy(writer.kind, kind.data == NULL ? (const uint8_t *)"" : kind.data, size);
	writer.native = slice_equal_string(kind, "native");
	writer.has_owner = read_bytes(rows, row, 2, writer.owner);
	cql_get_bigint(rows, row, 3, &writer.version);
	cql_get_bigint(rows, row, 4, &writer.reserved_us);
	read_bytes(rows, row, 5, writer.topic_id);
	cql_get_int(rows, row, 6, &writer.partition_count);
	cql_get_bigint(rows, row, 7, &writer.position);
	cql_get_bigint(rows, row, 8, &writer.heartbeat_ms);
	return writer;
}

enum error cql_find_writer(struct cql_store *store, int32_t number, struct cql_writer *ret_writer, struct error_note *note)
{
	struct cql_request request = {0};
	struct pc_result *rows;
	cql_call(&request, CQL_FIND_WRITER);
	cql_put_int(&request, number);
	enum error error = cql_ask(store->connection, &request, &rows, note);
	if (error != ERROR_OK)
		return error;
	*ret_writer = pc_result_rows(rows) > 0 ? cql_read_writer(rows, 0)
					       : (struct cql_writer){.number = number, .position = POSITION_NONE};
	pc_result_free(rows);
	return ERROR_OK;
}

enum error cql_transact(struct cql_store *store, const struct cql_request *request, struct error_note *note)
{
	struct pc_result *rows;
	enum error error = cql_ask(store->connection, request, &rows, note);
	if (error == ERROR_OK)
		pc_result_free(rows);
	return error == ERROR_UNAVAILABLE ? ERROR_OK : error;
}

enum error cql_refuse_kind(struct cql_store *store, const struct cql_writer *writer, struct error_note *note)
{
	int64_t age_ms = clock_wall_ms(store->clock) - writer->heartbeat_ms;
	if (writer->native || age_ms >= CQL_HEARTBEAT_FRESH_MS)
		return ERROR_OK;
	return error_noted(note, ERROR_HELD,
			   "another kind of engine (%s) fills these metrics: this one goes on once that has been stopped, or was "
			   "not heard of for a minute",
			   writer->kind);
}
