/* A small C face of the `scylla` crate, the official driver of ScyllaDB for Rust: sessions, prepared statements, pages, batches.
 * It knows nothing of pings. Values pass as CQL puts them on the wire (native protocol v4, section 6).
 *
 *   pc_connect ─► pc_prepare ─► pc_execute ··(a thread of the driver's)··► done(result) ─► pc_result_… ─► pc_result_free
 *
 * A request goes to a replica of its partition, to the shard that owns it where the server is ScyllaDB, in the local datacenter.
 * Reads and writes are LOCAL_QUORUM, lightweight transactions LOCAL_SERIAL. Only what is idempotent is ever sent twice.
 */
#ifndef PING_CQL_H
#define PING_CQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pc_session;
struct pc_statement;
struct pc_result;

enum pc_status {
	PC_OK,
	PC_UNAVAILABLE,	    /* not carried out: no connection, too few replicas, overloaded */
	PC_UNKNOWN,	    /* a timeout, a connection that broke: carried out now, later or never */
	PC_FULL,	    /* max_in_flight requests are under way */
	PC_UNAUTHENTICATED, /* user or password */
	PC_DENIED,	    /* the user may not */
	PC_EXISTS,
	PC_INVALID, /* the statement, its values, or an option */
};

/* Texts live at least until pc_connect returns; NULL: not set. */
struct pc_options {
	const char *contact_points; /* "HOST:PORT,…" */
	const char *keyspace;	    /* of unqualified names; NULL: none */
	const char *user, *password;
	const char *local_datacenter; /* NULL: the cluster must have only one, see pc_datacenters */
	bool tls;
	const char *tls_ca;		  /* PEM file of authorities; NULL: the system's */
	const char *tls_cert, *tls_key;	  /* PEM files: what a server that asks for it is shown */
	uint32_t connect_timeout_ms, request_timeout_ms;
	uint32_t max_in_flight; /* requests at once; more are PC_FULL */
};

/* Blocks. Any failure leaves a text. */
enum pc_status pc_connect(const struct pc_options *options, struct pc_session **ret_session, char *ret_text, size_t text_size);
/* Every request must be done. */
void pc_disconnect(struct pc_session *session);

/* "dc1=3,dc2=3": each datacenter and how many nodes it has, as far as the driver knows by now. Cut at text_size. */
void pc_datacenters(struct pc_session *session, char *ret_text, size_t text_size);

/* A statement without values, at once: for the schema. Blocks until all nodes agree on it. */
enum pc_status pc_run(struct pc_session *session, const char *text, char *ret_error, size_t error_size);

enum pc_trait {
	PC_IDEMPOTENT = 1,  /* may be sent again when its outcome is not known */
	PC_SERIAL_READ = 2, /* a read that also sees lightweight transactions under way, and ends them */
};
/* Blocks. page_size: rows of an answer. The session must outlive it. */
enum pc_status pc_prepare(struct pc_session *session, const char *text, unsigned traits, int32_t page_size,
			  struct pc_statement **ret_statement, char *ret_error, size_t error_size);
void pc_statement_free(struct pc_statement *statement);

/* One value. size −1: null; −2: left as it is. */
struct pc_cell {
	const uint8_t *data;
	int32_t size;
};

/* A statement with its values; they are copied. */
struct pc_call {
	const struct pc_statement *statement;
	const struct pc_cell *cells;
	size_t count;
};

/* `done` owns the result; it is called exactly once, on a thread of the driver's, and must not block. */
typedef void (*pc_done)(void *context, struct pc_result *result);
/* Never blocks. Several calls: one unlogged batch, which is atomic where all are of one partition of one table. after: the result
 * whose next page is wanted, NULL: the first. PC_OK: `done` will be called; PC_FULL: it won't. */
enum pc_status pc_execute(struct pc_session *session, const struct pc_call *calls, size_t count, const struct pc_result *after,
			  pc_done done, void *context);

enum pc_status pc_result_status(const struct pc_result *result);
/* What went wrong; "" where nothing did. */
const char *pc_result_text(const struct pc_result *result);
size_t pc_result_rows(const struct pc_result *result);
size_t pc_result_columns(const struct pc_result *result);
/* Lives as long as the result. */
struct pc_cell pc_result_cell(const struct pc_result *result, size_t row, size_t column);
/* Whether there may be another page. */
bool pc_result_more(const struct pc_result *result);
void pc_result_free(struct pc_result *result);

/* "1.9.0". Static. */
const char *pc_version(void);

#endif
