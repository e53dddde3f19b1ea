#include "stream/stream.h"

#include "stream/dropped.h"
#include "stream/inherit.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEFAULT_FLUSH_INTERVAL_MS = 500,
	DEFAULT_MAX_STALENESS_MS = 2000,
	DEFAULT_MAX_DIRTY_ROWS = 65536, /* the more at once, the fewer times the store writes each of its pages */
	OFFER_MAX = 4096,		/* events in one round of reads */
	/* A partition is far behind with so many events left, where what is applied is so old: some more of it does not matter.
	 */
	BEHIND_EVENTS = 10000,
	BEHIND_MS = 10000,		  /* more than clocks differ */
	BEHIND_FLUSH_INTERVAL_MS = 20000, /* within the store's reservation */
	CAUGHT_UP_MS = 1000,		  /* from BEHIND_EVENTS to the last one, or it isn't far behind any more */
	REFRESH_MAX = 256,		  /* activities in one step */
	PRUNE_MAX = 256,		  /* windows in one step */
	FIRST_PAUSE_MS = 100,
	MAX_PAUSE_MS = 5000,
	STOPPED_PAUSE_MS = 1000,
	WAITING_PAUSE_MS = 1000,
	REBUILD_POLL_MS = 10, /* while one runs */
};
#define REFRESH_INTERVAL_US INT64_C(1000000)
#define PRUNE_INTERVAL_US   INT64_C(10000000)
#define SWEEP_INTERVAL_US   INT64_C(1000000)
#define SWEEP_SLICE_US	    INT64_C(50000)    /* in one go, while it is urgent */
#define SWEEP_PAUSE_MAX_US  INT64_C(10000000) /* behind a page that took long, for the store was away */
#define REBUILD_SLICE_US    INT64_C(200000)   /* in one go: events wait meanwhile */
#define PRUNE_PAUSE_US	    INT64_C(20000)    /* between two steps: pings need the disk too */

struct partition {
	struct stream_partition view;
	struct engine *engine;
	int64_t committed_position; /* as the log was told */
	bool unflushed;		    /* something is newer than the store, since changed_at_us */
	int64_t changed_at_us;
	int64_t behind_until_us; /* CAUGHT_UP_MS from when more than BEHIND_EVENTS were left */
	bool flush_now;
	int64_t next_refresh_us;
	int64_t inherited_until; /* inherit.h */
};

/* The reads of one round; what was answered is taken off, so that a retry goes on with the rest. */
struct reads {
	struct window_row *windows;
	struct day_row *days;
	struct address *clients;
	size_t window_count, day_count, client_count;
	int64_t clients_start_ms;
};

struct stream {
	struct stream_config config;
	struct stream_ports ports;
	struct partition partitions[STREAM_MAX_PARTITIONS];
	size_t partition_count;
	struct dropped dropped;

	struct log_event event;	   /* in hand; IDLE: none. A BATCH's events are taken off as they are applied */
	struct partition *loading; /* whose reads are out; NULL: none */
	size_t offered;		   /* events of the batch that wait for them */
	struct reads reads;
	int64_t next_prune_us, next_sweep_us;
	bool sweep_urgent;
	struct rebuild *rebuild; /* NULL: the store has no rebuilds */

	bool looks; /* before the log is polled the store is asked whether another kind of engine is at work */
	bool stopped;
	int pause_ms; /* after the last error; 0: none */
	int64_t retry_at_us;
	struct stream_status status; /* the stream's thread's; its copy is everybody's */
	pthread_mutex_t lock;
	struct stream_status published;
};

const char *stream_state_name(enum stream_state state)
{
	static const char *const names[] = {"running", "retrying", "waiting", "stopped"};
	return names[state];
}

/* Partitions */

static struct partition *find_partition(struct stream *stream, int32_t number)
{
	for (size_t i = 0; i < stream->partition_count; i++)
		if (stream->partitions[i].view.partition == number)
			return &stream->partitions[i];
	return NULL;
}

static void add_stats(struct engine_stats *sum, const struct engine_stats *stats)
{
	sum->applied += stats->applied;
	sum->skipped += stats->skipped;
	sum->expired += stats->expired;
	sum->loads += stats->loads;
	sum->evictions += stats->evictions;
	sum->hits += stats->hits;
	sum->rows += stats->rows;
	sum->dirty_rows += stats->dirty_rows;
}

static void share_rows(struct stream *stream)
{
	for (size_t i = 0; i < stream->partition_count; i++)
		engine_limit_rows(stream->partitions[i].engine, stream->config.engine.max_rows / stream->partition_count);
}

