#include "app/pipeline.h"

#include "app/backend.h"
#include "app/ledger_retention.h"
#include "app/observed_ledger.h"
#include "app/preparation.h"
#include "app/publishers.h"
#include "app/watch_follow.h"
#include "port/positions.h"
#include "base/log.h"
#include "service/watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	PUBLISHER_WAIT_MS = 1000, /* how soon an idle publisher prunes keys, or probes a ledger that failed */
	START_PATIENCE_MS = 2000, /* how long the start waits for a ledger that is a server */
	STREAM_WAIT_MS = 100,
	FAR_BEHIND_EVENTS = 100000, /* seconds of work: worth a line in the log, every so often */
};
#define TELL_LAG_US INT64_C(10000000)

static const char ledger_name[] = "ledger", log_name[] = "log", store_name[] = "store", engine_name[] = "engine";

struct pipeline {
	const struct pingd_config *config;
	struct clock *clock;
	struct pipeline_observer observer;
	struct pipeline_status_source status; /* what the service asks */
	struct backend *backend;
	struct health *health;
	struct ledger *ledger; /* NULL: publishers have their own */
	struct ingest *ingest;
	struct preparation *preparation;    /* of a ledger that is a server; NULL: none, or the publishers have their own */
	struct publishers *publishers;	    /* NULL: one thread appends to the ledger */
	struct ledger_retention *retention; /* NULL: pings are kept for ever */
	struct log_reader *log;
	struct store *store;
	struct rebuild_source *rebuild_source; /* NULL: no ledger, or no stream */
	struct watch_hub *hub;
	struct watch_follow *follow; /* NULL: what the hub tells is written here */
	struct stream *stream;	     /* NULL: no stream role */
	struct workers *workers;
	struct service *service;
	pthread_t publisher, streamer;
	bool publisher_runs, streamer_runs;
	bool ledger_failed;				    /* the publisher's */
	enum error told;				    /* the streamer's: the error that was logged last */
	int64_t tell_lag_us;				    /* the streamer's: not again before */
	struct rebuild_stats told_rebuild;		    /* the streamer's: as it was last said */
	_Atomic int64_t reads, reads_us, writes, writes_us; /* of the store, by the streamer */
	atomic_bool publisher_closes, streamer_closes;
};

static bool has_log(const struct pipeline *pipeline)
{
	return pipeline->config->backends.log != PINGD_BACKEND_NONE;
}

static bool has_store(const struct pipeline *pipeline)
{
	return pipeline->config->backends.store != PINGD_BACKEND_NONE;
}

/* Ledger and log are two systems. */
static bool publishes(const struct pipeline *pipeline)
{
	return pipeline->config->backends.log == PINGD_BACKEND_KAFKA;
}

/* A ledger of one thread's that is not embedded. */
static bool is_server(const struct pipeline *pipeline)
{
	return !publishes(pipeline) && pipeline->config->backends.ledger == PINGD_BACKEND_POSTGRES;
}

/* Without a log, or with no store to fill, there is nothing to stream. */
static bool streams(const struct pipeline *pipeline)
{
	return pipeline->config->role_stream && has_log(pipeline) && has_store(pipeline);
}

/* Who watches is told of what any engine writes, wherever it runs. */
static bool follows(const struct pipeline *pipeline)
{
	return backend_is_followed(pipeline->config);
}

/* ─── Publisher ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Embedded, the log is the ledger: they are well together. */
static void set_ledger_health(struct pipeline *pipeline, enum health_state state, const char *detail)
{
	health_set(pipeline->health, ledger_name, state, detail);
	health_set(pipeline->health, log_name, state, detail);
}

static void on_appended(void *context, size_t count, int64_t took_us, enum error error, const struct error_note *note)
{
	struct pipeline *pipeline = context;
	const char *text = note != NULL && note->text[0] != 0 ? note->text : error_text(error);
	if (error != ERROR_OK) {
		log_limited(LOG_ERROR, "the ledger failed", log_error(error), log_text("detail", text),
			    log_int("pings", (int64_t)count));
		set_ledger_health(pipeline, HEALTH_DOWN, text);
	} else if (pipeline->ledger_failed) {
		log_event(LOG_INFO, "the ledger is well again");
		set_ledger_health(pipeline, HEALTH_OK, NULL);
	}
	pipeline->ledger_failed = error != ERROR_OK;
	pipeline->observer.batch(pipeline->observer.context, count, took_us, error);
}

