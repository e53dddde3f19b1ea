#include "adapter/cql/connection.h"
#include "adapter/cql/cql_migrations.h"
#include "adapter/cql/inherit_copy.h"

#include "base/clock.h"
#include "base/random.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* In order, forward only. CQL has no transactions: each statement may be done twice without harm, and one that stands behind a
 * line
 * "-- unless TABLE.COLUMN" is left out where that column is. */
static const struct migration {
	const char *name, *text;
} migrations[] = {
	{"tables", sql_0001_rfc},	 {"positions", sql_0002_positions}, {"clients", sql_0003_clients},
	{"rebuilds", sql_0004_rebuilds}, {"inherited", sql_0005_inherited},
};

enum {
	INHERITED = 5, /* its rows are copied behind its statements */
	VERSION = sizeof migrations / sizeof *migrations,
	COPIES = 3,
	LOCK_POLL_MS = 200,
	LOCK_VERSION = 0, /* the row that is the lock; it goes by itself when its holder died */
	OWNER_SIZE = 33,
	STATEMENT_SIZE = 2048,
	COMMENT_SIZE = 80,
};
#define LOCK_TTL "30" /* seconds; it is renewed before each statement, and none takes as long */

enum { FIND_KEYSPACE, FIND_TABLE, FIND_COLUMN };
static const struct cql_statement system_statements[] = {
	[FIND_KEYSPACE] = {"SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?", PC_IDEMPOTENT, 0},
	[FIND_TABLE] = {"SELECT comment FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?", PC_IDEMPOTENT, 0},
	[FIND_COLUMN] = {"SELECT type FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ? AND column_name = ?",
			 PC_IDEMPOTENT, 0},
};

enum { READ_VERSIONS, LOCK, RENEW, UNLOCK, RECORD };
static const struct cql_statement version_statements[] = {
	[READ_VERSIONS] = {"SELECT version FROM schema_migrations", PC_IDEMPOTENT, 0},
	[LOCK] = {"INSERT INTO schema_migrations (version, name) VALUES (0, ?) IF NOT EXISTS USING TTL " LOCK_TTL, 0, 0},
	[RENEW] = {"UPDATE schema_migrations USING TTL " LOCK_TTL " SET name = ? WHERE version = 0 IF name = ?", 0, 0},
	[UNLOCK] = {"DELETE FROM schema_migrations WHERE version = 0 IF name = ?", 0, 0},
	[RECORD] = {"INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)", PC_IDEMPOTENT, 0},
};

struct migrator {
	const struct cql_config *config;
	const struct cql_migration *wanted;
	struct cql_connection *system, *keyspace; /* `keyspace`: once it and the table of versions are there */
	char owner[OWNER_SIZE];
	struct cql_schema schema;
};

