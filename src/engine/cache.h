/* The rows that the engine holds, of all kinds, found by (kind, client, start) in one table and kept in a slab a kind. A row is
 * named by a reference: two bits of kind, thirty of its index.
 *
 * Eviction is by second chance (the CLOCK algorithm): a hand goes round all rows, takes REFERENCED away from those that have it
 * and evicts the first without. Rows that are dirty, pinned or asked for stay. A client loses what it knew of a window that goes.
 */
#ifndef PING_ENGINE_CACHE_H
#define PING_ENGINE_CACHE_H

#include "engine/row.h"
#include "engine/slab.h"
#include "engine/table.h"

enum row_kind { ROW_CLIENT, ROW_WINDOW, ROW_DAY, ROW_KIND_COUNT };
#define ROW_NONE TABLE_NONE

enum row_flag {
	ROW_LIVE = 1,
	ROW_REFERENCED = 2, /* used again since it came, or since the hand passed */
	ROW_PINNED = 4,	    /* the offered batch needs it */
	ROW_ASKED = 8,	    /* not supplied yet */
	ROW_DIRTY = 16,	    /* newer than the store */
	ROW_COLLECTED = 32, /* dirty, and as it was last collected */
	ROW_PINGED = 64,    /* a client that had an event since it was last written */
};

struct client_entry {
	struct slab_head head;	       /* link: the first of its dirty windows */
	struct client_row row;	       /* first_ms 0: no such client yet */
	uint32_t last[ROW_KIND_COUNT]; /* the window and the day of its last event; what lies there may be another row by now */
	struct activity_row activity;
	int64_t known_ms; /* windows that begin from here on are in the cache, or in no store; INT64_MAX: none is known */
};
struct window_entry {
	struct slab_head head; /* link: the client's next dirty window */
	struct window_row row;
};
struct day_entry {
	struct slab_head head;
	struct day_row row;
};

struct cache {
	struct table table;
	struct slab slabs[ROW_KIND_COUNT];
	uint8_t hash_key[16];
	uint32_t max_rows, hand;
	uint64_t evictions;
};

/* ERROR_NO_MEMORY. */
enum error cache_init(struct cache *cache, uint32_t max_rows, const uint8_t hash_key[16]);
void cache_release(struct cache *cache);

/* Makes room for one row of each kind, evicting where needed. ERROR_NO_MEMORY; ERROR_RESOURCE_EXHAUSTED: all rows must stay. */
enum error cache_reserve(struct cache *cache);
uint32_t cache_tag(const struct cache *cache, enum row_kind kind, const struct address *client, int64_t start_ms);
/* start_ms is 0 for a client. ROW_NONE: not here. */
uint32_t cache_find(const struct cache *cache, enum row_kind kind, uint32_t tag, const struct address *client, int64_t start_ms);
/* An empty row with position POSITION_NONE. There was room. */
uint32_t cache_create(struct cache *cache, enum row_kind kind, uint32_t tag, const struct address *client, int64_t start_ms);

/* Drops every row of these clients, in order of address. One look at each row there is. */
void cache_forget(struct cache *cache, const struct address *clients, size_t count);

static inline uint32_t cache_rows(const struct cache *cache)
{
	return cache->table.count;
}
static inline enum row_kind cache_kind(uint32_t ref)
{
	return (enum row_kind)(ref >> 30);
}
static inline void *cache_at(const struct cache *cache, uint32_t ref)
{
	return slab_at(&cache->slabs[cache_kind(ref)], ref & (UINT32_MAX >> 2));
}
/* Brings a row (ROW_NONE: none) into the processor's cache, for use some rows later. Always inline: gcc takes a function that
 * only prefetches for one without effect and drops the calls. */
static inline __attribute__((always_inline)) void cache_prefetch(const struct cache *cache, uint32_t ref)
{
	enum { LINE = 64 };
	if (ref == ROW_NONE)
		return;
	const char *entry = cache_at(cache, ref);
	__builtin_prefetch(entry);
	if (cache_kind(ref) == ROW_CLIENT) {
		__builtin_prefetch(entry + LINE);
		__builtin_prefetch(entry + 2 * LINE);
	}
}
/* Whether this very row lies at the reference (which may be ROW_NONE or stale). kind: window or day. */
bool cache_is(const struct cache *cache, uint32_t ref, const struct address *client, int64_t start_ms);

#endif
