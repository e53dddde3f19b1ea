/* The files: made, migrated, refused where they are not ours, and readable for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/sqlite/database.h"
#include "adapter/sqlite/sqlite.h"
#include "base/random.h"
#include "base/timestamp.h"
#include "folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct folder folder;
static struct data_directory *directory;

static const char *const steps[] = {
	"CREATE TABLE one (a)",
	"CREATE TABLE two (a); INSERT INTO two VALUES (2)",
	"CREATE TABLE three (a); INSERT INTO nowhere VALUES (3)",
};

static struct schema schema_of(int version)
{
	return (struct schema){
		.file = "ledger.db",
		.what = "test",
		.synchronous = "FULL",
		.application_id = 0x50696e67,
		.version = version,
		.migrations = steps,
	};
}

/* Runs SQL on the file by other means than the adapter's. */
static void change_file(const char *name, const char *sql)
{
	char path[128];
	sqlite3 *handle;
	snprintf(path, sizeof path, "%s/%s", folder.path, name);
	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
	sqlite3_close(handle);
}

static int64_t number(const char *name, const char *sql)
{
	char path[128];
	sqlite3 *handle;
	sqlite3_stmt *statement;
	snprintf(path, sizeof path, "%s/%s", folder.path, name);
	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	int64_t value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(handle);
	return value;
}

static void open_and_close(const struct schema *schema)
{
	struct database database;
	assert_int_equal(database_open(&database, folder.path, schema, DATABASE_WRITE, NULL, 0, NULL), ERROR_OK);
	database_close(&database);
}

static void assert_refused(const struct schema *schema, enum database_access access, enum error expected, const char *words)
{
	struct database database;
	struct error_note note = {""};
	enum error error = database_open(&database, folder.path, schema, access, NULL, 0, &note);
	if (error != expected || strstr(note.text, folder.path) == NULL || strstr(note.text, words) == NULL)
		fail_msg("%s: \"%s\"", error_name(error), note.text);
}

static void migrations_run_once_each_and_only_the_missing_ones(void **state)
{
	(void)state;
	struct schema schema = schema_of(1);
	open_and_close(&schema);
	assert_int_equal(number("ledger.db", "PRAGMA user_version"), 1);
	assert_int_equal(number("ledger.db", "PRAGMA application_id"), 0x50696e67);
	change_file("ledger.db", "INSERT INTO one VALUES (1)");
	schema = schema_of(2);
	for (int i = 0; i < 2; i++)
		open_and_close(&schema);
	assert_int_equal(number("ledger.db", "PRAGMA user_version"), 2);
	assert_int_equal(number("ledger.db", "SELECT (SELECT count(*) FROM one) + 10 * (SELECT count(*) FROM two)"), 11);
}

static void a_migration_that_fails_leaves_the_file_as_it_was(void **state)
{
	(void)state;
	struct schema schema = schema_of(2);
	open_and_close(&schema);
	schema = schema_of(3);
	assert_refused(&schema, DATABASE_WRITE, ERROR_IO, "no such table: nowhere");
	assert_int_equal(number("ledger.db", "PRAGMA user_version"), 2);
	assert_int_equal(number("ledger.db", "SELECT count(*) FROM sqlite_master WHERE name = 'three'"), 0);
	schema = schema_of(2);
	open_and_close(&schema);
}

static void a_newer_file_is_refused_with_both_versions(void **state)
{
	(void)state;
	open_and_close(&schema_ledger);
	change_file("ledger.db", "PRAGMA user_version = 77");
	char words[64];
	snprintf(words, sizeof words, "has schema version 77, this program knows %d", schema_ledger.version);
	assert_refused(&schema_ledger, DATABASE_WRITE, ERROR_SCHEMA_NEWER, words);
	assert_refused(&schema_ledger, DATABASE_READ, ERROR_SCHEMA_NEWER, words);
}

static void a_reader_leaves_an_older_file_to_the_writer(void **state)
{
	(void)state;
	struct schema schema = schema_of(1);
	open_and_close(&schema);
	schema = schema_of(2);
	assert_refused(&schema, DATABASE_READ, ERROR_FAILED_PRECONDITION, "start pingd to migrate it");
	assert_int_equal(number("ledger.db", "PRAGMA user_version"), 1);
}