static void forget_partition(struct stream *stream, struct partition *partition)
{
	struct engine_stats stats = engine_stats(partition->engine);
	if (stream->rebuild != NULL)
		rebuild_leave(stream->rebuild, partition->view.partition);
	stats.rows = stats.dirty_rows = 0;
	add_stats(&stream->status.engine, &stats);
	engine_destroy(partition->engine);
	*partition = stream->partitions[--stream->partition_count]; /* the last one fills the gap */
	share_rows(stream);
}

/* As forget_partition, of one that is still ours. */
static void give_up_partition(struct stream *stream, struct partition *partition)
{
	struct store *store = stream->ports.store;
	if (store->vtable->release != NULL)
		store->vtable->release(store, partition->view.partition);
	forget_partition(stream, partition);
}

/* Another engine has it. The log hasn't said so. */
static void drop_partition(struct stream *stream, struct partition *partition)
{
	stream->status.fenced++;
	dropped_add(&stream->dropped, partition->view.partition, clock_monotonic_us(stream->ports.clock));
	forget_partition(stream, partition);
}

/* The partition's first event that is left comes next. */
static enum error seek_start(struct stream *stream, int32_t number, int64_t *ret_position, struct error_note *note)
{
	struct log_reader *log = stream->ports.log;
	int64_t position;
	enum error error = log->vtable->start(log, number, &position, note);
	if (error == ERROR_OK)
		error = log->vtable->seek(log, number, position, note);
	if (error == ERROR_OK)
		*ret_position = position;
	return error == ERROR_DATA_LOSS ? ERROR_UNAVAILABLE : error; /* more was removed meanwhile: another look */
}

/* What the log lost is made anew from the ledger, if somebody has asked for that: then the engine goes on at the log's start. */
static enum error skip_gap(struct stream *stream, int32_t number, int64_t *ret_position, struct error_note *note)
{
	struct error_note own = {""};
	if (stream->rebuild == NULL || stream->ports.log->vtable->start == NULL)
		return ERROR_DATA_LOSS;
	enum error error = rebuild_covers_gap(stream->rebuild, number, &own);
	if (error == ERROR_NOT_FOUND)
		return ERROR_DATA_LOSS;
	if (error == ERROR_OK)
		error = seek_start(stream, number, ret_position, &own);
	if (error != ERROR_OK && note != NULL)
		*note = own;
	return error;
}

static void changed(struct stream *stream, struct partition *partition)
{
	if (!partition->unflushed)
		partition->changed_at_us = clock_monotonic_us(stream->ports.clock);
	partition->unflushed = true;
}

/* The partition of the event in hand becomes ours. Whatever fails, it can be done again from the start. */
static enum error assign(struct stream *stream, struct error_note *note)
{
	struct log_reader *log = stream->ports.log;
	struct store *store = stream->ports.store;
	int32_t number = stream->event.partition;
	struct partition *old = find_partition(stream, number);
	if (old != NULL)
		forget_partition(stream, old);
	if (stream->partition_count == STREAM_MAX_PARTITIONS)
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "more than %d partitions for one process; start more processes", STREAM_MAX_PARTITIONS);

	uint8_t identity[16];
	int64_t position = POSITION_NONE, inherited_until = INHERIT_NOTHING, begun;
	enum error error = log->vtable->identity(log, identity, note);
	if (error == ERROR_OK)
		error = store->vtable->take(store, number, identity, &position, note);
	if (error == ERROR_OK)
		error = inherit_find(store, log, number, &inherited_until, note);
	begun = position;
	if (error == ERROR_OK)
		error = log->vtable->seek(log, number, position, note);
	if (error == ERROR_DATA_LOSS && position == POSITION_NONE && inherited_until != INHERIT_NOTHING)
		error = seek_start(stream, number, &position, note); /* what lay before is in the rows that are there */
	else if (error == ERROR_DATA_LOSS)
		error = skip_gap(stream, number, &position, note);
	if (error != ERROR_OK)
		return error;

	struct partition partition = {
		.view = {.partition = number,
			 .applied_position = position,
			 .stored_position = position,
			 .end_position = position},
		.committed_position = position,
		.inherited_until = inherited_until,
	};
	struct engine_config config = stream->config.engine;
	random_fill(stream->ports.random, config.hash_key, sizeof config.hash_key);
	error = engine_create(&config, position, &partition.engine);
	if (error != ERROR_OK)
		return error;
	stream->partitions[stream->partition_count++] = partition;
	share_rows(stream);
	if (inherited_until != INHERIT_NOTHING && position != begun)
		changed(stream, &stream->partitions[stream->partition_count - 1]); /* the store is to know it */
	stream->status.assigned++;
	stream->status.error = ERROR_OK; /* that an older owner was fenced is past */
	return ERROR_OK;
}

/* Flush */

