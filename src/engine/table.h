/* Open addressing, linear probing, from a 32-bit tag (a hash) to a 32-bit reference. It never looks at what is referred to: the
 * caller compares keys. Eight bytes a slot, at most three quarters of them in use:
 *
 *   slots  [ tag ref | tag ref |  empty  | tag ref | … ]      home of an entry: tag & mask
 *
 * Because the slot holds the whole hash, growing reads and writes the slots alone (a million: some milliseconds). Removing shifts
 * what follows back, so there are no tombstones.
 */
#ifndef PING_ENGINE_TABLE_H
#define PING_ENGINE_TABLE_H

#include "base/error.h"

#include <stdint.h>

#define TABLE_NONE UINT32_MAX

struct table_slot {
	uint32_t tag;
	uint32_t ref; /* TABLE_NONE: empty */
};

struct table {
	struct table_slot *slots;
	uint32_t mask;
	uint32_t count;
};

/* ERROR_NO_MEMORY. */
enum error table_init(struct table *table);
void table_release(struct table *table);
/* Makes room for `more` inserts. ERROR_NO_MEMORY: the table is as before. */
enum error table_reserve(struct table *table, uint32_t more);
/* Room was reserved; ref isn't TABLE_NONE. */
void table_insert(struct table *table, uint32_t tag, uint32_t ref);
/* (tag, ref) is in the table. */
void table_remove(struct table *table, uint32_t tag, uint32_t ref);

/* The next reference with this tag; TABLE_NONE: no more. *at starts as the tag. */
static inline uint32_t table_next(const struct table *table, uint32_t tag, uint32_t *at)
{
	for (;;) {
		const struct table_slot *slot = &table->slots[(*at)++ & table->mask];
		if (slot->ref == TABLE_NONE || slot->tag == tag)
			return slot->ref;
	}
}

static inline __attribute__((always_inline)) void table_prefetch(const struct table *table, uint32_t tag)
{
	__builtin_prefetch(&table->slots[tag & table->mask]);
}

#endif
