#include "adapter/postgres/connection.h"
#include "adapter/postgres/migrations.h"

#include "base/clock.h"

#include <stdio.h>

/* In order, forward only. Each is a transaction, but for one that cannot be; that one is skipped where `unless` finds a row,
 * begun by `undo` where it was cut short, and must do no harm when it is done twice. */
static const struct migration {
	const char *name, *text;
	const char *unless, *undo; /* not NULL: not in a transaction */
} migrations[] = {
	{.name = "ledger", .text = sql_0001_ledger},
	{.name = "count", .text = sql_0002_count},
	{.name = "batch index",
	 .text = sql_0003_batch_index,
	 .unless = "SELECT FROM pg_class WHERE oid = 'pings'::regclass AND relkind = 'p'",
	 .undo = "DROP INDEX CONCURRENTLY IF EXISTS pings_batch"},
	{.name = "retention", .text = sql_0004_retention},
};

enum { VERSION = sizeof migrations / sizeof migrations[0] };

enum {
	LOCK_POLL_MS = 100,
	ATTEMPTS_MAX = 60, /* to get a lock on the table between the transactions of others */
	SCRIPT_SIZE = 256,
};

/* Two connections: one holds the lock that keeps other migrators out, in a transaction that does nothing else (a session's lock
 * would not survive a pooler). It is asked for again and again, not waited for: CREATE INDEX CONCURRENTLY waits for all who wait
 * inside a statement. */
struct migrator {
	struct pg_connection *guard, *work;
	struct postgres_schema schema;
};

static enum error read_version(struct migrator *migrator, struct error_note *note)
{
	struct pg_step exists = {.text = "SELECT to_regclass('schema_migrations') IS NOT NULL"};
	enum error error = pg_run(migrator->work, &exists, 1, PG_HARMLESS, note);
	if (error != ERROR_OK)
		return error;
	bool made = pg_bool(exists.result, 0, 0);
	pg_clear_results(&exists, 1);
	migrator->schema = (struct postgres_schema){.version = 0, .wanted = VERSION};
	if (!made)
		return ERROR_OK;
	struct pg_step newest = {.text = "SELECT coalesce(max(version), 0)::bigint FROM schema_migrations"};
	error = pg_run(migrator->work, &newest, 1, PG_HARMLESS, note);
	if (error != ERROR_OK)
		return error;
	migrator->schema.version = (int)pg_int8(newest.result, 0, 0);
	pg_clear_results(&newest, 1);
	if (migrator->schema.version > VERSION)
		return error_noted(note, ERROR_SCHEMA_NEWER,
				   "the database's schema is version %d, this program knows %d: run that version or a newer one",
				   migrator->schema.version, VERSION);
	return ERROR_OK;
}

static enum error take_lock(struct migrator *migrator, struct error_note *note)
{
	for (;;) {
		/* In this order: a SELECT goes on holding its snapshot until the next statement, which CREATE INDEX CONCURRENTLY
		 * would wait for; SET has none. */
		struct pg_step steps[] = {{.text = "SELECT pg_try_advisory_xact_lock(1346981447, -2)"},
					  {.text = "SET LOCAL idle_in_transaction_session_timeout = 0"}};
		enum error error = pg_run_begin(migrator->guard, steps, 2, note);
		if (error != ERROR_OK)
			return error;
		bool taken = pg_bool(steps[0].result, 0, 0);
		pg_clear_results(steps, 2);
		if (taken)
			return ERROR_OK;
		pg_abandon(migrator->guard);
		clock_sleep_ms(LOCK_POLL_MS);
	}
}

static enum error run_script(struct migrator *migrator, int number, const char *text, struct error_note *note)
{
	struct buffer script;
	buffer_init(&script, 1 << 20);
	/* lock_timeout: what waits for a lock on the table makes all others wait behind it. */
	enum error error =
		buffer_append_format(&script,
				     "BEGIN ISOLATION LEVEL READ COMMITTED;\n"
				     "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '1s'; SET LOCAL "
				     "idle_in_transaction_session_timeout = '60s';\n"
				     "%s;\nINSERT INTO schema_migrations (version, name) VALUES (%d, '%s');\nCOMMIT;\n",
				     text, number, migrations[number - 1].name);
	if (error == ERROR_OK)
		error = buffer_append_byte(&script, 0);
	if (error == ERROR_OK)
		error = pg_script(migrator->work, (const char *)script.data, note);
	buffer_release(&script);
	return error;
}

static enum error run_alone(struct migrator *migrator, int number, struct error_note *note)
{
	const struct migration *migration = &migrations[number - 1];
	struct pg_step unless = {.text = migration->unless};
	enum error error = pg_run(migrator->work, &unless, 1, PG_HARMLESS, note);
	if (error != ERROR_OK)
		return error;
	bool skip = PQntuples(unless.result) > 0;
	pg_clear_results(&unless, 1);
	if (!skip)
		error = pg_script(migrator->work, migration->undo, note);
	if (!skip && error == ERROR_OK)
		error = pg_script(migrator->work, migration->text, note);
	return error == ERROR_OK ? run_script(migrator, number, "", note) : error;
}

