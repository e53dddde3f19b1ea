/* load: many simulated clients' pings over a few HTTP/2 connections, one thread, poll(2).
 *
 *   plan ──number──► free slot ──► connection ──► answer ──► statistics, record
 *                        ▲             │ lost, refused
 *                        └── waiting ◄─┘  with --retry: the same ping, the same key
 *
 * The first two pings go ahead alone, for two clients with one idempotency key: a server that takes the client's address from our
 * header keeps both; one that doesn't sees one client use one key twice, and says so. So the check costs nothing and leaves
 * nothing behind.
 */
#include "app/load_connection.h"
#include "app/load_plan.h"
#include "app/load_stats.h"
#include "app/pingctl.h"

#include "base/clock.h"
#include "base/random.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	MAX_CONNECTIONS = 1024,
	MAX_STREAMS = 1024,
	RECORD_BUFFER = 1 << 20,
	TICK_US = 200000,     /* progress, expiry */
	RECONNECT_US = 50000, /* between two attempts */
	RETRY_US = 20000,     /* before a ping is sent again; doubled up to … */
	RETRY_MAX_DOUBLED = 5,
	GRACE_US = 1000000, /* for the server's own deadline to be told */
};

static struct options {
	int64_t clients, pings, duration_ms, rate, connections, streams;
	const char *timestamps, *record;
	bool keys, retry;
} options;

static bool is_times(const char *text)
{
	enum load_times times;
	int64_t span_ms;
	return load_plan_parse_times(text, &times, &span_ms) == ERROR_OK;
}

/* clang-format off */
static const struct setting flags[] = {
	{.name = "clients", SETTING_INTEGER(struct options, clients), .initial = "1000", .min = 1, .max = LOAD_MAX_CLIENTS,
	 .help = "So many simulated clients: 10.0.0.1 and on, in X-Forwarded-For."},
	{.name = "pings", SETTING_INTEGER(struct options, pings), .initial = "0", .zero = "any number", .help = "End after so many pings."},
	{.name = "duration", SETTING_DURATION(struct options, duration_ms), .initial = "0", .zero = "for ever",
	 .help = "End after so long, whatever is missing."},
	{.name = "rate", SETTING_INTEGER(struct options, rate), .initial = "0", .zero = "flat out", .max = 10000000,
	 .help = "Pings a second. Latencies then count from when a ping was due, not from when it could be sent."},
	{.name = "connections", SETTING_INTEGER(struct options, connections), .initial = "8", .min = 1, .max = MAX_CONNECTIONS,
	 .help = "HTTP/2 connections."},
	{.name = "streams", SETTING_INTEGER(struct options, streams), .initial = "16", .min = 1, .max = MAX_STREAMS,
	 .help = "Pings in flight on each."},
	{.name = "timestamps", SETTING_TEXT(struct options, timestamps), .metavar = "WHEN", .initial = "now",
	 .accepts = is_times, .expected = "now, spread:DURATION or fleet:DURATION such as fleet:24h",
	 .help = "The pings' own times: now; at random over the time up to now (spread); or, of --pings, in order through it, as a fleet "
		 "sends them that was away: bursts of 5, 1 in 20 minutes out of order, 1 in 100 days late (fleet)."},
	{.name = "keys", SETTING_BOOLEAN(struct options, keys), .initial = "false", .help = "Give each ping an idempotency key."},
	{.name = "retry", SETTING_BOOLEAN(struct options, retry), .initial = "false",
	 .help = "Send a ping that failed, or whose outcome is not known, again until it is acknowledged, also over restarts of the "
		 "server. Implies --keys."},
	{.name = "record", SETTING_TEXT(struct options, record), .metavar = "FILE", .initial_help = "none",
	 .help = "Write a line for each acknowledged ping: the client and its timestamp_ms."},
	{0},
};
/* clang-format on */

/* One connection and its streams' places. */
struct lane {
	struct load_connection *connection;
	struct load_request *free;    /* a stack */
	struct load_request *waiting; /* to be sent again, by due_us */
	int64_t reconnect_us;
	bool given_up; /* without --retry: it could not be opened */
};

