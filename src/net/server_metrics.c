#include "net/server_metrics.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { CODES = ERROR_UNAUTHENTICATED + 1 }; /* the first rows of the table of errors are the codes */

struct method_metrics {
	const struct method_type *type;
	struct metric *seconds, *requests[CODES];
};

/* One number of server_stats. */
struct shown_stat {
	struct server_metrics *metrics;
	size_t offset;
};

static const struct stat_row {
	const char *name, *help;
	struct metric_label label;
	size_t offset;
	bool gauge;
} rows[] = {
	{"http_connections", "Connections that are open.", {NULL, NULL}, offsetof(struct server_stats, connections_open), true},
	{"http_connections_accepted_total",
	 "Connections accepted.",
	 {NULL, NULL},
	 offsetof(struct server_stats, connections_accepted),
	 false},
	{"http_connections_refused_total",
	 "Connections closed at once: their address had as many as it may.",
	 {NULL, NULL},
	 offsetof(struct server_stats, connections_refused),
	 false},
	{"http_accept_pauses_total",
	 "Times that accepting was paused, at the limit of connections or without file descriptors.",
	 {NULL, NULL},
	 offsetof(struct server_stats, accept_pauses),
	 false},
	{"http_requests_total",
	 "Requests whose head was read.",
	 {"version", "1.1"},
	 offsetof(struct server_stats, requests_http1),
	 false},
	{"http_requests_total",
	 "Requests whose head was read.",
	 {"version", "2"},
	 offsetof(struct server_stats, requests_http2),
	 false},
	{"http_responses_total",
	 "Responses, by class of status.",
	 {"class", "2xx"},
	 offsetof(struct server_stats, responses[2]),
	 false},
	{"http_responses_total",
	 "Responses, by class of status.",
	 {"class", "3xx"},
	 offsetof(struct server_stats, responses[3]),
	 false},
	{"http_responses_total",
	 "Responses, by class of status.",
	 {"class", "4xx"},
	 offsetof(struct server_stats, responses[4]),
	 false},
	{"http_responses_total",
	 "Responses, by class of status.",
	 {"class", "5xx"},
	 offsetof(struct server_stats, responses[5]),
	 false},
	{"http_protocol_errors_total",
	 "Connections closed for what they sent.",
	 {NULL, NULL},
	 offsetof(struct server_stats, protocol_errors),
	 false},
	{"http_timeouts_total",
	 "Connections closed for what they did not send or take.",
	 {NULL, NULL},
	 offsetof(struct server_stats, timeouts),
	 false},
	{"http_held_bytes",
	 "Bytes of requests and answers that connections hold.",
	 {NULL, NULL},
	 offsetof(struct server_stats, held_bytes),
	 true},
	{"http_crowded_total",
	 "Requests and answers refused because connections hold as many bytes as they may.",
	 {NULL, NULL},
	 offsetof(struct server_stats, crowded),
	 false},
	{"http_tls_handshakes_total", "TLS handshakes done.", {NULL, NULL}, offsetof(struct server_stats, tls_handshakes), false},
	{"http_tls_failures_total",
	 "Connections whose TLS handshake failed, or whose TLS broke later.",
	 {NULL, NULL},
	 offsetof(struct server_stats, tls_failures),
	 false},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

struct server_metrics {
	_Atomic(const struct server *) server;
	struct shown_stat shown[ROWS];
	size_t count;
	struct method_metrics methods[];
};

static double read_stat(void *context)
{
	const struct shown_stat *shown = context;
	const struct server *server = atomic_load(&shown->metrics->server);
	if (server == NULL)
		return 0;
	struct server_stats stats = server_stats(server);
	uint64_t value;
	memcpy(&value, (const char *)&stats + shown->offset, sizeof value);
	return (double)value;
}

static void add_method(struct method_metrics *method, struct metrics *metrics, const struct method_type *type)
{
	const char *path = type->path + 1; /* without the slash: "ping.v1.PingService/Ping" */
	method->type = type;
	method->seconds =
		metrics_add_histogram(metrics, "rpc_duration_seconds", "From a call's head to its answer.",
				      METRIC_LABELS({"method", path}), metric_seconds_bounds, metric_seconds_bound_count);
}

static void add_codes(struct method_metrics *method, struct metrics *metrics)
{
	for (unsigned code = 0; code < CODES; code++) {
		const char *name = code == ERROR_OK ? "ok" : error_connect_code((enum error)code);
		method->requests[code] =
			metrics_add_counter(metrics, "rpc_requests_total", "Calls answered or given up, by code.",
					    METRIC_LABELS({"method", method->type->path + 1}, {"code", name}));
	}
}

enum error server_metrics_create(struct metrics *metrics, const struct rpc_method *methods, size_t count,
				 struct server_metrics **ret_metrics)
{
	struct server_metrics *created = calloc(1, sizeof *created + count * sizeof created->methods[0]);
	if (created == NULL)
		return ERROR_NO_MEMORY;
	created->count = count;
	for (size_t i = 0; i < count; i++)
		add_method(&created->methods[i], metrics, methods[i].type);
	for (size_t i = 0; i < count; i++)
		add_codes(&created->methods[i], metrics);
	for (size_t i = 0; i < ROWS; i++) {
		const struct metric_label labels[] = {rows[i].label, {NULL, NULL}};
		created->shown[i] = (struct shown_stat){created, rows[i].offset};
		(rows[i].gauge ? metrics_add_gauge_callback : metrics_add_counter_callback)(
			metrics, rows[i].name, rows[i].help, labels, read_stat, &created->shown[i]);
	}
	*ret_metrics = created;
	return ERROR_OK;
}

void server_metrics_destroy(struct server_metrics *metrics)
{
	free(metrics);
}

void server_metrics_finished(void *context, const struct method_type *method, enum error error, int64_t latency_us)
{
	struct server_metrics *metrics = context;
	for (size_t i = 0; i < metrics->count; i++)
		if (metrics->methods[i].type == method) {
			metric_observe(metrics->methods[i].seconds, (double)latency_us / 1e6);
			metric_count(metrics->methods[i].requests[error_grpc_code(error)], 1);
		}
}

void server_metrics_watch(struct server_metrics *metrics, const struct server *server)
{
	atomic_store(&metrics->server, server);
}
