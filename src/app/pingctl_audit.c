/* audit: opens the data itself, as its settings say, and has src/audit compare. */
#include "app/pingctl.h"

#include "app/backend.h"
#include "audit/audit.h"
#include "base/json.h"

#include <inttypes.h>
#include <time.h>

static struct options {
	int64_t examples;
} options;

static struct pingd_config config;

static const struct setting flags[] = {
	{.name = "examples",
	 SETTING_INTEGER(struct options, examples),
	 .initial = "10",
	 .max = AUDIT_MAX_EXAMPLES,
	 .help = "So many differences are shown at most."},
	{0},
};

/* Long enough for a batch that is on its way to arrive. */
static void pause_between_looks(void *context)
{
	(void)context;
	nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
}

static enum error audit(int64_t now_ms, struct audit_report *report, struct error_note *note)
{
	struct ledger_reader *ledger = NULL;
	struct store_reader *store = NULL;
	const struct audit_options audit_options = {.now_ms = now_ms,
						    .window_retention_ms = config.window_retention_ms,
						    .max_examples = (size_t)options.examples,
						    .pause = pause_between_looks};
	enum error error = backend_open_ledger_reader(&config, &ledger, note);
	if (error == ERROR_OK)
		error = backend_open_store_reader(&config, &store, note);
	if (error == ERROR_OK)
		error = audit_run(ledger, store, &audit_options, report, note);
	if (store != NULL)
		store->vtable->close(store);
	if (ledger != NULL)
		ledger->vtable->close(ledger);
	return error;
}

static void print_json(struct pingctl *ctl, const struct audit_report *report)
{
	pingctl_print(ctl,
		      "{\"differences\": %" PRId64 ", \"position\": %" PRId64 ", \"expired_windows\": %" PRId64 ", \"kinds\": {",
		      audit_differences(report), report->position, report->expired);
	for (enum audit_kind kind = 0; kind < AUDIT_KIND_COUNT; kind++)
		pingctl_print(ctl, "%s\"%s\": {\"checked\": %" PRId64 ", \"differences\": %" PRId64 "}", kind == 0 ? "" : ", ",
			      audit_kind_name(kind), report->kinds[kind].checked, report->kinds[kind].differences);
	pingctl_print(ctl, "}, \"examples\": [");
	for (size_t i = 0; i < report->example_count; i++) {
		pingctl_print(ctl, i == 0 ? "" : ", ");
		pingctl_print_json_string(ctl, report->examples[i].text);
	}
	pingctl_print(ctl, "]}\n");
}

static void print_text(struct pingctl *ctl, const struct audit_report *report)
{
	static const struct text_column columns[] = {{"", false}, {"rows checked", true}, {"differences", true}};
	struct text_table table;
	text_table_init(&table, &ctl->arena, columns, 3);
	for (enum audit_kind kind = 0; kind < AUDIT_KIND_COUNT; kind++) {
		text_table_cell(&table, "%s", audit_kind_name(kind));
		text_table_cell(&table, "%s", pingctl_count(ctl, report->kinds[kind].checked));
		text_table_cell(&table, "%s", pingctl_count(ctl, report->kinds[kind].differences));
	}
	pingctl_print_table(ctl, &table);
	for (size_t i = 0; i < report->example_count; i++)
		pingctl_print(ctl, "%s%s: %s\n", i == 0 ? "\n" : "", audit_kind_name(report->examples[i].kind),
			      report->examples[i].text);
	int64_t differences = audit_differences(report);
	pingctl_print(ctl, "\n%s%s %s%s ", pingctl_style(ctl, differences == 0 ? PINGCTL_GOOD : PINGCTL_BAD),
		      differences == 0 ? "no" : pingctl_count(ctl, differences), differences > 1 ? "differences" : "difference",
		      pingctl_style(ctl, PINGCTL_PLAIN));
	if (report->position == POSITION_NONE)
		pingctl_print(ctl, "in %s; no ping is in the metrics yet\n", config.data_dir);
	else
		pingctl_print(ctl, "up to position %s in %s\n", pingctl_count(ctl, report->position), config.data_dir);
}

static int run(void *program, char *const *arguments, size_t count)
{
	(void)arguments;
	(void)count;
	static struct audit_report report;
	struct pingctl *ctl = program;
	struct error_note note = {0};
	enum error error = pingd_config_complete(&config, ctl->settings, ctl->environment, &note);
	if (error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_USAGE, error, &note);
	error = audit(ctl->now_ms, &report, &note);
	if (error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_UNREACHABLE, error, &note);
	(ctl->json ? print_json : print_text)(ctl, &report);
	int exit_code = pingctl_flush(ctl);
	return exit_code == PINGCTL_OK && audit_differences(&report) > 0 ? PINGCTL_NEGATIVE : exit_code;
}

const struct command pingctl_audit_command = {
	.name = "audit",
	.summary = "derive every metric again from the ledger and compare",
	.help = "Derives every window, day and client again from the ledger and compares, while pingd runs or not. It reads the "
		"data itself, so it "
		"takes pingd's own settings (flags, PING_ variables, config file). Exit code 1 when there is a difference, 3 "
		"when the data "
		"cannot be read.",
	.settings = {{.rows = flags, .config = &options},
		     {.rows = pingd_settings, .config = &config, .prefix = "PING_", .groups = PINGD_GROUP_DATA}},
	.examples = (const struct manual_entry[]){{"pingctl audit", "The data in the default directory."},
						  {"pingctl audit --config /etc/ping.conf --json",
						   "What pingd with this file keeps."},
						  {0}},
	.run = run,
};
