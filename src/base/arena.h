/* Memory that is freed all at once: one arena a request. Blocks are chained; a reset keeps the first.
 * What an arena gives is aligned to 16 bytes, zeroed, and valid until the next reset or release.
 */
#ifndef PING_BASE_ARENA_H
#define PING_BASE_ARENA_H

#include "base/error.h"
#include "base/slice.h"

struct arena_block;

struct arena {
	struct arena_block *head; /* the block in use, the older ones behind it */
	size_t used;		  /* bytes given out over all blocks */
	size_t limit;		  /* bytes; past it arena_alloc gives NULL */
};

/* Allocates nothing yet. */
void arena_init(struct arena *arena, size_t limit);
/* NULL when out of memory or past the limit. A size of 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);
/* NULL also when count × size overflows. */
void *arena_alloc_array(struct arena *arena, size_t count, size_t size);
/* A copy with a NUL behind it (not counted in size). data == NULL means out of memory. */
struct slice arena_copy(struct arena *arena, struct slice slice);
/* Forgets everything, keeps one block. */
void arena_reset(struct arena *arena);
void arena_release(struct arena *arena);

#endif
