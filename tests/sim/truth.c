#include "truth.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "series.h"

struct point {
	int64_t position;
	int64_t count, first_ms, last_ms;
};

struct series {
	struct series_key key;
	struct rowset points;
	int64_t stored_position; /* of the row in the store, as last written; POSITION_NONE: none or not known */
	uint64_t seen_in_scan;
};

enum { PAGE = 3 }; /* small, so that there are several */
/* Clocks are wrong by less than this where windows have an end. */
#define RETENTION_MARGIN_MS INT64_C(10800000)

static int compare_positions(const void *a, const void *b)
{
	/* Of rows and points alike: both begin with the position. */
	int64_t x, y;
	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return (x > y) - (x < y);
}

void truth_init(struct truth *truth, struct world *world)
{
	*truth = (struct truth){.world = world};
	rowset_init(&truth->rows, sizeof(struct truth_row), compare_positions);
	rowset_init(&truth->series, sizeof(struct series), series_compare);
}

void truth_release(struct truth *truth)
{
	for (size_t i = 0; i < truth->series.count; i++)
		rowset_release(&((struct series *)rowset_at(&truth->series, i))->points);
	rowset_release(&truth->series);
	rowset_release(&truth->rows);
}

/* The newest point not beyond `position`; NULL: none. */
static const struct point *point_at(const struct series *series, int64_t position)
{
	size_t index = rowset_lower_bound(&series->points, &(struct point){.position = position + 1});
	return index == 0 ? NULL : rowset_at(&series->points, index - 1);
}

static struct series *find_series(const struct truth *truth, enum series_kind kind, const struct address *client,
				  int64_t start_ms)
{
	return rowset_find(&truth->series, &(struct series){.key.kind = kind, .key.client = *client, .key.start_ms = start_ms});
}

static void fold(struct truth *truth, enum series_kind kind, int64_t start_ms, const struct truth_row *row)
{
	struct series *series = find_series(truth, kind, &row->client, start_ms);
	if (series == NULL) {
		struct series fresh = {
			.key.kind = kind, .key.client = row->client, .key.start_ms = start_ms, .stored_position = POSITION_NONE};
		rowset_init(&fresh.points, sizeof(struct point), compare_positions);
		series = rowset_put(&truth->series, &fresh);
	}
	const struct point *last = point_at(series, INT64_MAX - 1);
	int64_t ms = row->pinged_at_ms;
	struct point point = {row->position, 1, ms, ms};
	if (last != NULL) {
		point.count = last->count + 1;
		point.first_ms = ms < last->first_ms ? ms : last->first_ms;
		point.last_ms = ms > last->last_ms ? ms : last->last_ms;
	}
	rowset_append(&series->points, &point);
}

static void keep_row(struct truth *truth, const struct ledger_ping *ping)
{
	struct truth_row row = {ping->position, ping->id, ping->client, ping->pinged_at_ms, ping->received_at_ms};
	if (truth->rows.count > 0) {
		const struct truth_row *last = rowset_at(&truth->rows, truth->rows.count - 1);
		if (row.position <= last->position)
			world_fail(truth->world, "position %" PRId64 " was given after %" PRId64, row.position, last->position);
		if (memcmp(&row.id, &last->id, sizeof row.id) <= 0)
			world_fail(truth->world, "the id at position %" PRId64 " is not above the one before it", row.position);
	}
	rowset_append(&truth->rows, &row);
	fold(truth, SERIES_WINDOW, window_start_of(row.pinged_at_ms), &row);
	fold(truth, SERIES_DAY, day_start_of(row.pinged_at_ms), &row);
	fold(truth, SERIES_CLIENT, 0, &row);
}

void truth_kept(struct truth *truth, const struct ledger_ping *pings, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (pings[i].result == ERROR_OK && !pings[i].duplicate)
			keep_row(truth, &pings[i]);
		else if (pings[i].position != -1)
			world_fail(truth->world, "a ping that was not added has position %" PRId64, pings[i].position);
	}
}

