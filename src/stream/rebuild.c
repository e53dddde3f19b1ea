#include "stream/rebuild.h"

#include "base/rows.h"
#include "stream/delta.h"
#include "stream/remake.h"

#include <stdlib.h>

/* A client's rows are made in one go, however many they are; else so many at once. */
enum { SOME_CLIENTS = 256, SOME_SUMS = 4096, PARTITIONS = 64 };
#define LOOK_US	 INT64_C(2000000)
#define AGAIN_US INT64_C(2000000)
#define TELL_US	 INT64_C(1000000)

struct rebuild {
	struct rebuild_config config;
	struct rebuild_stats stats;
	struct delta *delta;
	struct remake *remake;
	int64_t look_us[PARTITIONS];		/* not again before */
	struct uuid told_no_ledger[PARTITIONS]; /* the request */

	bool running;
	struct rebuild_request request;
	int64_t told_us;     /* when the request was last written */
	bool place_stays;    /* a client before was put off */
	int64_t done_before; /* clients that were done before this pass */

	/* Sums of the clients at hand; the last client's may not all be there yet. */
	struct ledger_sum *sums;
	size_t sum_count, sum_capacity;
	bool ended;
	struct address clients[SOME_CLIENTS];
};

enum error rebuild_create(const struct rebuild_config *config, struct rebuild **ret_rebuild)
{
	uint8_t hash_key[16];
	struct rebuild *rebuild = calloc(1, sizeof *rebuild);
	if (rebuild == NULL)
		return ERROR_NO_MEMORY;
	rebuild->config = *config;
	random_fill(config->random, hash_key, sizeof hash_key);
	enum error error = delta_create(config->max_delta_windows, hash_key, &rebuild->delta);
	if (error == ERROR_OK)
		error = remake_create(&rebuild->remake);
	if (error != ERROR_OK) {
		rebuild_destroy(rebuild);
		return error;
	}
	*ret_rebuild = rebuild;
	return ERROR_OK;
}

void rebuild_destroy(struct rebuild *rebuild)
{
	if (rebuild == NULL)
		return;
	if (rebuild->running)
		rebuild->config.source->vtable->end(rebuild->config.source);
	delta_destroy(rebuild->delta);
	remake_destroy(rebuild->remake);
	free(rebuild->sums);
	free(rebuild);
}

static int64_t now_us(const struct rebuild *rebuild)
{
	return clock_monotonic_us(rebuild->config.clock);
}

static bool runs_in(const struct rebuild *rebuild, int32_t partition)
{
	return rebuild->running && rebuild->request.partition == partition;
}

bool rebuild_is_due(const struct rebuild *rebuild, int32_t partition, int64_t now)
{
	if (partition < 0 || partition >= PARTITIONS)
		return false;
	return runs_in(rebuild, partition) || (!rebuild->running && now >= rebuild->look_us[partition]);
}

void rebuild_note(struct rebuild *rebuild, int32_t partition, const struct engine_event *events, size_t count)
{
	if (runs_in(rebuild, partition))
		delta_add(rebuild->delta, events, count);
}

/* Gives the pass up; the request stays, and is looked for again in a while. */
static void stop(struct rebuild *rebuild, int64_t pause_us)
{
	rebuild->config.source->vtable->end(rebuild->config.source);
	delta_reset(rebuild->delta, POSITION_NONE);
	rebuild->look_us[rebuild->request.partition] = now_us(rebuild) + pause_us;
	rebuild->running = rebuild->stats.running = false;
}

void rebuild_leave(struct rebuild *rebuild, int32_t partition)
{
	if (runs_in(rebuild, partition))
		stop(rebuild, 0);
	if (partition >= 0 && partition < PARTITIONS)
		rebuild->told_no_ledger[partition] = (struct uuid){0};
}

struct rebuild_stats rebuild_stats(const struct rebuild *rebuild)
{
	return rebuild->stats;
}

