/* WatchWindowStats: one subscriber of the hub for each call, and its rows on the wire.
 *
 *   handle ─► an empty message: it watches ─► rows as they change, coalesced while the client does not take them
 *                                          ─► after heartbeat_ms with nothing to say: an empty message
 *          ─► RESOURCE_EXHAUSTED: it fell behind by more than is kept │ SHUTTING_DOWN: the hub was closed │ it hung up
 *
 *   publisher's thread: wake ── posts one task ──► the call's loop: take, send, until nothing is left or the client has enough
 */
#ifndef PING_SERVICE_WATCH_STREAM_H
#define PING_SERVICE_WATCH_STREAM_H

#include "base/clock.h"
#include "rpc/call.h"
#include "service/watch.h"

/* The method's context. */
struct watch_endpoint {
	struct clock *clock;
	struct watch_hub *hub; /* NULL: this process makes no metrics, and has nothing to watch */
	int64_t heartbeat_ms;
};

struct rpc_method watch_method(struct watch_endpoint *endpoint);

#endif
