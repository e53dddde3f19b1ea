#include "audit/metrics.h"

#include "audit/client_set.h"
#include "audit/sum_stream.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SOME_CLIENTS = 256, SOME_SUSPECTS = 4096, MAX_DIFFERENCES = 65536, LOOKS = 3 };
#define DAY_MS INT64_C(86400000)

/* A row by its place; what ledger and store have of it. Counters are their day's. */
struct item {
	enum metrics_kind kind; /* windows, days, clients */
	struct address client;
	int64_t start_ms;
	int64_t count, first_ms, last_ms, position; /* the ledger's; in a second look of no use */
	struct {
		bool there;
		int64_t count, first_ms, last_ms, position;
		int64_t kept; /* of the count: known by number alone; of a client: 1 where any row of his keeps something */
	} row;
	bool has_counter;
	int64_t counter;
};

struct items {
	struct item *items;
	size_t count, capacity;
};

struct check {
	struct ledger_reader *keys;
	struct store_reader *store;
	const struct metrics_options *options;
	struct metrics_report *report;
	int64_t *positions; /* of each partition */
	struct client_set seen;
	struct items some;	  /* of the clients at hand, in order of place */
	struct items suspects;	  /* to be looked at */
	struct items differences; /* found by the last look */
	bool adds;		  /* rows that are not among `some` are added */
	size_t asked;		  /* of `some`: those in order, that were there when the store was asked */
	struct address clients[SOME_CLIENTS];
	size_t client_count;
	enum error error; /* of a visitor */
};

const char *metrics_kind_name(enum metrics_kind kind)
{
	static const char *const names[] = {"windows", "days", "counters", "clients"};
	return names[kind];
}

int64_t metrics_differences(const struct metrics_report *report)
{
	int64_t sum = 0;
	for (int kind = 0; kind < METRICS_KIND_COUNT; kind++)
		sum += report->kinds[kind].differences;
	return sum;
}

/* ─── Items ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int compare_items(const void *a, const void *b)
{
	const struct item *left = a, *right = b;
	int order = address_compare(&left->client, &right->client);
	if (order == 0)
		order = (left->kind > right->kind) - (left->kind < right->kind);
	return order != 0 ? order : (left->start_ms > right->start_ms) - (left->start_ms < right->start_ms);
}

static struct item *add_item(struct check *check, struct items *items, const struct item *item)
{
	if (items->count == items->capacity) {
		size_t capacity = items->capacity == 0 ? 64 : items->capacity * 2;
		struct item *grown = reallocarray(items->items, capacity, sizeof *grown);
		if (grown == NULL) {
			check->error = ERROR_NO_MEMORY;
			return NULL;
		}
		items->items = grown;
		items->capacity = capacity;
	}
	items->items[items->count] = *item;
	return &items->items[items->count++];
}

/* Of the store's row. NULL: nobody asked for it. */
static struct item *item_of(struct check *check, enum metrics_kind kind, const struct address *client, int64_t start_ms)
{
	struct item key = {.kind = kind, .client = *client, .start_ms = start_ms, .position = POSITION_NONE};
	struct item *found = check->asked == 0 ? NULL : bsearch(&key, check->some.items, check->asked, sizeof key, compare_items);
	bool again = kind == METRICS_DAYS || kind == METRICS_CLIENTS; /* its counter's, or of what one of its rows keeps */
	for (size_t i = check->asked; again && found == NULL && i < check->some.count; i++)
		if (compare_items(&check->some.items[i], &key) == 0)
			found = &check->some.items[i];
	return found != NULL || !check->adds ? found : add_item(check, &check->some, &key);
}

/* ─── The store's rows ──────────────────────────────────────────────────────────────────────────────────────────────── */

static void see_counter(void *context, const struct address *client, int64_t day_ms, int64_t total)
{
	struct item *item = item_of(context, METRICS_DAYS, client, day_ms);
	if (item == NULL)
		return;
	item->has_counter = true;
	item->counter = total;
}

