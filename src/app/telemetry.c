#include "app/telemetry.h"

#include "app/engine_metrics.h"
#include "app/publisher_metrics.h"
#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What is read at each scrape: one row makes the number's place and its text. X(name, metric, type, help, labels) */
#define SAMPLE_TABLE(X)                                                                                                          \
	X(accepted, "ping_ingest_accepted_total", counter, "Pings kept.", NULL)                                                  \
	X(duplicates, "ping_ingest_duplicates_total", counter, "Pings whose idempotency key was there already.", NULL)           \
	X(failed, "ping_ingest_failed_total", counter, "Pings whose batch failed.", NULL)                                        \
	X(rejected, "ping_ingest_rejected_total", counter, "Pings refused because the queue was full.", NULL)                    \
	X(depth, "ping_ingest_queue_pings", gauge, "Pings accepted and not answered yet.", NULL)                                 \
	X(watchers, "ping_watchers", gauge, "Streams that watch windows as they change.", NULL)                                  \
	X(publishers, "ping_publishers", gauge, "Publishers of this process.", NULL)                                             \
	X(publishers_ready, "ping_publishers_ready", gauge, "Publishers that can carry out pings.", NULL)                        \
	X(published, "ping_publisher_batches_total", counter, "Batches carried out in ledger and log.", NULL)                    \
	X(publish_failed, "ping_publisher_failed_batches_total", counter, "Batches whose pings were told a failure.", NULL)      \
	X(publish_unknown, "ping_publisher_unknown_batches_total", counter, "Batches whose outcome is not known.", NULL)         \
	X(publish_aborted, "ping_publisher_aborted_batches_total", counter, "Transactions that the log ended.", NULL)            \
	X(publish_recovered, "ping_publisher_recovered_batches_total", counter, "Batches published again, or at last.", NULL)    \
	X(publish_fenced, "ping_publisher_fenced_total", counter, "Slots lost to another owner.", NULL)                          \
	X(publish_retries, "ping_publisher_retries_total", counter, "Attempts that failed and are made again.", NULL)            \
	X(publish_lost, "ping_publisher_ledger_lost_total", counter, "Times that the ledger lacked batches of the log's.", NULL) \
	X(connected, "ping_ledger_connections_total", counter, "Connections made to the ledger's server.", NULL)                 \
	X(not_connected, "ping_ledger_failed_connections_total", counter, "Attempts to connect to it that failed.", NULL)        \
	X(log_troubles, "ping_log_client_errors_total", counter, "Connections to the log lost, and what else its client tells.", \
	  NULL)                                                                                                                  \
	X(lag, "ping_engine_lag_events", gauge, "Events in the log that are not in the store yet.", NULL)                        \
	X(newest, "ping_engine_newest_applied_timestamp_seconds", gauge, "When the newest event in the store was received.",     \
	  NULL)                                                                                                                  \
	X(running, "ping_engine_running", gauge, "1 while the engine gets on, 0 while it waits or has stopped.", NULL)           \
	X(waiting, "ping_engine_waiting", gauge, "1 while the engine waits for another kind of engine to end.", NULL)            \
	X(applied, "ping_engine_applied_events_total", counter, "Events merged into rows.", NULL)                                \
	X(skipped, "ping_engine_skipped_events_total", counter, "Events that were in their rows already.", NULL)                 \
	X(expired, "ping_engine_expired_events_total", counter, "Events whose window is past its retention.", NULL)              \
	X(loads, "ping_engine_loaded_rows_total", counter, "Rows read from the store.", NULL)                                    \
	X(evictions, "ping_engine_evicted_rows_total", counter, "Rows dropped from memory.", NULL)                               \
	X(hits, "ping_engine_cache_hits_total", counter, "Rows that an event found in memory.", NULL)                            \
	X(assigned, "ping_engine_rebalanced_partitions_total", counter, "Partitions that came and went.",                        \
	  METRIC_LABELS({"how", "assigned"}))                                                                                    \
	X(revoked, "ping_engine_rebalanced_partitions_total", counter, "Partitions that came and went.",                         \
	  METRIC_LABELS({"how", "revoked"}))                                                                                     \
	X(lost, "ping_engine_rebalanced_partitions_total", counter, "Partitions that came and went.",                            \
	  METRIC_LABELS({"how", "lost"}))                                                                                        \
	X(rows, "ping_engine_cached_rows", gauge, "Rows in memory.", NULL)                                                       \
	X(dirty, "ping_engine_dirty_rows", gauge, "Rows in memory that are not in the store yet.", NULL)                         \
	X(partitions, "ping_engine_partitions", gauge, "Partitions of the log that this engine fills the store from.", NULL)     \
	X(fenced, "ping_engine_fenced_total", counter, "Partitions dropped as another engine has taken them.", NULL)             \
	X(refreshed, "ping_engine_refreshed_activities_total", counter, "Rolling 24 hours derived again as they were due.",      \
	  NULL)                                                                                                                  \
	X(repaired, "ping_store_repaired_counters_total", counter, "Counters that the sweep found wrong and put right.", NULL)   \
	X(rebuild_running, "ping_rebuild_running", gauge, "1 while rows are made anew from the ledger.", NULL)                   \
	X(rebuild_done, "ping_rebuild_passes_total", counter, "Passes over the ledger, each for one request and partition.",     \
	  METRIC_LABELS({"outcome", "done"}))                                                                                    \
	X(rebuild_put_aside, "ping_rebuild_passes_total", counter,                                                               \
	  "Passes over the ledger, each for one request and partition.", METRIC_LABELS({"outcome", "put_aside"}))                \
	X(rebuild_clients, "ping_rebuild_clients_total", counter, "Clients whose rows were made anew.", NULL)                    \
	X(rebuild_rows, "ping_rebuild_written_rows_total", counter, "Rows written or removed for that.", NULL)                   \
	X(rebuild_corrected, "ping_rebuild_corrected_rows_total", counter, "Of those, rows that had said something else.", NULL) \
	X(commit_failures, "ping_engine_commit_failures_total", counter, "Times that the group's offset could not be told.",     \
	  NULL)                                                                                                                  \
	X(writes, "ping_store_writes_total", counter, "Batches of rows written.", NULL)                                          \
	X(rows_written, "ping_store_written_rows_total", counter, "Rows written.", NULL)                                         \
	X(pruned, "ping_store_pruned_windows_total", counter, "Windows removed at the end of their retention.", NULL)            \
	X(cpu, "process_cpu_seconds_total", counter, "CPU time, user and system.", NULL)                                         \
	X(memory, "process_resident_memory_bytes", gauge, "Memory in RAM.", NULL)

