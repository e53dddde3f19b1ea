/* Rows of engine_writers, one a partition: who fills it, from which log, how far (semantics, "Exactly once, by position"). They
 * are changed by lightweight transaction alone, each IF version = v, which makes it v + 1.
 */
#ifndef PING_ADAPTER_CQL_WRITERS_H
#define PING_ADAPTER_CQL_WRITERS_H

#include "adapter/cql/rows.h"
#include "adapter/cql/store.h"

enum { CQL_HEARTBEAT_FRESH_MS = STORE_ENGINE_FRESH_MS };

struct cql_writer {
	bool found, has_owner;
	bool native;
	char kind[STORE_ENGINE_KIND_MAX];
	uint8_t owner[CQL_OWNER_SIZE];
	uint8_t topic_id[16];
	int64_t version, reserved_us, position, heartbeat_ms;
	int32_t number, partition_count;
};

/* A row of CQL_FIND_WRITER or CQL_LIST_WRITERS. */
struct cql_writer cql_read_writer(const struct pc_result *rows, size_t row);
/* As it is, a lightweight transaction under way included. */
enum error cql_find_writer(struct cql_store *store, int32_t number, struct cql_writer *ret_writer, struct error_note *note);
/* Sends a lightweight transaction; what became of it is read from the row, so its own answer and errors that may have many causes
 * are left aside, unless nothing can be done about them. */
enum error cql_transact(struct cql_store *store, const struct cql_request *request, struct error_note *note);
/* HELD: another kind of engine has the row, and was heard of a moment ago. */
enum error cql_refuse_kind(struct cql_store *store, const struct cql_writer *writer, struct error_note *note);

/* epoch.c. The log that has this identity, in the store's log_epoch, becomes the one that all of engine_writers is of, if it
 * follows theirs by the procedure of log-epoch; nothing where it is already. *ret_reserved_us: no row has a later timestamp from
 * an owner in a log before; 0 in an empty store. FAILED_PRECONDITION, with the way out in the note. */
enum error cql_enter_log(struct cql_store *store, const uint8_t log_identity[16], int64_t *ret_reserved_us,
			 struct error_note *note);
/* Where a partition stands when all of the log epochs before are done, and nothing of this one. */
int64_t cql_log_start(const struct cql_store *store);

#endif
