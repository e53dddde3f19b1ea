#include "service.h"

#include "fuzz.h"
#include "ping/v1/ping.pb.h"

enum { MOST_MESSAGES = 2000, FILLING_BYTES = 100 };

/* ── Unary ── */

static void answer_ping(struct rpc_call *call, const void *request, void *context)
{
	(void)context;
	const struct ping_v1_ping_request *ping = request;
	if (ping->timestamp_ms < 0)
		rpc_call_fail(call, ERROR_INVALID_ARGUMENT, "before 1970: 100 % \xe2\x82\xac");
	else
		rpc_call_reply(call, &(struct ping_v1_ping_response){0});
}

static void answer_count(struct rpc_call *call, const void *request, void *context)
{
	(void)context;
	const struct ping_v1_ping_count_request *range = request;
	rpc_call_reply(call, &(struct ping_v1_ping_count_response){range->time_range == NULL ? 0 : range->time_range->end});
}

/* ── A stream out: what is left to send is the call's own ── */

static void send_more(struct rpc_call *call, void *context)
{
	(void)context;
	int64_t *left = rpc_call_data_of(call);
	static const char filling[FILLING_BYTES];
	const struct ping_v1_ping_request message = {.timestamp_ms = *left,
						     .idempotency_key = slice_make(filling, sizeof filling)};
	while (*left > 0) {
		(*left)--;
		if (!rpc_call_send(call, &message))
			return; /* writable, or canceled */
	}
	rpc_call_finish(call);
}

static void begin_count(struct rpc_call *call, const void *request, void *context)
{
	const struct ping_v1_ping_request *ping = request;
	int64_t *left = arena_alloc(rpc_call_arena(call), sizeof *left);
	FUZZ_CHECK(left != NULL);
	*left = ping->timestamp_ms < 0 ? 0 : ping->timestamp_ms % MOST_MESSAGES;
	rpc_call_set_data(call, left);
	send_more(call, context);
}

static void give_up(struct rpc_call *call, void *context)
{
	(void)context;
	FUZZ_CHECK(rpc_call_canceled(call));
	rpc_call_fail(call, ERROR_CANCELED, NULL);
}

/* ── Streams in ── */

struct sum {
	int64_t total, count;
};

static void begin_sum(struct rpc_call *call, const void *request, void *context)
{
	(void)context;
	FUZZ_CHECK(request == NULL);
	struct sum *sum = arena_alloc(rpc_call_arena(call), sizeof *sum);
	FUZZ_CHECK(sum != NULL);
	*sum = (struct sum){0, 0};
	rpc_call_set_data(call, sum);
}

static void receive_sum(struct rpc_call *call, const void *message, void *context)
{
	(void)context;
	const struct ping_v1_ping_request *ping = message;
	struct sum *sum = rpc_call_data_of(call);
	if (ping == NULL)
		rpc_call_reply(call, &(struct ping_v1_ping_count_response){sum->total});
	else if (__builtin_add_overflow(sum->total, ping->timestamp_ms, &sum->total))
		rpc_call_fail(call, ERROR_OUT_OF_RANGE, NULL);
}

static void receive_echo(struct rpc_call *call, const void *message, void *context)
{
	(void)context;
	struct sum *sum = rpc_call_data_of(call);
	if (message == NULL) {
		rpc_call_finish(call);
		return;
	}
	rpc_call_send(call, message);
	if (++sum->count % 3 != 0 || rpc_call_canceled(call))
		return;
	rpc_call_pause(call);
	rpc_call_wake(call, 1);
}

static void go_on(struct rpc_call *call, void *context)
{
	(void)context;
	rpc_call_resume(call);
}

/* ── The table ── */

#define TYPE(name_, response_, client_, server_)                                                                             \
	{                                                                                                                    \
		.name = name_, .path = "/test.Service/" name_, .request = &ping_v1_ping_request_type, .response = response_, \
		.client_streaming = client_, .server_streaming = server_,                                                    \
	}

static const struct method_type count_type = TYPE("Count", &ping_v1_ping_request_type, false, true);
static const struct method_type sum_type = TYPE("Sum", &ping_v1_ping_count_response_type, true, false);
static const struct method_type echo_type = TYPE("Echo", &ping_v1_ping_request_type, true, true);

const struct rpc_method fuzz_methods[] = {
	{.type = &ping_v1_ping_service_ping_method, .handle = answer_ping},
	{.type = &ping_v1_ping_service_ping_count_method, .handle = answer_count},
	{.type = &count_type, .handle = begin_count, .writable = send_more, .canceled = give_up},
	{.type = &sum_type, .handle = begin_sum, .receive = receive_sum, .canceled = give_up},
	{.type = &echo_type, .handle = begin_sum, .receive = receive_echo, .wake = go_on, .canceled = give_up},
};
const size_t fuzz_method_count = sizeof fuzz_methods / sizeof fuzz_methods[0];
