#include "service/watch.h"

#include "base/hash.h"
#include "service/row_log.h"

#include <pthread.h>
#include <stdlib.h>

enum {
	BUCKETS = 1 << 14,   /* of clients that somebody watches */
	KEPT_OWN_ROWS = 128, /* an own log that is read whole keeps so much */
};

/* One client of one filter. */
struct interest {
	struct address client;
	struct watch_subscriber *subscriber;
	struct interest *next, **link;
};

struct watch_subscriber {
	struct watch_subscriber *next, **link; /* of all, or of those with a filter */
	struct row_log *log;		       /* the hub's, or own */
	struct row_log own;
	uint64_t cursor;
	struct interest *interests;
	size_t interest_count;
	void (*wake)(void *context);
	void *context;
	bool awake; /* was woken, and has not taken everything since */
};

struct watch_hub {
	uint8_t hash_key[16];
	pthread_mutex_t mutex;		     /* guards the following and all subscribers */
	struct watch_subscriber *all, *some; /* without a filter, with one */
	size_t count, all_count;
	size_t budget;
	struct row_log shared;
	bool closed;
	struct interest *buckets[BUCKETS];
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
	hub->budget = WATCH_MAX_BYTES;
	row_log_init(&hub->shared, WATCH_MAX_ROWS, hub->hash_key, &hub->budget);
	*ret_hub = hub;
	return ERROR_OK;
}

void watch_hub_destroy(struct watch_hub *hub)
{
	if (hub == NULL)
		return;
	row_log_release(&hub->shared);
	pthread_mutex_destroy(&hub->mutex);
	free(hub);
}

static void wake_up(struct watch_subscriber *subscriber)
{
	if (!subscriber->awake && subscriber->wake != NULL)
		subscriber->wake(subscriber->context);
	subscriber->awake = true;
}

void watch_hub_close(struct watch_hub *hub)
{
	pthread_mutex_lock(&hub->mutex);
	hub->closed = true;
	for (struct watch_subscriber *subscriber = hub->all; subscriber != NULL; subscriber = subscriber->next)
		wake_up(subscriber);
	for (struct watch_subscriber *subscriber = hub->some; subscriber != NULL; subscriber = subscriber->next)
		wake_up(subscriber);
	pthread_mutex_unlock(&hub->mutex);
}

bool watch_hub_closed(struct watch_hub *hub)
{
	pthread_mutex_lock(&hub->mutex);
	bool closed = hub->closed;
	pthread_mutex_unlock(&hub->mutex);
	return closed;
}

size_t watch_hub_count(struct watch_hub *hub)
{
	pthread_mutex_lock(&hub->mutex);
	size_t count = hub->count;
	pthread_mutex_unlock(&hub->mutex);
	return count;
}

static struct interest **bucket_of(struct watch_hub *hub, const struct address *client)
{
	return &hub->buckets[hash_keyed(hub->hash_key, client->bytes, sizeof client->bytes) % BUCKETS];
}

static int compare_clients(const void *a, const void *b)
{
	return address_compare(&((const struct interest *)a)->client, &((const struct interest *)b)->client);
}

/* Sorted, so that each client is there once. */
static enum error make_interests(struct watch_subscriber *subscriber, const struct address *clients, size_t count)
{
	if (count == 0)
		return ERROR_OK;
	struct interest *interests = calloc(count, sizeof *interests);
	if (interests == NULL)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < count; i++)
		interests[i] = (struct interest){.client = clients[i], .subscriber = subscriber};
	qsort(interests, count, sizeof *interests, compare_clients);
	size_t kept = 1;
	for (size_t i = 1; i < count; i++)
		if (compare_clients(&interests[kept - 1], &interests[i]) != 0)
			interests[kept++] = interests[i];
	subscriber->interests = interests;
	subscriber->interest_count = kept;
	return ERROR_OK;
}

static void subscriber_free(struct watch_subscriber *subscriber)
{
	if (subscriber != NULL)
		free(subscriber->interests);
	free(subscriber);
}

static void enter(struct watch_hub *hub, struct watch_subscriber *subscriber)
{
	bool filters = subscriber->interest_count > 0;
	row_log_init(&subscriber->own, WATCH_MAX_OWN_ROWS, hub->hash_key, &hub->budget);
	subscriber->log = filters ? &subscriber->own : &hub->shared;
	subscriber->cursor = subscriber->log->next;
	subscriber->link = filters ? &hub->some : &hub->all;
	subscriber->next = *subscriber->link;
	if (subscriber->next != NULL)
		subscriber->next->link = &subscriber->next;
	*subscriber->link = subscriber;
	for (size_t i = 0; i < subscriber->interest_count; i++) {
		struct interest *interest = &subscriber->interests[i];
		interest->link = bucket_of(hub, &interest->client);
		interest->next = *interest->link;
		if (interest->next != NULL)
			interest->next->link = &interest->next;
		*interest->link = interest;
	}
	hub->count++;
	hub->all_count += !filters;
}

