#include "service/health_check.h"

#include "grpc/health/v1/health.pb.h"

typedef struct grpc_health_v1_health_check_request health_request;
typedef struct grpc_health_v1_health_check_response health_response;
typedef enum grpc_health_v1_health_check_response_serving_status serving_status;

/* What the metrics need beside what everything needs. */
static const struct {
	const char *service, *dependency;
} services[] = {{"", NULL}, {"ping.v1.PingService", NULL}, {"ping.v1.MetricsService", "store"}};

struct health_watcher {
	const health_request *request;
	serving_status told;
};

static serving_status find_status(struct health *health, struct slice service)
{
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
		if (slice_equal_string(service, services[i].service))
			return health_serves(health, services[i].dependency) ? GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_SERVING
									     : GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_NOT_SERVING;
	return GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_SERVICE_UNKNOWN;
}

static void handle_check(struct rpc_call *call, const void *request, void *context)
{
	serving_status status = find_status(context, ((const health_request *)request)->service);
	if (status == GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_SERVICE_UNKNOWN)
		rpc_call_fail(call, ERROR_NOT_FOUND, "there is no such service here");
	else
		rpc_call_reply(call, &(health_response){.status = status});
}

/* False: the call is answered. */
static bool tell(struct rpc_call *call, struct health *health, struct health_watcher *watcher)
{
	rpc_call_send(call, &(health_response){.status = watcher->told});
	if (!rpc_call_canceled(call) && !health_is_draining(health))
		return true;
	rpc_call_fail(call, rpc_call_canceled(call) ? ERROR_CANCELED : ERROR_SHUTTING_DOWN, NULL);
	return false;
}

static void handle_watch(struct rpc_call *call, const void *request, void *context)
{
	struct health_watcher *watcher = arena_alloc(rpc_call_arena(call), sizeof *watcher);
	if (watcher == NULL) {
		rpc_call_fail(call, ERROR_NO_MEMORY, NULL);
		return;
	}
	watcher->request = request;
	watcher->told = find_status(context, watcher->request->service);
	rpc_call_set_data(call, watcher);
	if (tell(call, context, watcher))
		rpc_call_wake(call, HEALTH_WATCH_MS);
}

static void look_again(struct rpc_call *call, void *context)
{
	struct health_watcher *watcher = rpc_call_data_of(call);
	serving_status status = find_status(context, watcher->request->service);
	bool changed = status != watcher->told;
	watcher->told = status;
	if ((!changed && !health_is_draining(context)) || tell(call, context, watcher))
		rpc_call_wake(call, HEALTH_WATCH_MS);
}

static void on_canceled(struct rpc_call *call, void *context)
{
	(void)context;
	rpc_call_fail(call, ERROR_CANCELED, NULL);
}

struct rpc_method health_check_method(struct health *health)
{
	return (struct rpc_method){.type = &grpc_health_v1_health_check_method, .handle = handle_check, .context = health};
}

struct rpc_method health_watch_method(struct health *health)
{
	return (struct rpc_method){
		.type = &grpc_health_v1_health_watch_method,
		.handle = handle_watch,
		.context = health,
		.wake = look_again,
		.canceled = on_canceled,
		.endless = true,
	};
}
