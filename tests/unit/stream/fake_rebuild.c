#include "unit/stream/fake_rebuild.h"

#include <assert.h>
#include <stdlib.h>

/* ─── The store's side ──────────────────────────────────────────────────────────────────────────────────────────────── */

static struct fake_requests *requests_;

static enum error find_rebuild(struct store *store, int32_t partition, struct rebuild_request *ret_request,
			       struct error_note *note)
{
	(void)store;
	(void)note;
	for (size_t i = 0; i < requests_->count; i++)
		if (requests_->requests[i].partition == partition && requests_->requests[i].state != REBUILD_DONE) {
			*ret_request = requests_->requests[i];
			return ERROR_OK;
		}
	return ERROR_NOT_FOUND;
}

static bool owns(const struct fake_store *fake, int32_t partition)
{
	return fake->database->partitions[partition].owner == fake->owner_of[partition];
}

static enum error put_rebuild(struct store *store, const struct rebuild_request *request, struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)store;
	(void)note;
	if (!owns(fake, request->partition))
		return ERROR_OK; /* under its timestamp it changes nothing */
	for (size_t i = 0; i < requests_->count; i++)
		if (memcmp(&requests_->requests[i].id, &request->id, sizeof request->id) == 0)
			requests_->requests[i] = *request;
	return ERROR_OK;
}

static enum error read_rows(struct store *store, const struct address *clients, size_t count, const struct store_rows *rows,
			    struct error_note *note)
{
	const struct fake_database *database = ((struct fake_store *)store)->database;
	(void)note;
	for (size_t i = 0; i < database->count; i++)
		for (size_t k = 0; k < count; k++) {
			const struct fake_row *row = &database->rows[i];
			if (!address_equal(&row->client, &clients[k]))
				continue;
			if (row->kind == FAKE_WINDOW)
				rows->window(rows->context, &row->row.window);
			else if (row->kind == FAKE_DAY)
				rows->day(rows->context, &row->row.day);
			else if (row->kind == FAKE_CLIENT)
				rows->client(rows->context, &row->row.client);
		}
	return ERROR_OK;
}

void fake_database_drop(struct fake_database *database, enum fake_row_kind kind, const struct address *client, int64_t start_ms)
{
	size_t kept = 0;
	for (size_t i = 0; i < database->count; i++) {
		const struct fake_row *row = &database->rows[i];
		if (row->kind != kind || row->start_ms != start_ms || !address_equal(&row->client, client))
			database->rows[kept++] = *row;
	}
	database->count = kept;
}

static enum error remove_rows(struct store *store, int32_t partition, const struct store_removal *removal,
			      struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)store;
	(void)note;
	if (!owns(fake, partition))
		return ERROR_FENCED;
	for (size_t i = 0; i < removal->window_count; i++)
		fake_database_drop(fake->database, FAKE_WINDOW, &removal->windows[i].client, removal->windows[i].start_ms);
	for (size_t i = 0; i < removal->day_count; i++)
		fake_database_drop(fake->database, FAKE_DAY, &removal->days[i].client, removal->days[i].start_ms);
	for (size_t i = 0; i < removal->client_count; i++)
		fake_database_drop(fake->database, FAKE_CLIENT, &removal->clients[i].client, 0);
	return ERROR_OK;
}

void fake_store_add_rebuilds(struct fake_store *store, struct fake_requests *requests)
{
	static struct store_vtable vtable;
	vtable = *store->store.vtable;
	vtable.find_rebuild = find_rebuild;
	vtable.put_rebuild = put_rebuild;
	vtable.read_rows = read_rows;
	vtable.remove = remove_rows;
	store->store.vtable = &vtable;
	requests_ = requests;
}

static int compare_rows(const void *a, const void *b)
{
	const struct fake_row *left = a, *right = b;
	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	int order = address_compare(&left->client, &right->client);
	return order != 0 ? order : (left->start_ms > right->start_ms) - (left->start_ms < right->start_ms);
}

void fake_database_put(struct fake_database *database, struct fake_row row)
{
	row.timestamp = database->partitions[row.partition].owner << 32 | ++database->writes;
	fake_database_drop(database, row.kind, &row.client, row.start_ms);
	if (database->count == database->capacity) {
		database->capacity = database->capacity == 0 ? 64 : database->capacity * 2;
		database->rows = realloc(database->rows, database->capacity * sizeof *database->rows);
		assert(database->rows != NULL);
	}
	database->rows[database->count++] = row;
	qsort(database->rows, database->count, sizeof *database->rows, compare_rows);
}