static void a_reader_makes_no_file(void **state)
{
	(void)state;
	assert_refused(&schema_ledger, DATABASE_READ, ERROR_NOT_FOUND, "no such file");
	char path[128];
	snprintf(path, sizeof path, "%s/ledger.db", folder.path);
	assert_int_equal(access(path, F_OK), -1);
}

/* Root may write anywhere: a child that is nobody tries. */
static void a_reader_that_may_not_write_beside_the_file_is_told_a_way_out(void **state)
{
	(void)state;
	open_and_close(&schema_ledger);
	assert_int_equal(chmod(folder.path, 0555), 0);
	pid_t child = fork();
	if (child == 0) {
		struct error_note note = {""};
		struct ledger_reader *reader;
		if (geteuid() == 0 && setuid(65534) != 0)
			_exit(2);
		enum error error = sqlite_ledger_reader_open(folder.path, &reader, &note);
		_exit(error == ERROR_READ_ONLY && strstr(note.text, "read it as the user of pingd") != NULL ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(folder.path, 0700), 0);
}

static void another_programs_database_is_refused_and_not_touched(void **state)
{
	(void)state;
	change_file("ledger.db", "CREATE TABLE theirs (a); PRAGMA application_id = 252006673");
	assert_refused(&schema_ledger, DATABASE_WRITE, ERROR_FAILED_PRECONDITION,
		       "another program's file (application_id 252006673");
	assert_refused(&schema_ledger, DATABASE_READ, ERROR_FAILED_PRECONDITION, "another program's file");
	assert_int_equal(number("ledger.db", "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'delete'"), 1);
}

static void a_database_without_any_mark_is_another_programs_too(void **state)
{
	(void)state;
	change_file("ledger.db", "CREATE TABLE theirs (a)");
	assert_refused(&schema_ledger, DATABASE_WRITE, ERROR_FAILED_PRECONDITION, "another program's file");
}

static void the_metrics_file_is_not_taken_for_a_ledger(void **state)
{
	(void)state;
	open_and_close(&schema_metrics);
	char from[128], to[128];
	snprintf(from, sizeof from, "%s/metrics.db", folder.path);
	snprintf(to, sizeof to, "%s/ledger.db", folder.path);
	assert_int_equal(rename(from, to), 0);
	assert_refused(&schema_ledger, DATABASE_WRITE, ERROR_FAILED_PRECONDITION, "another program's file");
}

static void a_file_that_is_no_database_is_refused(void **state)
{
	(void)state;
	char path[128];
	snprintf(path, sizeof path, "%s/ledger.db", folder.path);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(write(fd, "not a database, ", 16), 16);
	close(fd);
	assert_refused(&schema_ledger, DATABASE_WRITE, ERROR_CORRUPT, "not a database");
}

static struct ledger *open_ledger(void)
{
	struct ledger *ledger;
	assert_int_equal(data_directory_open(folder.path, &directory, NULL), ERROR_OK);
	assert_int_equal(sqlite_ledger_open(directory, &ledger, NULL), ERROR_OK);
	return ledger;
}

static void close_ledger(struct ledger *ledger)
{
	ledger->vtable->close(ledger);
	data_directory_close(directory);
}

static void damage_is_reported_with_the_file_and_a_way_out(void **state)
{
	(void)state;
	struct ledger *ledger = open_ledger();
	struct ledger_ping *pings = calloc(4000, sizeof *pings);
	for (int i = 0; i < 4000; i++)
		pings[i].pinged_at_ms = 1 + i * INT64_C(1000000);
	assert_int_equal(ledger->vtable->append(ledger, pings, 4000, NULL), ERROR_OK);
	close_ledger(ledger);
	free(pings);
	char path[128];
	uint8_t zeros[4096] = {0};
	snprintf(path, sizeof path, "%s/ledger.db", folder.path);
	int fd = open(path, O_WRONLY);
	off_t size = lseek(fd, 0, SEEK_END);
	/* The pages behind the schema's. */
	for (off_t at = 12 * 4096; at < size; at += 4096)
		assert_int_equal(pwrite(fd, zeros, sizeof zeros, at), sizeof zeros);
	close(fd);
	struct ledger_reader *reader;
	struct error_note note = {""};
	int64_t rows = -1, rolled_up = -1;
	assert_int_equal(sqlite_ledger_reader_open(folder.path, &reader, NULL), ERROR_OK);
	assert_int_equal(reader->vtable->count_rows(reader, &rows, &rolled_up, &note), ERROR_CORRUPT);
	assert_int_equal(rows, -1);
	assert_non_null(strstr(note.text, path));
	assert_non_null(strstr(note.text, "backup"));
	reader->vtable->close(reader);
}

static void metrics_are_made_anew_where_they_are_missing_and_not_taken_for_another_ledgers(void **state)
{
	(void)state;
	struct store *store;
	const uint8_t identity[16] = "this log";
	int64_t position = 0;
	assert_int_equal(data_directory_open(folder.path, &directory, NULL), ERROR_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sqlite_store_open(directory, &store, NULL), ERROR_OK);
		assert_int_equal(store->vtable->take(store, 0, identity, &position, NULL), ERROR_OK);
		assert_int_equal(position, POSITION_NONE);
		assert_int_equal(store->vtable->write(store, 0, &(struct engine_dirty){0}, 5, NULL), ERROR_OK);
		store->vtable->close(store);
		char path[128];
		snprintf(path, sizeof path, "%s/metrics.db", folder.path);
		assert_int_equal(remove(path), 0);
	}
	data_directory_close(directory);
}

