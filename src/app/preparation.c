#include "app/preparation.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "ingest/wait.h"

#include <stdlib.h>

enum {
	PAUSE_LEAST_MS = 100,
	PAUSE_MOST_MS = 2000,
	LOOK_MS = 100, /* how soon one who refuses pings sees that it is done */
};

struct preparation {
	struct preparation_config config;
	pthread_t thread;
	pthread_mutex_t mutex; /* guards the following */
	pthread_cond_t changed;
	bool ended, stopping;
	enum error error; /* as of the last attempt; UNAVAILABLE before the first */
	struct error_note note;
};

static int pause_ms(unsigned attempt)
{
	int most_ms = PAUSE_LEAST_MS;
	for (unsigned i = 0; i < attempt && most_ms < PAUSE_MOST_MS; i++)
		most_ms *= 2;
	most_ms = most_ms < PAUSE_MOST_MS ? most_ms : PAUSE_MOST_MS;
	return most_ms / 2 + (int)random_below(random_system(), (uint64_t)most_ms / 2 + 1);
}

/* False: it is to stop. */
static bool sleep_ms(struct preparation *preparation, int timeout_ms)
{
	struct timespec deadline = wait_deadline(timeout_ms);
	int result = 0;
	pthread_mutex_lock(&preparation->mutex);
	while (result == 0 && !preparation->stopping)
		result = pthread_cond_timedwait(&preparation->changed, &preparation->mutex, &deadline);
	bool stopping = preparation->stopping;
	pthread_mutex_unlock(&preparation->mutex);
	return !stopping;
}

static void tell(struct preparation *preparation, enum error error, bool ended, const struct error_note *note, int64_t begin_us,
		 unsigned attempt)
{
	int64_t took_us = clock_monotonic_us(clock_system()) - begin_us;
	if (error == ERROR_OK && attempt > 0)
		log_event(LOG_INFO, "what was waited for is there", log_text("what", preparation->config.what),
			  log_int("after_s", (took_us + 500000) / 1000000));
	else if (error != ERROR_OK && !ended)
		log_limited(LOG_WARN, "not ready: waits for what is not there yet", log_text("what", preparation->config.what),
			    log_error(error), log_text("detail", note->text));
	preparation->config.told(preparation->config.context, error, ended, note);
	pthread_mutex_lock(&preparation->mutex);
	preparation->error = error;
	preparation->note = *note;
	preparation->ended = ended;
	pthread_mutex_unlock(&preparation->mutex);
	pthread_cond_broadcast(&preparation->changed);
}

static void *preparation_main(void *context)
{
	struct preparation *preparation = context;
	int64_t begin_us = clock_monotonic_us(clock_system());
	for (unsigned attempt = 0;; attempt++) {
		struct error_note note = {0};
		enum error error = preparation->config.attempt(preparation->config.context, &note);
		if (note.text[0] == 0)
			error_noted(&note, error, "%s", error_text(error));
		bool ended = !error_retriable(error) && error != ERROR_IN_DOUBT;
		tell(preparation, error, ended, &note, begin_us, attempt);
		if (ended || !sleep_ms(preparation, pause_ms(attempt)))
			return NULL;
	}
}

enum error preparation_start(const struct preparation_config *config, struct preparation **ret_preparation)
{
	struct preparation *preparation = calloc(1, sizeof *preparation);
	if (preparation == NULL)
		return ERROR_NO_MEMORY;
	preparation->config = *config;
	preparation->error = error_noted(&preparation->note, ERROR_UNAVAILABLE, "starting");
	bool made = wait_init(&preparation->changed) && pthread_mutex_init(&preparation->mutex, NULL) == 0;
	if (!made || pthread_create(&preparation->thread, NULL, preparation_main, preparation) != 0) {
		free(preparation);
		return made ? ERROR_RESOURCE_EXHAUSTED : ERROR_NO_MEMORY;
	}
	*ret_preparation = preparation;
	return ERROR_OK;
}

void preparation_stop(struct preparation *preparation)
{
	if (preparation == NULL)
		return;
	pthread_mutex_lock(&preparation->mutex);
	preparation->stopping = true;
	pthread_mutex_unlock(&preparation->mutex);
	pthread_cond_broadcast(&preparation->changed);
	pthread_join(preparation->thread, NULL);
	pthread_mutex_destroy(&preparation->mutex);
	pthread_cond_destroy(&preparation->changed);
	free(preparation);
}

/* OK, how it failed, or UNAVAILABLE while it is at it. */
static enum error wait_one(struct preparation *preparation, const struct timespec *deadline, struct error_note *ret_note)
{
	int result = 0;
	pthread_mutex_lock(&preparation->mutex);
	while (result == 0 && !preparation->ended)
		result = pthread_cond_timedwait(&preparation->changed, &preparation->mutex, deadline);
	enum error error = preparation->ended ? preparation->error : ERROR_UNAVAILABLE;
	*ret_note = preparation->note;
	pthread_mutex_unlock(&preparation->mutex);
	return error;
}

enum error preparation_wait(struct preparation *const *preparations, size_t count, int timeout_ms, struct error_note *note)
{
	struct timespec deadline = wait_deadline(timeout_ms);
	enum error result = ERROR_OK;
	for (size_t i = 0; i < count; i++) {
		struct error_note one;
		enum error error = wait_one(preparations[i], &deadline, &one);
		/* A failure counts more than that another is still at it. */
		if (error == ERROR_OK || (error == ERROR_UNAVAILABLE && result != ERROR_OK))
			continue;
		if (note != NULL)
			*note = one;
		result = error;
		if (error != ERROR_UNAVAILABLE)
			break;
	}
	return result;
}

bool preparation_await(struct preparation *const *preparations, size_t count, struct ingest *ingest)
{
	struct error_note note;
	while (preparation_wait(preparations, count, 0, &note) != ERROR_OK) {
		bool closed = ingest_closed(ingest);
		ingest_refuse(ingest, closed ? ERROR_SHUTTING_DOWN : ERROR_UNAVAILABLE, &note);
		if (closed)
			return false;
		ingest_wait_unready(ingest, true, LOOK_MS);
	}
	return true;
}
