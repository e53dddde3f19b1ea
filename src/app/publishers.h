/* The publishers of one process, where ledger and log are two systems: a thread each, with its own connection and producer, and
 * one thread more that finishes what dead publishers of other processes left. They share nothing but ingest's queue.
 */
#ifndef PING_APP_PUBLISHERS_H
#define PING_APP_PUBLISHERS_H

#include "app/backend.h"
#include "app/publishers_health.h"
#include "app/timed_ports.h"

struct publishers;

struct publishers_totals {
	size_t count, ready; /* of those who take pings */
	uint64_t batches, failed, unknown, aborted, recovered, fenced, lost, retries;
};

/* How many there are, with carriers and rescuer, and which is which. */
size_t publishers_count(const struct pingd_config *config);
enum publishers_role publishers_role(const struct pingd_config *config, size_t number);

struct publishers_observer {
	struct timed_ports_observer ports;
	/* Once, from any thread, with the ports' context: a server that came after the start is not as configured, or refuses us.
	 */
	void (*failed)(void *context, enum error error, const struct error_note *note);
};

/* Adds its dependencies to the health and tells how they are (publishers_health.h). A server that is away is waited for behind
 * the start: then pings are refused until it comes. All that is given must outlive it. The note names what could not be opened.
 */
enum error publishers_start(const struct pingd_config *config, struct backend *backend, struct ingest *ingest,
			    const struct publishers_observer *observer, struct health *health, struct publishers **ret_publishers,
			    struct error_note *note);
/* After ingest_close: what waits is carried out, slots are freed, threads end. */
void publishers_stop(struct publishers *publishers);
/* Any thread. */
struct publisher_status publishers_status(struct publishers *publishers, size_t number);
struct publishers_totals publishers_totals(struct publishers *publishers);

#endif