static void *publisher_main(void *context)
{
	struct pipeline *pipeline = context;
	if (pipeline->preparation != NULL && !preparation_await(&pipeline->preparation, 1, pipeline->ingest))
		return NULL;
	for (;;) {
		bool closing = atomic_load(&pipeline->publisher_closes);
		if (ingest_step(pipeline->ingest))
			continue;
		if (closing)
			return NULL;
		/* Pings stay away from a process that is not ready, so it must find out by itself. */
		if (pipeline->ledger_failed)
			pipeline->ledger->vtable->probe(pipeline->ledger, &(struct error_note){0});
		ingest_wait(pipeline->ingest, PUBLISHER_WAIT_MS);
	}
}

static struct ingest_config ingest_config_from(const struct pingd_config *config)
{
	return (struct ingest_config){
		.max_queue = (size_t)config->ingest_queue,
		.max_batch = (size_t)config->ingest_batch,
		.idempotency_retention_ms = config->idempotency_retention_ms,
	};
}

static enum error open_ledger(struct pipeline *pipeline, struct error_note *note)
{
	const struct ingest_config config = ingest_config_from(pipeline->config);
	if (publishes(pipeline))
		return ingest_create(&config, pipeline->clock, &pipeline->ingest);
	const struct ledger_observer observer = {on_appended, pipeline};
	struct ledger *inner;
	enum error error = backend_open_ledger(pipeline->backend, &inner, note);
	if (error != ERROR_OK)
		return error;
	error = observed_ledger_create(inner, pipeline->clock, &observer, &pipeline->ledger);
	if (error != ERROR_OK) {
		inner->vtable->close(inner);
		return error;
	}
	return is_server(pipeline)
		       ? ingest_create_waiting(&config, pipeline->ledger, pipeline->clock, random_system(), &pipeline->ingest)
		       : ingest_create_simple(&config, pipeline->ledger, pipeline->clock, random_system(), &pipeline->ingest,
					      note);
}

static enum error prepare(void *context, struct error_note *note)
{
	struct pipeline *pipeline = context;
	enum error error = backend_prepare_ledger(pipeline->backend, note);
	return error == ERROR_OK ? ingest_begin(pipeline->ingest, note) : error;
}

static void on_prepared(void *context, enum error error, bool ended, const struct error_note *note)
{
	struct pipeline *pipeline = context;
	set_ledger_health(pipeline, error == ERROR_OK ? HEALTH_OK : HEALTH_DOWN, error == ERROR_OK ? NULL : note->text);
	if (error != ERROR_OK && ended)
		pipeline->observer.failed(pipeline->observer.context, error, note);
}

/* A server that is away is waited for behind the start; what is configured wrongly ends it. */
static enum error prepare_ledger(struct pipeline *pipeline, struct error_note *note)
{
	const struct preparation_config config = {
		.what = ledger_name, .attempt = prepare, .told = on_prepared, .context = pipeline};
	enum error error = preparation_start(&config, &pipeline->preparation);
	if (error == ERROR_OK)
		error = preparation_wait(&pipeline->preparation, 1, START_PATIENCE_MS, note);
	return error == ERROR_UNAVAILABLE ? ERROR_OK : error;
}

/* ─── Stream ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void tell_stream(struct pipeline *pipeline)
{
	struct stream_status status;
	stream_status(pipeline->stream, &status);
	const char *text = status.note.text[0] != 0 ? status.note.text : error_text(status.error);
	enum error told = status.state == STREAM_RUNNING ? ERROR_OK : status.error;
	health_set(pipeline->health, engine_name,
		   status.state == STREAM_RUNNING   ? HEALTH_OK
		   : status.state == STREAM_STOPPED ? HEALTH_DOWN
						    : HEALTH_DEGRADED,
		   told == ERROR_OK ? NULL : text);
	if (told == pipeline->told)
		return;
	if (told == ERROR_OK)
		log_event(LOG_INFO, "the engine goes on");
	else
		log_event(told == ERROR_HELD ? LOG_INFO : LOG_ERROR, "the engine waits", log_error(told),
			  log_text("detail", text), log_text("state", stream_state_name(status.state)));
	pipeline->told = told;
}

static void tell_rebuild(struct pipeline *pipeline)
{
	struct stream_status status;
	stream_status(pipeline->stream, &status);
	const struct rebuild_stats *now = &status.rebuild, *told = &pipeline->told_rebuild;
	if (now->done > told->done)
		log_event(LOG_INFO, "metrics were rebuilt", log_int("partition", told->partition),
			  log_int("rows", (int64_t)now->rows), log_int("corrected", (int64_t)now->corrected));
	if (now->running && (!told->running || now->partition != told->partition))
		log_event(LOG_INFO, "metrics are being rebuilt", log_int("partition", now->partition));
	pipeline->told_rebuild = *now;
}

/* A long way to go, as after metrics.db was moved away, is not silence. */
static void tell_lag(struct pipeline *pipeline)
{
	struct stream_status status;
	int64_t lag_events, now_us = clock_monotonic_us(pipeline->clock);
	if (now_us < pipeline->tell_lag_us || !pipeline_stream_status(pipeline, &status, &lag_events) ||
	    status.state != STREAM_RUNNING || lag_events < FAR_BEHIND_EVENTS)
		return;
	log_event(LOG_INFO, "the engine catches up", log_int("events_left", lag_events));
	pipeline->tell_lag_us = now_us + TELL_LAG_US;
}

