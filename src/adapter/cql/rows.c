#include "adapter/cql/rows.h"

int16_t cql_shard_of(const struct address *client)
{
	uint32_t hash = UINT32_C(0x811c9dc5); /* FNV-1a: part of what is stored, so it stays */
	for (size_t i = 0; i < sizeof client->bytes; i++)
		hash = (hash ^ client->bytes[i]) * UINT32_C(0x01000193);
	return (int16_t)((hash ^ hash >> 16) % CQL_SHARDS);
}

void cql_put_client_key(struct cql_request *request, const struct address *client)
{
	cql_put_int16(request, cql_shard_of(client));
	cql_put_address(request, client);
}

static void note_writetime(const struct pc_result *rows, size_t row, size_t column, int64_t *writetime_us)
{
	int64_t found_us;
	if (writetime_us != NULL && cql_get_bigint(rows, row, column, &found_us) && found_us > *writetime_us)
		*writetime_us = found_us;
}

void cql_read_window(const struct pc_result *rows, size_t row, const struct address *client, struct window_row *ret_window,
		     bool *ret_own, int64_t *ret_writetime_us)
{
	struct window_row window = {.client = *client, .position = POSITION_NONE};
	int32_t count = 0;
	double average_ms = 0;
	cql_get_bigint(rows, row, 0, &window.start_ms);
	cql_get_int(rows, row, 1, &count);
	cql_get_double(rows, row, 2, &average_ms);
	window.count = count;
	window.first_ms = window.start_ms;
	window.last_ms = window.start_ms + (count > 1 ? (int64_t)(average_ms * (count - 1)) : 0);
	bool own = cql_get_bigint(rows, row, 5, &window.position);
	if (own) {
		cql_get_bigint(rows, row, 3, &window.first_ms);
		cql_get_bigint(rows, row, 4, &window.last_ms);
	}
	note_writetime(rows, row, 6, ret_writetime_us);
	*ret_window = window;
	*ret_own = own;
}

int64_t cql_read_window_kept(const struct pc_result *rows, size_t row)
{
	int32_t kept = 0;
	cql_get_int(rows, row, 7, &kept);
	return kept;
}

int64_t cql_read_day_kept(const struct pc_result *rows, size_t row)
{
	int64_t kept = 0;
	cql_get_bigint(rows, row, 4, &kept);
	return kept;
}

void cql_read_day(const struct pc_result *rows, size_t row, const struct address *client, struct day_row *ret_day,
		  int64_t *ret_writetime_us)
{
	struct day_row day = {.client = *client, .position = POSITION_NONE};
	cql_get_date(rows, row, 0, &day.start_ms);
	cql_get_bigint(rows, row, 1, &day.total);
	cql_get_bigint(rows, row, 2, &day.position);
	note_writetime(rows, row, 3, ret_writetime_us);
	*ret_day = day;
}

bool cql_read_client(const struct pc_result *rows, size_t row, struct cql_client *ret_client, int64_t *ret_writetime_us)
{
	struct cql_client client = {0};
	bool found = cql_get_address(rows, row, 0, &client.row.client);
	found &= cql_get_bigint(rows, row, 1, &client.row.first_ms);
	found &= cql_get_bigint(rows, row, 2, &client.row.last_ms);
	cql_get_bigint(rows, row, 3, &client.ping_count);
	cql_get_bigint(rows, row, 4, &client.due_ms);
	note_writetime(rows, row, 5, ret_writetime_us);
	*ret_client = client;
	return found;
}

void cql_read_activity(const struct pc_result *rows, size_t row, const struct address *client, struct activity_row *ret_activity)
{
	struct activity_row activity = {.client = *client};
	cql_get_bigint(rows, row, 0, &activity.start_ms);
	cql_get_bigint(rows, row, 1, &activity.count);
	cql_get_int(rows, row, 2, &activity.active_windows);
	cql_get_bigint(rows, row, 3, &activity.first_ms);
	cql_get_bigint(rows, row, 4, &activity.last_ms);
	cql_get_bigint(rows, row, 5, &activity.busiest_start_ms);
	cql_get_bigint(rows, row, 6, &activity.busiest_count);
	cql_get_bigint(rows, row, 7, &activity.busiest_first_ms);
	cql_get_bigint(rows, row, 8, &activity.busiest_last_ms);
	cql_get_bigint(rows, row, 9, &activity.due_ms);
	*ret_activity = activity;
}

void cql_put_average(struct cql_request *request, int64_t count, int64_t first_ms, int64_t last_ms)
{
	double average_ms;
	if (row_average_interval(count, first_ms, last_ms, &average_ms))
		cql_put_double(request, average_ms);
	else
		cql_put_null(request);
}
