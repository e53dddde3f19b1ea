/* Group commit: pings queue up while the batch before them commits; then all that wait, at most max_batch, are one transaction.
 * Nothing waits for a timer.
 *
 *   loops ── ingest_submit ──► [ bounded queue ] ──► ingest_step (publisher's thread): settle, append to the ledger, done()
 *                                  full: QUEUE_FULL at once
 *
 * The queue may be filled from any thread. Steps belong to one thread. A simulator calls ingest_step itself; pingd runs it in a
 * thread that sleeps in ingest_wait.
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

/* Reads the ledger's last id. The ledger stays the caller's and must outlive the ingest. */
enum error ingest_create(const struct ingest_config *config, struct ledger *ledger, struct clock *clock, struct random *random,
			 struct ingest **ret_ingest, struct error_note *note);
/* Everything submitted must be done. */
void ingest_destroy(struct ingest *ingest);

/* Any thread. INVALID_ARGUMENT (a pinged_at or key that no ledger takes; in a batch it would fail its neighbours), QUEUE_FULL,
 * SHUTTING_DOWN: done will not be called. */
enum error ingest_submit(struct ingest *ingest, struct ingest_ping *ping);
/* Carries out one batch, if any waits; false when nothing did. Between batches it forgets a few idempotency keys that are past
 * their retention, so call it at least once a minute. */
bool ingest_step(struct ingest *ingest);
/* Publisher's thread. Sleeps until something waits, ingest_close was called or timeout_ms (>= 0) have passed. */
void ingest_wait(struct ingest *ingest, int timeout_ms);
/* From now on submit says SHUTTING_DOWN; what waits is still carried out by steps. Any thread. */
void ingest_close(struct ingest *ingest);
/* Any thread. */
struct ingest_stats ingest_stats(struct ingest *ingest);

#endif
