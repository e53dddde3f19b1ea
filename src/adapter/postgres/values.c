#include "adapter/postgres/values.h"

#include <arpa/inet.h>
#include <endian.h>

enum { PARAMETER_LIMIT = 1 << 28, EPOCH_S = 946684800 /* 2000-01-01 */, INET_FAMILY_4 = 2, INET_FAMILY_6 = 3 };

static const struct {
	Oid type, array;
} oids[PG_TYPE_COUNT] = {
	[PG_BYTEA] = {17, 1001}, [PG_INT8] = {20, 1016},	  [PG_INT4] = {23, 1007},   [PG_TEXT] = {25, 1009},
	[PG_INET] = {869, 1041}, [PG_TIMESTAMPTZ] = {1184, 1185}, [PG_UUID] = {2950, 2951},
};

void pg_parameters_init(struct pg_parameters *parameters)
{
	*parameters = (struct pg_parameters){0};
	for (int i = 0; i < PG_MAX_PARAMETERS; i++)
		buffer_init(&parameters->data[i], PARAMETER_LIMIT);
}

void pg_parameters_release(struct pg_parameters *parameters)
{
	for (int i = 0; i < PG_MAX_PARAMETERS; i++)
		buffer_release(&parameters->data[i]);
}

void pg_parameters_clear(struct pg_parameters *parameters)
{
	parameters->count = 0;
	parameters->failed = false;
}

static void begin(struct pg_parameters *parameters, Oid type, bool null)
{
	parameters->types[parameters->count] = type;
	parameters->null[parameters->count] = null;
	buffer_clear(&parameters->data[parameters->count]);
	parameters->count++;
}

static void put(struct pg_parameters *parameters, const void *data, size_t size)
{
	if (buffer_append(&parameters->data[parameters->count - 1], data, size) != ERROR_OK)
		parameters->failed = true;
}

static void put_int32(struct pg_parameters *parameters, int32_t value)
{
	uint32_t bytes = htobe32((uint32_t)value);
	put(parameters, &bytes, sizeof bytes);
}

static void put_int64(struct pg_parameters *parameters, int64_t value)
{
	uint64_t bytes = htobe64((uint64_t)value);
	put(parameters, &bytes, sizeof bytes);
}

static int64_t microseconds(int64_t ms)
{
	return (ms - INT64_C(1000) * EPOCH_S) * 1000;
}

void pg_add_int8(struct pg_parameters *parameters, int64_t value)
{
	begin(parameters, oids[PG_INT8].type, false);
	put_int64(parameters, value);
}

void pg_add_int4(struct pg_parameters *parameters, int32_t value)
{
	begin(parameters, oids[PG_INT4].type, false);
	put_int32(parameters, value);
}

void pg_add_text(struct pg_parameters *parameters, const char *text)
{
	begin(parameters, oids[PG_TEXT].type, false);
	put(parameters, text, strlen(text));
}

void pg_add_time(struct pg_parameters *parameters, int64_t ms)
{
	begin(parameters, oids[PG_TIMESTAMPTZ].type, false);
	put_int64(parameters, microseconds(ms));
}

void pg_add_uuid(struct pg_parameters *parameters, const struct uuid *id)
{
	const struct uuid none = {0};
	begin(parameters, oids[PG_UUID].type, memcmp(id, &none, sizeof none) == 0);
	put(parameters, id->bytes, sizeof id->bytes);
}

void pg_add_null(struct pg_parameters *parameters, enum pg_type type)
{
	begin(parameters, oids[type].type, true);
}

void pg_add_array(struct pg_parameters *parameters, enum pg_type element, size_t count)
{
	const int32_t dimensions = count == 0 ? 0 : 1, maybe_null = 1, lower_bound = 1;
	begin(parameters, oids[element].array, false);
	put_int32(parameters, dimensions);
	put_int32(parameters, maybe_null);
	put_int32(parameters, (int32_t)oids[element].type);
	if (dimensions == 0)
		return;
	put_int32(parameters, (int32_t)count);
	put_int32(parameters, lower_bound);
}

void pg_element_int8(struct pg_parameters *parameters, int64_t value)
{
	put_int32(parameters, sizeof value);
	put_int64(parameters, value);
}

void pg_element_null(struct pg_parameters *parameters)
{
	put_int32(parameters, -1);
}

void pg_element_time(struct pg_parameters *parameters, int64_t ms)
{
	pg_element_int8(parameters, microseconds(ms));
}

void pg_element_uuid(struct pg_parameters *parameters, const struct uuid *id)
{
	pg_element_bytes(parameters, slice_make(id->bytes, sizeof id->bytes));
}

void pg_element_address(struct pg_parameters *parameters, const struct address *address)
{
	bool ipv4 = address_is_ipv4(address);
	uint8_t size = ipv4 ? 4 : 16;
	uint8_t bytes[4 + 16] = {ipv4 ? INET_FAMILY_4 : INET_FAMILY_6, (uint8_t)(size * 8), 0, size};
	memcpy(bytes + 4, address->bytes + (16 - size), size);
	pg_element_bytes(parameters, slice_make(bytes, 4u + size));
}

void pg_element_bytes(struct pg_parameters *parameters, struct slice bytes)
{
	put_int32(parameters, (int32_t)bytes.size);
	put(parameters, bytes.data, bytes.size);
}

/* The value's bytes where it has that many. */
static bool get(const PGresult *result, int row, int column, void *ret_bytes, size_t size)
{
	if (PQgetisnull(result, row, column) || (size_t)PQgetlength(result, row, column) != size)
		return false;
	memcpy(ret_bytes, PQgetvalue(result, row, column), size);
	return true;
}

bool pg_bool(const PGresult *result, int row, int column)
{
	uint8_t byte;
	return get(result, row, column, &byte, sizeof byte) && byte != 0;
}

int64_t pg_int8(const PGresult *result, int row, int column)
{
	uint64_t bytes;
	return get(result, row, column, &bytes, sizeof bytes) ? (int64_t)be64toh(bytes) : 0;
}

int64_t pg_int4(const PGresult *result, int row, int column)
{
	uint32_t bytes;
	return get(result, row, column, &bytes, sizeof bytes) ? (int32_t)be32toh(bytes) : 0;
}

struct uuid pg_uuid(const PGresult *result, int row, int column)
{
	struct uuid id;
	return get(result, row, column, id.bytes, sizeof id.bytes) ? id : (struct uuid){0};
}

int64_t pg_time(const PGresult *result, int row, int column)
{
	int64_t us = pg_int8(result, row, column);
	int64_t ms = us / 1000 - (us % 1000 < 0);
	return us == INT64_MAX || us == INT64_MIN ? us : ms + INT64_C(1000) * EPOCH_S;
}

bool pg_address(const PGresult *result, int row, int column, struct address *ret_address)
{
	struct slice bytes = pg_bytes(result, row, column);
	if (bytes.size == 4 + 4 && bytes.data[0] == INET_FAMILY_4 && bytes.data[1] == 32) {
		*ret_address = address_from_ipv4(bytes.data + 4);
		return true;
	}
	if (bytes.size != 4 + 16 || bytes.data[0] != INET_FAMILY_6 || bytes.data[1] != 128)
		return false;
	memcpy(ret_address->bytes, bytes.data + 4, 16);
	return true;
}

struct slice pg_bytes(const PGresult *result, int row, int column)
{
	return slice_make(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
}
