#include "net/peer_counts.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/random.h"

struct entry {
	struct entry *next;
	struct address address;
	unsigned count;
};

struct peer_counts {
	unsigned limit;
	size_t mask;
	uint8_t key[16];
	pthread_mutex_t lock;
	struct entry *slots[];
};

enum { MIN_SLOTS = 64, MAX_SLOTS = 1 << 16 };

enum error peer_counts_create(unsigned limit, unsigned expected, struct peer_counts **ret_counts)
{
	size_t slots = MIN_SLOTS;
	while (slots < expected && slots < MAX_SLOTS)
		slots *= 2;
	struct peer_counts *counts = calloc(1, sizeof *counts + slots * sizeof(struct entry *));
	if (counts == NULL)
		return ERROR_NO_MEMORY;
	counts->limit = limit;
	counts->mask = slots - 1;
	random_fill(random_system(), counts->key, sizeof counts->key);
	pthread_mutex_init(&counts->lock, NULL);
	*ret_counts = counts;
	return ERROR_OK;
}

void peer_counts_destroy(struct peer_counts *counts)
{
	if (counts == NULL)
		return;
	for (size_t i = 0; i <= counts->mask; i++)
		while (counts->slots[i] != NULL) {
			struct entry *entry = counts->slots[i];
			counts->slots[i] = entry->next;
			free(entry);
		}
	pthread_mutex_destroy(&counts->lock);
	free(counts);
}

static struct address owner_of(const struct address *address)
{
	struct address owner = *address;
	if (!address_is_ipv4(address))
		memset(owner.bytes + 8, 0, 8);
	return owner;
}

/* What points to the owner's entry, or to NULL at the end of its slot. */
static struct entry **find(struct peer_counts *counts, const struct address *owner)
{
	struct entry **at = &counts->slots[hash_keyed(counts->key, owner->bytes, sizeof owner->bytes) & counts->mask];
	while (*at != NULL && !address_equal(&(*at)->address, owner))
		at = &(*at)->next;
	return at;
}

bool peer_counts_enter(struct peer_counts *counts, const struct address *address)
{
	if (counts->limit == 0)
		return true;
	struct address owner = owner_of(address);
	pthread_mutex_lock(&counts->lock);
	struct entry **at = find(counts, &owner), *entry = *at;
	if (entry == NULL && (entry = calloc(1, sizeof *entry)) != NULL) {
		entry->address = owner;
		*at = entry;
	}
	bool entered = entry != NULL && entry->count < counts->limit;
	if (entered)
		entry->count++;
	pthread_mutex_unlock(&counts->lock);
	return entered;
}

void peer_counts_leave(struct peer_counts *counts, const struct address *address)
{
	if (counts->limit == 0)
		return;
	struct address owner = owner_of(address);
	pthread_mutex_lock(&counts->lock);
	struct entry **at = find(counts, &owner), *entry = *at;
	if (--entry->count == 0) {
		*at = entry->next;
		free(entry);
	}
	pthread_mutex_unlock(&counts->lock);
}
