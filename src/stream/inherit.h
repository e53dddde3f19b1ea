/* What somebody had in the tables before the first engine came (semantics, "Exactly once, by position"), merged by the
 * partition's owner once the partition's rows hold all that the log had when it was taken: what the log holds is then not added
 * again.
 */
#ifndef PING_STREAM_INHERIT_H
#define PING_STREAM_INHERIT_H

#include "port/log.h"
#include "port/store.h"

/* `until` of a partition with nothing to merge. */
#define INHERIT_NOTHING INT64_MAX

/* Of a partition that was taken: *ret_until is where its rows must stand before the first step. The store's errors, the log's. */
enum error inherit_find(struct store *store, struct log_reader *log, int32_t partition, int64_t *ret_until,
			struct error_note *note);

static inline bool inherit_is_due(int64_t until, int64_t stored_position)
{
	return until != INHERIT_NOTHING && stored_position != POSITION_NONE && stored_position >= until;
}

/* Some clients. Nothing is dirty; what changed is forgotten by the engine, and the clients' activities are asked for again.
 * *ret_until: INHERIT_NOTHING when that was all. The store's errors; then it can be done again. */
enum error inherit_step(struct store *store, int32_t partition, struct engine *engine, int64_t now_ms, int64_t *ret_until,
			void (*on_written)(void *context, const struct engine_dirty *dirty), void *context,
			struct error_note *note);

#endif
