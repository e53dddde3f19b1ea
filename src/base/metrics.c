#include "base/metrics.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"

enum { LABELS_MAX = 4096 }; /* bytes of a member's labels */

enum metric_type { TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM };

static const char *const type_names[] = {"counter", "gauge", "histogram"};

struct histogram {
	size_t bound_count;
	const double *bounds;
	_Atomic uint64_t *buckets; /* not cumulative; one more than bounds */
	_Atomic double sum;
};

struct metric {
	struct metric *next; /* in its family */
	struct slice labels; /* method="Ping",code="ok" */
	_Atomic uint64_t count;
	_Atomic double value;
	struct histogram histogram;
	double (*read)(void *context);
	void *context;
};

struct family {
	struct family *next;
	const char *name, *help;
	enum metric_type type;
	struct metric *first, **end;
};

struct metrics {
	struct arena arena; /* all of it */
	struct family *first, **end;
	size_t count;
	enum error error;
	struct error_note note;
};

const double metric_seconds_bounds[] = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
					0.025,	 0.05,	 0.1,	  0.25,	  0.5,	 1,	 2.5,	10};
const size_t metric_seconds_bound_count = sizeof metric_seconds_bounds / sizeof metric_seconds_bounds[0];

enum error metrics_create(struct metrics **ret_metrics)
{
	struct metrics *metrics = calloc(1, sizeof *metrics);
	if (metrics == NULL)
		return ERROR_NO_MEMORY;
	arena_init(&metrics->arena, SIZE_MAX);
	metrics->end = &metrics->first;
	*ret_metrics = metrics;
	return ERROR_OK;
}

void metrics_destroy(struct metrics *metrics)
{
	if (metrics == NULL)
		return;
	arena_release(&metrics->arena);
	free(metrics);
}

enum error metrics_error(const struct metrics *metrics, struct error_note *note)
{
	if (note != NULL && metrics->error != ERROR_OK)
		*note = metrics->note;
	return metrics->error;
}

/* ── Writing: the first error stays, and what follows it is not written ── */

struct writer {
	struct buffer *output;
	enum error error;
};

static void put(struct writer *writer, const char *text)
{
	if (writer->error == ERROR_OK)
		writer->error = buffer_append_string(writer->output, text);
}

/* As in a label's value; in a HELP line a quote needs no escape. */
static void put_escaped(struct writer *writer, const char *text, bool quotes)
{
	for (; *text != 0; text++) {
		if (*text == '\n')
			put(writer, "\\n");
		else if (*text == '\\')
			put(writer, "\\\\");
		else if (*text == '"' && quotes)
			put(writer, "\\\"");
		else
			put(writer, (const char[]){*text, 0});
	}
}

static void put_count(struct writer *writer, uint64_t count)
{
	if (writer->error == ERROR_OK)
		writer->error = json_append_uint64(writer->output, count);
}

static void put_number(struct writer *writer, double value)
{
	if (isnan(value))
		put(writer, "NaN");
	else if (isinf(value))
		put(writer, value > 0 ? "+Inf" : "-Inf");
	else if (writer->error == ERROR_OK)
		writer->error = json_append_double(writer->output, value);
}

/* ── Registration ── */

static void *fail(struct metrics *metrics, enum error error, const char *name, const char *why)
{
	if (metrics->error == ERROR_OK)
		metrics->error = error_noted(&metrics->note, error, "metric %s: %s", name, why);
	return NULL;
}

static bool is_name(const char *name, bool colons)
{
	for (size_t i = 0; name[i] != 0; i++) {
		char c = name[i], letter = (char)(c | 0x20);
		bool fine =
			(letter >= 'a' && letter <= 'z') || c == '_' || (colons && c == ':') || (i > 0 && c >= '0' && c <= '9');
		if (!fine)
			return false;
	}
	return name[0] != 0;
}

static bool ends_with(const char *name, const char *suffix)
{
	size_t size = strlen(name), suffix_size = strlen(suffix);
	return size > suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
}

static bool has_unit(const char *name, enum metric_type type)
{
	if (type == TYPE_HISTOGRAM)
		return ends_with(name, "_seconds") || ends_with(name, "_bytes") || ends_with(name, "_pings") ||
		       ends_with(name, "_rows");
	return ends_with(name, "_total") == (type == TYPE_COUNTER);
}

