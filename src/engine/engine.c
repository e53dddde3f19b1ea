#include "engine/engine.h"

#include "engine/activity.h"
#include "engine/cache.h"

#include <assert.h>
#include <stdlib.h>

enum { DEFAULT_MAX_REFRESHES = 256, MAX_ROWS = 1 << 28, LOOKAHEAD = 16 };

/* The rows of one offered event. */
struct offered {
	uint32_t client, window, day; /* window: ROW_NONE when it is past its retention */
};

struct engine {
	struct engine_config config;
	struct cache cache;
	int64_t position;
	struct engine_stats stats;

	/* The offer. */
	const struct engine_event *events;
	struct offered *offered;
	size_t offered_count, offered_capacity;
	int64_t now_ms;
	size_t refreshes; /* that this offer may still ask for */

	/* Reads to do, [next, count); `asked` were given out or wait here. */
	uint32_t *missing;
	size_t missing_next, missing_count, missing_capacity;
	size_t asked;

	/* Every dirty row once. Capacity for every row there is: apply cannot fail. */
	uint32_t *dirty;
	size_t dirty_count, dirty_capacity;

	/* What collect gave. */
	struct window_row *windows;
	struct day_row *days;
	struct client_row *clients;
	struct activity_row *activities;
	size_t window_capacity, day_capacity, client_capacity, activity_capacity;
};

/* Makes room for `needed` items in the array that `array` is the address of, doubling it. False, and all as before, without
 * memory. */
static bool grow(void *array, size_t *capacity, size_t needed, size_t item_size)
{
	if (needed <= *capacity)
		return true;
	void *items;
	memcpy(&items, array, sizeof items);
	size_t wanted = *capacity * 2 > needed ? *capacity * 2 : needed;
	items = realloc(items, wanted * item_size);
	if (items == NULL)
		return false;
	memcpy(array, &items, sizeof items);
	*capacity = wanted;
	return true;
}

static size_t clamp_rows(size_t rows, size_t most)
{
	return rows < ROW_KIND_COUNT ? ROW_KIND_COUNT : rows > most ? most : rows;
}

enum error engine_create(const struct engine_config *config, int64_t position, struct engine **ret_engine)
{
	if (config->window_retention_ms != 0 && config->window_retention_ms < ENGINE_MIN_RETENTION_MS)
		return ERROR_INVALID_ARGUMENT;
	struct engine *engine = calloc(1, sizeof *engine);
	if (engine == NULL)
		return ERROR_NO_MEMORY;
	engine->config = *config;
	engine->position = position;
	if (config->max_refreshes == 0)
		engine->config.max_refreshes = DEFAULT_MAX_REFRESHES;
	engine->config.max_rows = clamp_rows(config->max_rows == 0 ? ENGINE_DEFAULT_MAX_ROWS : config->max_rows, MAX_ROWS);
	enum error error = cache_init(&engine->cache, (uint32_t)engine->config.max_rows, config->hash_key);
	if (error == ERROR_OK)
		*ret_engine = engine;
	else
		free(engine);
	return error;
}

void engine_limit_rows(struct engine *engine, size_t max_rows)
{
	engine->cache.max_rows = (uint32_t)clamp_rows(max_rows, engine->config.max_rows);
}

void engine_destroy(struct engine *engine)
{
	if (engine == NULL)
		return;
	cache_release(&engine->cache);
	free(engine->offered);
	free(engine->missing);
	free(engine->dirty);
	free(engine->windows);
	free(engine->days);
	free(engine->clients);
	free(engine->activities);
	free(engine);
}

/* Offer */

/* Room for one event: its rows, their place among the dirty, the reads for them. */
static enum error reserve_event(struct engine *engine)
{
	enum error error = cache_reserve(&engine->cache);
	if (error != ERROR_OK)
		return error;
	if (!grow(&engine->dirty, &engine->dirty_capacity, cache_rows(&engine->cache) + ROW_KIND_COUNT, sizeof *engine->dirty) ||
	    !grow(&engine->missing, &engine->missing_capacity, engine->missing_count + ROW_KIND_COUNT, sizeof *engine->missing))
		return ERROR_NO_MEMORY;
	return ERROR_OK;
}