const struct truth_row *truth_find(const struct truth *truth, const struct uuid *id)
{
	/* Ids are in order as positions are: keep_row saw to it. */
	size_t low = 0, high = truth->rows.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct truth_row *row = rowset_at(&truth->rows, middle);
		int order = memcmp(&row->id, id, sizeof *id);
		if (order == 0)
			return row;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

int64_t truth_end(const struct truth *truth)
{
	if (truth->rows.count == 0)
		return POSITION_NONE;
	return ((const struct truth_row *)rowset_at(&truth->rows, truth->rows.count - 1))->position;
}

int64_t truth_count(const struct truth *truth, int64_t start_ms, int64_t end_ms)
{
	int64_t count = 0;
	for (size_t i = 0; i < truth->rows.count; i++) {
		const struct truth_row *row = rowset_at(&truth->rows, i);
		count += row->pinged_at_ms >= start_ms && (end_ms == 0 || row->pinged_at_ms < end_ms);
	}
	return count;
}

/* A window at the end of its life may be written or not, there or pruned. */
static bool is_leaving(const struct truth *truth, int64_t window_start_ms)
{
	return truth->window_retention_ms != 0 &&
	       window_start_ms + WINDOW_MS + truth->window_retention_ms - RETENTION_MARGIN_MS < world_true_ms(truth->world);
}

static const char *name_client(const struct address *client, char text[ADDRESS_TEXT_SIZE])
{
	address_format(client, text);
	return text;
}

static _Noreturn void fail_row(const struct truth *truth, const char *kind, const struct address *client, int64_t start_ms,
			       const struct point *is, const struct point *should)
{
	char text[ADDRESS_TEXT_SIZE];
	static const struct point none = {.position = POSITION_NONE};
	if (should == NULL)
		should = &none;
	world_fail(truth->world,
		   "%s %s %" PRId64 " is (count %" PRId64 ", first %" PRId64 ", last %" PRId64 ", position %" PRId64
		   "), the ledger says (count %" PRId64 ", first %" PRId64 ", last %" PRId64 ", position %" PRId64 ")",
		   kind, name_client(client, text), start_ms, is->count, is->first_ms, is->last_ms, is->position, should->count,
		   should->first_ms, should->last_ms, should->position);
}

/* The row is the series' state at the row's own position. */
static struct series *check_window(struct truth *truth, const struct window_row *row)
{
	if (is_leaving(truth, row->start_ms))
		return NULL;
	struct point is = {row->position, row->count, row->first_ms, row->last_ms};
	struct series *series = find_series(truth, SERIES_WINDOW, &row->client, row->start_ms);
	const struct point *should = series == NULL ? NULL : point_at(series, row->position);
	if (should == NULL || memcmp(&is, should, sizeof is) != 0)
		fail_row(truth, "window", &row->client, row->start_ms, &is, should);
	truth->rows_checked++;
	return series;
}

static struct series *check_day(struct truth *truth, const struct day_row *row)
{
	struct series *series = find_series(truth, SERIES_DAY, &row->client, row->start_ms);
	const struct point *should = series == NULL ? NULL : point_at(series, row->position);
	struct point is = {row->position, row->total, 0, 0};
	if (should == NULL || is.position != should->position || is.count != should->count)
		fail_row(truth, "day", &row->client, row->start_ms, &is, should);
	truth->rows_checked++;
	return series;
}

/* A client's row has no position: it is the state at `position`, or, after a torn write, at a later one. */
static struct series *check_client(struct truth *truth, const struct client_row *row, int64_t position)
{
	struct series *series = find_series(truth, SERIES_CLIENT, &row->client, 0);
	const struct point *should = series == NULL ? NULL : point_at(series, position);
	struct point is = {position, 0, row->first_ms, row->last_ms};
	if (series == NULL || (should == NULL && !truth->torn))
		fail_row(truth, "client", &row->client, 0, &is, should);
	size_t first = should == NULL ? 0 : (size_t)(should - (const struct point *)series->points.rows);
	size_t end = truth->torn ? series->points.count : first + 1;
	for (size_t i = first; i < end; i++) {
		const struct point *point = rowset_at(&series->points, i);
		if (point->first_ms == row->first_ms && point->last_ms == row->last_ms) {
			truth->rows_checked++;
			return series;
		}
	}
	fail_row(truth, "client", &row->client, 0, &is, should);
}

static void check_newer(const struct truth *truth, struct series *series, int64_t position)
{
	if (series == NULL)
		return;
	char text[ADDRESS_TEXT_SIZE];
	if (position < series->stored_position)
		world_fail(truth->world, "a row of %s goes back from position %" PRId64 " to %" PRId64,
			   name_client(&series->key.client, text), series->stored_position, position);
	series->stored_position = position;
}

void truth_check_write(struct truth *truth, const struct engine_dirty *dirty, int64_t position)
{
	if (position > truth_end(truth))
		world_fail(truth->world, "the store's position %" PRId64 " is beyond the log's end", position);
	for (size_t i = 0; i < dirty->window_count; i++)
		check_newer(truth, check_window(truth, &dirty->windows[i]), dirty->windows[i].position);
	for (size_t i = 0; i < dirty->day_count; i++)
		check_newer(truth, check_day(truth, &dirty->days[i]), dirty->days[i].position);
	for (size_t i = 0; i < dirty->client_count; i++)
		check_client(truth, &dirty->clients[i], dirty->position);
}

void truth_forget_writes(struct truth *truth)
{
	for (size_t i = 0; i < truth->series.count; i++)
		((struct series *)rowset_at(&truth->series, i))->stored_position = POSITION_NONE;
}

struct scan {
	struct truth *truth;
	int64_t position;
};

static bool scan_begin(void *context, int64_t position)
{
	((struct scan *)context)->position = position;
	return true;
}

static void see(struct scan *scan, struct series *series, int64_t position)
{
	if (series == NULL)
		return;
	if (position > scan->position && !scan->truth->torn)
		world_fail(scan->truth->world, "a row is at %" PRId64 ", ahead of the store's position %" PRId64, position,
			   scan->position);
	check_newer(scan->truth, series, position);
	const struct point *least = point_at(series, scan->position);
	if (least != NULL && position < least->position)
		world_fail(scan->truth->world,
			   "a row is at %" PRId64 ", but the store's position is %" PRId64 " and its ping %" PRId64 " is missing",
			   position, scan->position, least->position);
	series->seen_in_scan = scan->truth->scans;
}

static bool scan_window(void *context, const struct window_row *row)
{
	struct scan *scan = context;
	see(scan, check_window(scan->truth, row), row->position);
	return true;
}

static bool scan_day(void *context, const struct day_row *row)
{
	struct scan *scan = context;
	see(scan, check_day(scan->truth, row), row->position);
	return true;
}

static bool scan_client(void *context, const struct client_row *row)
{
	struct scan *scan = context;
	check_client(scan->truth, row, scan->position)->seen_in_scan = scan->truth->scans;
	return true;
}

int64_t truth_check_store(struct truth *truth, struct store_reader *reader)
{
	struct scan scan = {.truth = truth};
	const struct store_scan visitors = {&scan, scan_begin, scan_window, scan_day, scan_client};
	truth->scans++;
	enum error error = reader->vtable->scan(reader, &visitors, NULL);
	if (error != ERROR_OK)
		world_fail(truth->world, "scan of the store: %s", error_name(error));
	for (size_t i = 0; i < truth->series.count; i++) {
		const struct series *series = rowset_at(&truth->series, i);
		if (series->seen_in_scan == truth->scans || point_at(series, scan.position) == NULL ||
		    (series->key.kind == SERIES_WINDOW && is_leaving(truth, series->key.start_ms)))
			continue;
		char text[ADDRESS_TEXT_SIZE];
		static const char *const kinds[] = {"window", "day", "client"};
		world_fail(truth->world, "%s %s %" PRId64 " is missing at the store's position %" PRId64, kinds[series->key.kind],
			   name_client(&series->key.client, text), series->key.start_ms, scan.position);
	}
	return scan.position;
}

/* How many series of the client begin in the range and are to be seen at `position`. */
static size_t count_in_range(const struct truth *truth, enum series_kind kind, const struct address *client, int64_t start_ms,
			     int64_t end_ms, int64_t position)
{
	size_t count = 0;
	struct series low = {.key.kind = kind, .key.client = *client, .key.start_ms = start_ms};
	for (size_t i = rowset_lower_bound(&truth->series, &low); i < truth->series.count; i++) {
		const struct series *series = rowset_at(&truth->series, i);
		if (series->key.kind != kind || !address_equal(&series->key.client, client) ||
		    (end_ms != 0 && series->key.start_ms >= end_ms))
			break;
		count +=
			point_at(series, position) != NULL && !(kind == SERIES_WINDOW && is_leaving(truth, series->key.start_ms));
	}
	return count;
}

static void check_listed(const struct truth *truth, size_t is, size_t should)
{
	/* After a torn write there may be rows that are ahead. */
	if (truth->torn ? is < should : is != should)
		world_fail(truth->world, "%zu rows are listed, should be %zu", is, should);
}

void truth_check_windows(struct truth *truth, const struct address *client, int64_t start_ms, int64_t end_ms, int64_t position,
			 const struct window_row *rows, size_t count)
{
	size_t listed = 0;
	for (size_t i = 0; i < count; i++) {
		if (!address_equal(&rows[i].client, client) || rows[i].start_ms < start_ms ||
		    (end_ms != 0 && rows[i].start_ms >= end_ms) || (i > 0 && rows[i].start_ms >= rows[i - 1].start_ms))
			world_fail(truth->world, "the window %" PRId64 " is listed where it does not belong", rows[i].start_ms);
		listed += check_window(truth, &rows[i]) != NULL;
	}
	check_listed(truth, listed, count_in_range(truth, SERIES_WINDOW, client, start_ms, end_ms, position));
}

void truth_check_days(struct truth *truth, const struct address *client, int64_t start_ms, int64_t end_ms, int64_t position,
		      const struct day_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!address_equal(&rows[i].client, client) || rows[i].start_ms < start_ms ||
		    (end_ms != 0 && rows[i].start_ms >= end_ms) || (i > 0 && rows[i].start_ms >= rows[i - 1].start_ms))
			world_fail(truth->world, "the day %" PRId64 " is listed where it does not belong", rows[i].start_ms);
		check_day(truth, &rows[i]);
	}
	check_listed(truth, count, count_in_range(truth, SERIES_DAY, client, start_ms, end_ms, position));
}