static void see_window(void *context, const struct window_row *row)
{
	struct check *check = context;
	struct item *item;
	if (row->position == POSITION_NONE)
		check->report->others += check->adds;
	else if ((item = item_of(check, METRICS_WINDOWS, &row->client, row->start_ms)) != NULL) {
		item->row.there = true;
		item->row.count = row->count;
		item->row.first_ms = row->first_ms;
		item->row.last_ms = row->last_ms;
		item->row.position = row->position;
	}
}

static void see_day(void *context, const struct day_row *row)
{
	struct item *item = item_of(context, METRICS_DAYS, &row->client, row->start_ms);
	if (item == NULL)
		return;
	item->row.there = true;
	item->row.count = row->total;
	item->row.position = row->position;
}

static void see_client(void *context, const struct client_row *row)
{
	struct item *item = item_of(context, METRICS_CLIENTS, &row->client, 0);
	if (item == NULL)
		return;
	item->row.there = true;
	item->row.first_ms = row->first_ms;
	item->row.last_ms = row->last_ms;
}

/* Of the row that was told just before: that may be the last one added. */
static void see_kept(void *context, const struct address *client, int64_t start_ms, bool of_day, int64_t kept)
{
	struct check *check = context;
	const struct item key = {.kind = of_day ? METRICS_DAYS : METRICS_WINDOWS, .client = *client, .start_ms = start_ms};
	struct item *last = check->some.count == 0 ? NULL : &check->some.items[check->some.count - 1], *item;
	if (last != NULL && compare_items(last, &key) == 0)
		item = last;
	else
		item = item_of(check, key.kind, client, start_ms);
	if (item != NULL && item->row.there)
		item->row.kept = kept;
	if (!of_day) /* its day keeps as many */
		return;
	item = item_of(check, METRICS_CLIENTS, client, 0);
	if (item != NULL)
		item->row.kept = 1;
}

/* The rows of the clients at hand, each to its item of `some`. */
static enum error read_rows(struct check *check, struct error_note *note)
{
	const struct store_rows rows = {check, see_counter, see_window, see_day, see_client, see_kept};
	check->asked = check->some.count;
	enum error error = check->store->vtable->read_rows(check->store, check->clients, check->client_count, &rows, note);
	check->client_count = 0;
	return error == ERROR_OK ? check->error : error;
}

/* ─── Differences ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static int64_t position_of(const struct check *check, const struct address *client)
{
	return check->positions[check->options->partition_of(client, (int32_t)check->options->partition_count)];
}

static bool is_expired(const struct check *check, const struct item *item)
{
	int64_t retention_ms = check->options->window_retention_ms;
	return item->kind == METRICS_WINDOWS && window_is_expiring(item->start_ms, retention_ms, check->options->now_ms);
}

/* Its partition's position is committed only once the counter says it. */
static bool counter_fits(const struct check *check, const struct item *item)
{
	bool settled = item->row.there && item->row.position <= position_of(check, &item->client);
	return !settled || item->counter == item->row.count;
}

static struct ledger_key key_of(const struct check *check, const struct item *item)
{
	bool client = item->kind == METRICS_CLIENTS;
	int64_t span_ms = item->kind == METRICS_WINDOWS ? WINDOW_MS : DAY_MS;
	return (struct ledger_key){.client = item->client,
				   .start_ms = client ? INT64_MIN : item->start_ms,
				   .end_ms = client ? INT64_MAX : item->start_ms + span_ms,
				   .position = client		 ? position_of(check, &item->client)
					       : item->row.there ? item->row.position
								 : POSITION_NONE,
				   .bound = position_of(check, &item->client)};
}

