/* The metrics in ScyllaDB, or in any server that speaks CQL v4: an engine's side and a query's, over the driver in drivers/cql.
 *
 *   scylla://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…][/KEYSPACE][?NAME=VALUE[&…]]
 *
 *   datacenter=NAME       the local one: requests go to its nodes alone; needed where the cluster has several
 *   replication=NAME:N,…  copies in each datacenter, when the keyspace is made; else 3 in each, or as many as there are nodes
 *   keyspace_options=CQL  more of its CREATE KEYSPACE, as tablets = {'enabled': false}
 *   tls=true              and tls_ca, tls_cert, tls_key: PEM files; each of them turns it on
 *   timeout=MS            of one request
 *
 * User, password and values may have %XX. A build without the driver has all of this too; every opener then says how to get it.
 */
#ifndef PING_ADAPTER_CQL_CQL_H
#define PING_ADAPTER_CQL_CQL_H

#include "base/buffer.h"
#include "base/clock.h"
#include "port/store.h"

struct cql_config;

/* "scylla driver 1.9.0", or that there is none. Static. */
const char *cql_client_text(void);
/* UNIMPLEMENTED, saying how to get it, in a build without the driver. */
enum error cql_check_build(struct error_note *note);

/* Reads the URL; what the config points to is its own. MALFORMED, with what is wrong in the note, and never the password. */
enum error cql_config_create(const char *url, struct cql_config **ret_config, struct error_note *note);
void cql_config_destroy(struct cql_config *config);
/* The config's own. */
const char *cql_config_keyspace(const struct cql_config *config);

enum cql_migrate {
	CQL_MIGRATE_AUTO,  /* bring it up to date; any number of processes may at once */
	CQL_MIGRATE_CHECK, /* FAILED_PRECONDITION when it isn't */
	CQL_MIGRATE_OFF,   /* only look */
};
struct cql_schema {
	int version, wanted; /* version 0: there is nothing yet */
};
struct cql_migration {
	enum cql_migrate mode;
	int64_t window_retention_ms; /* 0: for ever; what windows are compacted for */
	int patience_ms;	     /* how long to wait for another process that is at it, or died so less than 30 s ago */
	/* Hears of each thing that is done, and of what is not as it should be: fewer than three copies. NULL: nobody asks. */
	void (*told)(void *context, const char *text);
	void *context;
};
/* Keyspace and tables; blocks. UNAVAILABLE (also: another process is at it), UNAUTHENTICATED, PERMISSION_DENIED; SCHEMA_NEWER;
 * FAILED_PRECONDITION: a table that somebody made has a column of another type. */
enum error cql_migrate(const struct cql_config *config, const struct cql_migration *migration, struct cql_schema *ret_schema,
		       struct error_note *note);

struct cql_store_config {
	const struct cql_config *cql; /* must outlive the store */
	int32_t partition_count;      /* of the log: positions of another number of them mean something else */
	int64_t window_retention_ms;  /* 0: for ever */
	struct clock *clock;
	/* Which partition of the log a client's events are in: whose counters are ours to put right. */
	int32_t (*partition_of)(const struct address *client, int32_t partition_count);
};
/* Both connect when they are first asked, and again after a failure. All engines of a keyspace run in one datacenter.
 * MALFORMED: the URL. */
enum error cql_store_open(const struct cql_store_config *config, struct store **ret_store);
enum error cql_store_reader_open(const char *url, struct store_reader **ret_reader, struct error_note *note);
/* For who asks for rebuilds. */
enum error cql_rebuild_requests_open(const char *url, struct rebuild_requests **ret_requests, struct error_note *note);

#endif
