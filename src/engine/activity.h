/* The rolling 24 hours of one client, derived from its windows: all at once, or kept as windows grow. Counts only grow, so the
 * order in which windows are added makes no difference.
 *
 *          start_ms                            open window
 *   ───────┼────┬────┬────  …  ────┬────┬────┼────┬──────► window starts
 *    left  │          288 windows: counted       │ not open yet: only due_ms
 */
#ifndef PING_ENGINE_ACTIVITY_H
#define PING_ENGINE_ACTIVITY_H

#include "engine/row.h"

/* Of no window, as seen from start_ms (activity_start_of). */
void activity_init(struct activity_row *activity, const struct address *client, int64_t start_ms);
/* It is to be derived again at `ms`, if not before. */
void activity_due_by(struct activity_row *activity, int64_t ms);
/* The window as it is now, after `added` pings came into it: all of them when it was not in the activity yet. */
void activity_add(struct activity_row *activity, const struct window_row *window, int64_t added);
/* Whether, as seen from now_ms, it must be derived again: a window left or opened, or the clock was set back. */
bool activity_stale(const struct activity_row *activity, int64_t now_ms);

#endif