enum sample {
#define SAMPLE_ENUM(name, metric, type, help, labels) SAMPLE_##name,
	SAMPLE_TABLE(SAMPLE_ENUM)
#undef SAMPLE_ENUM
		SAMPLE_COUNT,
};

struct telemetry {
	struct metrics *metrics;
	struct metric *batch_seconds, *batch_pings, *batches_kept, *batches_failed;
	struct publisher_metrics *publishers; /* NULL: there are none */
	struct engine_metrics *engine;	      /* the same */
	struct server_metrics *server;
	struct pipeline *pipeline;
	pthread_mutex_t lock; /* of samples, from taking them to rendering them */
	double samples[SAMPLE_COUNT];
};

static double read_sample(void *context)
{
	return *(const double *)context;
}

static void add_samples(struct telemetry *telemetry)
{
	struct metrics *metrics = telemetry->metrics;
#define SAMPLE_ADD(name, metric, type, help, labels) \
	metrics_add_##type##_callback(metrics, metric, help, labels, read_sample, &telemetry->samples[SAMPLE_##name]);
	SAMPLE_TABLE(SAMPLE_ADD)
#undef SAMPLE_ADD
	metric_set(metrics_add_gauge(metrics, "ping_build_info", "1; the version is in its label.",
				     METRIC_LABELS({"version", PING_VERSION})),
		   1);
}

static void add_batches(struct telemetry *telemetry)
{
	static const double bounds[] = {1, 4, 16, 64, 256, 1024, 4096, 16384};
	static const char help[] = "Transactions of the ledger.";
	telemetry->batch_seconds =
		metrics_add_histogram(telemetry->metrics, "ping_ingest_commit_seconds", "How long a batch took to commit.", NULL,
				      metric_seconds_bounds, metric_seconds_bound_count);
	telemetry->batch_pings =
		metrics_add_histogram(telemetry->metrics, "ping_ingest_batch_pings", "Pings that shared a transaction.", NULL,
				      bounds, sizeof bounds / sizeof *bounds);
	telemetry->batches_kept =
		metrics_add_counter(telemetry->metrics, "ping_ingest_batches_total", help, METRIC_LABELS({"outcome", "kept"}));
	telemetry->batches_failed =
		metrics_add_counter(telemetry->metrics, "ping_ingest_batches_total", help, METRIC_LABELS({"outcome", "failed"}));
}

