#include "audit/audit.h"

#include "audit/sum_stream.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_MAX_SUSPECTS = 65536 };

/* A row of any kind. start_ms: of the window or day; clients: 0. */
struct audit_row {
	struct address client;
	int64_t start_ms;
	int64_t count, first_ms, last_ms, position;
};

/* Differences are found in this order, in every look. */
struct audit_key {
	enum audit_kind kind;
	struct address client;
	int64_t start_ms;
};

struct suspects {
	struct audit_key *keys; /* in order */
	size_t count, max;
	size_t next;   /* the second look has passed those before */
	bool overflow; /* the first look found more */
};

struct look {
	const struct audit_options *options;
	struct ledger_reader *ledger;
	struct suspects *suspects;
	bool second;
	struct audit_report *report;
	enum audit_kind kind; /* that is being joined */
	struct sum_stream *stream;
	struct ledger_sum pending; /* read ahead: the first sum of the row after `expected` */
	bool has_pending;
	struct audit_row expected; /* the next of the ledger's rows */
	bool has_expected;
	struct audit_row last; /* the store's row before, of the kind that is joined */
	bool has_last;
	enum error error; /* why the look ended early */
	struct error_note *note;
};

const char *audit_kind_name(enum audit_kind kind)
{
	static const char *const names[] = {"windows", "days", "clients", "roll-up"};
	return names[kind];
}

int64_t audit_differences(const struct audit_report *report)
{
	int64_t sum = 0;
	for (int kind = 0; kind < AUDIT_KIND_COUNT; kind++)
		sum += report->kinds[kind].differences;
	return sum;
}

static int compare_place(const struct address *a, int64_t a_ms, const struct address *b, int64_t b_ms)
{
	int order = address_compare(a, b);
	return order != 0 ? order : (a_ms > b_ms) - (a_ms < b_ms);
}

static int compare_keys(const struct audit_key *a, const struct audit_key *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return compare_place(&a->client, a->start_ms, &b->client, b->start_ms);
}

/* ---- What to make of a difference ---- */

static enum error remember(struct suspects *suspects, const struct audit_key *key)
{
	if (suspects->count == suspects->max) {
		suspects->overflow = true;
		return ERROR_OK;
	}
	/* Doubles at every power of two. */
	if ((suspects->count & (suspects->count - 1)) == 0) {
		size_t capacity = suspects->count == 0 ? 1 : suspects->count * 2;
		struct audit_key *keys = realloc(suspects->keys, capacity * sizeof *keys);
		if (keys == NULL)
			return ERROR_NO_MEMORY;
		suspects->keys = keys;
	}
	suspects->keys[suspects->count++] = *key;
	return ERROR_OK;
}

/* Whether the first look found it too. */
static bool confirm(struct suspects *suspects, const struct audit_key *key)
{
	while (suspects->next < suspects->count && compare_keys(&suspects->keys[suspects->next], key) < 0)
		suspects->next++;
	if (suspects->next == suspects->count)
		return suspects->overflow;
	return compare_keys(&suspects->keys[suspects->next], key) == 0;
}

static void format_time(int64_t ms, char ret_text[TIMESTAMP_TEXT_SIZE])
{
	/* A damaged row may hold anything. */
	if (ms >= 0 && ms <= TIMESTAMP_MAX_MS)
		timestamp_format(ms, ret_text);
	else
		snprintf(ret_text, TIMESTAMP_TEXT_SIZE, "%" PRId64, ms);
}

static void describe_row(enum audit_kind kind, const struct audit_row *row, char *ret_text, size_t size)
{
	char first[TIMESTAMP_TEXT_SIZE], last[TIMESTAMP_TEXT_SIZE];
	if (row == NULL) {
		snprintf(ret_text, size, "nothing");
		return;
	}
	format_time(row->first_ms, first);
	format_time(row->last_ms, last);
	if (kind == AUDIT_WINDOWS)
		snprintf(ret_text, size, "%" PRId64 " (first %s, last %s, position %" PRId64 ")", row->count, first, last,
			 row->position);
	else if (kind == AUDIT_CLIENTS)
		snprintf(ret_text, size, "first %s, last %s", first, last);
	else
		snprintf(ret_text, size, "%" PRId64 " (position %" PRId64 ")", row->count, row->position);
}

