/* Group commit: pings queue up while the batch before them commits; then all that wait, at most max_batch, are one transaction.
 * Nothing waits for a timer, except a publisher that gathers as many as usually come together (ingest_patience_us).
 *
 *   loops ── ingest_submit ──► [ bounded queue ] ─┬► ingest_step (one thread): settle, append to the ledger, done()
 *                                full: QUEUE_FULL │    the simple path: ledger and log are one
 *                                at once          └► ingest_take by each of several publishers (ingest/publisher.h)
 *
 * The queue may be filled from any thread. A simulator calls the steps itself; pingd runs them in threads that sleep in
 * ingest_wait.
 */
#ifndef PING_INGEST_INGEST_H
#define PING_INGEST_INGEST_H

#include "base/clock.h"
#include "port/ledger.h"

struct ingest;

/* One ping on its way; embedded in the caller's own struct and owned by ingest from submit to done. */
struct ingest_ping {
	struct ledger_ping ping; /* client, pinged_at_ms, received_at_ms, key are the caller's; the id is set before the append */
	/* On the publisher's thread, once: OK, KEY_REUSED, or why the batch failed (then with a note). The ping may be freed. */
	void (*done)(struct ingest_ping *ping, enum error error, const struct error_note *note);
	struct ingest_ping *next; /* ingest's */
};

struct ingest_config {
	size_t max_queue;		  /* pings submitted and not done; 0: 65,536 */
	size_t max_batch;		  /* pings in one transaction; 0: 4,096 */
	int64_t idempotency_retention_ms; /* keys are kept at least this long; 0: 24 h, which is the least */
};

struct ingest_stats {
	uint64_t accepted, duplicates, failed, rejected; /* pings: kept, key was there before, batch failed, queue full */
	uint64_t batches, failed_batches;
	size_t depth; /* submitted and not done */
};

/* The queue alone, for publishers. */
enum error ingest_create(const struct ingest_config *config, struct clock *clock, struct ingest **ret_ingest);
/* With the simple path, for a ledger that may not be there yet. It stays the caller's and must outlive the ingest. */
enum error ingest_create_waiting(const struct ingest_config *config, struct ledger *ledger, struct clock *clock,
				 struct random *random, struct ingest **ret_ingest);
/* Reads the ledger's last id; before the first step. Until then what waits is refused by ingest_refuse. */
enum error ingest_begin(struct ingest *ingest, struct error_note *note);
/* Both at once. */
enum error ingest_create_simple(const struct ingest_config *config, struct ledger *ledger, struct clock *clock,
				struct random *random, struct ingest **ret_ingest, struct error_note *note);
/* Everything submitted must be done. */
void ingest_destroy(struct ingest *ingest);

/* Any thread. INVALID_ARGUMENT (a pinged_at or key that no ledger takes; in a batch it would fail its neighbours), QUEUE_FULL,
 * SHUTTING_DOWN: done will not be called. */
enum error ingest_submit(struct ingest *ingest, struct ingest_ping *ping);
/* Simple path. Carries out one batch, if any waits; false when nothing did. Between batches it forgets a few idempotency keys
 * that are past their retention, so call it at least once a minute. */
bool ingest_step(struct ingest *ingest);
/* Sleeps until something waits, ingest_close was called or timeout_ms (>= 0) have passed. */
void ingest_wait(struct ingest *ingest, int timeout_ms);
/* From now on submit says SHUTTING_DOWN; what waits is still carried out by steps. Any thread. */
void ingest_close(struct ingest *ingest);
bool ingest_closed(struct ingest *ingest);

/* For publishers, each on a thread of its own. */

/* What became of pings that were taken. */
struct ingest_outcome {
	size_t accepted, duplicates, failed; /* pings */
	size_t batches, failed_batches;
};
/* Detaches the oldest pings, at most `max`, as a list by `next`. Each is to be counted, then done. 0: nothing waits. */
size_t ingest_take(struct ingest *ingest, size_t max, struct ingest_ping **ret_first);
void ingest_count(struct ingest *ingest, const struct ingest_outcome *outcome);
/* One publisher more, or less, is ready to carry pings out. */
void ingest_set_ready(struct ingest *ingest, bool ready);
/* Answers all that wait, unless a publisher is ready to carry it out. How many. */
size_t ingest_refuse(struct ingest *ingest, enum error error, const struct error_note *note);
/* How long to wait for more pings before a batch is taken, since the first of them was seen; 0: not at all. A transaction costs
 * ledger and log nearly the same whatever is in it, so it pays to wait while there are fewer than usually come together: for a
 * moment when nobody has a batch on its way, longer beside another publisher, which will go on with all of them when its own has
 * ended. One ping at a time waits for nothing. */
int64_t ingest_patience_us(struct ingest *ingest);
/* Sleeps until it is 0, at most timeout_ms. */
void ingest_wait_gathered(struct ingest *ingest, int timeout_ms);
/* For whoever is not ready: sleeps until ingest_close was called or (for_pings) something waits and no publisher is
 * ready, at most timeout_ms. */
void ingest_wait_unready(struct ingest *ingest, bool for_pings, int timeout_ms);

/* Any thread. */
struct ingest_stats ingest_stats(struct ingest *ingest);

#endif
