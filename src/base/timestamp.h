/* Times as Unix milliseconds, UTC, and the calendar around them. Proleptic Gregorian, no leap seconds (as POSIX). */
#ifndef PING_BASE_TIMESTAMP_H
#define PING_BASE_TIMESTAMP_H

#include "base/error.h"
#include "base/slice.h"

#define TIMESTAMP_MAX_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */
#define TIMESTAMP_DAY_MS INT64_C(86400000)

enum { TIMESTAMP_DAY_SIZE = 11, TIMESTAMP_TEXT_SIZE = 25 }; /* with NUL */

/* The start of the UTC day that `ms` lies in; rounds down, also before 1970. */
int64_t timestamp_day_start_ms(int64_t ms);
/* "2024-10-14". ms from year 0 to 9999. */
void timestamp_format_day(int64_t ms, char ret_text[TIMESTAMP_DAY_SIZE]);
/* "2024-10-14T15:45:31.123Z" (RFC 3339), the fraction without trailing zeros and its dot left out when 0, as Go's
 * encoding/json writes a time.Time. Returns the length. */
size_t timestamp_format(int64_t ms, char ret_text[TIMESTAMP_TEXT_SIZE]);
/* RFC 3339 with any offset and up to nine fraction digits (cut, toward the past, to ms). Second 60 is refused, as Go refuses
 * it. ERROR_MALFORMED, also where the offset leads out of the years 0 to 9999. */
enum error timestamp_parse(struct slice text, int64_t *ret_ms);
/* "2024-10-14" to the start of that day. ERROR_MALFORMED. */
enum error timestamp_parse_day(struct slice text, int64_t *ret_ms);

#endif