/* Everything that was accepted. But what is in Kafka another engine goes on with, or this one at its next start: they should not
 * wait for a backlog. */
static void finish_stream(struct pipeline *pipeline)
{
	enum { HAND_OVER_MS = 1000 };
	const struct pingd_config *config = pipeline->config;
	bool hands_over = config->backends.log == PINGD_BACKEND_KAFKA && config->drain_timeout_ms > HAND_OVER_MS;
	stream_finish(pipeline->stream, hands_over ? HAND_OVER_MS : config->drain_timeout_ms, NULL);
}

/* The store's schema, as soon as its server is there. False: pingd is to stop. */
static bool prepare_store(struct pipeline *pipeline)
{
	enum { PAUSE_MS = 1000 };
	for (enum error told = ERROR_OK; !atomic_load(&pipeline->streamer_closes);) {
		struct error_note note = {""};
		enum error error = backend_prepare_store(pipeline->backend, &note);
		if (error == ERROR_OK)
			return true;
		health_set(pipeline->health, engine_name, HEALTH_DOWN, note.text);
		if (error != told)
			log_event(LOG_ERROR, "the store's schema is not ready", log_error(error), log_text("detail", note.text));
		told = error;
		clock_sleep_ms(PAUSE_MS);
	}
	return false;
}

static void *streamer_main(void *context)
{
	struct pipeline *pipeline = context;
	if (!prepare_store(pipeline))
		return NULL;
	while (!atomic_load(&pipeline->streamer_closes)) {
		enum error error = stream_step(pipeline->stream, STREAM_WAIT_MS, NULL);
		tell_stream(pipeline);
		tell_lag(pipeline);
		tell_rebuild(pipeline);
		if (error != ERROR_OK) {
			int pause_ms = stream_pause_ms(pipeline->stream);
			clock_sleep_ms(pause_ms < STREAM_WAIT_MS ? pause_ms : STREAM_WAIT_MS);
		}
	}
	finish_stream(pipeline);
	return NULL;
}

static void on_written(void *context, const struct engine_dirty *dirty)
{
	struct pipeline *pipeline = context;
	if (!follows(pipeline))
		watch_publish(pipeline->hub, dirty->windows, dirty->window_count);
}

static void on_store_call(void *context, enum store_call call, size_t rows, int64_t took_us, enum error error)
{
	struct pipeline *pipeline = context;
	bool reads = call == STORE_CALL_READ_WINDOWS || call == STORE_CALL_READ_DAYS || call == STORE_CALL_READ_CLIENTS;
	if (reads) {
		pipeline->reads++;
		pipeline->reads_us += took_us;
	} else if (call == STORE_CALL_WRITE) {
		pipeline->writes++;
		pipeline->writes_us += took_us;
	}
	pipeline->observer.stored(pipeline->observer.context, call, rows, took_us, error);
}

static enum error time_store(struct pipeline *pipeline)
{
	const struct store_observer observer = {on_store_call, pipeline};
	struct store *timed;
	enum error error = timed_store_create(pipeline->store, pipeline->clock, &observer, &timed);
	if (error == ERROR_OK)
		pipeline->store = timed;
	return error;
}

