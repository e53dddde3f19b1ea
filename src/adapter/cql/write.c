#include "adapter/cql/safeguard.h"
#include "adapter/cql/store.h"
#include "base/rows.h"

#include <stdlib.h>

/* One write: every row under one timestamp, later than all before. Round after round, each only when the one before is done:
 *
 *   a client's windows, days and activity; unknown clients are read ─► dues ─► clients and their lists ─► dues that are past
 *   ─► counters ─► position
 *
 * The first are of one partition of the store: they go in one request.
 * So whatever a crash leaves, the position says less than the rows, a client's lists are as its row says, and the due that it
 * names is there. What is left too much is harmless: a due whose activity is derived again, a list's entry that its client's row
 * belies. */

#define DAY_MS	  INT64_C(86400000)
#define MAX_TTL_S INT64_C(630000000) /* Cassandra's most is 20 years */
enum { COUNTER_ROUNDS = 6 };

/* All that changes of a client. */
struct change {
	struct address client;
	const struct client_row *row;	     /* NULL: as it is */
	const struct activity_row *activity; /* NULL: as it is */
	struct cql_client before;	     /* all 0: no such client */
	struct cql_listed *listed;	     /* NULL: list_due did not name it last */
	int32_t ttl_s;			     /* of the activity; 0: it is removed */
	bool known;			     /* `before` needn't be read */
};

/* A counter takes no value, only a difference, and nothing fences it: it is read, what it lacks is added, and it is read again.
 */
enum counter_state { COUNTER_READ, COUNTER_ADD, COUNTER_DONE };
struct counter {
	enum counter_state state;
	int64_t missing;
};

/* A row of a client's own partition. */
enum put_kind { PUT_WINDOW, PUT_DAY, PUT_ACTIVITY };
struct put {
	struct address client;
	enum put_kind kind;
	uint32_t index; /* of the dirty windows or days, of the changes */
};

struct job {
	struct cql_store *store;
	struct cql_partition *partition;
	const struct engine_dirty *dirty;
	int64_t timestamp_us, now_ms;
	struct change *changes;
	size_t count;
	struct put *puts; /* by client */
	size_t put_count;
	size_t *put_requests; /* where each begins in `puts`, and the last one's end */
	size_t put_request_count;
	struct counter *counters; /* of each day */
	enum counter_state asked; /* of those in this round */
};

/* ─── What changes ──────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Row and activity of a client become one change, in order of client. */
static enum error collect_changes(struct job *job)
{
	const struct engine_dirty *dirty = job->dirty;
	size_t all = dirty->client_count + dirty->activity_count, count = 0;
	job->changes = calloc(all == 0 ? 1 : all, sizeof *job->changes);
	if (job->changes == NULL)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < dirty->client_count; i++)
		job->changes[i] = (struct change){.client = dirty->clients[i].client, .row = &dirty->clients[i]};
	for (size_t i = 0; i < dirty->activity_count; i++)
		job->changes[dirty->client_count + i] =
			(struct change){.client = dirty->activities[i].client, .activity = &dirty->activities[i]};
	rows_sort(job->changes, all, sizeof *job->changes, rows_compare_clients);
	for (size_t i = 0; i < all; i++) {
		struct change *last = count == 0 ? NULL : &job->changes[count - 1], *next = &job->changes[i];
		if (last == NULL || !address_equal(&last->client, &next->client)) {
			job->changes[count++] = *next;
			continue;
		}
		last->row = next->row != NULL ? next->row : last->row;
		last->activity = next->activity != NULL ? next->activity : last->activity;
	}
	job->count = count;
	return ERROR_OK;
}

static void find_listed(struct job *job)
{
	struct cql_partition *partition = job->partition;
	for (size_t i = 0; i < partition->listed_count; i++) {
		struct change key = {.client = partition->listed[i].client};
		struct change *change = bsearch(&key, job->changes, job->count, sizeof key, rows_compare_clients);
		if (change != NULL && change->activity != NULL)
			change->listed = &partition->listed[i];
	}
}

static int32_t clamp_ttl(int64_t left_ms)
{
	int64_t ttl_s = left_ms / 1000;
	return ttl_s < 1 ? 0 : (int32_t)(ttl_s > MAX_TTL_S ? MAX_TTL_S : ttl_s);
}

