/* Rows that are gathered for a while and then looked up: each begins with a client's address, and those of its windows and days
 * go on with their start.
 */
#ifndef PING_BASE_ROWS_H
#define PING_BASE_ROWS_H

#include "base/address.h"

/* {0} is an empty list; its owner frees `items`. */
#define ROWS(type)               \
	struct {                 \
		type *items;     \
		size_t count;    \
		size_t capacity; \
	}

/* Without memory *ret_failed becomes true, and what is added is left out. */
#define ROWS_ADD(list, item, ret_failed)                                                                                       \
	do {                                                                                                                   \
		(list)->items = rows_grow((list)->items, (list)->count, &(list)->capacity, sizeof *(list)->items, ret_failed); \
		if ((list)->count < (list)->capacity)                                                                          \
			(list)->items[(list)->count++] = item;                                                                 \
	} while (0)

/* Room for one more. */
void *rows_grow(void *items, size_t count, size_t *capacity, size_t size, bool *ret_failed);

struct rows_key {
	struct address client;
	int64_t start_ms;
};

int rows_compare_clients(const void *a, const void *b);
/* By client, then start. */
int rows_compare_keys(const void *a, const void *b);
void rows_sort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *));
/* Of rows in order of their keys, the one with the key that `key` begins with; NULL: none. */
const void *rows_find(const void *items, size_t count, size_t size, const void *key);
/* Of rows in order, the first that is this client's, or the place where it would be; *ret_end: behind its last one. */
size_t rows_of_client(const void *items, size_t count, size_t size, const struct address *client, size_t *ret_end);

#endif
