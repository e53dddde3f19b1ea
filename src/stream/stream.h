/* The stream: carries one or more partitions of the log through their engines into the store (semantics, "Exactly once, by
 * position").
 *
 *   log ─ ASSIGNED ──► take in the store, seek the log, a new engine
 *       ─ BATCH ─────► offer ─► read what is missing ─► apply ─► …          every flush_interval_ms, or when much is dirty:
 *       ─ REVOKED ───► flush, forget                                        flush: rows, then the position, then the log's commit
 *       ─ LOST ──────► forget
 *
 * It has no thread and no clock of its own: a simulator calls stream_step itself, pingd does so in a thread that sleeps for
 * stream_pause_ms between steps. What fails is tried again from where it stands, with nothing lost and nothing doubled:
 *
 *             ┌── error ──► RETRYING ◄─┐ error again: the pause doubles, to 5 s
 *   RUNNING ──┤      ok ◄──────┴───────┘
 *             ├── HELD: another kind of engine is at work ──► WAITING, out of the log's group, until that has ended
 *             └── FAILED_PRECONDITION where a partition is taken, DATA_LOSS there or where it is read ──► STOPPED (the text
 *                 says what a person must do; a partition of which all is to be rebuilt goes on behind what the log lost)
 *
 * A partition that the store says is another's now (FENCED) is dropped until the log assigns it anew, or has not taken it away
 * after a while (dropped.h).
 */
#ifndef PING_STREAM_STREAM_H
#define PING_STREAM_STREAM_H

#include "base/clock.h"
#include "base/random.h"
#include "engine/engine.h"
#include "port/log.h"
#include "port/store.h"
#include "stream/rebuild.h"

struct stream;

enum { STREAM_MAX_PARTITIONS = 64 };

struct stream_config {
	struct engine_config engine; /* max_rows: of all partitions, each has an equal share; hash_key: the stream's to draw */
	int flush_interval_ms; /* 0: 500; at most half of max_staleness_ms, the rest is for the write; longer while far behind */
	int max_staleness_ms;  /* from apply to being visible; 0: 2,000 */
	size_t max_dirty_rows; /* of a partition, then it is flushed at once; 0: 65,536 */
};

/* What the stream works with: the caller's, and they must outlive it. */
struct stream_ports {
	struct log_reader *log;
	struct store *store;
	struct clock *clock;
	struct random *random;
	/* After each write, on the stream's thread: what is new in the store. The rows live until it returns. NULL: not wanted.
	 */
	void (*on_written)(void *context, const struct engine_dirty *dirty);
	void *context;
	struct rebuild_source *rebuild_source; /* NULL: without a ledger nothing is rebuilt */
};

enum stream_state { STREAM_RUNNING, STREAM_RETRYING, STREAM_WAITING, STREAM_STOPPED };

struct stream_partition {
	int32_t partition;
	int64_t applied_position;  /* in the engine */
	int64_t stored_position;   /* and in the store */
	int64_t end_position;	   /* of the log, as far as is known */
	int64_t newest_applied_ms; /* received_at of the newest event applied; 0: none yet */
	uint64_t events;	   /* applied since it was assigned */
};

struct stream_status {
	enum stream_state state;
	enum error error; /* why it isn't running; FENCED beside RUNNING: a partition was dropped */
	struct error_note note;
	int64_t since_ms; /* wall clock: when the state last became another */
	struct stream_partition partitions[STREAM_MAX_PARTITIONS];
	size_t partition_count;
	int64_t lag_events;						    /* end − applied, over all partitions */
	int64_t newest_applied_ms;					    /* the newest of all partitions */
	uint64_t writes, rows_written, refreshed, pruned, fenced, repaired; /* repaired: counters, by the store's sweep */
	uint64_t assigned, revoked, lost;				    /* partitions, by rebalances */
	uint64_t commit_failures;   /* of the log's own position, which follows the store's */
	struct engine_stats engine; /* over all partitions and all engines there were */
	struct rebuild_stats rebuild;
};

/* ERROR_NO_MEMORY; ERROR_INVALID_ARGUMENT with the setting in the note. */
enum error stream_create(const struct stream_config *config, const struct stream_ports *ports, struct stream **ret_stream,
			 struct error_note *note);
/* Forgets what isn't flushed. */
void stream_destroy(struct stream *stream);

/* One round: what failed last, or what the log has, waiting at most timeout_ms for it; then what is due of flushes, activities
 * and old windows, a bounded part of each. ERROR_OK also when nothing happened. Before its pause is over it returns the same
 * error again. */
enum error stream_step(struct stream *stream, int timeout_ms, struct error_note *note);
/* Milliseconds until a step can achieve anything; 0 while running. */
int stream_pause_ms(const struct stream *stream);
/* Writes all that is applied, and commits. The first error; the other partitions are flushed all the same. */
enum error stream_flush(struct stream *stream, struct error_note *note);
/* Before a shutdown: steps on while events are left, for at most so long, then flushes. An error but FENCED ends it at once. */
enum error stream_finish(struct stream *stream, int64_t most_ms, struct error_note *note);

/* Any thread. */
void stream_status(struct stream *stream, struct stream_status *ret_status);
const char *stream_state_name(enum stream_state state);

#endif
