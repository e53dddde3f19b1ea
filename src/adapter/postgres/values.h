/* Parameters and results in PostgreSQL's binary formats.
 *
 *   array: 1 dimension | no NULL or maybe | element's type | count | lower bound 1 | (size, bytes)… ; NULL: size −1
 */
#ifndef PING_ADAPTER_POSTGRES_VALUES_H
#define PING_ADAPTER_POSTGRES_VALUES_H

#include "base/address.h"
#include "base/buffer.h"
#include "base/uuid.h"

#include <libpq-fe.h>

enum { PG_MAX_PARAMETERS = 10 };

enum pg_type { PG_BYTEA, PG_INT8, PG_INT4, PG_TEXT, PG_INET, PG_TIMESTAMPTZ, PG_UUID, PG_TYPE_COUNT };

/* Kept and used again: memory grows to the largest batch. */
struct pg_parameters {
	int count;
	bool failed; /* no memory: what is sent fails */
	Oid types[PG_MAX_PARAMETERS];
	bool null[PG_MAX_PARAMETERS];
	struct buffer data[PG_MAX_PARAMETERS];
};

void pg_parameters_init(struct pg_parameters *parameters);
void pg_parameters_release(struct pg_parameters *parameters);
void pg_parameters_clear(struct pg_parameters *parameters);

void pg_add_int8(struct pg_parameters *parameters, int64_t value);
void pg_add_int4(struct pg_parameters *parameters, int32_t value);
void pg_add_text(struct pg_parameters *parameters, const char *text);
void pg_add_time(struct pg_parameters *parameters, int64_t ms);
/* All zero: NULL. */
void pg_add_uuid(struct pg_parameters *parameters, const struct uuid *id);
void pg_add_null(struct pg_parameters *parameters, enum pg_type type);

/* Begins an array of `count` elements, which follow one by one. */
void pg_add_array(struct pg_parameters *parameters, enum pg_type element, size_t count);
void pg_element_int8(struct pg_parameters *parameters, int64_t value);
void pg_element_null(struct pg_parameters *parameters);
void pg_element_time(struct pg_parameters *parameters, int64_t ms);
void pg_element_uuid(struct pg_parameters *parameters, const struct uuid *id);
void pg_element_address(struct pg_parameters *parameters, const struct address *address);
void pg_element_bytes(struct pg_parameters *parameters, struct slice bytes);

/* Of a result in binary format. NULL and what has another size: 0. */
bool pg_bool(const PGresult *result, int row, int column);
int64_t pg_int8(const PGresult *result, int row, int column);
int64_t pg_int4(const PGresult *result, int row, int column);
struct uuid pg_uuid(const PGresult *result, int row, int column);
/* Milliseconds, rounded down; infinity is as far as 64 bits go. */
int64_t pg_time(const PGresult *result, int row, int column);
/* False: no host's address. */
bool pg_address(const PGresult *result, int row, int column, struct address *ret_address);
struct slice pg_bytes(const PGresult *result, int row, int column);

#endif
