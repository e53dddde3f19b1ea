#include "app/load_stats.h"

#include <stdio.h>
#include <string.h>

enum { LINEAR = 64, LINEAR_BITS = 6, STEP_BITS = 5 };

static size_t bucket_of(int64_t us)
{
	uint64_t value = us < 0 ? 0 : (uint64_t)us;
	if (value < LINEAR)
		return value;
	unsigned exponent = 63 - (unsigned)__builtin_clzll(value);
	size_t bucket = LINEAR + ((exponent - LINEAR_BITS) << STEP_BITS) + (value >> (exponent - STEP_BITS) & 31);
	return bucket < LOAD_BUCKETS ? bucket : LOAD_BUCKETS - 1;
}

static int64_t greatest_in(size_t bucket)
{
	if (bucket < LINEAR)
		return (int64_t)bucket;
	size_t exponent = ((bucket - LINEAR) >> STEP_BITS) + LINEAR_BITS, step = (bucket - LINEAR) & 31;
	return (int64_t)(((UINT64_C(33) + step) << (exponent - STEP_BITS)) - 1);
}

void load_stats_add_latency(struct load_stats *stats, int64_t us)
{
	stats->buckets[bucket_of(us)]++;
	stats->latencies++;
	if (us > stats->max_us)
		stats->max_us = us;
}

int64_t load_stats_percentile_us(const struct load_stats *stats, double percent)
{
	double wanted = (double)stats->latencies * percent / 100;
	int64_t below = 0;
	for (size_t i = 0; i < LOAD_BUCKETS && stats->latencies > 0; i++) {
		below += stats->buckets[i];
		if ((double)below >= wanted && below > 0)
			return greatest_in(i) < stats->max_us ? greatest_in(i) : stats->max_us;
	}
	return 0;
}

void load_stats_add_failure(struct load_stats *stats, const char *code)
{
	stats->failed++;
	size_t i = 0;
	while (i < stats->code_count && strcmp(stats->codes[i].name, code) != 0)
		i++;
	if (i == LOAD_MAX_CODES)
		i--;
	else if (i == stats->code_count) {
		stats->code_count++;
		snprintf(stats->codes[i].name, sizeof stats->codes[i].name, "%s", i + 1 == LOAD_MAX_CODES ? "other" : code);
	}
	stats->codes[i].count++;
}