/* The log's own position follows, for its tools: a failure is counted, and the next flush says it again. Not in the middle of a
 * batch, whose events live only until the log is called again. */
static void commit(struct stream *stream, struct partition *partition)
{
	struct log_reader *log = stream->ports.log;
	int64_t position = partition->view.stored_position;
	if (partition->committed_position == position || stream->event.kind == LOG_BATCH)
		return;
	if (log->vtable->commit(log, partition->view.partition, position, NULL) == ERROR_OK)
		partition->committed_position = position;
	else
		stream->status.commit_failures++;
}

static enum error write_rows(struct stream *stream, struct partition *partition, struct error_note *note)
{
	struct store *store = stream->ports.store;
	struct engine_dirty dirty;
	enum error error = engine_collect_dirty(partition->engine, &dirty);
	if (error == ERROR_OK)
		error = store->vtable->write(store, partition->view.partition, &dirty, partition->view.applied_position, note);
	if (error != ERROR_OK)
		return error;
	if (stream->ports.on_written != NULL)
		stream->ports.on_written(stream->ports.context, &dirty);
	engine_written(partition->engine);
	partition->view.stored_position = partition->view.applied_position;
	partition->unflushed = false;
	partition->flush_now = false;
	stream->status.writes++;
	stream->status.rows_written += dirty.window_count + dirty.day_count + dirty.client_count + dirty.activity_count;
	return ERROR_OK;
}

/* FENCED: the partition is gone. Any other error: as it was. */
static enum error flush(struct stream *stream, struct partition *partition, struct error_note *note)
{
	if (partition->unflushed) {
		enum error error = write_rows(stream, partition, note);
		if (error == ERROR_FENCED)
			drop_partition(stream, partition);
		if (error != ERROR_OK)
			return error;
	}
	commit(stream, partition);
	return ERROR_OK;
}

static int64_t lag(const struct partition *partition)
{
	return partition->view.end_position - partition->view.applied_position;
}

/* Where what comes next is of a while ago. Near its end it may still be, for the last events touch most rows once more. */
static bool is_far_behind(const struct stream *stream, const struct partition *partition, int64_t now_us)
{
	int64_t age_ms = clock_wall_ms(stream->ports.clock) - partition->view.newest_applied_ms;
	bool many = lag(partition) > BEHIND_EVENTS || (lag(partition) > 0 && now_us < partition->behind_until_us);
	return many && age_ms > BEHIND_MS;
}

/* While a partition catches up, a row changes again and again before it is as new as its log: it is written less often, best
 * once. */
static int64_t flush_interval_us(const struct stream *stream, const struct partition *partition, int64_t now_us)
{
	bool behind = is_far_behind(stream, partition, now_us);
	return (behind ? BEHIND_FLUSH_INTERVAL_MS : stream->config.flush_interval_ms) * INT64_C(1000);
}

static bool flush_due(const struct stream *stream, const struct partition *partition, int64_t now_us)
{
	return partition->unflushed && ((partition->flush_now && !is_far_behind(stream, partition, now_us)) ||
					engine_stats(partition->engine).dirty_rows >= stream->config.max_dirty_rows ||
					now_us - partition->changed_at_us >= flush_interval_us(stream, partition, now_us));
}

/* Reads */

/* At most OFFER_MAX of each kind. */
static void gather_reads(struct stream *stream, struct partition *partition)
{
	struct reads *reads = &stream->reads;
	struct engine_missing missing;
	stream->loading = partition;
	while (engine_next_missing(partition->engine, &missing)) {
		switch (missing.kind) {
		case ENGINE_MISSING_CLIENT:
			reads->clients[reads->client_count++] = missing.client;
			reads->clients_start_ms = missing.start_ms;
			break;
		case ENGINE_MISSING_WINDOW:
			reads->windows[reads->window_count++] =
				(struct window_row){.client = missing.client, .start_ms = missing.start_ms};
			break;
		case ENGINE_MISSING_DAY:
			reads->days[reads->day_count++] =
				(struct day_row){.client = missing.client, .start_ms = missing.start_ms};
		}
	}
}

static void visit_client(void *context, const struct address *client, const struct client_row *row,
			 const struct window_row *windows, size_t window_count)
{
	engine_supply_client(context, client, row, windows, window_count);
}

static enum error read_windows(struct stream *stream, struct engine *engine, struct error_note *note)
{
	struct store *store = stream->ports.store;
	struct reads *reads = &stream->reads;
	if (reads->window_count == 0)
		return ERROR_OK;
	enum error error = store->vtable->read_windows(store, reads->windows, reads->window_count, note);
	if (error != ERROR_OK)
		return error;
	for (size_t i = 0; i < reads->window_count; i++) {
		const struct window_row *row = &reads->windows[i];
		engine_supply_window(engine, &row->client, row->start_ms, row->count > 0 ? row : NULL);
	}
	reads->window_count = 0;
	return ERROR_OK;
}

