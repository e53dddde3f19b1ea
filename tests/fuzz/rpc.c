/* The RPC runtime and its protocols behind a transport that only counts: whatever comes, each call is answered once, and given
 * back.
 *
 * input: method, path, query, content type, and one header more as "name value", a line each; the rest is the body.
 */
#include "lines.h"
#include "ping/v1/ping.pb.h"

struct counted {
	struct rpc_exchange exchange;
	int responses;
};

static void count(struct rpc_exchange *exchange, const struct rpc_response *response)
{
	if (exchange->call != NULL || response->status < 200)
		abort();
	((struct counted *)exchange)->responses++;
}

static const struct rpc_transport fake_transport = {.respond = count};

static void post_nowhere(struct executor *executor, struct task *task)
{
	(void)executor;
	(void)task;
}

static void answer_ping(struct rpc_call *call, const void *request, void *context)
{
	(void)context;
	const struct ping_v1_ping_request *ping = request;
	if (ping->timestamp_ms < 0)
		rpc_call_fail(call, ERROR_INVALID_ARGUMENT, "negative");
	else
		rpc_call_reply(call, &(struct ping_v1_ping_response){0});
}

static void answer_count(struct rpc_call *call, const void *request, void *context)
{
	(void)context;
	const struct ping_v1_ping_count_request *range = request;
	rpc_call_reply(call, &(struct ping_v1_ping_count_response){range->time_range == NULL ? 0 : range->time_range->end});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct executor executor = {post_nowhere};
	static struct rpc_server *server;
	static struct rpc_pool *pool;
	if (server == NULL) {
		const struct rpc_method methods[] = {
			{.type = &ping_v1_ping_service_ping_method, .handle = answer_ping, .context = NULL},
			{.type = &ping_v1_ping_service_ping_count_method, .handle = answer_count, .context = NULL}};
		struct rpc_config config = rpc_config_default();
		config.max_message_bytes = 1 << 16;
		if (rpc_server_create(&config, methods, 2, &server) != ERROR_OK ||
		    rpc_pool_create(server, &executor, &pool) != ERROR_OK)
			abort();
	}
	struct slice rest = slice_make(data, size);
	struct rpc_request request = {
		.method = take_line(&rest), .path = take_line(&rest), .query = take_line(&rest), .body_bytes = -1};
	struct rpc_header headers[2] = {{SLICE_LITERAL("content-type"), take_line(&rest)}};
	headers[1] = split_header(take_line(&rest));
	request.headers = headers;
	request.header_count = 2;

	struct counted counted = {.exchange.transport = &fake_transport};
	if (rpc_call_create(pool, &counted.exchange) != ERROR_OK)
		return 0;
	bool found = rpc_call_begin(counted.exchange.call, &request);
	if (!found)
		rpc_call_abandon(counted.exchange.call);
	if (counted.exchange.call != NULL)
		rpc_call_data(counted.exchange.call, rest);
	if (counted.exchange.call != NULL)
		rpc_call_end(counted.exchange.call);
	if (rpc_pool_live(pool) != 0 || counted.responses != found)
		abort();
	return 0;
}
