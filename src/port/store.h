/* The store port: the metrics. A `store` is the engine's side (one thread, the only writer of its partitions), a `store_reader`
 * the queries' side (one a query thread). Calls block. Adapters embed the structs as their first member.
 */
#ifndef PING_PORT_STORE_H
#define PING_PORT_STORE_H

#include "base/error.h"
#include "engine/engine.h"
#include "port/rebuild.h"

/* Rows of clients, as they are: each at a position of its own (POSITION_NONE: somebody else's). */
struct store_rows {
	void *context;
	/* Of days, what the counter that follows says. All counters come before all other rows. */
	void (*counter)(void *context, const struct address *client, int64_t day_ms, int64_t total);
	void (*window)(void *context, const struct window_row *row);
	void (*day)(void *context, const struct day_row *row);
	void (*client)(void *context, const struct client_row *row);
	/* Of a window (day) that was told, some of whose pings neither ledger nor log has (semantics, "Exactly once, by
	 * position"): how many. NULL: not wanted. */
	void (*kept)(void *context, const struct address *client, int64_t start_ms, bool of_day, int64_t kept);
};

/* Rows that should not be: named by client and start. */
struct store_removal {
	const struct window_row *windows;
	size_t window_count;
	const struct day_row *days;
	size_t day_count;
	const struct client_row *clients;
	size_t client_count;
};

/* What merging inherited rows changed: the dirty rows are written. All of it lives until the next call of the store. */
struct store_merge {
	struct engine_dirty dirty;
	const struct address *clients; /* in order; with an error, those of whom some rows may be written */
	size_t client_count;
	bool more; /* it is to be called again */
};

struct store;
struct store_vtable {
	/* Becomes the partition's owner; its applied position (POSITION_NONE: an empty store). From a log that was made anew
	 * under a greater log_epoch: the last position of the epochs before, for all partitions. FAILED_PRECONDITION when the
	 * store was filled from any other log: the note names the way out. HELD: another kind of engine is at work. */
	enum error (*take)(struct store *store, int32_t partition, const uint8_t log_identity[16], int64_t *ret_position,
			   struct error_note *note);
	/* The partition is no longer the caller's: another may take it, of whatever kind, without waiting. Whatever fails, it is
	 * taken all the same. Not for one that is another's already. NULL where there is but one process. */
	void (*release)(struct store *store, int32_t partition);
	/* row->count (total) is 0 where there is no such row. For each of `count` keys at once: client and start_ms of each row
	 * are filled in by the caller, the rest by the store. */
	enum error (*read_windows)(struct store *store, struct window_row *rows, size_t count, struct error_note *note);
	enum error (*read_days)(struct store *store, struct day_row *rows, size_t count, struct error_note *note);
	/* A client's row and all its windows from start_ms on, for each of the clients. `visit` is called once a client, in any
	 * order; row is NULL where the client is unknown. It must not call the store. */
	enum error (*read_clients)(struct store *store, const struct address *clients, size_t count, int64_t start_ms,
				   void (*visit)(void *context, const struct address *client, const struct client_row *row,
						 const struct window_row *windows, size_t window_count),
				   void *context, struct error_note *note);
	/* Clients of the partition (those whose rows it wrote) whose materialised activity is due at now_ms, at most max, the
	 * most overdue first. Where the store can find them (embedded), behind them those whose activity was made, or removed, as
	 * seen from later than now_ms: the clock was set back. */
	enum error (*list_due)(struct store *store, int32_t partition, int64_t now_ms, struct address *ret_clients, size_t max,
			       size_t *ret_count, struct error_note *note);
	/* Writes every row, and only then the partition's position (embedded: one transaction). Empty `dirty`: the position
	 * alone. FENCED: another owner, drop the partition. After any other error the same batch may be written again. */
	enum error (*write)(struct store *store, int32_t partition, const struct engine_dirty *dirty, int64_t position,
			    struct error_note *note);
	/* Removes at most `max` windows that ended before `before_ms`; none where rows go by themselves (TTL). */
	enum error (*prune_windows)(struct store *store, int64_t before_ms, size_t max, size_t *ret_removed,
				    struct error_note *note);
	/* Compares some more of what nothing fences (counters that may only be added to) with what it should be, and puts right
	 * what differs: a slow round over all rows of the caller's partitions, endless. ret_repaired: how many. ret_urgent: there
	 * may be something to find, and waiting until the slow round comes by would take long. NULL: there is no such. */
	enum error (*sweep)(struct store *store, size_t *ret_repaired, bool *ret_urgent, struct error_note *note);
	void (*close)(struct store *store);
	/* Rebuilds; NULL, all four, where a store is not rebuilt in place. The oldest request of a partition that is not DONE;
	 * NOT_FOUND. */
	enum error (*find_rebuild)(struct store *store, int32_t partition, struct rebuild_request *ret_request,
				   struct error_note *note);
	/* How far it is, by the partition's owner. FENCED: the partition is another's. */
	enum error (*put_rebuild)(struct store *store, const struct rebuild_request *request, struct error_note *note);
	/* All rows of each of the clients, in any order. A visitor must not call the store. */
	enum error (*read_rows)(struct store *store, const struct address *clients, size_t count, const struct store_rows *rows,
				struct error_note *note);
	/* Removes them; a day's counter becomes 0 first. FENCED as above. May be done again. */
	enum error (*remove)(struct store *store, int32_t partition, const struct store_removal *removal,
			     struct error_note *note);
	/* Takes nothing. HELD: another kind of engine is at work, or was less than a minute ago. NULL: there is no other kind. */
	enum error (*held)(struct store *store, struct error_note *note);
	/* Rows of somebody who filled the tables before the first engine came; NULL, both, where there can be none. Whether some
	 * of the partition's are still to be merged: OK, NOT_FOUND. */
	enum error (*find_inherited)(struct store *store, int32_t partition, struct error_note *note);
	/* Merges those of some clients: no row says less than theirs said. The partition's rows hold all that the log had when
	 * they were left, and nothing is dirty. FENCED as above. May be done again. */
	enum error (*merge_inherited)(struct store *store, int32_t partition, struct store_merge *ret_merge,
				      struct error_note *note);
};
struct store {
	const struct store_vtable *vtable;
	int32_t log_epoch; /* of the log that fills it: set by who opens it, where a log can be made anew */
};

