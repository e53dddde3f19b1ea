/* The rolling 24 hours of a client from its windows: the 288 newest, the open one last (semantics, "Metrics"). Pure.
 */
#ifndef PING_QUERY_ACTIVITY_H
#define PING_QUERY_ACTIVITY_H

#include "engine/row.h"

/* As seen at now_ms. `windows` in any order; those before the 24 hours and those that lie in the future are left out. ret_counts
 * (NULL: not wanted) has one count a window, the oldest first. due_ms: the next window's start. count 0: all the rest but client,
 * start_ms and due_ms is 0. */
void activity_derive(const struct address *client, int64_t now_ms, const struct window_row *windows, size_t count,
		     struct activity_row *ret_activity, int64_t *ret_counts);

#endif
