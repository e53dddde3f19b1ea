/* The rolling 24 hours of a client from its windows: the 288 newest, the open one last (semantics, "Metrics").
 */
#ifndef PING_QUERY_ACTIVITY_H
#define PING_QUERY_ACTIVITY_H

#include "engine/row.h"

/* As seen at now_ms, by the engine's rules (engine/activity.h). `windows` in any order, each once. ret_counts (NULL: not wanted)
 * has one count a window, the oldest first. */
void activity_derive(const struct address *client, int64_t now_ms, const struct window_row *windows, size_t count,
		     struct activity_row *ret_activity, int64_t *ret_counts);

#endif
