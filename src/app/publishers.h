/* The publishers of one process, where ledger and log are two systems: a thread each, with its own connection and producer, and
 * one thread more that finishes what dead publishers of other processes left. They share nothing but ingest's queue.
 */
#ifndef PING_APP_PUBLISHERS_H
#define PING_APP_PUBLISHERS_H

#include "app/backend.h"
#include "ingest/publisher.h"
#include "service/health.h"

struct publishers;

struct publishers_totals {
	size_t count, ready; /* publishers, without the rescuer */
	uint64_t batches, failed, unknown, aborted, recovered, fenced;
};

/* Sets the health of "ledger" and "log" from now on: down while no publisher gets on with it. All that is given must outlive it.
 * The note names what could not be opened. */
enum error publishers_start(const struct pingd_config *config, struct backend *backend, struct ingest *ingest,
			    struct health *health, struct publishers **ret_publishers, struct error_note *note);
/* After ingest_close: what waits is carried out, slots are freed, threads end. */
void publishers_stop(struct publishers *publishers);
/* Any thread. */
struct publishers_totals publishers_totals(struct publishers *publishers);

#endif
