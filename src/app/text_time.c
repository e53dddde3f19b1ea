#include "app/text_time.h"

#include "base/settings.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static enum error parse_relative(const char *text, int64_t now_ms, int64_t *ret_ms)
{
	int64_t span;
	if (settings_parse_duration(text + 1, &span) != ERROR_OK)
		return ERROR_MALFORMED;
	int64_t ms;
	bool overflow = *text == '-' ? __builtin_sub_overflow(now_ms, span, &ms) : __builtin_add_overflow(now_ms, span, &ms);
	if (overflow)
		return ERROR_MALFORMED;
	*ret_ms = ms;
	return ERROR_OK;
}

static enum error parse_ms(const char *text, int64_t *ret_ms)
{
	int64_t ms = 0;
	for (; *text != 0; text++)
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(ms, 10, &ms) ||
		    __builtin_add_overflow(ms, *text - '0', &ms))
			return ERROR_MALFORMED;
	*ret_ms = ms;
	return ERROR_OK;
}

enum error text_time_parse(const char *text, int64_t now_ms, int64_t *ret_ms)
{
	struct slice slice = slice_from_string(text);
	if (strcmp(text, "now") == 0) {
		*ret_ms = now_ms;
		return ERROR_OK;
	}
	if (*text == '-' || *text == '+')
		return parse_relative(text, now_ms, ret_ms);
	if (*text == 0)
		return ERROR_MALFORMED;
	if (strspn(text, "0123456789") == slice.size)
		return parse_ms(text, ret_ms);
	if (timestamp_parse_day(slice, ret_ms) == ERROR_OK)
		return ERROR_OK;
	return timestamp_parse(slice, ret_ms);
}

bool text_time_is_valid(const char *text)
{
	int64_t ms;
	return text_time_parse(text, 0, &ms) == ERROR_OK;
}

static struct tm split(int64_t ms, bool utc)
{
	time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0));
	struct tm parts = {0};
	if (utc)
		gmtime_r(&seconds, &parts);
	else
		localtime_r(&seconds, &parts);
	return parts;
}

void text_time_format(int64_t ms, bool utc, enum text_time_detail detail, char ret_text[TEXT_TIME_SIZE])
{
	struct tm parts = split(ms, utc);
	size_t length =
		strftime(ret_text, TEXT_TIME_SIZE, detail == TEXT_TIME_MINUTES ? "%Y-%m-%d %H:%M" : "%Y-%m-%d %H:%M:%S", &parts);
	if (detail == TEXT_TIME_MILLISECONDS)
		snprintf(ret_text + length, TEXT_TIME_SIZE - length, ".%03d", (int)((ms % 1000 + 1000) % 1000));
}

void text_time_clock(int64_t ms, bool utc, unsigned *ret_hour, unsigned *ret_minute)
{
	struct tm parts = split(ms, utc);
	*ret_hour = (unsigned)parts.tm_hour;
	*ret_minute = (unsigned)parts.tm_min;
}

void text_time_zone(int64_t ms, bool utc, char ret_text[TEXT_TIME_SIZE])
{
	struct tm parts = split(ms, utc);
	if (utc)
		snprintf(ret_text, TEXT_TIME_SIZE, "UTC");
	else
		strftime(ret_text, TEXT_TIME_SIZE, "%Z", &parts);
}

void text_span_format(double ms, char ret_text[TEXT_SPAN_SIZE])
{
	static const struct {
		double least, unit;
		const char *name;
	} units[] = {{86400000 * 2.0, 86400000, "d"}, {3600000, 3600000, "h"}, {60000, 60000, "min"}, {1000, 1000, "s"}};
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (ms >= units[i].least) {
			snprintf(ret_text, TEXT_SPAN_SIZE, "%.1f %s", ms / units[i].unit, units[i].name);
			return;
		}
	snprintf(ret_text, TEXT_SPAN_SIZE, "%.0f ms", ms);
}

void text_count_format(int64_t count, char ret_text[TEXT_COUNT_SIZE])
{
	char digits[24];
	int length = snprintf(digits, sizeof digits, "%" PRId64, count);
	size_t used = 0;
	for (int i = 0; i < length; i++) {
		ret_text[used++] = digits[i];
		int behind = length - 1 - i;
		if (behind > 0 && behind % 3 == 0 && digits[i] != '-')
			ret_text[used++] = ',';
	}
	ret_text[used] = 0;
}
