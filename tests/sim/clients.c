#include "clients.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/timestamp.h"
#include "service/ping_check.h"

enum { CLIENTS_MAX = 12, KEY_SIZE_MAX = 128 };
#define MAX_FUTURE_SKEW_MS INT64_C(300000)
/* Keys are promised for 24 hours by the server's clock, which may be wrong by most of the rest. */
#define KEY_LIFE_US (INT64_C(23) * 3600 * 1000000)

struct client {
	struct address address;
	int64_t clock_error_ms;
	uint32_t key_odds, late_odds; /* once in that many pings */
	int64_t last_pinged_at_ms;
};

struct attempt;
struct key {
	const struct client *client;
	uint8_t bytes[KEY_SIZE_MAX];
	size_t size;
	int64_t pinged_at_ms; /* of the ping that it was made for */
	int64_t made_us;
	struct attempt *attempts;
};

enum attempt_state { ATTEMPT_WAITING, ATTEMPT_OK, ATTEMPT_KEY_REUSED, ATTEMPT_NOT_KEPT, ATTEMPT_NOT_KNOWN };

struct attempt {
	struct ingest_ping ping;
	struct clients *clients;
	const struct key *key; /* NULL: none */
	struct attempt *next_of_key;
	enum attempt_state state;
};

struct clients {
	struct world *world;
	const struct truth *truth;
	struct client clients[CLIENTS_MAX];
	size_t count;
	struct rowset attempts; /* of struct attempt * */
	struct rowset keys;	/* of struct key * */
	size_t first_waiting;	/* no attempt before it waits */
};

static struct address some_address(struct world *world, size_t number)
{
	if (world_once_in(world, 2))
		return address_from_ipv4((const uint8_t[]){203, 0, 113, (uint8_t)number});
	struct address address = {{0x20, 0x01, 0x0d, 0xb8}};
	address.bytes[15] = (uint8_t)number;
	return address;
}

