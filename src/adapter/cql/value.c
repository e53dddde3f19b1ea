/* Values as CQL's native protocol has them (v4, section 6): integers of the most significant byte first. */
#include "adapter/cql/connection.h"

#include <assert.h>

#define DAY_MS INT64_C(86400000)
/* 1970-01-01 of a date, which counts days from −2^31. */
#define EPOCH_DAY (UINT32_C(1) << 31)

void cql_call(struct cql_request *request, size_t statement)
{
	assert(request->call_count < CQL_MAX_CALLS);
	request->calls[request->call_count].statement = statement;
	request->calls[request->call_count].first = request->cell_count;
	request->calls[request->call_count++].count = 0;
}

static void put_cell(struct cql_request *request, const uint8_t *data, int32_t size)
{
	assert(request->call_count > 0 && request->cell_count < CQL_MAX_CELLS);
	request->cells[request->cell_count++] = (struct pc_cell){data, size};
	request->calls[request->call_count - 1].count++;
}

void cql_put_null(struct cql_request *request)
{
	put_cell(request, NULL, -1);
}

void cql_put_bytes(struct cql_request *request, const void *data, size_t size)
{
	assert(size <= CQL_MAX_BYTES - request->size);
	uint8_t *place = request->bytes + request->size;
	if (size > 0)
		memcpy(place, data, size);
	request->size += size;
	put_cell(request, place, (int32_t)size);
}

void cql_put_text(struct cql_request *request, const char *text)
{
	cql_put_bytes(request, text, strlen(text));
}

void cql_put_address(struct cql_request *request, const struct address *address)
{
	cql_put_bytes(request, address->bytes, sizeof address->bytes);
}

void cql_put_address_text(struct cql_request *request, const struct address *address)
{
	char text[ADDRESS_TEXT_SIZE];
	cql_put_bytes(request, text, address_format(address, text));
}

static void put_number(struct cql_request *request, uint64_t value, size_t size)
{
	uint8_t bytes[8];
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> 8 * (size - 1 - i));
	cql_put_bytes(request, bytes, size);
}

void cql_put_int8(struct cql_request *request, int8_t value)
{
	put_number(request, (uint64_t)value, 1);
}

void cql_put_int16(struct cql_request *request, int16_t value)
{
	put_number(request, (uint64_t)value, 2);
}

void cql_put_int(struct cql_request *request, int32_t value)
{
	put_number(request, (uint64_t)value, 4);
}

void cql_put_bigint(struct cql_request *request, int64_t value)
{
	put_number(request, (uint64_t)value, 8);
}

void cql_put_double(struct cql_request *request, double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	put_number(request, bits, 8);
}

void cql_put_date(struct cql_request *request, int64_t ms)
{
	put_number(request, (uint64_t)(ms / DAY_MS) + EPOCH_DAY, 4);
}

static bool get_number(const struct pc_result *rows, size_t row, size_t column, int32_t size, uint64_t *ret_value)
{
	struct pc_cell cell = pc_result_cell(rows, row, column);
	if (cell.size != size)
		return false;
	uint64_t value = 0;
	for (int32_t i = 0; i < size; i++)
		value = value << 8 | cell.data[i];
	*ret_value = value;
	return true;
}

bool cql_get_bigint(const struct pc_result *rows, size_t row, size_t column, int64_t *ret_value)
{
	uint64_t value;
	bool found = get_number(rows, row, column, 8, &value);
	if (found)
		*ret_value = (int64_t)value;
	return found;
}

bool cql_get_int(const struct pc_result *rows, size_t row, size_t column, int32_t *ret_value)
{
	uint64_t value;
	bool found = get_number(rows, row, column, 4, &value);
	if (found)
		*ret_value = (int32_t)(uint32_t)value;
	return found;
}

bool cql_get_double(const struct pc_result *rows, size_t row, size_t column, double *ret_value)
{
	uint64_t value;
	bool found = get_number(rows, row, column, 8, &value);
	if (found)
		memcpy(ret_value, &value, sizeof *ret_value);
	return found;
}

bool cql_get_date(const struct pc_result *rows, size_t row, size_t column, int64_t *ret_ms)
{
	uint64_t value;
	bool found = get_number(rows, row, column, 4, &value);
	if (found)
		*ret_ms = ((int64_t)value - (int64_t)EPOCH_DAY) * DAY_MS;
	return found;
}

bool cql_get_address(const struct pc_result *rows, size_t row, size_t column, struct address *ret_address)
{
	struct pc_cell cell = pc_result_cell(rows, row, column);
	if (cell.size != (int32_t)sizeof ret_address->bytes)
		return false;
	memcpy(ret_address->bytes, cell.data, sizeof ret_address->bytes);
	return true;
}

bool cql_get_boolean(const struct pc_result *rows, size_t row, size_t column)
{
	uint64_t value = 0;
	return get_number(rows, row, column, 1, &value) && value != 0;
}

struct slice cql_get_slice(const struct pc_result *rows, size_t row, size_t column)
{
	struct pc_cell cell = pc_result_cell(rows, row, column);
	return cell.size <= 0 ? slice_make(NULL, 0) : slice_make(cell.data, (size_t)cell.size);
}
