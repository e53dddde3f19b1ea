#include "app/pingctl.h"

#include "app/sparkline.h"
#include "engine/row.h"

static void print_summary(struct pingctl *ctl, const struct ping_v1_activity *activity)
{
	const char *client = pingctl_text(ctl, activity->client_ip);
	if (activity->last_ping_ms == 0) {
		pingctl_print(ctl, "%s: never seen\n", client);
		return;
	}
	if (activity->ping_count == 0) {
		pingctl_print(ctl, "%s: no ping in the last 24 hours; the last one was %s, %s\n", client,
			      pingctl_ago(ctl, activity->last_ping_ms),
			      pingctl_time(ctl, activity->last_ping_ms, TEXT_TIME_SECONDS));
		return;
	}
	pingctl_print(ctl, "%s: %s %s in the last 24 hours, in %d of %zu windows\n", client,
		      pingctl_count(ctl, activity->ping_count), activity->ping_count == 1 ? "ping" : "pings",
		      activity->active_windows, activity->window_counts.count);
	pingctl_print(ctl, "first     %s\nlast      %s (%s)\n", pingctl_time(ctl, activity->first_ping_ms, TEXT_TIME_SECONDS),
		      pingctl_time(ctl, activity->last_ping_ms, TEXT_TIME_SECONDS), pingctl_ago(ctl, activity->last_ping_ms));
	if (activity->has_avg_interval_ms)
		pingctl_print(ctl, "interval  %s on average\n", pingctl_interval(ctl, true, activity->avg_interval_ms));
	if (activity->busiest_window != NULL)
		pingctl_print(ctl, "busiest   %s: %s\n",
			      pingctl_time(ctl, activity->busiest_window->window_start_ms, TEXT_TIME_MINUTES),
			      pingctl_count(ctl, activity->busiest_window->ping_count));
}

static int run(void *program, char *const *arguments, size_t count)
{
	(void)count;
	struct pingctl *ctl = program;
	struct ping_v1_get_activity_request request = {.client_ip = slice_from_string(arguments[0])};
	struct ping_v1_get_activity_response response = {0};
	int exit_code = pingctl_call(ctl, &ping_v1_metrics_service_get_activity_method, &request, &response);
	if (exit_code != PINGCTL_OK)
		return exit_code;
	if (ctl->json) {
		pingctl_print_json(ctl, &ping_v1_get_activity_response_type, &response);
		return pingctl_flush(ctl);
	}
	struct ping_v1_activity none = {.client_ip = request.client_ip};
	const struct ping_v1_activity *activity = response.activity == NULL ? &none : response.activity;
	print_summary(ctl, activity);
	if (activity->ping_count > 0) {
		pingctl_print(ctl, "\n");
		enum error error = sparkline_write(activity->window_counts.items, activity->window_counts.count,
						   activity->start_ms, WINDOW_MS, ctl->use_unicode, ctl->utc, &ctl->output);
		if (error != ERROR_OK)
			return pingctl_fail_error(PINGCTL_NEGATIVE, error, NULL);
	}
	return pingctl_flush(ctl);
}

const struct command pingctl_activity_command = {
	.name = "activity",
	.arguments = "CLIENT",
	.summary = "show a client's last 24 hours",
	.help = "Shows the last 24 hours of one client: a bar for each of the 288 windows, six hours a row, each hour written "
		"under the window "
		"that begins with it. With --json as the API's GetActivityResponse.",
	.examples = (const struct manual_entry[]){{"pingctl activity 203.0.113.7", "When was it here?"}, {0}},
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run,
};