static void *must(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

struct clients *clients_create(struct world *world, const struct truth *truth)
{
	struct clients *clients = must(calloc(1, sizeof *clients));
	clients->world = world;
	clients->truth = truth;
	rowset_init(&clients->attempts, sizeof(struct attempt *), NULL);
	rowset_init(&clients->keys, sizeof(struct key *), NULL);
	clients->count = (size_t)world_between(world, 1, CLIENTS_MAX);
	for (size_t i = 0; i < clients->count; i++) {
		struct client *client = &clients->clients[i];
		client->address = some_address(world, i);
		client->clock_error_ms = world_once_in(world, 3) ? world_between(world, -400000, 400000) : 0;
		client->key_odds = (uint32_t)world_between(world, 0, 4);
		client->late_odds = (uint32_t)world_between(world, 0, 10);
	}
	return clients;
}

static struct attempt *attempt_at(const struct clients *clients, size_t index)
{
	return *(struct attempt **)rowset_at(&clients->attempts, index);
}

static struct key *key_at(const struct clients *clients, size_t index)
{
	return *(struct key **)rowset_at(&clients->keys, index);
}

void clients_destroy(struct clients *clients)
{
	for (size_t i = 0; i < clients->attempts.count; i++)
		free(attempt_at(clients, i));
	for (size_t i = 0; i < clients->keys.count; i++)
		free(key_at(clients, i));
	rowset_release(&clients->attempts);
	rowset_release(&clients->keys);
	free(clients);
}

/* The attempt whose ping the ledger has: at most one of a key's. */
static const struct truth_row *row_of_key(const struct clients *clients, const struct key *key)
{
	const struct truth_row *found = NULL;
	for (const struct attempt *attempt = key->attempts; attempt != NULL; attempt = attempt->next_of_key) {
		const struct truth_row *row = truth_find(clients->truth, &attempt->ping.ping.id);
		if (row != NULL && found != NULL)
			world_fail(clients->world, "one key has two rows, at %" PRId64 " and %" PRId64, row->position,
				   found->position);
		if (row != NULL)
			found = row;
	}
	return found;
}

static void check_answer(const struct clients *clients, const struct attempt *attempt)
{
	const struct ledger_ping *ping = &attempt->ping.ping;
	const struct truth_row *row = truth_find(clients->truth, &ping->id);
	if (row != NULL && (!address_equal(&row->client, &ping->client) || row->pinged_at_ms != ping->pinged_at_ms ||
			    row->received_at_ms != ping->received_at_ms))
		world_fail(clients->world, "the row at %" PRId64 " is not the ping that was sent", row->position);
	if (attempt->state == ATTEMPT_NOT_KEPT && row != NULL)
		world_fail(clients->world, "answered as not kept, but there is a row at %" PRId64, row->position);
	const struct truth_row *kept = attempt->key == NULL ? row : row_of_key(clients, attempt->key);
	if (attempt->state == ATTEMPT_OK && (kept == NULL || kept->pinged_at_ms != ping->pinged_at_ms))
		world_fail(clients->world, "answered OK, but the ledger %s",
			   kept == NULL ? "does not have it" : "has another ping");
	if (attempt->state == ATTEMPT_KEY_REUSED && (kept == NULL || kept->pinged_at_ms == ping->pinged_at_ms))
		world_fail(clients->world, "answered KEY_REUSED, but the ledger %s",
			   kept == NULL ? "has no such key" : "has this very ping");
}

static enum attempt_state state_of(enum error error)
{
	switch (error) {
	case ERROR_OK:
		return ATTEMPT_OK;
	case ERROR_KEY_REUSED:
		return ATTEMPT_KEY_REUSED;
	case ERROR_IN_DOUBT:
		return ATTEMPT_NOT_KNOWN;
	default:
		return ATTEMPT_NOT_KEPT;
	}
}

static void answered(struct ingest_ping *ping, enum error error, const struct error_note *note)
{
	(void)note;
	struct attempt *attempt = (struct attempt *)ping;
	struct world *world = attempt->clients->world;
	if (world->crashed)
		return;
	if (attempt->state != ATTEMPT_WAITING)
		world_fail(world, "a ping was answered twice");
	attempt->state = state_of(error);
	world_trace(world, error_name(error), ping->ping.position, ping->ping.pinged_at_ms);
	check_answer(attempt->clients, attempt);
}

static int64_t late_time(struct world *world, int64_t now_ms)
{
	switch (world_between(world, 0, 7)) {
	case 0:
		return now_ms - world_between(world, 0, WINDOW_MS);
	case 1:
		return now_ms - world_between(world, 0, 12 * WINDOW_MS);
	case 2:
		return now_ms - world_between(world, 0, INT64_C(3) * 86400000);
	case 3:
		return window_start_of(now_ms) - world_between(world, 0, 1);
	case 4:
		return day_start_of(now_ms) - world_between(world, 0, 1);
	case 5:
		return activity_start_of(now_ms) - world_between(world, -1, 1);
	case 6:
		return now_ms + world_between(world, 0, MAX_FUTURE_SKEW_MS + 1000);
	default:
		return world_between(world, 1, WINDOW_MS);
	}
}

static int64_t wrong_time(struct world *world, int64_t now_ms)
{
	const int64_t times_ms[] = {0, -1, INT64_MIN, INT64_MAX, TIMESTAMP_MAX_MS + 1, now_ms + INT64_C(100) * 86400000};
	return times_ms[world_between(world, 0, 5)];
}

static int64_t choose_time(struct world *world, struct client *client)
{
	int64_t now_ms = world_true_ms(world) + client->clock_error_ms;
	if (world_once_in(world, 100))
		return wrong_time(world, now_ms);
	if (world_once_in(world, 20) && client->last_pinged_at_ms != 0)
		return client->last_pinged_at_ms;
	client->last_pinged_at_ms = world_once_in(world, client->late_odds) ? late_time(world, now_ms) : now_ms;
	return client->last_pinged_at_ms;
}

static struct key *make_key(struct clients *clients, const struct client *client, int64_t pinged_at_ms)
{
	struct world *world = clients->world;
	struct key *key = must(calloc(1, sizeof *key));
	key->client = client;
	const struct key *newest = clients->keys.count == 0 ? NULL : key_at(clients, clients->keys.count - 1);
	if (newest != NULL && newest->client < client && world_once_in(world, 4)) {
		/* Two clients may choose the same key. One client never chooses one twice: a key is handed on to later ones only.
		 */
		key->size = newest->size;
		memcpy(key->bytes, newest->bytes, key->size);
	} else {
		key->size = (size_t)(world_once_in(world, 10) ? KEY_SIZE_MAX : world_between(world, 8, 16));
		random_fill(world_random(world), key->bytes, key->size);
	}
	key->pinged_at_ms = pinged_at_ms;
	key->made_us = world->true_us;
	rowset_append(&clients->keys, &key);
	return key;
}

/* One of the newest keys, of any client; NULL: none, or it is too old to be relied on. */
static struct key *recent_key(const struct clients *clients)
{
	size_t count = clients->keys.count;
	if (count == 0)
		return NULL;
	int64_t back = world_between(clients->world, 0, world_once_in(clients->world, 4) ? (int64_t)count - 1 : 0);
	struct key *key = key_at(clients, count - 1 - (size_t)back);
	return clients->world->true_us - key->made_us < KEY_LIFE_US ? key : NULL;
}

/* As the service does it. */
static bool is_taken(const struct clients *clients, int64_t pinged_at_ms, const struct key *key)
{
	struct ping_v1_ping_request request = {.timestamp_ms = pinged_at_ms};
	if (key != NULL)
		request.idempotency_key = slice_make(key->bytes, key->size);
	return ping_check(&request, clock_wall_ms(&clients->world->clock), MAX_FUTURE_SKEW_MS, NULL) == ERROR_OK;
}

static void send(struct clients *clients, struct ingest *ingest, const struct client *client, int64_t pinged_at_ms,
		 struct key *key)
{
	struct world *world = clients->world;
	world_trace(world, key == NULL ? "ping" : "ping with key", client - clients->clients, pinged_at_ms);
	if (ingest == NULL || !is_taken(clients, pinged_at_ms, key))
		return;
	struct attempt *attempt = must(calloc(1, sizeof *attempt));
	attempt->clients = clients;
	attempt->key = key;
	attempt->ping.done = answered;
	attempt->ping.ping.client = client->address;
	attempt->ping.ping.pinged_at_ms = pinged_at_ms;
	attempt->ping.ping.received_at_ms = clock_wall_ms(&world->clock);
	if (key != NULL) {
		attempt->ping.ping.key = slice_make(key->bytes, key->size);
		attempt->next_of_key = key->attempts;
		key->attempts = attempt;
	}
	rowset_append(&clients->attempts, &attempt);
	enum error error = ingest_submit(ingest, &attempt->ping);
	if (error != ERROR_OK) {
		attempt->state = ATTEMPT_NOT_KEPT;
		world_trace(world, error_name(error), 0, 0);
	}
}

void clients_send(struct clients *clients, struct ingest *ingest)
{
	struct world *world = clients->world;
	struct key *again = world_once_in(world, 6) ? recent_key(clients) : NULL;
	if (again != NULL) {
		int64_t other = world_once_in(world, 8) ? 1 : 0;
		send(clients, ingest, again->client, again->pinged_at_ms ^ other, again);
		return;
	}
	struct client *client = &clients->clients[world_between(world, 0, (int64_t)clients->count - 1)];
	int64_t pinged_at_ms = choose_time(world, client);
	struct key *key = world_once_in(world, client->key_odds) ? make_key(clients, client, pinged_at_ms) : NULL;
	send(clients, ingest, client, pinged_at_ms, key);
	if (key != NULL && world_once_in(world, 10))
		send(clients, ingest, client, pinged_at_ms, key); /* impatient: twice at once */
}

void clients_lose_connections(struct clients *clients)
{
	for (; clients->first_waiting < clients->attempts.count; clients->first_waiting++) {
		struct attempt *attempt = attempt_at(clients, clients->first_waiting);
		if (attempt->state == ATTEMPT_WAITING)
			attempt->state = ATTEMPT_NOT_KNOWN;
	}
}

void clients_check(struct clients *clients)
{
	size_t rows = 0;
	for (size_t i = 0; i < clients->attempts.count; i++) {
		const struct attempt *attempt = attempt_at(clients, i);
		if (attempt->state == ATTEMPT_WAITING)
			world_fail(clients->world, "a ping was never answered");
		check_answer(clients, attempt);
		rows += truth_find(clients->truth, &attempt->ping.ping.id) != NULL;
	}
	if (rows != clients->truth->rows.count)
		world_fail(clients->world, "the ledger has %zu rows, %zu were asked for", clients->truth->rows.count, rows);
}

size_t clients_count(const struct clients *clients)
{
	return clients->count;
}

const struct address *clients_address(const struct clients *clients, size_t index)
{
	return &clients->clients[index].address;
}

size_t clients_attempts(const struct clients *clients)
{
	return clients->attempts.count;
}
