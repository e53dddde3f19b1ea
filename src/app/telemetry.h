/* What /metrics tells: counters that the parts call, and numbers that are read from the parts when it is asked.
 *
 *   telemetry_create ─► telemetry_watch_pipeline, telemetry_watch_calls ─► server_start ─► server_metrics_watch ─► render …
 */
#ifndef PING_APP_TELEMETRY_H
#define PING_APP_TELEMETRY_H

#include "app/pipeline.h"
#include "base/buffer.h"
#include "net/server_metrics.h"

struct telemetry;

/* The config says which parts there will be. ERROR_NO_MEMORY. */
enum error telemetry_create(const struct pingd_config *config, struct telemetry **ret_telemetry, struct error_note *note);
/* NULL is fine. */
void telemetry_destroy(struct telemetry *telemetry);

/* Before the server starts; both must outlive it. */
enum error telemetry_watch_calls(struct telemetry *telemetry, const struct rpc_method *methods, size_t count,
				 struct error_note *note);
void telemetry_watch_pipeline(struct telemetry *telemetry, struct pipeline *pipeline);
void telemetry_watch_tls(struct telemetry *telemetry, struct tls *tls);
/* The server's own; NULL before telemetry_watch_calls. */
struct server_metrics *telemetry_server(struct telemetry *telemetry);

/* What pipeline_observer is told. Any thread. */
void telemetry_batch(struct telemetry *telemetry, size_t pings, int64_t took_us, enum error error);
void telemetry_call(struct telemetry *telemetry, enum timed_call call, size_t rows, int64_t took_us, enum error error);
/* Of the engine; where this process has one. */
void telemetry_store_call(struct telemetry *telemetry, enum store_call call, size_t rows, int64_t took_us, enum error error);

/* Prometheus text (exposition format 0.0.4). Any thread. */
enum error telemetry_render(struct telemetry *telemetry, struct buffer *output);

#endif