bool truth_client(const struct truth *truth, const struct address *client, int64_t position, struct client_row *ret_row)
{
	const struct series *series = find_series(truth, SERIES_CLIENT, client, 0);
	const struct point *point = series == NULL ? NULL : point_at(series, position);
	if (point == NULL)
		return false;
	*ret_row = (struct client_row){*client, point->first_ms, point->last_ms};
	return true;
}

static void add_window(struct activity_row *activity, const struct series *series, const struct point *point)
{
	if (activity->count == 0 || point->first_ms < activity->first_ms)
		activity->first_ms = point->first_ms;
	if (activity->count == 0 || point->last_ms > activity->last_ms)
		activity->last_ms = point->last_ms;
	activity->count += point->count;
	activity->active_windows++;
	if (point->count >= activity->busiest_count) { /* series come by start: the newest of equals stays */
		activity->busiest_start_ms = series->key.start_ms;
		activity->busiest_count = point->count;
		activity->busiest_first_ms = point->first_ms;
		activity->busiest_last_ms = point->last_ms;
	}
}

/* due_ms: the first moment at which it changes by itself; 0: never. */
static struct activity_row activity_at(const struct truth *truth, const struct address *client, int64_t now_ms, int64_t position)
{
	struct activity_row activity = {.client = *client, .start_ms = activity_start_of(now_ms)};
	struct series low = {.key.kind = SERIES_WINDOW, .key.client = *client, .key.start_ms = activity.start_ms};
	for (size_t i = rowset_lower_bound(&truth->series, &low); i < truth->series.count; i++) {
		const struct series *series = rowset_at(&truth->series, i);
		if (series->key.kind != SERIES_WINDOW || !address_equal(&series->key.client, client))
			break;
		const struct point *point = point_at(series, position);
		if (point == NULL)
			continue;
		bool opened = series->key.start_ms <= now_ms;
		int64_t changes_ms = series->key.start_ms + (opened ? ACTIVITY_WINDOWS * WINDOW_MS : 0);
		if (activity.due_ms == 0 || changes_ms < activity.due_ms)
			activity.due_ms = changes_ms;
		if (opened)
			add_window(&activity, series, point);
	}
	return activity;
}

