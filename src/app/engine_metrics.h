/* What /metrics tells of the engine beyond single numbers: its calls to the store, and each partition of the log. */
#ifndef PING_APP_ENGINE_METRICS_H
#define PING_APP_ENGINE_METRICS_H

#include "app/pingd_settings.h"
#include "app/timed_store.h"
#include "base/metrics.h"
#include "stream/stream.h"

struct engine_metrics;

/* Registers them; the config says how many partitions there are. NO_MEMORY. */
enum error engine_metrics_create(struct metrics *metrics, const struct pingd_config *config, struct engine_metrics **ret_metrics);
/* After the metrics. NULL is fine. */
void engine_metrics_destroy(struct engine_metrics *metrics);

/* After each call to the store. */
void engine_metrics_called(struct engine_metrics *metrics, enum store_call call, size_t rows, int64_t took_us, enum error error);
/* Before each rendering, on its thread. */
void engine_metrics_sample(struct engine_metrics *metrics, const struct stream_status *status);

#endif