/* 24 hours after its newest window, whenever and however often it is written. */
static int32_t activity_ttl(const struct activity_row *activity, int64_t now_ms)
{
	int64_t end_ms = activity->count > 0 ? window_start_of(activity->last_ms) + WINDOW_MS : activity->due_ms;
	return activity->due_ms == 0 ? 0 : clamp_ttl(end_ms + DAY_MS - now_ms);
}

/* ─── Rows of a client's own partition ──────────────────────────────────────────────────────────────────────────────── */

/* kept: NULL: as it is. */
static void put_window(const struct job *job, const struct window_row *row, const int64_t *kept, struct cql_request *request)
{
	int64_t retention_ms = job->store->window_retention_ms, end_ms = row->start_ms + WINDOW_MS;
	int32_t ttl_s = retention_ms == 0 ? 0 : clamp_ttl(end_ms + retention_ms - job->now_ms);
	if (retention_ms != 0 && ttl_s == 0)
		return; /* its time is over, and a TTL of 0 would mean for ever */
	cql_call(request, kept == NULL ? CQL_PUT_WINDOW : CQL_PUT_KEPT_WINDOW);
	cql_put_address_text(request, &row->client);
	cql_put_bigint(request, row->start_ms);
	cql_put_bigint(request, end_ms);
	cql_put_int(request, row->count > INT32_MAX ? INT32_MAX : (int32_t)row->count);
	cql_put_average(request, row->count, row->first_ms, row->last_ms);
	cql_put_bigint(request, row->first_ms);
	cql_put_bigint(request, row->last_ms);
	cql_put_bigint(request, row->position);
	if (kept != NULL && *kept > 0)
		cql_put_int(request, *kept > INT32_MAX ? INT32_MAX : (int32_t)*kept);
	else if (kept != NULL)
		cql_put_null(request);
	cql_put_int(request, ttl_s);
	cql_put_bigint(request, job->timestamp_us);
}

static void put_day(const struct job *job, const struct day_row *row, const int64_t *kept, struct cql_request *request)
{
	cql_call(request, kept == NULL ? CQL_PUT_DAY : CQL_PUT_KEPT_DAY);
	cql_put_address_text(request, &row->client);
	cql_put_date(request, row->start_ms);
	cql_put_bigint(request, row->total);
	cql_put_bigint(request, row->position);
	if (kept != NULL && *kept > 0)
		cql_put_bigint(request, *kept);
	else if (kept != NULL)
		cql_put_null(request);
	cql_put_bigint(request, job->timestamp_us);
}

static void put_activity(const struct job *job, const struct change *change, struct cql_request *request)
{
	const struct activity_row *row = change->activity;
	if (change->ttl_s == 0) {
		cql_call(request, CQL_DROP_ACTIVITY);
		cql_put_bigint(request, job->timestamp_us);
		cql_put_address_text(request, &change->client);
		return;
	}
	cql_call(request, CQL_PUT_ACTIVITY);
	cql_put_address_text(request, &change->client);
	cql_put_bigint(request, row->start_ms);
	cql_put_bigint(request, row->count);
	cql_put_int(request, row->active_windows);
	cql_put_bigint(request, row->first_ms);
	cql_put_bigint(request, row->last_ms);
	cql_put_bigint(request, row->busiest_start_ms);
	cql_put_bigint(request, row->busiest_count);
	cql_put_bigint(request, row->busiest_first_ms);
	cql_put_bigint(request, row->busiest_last_ms);
	cql_put_bigint(request, row->due_ms);
	cql_put_average(request, row->count, row->first_ms, row->last_ms);
	cql_put_int(request, change->ttl_s);
	cql_put_bigint(request, job->timestamp_us);
}

static void gather_puts(struct job *job)
{
	const struct engine_dirty *dirty = job->dirty;
	for (size_t i = 0; i < dirty->window_count; i++)
		job->puts[job->put_count++] = (struct put){dirty->windows[i].client, PUT_WINDOW, (uint32_t)i};
	for (size_t i = 0; i < dirty->day_count; i++)
		job->puts[job->put_count++] = (struct put){dirty->days[i].client, PUT_DAY, (uint32_t)i};
	for (size_t i = 0; i < job->count; i++)
		if (job->changes[i].activity != NULL)
			job->puts[job->put_count++] = (struct put){job->changes[i].client, PUT_ACTIVITY, (uint32_t)i};
	rows_sort(job->puts, job->put_count, sizeof *job->puts, rows_compare_clients);
}

