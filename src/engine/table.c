#include "engine/table.h"

#include <assert.h>
#include <stdlib.h>

enum { TABLE_FIRST_SLOTS = 64 };

static struct table_slot *slots_create(uint64_t count)
{
	struct table_slot *slots = malloc(count * sizeof *slots);
	for (uint64_t i = 0; slots != NULL && i < count; i++)
		slots[i].ref = TABLE_NONE;
	return slots;
}

enum error table_init(struct table *table)
{
	*table = (struct table){.slots = slots_create(TABLE_FIRST_SLOTS), .mask = TABLE_FIRST_SLOTS - 1};
	return table->slots == NULL ? ERROR_NO_MEMORY : ERROR_OK;
}

void table_release(struct table *table)
{
	free(table->slots);
	*table = (struct table){0};
}

static void slots_insert(struct table_slot *slots, uint32_t mask, struct table_slot entry)
{
	uint32_t at = entry.tag & mask;
	while (slots[at].ref != TABLE_NONE)
		at = (at + 1) & mask;
	slots[at] = entry;
}

enum error table_reserve(struct table *table, uint32_t more)
{
	uint64_t size = (uint64_t)table->mask + 1, needed = (uint64_t)table->count + more;
	if (needed <= size / 4 * 3)
		return ERROR_OK;
	while (needed > size / 4 * 3)
		size *= 2;
	struct table_slot *slots = size > UINT32_MAX ? NULL : slots_create(size);
	if (slots == NULL)
		return ERROR_NO_MEMORY;
	for (uint64_t i = 0; i <= table->mask; i++)
		if (table->slots[i].ref != TABLE_NONE)
			slots_insert(slots, (uint32_t)(size - 1), table->slots[i]);
	free(table->slots);
	table->slots = slots;
	table->mask = (uint32_t)(size - 1);
	return ERROR_OK;
}

void table_insert(struct table *table, uint32_t tag, uint32_t ref)
{
	assert(ref != TABLE_NONE && table->count < table->mask);
	slots_insert(table->slots, table->mask, (struct table_slot){tag, ref});
	table->count++;
}

void table_remove(struct table *table, uint32_t tag, uint32_t ref)
{
	uint32_t mask = table->mask, hole = tag & mask;
	while (table->slots[hole].ref != ref) {
		assert(table->slots[hole].ref != TABLE_NONE);
		hole = (hole + 1) & mask;
	}
	/* What follows moves into the hole unless its home lies behind it. */
	for (uint32_t at = (hole + 1) & mask; table->slots[at].ref != TABLE_NONE; at = (at + 1) & mask) {
		uint32_t home = table->slots[at].tag & mask;
		if (((at - home) & mask) >= ((at - hole) & mask)) {
			table->slots[hole] = table->slots[at];
			hole = at;
		}
	}
	table->slots[hole].ref = TABLE_NONE;
	table->count--;
}