static enum error open_stream(struct pipeline *pipeline, struct error_note *note)
{
	enum error error = backend_open_log(pipeline->backend, &pipeline->log, note);
	if (error == ERROR_OK)
		error = time_store(pipeline);
	if (error != ERROR_OK)
		return error;
	error = backend_open_rebuild_source(pipeline->config, &pipeline->rebuild_source);
	if (error != ERROR_OK)
		return error;
	const struct stream_config config = {
		.engine = {.max_rows = (size_t)pipeline->config->engine_rows,
			   .window_retention_ms = pipeline->config->window_retention_ms},
		.flush_interval_ms = (int)pipeline->config->flush_interval_ms,
	};
	const struct stream_ports ports = {
		.log = pipeline->log,
		.store = pipeline->store,
		.clock = pipeline->clock,
		.random = random_system(),
		.on_written = on_written,
		.context = pipeline,
		.rebuild_source = pipeline->rebuild_source,
	};
	return stream_create(&config, &ports, &pipeline->stream, note);
}

/* ─── Queries ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error open_ledger_reader(void *context, struct ledger_reader **ret_reader, struct error_note *note)
{
	return backend_open_ledger_reader(((struct pipeline *)context)->config, ret_reader, note);
}

static enum error open_store_reader(void *context, struct store_reader **ret_reader, struct error_note *note)
{
	return backend_open_store_reader(((struct pipeline *)context)->config, ret_reader, note);
}

static void on_read(void *context, const char *port, enum error error, const struct error_note *note)
{
	struct pipeline *pipeline = context;
	bool is_store = strcmp(port, store_name) == 0;
	const char *text = note != NULL && note->text[0] != 0 ? note->text : error_text(error);
	if (error != ERROR_OK)
		log_limited(LOG_ERROR, "a query failed", log_text("port", port), log_error(error), log_text("detail", text));
	/* The ledger's health is what the publisher finds: pings matter more than counts. */
	if (is_store)
		health_set(pipeline->health, store_name, error == ERROR_OK ? HEALTH_OK : HEALTH_DOWN,
			   error == ERROR_OK ? NULL : text);
}

/* Positions are counted on from the other. Embedded, a position is a rowid: they count from 1 without a gap. In Kafka offsets
 * count from 0, markers and what was aborted have one too, and the log epoch stands above it. */
static int64_t distance(const struct pipeline *pipeline, int64_t from, int64_t to)
{
	if (to <= from)
		return 0;
	if (from >= 0 && position_epoch(to) == position_epoch(from))
		return to - from;
	return position_offset(to) + (publishes(pipeline) ? 1 : 0);
}

/* Events that were kept and are not in the store yet. */
static int64_t lag_of(struct pipeline *pipeline, const struct stream_status *status)
{
	int64_t log_end = backend_log_end(pipeline->backend), lag = 0;
	for (size_t i = 0; i < status->partition_count; i++) {
		const struct stream_partition *partition = &status->partitions[i];
		int64_t end = partition->end_position > log_end ? partition->end_position : log_end;
		lag += distance(pipeline, partition->stored_position, end);
	}
	return status->partition_count > 0 || log_end < 0 ? lag : log_end;
}

static double ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

static void read_engine(struct pipeline *pipeline, const struct stream_status *stream, struct pipeline_status *ret_status)
{
	ret_status->has_engine = true;
	ret_status->cache_hit_ratio = ratio((double)stream->engine.hits, (double)(stream->engine.hits + stream->engine.loads));
	ret_status->rows_per_flush = ratio((double)stream->rows_written, (double)stream->writes);
	ret_status->store_read_ms = ratio((double)pipeline->reads_us / 1e3, (double)pipeline->reads);
	ret_status->store_write_ms = ratio((double)pipeline->writes_us / 1e3, (double)pipeline->writes);
	ret_status->rebalanced_partitions = (int64_t)(stream->assigned + stream->revoked + stream->lost);
	ret_status->repaired_rows = (int64_t)stream->repaired;
	ret_status->partition_count = stream->partition_count;
	for (size_t i = 0; i < stream->partition_count; i++) {
		const struct stream_partition *from = &stream->partitions[i];
		ret_status->partitions[i] =
			(struct pipeline_partition){.partition = from->partition,
						    .lag_events = distance(pipeline, from->stored_position, from->end_position),
						    .applied_events = (int64_t)from->events,
						    .newest_applied_ms = from->newest_applied_ms};
	}
}

