#include "stream/remake.h"

#include "base/rows.h"
#include "engine/activity.h"

#include <stdlib.h>

#define DAY_MS INT64_C(86400000)

/* A window of the store, which keeps so many of its pings. */
struct found_kept {
	struct window_row row; /* of it client and start alone, until join_kept */
	bool of_day;
	int64_t kept;
};

/* A day of the store: its total, its counter, or both. */
struct found_day {
	struct day_row row; /* total and position, where it is there */
	bool there, has_counter;
	int64_t counter, kept;
};

struct remake {
	struct remake_scope scope;
	bool failed;
	bool keeps; /* the client at hand: some day of his, which outlives its windows */
	size_t corrected;
	/* The store's, then in order of client and start. */
	ROWS(struct window_row) found_windows;
	ROWS(struct found_day) found_days;
	ROWS(struct client_row) found_clients;
	ROWS(struct found_kept) found_kept; /* then of windows alone */
	/* The ledger's, and of the client at hand what came since. */
	ROWS(struct window_row) sums;
	ROWS(struct window_row) wanted;
	ROWS(int64_t) wanted_kept; /* of each */
	/* What comes out. */
	ROWS(struct window_row) windows;
	ROWS(int64_t) window_kept;
	ROWS(int64_t) day_kept;
	ROWS(struct day_row) days;
	ROWS(struct client_row) clients;
	ROWS(struct activity_row) activities;
	ROWS(struct window_row) gone_windows;
	ROWS(struct day_row) gone_days;
	ROWS(struct client_row) gone_clients;
};

/* Without memory the remake has failed, and what is added is left out. */
#define ADD(remake, list, item) ROWS_ADD(list, item, &(remake)->failed)

enum error remake_create(struct remake **ret_remake)
{
	*ret_remake = calloc(1, sizeof **ret_remake);
	return *ret_remake == NULL ? ERROR_NO_MEMORY : ERROR_OK;
}

void remake_destroy(struct remake *remake)
{
	if (remake == NULL)
		return;
	free(remake->found_windows.items);
	free(remake->found_days.items);
	free(remake->found_clients.items);
	free(remake->found_kept.items);
	free(remake->wanted_kept.items);
	free(remake->window_kept.items);
	free(remake->day_kept.items);
	free(remake->sums.items);
	free(remake->wanted.items);
	free(remake->windows.items);
	free(remake->days.items);
	free(remake->clients.items);
	free(remake->activities.items);
	free(remake->gone_windows.items);
	free(remake->gone_days.items);
	free(remake->gone_clients.items);
	free(remake);
}

void remake_begin(struct remake *remake, const struct remake_scope *scope)
{
	remake->scope = *scope;
	remake->failed = false;
	remake->corrected = 0;
	remake->found_windows.count = remake->found_days.count = remake->found_clients.count = 0;
	remake->sums.count = remake->wanted.count = 0;
	remake->windows.count = remake->days.count = remake->clients.count = remake->activities.count = 0;
	remake->gone_windows.count = remake->gone_days.count = remake->gone_clients.count = 0;
	remake->found_kept.count = remake->window_kept.count = remake->day_kept.count = 0;
}

/* ─── What there is ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static void see_counter(void *context, const struct address *client, int64_t day_ms, int64_t total)
{
	struct remake *remake = context;
	const struct found_day day = {
		.row = {.client = *client, .start_ms = day_ms, .position = POSITION_NONE}, .has_counter = true, .counter = total};
	ADD(remake, &remake->found_days, day);
}

static void see_window(void *context, const struct window_row *row)
{
	struct remake *remake = context;
	ADD(remake, &remake->found_windows, *row);
}

static void see_day(void *context, const struct day_row *row)
{
	struct remake *remake = context;
	const struct found_day day = {.row = *row, .there = true};
	ADD(remake, &remake->found_days, day);
}

static void see_client(void *context, const struct client_row *row)
{
	struct remake *remake = context;
	ADD(remake, &remake->found_clients, *row);
}

static void see_kept(void *context, const struct address *client, int64_t start_ms, bool of_day, int64_t kept)
{
	struct remake *remake = context;
	const struct found_kept row = {.row = {.client = *client, .start_ms = start_ms}, .of_day = of_day, .kept = kept};
	ADD(remake, &remake->found_kept, row);
}

struct store_rows remake_visitors(struct remake *remake)
{
	return (struct store_rows){remake, see_counter, see_window, see_day, see_client, see_kept};
}

void remake_sum(struct remake *remake, const struct ledger_sum *sum)
{
	const struct window_row row = {sum->client, sum->window_start_ms, sum->count, sum->first_ms, sum->last_ms, sum->position};
	if (sum->count > 0)
		ADD(remake, &remake->sums, row);
}

/* ─── In order ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Windows, days and what is found of days all begin with client and start. */
_Static_assert(offsetof(struct window_row, start_ms) == offsetof(struct rows_key, start_ms) &&
		       offsetof(struct day_row, start_ms) == offsetof(struct rows_key, start_ms) &&
		       offsetof(struct found_day, row) == 0,
	       "rows are ordered by their key");

