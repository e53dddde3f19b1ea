#include "net/http2_memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	SLOT_BYTES = 24 << 10,
	FRAME_AT = 7 << 10,
	MIN_KEPT_BYTES = 2048, /* smaller ones come and go */
	MIN_FRAME_BYTES = 16 << 10,
	ALIGNMENT = 16,
};

/* Zeroed; NULL: it is malloc's. */
static void *take(struct http2_memory *memory, size_t size)
{
	if (memory->slot == NULL || size < MIN_KEPT_BYTES)
		return NULL;
	if (size >= MIN_FRAME_BYTES) {
		if (memory->frame_used || size > SLOT_BYTES - FRAME_AT)
			return NULL;
		memory->frame_used = true;
		return memory->slot + FRAME_AT;
	}
	size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (size > FRAME_AT - memory->used)
		return NULL;
	memory->used += size;
	return memory->slot + memory->used - size;
}

static bool is_taken(const struct http2_memory *memory, const void *block)
{
	return memory->slot != NULL && (uintptr_t)block - (uintptr_t)memory->slot < SLOT_BYTES;
}

static void *memory_malloc(size_t size, void *context)
{
	void *block = take(context, size);
	return block != NULL ? block : malloc(size);
}

static void *memory_calloc(size_t count, size_t size, void *context)
{
	/* What is taken is so once. */
	void *block = size == 0 || count > SIZE_MAX / size ? NULL : take(context, count * size);
	return block != NULL ? block : calloc(count, size);
}

/* What was taken stays so: a session keeps it to its end. */
static void memory_free(void *block, void *context)
{
	if (!is_taken(context, block))
		free(block);
}

static void *memory_realloc(void *block, size_t size, void *context)
{
	struct http2_memory *memory = context;
	if (block == NULL)
		return memory_malloc(size, context);
	if (!is_taken(memory, block))
		return realloc(block, size);
	size_t most = SLOT_BYTES - (size_t)((uint8_t *)block - memory->slot);
	void *moved = malloc(size);
	if (moved != NULL)
		memcpy(moved, block, size < most ? size : most);
	return moved;
}

void http2_memory_init(struct http2_memory *memory)
{
	void *slot = mmap(NULL, SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*memory = (struct http2_memory){
		.mem = {memory, memory_malloc, memory_free, memory_calloc, memory_realloc},
		.slot = slot == MAP_FAILED ? NULL : slot,
	};
	if (memory->slot != NULL)
		madvise(slot, SLOT_BYTES, MADV_NOHUGEPAGE); /* slots lie side by side, and would be filled up */
}

void http2_memory_release(struct http2_memory *memory)
{
	if (memory->slot != NULL)
		munmap(memory->slot, SLOT_BYTES);
	memory->slot = NULL;
}
