#include "app/sparkline.h"

#include "app/text_time.h"

#include <stdio.h>

static const char *const unicode_bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const ascii_bars[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};

/* 0 for none, else 1 to 8, rounded up. */
static size_t bar_height(int64_t count, int64_t most)
{
	return count <= 0 ? 0 : (size_t)(((double)count * 8 + (double)most - 1) / (double)most);
}

static enum error write_bars(const int64_t *counts, size_t count, int64_t most, bool unicode, struct buffer *output)
{
	enum error error = ERROR_OK;
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		size_t height = bar_height(counts[i], most);
		error = buffer_append_string(output, (unicode ? unicode_bars : ascii_bars)[height > 8 ? 8 : height]);
	}
	return error == ERROR_OK ? buffer_append_byte(output, '\n') : error;
}

/* The hour, under the window that begins with it. */
static enum error write_hours(size_t count, int64_t start_ms, int64_t window_ms, bool utc, struct buffer *output)
{
	char line[SPARKLINE_ROW + 4];
	memset(line, ' ', sizeof line);
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		unsigned hour, minute;
		text_time_clock(start_ms + (int64_t)i * window_ms, utc, &hour, &minute);
		if (minute != 0)
			continue;
		line[i] = (char)('0' + hour / 10);
		line[i + 1] = (char)('0' + hour % 10);
		used = i + 2;
	}
	line[used] = '\n';
	return buffer_append(output, line, used + 1);
}

enum error sparkline_write(const int64_t *counts, size_t count, int64_t start_ms, int64_t window_ms, bool unicode, bool utc,
			   struct buffer *output)
{
	int64_t most = 1;
	for (size_t i = 0; i < count; i++)
		if (counts[i] > most)
			most = counts[i];
	enum error error = ERROR_OK;
	for (size_t i = 0; i < count && error == ERROR_OK; i += SPARKLINE_ROW) {
		size_t row = count - i < SPARKLINE_ROW ? count - i : SPARKLINE_ROW;
		error = write_bars(counts + i, row, most, unicode, output);
		if (error == ERROR_OK)
			error = write_hours(row, start_ms + (int64_t)i * window_ms, window_ms, utc, output);
	}
	return error;
}
