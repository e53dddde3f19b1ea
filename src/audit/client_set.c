#include "audit/client_set.h"

#include "base/hash.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 1024 };

static uint64_t *place_of(uint64_t *hashes, size_t capacity, uint64_t hash)
{
	size_t at = hash % capacity;
	while (hashes[at] != 0 && hashes[at] != hash)
		at = (at + 1) % capacity;
	return &hashes[at];
}

static enum error grow(struct client_set *set)
{
	size_t capacity = set->capacity == 0 ? FIRST_CAPACITY : set->capacity * 2;
	uint64_t *hashes = calloc(capacity, sizeof *hashes);
	if (hashes == NULL)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < set->capacity; i++)
		if (set->hashes[i] != 0)
			*place_of(hashes, capacity, set->hashes[i]) = set->hashes[i];
	free(set->hashes);
	set->hashes = hashes;
	set->capacity = capacity;
	return ERROR_OK;
}

enum error client_set_add(struct client_set *set, const struct address *client, bool *ret_new)
{
	static const uint8_t key[16] = {'c', 'l', 'i', 'e', 'n', 't', 's'};
	uint64_t hash = hash_keyed(key, client->bytes, sizeof client->bytes);
	enum error error = set->count * 2 >= set->capacity ? grow(set) : ERROR_OK;
	if (error != ERROR_OK)
		return error;
	uint64_t *place = place_of(set->hashes, set->capacity, hash == 0 ? 1 : hash);
	bool is_new = *place == 0;
	*place = hash == 0 ? 1 : hash;
	set->count += is_new;
	if (ret_new != NULL)
		*ret_new = is_new;
	return ERROR_OK;
}

void client_set_release(struct client_set *set)
{
	free(set->hashes);
	*set = (struct client_set){0};
}
