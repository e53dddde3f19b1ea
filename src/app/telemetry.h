/* What /metrics tells: counters that the parts call, and numbers that are read from the parts when it is asked.
 *
 *   telemetry_create ─► telemetry_watch_calls, telemetry_watch_pipeline ─► server_start ─► telemetry_watch_server ─► render …
 */
#ifndef PING_APP_TELEMETRY_H
#define PING_APP_TELEMETRY_H

#include "app/pipeline.h"
#include "base/buffer.h"
#include "net/server.h"

struct telemetry;

/* ERROR_NO_MEMORY. */
enum error telemetry_create(struct telemetry **ret_telemetry, struct error_note *note);
/* NULL is fine. */
void telemetry_destroy(struct telemetry *telemetry);

/* Before the server starts; both must outlive it. */
enum error telemetry_watch_calls(struct telemetry *telemetry, const struct rpc_method *methods, size_t count,
				 struct error_note *note);
void telemetry_watch_pipeline(struct telemetry *telemetry, struct pipeline *pipeline);
/* Any time; until then the server's numbers are 0. It must outlive the last request. */
void telemetry_watch_server(struct telemetry *telemetry, struct server *server);

/* For pipeline_observer and rpc_config.finished; context: the telemetry. Any thread. */
void telemetry_batch(void *context, size_t pings, int64_t took_us, enum error error);
void telemetry_rpc_finished(void *context, const struct method_type *method, enum error error, int64_t latency_us);

/* Prometheus text (exposition format 0.0.4). Any thread. */
enum error telemetry_render(struct telemetry *telemetry, struct buffer *output);

#endif
