/* A call as the method sees it: what it asks, and the answer on its way out. */
#include <assert.h>

#include "base/base64.h"
#include "rpc/protocol.h"

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

int64_t rpc_call_timeout_us(const struct rpc_call *call)
{
	return call->timeout_us;
}

const struct rpc_header *rpc_call_headers(const struct rpc_call *call, size_t *ret_count)
{
	*ret_count = call->request_header_count;
	return call->request_headers;
}

struct slice rpc_call_query(const struct rpc_call *call)
{
	return call->query;
}

void rpc_call_set_data(struct rpc_call *call, void *data)
{
	call->data = data;
}

void *rpc_call_data_of(const struct rpc_call *call)
{
	return call->data;
}

bool rpc_call_canceled(const struct rpc_call *call)
{
	return atomic_load_explicit(&call->canceled, memory_order_relaxed);
}

struct executor *rpc_call_executor(struct rpc_call *call)
{
	return rpc_pool_executor(call->pool);
}

/* RFC 9110, 5.6.2, in lower case; and what gRPC lets stand in a value. */
static bool is_metadata(struct slice name, struct slice value)
{
	static const char others[] = "0123456789abcdefghijklmnopqrstuvwxyz-_.";
	if (name.size == 0)
		return false;
	for (size_t i = 0; i < name.size; i++)
		if (name.data[i] == 0 || strchr(others, name.data[i]) == NULL)
			return false;
	for (size_t i = 0; i < value.size; i++)
		if (value.data[i] < 0x20 || value.data[i] > 0x7e)
			return false;
	return true;
}

static bool is_binary_name(struct slice name)
{
	return name.size > 4 && memcmp(name.data + name.size - 4, "-bin", 4) == 0;
}

static enum error encode_binary_value(struct arena *arena, struct slice *value)
{
	struct buffer text;
	buffer_init(&text, SIZE_MAX);
	enum error error = base64_append(&text, *value, false);
	if (error == ERROR_OK)
		*value = arena_copy(arena, buffer_slice(&text));
	buffer_release(&text);
	return error != ERROR_OK || value->data == NULL ? ERROR_NO_MEMORY : ERROR_OK;
}

static bool grow(struct rpc_metadata *list, struct arena *arena)
{
	size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
	struct rpc_header *items = arena_alloc_array(arena, capacity, sizeof *items);
	if (items == NULL)
		return false;
	if (list->count > 0)
		memcpy(items, list->items, list->count * sizeof *items);
	list->items = items;
	list->capacity = capacity;
	return true;
}

static enum error add_metadata(struct rpc_call *call, struct rpc_metadata *list, struct slice name, struct slice value)
{
	bool binary = is_binary_name(name);
	if (!is_metadata(name, binary ? slice_make(NULL, 0) : value))
		return ERROR_INVALID_ARGUMENT;
	if (list->count == list->capacity && !grow(list, &call->arena))
		return ERROR_NO_MEMORY;
	if (binary) {
		enum error error = encode_binary_value(&call->arena, &value);
		if (error != ERROR_OK)
			return error;
	} else {
		value = arena_copy(&call->arena, value);
	}
	name = arena_copy(&call->arena, name);
	if (name.data == NULL || value.data == NULL)
		return ERROR_NO_MEMORY;
	list->items[list->count++] = (struct rpc_header){name, value};
	return ERROR_OK;
}

enum error rpc_call_add_header(struct rpc_call *call, struct slice name, struct slice value)
{
	return add_metadata(call, &call->headers, name, value);
}

enum error rpc_call_add_trailer(struct rpc_call *call, struct slice name, struct slice value)
{
	return add_metadata(call, &call->trailers, name, value);
}

