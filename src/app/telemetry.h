/* What /metrics tells: counters that the parts call, and numbers that are read from them when it is asked.
 */
#ifndef PING_APP_TELEMETRY_H
#define PING_APP_TELEMETRY_H

#include "app/pipeline.h"
#include "base/buffer.h"
#include "net/server.h"

struct telemetry;

/* ERROR_NO_MEMORY. */
enum error telemetry_create(struct telemetry **ret_telemetry);
/* NULL is fine. */
void telemetry_destroy(struct telemetry *telemetry);

/* For pipeline_observer and rpc_config.finished; context: the telemetry. Any thread. */
void telemetry_batch(void *context, size_t pings, int64_t took_us, enum error error);
void telemetry_rpc_finished(void *context, const struct method_type *method, enum error error, int64_t latency_us);

/* From now on rendering reads these, too; they must outlive the last request. */
void telemetry_watch(struct telemetry *telemetry, struct pipeline *pipeline, struct server *server);
/* Prometheus text (exposition format 0.0.4). */
enum error telemetry_render(struct telemetry *telemetry, struct buffer *output);

#endif
