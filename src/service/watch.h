/* Who wants to hear of windows as they change, and what each has not heard yet: the source of WatchWindowStats. Any thread.
 *
 *   stream's on_written,
 *   or a watch_feed     ── watch_publish ──► one row log that all share who watch every client ──► watch_take ── the wire
 *                             └── by client ──► a row log of each who watches some ─────────────────┘
 *
 * A subscriber that falls behind by more than WATCH_MAX_ROWS different windows (WATCH_MAX_OWN_ROWS, who watches some clients)
 * loses what was pending and is told so by its next take: it reads the lists again and then goes on from what is published since.
 * All logs together take WATCH_MAX_BYTES. Nobody slows the stream down: a row costs what those cost who want just its client, and
 * for all others together one place in a log and a wake-up of those who sleep.
 */
#ifndef PING_SERVICE_WATCH_H
#define PING_SERVICE_WATCH_H

#include "base/random.h"
#include "engine/row.h"

struct watch_hub;
struct watch_subscriber;

enum {
	WATCH_MAX_ROWS = 1 << 16,     /* different windows pending */
	WATCH_MAX_OWN_ROWS = 1 << 12, /* the same for one subscriber with a filter */
	WATCH_MAX_CLIENTS = 1000,     /* in one filter */
	WATCH_MAX_SUBSCRIBERS = 10000,
	WATCH_MAX_BYTES = 64 << 20,
};

/* ERROR_NO_MEMORY. */
enum error watch_hub_create(struct random *random, struct watch_hub **ret_hub);
/* All subscribers must be gone. */
void watch_hub_destroy(struct watch_hub *hub);
/* No subscriber comes any more, and all there are are woken to see it. Any number of times. */
void watch_hub_close(struct watch_hub *hub);
bool watch_hub_closed(struct watch_hub *hub);
/* Of subscribers. */
size_t watch_hub_count(struct watch_hub *hub);

/* clients: copied; count 0: all. `wake` (NULL: none) is called when something became pending where nothing was, on the
 * publisher's thread and under the hub's lock: it must be quick and not call the hub. INVALID_ARGUMENT (too many clients),
 * RESOURCE_EXHAUSTED (too many subscribers), SHUTTING_DOWN, NO_MEMORY. */
enum error watch_subscribe(struct watch_hub *hub, const struct address *clients, size_t count, void (*wake)(void *context),
			   void *context, struct watch_subscriber **ret_subscriber, struct error_note *note);
/* No wake is under way or follows when it returns. */
void watch_unsubscribe(struct watch_hub *hub, struct watch_subscriber *subscriber);

/* Somebody would be given a row of this client's. */
bool watch_wanted(struct watch_hub *hub, const struct address *client);
void watch_publish(struct watch_hub *hub, const struct window_row *rows, size_t count);
/* Changes are not known that should have been published: everybody lags. */
void watch_lose(struct watch_hub *hub);
/* Moves up to max pending rows, in the order in which they last changed; returns how many. *ret_lagging: rows were lost. */
size_t watch_take(struct watch_hub *hub, struct watch_subscriber *subscriber, struct window_row *ret_rows, size_t max,
		  bool *ret_lagging);

#endif
