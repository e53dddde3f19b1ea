/* The schema on a real server: made, made again, made by two at once, and made of what others made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/cql/server.h"

#include "adapter/cql/cql.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>

#define RETENTION_MS (90 * INT64_C(86400000))

enum { PATIENCE_MS = 120000 };

static struct error_note note;
static struct cql_schema schema;
static char heard[4096];
static int migrations_heard;

static void hear(void *context, const char *text)
{
	(void)context;
	size_t used = strlen(heard);
	snprintf(heard + used, sizeof heard - used, "%s\n", text);
	migrations_heard += strncmp(text, "migration ", 10) == 0;
}

static enum error migrate(const char *keyspace, enum cql_migrate mode)
{
	struct cql_config *config;
	note = (struct error_note){""};
	heard[0] = 0;
	migrations_heard = 0;
	schema = (struct cql_schema){-1, -1};
	enum error error = cql_config_create(server_url(keyspace), &config, &note);
	if (error != ERROR_OK)
		return error;
	error = cql_migrate(config, &(struct cql_migration){mode, RETENTION_MS, PATIENCE_MS, hear, NULL}, &schema, &note);
	cql_config_destroy(config);
	return error;
}

static void must_migrate(const char *keyspace)
{
	enum error error = migrate(keyspace, CQL_MIGRATE_AUTO);
	if (error != ERROR_OK)
		fail_msg("%s: %s", error_name(error), note.text);
	assert_int_equal(schema.version, schema.wanted);
}

/* Not each test's own: a keyspace takes seconds. */
static int drop(void **state)
{
	(void)state;
	server_run("DROP KEYSPACE IF EXISTS tried");
	return 0;
}

static void a_keyspace_is_made_and_said_what_it_lacks(void **state)
{
	(void)state;
	assert_int_equal(migrate("tried", CQL_MIGRATE_OFF), ERROR_OK);
	assert_int_equal(schema.version, 0);
	assert_int_equal(migrate("tried", CQL_MIGRATE_CHECK), ERROR_FAILED_PRECONDITION);
	assert_non_null(strstr(note.text, "pingctl migrate"));
	must_migrate("tried");
	assert_int_equal(migrations_heard, schema.wanted);
	assert_null(strstr(heard, "put aside"));
	assert_non_null(strstr(heard, "'replication_factor': 1"));
	assert_non_null(strstr(heard, "keeps 1 copy of each row"));
	must_migrate("tried");
	assert_int_equal(migrations_heard, 0);
	assert_null(strstr(heard, "compaction"));
	assert_int_equal(migrate("tried", CQL_MIGRATE_CHECK), ERROR_OK);
}

static void a_newer_schema_is_refused(void **state)
{
	(void)state;
	must_migrate("tried");
	server_run("INSERT INTO tried.schema_migrations (version, name) VALUES (99, 'of the future')");
	assert_int_equal(migrate("tried", CQL_MIGRATE_AUTO), ERROR_SCHEMA_NEWER);
	assert_non_null(strstr(note.text, "99"));
}

static void replication_is_as_the_url_says(void **state)
{
	(void)state;
	must_migrate("tried?replication=datacenter1:1&keyspace_options=durable_writes=true");
	assert_non_null(strstr(heard, "'datacenter1': 1} AND durable_writes=true"));
}

static void tables_made_by_the_rfc_are_upgraded_where_they_are(void **state)
{
	(void)state;
	server_run("CREATE KEYSPACE tried WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}");
	server_run(
		"CREATE TABLE tried.window_stats (client_ip text, window_start timestamp, window_end timestamp, ping_count int,"
		" avg_interval_ms double, PRIMARY KEY ((client_ip), window_start)) WITH CLUSTERING ORDER BY (window_start DESC)");
	server_run(
		"CREATE TABLE tried.daily_stats (client_ip text, day date, total_pings counter, PRIMARY KEY ((client_ip), day))"
		" WITH CLUSTERING ORDER BY (day DESC)");
	int64_t start_ms = clock_wall_ms(clock_system()) / 300000 * 300000; /* of a window that is not past its retention */
	char text[300];
	snprintf(text, sizeof text,
		 "INSERT INTO tried.window_stats (client_ip, window_start, window_end, ping_count, avg_interval_ms) VALUES"
		 " ('10.0.0.1', %lld, %lld, 4, 1000)",
		 (long long)start_ms, (long long)start_ms + 300000);
	server_run(text);
	server_run(
		"UPDATE tried.daily_stats SET total_pings = total_pings + 4 WHERE client_ip = '10.0.0.1' AND day = '2024-10-14'");
	must_migrate("tried");
	assert_int_equal(server_number("SELECT cast(ping_count AS bigint) FROM tried.window_stats", 0), 4);
	assert_int_equal(server_number("SELECT position FROM tried.window_stats", -7), -7);
	assert_int_equal(server_number("SELECT total_pings FROM tried.daily_stats", 0), 4);
	assert_non_null(strstr(heard, "put aside until the log is read: 1 of windows, 1 of days"));
	assert_int_equal(server_number("SELECT cast(ping_count AS bigint) FROM tried.inherited_windows", 0), 4);
	assert_int_equal(server_number("SELECT total_pings FROM tried.inherited_days", 0), 4);
}