/* A day and its counter become one. */
static void join_days(struct remake *remake)
{
	size_t kept = 0;
	struct found_day *days = remake->found_days.items;
	rows_sort(days, remake->found_days.count, sizeof *days, rows_compare_keys);
	for (size_t i = 0; i < remake->found_days.count; i++) {
		struct found_day *last = kept == 0 ? NULL : &days[kept - 1];
		if (last == NULL || rows_compare_keys(last, &days[i]) != 0) {
			days[kept++] = days[i];
			continue;
		}
		if (days[i].there)
			last->row = days[i].row;
		last->there |= days[i].there;
		if (days[i].has_counter)
			last->counter = days[i].counter;
		last->has_counter |= days[i].has_counter;
	}
	remake->found_days.count = kept;
}

/* What days keep comes to them; what windows do stays, in order. */
static void join_kept(struct remake *remake)
{
	size_t left = 0;
	struct found_kept *rows = remake->found_kept.items;
	for (size_t i = 0; i < remake->found_kept.count; i++) {
		const struct found_day *day =
			rows_find(remake->found_days.items, remake->found_days.count, sizeof *day, &rows[i]);
		if (!rows[i].of_day)
			rows[left++] = rows[i];
		else if (day != NULL)
			remake->found_days.items[day - remake->found_days.items].kept = rows[i].kept;
	}
	remake->found_kept.count = left;
	rows_sort(rows, left, sizeof *rows, rows_compare_keys);
}

/* ─── One client ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool in_scope(const struct remake *remake, int64_t start_ms)
{
	return remake->scope.day_ms == REBUILD_EVERY_DAY || day_start_of(start_ms) == remake->scope.day_ms;
}

static bool is_expired(const struct remake *remake, int64_t start_ms)
{
	int64_t retention_ms = remake->scope.window_retention_ms;
	return window_is_expiring(start_ms, retention_ms, remake->scope.now_ms);
}

static void merge(struct window_row *row, const struct window_row *more)
{
	row->count += more->count;
	if (more->first_ms < row->first_ms)
		row->first_ms = more->first_ms;
	if (more->last_ms > row->last_ms)
		row->last_ms = more->last_ms;
	if (more->position > row->position)
		row->position = more->position;
}

/* Windows that keep something are wanted, whether the ledger has anything of them or not. */
static void want_kept(struct remake *remake, const struct address *client)
{
	size_t end;
	for (size_t i =
		     rows_of_client(remake->found_kept.items, remake->found_kept.count, sizeof(struct found_kept), client, &end);
	     i < end; i++) {
		struct window_row row = remake->found_kept.items[i].row;
		row.first_ms = INT64_MAX;
		row.last_ms = INT64_MIN;
		row.position = POSITION_NONE;
		if (in_scope(remake, row.start_ms))
			ADD(remake, &remake->wanted, row);
	}
}

/* A row that keeps something never becomes less. How many it keeps from now on. */
static int64_t keep(const struct remake *remake, struct window_row *row)
{
	const struct found_kept *kept = rows_find(remake->found_kept.items, remake->found_kept.count, sizeof *kept, row);
	const struct window_row *found = rows_find(remake->found_windows.items, remake->found_windows.count, sizeof *found, row);
	int64_t own = row->count;
	if (kept == NULL || found == NULL)
		return 0;
	if (found->count > row->count)
		row->count = found->count;
	if (kept->kept > row->count)
		row->count = kept->kept;
	if (row->count > own && found->first_ms < row->first_ms)
		row->first_ms = found->first_ms;
	if (row->count > own && found->last_ms > row->last_ms)
		row->last_ms = found->last_ms;
	if (row->position == POSITION_NONE)
		row->position = found->position;
	return row->count - own;
}

