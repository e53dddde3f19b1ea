/* What changed, where other processes make the metrics: the hub's rows, read from the store that they fill. The log tells whose
 * windows changed, the store's positions how far the engines are: an event up to there is in its rows. One thread.
 *
 *   store: positions ──► log: the events up to them ──► windows of clients that somebody watches, each once
 *                                                          └──► store: their rows ──► watch_publish
 *
 * So nothing is read that is not there yet, and a subscriber misses nothing that is written after it came. While nobody watches,
 * the log is not read. What a slow store leaves waiting is WATCH_FEED_MAX windows at most; the rest waits in the log.
 */
#ifndef PING_SERVICE_WATCH_FEED_H
#define PING_SERVICE_WATCH_FEED_H

#include "port/follow.h"
#include "port/store.h"
#include "service/watch.h"

struct watch_feed;

enum { WATCH_FEED_MAX = 4 * FOLLOW_MAX_EVENTS, WATCH_FEED_READ = 512 /* windows at once */ };

/* hub and follower must outlive it. ERROR_NO_MEMORY. */
enum error watch_feed_create(struct watch_hub *hub, struct log_follower *follower, struct watch_feed **ret_feed);
void watch_feed_destroy(struct watch_feed *feed);
/* Brings the hub to where the engines are, or, where that is far, some steps nearer (*ret_behind: call it again soon). The reader
 * must have `positions` and `read_windows`; it may be another each time. Errors are the store's and the log's: nothing is lost,
 * call it again later. */
enum error watch_feed_step(struct watch_feed *feed, struct store_reader *reader, bool *ret_behind, struct error_note *note);

#endif
