#include "base/arena.h"

#include <stdlib.h>

enum { ARENA_BLOCK_SIZE = 4096, ARENA_ALIGN = 16 };

struct arena_block {
	struct arena_block *next;
	size_t size;
	size_t used;
	_Alignas(ARENA_ALIGN) uint8_t data[];
};

void arena_init(struct arena *arena, size_t limit)
{
	*arena = (struct arena){.limit = limit};
}

static struct arena_block *block_create(size_t size)
{
	struct arena_block *block = malloc(sizeof *block + size);
	if (block != NULL)
		*block = (struct arena_block){.size = size};
	return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	if (size > arena->limit - arena->used || size > SIZE_MAX - ARENA_ALIGN)
		return NULL;
	size_t rounded = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	struct arena_block *block = arena->head;
	if (block == NULL || rounded > block->size - block->used) {
		size_t fresh = rounded > ARENA_BLOCK_SIZE ? rounded : ARENA_BLOCK_SIZE;
		block = block_create(fresh);
		if (block == NULL)
			return NULL;
		block->next = arena->head;
		arena->head = block;
	}
	void *data = block->data + block->used;
	block->used += rounded;
	arena->used += size;
	memset(data, 0, rounded);
	return data;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	return arena_alloc(arena, bytes);
}

struct slice arena_copy(struct arena *arena, struct slice slice)
{
	uint8_t *data = slice.size == SIZE_MAX ? NULL : arena_alloc(arena, slice.size + 1);
	if (data == NULL)
		return slice_make(NULL, 0);
	if (slice.size > 0)
		memcpy(data, slice.data, slice.size);
	return slice_make(data, slice.size);
}

void arena_reset(struct arena *arena)
{
	struct arena_block *keep = arena->head;
	while (keep != NULL && (keep->next != NULL || keep->size > ARENA_BLOCK_SIZE)) {
		struct arena_block *next = keep->next;
		free(keep);
		keep = next;
	}
	if (keep != NULL)
		keep->used = 0;
	arena->head = keep;
	arena->used = 0;
}

void arena_release(struct arena *arena)
{
	while (arena->head != NULL) {
		struct arena_block *next = arena->head->next;
		free(arena->head);
		arena->head = next;
	}
	arena->used = 0;
}
