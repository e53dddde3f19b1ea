#include "app/watch_follow.h"

#include "base/clock.h"
#include "base/log.h"
#include "service/watch_feed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	LOOK_MS = 250,	/* how often the store is asked how far the engines are, while somebody watches */
	IDLE_MS = 1000, /* the same while nobody does */
	RETRY_MS = 1000,
	BEHIND_MS = 20, /* what is on its way from the log has that long to arrive */
	SLICE_MS = 50,
};

struct watch_follow {
	const struct pingd_config *config;
	struct watch_hub *hub;
	struct log_follower *follower;
	struct watch_feed *feed;
	struct store_reader *reader; /* NULL: not open */
	bool failed;
	pthread_t thread;
	bool runs;
	atomic_bool closes;
};

static void close_reader(struct watch_follow *follow)
{
	if (follow->reader != NULL)
		follow->reader->vtable->close(follow->reader);
	follow->reader = NULL;
}

static enum error step(struct watch_follow *follow, bool *ret_behind, struct error_note *note)
{
	enum error error = follow->reader != NULL ? ERROR_OK : backend_open_store_reader(follow->config, &follow->reader, note);
	if (error == ERROR_OK)
		error = watch_feed_step(follow->feed, follow->reader, ret_behind, note);
	if (error != ERROR_OK)
		close_reader(follow);
	return error;
}

static void tell(struct watch_follow *follow, enum error error, const struct error_note *note)
{
	if (error != ERROR_OK)
		log_limited(LOG_ERROR, "who watches hears of changes later", log_error(error),
			    log_text("detail", *note->text != 0 ? note->text : error_text(error)));
	else if (follow->failed)
		log_event(LOG_INFO, "who watches hears of changes again");
	follow->failed = error != ERROR_OK;
}

/* Shorter, where somebody begins to watch. */
static void pause_for(struct watch_follow *follow, int pause_ms)
{
	bool idle = watch_hub_count(follow->hub) == 0;
	for (; pause_ms > 0 && !atomic_load(&follow->closes); pause_ms -= SLICE_MS) {
		clock_sleep_ms(pause_ms < SLICE_MS ? pause_ms : SLICE_MS);
		if (idle && !follow->failed && watch_hub_count(follow->hub) > 0)
			return;
	}
}

static void *follow_main(void *context)
{
	struct watch_follow *follow = context;
	while (!atomic_load(&follow->closes)) {
		struct error_note note = {""};
		bool behind = false;
		enum error error = step(follow, &behind, &note);
		tell(follow, error, &note);
		pause_for(follow, error != ERROR_OK		      ? RETRY_MS
				  : behind			      ? BEHIND_MS
				  : watch_hub_count(follow->hub) == 0 ? IDLE_MS
								      : LOOK_MS);
	}
	return NULL;
}

enum error watch_follow_start(const struct pingd_config *config, struct backend *backend, struct watch_hub *hub,
			      struct watch_follow **ret_follow, struct error_note *note)
{
	struct watch_follow *follow = calloc(1, sizeof *follow);
	if (follow == NULL)
		return ERROR_NO_MEMORY;
	follow->config = config;
	follow->hub = hub;
	enum error error = backend_open_follower(backend, &follow->follower, note);
	if (error == ERROR_OK)
		error = watch_feed_create(hub, follow->follower, &follow->feed);
	if (error == ERROR_OK) {
		follow->runs = pthread_create(&follow->thread, NULL, follow_main, follow) == 0;
		error = follow->runs ? ERROR_OK : ERROR_RESOURCE_EXHAUSTED;
	}
	if (error != ERROR_OK) {
		watch_follow_stop(follow);
		return error;
	}
	*ret_follow = follow;
	return ERROR_OK;
}

void watch_follow_stop(struct watch_follow *follow)
{
	if (follow == NULL)
		return;
	atomic_store(&follow->closes, true);
	if (follow->runs)
		pthread_join(follow->thread, NULL);
	close_reader(follow);
	watch_feed_destroy(follow->feed);
	if (follow->follower != NULL)
		follow->follower->vtable->close(follow->follower);
	free(follow);
}
