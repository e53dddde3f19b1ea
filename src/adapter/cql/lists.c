#include "adapter/cql/lists.h"

#include <stdlib.h>

enum { LEAST = 8, MOST = 256 }; /* entries of a shard that are read at once */

struct shard {
	struct cql_list_entry *entries; /* read and not taken: [next, count) */
	size_t next, count;
	struct cql_list_entry place; /* the last one that was read */
	bool has_place, ended;
};

struct cql_list {
	struct cql_connection *connection;
	size_t statement, some;
	int8_t list;
	struct shard shards[CQL_SHARDS];
};

static bool is_empty(const struct shard *shard)
{
	return shard->next == shard->count;
}

static void ask_shard(void *context, size_t i, struct cql_request *request)
{
	const struct cql_list *list = context;
	const struct shard *shard = &list->shards[i];
	if (shard->ended || !is_empty(shard))
		return;
	cql_call(request, list->statement);
	cql_put_int16(request, (int16_t)i);
	cql_put_int8(request, list->list);
	cql_put_bigint(request, shard->has_place ? shard->place.rank : INT64_MIN);
	cql_put_bytes(request, shard->place.client.bytes, shard->has_place ? sizeof shard->place.client.bytes : 0);
	cql_put_int(request, (int32_t)list->some);
}

static enum error answer_shard(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct cql_list *list = context;
	struct shard *shard = &list->shards[i];
	shard->next = shard->count = 0;
	shard->ended = pc_result_rows(rows) < list->some;
	for (size_t row = 0; row < pc_result_rows(rows); row++) {
		struct cql_list_entry entry;
		if (!cql_get_bigint(rows, row, 0, &entry.rank) || !cql_get_address(rows, row, 1, &entry.client))
			continue;
		shard->entries[shard->count++] = entry;
		shard->place = entry;
		shard->has_place = true;
	}
	return ERROR_OK;
}

enum error cql_list_create(struct cql_connection *connection, size_t statement, int8_t list, const struct cql_list_entry *after,
			   size_t about, struct cql_list **ret_list)
{
	size_t some = 2 * about / CQL_SHARDS + LEAST;
	if (some > MOST)
		some = MOST;
	struct cql_list *made = calloc(1, sizeof *made);
	struct cql_list_entry *entries = calloc(some * CQL_SHARDS, sizeof *entries);
	if (made == NULL || entries == NULL) {
		free(made);
		free(entries);
		return ERROR_NO_MEMORY;
	}
	*made = (struct cql_list){.connection = connection, .statement = statement, .list = list, .some = some};
	for (size_t i = 0; i < CQL_SHARDS; i++) {
		made->shards[i].entries = entries + i * some;
		made->shards[i].has_place = after != NULL;
		if (after != NULL)
			made->shards[i].place = *after;
	}
	*ret_list = made;
	return ERROR_OK;
}

void cql_list_destroy(struct cql_list *list)
{
	if (list == NULL)
		return;
	free(list->shards[0].entries);
	free(list);
}

static bool is_before(const struct cql_list_entry *a, const struct cql_list_entry *b)
{
	return a->rank != b->rank ? a->rank < b->rank : address_compare(&a->client, &b->client) < 0;
}

static bool needs_reading(const struct cql_list *list)
{
	for (size_t i = 0; i < CQL_SHARDS; i++)
		if (is_empty(&list->shards[i]) && !list->shards[i].ended)
			return true;
	return false;
}

enum error cql_list_next(struct cql_list *list, struct cql_list_entry *ret_entry, struct error_note *note)
{
	const struct cql_round round = {CQL_SHARDS, ask_shard, answer_shard, list};
	struct shard *least = NULL;
	while (needs_reading(list)) {
		enum error error = cql_run(list->connection, &round, note);
		if (error != ERROR_OK)
			return error;
	}
	for (size_t i = 0; i < CQL_SHARDS; i++) {
		struct shard *shard = &list->shards[i];
		if (!is_empty(shard) && (least == NULL || is_before(&shard->entries[shard->next], &least->entries[least->next])))
			least = shard;
	}
	if (least == NULL)
		return ERROR_END;
	*ret_entry = least->entries[least->next++];
	return ERROR_OK;
}
