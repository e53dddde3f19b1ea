/* What came of a load's pings: how many, and how long each took. */
#ifndef PING_APP_LOAD_STATS_H
#define PING_APP_LOAD_STATS_H

#include <stddef.h>
#include <stdint.h>

/* Buckets grow with the value: 32 to each power of two, so a percentile is right to 3 %. */
enum { LOAD_BUCKETS = 64 + 32 * 35, LOAD_MAX_CODES = 20 };

struct load_code {
	char name[32];
	int64_t count;
};

struct load_stats {
	int64_t sent, ok, unknown, retries; /* pings; unknown: the outcome is not known; retries: sent again */
	int64_t failed;			    /* known not to be kept: the sum of the codes */
	struct load_code codes[LOAD_MAX_CODES];
	size_t code_count;
	int64_t max_us, latencies;
	int64_t buckets[LOAD_BUCKETS];
};

void load_stats_add_latency(struct load_stats *stats, int64_t us);
/* Microseconds below which `percent` of the latencies lie; 0 when there are none. */
int64_t load_stats_percentile_us(const struct load_stats *stats, double percent);
/* Names beyond the twentieth are counted as "other". */
void load_stats_add_failure(struct load_stats *stats, const char *code);

#endif
