#include "engine/cache.h"

#include "base/hash.h"
#include "base/rows.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert(offsetof(struct window_entry, row.start_ms) == offsetof(struct day_entry, row.start_ms) &&
		       offsetof(struct window_entry, row.client) == offsetof(struct day_entry, row.client) &&
		       offsetof(struct window_entry, row.client) == offsetof(struct client_entry, row.client),
	       "every entry begins with its head and its key");

static const size_t entry_sizes[ROW_KIND_COUNT] = {
	[ROW_CLIENT] = sizeof(struct client_entry),
	[ROW_WINDOW] = sizeof(struct window_entry),
	[ROW_DAY] = sizeof(struct day_entry),
};

enum error cache_init(struct cache *cache, uint32_t max_rows, const uint8_t hash_key[16])
{
	*cache = (struct cache){.max_rows = max_rows};
	memcpy(cache->hash_key, hash_key, sizeof cache->hash_key);
	enum error error = table_init(&cache->table);
	for (unsigned kind = 0; kind < ROW_KIND_COUNT && error == ERROR_OK; kind++)
		error = slab_init(&cache->slabs[kind], entry_sizes[kind], max_rows);
	if (error != ERROR_OK)
		cache_release(cache);
	return error;
}

void cache_release(struct cache *cache)
{
	for (unsigned kind = 0; kind < ROW_KIND_COUNT; kind++)
		slab_release(&cache->slabs[kind]);
	table_release(&cache->table);
}

uint32_t cache_tag(const struct cache *cache, enum row_kind kind, const struct address *client, int64_t start_ms)
{
	struct {
		struct address client;
		int64_t start_and_kind; /* starts are multiples of 32 */
	} key = {*client, start_ms | kind};
	return (uint32_t)hash_keyed(cache->hash_key, &key, sizeof key);
}

/* The start in an entry of a window or a day; 0 for a client, which has one row alone. */
static int64_t entry_start(enum row_kind kind, const void *entry)
{
	return kind == ROW_WINDOW ? ((const struct window_entry *)entry)->row.start_ms
	       : kind == ROW_DAY  ? ((const struct day_entry *)entry)->row.start_ms
				  : 0;
}

static const struct address *entry_client(enum row_kind kind, const void *entry)
{
	return kind == ROW_WINDOW ? &((const struct window_entry *)entry)->row.client
	       : kind == ROW_DAY  ? &((const struct day_entry *)entry)->row.client
				  : &((const struct client_entry *)entry)->row.client;
}

bool cache_is(const struct cache *cache, uint32_t ref, const struct address *client, int64_t start_ms)
{
	if (ref == ROW_NONE)
		return false;
	enum row_kind kind = cache_kind(ref);
	const void *entry = cache_at(cache, ref);
	return (((const struct slab_head *)entry)->flags & ROW_LIVE) && entry_start(kind, entry) == start_ms &&
	       address_equal(entry_client(kind, entry), client);
}

uint32_t cache_find(const struct cache *cache, enum row_kind kind, uint32_t tag, const struct address *client, int64_t start_ms)
{
	uint32_t at = tag, ref;
	while ((ref = table_next(&cache->table, tag, &at)) != TABLE_NONE)
		if (cache_kind(ref) == kind && cache_is(cache, ref, client, start_ms))
			return ref;
	return ROW_NONE;
}

uint32_t cache_create(struct cache *cache, enum row_kind kind, uint32_t tag, const struct address *client, int64_t start_ms)
{
	uint32_t ref = (uint32_t)kind << 30 | slab_take(&cache->slabs[kind]);
	struct slab_head head = {.flags = ROW_LIVE, .link = ROW_NONE};
	void *entry = cache_at(cache, ref);
	switch (kind) {
	case ROW_CLIENT:
		*(struct client_entry *)entry = (struct client_entry){
			.head = head, .row.client = *client, .last = {ROW_NONE, ROW_NONE, ROW_NONE}, .known_ms = INT64_MAX};
		break;
	case ROW_WINDOW:
		*(struct window_entry *)entry =
			(struct window_entry){head, {.client = *client, .start_ms = start_ms, .position = POSITION_NONE}};
		break;
	case ROW_DAY:
	default:
		*(struct day_entry *)entry =
			(struct day_entry){head, {.client = *client, .start_ms = start_ms, .position = POSITION_NONE}};
	}
	table_insert(&cache->table, tag, ref);
	return ref;
}

