/* Entries of one size, by index, in chunks that never move: a pointer stays good until its entry is freed. Freed entries are used
 * again; memory goes back only at release.
 */
#ifndef PING_ENGINE_SLAB_H
#define PING_ENGINE_SLAB_H

#include "base/error.h"

#include <stdint.h>

#define SLAB_NONE UINT32_MAX
enum { SLAB_CHUNK = 1024 };

/* Every entry begins with it. A free entry has flags 0. */
struct slab_head {
	uint32_t flags;
	uint32_t link; /* the next free entry; while in use, the user's */
};

struct slab {
	uint8_t **chunks;
	size_t entry_size;
	uint32_t chunk_count, chunk_max;
	uint32_t used; /* entries ever taken: indices are below it */
	uint32_t free; /* the first free one of them */
};

/* At most max_entries. ERROR_NO_MEMORY. */
enum error slab_init(struct slab *slab, size_t entry_size, uint32_t max_entries);
void slab_release(struct slab *slab);
/* Makes sure that the next take succeeds. ERROR_NO_MEMORY. */
enum error slab_reserve(struct slab *slab);
/* A zeroed entry; one was reserved. */
uint32_t slab_take(struct slab *slab);
void slab_free(struct slab *slab, uint32_t index);

static inline void *slab_at(const struct slab *slab, uint32_t index)
{
	return slab->chunks[index / SLAB_CHUNK] + index % SLAB_CHUNK * slab->entry_size;
}

#endif