struct load {
	struct pingctl *ctl;
	struct load_target target;
	struct load_plan plan;
	struct load_stats stats;
	struct lane *lanes;
	struct load_request *requests;
	struct pollfd *polls;
	FILE *record;
	struct buffer body;
	int64_t next, start_us, now_us, tick_us;
	int64_t in_flight, waiting; /* pings */
	int64_t given_up;	    /* lanes */
	int last_errno;
	bool stopping, trusted, checked, out_of_memory, record_failed;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static int64_t now_us(void)
{
	return clock_monotonic_us(clock_system());
}

/* ─── One ping ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void acknowledge(struct load *load, const char *client, int64_t timestamp_ms)
{
	load->stats.ok++;
	if (load->record != NULL && fprintf(load->record, "%s %lld\n", client, (long long)timestamp_ms) < 0)
		load->record_failed = true;
}

static enum error fill_request(struct load *load, struct load_request *request, int64_t number)
{
	char key[LOAD_KEY_SIZE] = "";
	load_plan_client(&load->plan, number, request->client);
	request->number = number;
	request->timestamp_ms = load_plan_timestamp_ms(&load->plan, number, pingctl_now_ms());
	request->attempts = 0;
	if (options.keys || options.retry)
		load_plan_key(&load->plan, number, key);
	struct ping_v1_ping_request message = {.timestamp_ms = request->timestamp_ms, .idempotency_key = slice_from_string(key)};
	buffer_clear(&load->body);
	enum error error = message_encode_binary(&ping_v1_ping_request_type, &message, &load->body);
	if (error != ERROR_OK)
		return error;
	memcpy(request->body, load->body.data, load->body.size);
	request->body_size = load->body.size;
	return ERROR_OK;
}

static void put_waiting(struct load *load, struct lane *lane, struct load_request *request)
{
	int doubled = request->attempts < RETRY_MAX_DOUBLED ? request->attempts : RETRY_MAX_DOUBLED;
	request->due_us = load->now_us + ((int64_t)RETRY_US << doubled);
	struct load_request **place = &lane->waiting;
	while (*place != NULL && (*place)->due_us <= request->due_us)
		place = &(*place)->next;
	request->next = *place;
	*place = request;
	load->waiting++;
}

static void put_free(struct lane *lane, struct load_request *request)
{
	request->next = lane->free;
	lane->free = request;
}

/* "unavailable" of the answer; codes go into JSON and onto terminals. */
static const char *code_of(const struct load_request *request, enum load_result result, struct call_error *error)
{
	if (result == LOAD_NOT_TAKEN)
		return "unavailable";
	if (!call_error_parse(slice_make(request->answer, request->answer_size), error) ||
	    strspn(error->code, "abcdefghijklmnopqrstuvwxyz_") != strlen(error->code))
		snprintf(error->code, sizeof error->code, "http_%u", request->status);
	return error->code;
}

static bool worth_retrying(const char *code)
{
	static const char *const codes[] = {"unavailable", "resource_exhausted", "deadline_exceeded", "aborted", "canceled"};
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (strcmp(codes[i], code) == 0)
			return true;
	return strncmp(code, "http_5", 6) == 0;
}

/* The lane is found by the request's place: each has `streams` of them. */
static void on_done(void *context, struct load_request *request, enum load_result result)
{
	struct load *load = context;
	struct lane *lane = &load->lanes[(request - load->requests) / options.streams];
	load->in_flight--;
	if (result == LOAD_ANSWERED && request->status == 200) {
		acknowledge(load, request->client, request->timestamp_ms);
		load_stats_add_latency(&load->stats, load->now_us - request->first_us);
		put_free(lane, request);
		return;
	}
	struct call_error error;
	const char *code = result == LOAD_UNKNOWN ? "deadline_exceeded" : code_of(request, result, &error);
	if (options.retry && worth_retrying(code)) {
		put_waiting(load, lane, request);
		return;
	}
	if (strcmp(code, "deadline_exceeded") == 0)
		load->stats.unknown++;
	else
		load_stats_add_failure(&load->stats, code);
	put_free(lane, request);
}

/* ─── Which ping next ───────────────────────────────────────────────────────────────────────────────────────────────── */

static int64_t due_us(const struct load *load, int64_t number)
{
	return options.rate == 0 ? load->now_us : load->start_us + (int64_t)((double)number * 1e6 / (double)options.rate);
}

static bool may_begin(const struct load *load)
{
	if (load->stopping || (options.pings != 0 && load->next >= options.pings))
		return false;
	return options.rate == 0 || due_us(load, load->next) <= load->now_us;
}

/* The next ping of the lane: one that waits to be sent again, else a new one; NULL: nothing to do now. */
static struct load_request *take_request(struct load *load, struct lane *lane)
{
	struct load_request *request = lane->waiting;
	if (request != NULL && request->due_us <= load->now_us && !load->stopping) {
		lane->waiting = request->next;
		load->waiting--;
		request->attempts++;
		load->stats.retries++;
		return request;
	}
	request = lane->free;
	if (request == NULL || !may_begin(load))
		return NULL;
	if (fill_request(load, request, load->next) != ERROR_OK) {
		load->out_of_memory = load->stopping = true;
		return NULL;
	}
	lane->free = request->next;
	request->first_us = due_us(load, load->next++);
	load->stats.sent++;
	return request;
}

/* One round gives each lane one ping, so that a low rate is spread over all of them. */
static void hand_out(struct load *load)
{
	bool any = true;
	while (any) {
		any = false;
		for (int64_t i = 0; i < options.connections; i++) {
			struct lane *lane = &load->lanes[i];
			if (load_connection_state(lane->connection) != LOAD_OPEN)
				continue;
			struct load_request *request = take_request(load, lane);
			if (request == NULL)
				continue;
			any = true;
			load->in_flight++;
			if (load_connection_submit(lane->connection, request, load->now_us) != ERROR_OK)
				on_done(load, request, LOAD_NOT_TAKEN);
		}
	}
}

/* ─── The loop ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void keep_open(struct load *load, struct lane *lane)
{
	if (load_connection_state(lane->connection) != LOAD_CLOSED || lane->given_up || load->stopping)
		return;
	int error_number = load_connection_errno(lane->connection);
	if (error_number != 0)
		load->last_errno = error_number;
	if (error_number == ECONNREFUSED && !options.retry) {
		lane->given_up = true;
		load->given_up++;
	} else if (load->now_us >= lane->reconnect_us) {
		lane->reconnect_us = load->now_us + RECONNECT_US;
		load_connection_open(lane->connection);
	}
}

/* Nothing is in flight and nothing will be. */
static bool is_over(const struct load *load)
{
	if (load->in_flight > 0)
		return false;
	bool none_left = options.pings != 0 && load->next >= options.pings;
	return load->stopping || (load->waiting == 0 && (none_left || load->given_up == options.connections));
}

static int poll_timeout_ms(const struct load *load)
{
	enum { LONGEST_MS = 20 };
	if (options.rate == 0 || load->stopping)
		return LONGEST_MS;
	int64_t wait_us = due_us(load, load->next) - load->now_us;
	return wait_us < 1000 ? wait_us > 0 : wait_us > LONGEST_MS * 1000 ? LONGEST_MS : (int)(wait_us / 1000);
}

static void print_progress(const struct load *load)
{
	double seconds = (double)(load->now_us - load->start_us) / 1e6;
	char ok[TEXT_COUNT_SIZE], rate[TEXT_COUNT_SIZE];
	text_count_format(load->stats.ok, ok);
	text_count_format((int64_t)(seconds > 0 ? (double)load->stats.ok / seconds : 0), rate);
	fprintf(stderr, "\r%.0f s: %s ok, %s a second, %lld failed, %lld unknown, %lld sent again, p99 %.1f ms\033[K", seconds,
		ok, rate, (long long)load->stats.failed, (long long)load->stats.unknown, (long long)load->stats.retries,
		(double)load_stats_percentile_us(&load->stats, 99) / 1e3);
}

static void tick(struct load *load, bool progress)
{
	load->tick_us = load->now_us + TICK_US;
	for (int64_t i = 0; i < options.connections; i++)
		load_connection_expire(load->lanes[i].connection, load->now_us - load->ctl->timeout_ms * 1000 - GRACE_US);
	if (options.duration_ms != 0 && load->now_us - load->start_us >= options.duration_ms * 1000)
		load->stopping = true;
	if (interrupted)
		load->stopping = true;
	if (progress)
		print_progress(load);
}

static void turn(struct load *load)
{
	for (int64_t i = 0; i < options.connections; i++) {
		keep_open(load, &load->lanes[i]);
		load->polls[i].fd = load_connection_poll(load->lanes[i].connection, &load->polls[i].events);
		load->polls[i].revents = 0;
	}
	poll(load->polls, (nfds_t)options.connections, poll_timeout_ms(load));
	load->now_us = now_us();
	for (int64_t i = 0; i < options.connections; i++)
		if (load->polls[i].revents != 0)
			load_connection_turn(load->lanes[i].connection, load->polls[i].revents);
	hand_out(load);
	for (int64_t i = 0; i < options.connections; i++)
		if (load_connection_state(load->lanes[i].connection) == LOAD_OPEN)
			load_connection_turn(load->lanes[i].connection, 0);
}

static void drive(struct load *load)
{
	bool progress = isatty(STDERR_FILENO) == 1;
	struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESETHAND}, before;
	sigaction(SIGINT, &action, &before);
	while (!is_over(load)) {
		turn(load);
		if (load->now_us >= load->tick_us)
			tick(load, progress);
	}
	sigaction(SIGINT, &before, NULL);
	if (progress)
		fputs("\r\033[K", stderr);
	load->stats.unknown += load->waiting; /* sent before, not again: nobody knows */
}

