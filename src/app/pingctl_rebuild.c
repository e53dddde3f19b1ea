/* rebuild: asks the engines for rows made anew from the ledger, follows how far they are, and compares at the end. */
#include "app/pingctl.h"

#include "app/backend.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { POLL_MS = 500, SILENT_MS = 30000 };

static struct options {
	bool all, wait, audit;
	const char *client, *day;
} options;

static struct pingd_config config;

static bool is_address(const char *text)
{
	struct address address;
	return address_parse(slice_from_string(text), &address) == ERROR_OK;
}

static const struct setting flags[] = {
	{.name = "all",
	 SETTING_BOOLEAN(struct options, all),
	 .initial = "false",
	 .flag_only = true,
	 .help = "Every client, every day."},
	{.name = "client",
	 SETTING_TEXT(struct options, client),
	 .metavar = "ADDRESS",
	 .accepts = is_address,
	 .expected = "an IPv4 or IPv6 address",
	 .initial_help = "every client",
	 .flag_only = true,
	 .help = "One client's rows."},
	{.name = "day",
	 SETTING_TEXT(struct options, day),
	 .metavar = "TIME",
	 .accepts = text_time_is_valid,
	 .expected = PINGCTL_TIMES,
	 .initial_help = "every day",
	 .flag_only = true,
	 .help = "The rows of the UTC day that this lies in."},
	{.name = "wait",
	 SETTING_BOOLEAN(struct options, wait),
	 .initial = "true",
	 .flag_only = true,
	 .help = "Follow it to its end; else it is only asked for."},
	{.name = "audit",
	 SETTING_BOOLEAN(struct options, audit),
	 .initial = "true",
	 .flag_only = true,
	 .help = "Compare everything with the ledger at the end."},
	{0},
};

/* ─── Asking ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* One for each partition that may have rows of what is asked for. How many. */
static size_t make_requests(int64_t now_ms, struct rebuild_request *ret_rebuilds)
{
	const struct uuid none = {0};
	struct uuid_generator generator;
	struct rebuild_request request = {.day_ms = REBUILD_EVERY_DAY, .asked_ms = now_ms, .of_client = *options.client != 0};
	int32_t partition_count = (int32_t)config.log_partitions;
	size_t count = 0;
	uuid_generator_init(&generator, random_system(), &none);
	if (*options.day != 0) {
		text_time_parse(options.day, now_ms, &request.day_ms);
		request.day_ms = day_start_of(request.day_ms);
	}
	if (request.of_client)
		address_parse(slice_from_string(options.client), &request.client);
	for (int32_t partition = 0; partition < partition_count; partition++) {
		if (request.of_client && backend_partition_of(&request.client, partition_count) != partition)
			continue;
		request.partition = partition;
		request.id = uuid_generate(&generator, now_ms);
		ret_rebuilds[count++] = request;
	}
	return count;
}

/* ─── Following ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct progress {
	size_t done, count;
	int64_t clients, rows, corrected, put_off;
	const char *note; /* the first; NULL: none */
	int64_t updated_ms;
};

static struct progress sum_up(const struct rebuild_request *rebuilds, size_t count)
{
	struct progress progress = {.count = count};
	for (size_t i = 0; i < count; i++) {
		progress.done += rebuilds[i].state == REBUILD_DONE;
		progress.clients += rebuilds[i].clients;
		progress.rows += rebuilds[i].rows;
		progress.corrected += rebuilds[i].corrected;
		progress.put_off += rebuilds[i].put_off;
		if (progress.note == NULL && rebuilds[i].note.text[0] != 0)
			progress.note = rebuilds[i].note.text;
		if (rebuilds[i].updated_ms > progress.updated_ms)
			progress.updated_ms = rebuilds[i].updated_ms;
	}
	return progress;
}

static void print_progress(const struct progress *progress, bool terminal)
{
	if (terminal)
		fprintf(stderr, "\r\033[K");
	fprintf(stderr, "%zu of %zu partition%s done; %" PRId64 " clients, %" PRId64 " rows, %" PRId64 " corrected%s%s%s",
		progress->done, progress->count, progress->count == 1 ? "" : "s", progress->clients, progress->rows,
		progress->corrected, progress->note == NULL ? "" : " (", progress->note == NULL ? "" : progress->note,
		progress->note == NULL ? "" : ")");
	fputs(terminal ? "" : "\n", stderr);
}

/* Nobody hears of it: no engine runs, or one of another kind. */
static void warn_silence(bool *warned)
{
	if (!*warned)
		fputs("pingctl: no engine has taken it up yet. It stays asked for; pingd with role stream, a ledger and this "
		      "store "
		      "carries it out. (Where the Flink job makes the metrics: stop it, start one, and the job again after.)\n",
		      stderr);
	*warned = true;
}

static bool differs(const struct progress *a, const struct progress *b)
{
	return a->done != b->done || a->clients != b->clients || a->rows != b->rows || (a->note == NULL) != (b->note == NULL);
}