static void describe_key(const struct audit_key *key, char *ret_text, size_t size)
{
	char client[ADDRESS_TEXT_SIZE], start[TIMESTAMP_TEXT_SIZE];
	address_format(&key->client, client);
	format_time(key->start_ms, start);
	if (key->kind == AUDIT_CLIENTS)
		snprintf(ret_text, size, "client %s", client);
	else
		snprintf(ret_text, size, "client %s, %s %s", client, key->kind == AUDIT_WINDOWS ? "window" : "day of", start);
}

static struct audit_example *add_example(struct audit_report *report, const struct audit_options *options,
					 const struct audit_key *key)
{
	size_t max = options->max_examples < AUDIT_MAX_EXAMPLES ? options->max_examples : AUDIT_MAX_EXAMPLES;
	if (report->example_count == max)
		return NULL;
	struct audit_example *example = &report->examples[report->example_count++];
	example->kind = key->kind;
	example->client = key->client;
	example->start_ms = key->start_ms;
	return example;
}

/* True where it is to be reported. */
static bool found(struct look *look, const struct audit_key *key)
{
	if (!look->second) {
		look->error = remember(look->suspects, key);
		look->report->kinds[key->kind].differences++;
		return false;
	}
	if (!confirm(look->suspects, key))
		return false;
	look->report->kinds[key->kind].differences++;
	return true;
}

/* Either may be NULL: that side has no such row. */
static void differ(struct look *look, const struct audit_row *expected, const struct audit_row *actual)
{
	const struct audit_row *row = expected != NULL ? expected : actual;
	struct audit_key key = {.kind = look->kind, .client = row->client, .start_ms = row->start_ms};
	if (!found(look, &key))
		return;
	struct audit_example *example = add_example(look->report, look->options, &key);
	if (example == NULL)
		return;
	char name[112], ledger[128], store[128];
	describe_key(&key, name, sizeof name);
	describe_row(look->kind, expected, ledger, sizeof ledger);
	describe_row(look->kind, actual, store, sizeof store);
	snprintf(example->text, sizeof example->text, "%s: ledger %s, store %s", name, ledger, store);
}

/* ---- The ledger's side ---- */

static int64_t row_start(enum audit_kind kind, int64_t window_start_ms)
{
	switch (kind) {
	case AUDIT_WINDOWS:
		return window_start_ms;
	case AUDIT_DAYS:
		return day_start_of(window_start_ms);
	default:
		return 0;
	}
}

static enum error read_ahead(struct look *look)
{
	enum error error = sum_stream_next(look->stream, &look->pending, look->note);
	look->has_pending = error == ERROR_OK;
	return error == ERROR_END ? ERROR_OK : error;
}

static void merge(struct audit_row *row, const struct ledger_sum *sum)
{
	row->count += sum->count;
	if (sum->first_ms < row->first_ms)
		row->first_ms = sum->first_ms;
	if (sum->last_ms > row->last_ms)
		row->last_ms = sum->last_ms;
	if (sum->position > row->position)
		row->position = sum->position;
}

/* The next row of this kind: the sums that fall in it follow one another. */
static enum error next_expected(struct look *look)
{
	look->has_expected = look->has_pending;
	if (!look->has_pending)
		return ERROR_OK;
	struct audit_row row = {
		.client = look->pending.client,
		.start_ms = row_start(look->kind, look->pending.window_start_ms),
		.first_ms = look->pending.first_ms,
		.last_ms = look->pending.last_ms,
		.position = look->pending.position,
	};
	enum error error = ERROR_OK;
	do {
		merge(&row, &look->pending);
		error = read_ahead(look);
	} while (error == ERROR_OK && look->has_pending && address_equal(&look->pending.client, &row.client) &&
		 row_start(look->kind, look->pending.window_start_ms) == row.start_ms);
	look->expected = row;
	return error;
}

