#include "base/rows.h"

#include <stdlib.h>

void *rows_grow(void *items, size_t count, size_t *capacity, size_t size, bool *ret_failed)
{
	if (count < *capacity)
		return items;
	size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
	void *grown = reallocarray(items, wanted, size);
	if (grown == NULL)
		*ret_failed = true;
	else
		*capacity = wanted;
	return grown == NULL ? items : grown;
}

int rows_compare_clients(const void *a, const void *b)
{
	return address_compare(a, b);
}

int rows_compare_keys(const void *a, const void *b)
{
	const struct rows_key *left = a, *right = b;
	int order = address_compare(&left->client, &right->client);
	return order != 0 ? order : (left->start_ms > right->start_ms) - (left->start_ms < right->start_ms);
}

void rows_sort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
	if (count > 1)
		qsort(items, count, size, compare);
}

const void *rows_find(const void *items, size_t count, size_t size, const void *key)
{
	return count == 0 ? NULL : bsearch(key, items, count, size, rows_compare_keys);
}

size_t rows_of_client(const void *items, size_t count, size_t size, const struct address *client, size_t *ret_end)
{
	const uint8_t *first = items;
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (rows_compare_clients(first + middle * size, client) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	size_t end = low;
	while (end < count && rows_compare_clients(first + end * size, client) == 0)
		end++;
	*ret_end = end;
	return low;
}
