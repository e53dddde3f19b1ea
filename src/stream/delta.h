/* What has come into a partition's windows since a position: counts, first and last ping by (client, window). So what the ledger
 * had up to that position and what was applied behind it make the row as it is now, however long the ledger took to answer.
 *
 *   ledger up to the base ──┐
 *   events behind it ─ add ─┴─► the row at the partition's position
 */
#ifndef PING_STREAM_DELTA_H
#define PING_STREAM_DELTA_H

#include "engine/engine.h"

struct delta;

/* max_windows: more are not kept (0: 1,000,000, 80 MB). hash_key: random. NO_MEMORY. */
enum error delta_create(size_t max_windows, const uint8_t hash_key[16], struct delta **ret_delta);
/* NULL: nothing. */
void delta_destroy(struct delta *delta);
/* Of nothing yet, since `position`. */
void delta_reset(struct delta *delta, int64_t position);
/* Events at or before one that was added are left out: they were read twice. */
void delta_add(struct delta *delta, const struct engine_event *events, size_t count);
/* There was no room or no memory for all: of no use until it is reset. */
bool delta_is_short(const struct delta *delta);
size_t delta_windows(const struct delta *delta);
/* The client's windows one after the other, in no order: *place begins as 0. False: no more. */
bool delta_next(const struct delta *delta, const struct address *client, size_t *place, struct window_row *ret_window);

#endif
