#include "adapter/cql/known.h"

#include <stdlib.h>

enum { PLACES = 1 << 15 };

struct known_counter {
	struct address client;
	int64_t day_ms, counter;
	uint64_t age;
};

struct known_client {
	struct cql_client client;
	uint64_t age;
};

struct cql_known {
	uint64_t age; /* what is of another one is forgotten; 0: never used */
	struct known_client clients[PLACES];
	struct known_counter counters[PLACES];
};

enum error cql_known_create(struct cql_known **ret_known)
{
	struct cql_known *known = calloc(1, sizeof *known);
	if (known == NULL)
		return ERROR_NO_MEMORY;
	known->age = 1;
	*ret_known = known;
	return ERROR_OK;
}

void cql_known_destroy(struct cql_known *known)
{
	free(known);
}

void cql_known_forget(struct cql_known *known)
{
	known->age++;
}

static size_t place_of(const struct address *client, int64_t day_ms)
{
	uint64_t hash = (uint64_t)day_ms ^ UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	for (size_t i = 0; i < sizeof client->bytes; i++)
		hash = (hash ^ client->bytes[i]) * UINT64_C(0x100000001b3);
	return (size_t)((hash ^ hash >> 32) % PLACES);
}

bool cql_known_client(const struct cql_known *known, const struct address *client, struct cql_client *ret_client)
{
	const struct known_client *place = &known->clients[place_of(client, 0)];
	if (place->age != known->age || !address_equal(&place->client.row.client, client))
		return false;
	*ret_client = place->client;
	return true;
}

void cql_know_client(struct cql_known *known, const struct cql_client *client)
{
	known->clients[place_of(&client->row.client, 0)] = (struct known_client){*client, known->age};
}

bool cql_known_counter(const struct cql_known *known, const struct address *client, int64_t day_ms, int64_t *ret_counter)
{
	const struct known_counter *place = &known->counters[place_of(client, day_ms)];
	if (place->age != known->age || place->day_ms != day_ms || !address_equal(&place->client, client))
		return false;
	*ret_counter = place->counter;
	return true;
}

void cql_know_counter(struct cql_known *known, const struct address *client, int64_t day_ms, int64_t counter)
{
	known->counters[place_of(client, day_ms)] = (struct known_counter){*client, day_ms, counter, known->age};
}