static void rows_without_a_position_are_refused(void **state)
{
	(void)state;
	struct store *store;
	struct error_note note = {""};
	const uint8_t identity[16] = "this log";
	int64_t position = 0;
	open_and_close(&schema_metrics);
	change_file("metrics.db", "INSERT INTO clients VALUES (zeroblob(16), 1, 1)");
	assert_int_equal(data_directory_open(folder.path, &directory, NULL), ERROR_OK);
	assert_int_equal(sqlite_store_open(directory, &store, NULL), ERROR_OK);
	assert_int_equal(store->vtable->take(store, 0, identity, &position, &note), ERROR_FAILED_PRECONDITION);
	assert_non_null(strstr(note.text, "move it away"));
	store->vtable->close(store);
	data_directory_close(directory);
}

static struct address some_address(struct random *random)
{
	struct address address;
	random_fill(random, &address, sizeof address);
	/* Groups that are 0 or small, at random, and a third of them IPv4. */
	for (int i = 0; i < 16; i += 2)
		if (random_below(random, 2) == 0)
			address.bytes[i] = address.bytes[i + 1] = 0;
		else if (random_below(random, 2) == 0)
			address.bytes[i] = 0;
	return random_below(random, 3) == 0 ? address_from_ipv4(address.bytes) : address;
}

/* The view's texts of the one row there is. */
static void read_text(const char *sql, int columns, char (*ret_texts)[64])
{
	char path[128];
	sqlite3 *handle;
	sqlite3_stmt *statement;
	snprintf(path, sizeof path, "%s/ledger.db", folder.path);
	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	for (int i = 0; i < columns; i++)
		snprintf(ret_texts[i], sizeof ret_texts[i], "%s", (const char *)sqlite3_column_text(statement, i));
	sqlite3_finalize(statement);
	sqlite3_close(handle);
}

static void the_readable_view_spells_addresses_as_the_program_does(void **state)
{
	(void)state;
	enum { COUNT = 3000 };
	struct random_seeded seeded;
	struct ledger *ledger = open_ledger();
	struct ledger_ping *pings = calloc(COUNT, sizeof *pings);
	random_seeded_init(&seeded, 4);
	for (int i = 0; i < COUNT; i++) {
		pings[i].client = i == 0 ? (struct address){0} : some_address(&seeded.random);
		pings[i].pinged_at_ms = 1;
	}
	assert_int_equal(ledger->vtable->append(ledger, pings, COUNT, NULL), ERROR_OK);
	char path[128], text[ADDRESS_TEXT_SIZE];
	sqlite3 *handle;
	sqlite3_stmt *statement;
	snprintf(path, sizeof path, "%s/ledger.db", folder.path);
	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(handle, "SELECT client_ip FROM pings_readable ORDER BY position", -1, &statement, NULL),
		SQLITE_OK);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
		address_format(&pings[i].client, text);
		assert_string_equal(sqlite3_column_text(statement, 0), text);
	}
	sqlite3_finalize(statement);
	sqlite3_close(handle);
	close_ledger(ledger);
	free(pings);
}

