/* The engine: events of one partition in, dirty rows out (semantics, "Exactly once, by position"). Pure: no I/O, clock, lock or
 * log. One engine a partition; a driver (stream/) carries its rows to and from the store:
 *
 *   engine_offer  events ──► which rows are unknown? ──► engine_next_missing ─► driver reads ─► engine_supply_*
 *   engine_apply  the offered events are merged; rows become dirty
 *   engine_collect_dirty ─► driver writes them, then the position ─► engine_written
 *
 * A row carries the position of the newest event in it. An event that is not newer is in it already and only marks the row dirty,
 * so that the owner writes it again under its own timestamp. So any replay leaves the same rows.
 *
 * A client's activity is derived from its windows when it is loaded (engine_next_missing, CLIENT) and then kept as windows grow,
 * so a replay, which changes no window, changes no activity. Past its due it is asked for again by the next offer that touches
 * the client (at most max_refreshes an offer) or by engine_refresh_activity; until then it stays exact as seen from its start_ms.
 * Where a window turns out to hold events that this engine has not come to yet, an owner before it may have written it since the
 * activity was derived: that is due at once.
 *
 * Cached rows are found by open addressing over a keyed hash; a client's entry remembers its window and day of last time, so an
 * event in order costs one probe. Past `max_rows` clean rows are evicted, least recently used first (second chance); dirty
 * ones never, so `engine_offer` takes fewer events while too much is dirty.
 */
#ifndef PING_ENGINE_ENGINE_H
#define PING_ENGINE_ENGINE_H

#include "base/error.h"
#include "engine/row.h"

struct engine;

struct engine_event {
	struct address client;
	int64_t pinged_at_ms; /* 1 … TIMESTAMP_MAX_MS */
	int64_t position;     /* increasing within a partition */
};

/* A shorter retention would cut into the rolling 24 hours. */
#define ENGINE_MIN_RETENTION_MS (25 * INT64_C(3600000))

enum { ENGINE_DEFAULT_MAX_ROWS = 400000 }; /* 40 MB */

struct engine_config {
	size_t max_rows;	     /* rows of all kinds in the cache; 0: ENGINE_DEFAULT_MAX_ROWS */
	size_t max_refreshes;	     /* activities past their due that one offer asks for again; 0: 256 */
	uint8_t hash_key[16];	     /* random, so that nobody can choose addresses that collide */
	int64_t window_retention_ms; /* windows that ended longer ago aren't written; 0: for ever */
};

enum engine_missing_kind { ENGINE_MISSING_CLIENT, ENGINE_MISSING_WINDOW, ENGINE_MISSING_DAY };

/* A read that the engine needs. CLIENT: the client's row and all its windows from `start_ms` (activity_start_of) on. */
struct engine_missing {
	enum engine_missing_kind kind;
	struct address client;
	int64_t start_ms;
};

/* What became dirty, ready to write. The arrays live until the next call of the engine. */
struct engine_dirty {
	const struct window_row *windows;
	size_t window_count;
	const struct day_row *days;
	size_t day_count;
	const struct client_row *clients;
	size_t client_count;
	const struct activity_row *activities; /* due_ms == 0: remove the row */
	size_t activity_count;
	int64_t position; /* committable once all of it is written: of the newest event applied (POSITION_NONE: none yet) */
	/* Not the engine's: how many pings of each window (day) are known by number alone. NULL: as the store has it. */
	const int64_t *window_kept, *day_kept;
};

struct engine_stats {
	uint64_t applied, skipped, expired; /* events merged; already in; merged but whose window is past its retention */
	uint64_t loads, evictions;
	uint64_t hits; /* rows that an event found in the cache; up to three an event */
	size_t rows, dirty_rows;
};

/* position: the partition's applied position, from the store. ERROR_NO_MEMORY, ERROR_INVALID_ARGUMENT
 * (a retention under ENGINE_MIN_RETENTION_MS). */
enum error engine_create(const struct engine_config *config, int64_t position, struct engine **ret_engine);
void engine_destroy(struct engine *engine);

/* Takes up to `count` events for the next apply and finds out which rows are missing. ret_taken may be smaller (even 0) while the
 * cache is full of dirty rows: write them first. Between offer and apply no other offer. The events stay the caller's and must
 * live until apply. now_ms: the wall clock (what is "the last 24 hours"). ERROR_NO_MEMORY. */
enum error engine_offer(struct engine *engine, const struct engine_event *events, size_t count, int64_t now_ms,
			size_t *ret_taken);
/* The next read to do; false when there is none left. */
bool engine_next_missing(struct engine *engine, struct engine_missing *ret_missing);
/* Answers to reads. row == NULL: there is no such row. */
enum error engine_supply_window(struct engine *engine, const struct address *client, int64_t start_ms,
				const struct window_row *row);
enum error engine_supply_day(struct engine *engine, const struct address *client, int64_t start_ms, const struct day_row *row);
/* windows: every stored window of the client from the missing's start_ms on, any order. Where the cache holds a window too, the
 * cache is right. */
enum error engine_supply_client(struct engine *engine, const struct address *client, const struct client_row *row,
				const struct window_row *windows, size_t window_count);
/* Merges what was offered; everything missing must have been supplied. */
void engine_apply(struct engine *engine);

/* The client's activity is due (a window left or opened): it is asked for by engine_next_missing, and dirty when supplied.
 * Between apply and offer. now_ms as above. ERROR_NO_MEMORY; ERROR_RESOURCE_EXHAUSTED while the cache is full of dirty rows. */
enum error engine_refresh_activity(struct engine *engine, const struct address *client, int64_t now_ms);

/* Everything dirty. ERROR_NO_MEMORY. */
enum error engine_collect_dirty(struct engine *engine, struct engine_dirty *ret_dirty);
/* What the last collect gave is in the store. */
void engine_written(struct engine *engine);

/* From now on at most so many rows, of the max_rows that it was made with; the next offers evict what is too much. Memory that
 * rows took is used for other rows, and goes back with the engine. */
void engine_limit_rows(struct engine *engine, size_t max_rows);

/* Drops every row of these clients, which stand in order of address, so that they are read anew. Nothing is offered, nothing
 * dirty. */
void engine_forget(struct engine *engine, const struct address *clients, size_t count);

int64_t engine_position(const struct engine *engine);
struct engine_stats engine_stats(const struct engine *engine);

#endif
