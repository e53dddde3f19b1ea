#include "adapter/postgres/scope_sums.h"

#include "base/rollup.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct postgres_reader {
	struct ledger_reader reader;
	struct pg_connection *connection;
	struct pg_parameters parameters;
};

/* With the numbers written out the planner knows how few buckets there are of each level. */
static enum error write_count(struct buffer *text, int64_t start_ms, int64_t end_ms)
{
	const int top = (ROLLUP_LEVELS - 1) * ROLLUP_BITS;
	const int64_t open_end = ((TIMESTAMP_MAX_MS >> top) + 1) << top;
	struct rollup_range ranges[ROLLUP_MAX_RANGES];
	size_t count =
		rollup_decompose(start_ms < 0 ? 0 : start_ms, end_ms == 0 || end_ms > open_end ? open_end : end_ms, ranges);
	enum error error = buffer_append_string(text, "SELECT 0::bigint");
	for (size_t i = 0; i < count && error == ERROR_OK; i++)
		error = buffer_append_format(text,
					     " + (SELECT coalesce(sum(count), 0)::bigint FROM ping_counts WHERE level = %d"
					     " AND bucket >= %" PRId64 " AND bucket < %" PRId64 ")",
					     ranges[i].level, ranges[i].first, ranges[i].end);
	return error == ERROR_OK ? buffer_append_byte(text, 0) : error;
}

static enum error reader_count(struct ledger_reader *base, int64_t start_ms, int64_t end_ms, int64_t *ret_count,
			       struct error_note *note)
{
	struct postgres_reader *reader = (struct postgres_reader *)base;
	struct buffer text;
	buffer_init(&text, 1 << 13);
	enum error error = write_count(&text, start_ms, end_ms);
	struct pg_step step = {.text = (const char *)text.data};
	if (error == ERROR_OK)
		error = pg_run(reader->connection, &step, 1, PG_HARMLESS, note);
	if (error == ERROR_OK) {
		*ret_count = pg_int8(step.result, 0, 0);
		pg_clear_results(&step, 1);
	}
	buffer_release(&text);
	return error;
}

/* The roll-up is right where every level sums up to the rows; else a level's sum that is not is what it says. */
static enum error reader_count_rows(struct ledger_reader *base, int64_t *ret_rows, int64_t *ret_rolled_up,
				    struct error_note *note)
{
	struct postgres_reader *reader = (struct postgres_reader *)base;
	pg_parameters_clear(&reader->parameters);
	pg_add_int8(&reader->parameters, ROLLUP_LEVELS);
	struct pg_step step = {
		.text = "WITH rows AS MATERIALIZED (SELECT (SELECT count(*) FROM pings) +"
			"  coalesce((SELECT sum(pings) FROM ledger_days_dropped), 0)::bigint AS n)"
			" SELECT rows.n, coalesce((SELECT sum(count) FROM ping_counts WHERE level = l), 0)::bigint AS rolled_up"
			" FROM rows, generate_series(0, $1 - 1) l ORDER BY 2 = rows.n, l LIMIT 1",
		.parameters = &reader->parameters,
	};
	pg_take_time(reader->connection);
	enum error error = pg_run(reader->connection, &step, 1, PG_HARMLESS, note);
	if (error != ERROR_OK)
		return error;
	*ret_rows = pg_int8(step.result, 0, 0);
	*ret_rolled_up = pg_int8(step.result, 0, 1);
	pg_clear_results(&step, 1);
	return ERROR_OK;
}

static const char declare_sums[] =
	"DECLARE sums NO SCROLL CURSOR FOR"
	" SELECT client_ip, first_ms - first_ms % 300000 AS window_start, sum(pings)::bigint, min(first_ms), max(last_ms),"
	" max(position), 0::bigint"
	" FROM ledger_pings WHERE position <= $1 AND client_ip IS NOT NULL" PG_SUMS_IN_ORDER;

static enum error reader_sum_windows(struct ledger_reader *base, int64_t up_to,
				     bool (*visit)(void *context, const struct ledger_sum *sum), void *context,
				     struct error_note *note)
{
	struct postgres_reader *reader = (struct postgres_reader *)base;
	pg_parameters_clear(&reader->parameters);
	pg_add_int8(&reader->parameters, up_to);
	return pg_visit_sums(reader->connection, declare_sums, &reader->parameters, visit, context, note);
}

