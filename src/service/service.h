/* PingService and MetricsService: what each RPC of ping/v1/ping.proto does, as handlers for rpc/call.h; and gRPC's Health.
 *
 *   Ping            checked on the call's thread ─► ingest ─► publisher's thread ─► posted back ─► answered
 *   WatchWindowStats     the stream's thread ─► watch_hub ─► each watcher's loop (service/watch_stream.h)
 *   everything else                     workers: a reader's answer, made in the call's arena ─► posted back ─► answered
 *
 * Texts of INVALID_ARGUMENT and FAILED_PRECONDITION name the field, the value and what is taken; those of other errors are the
 * table's, as the details (files, hosts) are for the operator: workers_config.observe and health have them.
 */
#ifndef PING_SERVICE_SERVICE_H
#define PING_SERVICE_SERVICE_H

#include "ingest/ingest.h"
#include "rpc/call.h"
#include "service/health.h"
#include "service/watch.h"
#include "service/workers.h"
#include "stream/stream.h"

struct service;

/* What GetPipelineStatus tells beside the store's totals and the health. Strings must be static or outlive the service. */
struct pipeline_status {
	const char *version;
	const char *ledger, *log, *store, *engine; /* adapters' and engine's names; "": none (here) */
	int64_t lag_events, newest_applied_ms, dead_letters;
	bool has_engine; /* else what follows says nothing */
	struct pipeline_partition {
		int32_t partition;
		int64_t lag_events, applied_events, newest_applied_ms;
	} partitions[STREAM_MAX_PARTITIONS];
	size_t partition_count;
	double cache_hit_ratio, rows_per_flush, store_read_ms, store_write_ms;
	int64_t rebalanced_partitions, repaired_rows;
};
struct pipeline_status_source {
	/* Fills in what it knows; zeroed and "" before. Any thread; must not block. */
	void (*read)(struct pipeline_status_source *source, struct pipeline_status *status);
};

/* All of it must outlive the service. */
struct service_config {
	struct clock *clock;
	struct ingest *ingest;
	struct workers *workers;
	struct health *health;
	struct pipeline_status_source *status;
	struct watch_hub *hub;	    /* NULL: nobody tells of metrics here */
	int64_t watch_heartbeat_ms; /* 0: 15 s */
	bool bare;		    /* this process does not serve the API: Health alone */
	int64_t max_future_skew_ms; /* how far ahead of this clock a client's may be */
};

/* ERROR_NO_MEMORY. */
enum error service_create(const struct service_config *config, struct service **ret_service);
/* Streams that have no end of their own get one, so that who watches goes elsewhere. Any thread. */
void service_drain(struct service *service);
/* Every call must be answered. */
void service_destroy(struct service *service);
/* One for each RPC of both services, unless bare, and of grpc.health.v1.Health; the array lives as long as the service. */
const struct rpc_method *service_methods(const struct service *service, size_t *ret_count);

#endif