static enum error run_migration(struct migrator *migrator, int number, struct error_note *note)
{
	enum error error = ERROR_OK;
	for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		error = migrations[number - 1].unless != NULL ? run_alone(migrator, number, note)
							      : run_script(migrator, number, migrations[number - 1].text, note);
		if (strcmp(pg_sqlstate(migrator->work), "55P03") != 0)
			break;
		clock_sleep_ms(LOCK_POLL_MS);
	}
	return error;
}

static enum error bring_up(struct migrator *migrator, void (*told)(void *context, int version, const char *name), void *context,
			   struct error_note *note)
{
	enum error error = take_lock(migrator, note);
	if (error == ERROR_OK)
		error = pg_script(migrator->work,
				  "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL,"
				  " applied_at timestamptz NOT NULL DEFAULT clock_timestamp())",
				  note);
	if (error == ERROR_OK)
		error = read_version(migrator, note); /* another may have been at it meanwhile */
	while (error == ERROR_OK && migrator->schema.version < VERSION) {
		int next = migrator->schema.version + 1;
		if (told != NULL)
			told(context, next, migrations[next - 1].name);
		error = run_migration(migrator, next, note);
		if (error == ERROR_OK)
			migrator->schema.version = next;
	}
	return error;
}

static enum error count_slots(struct migrator *migrator, int slots, int64_t *ret_there, int64_t *ret_beyond,
			      struct error_note *note)
{
	struct pg_parameters parameters;
	pg_parameters_init(&parameters);
	pg_add_int4(&parameters, slots);
	struct pg_step step = {
		.text = "SELECT count(*) FILTER (WHERE slot < $1),"
			" coalesce(max(slot) FILTER (WHERE slot >= $1 AND epoch > 0), -1)::bigint FROM publisher_slots",
		.parameters = &parameters};
	enum error error = pg_run(migrator->work, &step, 1, PG_HARMLESS, note);
	if (error == ERROR_OK) {
		*ret_there = pg_int8(step.result, 0, 0);
		*ret_beyond = pg_int8(step.result, 0, 1);
	}
	pg_clear_results(&step, 1);
	pg_parameters_release(&parameters);
	return error;
}

static enum error add_slots(struct migrator *migrator, int slots, struct error_note *note)
{
	struct pg_parameters parameters;
	pg_parameters_init(&parameters);
	pg_add_int4(&parameters, slots);
	struct pg_step step = {
		.text = "INSERT INTO publisher_slots (slot) SELECT generate_series(0, $1 - 1) ON CONFLICT DO NOTHING",
		.parameters = &parameters};
	enum error error = pg_run(migrator->work, &step, 1, PG_COMMITS, note);
	pg_clear_results(&step, 1);
	pg_parameters_release(&parameters);
	return error;
}

/* Slots beyond the configured ones that nobody ever used do no harm: nobody takes them. */
static enum error fit_slots(struct migrator *migrator, int slots, enum postgres_migrate mode, struct error_note *note)
{
	int64_t there = 0, beyond = -1;
	enum error error = count_slots(migrator, slots, &there, &beyond, note);
	if (error != ERROR_OK)
		return error;
	if (beyond >= 0)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"publisher slot %lld was in use and publisher-slots is %d: set it to %lld or more, as the other "
			"processes have it; slots can be added, not taken away",
			(long long)beyond, slots, (long long)beyond + 1);
	if (there >= slots)
		return ERROR_OK;
	if (mode != POSTGRES_MIGRATE_AUTO)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"publisher_slots has %lld rows, publisher-slots is %d: run pingctl migrate --publisher-slots %d",
			(long long)there, slots, slots);
	return add_slots(migrator, slots, note);
}

enum error postgres_migrate(const struct postgres_config *config, enum postgres_migrate mode,
			    void (*told)(void *context, int version, const char *name), void *context,
			    struct postgres_schema *ret_schema, struct error_note *note)
{
	struct migrator migrator = {0};
	enum error error = pg_connection_create(config, &migrator.guard);
	if (error == ERROR_OK)
		error = pg_connection_create(config, &migrator.work);
	if (error == ERROR_OK)
		error = read_version(&migrator, note);
	if (error == ERROR_OK && mode == POSTGRES_MIGRATE_AUTO && migrator.schema.version < VERSION)
		error = bring_up(&migrator, told, context, note);
	if (error == ERROR_OK && mode == POSTGRES_MIGRATE_CHECK && migrator.schema.version < VERSION)
		error = error_noted(note, ERROR_FAILED_PRECONDITION,
				    "the database's schema is version %d, this program wants %d: run pingctl migrate",
				    migrator.schema.version, VERSION);
	if (error == ERROR_OK && mode != POSTGRES_MIGRATE_OFF && config->slots > 0)
		error = fit_slots(&migrator, config->slots, mode, note);
	if (ret_schema != NULL && error == ERROR_OK)
		*ret_schema = migrator.schema;
	pg_connection_destroy(migrator.work);
	pg_connection_destroy(migrator.guard);
	return error;
}