static enum error read_days(struct stream *stream, struct engine *engine, struct error_note *note)
{
	struct store *store = stream->ports.store;
	struct reads *reads = &stream->reads;
	if (reads->day_count == 0)
		return ERROR_OK;
	enum error error = store->vtable->read_days(store, reads->days, reads->day_count, note);
	if (error != ERROR_OK)
		return error;
	for (size_t i = 0; i < reads->day_count; i++) {
		const struct day_row *row = &reads->days[i];
		engine_supply_day(engine, &row->client, row->start_ms, row->total > 0 ? row : NULL);
	}
	reads->day_count = 0;
	return ERROR_OK;
}

static enum error read_clients(struct stream *stream, struct engine *engine, struct error_note *note)
{
	struct store *store = stream->ports.store;
	struct reads *reads = &stream->reads;
	if (reads->client_count == 0)
		return ERROR_OK;
	enum error error = store->vtable->read_clients(store, reads->clients, reads->client_count, reads->clients_start_ms,
						       visit_client, engine, note);
	if (error == ERROR_OK)
		reads->client_count = 0;
	return error;
}

/* Carries out what is left of the reads, then applies what waited for them. */
static enum error load(struct stream *stream, struct error_note *note)
{
	struct partition *partition = stream->loading;
	enum error error = read_windows(stream, partition->engine, note);
	if (error == ERROR_OK)
		error = read_days(stream, partition->engine, note);
	if (error == ERROR_OK)
		error = read_clients(stream, partition->engine, note);
	if (error != ERROR_OK)
		return error;
	engine_apply(partition->engine);
	if (engine_position(partition->engine) > partition->view.applied_position)
		partition->view.applied_position = engine_position(partition->engine);
	if (stream->rebuild != NULL && stream->offered > 0)
		rebuild_note(stream->rebuild, partition->view.partition, stream->event.events, stream->offered);
	if (stream->offered > 0) { /* activities alone have no batch */
		stream->event.events += stream->offered;
		stream->event.count -= stream->offered;
		stream->offered = 0;
	}
	stream->loading = NULL;
	changed(stream, partition);
	return ERROR_OK;
}

/* Events */

static enum error offer(struct stream *stream, struct partition *partition, struct error_note *note)
{
	size_t count = stream->event.count < OFFER_MAX ? stream->event.count : OFFER_MAX;
	enum error error = engine_offer(partition->engine, stream->event.events, count, clock_wall_ms(stream->ports.clock),
					&stream->offered);
	if (error != ERROR_OK)
		return error;
	if (stream->offered == 0)
		return flush(stream, partition, note); /* full of dirty rows */
	gather_reads(stream, partition);
	error = load(stream, note);
	if (error == ERROR_OK && engine_stats(partition->engine).dirty_rows >= stream->config.max_dirty_rows)
		error = flush(stream, partition, note);
	return error;
}

/* The rest of the batch in hand. Each round takes events, or makes room for them. */
static enum error feed(struct stream *stream, struct error_note *note)
{
	struct partition *partition = find_partition(stream, stream->event.partition);
	if (partition == NULL)
		return ERROR_OK; /* dropped: the log will say so too */
	while (stream->event.count > 0) {
		enum error error = offer(stream, partition, note);
		if (error != ERROR_OK)
			return error;
	}
	struct stream_partition *view = &partition->view;
	const struct log_event *event = &stream->event;
	if (event->applied_position > view->applied_position) {
		view->applied_position = event->applied_position;
		changed(stream, partition);
	}
	if (event->end_position > view->end_position)
		view->end_position = event->end_position;
	if (event->newest_received_ms > view->newest_applied_ms)
		view->newest_applied_ms = event->newest_received_ms;
	if (lag(partition) > BEHIND_EVENTS)
		partition->behind_until_us = clock_monotonic_us(stream->ports.clock) + CAUGHT_UP_MS * INT64_C(1000);
	return ERROR_OK;
}

/* One try (the next one finds no partition): it goes elsewhere, and what isn't stored is read again there. */
static enum error revoke(struct stream *stream, struct error_note *note)
{
	int32_t number = stream->event.partition;
	struct partition *partition = find_partition(stream, number);
	stream->status.revoked += partition != NULL;
	enum error error = partition == NULL ? ERROR_OK : flush(stream, partition, note);
	partition = find_partition(stream, number);
	if (partition != NULL)
		give_up_partition(stream, partition);
	return error;
}