/* ─── Is our header trusted? ────────────────────────────────────────────────────────────────────────────────────────── */

static enum call_outcome send_alone(struct load *load, const char *client, int64_t timestamp_ms, const char *key,
				    struct call_error *error)
{
	struct ping_v1_ping_request request = {.timestamp_ms = timestamp_ms, .idempotency_key = slice_from_string(key)};
	struct ping_v1_ping_response response = {0};
	call_client_speak_for(load->ctl->client, client);
	int64_t begin_us = now_us();
	enum call_outcome outcome =
		pingctl_try_call(load->ctl, &ping_v1_ping_service_ping_method, &request, &load->ctl->arena, &response, error);
	call_client_speak_for(load->ctl->client, NULL);
	if (outcome == CALL_OK) {
		load->stats.sent++;
		load->next++;
		acknowledge(load, client, timestamp_ms);
		load_stats_add_latency(&load->stats, now_us() - begin_us);
	}
	return outcome;
}

static void warn_untrusted(struct load *load)
{
	bool color = isatty(STDERR_FILENO) == 1 && load->ctl->use_color;
	fprintf(stderr,
		"%sWARNING: the server does not take the client's address from X-Forwarded-For: this machine is not trusted as a "
		"proxy.\n"
		"All pings count for one client, this machine. Start pingd with --trusted-proxies 127.0.0.0/8 (make run does) to "
		"simulate many.%s\n",
		color ? "\033[1;31m" : "", color ? "\033[0m" : "");
}