enum error telemetry_create(const struct pingd_config *config, struct telemetry **ret_telemetry, struct error_note *note)
{
	struct telemetry *telemetry = calloc(1, sizeof *telemetry);
	if (telemetry == NULL)
		return ERROR_NO_MEMORY;
	pthread_mutex_init(&telemetry->lock, NULL);
	enum error error = metrics_create(&telemetry->metrics);
	if (error == ERROR_OK) {
		add_samples(telemetry);
		add_batches(telemetry);
		if (config->backends.log == PINGD_BACKEND_KAFKA)
			error = publisher_metrics_create(telemetry->metrics, config, &telemetry->publishers);
		if (error == ERROR_OK && config->role_stream && config->backends.log != PINGD_BACKEND_NONE &&
		    config->backends.store != PINGD_BACKEND_NONE)
			error = engine_metrics_create(telemetry->metrics, config, &telemetry->engine);
		error = error == ERROR_OK ? metrics_error(telemetry->metrics, note) : error;
	}
	if (error != ERROR_OK) {
		telemetry_destroy(telemetry);
		return error;
	}
	*ret_telemetry = telemetry;
	return ERROR_OK;
}

void telemetry_destroy(struct telemetry *telemetry)
{
	if (telemetry == NULL)
		return;
	metrics_destroy(telemetry->metrics);
	publisher_metrics_destroy(telemetry->publishers);
	engine_metrics_destroy(telemetry->engine);
	pthread_mutex_destroy(&telemetry->lock);
	server_metrics_destroy(telemetry->server);
	free(telemetry);
}

enum error telemetry_watch_calls(struct telemetry *telemetry, const struct rpc_method *methods, size_t count,
				 struct error_note *note)
{
	enum error error = server_metrics_create(telemetry->metrics, methods, count, &telemetry->server);
	return error == ERROR_OK ? metrics_error(telemetry->metrics, note) : error;
}

void telemetry_watch_pipeline(struct telemetry *telemetry, struct pipeline *pipeline)
{
	telemetry->pipeline = pipeline;
}

static double read_tls_expiry(void *context)
{
	return (double)tls_stats(context).expires_s;
}

static double read_tls_failures(void *context)
{
	return (double)tls_stats(context).failures;
}

void telemetry_watch_tls(struct telemetry *telemetry, struct tls *tls)
{
	metrics_add_gauge_callback(telemetry->metrics, "ping_tls_certificate_expiry_timestamp_seconds",
				   "When the certificate in force ends.", NULL, read_tls_expiry, tls);
	metrics_add_counter_callback(telemetry->metrics, "ping_tls_reload_failures_total",
				     "Times that changed certificates could not be used, and the old ones stayed.", NULL,
				     read_tls_failures, tls);
}

struct server_metrics *telemetry_server(struct telemetry *telemetry)
{
	return telemetry->server;
}

void telemetry_batch(struct telemetry *telemetry, size_t pings, int64_t took_us, enum error error)
{
	metric_count(error == ERROR_OK ? telemetry->batches_kept : telemetry->batches_failed, 1);
	metric_observe(telemetry->batch_seconds, (double)took_us / 1e6);
	metric_observe(telemetry->batch_pings, (double)pings);
}

void telemetry_call(struct telemetry *telemetry, enum timed_call call, size_t rows, int64_t took_us, enum error error)
{
	publisher_metrics_called(telemetry->publishers, call, took_us, error);
	if (call == TIMED_LEDGER_COMMIT)
		telemetry_batch(telemetry, rows, took_us, error);
}

void telemetry_store_call(struct telemetry *telemetry, enum store_call call, size_t rows, int64_t took_us, enum error error)
{
	engine_metrics_called(telemetry->engine, call, rows, took_us, error);
}

