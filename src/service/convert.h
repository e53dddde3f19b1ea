/* Rows as messages of the API. What is pointed to lies in the arena; NO_MEMORY where it is full.
 */
#ifndef PING_SERVICE_CONVERT_H
#define PING_SERVICE_CONVERT_H

#include "base/arena.h"
#include "engine/row.h"
#include "ping/v1/ping.pb.h"
#include "query/query.h"
#include "service/health.h"

/* The canonical text; data == NULL: out of memory. */
struct slice convert_client(const struct address *client, struct arena *arena);
/* client_ip: the row's client as text, so that the rows of one client share it. A window is open until now_ms reaches its end. */
struct ping_v1_window_stats convert_window(const struct window_row *row, struct slice client_ip, int64_t now_ms);
enum error convert_day(const struct day_row *row, struct slice client_ip, struct arena *arena,
		       struct ping_v1_daily_stats *ret_day);
enum error convert_activity(const struct query_activity *activity, int64_t now_ms, struct arena *arena,
			    struct ping_v1_activity *ret_activity);
enum error convert_dependency(const struct health_dependency *dependency, struct arena *arena,
			      struct ping_v1_dependency *ret_dependency);

#endif