/* Another kind of engine is at work. What isn't written yet is that one's to write. */
static void stand_by(struct stream *stream)
{
	struct log_reader *log = stream->ports.log;
	while (stream->partition_count > 0)
		give_up_partition(stream, &stream->partitions[0]);
	stream->dropped.count = 0;
	stream->event.kind = LOG_IDLE;
	if (log->vtable->leave != NULL)
		log->vtable->leave(log); /* so that the other one's offsets can be committed for the group */
	stream->looks = true;
}

static enum error look(struct stream *stream, struct error_note *note)
{
	struct store *store = stream->ports.store;
	enum error error = store->vtable->held == NULL ? ERROR_OK : store->vtable->held(store, note);
	if (error == ERROR_HELD)
		stand_by(stream);
	if (error == ERROR_OK)
		stream->looks = false;
	return error;
}

static void lose(struct stream *stream)
{
	struct partition *partition = find_partition(stream, stream->event.partition);
	stream->status.lost += partition != NULL;
	if (partition != NULL)
		forget_partition(stream, partition);
}

static enum error handle_event(struct stream *stream, struct error_note *note)
{
	enum error error = ERROR_OK;
	if (stream->event.kind != LOG_IDLE && stream->event.kind != LOG_BATCH)
		dropped_remove(&stream->dropped, stream->event.partition);
	switch (stream->event.kind) {
	case LOG_IDLE:
		break;
	case LOG_ASSIGNED:
		error = assign(stream, note);
		if (error == ERROR_FAILED_PRECONDITION || error == ERROR_DATA_LOSS)
			stream->stopped = true;
		if (error == ERROR_HELD)
			stand_by(stream);
		break;
	case LOG_BATCH:
		error = feed(stream, note);
		break;
	case LOG_REVOKED:
		error = revoke(stream, note);
		break;
	case LOG_LOST:
		lose(stream);
		break;
	}
	if (error == ERROR_OK || error == ERROR_FENCED)
		stream->event.kind = LOG_IDLE;
	return error;
}

/* How long the log may keep us: not past what is due. */
static int poll_timeout_ms(const struct stream *stream, int timeout_ms)
{
	bool rebuilds = stream->rebuild != NULL && rebuild_stats(stream->rebuild).running;
	int64_t now_us = clock_monotonic_us(stream->ports.clock), most_us = timeout_ms * INT64_C(1000);
	if (rebuilds && most_us > REBUILD_POLL_MS * INT64_C(1000))
		most_us = REBUILD_POLL_MS * INT64_C(1000);
	if (stream->config.engine.window_retention_ms != 0 && stream->partition_count > 0 &&
	    stream->next_prune_us - now_us < most_us)
		most_us = stream->next_prune_us - now_us;
	if (stream->sweep_urgent && stream->partition_count > 0 && stream->next_sweep_us - now_us < most_us)
		most_us = stream->next_sweep_us - now_us;
	for (size_t i = 0; i < stream->partition_count; i++) {
		const struct partition *partition = &stream->partitions[i];
		int64_t flush_us = partition->changed_at_us + flush_interval_us(stream, partition, now_us) - now_us;
		if (flush_due(stream, partition, now_us) ||
		    inherit_is_due(partition->inherited_until, partition->view.stored_position))
			return 0;
		if (partition->unflushed && flush_us < most_us)
			most_us = flush_us;
		if (!partition->flush_now && partition->next_refresh_us - now_us < most_us)
			most_us = partition->next_refresh_us - now_us;
	}
	return most_us <= 0 ? 0 : (int)((most_us + 999) / 1000);
}

static enum error poll_log(struct stream *stream, int timeout_ms, struct error_note *note)
{
	struct log_reader *log = stream->ports.log;
	struct log_event event = {.kind = LOG_IDLE};
	enum error error = log->vtable->poll(log, poll_timeout_ms(stream, timeout_ms), &event, note);
	if (error == ERROR_OK)
		stream->event = event;
	if (error == ERROR_DATA_LOSS)
		stream->stopped = true;
	return error;
}

/* Upkeep */

/* Activities that a window left, or that one came into, are derived again and written at the next step. */
static enum error refresh(struct stream *stream, struct partition *partition, struct error_note *note)
{
	struct store *store = stream->ports.store;
	int64_t now_ms = clock_wall_ms(stream->ports.clock);
	struct address due[REFRESH_MAX];
	size_t count, done = 0;
	enum error error = store->vtable->list_due(store, partition->view.partition, now_ms, due, REFRESH_MAX, &count, note);
	if (error != ERROR_OK)
		return error;
	while (done < count && (error = engine_refresh_activity(partition->engine, &due[done], now_ms)) == ERROR_OK)
		done++;
	partition->next_refresh_us =
		clock_monotonic_us(stream->ports.clock) + (count == REFRESH_MAX || done < count ? 0 : REFRESH_INTERVAL_US);
	if (count == 0)
		return ERROR_OK;
	partition->flush_now = true;
	stream->status.refreshed += done;
	gather_reads(stream, partition);
	enum error loaded = load(stream, note);
	return loaded == ERROR_OK && error == ERROR_NO_MEMORY ? error : loaded;
}

