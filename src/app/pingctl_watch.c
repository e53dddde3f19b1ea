/* watch: prints windows as the server tells that they changed (WatchWindowStats); of a server that can't, it asks each second. */
#include "app/pingctl.h"

#include "base/address.h"

#include <stdio.h>
#include <time.h>

enum {
	WATCH_MAX_CLIENTS = 100,  /* named, or (none named) those with the newest pings */
	WATCH_WINDOWS = 2,	  /* of each client, the newest: a ping may come after its window ended */
	WATCH_SILENCE_MS = 60000, /* heartbeats come more often */
	WATCH_RETRY_S = 1,
};

static struct options {
	int64_t for_ms, count;
} options;

static const struct setting flags[] = {
	{.name = "for",
	 SETTING_DURATION(struct options, for_ms),
	 .initial = "0",
	 .zero = "for ever",
	 .help = "End after so long."},
	{.name = "count",
	 SETTING_INTEGER(struct options, count),
	 .initial = "0",
	 .zero = "any number",
	 .help = "End after so many rows."},
	{0},
};

/* What was last seen of a client. */
struct seen {
	char client[ADDRESS_TEXT_SIZE];
	int64_t ping_count, last_ping_ms; /* of its activity, to know whether to ask for its windows */
	int64_t start_ms[WATCH_WINDOWS], window_count[WATCH_WINDOWS];
};

struct watch {
	struct pingctl *ctl;
	struct seen seen[WATCH_MAX_CLIENTS];
	size_t seen_count;
	int64_t printed;
	char *const *clients;
	size_t client_count;
	bool told, begun; /* by the stream at hand: something, also before that */
	int exit_code;
};

static bool is_done(const struct watch *watch)
{
	bool enough = options.count != 0 && watch->printed >= options.count;
	return enough || (options.for_ms != 0 && pingctl_now_ms() - watch->ctl->now_ms >= options.for_ms);
}

static struct seen *find_seen(struct watch *watch, const char *client)
{
	for (size_t i = 0; i < watch->seen_count; i++)
		if (strcmp(watch->seen[i].client, client) == 0)
			return &watch->seen[i];
	return NULL;
}

/* A place for the client: a free one, or that of the client whose last ping is oldest. */
static struct seen *make_seen(struct watch *watch, const char *client)
{
	struct seen *seen = &watch->seen[0];
	if (watch->seen_count < WATCH_MAX_CLIENTS)
		seen = &watch->seen[watch->seen_count++];
	else
		for (size_t i = 1; i < WATCH_MAX_CLIENTS; i++)
			if (watch->seen[i].last_ping_ms < seen->last_ping_ms)
				seen = &watch->seen[i];
	*seen = (struct seen){0};
	snprintf(seen->client, sizeof seen->client, "%s", client);
	return seen;
}

/* Of a client that was not seen before only the newest window is. */
static bool is_new(const struct seen *seen, const struct ping_v1_window_stats *window, bool newest)
{
	if (seen->start_ms[0] == 0)
		return newest;
	for (size_t i = 0; i < WATCH_WINDOWS; i++)
		if (seen->start_ms[i] == window->window_start_ms)
			return seen->window_count[i] != window->ping_count;
	return true;
}

static void print_window(struct watch *watch, const struct ping_v1_window_stats *window)
{
	struct pingctl *ctl = watch->ctl;
	watch->printed++;
	if (ctl->json) {
		pingctl_print_json(ctl, &ping_v1_window_stats_type, window);
		return;
	}
	pingctl_print(ctl, "%s  %-15s  window %s  %9s %s", pingctl_time_of_day(ctl, pingctl_now_ms(), TEXT_TIME_SECONDS),
		      pingctl_text(ctl, window->client_ip), pingctl_time(ctl, window->window_start_ms, TEXT_TIME_MINUTES),
		      pingctl_count(ctl, window->ping_count), window->ping_count == 1 ? "ping" : "pings");
	if (window->has_avg_interval_ms)
		pingctl_print(ctl, ", every %s", pingctl_interval(ctl, true, window->avg_interval_ms));
	pingctl_print(ctl, "\n");
}

/* Prints the client's windows that changed, the older first. */
static int look_at_windows(struct watch *watch, struct seen *seen)
{
	struct ping_v1_list_window_stats_request request = {.client_ip = slice_from_string(seen->client),
							    .page_size = WATCH_WINDOWS};
	struct ping_v1_list_window_stats_response response = {0};
	int exit_code = pingctl_call(watch->ctl, &ping_v1_metrics_service_list_window_stats_method, &request, &response);
	if (exit_code != PINGCTL_OK)
		return exit_code;
	size_t count = response.window_stats.count < WATCH_WINDOWS ? response.window_stats.count : WATCH_WINDOWS;
	struct seen before = *seen;
	for (size_t i = count; i-- > 0;) {
		const struct ping_v1_window_stats *window = &response.window_stats.items[i];
		seen->start_ms[i] = window->window_start_ms;
		seen->window_count[i] = window->ping_count;
		if (is_new(&before, window, i == 0) && !is_done(watch))
			print_window(watch, window);
	}
	return PINGCTL_OK;
}