/* A client's row has no position: it spans all up to its partition's, and nothing that never was. */
static bool row_fits(const struct item *item, const struct ledger_key_sum *sum, const struct ledger_key_sum *all)
{
	if (item->kind == METRICS_CLIENTS && !item->row.there)
		return sum->count == 0 && item->row.kept == 0;
	if (item->kind == METRICS_CLIENTS && item->row.kept > 0)
		return sum->count == 0 || (item->row.first_ms <= sum->first_ms && item->row.last_ms >= sum->last_ms);
	if (item->kind == METRICS_CLIENTS)
		return all->count > 0 && item->row.first_ms >= all->first_ms && item->row.last_ms <= all->last_ms &&
		       (sum->count == 0 || (item->row.first_ms <= sum->first_ms && item->row.last_ms >= sum->last_ms));
	bool equal = sum->later == 0 && item->row.count - item->row.kept == sum->count;
	if (item->kind == METRICS_DAYS || !item->row.there)
		return equal;
	if (item->row.kept > 0)
		return equal && (sum->count == 0 || (item->row.first_ms <= sum->first_ms && item->row.last_ms >= sum->last_ms));
	return equal && item->row.first_ms == sum->first_ms && item->row.last_ms == sum->last_ms;
}

static void take_difference(struct check *check, const struct item *item, const struct ledger_key_sum *sum, bool of_counter)
{
	struct item difference = *item;
	difference.count = sum->count + sum->later;
	difference.first_ms = sum->first_ms;
	difference.last_ms = sum->last_ms;
	if (of_counter)
		difference.kind = METRICS_COUNTERS;
	if (check->differences.count < MAX_DIFFERENCES)
		add_item(check, &check->differences, &difference);
}

/* `some` against the ledger, each at its position. */
static enum error judge(struct check *check, struct error_note *note)
{
	size_t count = check->some.count;
	struct ledger_key *keys = calloc(count + 1, 2 * sizeof *keys);
	struct ledger_key_sum *sums = calloc(count + 1, 2 * sizeof *sums);
	enum error error = keys == NULL || sums == NULL ? ERROR_NO_MEMORY : ERROR_OK;
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		keys[2 * i] = keys[2 * i + 1] = key_of(check, &check->some.items[i]);
		keys[2 * i + 1].position = INT64_MAX;
	}
	if (error == ERROR_OK)
		error = check->keys->vtable->sum_keys(check->keys, keys, 2 * count, sums, note);
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		const struct item *item = &check->some.items[i];
		if (!row_fits(item, &sums[2 * i], &sums[2 * i + 1]))
			take_difference(check, item, &sums[2 * i], false);
		if (item->kind == METRICS_DAYS && !counter_fits(check, item))
			take_difference(check, item, &sums[2 * i], true);
	}
	free(keys);
	free(sums);
	return error == ERROR_OK ? check->error : error;
}

/* Each suspect's row as it is now, and the ledger behind it. */
static enum error look(struct check *check, const struct item *suspects, size_t count, struct error_note *note)
{
	enum error error = check->store->vtable->positions(check->store, check->positions, check->options->partition_count, note);
	check->some.count = 0;
	check->adds = false;
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		struct item item = {.kind = suspects[i].kind == METRICS_COUNTERS ? METRICS_DAYS : suspects[i].kind,
				    .client = suspects[i].client,
				    .start_ms = suspects[i].start_ms};
		add_item(check, &check->some, &item);
		error = check->error;
	}
	if (error != ERROR_OK || count == 0)
		return error;
	qsort(check->some.items, count, sizeof *check->some.items, compare_items);
	size_t kept = 1; /* a day and its counter are looked at together */
	for (size_t i = 1; i < count; i++)
		if (compare_items(&check->some.items[i], &check->some.items[kept - 1]) != 0)
			check->some.items[kept++] = check->some.items[i];
	check->some.count = kept;
	for (size_t i = 0; i < kept && error == ERROR_OK; i++) {
		const struct address *client = &check->some.items[i].client;
		if (check->client_count == 0 || !address_equal(client, &check->clients[check->client_count - 1]))
			check->clients[check->client_count++] = *client;
		if (check->client_count == SOME_CLIENTS || i + 1 == kept)
			error = read_rows(check, note);
	}
	return error == ERROR_OK ? judge(check, note) : error;
}

