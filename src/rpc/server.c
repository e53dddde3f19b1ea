#include "rpc/server.h"

#include <assert.h>
#include <stdlib.h>

#include "rpc/protocol.h"

/* What a pool keeps for the next calls, at most. */
enum { POOL_MAX_FREE = 512, POOL_KEPT_RESPONSE_BYTES = 64 << 10, CALL_KEPT_BODY_BYTES = 4096 };
/* What the transport may hand in while a stream is paused: its window. */
enum { PAUSED_MAX_BYTES = 512 << 10 };

struct rpc_server {
	struct rpc_config config;
	size_t count;
	struct rpc_method methods[]; /* ordered by compare_path */
};

struct rpc_pool {
	struct rpc_server *server;
	struct executor *executor;
	struct rpc_call *free;
	size_t free_count, live_count;
	struct buffer response; /* what is being answered, one at a time */
};

struct rpc_config rpc_config_default(void)
{
	return (struct rpc_config){
		.max_message_bytes = 4 << 20,
		.max_arena_bytes = 32 << 20,
		.max_response_bytes = 64 << 20,
		.compress_min_bytes = 1024,
		.default_timeout_ms = 30000,
		.max_timeout_ms = 300000,
		.clock = clock_system(),
	};
}

/* Shorter ones first, so that most comparisons end at the size. */
static int compare_path(struct slice a, struct slice b)
{
	if (a.size != b.size)
		return a.size < b.size ? -1 : 1;
	return memcmp(a.data, b.data, a.size);
}

static int compare_methods(const void *a, const void *b)
{
	const struct rpc_method *x = a, *y = b;
	return compare_path(slice_from_string(x->type->path), slice_from_string(y->type->path));
}

enum error rpc_server_create(const struct rpc_config *config, const struct rpc_method *methods, size_t count,
			     struct rpc_server **ret_server)
{
	struct rpc_server *server = calloc(1, sizeof *server + count * sizeof *methods);
	if (server == NULL)
		return ERROR_NO_MEMORY;
	server->config = *config;
	server->count = count;
	if (count > 0) {
		memcpy(server->methods, methods, count * sizeof *methods);
		qsort(server->methods, count, sizeof *methods, compare_methods);
	}
	for (size_t i = 1; i < count; i++)
		if (compare_methods(&server->methods[i - 1], &server->methods[i]) == 0) {
			free(server);
			return ERROR_ALREADY_EXISTS;
		}
	*ret_server = server;
	return ERROR_OK;
}

void rpc_server_destroy(struct rpc_server *server)
{
	free(server);
}

const struct rpc_method *rpc_server_find(const struct rpc_server *server, struct slice path)
{
	size_t low = 0, high = server->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = compare_path(path, slice_from_string(server->methods[middle].type->path));
		if (order == 0)
			return &server->methods[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

enum error rpc_pool_create(struct rpc_server *server, struct executor *executor, struct rpc_pool **ret_pool)
{
	struct rpc_pool *pool = calloc(1, sizeof *pool);
	if (pool == NULL)
		return ERROR_NO_MEMORY;
	*pool = (struct rpc_pool){.server = server, .executor = executor};
	buffer_init(&pool->response, server->config.max_response_bytes);
	*ret_pool = pool;
	return ERROR_OK;
}

static void call_free(struct rpc_call *call)
{
	arena_release(&call->arena);
	arena_release(&call->message_arena);
	buffer_release(&call->body);
	buffer_release(&call->plain);
	buffer_release(&call->prepared.body);
	free(call);
}

void rpc_pool_destroy(struct rpc_pool *pool)
{
	if (pool == NULL)
		return;
	assert(pool->live_count == 0);
	while (pool->free != NULL) {
		struct rpc_call *call = pool->free;
		pool->free = call->next_free;
		call_free(call);
	}
	buffer_release(&pool->response);
	free(pool);
}

size_t rpc_pool_live(const struct rpc_pool *pool)
{
	return pool->live_count;
}

static struct rpc_call *call_new(struct rpc_pool *pool)
{
	struct rpc_call *call = calloc(1, sizeof *call);
	if (call == NULL)
		return NULL;
	call->pool = pool;
	arena_init(&call->arena, pool->server->config.max_arena_bytes);
	arena_init(&call->message_arena, pool->server->config.max_arena_bytes);
	buffer_init(&call->body, pool->server->config.max_message_bytes);
	buffer_init(&call->plain, pool->server->config.max_message_bytes);
	return call;
}

enum error rpc_call_create(struct rpc_pool *pool, struct rpc_exchange *exchange)
{
	struct rpc_call *call = pool->free;
	if (call == NULL)
		call = call_new(pool);
	else
		pool->free_count--, pool->free = call->next_free;
	if (call == NULL)
		return ERROR_NO_MEMORY;
	pool->live_count++;
	rpc_call_set_state(call, CALL_CREATED);
	atomic_store_explicit(&call->canceled, false, memory_order_relaxed);
	call->exchange = exchange;
	call->method = NULL;
	call->deadline_us = INT64_MAX;
	call->timeout_us = -1;
	call->head_sent = call->compressed = call->input_ended = call->paused = call->released = false;
	call->request_compression = call->response_compression = NULL;
	call->request_headers = NULL;
	call->request_header_count = 0;
	call->query = slice_make(NULL, 0);
	call->taken = call->text_size = 0;
	call->messages = 0;
	call->request = call->data = NULL;
	call->headers = call->trailers = (struct rpc_metadata){NULL, 0, 0};
	call->details = NULL;
	call->details_end = &call->details;
	exchange->call = call;
	return ERROR_OK;
}

void rpc_call_release(struct rpc_call *call)
{
	struct rpc_pool *pool = call->pool;
	if (call->dispatching) {
		call->released = true;
		return;
	}
	rpc_call_set_state(call, CALL_FREE);
	pool->live_count--;
	if (pool->free_count == POOL_MAX_FREE) {
		call_free(call);
		return;
	}
	arena_reset(&call->arena);
	if (call->message_arena.head != NULL)
		arena_release(&call->message_arena);
	if (call->body.capacity > CALL_KEPT_BODY_BYTES)
		buffer_release(&call->body);
	buffer_clear(&call->body);
	buffer_release(&call->plain);
	buffer_release(&call->prepared.body);
	call->prepared.done = false;
	call->next_free = pool->free;
	pool->free = call;
	pool->free_count++;
}

struct buffer *rpc_call_response_buffer(struct rpc_call *call)
{
	struct buffer *buffer = &call->pool->response;
	if (buffer->capacity > POOL_KEPT_RESPONSE_BYTES)
		buffer_release(buffer);
	buffer_clear(buffer);
	buffer->limit = call->pool->server->config.max_response_bytes; /* the transport may have put another one in its place */
	return buffer;
}

const struct rpc_config *rpc_call_config(const struct rpc_call *call)
{
	return &call->pool->server->config;
}

struct rpc_server *rpc_call_server(const struct rpc_call *call)
{
	return call->pool->server;
}

struct executor *rpc_pool_executor(struct rpc_pool *pool)
{
	return pool->executor;
}

/* Enveloped messages are measured one by one. */
void rpc_call_limit_body(struct rpc_call *call)
{
	size_t most = call->pool->server->config.max_message_bytes;
	call->body.limit = call->protocol->enveloped ? most + RPC_ENVELOPE_BYTES + PAUSED_MAX_BYTES : most;
}