static __attribute__((format(printf, 2, 3))) void tell(const struct migrator *migrator, const char *format, ...)
{
	char text[256];
	va_list arguments;
	if (migrator->wanted->told == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	migrator->wanted->told(migrator->wanted->context, text);
}

/* ─── What is there ─────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The first column of what stands in the system's tables under the keyspace, and under table and column where those aren't NULL.
 */
static enum error find(struct migrator *migrator, size_t statement, const char *table, const char *column,
		       struct pc_result **ret_rows, struct error_note *note)
{
	struct cql_request request = {0};
	cql_call(&request, statement);
	cql_put_text(&request, migrator->config->keyspace);
	if (table != NULL)
		cql_put_text(&request, table);
	if (column != NULL)
		cql_put_text(&request, column);
	return cql_ask(migrator->system, &request, ret_rows, note);
}

static enum error exists(struct migrator *migrator, size_t statement, const char *table, const char *column, bool *ret_exists,
			 struct error_note *note)
{
	struct pc_result *rows;
	enum error error = find(migrator, statement, table, column, &rows, note);
	if (error != ERROR_OK)
		return error;
	*ret_exists = pc_result_rows(rows) > 0;
	pc_result_free(rows);
	return ERROR_OK;
}

/* Version 0 where there is no keyspace or no table of versions. */
static enum error read_version(struct migrator *migrator, struct error_note *note)
{
	struct cql_request request = {0};
	struct pc_result *rows;
	bool made = false;
	migrator->schema = (struct cql_schema){.version = 0, .wanted = VERSION};
	enum error error = exists(migrator, FIND_TABLE, "schema_migrations", NULL, &made, note);
	if (error != ERROR_OK || !made)
		return error;
	cql_call(&request, READ_VERSIONS);
	error = cql_ask(migrator->keyspace, &request, &rows, note);
	if (error != ERROR_OK)
		return error;
	for (size_t i = 0; i < pc_result_rows(rows); i++) {
		int32_t version;
		if (cql_get_int(rows, i, 0, &version) && version > migrator->schema.version)
			migrator->schema.version = version;
	}
	pc_result_free(rows);
	if (migrator->schema.version > VERSION)
		return error_noted(
			note, ERROR_SCHEMA_NEWER,
			"the schema of keyspace %s is version %d, this program knows %d: run that version or a newer one",
			migrator->config->keyspace, migrator->schema.version, VERSION);
	return ERROR_OK;
}

/* Tables that others made must be what the RFC says. */
static enum error check_types(struct migrator *migrator, struct error_note *note)
{
	static const struct {
		const char *table, *column, *type;
	} columns[] = {
		{"window_stats", "client_ip", "text"},	       {"window_stats", "window_start", "timestamp"},
		{"window_stats", "window_end", "timestamp"},   {"window_stats", "ping_count", "int"},
		{"window_stats", "avg_interval_ms", "double"}, {"window_stats", "first_ping", "timestamp"},
		{"window_stats", "last_ping", "timestamp"},    {"window_stats", "position", "bigint"},
		{"daily_stats", "client_ip", "text"},	       {"daily_stats", "day", "date"},
		{"daily_stats", "total_pings", "counter"},
	};
	enum error error = ERROR_OK;
	for (size_t i = 0; i < sizeof columns / sizeof *columns && error == ERROR_OK; i++) {
		struct pc_result *rows;
		error = find(migrator, FIND_COLUMN, columns[i].table, columns[i].column, &rows, note);
		if (error != ERROR_OK)
			return error;
		struct slice type = pc_result_rows(rows) == 0 ? SLICE_LITERAL("not there") : cql_get_slice(rows, 0, 0);
		if (!slice_equal_string(type, columns[i].type))
			error = error_noted(
				note, ERROR_FAILED_PRECONDITION,
				"%s.%s: column %s is %.*s, it must be %s; use another keyspace, or move that table away",
				migrator->config->keyspace, columns[i].table, columns[i].column, (int)type.size,
				(const char *)type.data, columns[i].type);
		pc_result_free(rows);
	}
	return error;
}

/* ─── Keyspace ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* {'class': …, 'dc1': '3', …} without its outer braces' content: "'dc1': 3, 'dc2': 2". */
static enum error write_replication(const struct migrator *migrator, int copies, struct buffer *text)
{
	const char *replication = migrator->config->replication;
	if (replication == NULL)
		return buffer_append_format(text, "'replication_factor': %d", copies);
	enum error error = ERROR_OK;
	for (const char *at = replication; *at != 0 && error == ERROR_OK;) {
		size_t size = strcspn(at, ",");
		const char *colon = memrchr(at, ':', size); /* checked when it was read */
		error = buffer_append_format(text, "%s'%.*s': %.*s", at == replication ? "" : ", ", (int)(colon - at), at,
					     (int)(at + size - colon - 1), colon + 1);
		at += size + (at[size] == ',');
	}
	return error;
}

static enum error create_keyspace(struct migrator *migrator, struct error_note *note)
{
	const struct cql_config *config = migrator->config;
	int nodes = cql_local_nodes(migrator->system), copies = nodes < COPIES ? nodes : COPIES;
	struct buffer text;
	buffer_init(&text, STATEMENT_SIZE);
	enum error error = buffer_append_format(
		&text, "CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': 'NetworkTopologyStrategy', ",
		config->keyspace);
	if (error == ERROR_OK)
		error = write_replication(migrator, copies < 1 ? 1 : copies, &text);
	if (error == ERROR_OK)
		error = buffer_append_format(&text, "}%s%s", config->keyspace_options == NULL ? "" : " AND ",
					     config->keyspace_options == NULL ? "" : config->keyspace_options);
	if (error == ERROR_OK)
		error = buffer_append_byte(&text, 0);
	if (error == ERROR_OK) {
		tell(migrator, "%.240s", (const char *)text.data);
		error = cql_run_text(migrator->system, (const char *)text.data, note);
	}
	buffer_release(&text);
	return error;
}

/* The text of a map<text, text>'s value for the key; size 0: it has none. */
static struct slice map_value(struct slice map, const char *key)
{
	struct slice last = slice_make(NULL, 0);
	size_t at = 4; /* behind the count of pairs */
	for (int i = 0; at + 4 <= map.size; i++) {
		const uint8_t *bytes = map.data + at;
		size_t size = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
		if (size > map.size - at - 4)
			break;
		struct slice part = slice_make(bytes + 4, size);
		if (i % 2 == 1 && slice_equal_string(last, key))
			return part;
		last = part;
		at += 4 + size;
	}
	return slice_make(NULL, 0);
}

static void tell_copies(struct migrator *migrator, const struct pc_result *rows)
{
	const char *datacenter = migrator->config->datacenter;
	struct slice map = cql_get_slice(rows, 0, 0);
	struct slice copies = map_value(map, datacenter == NULL ? "replication_factor" : datacenter);
	/* 'replication_factor' is spread over the datacenters by the server; with one of them its name is the only other key. */
	for (size_t at = 0; copies.size == 0 && at + 5 <= map.size; at++)
		if (map.data[at] == 0 && map.data[at + 1] == 0 && map.data[at + 2] == 0 && map.data[at + 3] == 1 &&
		    map.data[at + 4] >= '0' && map.data[at + 4] <= '9')
			copies = slice_make(map.data + at + 4, 1);
	if (copies.size == 1 && copies.data[0] < '0' + COPIES)
		tell(migrator,
		     "keyspace %s keeps %c cop%s of each row: with fewer than %d nodes in %s, losing one loses metrics or stops "
		     "them",
		     migrator->config->keyspace, copies.data[0], copies.data[0] == '1' ? "y" : "ies", COPIES,
		     datacenter == NULL ? "the datacenter" : datacenter);
	if (copies.size == 1 && copies.data[0] == '1')
		tell(migrator, "of one copy a node that is killed loses what it wrote last, unless it has commitlog_sync: batch");
}

static enum error ensure_keyspace(struct migrator *migrator, bool create, struct error_note *note)
{
	struct pc_result *rows;
	enum error error = find(migrator, FIND_KEYSPACE, NULL, NULL, &rows, note);
	if (error == ERROR_OK && pc_result_rows(rows) == 0 && create) {
		pc_result_free(rows);
		error = create_keyspace(migrator, note);
		if (error == ERROR_OK)
			error = find(migrator, FIND_KEYSPACE, NULL, NULL, &rows, note);
	}
	if (error != ERROR_OK)
		return error;
	if (pc_result_rows(rows) > 0)
		tell_copies(migrator, rows);
	pc_result_free(rows);
	return ERROR_OK;
}

/* ─── Lock ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Two that make the same table at once make one only if both give it the same id: made of the keyspace's name. */
static enum error create_versions(struct migrator *migrator, struct error_note *note)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	for (const char *c = migrator->config->keyspace; *c != 0; c++)
		hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
	char text[STATEMENT_SIZE];
	snprintf(text, sizeof text,
		 "CREATE TABLE IF NOT EXISTS %s.schema_migrations (version int PRIMARY KEY, name text, applied_at timestamp)"
		 " WITH ID = '50696e67-0000-1000-8000-%012llx'",
		 migrator->config->keyspace, (unsigned long long)(hash & UINT64_C(0xffffffffffff)));
	bool made = false;
	enum error error = exists(migrator, FIND_TABLE, "schema_migrations", NULL, &made, note);
	return error != ERROR_OK || made ? error : cql_run_text(migrator->system, text, note);
}

