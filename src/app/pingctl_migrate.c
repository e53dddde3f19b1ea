/* migrate: brings the schemas in PostgreSQL and ScyllaDB up to date, so that pingd may run with fewer rights. */
#include "app/pingctl.h"

#include "adapter/kafka/kafka.h"
#include "adapter/postgres/postgres.h"
#include "app/pingd_settings.h"

static struct options {
	bool check;
} options;

static struct pingd_config config = {.ledger_optional = true};

static const struct setting flags[] = {
	{.name = "check",
	 SETTING_BOOLEAN(struct options, check),
	 .initial = "false",
	 .flag_only = true,
	 .help = "Change nothing; exit code 1 when there is something to do."},
	{0},
};

static void tell_ledger(void *context, int version, const char *name)
{
	pingctl_print(context, "migration %d: %s\n", version, name);
	pingctl_flush(context);
}

static bool publishes(void)
{
	return config.backends.log == PINGD_BACKEND_KAFKA;
}

static void tell_difference(void *context, const char *text)
{
	pingctl_print(context, "%s\n", text);
	pingctl_flush(context);
}

static enum error bring_topics_up(struct pingctl *ctl, struct error_note *note)
{
	struct kafka_config kafka = pingd_config_kafka(&config);
	kafka.grow_slots = true;
	return kafka_topics_ensure(&kafka, ctl->json ? NULL : tell_difference, ctl, note);
}

static void tell_store(void *context, const char *text)
{
	pingctl_print(context, "store: %s\n", text);
	pingctl_flush(context);
}

static enum error migrate_ledger(struct pingctl *ctl, struct postgres_schema *ret_schema, struct error_note *note)
{
	const struct postgres_config postgres = {
		.url = config.ledger, .application_name = "pingctl", .slots = publishes() ? (int)config.publisher_slots : 0};
	return postgres_migrate(&postgres, options.check ? POSTGRES_MIGRATE_OFF : POSTGRES_MIGRATE_AUTO,
				ctl->json ? NULL : tell_ledger, ctl, ret_schema, note);
}

enum { PATIENCE_MS = 120000 };

static enum error migrate_store(struct pingctl *ctl, struct cql_schema *ret_schema, struct error_note *note)
{
	struct cql_config *cql;
	enum error error = cql_config_create(config.store, &cql, note);
	if (error != ERROR_OK)
		return error;
	const struct cql_migration migration = {
		.mode = options.check ? CQL_MIGRATE_OFF : CQL_MIGRATE_AUTO,
		.window_retention_ms = config.window_retention_ms,
		.patience_ms = PATIENCE_MS,
		.told = ctl->json ? NULL : tell_store,
		.context = ctl,
	};
	error = cql_migrate(cql, &migration, ret_schema, note);
	cql_config_destroy(cql);
	return error;
}

static void print_schemas(struct pingctl *ctl, const struct postgres_schema *ledger, const struct cql_schema *store)
{
	bool has_ledger = ledger->wanted != 0, has_store = store->wanted != 0;
	if (ctl->json) {
		pingctl_print(ctl, "{");
		if (has_ledger)
			pingctl_print(ctl, "\"version\": %d, \"wanted\": %d", ledger->version, ledger->wanted);
		if (has_store)
			pingctl_print(ctl, "%s\"store_version\": %d, \"store_wanted\": %d", has_ledger ? ", " : "",
				      store->version, store->wanted);
		pingctl_print(ctl, "}\n");
		return;
	}
	static const char fine[] = ", as this program wants it";
	if (has_ledger)
		pingctl_print(ctl, "the schema is version %d%s\n", ledger->version,
			      ledger->version == ledger->wanted ? fine : "");
	if (has_store)
		pingctl_print(ctl, "the store's schema is version %d%s\n", store->version,
			      store->version == store->wanted ? fine : "");
}

static int run(void *program, char *const *arguments, size_t count)
{
	(void)arguments;
	(void)count;
	struct pingctl *ctl = program;
	struct error_note note = {0};
	enum error error = pingd_config_complete(&config, ctl->settings, ctl->environment, &note);
	if (error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_USAGE, error, &note);
	if (config.backends.ledger == PINGD_BACKEND_SQLITE)
		return pingctl_fail(PINGCTL_USAGE,
				    "there is nothing to migrate: pingd itself keeps its embedded files up to date");
	struct postgres_schema ledger = {0};
	struct cql_schema store = {0};
	if (config.backends.ledger == PINGD_BACKEND_POSTGRES)
		error = migrate_ledger(ctl, &ledger, &note);
	if (error == ERROR_OK && config.backends.store == PINGD_BACKEND_SCYLLA)
		error = migrate_store(ctl, &store, &note);
	if (error == ERROR_OK && publishes() && !options.check)
		error = bring_topics_up(ctl, &note);
	if (error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_UNREACHABLE, error, &note);
	print_schemas(ctl, &ledger, &store);
	int exit_code = pingctl_flush(ctl);
	bool current = ledger.version == ledger.wanted && store.version == store.wanted;
	return exit_code == PINGCTL_OK && !current ? PINGCTL_NEGATIVE : exit_code;
}

const struct command pingctl_migrate_command = {
	.name = "migrate",
	.summary = "bring the schemas in PostgreSQL and ScyllaDB up to date",
	.help = "Does what pingd does at its start with --migrate=auto, with the settings of pingd (flags, PING_ "
		"variables, config file): makes the tables, or makes an original server's table pings, and tables of "
		"metrics that others fill, ours where they are, while others go on writing to them. A store in ScyllaDB "
		"may be named alone. Any number may run at once. Where the log is Kafka, its topics are made or checked "
		"too, and publisher slots that are lacking are added. Exit code 3 when a server cannot be reached or the "
		"schema is a newer one.",
	.settings = {{.rows = flags, .config = &options},
		     {.rows = pingd_settings, .config = &config, .prefix = "PING_", .groups = PINGD_GROUP_DATA}},
	.examples =
		(const struct manual_entry[]){
			{"pingctl migrate --ledger postgres://owner@db/ping",
			 "By the tables' owner, before pingd starts as another user with --migrate=check."},
			{"pingctl migrate --ledger postgres://owner@db/ping --log kafka://broker --publisher-slots 64",
			 "More publisher slots, before pingd starts with as many."},
			{"pingctl migrate --store scylla://s1,s2/metrics", "The tables of the metrics alone."},
			{0}},
	.run = run,
};