static enum error look_at_suspects(struct check *check, struct error_note *note)
{
	enum error error = look(check, check->suspects.items, check->suspects.count, note);
	check->suspects.count = 0;
	return error;
}

/* ─── The first look ────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_plain(const struct check *check, const struct item *item)
{
	if (!item->row.there || item->row.kept > 0)
		return false;
	if (item->kind == METRICS_CLIENTS)
		return item->row.first_ms == item->first_ms && item->row.last_ms == item->last_ms;
	bool equal = item->row.position == item->position && item->row.count == item->count;
	if (item->kind == METRICS_WINDOWS)
		return equal && item->row.first_ms == item->first_ms && item->row.last_ms == item->last_ms;
	return equal && item->counter == item->row.count && item->row.position <= position_of(check, &item->client);
}

/* The rows of the clients at hand beside the ledger's sums. */
static enum error compare_some(struct check *check, struct error_note *note)
{
	if (check->client_count == 0)
		return ERROR_OK;
	check->adds = true;
	if (check->some.count > 0)
		qsort(check->some.items, check->some.count, sizeof *check->some.items, compare_items);
	enum error error = read_rows(check, note);
	for (size_t i = 0; i < check->some.count && error == ERROR_OK; i++) {
		const struct item *item = &check->some.items[i];
		if (is_expired(check, item)) {
			check->report->expired++;
			continue;
		}
		if (item->kind == METRICS_DAYS && !item->row.there && item->count == 0) {
			check->report->others++; /* a counter that somebody else keeps */
			continue;
		}
		check->report->kinds[item->kind].checked++;
		check->report->kinds[METRICS_COUNTERS].checked += item->kind == METRICS_DAYS;
		if (!is_plain(check, item))
			add_item(check, &check->suspects, item);
		error = check->error;
	}
	check->some.count = 0;
	return error == ERROR_OK && check->suspects.count >= SOME_SUSPECTS ? look_at_suspects(check, note) : error;
}

/* The sums' clients that are at hand, and the items that the next sum adds to. */
struct adding {
	struct check *check;
	bool any;
	struct address client;
	size_t of_client, of_day; /* places in `some` */
	bool has_day;
};

static void widen(struct item *item, const struct ledger_sum *sum)
{
	item->count += sum->count;
	item->first_ms = sum->first_ms < item->first_ms ? sum->first_ms : item->first_ms;
	item->last_ms = sum->last_ms > item->last_ms ? sum->last_ms : item->last_ms;
	item->position = sum->position > item->position ? sum->position : item->position;
}

static size_t begin_item(struct check *check, enum metrics_kind kind, const struct ledger_sum *sum, int64_t start_ms)
{
	const struct item item = {.kind = kind,
				  .client = sum->client,
				  .start_ms = start_ms,
				  .first_ms = sum->first_ms,
				  .last_ms = sum->last_ms,
				  .position = POSITION_NONE};
	add_item(check, &check->some, &item);
	return check->some.count - 1;
}

static enum error begin_client(struct adding *adding, const struct ledger_sum *sum, struct error_note *note)
{
	struct check *check = adding->check;
	enum error error = check->client_count == SOME_CLIENTS ? compare_some(check, note) : ERROR_OK;
	if (error == ERROR_OK)
		error = client_set_add(&check->seen, &sum->client, NULL);
	if (error != ERROR_OK)
		return error;
	check->clients[check->client_count++] = sum->client;
	adding->any = true;
	adding->client = sum->client;
	adding->has_day = false;
	adding->of_client = begin_item(check, METRICS_CLIENTS, sum, 0);
	return check->error;
}