enum error rpc_call_add_detail(struct rpc_call *call, struct slice type_name, struct slice message)
{
	struct rpc_detail *detail = arena_alloc(&call->arena, sizeof *detail);
	if (detail == NULL)
		return ERROR_NO_MEMORY;
	*detail = (struct rpc_detail){arena_copy(&call->arena, type_name), arena_copy(&call->arena, message), NULL};
	if (detail->type_name.data == NULL || detail->message.data == NULL)
		return ERROR_NO_MEMORY;
	*call->details_end = detail;
	call->details_end = &detail->next;
	return ERROR_OK;
}

/* --- out --- */

void rpc_call_respond(struct rpc_call *call, unsigned status, const struct rpc_fields *head, struct buffer *body,
		      const struct rpc_fields *trailers)
{
	struct rpc_exchange *exchange = rpc_call_detach(call);
	exchange->transport->respond(exchange, &(struct rpc_response){
						       .status = status,
						       .headers = head->items,
						       .header_count = head->count,
						       .body = body,
						       .trailers = trailers->items,
						       .trailer_count = trailers->count,
					       });
}

/* The body in base64, where the protocol has it so. Out of memory: nothing. */
static void to_text(struct rpc_call *call, struct buffer *body)
{
	if (!call->protocol->text || body->size == 0)
		return;
	struct buffer text;
	buffer_init(&text, SIZE_MAX);
	base64_append(&text, buffer_slice(body), true);
	buffer_release(body);
	*body = text;
}

static void build_head(struct rpc_call *call, struct rpc_fields *head)
{
	head->count = 0;
	call->protocol->head(call, head);
	rpc_fields_add_metadata(head, &call->headers);
}

void rpc_call_conclude(struct rpc_call *call, struct buffer *body, const struct rpc_fields *trailers)
{
	to_text(call, body);
	if (!call->head_sent) {
		struct rpc_fields head;
		build_head(call, &head);
		rpc_call_respond(call, 200, &head, body, trailers);
		return;
	}
	struct rpc_exchange *exchange = rpc_call_detach(call);
	exchange->transport->finish(exchange, buffer_slice(body), trailers->items, trailers->count);
}

void rpc_call_answer_error(struct rpc_call *call, enum error error, const char *message)
{
	rpc_call_tell_finished(call, error);
	call->protocol->finish(call, error, message == NULL ? error_text(error) : message, rpc_call_response_buffer(call));
}

static enum error compress(const struct rpc_call *call, struct buffer *body, size_t from, bool *ret_compressed)
{
	*ret_compressed = call->response_compression != NULL && body->size - from >= rpc_call_config(call)->compress_min_bytes;
	if (!*ret_compressed)
		return ERROR_OK;
	struct buffer compressed;
	buffer_init(&compressed, body->limit);
	enum error error = call->response_compression->compress(slice_make(body->data + from, body->size - from), &compressed);
	body->size = from;
	if (error == ERROR_OK)
		error = buffer_append(body, compressed.data, compressed.size);
	buffer_release(&compressed);
	return error;
}

/* The message as it stands in the body. Any thread. */
static enum error encode(const struct rpc_call *call, const void *message, struct buffer *body, bool *ret_compressed,
			 struct error_note *note)
{
	enum error error = call->protocol->enveloped ? rpc_envelope_open(body, 0) : ERROR_OK;
	size_t from = body->size;
	if (error == ERROR_OK)
		error = call->codec->encode(call->method->type->response, message, body, note);
	if (error == ERROR_OK)
		error = compress(call, body, from, ret_compressed);
	if (error == ERROR_OK && call->protocol->enveloped) {
		body->data[0] = *ret_compressed;
		rpc_envelope_close(body, 0);
	}
	return error;
}

/* Touches nothing that expire, abandon and what they call touch. */
void rpc_call_prepare(struct rpc_call *call, const void *response)
{
	struct buffer *body = &call->prepared.body;
	buffer_init(body, rpc_call_config(call)->max_response_bytes);
	call->prepared.note.text[0] = 0;
	call->prepared.error = encode(call, response, body, &call->prepared.compressed, &call->prepared.note);
	call->prepared.done = true;
}