static void remove_row(struct cache *cache, uint32_t ref)
{
	enum row_kind kind = cache_kind(ref);
	const void *entry = cache_at(cache, ref);
	uint32_t tag = cache_tag(cache, kind, entry_client(kind, entry), entry_start(kind, entry));
	table_remove(&cache->table, tag, ref);
	slab_free(&cache->slabs[kind], ref & (UINT32_MAX >> 2));
}

void cache_forget(struct cache *cache, const struct address *clients, size_t count)
{
	for (unsigned kind = 0; kind < ROW_KIND_COUNT; kind++)
		for (uint32_t index = 0; index < cache->slabs[kind].used; index++) {
			uint32_t ref = (uint32_t)kind << 30 | index;
			const struct slab_head *head = cache_at(cache, ref);
			if ((head->flags & ROW_LIVE) &&
			    bsearch(entry_client(kind, head), clients, count, sizeof *clients, rows_compare_clients) != NULL)
				remove_row(cache, ref);
		}
}

/* The hand's next step over the slabs, one after the other; free entries too. */
static uint32_t hand_next(struct cache *cache)
{
	enum row_kind kind = cache_kind(cache->hand);
	uint32_t index = cache->hand & (UINT32_MAX >> 2);
	while (index >= cache->slabs[kind].used) {
		kind = (enum row_kind)((kind + 1) % ROW_KIND_COUNT);
		index = 0;
	}
	uint32_t ref = (uint32_t)kind << 30 | index;
	cache->hand = ref + 1;
	return ref;
}

/* Its client no longer knows of the window: it has to be read again. */
static void unknow_window(const struct cache *cache, const struct window_entry *window)
{
	const struct address *address = &window->row.client;
	uint32_t ref = cache_find(cache, ROW_CLIENT, cache_tag(cache, ROW_CLIENT, address, 0), address, 0);
	struct client_entry *client = ref == ROW_NONE ? NULL : cache_at(cache, ref);
	if (client != NULL && client->known_ms <= window->row.start_ms)
		client->known_ms = window->row.start_ms + WINDOW_MS;
}

static void evict(struct cache *cache, uint32_t ref)
{
	if (cache_kind(ref) == ROW_WINDOW)
		unknow_window(cache, cache_at(cache, ref));
	remove_row(cache, ref);
	cache->evictions++;
}

/* Twice round at most: the first round may only take chances away. */
static bool evict_one(struct cache *cache)
{
	uint64_t steps = 0;
	for (unsigned kind = 0; kind < ROW_KIND_COUNT; kind++)
		steps += (uint64_t)cache->slabs[kind].used * 2;
	for (; steps > 0; steps--) {
		uint32_t ref = hand_next(cache);
		struct slab_head *head = cache_at(cache, ref);
		if (!(head->flags & ROW_LIVE) || (head->flags & (ROW_DIRTY | ROW_PINNED | ROW_ASKED)))
			continue;
		if (!(head->flags & ROW_REFERENCED)) {
			evict(cache, ref);
			return true;
		}
		head->flags &= ~(uint32_t)ROW_REFERENCED;
	}
	return false;
}

enum error cache_reserve(struct cache *cache)
{
	while (cache_rows(cache) + ROW_KIND_COUNT > cache->max_rows)
		if (!evict_one(cache))
			return ERROR_RESOURCE_EXHAUSTED;
	enum error error = table_reserve(&cache->table, ROW_KIND_COUNT);
	for (unsigned kind = 0; kind < ROW_KIND_COUNT && error == ERROR_OK; kind++)
		error = slab_reserve(&cache->slabs[kind]);
	return error;
}
