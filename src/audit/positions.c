#include "audit/positions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	DEFAULT_MAX_SUSPECTS = 65536,
	MAX_SLOTS = 10000,
	/* An id is made a little after its ping was received: by what it waited for a batch, or, of one who went on counting from
	 * a later id, by what clocks are apart. */
	ID_LATE_MS = 3600000,
};

/* What is wrong, and where. A row that moved meanwhile is another difference. */
struct difference {
	enum positions_kind kind;
	int32_t partition;
	int64_t position;
	struct uuid id;
};

struct suspects {
	struct difference *items; /* in the order of compare_differences once the first look is over */
	size_t count, max;
	bool overflow; /* the first look found more */
};

/* A partition's event that is looked at. */
struct head {
	bool present, ended, matched; /* matched: by a row */
	struct log_place place;
};

struct look {
	const struct positions_options *options;
	struct ledger_positions *ledger;
	struct log_positions *log;
	struct suspects *suspects;
	bool second;
	struct positions_report *report;
	struct difference *examples; /* room for POSITIONS_MAX_EXAMPLES */
	struct error_note *note;

	int32_t partition_count;
	int64_t *published; /* by slot; room for MAX_SLOTS */
	size_t slot_count;
	struct log_bounds *before, *bounds; /* by partition: before the snapshot, and after it */
	struct head *heads;
	int64_t last_position;
	bool last_without;
	int64_t dropped_until_ms; /* rows received before are no longer there */
};

const char *positions_kind_name(enum positions_kind kind)
{
	static const char *const names[] = {"rows without events", "events without rows"};
	return names[kind];
}

int64_t positions_differences(const struct positions_report *report)
{
	return report->kinds[POSITIONS_ROWS].differences + report->kinds[POSITIONS_EVENTS].differences;
}

/* ─── What to make of a difference ──────────────────────────────────────────────────────────────────────────────────── */

static int compare_differences(const void *left, const void *right)
{
	const struct difference *a = left, *b = right;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->partition != b->partition)
		return a->partition < b->partition ? -1 : 1;
	if (a->position != b->position)
		return a->position < b->position ? -1 : 1;
	return memcmp(a->id.bytes, b->id.bytes, sizeof a->id.bytes);
}

static enum error remember(struct suspects *suspects, const struct difference *difference)
{
	if (suspects->count == suspects->max) {
		suspects->overflow = true;
		return ERROR_OK;
	}
	/* Doubles at every power of two. */
	if ((suspects->count & (suspects->count - 1)) == 0) {
		size_t capacity = suspects->count == 0 ? 1 : suspects->count * 2;
		struct difference *items = realloc(suspects->items, capacity * sizeof *items);
		if (items == NULL)
			return ERROR_NO_MEMORY;
		suspects->items = items;
	}
	suspects->items[suspects->count++] = *difference;
	return ERROR_OK;
}

/* Whether the first look found it too. */
static bool confirmed(const struct suspects *suspects, const struct difference *difference)
{
	return suspects->overflow || (suspects->count > 0 && bsearch(difference, suspects->items, suspects->count,
								     sizeof *difference, compare_differences) != NULL);
}

static enum error differ(struct look *look, const struct difference *difference)
{
	struct positions_report *report = look->report;
	if (look->second && !confirmed(look->suspects, difference))
		return ERROR_OK;
	report->kinds[difference->kind].differences++;
	if (!look->second)
		return remember(look->suspects, difference);
	size_t max = look->options->max_examples < POSITIONS_MAX_EXAMPLES ? look->options->max_examples : POSITIONS_MAX_EXAMPLES;
	if (report->example_count < max)
		look->examples[report->example_count++] = *difference;
	return ERROR_OK;
}

/* ─── Events ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* No further row can be at the head's position. */
static enum error leave(struct look *look, int32_t partition)
{
	struct head *head = &look->heads[partition];
	head->present = false;
	if (!head->place.has_id) {
		look->report->others_events++;
		return ERROR_OK;
	}
	/* Its row may have been committed after the snapshot: too new to tell. */
	if (!head->matched && head->place.position >= look->before[partition].shown_end)
		return ERROR_OK;
	if (!head->matched && uuid_unix_ms(&head->place.id) < look->dropped_until_ms) {
		look->report->dropped++;
		return ERROR_OK;
	}
	look->report->kinds[POSITIONS_EVENTS].checked++;
	struct difference difference = {POSITIONS_EVENTS, partition, head->place.position, head->place.id};
	return head->matched ? ERROR_OK : differ(look, &difference);
}

static enum error read_head(struct look *look, int32_t partition)
{
	struct head *head = &look->heads[partition];
	int64_t last = head->place.position;
	enum error error = look->log->vtable->next(look->log, partition, &head->place, look->note);
	head->ended = error == ERROR_END;
	if (error != ERROR_OK)
		return head->ended ? ERROR_OK : error;
	head->present = true;
	head->matched = false;
	return head->place.position > last
		       ? ERROR_OK
		       : error_noted(look->note, ERROR_INTERNAL, "partition %d of the log is not in order", (int)partition);
}

