/* What must be: the ledger's rows as they were kept, and what every metric is at every position, folded the plain way. All that
 * the ledger, the store and the queries say is held against it.
 *
 * It shares no code with the engine. A series is one window, day or client with its state after each of its pings.
 */
#ifndef PING_SIM_TRUTH_H
#define PING_SIM_TRUTH_H

#include "engine/engine.h"
#include "port/ledger.h"
#include "port/store.h"
#include "rowset.h"
#include "world.h"

struct truth_row {
	int64_t position;
	struct uuid id;
	struct address client;
	int64_t pinged_at_ms, received_at_ms;
};

struct truth {
	struct world *world;
	struct rowset rows; /* of truth_row, by position */
	struct rowset series;
	int64_t window_retention_ms; /* 0: for ever. Windows near the end of their life aren't looked at */
	bool torn;		     /* a write stopped half-way: rows may be ahead of the store's position */
	uint64_t scans;
	uint64_t rows_checked;
};

void truth_init(struct truth *truth, struct world *world);
void truth_release(struct truth *truth);

/* The ledger has kept them: result, duplicate and position are set. Ids and positions must have increased. */
void truth_kept(struct truth *truth, const struct ledger_ping *pings, size_t count);
/* NULL: the ledger does not have it. */
const struct truth_row *truth_find(const struct truth *truth, const struct uuid *id);
/* Of the newest row; POSITION_NONE: no row yet. */
int64_t truth_end(const struct truth *truth);
/* Rows with pinged_at in [start_ms, end_ms), end_ms 0: open. */
int64_t truth_count(const struct truth *truth, int64_t start_ms, int64_t end_ms);

/* The store has kept these rows at this position: each is the fold of the ledger up to its own position, and newer than
 * the one before. */
void truth_check_write(struct truth *truth, const struct engine_dirty *dirty, int64_t position);
/* The store lost its newest transactions. */
void truth_forget_writes(struct truth *truth);
/* The store as it is: every row right, none missing up to the store's position, which is returned. */
int64_t truth_check_store(struct truth *truth, struct store_reader *reader);
/* The materialised activities are those of now_ms, in order, page by page; for a store that is up to date. */
void truth_check_activities(struct truth *truth, struct store_reader *reader, int64_t now_ms);
/* What an engine that stands at `from` would write to get to `to`. */
struct truth_rows {
	struct rowset windows, days, clients, activities;
};
void truth_rows_init(struct truth_rows *rows);
void truth_rows_release(struct truth_rows *rows);
void truth_rows_between(const struct truth *truth, int64_t from, int64_t to, int64_t now_ms, struct truth_rows *rows);

/* The client's 24 hours as seen at now_ms, from the pings up to `position`; start_ms and due_ms aren't looked at. */
void truth_check_activity(const struct truth *truth, const struct activity_row *activity, int64_t now_ms, int64_t position);
/* All of a client's rows with start in [start_ms, end_ms), end_ms 0: open, the newest first, of a store at `position`. */
void truth_check_windows(struct truth *truth, const struct address *client, int64_t start_ms, int64_t end_ms, int64_t position,
			 const struct window_row *rows, size_t count);
void truth_check_days(struct truth *truth, const struct address *client, int64_t start_ms, int64_t end_ms, int64_t position,
		      const struct day_row *rows, size_t count);
/* False: never seen up to `position`. */
bool truth_client(const struct truth *truth, const struct address *client, int64_t position, struct client_row *ret_row);
/* The ledger's own counts agree. */
void truth_check_ledger(const struct truth *truth, struct ledger_reader *reader);

#endif