/* As many of a client's rows as fit into a request go into one. */
static enum error collect_puts(struct job *job)
{
	size_t most = job->dirty->window_count + job->dirty->day_count + job->count, begin = 0;
	job->puts = calloc(most + 1, sizeof *job->puts);
	job->put_requests = calloc(most + 1, sizeof *job->put_requests);
	if (job->puts == NULL || job->put_requests == NULL)
		return ERROR_NO_MEMORY;
	gather_puts(job);
	for (size_t i = 0; i < job->put_count; i++) {
		if (i > 0 && i - begin < CQL_MAX_CALLS && address_equal(&job->puts[i].client, &job->puts[i - 1].client))
			continue;
		job->put_requests[job->put_request_count++] = begin = i;
	}
	job->put_requests[job->put_request_count] = job->put_count;
	return ERROR_OK;
}

static void put_row(const struct job *job, const struct put *put, struct cql_request *request)
{
	const struct engine_dirty *dirty = job->dirty;
	size_t i = put->index;
	switch (put->kind) {
	case PUT_WINDOW:
		put_window(job, &dirty->windows[i], dirty->window_kept == NULL ? NULL : &dirty->window_kept[i], request);
		break;
	case PUT_DAY:
		put_day(job, &dirty->days[i], dirty->day_kept == NULL ? NULL : &dirty->day_kept[i], request);
		break;
	case PUT_ACTIVITY:
		put_activity(job, &job->changes[i], request);
	}
}

static void ask_first(void *context, size_t i, struct cql_request *request)
{
	const struct job *job = context;
	if (i >= job->put_request_count) {
		const struct change *change = &job->changes[i - job->put_request_count];
		if (change->known)
			return;
		cql_call(request, CQL_FIND_CLIENT);
		cql_put_client_key(request, &change->client);
		return;
	}
	for (size_t k = job->put_requests[i]; k < job->put_requests[i + 1]; k++)
		put_row(job, &job->puts[k], request);
}

static enum error answer_first(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct job *job = context;
	if (i >= job->put_request_count && pc_result_rows(rows) > 0)
		cql_read_client(rows, 0, &job->changes[i - job->put_request_count].before, &job->store->seen_us);
	return ERROR_OK;
}

/* ─── Clients ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A client's place in a list, and its old one, where it has another now. ttl_s: of the place; 0: for ever. */
static void move_listed(const struct job *job, const struct address *client, int8_t list, int64_t old_value, int64_t value,
			int32_t ttl_s, struct cql_request *request)
{
	int16_t shard = cql_shard_of(client);
	if (value != 0) {
		cql_call(request, CQL_PUT_LISTED);
		cql_put_int16(request, shard);
		cql_put_int8(request, list);
		cql_put_bigint(request, -value);
		cql_put_address(request, client);
		cql_put_int(request, ttl_s);
		cql_put_bigint(request, job->timestamp_us);
	}
	if (old_value != 0 && old_value != value) {
		cql_call(request, CQL_DROP_LISTED);
		cql_put_bigint(request, job->timestamp_us);
		cql_put_int16(request, shard);
		cql_put_int8(request, list);
		cql_put_bigint(request, -old_value);
		cql_put_address(request, client);
	}
}

static void put_client(const struct job *job, const struct change *change, struct cql_request *request)
{
	const struct client_row *row = change->row;
	cql_call(request, CQL_PUT_CLIENT);
	cql_put_client_key(request, &change->client);
	cql_put_address_text(request, &change->client);
	cql_put_bigint(request, row->first_ms);
	cql_put_bigint(request, row->last_ms);
	cql_put_bigint(request, job->timestamp_us);
	move_listed(job, &change->client, CQL_LIST_BY_LAST, change->before.row.last_ms, row->last_ms, 0, request);
}

static void put_active(const struct job *job, const struct change *change, struct cql_request *request)
{
	const struct activity_row *activity = change->activity;
	cql_call(request, CQL_SET_ACTIVE);
	cql_put_int(request, change->ttl_s);
	cql_put_bigint(request, job->timestamp_us);
	if (change->ttl_s > 0) {
		cql_put_bigint(request, activity->count);
		cql_put_bigint(request, activity->due_ms);
	} else {
		cql_put_null(request);
		cql_put_null(request);
	}
	cql_put_client_key(request, &change->client);
	move_listed(job, &change->client, CQL_LIST_BY_COUNT, change->before.ping_count, change->ttl_s > 0 ? activity->count : 0,
		    change->ttl_s, request);
}

