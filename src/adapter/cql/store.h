/* The engine's side of the store, in its parts: store.c opens it and reads, owner.c takes partitions and commits, write.c writes,
 * due.c finds what must be derived again, rebuild.c is for rows that are made anew.
 */
#ifndef PING_ADAPTER_CQL_STORE_H
#define PING_ADAPTER_CQL_STORE_H

#include "adapter/cql/known.h"
#include "base/clock.h"
#include "base/random.h"
#include "port/store.h"

enum { CQL_OWNER_SIZE = 16, CQL_MAX_LISTED = 256, CQL_MERGE_CLIENTS = 64 };

enum cql_store_statement {
	CQL_FIND_WRITER,
	CQL_LIST_WRITERS,
	CQL_ANY_DAY,
	CQL_TAKE_FIRST,
	CQL_TAKE,
	CQL_COMMIT,
	CQL_RELEASE,
	CQL_ENTER_LOG,
	CQL_FIND_WINDOW,
	CQL_FIND_DAY,
	CQL_FIND_CLIENT,
	CQL_WINDOWS_FROM,
	CQL_LIST_DUE,
	CQL_PUT_WINDOW,
	CQL_PUT_DAY,
	CQL_FIND_COUNTER,
	CQL_ADD_COUNTER,
	CQL_PUT_CLIENT,
	CQL_PUT_LISTED,
	CQL_DROP_LISTED,
	CQL_SET_ACTIVE,
	CQL_PUT_ACTIVITY,
	CQL_DROP_ACTIVITY,
	CQL_PUT_DUE,
	CQL_DROP_DUE,
	CQL_ALL_DAYS,
	CQL_LIST_REBUILDS,
	CQL_PUT_REBUILD,
	CQL_COUNTERS_OF,
	CQL_WINDOWS_OF,
	CQL_DAYS_OF,
	CQL_PUT_KEPT_WINDOW,
	CQL_PUT_KEPT_DAY,
	CQL_FIND_INHERITED,
	CQL_PUT_INHERITED,
	CQL_INHERITED_BY_WINDOW,
	CQL_INHERITED_BY_DAY,
	CQL_INHERITED_WINDOWS,
	CQL_INHERITED_DAYS,
	CQL_DROP_WINDOW,
	CQL_DROP_DAY,
	CQL_STORE_STATEMENT_COUNT,
};

/* What list_due gave, until it is written. */
struct cql_listed {
	struct address client;
	int64_t due_ms;
	bool written;
};

/* A partition of ours, as engine_writers has it: semantics, "Exactly once, by position". */
struct cql_partition {
	int32_t number;
	int64_t version;      /* of its row; each change is one more */
	int64_t reserved_us;  /* no row is written with a later timestamp */
	int64_t timestamp_us; /* that was used last: above all that an owner before us may have used */
	int64_t position;
	int64_t committed_us; /* by the monotonic clock */
	/* list_due goes on here. */
	int64_t due_bucket_ms; /* 0: from the oldest there may be */
	struct cql_listed place;
	bool has_place; /* within the bucket */
	struct cql_listed listed[CQL_MAX_LISTED];
	size_t listed_count;
	struct cql_merging *merging; /* of inherited rows; NULL: none is at hand */
};

struct cql_store {
	struct store store;
	struct cql_connection *connection;
	struct clock *clock;
	uint8_t owner[CQL_OWNER_SIZE]; /* of this process's: drawn anew each time */
	int32_t partition_count;
	int64_t window_retention_ms;
	int64_t seen_us; /* the latest WRITETIME of a row that was read */
	struct cql_known *known;
	int32_t (*partition_of)(const struct address *client, int32_t partition_count); /* NULL: not known */
	struct pc_result *swept; /* the last page of the sweep; NULL: it begins */
	int64_t swept_from_us;	 /* when this round of it began; monotonic, as the next */
	int64_t doubted_us;	 /* cql_doubt; 0: no more */
	struct cql_partition **partitions;
	size_t count;
};

/* NULL: not ours. */
struct cql_partition *cql_find_partition(struct cql_store *store, int32_t number);
/* owner.c, as port/store.h has it. */
enum error cql_take(struct store *base, int32_t number, const uint8_t log_identity[16], int64_t *ret_position,
		    struct error_note *note);
void cql_release(struct store *base, int32_t number);
enum error cql_held(struct store *base, struct error_note *note);
/* Position and reservation, by lightweight transaction. FENCED: it is another's, and forgotten. */
enum error cql_commit(struct cql_store *store, struct cql_partition *partition, int64_t position, struct error_note *note);
/* Whether it is still ours: nothing fences a counter. FENCED as above. */
enum error cql_confirm(struct cql_store *store, struct cql_partition *partition, struct error_note *note);
/* A timestamp for the next rows, later than every one before, within what is reserved. */
enum error cql_next_timestamp(struct cql_store *store, struct cql_partition *partition, int64_t *ret_timestamp_us,
			      struct error_note *note);
void cql_forget(struct cql_store *store, struct cql_partition *partition);

/* write.c */
/* Each day's counter becomes its total. UNAVAILABLE: not known of some; may be done again. */
enum error cql_follow_counters(struct cql_store *store, const struct day_row *days, size_t count, struct error_note *note);
enum error cql_write(struct store *base, int32_t number, const struct engine_dirty *dirty, int64_t position,
		     struct error_note *note);

/* due.c */
enum error cql_list_due(struct store *base, int32_t number, int64_t now_ms, struct address *ret_clients, size_t max,
			size_t *ret_count, struct error_note *note);
/* rebuild.c, as port/store.h has them */
enum error cql_find_rebuild(struct store *base, int32_t partition, struct rebuild_request *ret_request, struct error_note *note);
enum error cql_put_rebuild(struct store *base, const struct rebuild_request *rebuild, struct error_note *note);
enum error cql_store_read_rows(struct store *base, const struct address *clients, size_t count, const struct store_rows *rows,
			       struct error_note *note);
enum error cql_remove(struct store *base, int32_t number, const struct store_removal *removal, struct error_note *note);
/* inherited.c, as port/store.h has them */
enum error cql_find_inherited(struct store *base, int32_t partition, struct error_note *note);
enum error cql_merge_inherited(struct store *base, int32_t number, struct store_merge *ret_merge, struct error_note *note);
/* NULL: nothing. */
void cql_merging_destroy(struct cql_merging *merging);
/* sweep.c */
enum error cql_sweep(struct store *base, size_t *ret_repaired, bool *ret_urgent, struct error_note *note);
/* From now on somebody may add to a counter what was meant for it before. */
void cql_doubt(struct cql_store *store);

static inline int64_t cql_due_bucket(int64_t due_ms)
{
	return window_start_of(due_ms);
}

#endif