/* ─── The request ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error tell(struct rebuild *rebuild, struct error_note *note)
{
	struct store *store = rebuild->config.store;
	rebuild->request.updated_ms = clock_wall_ms(rebuild->config.clock);
	enum error error = store->vtable->put_rebuild(store, &rebuild->request, note);
	if (error == ERROR_OK)
		rebuild->told_us = now_us(rebuild);
	return error;
}

static enum error tell_no_ledger(struct rebuild *rebuild, int32_t partition, struct error_note *note)
{
	struct uuid *told = &rebuild->told_no_ledger[partition];
	rebuild->look_us[partition] = now_us(rebuild) + LOOK_US;
	if (memcmp(told, &rebuild->request.id, sizeof *told) == 0)
		return ERROR_OK;
	error_noted(&rebuild->request.note, ERROR_FAILED_PRECONDITION,
		    "the engine that has partition %d runs without the ledger: start it with --ledger postgres://…",
		    (int)partition);
	enum error error = tell(rebuild, note);
	if (error == ERROR_OK)
		*told = rebuild->request.id;
	return error;
}

/* The ledger's error is the request's, not the stream's. */
static enum error put_aside(struct rebuild *rebuild, enum error why, const struct error_note *text, struct error_note *note)
{
	rebuild->request.note = *text;
	if (text->text[0] == 0)
		error_noted(&rebuild->request.note, why, "%s", error_text(why));
	stop(rebuild, AGAIN_US);
	rebuild->stats.put_aside++;
	return tell(rebuild, note);
}

/* A pass over the ledger up to where the partition stands. */
static enum error begin(struct rebuild *rebuild, int64_t position, struct error_note *note)
{
	struct rebuild_source *source = rebuild->config.source;
	rebuild->request.state = REBUILD_RUNNING;
	rebuild->request.put_off = 0;
	rebuild->done_before = rebuild->request.clients;
	rebuild->sum_count = 0;
	rebuild->ended = rebuild->place_stays = false;
	delta_reset(rebuild->delta, position);
	struct error_note why = {""};
	enum error error = source->vtable->begin(source, &rebuild->request, position, &why);
	if (error != ERROR_OK)
		return put_aside(rebuild, error, &why, note);
	rebuild->request.note.text[0] = 0;
	rebuild->running = rebuild->stats.running = true;
	rebuild->stats.partition = rebuild->request.partition;
	return tell(rebuild, note);
}

static enum error look(struct rebuild *rebuild, int32_t partition, int64_t position, struct error_note *note)
{
	struct store *store = rebuild->config.store;
	struct rebuild_request request;
	enum error error = store->vtable->find_rebuild(store, partition, &request, note);
	if (error == ERROR_NOT_FOUND) {
		rebuild->look_us[partition] = now_us(rebuild) + LOOK_US;
		return ERROR_OK;
	}
	if (error != ERROR_OK)
		return error;
	rebuild->request = request;
	return rebuild->config.source == NULL ? tell_no_ledger(rebuild, partition, note) : begin(rebuild, position, note);
}

/* One that has begun knows only what was there then. */
enum error rebuild_covers_gap(struct rebuild *rebuild, int32_t partition, struct error_note *note)
{
	struct store *store = rebuild->config.store;
	struct rebuild_request request;
	enum error error = store->vtable->find_rebuild(store, partition, &request, note);
	if (error != ERROR_OK)
		return error;
	if (rebuild->config.source == NULL || request.of_client || request.day_ms != REBUILD_EVERY_DAY)
		return ERROR_NOT_FOUND;
	request.has_place = false;
	request.state = REBUILD_RUNNING;
	request.updated_ms = clock_wall_ms(rebuild->config.clock);
	return store->vtable->put_rebuild(store, &request, note);
}

/* ─── Clients ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool keep_sum(struct rebuild *rebuild, const struct ledger_sum *sum)
{
	if (rebuild->sum_count == rebuild->sum_capacity) {
		size_t capacity = rebuild->sum_capacity == 0 ? SOME_SUMS : rebuild->sum_capacity * 2;
		struct ledger_sum *sums = reallocarray(rebuild->sums, capacity, sizeof *sums);
		if (sums == NULL)
			return false;
		rebuild->sums = sums;
		rebuild->sum_capacity = capacity;
	}
	rebuild->sums[rebuild->sum_count++] = *sum;
	return true;
}

/* Clients that are there whole: the sums up to *ret_end are theirs, and each is named once in `clients`. */
static size_t whole_clients(struct rebuild *rebuild, size_t *ret_end)
{
	size_t count = 0, end = 0;
	for (size_t i = 0; i < rebuild->sum_count;) {
		size_t next = i + 1;
		while (next < rebuild->sum_count && address_equal(&rebuild->sums[next].client, &rebuild->sums[i].client))
			next++;
		if ((next == rebuild->sum_count && !rebuild->ended) || count == SOME_CLIENTS)
			break;
		rebuild->clients[count++] = rebuild->sums[i].client;
		end = i = next;
	}
	*ret_end = end;
	return count;
}