/* `wanted` becomes the client's windows as they should be, in order. */
static void gather_wanted(struct remake *remake, const struct address *client, const struct delta *delta)
{
	size_t end, place = 0, kept = 0;
	struct window_row row;
	remake->wanted.count = 0;
	for (size_t i = rows_of_client(remake->sums.items, remake->sums.count, sizeof row, client, &end); i < end; i++)
		ADD(remake, &remake->wanted, remake->sums.items[i]);
	while (delta_next(delta, client, &place, &row))
		if (in_scope(remake, row.start_ms))
			ADD(remake, &remake->wanted, row);
	want_kept(remake, client);
	struct window_row *rows = remake->wanted.items;
	rows_sort(rows, remake->wanted.count, sizeof *rows, rows_compare_keys);
	for (size_t i = 0; i < remake->wanted.count; i++) {
		if (kept > 0 && rows[kept - 1].start_ms == rows[i].start_ms)
			merge(&rows[kept - 1], &rows[i]);
		else
			rows[kept++] = rows[i];
	}
	remake->wanted.count = kept;
	remake->wanted_kept.count = 0;
	for (size_t i = 0; i < kept; i++) {
		int64_t stays = keep(remake, &rows[i]);
		ADD(remake, &remake->wanted_kept, stays);
	}
}

static void make_windows(struct remake *remake, const struct address *client)
{
	for (size_t i = 0; i < remake->wanted.count; i++) {
		const struct window_row *row = &remake->wanted.items[i];
		if (is_expired(remake, row->start_ms))
			continue;
		const struct window_row *found =
			rows_find(remake->found_windows.items, remake->found_windows.count, sizeof *found, row);
		ADD(remake, &remake->windows, *row);
		ADD(remake, &remake->window_kept, remake->wanted_kept.items[i]);
		remake->corrected += found == NULL || found->count != row->count || found->first_ms != row->first_ms ||
				     found->last_ms != row->last_ms || found->position != row->position;
	}
	size_t end;
	for (size_t i = rows_of_client(remake->found_windows.items, remake->found_windows.count, sizeof(struct window_row),
				       client, &end);
	     i < end; i++) {
		const struct window_row *found = &remake->found_windows.items[i];
		if (found->position == POSITION_NONE || !in_scope(remake, found->start_ms) ||
		    is_expired(remake, found->start_ms) ||
		    rows_find(remake->wanted.items, remake->wanted.count, sizeof *found, found) != NULL)
			continue;
		ADD(remake, &remake->gone_windows, *found);
		remake->corrected++;
	}
}

/* `kept`: what its windows keep, which is in its total. */
static void make_day(struct remake *remake, struct day_row *day, int64_t kept)
{
	const struct found_day *found = rows_find(remake->found_days.items, remake->found_days.count, sizeof *found, day);
	int64_t own = day->total - kept;
	if (found != NULL && found->kept > 0 && found->row.total > day->total)
		day->total = found->row.total;
	if (found != NULL && found->kept > day->total)
		day->total = found->kept;
	ADD(remake, &remake->days, *day);
	ADD(remake, &remake->day_kept, day->total - own);
	remake->keeps |= day->total > own;
	remake->corrected +=
		found == NULL || !found->there || found->row.total != day->total || found->row.position != day->position;
	remake->corrected += found != NULL && found->has_counter && found->counter != day->total;
}

/* Days are made of all windows, those past their retention too. */
static void make_days(struct remake *remake, const struct address *client)
{
	struct day_row day = {.client = *client, .start_ms = -1};
	size_t first = remake->days.count, end;
	int64_t kept = 0;
	remake->keeps = false;
	for (size_t i = 0; i < remake->wanted.count; i++) {
		const struct window_row *row = &remake->wanted.items[i];
		if (day_start_of(row->start_ms) != day.start_ms) {
			if (day.start_ms >= 0)
				make_day(remake, &day, kept);
			day = (struct day_row){*client, day_start_of(row->start_ms), 0, POSITION_NONE};
			kept = 0;
		}
		day.total += row->count;
		kept += remake->wanted_kept.items[i];
		if (row->position > day.position)
			day.position = row->position;
	}
	if (day.start_ms >= 0)
		make_day(remake, &day, kept);
	size_t made = remake->days.count - first;
	for (size_t i =
		     rows_of_client(remake->found_days.items, remake->found_days.count, sizeof(struct found_day), client, &end);
	     i < end; i++) {
		const struct found_day *found = &remake->found_days.items[i];
		if (!found->there || !in_scope(remake, found->row.start_ms) ||
		    rows_find(remake->days.items + first, made, sizeof(struct day_row), &found->row) != NULL)
			continue;
		if (found->kept > 0) {
			day = found->row;
			make_day(remake, &day, day.total);
			continue;
		}
		ADD(remake, &remake->gone_days, found->row);
		remake->corrected++;
	}
}

