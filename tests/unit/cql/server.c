#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/cql/server.h"

#include "adapter/cql/cql.h"

#include <stdio.h>
#include <stdlib.h>

int64_t server_now_ms = INT64_C(1728864000000), server_monotonic_us;
static struct cql_config *config;
static struct cql_connection *connection;

static int64_t wall_ms(struct clock *clock)
{
	(void)clock;
	return server_now_ms;
}

static int64_t monotonic_us(struct clock *clock)
{
	(void)clock;
	return server_monotonic_us;
}

static struct clock still = {wall_ms, monotonic_us};

static void check(enum error error, const struct error_note *note, const char *what)
{
	if (error != ERROR_OK)
		fail_msg("%s: %s: %s", what, error_name(error), note->text);
}

void server_prepare(void)
{
	struct error_note note = {""};
	const char *url = getenv("PING_TEST_CQL");
	enum error error = url == NULL ? error_noted(&note, ERROR_NOT_FOUND, "PING_TEST_CQL is not set") : ERROR_OK;
	if (error == ERROR_OK)
		error = cql_config_create(url, &config, &note);
	if (error == ERROR_OK)
		error = cql_migrate(config, &(struct cql_migration){.mode = CQL_MIGRATE_AUTO}, NULL, &note);
	if (error == ERROR_OK)
		error = cql_connection_create(config, NULL, 0, true, &connection);
	if (error == ERROR_OK)
		return;
	print_error("%s: %s\n", error_name(error), note.text);
	exit(1);
}

void server_end(void)
{
	cql_connection_destroy(connection);
	cql_config_destroy(config);
}

const char *server_url(const char *keyspace_and_more)
{
	static char url[512];
	const char *given = getenv("PING_TEST_CQL");
	const char *hosts = strstr(given, "://") + 3;
	snprintf(url, sizeof url, "%.*s/%s%stimeout=30000", (int)(hosts - given) + (int)strcspn(hosts, "/?"), given,
		 keyspace_and_more, strchr(keyspace_and_more, '?') == NULL ? "?" : "&");
	return url;
}

void server_run(const char *text)
{
	struct error_note note = {""};
	check(cql_run_text(connection, text, &note), &note, text);
}

void server_empty(void)
{
	static const char *const tables[] = {"window_stats", "daily_stats",  "daily_totals", "engine_writers",
					     "clients",	     "activity_24h", "activity_due", "rebuild_requests"};
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		char text[64];
		snprintf(text, sizeof text, "TRUNCATE %s", tables[i]);
		server_run(text);
	}
}

int64_t server_number(const char *query, int64_t none)
{
	const struct cql_statement statement = {query, PC_IDEMPOTENT, 0};
	struct cql_connection *asking;
	struct cql_request request = {0};
	struct pc_result *rows;
	struct error_note note = {""};
	int64_t number = none;
	check(cql_connection_create(config, &statement, 1, true, &asking), &note, query);
	cql_call(&request, 0);
	check(cql_ask(asking, &request, &rows, &note), &note, query);
	if (pc_result_rows(rows) > 0)
		cql_get_bigint(rows, 0, 0, &number);
	pc_result_free(rows);
	cql_connection_destroy(asking);
	return number;
}

static int32_t always_first(const struct address *client, int32_t partition_count)
{
	(void)client;
	(void)partition_count;
	return 0;
}

struct clock *server_clock(void)
{
	return &still;
}

struct store *server_open_store(void)
{
	const struct cql_store_config store_config = {
		.cql = config, .partition_count = 6, .clock = &still, .partition_of = always_first};
	struct store *store;
	assert_int_equal(cql_store_open(&store_config, &store), ERROR_OK);
	return store;
}

struct store_reader *server_open_reader(void)
{
	struct store_reader *reader;
	assert_int_equal(cql_store_reader_open(getenv("PING_TEST_CQL"), &reader, NULL), ERROR_OK);
	return reader;
}
