/* The 288 windows of 24 hours as bars, six hours a row, with the hours beneath.
 *
 *   ▁▁▃▂ ▁▁▅█▂▁
 *     15          16          17
 */
#ifndef PING_APP_SPARKLINE_H
#define PING_APP_SPARKLINE_H

#include "base/buffer.h"

enum { SPARKLINE_ROW = 72 };

/* Bars are scaled to the greatest count; a window with any ping at all has a bar, one without is blank. start_ms is that of the
 * first window, window_ms its length. unicode false: bars of ASCII characters. utc: which hours. */
enum error sparkline_write(const int64_t *counts, size_t count, int64_t start_ms, int64_t window_ms, bool unicode, bool utc,
			   struct buffer *output);

#endif
