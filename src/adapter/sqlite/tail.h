/* The end of the log, told by who commits to who reads in the same process, so that a reader neither polls nor waits. Any thread.
 */
#ifndef PING_ADAPTER_SQLITE_TAIL_H
#define PING_ADAPTER_SQLITE_TAIL_H

#include "base/error.h"

#include <stdint.h>

struct log_tail;

/* ERROR_NO_MEMORY. */
enum error log_tail_create(struct log_tail **ret_tail);
void log_tail_destroy(struct log_tail *tail);
/* A commit has made `position` visible. One wake at most, none when nobody waits. */
void log_tail_advance(struct log_tail *tail, int64_t position);
/* Of the newest commit of this process; POSITION_NONE (−1) before the first. */
int64_t log_tail_position(struct log_tail *tail);
/* Waits until the tail is beyond `position`, at most timeout_ms. */
void log_tail_wait(struct log_tail *tail, int64_t position, int timeout_ms);

#endif
