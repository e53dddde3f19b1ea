/* The thread that brings the watch hub what engines in other processes write (service/watch_feed.h). A log or a store that is
 * away is waited for.
 */
#ifndef PING_APP_WATCH_FOLLOW_H
#define PING_APP_WATCH_FOLLOW_H

#include "app/backend.h"
#include "service/watch.h"

struct watch_follow;

/* All must outlive it. NO_MEMORY, RESOURCE_EXHAUSTED (no thread), and those of backend_open_follower. */
enum error watch_follow_start(const struct pingd_config *config, struct backend *backend, struct watch_hub *hub,
			      struct watch_follow **ret_follow, struct error_note *note);
/* NULL is fine. */
void watch_follow_stop(struct watch_follow *follow);

#endif