/* Until the partition's head is at `position` or behind it. */
static enum error advance(struct look *look, int32_t partition, int64_t position)
{
	struct head *head = &look->heads[partition];
	enum error error = ERROR_OK;
	while (error == ERROR_OK && !head->ended && (!head->present || head->place.position < position)) {
		if (head->present)
			error = leave(look, partition);
		if (error == ERROR_OK)
			error = read_head(look, partition);
	}
	return error;
}

/* ─── Rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_pending(const struct look *look, const struct position_row *row)
{
	return row->slot >= 0 && ((size_t)row->slot >= look->slot_count || row->batch > look->published[row->slot]);
}

static enum error check_row(struct look *look, const struct position_row *row)
{
	int32_t partition = look->log->vtable->partition_of(look->log, &row->client);
	const struct log_bounds *bounds = &look->bounds[partition];
	struct head *head = &look->heads[partition];
	enum error error = row->position < 0 ? ERROR_OK : advance(look, partition, row->position);
	if (error != ERROR_OK)
		return error;
	bool there = head->present && head->place.position == row->position && head->place.has_id &&
		     memcmp(head->place.id.bytes, row->id.bytes, sizeof row->id.bytes) == 0;
	bool hidden = row->position >= bounds->shown_end && row->position < bounds->end;
	struct positions_report *report = look->report;
	if (there) {
		head->matched = true;
		report->kinds[POSITIONS_ROWS].checked++;
	} else if (is_pending(look, row) || hidden) {
		report->pending++;
	} else if (row->position >= 0 && row->position < bounds->start) {
		report->gone++;
	} else {
		struct difference difference = {POSITIONS_ROWS, partition, row->position, row->id};
		report->kinds[POSITIONS_ROWS].checked++;
		error = differ(look, &difference);
	}
	return error;
}

static enum error check_order(struct look *look, const struct position_row *row)
{
	bool without = row->position < 0;
	if (without ? false : look->last_without || row->position < look->last_position)
		return error_noted(look->note, ERROR_INTERNAL, "the ledger's rows are not in order");
	look->last_without = without;
	look->last_position = row->position;
	return ERROR_OK;
}

static enum error merge(struct look *look)
{
	const struct position_row *rows;
	size_t count;
	enum error error;
	while ((error = look->ledger->vtable->next(look->ledger, &rows, &count, look->note)) == ERROR_OK && count > 0) {
		for (size_t i = 0; i < count && error == ERROR_OK; i++) {
			error = check_order(look, &rows[i]);
			if (error == ERROR_OK)
				error = check_row(look, &rows[i]);
		}
		if (error != ERROR_OK)
			return error;
	}
	for (int32_t partition = 0; partition < look->partition_count && error == ERROR_OK; partition++)
		error = advance(look, partition, INT64_MAX);
	return error;
}

/* ─── A look ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error read_published(struct look *look)
{
	int32_t *slots = calloc(MAX_SLOTS, sizeof *slots);
	size_t count = 0;
	enum error error =
		slots == NULL ? ERROR_NO_MEMORY : look->ledger->vtable->slots(look->ledger, slots, MAX_SLOTS, &count, look->note);
	look->slot_count = 0;
	for (size_t i = 0; i < MAX_SLOTS; i++)
		look->published[i] = -1;
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		if (slots[i] < 0 || slots[i] >= MAX_SLOTS)
			continue;
		if ((size_t)slots[i] >= look->slot_count)
			look->slot_count = (size_t)slots[i] + 1;
		error = look->log->vtable->published(look->log, slots[i], &look->published[slots[i]], look->note);
		if (error == ERROR_NOT_FOUND)
			error = ERROR_OK;
	}
	free(slots);
	return error;
}

static enum error begin_snapshot(struct look *look)
{
	int64_t from = INT64_MAX;
	for (int32_t partition = 0; partition < look->partition_count; partition++)
		if (look->before[partition].start < from)
			from = look->before[partition].start;
	struct position_apart apart;
	enum error error = look->ledger->vtable->begin(look->ledger, from, look->published, look->slot_count, &apart, look->note);
	if (error == ERROR_OK) {
		look->report->others_rows = apart.others;
		look->report->gone = apart.gone;
		look->dropped_until_ms = apart.dropped_until_ms == 0 ? 0 : apart.dropped_until_ms + ID_LATE_MS;
	}
	return error;
}

static enum error look_through(struct look *look)
{
	struct log_positions *log = look->log;
	enum error error = read_published(look);
	if (error == ERROR_OK)
		error = log->vtable->bounds(log, look->before, look->note);
	if (error == ERROR_OK)
		error = begin_snapshot(look);
	if (error == ERROR_OK)
		error = log->vtable->bounds(log, look->bounds, look->note);
	if (error == ERROR_OK)
		error = log->vtable->begin(log, look->bounds, look->note);
	if (error == ERROR_OK)
		error = merge(look);
	log->vtable->end(log);
	look->ledger->vtable->end(look->ledger);
	return error;
}

static enum error look_once(struct look *look)
{
	look->partition_count = look->log->vtable->partition_count(look->log);
	look->last_position = INT64_MIN;
	size_t count = (size_t)look->partition_count;
	look->published = calloc(MAX_SLOTS, sizeof *look->published);
	look->before = calloc(count, sizeof *look->before);
	look->bounds = calloc(count, sizeof *look->bounds);
	look->heads = calloc(count, sizeof *look->heads);
	bool ok = look->published != NULL && look->before != NULL && look->bounds != NULL && look->heads != NULL;
	for (size_t i = 0; i < count && ok; i++)
		look->heads[i].place.position = -1;
	enum error error = ok ? look_through(look) : ERROR_NO_MEMORY;
	free(look->published);
	free(look->before);
	free(look->bounds);
	free(look->heads);
	return error;
}

/* ─── Examples ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void describe_place(int32_t partition, int64_t position, char *ret_text, size_t size)
{
	if (position < 0)
		snprintf(ret_text, size, "no position");
	else
		snprintf(ret_text, size, "position %" PRId64 " (partition %d, offset %" PRId64 ")", position, (int)partition,
			 position_offset(position));
}

static void describe_batch(const struct position_row *row, char *ret_text, size_t size)
{
	if (row->slot < 0)
		snprintf(ret_text, size, "of no batch");
	else
		snprintf(ret_text, size, "of batch %" PRId64 " of slot %d", row->batch, (int)row->slot);
}

/* `row`: as it is now; NULL: there is none. */
static void describe(const struct look *look, const struct difference *difference, const struct position_row *row, char *ret_text,
		     size_t size)
{
	char id[UUID_TEXT_SIZE], place[96], now[96] = "", batch[64] = "", client[ADDRESS_TEXT_SIZE];
	uuid_format(&difference->id, id);
	describe_place(difference->partition, difference->position, place, sizeof place);
	if (row != NULL) {
		int32_t partition = look->log->vtable->partition_of(look->log, &row->client);
		describe_place(partition, row->position, now, sizeof now);
		describe_batch(row, batch, sizeof batch);
		const struct address none = {{0}};
		if (address_equal(&row->client, &none))
			snprintf(client, sizeof client, "(none)");
		else
			address_format(&row->client, client);
	}
	if (difference->kind == POSITIONS_EVENTS && row == NULL)
		snprintf(ret_text, size, "event %s at %s: no row has this id", id, place);
	else if (difference->kind == POSITIONS_EVENTS)
		snprintf(ret_text, size, "event %s at %s: its row, client %s, %s, has %s", id, place, client, batch, now);
	else if (row == NULL)
		snprintf(ret_text, size, "row %s with %s: no such event there (and the row is gone now)", id, place);
	else
		snprintf(ret_text, size, "row %s, client %s, %s, with %s: no such event there", id, client, batch, place);
}

