#include "adapter/cql/store.h"

#include "base/rows.h"

#include <stdlib.h>

/* Merges what inherit_copy.c put aside into the rows of a partition that has read its log, some clients at a time:
 *
 *   a window becomes what theirs said, if it says less; a day what its counter said, or its windows are together, whichever is
 * more
 *
 * So merging again changes nothing, and a ping that comes later adds to it. Of what was added the number alone is known: it is
 * kept beside the row, for audit and rebuild. A window's added pings are taken to lie as close before its last known one as their
 * average lets them. */

#define DAY_MS INT64_C(86400000)

/* A row of theirs; start: of the window or day. */
struct inherited {
	struct address client;
	int64_t start_ms, count;
	double average_ms;
};

/* A row as it is, and becomes. */
struct merged_window {
	struct window_row row; /* count 0: there is none of ours yet */
	int64_t kept;
};
struct merged_day {
	struct day_row row;
	int64_t kept;
};

struct cql_merging {
	int32_t partition;
	bool by_day;		/* the second listing: of days */
	struct pc_result *page; /* the last of the listing that is done; NULL: it begins */
	bool failed;		/* no memory */
	struct address clients[CQL_MERGE_CLIENTS];
	size_t client_count;
	/* In order of client and start. */
	ROWS(struct inherited) windows;
	ROWS(struct inherited) days;
	ROWS(struct merged_window) found_windows;
	ROWS(struct merged_day) found_days;
	ROWS(struct client_row) found_clients;
	/* The client's at hand. */
	ROWS(struct merged_window) current;
	ROWS(int64_t) starts; /* of days */
	/* What comes out. */
	ROWS(struct window_row) dirty_windows;
	ROWS(int64_t) window_kept;
	ROWS(struct day_row) dirty_days;
	ROWS(int64_t) day_kept;
	ROWS(struct client_row) dirty_clients;
};

/* Without memory what is added is left out, and the whole fails. */
#define ADD(merging, list, item) ROWS_ADD(list, item, &(merging)->failed)

static void empty(struct cql_merging *merging)
{
	merging->failed = false;
	merging->windows.count = merging->days.count = 0;
	merging->found_windows.count = merging->found_days.count = merging->found_clients.count = 0;
	merging->dirty_windows.count = merging->window_kept.count = 0;
	merging->dirty_days.count = merging->day_kept.count = merging->dirty_clients.count = 0;
}

void cql_merging_destroy(struct cql_merging *merging)
{
	if (merging == NULL)
		return;
	pc_result_free(merging->page);
	free(merging->windows.items);
	free(merging->days.items);
	free(merging->found_windows.items);
	free(merging->found_days.items);
	free(merging->found_clients.items);
	free(merging->current.items);
	free(merging->starts.items);
	free(merging->dirty_windows.items);
	free(merging->window_kept.items);
	free(merging->dirty_days.items);
	free(merging->day_kept.items);
	free(merging->dirty_clients.items);
	free(merging);
}

/* ─── Order ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

_Static_assert(offsetof(struct inherited, start_ms) == offsetof(struct rows_key, start_ms) &&
		       offsetof(struct window_row, start_ms) == offsetof(struct rows_key, start_ms) &&
		       offsetof(struct day_row, start_ms) == offsetof(struct rows_key, start_ms) &&
		       offsetof(struct merged_window, row) == 0 && offsetof(struct merged_day, row) == 0,
	       "rows are ordered by their key");

static int compare_numbers(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;
	return (*left > *right) - (*left < *right);
}

/* The client's rows of a list: from *ret_first up to, without, *ret_end. */
#define ROWS_OF(list, client, ret_first, ret_end) \
	*(ret_first) = rows_of_client((list).items, (list).count, sizeof *(list).items, client, ret_end)

