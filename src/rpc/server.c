#include "rpc/server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "rpc/protocol.h"
#include "rpc/query.h"

/* What a pool keeps for the next calls, at most. */
enum { POOL_MAX_FREE = 512, POOL_KEPT_RESPONSE_BYTES = 64 << 10, CALL_KEPT_BODY_BYTES = 4096 };

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

static const unsigned next_states[CALL_STATES] = {
	[CALL_FREE] = 1 << CALL_CREATED,
	[CALL_CREATED] = 1 << CALL_RECEIVING | 1 << CALL_FREE,
	[CALL_RECEIVING] = 1 << CALL_HANDLING | 1 << CALL_FREE,
	[CALL_HANDLING] = 1 << CALL_FREE | 1 << CALL_DETACHED,
	[CALL_DETACHED] = 1 << CALL_FREE,
};

static void set_state(struct rpc_call *call, enum rpc_call_state state)
{
	assert(next_states[call->state] >> state & 1);
	call->state = state;
}

struct rpc_config rpc_config_default(void)
{
	return (struct rpc_config){
		.max_message_bytes = 4 << 20,
		.max_arena_bytes = 32 << 20,
		.max_response_bytes = 64 << 20,
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

static const struct rpc_method *find_method(const struct rpc_server *server, struct slice path)
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
	buffer_release(&call->body);
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
	buffer_init(&call->body, pool->server->config.max_message_bytes);
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
	set_state(call, CALL_CREATED);
	atomic_store_explicit(&call->canceled, false, memory_order_relaxed);
	call->exchange = exchange;
	call->method = NULL;
	call->deadline_us = INT64_MAX;
	exchange->call = call;
	return ERROR_OK;
}

/* Back into the pool. */
static void call_release(struct rpc_call *call)
{
	struct rpc_pool *pool = call->pool;
	set_state(call, CALL_FREE);
	pool->live_count--;
	if (pool->free_count == POOL_MAX_FREE) {
		call_free(call);
		return;
	}
	arena_reset(&call->arena);
	if (call->body.capacity > CALL_KEPT_BODY_BYTES)
		buffer_release(&call->body);
	buffer_clear(&call->body);
	buffer_release(&call->prepared.body);
	call->prepared.done = false;
	call->next_free = pool->free;
	pool->free = call;
	pool->free_count++;
}

/* The exchange and the call part. */
static struct rpc_exchange *call_detach(struct rpc_call *call)
{
	struct rpc_exchange *exchange = call->exchange;
	exchange->call = NULL;
	call->exchange = NULL;
	return exchange;
}

static void tell_finished(struct rpc_call *call, enum error error)
{
	const struct rpc_config *config = &call->pool->server->config;
	if (config->finished != NULL && call->method != NULL)
		config->finished(config->context, call->method->type, error, clock_monotonic_us(config->clock) - call->begun_us);
}

void rpc_call_respond(struct rpc_call *call, unsigned status, const struct rpc_header *headers, size_t count, struct buffer *body)
{
	struct rpc_exchange *exchange = call_detach(call);
	exchange->respond(exchange, &(struct rpc_response){status, headers, count, body});
}

static struct buffer *response_buffer(struct rpc_call *call)
{
	struct buffer *buffer = &call->pool->response;
	if (buffer->capacity > POOL_KEPT_RESPONSE_BYTES)
		buffer_release(buffer);
	buffer_clear(buffer);
	buffer->limit = call->pool->server->config.max_response_bytes; /* the transport may have put another one in its place */
	return buffer;
}

/* Answers an error; the call is detached, and the caller's to release. */
static void answer_error(struct rpc_call *call, enum error error, const char *message)
{
	tell_finished(call, error);
	call->protocol->fail(call, error, message == NULL ? error_text(error) : message, response_buffer(call));
}

static void fail_early(struct rpc_call *call, enum error error, const char *message)
{
	answer_error(call, error, message);
	call_release(call);
}

/* An answer of HTTP's own, before any protocol is chosen. */
static void refuse(struct rpc_call *call, unsigned status, const char *name, struct slice value)
{
	tell_finished(call, ERROR_UNIMPLEMENTED);
	struct rpc_header header = {slice_from_string(name), value};
	rpc_call_respond(call, status, &header, 1, response_buffer(call));
	call_release(call);
}

const struct slice *rpc_request_header(const struct rpc_request *request, const char *name)
{
	size_t size = strlen(name);
	for (size_t i = 0; i < request->header_count; i++) {
		const struct rpc_header *header = &request->headers[i];
		if (header->name.size == size && memcmp(header->name.data, name, size) == 0)
			return &header->value;
	}
	return NULL;
}

static const struct rpc_codec *find_codec(struct slice name)
{
	for (size_t i = 0; i < rpc_codec_count; i++)
		if (slice_equal_ignoring_case(name, rpc_codecs[i].name))
			return &rpc_codecs[i];
	return NULL;
}

/* Splits "application/json; charset=utf-8"; no other parameter is known, so none is taken. */
static bool split_content_type(struct slice text, struct slice *ret_type, bool *ret_charset)
{
	const uint8_t *semicolon = memchr(text.data, ';', text.size);
	if (semicolon == NULL) {
		*ret_type = slice_trim(text);
		*ret_charset = false;
		return true;
	}
	size_t size = (size_t)(semicolon - text.data);
	struct slice parameter = slice_trim(slice_make(semicolon + 1, text.size - size - 1));
	*ret_type = slice_trim(slice_make(text.data, size));
	*ret_charset = slice_equal_ignoring_case(parameter, "charset=utf-8") ||
		       slice_equal_ignoring_case(parameter, "charset=\"utf-8\"");
	return *ret_charset;
}

static bool is_streaming(const struct rpc_method *method)
{
	return method->type->client_streaming || method->type->server_streaming;
}

/* Chooses protocol and codec by content type. */
static bool choose_wire(struct rpc_call *call, const struct rpc_request *request)
{
	const struct slice *header = rpc_request_header(request, "content-type");
	struct slice type;
	if (header == NULL || header->size == 0 || !split_content_type(*header, &type, &call->charset))
		return false;
	for (size_t i = 0; i < rpc_protocol_count; i++) {
		const struct rpc_protocol *protocol = rpc_protocols[i];
		size_t prefix = strlen(protocol->prefix);
		if (protocol->streaming != is_streaming(call->method) || type.size <= prefix ||
		    strncasecmp((const char *)type.data, protocol->prefix, prefix) != 0)
			continue;
		call->protocol = protocol;
		call->codec = find_codec(slice_make(type.data + prefix, type.size - prefix));
		if (call->codec != NULL)
			return true;
	}
	return false;
}

/* The same for a GET, whose query names the codec. */
static bool choose_wire_of_get(struct rpc_call *call, const struct rpc_request *request)
{
	call->charset = false;
	for (size_t i = 0; i < rpc_protocol_count; i++) {
		const struct rpc_protocol *protocol = rpc_protocols[i];
		struct slice name;
		if (protocol->get_codec_parameter == NULL || !query_find(request->query, protocol->get_codec_parameter, &name))
			continue;
		call->protocol = protocol;
		call->codec = find_codec(name);
		if (call->codec != NULL)
			return true;
	}
	return false;
}

static void refuse_content_type(struct rpc_call *call)
{
	char list[256];
	size_t size = 0;
	for (size_t i = 0; i < rpc_protocol_count; i++)
		for (size_t j = 0; j < rpc_codec_count; j++) {
			if (rpc_protocols[i]->streaming != is_streaming(call->method))
				continue;
			int length = snprintf(list + size, sizeof list - size, "%s%s%s", size > 0 ? ", " : "",
					      rpc_protocols[i]->prefix, rpc_codecs[j].name);
			assert(length > 0 && (size_t)length < sizeof list - size);
			size += (size_t)length;
		}
	refuse(call, 415, "accept-post", slice_make(list, size));
}

void rpc_call_set_timeout(struct rpc_call *call, int64_t timeout_ms)
{
	int64_t most = call->pool->server->config.max_timeout_ms;
	call->deadline_us = call->begun_us + (timeout_ms < most ? timeout_ms : most) * 1000;
}

static void fail_too_large(struct rpc_call *call)
{
	char text[80];
	snprintf(text, sizeof text, "message larger than the limit of %zu bytes", call->body.limit);
	fail_early(call, ERROR_TOO_LARGE, text);
}

static void begin_protocol(struct rpc_call *call, const struct rpc_request *request)
{
	struct error_note note = {""};
	rpc_call_set_timeout(call, call->pool->server->config.default_timeout_ms);
	enum error error = call->protocol->begin(call, request, &note);
	if (error != ERROR_OK)
		fail_early(call, error, note.text[0] == 0 ? NULL : note.text);
	else if (call->deadline_us <= call->begun_us)
		fail_early(call, ERROR_DEADLINE_EXCEEDED, NULL);
	else if (request->body_bytes > 0 && (uint64_t)request->body_bytes > call->body.limit)
		fail_too_large(call);
}

bool rpc_call_begin(struct rpc_call *call, const struct rpc_request *request)
{
	const struct rpc_server *server = call->pool->server;
	const struct rpc_method *method = find_method(server, request->path);
	if (method == NULL)
		return false;
	set_state(call, CALL_RECEIVING);
	call->method = method;
	call->client = request->client;
	call->begun_us = clock_monotonic_us(server->config.clock);
	bool may_get = method->type->no_side_effects && !is_streaming(method);
	call->get = may_get && slice_equal(request->method, SLICE_LITERAL("GET"));
	if (!call->get && !slice_equal(request->method, SLICE_LITERAL("POST")))
		refuse(call, 405, "allow", may_get ? SLICE_LITERAL("GET, POST") : SLICE_LITERAL("POST"));
	else if (!(call->get ? choose_wire_of_get : choose_wire)(call, request))
		refuse_content_type(call);
	else
		begin_protocol(call, request);
	return true;
}

void rpc_call_data(struct rpc_call *call, struct slice bytes)
{
	assert(call->state == CALL_RECEIVING);
	if (bytes.size == 0)
		return;
	enum error error = call->get ? ERROR_INVALID_ARGUMENT : buffer_append(&call->body, bytes.data, bytes.size);
	if (error == ERROR_TOO_LARGE)
		fail_too_large(call);
	else if (error != ERROR_OK)
		fail_early(call, error, call->get ? "a GET has no body: the message is in the query" : NULL);
}

void rpc_call_end(struct rpc_call *call)
{
	struct error_note note = {""};
	const struct rpc_method *method = call->method;
	void *request = arena_alloc(&call->arena, message_type_size(method->type->request));
	enum error error = ERROR_NO_MEMORY;
	if (request != NULL)
		error = call->codec->decode(method->type->request, buffer_slice(&call->body), &call->arena, request, &note);
	if (error != ERROR_OK) {
		fail_early(call, error, note.text[0] == 0 ? NULL : note.text);
		return;
	}
	set_state(call, CALL_HANDLING);
	method->handle(call, request, method->context);
}

void rpc_call_expire(struct rpc_call *call)
{
	assert(call->state == CALL_RECEIVING || call->state == CALL_HANDLING);
	atomic_store_explicit(&call->canceled, true, memory_order_relaxed);
	answer_error(call, ERROR_DEADLINE_EXCEEDED, NULL);
	if (call->state == CALL_HANDLING)
		set_state(call, CALL_DETACHED);
	else
		call_release(call);
}

void rpc_call_abandon(struct rpc_call *call)
{
	atomic_store_explicit(&call->canceled, true, memory_order_relaxed);
	call_detach(call);
	tell_finished(call, ERROR_CANCELED);
	if (call->state == CALL_HANDLING)
		set_state(call, CALL_DETACHED);
	else
		call_release(call);
}

const struct address *rpc_call_client(const struct rpc_call *call)
{
	return &call->client;
}

struct arena *rpc_call_arena(struct rpc_call *call)
{
	return &call->arena;
}

int64_t rpc_call_deadline_us(const struct rpc_call *call)
{
	return call->deadline_us;
}

bool rpc_call_canceled(const struct rpc_call *call)
{
	return atomic_load_explicit(&call->canceled, memory_order_relaxed);
}

struct executor *rpc_call_executor(struct rpc_call *call)
{
	return call->pool->executor;
}

static enum error encode(const struct rpc_call *call, const void *response, struct buffer *body, struct error_note *note)
{
	return call->codec->encode(call->method->type->response, response, body, note);
}

/* Touches nothing that expire, abandon and what they call touch. */
void rpc_call_prepare(struct rpc_call *call, const void *response)
{
	struct buffer *body = &call->prepared.body;
	buffer_init(body, call->pool->server->config.max_response_bytes);
	call->prepared.note.text[0] = 0;
	call->prepared.error = encode(call, response, body, &call->prepared.note);
	call->prepared.done = true;
}

void rpc_call_reply(struct rpc_call *call, const void *response)
{
	if (call->state == CALL_DETACHED) {
		call_release(call);
		return;
	}
	assert(call->state == CALL_HANDLING);
	struct error_note note = {""};
	struct buffer *body = &call->prepared.body;
	enum error error = call->prepared.error;
	if (!call->prepared.done) {
		body = response_buffer(call);
		error = encode(call, response, body, &note);
	}
	if (error != ERROR_OK) {
		const char *text = call->prepared.done ? call->prepared.note.text : note.text;
		answer_error(call, error == ERROR_TOO_LARGE ? error : ERROR_INTERNAL, text[0] == 0 ? NULL : text);
	} else {
		tell_finished(call, ERROR_OK);
		call->protocol->reply(call, body);
	}
	call_release(call);
}

void rpc_call_fail(struct rpc_call *call, enum error error, const char *message)
{
	if (call->state != CALL_DETACHED) {
		assert(call->state == CALL_HANDLING && error != ERROR_OK);
		answer_error(call, error, message);
	}
	call_release(call);
}
