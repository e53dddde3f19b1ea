/* What /metrics tells of publishers: how long the calls to their ports take, and how each of them is.
 *
 *   ping_ledger_call_seconds, ping_log_call_seconds {call}     histograms
 *   ping_ledger_failed_calls_total, ping_log_…      {call}     any error: also "another owner", or "no slot is free"
 *   ping_publisher_state {publisher,role,state}                1 for the state that it is in, else 0
 *   ping_publisher_slot, ping_publisher_behind {publisher,role}
 */
#ifndef PING_APP_PUBLISHER_METRICS_H
#define PING_APP_PUBLISHER_METRICS_H

#include "app/publishers.h"
#include "base/metrics.h"

struct publisher_metrics;

/* Registers them; the config says how many publishers there will be. NO_MEMORY. */
enum error publisher_metrics_create(struct metrics *metrics, const struct pingd_config *config,
				    struct publisher_metrics **ret_metrics);
/* After the metrics. NULL is fine. */
void publisher_metrics_destroy(struct publisher_metrics *metrics);

/* After each call to a port. Any thread. */
void publisher_metrics_called(struct publisher_metrics *metrics, enum timed_call call, int64_t took_us, enum error error);
/* Before each rendering, on its thread. */
void publisher_metrics_sample(struct publisher_metrics *metrics, struct publishers *publishers);

#endif