/* Of one day only what it adds is known; and of what is kept only what the row says. */
static void make_client(struct remake *remake, const struct address *client)
{
	size_t end, at = rows_of_client(remake->found_clients.items, remake->found_clients.count, sizeof(struct client_row),
					client, &end);
	const struct client_row *found = at < end ? &remake->found_clients.items[at] : NULL;
	bool whole = remake->scope.day_ms == REBUILD_EVERY_DAY;
	struct client_row row = {.client = *client};
	if (!whole && found != NULL)
		row = *found;
	if (found != NULL && remake->keeps)
		row = *found;
	for (size_t i = 0; i < remake->wanted.count; i++) {
		const struct window_row *window = &remake->wanted.items[i];
		if (row.first_ms == 0 || window->first_ms < row.first_ms)
			row.first_ms = window->first_ms;
		if (window->last_ms > row.last_ms)
			row.last_ms = window->last_ms;
	}
	if (row.first_ms != 0) {
		ADD(remake, &remake->clients, row);
		remake->corrected += found == NULL || found->first_ms != row.first_ms || found->last_ms != row.last_ms;
	} else if (found != NULL && whole) {
		ADD(remake, &remake->gone_clients, *found);
		remake->corrected++;
	}
}

/* From its windows as they are from now on: those that were made, and the store's outside of the scope. */
static void make_activity(struct remake *remake, const struct address *client)
{
	struct activity_row activity;
	size_t end;
	activity_init(&activity, client, activity_start_of(remake->scope.now_ms));
	for (size_t i = 0; i < remake->wanted.count; i++)
		activity_add(&activity, &remake->wanted.items[i], remake->wanted.items[i].count);
	for (size_t i = rows_of_client(remake->found_windows.items, remake->found_windows.count, sizeof(struct window_row),
				       client, &end);
	     i < end; i++) {
		const struct window_row *found = &remake->found_windows.items[i];
		if (found->position != POSITION_NONE && !in_scope(remake, found->start_ms))
			activity_add(&activity, found, found->count);
	}
	ADD(remake, &remake->activities, activity);
}

enum error remake_finish(struct remake *remake, const struct address *clients, size_t count, const struct delta *delta,
			 struct engine_dirty *ret_dirty, struct store_removal *ret_removal)
{
	rows_sort(remake->found_windows.items, remake->found_windows.count, sizeof(struct window_row), rows_compare_keys);
	rows_sort(remake->found_clients.items, remake->found_clients.count, sizeof(struct client_row), rows_compare_clients);
	rows_sort(remake->sums.items, remake->sums.count, sizeof(struct window_row), rows_compare_keys);
	join_days(remake);
	join_kept(remake);
	for (size_t i = 0; i < count && !remake->failed; i++) {
		gather_wanted(remake, &clients[i], delta);
		make_windows(remake, &clients[i]);
		make_days(remake, &clients[i]);
		make_client(remake, &clients[i]);
		make_activity(remake, &clients[i]);
	}
	if (remake->failed)
		return ERROR_NO_MEMORY;
	bool keeps = remake->found_kept.count > 0;
	for (size_t i = 0; i < remake->found_days.count; i++)
		keeps |= remake->found_days.items[i].kept > 0;
	*ret_dirty = (struct engine_dirty){.window_kept = keeps ? remake->window_kept.items : NULL,
					   .day_kept = keeps ? remake->day_kept.items : NULL,
					   .windows = remake->windows.items,
					   .window_count = remake->windows.count,
					   .days = remake->days.items,
					   .day_count = remake->days.count,
					   .clients = remake->clients.items,
					   .client_count = remake->clients.count,
					   .activities = remake->activities.items,
					   .activity_count = remake->activities.count};
	*ret_removal = (struct store_removal){.windows = remake->gone_windows.items,
					      .window_count = remake->gone_windows.count,
					      .days = remake->gone_days.items,
					      .day_count = remake->gone_days.count,
					      .clients = remake->gone_clients.items,
					      .client_count = remake->gone_clients.count};
	return ERROR_OK;
}

size_t remake_corrected(const struct remake *remake)
{
	return remake->corrected;
}
