#include "service/watch.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>

/* Open addressing, at most half full. */
enum { WATCH_SLOTS = 2 * WATCH_MAX_ROWS };

struct watch_subscriber {
	struct watch_subscriber *next;
	struct address *clients; /* sorted */
	size_t client_count;
	void (*wake)(void *context);
	void *context;
	bool lagging;
	size_t row_count;
	struct window_row rows[WATCH_MAX_ROWS]; /* in the order in which they came */
	uint16_t slots[WATCH_SLOTS];		/* index of a row + 1; 0: free */
};

struct watch_hub {
	uint8_t hash_key[16];
	pthread_mutex_t mutex; /* guards the following and all subscribers */
	struct watch_subscriber *first;
	size_t count;
};

enum error watch_hub_create(struct random *random, struct watch_hub **ret_hub)
{
	struct watch_hub *hub = calloc(1, sizeof *hub);
	if (hub == NULL)
		return ERROR_NO_MEMORY;
	random_fill(random, hub->hash_key, sizeof hub->hash_key);
	if (pthread_mutex_init(&hub->mutex, NULL) != 0) {
		free(hub);
		return ERROR_NO_MEMORY;
	}
	*ret_hub = hub;
	return ERROR_OK;
}

void watch_hub_destroy(struct watch_hub *hub)
{
	if (hub == NULL)
		return;
	pthread_mutex_destroy(&hub->mutex);
	free(hub);
}

static int compare_clients(const void *a, const void *b)
{
	return address_compare(a, b);
}

static void subscriber_free(struct watch_subscriber *subscriber)
{
	free(subscriber->clients);
	free(subscriber);
}

static struct watch_subscriber *subscriber_create(const struct address *clients, size_t count)
{
	struct watch_subscriber *subscriber = calloc(1, sizeof *subscriber);
	if (subscriber == NULL || count == 0)
		return subscriber;
	subscriber->clients = malloc(count * sizeof *clients);
	if (subscriber->clients == NULL) {
		free(subscriber);
		return NULL;
	}
	memcpy(subscriber->clients, clients, count * sizeof *clients);
	qsort(subscriber->clients, count, sizeof *clients, compare_clients);
	subscriber->client_count = count;
	return subscriber;
}

enum error watch_subscribe(struct watch_hub *hub, const struct address *clients, size_t count, void (*wake)(void *context),
			   void *context, struct watch_subscriber **ret_subscriber, struct error_note *note)
{
	if (count > WATCH_MAX_CLIENTS)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "client_ips: %zu addresses; at most %d, or none for all clients",
				   count, WATCH_MAX_CLIENTS);
	struct watch_subscriber *subscriber = subscriber_create(clients, count);
	if (subscriber == NULL)
		return ERROR_NO_MEMORY;
	subscriber->wake = wake;
	subscriber->context = context;
	pthread_mutex_lock(&hub->mutex);
	bool room = hub->count < WATCH_MAX_SUBSCRIBERS;
	if (room) {
		subscriber->next = hub->first;
		hub->first = subscriber;
		hub->count++;
	}
	pthread_mutex_unlock(&hub->mutex);
	if (!room) {
		subscriber_free(subscriber);
		return error_noted(note, ERROR_RESOURCE_EXHAUSTED, "%d watch already, the most there may be; try again later",
				   WATCH_MAX_SUBSCRIBERS);
	}
	*ret_subscriber = subscriber;
	return ERROR_OK;
}

void watch_unsubscribe(struct watch_hub *hub, struct watch_subscriber *subscriber)
{
	pthread_mutex_lock(&hub->mutex);
	struct watch_subscriber **at = &hub->first;
	while (*at != subscriber)
		at = &(*at)->next;
	*at = subscriber->next;
	hub->count--;
	pthread_mutex_unlock(&hub->mutex);
	subscriber_free(subscriber);
}

/* The row's slot, or the free one where it would go. */
static uint16_t *find_slot(const struct watch_hub *hub, struct watch_subscriber *subscriber, const struct window_row *row)
{
	uint8_t key[24];
	memcpy(key, row->client.bytes, 16);
	memcpy(key + 16, &row->start_ms, 8);
	size_t at = hash_keyed(hub->hash_key, key, sizeof key) % WATCH_SLOTS;
	for (;; at = (at + 1) % WATCH_SLOTS) {
		uint16_t index = subscriber->slots[at];
		if (index == 0)
			break;
		const struct window_row *there = &subscriber->rows[index - 1];
		if (there->start_ms == row->start_ms && address_equal(&there->client, &row->client))
			break;
	}
	return &subscriber->slots[at];
}

static bool wants(const struct watch_subscriber *subscriber, const struct address *client)
{
	return subscriber->client_count == 0 || bsearch(client, subscriber->clients, subscriber->client_count,
							sizeof subscriber->clients[0], compare_clients) != NULL;
}

static void add_row(const struct watch_hub *hub, struct watch_subscriber *subscriber, const struct window_row *row)
{
	uint16_t *slot = find_slot(hub, subscriber, row);
	if (*slot != 0) {
		subscriber->rows[*slot - 1] = *row;
	} else if (subscriber->row_count < WATCH_MAX_ROWS) {
		subscriber->rows[subscriber->row_count++] = *row;
		*slot = (uint16_t)subscriber->row_count;
	} else {
		subscriber->lagging = true;
		subscriber->row_count = 0;
		memset(subscriber->slots, 0, sizeof subscriber->slots);
	}
}

static void publish_to(const struct watch_hub *hub, struct watch_subscriber *subscriber, const struct window_row *rows,
		       size_t count)
{
	bool idle = !subscriber->lagging && subscriber->row_count == 0;
	/* Who must read again hears of nothing before it was told so. */
	for (size_t i = 0; i < count && !subscriber->lagging; i++)
		if (wants(subscriber, &rows[i].client))
			add_row(hub, subscriber, &rows[i]);
	if (idle && (subscriber->lagging || subscriber->row_count > 0) && subscriber->wake != NULL)
		subscriber->wake(subscriber->context);
}

void watch_publish(struct watch_hub *hub, const struct window_row *rows, size_t count)
{
	pthread_mutex_lock(&hub->mutex);
	for (struct watch_subscriber *subscriber = hub->first; subscriber != NULL; subscriber = subscriber->next)
		publish_to(hub, subscriber, rows, count);
	pthread_mutex_unlock(&hub->mutex);
}

size_t watch_take(struct watch_hub *hub, struct watch_subscriber *subscriber, struct window_row *ret_rows, size_t max,
		  bool *ret_lagging)
{
	pthread_mutex_lock(&hub->mutex);
	size_t count = subscriber->row_count < max ? subscriber->row_count : max;
	memcpy(ret_rows, subscriber->rows, count * sizeof *ret_rows);
	*ret_lagging = subscriber->lagging;
	subscriber->lagging = false;
	subscriber->row_count -= count;
	memmove(subscriber->rows, subscriber->rows + count, subscriber->row_count * sizeof *ret_rows);
	memset(subscriber->slots, 0, sizeof subscriber->slots);
	for (size_t i = 0; i < subscriber->row_count; i++)
		*find_slot(hub, subscriber, &subscriber->rows[i]) = (uint16_t)(i + 1);
	pthread_mutex_unlock(&hub->mutex);
	return count;
}