static void ask(struct engine *engine, uint32_t ref)
{
	struct slab_head *head = cache_at(&engine->cache, ref);
	head->flags |= ROW_ASKED;
	engine->missing[engine->missing_count++] = ref;
	engine->asked++;
	engine->stats.loads++;
}

static void flag(struct engine *engine, uint32_t ref, uint32_t flags)
{
	struct slab_head *head = cache_at(&engine->cache, ref);
	head->flags |= flags;
}

static uint32_t find_client(struct engine *engine, const struct address *address, uint32_t tag)
{
	uint32_t ref = cache_find(&engine->cache, ROW_CLIENT, tag, address, 0);
	if (ref != ROW_NONE) {
		flag(engine, ref, ROW_REFERENCED);
		engine->stats.hits++;
	} else {
		ref = cache_create(&engine->cache, ROW_CLIENT, tag, address, 0);
		ask(engine, ref);
	}
	return ref;
}

/* Asks again for an activity that has run out; past the bound it stays as it was seen from its start. */
static void refresh_stale(struct engine *engine, uint32_t ref)
{
	struct client_entry *client = cache_at(&engine->cache, ref);
	if ((client->head.flags & ROW_ASKED) || engine->refreshes == 0 || !activity_stale(&client->activity, engine->now_ms))
		return;
	engine->refreshes--;
	ask(engine, ref);
}

/* Whether nothing is to be read for the window: it comes with its client where that is asked for, or is known not to be stored.
 * One that an owner before us still writes is of events that come to us too, and made of them anew. */
static bool window_is_known(const struct engine *engine, const struct client_entry *client, int64_t start_ms)
{
	return start_ms >= ((client->head.flags & ROW_ASKED) ? activity_start_of(engine->now_ms) : client->known_ms);
}

static uint32_t create_row(struct engine *engine, const struct client_entry *client, enum row_kind kind, uint32_t tag,
			   int64_t start_ms)
{
	uint32_t ref = cache_create(&engine->cache, kind, tag, &client->row.client, start_ms);
	if (kind != ROW_WINDOW || !window_is_known(engine, client, start_ms))
		ask(engine, ref);
	return ref;
}

/* The client's window or day, pinned. */
static uint32_t find_row(struct engine *engine, struct client_entry *client, enum row_kind kind, int64_t start_ms)
{
	const struct address *address = &client->row.client;
	uint32_t ref = client->last[kind], flags = ROW_PINNED | ROW_REFERENCED;
	engine->stats.hits++;
	if (!cache_is(&engine->cache, ref, address, start_ms)) {
		uint32_t tag = cache_tag(&engine->cache, kind, address, start_ms);
		ref = cache_find(&engine->cache, kind, tag, address, start_ms);
		if (ref == ROW_NONE) {
			ref = create_row(engine, client, kind, tag, start_ms);
			flags = ROW_PINNED;
			engine->stats.hits--;
		}
		client->last[kind] = ref;
	}
	flag(engine, ref, flags);
	return ref;
}

static bool window_expired(const struct engine *engine, int64_t start_ms)
{
	int64_t retention_ms = engine->config.window_retention_ms;
	return window_is_expiring(start_ms, retention_ms, engine->now_ms);
}

static struct offered offer_event(struct engine *engine, const struct engine_event *event, uint32_t tag)
{
	struct offered offered = {.client = find_client(engine, &event->client, tag), .window = ROW_NONE};
	flag(engine, offered.client, ROW_PINNED);
	refresh_stale(engine, offered.client);
	struct client_entry *client = cache_at(&engine->cache, offered.client);
	int64_t window_start_ms = window_start_of(event->pinged_at_ms);
	if (!window_expired(engine, window_start_ms))
		offered.window = find_row(engine, client, ROW_WINDOW, window_start_ms);
	offered.day = find_row(engine, client, ROW_DAY, day_start_of(event->pinged_at_ms));
	return offered;
}

/* The tags of some events to come; what these will touch is on its way into the processor's cache, each step for all of them at
 * once. */