/* The store may tell then too that the partition is another's. */
static enum error refresh_owned(struct stream *stream, struct partition *partition, struct error_note *note)
{
	enum error error = refresh(stream, partition, note);
	if (error == ERROR_FENCED)
		drop_partition(stream, partition);
	return error;
}

static enum error prune(struct stream *stream, struct error_note *note)
{
	struct store *store = stream->ports.store;
	int64_t now_us = clock_monotonic_us(stream->ports.clock);
	if (stream->config.engine.window_retention_ms == 0 || stream->partition_count == 0 || now_us < stream->next_prune_us)
		return ERROR_OK;
	int64_t before_ms = clock_wall_ms(stream->ports.clock) - stream->config.engine.window_retention_ms;
	size_t removed;
	enum error error = store->vtable->prune_windows(store, before_ms, PRUNE_MAX, &removed, note);
	if (error != ERROR_OK)
		return error;
	stream->status.pruned += removed;
	stream->next_prune_us = now_us + (removed == PRUNE_MAX ? PRUNE_PAUSE_US : PRUNE_INTERVAL_US);
	return ERROR_OK;
}

/* As far as is known. */
static bool is_behind(const struct stream *stream)
{
	bool behind = false;
	for (size_t i = 0; i < stream->partition_count; i++)
		behind |= stream->partitions[i].view.end_position > stream->partitions[i].view.applied_position;
	return behind;
}

/* A page of what nothing fences, each second. While it is urgent page after page, for a tenth of the time, or half of it where no
 * event waits, and with pauses that are bounded. */
static enum error sweep(struct stream *stream, struct error_note *note)
{
	struct store *store = stream->ports.store;
	int64_t begun_us = clock_monotonic_us(stream->ports.clock), took_us = 0;
	if (store->vtable->sweep == NULL || stream->partition_count == 0 || begun_us < stream->next_sweep_us)
		return ERROR_OK;
	do {
		size_t repaired;
		enum error error = store->vtable->sweep(store, &repaired, &stream->sweep_urgent, note);
		if (error != ERROR_OK)
			return error;
		stream->status.repaired += repaired;
		took_us = clock_monotonic_us(stream->ports.clock) - begun_us;
	} while (stream->sweep_urgent && took_us < SWEEP_SLICE_US);
	int64_t pause_us = !stream->sweep_urgent ? SWEEP_INTERVAL_US : is_behind(stream) ? 9 * took_us : took_us;
	stream->next_sweep_us = begun_us + took_us + (pause_us < SWEEP_PAUSE_MAX_US ? pause_us : SWEEP_PAUSE_MAX_US);
	return ERROR_OK;
}

/* For a while, of a partition that has nothing to write. */
static enum error rebuild(struct stream *stream, struct partition *partition, struct error_note *note)
{
	int64_t now_us = clock_monotonic_us(stream->ports.clock), end_us = now_us + REBUILD_SLICE_US;
	bool more = stream->rebuild != NULL && !partition->unflushed &&
		    rebuild_is_due(stream->rebuild, partition->view.partition, now_us);
	enum error error = ERROR_OK;
	while (more && error == ERROR_OK) {
		error = rebuild_step(stream->rebuild, partition->view.partition, partition->engine,
				     partition->view.stored_position, &more, note);
		more = more && clock_monotonic_us(stream->ports.clock) < end_us;
	}
	if (error == ERROR_FENCED)
		drop_partition(stream, partition);
	return error;
}

/* Of what another engine took, and the log says is ours still: at the next step it is as if it were assigned anew. */
static void retake(struct stream *stream)
{
	int32_t number;
	if (stream->event.kind == LOG_IDLE &&
	    dropped_take_due(&stream->dropped, clock_monotonic_us(stream->ports.clock), &number))
		stream->event = (struct log_event){.kind = LOG_ASSIGNED, .partition = number};
}

/* Some of the clients, of a partition that has nothing to write and has come so far. */
static enum error inherit(struct stream *stream, struct partition *partition, struct error_note *note)
{
	int64_t until = partition->inherited_until;
	if (partition->unflushed || !inherit_is_due(until, partition->view.stored_position))
		return ERROR_OK;
	enum error error = inherit_step(stream->ports.store, partition->view.partition, partition->engine,
					clock_wall_ms(stream->ports.clock), &partition->inherited_until, stream->ports.on_written,
					stream->ports.context, note);
	if (error == ERROR_FENCED)
		drop_partition(stream, partition);
	if (error != ERROR_OK)
		return error;
	partition->flush_now = true;
	gather_reads(stream, partition);
	return load(stream, note);
}

