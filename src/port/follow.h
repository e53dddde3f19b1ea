/* The log as one follows it who keeps nothing of it and only wants to know whom its events are of: every partition, committed
 * events alone, in the order of each. It is in no group, takes nothing from engines and leaves no trace. One thread. Adapters
 * embed the struct as their first member.
 *
 *   nobody wants to know: skip(where the engines are) ─► skip …
 *   somebody does:        poll(up to where they are) ─► poll …
 */
#ifndef PING_PORT_FOLLOW_H
#define PING_PORT_FOLLOW_H

#include "base/error.h"
#include "engine/engine.h"

enum { FOLLOW_MAX_EVENTS = 4096 }; /* of a poll */

struct follow_batch {
	const struct engine_event *events; /* valid until the next call */
	size_t count;
	bool missed; /* before them there were others, which the log has no more */
	bool behind; /* more events up to what was asked for are still to come */
};

struct log_follower;
struct log_follower_vtable {
	/* Events up to the position until[partition], each once; as many as are at hand: it waits only to connect (15 s at most).
	 * After a skip. UNAVAILABLE, FAILED_PRECONDITION: try again later; it goes on where it was. */
	enum error (*poll)(struct log_follower *follower, const int64_t *until, struct follow_batch *ret_batch,
			   struct error_note *note);
	/* The next poll begins behind positions[partition]. Asks nobody. */
	void (*skip)(struct log_follower *follower, const int64_t *positions);
	int32_t (*partition_count)(const struct log_follower *follower);
	void (*close)(struct log_follower *follower);
};
struct log_follower {
	const struct log_follower_vtable *vtable;
};

#endif
