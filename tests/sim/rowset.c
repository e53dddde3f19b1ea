#include "rowset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rowset_init(struct rowset *set, size_t row_size, int (*compare)(const void *a, const void *b))
{
	*set = (struct rowset){.row_size = row_size, .compare = compare};
}

void rowset_release(struct rowset *set)
{
	free(set->rows);
	set->rows = NULL;
	set->count = set->capacity = 0;
}

size_t rowset_lower_bound(const struct rowset *set, const void *key)
{
	size_t low = 0, high = set->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (set->compare(rowset_at(set, middle), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void *rowset_find(const struct rowset *set, const void *key)
{
	size_t index = rowset_lower_bound(set, key);
	if (index == set->count || set->compare(rowset_at(set, index), key) != 0)
		return NULL;
	return rowset_at(set, index);
}

static void *insert_at(struct rowset *set, size_t index, const void *row)
{
	if (set->count == set->capacity) {
		set->capacity = set->capacity == 0 ? 16 : 2 * set->capacity;
		set->rows = realloc(set->rows, set->capacity * set->row_size);
		if (set->rows == NULL) {
			perror("rowset");
			abort();
		}
	}
	char *at = rowset_at(set, index);
	memmove(at + set->row_size, at, (set->count - index) * set->row_size);
	set->count++;
	return memcpy(at, row, set->row_size);
}

void *rowset_put(struct rowset *set, const void *row)
{
	size_t index = rowset_lower_bound(set, row);
	if (index < set->count && set->compare(rowset_at(set, index), row) == 0)
		return memcpy(rowset_at(set, index), row, set->row_size);
	return insert_at(set, index, row);
}

void *rowset_append(struct rowset *set, const void *row)
{
	return insert_at(set, set->count, row);
}

void rowset_remove(struct rowset *set, size_t index)
{
	char *at = rowset_at(set, index);
	set->count--;
	memmove(at, at + set->row_size, (set->count - index) * set->row_size);
}
