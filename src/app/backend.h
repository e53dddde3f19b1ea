/* The adapters that the config's URLs choose, opened. Nothing else in the program knows which they are.
 *
 *   backends       sqlite            postgres          postgres and kafka
 *   ledger         ledger.db         pings             pings, in batches of slots
 *   log            the ledger        —                 raw-pings
 *   store          metrics.db        —                 metrics.db, ScyllaDB's keyspace metrics, or — (whoever reads raw-pings)
 */
#ifndef PING_APP_BACKEND_H
#define PING_APP_BACKEND_H

#include "app/pingd_settings.h"
#include "port/follow.h"
#include "port/ledger.h"
#include "port/log.h"
#include "port/positions.h"
#include "port/publish.h"
#include "port/rebuild.h"
#include "port/store.h"

struct backend;

/* What the parts are called: "sqlite", "postgres"; "": there is none. */
struct backend_names {
	const char *ledger, *log, *store;
};

/* Since the start. */
struct backend_counts {
	uint64_t connected, not_connected; /* attempts to connect to the ledger's server, of what writes it */
	uint64_t log_troubles;		   /* connections to the log lost, and what else its client calls an error */
};

/* Locks the data directory where something lies in it; asks no server yet. The config must outlive it. The notes name the file or
 * the server and the way out. */
enum error backend_open(const struct pingd_config *config, struct backend **ret_backend, struct error_note *note);
/* After all that was opened. NULL is fine. */
void backend_close(struct backend *backend);
/* Before the parts are used, on any thread; may be done again. A server that is away, or not up yet, is UNAVAILABLE; one that
 * refuses us, or is not as configured, FAILED_PRECONDITION. Embedded there is nothing to prepare. */
enum error backend_prepare_ledger(struct backend *backend, struct error_note *note); /* the schema, as --migrate says */
enum error backend_prepare_log(struct backend *backend, struct error_note *note);    /* the topics */
enum error backend_prepare_store(struct backend *backend, struct error_note *note);  /* the schema, as --migrate says */
struct backend_names backend_names(const struct pingd_config *config);
/* Any thread. */
struct backend_counts backend_counts(const struct backend *backend);
/* The position of the newest event, where this process is who writes the log; −1: not known. Any thread. */
int64_t backend_log_end(const struct backend *backend);

enum error backend_open_ledger(struct backend *backend, struct ledger **ret_ledger, struct error_note *note);
/* Where the log is Kafka: the two halves of a publisher. */
enum error backend_open_slot_ledger(struct backend *backend, struct slot_ledger **ret_ledger, struct error_note *note);
enum error backend_open_publish_log(struct backend *backend, struct publish_log **ret_log, struct error_note *note);
/* Where backend_names says that there are such. */
enum error backend_open_log(struct backend *backend, struct log_reader **ret_log, struct error_note *note);
enum error backend_open_store(struct backend *backend, struct store **ret_store, struct error_note *note);

/* Other processes may have the engine, and fill the store that this one reads: then who watches is told by what the log and the
 * store's positions say. */
bool backend_is_followed(const struct pingd_config *config);
enum error backend_open_follower(struct backend *backend, struct log_follower **ret_follower, struct error_note *note);

/* Without a backend, in any process and thread. FAILED_PRECONDITION where there is no store. */
enum error backend_open_ledger_reader(const struct pingd_config *config, struct ledger_reader **ret_reader,
				      struct error_note *note);
enum error backend_open_store_reader(const struct pingd_config *config, struct store_reader **ret_reader,
				     struct error_note *note);
/* Where ledger and log are PostgreSQL and Kafka. */
enum error backend_open_ledger_positions(const struct pingd_config *config, struct ledger_positions **ret_ledger);
enum error backend_open_log_positions(const struct pingd_config *config, struct log_positions **ret_log, struct error_note *note);

/* Where the ledger is PostgreSQL (postgres_drop_days): what is past --ledger-retention. */
enum error backend_drop_ledger_days(const struct pingd_config *config, bool (*told)(void *context, const struct ledger_day *day),
				    void *context, struct error_note *note);
/* To ask for rebuilds. FAILED_PRECONDITION, with the way out, where the store is not rebuilt in place. */
enum error backend_open_rebuild_requests(const struct pingd_config *config, struct rebuild_requests **ret_requests,
					 struct error_note *note);
/* What an engine carries them out with; NULL without a ledger. The config must outlive it. */
enum error backend_open_rebuild_source(const struct pingd_config *config, struct rebuild_source **ret_source);

/* Where a client's events belong. */
int32_t backend_partition_of(const struct address *client, int32_t partition_count);

#endif
