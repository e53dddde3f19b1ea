/* Partitions that the store says are another's while the log has not said that they no longer are ours. Usually it will, any
 * moment now: somebody took them because they are his. But whoever slept in the middle of taking one, and lost it meanwhile,
 * takes it all the same when he wakes; once he knows he lets it go, and then nobody would read it. So its owner takes it again,
 * after a time in which all who are no longer members of the group learn that. */
#ifndef PING_STREAM_DROPPED_H
#define PING_STREAM_DROPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DROPPED_MAX = 64 }; /* as many as a stream has partitions */
#define DROPPED_RETAKE_US INT64_C(5000000)

struct dropped {
	size_t count;
	struct dropped_partition {
		int32_t number;
		int64_t retake_at_us; /* monotonic */
	} partitions[DROPPED_MAX];
};

/* One that is in it already is dropped anew. */
void dropped_add(struct dropped *dropped, int32_t number, int64_t now_us);
/* The log has spoken of it. */
void dropped_remove(struct dropped *dropped, int32_t number);
/* Whether there is one to take again; it is removed. */
bool dropped_take_due(struct dropped *dropped, int64_t now_us, int32_t *ret_number);

#endif