static const char sum_keys[] =
	"SELECT k.n::bigint, coalesce(sum(pings) FILTER (WHERE p.position <= k.position), 0)::bigint,"
	" coalesce(min(first_ms) FILTER (WHERE p.position <= k.position), 0),"
	" coalesce(max(last_ms) FILTER (WHERE p.position <= k.position), 0),"
	" coalesce(sum(pings) FILTER (WHERE p.position > k.position AND p.position <= k.bound), 0)::bigint"
	" FROM unnest($1::inet[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])"
	"  WITH ORDINALITY AS k (client, start_ms, end_ms, position, bound, n)"
	" JOIN ledger_pings p"
	"  ON p.client_ip = k.client AND p.first_ms >= k.start_ms AND p.first_ms < k.end_ms AND p.position IS NOT NULL"
	" GROUP BY k.n";

static void add_keys(struct pg_parameters *parameters, const struct ledger_key *keys, size_t count)
{
	pg_add_array(parameters, PG_INET, count);
	for (size_t i = 0; i < count; i++)
		pg_element_address(parameters, &keys[i].client);
	pg_add_array(parameters, PG_INT8, count);
	for (size_t i = 0; i < count; i++)
		pg_element_int8(parameters, keys[i].start_ms);
	pg_add_array(parameters, PG_INT8, count);
	for (size_t i = 0; i < count; i++)
		pg_element_int8(parameters, keys[i].end_ms);
	pg_add_array(parameters, PG_INT8, count);
	for (size_t i = 0; i < count; i++)
		pg_element_int8(parameters, keys[i].position);
	pg_add_array(parameters, PG_INT8, count);
	for (size_t i = 0; i < count; i++)
		pg_element_int8(parameters, keys[i].bound);
}

static enum error reader_sum_keys(struct ledger_reader *base, const struct ledger_key *keys, size_t count,
				  struct ledger_key_sum *ret_sums, struct error_note *note)
{
	struct postgres_reader *reader = (struct postgres_reader *)base;
	pg_parameters_clear(&reader->parameters);
	add_keys(&reader->parameters, keys, count);
	struct pg_step step = {.text = sum_keys, .parameters = &reader->parameters};
	pg_take_time(reader->connection);
	enum error error = pg_run(reader->connection, &step, 1, PG_HARMLESS, note);
	if (error != ERROR_OK)
		return error;
	memset(ret_sums, 0, count * sizeof *ret_sums);
	for (int row = 0; row < PQntuples(step.result); row++) {
		int64_t n = pg_int8(step.result, row, 0);
		if (n >= 1 && (size_t)n <= count)
			ret_sums[n - 1] = (struct ledger_key_sum){pg_int8(step.result, row, 1), pg_int8(step.result, row, 2),
								  pg_int8(step.result, row, 3), pg_int8(step.result, row, 4)};
	}
	pg_clear_results(&step, 1);
	return ERROR_OK;
}

static enum error reader_sum_scope(struct ledger_reader *base, const struct ledger_scope *scope,
				   bool (*visit)(void *context, const struct ledger_sum *sum), void *context,
				   struct error_note *note)
{
	struct postgres_reader *reader = (struct postgres_reader *)base;
	return pg_sum_scope(reader->connection, &reader->parameters, scope, visit, context, note);
}

static void reader_close(struct ledger_reader *base)
{
	struct postgres_reader *reader = (struct postgres_reader *)base;
	pg_connection_destroy(reader->connection);
	pg_parameters_release(&reader->parameters);
	free(reader);
}

enum error postgres_ledger_reader_open(const struct postgres_config *config, struct ledger_reader **ret_reader)
{
	static const struct ledger_reader_vtable vtable = {reader_count, reader_sum_windows, reader_count_rows,
							   reader_close, reader_sum_keys,    reader_sum_scope};
	struct postgres_reader *reader = calloc(1, sizeof *reader);
	if (reader == NULL)
		return ERROR_NO_MEMORY;
	reader->reader.vtable = &vtable;
	pg_parameters_init(&reader->parameters);
	enum error error = pg_connection_create(config, &reader->connection);
	if (error != ERROR_OK) {
		free(reader);
		return error;
	}
	*ret_reader = &reader->reader;
	return ERROR_OK;
}