static void read_status(struct pipeline_status_source *source, struct pipeline_status *ret_status)
{
	struct pipeline *pipeline = (struct pipeline *)((char *)source - offsetof(struct pipeline, status));
	ret_status->version = PING_VERSION;
	struct backend_names names = backend_names(pipeline->config);
	ret_status->ledger = names.ledger;
	ret_status->log = names.log;
	ret_status->store = names.store;
	struct stream_status stream;
	if (pipeline_stream_status(pipeline, &stream, &ret_status->lag_events)) {
		if (stream.state != STREAM_WAITING)
			ret_status->engine = "native";
		ret_status->newest_applied_ms = stream.newest_applied_ms;
		read_engine(pipeline, &stream, ret_status);
	}
}

static enum error open_service(struct pipeline *pipeline)
{
	const struct workers_config workers = {
		.threads = (size_t)pipeline->config->query_threads,
		.clock = pipeline->clock,
		.open_ledger = open_ledger_reader,
		.open_store = has_store(pipeline) ? open_store_reader : NULL,
		.observe = on_read,
		.context = pipeline,
	};
	enum error error = workers_create(&workers, &pipeline->workers);
	if (error != ERROR_OK)
		return error;
	pipeline->status.read = read_status;
	const struct service_config service = {
		.clock = pipeline->clock,
		.ingest = pipeline->ingest,
		.workers = pipeline->workers,
		.health = pipeline->health,
		.status = &pipeline->status,
		.hub = pipeline->hub,
		.bare = !pipeline->config->role_api,
		.watch_heartbeat_ms = pipeline->config->watch_heartbeat_ms,
		.max_future_skew_ms = pipeline->config->max_future_skew_ms,
	};
	return service_create(&service, &pipeline->service);
}

/* ─── The whole ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A probe must not take the API away because the metrics are: those are required only of a process that does nothing else. */
static enum error open_health(struct pipeline *pipeline)
{
	bool api = pipeline->config->role_api;
	enum error error = health_create(pipeline->clock, &pipeline->health);
	if (error == ERROR_OK && !publishes(pipeline)) /* else publishers add what they need */
		error = health_add(pipeline->health, ledger_name, true);
	if (error == ERROR_OK && !publishes(pipeline) && has_log(pipeline))
		error = health_add(pipeline->health, log_name, !api);
	if (error == ERROR_OK)
		error = has_store(pipeline) ? health_add(pipeline->health, store_name, !api) : ERROR_OK;
	if (error == ERROR_OK && streams(pipeline))
		error = health_add(pipeline->health, engine_name, !api);
	return error;
}

static enum error open_parts(struct pipeline *pipeline, struct error_note *note)
{
	enum error error = open_health(pipeline);
	if (error == ERROR_OK)
		error = backend_open(pipeline->config, &pipeline->backend, note);
	if (error == ERROR_OK)
		error = open_ledger(pipeline, note);
	if (error == ERROR_OK && has_store(pipeline))
		error = backend_open_store(pipeline->backend, &pipeline->store, note);
	if (error == ERROR_OK && (streams(pipeline) || follows(pipeline)))
		error = watch_hub_create(random_system(), &pipeline->hub);
	if (error == ERROR_OK && streams(pipeline))
		error = open_stream(pipeline, note);
	if (error == ERROR_OK)
		error = open_service(pipeline);
	if (error != ERROR_OK)
		return error;
	if (pipeline->config->backends.ledger == PINGD_BACKEND_NONE)
		log_event(LOG_INFO, "without a ledger: metrics are made, their audit and rebuild need --ledger elsewhere");
	if (!publishes(pipeline) && !is_server(pipeline)) /* else those tell who prepare it */
		set_ledger_health(pipeline, HEALTH_OK, NULL);
	health_set(pipeline->health, store_name, HEALTH_OK, NULL);
	return ERROR_OK;
}

/* A process that takes no pings needs none: it would hold slots for nothing. */
static enum error start_publishers(struct pipeline *pipeline, struct error_note *note)
{
	const struct publishers_observer observer = {.ports = {pipeline->observer.called, pipeline->observer.context},
						     .failed = pipeline->observer.failed};
	return pipeline->config->role_api ? publishers_start(pipeline->config, pipeline->backend, pipeline->ingest, &observer,
							     pipeline->health, &pipeline->publishers, note)
					  : ERROR_OK;
}

static enum error start_publisher(struct pipeline *pipeline, struct error_note *note)
{
	enum error error = is_server(pipeline) ? prepare_ledger(pipeline, note) : ERROR_OK;
	if (error != ERROR_OK)
		return error;
	pipeline->publisher_runs = pthread_create(&pipeline->publisher, NULL, publisher_main, pipeline) == 0;
	return pipeline->publisher_runs ? ERROR_OK : ERROR_RESOURCE_EXHAUSTED;
}

