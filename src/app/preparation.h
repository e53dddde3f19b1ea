/* What must be done once before pings flow, and can only be done when a server is there: a schema, topics. On a thread of its
 * own, tried again until it is done, so that a process that starts before its servers becomes ready when they come.
 *
 *   TRYING ──done──► DONE
 *     │ ▲ └─not retriable──► FAILED      a person must act
 *     └─┘ retriable: after a pause that grows, with jitter
 */
#ifndef PING_APP_PREPARATION_H
#define PING_APP_PREPARATION_H

#include "ingest/ingest.h"

struct preparation;

struct preparation_config {
	const char *what; /* "ledger": for log lines; static */
	/* One attempt; may block for a while. An error that is retriable, or IN_DOUBT, is tried again. */
	enum error (*attempt)(void *context, struct error_note *note);
	/* On its thread, after each attempt: OK, the error that is tried again, or the one that ends it. */
	void (*told)(void *context, enum error error, bool ended, const struct error_note *note);
	void *context;
};

/* NO_MEMORY, RESOURCE_EXHAUSTED (no thread). */
enum error preparation_start(const struct preparation_config *config, struct preparation **ret_preparation);
/* After the attempt in work. NULL is fine. */
void preparation_stop(struct preparation *preparation);

/* Until all of them are done or one has failed, at most timeout_ms. UNAVAILABLE: some are still at it. Else the first failure,
 * with its note. Any thread. */
enum error preparation_wait(struct preparation *const *preparations, size_t count, int timeout_ms, struct error_note *note);
/* For whoever carries out pings: waits until all are done, and refuses what is submitted meanwhile at once, with the reason.
 * False: ingest was closed before. */
bool preparation_await(struct preparation *const *preparations, size_t count, struct ingest *ingest);

#endif