static enum error add_sum(struct adding *adding, const struct ledger_sum *sum, struct error_note *note)
{
	struct check *check = adding->check;
	int64_t day_ms = day_start_of(sum->window_start_ms);
	enum error error =
		adding->any && address_equal(&adding->client, &sum->client) ? ERROR_OK : begin_client(adding, sum, note);
	if (error != ERROR_OK)
		return error;
	size_t of_window = begin_item(check, METRICS_WINDOWS, sum, sum->window_start_ms);
	if (check->error == ERROR_OK && (!adding->has_day || check->some.items[adding->of_day].start_ms != day_ms))
		adding->of_day = begin_item(check, METRICS_DAYS, sum, day_ms);
	adding->has_day = true;
	if (check->error != ERROR_OK)
		return check->error;
	widen(&check->some.items[of_window], sum);
	widen(&check->some.items[adding->of_day], sum);
	widen(&check->some.items[adding->of_client], sum);
	return ERROR_OK;
}

static enum error compare_ledger(struct check *check, struct ledger_reader *sums, struct error_note *note)
{
	struct adding adding = {.check = check};
	struct sum_stream *stream;
	struct ledger_sum sum;
	enum error error = sum_stream_open(sums, INT64_MAX, &stream);
	if (error != ERROR_OK)
		return error;
	while ((error = sum_stream_next(stream, &sum, note)) == ERROR_OK)
		if ((error = add_sum(&adding, &sum, note)) != ERROR_OK)
			break;
	sum_stream_close(stream);
	return error == ERROR_END ? compare_some(check, note) : error;
}

/* Kept until all are listed: no visitor may ask the store. */
struct strangers {
	struct check *check;
	struct items items;
};

static void see_any(void *context, const struct address *client)
{
	struct strangers *strangers = context;
	struct check *check = strangers->check;
	bool is_new = false;
	if (check->error == ERROR_OK)
		check->error = client_set_add(&check->seen, client, &is_new);
	if (is_new)
		add_item(check, &strangers->items, &(struct item){.client = *client});
}

/* Clients with rows of whom the ledger had nothing. */
static enum error compare_strangers(struct check *check, struct error_note *note)
{
	struct strangers strangers = {.check = check};
	enum error error = check->store->vtable->list_any(check->store, see_any, &strangers, note);
	if (error == ERROR_OK)
		error = check->error;
	for (size_t i = 0; i < strangers.items.count && error == ERROR_OK; i++) {
		check->clients[check->client_count++] = strangers.items.items[i].client;
		if (check->client_count == SOME_CLIENTS || i + 1 == strangers.items.count)
			error = compare_some(check, note);
	}
	free(strangers.items.items);
	return error;
}

/* ─── The whole ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* What was found is looked at again; what is still there is a difference. */
static enum error look_again(struct check *check, struct error_note *note)
{
	enum error error = ERROR_OK;
	for (int again = 1; again < LOOKS && check->differences.count > 0 && error == ERROR_OK; again++) {
		struct items found = check->differences;
		check->differences = (struct items){0};
		if (check->options->pause != NULL)
			check->options->pause(check->options->context);
		for (size_t i = 0; i < found.count && error == ERROR_OK; i += SOME_SUSPECTS)
			error = look(check, &found.items[i], found.count - i < SOME_SUSPECTS ? found.count - i : SOME_SUSPECTS,
				     note);
		free(found.items);
	}
	return error;
}

static void describe_time(int64_t ms, char ret_text[TIMESTAMP_TEXT_SIZE])
{
	if (ms >= 0 && ms <= TIMESTAMP_MAX_MS)
		timestamp_format(ms, ret_text);
	else
		snprintf(ret_text, TIMESTAMP_TEXT_SIZE, "%" PRId64, ms); /* a damaged row may hold anything */
}

