#include "query/activity.h"

#include "engine/activity.h"

void activity_derive(const struct address *client, int64_t now_ms, const struct window_row *windows, size_t count,
		     struct activity_row *ret_activity, int64_t *ret_counts)
{
	int64_t start_ms = activity_start_of(now_ms);
	struct activity_row activity;
	activity_init(&activity, client, start_ms);
	if (ret_counts != NULL)
		memset(ret_counts, 0, ACTIVITY_WINDOWS * sizeof *ret_counts);
	for (size_t i = 0; i < count; i++) {
		int64_t at_ms = windows[i].start_ms - start_ms;
		if (windows[i].count > 0)
			activity_add(&activity, &windows[i], windows[i].count);
		if (ret_counts != NULL && at_ms >= 0 && at_ms < ACTIVITY_WINDOWS * WINDOW_MS)
			ret_counts[at_ms / WINDOW_MS] = windows[i].count;
	}
	*ret_activity = activity;
}
