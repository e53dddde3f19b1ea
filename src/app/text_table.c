#include "app/text_table.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_TABLE_MAX_COLUMNS = 16, TEXT_TABLE_MAX_CELL = 256 };

void text_table_init(struct text_table *table, struct arena *arena, const struct text_column *columns, size_t column_count)
{
	*table = (struct text_table){.arena = arena, .columns = columns, .column_count = column_count};
	if (column_count > TEXT_TABLE_MAX_COLUMNS)
		table->error = ERROR_INTERNAL;
}

static bool grow(struct text_table *table)
{
	if (table->count < table->capacity)
		return true;
	size_t capacity = table->capacity == 0 ? 64 : table->capacity * 2;
	const char **cells = arena_alloc_array(table->arena, capacity, sizeof *cells);
	if (cells == NULL)
		return false;
	if (table->count > 0)
		memcpy(cells, table->cells, table->count * sizeof *cells);
	table->cells = cells;
	table->capacity = capacity;
	return true;
}

void text_table_cell(struct text_table *table, const char *format, ...)
{
	char text[TEXT_TABLE_MAX_CELL];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (table->error != ERROR_OK)
		return;
	const uint8_t *copy = arena_copy(table->arena, slice_from_string(text)).data;
	if (copy == NULL || !grow(table)) {
		table->error = ERROR_NO_MEMORY;
		return;
	}
	table->cells[table->count++] = (const char *)copy;
}

size_t text_width(const char *text)
{
	size_t width = 0;
	for (; *text != 0; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static enum error write_cell(const struct text_table *table, size_t column, const char *text, size_t width, struct buffer *output)
{
	size_t padding = width - text_width(text);
	bool last = column + 1 == table->column_count, right = table->columns[column].right;
	int before = right ? (int)padding : 0, behind = last ? 0 : (int)(right ? 2 : padding + 2);
	return buffer_append_format(output, "%*s%s%*s%s", before, "", text, behind, "", last ? "\n" : "");
}

enum error text_table_write(const struct text_table *table, bool bold, struct buffer *output)
{
	size_t widths[TEXT_TABLE_MAX_COLUMNS], columns = table->column_count, cells = table->count - table->count % columns;
	enum error error = table->error;
	for (size_t i = 0; i < columns && error == ERROR_OK; i++)
		widths[i] = text_width(table->columns[i].title);
	for (size_t i = 0; i < cells && error == ERROR_OK; i++)
		if (text_width(table->cells[i]) > widths[i % columns])
			widths[i % columns] = text_width(table->cells[i]);
	if (bold && error == ERROR_OK)
		error = buffer_append_string(output, "\033[1m");
	for (size_t i = 0; i < columns && error == ERROR_OK; i++)
		error = write_cell(table, i, table->columns[i].title, widths[i], output);
	if (bold && error == ERROR_OK)
		error = buffer_append_string(output, "\033[0m");
	for (size_t i = 0; i < cells && error == ERROR_OK; i++)
		error = write_cell(table, i % columns, table->cells[i], widths[i % columns], output);
	return error;
}