static void fetch_ahead(const struct engine *engine, const struct engine_event *events, size_t count, uint32_t tags[])
{
	const struct cache *cache = &engine->cache;
	uint32_t refs[LOOKAHEAD]; /* what is likely the client */
	for (size_t i = 0; i < count; i++) {
		tags[i] = cache_tag(cache, ROW_CLIENT, &events[i].client, 0);
		table_prefetch(&cache->table, tags[i]);
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t at = tags[i];
		refs[i] = table_next(&cache->table, tags[i], &at);
		cache_prefetch(cache, refs[i]);
	}
	for (size_t i = 0; i < count; i++) {
		if (refs[i] == ROW_NONE || cache_kind(refs[i]) != ROW_CLIENT)
			continue;
		const struct client_entry *client = cache_at(cache, refs[i]);
		cache_prefetch(cache, client->last[ROW_WINDOW]);
		cache_prefetch(cache, client->last[ROW_DAY]);
	}
}

enum error engine_offer(struct engine *engine, const struct engine_event *events, size_t count, int64_t now_ms, size_t *ret_taken)
{
	assert(engine->offered_count == 0 && engine->asked == 0);
	if (!grow(&engine->offered, &engine->offered_capacity, count, sizeof *engine->offered))
		return ERROR_NO_MEMORY;
	engine->events = events;
	engine->now_ms = now_ms;
	engine->refreshes = engine->config.max_refreshes;
	enum error error = ERROR_OK;
	size_t taken = 0;
	while (taken < count && error == ERROR_OK) {
		uint32_t tags[LOOKAHEAD];
		size_t group = count - taken < LOOKAHEAD ? count - taken : LOOKAHEAD;
		fetch_ahead(engine, &events[taken], group, tags);
		for (size_t i = 0; i < group && (error = reserve_event(engine)) == ERROR_OK; i++, taken++)
			engine->offered[taken] = offer_event(engine, &events[taken], tags[i]);
	}
	if (taken == 0 && error == ERROR_NO_MEMORY)
		return error;
	engine->offered_count = taken;
	*ret_taken = taken;
	return ERROR_OK;
}

/* Missing rows */

bool engine_next_missing(struct engine *engine, struct engine_missing *ret_missing)
{
	if (engine->missing_next == engine->missing_count) {
		engine->missing_next = engine->missing_count = 0;
		return false;
	}
	uint32_t ref = engine->missing[engine->missing_next++];
	switch (cache_kind(ref)) {
	case ROW_CLIENT: {
		const struct client_entry *client = cache_at(&engine->cache, ref);
		*ret_missing =
			(struct engine_missing){ENGINE_MISSING_CLIENT, client->row.client, activity_start_of(engine->now_ms)};
		break;
	}
	case ROW_WINDOW: {
		const struct window_entry *window = cache_at(&engine->cache, ref);
		*ret_missing = (struct engine_missing){ENGINE_MISSING_WINDOW, window->row.client, window->row.start_ms};
		break;
	}
	case ROW_DAY:
	default: {
		const struct day_entry *day = cache_at(&engine->cache, ref);
		*ret_missing = (struct engine_missing){ENGINE_MISSING_DAY, day->row.client, day->row.start_ms};
	}
	}
	return true;
}

static void *find_entry(const struct engine *engine, enum row_kind kind, const struct address *client, int64_t start_ms)
{
	uint32_t tag = cache_tag(&engine->cache, kind, client, start_ms);
	uint32_t ref = cache_find(&engine->cache, kind, tag, client, start_ms);
	return ref == ROW_NONE ? NULL : cache_at(&engine->cache, ref);
}

/* Whether the row was asked for; an answer to anything else is left aside. */
static bool answered(struct engine *engine, void *entry)
{
	struct slab_head *head = entry;
	if (head == NULL || !(head->flags & ROW_ASKED))
		return false;
	head->flags &= ~(uint32_t)ROW_ASKED;
	engine->asked--;
	return true;
}

/* An owner before us, who is still at it, may have written the window since the client's activity was derived: its events will
 * be skipped, and the activity would never hear of them. So that is due at once. */
static void doubt_activity(struct engine *engine, const struct window_row *row)
{
	struct client_entry *client = find_entry(engine, ROW_CLIENT, &row->client, 0);
	if (client != NULL && !(client->head.flags & ROW_ASKED) && row->start_ms >= client->activity.start_ms)
		activity_due_by(&client->activity, engine->now_ms);
}