void truth_rows_init(struct truth_rows *rows)
{
	rowset_init(&rows->windows, sizeof(struct window_row), NULL);
	rowset_init(&rows->days, sizeof(struct day_row), NULL);
	rowset_init(&rows->clients, sizeof(struct client_row), NULL);
	rowset_init(&rows->activities, sizeof(struct activity_row), NULL);
}

void truth_rows_release(struct truth_rows *rows)
{
	rowset_release(&rows->windows);
	rowset_release(&rows->days);
	rowset_release(&rows->clients);
	rowset_release(&rows->activities);
}

void truth_rows_between(const struct truth *truth, int64_t from, int64_t to, int64_t now_ms, struct truth_rows *rows)
{
	for (size_t i = 0; i < truth->series.count; i++) {
		const struct series *series = rowset_at(&truth->series, i);
		const struct point *point = point_at(series, to);
		if (point == NULL || point->position <= from || point->position < series->stored_position)
			continue; /* nothing new, or (after a torn write) in the store already */
		const struct window_row window = {series->key.client, series->key.start_ms, point->count,
						  point->first_ms,    point->last_ms,	    point->position};
		const struct day_row day = {series->key.client, series->key.start_ms, point->count, point->position};
		const struct client_row client = {series->key.client, point->first_ms, point->last_ms};
		const struct activity_row activity = activity_at(truth, &series->key.client, now_ms, to);
		if (series->key.kind == SERIES_WINDOW && !is_leaving(truth, series->key.start_ms))
			rowset_append(&rows->windows, &window);
		else if (series->key.kind == SERIES_DAY)
			rowset_append(&rows->days, &day);
		else if (series->key.kind == SERIES_CLIENT) {
			rowset_append(&rows->clients, &client);
			rowset_append(&rows->activities, &activity);
		}
	}
}

