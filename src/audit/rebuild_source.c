#include "audit/rebuild_source.h"

#include "audit/client_set.h"
#include "engine/row.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { BATCH_SIZE = 1024, MAX_SLOTS = 65536, MAX_LEFT_BEHIND = 4 };
#define DAY_MS INT64_C(86400000)

struct batch {
	struct ledger_sum sums[BATCH_SIZE];
	size_t count;
};

/* One pass, from begin to end. */
struct run {
	struct rebuild_source_config config;
	struct rebuild_request request;
	int64_t position;
	pthread_t thread;

	/* The thread's. */
	struct ledger_reader *ledger;
	struct store_reader *store;
	struct ledger_positions *ledger_positions;
	struct log_positions *log;
	int64_t *published;
	size_t slot_count;
	struct client_set seen;
	struct batch filling;
	enum error failed; /* of a visitor */

	struct batch reading; /* the caller's */
	size_t read;

	pthread_mutex_t mutex; /* guards the following */
	pthread_cond_t changed;
	struct batch offered; /* count 0: room for the next */
	bool ended, stopped;
	bool left; /* by its caller: the thread frees it */
	enum error error;
	struct error_note note;
};

/* Runs that were given up while a server was still at work for them: nobody waits for those. */
static atomic_int left_behind;

struct source {
	struct rebuild_source source;
	struct rebuild_source_config config;
	struct run *run; /* NULL: none was begun */
};

/* ─── The thread ────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* False: nobody wants more. */
static bool offer(struct run *run)
{
	pthread_mutex_lock(&run->mutex);
	while (run->offered.count > 0 && !run->stopped)
		pthread_cond_wait(&run->changed, &run->mutex);
	bool wanted = !run->stopped;
	if (wanted)
		run->offered = run->filling;
	pthread_mutex_unlock(&run->mutex);
	run->filling.count = 0;
	return wanted;
}

static bool is_stopped(struct run *run)
{
	pthread_mutex_lock(&run->mutex);
	bool stopped = run->stopped;
	pthread_mutex_unlock(&run->mutex);
	return stopped;
}

static bool add(struct run *run, const struct ledger_sum *sum)
{
	run->filling.sums[run->filling.count++] = *sum;
	return run->filling.count < BATCH_SIZE || offer(run);
}

static bool is_wanted(const struct run *run, const struct address *client)
{
	const struct rebuild_request *request = &run->request;
	if (request->of_client)
		return address_equal(client, &request->client);
	return run->config.partition_of(client, (int32_t)run->config.partition_count) == request->partition;
}

static bool visit_sum(void *context, const struct ledger_sum *sum)
{
	struct run *run = context;
	int64_t day_ms = run->request.day_ms;
	if (!is_wanted(run, &sum->client) || (day_ms != REBUILD_EVERY_DAY && day_start_of(sum->window_start_ms) != day_ms))
		return true;
	run->failed = client_set_add(&run->seen, &sum->client, NULL);
	return run->failed == ERROR_OK && add(run, sum);
}

static enum error open_all(struct run *run, struct error_note *note)
{
	const struct rebuild_source_config *config = &run->config;
	enum error error = config->open_ledger(config->context, &run->ledger, note);
	if (error == ERROR_OK)
		error = config->open_store(config->context, &run->store, note);
	if (error == ERROR_OK && config->open_log_positions != NULL)
		error = config->open_ledger_positions(config->context, &run->ledger_positions, note);
	if (error == ERROR_OK && config->open_log_positions != NULL)
		error = config->open_log_positions(config->context, &run->log, note);
	return error;
}

static void close_all(struct run *run)
{
	if (run->log != NULL)
		run->log->vtable->close(run->log);
	if (run->ledger_positions != NULL)
		run->ledger_positions->vtable->close(run->ledger_positions);
	if (run->store != NULL)
		run->store->vtable->close(run->store);
	if (run->ledger != NULL)
		run->ledger->vtable->close(run->ledger);
}

/* The newest batch of each publisher slot that the log has. */
static enum error read_published(struct run *run, struct error_note *note)
{
	size_t count = 0;
	int32_t *slots = calloc(MAX_SLOTS, sizeof *slots);
	run->published = calloc(MAX_SLOTS, sizeof *run->published);
	enum error error = slots == NULL || run->published == NULL
				   ? ERROR_NO_MEMORY
				   : run->ledger_positions->vtable->slots(run->ledger_positions, slots, MAX_SLOTS, &count, note);
	for (size_t i = 0; i < MAX_SLOTS && error == ERROR_OK; i++)
		run->published[i] = -1;
	for (size_t i = 0; i < count && error == ERROR_OK && !is_stopped(run); i++) {
		if (slots[i] < 0 || slots[i] >= MAX_SLOTS)
			continue;
		if ((size_t)slots[i] >= run->slot_count)
			run->slot_count = (size_t)slots[i] + 1;
		error = run->log->vtable->published(run->log, slots[i], &run->published[slots[i]], note);
		if (error == ERROR_NOT_FOUND)
			error = ERROR_OK;
	}
	free(slots);
	return error;
}