static enum error start_threads(struct pipeline *pipeline, struct error_note *note)
{
	enum error error = publishes(pipeline) ? start_publishers(pipeline, note) : start_publisher(pipeline, note);
	if (error == ERROR_OK)
		error = ledger_retention_start(pipeline->config, &pipeline->retention);
	if (error == ERROR_OK && follows(pipeline))
		error = watch_follow_start(pipeline->config, pipeline->backend, pipeline->hub, &pipeline->follow, note);
	if (error != ERROR_OK || pipeline->stream == NULL)
		return error;
	pipeline->streamer_runs = pthread_create(&pipeline->streamer, NULL, streamer_main, pipeline) == 0;
	return pipeline->streamer_runs ? ERROR_OK : ERROR_RESOURCE_EXHAUSTED;
}

enum error pipeline_start(const struct pingd_config *config, const struct pipeline_observer *observer,
			  struct pipeline **ret_pipeline, struct error_note *note)
{
	struct pipeline *pipeline = calloc(1, sizeof *pipeline);
	if (pipeline == NULL)
		return ERROR_NO_MEMORY;
	pipeline->config = config;
	pipeline->clock = clock_system();
	pipeline->observer = *observer;
	enum error error = open_parts(pipeline, note);
	if (error == ERROR_OK)
		error = start_threads(pipeline, note);
	if (error != ERROR_OK) {
		pipeline_stop(pipeline);
		return error;
	}
	*ret_pipeline = pipeline;
	return ERROR_OK;
}

void pipeline_stop(struct pipeline *pipeline)
{
	atomic_store(&pipeline->publisher_closes, true);
	if (pipeline->ingest != NULL)
		ingest_close(pipeline->ingest);
	if (pipeline->publisher_runs)
		pthread_join(pipeline->publisher, NULL);
	preparation_stop(pipeline->preparation);
	ledger_retention_stop(pipeline->retention);
	if (pipeline->publishers != NULL)
		publishers_stop(pipeline->publishers);
	/* Only now: what the publisher still kept, the stream still sees. */
	atomic_store(&pipeline->streamer_closes, true);
	if (pipeline->streamer_runs)
		pthread_join(pipeline->streamer, NULL);
	watch_follow_stop(pipeline->follow);
	if (pipeline->workers != NULL)
		workers_destroy(pipeline->workers);
	if (pipeline->service != NULL)
		service_destroy(pipeline->service);
	if (pipeline->stream != NULL)
		stream_destroy(pipeline->stream);
	if (pipeline->rebuild_source != NULL)
		pipeline->rebuild_source->vtable->close(pipeline->rebuild_source);
	if (pipeline->hub != NULL)
		watch_hub_destroy(pipeline->hub);
	if (pipeline->log != NULL)
		pipeline->log->vtable->close(pipeline->log);
	if (pipeline->store != NULL)
		pipeline->store->vtable->close(pipeline->store);
	if (pipeline->ingest != NULL)
		ingest_destroy(pipeline->ingest);
	if (pipeline->ledger != NULL)
		pipeline->ledger->vtable->close(pipeline->ledger);
	backend_close(pipeline->backend);
	if (pipeline->health != NULL)
		health_destroy(pipeline->health);
	free(pipeline);
}

struct service *pipeline_service(struct pipeline *pipeline)
{
	return pipeline->service;
}

struct health *pipeline_health(struct pipeline *pipeline)
{
	return pipeline->health;
}

struct ingest_stats pipeline_ingest_stats(struct pipeline *pipeline)
{
	return ingest_stats(pipeline->ingest);
}

struct backend_counts pipeline_backend_counts(const struct pipeline *pipeline)
{
	return backend_counts(pipeline->backend);
}

struct publishers *pipeline_publishers(struct pipeline *pipeline)
{
	return pipeline->publishers;
}

size_t pipeline_watchers(struct pipeline *pipeline)
{
	return pipeline->hub == NULL ? 0 : watch_hub_count(pipeline->hub);
}

bool pipeline_stream_status(struct pipeline *pipeline, struct stream_status *ret_status, int64_t *ret_lag_events)
{
	if (pipeline->stream == NULL)
		return false;
	stream_status(pipeline->stream, ret_status);
	*ret_lag_events = lag_of(pipeline, ret_status);
	return true;
}
