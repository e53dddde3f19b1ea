#include "base/timestamp.h"

#define TIMESTAMP_MIN_MS INT64_C(-62167219200000) /* 0000-01-01T00:00:00Z */

struct date {
	int year, month, day;
};

static int64_t floor_divide(int64_t value, int64_t by)
{
	return value / by - (value % by < 0);
}

/* Days since 1970-01-01, both ways, over 400-year eras of 146097 days in years that begin on 1 March (Howard Hinnant,
 * "chrono-Compatible Low-Level Date Algorithms"). */
static int64_t days_from_date(struct date date)
{
	int64_t year = date.month <= 2 ? date.year - 1 : date.year;
	int64_t era = floor_divide(year, 400);
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * ((date.month + 9) % 12) + 2) / 5 + date.day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

static struct date date_from_days(int64_t days)
{
	days += 719468;
	int64_t era = floor_divide(days, 146097);
	int day_of_era = (int)(days - era * 146097);
	int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int month_from_march = (5 * day_of_year + 2) / 153;
	struct date date = {
		.year = (int)(era * 400) + year_of_era,
		.month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9,
		.day = day_of_year - (153 * month_from_march + 2) / 5 + 1,
	};
	date.year += date.month <= 2;
	return date;
}

int64_t timestamp_day_start_ms(int64_t ms)
{
	return floor_divide(ms, TIMESTAMP_DAY_MS) * TIMESTAMP_DAY_MS;
}

static char *put_two(char *to, unsigned value)
{
	to[0] = (char)('0' + value / 10);
	to[1] = (char)('0' + value % 10);
	return to + 2;
}

static char *put_date(char *to, int64_t days)
{
	struct date date = date_from_days(days);
	to = put_two(to, (unsigned)date.year / 100);
	to = put_two(to, (unsigned)date.year % 100);
	*to++ = '-';
	to = put_two(to, (unsigned)date.month);
	*to++ = '-';
	return put_two(to, (unsigned)date.day);
}

void timestamp_format_day(int64_t ms, char ret_text[TIMESTAMP_DAY_SIZE])
{
	*put_date(ret_text, floor_divide(ms, TIMESTAMP_DAY_MS)) = 0;
}

size_t timestamp_format(int64_t ms, char ret_text[TIMESTAMP_TEXT_SIZE])
{
	int64_t days = floor_divide(ms, TIMESTAMP_DAY_MS);
	unsigned rest = (unsigned)(ms - days * TIMESTAMP_DAY_MS), fraction = rest % 1000;
	char *to = put_date(ret_text, days);
	*to++ = 'T';
	to = put_two(to, rest / 3600000);
	*to++ = ':';
	to = put_two(to, rest / 60000 % 60);
	*to++ = ':';
	to = put_two(to, rest / 1000 % 60);
	if (fraction != 0) {
		*to++ = '.';
		to = put_two(to, fraction / 10);
		*to++ = (char)('0' + fraction % 10);
		while (to[-1] == '0')
			to--;
	}
	*to++ = 'Z';
	*to = 0;
	return (size_t)(to - ret_text);
}

static bool is_digit(uint8_t byte)
{
	return byte - (unsigned)'0' <= 9;
}

enum { NOT_DIGITS = 100000 }; /* greater than any limit, alone and as half of a year */

/* 0 to 99, or NOT_DIGITS. */
static int two_digits(const uint8_t *at)
{
	return is_digit(at[0]) && is_digit(at[1]) ? (at[0] - '0') * 10 + (at[1] - '0') : NOT_DIGITS;
}

static int month_length(int year, int month)
{
	static const uint8_t length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return length[month - 1] + (month == 2 && leap);
}

/* "2024-10-14" */
static bool parse_date(const uint8_t *at, int64_t *ret_ms)
{
	struct date date = {two_digits(at) * 100 + two_digits(at + 2), two_digits(at + 5), two_digits(at + 8)};
	if (date.year > 9999 || at[4] != '-' || date.month < 1 || date.month > 12 || at[7] != '-' || date.day < 1 ||
	    date.day > month_length(date.year, date.month))
		return false;
	*ret_ms = days_from_date(date) * TIMESTAMP_DAY_MS;
	return true;
}

/* "T15:45:31" */
static bool parse_time(const uint8_t *at, int64_t *ret_ms)
{
	int hour = two_digits(at + 1), minute = two_digits(at + 4), second = two_digits(at + 7);
	if (at[0] != 'T' || hour > 23 || at[3] != ':' || minute > 59 || at[6] != ':' || second > 59)
		return false;
	*ret_ms = ((hour * 60 + minute) * 60 + second) * INT64_C(1000);
	return true;
}

/* ".123", one to nine digits, of which three count; nothing is 0. Returns what is behind, NULL if malformed. */
static const uint8_t *parse_fraction(const uint8_t *at, const uint8_t *end, int64_t *ret_ms)
{
	int value = 0, digits = 0;
	*ret_ms = 0;
	if (at == end || *at != '.')
		return at;
	for (at++; at < end && is_digit(*at); at++)
		if (++digits <= 3)
			value = value * 10 + (*at - '0');
	for (int i = digits; i < 3; i++)
		value *= 10;
	*ret_ms = value;
	return digits >= 1 && digits <= 9 ? at : NULL;
}

/* "Z" or "+02:00", and nothing behind. */
static bool parse_offset(const uint8_t *at, const uint8_t *end, int64_t *ret_ms)
{
	*ret_ms = 0;
	if (end - at == 1)
		return *at == 'Z';
	if (end - at != 6 || (at[0] != '+' && at[0] != '-') || at[3] != ':')
		return false;
	int hours = two_digits(at + 1), minutes = two_digits(at + 4);
	*ret_ms = (hours * 60 + minutes) * (at[0] == '-' ? INT64_C(-60000) : INT64_C(60000));
	return hours <= 23 && minutes <= 59;
}

enum error timestamp_parse(struct slice text, int64_t *ret_ms)
{
	enum { DATE_SIZE = 10, FRACTION_AT = 19 };
	int64_t date_ms, time_ms, fraction_ms, offset_ms;
	if (text.size <= FRACTION_AT || !parse_date(text.data, &date_ms) || !parse_time(text.data + DATE_SIZE, &time_ms))
		return ERROR_MALFORMED;
	const uint8_t *end = text.data + text.size, *offset = parse_fraction(text.data + FRACTION_AT, end, &fraction_ms);
	if (offset == NULL || !parse_offset(offset, end, &offset_ms))
		return ERROR_MALFORMED;
	int64_t ms = date_ms + time_ms + fraction_ms - offset_ms;
	if (ms < TIMESTAMP_MIN_MS || ms > TIMESTAMP_MAX_MS)
		return ERROR_MALFORMED;
	*ret_ms = ms;
	return ERROR_OK;
}

enum error timestamp_parse_day(struct slice text, int64_t *ret_ms)
{
	return text.size == TIMESTAMP_DAY_SIZE - 1 && parse_date(text.data, ret_ms) ? ERROR_OK : ERROR_MALFORMED;
}
