#include "service/convert.h"

#include "base/timestamp.h"

struct slice convert_client(const struct address *client, struct arena *arena)
{
	char text[ADDRESS_TEXT_SIZE];
	return arena_copy(arena, slice_make(text, address_format(client, text)));
}

struct ping_v1_window_stats convert_window(const struct window_row *row, struct slice client_ip, int64_t now_ms)
{
	struct ping_v1_window_stats window = {
		.client_ip = client_ip,
		.window_start_ms = row->start_ms,
		.window_end_ms = row->start_ms + WINDOW_MS,
		.ping_count = row->count,
		.first_ping_ms = row->first_ms,
		.last_ping_ms = row->last_ms,
		.open = now_ms < row->start_ms + WINDOW_MS,
	};
	window.has_avg_interval_ms = row_average_interval(row->count, row->first_ms, row->last_ms, &window.avg_interval_ms);
	return window;
}

enum error convert_day(const struct day_row *row, struct slice client_ip, struct arena *arena,
		       struct ping_v1_daily_stats *ret_day)
{
	char text[TIMESTAMP_DAY_SIZE];
	timestamp_format_day(row->start_ms, text);
	struct slice day = arena_copy(arena, slice_from_string(text));
	if (day.data == NULL)
		return ERROR_NO_MEMORY;
	*ret_day = (struct ping_v1_daily_stats){.client_ip = client_ip, .day = day, .total_pings = row->total};
	return ERROR_OK;
}

static struct ping_v1_window_stats *convert_busiest(const struct activity_row *row, struct slice client_ip, int64_t now_ms,
						    struct arena *arena)
{
	struct ping_v1_window_stats *busiest = arena_alloc(arena, sizeof *busiest);
	if (busiest != NULL) {
		struct window_row window = {
			.client = row->client,
			.start_ms = row->busiest_start_ms,
			.count = row->busiest_count,
			.first_ms = row->busiest_first_ms,
			.last_ms = row->busiest_last_ms,
		};
		*busiest = convert_window(&window, client_ip, now_ms);
	}
	return busiest;
}

enum error convert_activity(const struct query_activity *activity, int64_t now_ms, struct arena *arena,
			    struct ping_v1_activity *ret_activity)
{
	const struct activity_row *row = &activity->row;
	struct ping_v1_activity message = {
		.client_ip = convert_client(&row->client, arena),
		.ping_count = row->count,
		.active_windows = row->active_windows,
		.first_ping_ms = row->first_ms,
		.last_ping_ms = row->last_ms,
		.start_ms = row->start_ms,
	};
	if (message.client_ip.data == NULL)
		return ERROR_NO_MEMORY;
	message.has_avg_interval_ms = row_average_interval(row->count, row->first_ms, row->last_ms, &message.avg_interval_ms);
	if (row->count > 0) {
		message.busiest_window = convert_busiest(row, message.client_ip, now_ms, arena);
		if (message.busiest_window == NULL)
			return ERROR_NO_MEMORY;
	}
	if (activity->counts != NULL) {
		message.window_counts.items = activity->counts;
		message.window_counts.count = ACTIVITY_WINDOWS;
	}
	*ret_activity = message;
	return ERROR_OK;
}

enum error convert_dependency(const struct health_dependency *dependency, struct arena *arena,
			      struct ping_v1_dependency *ret_dependency)
{
	static const enum ping_v1_dependency_state states[] = {
		[HEALTH_OK] = PING_V1_DEPENDENCY_STATE_OK,
		[HEALTH_DEGRADED] = PING_V1_DEPENDENCY_STATE_DEGRADED,
		[HEALTH_DOWN] = PING_V1_DEPENDENCY_STATE_DOWN,
	};
	struct slice detail = arena_copy(arena, slice_from_string(dependency->detail));
	if (detail.data == NULL)
		return ERROR_NO_MEMORY;
	*ret_dependency = (struct ping_v1_dependency){
		.name = slice_from_string(dependency->name),
		.state = states[dependency->state],
		.detail = detail,
		.since_ms = dependency->since_ms,
	};
	return ERROR_OK;
}