/* All clients: what there is at the first look is only noted. */
static int look_at_all(struct watch *watch, bool first)
{
	struct ping_v1_list_clients_request request = {.order_by = PING_V1_CLIENT_ORDER_LAST_PING,
						       .page_size = WATCH_MAX_CLIENTS};
	struct ping_v1_list_clients_response response = {0};
	int exit_code = pingctl_call(watch->ctl, &ping_v1_metrics_service_list_clients_method, &request, &response);
	for (size_t i = response.clients.count; i-- > 0 && exit_code == PINGCTL_OK;) {
		const struct ping_v1_activity *client = &response.clients.items[i];
		const char *name = pingctl_text(watch->ctl, client->client_ip);
		struct seen *seen = find_seen(watch, name);
		bool changed =
			seen == NULL || seen->ping_count != client->ping_count || seen->last_ping_ms != client->last_ping_ms;
		if (seen == NULL)
			seen = make_seen(watch, name);
		seen->ping_count = client->ping_count;
		seen->last_ping_ms = client->last_ping_ms;
		if (changed && !first)
			exit_code = look_at_windows(watch, seen);
	}
	return exit_code;
}

static int look(struct watch *watch, char *const *clients, size_t count, bool first)
{
	int exit_code = PINGCTL_OK;
	if (count == 0)
		exit_code = look_at_all(watch, first);
	for (size_t i = 0; i < count && exit_code == PINGCTL_OK; i++) {
		struct seen *seen = find_seen(watch, clients[i]);
		exit_code = look_at_windows(watch, seen == NULL ? make_seen(watch, clients[i]) : seen);
	}
	return exit_code == PINGCTL_OK ? pingctl_flush(watch->ctl) : exit_code;
}

static int look_each_second(struct watch *watch)
{
	int exit_code = look(watch, watch->clients, watch->client_count, true);
	while (exit_code == PINGCTL_OK && !is_done(watch)) {
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
		arena_reset(&watch->ctl->arena);
		exit_code = look(watch, watch->clients, watch->client_count, false);
	}
	return exit_code;
}

static bool take_rows(void *context, const void *message)
{
	struct watch *watch = context;
	const struct ping_v1_watch_window_stats_response *response = message;
	watch->told = true;
	for (size_t i = 0; i < response->window_stats.count && !is_done(watch); i++)
		print_window(watch, &response->window_stats.items[i]);
	watch->exit_code = pingctl_flush(watch->ctl);
	arena_reset(&watch->ctl->arena);
	return watch->exit_code == PINGCTL_OK && !is_done(watch);
}

static enum call_outcome follow(struct watch *watch, struct call_error *ret_error)
{
	struct slice clients[WATCH_MAX_CLIENTS];
	for (size_t i = 0; i < watch->client_count; i++)
		clients[i] = slice_from_string(watch->clients[i]);
	struct ping_v1_watch_window_stats_request request = {.client_ips = {clients, watch->client_count}};
	int64_t left_ms = options.for_ms == 0 ? 0 : options.for_ms - (pingctl_now_ms() - watch->ctl->now_ms);
	watch->told = false;
	if (pingctl_open_client(watch->ctl) != ERROR_OK) {
		*ret_error = (struct call_error){.message = "out of memory"};
		return CALL_FAILED;
	}
	return call_client_stream(watch->ctl->client, &ping_v1_metrics_service_watch_window_stats_method, &request, take_rows,
				  watch, left_ms, WATCH_SILENCE_MS, ret_error);
}

/* It watched, and the server ended or lost it: another one, or the same in a moment, goes on. */
static bool may_watch_again(const struct watch *watch, enum call_outcome outcome, const struct call_error *error)
{
	bool ended = outcome == CALL_REFUSED &&
		     (strcmp(error->code, "unavailable") == 0 || strcmp(error->code, "resource_exhausted") == 0);
	return ended || (outcome == CALL_UNREACHABLE && watch->begun);
}

/* As long as one call may take, it tries to get back. */
static int watch_stream(struct watch *watch)
{
	struct call_error error;
	enum call_outcome outcome;
	int64_t lost_ms = 0;
	for (;;) {
		outcome = follow(watch, &error);
		if (watch->exit_code != PINGCTL_OK || is_done(watch) || outcome == CALL_OK)
			return watch->exit_code;
		if (watch->told || lost_ms == 0)
			lost_ms = pingctl_now_ms();
		watch->begun = watch->begun || watch->told;
		if (outcome == CALL_REFUSED && strcmp(error.code, "unimplemented") == 0)
			return look_each_second(watch);
		if (!may_watch_again(watch, outcome, &error) || pingctl_now_ms() - lost_ms > watch->ctl->timeout_ms)
			return pingctl_print_call_error(outcome, &error);
		if (watch->told)
			fprintf(stderr, "pingctl: watching again, changes may have been missed: %s\n", error.message);
		nanosleep(&(struct timespec){.tv_sec = WATCH_RETRY_S}, NULL);
	}
}

static int run(void *program, char *const *arguments, size_t count)
{
	static struct watch watch;
	watch.ctl = program;
	watch.clients = arguments;
	watch.client_count = count;
	return watch_stream(&watch);
}

const struct command pingctl_watch_command = {
	.name = "watch",
	.arguments = "[CLIENT…]",
	.summary = "print windows as they change",
	.help = "Prints windows as they change, of the clients that are named or of all. A server without metrics of its own is "
		"asked each second instead, and then about the 100 clients with the newest pings. When the connection is lost it "
		"tries to get back for as long as --timeout. With --json as the API's WindowStats, one a line.",
	.settings = {{.rows = flags, .config = &options}},
	.examples = (const struct manual_entry[]){{"pingctl watch 203.0.113.7 --for 1m", "One client, for a minute."}, {0}},
	.max_arguments = WATCH_MAX_CLIENTS,
	.run = run,
};