/* ─── The source ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct fake_source *of(struct rebuild_source *source)
{
	return (struct fake_source *)source;
}

static int compare_sums(const void *a, const void *b)
{
	const struct ledger_sum *left = a, *right = b;
	int order = address_compare(&left->client, &right->client);
	return order != 0 ? order
			  : (left->window_start_ms > right->window_start_ms) - (left->window_start_ms < right->window_start_ms);
}

static bool in_scope(const struct rebuild_request *request, const struct address *client, int64_t start_ms)
{
	return (!request->of_client || address_equal(client, &request->client)) &&
	       (request->day_ms == REBUILD_EVERY_DAY || day_start_of(start_ms) == request->day_ms);
}

static void add_event(struct fake_source *fake, const struct engine_event *event)
{
	int64_t start_ms = window_start_of(event->pinged_at_ms);
	struct ledger_sum *sum = NULL;
	for (size_t i = 0; i < fake->count && sum == NULL; i++)
		if (fake->sums[i].window_start_ms == start_ms && address_equal(&fake->sums[i].client, &event->client))
			sum = &fake->sums[i];
	if (sum == NULL) {
		assert(fake->count < FAKE_SUMS);
		sum = &fake->sums[fake->count++];
		*sum = (struct ledger_sum){.client = event->client, .window_start_ms = start_ms, .first_ms = event->pinged_at_ms};
	}
	sum->count++;
	sum->first_ms = event->pinged_at_ms < sum->first_ms ? event->pinged_at_ms : sum->first_ms;
	sum->last_ms = event->pinged_at_ms > sum->last_ms ? event->pinged_at_ms : sum->last_ms;
	sum->position = event->position;
}

/* Whoever has a row of the partition's and is not among the sums. */
static void add_strangers(struct fake_source *fake, const struct rebuild_request *request)
{
	size_t known = fake->count;
	for (size_t i = 0; i < fake->database->count; i++) {
		const struct fake_row *row = &fake->database->rows[i];
		bool wanted =
			request->of_client ? address_equal(&row->client, &request->client) : row->partition == request->partition;
		for (size_t k = 0; k < fake->count && wanted; k++)
			wanted = !address_equal(&fake->sums[k].client, &row->client);
		if (wanted)
			fake->sums[fake->count++] = (struct ledger_sum){.client = row->client, .position = POSITION_NONE};
	}
	assert(fake->count >= known);
}

static enum error source_begin(struct rebuild_source *source, const struct rebuild_request *request, int64_t position,
			       struct error_note *note)
{
	struct fake_source *fake = of(source);
	const struct fake_log_partition *partition = &fake->log->partitions[request->partition];
	(void)note;
	fake->count = fake->next = 0;
	fake->begun = true;
	fake->begins++;
	for (size_t i = 0; i < partition->count; i++) {
		const struct engine_event *event = &partition->events[i];
		if (event->position <= position && in_scope(request, &event->client, event->pinged_at_ms))
			add_event(fake, event);
	}
	if (fake->count > 1)
		qsort(fake->sums, fake->count, sizeof *fake->sums, compare_sums);
	if (fake->count > 0 && fake->begins <= fake->pending_begins)
		fake->sums[0].pending = 1;
	add_strangers(fake, request);
	return ERROR_OK;
}

static enum error source_next(struct rebuild_source *source, struct ledger_sum *ret_sum, struct error_note *note)
{
	struct fake_source *fake = of(source);
	if (!fake->begun)
		return ERROR_END;
	if (fake->random != NULL && random_below(fake->random, 100) < fake->trouble) {
		fake->begun = false;
		return error_noted(note, ERROR_UNAVAILABLE, "the ledger does not answer");
	}
	if (fake->random != NULL && random_below(fake->random, 3) == 0)
		return ERROR_DEADLINE_EXCEEDED;
	if (fake->next == fake->count)
		return ERROR_END;
	*ret_sum = fake->sums[fake->next++];
	return ERROR_OK;
}

static void source_end(struct rebuild_source *source)
{
	of(source)->begun = false;
}

void fake_source_init(struct fake_source *source, const struct fake_log *log, const struct fake_database *database)
{
	static const struct rebuild_source_vtable vtable = {source_begin, source_next, source_end, source_end};
	*source = (struct fake_source){.source.vtable = &vtable, .log = log, .database = database};
}
