/* audit: opens the data itself, as its settings say, and has src/audit compare. */
#include "app/pingctl.h"

#include "app/backend.h"
#include "audit/audit.h"
#include "audit/metrics.h"
#include "audit/positions.h"
#include "base/json.h"

#include <inttypes.h>
#include <time.h>

static struct options {
	int64_t examples;
} options;

static struct pingd_config config; /* of the command, or whoever else wants the data compared */

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

static enum error compare_metrics(int64_t now_ms, struct audit_report *report, struct error_note *note)
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

/* What a report has in common, whatever was compared. */
struct kind {
	const char *name;
	int64_t checked, differences;
};

static void print_json_kinds(struct pingctl *ctl, const struct kind *kinds, size_t count)
{
	pingctl_print(ctl, "\"kinds\": {");
	for (size_t i = 0; i < count; i++)
		pingctl_print(ctl, "%s\"%s\": {\"checked\": %" PRId64 ", \"differences\": %" PRId64 "}", i == 0 ? "" : ", ",
			      kinds[i].name, kinds[i].checked, kinds[i].differences);
	pingctl_print(ctl, "}");
}

static void print_kinds(struct pingctl *ctl, const char *checked, const struct kind *kinds, size_t count)
{
	const struct text_column columns[] = {{"", false}, {checked, true}, {"differences", true}};
	struct text_table table;
	text_table_init(&table, &ctl->arena, columns, 3);
	for (size_t i = 0; i < count; i++) {
		text_table_cell(&table, "%s", kinds[i].name);
		text_table_cell(&table, "%s", pingctl_count(ctl, kinds[i].checked));
		text_table_cell(&table, "%s", pingctl_count(ctl, kinds[i].differences));
	}
	pingctl_print_table(ctl, &table);
}

static void print_sum(struct pingctl *ctl, int64_t differences)
{
	pingctl_print(ctl, "\n%s%s %s%s ", pingctl_style(ctl, differences == 0 ? PINGCTL_GOOD : PINGCTL_BAD),
		      differences == 0 ? "no" : pingctl_count(ctl, differences), differences > 1 ? "differences" : "difference",
		      pingctl_style(ctl, PINGCTL_PLAIN));
}

/* ─── Metrics ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void metrics_kinds(const struct audit_report *report, struct kind ret_kinds[AUDIT_KIND_COUNT])
{
	for (enum audit_kind kind = 0; kind < AUDIT_KIND_COUNT; kind++)
		ret_kinds[kind] =
			(struct kind){audit_kind_name(kind), report->kinds[kind].checked, report->kinds[kind].differences};
}

static void print_metrics_json(struct pingctl *ctl, const struct audit_report *report)
{
	struct kind kinds[AUDIT_KIND_COUNT];
	metrics_kinds(report, kinds);
	pingctl_print(ctl, "{\"differences\": %" PRId64 ", \"position\": %" PRId64 ", \"expired_windows\": %" PRId64 ", ",
		      audit_differences(report), report->position, report->expired);
	print_json_kinds(ctl, kinds, AUDIT_KIND_COUNT);
	pingctl_print(ctl, ", \"examples\": [");
	for (size_t i = 0; i < report->example_count; i++) {
		pingctl_print(ctl, i == 0 ? "" : ", ");
		pingctl_print_json_string(ctl, report->examples[i].text);
	}
	pingctl_print(ctl, "]}\n");
}

static void print_metrics_text(struct pingctl *ctl, const struct audit_report *report)
{
	struct kind kinds[AUDIT_KIND_COUNT];
	metrics_kinds(report, kinds);
	print_kinds(ctl, "rows checked", kinds, AUDIT_KIND_COUNT);
	for (size_t i = 0; i < report->example_count; i++)
		pingctl_print(ctl, "%s%s: %s\n", i == 0 ? "\n" : "", audit_kind_name(report->examples[i].kind),
			      report->examples[i].text);
	print_sum(ctl, audit_differences(report));
	if (report->position == POSITION_NONE)
		pingctl_print(ctl, "in %s; no ping is in the metrics yet\n", config.data_dir);
	else
		pingctl_print(ctl, "up to position %s in %s\n", pingctl_count(ctl, report->position), config.data_dir);
}

static enum error audit_metrics(struct pingctl *ctl, int64_t *ret_differences, struct error_note *note)
{
	static struct audit_report report;
	enum error error = compare_metrics(ctl->now_ms, &report, note);
	if (error != ERROR_OK)
		return error;
	(ctl->json ? print_metrics_json : print_metrics_text)(ctl, &report);
	*ret_differences = audit_differences(&report);
	return ERROR_OK;
}

/* ─── Ledger and log ────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error compare_positions(struct positions_report *report, struct error_note *note)
{
	struct ledger_positions *ledger = NULL;
	struct log_positions *log = NULL;
	const struct positions_options positions_options = {.max_examples = (size_t)options.examples,
							    .pause = pause_between_looks};
	enum error error = backend_open_ledger_positions(&config, &ledger);
	if (error == ERROR_OK)
		error = backend_open_log_positions(&config, &log, note);
	if (error == ERROR_OK)
		error = positions_audit(ledger, log, &positions_options, report, note);
	if (log != NULL)
		log->vtable->close(log);
	if (ledger != NULL)
		ledger->vtable->close(ledger);
	return error;
}

/* Rows that each stand at a position of their own: of a store that several engines fill. */
static enum error compare_rows(int64_t now_ms, struct metrics_report *report, struct error_note *note)
{
	struct ledger_reader *sums = NULL, *keys = NULL;
	struct store_reader *store = NULL;
	const struct metrics_options metrics_options = {.now_ms = now_ms,
							.window_retention_ms = config.window_retention_ms,
							.partition_count = (size_t)config.log_partitions,
							.partition_of = backend_partition_of,
							.max_examples = (size_t)options.examples,
							.pause = pause_between_looks};
	enum error error = backend_open_ledger_reader(&config, &sums, note);
	if (error == ERROR_OK)
		error = backend_open_ledger_reader(&config, &keys, note);
	if (error == ERROR_OK)
		error = backend_open_store_reader(&config, &store, note);
	if (error == ERROR_OK)
		error = metrics_audit(sums, keys, store, &metrics_options, report, note);
	if (store != NULL)
		store->vtable->close(store);
	if (keys != NULL)
		keys->vtable->close(keys);
	if (sums != NULL)
		sums->vtable->close(sums);
	return error;
}