static enum error copy_labels(struct metrics *metrics, const struct metric_label *labels, struct slice *ret_labels)
{
	struct buffer text;
	buffer_init(&text, LABELS_MAX);
	struct writer writer = {.output = &text};
	for (; labels != NULL && labels->name != NULL; labels++) {
		if (!is_name(labels->name, false) || strncmp(labels->name, "__", 2) == 0 || strcmp(labels->name, "le") == 0)
			writer.error = ERROR_INVALID_ARGUMENT;
		put(&writer, text.size == 0 ? "" : ",");
		put(&writer, labels->name);
		put(&writer, "=\"");
		put_escaped(&writer, labels->value, true);
		put(&writer, "\"");
	}
	struct slice copy = arena_copy(&metrics->arena, buffer_slice(&text));
	if (writer.error == ERROR_OK && copy.data == NULL)
		writer.error = ERROR_NO_MEMORY;
	if (writer.error == ERROR_OK)
		*ret_labels = copy;
	buffer_release(&text);
	return writer.error;
}

static struct family *find_family(struct metrics *metrics, const char *name, const char *help, enum metric_type type)
{
	for (struct family *family = metrics->first; family != NULL; family = family->next)
		if (strcmp(family->name, name) == 0) {
			if (family->type != type || strcmp(family->help, help) != 0)
				return fail(metrics, ERROR_INVALID_ARGUMENT, name, "registered before with another type or help");
			return family;
		}
	if (!is_name(name, true) || !has_unit(name, type))
		return fail(metrics, ERROR_INVALID_ARGUMENT, name, "not a name with a unit");
	struct family *family = arena_alloc(&metrics->arena, sizeof *family);
	if (family == NULL)
		return fail(metrics, ERROR_NO_MEMORY, name, "out of memory");
	*family = (struct family){.name = name, .help = help, .type = type, .end = &family->first};
	*metrics->end = family;
	metrics->end = &family->next;
	return family;
}

static struct metric *add_metric(struct metrics *metrics, const char *name, const char *help, enum metric_type type,
				 const struct metric_label *labels)
{
	struct slice text;
	struct family *family = find_family(metrics, name, help, type);
	if (family == NULL)
		return NULL;
	if (metrics->count == METRICS_MAX)
		return fail(metrics, ERROR_TOO_LARGE, name, "too many metrics");
	enum error error = copy_labels(metrics, labels, &text);
	if (error != ERROR_OK)
		return fail(metrics, error, name, "malformed labels, or no memory for them");
	for (struct metric *other = family->first; other != NULL; other = other->next)
		if (slice_equal(other->labels, text))
			return fail(metrics, ERROR_INVALID_ARGUMENT, name, "registered twice with the same labels");
	struct metric *metric = arena_alloc(&metrics->arena, sizeof *metric);
	if (metric == NULL)
		return fail(metrics, ERROR_NO_MEMORY, name, "out of memory");
	metric->labels = text;
	*family->end = metric;
	family->end = &metric->next;
	metrics->count++;
	return metric;
}

struct metric *metrics_add_counter(struct metrics *metrics, const char *name, const char *help, const struct metric_label *labels)
{
	return add_metric(metrics, name, help, TYPE_COUNTER, labels);
}

struct metric *metrics_add_gauge(struct metrics *metrics, const char *name, const char *help, const struct metric_label *labels)
{
	return add_metric(metrics, name, help, TYPE_GAUGE, labels);
}

static bool increasing(const double *bounds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!isfinite(bounds[i]) || (i > 0 && bounds[i] <= bounds[i - 1]))
			return false;
	return true;
}

struct metric *metrics_add_histogram(struct metrics *metrics, const char *name, const char *help,
				     const struct metric_label *labels, const double *bounds, size_t bound_count)
{
	if (bound_count > METRIC_BUCKETS_MAX || !increasing(bounds, bound_count))
		return fail(metrics, ERROR_INVALID_ARGUMENT, name, "bounds that do not increase, or too many");
	double *copy = arena_alloc_array(&metrics->arena, bound_count, sizeof *copy);
	_Atomic uint64_t *buckets = arena_alloc_array(&metrics->arena, bound_count + 1, sizeof *buckets);
	if (copy == NULL || buckets == NULL)
		return fail(metrics, ERROR_NO_MEMORY, name, "out of memory");
	struct metric *metric = add_metric(metrics, name, help, TYPE_HISTOGRAM, labels);
	if (metric == NULL)
		return NULL;
	for (size_t i = 0; i < bound_count; i++)
		copy[i] = bounds[i];
	metric->histogram.bound_count = bound_count;
	metric->histogram.bounds = copy;
	metric->histogram.buckets = buckets;
	return metric;
}