static enum error told(enum error error)
{
	return error == ERROR_TOO_LARGE ? error : ERROR_INTERNAL;
}

static bool has_room(const struct rpc_call *call, size_t bytes)
{
	const struct rpc_transport *transport = call->exchange->transport;
	return transport->has_room == NULL || transport->has_room(call->exchange, bytes);
}

void rpc_call_reply(struct rpc_call *call, const void *response)
{
	if (call->state == CALL_DETACHED) {
		rpc_call_release(call);
		return;
	}
	assert(call->state == CALL_HANDLING);
	struct error_note note = {""};
	struct buffer *body = &call->prepared.body;
	enum error error = call->prepared.error;
	if (call->prepared.done) {
		call->compressed = call->prepared.compressed;
	} else {
		body = rpc_call_response_buffer(call);
		error = encode(call, response, body, &call->compressed, &note);
	}
	if (error == ERROR_OK && !has_room(call, body->size)) {
		rpc_call_answer_error(call, ERROR_RESOURCE_EXHAUSTED,
				      "the server holds as many answers as it may; try again later");
	} else if (error != ERROR_OK) {
		const char *text = call->prepared.done ? call->prepared.note.text : note.text;
		rpc_call_answer_error(call, told(error), text[0] == 0 ? NULL : text);
	} else {
		rpc_call_tell_finished(call, ERROR_OK);
		call->protocol->finish(call, ERROR_OK, "", body);
	}
	rpc_call_release(call);
}

void rpc_call_fail(struct rpc_call *call, enum error error, const char *message)
{
	if (call->state != CALL_DETACHED) {
		assert(call->state == CALL_HANDLING && error != ERROR_OK);
		rpc_call_answer_error(call, error, message);
	}
	rpc_call_release(call);
}

/* One piece of a stream's body, behind its head. */
static bool put(struct rpc_call *call, struct buffer *body)
{
	struct rpc_exchange *exchange = call->exchange;
	to_text(call, body);
	if (call->head_sent)
		return exchange->transport->send(exchange, buffer_slice(body));
	struct rpc_fields head;
	build_head(call, &head);
	call->head_sent = true;
	exchange->transport->respond(exchange, &(struct rpc_response){
						       .status = 200,
						       .headers = head.items,
						       .header_count = head.count,
						       .body = body,
						       .open = true,
					       });
	return exchange->transport->send(exchange, slice_make(NULL, 0));
}

bool rpc_call_send(struct rpc_call *call, const void *message)
{
	if (call->state == CALL_DETACHED)
		return false;
	assert(call->state == CALL_HANDLING && call->method->type->server_streaming);
	struct error_note note = {""};
	struct buffer *body = rpc_call_response_buffer(call);
	bool compressed;
	enum error error = encode(call, message, body, &compressed, &note);
	if (error == ERROR_OK)
		return put(call, body);
	/* The method is not called back from what it calls: it sees that the call is canceled. */
	atomic_store_explicit(&call->canceled, true, memory_order_relaxed);
	rpc_call_answer_error(call, told(error), note.text[0] == 0 ? NULL : note.text);
	rpc_call_set_state(call, CALL_DETACHED);
	return false;
}

void rpc_call_finish(struct rpc_call *call)
{
	if (call->state != CALL_DETACHED) {
		assert(call->state == CALL_HANDLING && call->method->type->server_streaming);
		rpc_call_tell_finished(call, ERROR_OK);
		call->protocol->finish(call, ERROR_OK, "", rpc_call_response_buffer(call));
	}
	rpc_call_release(call);
}

void rpc_call_wake(struct rpc_call *call, int64_t delay_ms)
{
	assert(call->state == CALL_HANDLING);
	int64_t now_us = clock_monotonic_us(rpc_call_config(call)->clock);
	call->exchange->transport->wake(call->exchange, now_us + delay_ms * 1000);
}
