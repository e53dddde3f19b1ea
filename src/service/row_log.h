/* Window rows in the order in which they changed, of each window only the newest row, for any number of readers.
 *
 *   add ─► [ A1 │ B1 │ C1 │ A2 ]        A1 is dead: a reader that comes from the left is given B1 C1 A2
 *                 ▲ cursor      ▲ next
 *
 * It grows up to `max_rows` that live, and to what is left of a budget that it shares with others. Full, it drops its oldest;
 * without budget or memory everything. A reader whose cursor is before what was dropped has lost rows and is told so.
 */
#ifndef PING_SERVICE_ROW_LOG_H
#define PING_SERVICE_ROW_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/row.h"

struct logged_row {
	struct window_row row;
	uint64_t number;
	bool dead;
};

struct row_log {
	struct logged_row *rows; /* ordered by number */
	size_t count, capacity;	 /* the capacity is at most twice max_rows */
	size_t living, max_rows;
	uint32_t *slots; /* index of a row + 1; 0: free. Twice the capacity: open addressing, at most half full */
	uint64_t next;	 /* the number of the next row: where a new reader begins */
	uint64_t lost;	 /* rows before this number may be gone */
	const uint8_t *hash_key;
	size_t *budget; /* bytes */
};

/* Allocates nothing yet. max_rows: a power of two, at least 16. hash_key: 16 bytes. Key and budget must outlive the log. */
void row_log_init(struct row_log *log, size_t max_rows, const uint8_t *hash_key, size_t *budget);
/* Empty, as after init, but for the numbers. */
void row_log_release(struct row_log *log);
/* Empty, and every reader has lost rows. */
void row_log_lose(struct row_log *log);
void row_log_add(struct row_log *log, const struct window_row *row);
/* Up to `max` rows from *cursor on, which moves behind them; returns how many. *ret_lost: rows before them are gone; then it
 * returns none, and the cursor stands at the end. */
size_t row_log_read(const struct row_log *log, uint64_t *cursor, struct window_row *ret_rows, size_t max, bool *ret_lost);

#endif