enum store_client_order { STORE_ORDER_PING_COUNT, STORE_ORDER_LAST_PING, STORE_ORDER_CLIENT_IP };

/* A page of clients: its place in the order is (value, client) of the last one before it. */
struct store_client_page {
	enum store_client_order
		order;	     /* ping count and last ping: greatest first, equal ones by address; client ip: by address */
	struct slice prefix; /* of the canonical text; size 0: all */
	int64_t now_ms;
	bool after; /* false: the first page */
	int64_t after_value;
	struct address after_client;
	size_t max;
};

struct store_client {
	struct client_row client;
	struct activity_row activity; /* count 0: silent for 24 h. As materialised; past due_ms the caller derives it again */
	int64_t order_value;	      /* what the page is ordered by */
};

/* Which kind of engine fills a store, by the store's own records. One that was not heard of for so long may be followed by
 * another. */
enum { STORE_ENGINE_FRESH_MS = 60000, STORE_ENGINE_KIND_MAX = 24 };
struct store_engine {
	char kind[STORE_ENGINE_KIND_MAX]; /* "native", "flink"; "": there was none yet, or the store has no such records */
	int64_t heartbeat_ms;		  /* when it was last heard of; 0: it has stopped in good order */
	bool has_owner;
	uint8_t owner[16]; /* of the partition that was heard of last */
};

struct store_totals {
	int64_t position;	/* of partition 0 where there is one */
	int64_t clients;	/* ever seen */
	int64_t active_clients; /* with a ping in the last 24 hours */
	int64_t open_windows;
	struct store_engine engine;
};

/* One snapshot of the whole store for the audit. `begin` is told the position that its rows stand at; then every window is
 * visited, then every day, then every client, each kind ordered by client (bytes), then start. A visitor that returns false ends
 * it. */
struct store_scan {
	void *context;
	bool (*begin)(void *context, int64_t position);
	bool (*window)(void *context, const struct window_row *row);
	bool (*day)(void *context, const struct day_row *row);
	bool (*client)(void *context, const struct client_row *row);
};

struct store_reader;
struct store_reader_vtable {
	/* Windows with start in [start_ms, end_ms), newest first, at most max. end_ms 0: open. */
	enum error (*list_windows)(struct store_reader *reader, const struct address *client, int64_t start_ms, int64_t end_ms,
				   struct window_row *ret_rows, size_t max, size_t *ret_count, struct error_note *note);
	enum error (*list_days)(struct store_reader *reader, const struct address *client, int64_t start_ms, int64_t end_ms,
				struct day_row *ret_rows, size_t max, size_t *ret_count, struct error_note *note);
	enum error (*list_clients)(struct store_reader *reader, const struct store_client_page *page,
				   struct store_client *ret_clients, size_t *ret_count, struct error_note *note);
	/* ERROR_NOT_FOUND for a client that was never seen. */
	enum error (*get_client)(struct store_reader *reader, const struct address *client, struct client_row *ret_row,
				 struct error_note *note);
	enum error (*totals)(struct store_reader *reader, int64_t now_ms, struct store_totals *ret_totals,
			     struct error_note *note);
	/* For who follows what other processes write; NULL where a store is one process's own. The position of each partition's
	 * rows: they hold every event up to there (POSITION_NONE: no engine has been there). After an error
	 * they are not to be used … */
	enum error (*positions)(struct store_reader *reader, int64_t *ret_positions, size_t partition_count,
				struct error_note *note);
	/* … and the rows of `count` keys at once, as a store's read_windows does it. */
	enum error (*read_windows)(struct store_reader *reader, struct window_row *rows, size_t count, struct error_note *note);
	/* ERROR_OK also when a visitor ended it. */
	enum error (*scan)(struct store_reader *reader, const struct store_scan *scan, struct error_note *note);
	void (*close)(struct store_reader *reader);
	/* For the audit where there is no snapshot; NULL where there is. All rows of each of the clients, in any order. A visitor
	 * must not call the store. */
	enum error (*read_rows)(struct store_reader *reader, const struct address *clients, size_t count,
				const struct store_rows *rows, struct error_note *note);
	/* Every client of whom any table has a row, in any order, perhaps several times. */
	enum error (*list_any)(struct store_reader *reader, void (*visit)(void *context, const struct address *client),
			       void *context, struct error_note *note);
};
struct store_reader {
	const struct store_reader_vtable *vtable;
};

#endif