enum error engine_supply_window(struct engine *engine, const struct address *client, int64_t start_ms,
				const struct window_row *row)
{
	struct window_entry *window = find_entry(engine, ROW_WINDOW, client, start_ms);
	if (!answered(engine, window) || row == NULL)
		return ERROR_OK;
	window->row = *row;
	if (row->position > engine->position)
		doubt_activity(engine, row);
	return ERROR_OK;
}

enum error engine_supply_day(struct engine *engine, const struct address *client, int64_t start_ms, const struct day_row *row)
{
	struct day_entry *day = find_entry(engine, ROW_DAY, client, start_ms);
	if (answered(engine, day) && row != NULL)
		day->row = *row;
	return ERROR_OK;
}

/* Puts the row, which has room there, among the dirty; true when it was clean. What was collected of it is old now. */
static bool mark_dirty(struct engine *engine, uint32_t ref, struct slab_head *head)
{
	bool clean = !(head->flags & ROW_DIRTY);
	head->flags = (head->flags & ~(uint32_t)ROW_COLLECTED) | ROW_DIRTY;
	if (clean)
		engine->dirty[engine->dirty_count++] = ref;
	return clean;
}

/* The client's activity from what the store holds, and from the dirty windows, which are newer. */
static void derive_activity(struct engine *engine, struct client_entry *client, const struct window_row *windows, size_t count)
{
	int64_t start_ms = activity_start_of(engine->now_ms);
	activity_init(&client->activity, &client->row.client, start_ms);
	for (size_t i = 0; i < count; i++) {
		if (windows[i].start_ms < start_ms)
			continue;
		const struct window_row *row = &windows[i];
		struct window_entry *cached = find_entry(engine, ROW_WINDOW, &client->row.client, row->start_ms);
		if (cached != NULL && (cached->head.flags & ROW_DIRTY))
			continue;
		if (cached != NULL && cached->row.position == POSITION_NONE)
			cached->row = *row; /* needed by the offer */
		else if (cached != NULL)
			row = &cached->row;
		activity_add(&client->activity, row, row->count);
	}
	for (uint32_t ref = client->head.link; ref != ROW_NONE;) {
		const struct window_entry *window = cache_at(&engine->cache, ref);
		activity_add(&client->activity, &window->row, window->row.count);
		ref = window->head.link;
	}
}

static void merge_times(int64_t *first_ms, int64_t *last_ms, int64_t earliest_ms, int64_t latest_ms)
{
	if (*first_ms == 0 || earliest_ms < *first_ms)
		*first_ms = earliest_ms;
	if (latest_ms > *last_ms)
		*last_ms = latest_ms;
}

/* Where there is ample room, the windows of a client that pings stay: its next pings are likely of them. Nothing has to go for
 * them, so when it returns true all are here. */
static bool keep_windows(struct engine *engine, const struct address *client, const struct window_row *windows, size_t count)
{
	if (cache_rows(&engine->cache) + count > engine->cache.max_rows / 2)
		return false;
	for (size_t i = 0; i < count; i++) {
		uint32_t tag = cache_tag(&engine->cache, ROW_WINDOW, client, windows[i].start_ms);
		if (cache_find(&engine->cache, ROW_WINDOW, tag, client, windows[i].start_ms) != ROW_NONE)
			continue;
		if (reserve_event(engine) != ERROR_OK)
			return false;
		uint32_t ref = cache_create(&engine->cache, ROW_WINDOW, tag, client, windows[i].start_ms);
		((struct window_entry *)cache_at(&engine->cache, ref))->row = windows[i];
	}
	return true;
}

/* From where on the client's windows are known, now that these, all from the activity's start on, were read. Its row wouldn't do:
 * a crash can leave newer windows than it names. Nor what was known before: another may have written one since. */
static int64_t know_windows(struct engine *engine, const struct client_entry *client, const struct window_row *windows,
			    size_t count)
{
	int64_t known_ms = activity_start_of(engine->now_ms);
	if ((client->head.flags & ROW_PINNED) && keep_windows(engine, &client->row.client, windows, count))
		return known_ms;
	for (size_t i = 0; i < count; i++)
		if (windows[i].start_ms >= known_ms)
			known_ms = windows[i].start_ms + WINDOW_MS;
	return known_ms;
}

