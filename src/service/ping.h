/* The Ping RPC. A ping_endpoint is the method's context.
 */
#ifndef PING_SERVICE_PING_H
#define PING_SERVICE_PING_H

#include "ingest/ingest.h"
#include "ping/v1/ping.pb.h"
#include "rpc/call.h"
#include "service/rate.h"

struct ping_endpoint {
	struct clock *clock;
	struct ingest *ingest;
	int64_t max_future_skew_ms;
	struct rate *rate; /* of the pings that were kept */
};

/* What semantics says of a request ("Ping"). INVALID_ARGUMENT, with a note that names field, value and limit. */
enum error ping_check(const struct ping_v1_ping_request *request, int64_t now_ms, int64_t max_future_skew_ms,
		      struct error_note *note);
/* context: a struct ping_endpoint. */
void ping_handle(struct rpc_call *call, const void *request, void *context);

#endif