/* ─── Reading ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct reading {
	struct cql_store *store;
	struct cql_merging *merging;
};

static void ask_inherited(void *context, size_t i, struct cql_request *request)
{
	const struct reading *reading = context;
	cql_call(request, i % 2 == 0 ? CQL_INHERITED_WINDOWS : CQL_INHERITED_DAYS);
	cql_put_address_text(request, &reading->merging->clients[i / 2]);
}

static enum error answer_inherited(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct reading *reading = context;
	struct cql_merging *merging = reading->merging;
	int64_t retention_ms = reading->store->window_retention_ms, now_ms = clock_wall_ms(reading->store->clock);
	for (size_t row = 0; row < pc_result_rows(rows); row++) {
		struct inherited theirs = {.client = merging->clients[i / 2]};
		int32_t count = 0;
		if (i % 2 == 1) {
			cql_get_date(rows, row, 0, &theirs.start_ms);
			cql_get_bigint(rows, row, 1, &theirs.count);
			ADD(merging, &merging->days, theirs);
			continue;
		}
		cql_get_bigint(rows, row, 0, &theirs.start_ms);
		cql_get_int(rows, row, 1, &count);
		cql_get_double(rows, row, 2, &theirs.average_ms);
		theirs.count = count;
		if (!window_is_expiring(theirs.start_ms, retention_ms, now_ms))
			ADD(merging, &merging->windows, theirs);
	}
	return ERROR_OK;
}

static void see_counter(void *context, const struct address *client, int64_t day_ms, int64_t total)
{
	(void)context;
	(void)client;
	(void)day_ms;
	(void)total;
}

static void see_window(void *context, const struct window_row *row)
{
	struct cql_merging *merging = context;
	const struct merged_window window = {.row = *row};
	ADD(merging, &merging->found_windows, window);
}

static void see_day(void *context, const struct day_row *row)
{
	struct cql_merging *merging = context;
	const struct merged_day day = {.row = *row};
	ADD(merging, &merging->found_days, day);
}

static void see_client(void *context, const struct client_row *row)
{
	struct cql_merging *merging = context;
	ADD(merging, &merging->found_clients, *row);
}

/* Of the row that was told just before. */
static void see_kept(void *context, const struct address *client, int64_t start_ms, bool of_day, int64_t kept)
{
	struct cql_merging *merging = context;
	(void)client;
	(void)start_ms;
	if (of_day && merging->found_days.count > 0)
		merging->found_days.items[merging->found_days.count - 1].kept = kept;
	else if (!of_day && merging->found_windows.count > 0)
		merging->found_windows.items[merging->found_windows.count - 1].kept = kept;
}

static enum error read_clients(struct cql_store *store, struct cql_merging *merging, struct error_note *note)
{
	struct reading reading = {store, merging};
	const struct cql_round round = {2 * merging->client_count, ask_inherited, answer_inherited, &reading};
	const struct store_rows rows = {merging, see_counter, see_window, see_day, see_client, see_kept};
	enum error error = cql_run(store->connection, &round, note);
	if (error == ERROR_OK)
		error = cql_store_read_rows(&store->store, merging->clients, merging->client_count, &rows, note);
	if (error != ERROR_OK)
		return error;
	rows_sort(merging->windows.items, merging->windows.count, sizeof *merging->windows.items, rows_compare_keys);
	rows_sort(merging->days.items, merging->days.count, sizeof *merging->days.items, rows_compare_keys);
	rows_sort(merging->found_windows.items, merging->found_windows.count, sizeof *merging->found_windows.items,
		  rows_compare_keys);
	rows_sort(merging->found_days.items, merging->found_days.count, sizeof *merging->found_days.items, rows_compare_keys);
	return merging->failed ? ERROR_NO_MEMORY : ERROR_OK;
}

/* ─── Merging ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* `row` is of ours, or has count 0; theirs says more. */
static void merge_window(struct merged_window *window, const struct inherited *theirs, int64_t position)
{
	struct window_row *row = &window->row;
	const int64_t end_ms = row->start_ms + WINDOW_MS - 1;
	double exact_ms = theirs->count > 1 && theirs->average_ms > 0 ? theirs->average_ms * (double)(theirs->count - 1) : 0;
	int64_t span_ms = exact_ms < (double)WINDOW_MS ? (int64_t)(exact_ms + 0.5) : WINDOW_MS - 1;
	if (row->count == 0) {
		row->first_ms = row->last_ms = row->start_ms;
		row->position = position;
	}
	int64_t first_ms = row->count == 0 ? row->start_ms : row->last_ms - span_ms;
	if (first_ms < row->start_ms)
		first_ms = row->start_ms;
	if (first_ms < row->first_ms)
		row->first_ms = first_ms;
	if (row->first_ms + span_ms > row->last_ms)
		row->last_ms = row->first_ms + span_ms < end_ms ? row->first_ms + span_ms : end_ms;
	window->kept += theirs->count - row->count;
	row->count = theirs->count;
}