static bool is_done(const struct rebuild *rebuild, const struct ledger_sum *sum)
{
	return rebuild->request.has_place && sum->count > 0 && address_compare(&sum->client, &rebuild->request.place) <= 0;
}

/* What the source has at hand, up to some clients. */
static enum error fill(struct rebuild *rebuild, struct error_note *note)
{
	struct rebuild_source *source = rebuild->config.source;
	size_t clients = 0;
	enum error error = ERROR_OK;
	while (!rebuild->ended && clients < SOME_CLIENTS && rebuild->sum_count < SOME_SUMS) {
		struct ledger_sum sum;
		error = source->vtable->next(source, &sum, note);
		if (error != ERROR_OK)
			break;
		if (is_done(rebuild, &sum))
			continue;
		clients += rebuild->sum_count == 0 || !address_equal(&rebuild->sums[rebuild->sum_count - 1].client, &sum.client);
		if (!keep_sum(rebuild, &sum))
			return ERROR_NO_MEMORY;
	}
	/* One client alone may have more than that. */
	size_t end;
	while (error == ERROR_OK && !rebuild->ended && rebuild->sum_count >= SOME_SUMS && whole_clients(rebuild, &end) == 0) {
		struct ledger_sum sum;
		error = source->vtable->next(source, &sum, note);
		if (error == ERROR_OK && !keep_sum(rebuild, &sum))
			return ERROR_NO_MEMORY;
	}
	rebuild->ended |= error == ERROR_END;
	return error == ERROR_END || error == ERROR_DEADLINE_EXCEEDED ? ERROR_OK : error;
}

/* Takes those out whose rows can't be told yet. */
static size_t put_off(struct rebuild *rebuild, size_t count, size_t end)
{
	size_t kept = 0, at = 0;
	for (size_t i = 0; i < count; i++) {
		int64_t pending = 0;
		for (; at < end && address_equal(&rebuild->sums[at].client, &rebuild->clients[i]); at++)
			pending += rebuild->sums[at].pending;
		if (pending == 0)
			rebuild->clients[kept++] = rebuild->clients[i];
		else
			rebuild->request.put_off++;
	}
	return kept;
}

static enum error write(struct rebuild *rebuild, int64_t position, const struct engine_dirty *dirty,
			const struct store_removal *removal, struct error_note *note)
{
	struct store *store = rebuild->config.store;
	int32_t partition = rebuild->request.partition;
	enum error error = store->vtable->write(store, partition, dirty, position, note);
	if (error == ERROR_OK && removal->window_count + removal->day_count + removal->client_count > 0)
		error = store->vtable->remove(store, partition, removal, note);
	if (error == ERROR_OK && rebuild->config.on_written != NULL)
		rebuild->config.on_written(rebuild->config.context, dirty);
	return error;
}

