#include "app/engine_metrics.h"

#include "port/positions.h"

#include <stdio.h>
#include <stdlib.h>

/* Of those that this process has; the others' are 0. */
struct partition {
	double owned, lag, offset, newest, events;
	uint64_t forgotten_events, last_events; /* of earlier assignments; of this one, as far as was seen */
};

struct engine_metrics {
	struct metric *seconds[STORE_CALL_COUNT], *failed[STORE_CALL_COUNT], *flush_rows;
	size_t count;
	struct partition partitions[];
};

static double read_sample(void *context)
{
	return *(const double *)context;
}

static void add_calls(struct engine_metrics *self, struct metrics *metrics)
{
	static const double bounds[] = {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144};
	for (enum store_call call = 0; call < STORE_CALL_COUNT; call++) {
		const struct metric_label *labels = METRIC_LABELS({"call", store_call_name(call)});
		self->seconds[call] = metrics_add_histogram(metrics, "ping_store_call_seconds",
							    "How long the engine's calls to the store took, each of many rows.",
							    labels, metric_seconds_bounds, metric_seconds_bound_count);
		self->failed[call] = metrics_add_counter(metrics, "ping_store_failed_calls_total",
							 "Calls to the store that did not succeed.", labels);
	}
	self->flush_rows = metrics_add_histogram(metrics, "ping_store_flush_rows", "Rows that were written together.", NULL,
						 bounds, sizeof bounds / sizeof *bounds);
}

static void add_partition(struct partition *partition, struct metrics *metrics, const char *number)
{
	const struct metric_label *labels = METRIC_LABELS({"partition", number});
	metrics_add_gauge_callback(metrics, "ping_engine_partition_owned", "1 while this process fills the store from it.",
				   labels, read_sample, &partition->owned);
	metrics_add_gauge_callback(metrics, "ping_engine_partition_lag_events",
				   "Events of the partition that are not in the store yet.", labels, read_sample,
				   &partition->lag);
	metrics_add_gauge_callback(metrics, "ping_engine_partition_offset", "Of the newest that is in the store.", labels,
				   read_sample, &partition->offset);
	metrics_add_gauge_callback(metrics, "ping_engine_partition_newest_applied_timestamp_seconds",
				   "When the partition's newest event in the store was received.", labels, read_sample,
				   &partition->newest);
	metrics_add_counter_callback(metrics, "ping_engine_partition_applied_events_total",
				     "Events of the partition merged into rows.", labels, read_sample, &partition->events);
}

enum error engine_metrics_create(struct metrics *metrics, const struct pingd_config *config, struct engine_metrics **ret_metrics)
{
	size_t count = config->backends.log == PINGD_BACKEND_KAFKA ? (size_t)config->log_partitions : 1;
	if (count > STREAM_MAX_PARTITIONS) /* of more, the first */
		count = STREAM_MAX_PARTITIONS;
	struct engine_metrics *self = calloc(1, sizeof *self + count * sizeof self->partitions[0]);
	if (self == NULL)
		return ERROR_NO_MEMORY;
	self->count = count;
	add_calls(self, metrics);
	for (size_t i = 0; i < count; i++) {
		char number[24];
		snprintf(number, sizeof number, "%zu", i);
		add_partition(&self->partitions[i], metrics, number);
	}
	*ret_metrics = self;
	return ERROR_OK;
}

void engine_metrics_destroy(struct engine_metrics *metrics)
{
	free(metrics);
}

void engine_metrics_called(struct engine_metrics *metrics, enum store_call call, size_t rows, int64_t took_us, enum error error)
{
	metric_observe(metrics->seconds[call], (double)took_us / 1e6);
	if (error != ERROR_OK)
		metric_count(metrics->failed[call], 1);
	else if (call == STORE_CALL_WRITE && rows > 0)
		metric_observe(metrics->flush_rows, (double)rows);
}

/* What an assignment counted stays when the partition comes back and counts from 0. */
static void count_events(struct partition *partition, uint64_t events)
{
	if (events < partition->last_events)
		partition->forgotten_events += partition->last_events;
	partition->last_events = events;
	partition->events = (double)(partition->forgotten_events + events);
}

void engine_metrics_sample(struct engine_metrics *metrics, const struct stream_status *status)
{
	for (size_t i = 0; i < metrics->count; i++)
		metrics->partitions[i].owned = metrics->partitions[i].lag = 0;
	for (size_t i = 0; i < status->partition_count; i++) {
		const struct stream_partition *from = &status->partitions[i];
		if (from->partition < 0 || (size_t)from->partition >= metrics->count)
			continue;
		struct partition *to = &metrics->partitions[from->partition];
		int64_t lag_events = from->end_position - from->stored_position;
		to->owned = 1;
		to->lag = position_epoch(from->end_position) == position_epoch(from->stored_position) && lag_events > 0
				  ? (double)lag_events
			  : lag_events > 0 ? (double)position_offset(from->end_position) + 1
					   : 0;
		to->offset = from->stored_position < 0 ? 0 : (double)position_offset(from->stored_position);
		to->newest = (double)from->newest_applied_ms / 1e3;
		count_events(to, from->events);
	}
}