enum { PIPELINE_KIND_COUNT = POSITIONS_KIND_COUNT + METRICS_KIND_COUNT };

/* Both audits of a pipeline; rows is NULL where there are no metrics to compare. How many kinds. */
static size_t pipeline_kinds(const struct positions_report *report, const struct metrics_report *rows,
			     struct kind ret_kinds[PIPELINE_KIND_COUNT])
{
	size_t count = 0;
	for (enum positions_kind kind = 0; kind < POSITIONS_KIND_COUNT; kind++)
		ret_kinds[count++] =
			(struct kind){positions_kind_name(kind), report->kinds[kind].checked, report->kinds[kind].differences};
	for (enum metrics_kind kind = 0; rows != NULL && kind < METRICS_KIND_COUNT; kind++)
		ret_kinds[count++] =
			(struct kind){metrics_kind_name(kind), rows->kinds[kind].checked, rows->kinds[kind].differences};
	return count;
}

static int64_t pipeline_differences(const struct positions_report *report, const struct metrics_report *rows)
{
	return positions_differences(report) + (rows == NULL ? 0 : metrics_differences(rows));
}

static void print_json_examples(struct pingctl *ctl, const struct positions_report *report, const struct metrics_report *rows)
{
	bool any = false;
	for (size_t i = 0; i < report->example_count; i++, any = true) {
		pingctl_print(ctl, any ? ", " : "");
		pingctl_print_json_string(ctl, report->examples[i].text);
	}
	for (size_t i = 0; rows != NULL && i < rows->example_count; i++, any = true) {
		pingctl_print(ctl, any ? ", " : "");
		pingctl_print_json_string(ctl, rows->examples[i].text);
	}
}

static void print_positions_json(struct pingctl *ctl, const struct positions_report *report, const struct metrics_report *rows)
{
	struct kind kinds[PIPELINE_KIND_COUNT];
	pingctl_print(ctl, "{\"differences\": %" PRId64 ", ", pipeline_differences(report, rows));
	print_json_kinds(ctl, kinds, pipeline_kinds(report, rows, kinds));
	if (rows != NULL)
		pingctl_print(ctl, ", \"expired_windows\": %" PRId64 ", \"others_metrics\": %" PRId64, rows->expired,
			      rows->others);
	pingctl_print(ctl,
		      ", \"pending_rows\": %" PRId64 ", \"others_rows\": %" PRId64 ", \"others_events\": %" PRId64
		      ", \"rows_no_longer_in_the_log\": %" PRId64 ", \"events_no_longer_in_the_ledger\": %" PRId64
		      ", \"examples\": [",
		      report->pending, report->others_rows, report->others_events, report->gone, report->dropped);
	print_json_examples(ctl, report, rows);
	pingctl_print(ctl, "]}\n");
}

