/* What stands behind the API of one process, put together: ledger, log and store by their adapters, and the threads that move
 * pings from one to the next.
 *
 *   publisher's thread   ingest ──► ledger              role api
 *   or publishers        ingest ──► ledger and log      role api, where those are two systems
 *   query workers        ledger, store ──► answers      role api
 *   stream's thread      log ──► engine ──► store       role stream
 *   follower's thread    log, store ──► who watches     role api, where other processes may have the engine
 */
#ifndef PING_APP_PIPELINE_H
#define PING_APP_PIPELINE_H

#include "app/publishers.h"
#include "app/timed_store.h"
#include "service/service.h"
#include "stream/stream.h"

struct pipeline;

struct pipeline_observer {
	/* On the publisher's thread, of each batch that was appended or failed. */
	void (*batch)(void *context, size_t pings, int64_t took_us, enum error error);
	/* Instead, where ledger and log are two systems: on a publisher's thread, of each call to one of them. */
	void (*called)(void *context, enum timed_call call, size_t rows, int64_t took_us, enum error error);
	/* On the engine's thread, of each call to the store. */
	void (*stored)(void *context, enum store_call call, size_t rows, int64_t took_us, enum error error);
	/* From any thread: a server that came after the start is not as configured, or refuses us. A person must act. */
	void (*failed)(void *context, enum error error, const struct error_note *note);
	void *context;
};

/* Opens everything, then starts the threads. PostgreSQL or Kafka that is away is no error: it is waited for. The config must
 * outlive it. The note names the file and the way out. */
enum error pipeline_start(const struct pingd_config *config, const struct pipeline_observer *observer,
			  struct pipeline **ret_pipeline, struct error_note *note);
/* No call may be in work any more. What was accepted is kept and brought into the metrics first: the latter for at most
 * drain-timeout, the rest follows at the next start. */
void pipeline_stop(struct pipeline *pipeline);

struct service *pipeline_service(struct pipeline *pipeline);
struct health *pipeline_health(struct pipeline *pipeline);
/* Any thread. */
struct ingest_stats pipeline_ingest_stats(struct pipeline *pipeline);
/* Streams of WatchWindowStats. */
size_t pipeline_watchers(struct pipeline *pipeline);
/* NULL: there are none. */
struct publishers *pipeline_publishers(struct pipeline *pipeline);
struct backend_counts pipeline_backend_counts(const struct pipeline *pipeline);
/* False where this process has no stream role. ret_lag_events: kept, and not in the store yet. */
bool pipeline_stream_status(struct pipeline *pipeline, struct stream_status *ret_status, int64_t *ret_lag_events);

#endif
