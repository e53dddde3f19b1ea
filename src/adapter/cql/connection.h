/* A session with the server for one thread: it connects when it is first asked, prepares its statements, and carries out rounds
 * of requests, many at once, whose answers come back on the thread that asks.
 *
 *   cql_run ── ask(i) ─► [ at most CQL_IN_FLIGHT under way ] ─► answer(i) ──┐
 *      ▲                        the driver's threads ─► queue ─► this thread │ next page of i, or the next i
 *      └──────────────────────────────────────────────────────────────────────┘
 *
 * When something fails, nothing new is asked, what is under way is waited for, and the first error is the round's.
 */
#ifndef PING_ADAPTER_CQL_CONNECTION_H
#define PING_ADAPTER_CQL_CONNECTION_H

#include "adapter/cql/config.h"
#include "base/address.h"

#include <ping_cql.h>

struct cql_connection;

enum { CQL_IN_FLIGHT = 128 };

struct cql_statement {
	const char *text;
	unsigned traits; /* enum pc_trait */
	int page_size;	 /* 0: 1,000 */
};

/* The config and the statements must outlive it. The keyspace need not exist yet where `keyspace` is false: then names are
 * qualified in the statements. */
enum error cql_connection_create(const struct cql_config *config, const struct cql_statement *statements, size_t count,
				 bool keyspace, struct cql_connection **ret_connection);
/* NULL: nothing. */
void cql_connection_destroy(struct cql_connection *connection);
/* Connects and prepares where that is not done yet. UNAVAILABLE; UNAUTHENTICATED, PERMISSION_DENIED; FAILED_PRECONDITION: no such
 * keyspace or table (the note: pingctl migrate), or a cluster of several datacenters and none is named. */
enum error cql_connect(struct cql_connection *connection, struct error_note *note);
/* The same, where tables have just been made, by us or another process: it may take a moment until all nodes know them. */
enum error cql_connect_patiently(struct cql_connection *connection, struct error_note *note);
/* Nodes of the local datacenter, as far as is known; 0: none. After cql_connect. */
int cql_local_nodes(struct cql_connection *connection);
/* A statement of the schema, at once. ALREADY_EXISTS; else as cql_connect. */
enum error cql_run_text(struct cql_connection *connection, const char *text, struct error_note *note);

/* One statement with its values, or several: a batch, atomic where all are of one partition of one table. Sixteen windows stay
 * below the 5 KiB from which on servers warn of a batch's size. */
enum { CQL_MAX_CALLS = 16, CQL_MAX_CELLS = 192, CQL_MAX_BYTES = 2560 };
struct cql_request {
	struct {
		size_t statement, first, count;
	} calls[CQL_MAX_CALLS];
	size_t call_count, cell_count, size;
	struct pc_cell cells[CQL_MAX_CELLS];
	uint8_t bytes[CQL_MAX_BYTES];
};

void cql_call(struct cql_request *request, size_t statement);
/* The next value of the last call. */
void cql_put_null(struct cql_request *request);
void cql_put_bytes(struct cql_request *request, const void *data, size_t size); /* text, blob */
void cql_put_text(struct cql_request *request, const char *text);
void cql_put_address(struct cql_request *request, const struct address *address);      /* blob */
void cql_put_address_text(struct cql_request *request, const struct address *address); /* text, canonical */
void cql_put_int8(struct cql_request *request, int8_t value);			       /* tinyint */
void cql_put_int16(struct cql_request *request, int16_t value);			       /* smallint */
void cql_put_int(struct cql_request *request, int32_t value);			       /* int */
void cql_put_bigint(struct cql_request *request, int64_t value);		       /* bigint, counter, timestamp (ms) */
void cql_put_double(struct cql_request *request, double value);
void cql_put_date(struct cql_request *request, int64_t ms); /* the UTC day that it lies in */

/* Values of an answer. False, and untouched, where it is null or of another size. */
bool cql_get_bigint(const struct pc_result *rows, size_t row, size_t column, int64_t *ret_value);
bool cql_get_int(const struct pc_result *rows, size_t row, size_t column, int32_t *ret_value);
bool cql_get_double(const struct pc_result *rows, size_t row, size_t column, double *ret_value);
bool cql_get_date(const struct pc_result *rows, size_t row, size_t column, int64_t *ret_ms);
bool cql_get_address(const struct pc_result *rows, size_t row, size_t column, struct address *ret_address);
bool cql_get_boolean(const struct pc_result *rows, size_t row, size_t column);	     /* null: false */
struct slice cql_get_slice(const struct pc_result *rows, size_t row, size_t column); /* null: size 0 */

struct cql_round {
	size_t count;
	/* The request i; the same again for each of its pages. No call: there is nothing to ask for it. */
	void (*ask)(void *context, size_t i, struct cql_request *request);
	/* A page of its answer, in order; `last` with the last one. An error ends the round; END ends i alone. NULL: not wanted.
	 */
	enum error (*answer)(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note);
	void *context;
};
/* The first error. UNAVAILABLE: what was asked may have been carried out, or may still be. */
enum error cql_run(struct cql_connection *connection, const struct cql_round *round, struct error_note *note);
/* A round of one, all in one page. The result is the caller's: pc_result_free. */
enum error cql_ask(struct cql_connection *connection, const struct cql_request *request, struct pc_result **ret_rows,
		   struct error_note *note);
/* The same request's next page, behind `after` (NULL: the first). */
enum error cql_ask_page(struct cql_connection *connection, const struct cql_request *request, const struct pc_result *after,
			struct pc_result **ret_rows, struct error_note *note);

#endif
