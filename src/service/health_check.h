/* grpc.health.v1.Health: the health of this process, as gRPC's clients and load balancers ask for it.
 *
 *   ""                        what /readyz says
 *   "ping.v1.PingService"     the same
 *   "ping.v1.MetricsService"  and the store answers
 *
 * Watch looks again every HEALTH_WATCH_MS, and ends (SHUTTING_DOWN) behind the NOT_SERVING of a process that is about to end.
 */
#ifndef PING_SERVICE_HEALTH_CHECK_H
#define PING_SERVICE_HEALTH_CHECK_H

#include "rpc/call.h"
#include "service/health.h"

enum { HEALTH_WATCH_MS = 500 /* how soon a change is told */ };

/* The methods' context. */
struct health_endpoint {
	struct health *health;
	bool bare; /* this process serves no service but this one: "" alone is known */
};

struct rpc_method health_check_method(struct health_endpoint *endpoint);
struct rpc_method health_list_method(struct health_endpoint *endpoint);
struct rpc_method health_watch_method(struct health_endpoint *endpoint);

#endif
