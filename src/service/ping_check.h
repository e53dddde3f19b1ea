/* Which pings are taken. Pure.
 */
#ifndef PING_SERVICE_PING_CHECK_H
#define PING_SERVICE_PING_CHECK_H

#include "base/error.h"
#include "ping/v1/ping.pb.h"

/* What semantics says of a request ("Ping"). INVALID_ARGUMENT, with a note that names field, value and limit. */
enum error ping_check(const struct ping_v1_ping_request *request, int64_t now_ms, int64_t max_future_skew_ms,
		      struct error_note *note);

#endif
