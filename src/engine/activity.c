#include "engine/activity.h"

void activity_init(struct activity_row *activity, const struct address *client, int64_t start_ms)
{
	*activity = (struct activity_row){.client = *client, .start_ms = start_ms};
}

void activity_due_by(struct activity_row *activity, int64_t ms)
{
	if (activity->due_ms == 0 || ms < activity->due_ms)
		activity->due_ms = ms;
}

void activity_add(struct activity_row *activity, const struct window_row *window, int64_t added)
{
	int64_t start_ms = window->start_ms;
	if (added == 0 || start_ms < activity->start_ms)
		return;
	if (start_ms >= activity->start_ms + ACTIVITY_WINDOWS * WINDOW_MS) {
		activity_due_by(activity, start_ms);
		return;
	}
	if (activity->count == 0 || window->first_ms < activity->first_ms)
		activity->first_ms = window->first_ms;
	if (window->last_ms > activity->last_ms)
		activity->last_ms = window->last_ms;
	activity->count += added;
	if (window->count == added) {
		activity->active_windows++;
		activity_due_by(activity, start_ms + ACTIVITY_WINDOWS * WINDOW_MS);
	}
	if (window->count > activity->busiest_count ||
	    (window->count == activity->busiest_count && start_ms > activity->busiest_start_ms)) {
		activity->busiest_start_ms = start_ms;
		activity->busiest_count = window->count;
		activity->busiest_first_ms = window->first_ms;
		activity->busiest_last_ms = window->last_ms;
	}
}

bool activity_stale(const struct activity_row *activity, int64_t now_ms)
{
	return (activity->due_ms != 0 && now_ms >= activity->due_ms) || activity_start_of(now_ms) < activity->start_ms;
}