/* ─── Samples ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void sample_ingest(double *samples, struct pipeline *pipeline)
{
	struct ingest_stats ingest = pipeline_ingest_stats(pipeline);
	samples[SAMPLE_accepted] = (double)ingest.accepted;
	samples[SAMPLE_duplicates] = (double)ingest.duplicates;
	samples[SAMPLE_failed] = (double)ingest.failed;
	samples[SAMPLE_rejected] = (double)ingest.rejected;
	samples[SAMPLE_depth] = (double)ingest.depth;
	samples[SAMPLE_watchers] = (double)pipeline_watchers(pipeline);
}

static void sample_backend(double *samples, struct pipeline *pipeline)
{
	struct backend_counts counts = pipeline_backend_counts(pipeline);
	samples[SAMPLE_connected] = (double)counts.connected;
	samples[SAMPLE_not_connected] = (double)counts.not_connected;
	samples[SAMPLE_log_troubles] = (double)counts.log_troubles;
}

static void sample_publishers(struct telemetry *telemetry)
{
	double *samples = telemetry->samples;
	struct publishers *publishers = pipeline_publishers(telemetry->pipeline);
	if (publishers == NULL)
		return;
	publisher_metrics_sample(telemetry->publishers, publishers);
	struct publishers_totals totals = publishers_totals(publishers);
	samples[SAMPLE_publishers] = (double)totals.count;
	samples[SAMPLE_publishers_ready] = (double)totals.ready;
	samples[SAMPLE_published] = (double)totals.batches;
	samples[SAMPLE_publish_failed] = (double)totals.failed;
	samples[SAMPLE_publish_unknown] = (double)totals.unknown;
	samples[SAMPLE_publish_aborted] = (double)totals.aborted;
	samples[SAMPLE_publish_recovered] = (double)totals.recovered;
	samples[SAMPLE_publish_fenced] = (double)totals.fenced;
	samples[SAMPLE_publish_retries] = (double)totals.retries;
	samples[SAMPLE_publish_lost] = (double)totals.lost;
}

static void sample_stream(struct telemetry *telemetry, struct pipeline *pipeline)
{
	double *samples = telemetry->samples;
	struct stream_status stream;
	int64_t lag_events;
	if (!pipeline_stream_status(pipeline, &stream, &lag_events))
		return;
	samples[SAMPLE_lag] = (double)lag_events;
	samples[SAMPLE_newest] = (double)stream.newest_applied_ms / 1e3;
	samples[SAMPLE_running] = stream.state == STREAM_RUNNING;
	samples[SAMPLE_waiting] = stream.state == STREAM_WAITING;
	samples[SAMPLE_applied] = (double)stream.engine.applied;
	samples[SAMPLE_skipped] = (double)stream.engine.skipped;
	samples[SAMPLE_expired] = (double)stream.engine.expired;
	samples[SAMPLE_loads] = (double)stream.engine.loads;
	samples[SAMPLE_evictions] = (double)stream.engine.evictions;
	samples[SAMPLE_hits] = (double)stream.engine.hits;
	samples[SAMPLE_assigned] = (double)stream.assigned;
	samples[SAMPLE_revoked] = (double)stream.revoked;
	samples[SAMPLE_lost] = (double)stream.lost;
	samples[SAMPLE_rows] = (double)stream.engine.rows;
	samples[SAMPLE_dirty] = (double)stream.engine.dirty_rows;
	samples[SAMPLE_partitions] = (double)stream.partition_count;
	samples[SAMPLE_fenced] = (double)stream.fenced;
	samples[SAMPLE_refreshed] = (double)stream.refreshed;
	samples[SAMPLE_repaired] = (double)stream.repaired;
	samples[SAMPLE_rebuild_running] = stream.rebuild.running;
	samples[SAMPLE_rebuild_done] = (double)stream.rebuild.done;
	samples[SAMPLE_rebuild_put_aside] = (double)stream.rebuild.put_aside;
	samples[SAMPLE_rebuild_clients] = (double)stream.rebuild.clients;
	samples[SAMPLE_rebuild_rows] = (double)stream.rebuild.rows;
	samples[SAMPLE_rebuild_corrected] = (double)stream.rebuild.corrected;
	samples[SAMPLE_commit_failures] = (double)stream.commit_failures;
	samples[SAMPLE_writes] = (double)stream.writes;
	samples[SAMPLE_rows_written] = (double)stream.rows_written;
	samples[SAMPLE_pruned] = (double)stream.pruned;
	engine_metrics_sample(telemetry->engine, &stream);
}

/* proc(5): the second number of statm is the resident pages. */
static void sample_process(double *samples)
{
	struct timespec cpu;
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
		samples[SAMPLE_cpu] = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
	FILE *file = fopen("/proc/self/statm", "re");
	if (file == NULL)
		return;
	long long pages;
	if (fscanf(file, "%*s %lld", &pages) == 1)
		samples[SAMPLE_memory] = (double)pages * (double)sysconf(_SC_PAGESIZE);
	fclose(file);
}

enum error telemetry_render(struct telemetry *telemetry, struct buffer *output)
{
	pthread_mutex_lock(&telemetry->lock);
	if (telemetry->pipeline != NULL) {
		sample_ingest(telemetry->samples, telemetry->pipeline);
		sample_backend(telemetry->samples, telemetry->pipeline);
		sample_publishers(telemetry);
		sample_stream(telemetry, telemetry->pipeline);
	}
	sample_process(telemetry->samples);
	enum error error = metrics_render(telemetry->metrics, output);
	pthread_mutex_unlock(&telemetry->lock);
	return error;
}