/* The first pings of two clients under one key. Exit code. */
static int check_trust(struct load *load)
{
	if (options.clients < 2 || options.pings == 1)
		return PINGCTL_OK;
	char first[ADDRESS_TEXT_SIZE], second[ADDRESS_TEXT_SIZE], key[LOAD_KEY_SIZE];
	load_plan_client(&load->plan, 0, first);
	load_plan_client(&load->plan, 1, second);
	load_plan_key(&load->plan, 0, key);
	int64_t first_ms = load_plan_timestamp_ms(&load->plan, 0, load->ctl->now_ms);
	int64_t second_ms = load_plan_timestamp_ms(&load->plan, 1, load->ctl->now_ms);
	if (second_ms == first_ms)
		second_ms--; /* a key that comes again with another time is what is told apart */
	struct call_error error;
	enum call_outcome outcome = send_alone(load, first, first_ms, key, &error);
	if (outcome == CALL_OK)
		outcome = send_alone(load, second, second_ms, key, &error);
	load->checked = true;
	load->trusted = outcome == CALL_OK;
	if (outcome != CALL_REFUSED || strcmp(error.code, "already_exists") != 0)
		return outcome == CALL_OK ? PINGCTL_OK : pingctl_print_call_error(outcome, &error);
	warn_untrusted(load);
	return PINGCTL_OK;
}

