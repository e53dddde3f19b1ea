#include "adapter/cql/store.h"

#include <stdlib.h>

/* Rows live for 24 hours after their newest window, so no older due is to be found. */
#define OLDEST_MS    (25 * INT64_C(3600000))
#define HEARTBEAT_US INT64_C(10000000)
enum { BUCKETS = 32 }; /* that are looked into at once */

struct look {
	struct cql_partition *partition;
	int64_t first_bucket_ms, now_ms;
	size_t max;
	struct cql_listed *found[BUCKETS];
	size_t counts[BUCKETS];
};

static bool at_place(const struct look *look, size_t i)
{
	return i == 0 && look->partition->has_place;
}

static void ask_bucket(void *context, size_t i, struct cql_request *request)
{
	const struct look *look = context;
	const struct cql_partition *partition = look->partition;
	int64_t bucket_ms = look->first_bucket_ms + (int64_t)i * WINDOW_MS;
	cql_call(request, CQL_LIST_DUE);
	cql_put_int(request, partition->number);
	cql_put_bigint(request, bucket_ms);
	cql_put_bigint(request, at_place(look, i) ? partition->place.due_ms : 0);
	cql_put_bytes(request, partition->place.client.bytes, at_place(look, i) ? sizeof partition->place.client.bytes : 0);
	cql_put_bigint(request, look->now_ms);
	cql_put_int(request, (int32_t)look->max);
}

static enum error answer_bucket(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct look *look = context;
	size_t count = pc_result_rows(rows);
	if (count == 0)
		return ERROR_OK;
	struct cql_listed *found = reallocarray(look->found[i], look->counts[i] + count, sizeof *found);
	if (found == NULL)
		return ERROR_NO_MEMORY;
	look->found[i] = found;
	for (size_t row = 0; row < count; row++) {
		struct cql_listed listed = {0};
		if (cql_get_bigint(rows, row, 0, &listed.due_ms) && cql_get_address(rows, row, 1, &listed.client))
			found[look->counts[i]++] = listed;
	}
	return ERROR_OK;
}

/* What was listed and is written is behind us; the first that isn't is listed again. */
static void move_on(struct cql_partition *partition)
{
	for (size_t i = 0; i < partition->listed_count && partition->listed[i].written; i++) {
		partition->place = partition->listed[i];
		partition->has_place = true;
		partition->due_bucket_ms = cql_due_bucket(partition->place.due_ms);
	}
	partition->listed_count = 0;
}

/* Some buckets from the partition's place on; *ret_more: there are others, and room in the list. */
static enum error look_on(struct cql_store *store, struct cql_partition *partition, int64_t now_ms, size_t max, bool *ret_more,
			  struct error_note *note)
{
	struct look look = {.partition = partition,
			    .first_bucket_ms = partition->due_bucket_ms,
			    .now_ms = now_ms,
			    .max = max - partition->listed_count};
	int64_t last_bucket_ms = cql_due_bucket(now_ms);
	size_t buckets = (size_t)((last_bucket_ms - look.first_bucket_ms) / WINDOW_MS) + 1;
	if (buckets > BUCKETS)
		buckets = BUCKETS;
	const struct cql_round round = {buckets, ask_bucket, answer_bucket, &look};
	enum error error = cql_run(store->connection, &round, note);
	for (size_t i = 0; i < buckets; i++) {
		for (size_t k = 0; k < look.counts[i] && partition->listed_count < max && error == ERROR_OK; k++)
			partition->listed[partition->listed_count++] = look.found[i][k];
		free(look.found[i]);
	}
	if (error != ERROR_OK)
		return error;
	int64_t next_ms = look.first_bucket_ms + (int64_t)buckets * WINDOW_MS;
	*ret_more = partition->listed_count == 0 && next_ms <= last_bucket_ms;
	if (*ret_more) {
		partition->due_bucket_ms = next_ms;
		partition->has_place = false;
	} else if (partition->listed_count == 0 && last_bucket_ms > partition->due_bucket_ms) {
		partition->due_bucket_ms = last_bucket_ms;
		partition->has_place = false;
	}
	return ERROR_OK;
}

enum error cql_list_due(struct store *base, int32_t number, int64_t now_ms, struct address *ret_clients, size_t max,
			size_t *ret_count, struct error_note *note)
{
	struct cql_store *store = (struct cql_store *)base;
	struct cql_partition *partition = cql_find_partition(store, number);
	enum error error = ERROR_OK;
	bool more = true;
	if (partition == NULL)
		return error_noted(note, ERROR_FENCED, "partition %d was not taken", (int)number);
	if (clock_monotonic_us(store->clock) - partition->committed_us > HEARTBEAT_US)
		error = cql_commit(store, partition, partition->position, note);
	if (error != ERROR_OK)
		return error;
	move_on(partition);
	if (partition->due_bucket_ms == 0 || partition->due_bucket_ms > cql_due_bucket(now_ms)) {
		partition->due_bucket_ms = cql_due_bucket(now_ms > OLDEST_MS ? now_ms - OLDEST_MS : 0);
		partition->has_place = false;
	}
	if (max > CQL_MAX_LISTED)
		max = CQL_MAX_LISTED;
	while (error == ERROR_OK && more)
		error = look_on(store, partition, now_ms, max, &more, note);
	if (error != ERROR_OK) {
		partition->listed_count = 0;
		return error;
	}
	for (size_t i = 0; i < partition->listed_count; i++)
		ret_clients[i] = partition->listed[i].client;
	*ret_count = partition->listed_count;
	return ERROR_OK;
}
