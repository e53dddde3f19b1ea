#include "service/health_check.h"

#include "grpc/health/v1/health.pb.h"

typedef struct grpc_health_v1_health_check_request health_request;
typedef struct grpc_health_v1_health_check_response health_response;
typedef enum grpc_health_v1_health_check_response_serving_status serving_status;

/* What the metrics need beside what everything needs. */
static const struct {
	const char *service, *dependency;
} services[] = {{"", NULL}, {"ping.v1.PingService", NULL}, {"ping.v1.MetricsService", "store"}};
enum { SERVICES = sizeof services / sizeof services[0] };

struct health_watcher {
	const health_request *request;
	serving_status told;
};

static size_t known_services(const struct health_endpoint *endpoint)
{
	return endpoint->bare ? 1 : SERVICES;
}

static serving_status status_of(const struct health_endpoint *endpoint, size_t index)
{
	return health_serves(endpoint->health, services[index].dependency) ? GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_SERVING
									   : GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_NOT_SERVING;
}

static serving_status find_status(const struct health_endpoint *endpoint, struct slice service)
{
	for (size_t i = 0; i < known_services(endpoint); i++)
		if (slice_equal_string(service, services[i].service))
			return status_of(endpoint, i);
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

static void handle_list(struct rpc_call *call, const void *request, void *context)
{
	(void)request;
	struct grpc_health_v1_health_list_response list = {.statuses.count = known_services(context)};
	health_response *responses = arena_alloc_array(rpc_call_arena(call), SERVICES, sizeof *responses);
	list.statuses.items = arena_alloc_array(rpc_call_arena(call), SERVICES, sizeof *list.statuses.items);
	if (responses == NULL || list.statuses.items == NULL) {
		rpc_call_fail(call, ERROR_NO_MEMORY, NULL);
		return;
	}
	for (size_t i = 0; i < list.statuses.count; i++) {
		responses[i] = (health_response){.status = status_of(context, i)};
		list.statuses.items[i].key = slice_from_string(services[i].service);
		list.statuses.items[i].value = &responses[i];
	}
	rpc_call_reply(call, &list);
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
	if (tell(call, ((const struct health_endpoint *)context)->health, watcher))
		rpc_call_wake(call, HEALTH_WATCH_MS);
}

static void look_again(struct rpc_call *call, void *context)
{
	struct health_watcher *watcher = rpc_call_data_of(call);
	struct health *health = ((const struct health_endpoint *)context)->health;
	serving_status status = find_status(context, watcher->request->service);
	bool changed = status != watcher->told;
	watcher->told = status;
	if ((!changed && !health_is_draining(health)) || tell(call, health, watcher))
		rpc_call_wake(call, HEALTH_WATCH_MS);
}

static void on_canceled(struct rpc_call *call, void *context)
{
	(void)context;
	rpc_call_fail(call, ERROR_CANCELED, NULL);
}

struct rpc_method health_check_method(struct health_endpoint *endpoint)
{
	return (struct rpc_method){.type = &grpc_health_v1_health_check_method, .handle = handle_check, .context = endpoint};
}

struct rpc_method health_list_method(struct health_endpoint *endpoint)
{
	return (struct rpc_method){.type = &grpc_health_v1_health_list_method, .handle = handle_list, .context = endpoint};
}

struct rpc_method health_watch_method(struct health_endpoint *endpoint)
{
	return (struct rpc_method){
		.type = &grpc_health_v1_health_watch_method,
		.handle = handle_watch,
		.context = endpoint,
		.wake = look_again,
		.canceled = on_canceled,
		.endless = true,
	};
}
