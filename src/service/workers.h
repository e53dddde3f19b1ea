/* A few threads that answer queries, each with its own readers, so that no loop ever waits for a database.
 *
 *   loops ── workers_submit ──► [ bounded queue ] ──► canceled? ─► run(readers) ──► done
 *                                 full: QUEUE_FULL              └─ UNAVAILABLE, IO: close, open again, run once more
 *
 * Readers are opened when they are first wanted. After an open that failed, its error is the answer for a second; then it is
 * tried again.
 */
#ifndef PING_SERVICE_WORKERS_H
#define PING_SERVICE_WORKERS_H

#include "base/clock.h"
#include "port/ledger.h"
#include "port/store.h"

struct workers;
struct readers;

/* Embedded in what it works on; the workers' from submit to done. */
struct work {
	/* On a worker's thread. Called a second time, from the start, after UNAVAILABLE or IO. */
	enum error (*run)(struct work *work, struct readers *readers, struct error_note *note);
	/* On a worker's thread, once: what run said last, or CANCELED if it never ran. The work may be freed. */
	void (*done)(struct work *work, enum error error, const struct error_note *note);
	/* Nobody waits for it any more. Any thread. */
	bool (*canceled)(const struct work *work);
	struct work *next; /* the workers' */
};

struct workers_config {
	size_t threads;	  /* 0: 2; at most 64 */
	size_t max_queue; /* work that waits; 0: 1,024 */
	struct clock *clock;
	/* Called on workers' threads, several at a time; what they open is used and closed on that thread. NOT_FOUND (a file that
	 * isn't there yet) is told as UNAVAILABLE. */
	enum error (*open_ledger)(void *context, struct ledger_reader **ret_reader, struct error_note *note);
	enum error (*open_store)(void *context, struct store_reader **ret_reader, struct error_note *note); /* NULL: no store */
	/* NULL: not wanted. `port` ("ledger", "store") was opened (OK), could not be, or failed a query with UNAVAILABLE or IO.
	 */
	void (*observe)(void *context, const char *port, enum error error, const struct error_note *note);
	void *context;
};

/* NO_MEMORY, RESOURCE_EXHAUSTED (no thread), INVALID_ARGUMENT (too many threads). */
enum error workers_create(const struct workers_config *config, struct workers **ret_workers);
/* What waits is still carried out; from the call on submit says SHUTTING_DOWN. */
void workers_destroy(struct workers *workers);
/* Any thread. QUEUE_FULL, SHUTTING_DOWN: done will not be called. */
enum error workers_submit(struct workers *workers, struct work *work);

/* For run. The reader stays the worker's. The open's error; FAILED_PRECONDITION where no store is configured. */
enum error readers_ledger(struct readers *readers, struct ledger_reader **ret_reader, struct error_note *note);
enum error readers_store(struct readers *readers, struct store_reader **ret_reader, struct error_note *note);
/* For a run that does without a port that failed: it is opened again next time. */
void readers_failed(struct readers *readers, enum error error, const struct error_note *note);

#endif