static enum error begin_kind(struct look *look, enum audit_kind kind)
{
	look->kind = kind;
	look->has_last = false;
	enum error error = sum_stream_open(look->ledger, look->report->position, &look->stream);
	if (error == ERROR_OK)
		error = read_ahead(look);
	return error == ERROR_OK ? next_expected(look) : error;
}

/* ---- The join ---- */

static bool is_expired(const struct look *look, int64_t start_ms)
{
	int64_t retention_ms = look->options->window_retention_ms;
	return look->kind == AUDIT_WINDOWS && window_is_expiring(start_ms, retention_ms, look->options->now_ms);
}

/* The newest event in a row, by the ledger, can't be newer than its position says, nor that than the store's. */
static bool position_fits(const struct look *look, const struct audit_row *expected, const struct audit_row *actual)
{
	return actual->position >= expected->position && actual->position <= look->report->position;
}

static bool is_equal(const struct look *look, const struct audit_row *expected, const struct audit_row *actual)
{
	bool span_equal = actual->first_ms == expected->first_ms && actual->last_ms == expected->last_ms;
	switch (look->kind) {
	case AUDIT_WINDOWS:
		return actual->count == expected->count && span_equal && position_fits(look, expected, actual);
	case AUDIT_DAYS:
		return actual->count == expected->count && position_fits(look, expected, actual);
	default:
		return span_equal;
	}
}

/* A row that one side or both have. */
static void check(struct look *look, const struct audit_row *expected, const struct audit_row *actual)
{
	bool equal = expected != NULL && actual != NULL && is_equal(look, expected, actual);
	if (expected != NULL && is_expired(look, expected->start_ms)) {
		look->report->expired++;
		equal = actual == NULL || actual->count <= expected->count;
	} else {
		look->report->kinds[look->kind].checked++;
	}
	if (!equal)
		differ(look, expected, actual);
}

static enum error check_order(struct look *look, const struct audit_row *actual)
{
	if (look->has_last && compare_place(&look->last.client, look->last.start_ms, &actual->client, actual->start_ms) >= 0)
		return error_noted(look->note, ERROR_INTERNAL, "the store's %s are not in order", audit_kind_name(look->kind));
	look->last = *actual;
	look->has_last = true;
	return ERROR_OK;
}

/* True to go on. */
static bool join(struct look *look, const struct audit_row *actual)
{
	int order = 1;
	look->error = check_order(look, actual);
	while (look->error == ERROR_OK && look->has_expected) {
		order = compare_place(&look->expected.client, look->expected.start_ms, &actual->client, actual->start_ms);
		if (order > 0)
			break;
		check(look, &look->expected, order == 0 ? actual : NULL);
		if (look->error == ERROR_OK)
			look->error = next_expected(look);
		if (order == 0)
			break;
	}
	if (look->error == ERROR_OK && order != 0)
		check(look, NULL, actual);
	return look->error == ERROR_OK;
}

/* What the ledger has left is missing. */
static void end_kind(struct look *look)
{
	while (look->error == ERROR_OK && look->has_expected) {
		check(look, &look->expected, NULL);
		if (look->error == ERROR_OK)
			look->error = next_expected(look);
	}
	sum_stream_close(look->stream);
	look->stream = NULL;
}

/* Kinds come in order; one without rows is ended too. */
static bool advance(struct look *look, enum audit_kind kind)
{
	while (look->error == ERROR_OK && look->kind < kind) {
		end_kind(look);
		if (look->error == ERROR_OK)
			look->error = begin_kind(look, look->kind + 1);
	}
	return look->error == ERROR_OK;
}

static bool scan_begin(void *context, int64_t position)
{
	struct look *look = context;
	look->report->position = position;
	look->error = begin_kind(look, AUDIT_WINDOWS);
	return look->error == ERROR_OK;
}