void truth_check_activity(const struct truth *truth, const struct activity_row *is, int64_t now_ms, int64_t position)
{
	struct activity_row should = activity_at(truth, &is->client, now_ms, position);
	char text[ADDRESS_TEXT_SIZE];
	name_client(&is->client, text);
	if (is->count != should.count || is->active_windows != should.active_windows || is->first_ms != should.first_ms ||
	    is->last_ms != should.last_ms)
		world_fail(truth->world,
			   "activity of %s is (count %" PRId64 ", windows %d, first %" PRId64 ", last %" PRId64
			   "), should be (count %" PRId64 ", windows %d, first %" PRId64 ", last %" PRId64 ")",
			   text, is->count, is->active_windows, is->first_ms, is->last_ms, should.count, should.active_windows,
			   should.first_ms, should.last_ms);
	if (is->busiest_start_ms != should.busiest_start_ms || is->busiest_count != should.busiest_count ||
	    is->busiest_first_ms != should.busiest_first_ms || is->busiest_last_ms != should.busiest_last_ms)
		world_fail(truth->world, "activity of %s: busiest window is %" PRId64 ", should be %" PRId64, text,
			   is->busiest_start_ms, should.busiest_start_ms);
}

/* A materialised row says until when it holds. */
static void check_due(const struct truth *truth, const struct activity_row *is, int64_t now_ms)
{
	struct activity_row should = activity_at(truth, &is->client, now_ms, INT64_MAX - 1);
	char text[ADDRESS_TEXT_SIZE];
	if (should.due_ms == 0 ? is->due_ms != 0 : is->due_ms <= now_ms || is->due_ms > should.due_ms)
		world_fail(truth->world, "activity of %s is due at %" PRId64 ", should be %" PRId64,
			   name_client(&is->client, text), is->due_ms, should.due_ms);
}

