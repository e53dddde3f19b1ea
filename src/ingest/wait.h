/* Waiting with a timeout that no change of the wall clock touches. */
#ifndef PING_INGEST_WAIT_H
#define PING_INGEST_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

static inline bool wait_init(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	if (pthread_condattr_init(&attributes) != 0)
		return false;
	bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 && pthread_cond_init(condition, &attributes) == 0;
	pthread_condattr_destroy(&attributes);
	return ok;
}

static inline struct timespec wait_deadline(int timeout_ms)
{
	struct timespec deadline;
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += timeout_ms / 1000;
	deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_sec++;
		deadline.tv_nsec -= 1000000000;
	}
	return deadline;
}

#endif
