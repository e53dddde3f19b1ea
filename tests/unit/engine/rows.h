/* The rows of the metrics in plain arrays: the reference that the engine is compared with, and the store that it is driven
 * against. Everything is found by looking at every row.
 */
#ifndef PING_TEST_ROWS_H
#define PING_TEST_ROWS_H

#include "base/random.h"
#include "engine/engine.h"

enum { ROWS_MAX = 2048 };

struct rows {
	struct window_row windows[ROWS_MAX];
	struct day_row days[ROWS_MAX];
	struct client_row clients[ROWS_MAX];
	struct activity_row activities[ROWS_MAX];
	size_t window_count, day_count, client_count, activity_count;
};

struct window_row *rows_window(struct rows *rows, const struct address *client, int64_t start_ms);
struct day_row *rows_day(struct rows *rows, const struct address *client, int64_t start_ms);
struct client_row *rows_client(struct rows *rows, const struct address *client);
struct activity_row *rows_activity(struct rows *rows, const struct address *client);

/* Counts the event where no row of it is newer. */
void rows_count(struct rows *rows, const struct engine_event *event);
/* The rolling 24 hours as seen from start_ms, from the windows. */
struct activity_row rows_derive(const struct rows *rows, const struct address *client, int64_t start_ms);

/* The store's side: writes all rows; with `coin`, only those for which its toss says so, as when a write is cut short. */
void rows_write(struct rows *rows, const struct engine_dirty *dirty, struct random *coin);
/* Answers everything that the engine misses. */
void rows_supply(struct rows *rows, struct engine *engine);
/* Offers, supplies and applies all events, flushing into `rows` where the engine takes none. */
void rows_drive(struct rows *rows, struct engine *engine, const struct engine_event *events, size_t count, int64_t now_ms);
/* Collects, writes all, says so. */
void rows_flush(struct rows *rows, struct engine *engine);

/* Fails the test, saying what differs. Windows, days and clients in any order; positions only where with_positions. */
void rows_assert_equal(struct rows *actual, struct rows *expected, bool with_positions);
void rows_assert_activity(const struct activity_row *actual, const struct activity_row *expected);
/* Every client's stored activity is what its stored windows give as seen from the activity's start. */
void rows_assert_activities(struct rows *rows);

/* 198.51.100.`n`. */
struct address rows_address(unsigned n);

#endif