static void the_readable_view_spells_ids_and_times(void **state)
{
	(void)state;
	struct ledger *ledger = open_ledger();
	struct ledger_ping ping = {.pinged_at_ms = INT64_C(1728926331123), .received_at_ms = TIMESTAMP_MAX_MS};
	for (uint8_t i = 0; i < 16; i++)
		ping.id.bytes[i] = (uint8_t)(0x0f + i * 15);
	assert_int_equal(ledger->vtable->append(ledger, &ping, 1, NULL), ERROR_OK);
	close_ledger(ledger);
	char texts[3][64], id[UUID_TEXT_SIZE];
	read_text("SELECT id, pinged_at, received_at FROM pings_readable", 3, texts);
	uuid_format(&ping.id, id);
	assert_string_equal(texts[0], id);
	assert_string_equal(texts[1], "2024-10-14T17:18:51.123Z");
	assert_string_equal(texts[2], "9999-12-31T23:59:59.999Z");
}

static void rows_of_another_process_are_seen_without_a_wake(void **state)
{
	(void)state;
	struct ledger *ledger = open_ledger();
	struct log_reader *log;
	struct log_event event;
	assert_int_equal(sqlite_log_open(directory, &log, NULL), ERROR_OK);
	assert_int_equal(log->vtable->poll(log, 0, &event, NULL), ERROR_OK);
	assert_int_equal(log->vtable->poll(log, 1, &event, NULL), ERROR_OK);
	assert_int_equal(event.kind, LOG_IDLE);
	change_file("ledger.db",
		    "INSERT INTO pings (id, client_ip, pinged_at, received_at) VALUES (zeroblob(16), zeroblob(16), 5, 6)");
	assert_int_equal(log->vtable->poll(log, 1, &event, NULL), ERROR_OK);
	assert_int_equal(event.kind, LOG_BATCH);
	assert_int_equal(event.count, 1);
	assert_int_equal(event.events[0].pinged_at_ms, 5);
	log->vtable->close(log);
	close_ledger(ledger);
}

static void a_writer_elsewhere_makes_an_append_unavailable_and_later_it_works(void **state)
{
	(void)state;
	struct ledger *ledger = open_ledger();
	struct ledger_ping ping = {.pinged_at_ms = 1};
	struct error_note note = {""};
	char path[128];
	sqlite3 *handle;
	snprintf(path, sizeof path, "%s/ledger.db", folder.path);
	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(ledger->vtable->append(ledger, &ping, 1, &note), ERROR_UNAVAILABLE);
	assert_non_null(strstr(note.text, path));
	sqlite3_close(handle);
	assert_int_equal(ledger->vtable->append(ledger, &ping, 1, NULL), ERROR_OK);
	close_ledger(ledger);
}

static int begin(void **state)
{
	(void)state;
	folder_make(&folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	folder_remove(&folder);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(migrations_run_once_each_and_only_the_missing_ones),
		TEST(a_migration_that_fails_leaves_the_file_as_it_was),
		TEST(a_newer_file_is_refused_with_both_versions),
		TEST(a_reader_leaves_an_older_file_to_the_writer),
		TEST(a_reader_makes_no_file),
		TEST(a_reader_that_may_not_write_beside_the_file_is_told_a_way_out),
		TEST(another_programs_database_is_refused_and_not_touched),
		TEST(a_database_without_any_mark_is_another_programs_too),
		TEST(the_metrics_file_is_not_taken_for_a_ledger),
		TEST(a_file_that_is_no_database_is_refused),
		TEST(damage_is_reported_with_the_file_and_a_way_out),
		TEST(metrics_are_made_anew_where_they_are_missing_and_not_taken_for_another_ledgers),
		TEST(rows_without_a_position_are_refused),
		TEST(the_readable_view_spells_addresses_as_the_program_does),
		TEST(the_readable_view_spells_ids_and_times),
		TEST(rows_of_another_process_are_seen_without_a_wake),
		TEST(a_writer_elsewhere_makes_an_append_unavailable_and_later_it_works),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