/* ─── Before and after ──────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error allocate(struct load *load)
{
	size_t connections = (size_t)options.connections, streams = (size_t)options.streams;
	load->lanes = calloc(connections, sizeof *load->lanes);
	load->requests = calloc(connections * streams, sizeof *load->requests);
	load->polls = calloc(connections, sizeof *load->polls);
	if (load->lanes == NULL || load->requests == NULL || load->polls == NULL)
		return ERROR_NO_MEMORY;
	enum error error = ERROR_OK;
	for (size_t i = 0; i < connections && error == ERROR_OK; i++) {
		error = load_connection_create(&load->target, on_done, load, &load->lanes[i].connection);
		for (size_t j = 0; j < streams; j++)
			put_free(&load->lanes[i], &load->requests[i * streams + j]);
	}
	return error;
}

static void release(struct load *load)
{
	for (int64_t i = 0; i < options.connections && load->lanes != NULL; i++)
		load_connection_destroy(load->lanes[i].connection);
	free(load->lanes);
	free(load->requests);
	free(load->polls);
	load_target_release(&load->target);
	buffer_release(&load->body);
}

static int prepare(struct load *load)
{
	struct error_note note = {0};
	load->plan = (struct load_plan){.clients = options.clients,
					.pings = options.pings,
					.start_ms = load->ctl->now_ms,
					.seed = random_u64(random_system())};
	load_plan_parse_times(options.timestamps, &load->plan.times, &load->plan.span_ms);
	if (options.pings == 0 && options.duration_ms == 0)
		return pingctl_fail(PINGCTL_USAGE, "load wants an end: --pings N, or --duration 10s, or both");
	if (load->plan.times == LOAD_TIMES_FLEET && options.pings == 0)
		return pingctl_fail(PINGCTL_USAGE, "--timestamps %s wants --pings N: so many are put in order through that time",
				    options.timestamps);
	const struct tls_files files = pingctl_tls_files(load->ctl);
	enum error error = load_target_resolve(load->ctl->address, &files, load->ctl->timeout_ms, &load->target, &note);
	if (error != ERROR_OK)
		return pingctl_fail_error(error == ERROR_UNAVAILABLE ? PINGCTL_UNREACHABLE : PINGCTL_USAGE, error, &note);
	buffer_init(&load->body, LOAD_BODY_SIZE);
	error = pingctl_open_client(load->ctl);
	if (error == ERROR_OK)
		error = allocate(load);
	if (error != ERROR_OK)
		return pingctl_fail_error(PINGCTL_NEGATIVE, error, NULL);
	if (*options.record != 0 && (load->record = fopen(options.record, "we")) == NULL)
		return pingctl_fail(PINGCTL_USAGE, "--record: %s cannot be written: %m", options.record);
	if (load->record != NULL)
		setvbuf(load->record, NULL, _IOFBF, RECORD_BUFFER);
	return PINGCTL_OK;
}

static void print_json(struct load *load, double seconds)
{
	struct pingctl *ctl = load->ctl;
	const struct load_stats *stats = &load->stats;
	pingctl_print(ctl, "{\"sent\": %lld, \"ok\": %lld, \"failed\": %lld, \"unknown\": %lld, \"retries\": %lld, \"codes\": {",
		      (long long)stats->sent, (long long)stats->ok, (long long)stats->failed, (long long)stats->unknown,
		      (long long)stats->retries);
	for (size_t i = 0; i < stats->code_count; i++)
		pingctl_print(ctl, "%s\"%s\": %lld", i == 0 ? "" : ", ", stats->codes[i].name, (long long)stats->codes[i].count);
	pingctl_print(ctl, "}, \"seconds\": %.3f, \"pings_per_second\": %.1f, \"latency_ms\": {", seconds,
		      (double)stats->ok / seconds);
	static const double percents[] = {50, 90, 99};
	for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++)
		pingctl_print(ctl, "\"p%.0f\": %.3f, ", percents[i], (double)load_stats_percentile_us(stats, percents[i]) / 1e3);
	pingctl_print(ctl, "\"max\": %.3f}", (double)stats->max_us / 1e3);
	if (load->checked)
		pingctl_print(ctl, ", \"header_trusted\": %s", load->trusted ? "true" : "false");
	pingctl_print(ctl, "}\n");
}

static void print_text(struct load *load, double seconds)
{
	struct pingctl *ctl = load->ctl;
	const struct load_stats *stats = &load->stats;
	pingctl_print(ctl, "sent        %s pings of %s clients in %.1f s\n", pingctl_count(ctl, stats->sent),
		      pingctl_count(ctl, options.clients), seconds);
	pingctl_print(ctl, "ok          %s, %s a second\n", pingctl_count(ctl, stats->ok),
		      pingctl_count(ctl, (int64_t)((double)stats->ok / seconds)));
	pingctl_print(ctl, "failed      %s\n", pingctl_count(ctl, stats->failed));
	for (size_t i = 0; i < stats->code_count; i++)
		pingctl_print(ctl, "            %s %s\n", pingctl_count(ctl, stats->codes[i].count), stats->codes[i].name);
	pingctl_print(ctl, "unknown     %s\n", pingctl_count(ctl, stats->unknown));
	if (options.retry)
		pingctl_print(ctl, "sent again  %s times\n", pingctl_count(ctl, stats->retries));
	pingctl_print(ctl, "latency     p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, max %.1f ms\n",
		      (double)load_stats_percentile_us(stats, 50) / 1e3, (double)load_stats_percentile_us(stats, 90) / 1e3,
		      (double)load_stats_percentile_us(stats, 99) / 1e3, (double)stats->max_us / 1e3);
	if (load->checked && !load->trusted)
		pingctl_print(ctl, "clients     one: this machine is not trusted as a proxy, see the warning above\n");
}

static int sum_up(struct load *load)
{
	double seconds = (double)(now_us() - load->start_us) / 1e6;
	(load->ctl->json ? print_json : print_text)(load, seconds);
	int exit_code = pingctl_flush(load->ctl);
	if (load->record != NULL && (fclose(load->record) != 0 || load->record_failed))
		return pingctl_fail(PINGCTL_NEGATIVE, "--record: %s could not be written whole", options.record);
	if (load->out_of_memory)
		return pingctl_fail_error(PINGCTL_NEGATIVE, ERROR_NO_MEMORY, NULL);
	bool all_sent = options.pings != 0 && load->next >= options.pings;
	if (load->given_up == options.connections && !all_sent)
		return pingctl_fail(PINGCTL_NEGATIVE, "%s is gone: %s; --retry waits until it is back", load->ctl->address,
				    strerror(load->last_errno));
	return exit_code == PINGCTL_OK && load->stats.ok == load->stats.sent ? PINGCTL_OK : PINGCTL_NEGATIVE;
}

static int run(void *program, char *const *arguments, size_t count)
{
	(void)arguments;
	(void)count;
	static struct load load;
	load.ctl = program;
	int exit_code = prepare(&load);
	load.start_us = load.now_us = now_us();
	if (exit_code == PINGCTL_OK)
		exit_code = check_trust(&load);
	if (exit_code == PINGCTL_OK) {
		drive(&load);
		exit_code = sum_up(&load);
	}
	release(&load);
	return exit_code;
}

const struct command pingctl_load_command = {
	.name = "load",
	.summary = "make load: pings of many simulated clients",
	.help = "Sends pings of many simulated clients over HTTP/2, flat out or at a rate, and sums up: how many were kept, "
		"which errors came, how "
		"long it took. The server must trust this machine as a proxy (make run does); when there are two clients or "
		"more, that is checked "
		"first. Exit code 1 when a ping was not acknowledged.",
	.settings = {{.rows = flags, .config = &options}},
	.examples =
		(const struct manual_entry[]){
			{"pingctl load --pings 20000 --clients 100 --timestamps spread:24h", "A fleet's last 24 hours."},
			{"pingctl load --duration 1m --rate 5000", "5,000 pings a second for a minute."},
			{"pingctl load --pings 200000 --retry --record acknowledged.txt",
			 "Each ping until it is acknowledged, whatever happens."},
			{0}},
	.run = run,
};