/* Where the client's row names the same due, it is there. It lives on behind it, for an engine that was away. */
static void put_due(const struct job *job, const struct change *change, struct cql_request *request)
{
	struct cql_partition *partition = job->partition;
	int64_t due_ms = change->activity->due_ms, bucket_ms = cql_due_bucket(due_ms);
	if (change->ttl_s == 0 || change->before.due_ms == due_ms)
		return;
	if (bucket_ms < partition->due_bucket_ms) { /* list_due has passed there */
		partition->due_bucket_ms = bucket_ms;
		partition->has_place = false;
	}
	int32_t ttl_s = clamp_ttl(due_ms + 2 * DAY_MS - job->now_ms);
	cql_call(request, CQL_PUT_DUE);
	cql_put_int(request, partition->number);
	cql_put_bigint(request, bucket_ms);
	cql_put_bigint(request, due_ms);
	cql_put_address(request, &change->client);
	cql_put_int(request, ttl_s > 0 ? ttl_s : change->ttl_s);
	cql_put_bigint(request, job->timestamp_us);
}

static void ask_second(void *context, size_t i, struct cql_request *request)
{
	const struct job *job = context;
	const struct change *change = &job->changes[i];
	if (change->activity != NULL)
		put_due(job, change, request);
}

static void ask_third(void *context, size_t i, struct cql_request *request)
{
	const struct job *job = context;
	const struct change *change = &job->changes[i];
	if (change->row != NULL)
		put_client(job, change, request);
	if (change->activity != NULL)
		put_active(job, change, request);
}

static void drop_due(const struct job *job, const struct change *change, int64_t due_ms, struct cql_request *request)
{
	if (due_ms == 0 || (change->ttl_s > 0 && due_ms == change->activity->due_ms))
		return;
	cql_call(request, CQL_DROP_DUE);
	cql_put_bigint(request, job->timestamp_us);
	cql_put_int(request, job->partition->number);
	cql_put_bigint(request, cql_due_bucket(due_ms));
	cql_put_bigint(request, due_ms);
	cql_put_address(request, &change->client);
}

/* The due that the client's row knew; and the one that list_due gave, should it be another. */
static void ask_fourth(void *context, size_t i, struct cql_request *request)
{
	const struct job *job = context;
	const struct change *change = &job->changes[i / 2];
	if (change->activity == NULL)
		return;
	if (i % 2 == 0)
		drop_due(job, change, change->before.due_ms, request);
	else if (change->listed != NULL && change->listed->due_ms != change->before.due_ms)
		drop_due(job, change, change->listed->due_ms, request);
}

static enum error write_rows(struct job *job, struct error_note *note)
{
	const struct cql_round rounds[] = {
		{job->put_request_count + job->count, ask_first, answer_first, job},
		{job->count, ask_second, NULL, job},
		{job->count, ask_third, NULL, job},
		{2 * job->count, ask_fourth, NULL, job},
	};
	enum error error = ERROR_OK;
	for (size_t i = 0; i < sizeof rounds / sizeof *rounds && error == ERROR_OK; i++)
		error = cql_run(job->store->connection, &rounds[i], note);
	return error;
}