static enum error follow(struct rebuild_requests *requests, struct rebuild_request *rebuilds, size_t count,
			 struct progress *ret_progress, struct error_note *note)
{
	struct progress told = {.count = SIZE_MAX};
	bool warned = false, terminal = isatty(STDERR_FILENO) == 1;
	for (int64_t waited_ms = 0;; waited_ms += POLL_MS) {
		enum error error = requests->vtable->look(requests, rebuilds, count, note);
		if (error != ERROR_OK && error != ERROR_UNAVAILABLE)
			return error;
		struct progress progress = sum_up(rebuilds, count);
		if (told.count == SIZE_MAX || differs(&progress, &told))
			print_progress(&progress, terminal);
		told = progress;
		if (progress.done == count) {
			fputs(terminal ? "\n" : "", stderr);
			*ret_progress = progress;
			return ERROR_OK;
		}
		if (progress.updated_ms == 0 && waited_ms >= SILENT_MS)
			warn_silence(&warned);
		clock_sleep_ms(POLL_MS);
	}
}

/* ─── The command ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void print_result(struct pingctl *ctl, const struct progress *progress)
{
	if (ctl->json)
		pingctl_print(ctl,
			      "{\"partitions\": %zu, \"done\": %zu, \"clients\": %" PRId64 ", \"rows\": %" PRId64
			      ", \"corrected\": %" PRId64 "}\n",
			      progress->count, progress->done, progress->clients, progress->rows, progress->corrected);
	else
		pingctl_print(ctl, "rebuilt %s rows of %s clients, %s of them were other than they should be\n",
			      pingctl_count(ctl, progress->rows), pingctl_count(ctl, progress->clients),
			      pingctl_count(ctl, progress->corrected));
}

static int rebuild(struct pingctl *ctl, struct rebuild_requests *requests)
{
	struct rebuild_request *rebuilds = calloc((size_t)config.log_partitions, sizeof *rebuilds);
	struct error_note note = {0};
	struct progress progress = {0};
	if (rebuilds == NULL)
		return pingctl_fail_error(PINGCTL_UNREACHABLE, ERROR_NO_MEMORY, NULL);
	size_t count = make_requests(ctl->now_ms, rebuilds);
	progress.count = count;
	enum error error = requests->vtable->ask(requests, rebuilds, count, &note);
	if (error == ERROR_OK && options.wait)
		error = follow(requests, rebuilds, count, &progress, &note);
	free(rebuilds);
	if (error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_UNREACHABLE, error, &note);
	if (options.wait)
		print_result(ctl, &progress);
	else
		pingctl_print(ctl, ctl->json ? "{\"partitions\": %zu}\n" : "asked for in %zu partitions\n", count);
	int exit_code = pingctl_flush(ctl);
	return exit_code == PINGCTL_OK && options.wait && options.audit ? pingctl_audit_data(ctl, &config) : exit_code;
}

static int run(void *program, char *const *arguments, size_t count)
{
	(void)arguments;
	(void)count;
	struct pingctl *ctl = program;
	struct error_note note = {0};
	struct rebuild_requests *requests;
	bool some = *options.client != 0 || *options.day != 0;
	if (options.all == some)
		return pingctl_fail(PINGCTL_USAGE, "rebuild what? --client ADDRESS, --day TIME (or both), or --all");
	enum error error = pingd_config_complete(&config, ctl->settings, ctl->environment, &note);
	if (error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_USAGE, error, &note);
	if (options.wait && options.audit && config.backends.ledger == PINGD_BACKEND_NONE)
		return pingctl_fail(PINGCTL_USAGE, "its end compares with the ledger: add --ledger postgres://…, or --no-audit");
	error = backend_open_rebuild_requests(&config, &requests, &note);
	if (error != ERROR_OK)
		return pingctl_fail_error(error == ERROR_FAILED_PRECONDITION ? PINGCTL_USAGE : PINGCTL_UNREACHABLE, error, &note);
	int exit_code = rebuild(ctl, requests);
	requests->vtable->close(requests);
	return exit_code;
}

const struct command pingctl_rebuild_command = {
	.name = "rebuild",
	.summary = "make rows of the metrics anew from the ledger, while everything runs",
	.help = "Asks in the store that windows, days, counters and clients be made anew from PostgreSQL, and follows how far it "
		"is; "
		"then it compares everything, as audit does. The engine that has a partition carries it out between its batches; "
		"when it dies, the next one goes on. Each row is the old one or the new one at every moment. Stopping pingctl "
		"stops nothing. It takes pingd's own settings (flags, PING_ variables, config file); the engine needs the ledger "
		"too. Exit code 1 when the comparison finds a difference, 3 when a server cannot be reached.",
	.settings = {{.rows = flags, .config = &options},
		     {.rows = pingd_settings, .config = &config, .prefix = "PING_", .groups = PINGD_GROUP_DATA}},
	.examples = (const struct manual_entry[]){{"pingctl rebuild --config /etc/ping.conf --all", "Everything."},
						  {"pingctl rebuild --config /etc/ping.conf --client 203.0.113.7", "One client."},
						  {"pingctl rebuild --config /etc/ping.conf --day 2024-10-14 --no-audit",
						   "A day, without comparing."},
						  {0}},
	.run = run,
};
