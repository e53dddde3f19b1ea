/* Envelopes, streams, trailers and base64 of gRPC, gRPC-Web(-text) and Connect: whatever comes, and in whatever pieces, a call
 * answers once, ends once, and what it answers has the protocol's shape.
 *
 * input: a byte for method and content type, a byte for the size of the pieces (0: all at once), a line with one header more
 * ("name value"); the rest is the body.
 */
#include "base/base64.h"
#include "lines.h"
#include "service.h"

struct told {
	struct rpc_exchange exchange;
	int responses, ends;
	unsigned status;
	bool open, resumed, full, wake;
	struct buffer body;
};

static void keep(struct told *told, struct slice bytes)
{
	FUZZ_CHECK(buffer_append(&told->body, bytes.data, bytes.size) == ERROR_OK);
}

static void respond(struct rpc_exchange *exchange, const struct rpc_response *response)
{
	struct told *told = (struct told *)exchange;
	FUZZ_CHECK(response->open == (exchange->call != NULL));
	told->responses++;
	told->status = response->status;
	told->open = response->open;
	told->ends += !response->open;
	keep(told, buffer_slice(response->body));
}

static bool send_piece(struct rpc_exchange *exchange, struct slice bytes)
{
	struct told *told = (struct told *)exchange;
	FUZZ_CHECK(told->open && exchange->call != NULL);
	keep(told, bytes);
	told->full = told->body.size % 7 == 3; /* now and then */
	return !told->full;
}

static void finish(struct rpc_exchange *exchange, struct slice bytes, const struct rpc_header *trailers, size_t count)
{
	struct told *told = (struct told *)exchange;
	FUZZ_CHECK(told->open && exchange->call == NULL && (count == 0 || trailers != NULL));
	told->open = false;
	told->ends++;
	keep(told, bytes);
}

static void resume(struct rpc_exchange *exchange)
{
	((struct told *)exchange)->resumed = true;
}

static void wake(struct rpc_exchange *exchange, int64_t due_us)
{
	(void)due_us;
	((struct told *)exchange)->wake = true;
}

static const struct rpc_transport transport = {respond, send_piece, finish, resume, wake, NULL};

static void post_nowhere(struct executor *executor, struct task *task)
{
	(void)executor;
	(void)task;
}

/* What the transport owes the call before it gives it more. */
static void serve(struct told *told)
{
	for (int i = 0; told->exchange.call != NULL && (told->full || told->wake); i++) {
		FUZZ_CHECK(i < 100000);
		bool full = told->full;
		told->full = false;
		if (full) {
			rpc_call_writable(told->exchange.call);
			continue;
		}
		told->wake = false;
		rpc_call_woken(told->exchange.call);
	}
}

/* A run of envelopes; of Connect and gRPC-Web the last says that it is. */
static void check_envelopes(struct slice body, bool ends_itself)
{
	uint8_t flags = 0;
	while (body.size > 0) {
		FUZZ_CHECK((flags & 0x82) == 0 && body.size >= 5);
		size_t size = (size_t)body.data[1] << 24 | (size_t)body.data[2] << 16 | (size_t)body.data[3] << 8 | body.data[4];
		flags = body.data[0];
		FUZZ_CHECK(body.size - 5 >= size);
		body = slice_make(body.data + 5 + size, body.size - 5 - size);
	}
	FUZZ_CHECK(((flags & 0x82) != 0) == ends_itself);
}

static void check_text(struct slice text, bool ends_itself)
{
	struct buffer bytes;
	buffer_init(&bytes, SIZE_MAX);
	FUZZ_CHECK(text.size % 4 == 0);
	for (size_t i = 0; i < text.size; i += 4) { /* each piece is padded by itself */
		uint8_t quantum[6];
		size_t size;
		FUZZ_CHECK(base64_decode(slice_make(text.data + i, 4), quantum, &size) == ERROR_OK);
		FUZZ_CHECK(buffer_append(&bytes, quantum, size) == ERROR_OK);
	}
	check_envelopes(buffer_slice(&bytes), ends_itself);
	buffer_release(&bytes);
}

static const struct {
	const char *type;
	bool unary, streams, text, ends_itself;
} kinds[] = {
	{"application/grpc+proto", true, true, false, false},	 {"application/grpc+json", true, true, false, false},
	{"application/grpc-web+proto", true, true, false, true}, {"application/grpc-web-text+proto", true, true, true, true},
	{"application/connect+proto", false, true, false, true}, {"application/connect+json", false, true, false, true},
	{"application/grpc-web-text", true, true, true, true},	 {"application/grpc", true, true, false, false},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static struct rpc_pool *pool_once(void)
{
	static struct executor executor = {post_nowhere};
	static struct rpc_server *server;
	static struct rpc_pool *pool;
	if (pool != NULL)
		return pool;
	struct rpc_config config = rpc_config_default();
	config.max_message_bytes = 1 << 16;
	config.max_response_bytes = 1 << 20;
	config.compress_min_bytes = 16;
	FUZZ_CHECK(rpc_server_create(&config, fuzz_methods, fuzz_method_count, &server) == ERROR_OK);
	FUZZ_CHECK(rpc_pool_create(server, &executor, &pool) == ERROR_OK);
	return pool;
}

static void feed(struct told *told, struct slice body, size_t piece)
{
	while (body.size > 0 && told->exchange.call != NULL) {
		size_t size = piece > 0 && piece < body.size ? piece : body.size;
		rpc_call_data(told->exchange.call, slice_make(body.data, size));
		body = slice_make(body.data + size, body.size - size);
		serve(told);
	}
	if (told->exchange.call != NULL)
		rpc_call_end(told->exchange.call);
	serve(told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct rpc_pool *pool = pool_once();
	size_t kind = data[0] % KINDS;
	const struct rpc_method *method = &fuzz_methods[data[0] / KINDS % fuzz_method_count];
	struct slice rest = slice_make(data + 2, size - 2);
	struct rpc_header headers[2] = {{SLICE_LITERAL("content-type"), slice_from_string(kinds[kind].type)}};
	headers[1] = split_header(take_line(&rest));
	struct rpc_request request = {
		.method = SLICE_LITERAL("POST"),
		.path = slice_from_string(method->type->path),
		.headers = headers,
		.header_count = 2,
		.body_bytes = -1,
	};
	struct told told = {.exchange.transport = &transport};
	buffer_init(&told.body, SIZE_MAX);
	FUZZ_CHECK(rpc_call_create(pool, &told.exchange) == ERROR_OK);
	FUZZ_CHECK(rpc_call_begin(told.exchange.call, &request));
	feed(&told, rest, data[1]);
	FUZZ_CHECK(rpc_pool_live(pool) == 0 && told.responses == 1 && told.ends == 1);
	bool streams = method->type->client_streaming || method->type->server_streaming;
	bool taken = streams ? kinds[kind].streams : kinds[kind].unary;
	FUZZ_CHECK(told.status == (taken ? 200 : 415));
	if (taken)
		(kinds[kind].text ? check_text : check_envelopes)(buffer_slice(&told.body), kinds[kind].ends_itself);
	buffer_release(&told.body);
	return 0;
}
