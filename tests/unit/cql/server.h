/* The tests' keyspace on the server that PING_TEST_CQL names (a scylla:// URL), and a clock that stands still. */
#ifndef PING_TESTS_UNIT_CQL_SERVER_H
#define PING_TESTS_UNIT_CQL_SERVER_H

#include "adapter/cql/connection.h"
#include "port/store.h"

/* What the clock says; a test may move it. */
extern int64_t server_now_ms, server_monotonic_us;

/* Migrates. Before and after all the others. */
void server_prepare(void);
void server_end(void);
/* The server's URL with another keyspace, and more behind it; static. */
const char *server_url(const char *keyspace_and_more);
/* No row in any table. */
void server_empty(void);
struct store *server_open_store(void);
struct clock *server_clock(void);
struct store_reader *server_open_reader(void);
/* A statement; the text may hold no values. */
void server_run(const char *text);
/* The first value of the first row of a query: a bigint or counter; `none` where there is none. */
int64_t server_number(const char *query, int64_t none);

#endif
