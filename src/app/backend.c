#include "app/backend.h"

#include "adapter/cql/cql.h"
#include "adapter/kafka/kafka.h"
#include "adapter/postgres/postgres.h"
#include "adapter/sqlite/sqlite.h"
#include "audit/rebuild_source.h"
#include "base/hash.h"
#include "base/log.h"
#include "event/event.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct backend {
	const struct pingd_config *config;
	struct data_directory *directory; /* NULL: nothing lies in it */
	struct postgres_config postgres;
	struct kafka_config kafka;
	char group[80];		/* of its engine, where it is not the one of the keyspace "metrics" */
	struct cql_config *cql; /* NULL: the store is another */
	_Atomic uint64_t connected, not_connected, log_troubles;
};

static struct postgres_config postgres_config_from(const struct pingd_config *config)
{
	bool slots = config->backends.log == PINGD_BACKEND_KAFKA;
	return (struct postgres_config){
		.url = config->ledger, .application_name = "pingd", .slots = slots ? (int)config->publisher_slots : 0};
}

static const char *name_of(enum pingd_backend backend)
{
	switch (backend) {
	case PINGD_BACKEND_NONE:
		return "";
	case PINGD_BACKEND_SQLITE:
		return "sqlite";
	case PINGD_BACKEND_POSTGRES:
		return "postgres";
	case PINGD_BACKEND_KAFKA:
		return "kafka";
	case PINGD_BACKEND_SCYLLA:
		return "scylla";
	}
	return "";
}

struct backend_names backend_names(const struct pingd_config *config)
{
	const struct pingd_backends *backends = &config->backends;
	return (struct backend_names){name_of(backends->ledger), name_of(backends->log), name_of(backends->store)};
}

static void tell_migration(void *context, int version, const char *name)
{
	(void)context;
	log_event(LOG_INFO, "migrating the ledger's schema", log_int("version", version), log_text("name", name));
}

static void count_connection(void *context, bool succeeded)
{
	struct backend *backend = context;
	if (succeeded)
		backend->connected++;
	else
		backend->not_connected++;
}

static void count_trouble(void *context)
{
	struct backend *backend = context;
	backend->log_troubles++;
}

struct backend_counts backend_counts(const struct backend *backend)
{
	return (struct backend_counts){
		.connected = backend->connected, .not_connected = backend->not_connected, .log_troubles = backend->log_troubles};
}

enum error backend_prepare_ledger(struct backend *backend, struct error_note *note)
{
	static const enum postgres_migrate modes[] = {
		[PINGD_MIGRATE_AUTO] = POSTGRES_MIGRATE_AUTO,
		[PINGD_MIGRATE_CHECK] = POSTGRES_MIGRATE_CHECK,
		[PINGD_MIGRATE_OFF] = POSTGRES_MIGRATE_OFF,
	};
	if (backend->config->backends.ledger != PINGD_BACKEND_POSTGRES)
		return ERROR_OK;
	enum error error =
		postgres_migrate(&backend->postgres, modes[backend->config->migrate], tell_migration, NULL, NULL, note);
	return error == ERROR_UNAVAILABLE && postgres_is_refused(&backend->postgres, note) ? ERROR_FAILED_PRECONDITION : error;
}

static void tell_kafka(void *context, int level, const char *text)
{
	(void)context;
	enum { SYSLOG_ERROR = 3, SYSLOG_WARNING = 4 };
	log_limited(level <= SYSLOG_ERROR     ? LOG_ERROR
		    : level == SYSLOG_WARNING ? LOG_WARN
					      : LOG_DEBUG,
		    "kafka", log_text("detail", text));
}

static void tell_difference(void *context, const char *text)
{
	(void)context;
	log_event(LOG_WARN, "a topic is not as it should be", log_text("detail", text));
}

enum error backend_prepare_log(struct backend *backend, struct error_note *note)
{
	return backend->config->backends.log == PINGD_BACKEND_KAFKA
		       ? kafka_topics_ensure(&backend->kafka, tell_difference, NULL, note)
		       : ERROR_OK;
}

static void tell_store(void *context, const char *text)
{
	(void)context;
	log_event(LOG_WARN, "the store's schema", log_text("detail", text));
}

enum error backend_prepare_store(struct backend *backend, struct error_note *note)
{
	static const enum cql_migrate modes[] = {
		[PINGD_MIGRATE_AUTO] = CQL_MIGRATE_AUTO,
		[PINGD_MIGRATE_CHECK] = CQL_MIGRATE_CHECK,
		[PINGD_MIGRATE_OFF] = CQL_MIGRATE_OFF,
	};
	const struct cql_migration migration = {
		.mode = modes[backend->config->migrate],
		.window_retention_ms = backend->config->window_retention_ms,
		.told = tell_store,
	};
	return backend->cql == NULL || migration.mode == CQL_MIGRATE_OFF ? ERROR_OK
									 : cql_migrate(backend->cql, &migration, NULL, note);
}

