#include "query/activity.h"

static void add_window(struct activity_row *activity, const struct window_row *window)
{
	bool first = activity->count == 0;
	activity->count += window->count;
	activity->active_windows++;
	if (first || window->first_ms < activity->first_ms)
		activity->first_ms = window->first_ms;
	if (first || window->last_ms > activity->last_ms)
		activity->last_ms = window->last_ms;
	if (window->count > activity->busiest_count ||
	    (window->count == activity->busiest_count && window->start_ms > activity->busiest_start_ms)) {
		activity->busiest_start_ms = window->start_ms;
		activity->busiest_count = window->count;
		activity->busiest_first_ms = window->first_ms;
		activity->busiest_last_ms = window->last_ms;
	}
}

void activity_derive(const struct address *client, int64_t now_ms, const struct window_row *windows, size_t count,
		     struct activity_row *ret_activity, int64_t *ret_counts)
{
	struct activity_row activity = {
		.client = *client,
		.start_ms = activity_start_of(now_ms),
		.due_ms = window_start_of(now_ms) + WINDOW_MS,
	};
	if (ret_counts != NULL)
		memset(ret_counts, 0, ACTIVITY_WINDOWS * sizeof *ret_counts);
	for (size_t i = 0; i < count; i++) {
		if (windows[i].count == 0 || windows[i].start_ms < activity.start_ms || windows[i].start_ms >= activity.due_ms)
			continue;
		add_window(&activity, &windows[i]);
		if (ret_counts != NULL)
			ret_counts[(windows[i].start_ms - activity.start_ms) / WINDOW_MS] = windows[i].count;
	}
	*ret_activity = activity;
}