static enum error keep_up(struct stream *stream, struct error_note *note)
{
	for (size_t i = stream->partition_count; i-- > 0;) {
		struct partition *partition = &stream->partitions[i];
		int64_t now_us = clock_monotonic_us(stream->ports.clock);
		enum error error = ERROR_OK;
		if (flush_due(stream, partition, now_us))
			error = flush(stream, partition, note);
		else if (now_us >= partition->next_refresh_us && !partition->flush_now)
			error = refresh_owned(stream, partition, note);
		if (error == ERROR_OK)
			error = rebuild(stream, partition, note);
		if (error == ERROR_OK)
			error = inherit(stream, partition, note);
		if (error != ERROR_OK)
			return error;
	}
	enum error error = prune(stream, note);
	return error == ERROR_OK ? sweep(stream, note) : error;
}

/* Steps */

static enum error round_trip(struct stream *stream, int timeout_ms, struct error_note *note)
{
	enum error error = ERROR_OK;
	if (stream->loading != NULL)
		error = load(stream, note);
	if (error == ERROR_OK && stream->event.kind == LOG_IDLE && stream->looks)
		error = look(stream, note);
	if (error == ERROR_OK && stream->event.kind == LOG_IDLE)
		error = poll_log(stream, timeout_ms, note);
	if (error == ERROR_OK)
		error = handle_event(stream, note);
	if (error == ERROR_OK)
		error = keep_up(stream, note);
	if (error == ERROR_OK)
		retake(stream); /* the log was asked just now whether it still is */
	return error;
}

/* What a step's end means for the next one, and for those who ask. */
static void settle(struct stream *stream, enum error error, struct error_note *note)
{
	struct stream_status *status = &stream->status;
	bool fine = error == ERROR_OK || error == ERROR_FENCED;
	enum stream_state state = fine			? STREAM_RUNNING
				  : stream->stopped	? STREAM_STOPPED
				  : error == ERROR_HELD ? STREAM_WAITING
							: STREAM_RETRYING;
	stream->looks |= error == ERROR_FENCED; /* by whom? */
	if (note->text[0] == '\0' && error != ERROR_OK)
		error_noted(note, error, "%s", error_text(error));
	if (error != ERROR_OK || status->state != STREAM_RUNNING) {
		status->error = error;
		status->note = *note;
	}
	if (state != status->state)
		status->since_ms = clock_wall_ms(stream->ports.clock);
	status->state = state;
	stream->pause_ms = fine ? 0 : stream->pause_ms == 0 ? FIRST_PAUSE_MS : stream->pause_ms * 2;
	if (stream->pause_ms > MAX_PAUSE_MS)
		stream->pause_ms = MAX_PAUSE_MS;
	if (state == STREAM_WAITING)
		stream->pause_ms = WAITING_PAUSE_MS;
	stream->retry_at_us = clock_monotonic_us(stream->ports.clock) + stream->pause_ms * INT64_C(1000);
}

static void publish(struct stream *stream)
{
	pthread_mutex_lock(&stream->lock);
	struct stream_status *status = &stream->published;
	*status = stream->status;
	status->partition_count = stream->partition_count;
	if (stream->rebuild != NULL)
		status->rebuild = rebuild_stats(stream->rebuild);
	for (size_t i = 0; i < stream->partition_count; i++) {
		const struct stream_partition *view = &stream->partitions[i].view;
		struct engine_stats stats = engine_stats(stream->partitions[i].engine);
		add_stats(&status->engine, &stats);
		status->partitions[i] = *view;
		status->partitions[i].events = stats.applied;
		if (view->end_position > view->applied_position)
			status->lag_events += view->end_position - view->applied_position;
		if (view->newest_applied_ms > status->newest_applied_ms)
			status->newest_applied_ms = view->newest_applied_ms;
	}
	pthread_mutex_unlock(&stream->lock);
}

int stream_pause_ms(const struct stream *stream)
{
	if (stream->stopped)
		return STOPPED_PAUSE_MS;
	int64_t left_us = stream->retry_at_us - clock_monotonic_us(stream->ports.clock);
	return stream->pause_ms == 0 || left_us <= 0 ? 0 : (int)((left_us + 999) / 1000);
}

enum error stream_step(struct stream *stream, int timeout_ms, struct error_note *note)
{
	struct error_note own = stream->status.note;
	enum error error = stream->status.error;
	if (stream_pause_ms(stream) == 0) {
		own = (struct error_note){""};
		error = round_trip(stream, timeout_ms, &own);
		settle(stream, error, &own);
		publish(stream);
	}
	if (note != NULL && error != ERROR_OK)
		*note = own;
	return error;
}