/* Engines of one group share the partitions out, and so the store must be one, too: each keyspace has a group. An embedded store
 * is its process' own: its engine reads all partitions, in a group that has no other member, named for where the store lies. */
static void name_group(struct backend *backend)
{
	if (backend->cql != NULL && strcmp(cql_config_keyspace(backend->cql), "metrics") == 0)
		return;
	backend->kafka.group = backend->group;
	if (backend->cql != NULL) {
		snprintf(backend->group, sizeof backend->group, "ping-metrics-%s", cql_config_keyspace(backend->cql));
		return;
	}
	static const uint8_t key[16] = {0};
	char place[PATH_MAX + 80] = "";
	gethostname(place, 64);
	size_t size = strnlen(place, 64);
	size += (size_t)snprintf(place + size, sizeof place - size, ":%s", backend->config->data_dir);
	snprintf(backend->group, sizeof backend->group, "ping-metrics-%016llx", (unsigned long long)hash_keyed(key, place, size));
}

static void configure_kafka(struct backend *backend)
{
	enum { TOPICS_TIMEOUT_MS = 5000 }; /* then it is tried again, or found that pingd is to stop */
	backend->kafka = pingd_config_kafka(backend->config);
	backend->kafka.topics_timeout_ms = TOPICS_TIMEOUT_MS;
	backend->kafka.observer = (struct kafka_observer){.line = tell_kafka, .trouble = count_trouble, .context = backend};
	if (backend->config->backends.store != PINGD_BACKEND_NONE)
		name_group(backend);
}

enum error backend_open(const struct pingd_config *config, struct backend **ret_backend, struct error_note *note)
{
	struct backend *backend = calloc(1, sizeof *backend);
	if (backend == NULL)
		return ERROR_NO_MEMORY;
	backend->config = config;
	enum error error = ERROR_OK;
	if (config->backends.ledger == PINGD_BACKEND_SQLITE || config->backends.store == PINGD_BACKEND_SQLITE)
		error = data_directory_open(config->data_dir, &backend->directory, note);
	if (config->backends.ledger == PINGD_BACKEND_POSTGRES) {
		backend->postgres = postgres_config_from(config);
		backend->postgres.observer = (struct postgres_observer){count_connection, backend};
	}
	if (error == ERROR_OK && config->backends.store == PINGD_BACKEND_SCYLLA)
		error = cql_config_create(config->store, &backend->cql, note);
	if (config->backends.log == PINGD_BACKEND_KAFKA)
		configure_kafka(backend);
	if (error != ERROR_OK) {
		backend_close(backend);
		return error;
	}
	*ret_backend = backend;
	return ERROR_OK;
}

void backend_close(struct backend *backend)
{
	if (backend == NULL)
		return;
	if (backend->directory != NULL)
		data_directory_close(backend->directory);
	cql_config_destroy(backend->cql);
	free(backend);
}

int64_t backend_log_end(const struct backend *backend)
{
	return backend->config->backends.log == PINGD_BACKEND_SQLITE ? log_tail_position(data_directory_tail(backend->directory))
								     : POSITION_NONE;
}

enum error backend_open_ledger(struct backend *backend, struct ledger **ret_ledger, struct error_note *note)
{
	return backend->config->backends.ledger == PINGD_BACKEND_POSTGRES
		       ? postgres_ledger_open(&backend->postgres, ret_ledger)
		       : sqlite_ledger_open(backend->directory, ret_ledger, note);
}

enum error backend_open_slot_ledger(struct backend *backend, struct slot_ledger **ret_ledger, struct error_note *note)
{
	(void)note;
	return postgres_slot_ledger_open(&backend->postgres, ret_ledger);
}

enum error backend_open_publish_log(struct backend *backend, struct publish_log **ret_log, struct error_note *note)
{
	return kafka_publish_log_create(&backend->kafka, ret_log, note);
}

enum error backend_open_log(struct backend *backend, struct log_reader **ret_log, struct error_note *note)
{
	return backend->config->backends.log == PINGD_BACKEND_KAFKA ? kafka_log_open(&backend->kafka, ret_log, note)
								    : sqlite_log_open(backend->directory, ret_log, note);
}

bool backend_is_followed(const struct pingd_config *config)
{
	return config->role_api && config->backends.log == PINGD_BACKEND_KAFKA && config->backends.store == PINGD_BACKEND_SCYLLA;
}

enum error backend_open_follower(struct backend *backend, struct log_follower **ret_follower, struct error_note *note)
{
	return kafka_follower_open(&backend->kafka, ret_follower, note);
}

