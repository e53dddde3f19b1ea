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

/* `width` digits, zeros in front. */
static char *put_digits(char *to, int value, int width)
{
	for (int i = width - 1; i >= 0; i--) {
		to[i] = (char)('0' + value % 10);
		value /= 10;
	}
	return to + width;
}

static char *put_date(char *to, int64_t days)
{
	struct date date = date_from_days(days);
	to = put_digits(to, date.year, 4);
	*to++ = '-';
	to = put_digits(to, date.month, 2);
	*to++ = '-';
	return put_digits(to, date.day, 2);
}

void timestamp_format_day(int64_t ms, char ret_text[TIMESTAMP_DAY_SIZE])
{
	*put_date(ret_text, floor_divide(ms, TIMESTAMP_DAY_MS)) = 0;
}

size_t timestamp_format(int64_t ms, char ret_text[TIMESTAMP_TEXT_SIZE])
{
	int64_t days = floor_divide(ms, TIMESTAMP_DAY_MS);
	int rest = (int)(ms - days * TIMESTAMP_DAY_MS), fraction = rest % 1000;
	char *to = put_date(ret_text, days);
	*to++ = 'T';
	to = put_digits(to, rest / 3600000, 2);
	*to++ = ':';
	to = put_digits(to, rest / 60000 % 60, 2);
	*to++ = ':';
	to = put_digits(to, rest / 1000 % 60, 2);
	if (fraction != 0) {
		*to++ = '.';
		to = put_digits(to, fraction, 3);
		while (to[-1] == '0')
			to--;
	}
	*to++ = 'Z';
	*to = 0;
	return (size_t)(to - ret_text);
}

/* What is left of the text; `failed` sticks, so that a format reads as one list of its parts. */
struct reader {
	const uint8_t *next, *end;
	bool failed;
};

static int read_digits(struct reader *reader, int width, int least, int most)
{
	int value = 0;
	if (reader->end - reader->next < width) {
		reader->failed = true;
		return least;
	}
	for (int i = 0; i < width; i++) {
		unsigned digit = *reader->next++ - (unsigned)'0';
		if (digit > 9)
			reader->failed = true;
		value = value * 10 + (int)digit;
	}
	if (value < least || value > most)
		reader->failed = true;
	return reader->failed ? least : value;
}

static bool accept(struct reader *reader, char wanted)
{
	if (reader->next == reader->end || *reader->next != (uint8_t)wanted)
		return false;
	reader->next++;
	return true;
}

static void expect(struct reader *reader, char wanted)
{
	if (!accept(reader, wanted))
		reader->failed = true;
}

static int month_length(int year, int month)
{
	static const uint8_t length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return length[month - 1] + (month == 2 && leap);
}

static int64_t read_date_ms(struct reader *reader)
{
	struct date date;
	date.year = read_digits(reader, 4, 0, 9999);
	expect(reader, '-');
	date.month = read_digits(reader, 2, 1, 12);
	expect(reader, '-');
	date.day = read_digits(reader, 2, 1, month_length(date.year, date.month));
	return days_from_date(date) * TIMESTAMP_DAY_MS;
}

/* Up to nine digits, of which three count. */
static int read_fraction_ms(struct reader *reader)
{
	int value = 0, digits = 0;
	for (; reader->next < reader->end && *reader->next >= '0' && *reader->next <= '9'; reader->next++)
		if (++digits <= 3)
			value = value * 10 + (*reader->next - '0');
	if (digits < 1 || digits > 9)
		reader->failed = true;
	for (; digits < 3; digits++)
		value *= 10;
	return value;
}

static int64_t read_offset_ms(struct reader *reader)
{
	if (accept(reader, 'Z'))
		return 0;
	int sign = accept(reader, '-') ? -1 : 1;
	if (sign > 0)
		expect(reader, '+');
	int hours = read_digits(reader, 2, 0, 23);
	expect(reader, ':');
	int minutes = read_digits(reader, 2, 0, 59);
	return sign * (hours * INT64_C(3600000) + minutes * INT64_C(60000));
}

enum error timestamp_parse(struct slice text, int64_t *ret_ms)
{
	struct reader reader = {.next = text.data, .end = text.size == 0 ? text.data : text.data + text.size};
	int64_t ms = read_date_ms(&reader);
	expect(&reader, 'T');
	ms += read_digits(&reader, 2, 0, 23) * INT64_C(3600000);
	expect(&reader, ':');
	ms += read_digits(&reader, 2, 0, 59) * INT64_C(60000);
	expect(&reader, ':');
	ms += read_digits(&reader, 2, 0, 59) * INT64_C(1000);
	if (accept(&reader, '.'))
		ms += read_fraction_ms(&reader);
	ms -= read_offset_ms(&reader);
	if (reader.failed || reader.next != reader.end || ms < TIMESTAMP_MIN_MS || ms > TIMESTAMP_MAX_MS)
		return ERROR_MALFORMED;
	*ret_ms = ms;
	return ERROR_OK;
}

enum error timestamp_parse_day(struct slice text, int64_t *ret_ms)
{
	struct reader reader = {.next = text.data, .end = text.size == 0 ? text.data : text.data + text.size};
	int64_t ms = read_date_ms(&reader);
	if (reader.failed || reader.next != reader.end)
		return ERROR_MALFORMED;
	*ret_ms = ms;
	return ERROR_OK;
}