static void half_a_migration_is_ended(void **state)
{
	(void)state;
	must_migrate("tried");
	server_run("DELETE FROM tried.schema_migrations WHERE version = 2"); /* as if it had been cut short */
	server_run("DELETE FROM tried.schema_migrations WHERE version = 3");
	server_run("DELETE FROM tried.schema_migrations WHERE version = 4");
	server_run("DELETE FROM tried.schema_migrations WHERE version = 5");
	server_run("DROP TABLE tried.engine_writers");
	must_migrate("tried");
	assert_int_equal(migrations_heard, 4);
	assert_int_equal(server_number("SELECT position FROM tried.engine_writers", -7), -7);
}

static void a_column_of_another_type_is_named(void **state)
{
	(void)state;
	server_run("CREATE KEYSPACE tried WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}");
	server_run("CREATE TABLE tried.window_stats (client_ip text, window_start timestamp, window_end timestamp, ping_count "
		   "bigint,"
		   " avg_interval_ms double, PRIMARY KEY ((client_ip), window_start))");
	assert_int_equal(migrate("tried", CQL_MIGRATE_AUTO), ERROR_FAILED_PRECONDITION);
	assert_non_null(strstr(note.text, "column ping_count is bigint, it must be int"));
}

static void *migrate_too(void *argument)
{
	struct cql_config *config = argument;
	const struct cql_migration migration = {CQL_MIGRATE_AUTO, RETENTION_MS, PATIENCE_MS, NULL, NULL};
	struct error_note own = {""};
	enum error error;
	/* A node that has not heard of a table yet that another is just making is UNAVAILABLE: pingd asks again, too. */
	int64_t deadline_us = clock_monotonic_us(clock_system()) + PATIENCE_MS * INT64_C(1000);
	while ((error = cql_migrate(config, &migration, NULL, &own)) == ERROR_UNAVAILABLE &&
	       clock_monotonic_us(clock_system()) < deadline_us)
		clock_sleep_ms(100);
	if (error != ERROR_OK)
		print_error("another migrator: %s: %s\n", error_name(error), own.text);
	return error == ERROR_OK ? argument : NULL;
}

static void several_at_once_make_it_once(void **state)
{
	(void)state;
	enum { OTHERS = 3 };
	pthread_t threads[OTHERS];
	struct cql_config *config;
	assert_int_equal(cql_config_create(server_url("tried"), &config, &note), ERROR_OK);
	for (int i = 0; i < OTHERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, migrate_too, config), 0);
	assert_non_null(migrate_too(config));
	for (int i = 0; i < OTHERS; i++) {
		void *fine;
		assert_int_equal(pthread_join(threads[i], &fine), 0);
		assert_non_null(fine);
	}
	cql_config_destroy(config);
	must_migrate("tried");
	assert_int_equal(migrations_heard, 0);
	assert_int_equal(server_number("SELECT count(*) FROM tried.schema_migrations", 0), schema.wanted);
}

/* As a process leaves it that is killed in the middle. */
static void a_lock_left_behind_is_told_waited_for_and_no_matter_where_nothing_is_to_be_done(void **state)
{
	(void)state;
	static const char leave[] = "INSERT INTO tried.schema_migrations (version, name) VALUES (0, 'dead') USING TTL %d";
	char text[200];
	must_migrate("tried");
	snprintf(text, sizeof text, leave, 600);
	server_run(text);
	must_migrate("tried");
	server_run("DELETE FROM tried.schema_migrations WHERE version = 5");
	struct cql_config *config;
	assert_int_equal(cql_config_create(server_url("tried"), &config, &note), ERROR_OK);
	const struct cql_migration hasty = {.mode = CQL_MIGRATE_AUTO, .window_retention_ms = RETENTION_MS};
	assert_int_equal(cql_migrate(config, &hasty, NULL, &note), ERROR_UNAVAILABLE);
	assert_non_null(strstr(note.text, "another process migrates keyspace tried, or died while it did"));
	cql_config_destroy(config);
	snprintf(text, sizeof text, leave, 1);
	server_run(text);
	must_migrate("tried");
	assert_int_equal(migrations_heard, 1);
}

static void a_server_that_is_not_there_and_a_datacenter_that_is_not_are_named(void **state)
{
	(void)state;
	struct cql_config *config;
	assert_int_equal(cql_config_create("scylla://127.0.0.1:1/tried", &config, &note), ERROR_OK);
	assert_int_equal(cql_migrate(config, &(struct cql_migration){.mode = CQL_MIGRATE_AUTO}, &schema, &note),
			 ERROR_UNAVAILABLE);
	assert_non_null(strstr(note.text, "127.0.0.1:1"));
	cql_config_destroy(config);
	assert_int_equal(migrate("tried?datacenter=elsewhere", CQL_MIGRATE_AUTO), ERROR_FAILED_PRECONDITION);
	assert_non_null(strstr(note.text, "datacenter1=1"));
}

#define TEST(name) cmocka_unit_test_setup(name, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_keyspace_is_made_and_said_what_it_lacks),
		TEST(a_newer_schema_is_refused),
		TEST(replication_is_as_the_url_says),
		TEST(tables_made_by_the_rfc_are_upgraded_where_they_are),
		TEST(half_a_migration_is_ended),
		TEST(a_column_of_another_type_is_named),
		TEST(several_at_once_make_it_once),
		TEST(a_lock_left_behind_is_told_waited_for_and_no_matter_where_nothing_is_to_be_done),
		TEST(a_server_that_is_not_there_and_a_datacenter_that_is_not_are_named),
	};
	server_prepare();
	int failed = cmocka_run_group_tests(tests, NULL, drop);
	server_end();
	return failed;
}
