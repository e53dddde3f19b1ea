#include "stream/delta.h"

#include "base/hash.h"

#include <stdlib.h>

enum { DEFAULT_MAX_WINDOWS = 1000000, FIRST_CAPACITY = 1024 };

/* In two chains: of those whose client and window have the same hash, and of those whose client has. 0: the end; else one more
 * than the entry's index. */
struct entry {
	struct window_row row;
	uint32_t next_alike, next_of_client;
};

struct delta {
	uint8_t hash_key[16];
	size_t max_windows;
	int64_t position;
	bool is_short;
	struct entry *entries;
	size_t count, capacity;	     /* the capacity is a power of 2, and that of both below */
	uint32_t *alike, *of_client; /* the first of each chain */
};

enum error delta_create(size_t max_windows, const uint8_t hash_key[16], struct delta **ret_delta)
{
	struct delta *delta = calloc(1, sizeof *delta);
	if (delta == NULL)
		return ERROR_NO_MEMORY;
	memcpy(delta->hash_key, hash_key, sizeof delta->hash_key);
	delta->max_windows = max_windows == 0 ? DEFAULT_MAX_WINDOWS : max_windows;
	*ret_delta = delta;
	return ERROR_OK;
}

static void release(struct delta *delta)
{
	free(delta->entries);
	free(delta->alike);
	free(delta->of_client);
	delta->entries = NULL;
	delta->alike = delta->of_client = NULL;
	delta->count = delta->capacity = 0;
}

void delta_destroy(struct delta *delta)
{
	if (delta == NULL)
		return;
	release(delta);
	free(delta);
}

void delta_reset(struct delta *delta, int64_t position)
{
	release(delta);
	delta->position = position;
	delta->is_short = false;
}

static size_t window_place(const struct delta *delta, const struct address *client, int64_t start_ms)
{
	struct {
		struct address client;
		int64_t start_ms;
	} key = {*client, start_ms};
	return (size_t)hash_keyed(delta->hash_key, &key, sizeof key) & (delta->capacity - 1);
}

static size_t client_place(const struct delta *delta, const struct address *client)
{
	return (size_t)hash_keyed(delta->hash_key, client, sizeof *client) & (delta->capacity - 1);
}

static void link_entry(struct delta *delta, size_t index)
{
	struct entry *entry = &delta->entries[index];
	uint32_t *alike = &delta->alike[window_place(delta, &entry->row.client, entry->row.start_ms)];
	uint32_t *of_client = &delta->of_client[client_place(delta, &entry->row.client)];
	entry->next_alike = *alike;
	entry->next_of_client = *of_client;
	*alike = *of_client = (uint32_t)index + 1;
}

/* Room for one more. */
static bool reserve(struct delta *delta)
{
	if (delta->count < delta->capacity)
		return true;
	size_t capacity = delta->capacity == 0 ? FIRST_CAPACITY : delta->capacity * 2;
	struct entry *entries = reallocarray(delta->entries, capacity, sizeof *entries);
	if (entries == NULL)
		return false;
	delta->entries = entries;
	uint32_t *alike = calloc(capacity, sizeof *alike), *of_client = calloc(capacity, sizeof *of_client);
	if (alike == NULL || of_client == NULL) {
		free(alike);
		free(of_client);
		return false;
	}
	free(delta->alike);
	free(delta->of_client);
	delta->alike = alike;
	delta->of_client = of_client;
	delta->capacity = capacity;
	for (size_t i = 0; i < delta->count; i++)
		link_entry(delta, i);
	return true;
}

static struct window_row *find(struct delta *delta, const struct address *client, int64_t start_ms)
{
	if (delta->count == 0)
		return NULL;
	uint32_t next = delta->alike[window_place(delta, client, start_ms)];
	while (next != 0) {
		struct entry *entry = &delta->entries[next - 1];
		if (entry->row.start_ms == start_ms && address_equal(&entry->row.client, client))
			return &entry->row;
		next = entry->next_alike;
	}
	return NULL;
}

static void add(struct delta *delta, const struct engine_event *event)
{
	int64_t start_ms = window_start_of(event->pinged_at_ms);
	struct window_row *row = find(delta, &event->client, start_ms);
	if (row == NULL) {
		if (delta->count == delta->max_windows || !reserve(delta)) {
			release(delta);
			delta->is_short = true;
			return;
		}
		row = &delta->entries[delta->count].row;
		*row = (struct window_row){.client = event->client, .start_ms = start_ms, .first_ms = event->pinged_at_ms};
		link_entry(delta, delta->count++);
	}
	row->count++;
	if (event->pinged_at_ms < row->first_ms)
		row->first_ms = event->pinged_at_ms;
	if (event->pinged_at_ms > row->last_ms)
		row->last_ms = event->pinged_at_ms;
	row->position = event->position;
}

void delta_add(struct delta *delta, const struct engine_event *events, size_t count)
{
	for (size_t i = 0; i < count && !delta->is_short; i++) {
		if (events[i].position <= delta->position)
			continue;
		delta->position = events[i].position;
		add(delta, &events[i]);
	}
}

bool delta_is_short(const struct delta *delta)
{
	return delta->is_short;
}

size_t delta_windows(const struct delta *delta)
{
	return delta->count;
}

bool delta_next(const struct delta *delta, const struct address *client, size_t *place, struct window_row *ret_window)
{
	/* *place: 0, or one more than the index of the entry that was given last. */
	uint32_t next = delta->count == 0 ? 0
			: *place == 0	  ? delta->of_client[client_place(delta, client)]
					  : delta->entries[*place - 1].next_of_client;
	while (next != 0 && !address_equal(&delta->entries[next - 1].row.client, client))
		next = delta->entries[next - 1].next_of_client;
	if (next == 0)
		return false;
	*place = next;
	*ret_window = delta->entries[next - 1].row;
	return true;
}