enum error stream_flush(struct stream *stream, struct error_note *note)
{
	enum error first = ERROR_OK;
	for (size_t i = stream->partition_count; i-- > 0;) {
		enum error error = flush(stream, &stream->partitions[i], first == ERROR_OK ? note : NULL);
		if (first == ERROR_OK)
			first = error;
	}
	publish(stream);
	return first;
}

enum error stream_finish(struct stream *stream, int64_t most_ms, struct error_note *note)
{
	int64_t deadline_us = clock_monotonic_us(stream->ports.clock) + most_ms * 1000;
	do {
		enum error error = stream_step(stream, 0, note);
		if (error != ERROR_OK && error != ERROR_FENCED) /* one that is another's by now leaves the rest */
			return error;
	} while (stream->published.lag_events > 0 && clock_monotonic_us(stream->ports.clock) < deadline_us);
	return stream_flush(stream, note);
}

void stream_status(struct stream *stream, struct stream_status *ret_status)
{
	pthread_mutex_lock(&stream->lock);
	*ret_status = stream->published;
	pthread_mutex_unlock(&stream->lock);
}

/* Life */

static enum error check_config(const struct stream_config *config, struct error_note *note)
{
	if (config->flush_interval_ms < 0 || config->max_staleness_ms < 0)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "intervals of the stream can't be negative");
	int64_t retention_ms = config->engine.window_retention_ms;
	if (retention_ms != 0 && retention_ms < ENGINE_MIN_RETENTION_MS)
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "windows must be kept for at least 25 hours, as activities look back 24; or for ever (0)");
	return ERROR_OK;
}

static void set_defaults(struct stream_config *config)
{
	if (config->flush_interval_ms == 0)
		config->flush_interval_ms = DEFAULT_FLUSH_INTERVAL_MS;
	if (config->max_staleness_ms == 0)
		config->max_staleness_ms = DEFAULT_MAX_STALENESS_MS;
	if (config->flush_interval_ms > config->max_staleness_ms / 2)
		config->flush_interval_ms = config->max_staleness_ms / 2;
	if (config->engine.max_rows == 0)
		config->engine.max_rows = ENGINE_DEFAULT_MAX_ROWS;
	if (config->max_dirty_rows == 0)
		config->max_dirty_rows = DEFAULT_MAX_DIRTY_ROWS;
}

static enum error create_rebuild(struct stream *stream)
{
	const struct rebuild_config config = {.store = stream->ports.store,
					      .source = stream->ports.rebuild_source,
					      .clock = stream->ports.clock,
					      .random = stream->ports.random,
					      .window_retention_ms = stream->config.engine.window_retention_ms,
					      .on_written = stream->ports.on_written,
					      .context = stream->ports.context};
	return config.store->vtable->find_rebuild == NULL ? ERROR_OK : rebuild_create(&config, &stream->rebuild);
}

enum error stream_create(const struct stream_config *config, const struct stream_ports *ports, struct stream **ret_stream,
			 struct error_note *note)
{
	enum error error = check_config(config, note);
	if (error != ERROR_OK)
		return error;
	struct stream *stream = calloc(1, sizeof *stream);
	if (stream == NULL)
		return ERROR_NO_MEMORY;
	pthread_mutex_init(&stream->lock, NULL);
	stream->config = *config;
	set_defaults(&stream->config);
	stream->ports = *ports;
	stream->event.kind = LOG_IDLE;
	stream->looks = true;
	stream->reads.windows = calloc(OFFER_MAX, sizeof *stream->reads.windows);
	stream->reads.days = calloc(OFFER_MAX, sizeof *stream->reads.days);
	stream->reads.clients = calloc(OFFER_MAX, sizeof *stream->reads.clients);
	if (stream->reads.windows == NULL || stream->reads.days == NULL || stream->reads.clients == NULL ||
	    create_rebuild(stream) != ERROR_OK) {
		stream_destroy(stream);
		return ERROR_NO_MEMORY;
	}
	stream->status.since_ms = clock_wall_ms(ports->clock);
	publish(stream);
	*ret_stream = stream;
	return ERROR_OK;
}

void stream_destroy(struct stream *stream)
{
	if (stream == NULL)
		return;
	while (stream->partition_count > 0)
		give_up_partition(stream, &stream->partitions[0]);
	rebuild_destroy(stream->rebuild);
	free(stream->reads.windows);
	free(stream->reads.days);
	free(stream->reads.clients);
	pthread_mutex_destroy(&stream->lock);
	free(stream);
}