static int64_t count_series(const struct truth *truth, enum series_kind kind)
{
	int64_t count = 0;
	for (size_t i = 0; i < truth->series.count; i++)
		count += ((const struct series *)rowset_at(&truth->series, i))->key.kind == kind;
	return count;
}

/* Pages through all clients in one order. */
static void check_list(const struct truth *truth, struct store_reader *reader, enum store_client_order order, int64_t now_ms)
{
	struct store_client_page page = {.order = order, .now_ms = now_ms, .max = PAGE};
	struct store_client clients[PAGE];
	int64_t listed = 0;
	size_t count;
	do {
		enum error error = reader->vtable->list_clients(reader, &page, clients, &count, NULL);
		if (error != ERROR_OK)
			world_fail(truth->world, "list of the clients: %s", error_name(error));
		for (size_t i = 0; i < count; i++) {
			truth_check_activity(truth, &clients[i].activity, now_ms, INT64_MAX - 1);
			check_due(truth, &clients[i].activity, now_ms);
			if (page.after &&
			    (order == STORE_ORDER_CLIENT_IP ? address_compare(&clients[i].client.client, &page.after_client) <= 0
							    : clients[i].order_value > page.after_value))
				world_fail(truth->world, "the clients are listed in a wrong order");
			page.after = true;
			page.after_client = clients[i].client.client;
			page.after_value = clients[i].order_value;
		}
		listed += (int64_t)count;
	} while (count > 0);
	if (listed != count_series(truth, SERIES_CLIENT))
		world_fail(truth->world, "%" PRId64 " clients are listed, there are %" PRId64, listed,
			   count_series(truth, SERIES_CLIENT));
}

void truth_check_activities(struct truth *truth, struct store_reader *reader, int64_t now_ms)
{
	check_list(truth, reader, STORE_ORDER_PING_COUNT, now_ms);
	check_list(truth, reader, STORE_ORDER_LAST_PING, now_ms);
	check_list(truth, reader, STORE_ORDER_CLIENT_IP, now_ms);
}

static void check_count(const struct truth *truth, struct ledger_reader *reader, int64_t start_ms, int64_t end_ms)
{
	int64_t is, should = truth_count(truth, start_ms, end_ms);
	enum error error = reader->vtable->count(reader, start_ms, end_ms, &is, NULL);
	if (error != ERROR_OK || is != should)
		world_fail(truth->world, "count of [%" PRId64 ", %" PRId64 ") is %" PRId64 " (%s), should be %" PRId64, start_ms,
			   end_ms, error == ERROR_OK ? is : -1, error_name(error), should);
}

void truth_check_ledger(const struct truth *truth, struct ledger_reader *reader)
{
	check_count(truth, reader, 0, 0);
	if (truth->rows.count > 0) {
		const struct truth_row *some = rowset_at(&truth->rows, truth->rows.count / 2);
		const struct truth_row *other = rowset_at(&truth->rows, truth->rows.count / 3);
		check_count(truth, reader, some->pinged_at_ms, 0);
		if (other->pinged_at_ms > some->pinged_at_ms)
			check_count(truth, reader, some->pinged_at_ms, other->pinged_at_ms);
		else
			check_count(truth, reader, other->pinged_at_ms, some->pinged_at_ms + 1);
	}
	int64_t rows, rolled_up;
	enum error error = reader->vtable->count_rows(reader, &rows, &rolled_up, NULL);
	if (error != ERROR_OK || rows != (int64_t)truth->rows.count || rolled_up != rows)
		world_fail(truth->world, "the ledger has %" PRId64 " rows (%" PRId64 " rolled up), should have %zu", rows,
			   rolled_up, truth->rows.count);
}
