/* The server's and the RPC runtime's numbers as metrics.
 *
 *   server_metrics_create ─► config.rpc.finished = server_metrics_finished ─► server_start ─► server_metrics_watch
 *   … ─► the scrapes end, server_join ─► server_metrics_destroy
 */
#ifndef PING_NET_SERVER_METRICS_H
#define PING_NET_SERVER_METRICS_H

#include "base/metrics.h"
#include "net/server.h"

struct server_metrics;

/* Registers; whether that went well is for metrics_error to tell. The method types must outlive it. ERROR_NO_MEMORY. */
enum error server_metrics_create(struct metrics *metrics, const struct rpc_method *methods, size_t count,
				 struct server_metrics **ret_metrics);
void server_metrics_destroy(struct server_metrics *metrics);
/* An rpc_config.finished; its context is the server_metrics. */
void server_metrics_finished(void *context, const struct method_type *method, enum error error, int64_t latency_us);
/* Whose stats to show from now on. NULL: nobody's. */
void server_metrics_watch(struct server_metrics *metrics, const struct server *server);

#endif
