/* A call without a wire: rpc/call.h as the services see it.
 */
#ifndef PING_TESTS_FAKE_CALL_H
#define PING_TESTS_FAKE_CALL_H

#include "rpc/call.h"

/* Its thread is the one that creates it and waits. */
struct rpc_call *fake_call_create(const char *client_ip);
void fake_call_destroy(struct rpc_call *call);
void fake_call_cancel(struct rpc_call *call);
/* Leaves room for no more than `limit` bytes. */
void fake_call_limit_arena(struct rpc_call *call, size_t limit);

/* Runs what was posted until the call is answered. */
void fake_call_wait(struct rpc_call *call);
/* Runs what was posted; false: nothing was. */
bool fake_call_run(struct rpc_call *call);
/* Streams: each message that is sent goes to `sent`, and says false from the `room`-th on. */
void fake_call_stream(struct rpc_call *call, void (*sent)(void *context, const void *message), void *context);
void fake_call_set_room(struct rpc_call *call, int room);
/* What rpc_call_wake was last given; -1: nothing since the last look. */
int64_t fake_call_wake_ms(struct rpc_call *call);
/* How often it was answered. */
int fake_call_answers(const struct rpc_call *call);
/* Of the answer; valid until destroy (a response: where it lies in the arena). */
enum error fake_call_error(const struct rpc_call *call);
const char *fake_call_message(const struct rpc_call *call);
const void *fake_call_response(const struct rpc_call *call);

#endif