/* ─── Counters ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void ask_counter(void *context, size_t i, struct cql_request *request)
{
	const struct job *job = context;
	const struct day_row *day = &job->dirty->days[i];
	if (job->counters[i].state != job->asked)
		return;
	cql_call(request, job->asked == COUNTER_ADD ? CQL_ADD_COUNTER : CQL_FIND_COUNTER);
	if (job->asked == COUNTER_ADD)
		cql_put_bigint(request, job->counters[i].missing);
	cql_put_address_text(request, &day->client);
	cql_put_date(request, day->start_ms);
}

static enum error answer_counter(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct job *job = context;
	struct counter *counter = &job->counters[i];
	int64_t value = 0;
	if (job->asked == COUNTER_ADD) {
		counter->state = cql_leaves_out(CQL_VERIFY_READ) ? COUNTER_DONE : COUNTER_READ;
		return ERROR_OK;
	}
	if (pc_result_rows(rows) > 0)
		cql_get_bigint(rows, 0, 0, &value);
	counter->missing = job->dirty->days[i].total - value;
	counter->state = counter->missing == 0 ? COUNTER_DONE : COUNTER_ADD;
	return ERROR_OK;
}

static enum error begin_counters(struct job *job)
{
	size_t count = job->dirty->day_count;
	job->counters = calloc(count == 0 ? 1 : count, sizeof *job->counters);
	if (job->counters == NULL)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < count; i++) {
		const struct day_row *day = &job->dirty->days[i];
		int64_t value;
		if (cql_known_counter(job->store->known, &day->client, day->start_ms, &value) && value != day->total)
			job->counters[i] = (struct counter){COUNTER_ADD, day->total - value};
	}
	return ERROR_OK;
}

static enum error follow_counters(struct job *job, struct error_note *note)
{
	size_t count = job->dirty->day_count;
	const struct cql_round round = {count, ask_counter, answer_counter, job};
	enum error error = begin_counters(job);
	for (int i = 0; i < COUNTER_ROUNDS && error == ERROR_OK; i++) {
		bool all = true;
		job->asked = COUNTER_ADD;
		error = cql_run(job->store->connection, &round, note);
		job->asked = COUNTER_READ;
		if (error == ERROR_OK)
			error = cql_run(job->store->connection, &round, note);
		for (size_t k = 0; k < count; k++)
			all &= job->counters[k].state == COUNTER_DONE;
		if (all)
			return error;
	}
	cql_doubt(job->store);
	return error != ERROR_OK
		       ? error
		       : error_noted(note, ERROR_UNAVAILABLE,
				     "a counter of daily_stats does not stay as it is written: somebody else adds to it");
}

enum error cql_follow_counters(struct cql_store *store, const struct day_row *days, size_t count, struct error_note *note)
{
	const struct engine_dirty dirty = {.days = days, .day_count = count};
	struct job job = {.store = store, .dirty = &dirty};
	cql_known_forget(store->known); /* what is known of them is wrong */
	enum error error = follow_counters(&job, note);
	free(job.counters);
	return error;
}

/* ─── The whole ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void begin_changes(struct job *job)
{
	for (size_t i = 0; i < job->count; i++) {
		struct change *change = &job->changes[i];
		change->known = cql_known_client(job->store->known, &change->client, &change->before);
		if (change->activity != NULL)
			change->ttl_s = activity_ttl(change->activity, job->now_ms);
	}
}

/* What is there now. */
static void know(struct job *job)
{
	for (size_t i = 0; i < job->count; i++) {
		struct change *change = &job->changes[i];
		struct cql_client client = change->before;
		client.row.client = change->client;
		if (change->row != NULL)
			client.row = *change->row;
		if (change->activity != NULL) {
			client.ping_count = change->ttl_s > 0 ? change->activity->count : 0;
			client.due_ms = change->ttl_s > 0 ? change->activity->due_ms : 0;
		}
		cql_know_client(job->store->known, &client);
		if (change->listed != NULL)
			change->listed->written = true;
	}
	for (size_t i = 0; i < job->dirty->day_count; i++) {
		const struct day_row *day = &job->dirty->days[i];
		cql_know_counter(job->store->known, &day->client, day->start_ms, day->total);
	}
}

static enum error write_all(struct job *job, int64_t position, struct error_note *note)
{
	enum error error = collect_changes(job);
	if (error == ERROR_OK)
		error = cql_next_timestamp(job->store, job->partition, &job->timestamp_us, note);
	if (error != ERROR_OK)
		return error;
	find_listed(job);
	begin_changes(job);
	error = collect_puts(job);
	if (error == ERROR_OK)
		error = write_rows(job, note);
	if (error == ERROR_OK && cql_leaves_out(CQL_COUNTERS_FIRST))
		error = cql_commit(job->store, job->partition, position, note);
	if (error == ERROR_OK && job->dirty->day_count > 0)
		error = cql_confirm(job->store, job->partition, note);
	if (error == ERROR_OK)
		error = follow_counters(job, note);
	if (error == ERROR_OK)
		error = cql_commit(job->store, job->partition, position, note);
	if (error == ERROR_OK)
		know(job);
	return error;
}

enum error cql_write(struct store *base, int32_t number, const struct engine_dirty *dirty, int64_t position,
		     struct error_note *note)
{
	struct cql_store *store = (struct cql_store *)base;
	struct job job = {.store = store,
			  .partition = cql_find_partition(store, number),
			  .dirty = dirty,
			  .now_ms = clock_wall_ms(store->clock)};
	if (job.partition == NULL)
		return error_noted(note, ERROR_FENCED, "partition %d was not taken", (int)number);
	enum error error = write_all(&job, position, note);
	if (error != ERROR_OK && !cql_leaves_out(CQL_VERIFY_READ))
		cql_known_forget(store->known);
	free(job.changes);
	free(job.puts);
	free(job.put_requests);
	free(job.counters);
	return error;
}
