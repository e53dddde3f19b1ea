#include "app/publisher_metrics.h"

#include <stdio.h>
#include <stdlib.h>

struct member {
	double slot, behind, state[PUBLISHER_STATE_COUNT];
};

struct publisher_metrics {
	struct metric *seconds[TIMED_CALL_COUNT], *failed[TIMED_CALL_COUNT];
	size_t count;
	struct member members[];
};

static double read_sample(void *context)
{
	return *(const double *)context;
}

static void add_calls(struct publisher_metrics *self, struct metrics *metrics)
{
	for (enum timed_call call = 0; call < TIMED_CALL_COUNT; call++) {
		bool ledger = strcmp(timed_call_port(call), "ledger") == 0;
		const struct metric_label *labels = METRIC_LABELS({"call", timed_call_name(call)});
		self->seconds[call] =
			metrics_add_histogram(metrics, ledger ? "ping_ledger_call_seconds" : "ping_log_call_seconds",
					      ledger ? "How long a publisher's calls to the ledger took."
						     : "How long a publisher's calls to the log took.",
					      labels, metric_seconds_bounds, metric_seconds_bound_count);
		self->failed[call] = metrics_add_counter(
			metrics, ledger ? "ping_ledger_failed_calls_total" : "ping_log_failed_calls_total",
			ledger ? "Calls to the ledger that did not succeed." : "Calls to the log that did not succeed.", labels);
	}
}

static void add_member(struct member *member, struct metrics *metrics, const char *number, const char *role)
{
	const struct metric_label *labels = METRIC_LABELS({"publisher", number}, {"role", role});
	metrics_add_gauge_callback(metrics, "ping_publisher_slot", "The publisher slot that it holds; -1: none.", labels,
				   read_sample, &member->slot);
	metrics_add_gauge_callback(metrics, "ping_publisher_behind", "1 while the log may lack batches of its slot.", labels,
				   read_sample, &member->behind);
	for (enum publisher_state state = 0; state < PUBLISHER_STATE_COUNT; state++)
		metrics_add_gauge_callback(
			metrics, "ping_publisher_state", "1 for the state that it is in.",
			METRIC_LABELS({"publisher", number}, {"role", role}, {"state", publisher_state_text(state)}), read_sample,
			&member->state[state]);
}

enum error publisher_metrics_create(struct metrics *metrics, const struct pingd_config *config,
				    struct publisher_metrics **ret_metrics)
{
	size_t count = publishers_count(config);
	struct publisher_metrics *self = calloc(1, sizeof *self + count * sizeof self->members[0]);
	if (self == NULL)
		return ERROR_NO_MEMORY;
	self->count = count;
	add_calls(self, metrics);
	for (size_t i = 0; i < count; i++) {
		char number[24];
		snprintf(number, sizeof number, "%zu", i);
		self->members[i].slot = PUBLISH_NO_SLOT;
		add_member(&self->members[i], metrics, number, publishers_role_text(publishers_role(config, i)));
	}
	*ret_metrics = self;
	return ERROR_OK;
}

void publisher_metrics_destroy(struct publisher_metrics *metrics)
{
	free(metrics);
}

void publisher_metrics_called(struct publisher_metrics *metrics, enum timed_call call, int64_t took_us, enum error error)
{
	metric_observe(metrics->seconds[call], (double)took_us / 1e6);
	/* Every few seconds the one that looks after dead slots finds none: an answer, no failure. */
	bool none = call == TIMED_LEDGER_TAKE && error == ERROR_RESOURCE_EXHAUSTED;
	if (error != ERROR_OK && !none)
		metric_count(metrics->failed[call], 1);
}

void publisher_metrics_sample(struct publisher_metrics *metrics, struct publishers *publishers)
{
	for (size_t i = 0; i < metrics->count; i++) {
		struct publisher_status status = publishers_status(publishers, i);
		struct member *member = &metrics->members[i];
		member->slot = status.slot;
		member->behind = status.behind;
		for (enum publisher_state state = 0; state < PUBLISHER_STATE_COUNT; state++)
			member->state[state] = state == status.state;
	}
}
