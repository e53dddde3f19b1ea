/* Carries out the rebuilds that the store is asked for, between the batches of the stream that has the partition (semantics,
 * "Audit and rebuild"). One at a time.
 *
 *   IDLE ─ find_rebuild, every 2 s a partition ─► RUNNING: the source sums the ledger up to the partition's position, on a thread
 *    ▲                                              │       of its own; what is applied meanwhile is noted (delta.h)
 *    │                                              │ some clients at a time: read, remake, write, remove, forget
 *    └─ DONE, written behind the position ◄─ END ◄──┘
 *
 * What goes wrong ends the pass, and another begins where this one was: also by the partition's next owner. A client with pings
 * of a batch that is not in the log for good is put off; then there is another pass.
 */
#ifndef PING_STREAM_REBUILD_H
#define PING_STREAM_REBUILD_H

#include "base/clock.h"
#include "base/random.h"
#include "port/rebuild.h"
#include "port/store.h"

struct rebuild;

struct rebuild_config {
	struct store *store;
	struct rebuild_source *source; /* NULL: there is no ledger; who asks is told so */
	struct clock *clock;
	struct random *random;
	int64_t window_retention_ms;
	size_t max_delta_windows; /* 0: delta.h's */
	/* As the stream's. */
	void (*on_written)(void *context, const struct engine_dirty *dirty);
	void *context;
};

struct rebuild_stats {
	uint64_t done;			   /* requests */
	uint64_t put_aside;		   /* passes that ended before their request was done, and are begun again */
	uint64_t clients, rows, corrected; /* of all requests */
	bool running;
	int32_t partition; /* of the request that runs */
};

/* NO_MEMORY. The store must have rebuilds. */
enum error rebuild_create(const struct rebuild_config *config, struct rebuild **ret_rebuild);
/* NULL: nothing. */
void rebuild_destroy(struct rebuild *rebuild);

/* Whether a step for the partition may have something to do now. */
bool rebuild_is_due(const struct rebuild *rebuild, int32_t partition, int64_t now_us);
/* Some of the work. The partition stands at `position`, in the engine and in the store: nothing is dirty. *ret_more: a further
 * step can go on at once. The store's errors: the stream tries again; FENCED: then rebuild_leave. */
enum error rebuild_step(struct rebuild *rebuild, int32_t partition, struct engine *engine, int64_t position, bool *ret_more,
			struct error_note *note);
/* The log has lost what comes next in the partition, which was taken. Where all of it is to be rebuilt that is no loss: the
 * rebuild begins anew, then, and OK says that the engine may go on behind. NOT_FOUND: nobody has asked for one. */
enum error rebuild_covers_gap(struct rebuild *rebuild, int32_t partition, struct error_note *note);
/* Events that the engine has just applied. */
void rebuild_note(struct rebuild *rebuild, int32_t partition, const struct engine_event *events, size_t count);
/* The partition is not ours any more, or taken anew. */
void rebuild_leave(struct rebuild *rebuild, int32_t partition);

struct rebuild_stats rebuild_stats(const struct rebuild *rebuild);

#endif