/* Whether the transaction was carried out, by us. A reply that was lost is asked for again: ours, then, is found. */
static enum error transact(struct migrator *migrator, size_t statement, int values, bool *ret_applied, struct error_note *note)
{
	struct cql_request request = {0};
	struct pc_result *rows;
	cql_call(&request, statement);
	for (int i = 0; i < values; i++)
		cql_put_text(&request, migrator->owner);
	enum error error = cql_ask(migrator->keyspace, &request, &rows, note);
	if (error != ERROR_OK)
		return error;
	*ret_applied = pc_result_rows(rows) > 0 && cql_get_boolean(rows, 0, 0);
	pc_result_free(rows);
	return ERROR_OK;
}

static enum error held_by_another(const struct migrator *migrator, struct error_note *note)
{
	return error_noted(note, ERROR_UNAVAILABLE,
			   "another process migrates keyspace %s, or died while it did (then its lock goes within " LOCK_TTL
			   " s); try again",
			   migrator->config->keyspace);
}

static enum error take_lock(struct migrator *migrator, struct error_note *note)
{
	for (int waited_ms = 0;; waited_ms += LOCK_POLL_MS) {
		bool taken = false;
		enum error error = transact(migrator, LOCK, 1, &taken, note);
		if (error == ERROR_OK && !taken)
			error = transact(migrator, RENEW, 2, &taken, note); /* ours, if the reply was lost */
		if (error != ERROR_OK || taken)
			return error;
		if (waited_ms >= migrator->wanted->patience_ms)
			return held_by_another(migrator, note);
		clock_sleep_ms(LOCK_POLL_MS);
	}
}