enum error engine_supply_client(struct engine *engine, const struct address *address, const struct client_row *row,
				const struct window_row *windows, size_t window_count)
{
	uint32_t tag = cache_tag(&engine->cache, ROW_CLIENT, address, 0);
	uint32_t ref = cache_find(&engine->cache, ROW_CLIENT, tag, address, 0);
	struct client_entry *client = ref == ROW_NONE ? NULL : cache_at(&engine->cache, ref);
	if (!answered(engine, client))
		return ERROR_OK;
	if (row != NULL && row->first_ms != 0)
		merge_times(&client->row.first_ms, &client->row.last_ms, row->first_ms, row->last_ms);
	derive_activity(engine, client, windows, window_count);
	client->known_ms = know_windows(engine, client, windows, window_count);
	mark_dirty(engine, ref, &client->head);
	return ERROR_OK;
}

/* Apply */

static bool touch(struct engine *engine, uint32_t ref, struct slab_head *head)
{
	head->flags &= ~(uint32_t)ROW_PINNED;
	return mark_dirty(engine, ref, head);
}

static bool merge_window(struct window_row *row, const struct engine_event *event)
{
	if (event->position <= row->position)
		return false;
	row->count++;
	merge_times(&row->first_ms, &row->last_ms, event->pinged_at_ms, event->pinged_at_ms);
	row->position = event->position;
	return true;
}

static bool merge_day(struct day_row *row, const struct engine_event *event)
{
	if (event->position <= row->position)
		return false;
	row->total++;
	row->position = event->position;
	return true;
}

static bool apply_to_window(struct engine *engine, struct client_entry *client, uint32_t ref, const struct engine_event *event)
{
	struct window_entry *window = cache_at(&engine->cache, ref);
	if (touch(engine, ref, &window->head)) {
		window->head.link = client->head.link;
		client->head.link = ref;
	}
	bool merged = merge_window(&window->row, event);
	activity_add(&client->activity, &window->row, merged);
	return merged;
}

static void apply_event(struct engine *engine, const struct engine_event *event, const struct offered *offered)
{
	struct client_entry *client = cache_at(&engine->cache, offered->client);
	touch(engine, offered->client, &client->head);
	client->head.flags |= ROW_PINGED;
	merge_times(&client->row.first_ms, &client->row.last_ms, event->pinged_at_ms, event->pinged_at_ms);
	if (!activity_stale(&client->activity, engine->now_ms))
		client->activity.start_ms = activity_start_of(engine->now_ms);

	struct day_entry *day = cache_at(&engine->cache, offered->day);
	touch(engine, offered->day, &day->head);
	bool merged = merge_day(&day->row, event);
	if (offered->window != ROW_NONE)
		merged |= apply_to_window(engine, client, offered->window, event);

	engine->stats.applied += merged;
	engine->stats.skipped += !merged;
	engine->stats.expired += merged && offered->window == ROW_NONE;
	if (event->position > engine->position)
		engine->position = event->position;
}

void engine_apply(struct engine *engine)
{
	assert(engine->asked == 0);
	for (size_t i = 0; i < engine->offered_count; i++) {
		if (i + LOOKAHEAD < engine->offered_count) {
			const struct offered *ahead = &engine->offered[i + LOOKAHEAD];
			cache_prefetch(&engine->cache, ahead->client);
			cache_prefetch(&engine->cache, ahead->window);
			cache_prefetch(&engine->cache, ahead->day);
		}
		apply_event(engine, &engine->events[i], &engine->offered[i]);
	}
	engine->offered_count = 0;
}

enum error engine_refresh_activity(struct engine *engine, const struct address *client, int64_t now_ms)
{
	assert(engine->offered_count == 0);
	enum error error = reserve_event(engine);
	if (error != ERROR_OK)
		return error;
	engine->now_ms = now_ms;
	uint32_t ref = find_client(engine, client, cache_tag(&engine->cache, ROW_CLIENT, client, 0));
	const struct slab_head *head = cache_at(&engine->cache, ref);
	if (!(head->flags & ROW_ASKED))
		ask(engine, ref);
	return ERROR_OK;
}