static void leave(struct watch_hub *hub, struct watch_subscriber *subscriber)
{
	for (size_t i = 0; i < subscriber->interest_count; i++) {
		struct interest *interest = &subscriber->interests[i];
		*interest->link = interest->next;
		if (interest->next != NULL)
			interest->next->link = interest->link;
	}
	*subscriber->link = subscriber->next;
	if (subscriber->next != NULL)
		subscriber->next->link = subscriber->link;
	row_log_release(&subscriber->own);
	hub->count--;
	hub->all_count -= subscriber->interest_count == 0;
}

enum error watch_subscribe(struct watch_hub *hub, const struct address *clients, size_t count, void (*wake)(void *context),
			   void *context, struct watch_subscriber **ret_subscriber, struct error_note *note)
{
	if (count > WATCH_MAX_CLIENTS)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "client_ips: %zu addresses; at most %d, or none for all clients",
				   count, WATCH_MAX_CLIENTS);
	struct watch_subscriber *subscriber = calloc(1, sizeof *subscriber);
	if (subscriber == NULL || make_interests(subscriber, clients, count) != ERROR_OK) {
		subscriber_free(subscriber);
		return ERROR_NO_MEMORY;
	}
	subscriber->wake = wake;
	subscriber->context = context;
	pthread_mutex_lock(&hub->mutex);
	bool closed = hub->closed, room = hub->count < WATCH_MAX_SUBSCRIBERS;
	if (room && !closed)
		enter(hub, subscriber);
	pthread_mutex_unlock(&hub->mutex);
	if (room && !closed) {
		*ret_subscriber = subscriber;
		return ERROR_OK;
	}
	subscriber_free(subscriber);
	if (closed)
		return ERROR_SHUTTING_DOWN;
	return error_noted(note, ERROR_RESOURCE_EXHAUSTED, "%d watch already, the most there may be; try again later",
			   WATCH_MAX_SUBSCRIBERS);
}

void watch_unsubscribe(struct watch_hub *hub, struct watch_subscriber *subscriber)
{
	pthread_mutex_lock(&hub->mutex);
	leave(hub, subscriber);
	pthread_mutex_unlock(&hub->mutex);
	subscriber_free(subscriber);
}

bool watch_wanted(struct watch_hub *hub, const struct address *client)
{
	pthread_mutex_lock(&hub->mutex);
	bool wanted = hub->all != NULL;
	for (struct interest *interest = *bucket_of(hub, client); interest != NULL && !wanted; interest = interest->next)
		wanted = address_equal(&interest->client, client);
	pthread_mutex_unlock(&hub->mutex);
	return wanted;
}

static void publish_to_some(struct watch_hub *hub, const struct window_row *row)
{
	for (struct interest *interest = *bucket_of(hub, &row->client); interest != NULL; interest = interest->next)
		if (address_equal(&interest->client, &row->client)) {
			row_log_add(&interest->subscriber->own, row);
			wake_up(interest->subscriber);
		}
}

void watch_publish(struct watch_hub *hub, const struct window_row *rows, size_t count)
{
	pthread_mutex_lock(&hub->mutex);
	for (size_t i = 0; i < count && hub->some != NULL; i++)
		publish_to_some(hub, &rows[i]);
	/* Without readers the log begins anew. */
	if (hub->all_count == 0)
		row_log_release(&hub->shared);
	for (size_t i = 0; i < count && hub->all_count > 0; i++)
		row_log_add(&hub->shared, &rows[i]);
	for (struct watch_subscriber *subscriber = hub->all; subscriber != NULL && count > 0; subscriber = subscriber->next)
		wake_up(subscriber);
	pthread_mutex_unlock(&hub->mutex);
}

void watch_lose(struct watch_hub *hub)
{
	pthread_mutex_lock(&hub->mutex);
	row_log_lose(&hub->shared);
	for (struct watch_subscriber *subscriber = hub->all; subscriber != NULL; subscriber = subscriber->next)
		wake_up(subscriber);
	for (struct watch_subscriber *subscriber = hub->some; subscriber != NULL; subscriber = subscriber->next) {
		row_log_lose(&subscriber->own);
		wake_up(subscriber);
	}
	pthread_mutex_unlock(&hub->mutex);
}

size_t watch_take(struct watch_hub *hub, struct watch_subscriber *subscriber, struct window_row *ret_rows, size_t max,
		  bool *ret_lagging)
{
	pthread_mutex_lock(&hub->mutex);
	struct row_log *log = subscriber->log;
	size_t count = row_log_read(log, &subscriber->cursor, ret_rows, max, ret_lagging);
	bool all = count < max || subscriber->cursor == log->next;
	if (all)
		subscriber->awake = false;
	if (all && log == &subscriber->own && log->capacity > KEPT_OWN_ROWS)
		row_log_release(log);
	pthread_mutex_unlock(&hub->mutex);
	return count;
}