static enum error describe_examples(struct look *look)
{
	for (size_t i = 0; i < look->report->example_count; i++) {
		const struct difference *difference = &look->examples[i];
		struct positions_example *example = &look->report->examples[i];
		struct position_row row;
		enum error error = look->ledger->vtable->find(look->ledger, &difference->id, &row, look->note);
		if (error != ERROR_OK && error != ERROR_NOT_FOUND)
			return error;
		example->kind = difference->kind;
		describe(look, difference, error == ERROR_OK ? &row : NULL, example->text, sizeof example->text);
	}
	return ERROR_OK;
}

static enum error look_twice(struct look look)
{
	enum error error = look_once(&look);
	if (error != ERROR_OK || positions_differences(look.report) == 0)
		return error;
	qsort(look.suspects->items, look.suspects->count, sizeof *look.suspects->items, compare_differences);
	if (look.options->pause != NULL)
		look.options->pause(look.options->context);
	*look.report = (struct positions_report){0};
	look.second = true;
	look.last_without = false;
	error = look_once(&look);
	return error == ERROR_OK ? describe_examples(&look) : error;
}

enum error positions_audit(struct ledger_positions *ledger, struct log_positions *log, const struct positions_options *options,
			   struct positions_report *ret_report, struct error_note *note)
{
	struct suspects suspects = {.max = options->max_suspects != 0 ? options->max_suspects : DEFAULT_MAX_SUSPECTS};
	struct look look = {.options = options,
			    .ledger = ledger,
			    .log = log,
			    .suspects = &suspects,
			    .report = calloc(1, sizeof *look.report),
			    .examples = calloc(POSITIONS_MAX_EXAMPLES, sizeof *look.examples),
			    .note = note};
	enum error error = look.report == NULL || look.examples == NULL ? ERROR_NO_MEMORY : look_twice(look);
	if (error == ERROR_OK)
		*ret_report = *look.report;
	free(suspects.items);
	free(look.examples);
	free(look.report);
	return error;
}