static void set_callback(struct metric *metric, double (*read)(void *context), void *context)
{
	if (metric == NULL)
		return;
	metric->read = read;
	metric->context = context;
}

void metrics_add_counter_callback(struct metrics *metrics, const char *name, const char *help, const struct metric_label *labels,
				  double (*read)(void *context), void *context)
{
	set_callback(metrics_add_counter(metrics, name, help, labels), read, context);
}

void metrics_add_gauge_callback(struct metrics *metrics, const char *name, const char *help, const struct metric_label *labels,
				double (*read)(void *context), void *context)
{
	set_callback(metrics_add_gauge(metrics, name, help, labels), read, context);
}

/* ── Adding ── */

static void add_double(_Atomic double *to, double more)
{
	double before = atomic_load_explicit(to, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(to, &before, before + more, memory_order_relaxed, memory_order_relaxed))
		;
}

void metric_count(struct metric *counter, uint64_t more)
{
	if (counter != NULL)
		atomic_fetch_add_explicit(&counter->count, more, memory_order_relaxed);
}

void metric_set(struct metric *gauge, double value)
{
	if (gauge != NULL)
		atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}

void metric_add(struct metric *gauge, double more)
{
	if (gauge != NULL)
		add_double(&gauge->value, more);
}

void metric_observe(struct metric *metric, double value)
{
	if (metric == NULL)
		return;
	struct histogram *histogram = &metric->histogram;
	size_t i = 0;
	while (i < histogram->bound_count && !(value <= histogram->bounds[i]))
		i++;
	atomic_fetch_add_explicit(&histogram->buckets[i], 1, memory_order_relaxed);
	add_double(&histogram->sum, value);
}

/* ── Rendering ── */

/* name{labels,le="0.1"} and the blank before the value; le NULL: none. */
static void put_series(struct writer *writer, const struct family *family, const char *suffix, const struct metric *metric,
		       const double *le)
{
	bool labels = metric->labels.size > 0;
	put(writer, family->name);
	put(writer, suffix);
	put(writer, labels || le != NULL ? "{" : "");
	put(writer, (const char *)metric->labels.data);
	if (le != NULL) {
		put(writer, labels ? ",le=\"" : "le=\"");
		put_number(writer, *le);
		put(writer, "\"");
	}
	put(writer, labels || le != NULL ? "} " : " ");
}

/* The count is that of the buckets as they were read, so that it agrees with them. */
static void put_histogram(struct writer *writer, const struct family *family, struct metric *metric)
{
	struct histogram *histogram = &metric->histogram;
	uint64_t count = 0;
	for (size_t i = 0; i <= histogram->bound_count; i++) {
		double le = i < histogram->bound_count ? histogram->bounds[i] : INFINITY;
		count += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
		put_series(writer, family, "_bucket", metric, &le);
		put_count(writer, count);
		put(writer, "\n");
	}
	put_series(writer, family, "_sum", metric, NULL);
	put_number(writer, atomic_load_explicit(&histogram->sum, memory_order_relaxed));
	put(writer, "\n");
	put_series(writer, family, "_count", metric, NULL);
	put_count(writer, count);
	put(writer, "\n");
}

static void put_metric(struct writer *writer, const struct family *family, struct metric *metric)
{
	if (family->type == TYPE_HISTOGRAM) {
		put_histogram(writer, family, metric);
		return;
	}
	put_series(writer, family, "", metric, NULL);
	if (metric->read != NULL)
		put_number(writer, metric->read(metric->context));
	else if (family->type == TYPE_COUNTER)
		put_count(writer, atomic_load_explicit(&metric->count, memory_order_relaxed));
	else
		put_number(writer, atomic_load_explicit(&metric->value, memory_order_relaxed));
	put(writer, "\n");
}

static void put_family(struct writer *writer, const struct family *family)
{
	put(writer, "# HELP ");
	put(writer, family->name);
	put(writer, " ");
	put_escaped(writer, family->help, false);
	put(writer, "\n# TYPE ");
	put(writer, family->name);
	put(writer, " ");
	put(writer, type_names[family->type]);
	put(writer, "\n");
	for (struct metric *metric = family->first; metric != NULL; metric = metric->next)
		put_metric(writer, family, metric);
}

enum error metrics_render(struct metrics *metrics, struct buffer *output)
{
	size_t before = output->size;
	struct writer writer = {.output = output};
	for (const struct family *family = metrics->first; family != NULL; family = family->next)
		if (family->first != NULL)
			put_family(&writer, family);
	if (writer.error != ERROR_OK)
		output->size = before;
	return writer.error;
}
