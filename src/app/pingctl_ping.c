#include "app/pingctl.h"

#include "base/address.h"

static struct options {
	const char *timestamp, *key, *as;
} options;

static bool is_address(const char *text)
{
	struct address address;
	return address_parse(slice_from_string(text), &address) == ERROR_OK;
}

static const struct setting flags[] = {
	{.name = "timestamp-ms",
	 SETTING_TEXT(struct options, timestamp),
	 .metavar = "TIME",
	 .initial = "now",
	 .accepts = text_time_is_valid,
	 .expected = PINGCTL_TIMES,
	 .help = "When the ping happened."},
	{.name = "key",
	 SETTING_TEXT(struct options, key),
	 .metavar = "KEY",
	 .initial_help = "none",
	 .help = "The idempotency key: the same key is the same ping, however often it is sent."},
	{.name = "as",
	 SETTING_TEXT(struct options, as),
	 .metavar = "ADDRESS",
	 .initial_help = "none",
	 .accepts = is_address,
	 .expected = "an IP address",
	 .help = "Ping for another client (X-Forwarded-For); the server must trust this machine as a proxy."},
	{0},
};

static int run(void *program, char *const *arguments, size_t count)
{
	(void)arguments;
	(void)count;
	struct pingctl *ctl = program;
	struct ping_v1_ping_request request = {.idempotency_key = slice_from_string(options.key)};
	text_time_parse(options.timestamp, ctl->now_ms, &request.timestamp_ms);
	if (*options.as != 0) {
		enum error error = pingctl_open_client(ctl);
		if (error != ERROR_OK)
			return pingctl_fail_error(PINGCTL_NEGATIVE, error, NULL);
		call_client_speak_for(ctl->client, options.as);
	}
	struct ping_v1_ping_response response = {0};
	int exit_code = pingctl_call(ctl, &ping_v1_ping_service_ping_method, &request, &response);
	if (exit_code != PINGCTL_OK)
		return exit_code;
	if (ctl->json)
		pingctl_print_json(ctl, &ping_v1_ping_request_type, &request);
	else
		pingctl_print(ctl, "kept: a ping of %s%s%s\n", pingctl_time(ctl, request.timestamp_ms, TEXT_TIME_MILLISECONDS),
			      *options.key == 0 ? "" : ", key ", options.key);
	return pingctl_flush(ctl);
}

const struct command pingctl_ping_command = {
	.name = "ping",
	.summary = "send one ping",
	.help = "Sends one ping and waits until it is kept. Prints the ping; with --json as the API's PingRequest.",
	.settings = {{.rows = flags, .config = &options}},
	.examples = (const struct manual_entry[]){{"pingctl ping", "A ping now."},
						  {"pingctl ping --timestamp-ms -10m --key backup-7",
						   "One of ten minutes ago that may be repeated."},
						  {0}},
	.run = run,
};