static void describe_place(const struct item *item, char *ret_text, size_t size)
{
	char client[ADDRESS_TEXT_SIZE], start[TIMESTAMP_TEXT_SIZE];
	address_format(&item->client, client);
	describe_time(item->start_ms, start);
	if (item->kind == METRICS_CLIENTS)
		snprintf(ret_text, size, "client %s", client);
	else
		snprintf(ret_text, size, "client %s, %s %s", client, item->kind == METRICS_WINDOWS ? "window" : "day of", start);
}

static void describe(const struct item *item, char *ret_text, size_t size)
{
	char place[112], ledger_first[TIMESTAMP_TEXT_SIZE], ledger_last[TIMESTAMP_TEXT_SIZE], first[TIMESTAMP_TEXT_SIZE],
		last[TIMESTAMP_TEXT_SIZE];
	describe_place(item, place, sizeof place);
	describe_time(item->first_ms, ledger_first);
	describe_time(item->last_ms, ledger_last);
	describe_time(item->row.first_ms, first);
	describe_time(item->row.last_ms, last);
	if (item->kind == METRICS_COUNTERS)
		snprintf(ret_text, size, "%s: total %" PRId64 ", counter %" PRId64, place, item->row.count, item->counter);
	else if (!item->row.there)
		snprintf(ret_text, size, "%s: ledger %" PRId64 " pings, store nothing", place, item->count);
	else if (item->kind == METRICS_CLIENTS)
		snprintf(ret_text, size, "%s: ledger first %s, last %s, store first %s, last %s", place, ledger_first,
			 ledger_last, first, last);
	else if (item->kind == METRICS_DAYS)
		snprintf(ret_text, size, "%s: ledger %" PRId64 ", store %" PRId64 " (position %" PRId64 ")", place, item->count,
			 item->row.count, item->row.position);
	else
		snprintf(ret_text, size,
			 "%s: ledger %" PRId64 " (first %s, last %s), store %" PRId64 " (first %s, last %s, position %" PRId64
			 ")",
			 place, item->count, ledger_first, ledger_last, item->row.count, first, last, item->row.position);
}

static void report_differences(struct check *check)
{
	struct metrics_report *report = check->report;
	size_t max = check->options->max_examples < AUDIT_MAX_EXAMPLES ? check->options->max_examples : AUDIT_MAX_EXAMPLES;
	for (size_t i = 0; i < check->differences.count; i++) {
		const struct item *item = &check->differences.items[i];
		report->kinds[item->kind].differences++;
		if (report->example_count == max)
			continue;
		struct audit_example *example = &report->examples[report->example_count++];
		example->kind = (enum audit_kind)item->kind;
		example->client = item->client;
		example->start_ms = item->start_ms;
		describe(item, example->text, sizeof example->text);
	}
}

enum error metrics_audit(struct ledger_reader *sums, struct ledger_reader *keys, struct store_reader *store,
			 const struct metrics_options *options, struct metrics_report *ret_report, struct error_note *note)
{
	*ret_report = (struct metrics_report){0};
	struct check *check = calloc(1, sizeof *check);
	int64_t *positions = calloc(options->partition_count, sizeof *positions);
	enum error error = check == NULL || positions == NULL ? ERROR_NO_MEMORY : ERROR_OK;
	if (error == ERROR_OK) {
		*check = (struct check){
			.keys = keys, .store = store, .options = options, .report = ret_report, .positions = positions};
		error = store->vtable->positions(store, positions, options->partition_count, note);
	}
	if (error == ERROR_OK)
		error = compare_ledger(check, sums, note);
	if (error == ERROR_OK)
		error = compare_strangers(check, note);
	if (error == ERROR_OK)
		error = look_at_suspects(check, note);
	if (error == ERROR_OK)
		error = look_again(check, note);
	if (error == ERROR_OK)
		report_differences(check);
	if (check != NULL) {
		free(check->some.items);
		free(check->suspects.items);
		free(check->differences.items);
		client_set_release(&check->seen);
	}
	free(positions);
	free(check);
	return error;
}
