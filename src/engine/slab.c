#include "engine/slab.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum error slab_init(struct slab *slab, size_t entry_size, uint32_t max_entries)
{
	uint32_t chunk_max = max_entries / SLAB_CHUNK + 1;
	*slab = (struct slab){.entry_size = entry_size, .chunk_max = chunk_max, .free = SLAB_NONE};
	slab->chunks = calloc(chunk_max, sizeof *slab->chunks);
	return slab->chunks == NULL ? ERROR_NO_MEMORY : ERROR_OK;
}

void slab_release(struct slab *slab)
{
	for (uint32_t i = 0; i < slab->chunk_count; i++)
		free(slab->chunks[i]);
	free(slab->chunks);
	*slab = (struct slab){0};
}

enum error slab_reserve(struct slab *slab)
{
	if (slab->free != SLAB_NONE || slab->used < slab->chunk_count * SLAB_CHUNK)
		return ERROR_OK;
	assert(slab->chunk_count < slab->chunk_max);
	uint8_t *chunk = malloc(slab->entry_size * SLAB_CHUNK);
	if (chunk == NULL)
		return ERROR_NO_MEMORY;
	slab->chunks[slab->chunk_count++] = chunk;
	return ERROR_OK;
}

uint32_t slab_take(struct slab *slab)
{
	uint32_t index = slab->free;
	if (index == SLAB_NONE)
		index = slab->used++;
	else
		slab->free = ((struct slab_head *)slab_at(slab, index))->link;
	memset(slab_at(slab, index), 0, slab->entry_size);
	return index;
}

void slab_free(struct slab *slab, uint32_t index)
{
	*(struct slab_head *)slab_at(slab, index) = (struct slab_head){.link = slab->free};
	slab->free = index;
}
