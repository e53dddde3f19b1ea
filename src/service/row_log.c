#include "service/row_log.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROWS = 16, SLOTS_PER_ROW = 2, BYTES_PER_ROW = sizeof(struct logged_row) + SLOTS_PER_ROW * sizeof(uint32_t) };

void row_log_init(struct row_log *log, size_t max_rows, const uint8_t *hash_key, size_t *budget)
{
	*log = (struct row_log){.max_rows = max_rows, .hash_key = hash_key, .budget = budget};
}

void row_log_release(struct row_log *log)
{
	free(log->rows);
	free(log->slots);
	*log->budget += log->capacity * BYTES_PER_ROW;
	log->rows = NULL;
	log->slots = NULL;
	log->count = log->living = log->capacity = 0;
}

/* The window's slot, or the free one where it would go. */
static uint32_t *find_slot(const struct row_log *log, const struct window_row *row)
{
	uint8_t key[24];
	memcpy(key, row->client.bytes, 16);
	memcpy(key + 16, &row->start_ms, 8);
	size_t mask = log->capacity * SLOTS_PER_ROW - 1;
	size_t at = hash_keyed(log->hash_key, key, sizeof key) & mask;
	for (;; at = (at + 1) & mask) {
		uint32_t index = log->slots[at];
		if (index == 0)
			break;
		const struct window_row *there = &log->rows[index - 1].row;
		if (there->start_ms == row->start_ms && address_equal(&there->client, &row->client))
			break;
	}
	return &log->slots[at];
}

/* Without the dead, and without the first `dropped` of the living. */
static void compact(struct row_log *log, size_t dropped)
{
	size_t kept = 0;
	for (size_t i = 0; i < log->count; i++) {
		if (log->rows[i].dead)
			continue;
		if (dropped > 0) {
			dropped--;
			log->lost = log->rows[i].number + 1;
			continue;
		}
		log->rows[kept++] = log->rows[i];
	}
	log->count = log->living = kept;
	memset(log->slots, 0, log->capacity * SLOTS_PER_ROW * sizeof *log->slots);
	for (size_t i = 0; i < kept; i++)
		*find_slot(log, &log->rows[i].row) = (uint32_t)(i + 1);
}

static bool grow(struct row_log *log)
{
	size_t capacity = log->capacity == 0 ? FIRST_ROWS : log->capacity * 2;
	size_t bytes = (capacity - log->capacity) * BYTES_PER_ROW;
	uint32_t *slots = bytes > *log->budget ? NULL : malloc(capacity * SLOTS_PER_ROW * sizeof *slots);
	struct logged_row *rows = slots == NULL ? NULL : realloc(log->rows, capacity * sizeof *rows);
	if (rows == NULL) {
		free(slots);
		return false;
	}
	free(log->slots);
	*log->budget -= bytes;
	log->rows = rows;
	log->slots = slots;
	log->capacity = capacity;
	compact(log, 0);
	return true;
}

/* Each costs as many steps as there are rows, and is due again only after a share of as many more were added. */
static bool make_room(struct row_log *log)
{
	if (log->living == log->max_rows)
		compact(log, log->max_rows / 4);
	if (log->count < log->capacity)
		return true;
	if (log->living > log->capacity / 2 || log->capacity == 0)
		return grow(log);
	compact(log, 0);
	return true;
}

static void drop_all(struct row_log *log)
{
	row_log_release(log);
	log->lost = log->next;
}

void row_log_lose(struct row_log *log)
{
	log->next++; /* as if by a row that nobody was given */
	drop_all(log);
}

void row_log_add(struct row_log *log, const struct window_row *row)
{
	uint64_t number = log->next++;
	uint32_t *slot = log->capacity == 0 ? NULL : find_slot(log, row);
	if (slot != NULL && *slot != 0 && !log->rows[*slot - 1].dead) {
		log->rows[*slot - 1].dead = true;
		log->living--;
	}
	if (!make_room(log)) {
		drop_all(log);
		return;
	}
	slot = find_slot(log, row);
	log->rows[log->count++] = (struct logged_row){.row = *row, .number = number};
	*slot = (uint32_t)log->count;
	log->living++;
}

/* The first row whose number is not before it. */
static size_t find_number(const struct row_log *log, uint64_t number)
{
	size_t low = 0, high = log->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (log->rows[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t row_log_read(const struct row_log *log, uint64_t *cursor, struct window_row *ret_rows, size_t max, bool *ret_lost)
{
	*ret_lost = *cursor < log->lost;
	if (*ret_lost)
		*cursor = log->next;
	size_t count = 0, at = find_number(log, *cursor);
	for (; at < log->count && count < max; at++) {
		*cursor = log->rows[at].number + 1;
		if (!log->rows[at].dead)
			ret_rows[count++] = log->rows[at].row;
	}
	return count;
}