/* Dirty rows */

static bool reserve_collected(struct engine *engine, const size_t counts[ROW_KIND_COUNT])
{
	return grow(&engine->windows, &engine->window_capacity, counts[ROW_WINDOW], sizeof *engine->windows) &&
	       grow(&engine->days, &engine->day_capacity, counts[ROW_DAY], sizeof *engine->days) &&
	       grow(&engine->clients, &engine->client_capacity, counts[ROW_CLIENT], sizeof *engine->clients) &&
	       grow(&engine->activities, &engine->activity_capacity, counts[ROW_CLIENT], sizeof *engine->activities);
}

static void collect_row(struct engine *engine, uint32_t ref, struct engine_dirty *dirty)
{
	struct slab_head *head = cache_at(&engine->cache, ref);
	head->flags |= ROW_COLLECTED;
	switch (cache_kind(ref)) {
	case ROW_WINDOW:
		engine->windows[dirty->window_count++] = ((struct window_entry *)head)->row;
		break;
	case ROW_DAY:
		engine->days[dirty->day_count++] = ((struct day_entry *)head)->row;
		break;
	case ROW_CLIENT:
	default: {
		struct client_entry *client = (struct client_entry *)head;
		engine->activities[dirty->activity_count++] = client->activity;
		if (head->flags & ROW_PINGED)
			engine->clients[dirty->client_count++] = client->row;
	}
	}
}

enum error engine_collect_dirty(struct engine *engine, struct engine_dirty *ret_dirty)
{
	size_t counts[ROW_KIND_COUNT] = {0};
	for (size_t i = 0; i < engine->dirty_count; i++)
		counts[cache_kind(engine->dirty[i])]++;
	if (!reserve_collected(engine, counts))
		return ERROR_NO_MEMORY;
	struct engine_dirty dirty = {.position = engine->position};
	for (size_t i = 0; i < engine->dirty_count; i++) {
		if (i + LOOKAHEAD < engine->dirty_count)
			cache_prefetch(&engine->cache, engine->dirty[i + LOOKAHEAD]);
		collect_row(engine, engine->dirty[i], &dirty);
	}
	dirty.windows = engine->windows;
	dirty.days = engine->days;
	dirty.clients = engine->clients;
	dirty.activities = engine->activities;
	*ret_dirty = dirty;
	return ERROR_OK;
}

/* A window that stayed dirty goes back to its client, which then is dirty too: every event touches both. */
static void relink(struct engine *engine, uint32_t ref)
{
	struct window_entry *window = cache_at(&engine->cache, ref);
	struct client_entry *client = find_entry(engine, ROW_CLIENT, &window->row.client, 0);
	assert(client != NULL && (client->head.flags & ROW_DIRTY));
	window->head.link = client->head.link;
	client->head.link = ref;
}

void engine_written(struct engine *engine)
{
	size_t kept = 0;
	for (size_t i = 0; i < engine->dirty_count; i++) {
		uint32_t ref = engine->dirty[i];
		struct slab_head *head = cache_at(&engine->cache, ref);
		if (cache_kind(ref) == ROW_CLIENT)
			head->link = ROW_NONE;
		if (head->flags & ROW_COLLECTED)
			head->flags &= ~(uint32_t)(ROW_DIRTY | ROW_COLLECTED | ROW_PINGED);
		else
			engine->dirty[kept++] = ref;
	}
	engine->dirty_count = kept;
	for (size_t i = 0; i < kept; i++)
		if (cache_kind(engine->dirty[i]) == ROW_WINDOW)
			relink(engine, engine->dirty[i]);
}

void engine_forget(struct engine *engine, const struct address *clients, size_t count)
{
	assert(engine->offered_count == 0 && engine->asked == 0 && engine->dirty_count == 0);
	cache_forget(&engine->cache, clients, count);
}

int64_t engine_position(const struct engine *engine)
{
	return engine->position;
}

struct engine_stats engine_stats(const struct engine *engine)
{
	struct engine_stats stats = engine->stats;
	stats.evictions = engine->cache.evictions;
	stats.rows = cache_rows(&engine->cache);
	stats.dirty_rows = engine->dirty_count;
	return stats;
}
