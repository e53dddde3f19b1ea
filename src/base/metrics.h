/* Numbers for whoever watches the program, as Prometheus text (exposition format 0.0.4).
 *
 *   register at start ─► counters, gauges, histograms ─► metrics_render at each scrape
 *                              ▲ any thread adds (relaxed atomics)
 *
 * A family is one name with its HELP and TYPE; its members differ in labels. Names are in base units and say so: a counter's ends
 * in _total, a histogram's in _seconds, _bytes, _pings or _rows.
 *
 * Registration doesn't fail one by one: what it gives may be NULL, which every function here takes and ignores; metrics_error
 * tells once, at the end, whether all went well.
 */
#ifndef PING_BASE_METRICS_H
#define PING_BASE_METRICS_H

#include "base/buffer.h"

enum { METRICS_MAX = 4096, METRIC_BUCKETS_MAX = 32 };

struct metrics;
struct metric;

/* METRIC_LABELS({"method", "Ping"}, {"code", "ok"}); NULL: none. Copied. */
struct metric_label {
	const char *name, *value;
};
#define METRIC_LABELS(...) ((const struct metric_label[]){__VA_ARGS__, {NULL, NULL}})

/* ERROR_NO_MEMORY. */
enum error metrics_create(struct metrics **ret_metrics);
void metrics_destroy(struct metrics *metrics);
/* The first thing that went wrong at a registration, named in the note: NO_MEMORY, TOO_LARGE (more than METRICS_MAX),
 * INVALID_ARGUMENT (a name or a label that is none, a family of two types or helps, the same member twice). */
enum error metrics_error(const struct metrics *metrics, struct error_note *note);

/* Members of a family must be registered with the same help. Name and help are literals: not copied. */
struct metric *metrics_add_counter(struct metrics *metrics, const char *name, const char *help,
				   const struct metric_label *labels);
struct metric *metrics_add_gauge(struct metrics *metrics, const char *name, const char *help, const struct metric_label *labels);
/* bounds: the buckets' upper ends, increasing, METRIC_BUCKETS_MAX at most, without +Inf. Copied. */
struct metric *metrics_add_histogram(struct metrics *metrics, const char *name, const char *help,
				     const struct metric_label *labels, const double *bounds, size_t bound_count);
/* Read at each scrape, on the scraping thread; a counter's must never go down. */
void metrics_add_counter_callback(struct metrics *metrics, const char *name, const char *help, const struct metric_label *labels,
				  double (*read)(void *context), void *context);
void metrics_add_gauge_callback(struct metrics *metrics, const char *name, const char *help, const struct metric_label *labels,
				double (*read)(void *context), void *context);

/* Any thread. */
void metric_count(struct metric *counter, uint64_t more);
void metric_set(struct metric *gauge, double value);
void metric_add(struct metric *gauge, double more);
void metric_observe(struct metric *histogram, double value);

/* 50 µs to 10 s: what a request takes, or a write to disk. */
extern const double metric_seconds_bounds[];
extern const size_t metric_seconds_bound_count;

/* Appends all families in the order of their registration. Not while registering. Errors as buffer_append; then nothing was. */
enum error metrics_render(struct metrics *metrics, struct buffer *output);

#endif