static enum error read_sums(struct run *run, struct error_note *note)
{
	const struct rebuild_request *request = &run->request;
	bool whole = request->day_ms == REBUILD_EVERY_DAY;
	const struct ledger_scope scope = {.up_to = run->position,
					   .client = request->of_client ? &request->client : NULL,
					   .start_ms = whole ? 0 : request->day_ms,
					   .end_ms = whole ? 0 : request->day_ms + DAY_MS,
					   .published = run->published,
					   .slot_count = run->slot_count};
	enum error error = run->ledger->vtable->sum_scope == NULL
				   ? run->ledger->vtable->sum_windows(run->ledger, run->position, visit_sum, run, note)
				   : run->ledger->vtable->sum_scope(run->ledger, &scope, visit_sum, run, note);
	return error == ERROR_OK ? run->failed : error;
}

static void visit_stranger(void *context, const struct address *client)
{
	struct run *run = context;
	bool is_new = false;
	if (run->failed != ERROR_OK || !is_wanted(run, client))
		return;
	run->failed = client_set_add(&run->seen, client, &is_new);
	if (run->failed == ERROR_OK && is_new && !add(run, &(struct ledger_sum){.client = *client, .position = POSITION_NONE}))
		run->failed = ERROR_CANCELED;
}

/* Of one client its rows are looked at in any case. */
static enum error read_strangers(struct run *run, struct error_note *note)
{
	if (run->request.of_client) {
		visit_stranger(run, &run->request.client);
		return run->failed;
	}
	enum error error = run->store->vtable->list_any(run->store, visit_stranger, run, note);
	return error == ERROR_OK ? run->failed : error;
}

static void run_free(struct run *run)
{
	pthread_cond_destroy(&run->changed);
	pthread_mutex_destroy(&run->mutex);
	client_set_release(&run->seen);
	free(run->published);
	free(run);
}

static void *run_main(void *argument)
{
	struct run *run = argument;
	struct error_note note = {""};
	enum error error = open_all(run, &note);
	if (error == ERROR_OK && run->log != NULL)
		error = read_published(run, &note);
	if (error == ERROR_OK && !is_stopped(run))
		error = read_sums(run, &note);
	if (error == ERROR_OK && !is_stopped(run))
		error = read_strangers(run, &note);
	if (error == ERROR_OK && run->filling.count > 0)
		offer(run);
	close_all(run);
	pthread_mutex_lock(&run->mutex);
	run->ended = true;
	run->error = error;
	run->note = note;
	bool left = run->left;
	pthread_mutex_unlock(&run->mutex);
	if (left) {
		run_free(run);
		left_behind--;
	}
	return NULL;
}

/* ─── The caller ────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The stream must not wait for a server that sorts: what is under way ends at its next row, by itself. */
static void source_end(struct rebuild_source *base)
{
	struct source *source = (struct source *)base;
	struct run *run = source->run;
	if (run == NULL)
		return;
	source->run = NULL;
	pthread_t thread = run->thread;
	pthread_mutex_lock(&run->mutex);
	bool ended = run->ended;
	run->stopped = true;
	run->left = !ended;
	left_behind += !ended;
	pthread_cond_signal(&run->changed);
	pthread_mutex_unlock(&run->mutex);
	if (!ended) {
		pthread_detach(thread);
		return;
	}
	pthread_join(thread, NULL);
	run_free(run);
}

static enum error source_begin(struct rebuild_source *base, const struct rebuild_request *request, int64_t position,
			       struct error_note *note)
{
	struct source *source = (struct source *)base;
	source_end(base);
	if (left_behind >= MAX_LEFT_BEHIND)
		return error_noted(note, ERROR_RESOURCE_EXHAUSTED, "the ledger is still at work for rebuilds that were given up");
	struct run *run = calloc(1, sizeof *run);
	if (run == NULL)
		return ERROR_NO_MEMORY;
	run->config = source->config;
	run->request = *request;
	run->position = position;
	pthread_mutex_init(&run->mutex, NULL);
	pthread_cond_init(&run->changed, NULL);
	if (pthread_create(&run->thread, NULL, run_main, run) != 0) {
		run_free(run);
		return error_noted(note, ERROR_RESOURCE_EXHAUSTED, "no thread to read the ledger with");
	}
	source->run = run;
	return ERROR_OK;
}

/* The next batch, if there is one. */
static enum error take(struct run *run, struct error_note *note)
{
	enum error error = ERROR_OK;
	pthread_mutex_lock(&run->mutex);
	if (run->offered.count > 0) {
		run->reading = run->offered;
		run->read = 0;
		run->offered.count = 0;
		pthread_cond_signal(&run->changed);
	} else if (run->ended) {
		error = run->error == ERROR_OK ? ERROR_END : error_noted(note, run->error, "%s", run->note.text);
	} else {
		error = ERROR_DEADLINE_EXCEEDED;
	}
	pthread_mutex_unlock(&run->mutex);
	return error;
}

static enum error source_next(struct rebuild_source *base, struct ledger_sum *ret_sum, struct error_note *note)
{
	struct run *run = ((struct source *)base)->run;
	if (run == NULL)
		return ERROR_END;
	enum error error = run->read < run->reading.count ? ERROR_OK : take(run, note);
	if (error == ERROR_OK)
		*ret_sum = run->reading.sums[run->read++];
	return error;
}

static void source_close(struct rebuild_source *base)
{
	source_end(base);
	free(base);
}

enum error rebuild_source_create(const struct rebuild_source_config *config, struct rebuild_source **ret_source)
{
	static const struct rebuild_source_vtable vtable = {source_begin, source_next, source_end, source_close};
	struct source *source = calloc(1, sizeof *source);
	if (source == NULL)
		return ERROR_NO_MEMORY;
	source->source.vtable = &vtable;
	source->config = *config;
	*ret_source = &source->source;
	return ERROR_OK;
}