static enum error renew_lock(struct migrator *migrator, struct error_note *note)
{
	bool held = false;
	enum error error = transact(migrator, RENEW, 2, &held, note);
	return error == ERROR_OK && !held ? held_by_another(migrator, note) : error;
}

/* ─── Migrations ────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The column that the statement's "-- unless TABLE.COLUMN" names is there. */
static enum error is_done(struct migrator *migrator, const char *statement, bool *ret_done, struct error_note *note)
{
	static const char mark[] = "-- unless ";
	const char *line = strstr(statement, mark);
	char table[64], column[64];
	*ret_done = false;
	if (line == NULL || sscanf(line + sizeof mark - 1, "%63[a-z_0-9].%63[a-z_0-9]", table, column) != 2)
		return ERROR_OK;
	return exists(migrator, FIND_COLUMN, table, column, ret_done, note);
}

static enum error run_statement(struct migrator *migrator, const char *begin, size_t size, struct error_note *note)
{
	char statement[STATEMENT_SIZE];
	bool done = false;
	snprintf(statement, sizeof statement, "%.*s", (int)size, begin);
	enum error error = renew_lock(migrator, note);
	if (error == ERROR_OK)
		error = is_done(migrator, statement, &done, note);
	return error != ERROR_OK || done ? error : cql_run_text(migrator->keyspace, statement, note);
}

static enum error still_ours(void *context, struct error_note *note)
{
	return renew_lock(context, note);
}

/* No engine runs on a schema that lacks this, so none changes what is copied. */
static enum error copy_inherited(struct migrator *migrator, struct error_note *note)
{
	const struct cql_inherit_copy copy = {clock_wall_ms(clock_system()), migrator->wanted->window_retention_ms, still_ours,
					      migrator};
	int64_t windows, days;
	enum error error = cql_copy_inherited(migrator->config, &copy, &windows, &days, note);
	if (error == ERROR_OK && windows + days > 0)
		tell(migrator, "rows of somebody else's put aside until the log is read: %lld of windows, %lld of days",
		     (long long)windows, (long long)days);
	return error;
}

static enum error run_migration(struct migrator *migrator, int number, struct error_note *note)
{
	const struct migration *migration = &migrations[number - 1];
	enum error error = ERROR_OK;
	tell(migrator, "migration %d: %s", number, migration->name);
	for (const char *at = migration->text, *end; error == ERROR_OK && (end = strstr(at, ";\n")) != NULL; at = end + 2)
		error = run_statement(migrator, at, (size_t)(end - at), note);
	if (error == ERROR_OK && number == INHERITED)
		error = copy_inherited(migrator, note);
	if (error != ERROR_OK)
		return error;
	struct cql_request request = {0};
	struct pc_result *rows;
	cql_call(&request, RECORD);
	cql_put_int(&request, number);
	cql_put_text(&request, migration->name);
	cql_put_bigint(&request, clock_wall_ms(clock_system()));
	error = cql_ask(migrator->keyspace, &request, &rows, note);
	if (error == ERROR_OK)
		pc_result_free(rows);
	return error;
}

/* Compaction by time where windows expire: about 30 buckets, each dropped whole. The table's comment says what it is made for. */
static void describe_windows(const struct migrator *migrator, char ret_comment[COMMENT_SIZE])
{
	if (migrator->wanted->window_retention_ms == 0)
		snprintf(ret_comment, COMMENT_SIZE, "windows are kept for ever");
	else
		snprintf(ret_comment, COMMENT_SIZE, "windows are kept for %lld hours",
			 (long long)(migrator->wanted->window_retention_ms / 3600000));
}

static enum error windows_fit(struct migrator *migrator, bool *ret_fit, struct error_note *note)
{
	char comment[COMMENT_SIZE];
	struct pc_result *rows;
	describe_windows(migrator, comment);
	enum error error = find(migrator, FIND_TABLE, "window_stats", NULL, &rows, note);
	if (error != ERROR_OK)
		return error;
	*ret_fit = pc_result_rows(rows) > 0 && slice_equal_string(cql_get_slice(rows, 0, 0), comment);
	pc_result_free(rows);
	return ERROR_OK;
}

