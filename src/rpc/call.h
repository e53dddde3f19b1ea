/* One call as the code that answers it sees it: a decoded request in, a response or an error out; the wire is elsewhere.
 *
 *   received ─► handle(call) ─► … ─► rpc_call_reply | rpc_call_fail   exactly once, on the call's own thread
 *                    └─ another thread works, then posts a task to rpc_call_executor(call) that replies
 *
 * A call whose client hung up or whose deadline passed stays valid until it is answered; the answer then goes nowhere.
 */
#ifndef PING_RPC_CALL_H
#define PING_RPC_CALL_H

#include "base/address.h"
#include "base/task.h"
#include "codec/message.h"

struct rpc_call;

struct rpc_method {
	const struct method_type *type;
	/* On the call's thread; must not block. `request` is a struct of type->request, valid until the answer. */
	void (*handle)(struct rpc_call *call, const void *request, void *context);
	void *context;
};

/* The client's address: the peer's, or what trusted proxies say. */
const struct address *rpc_call_client(const struct rpc_call *call);
/* Memory that lives until the answer. */
struct arena *rpc_call_arena(struct rpc_call *call);
/* Monotonic microseconds; INT64_MAX: none. */
int64_t rpc_call_deadline_us(const struct rpc_call *call);
/* The caller is gone or its deadline has passed: whoever has not begun may as well fail with CANCELED. Safe from any thread. */
bool rpc_call_canceled(const struct rpc_call *call);
/* Where to post the task that answers. */
struct executor *rpc_call_executor(struct rpc_call *call);

/* Encodes what rpc_call_reply will be given. On the thread that works on the call: there a long answer holds up nobody else's. */
void rpc_call_prepare(struct rpc_call *call, const void *response);
/* `response` is a struct of the method's response type; encoded before the function returns, unless it is prepared. */
void rpc_call_reply(struct rpc_call *call, const void *response);
/* message NULL: error_text(error). Copied. */
void rpc_call_fail(struct rpc_call *call, enum error error, const char *message);

#endif
