/* An outbox's slot, between the publisher that takes pings (the front: its thread, its connection) and the carrier that brings
 * their batches into the log behind it (another thread, another connection). One of them at a time is inside, and then alone
 * knows what the slot's row is: the front for the length of a batch, the carrier to settle.
 *
 *   front    enter ─► slot, newest │ a batch, a renewal … │ leave: slot
 *   carrier  look ─► slot; told: newest, trouble;   enter ─► settle ─► leave: slot, or lost
 */
#ifndef PING_INGEST_SHARED_SLOT_H
#define PING_INGEST_SHARED_SLOT_H

#include <pthread.h>

#include "port/publish.h"

struct shared_view {
	struct publish_slot slot; /* PUBLISH_NO_SLOT: none is held */
	uint64_t ownership;	  /* which taking it is of */
	bool newest_known;
	int64_t newest;	    /* batch in the log */
	bool lost;	    /* the carrier found that another owner has it */
	bool front_left;    /* for good */
	enum error trouble; /* the carrier's; OK: none */
	struct error_note note;
};

struct shared_slot {
	pthread_mutex_t mutex; /* guards the following */
	pthread_cond_t changed;
	struct shared_view view;
	uint64_t version; /* of what the carrier wants to hear of */
	bool inside;	  /* one of them is */
	bool wanted;	  /* by the carrier: the front lets it in first */
	bool has_carrier;
};

/* False: out of memory. */
bool shared_slot_init(struct shared_slot *shared);
void shared_slot_release(struct shared_slot *shared);

/* False: the other one is inside, or comes first. */
bool shared_slot_enter(struct shared_slot *shared, bool carrier, struct shared_view *ret_view);
void shared_slot_leave_front(struct shared_slot *shared, const struct publish_slot *slot, uint64_t ownership, bool for_good);
void shared_slot_leave_carrier(struct shared_slot *shared, const struct publish_slot *slot, bool lost);

/* The carrier's. ret_version: for shared_slot_wait. */
struct shared_view shared_slot_look(struct shared_slot *shared, uint64_t *ret_version);
/* What it found, unless the ownership is no longer that. */
void shared_slot_tell_newest(struct shared_slot *shared, uint64_t ownership, int64_t newest);
void shared_slot_tell_trouble(struct shared_slot *shared, enum error error, const struct error_note *note);
/* Sleeps until something is newer than the version, at most timeout_ms. */
void shared_slot_wait(struct shared_slot *shared, uint64_t version, int timeout_ms);

#endif
