/* A table for people: cells are added row by row, columns are as wide as their widest cell.
 *
 *   client        pings   last ping
 *   203.0.113.7   1,234   2024-10-14 15:45:31
 */
#ifndef PING_APP_TEXT_TABLE_H
#define PING_APP_TEXT_TABLE_H

#include "base/arena.h"
#include "base/buffer.h"

struct text_column {
	const char *title;
	bool right; /* aligned: numbers */
};

struct text_table {
	struct arena *arena;
	const struct text_column *columns;
	size_t column_count;
	const char **cells;
	size_t count, capacity; /* cells */
	enum error error;	/* the first; later cells are dropped */
};

/* columns must outlive the table; cells lie in the arena. */
void text_table_init(struct text_table *table, struct arena *arena, const struct text_column *columns, size_t column_count);
/* The next cell, from left to right, row after row. */
void text_table_cell(struct text_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* bold: titles in bold, for terminals. Rows that are not full are not written. */
enum error text_table_write(const struct text_table *table, bool bold, struct buffer *output);
/* Columns on a terminal: code points (all that is shown here is one wide). */
size_t text_width(const char *text);

#endif
