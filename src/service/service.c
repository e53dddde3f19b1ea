#include "service/service.h"

#include "ping/v1/ping.pb.h"
#include "service/health_check.h"
#include "service/metrics.h"
#include "service/ping.h"
#include "service/watch_stream.h"

#include <stdlib.h>

struct question_method {
	const struct method_type *type;
	enum error (*answer)(struct question *question, struct readers *readers, struct error_note *note);
};

static const struct question_method questions[] = {
	{&ping_v1_ping_service_ping_count_method, answer_ping_count},
	{&ping_v1_metrics_service_list_window_stats_method, answer_list_window_stats},
	{&ping_v1_metrics_service_list_daily_stats_method, answer_list_daily_stats},
	{&ping_v1_metrics_service_get_activity_method, answer_get_activity},
	{&ping_v1_metrics_service_list_clients_method, answer_list_clients},
	{&ping_v1_metrics_service_get_pipeline_status_method, answer_get_pipeline_status},
};

enum {
	QUESTIONS = sizeof questions / sizeof questions[0],
	HEALTH = QUESTIONS + 2, /* behind Ping and WatchWindowStats: Check, List and Watch */
	METHODS = HEALTH + 3,
	HEARTBEAT_MS = 15000,
};

struct service {
	struct rate rate;
	struct ping_endpoint ping;
	struct metrics_context metrics;
	struct watch_endpoint watch;
	struct health_endpoint health;
	struct question_endpoint endpoints[QUESTIONS];
	struct rpc_method methods[METHODS];
};

enum error service_create(const struct service_config *config, struct service **ret_service)
{
	struct service *service = calloc(1, sizeof *service);
	if (service == NULL)
		return ERROR_NO_MEMORY;
	service->ping = (struct ping_endpoint){
		.clock = config->clock,
		.ingest = config->ingest,
		.max_future_skew_ms = config->max_future_skew_ms,
		.rate = &service->rate,
	};
	service->metrics = (struct metrics_context){
		.clock = config->clock,
		.workers = config->workers,
		.health = config->health,
		.status = config->status,
		.rate = &service->rate,
	};
	totals_init(&service->metrics.totals);
	for (size_t i = 0; i < QUESTIONS; i++) {
		service->endpoints[i] = (struct question_endpoint){.shared = &service->metrics, .answer = questions[i].answer};
		service->methods[i] = (struct rpc_method){
			.type = questions[i].type, .handle = question_handle, .context = &service->endpoints[i]};
	}
	service->methods[QUESTIONS] =
		(struct rpc_method){.type = &ping_v1_ping_service_ping_method, .handle = ping_handle, .context = &service->ping};
	service->watch = (struct watch_endpoint){
		.clock = config->clock,
		.hub = config->hub,
		.heartbeat_ms = config->watch_heartbeat_ms == 0 ? HEARTBEAT_MS : config->watch_heartbeat_ms,
	};
	service->methods[QUESTIONS + 1] = watch_method(&service->watch);
	service->health = (struct health_endpoint){config->health, config->bare};
	service->methods[HEALTH] = health_check_method(&service->health);
	service->methods[HEALTH + 1] = health_list_method(&service->health);
	service->methods[HEALTH + 2] = health_watch_method(&service->health);
	*ret_service = service;
	return ERROR_OK;
}

void service_drain(struct service *service)
{
	if (service->watch.hub != NULL)
		watch_hub_close(service->watch.hub);
}

void service_destroy(struct service *service)
{
	if (service != NULL)
		totals_release(&service->metrics.totals);
	free(service);
}

const struct rpc_method *service_methods(const struct service *service, size_t *ret_count)
{
	size_t first = service->health.bare ? HEALTH : 0;
	*ret_count = METHODS - first;
	return &service->methods[first];
}
