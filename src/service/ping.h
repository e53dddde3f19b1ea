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

/* context: a struct ping_endpoint. */
void ping_handle(struct rpc_call *call, const void *request, void *context);

#endif
