#include "app/pingctl.h"

static struct options {
	const char *from, *to;
} options;

static const struct setting flags[] = {PINGCTL_RANGE(struct options, "the pings' own time"), {0}};

static int run(void *program, char *const *arguments, size_t count)
{
	(void)arguments;
	(void)count;
	struct pingctl *ctl = program;
	struct ping_v1_time_range range;
	struct ping_v1_ping_count_request request = {.time_range = pingctl_range(ctl, options.from, options.to, &range)};
	struct ping_v1_ping_count_response response = {0};
	int exit_code = pingctl_call(ctl, &ping_v1_ping_service_ping_count_method, &request, &response);
	if (exit_code != PINGCTL_OK)
		return exit_code;
	if (ctl->json) {
		pingctl_print_json(ctl, &ping_v1_ping_count_response_type, &response);
		return pingctl_flush(ctl);
	}
	pingctl_print(ctl, "%s %s", pingctl_count(ctl, response.ping_count), response.ping_count == 1 ? "ping" : "pings");
	if (range.start != 0)
		pingctl_print(ctl, " from %s", pingctl_time(ctl, range.start, TEXT_TIME_SECONDS));
	if (range.end != 0)
		pingctl_print(ctl, " to %s", pingctl_time(ctl, range.end, TEXT_TIME_SECONDS));
	pingctl_print(ctl, "\n");
	return pingctl_flush(ctl);
}

const struct command pingctl_count_command = {
	.name = "count",
	.summary = "count the pings of all clients",
	.help = "Counts the pings of all clients, exactly; with --json as the API's PingCountResponse.",
	.settings = {{.rows = flags, .config = &options}},
	.examples = (const struct manual_entry[]){{"pingctl count", "All there are."},
						  {"pingctl count --from 2024-10-14 --to 2024-10-15", "Those of one UTC day."},
						  {0}},
	.run = run,
};
