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
/* How often it was answered. */
int fake_call_answers(const struct rpc_call *call);
/* Of the answer; valid until destroy (a response: where it lies in the arena). */
enum error fake_call_error(const struct rpc_call *call);
const char *fake_call_message(const struct rpc_call *call);
const void *fake_call_response(const struct rpc_call *call);

#endif
