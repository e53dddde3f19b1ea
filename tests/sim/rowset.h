/* Rows kept in order: what the models of ledger and store are made of. Small and plain, so that it is easy to believe.
 * Out of memory ends the program: this is a test's tool.
 */
#ifndef PING_SIM_ROWSET_H
#define PING_SIM_ROWSET_H

#include <stdbool.h>
#include <stddef.h>

struct rowset {
	size_t row_size;
	int (*compare)(const void *a, const void *b); /* looks at the key's fields only */
	char *rows;
	size_t count, capacity;
};

void rowset_init(struct rowset *set, size_t row_size, int (*compare)(const void *a, const void *b));
void rowset_release(struct rowset *set);
static inline void *rowset_at(const struct rowset *set, size_t index)
{
	return set->rows + index * set->row_size;
}
/* Index of the first row that is not below `key` (a row with its key's fields set). */
size_t rowset_lower_bound(const struct rowset *set, const void *key);
/* NULL: there is none. */
void *rowset_find(const struct rowset *set, const void *key);
/* Adds the row, or replaces the one with its key; where it stands now. */
void *rowset_put(struct rowset *set, const void *row);
/* Behind all others, whatever its key. */
void *rowset_append(struct rowset *set, const void *row);
void rowset_remove(struct rowset *set, size_t index);

#endif
