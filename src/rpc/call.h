/* One call as the code that answers it sees it: decoded requests in, responses or an error out; the wire is elsewhere.
 *
 *   received ─► handle(call) ─► … ─► rpc_call_reply | rpc_call_fail   exactly once, on the call's own thread
 *                    └─ another thread works, then posts a task to rpc_call_executor(call) that replies
 *
 *   a stream:   handle ─► receive … receive(NULL)      of a client that streams: handle gets no request
 *                 └─► rpc_call_send …  ─► rpc_call_finish | rpc_call_fail     of a server that streams
 *                         └─ false: no more until `writable`
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

	/* For streams; on the call's thread, and optional but for `receive` where the client streams.
	 * A message is valid during the function alone; NULL: the client has sent its last. */
	void (*receive)(struct rpc_call *call, const void *message, void *context);
	/* After rpc_call_send said false: there is room again. */
	void (*writable)(struct rpc_call *call, void *context);
	/* The time of rpc_call_wake is come. */
	void (*wake)(struct rpc_call *call, void *context);
	/* Nobody waits any more: to be answered soon, in this function or later. Also for methods without streams. */
	void (*canceled)(struct rpc_call *call, void *context);
	/* A stream that lasts as long as the client likes: max_timeout_ms does not end it. */
	bool endless;
};

/* Name in lower case. */
struct rpc_header {
	struct slice name, value;
};

/* The client's address: the peer's, or what trusted proxies say. */
const struct address *rpc_call_client(const struct rpc_call *call);
/* Memory that lives until the answer. */
struct arena *rpc_call_arena(struct rpc_call *call);
/* Monotonic microseconds; INT64_MAX: none. */
int64_t rpc_call_deadline_us(const struct rpc_call *call);
/* What the caller gave, for calls made on its behalf; -1: nothing. */
int64_t rpc_call_timeout_us(const struct rpc_call *call);
/* The request's headers, as sent (the values of names in "-bin" are base64); valid until the answer. */
const struct rpc_header *rpc_call_headers(const struct rpc_call *call, size_t *ret_count);
/* A GET's query, as sent; empty: the call is no GET. */
struct slice rpc_call_query(const struct rpc_call *call);
/* The method's own. */
void rpc_call_set_data(struct rpc_call *call, void *data);
void *rpc_call_data_of(const struct rpc_call *call);
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

/* Metadata of the answer, copied: headers until its first message, trailers and details until its end. The name is in lower
 * case; a name in "-bin" takes any bytes, others printable ASCII: INVALID_ARGUMENT. NO_MEMORY. */
enum error rpc_call_add_header(struct rpc_call *call, struct slice name, struct slice value);
enum error rpc_call_add_trailer(struct rpc_call *call, struct slice name, struct slice value);
/* For rpc_call_fail: an encoded message of this type, "google.rpc.RetryInfo". NO_MEMORY. */
enum error rpc_call_add_detail(struct rpc_call *call, struct slice type_name, struct slice message);

/* One message of a method whose server streams. False: enough is on its way, and the method waits for `writable`; what is sent
 * nevertheless is kept. Or the call is canceled (rpc_call_canceled), also because the message can't be encoded: `canceled` is
 * never called from here. */
bool rpc_call_send(struct rpc_call *call, const void *message);
/* After the last message. */
void rpc_call_finish(struct rpc_call *call);
/* The client's messages wait, in the end at the client, until resume. */
void rpc_call_pause(struct rpc_call *call);
void rpc_call_resume(struct rpc_call *call);
/* Calls `wake` once; another time set before that replaces it. Not for calls that are canceled. */
void rpc_call_wake(struct rpc_call *call, int64_t delay_ms);

#endif
