/* The rows of the metrics, as engine, store and queries know them (semantics, "Metrics"). Absolute values: writing a row twice
 * changes nothing. All times are Unix milliseconds.
 */
#ifndef PING_ENGINE_ROW_H
#define PING_ENGINE_ROW_H

#include "base/address.h"

#define WINDOW_MS INT64_C(300000)
enum { ACTIVITY_WINDOWS = 288 };

/* "No event yet": older than every position. */
#define POSITION_NONE INT64_C(-1)

/* Start of the window, or of the UTC day, that `ms` (>= 0) lies in. */
static inline int64_t window_start_of(int64_t ms)
{
	return ms - ms % WINDOW_MS;
}
static inline int64_t day_start_of(int64_t ms)
{
	return ms - ms % INT64_C(86400000);
}
/* The window's row goes within an hour (semantics, "Retention"): from then on it is neither written nor missed. retention_ms 0:
 * never. */
static inline bool window_is_expiring(int64_t start_ms, int64_t retention_ms, int64_t now_ms)
{
	return retention_ms > 0 && start_ms + WINDOW_MS + retention_ms <= now_ms + INT64_C(3600000);
}
/* Start of the oldest of the 288 newest windows, the open one included. */
static inline int64_t activity_start_of(int64_t now_ms)
{
	return window_start_of(now_ms) - (ACTIVITY_WINDOWS - 1) * WINDOW_MS;
}

struct window_row {
	struct address client;
	int64_t start_ms;
	int64_t count;
	int64_t first_ms, last_ms; /* earliest and latest pinged_at */
	int64_t position;	   /* of the newest event in it */
};

struct day_row {
	struct address client;
	int64_t start_ms;
	int64_t total;
	int64_t position;
};

/* One a client that was ever seen, never expiring. */
struct client_row {
	struct address client;
	int64_t first_ms, last_ms;
};

/* The rolling 24 hours of a client as seen from `start_ms` (activity_start_of): the windows in [start_ms, start_ms + 24 h). The
 * materialised form is exact until due_ms: then a window leaves at the old end, or one that lay in the future opens.
 * A client whose only pings lie in windows that haven't opened has count 0 and a due_ms: its row is kept, so that it is found
 * when they open. due_ms == 0 (then count is 0 too): silent, no such row is kept. */
struct activity_row {
	struct address client;
	int64_t start_ms;
	int64_t count;
	int32_t active_windows;
	int64_t first_ms, last_ms;		 /* of the pings in those windows; 0 where count is 0 */
	int64_t busiest_start_ms, busiest_count; /* the window with most pings, the newest of equals */
	int64_t busiest_first_ms, busiest_last_ms;
	int64_t due_ms;
};

/* (last − first) / (count − 1) in ms. False when count < 2: there is no interval. */
static inline bool row_average_interval(int64_t count, int64_t first_ms, int64_t last_ms, double *ret_ms)
{
	if (count < 2)
		return false;
	*ret_ms = (double)(last_ms - first_ms) / (double)(count - 1);
	return true;
}

#endif
