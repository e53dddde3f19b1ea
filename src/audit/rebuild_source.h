/* What a rebuild works from (port/rebuild.h), of a ledger, a log and a store: the ledger's sums of a partition's clients up to a
 * position, and who has rows in the store without being among them. Each run has a thread, a few batches ahead at most.
 *
 *   log ─ which batches it has ─► ledger ─ sums, in one snapshot ─► [ batch ] ─► next
 *                                 store ─── who has rows ─────────►
 *
 * What the log has is asked before the snapshot is taken: a row whose batch was not there yet may still change its position.
 */
#ifndef PING_AUDIT_REBUILD_SOURCE_H
#define PING_AUDIT_REBUILD_SOURCE_H

#include "port/positions.h"
#include "port/rebuild.h"
#include "port/store.h"

/* Opened by each run, on its thread, as often as it is begun; closed with it. */
struct rebuild_source_config {
	enum error (*open_ledger)(void *context, struct ledger_reader **ret_ledger, struct error_note *note);
	enum error (*open_store)(void *context, struct store_reader **ret_store, struct error_note *note);
	/* Where ledger and log are two systems; NULL: they are one. */
	enum error (*open_ledger_positions)(void *context, struct ledger_positions **ret_ledger, struct error_note *note);
	enum error (*open_log_positions)(void *context, struct log_positions **ret_log, struct error_note *note);
	void *context;
	size_t partition_count; /* of the log */
	int32_t (*partition_of)(const struct address *client, int32_t partition_count);
};

/* NO_MEMORY. */
enum error rebuild_source_create(const struct rebuild_source_config *config, struct rebuild_source **ret_source);

#endif
