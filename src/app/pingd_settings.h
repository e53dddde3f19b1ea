/* The settings of pingd: the one table of them, the struct that main() reads, and what goes beyond single values. */
#ifndef PING_APP_PINGD_SETTINGS_H
#define PING_APP_PINGD_SETTINGS_H

#include "adapter/cql/cql.h"
#include "adapter/kafka/kafka.h"
#include "app/manual.h"
#include "base/address.h"
#include "base/log.h"
#include "base/settings.h"

enum { PINGD_MAX_LISTEN = 16, PINGD_MAX_TRUSTED_PROXIES = 256, PINGD_MAX_THREADS = 64, PINGD_MAX_PUBLISHERS = 16 };

/* Rows that pingctl's commands on the data itself take too. */
enum { PINGD_GROUP_DATA = 1 };

enum pingd_publish { PINGD_PUBLISH_TRANSACTIONAL, PINGD_PUBLISH_ORDERED, PINGD_PUBLISH_OUTBOX };
enum pingd_backend {
	PINGD_BACKEND_NONE,
	PINGD_BACKEND_SQLITE,
	PINGD_BACKEND_POSTGRES,
	PINGD_BACKEND_KAFKA,
	PINGD_BACKEND_SCYLLA
};

enum pingd_migrate { PINGD_MIGRATE_AUTO, PINGD_MIGRATE_CHECK, PINGD_MIGRATE_OFF };

struct pingd_backends {
	enum pingd_backend ledger, log, store;
};

struct pingd_endpoint {
	struct address address;
	uint16_t port; /* 0: any that is free */
};

struct pingd_config {
	/* As set. */
	int help; /* enum manual_form */
	bool version, check_config;
	const char *config, *data_dir, *ledger, *log, *store;
	const char *tls_certificate, *tls_key, *tls_client_ca;
	struct setting_list listen, listen_plain, roles, trusted_proxies, cors_origins, kafka;
	int64_t log_partitions, log_epoch, publisher_slots, publishers;
	int publish; /* enum pingd_publish */
	int64_t threads, query_threads, max_connections, max_connections_per_address, max_streams, max_body_bytes, max_held_bytes;
	int64_t default_timeout_ms, max_timeout_ms, header_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
	int64_t drain_timeout_ms, drain_delay_ms;
	int64_t watch_heartbeat_ms;
	int64_t ingest_queue, ingest_batch, idempotency_retention_ms, max_future_skew_ms;
	int64_t window_retention_ms, ledger_retention_ms; /* 0: for ever */
	int64_t flush_interval_ms, engine_rows;
	int log_level;	      /* enum log_level */
	int log_format;	      /* enum log_format */
	int migrate;	      /* enum pingd_migrate */
	bool ledger_optional; /* set by the program, before: a store in ScyllaDB may be named alone */

	/* Made of them by pingd_config_complete; `threads` is then never 0, `data_dir` never "". */
	const char *addresses[PINGD_MAX_LISTEN]; /* of listen, then of listen-plain; and the same parsed */
	struct pingd_endpoint endpoints[PINGD_MAX_LISTEN];
	size_t endpoint_count;
	struct address_network proxies[PINGD_MAX_TRUSTED_PROXIES];
	size_t proxy_count;
	bool role_api, role_stream;
	struct pingd_backends backends;
};

extern const struct setting pingd_settings[];
extern const struct manual pingd_manual;

/* Flags, environment, file. INVALID_ARGUMENT, NOT_FOUND (the file), NO_MEMORY. The config's texts live as long as the settings.
 * With `help` or `version` set nothing but the flags has been looked at. */
enum error pingd_config_load(int argc, char *const *argv, char *const *environment, struct pingd_config *ret_config,
			     struct settings **ret_settings, struct error_note *note);
/* The part of it after flags and environment, for programs that put pingd's table beside their own: the default data directory
 * and ledger, the file, and what is made of the values. */
enum error pingd_config_complete(struct pingd_config *config, struct settings *settings, char *const *environment,
				 struct error_note *note);
/* Answers --help, --version and --check-config on stdout; false: none of them was asked. */
bool pingd_config_answer(const struct pingd_config *config, const struct settings *settings, int *ret_exit_code);

/* Which backends the three URLs mean together ("": not given; for the ledger: not needed, as the process only streams).
 * INVALID_ARGUMENT for a combination that cannot work; the note says what to add or to leave out. */
enum error pingd_config_check_urls(const char *ledger, const char *log, const char *store, struct pingd_backends *ret_backends,
				   struct error_note *note);
/* UNIMPLEMENTED where a backend has no adapter in this build. */
enum error pingd_config_check_build(const struct pingd_backends *backends, struct error_note *note);
/* What the Kafka adapter is opened with, but for an observer; where the log is Kafka. Lives as long as the config. */
struct kafka_config pingd_config_kafka(const struct pingd_config *config);
/* "127.0.0.1:8080", "[::1]:8080". MALFORMED. */
enum error pingd_endpoint_parse(const char *text, struct pingd_endpoint *ret_endpoint);

#endif
