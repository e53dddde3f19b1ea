#include "service/watch_feed.h"

#include <stdlib.h>

enum { POLLS_PER_STEP = 16 };

struct watch_feed {
	struct watch_hub *hub;
	struct log_follower *follower;
	bool placed; /* the follower knows where to begin */
	int64_t *positions;
	size_t partition_count;
	size_t count; /* of the rows that are to be read: client and start_ms */
	struct window_row rows[WATCH_FEED_MAX];
};

enum error watch_feed_create(struct watch_hub *hub, struct log_follower *follower, struct watch_feed **ret_feed)
{
	struct watch_feed *feed = malloc(sizeof *feed);
	if (feed == NULL)
		return ERROR_NO_MEMORY;
	feed->hub = hub;
	feed->follower = follower;
	feed->placed = false;
	feed->count = 0;
	feed->partition_count = (size_t)follower->vtable->partition_count(follower);
	feed->positions = calloc(feed->partition_count, sizeof *feed->positions);
	if (feed->positions == NULL) {
		free(feed);
		return ERROR_NO_MEMORY;
	}
	*ret_feed = feed;
	return ERROR_OK;
}

void watch_feed_destroy(struct watch_feed *feed)
{
	if (feed != NULL)
		free(feed->positions);
	free(feed);
}

/* ─── Windows that changed ──────────────────────────────────────────────────────────────────────────────────────────── */

static int compare_windows(const void *a, const void *b)
{
	const struct window_row *first = a, *second = b;
	int order = address_compare(&first->client, &second->client);
	return order != 0 ? order : (first->start_ms > second->start_ms) - (first->start_ms < second->start_ms);
}

/* Each once. */
static void coalesce(struct watch_feed *feed)
{
	size_t kept = 0;
	qsort(feed->rows, feed->count, sizeof *feed->rows, compare_windows);
	for (size_t i = 0; i < feed->count; i++)
		if (kept == 0 || compare_windows(&feed->rows[kept - 1], &feed->rows[i]) != 0)
			feed->rows[kept++] = feed->rows[i];
	feed->count = kept;
}

static bool has_room(struct watch_feed *feed)
{
	if (feed->count + FOLLOW_MAX_EVENTS > WATCH_FEED_MAX)
		coalesce(feed);
	return feed->count + FOLLOW_MAX_EVENTS <= WATCH_FEED_MAX;
}

static void add(struct watch_feed *feed, const struct follow_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		if (watch_wanted(feed->hub, &batch->events[i].client))
			feed->rows[feed->count++] = (struct window_row){
				.client = batch->events[i].client, .start_ms = window_start_of(batch->events[i].pinged_at_ms)};
}

static enum error collect(struct watch_feed *feed, bool *ret_behind, struct error_note *note)
{
	struct follow_batch batch = {.behind = true};
	enum error error = ERROR_OK;
	for (int i = 0; i < POLLS_PER_STEP && error == ERROR_OK && has_room(feed); i++) {
		error = feed->follower->vtable->poll(feed->follower, feed->positions, &batch, note);
		if (error != ERROR_OK)
			break;
		if (batch.missed)
			watch_lose(feed->hub);
		add(feed, &batch);
		if (batch.count == 0)
			break;
	}
	*ret_behind = batch.behind;
	return error;
}

/* Windows past their retention are events' all the same: there is no such row. */
static enum error publish(struct watch_feed *feed, struct store_reader *reader, struct error_note *note)
{
	coalesce(feed);
	while (feed->count > 0) {
		size_t some = feed->count < WATCH_FEED_READ ? feed->count : WATCH_FEED_READ, found = 0;
		struct window_row *rows = &feed->rows[feed->count - some];
		enum error error = reader->vtable->read_windows(reader, rows, some, note);
		if (error != ERROR_OK)
			return error;
		feed->count -= some;
		for (size_t i = 0; i < some; i++)
			if (rows[i].count > 0)
				rows[found++] = rows[i];
		watch_publish(feed->hub, rows, found);
	}
	return ERROR_OK;
}

/* ─── Step ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* While nobody watches, and nobody has come since the positions were read: who comes later wants to know what is written later.
 */
static void stay_here(struct watch_feed *feed)
{
	feed->follower->vtable->skip(feed->follower, feed->positions);
	feed->placed = true;
	feed->count = 0;
}

enum error watch_feed_step(struct watch_feed *feed, struct store_reader *reader, bool *ret_behind, struct error_note *note)
{
	bool idle = watch_hub_count(feed->hub) == 0;
	*ret_behind = false;
	enum error error = reader->vtable->positions(reader, feed->positions, feed->partition_count, note);
	if (error != ERROR_OK)
		return error;
	if (idle && watch_hub_count(feed->hub) == 0) {
		stay_here(feed);
		return ERROR_OK;
	}
	if (!feed->placed) {
		stay_here(feed);
		watch_lose(feed->hub); /* what was written since they came is not known */
	}
	struct error_note unread;
	enum error failed = collect(feed, ret_behind, note);
	error = publish(feed, reader, failed == ERROR_OK ? note : &unread);
	return failed != ERROR_OK ? failed : error;
}
