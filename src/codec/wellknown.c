#include "codec/wellknown.h"

#include <stdio.h>

#include "base/timestamp.h"

#define TIMESTAMP_MIN_SECONDS INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define TIMESTAMP_MAX_SECONDS INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define DURATION_MAX_SECONDS  INT64_C(315576000000)

enum { NANOS = 1000000000 };

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* What follows the point: 1 to 9 digits, as nanoseconds. Returns how many. */
static size_t read_fraction(struct slice text, int32_t *ret_nanos)
{
	size_t size = 0;
	int32_t nanos = 0, unit = NANOS;
	for (; size < text.size && size < 9 && is_digit(text.data[size]); size++) {
		unit /= 10;
		nanos += (text.data[size] - '0') * unit;
	}
	*ret_nanos = nanos;
	return size;
}

/* 0, 3, 6 or 9 digits. */
static enum error append_fraction(struct buffer *output, int32_t nanos, const char *suffix)
{
	if (nanos == 0)
		return buffer_append_string(output, suffix);
	if (nanos % 1000000 == 0)
		return buffer_append_format(output, ".%03d%s", nanos / 1000000, suffix);
	if (nanos % 1000 == 0)
		return buffer_append_format(output, ".%06d%s", nanos / 1000, suffix);
	return buffer_append_format(output, ".%09d%s", nanos, suffix);
}

enum error wellknown_parse_timestamp(struct slice text, struct wellknown_time *ret_time)
{
	int64_t ms;
	struct wellknown_time time = {0};
	enum error error = timestamp_parse(text, &ms);
	if (error != ERROR_OK)
		return error;
	time.seconds = (ms < 0 ? ms - 999 : ms) / 1000;
	const uint8_t *point = memchr(text.data, '.', text.size);
	if (point != NULL)
		read_fraction(slice_make(point + 1, (size_t)(text.data + text.size - point - 1)), &time.nanos);
	if (time.seconds < TIMESTAMP_MIN_SECONDS || time.seconds > TIMESTAMP_MAX_SECONDS)
		return ERROR_OUT_OF_RANGE;
	*ret_time = time;
	return ERROR_OK;
}

enum error wellknown_append_timestamp(struct buffer *output, struct wellknown_time time)
{
	if (time.seconds < TIMESTAMP_MIN_SECONDS || time.seconds > TIMESTAMP_MAX_SECONDS || time.nanos < 0 || time.nanos >= NANOS)
		return ERROR_OUT_OF_RANGE;
	char day[TIMESTAMP_DAY_SIZE];
	int64_t day_start_ms = timestamp_day_start_ms(time.seconds * 1000);
	int second = (int)(time.seconds - day_start_ms / 1000);
	timestamp_format_day(day_start_ms, day);
	enum error error = buffer_append_format(output, "%sT%02d:%02d:%02d", day, second / 3600, second / 60 % 60, second % 60);
	return error == ERROR_OK ? append_fraction(output, time.nanos, "Z") : error;
}

enum error wellknown_parse_duration(struct slice text, struct wellknown_time *ret_time)
{
	struct wellknown_time time = {0};
	bool negative = text.size > 0 && text.data[0] == '-';
	size_t at = negative, digits = 0;
	for (; at < text.size && is_digit(text.data[at]); at++, digits++) {
		if (time.seconds <= DURATION_MAX_SECONDS)
			time.seconds = time.seconds * 10 + (text.data[at] - '0');
	}
	if (digits > 0 && at < text.size && text.data[at] == '.') {
		at++;
		digits = read_fraction(slice_make(text.data + at, text.size - at), &time.nanos);
		at += digits;
	}
	if (digits == 0 || at + 1 != text.size || text.data[at] != 's')
		return ERROR_MALFORMED;
	if (time.seconds > DURATION_MAX_SECONDS || (time.seconds == DURATION_MAX_SECONDS && time.nanos > 0))
		return ERROR_OUT_OF_RANGE;
	if (negative)
		time = (struct wellknown_time){-time.seconds, -time.nanos};
	*ret_time = time;
	return ERROR_OK;
}

enum error wellknown_append_duration(struct buffer *output, struct wellknown_time time)
{
	bool negative = time.seconds < 0 || time.nanos < 0;
	if (time.seconds > DURATION_MAX_SECONDS || time.seconds < -DURATION_MAX_SECONDS || time.nanos <= -NANOS ||
	    time.nanos >= NANOS || (negative && (time.seconds > 0 || time.nanos > 0)) ||
	    ((time.seconds == DURATION_MAX_SECONDS || time.seconds == -DURATION_MAX_SECONDS) && time.nanos != 0))
		return ERROR_OUT_OF_RANGE;
	if (negative)
		time = (struct wellknown_time){-time.seconds, -time.nanos};
	enum error error = buffer_append_format(output, "%s%lld", negative ? "-" : "", (long long)time.seconds);
	return error == ERROR_OK ? append_fraction(output, time.nanos, "s") : error;
}

/* --- field masks --- */

static bool is_lower(uint8_t c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(uint8_t c)
{
	return c >= 'A' && c <= 'Z';
}

/* Identifiers with points between them. */
static bool is_path(struct slice text)
{
	bool begins = true;
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];
		if (c == '.' ? begins : !is_lower(c) && !is_upper(c) && c != '_' && (begins || !is_digit(c)))
			return false;
		begins = c == '.';
	}
	return !begins;
}

enum error wellknown_parse_path(struct slice text, struct arena *arena, struct slice *ret_path)
{
	if (!is_path(text) || memchr(text.data, '_', text.size) != NULL)
		return ERROR_MALFORMED;
	uint8_t *path = arena_alloc_array(arena, text.size, 2), *to = path;
	if (path == NULL)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];
		if (is_upper(c)) {
			*to++ = '_';
			c = (uint8_t)(c - 'A' + 'a');
		}
		*to++ = c;
	}
	*ret_path = slice_make(path, (size_t)(to - path));
	return ERROR_OK;
}

enum error wellknown_append_path(struct buffer *output, struct slice path)
{
	if (!is_path(path))
		return ERROR_MALFORMED;
	enum error error = ERROR_OK;
	for (size_t i = 0; i < path.size && error == ERROR_OK; i++) {
		uint8_t c = path.data[i];
		if (c == '_') {
			i++;
			if (i == path.size || !is_lower(path.data[i]))
				return ERROR_MALFORMED;
			c = (uint8_t)(path.data[i] - 'a' + 'A');
		} else if (is_upper(c)) {
			return ERROR_MALFORMED;
		}
		error = buffer_append_byte(output, c);
	}
	return error;
}
