#include "service/ping.h"

#include "service/answer.h"
#include "service/ping_check.h"

/* One ping between request and answer, in the call's arena. */
struct ping_call {
	struct ingest_ping ping;
	struct task task;
	struct rpc_call *call;
	struct ping_endpoint *endpoint;
	enum error error;
};

/* On the call's thread. */
static void answer(struct task *task)
{
	struct ping_call *ping = (struct ping_call *)((char *)task - offsetof(struct ping_call, task));
	if (ping->error == ERROR_OK)
		rpc_call_reply(ping->call, &(struct ping_v1_ping_response){0});
	else
		rpc_call_fail(ping->call, ping->error, NULL);
}

/* On the publisher's thread. */
static void done(struct ingest_ping *settled, enum error error, const struct error_note *note)
{
	(void)note;
	struct ping_call *ping = (struct ping_call *)settled;
	if (error == ERROR_OK && !settled->ping.duplicate)
		rate_add(ping->endpoint->rate, clock_monotonic_us(ping->endpoint->clock), 1);
	ping->error = error;
	ping->task.run = answer;
	executor_post(rpc_call_executor(ping->call), &ping->task);
}

void ping_handle(struct rpc_call *call, const void *request, void *context)
{
	const struct ping_v1_ping_request *wanted = request;
	struct ping_endpoint *endpoint = context;
	struct error_note note = {""};
	int64_t now_ms = clock_wall_ms(endpoint->clock);
	enum error error = ping_check(wanted, now_ms, endpoint->max_future_skew_ms, &note);
	if (error != ERROR_OK) {
		answer_error(call, error, &note);
		return;
	}
	struct ping_call *ping = arena_alloc(rpc_call_arena(call), sizeof *ping);
	if (ping == NULL) {
		rpc_call_fail(call, ERROR_NO_MEMORY, NULL);
		return;
	}
	ping->call = call;
	ping->endpoint = endpoint;
	ping->ping.done = done;
	ping->ping.ping.client = *rpc_call_client(call);
	ping->ping.ping.pinged_at_ms = wanted->timestamp_ms;
	ping->ping.ping.received_at_ms = now_ms;
	ping->ping.ping.key = wanted->idempotency_key;
	error = ingest_submit(endpoint->ingest, &ping->ping);
	if (error != ERROR_OK)
		rpc_call_fail(call, error, NULL);
}