static bool scan_window(void *context, const struct window_row *window)
{
	struct audit_row row = {.client = window->client,
				.start_ms = window->start_ms,
				.count = window->count,
				.first_ms = window->first_ms,
				.last_ms = window->last_ms,
				.position = window->position};
	return join(context, &row);
}

static bool scan_day(void *context, const struct day_row *day)
{
	struct audit_row row = {.client = day->client, .start_ms = day->start_ms, .count = day->total, .position = day->position};
	return advance(context, AUDIT_DAYS) && join(context, &row);
}

static bool scan_client(void *context, const struct client_row *client)
{
	struct audit_row row = {.client = client->client, .first_ms = client->first_ms, .last_ms = client->last_ms};
	return advance(context, AUDIT_CLIENTS) && join(context, &row);
}

static enum error check_rollup(struct look *look)
{
	int64_t rows = 0, rolled_up = 0;
	enum error error = look->ledger->vtable->count_rows(look->ledger, &rows, &rolled_up, look->note);
	if (error != ERROR_OK)
		return error;
	look->report->kinds[AUDIT_ROLLUP].checked = rows;
	struct audit_key key = {.kind = AUDIT_ROLLUP};
	if (rows == rolled_up || !found(look, &key))
		return look->error;
	struct audit_example *example = add_example(look->report, look->options, &key);
	if (example != NULL)
		snprintf(example->text, sizeof example->text, "ledger: %" PRId64 " rows, %" PRId64 " in its roll-up", rows,
			 rolled_up);
	return ERROR_OK;
}

static bool visit_none(void *context, const struct ledger_sum *sum)
{
	(void)context;
	(void)sum;
	return false;
}

/* Most of the summing up, before the store's snapshot begins: as long as that is open, the store can't give back the room of what
 * it overwrites. */
static enum error sum_ahead(struct look *look, struct store_reader *store)
{
	struct store_totals totals;
	enum error error = store->vtable->totals(store, look->options->now_ms, &totals, look->note);
	if (error != ERROR_OK)
		return error;
	return look->ledger->vtable->sum_windows(look->ledger, totals.position, visit_none, NULL, look->note);
}

static enum error look_once(struct look *look, struct store_reader *store)
{
	struct store_scan scan = {
		.context = look, .begin = scan_begin, .window = scan_window, .day = scan_day, .client = scan_client};
	enum error error = sum_ahead(look, store);
	if (error == ERROR_OK)
		error = store->vtable->scan(store, &scan, look->note);
	if (error == ERROR_OK && advance(look, AUDIT_CLIENTS))
		end_kind(look);
	sum_stream_close(look->stream);
	look->stream = NULL;
	if (error == ERROR_OK)
		error = look->error;
	return error == ERROR_OK ? check_rollup(look) : error;
}

enum error audit_run(struct ledger_reader *ledger, struct store_reader *store, const struct audit_options *options,
		     struct audit_report *ret_report, struct error_note *note)
{
	struct suspects suspects = {.max = options->max_suspects != 0 ? options->max_suspects : DEFAULT_MAX_SUSPECTS};
	struct audit_report *report = calloc(1, sizeof *report);
	if (report == NULL)
		return ERROR_NO_MEMORY;
	struct look first = {.options = options, .ledger = ledger, .suspects = &suspects, .report = report, .note = note};
	enum error error = look_once(&first, store);
	if (error == ERROR_OK && audit_differences(report) > 0) {
		if (options->pause != NULL)
			options->pause(options->context);
		*report = (struct audit_report){0};
		struct look second = {.options = options,
				      .ledger = ledger,
				      .suspects = &suspects,
				      .second = true,
				      .report = report,
				      .note = note};
		error = look_once(&second, store);
	}
	if (error == ERROR_OK)
		*ret_report = *report;
	free(suspects.keys);
	free(report);
	return error;
}