int32_t backend_partition_of(const struct address *client, int32_t partition_count)
{
	char text[ADDRESS_TEXT_SIZE];
	return event_partition(slice_make(text, address_format(client, text)), partition_count);
}

static enum error open_store(struct backend *backend, struct store **ret_store, struct error_note *note)
{
	if (backend->cql == NULL)
		return sqlite_store_open(backend->directory, ret_store, note);
	const struct cql_store_config config = {
		.cql = backend->cql,
		.partition_count = (int32_t)backend->config->log_partitions,
		.window_retention_ms = backend->config->window_retention_ms,
		.clock = clock_system(),
		.partition_of = backend_partition_of,
	};
	return cql_store_open(&config, ret_store);
}

enum error backend_open_store(struct backend *backend, struct store **ret_store, struct error_note *note)
{
	enum error error = open_store(backend, ret_store, note);
	if (error == ERROR_OK && backend->config->backends.log == PINGD_BACKEND_KAFKA)
		(*ret_store)->log_epoch = (int32_t)backend->config->log_epoch;
	return error;
}

enum error backend_open_ledger_reader(const struct pingd_config *config, struct ledger_reader **ret_reader,
				      struct error_note *note)
{
	const struct postgres_config postgres = postgres_config_from(config);
	return config->backends.ledger == PINGD_BACKEND_POSTGRES ? postgres_ledger_reader_open(&postgres, ret_reader)
								 : sqlite_ledger_reader_open(config->data_dir, ret_reader, note);
}

enum error backend_open_store_reader(const struct pingd_config *config, struct store_reader **ret_reader, struct error_note *note)
{
	if (config->backends.store == PINGD_BACKEND_NONE)
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "there are no metrics: with PostgreSQL alone pings are only kept and counted");
	if (config->backends.store != PINGD_BACKEND_SCYLLA)
		return sqlite_store_reader_open(config->data_dir, ret_reader, note);
	return cql_store_reader_open(config->store, ret_reader, note);
}

enum error backend_open_ledger_positions(const struct pingd_config *config, struct ledger_positions **ret_ledger)
{
	const struct postgres_config postgres = postgres_config_from(config);
	return postgres_positions_open(&postgres, ret_ledger);
}

enum error backend_drop_ledger_days(const struct pingd_config *config, bool (*told)(void *context, const struct ledger_day *day),
				    void *context, struct error_note *note)
{
	const struct postgres_config postgres = postgres_config_from(config);
	return postgres_drop_days(&postgres, config->ledger_retention_ms, told, context, note);
}

enum error backend_open_log_positions(const struct pingd_config *config, struct log_positions **ret_log, struct error_note *note)
{
	const struct kafka_config kafka = pingd_config_kafka(config);
	return kafka_positions_open(&kafka, ret_log, note);
}

/* ─── Rebuilds ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum error backend_open_rebuild_requests(const struct pingd_config *config, struct rebuild_requests **ret_requests,
					 struct error_note *note)
{
	if (config->backends.store != PINGD_BACKEND_SCYLLA)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"only metrics in ScyllaDB are rebuilt in place (--store scylla://…); embedded ones are made anew "
			"whole: stop pingd, move metrics.db away, start it");
	return cql_rebuild_requests_open(config->store, ret_requests, note);
}

static enum error source_ledger(void *context, struct ledger_reader **ret_ledger, struct error_note *note)
{
	return backend_open_ledger_reader(context, ret_ledger, note);
}

static enum error source_store(void *context, struct store_reader **ret_store, struct error_note *note)
{
	return backend_open_store_reader(context, ret_store, note);
}

static enum error source_ledger_positions(void *context, struct ledger_positions **ret_ledger, struct error_note *note)
{
	(void)note;
	return backend_open_ledger_positions(context, ret_ledger);
}

static enum error source_log_positions(void *context, struct log_positions **ret_log, struct error_note *note)
{
	return backend_open_log_positions(context, ret_log, note);
}

enum error backend_open_rebuild_source(const struct pingd_config *config, struct rebuild_source **ret_source)
{
	const struct rebuild_source_config source = {
		.open_ledger = source_ledger,
		.open_store = source_store,
		.open_ledger_positions = config->backends.log == PINGD_BACKEND_KAFKA ? source_ledger_positions : NULL,
		.open_log_positions = config->backends.log == PINGD_BACKEND_KAFKA ? source_log_positions : NULL,
		.context = (void *)(uintptr_t)config,
		.partition_count = (size_t)config->log_partitions,
		.partition_of = backend_partition_of,
	};
	if (config->backends.ledger == PINGD_BACKEND_NONE) {
		*ret_source = NULL;
		return ERROR_OK;
	}
	return rebuild_source_create(&source, ret_source);
}