static void print_positions_text(struct pingctl *ctl, const struct positions_report *report, const struct metrics_report *rows)
{
	const struct {
		int64_t count;
		const char *what;
	} apart[] = {{report->pending, "rows pending: not in the log yet, or not shown yet"},
		     {report->others_rows, "rows of others: never published by pingd"},
		     {report->others_events, "events of others: without an id"},
		     {report->gone, "rows no longer in the log: older than what it keeps"},
		     {report->dropped, "events no longer in the ledger: older than what it keeps"},
		     {rows == NULL ? 0 : rows->expired, "windows past their retention"},
		     {rows == NULL ? 0 : rows->others, "metrics of others: without a position"}};
	const size_t apart_count = sizeof apart / sizeof *apart - (rows == NULL ? 2 : 0);
	struct kind kinds[PIPELINE_KIND_COUNT];
	print_kinds(ctl, "checked", kinds, pipeline_kinds(report, rows, kinds));
	for (size_t i = 0; i < report->example_count; i++)
		pingctl_print(ctl, "%s%s: %s\n", i == 0 ? "\n" : "", positions_kind_name(report->examples[i].kind),
			      report->examples[i].text);
	for (size_t i = 0; rows != NULL && i < rows->example_count; i++)
		pingctl_print(ctl, "%s%s: %s\n", i == 0 ? "\n" : "", metrics_kind_name((enum metrics_kind)rows->examples[i].kind),
			      rows->examples[i].text);
	pingctl_print(ctl, "\napart:\n");
	for (size_t i = 0; i < apart_count; i++)
		pingctl_print(ctl, "  %s %s\n", pingctl_count(ctl, apart[i].count), apart[i].what);
	print_sum(ctl, pipeline_differences(report, rows));
	pingctl_print(ctl, rows == NULL ? "between PostgreSQL and Kafka\n" : "between PostgreSQL, Kafka and the metrics\n");
}

static enum error audit_positions(struct pingctl *ctl, int64_t *ret_differences, struct error_note *note)
{
	static struct positions_report report;
	static struct metrics_report metrics;
	/* An embedded store of a process' own has no partitions that others fill: each may be made anew. */
	const struct metrics_report *rows = config.backends.store == PINGD_BACKEND_SCYLLA ? &metrics : NULL;
	enum error error = compare_positions(&report, note);
	if (error == ERROR_OK && rows != NULL)
		error = compare_rows(ctl->now_ms, &metrics, note);
	if (error != ERROR_OK)
		return error;
	(ctl->json ? print_positions_json : print_positions_text)(ctl, &report, rows);
	*ret_differences = pipeline_differences(&report, rows);
	return ERROR_OK;
}

int pingctl_audit_data(struct pingctl *ctl, struct pingd_config *complete)
{
	struct error_note note = {0};
	int64_t differences = 0;
	config = *complete;
	if (options.examples == 0)
		options.examples = AUDIT_MAX_EXAMPLES;
	enum error error =
		(config.backends.log == PINGD_BACKEND_KAFKA ? audit_positions : audit_metrics)(ctl, &differences, &note);
	if (error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_UNREACHABLE, error, &note);
	int exit_code = pingctl_flush(ctl);
	return exit_code == PINGCTL_OK && differences > 0 ? PINGCTL_NEGATIVE : exit_code;
}

/* ─── The command ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static int run(void *program, char *const *arguments, size_t count)
{
	(void)arguments;
	(void)count;
	struct pingctl *ctl = program;
	struct error_note note = {0};
	int64_t differences = 0;
	enum error error = pingd_config_complete(&config, ctl->settings, ctl->environment, &note);
	if (error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_USAGE, error, &note);
	if (config.backends.ledger == PINGD_BACKEND_NONE)
		return pingctl_fail(PINGCTL_USAGE, "an audit compares with the ledger: add --ledger postgres://…");
	error = (config.backends.log == PINGD_BACKEND_KAFKA ? audit_positions : audit_metrics)(ctl, &differences, &note);
	if (error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_UNREACHABLE, error, &note);
	int exit_code = pingctl_flush(ctl);
	return exit_code == PINGCTL_OK && differences > 0 ? PINGCTL_NEGATIVE : exit_code;
}

const struct command pingctl_audit_command = {
	.name = "audit",
	.summary = "derive every metric again from the ledger and compare; with Kafka, ledger and log",
	.help = "Derives every window, day and client again from the ledger and compares, while pingd runs or not. With "
		"PostgreSQL "
		"and Kafka it compares the two: each row that is published has its event where its position says, each event has "
		"its row; listed apart are pending rows, what others wrote, and rows that the log no longer holds. With ScyllaDB "
		"it "
		"derives every window, day, counter and client again too, each up to its own position. It reads the "
		"data itself, so it takes pingd's own settings (flags, PING_ variables, config file). Exit code 1 when there is "
		"a difference that was still there when looked at again, 3 when the data cannot be read.",
	.settings = {{.rows = flags, .config = &options},
		     {.rows = pingd_settings, .config = &config, .prefix = "PING_", .groups = PINGD_GROUP_DATA}},
	.examples =
		(const struct manual_entry[]){
			{"pingctl audit", "The data in the default directory."},
			{"pingctl audit --config /etc/ping.conf --json", "What pingd with this file keeps."},
			{"pingctl audit --ledger postgres://ping@db/ping --log kafka://kafka:9092",
			 "Does PostgreSQL have what Kafka has?"},
			{"pingctl audit --ledger postgres://ping@db/ping --log kafka://kafka:9092 --store "
			 "scylla://scylla/metrics",
			 "And is every row of the metrics right?"},
			{0}},
	.run = run,
};
