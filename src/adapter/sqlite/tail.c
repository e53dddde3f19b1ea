#include "adapter/sqlite/tail.h"

#include "engine/row.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct log_tail {
	pthread_mutex_t mutex;
	pthread_cond_t moved;
	int64_t position;
};

enum error log_tail_create(struct log_tail **ret_tail)
{
	struct log_tail *tail = calloc(1, sizeof *tail);
	if (tail == NULL)
		return ERROR_NO_MEMORY;
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&tail->moved, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&tail->mutex, NULL);
	tail->position = POSITION_NONE;
	*ret_tail = tail;
	return ERROR_OK;
}

void log_tail_destroy(struct log_tail *tail)
{
	if (tail == NULL)
		return;
	pthread_cond_destroy(&tail->moved);
	pthread_mutex_destroy(&tail->mutex);
	free(tail);
}

void log_tail_advance(struct log_tail *tail, int64_t position)
{
	pthread_mutex_lock(&tail->mutex);
	tail->position = position;
	pthread_mutex_unlock(&tail->mutex);
	pthread_cond_signal(&tail->moved); /* one partition, one reader; costs no system call while nobody waits */
}

int64_t log_tail_position(struct log_tail *tail)
{
	pthread_mutex_lock(&tail->mutex);
	int64_t position = tail->position;
	pthread_mutex_unlock(&tail->mutex);
	return position;
}

void log_tail_wait(struct log_tail *tail, int64_t position, int timeout_ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&tail->mutex);
	while (tail->position <= position)
		if (pthread_cond_timedwait(&tail->moved, &tail->mutex, &until) != 0)
			break;
	pthread_mutex_unlock(&tail->mutex);
}