/* `current` becomes the client's windows as they are from now on, theirs in front, and `starts` the days of theirs. */
static size_t merge_windows(struct cql_merging *merging, const struct address *client, int64_t position)
{
	size_t first, end, theirs_count;
	merging->current.count = merging->starts.count = 0;
	ROWS_OF(merging->windows, client, &first, &end);
	for (size_t i = first; i < end; i++) {
		const struct inherited *theirs = &merging->windows.items[i];
		const struct merged_window *found = rows_find(merging->found_windows.items, merging->found_windows.count,
							      sizeof *found, &(struct rows_key){*client, theirs->start_ms});
		struct merged_window window = {.row = {.client = *client, .start_ms = theirs->start_ms}};
		if (found != NULL && found->row.position != POSITION_NONE)
			window = *found;
		if (theirs->count > window.row.count) {
			merge_window(&window, theirs, position);
			ADD(merging, &merging->dirty_windows, window.row);
			ADD(merging, &merging->window_kept, window.kept);
		}
		ADD(merging, &merging->current, window);
		ADD(merging, &merging->starts, day_start_of(theirs->start_ms));
	}
	theirs_count = merging->current.count;
	ROWS_OF(merging->found_windows, client, &first, &end);
	for (size_t i = first; i < end; i++) {
		const struct merged_window *found = &merging->found_windows.items[i];
		if (found->row.position != POSITION_NONE &&
		    rows_find(merging->windows.items, merging->windows.count, sizeof *merging->windows.items,
			      &(struct rows_key){*client, found->row.start_ms}) == NULL)
			ADD(merging, &merging->current, *found);
	}
	return theirs_count;
}

static void merge_day(struct cql_merging *merging, const struct address *client, int64_t start_ms, int64_t windows,
		      int64_t position)
{
	const struct inherited *theirs =
		rows_find(merging->days.items, merging->days.count, sizeof *theirs, &(struct rows_key){*client, start_ms});
	const struct merged_day *found = rows_find(merging->found_days.items, merging->found_days.count, sizeof *found,
						   &(struct rows_key){*client, start_ms});
	struct merged_day day = {.row = {*client, start_ms, 0, position}};
	int64_t wanted = theirs != NULL && theirs->count > windows ? theirs->count : windows;
	if (found != NULL)
		day = *found;
	if (day.row.total >= wanted)
		return;
	day.kept += wanted - day.row.total;
	day.row.total = wanted;
	ADD(merging, &merging->dirty_days, day.row);
	ADD(merging, &merging->day_kept, day.kept);
}

static void widen(struct client_row *row, int64_t first_ms, int64_t last_ms)
{
	if (row->first_ms == 0 || first_ms < row->first_ms)
		row->first_ms = first_ms;
	if (last_ms > row->last_ms)
		row->last_ms = last_ms;
}

/* Days of theirs, each once; of one without windows it is only known that something came. */
static void merge_days(struct cql_merging *merging, const struct address *client, int64_t position, struct client_row *row)
{
	size_t first, end;
	ROWS_OF(merging->days, client, &first, &end);
	for (size_t i = first; i < end; i++)
		ADD(merging, &merging->starts, merging->days.items[i].start_ms);
	int64_t *starts = merging->starts.items;
	rows_sort(starts, merging->starts.count, sizeof *starts, compare_numbers);
	for (size_t i = 0; i < merging->starts.count; i++) {
		int64_t windows = 0;
		if (i > 0 && starts[i] == starts[i - 1])
			continue;
		for (size_t k = 0; k < merging->current.count; k++)
			if (day_start_of(merging->current.items[k].row.start_ms) == starts[i])
				windows += merging->current.items[k].row.count;
		merge_day(merging, client, starts[i], windows, position);
		if (windows == 0)
			widen(row, starts[i], starts[i]);
	}
}

static void merge_client(struct cql_merging *merging, const struct address *client, int64_t position)
{
	struct client_row found = {.client = *client};
	for (size_t i = 0; i < merging->found_clients.count; i++)
		if (address_equal(&merging->found_clients.items[i].client, client))
			found = merging->found_clients.items[i];
	struct client_row row = found;
	size_t theirs = merge_windows(merging, client, position);
	for (size_t i = 0; i < theirs; i++)
		widen(&row, merging->current.items[i].row.first_ms, merging->current.items[i].row.last_ms);
	merge_days(merging, client, position, &row);
	if (row.first_ms != found.first_ms || row.last_ms != found.last_ms)
		ADD(merging, &merging->dirty_clients, row);
}