/* The rows of the clients at hand; they stand in order, but for strangers. */
static enum error remake(struct rebuild *rebuild, struct engine *engine, int64_t position, size_t count, size_t end,
			 struct error_note *note)
{
	struct store *store = rebuild->config.store;
	const struct remake_scope scope = {rebuild->request.day_ms, clock_wall_ms(rebuild->config.clock),
					   rebuild->config.window_retention_ms};
	struct engine_dirty dirty;
	struct store_removal removal;
	rows_sort(rebuild->clients, count, sizeof *rebuild->clients, rows_compare_clients);
	remake_begin(rebuild->remake, &scope);
	for (size_t i = 0; i < end; i++)
		remake_sum(rebuild->remake, &rebuild->sums[i]);
	const struct store_rows visitors = remake_visitors(rebuild->remake);
	enum error error = store->vtable->read_rows(store, rebuild->clients, count, &visitors, note);
	if (error == ERROR_OK)
		error = remake_finish(rebuild->remake, rebuild->clients, count, rebuild->delta, &dirty, &removal);
	dirty.position = position;
	if (error != ERROR_OK)
		return error;
	engine_forget(engine, rebuild->clients, count); /* before, for a write may fail half way */
	error = write(rebuild, position, &dirty, &removal, note);
	if (error != ERROR_OK)
		return error;
	size_t rows = dirty.window_count + dirty.day_count + dirty.client_count + removal.window_count + removal.day_count +
		      removal.client_count;
	rebuild->request.clients += (int64_t)count;
	rebuild->request.rows += (int64_t)rows;
	rebuild->request.corrected += (int64_t)remake_corrected(rebuild->remake);
	rebuild->stats.clients += count;
	rebuild->stats.rows += rows;
	rebuild->stats.corrected += remake_corrected(rebuild->remake);
	return ERROR_OK;
}

/* The sums up to `end` are done. */
static void move_on(struct rebuild *rebuild, size_t end)
{
	const struct ledger_sum *last = &rebuild->sums[end - 1];
	rebuild->place_stays |= rebuild->request.put_off > 0;
	if (!rebuild->place_stays && last->count > 0) {
		rebuild->request.place = last->client;
		rebuild->request.has_place = true;
	}
	memmove(rebuild->sums, rebuild->sums + end, (rebuild->sum_count - end) * sizeof *rebuild->sums);
	rebuild->sum_count -= end;
}

static enum error do_some(struct rebuild *rebuild, struct engine *engine, int64_t position, size_t count, size_t end,
			  struct error_note *note)
{
	int64_t already = rebuild->request.put_off;
	size_t left = put_off(rebuild, count, end);
	enum error error = left == 0 ? ERROR_OK : remake(rebuild, engine, position, left, end, note);
	if (error != ERROR_OK) {
		rebuild->request.put_off = already; /* it is done again */
		return error;
	}
	move_on(rebuild, end);
	return now_us(rebuild) - rebuild->told_us < TELL_US ? ERROR_OK : tell(rebuild, note);
}

/* Done, or once more for those that were put off. */
static enum error finish(struct rebuild *rebuild, int64_t position, struct error_note *note)
{
	struct store *store = rebuild->config.store;
	const struct engine_dirty nothing = {.position = position};
	if (rebuild->request.put_off > 0) {
		rebuild->request.clients = rebuild->done_before;
		const struct error_note why = {"clients wait for publishers to finish what was begun for them"};
		return put_aside(rebuild, ERROR_UNAVAILABLE, &why, note);
	}
	/* Still ours: then all of it was written before anybody else may have taken the partition. */
	enum error error = store->vtable->write(store, rebuild->request.partition, &nothing, position, note);
	if (error != ERROR_OK)
		return error;
	rebuild->request.state = REBUILD_DONE;
	rebuild->request.note.text[0] = 0;
	error = tell(rebuild, note);
	if (error != ERROR_OK) {
		rebuild->request.state = REBUILD_RUNNING;
		return error;
	}
	stop(rebuild, 0);
	rebuild->stats.done++;
	return ERROR_OK;
}

/* ─── Steps ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum error rebuild_step(struct rebuild *rebuild, int32_t partition, struct engine *engine, int64_t position, bool *ret_more,
			struct error_note *note)
{
	*ret_more = false;
	if (!rebuild->running)
		return look(rebuild, partition, position, note);
	if (delta_is_short(rebuild->delta)) {
		const struct error_note why = {"more came in meanwhile than can be remembered; begun again where it was"};
		return put_aside(rebuild, ERROR_RESOURCE_EXHAUSTED, &why, note);
	}
	struct error_note why = {""};
	size_t end;
	enum error error = fill(rebuild, &why);
	if (error != ERROR_OK)
		return put_aside(rebuild, error, &why, note);
	size_t count = whole_clients(rebuild, &end);
	*ret_more = count > 0;
	if (count > 0)
		return do_some(rebuild, engine, position, count, end, note);
	return rebuild->ended ? finish(rebuild, position, note) : ERROR_OK;
}