static enum error fit_windows(struct migrator *migrator, struct error_note *note)
{
	enum { BUCKETS = 30, DAY_S = 86400 };
	int64_t days = migrator->wanted->window_retention_ms / 1000 / DAY_S / BUCKETS;
	char comment[COMMENT_SIZE], text[STATEMENT_SIZE];
	bool fit;
	enum error error = windows_fit(migrator, &fit, note);
	if (error != ERROR_OK || fit)
		return error;
	describe_windows(migrator, comment);
	tell(migrator, "compaction of window_stats: %s", comment);
	if (migrator->wanted->window_retention_ms == 0)
		snprintf(
			text, sizeof text,
			"ALTER TABLE window_stats WITH comment = '%s' AND compaction = {'class': 'SizeTieredCompactionStrategy'}",
			comment);
	else
		snprintf(text, sizeof text,
			 "ALTER TABLE window_stats WITH comment = '%s' AND gc_grace_seconds = %d AND default_time_to_live = 0"
			 " AND compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS',"
			 " 'compaction_window_size': %lld}",
			 comment, DAY_S, (long long)(days < 1 ? 1 : days));
	return cql_run_text(migrator->keyspace, text, note);
}

/* Locks only where there is something to do: a start must not wait for a lock that a dead process left. */
static enum error bring_up(struct migrator *migrator, struct error_note *note)
{
	bool fit = false;
	enum error error = migrator->schema.version == VERSION ? windows_fit(migrator, &fit, note) : ERROR_OK;
	if (error != ERROR_OK || fit)
		return error;
	error = take_lock(migrator, note);
	if (error != ERROR_OK)
		return error;
	error = read_version(migrator, note); /* another may have been at it meanwhile */
	while (error == ERROR_OK && migrator->schema.version < VERSION) {
		error = run_migration(migrator, migrator->schema.version + 1, note);
		if (error == ERROR_OK)
			migrator->schema.version++;
	}
	if (error == ERROR_OK)
		error = fit_windows(migrator, note);
	bool applied;
	transact(migrator, UNLOCK, 1, &applied, NULL); /* else it goes by itself */
	return error;
}

static void make_owner(char ret_owner[OWNER_SIZE])
{
	uint8_t bytes[(OWNER_SIZE - 1) / 2];
	random_fill(random_system(), bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(ret_owner + 2 * i, 3, "%02x", bytes[i]);
}

static enum error migrate(struct migrator *migrator, struct error_note *note)
{
	enum cql_migrate mode = migrator->wanted->mode;
	enum error error = cql_connect(migrator->system, note);
	if (error == ERROR_OK)
		error = ensure_keyspace(migrator, mode == CQL_MIGRATE_AUTO, note);
	if (error == ERROR_OK && mode == CQL_MIGRATE_AUTO)
		error = create_versions(migrator, note);
	if (error == ERROR_OK && mode == CQL_MIGRATE_AUTO)
		error = cql_connect_patiently(migrator->keyspace, note);
	if (error == ERROR_OK)
		error = read_version(migrator, note);
	if (error == ERROR_OK && mode == CQL_MIGRATE_AUTO)
		error = bring_up(migrator, note);
	if (error == ERROR_OK && mode == CQL_MIGRATE_CHECK && migrator->schema.version < VERSION)
		error = error_noted(note, ERROR_FAILED_PRECONDITION,
				    "the schema of keyspace %s is version %d, this program wants %d: run pingctl migrate",
				    migrator->config->keyspace, migrator->schema.version, VERSION);
	return error == ERROR_OK && migrator->schema.version == VERSION ? check_types(migrator, note) : error;
}

enum error cql_migrate(const struct cql_config *config, const struct cql_migration *migration, struct cql_schema *ret_schema,
		       struct error_note *note)
{
	struct migrator migrator = {.config = config, .wanted = migration};
	make_owner(migrator.owner);
	enum error error = cql_connection_create(config, system_statements, sizeof system_statements / sizeof *system_statements,
						 false, &migrator.system);
	if (error == ERROR_OK)
		error = cql_connection_create(config, version_statements, sizeof version_statements / sizeof *version_statements,
					      true, &migrator.keyspace);
	if (error == ERROR_OK)
		error = migrate(&migrator, note);
	if (error == ERROR_OK && ret_schema != NULL)
		*ret_schema = migrator.schema;
	cql_connection_destroy(migrator.keyspace);
	cql_connection_destroy(migrator.system);
	return error;
}