/* ─── Steps ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error find_mark(struct cql_store *store, int32_t partition, bool *ret_found, struct error_note *note)
{
	struct cql_request request = {0};
	struct pc_result *rows;
	cql_call(&request, CQL_FIND_INHERITED);
	cql_put_int(&request, partition);
	enum error error = cql_ask(store->connection, &request, &rows, note);
	if (error != ERROR_OK)
		return error;
	*ret_found = pc_result_rows(rows) > 0;
	pc_result_free(rows);
	return ERROR_OK;
}

enum error cql_find_inherited(struct store *base, int32_t partition, struct error_note *note)
{
	struct cql_store *store = (struct cql_store *)base;
	bool any = false, done = false;
	if (store->partition_of == NULL)
		return ERROR_NOT_FOUND;
	enum error error = find_mark(store, -1, &any, note);
	if (error == ERROR_OK && any)
		error = find_mark(store, partition, &done, note);
	return error == ERROR_OK && (!any || done) ? ERROR_NOT_FOUND : error;
}

/* The next clients of the partition; not the listing's next step yet, so that it can be done again. */
static enum error list_clients(struct cql_store *store, struct cql_merging *merging, struct pc_result **ret_page,
			       struct error_note *note)
{
	struct cql_request request = {0};
	cql_call(&request, merging->by_day ? CQL_INHERITED_BY_DAY : CQL_INHERITED_BY_WINDOW);
	enum error error = cql_ask_page(store->connection, &request, merging->page, ret_page, note);
	if (error != ERROR_OK)
		return error;
	merging->client_count = 0;
	for (size_t row = 0; row < pc_result_rows(*ret_page) && merging->client_count < CQL_MERGE_CLIENTS; row++) {
		struct address *client = &merging->clients[merging->client_count];
		merging->client_count += address_parse(cql_get_slice(*ret_page, row, 0), client) == ERROR_OK &&
					 store->partition_of(client, store->partition_count) == merging->partition;
	}
	rows_sort(merging->clients, merging->client_count, sizeof *merging->clients, rows_compare_clients);
	return ERROR_OK;
}

static enum error mark_done(struct cql_store *store, int32_t partition, struct error_note *note)
{
	struct cql_request request = {0};
	struct pc_result *rows;
	cql_call(&request, CQL_PUT_INHERITED);
	cql_put_int(&request, partition);
	cql_put_bigint(&request, clock_wall_ms(store->clock));
	enum error error = cql_ask(store->connection, &request, &rows, note);
	if (error == ERROR_OK)
		pc_result_free(rows);
	return error;
}

static enum error merge_clients(struct cql_store *store, struct cql_merging *merging, int64_t position, struct error_note *note)
{
	if (merging->client_count == 0)
		return ERROR_OK;
	enum error error = read_clients(store, merging, note);
	for (size_t i = 0; i < merging->client_count && error == ERROR_OK; i++)
		merge_client(merging, &merging->clients[i], position);
	if (error == ERROR_OK && merging->failed)
		error = ERROR_NO_MEMORY;
	const struct engine_dirty dirty = {.windows = merging->dirty_windows.items,
					   .window_count = merging->dirty_windows.count,
					   .window_kept = merging->window_kept.items,
					   .days = merging->dirty_days.items,
					   .day_count = merging->dirty_days.count,
					   .day_kept = merging->day_kept.items,
					   .clients = merging->dirty_clients.items,
					   .client_count = merging->dirty_clients.count};
	return error == ERROR_OK ? cql_write(&store->store, merging->partition, &dirty, position, note) : error;
}

/* Behind the page: the listing's next, the other listing's first, or the end. */
static bool move_on(struct cql_merging *merging, struct pc_result *page)
{
	bool more = pc_result_more(page), ends = !more && merging->by_day;
	pc_result_free(merging->page);
	merging->page = more ? page : NULL;
	if (!more)
		pc_result_free(page);
	if (!more)
		merging->by_day = !merging->by_day;
	return !ends;
}

static enum error begin(struct cql_partition *partition)
{
	if (partition->merging == NULL && (partition->merging = calloc(1, sizeof *partition->merging)) == NULL)
		return ERROR_NO_MEMORY;
	partition->merging->partition = partition->number;
	empty(partition->merging);
	return ERROR_OK;
}

enum error cql_merge_inherited(struct store *base, int32_t number, struct store_merge *ret_merge, struct error_note *note)
{
	struct cql_store *store = (struct cql_store *)base;
	struct cql_partition *partition = cql_find_partition(store, number);
	struct pc_result *page = NULL;
	if (partition == NULL)
		return error_noted(note, ERROR_FENCED, "partition %d was not taken", (int)number);
	enum error error = begin(partition);
	struct cql_merging *merging = partition->merging;
	if (error == ERROR_OK)
		error = list_clients(store, merging, &page, note);
	if (error != ERROR_OK)
		return error;
	ret_merge->clients = merging->clients;
	ret_merge->client_count = merging->client_count;
	error = merge_clients(store, merging, partition->position, note);
	if (error != ERROR_OK) {
		pc_result_free(page);
		return error;
	}
	bool more = move_on(merging, page);
	if (!more)
		error = mark_done(store, number, note);
	*ret_merge = (struct store_merge){.dirty = {.windows = merging->dirty_windows.items,
						    .window_count = merging->dirty_windows.count,
						    .days = merging->dirty_days.items,
						    .day_count = merging->dirty_days.count,
						    .clients = merging->dirty_clients.items,
						    .client_count = merging->dirty_clients.count},
					  .clients = merging->clients,
					  .client_count = merging->client_count,
					  .more = more};
	return error;
}
