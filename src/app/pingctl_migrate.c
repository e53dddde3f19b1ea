/* migrate: brings the schema in PostgreSQL up to date, so that pingd may run with fewer rights. */
#include "app/pingctl.h"

#include "adapter/postgres/postgres.h"
#include "app/pingd_settings.h"

static struct options {
	bool check;
} options;

static struct pingd_config config;

static const struct setting flags[] = {
	{.name = "check",
	 SETTING_BOOLEAN(struct options, check),
	 .initial = "false",
	 .flag_only = true,
	 .help = "Change nothing; exit code 1 when there is something to do."},
	{0},
};

static void tell(void *context, int version, const char *name)
{
	pingctl_print(context, "migration %d: %s\n", version, name);
	pingctl_flush(context);
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
	if (config.backends.ledger != PINGD_BACKEND_POSTGRES)
		return pingctl_fail(PINGCTL_USAGE,
				    "there is nothing to migrate: pingd itself keeps its embedded files up to date");
	const struct postgres_config postgres = {.url = config.ledger, .application_name = "pingctl"};
	struct postgres_schema schema;
	error = postgres_migrate(&postgres, options.check ? POSTGRES_MIGRATE_OFF : POSTGRES_MIGRATE_AUTO, ctl->json ? NULL : tell,
				 ctl, &schema, &note);
	if (error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_UNREACHABLE, error, &note);
	if (ctl->json)
		pingctl_print(ctl, "{\"version\": %d, \"wanted\": %d}\n", schema.version, schema.wanted);
	else
		pingctl_print(ctl, "the schema is version %d%s\n", schema.version,
			      schema.version == schema.wanted ? ", as this program wants it" : "");
	int exit_code = pingctl_flush(ctl);
	return exit_code == PINGCTL_OK && schema.version != schema.wanted ? PINGCTL_NEGATIVE : exit_code;
}

const struct command pingctl_migrate_command = {
	.name = "migrate",
	.summary = "bring the ledger's schema in PostgreSQL up to date",
	.help = "Does what pingd does at its start with --migrate=auto, with the settings of pingd (flags, PING_ variables, "
		"config file): "
		"makes the tables, or makes an original server's table pings ours where it is, while others go on writing to it. "
		"Any "
		"number may run at once. Exit code 3 when the database cannot be reached or its schema is a newer one.",
	.settings = {{.rows = flags, .config = &options},
		     {.rows = pingd_settings, .config = &config, .prefix = "PING_", .groups = PINGD_GROUP_DATA}},
	.examples =
		(const struct manual_entry[]){{"pingctl migrate --ledger postgres://owner@db/ping",
					       "By the tables' owner, before pingd starts as another user with --migrate=check."},
					      {0}},
	.run = run,
};
