/* The rows of the metrics as the tables have them, for both sides of the store. */
#ifndef PING_ADAPTER_CQL_ROWS_H
#define PING_ADAPTER_CQL_ROWS_H

#include "adapter/cql/connection.h"
#include "engine/row.h"

enum { CQL_SHARDS = 64 };
/* The clients' lists (migrations/0003_clients.cql). */
enum { CQL_LIST_ALL, CQL_LIST_BY_LAST, CQL_LIST_BY_COUNT };

int16_t cql_shard_of(const struct address *client);
/* The key of `clients`: shard and address. */
void cql_put_client_key(struct cql_request *request, const struct address *client);

#define WINDOW_COLUMNS \
	"window_start, ping_count, avg_interval_ms, first_ping, last_ping, position, writetime(ping_count), kept_count"
#define DAY_COLUMNS    "day, total, position, writetime(total), kept"
#define CLIENT_COLUMNS "address, first_ping, last_ping, ping_count, due, writetime(last_ping)"
#define ACTIVITY_COLUMNS                                                                                       \
	"since, ping_count, active_windows, first_ping, last_ping, busiest_window_start, busiest_ping_count, " \
	"busiest_first_ping,"                                                                                  \
	" busiest_last_ping, due"

/* ret_writetime_us: greater of what it was and the row's, NULL: not wanted. *ret_own is false for a row that has no position:
 * somebody else's, of which first and last are made from its average. */
void cql_read_window(const struct pc_result *rows, size_t row, const struct address *client, struct window_row *ret_window,
		     bool *ret_own, int64_t *ret_writetime_us);
/* Of the row's pings, those that are known by number alone; 0 in most. */
int64_t cql_read_window_kept(const struct pc_result *rows, size_t row);
int64_t cql_read_day_kept(const struct pc_result *rows, size_t row);
void cql_read_day(const struct pc_result *rows, size_t row, const struct address *client, struct day_row *ret_day,
		  int64_t *ret_writetime_us);

/* A client as its shard has it. */
struct cql_client {
	struct client_row row;
	int64_t ping_count; /* of the last 24 hours, as materialised; 0: silent */
	int64_t due_ms;	    /* 0: no activity is kept */
};
/* False: no such client, only what a list left of it. */
bool cql_read_client(const struct pc_result *rows, size_t row, struct cql_client *ret_client, int64_t *ret_writetime_us);
void cql_read_activity(const struct pc_result *rows, size_t row, const struct address *client, struct activity_row *ret_activity);

/* NULL where there is no interval. */
void cql_put_average(struct cql_request *request, int64_t count, int64_t first_ms, int64_t last_ms);

#endif
