/* Times, spans and counts as people write and read them. */
#ifndef PING_APP_TEXT_TIME_H
#define PING_APP_TEXT_TIME_H

#include "base/error.h"

#include <stdint.h>

enum { TEXT_TIME_SIZE = 40, TEXT_SPAN_SIZE = 24, TEXT_COUNT_SIZE = 32 };

/* Unix milliseconds; RFC 3339; a date (its UTC day's start); `now`; `-1h`, `+5m` from now. MALFORMED. */
enum error text_time_parse(const char *text, int64_t now_ms, int64_t *ret_ms);
/* Whether text_time_parse would take it. */
bool text_time_is_valid(const char *text);

/* "2024-10-14 15:45", ":31" and ".123" with it where asked; in UTC or local time. */
enum text_time_detail { TEXT_TIME_MINUTES, TEXT_TIME_SECONDS, TEXT_TIME_MILLISECONDS };
void text_time_format(int64_t ms, bool utc, enum text_time_detail detail, char ret_text[TEXT_TIME_SIZE]);
/* The hour and the minute of the day. */
void text_time_clock(int64_t ms, bool utc, unsigned *ret_hour, unsigned *ret_minute);
/* "UTC", or how local time is called at `ms`. */
void text_time_zone(int64_t ms, bool utc, char ret_text[TEXT_TIME_SIZE]);

/* "850 ms", "4.2 s", "5.0 min", "1.3 h", "3.5 d". */
void text_span_format(double ms, char ret_text[TEXT_SPAN_SIZE]);
/* "1,234,567". */
void text_count_format(int64_t count, char ret_text[TEXT_COUNT_SIZE]);

#endif
