/* A call as the transport sees it: its head, its messages as they come, its end before the answer. */
#include <assert.h>
#include <stdio.h>

#include "base/base64.h"
#include "rpc/protocol.h"

enum { PATH_SHOWN_BYTES = 100 };

static const unsigned next_states[CALL_STATES] = {
	[CALL_FREE] = 1 << CALL_CREATED,
	[CALL_CREATED] = 1 << CALL_RECEIVING | 1 << CALL_FREE,
	[CALL_RECEIVING] = 1 << CALL_HANDLING | 1 << CALL_FREE,
	[CALL_HANDLING] = 1 << CALL_FREE | 1 << CALL_DETACHED,
	[CALL_DETACHED] = 1 << CALL_FREE,
};

void rpc_call_set_state(struct rpc_call *call, enum rpc_call_state state)
{
	assert(next_states[call->state] >> state & 1);
	call->state = state;
}

struct rpc_exchange *rpc_call_detach(struct rpc_call *call)
{
	struct rpc_exchange *exchange = call->exchange;
	exchange->call = NULL;
	call->exchange = NULL;
	return exchange;
}

void rpc_call_tell_finished(struct rpc_call *call, enum error error)
{
	const struct rpc_config *config = rpc_call_config(call);
	if (config->finished != NULL && call->method != NULL)
		config->finished(config->context, call->method->type, error, clock_monotonic_us(config->clock) - call->begun_us);
}

/* The exchange is gone; what the method answers later is dropped. */
static void part(struct rpc_call *call)
{
	const struct rpc_method *method = call->method;
	if (call->state != CALL_HANDLING) {
		rpc_call_release(call);
		return;
	}
	rpc_call_set_state(call, CALL_DETACHED);
	if (method->canceled != NULL)
		method->canceled(call, method->context);
}

void rpc_call_interrupt(struct rpc_call *call, enum error error, const char *message)
{
	atomic_store_explicit(&call->canceled, true, memory_order_relaxed);
	rpc_call_answer_error(call, error, message);
	part(call);
}

static void interrupt_noted(struct rpc_call *call, enum error error, const struct error_note *note)
{
	rpc_call_interrupt(call, error, note->text[0] == 0 ? NULL : note->text);
}

void rpc_call_expire(struct rpc_call *call)
{
	assert(call->state == CALL_RECEIVING || call->state == CALL_HANDLING);
	rpc_call_interrupt(call, ERROR_DEADLINE_EXCEEDED, NULL);
}

void rpc_call_abandon(struct rpc_call *call)
{
	atomic_store_explicit(&call->canceled, true, memory_order_relaxed);
	rpc_call_detach(call);
	rpc_call_tell_finished(call, ERROR_CANCELED);
	part(call);
}

/* An answer of HTTP's own, before any protocol is chosen. */
static void refuse(struct rpc_call *call, unsigned status, const char *name, struct slice value)
{
	struct rpc_fields head = {.count = 0}, none;
	none.count = 0;
	rpc_fields_add(&head, slice_from_string(name), value);
	rpc_call_tell_finished(call, ERROR_UNIMPLEMENTED);
	rpc_call_respond(call, status, &head, rpc_call_response_buffer(call), &none);
	rpc_call_release(call);
}

static void refuse_content_type(struct rpc_call *call)
{
	char list[512];
	refuse(call, 415, "accept-post", slice_make(list, rpc_wire_list(call->method, list, sizeof list)));
}

static bool is_streaming(const struct rpc_call *call)
{
	return call->method->type->client_streaming || call->method->type->server_streaming;
}

bool rpc_call_client_streams(const struct rpc_call *call)
{
	return call->method->type->client_streaming;
}

void rpc_call_set_timeout(struct rpc_call *call, int64_t timeout_us)
{
	int64_t most = call->method->endless ? INT64_MAX : rpc_call_config(call)->max_timeout_ms * 1000;
	int64_t bounded = timeout_us < most ? timeout_us : most;
	call->deadline_us = bounded > INT64_MAX - call->begun_us ? INT64_MAX : call->begun_us + bounded;
}

static void fail_too_large(struct rpc_call *call)
{
	struct error_note note;
	error_noted(&note, ERROR_TOO_LARGE, "message larger than the limit of %zu bytes",
		    rpc_call_config(call)->max_message_bytes);
	rpc_call_interrupt(call, ERROR_TOO_LARGE, note.text);
}

static void begin_protocol(struct rpc_call *call, const struct rpc_request *request)
{
	struct error_note note = {""};
	const struct rpc_config *config = rpc_call_config(call);
	if (!call->method->endless)
		rpc_call_set_timeout(call, (is_streaming(call) ? config->max_timeout_ms : config->default_timeout_ms) * 1000);
	enum error error = call->protocol->begin(call, request, &note);
	if (error != ERROR_OK) {
		interrupt_noted(call, error, &note);
	} else if (call->deadline_us <= call->begun_us) {
		rpc_call_interrupt(call, ERROR_DEADLINE_EXCEEDED, NULL);
	} else if (request->body_bytes > 0 && !rpc_call_client_streams(call) &&
		   (uint64_t)request->body_bytes > (call->protocol->text ? call->body.limit * 2 : call->body.limit)) {
		fail_too_large(call);
	} else if (rpc_call_client_streams(call)) {
		rpc_call_set_state(call, CALL_HANDLING);
		call->method->handle(call, NULL, call->method->context);
	}
}

/* A gRPC client takes HTTP's 404 for a proxy's word and hides it from whoever called. */
static bool refuse_unknown(struct rpc_call *call, const struct rpc_request *request)
{
	if (!rpc_wire_choose_grpc(call, request))
		return false;
	struct error_note note;
	size_t shown = request->path.size < PATH_SHOWN_BYTES ? request->path.size : PATH_SHOWN_BYTES;
	error_noted(&note, ERROR_UNIMPLEMENTED, "there is no method %.*s here", (int)shown, (const char *)request->path.data);
	rpc_call_set_state(call, CALL_RECEIVING);
	rpc_call_interrupt(call, ERROR_UNIMPLEMENTED, note.text);
	return true;
}

bool rpc_call_begin(struct rpc_call *call, const struct rpc_request *request)
{
	const struct rpc_method *method = rpc_server_find(rpc_call_server(call), request->path);
	if (method == NULL)
		return refuse_unknown(call, request);
	rpc_call_set_state(call, CALL_RECEIVING);
	call->method = method;
	call->client = request->client;
	call->request_headers = request->headers;
	call->request_header_count = request->header_count;
	call->begun_us = clock_monotonic_us(rpc_call_config(call)->clock);
	bool may_get = method->type->no_side_effects && !is_streaming(call);
	call->get = may_get && slice_equal(request->method, SLICE_LITERAL("GET"));
	if (call->get)
		call->query = request->query;
	if (!call->get && !slice_equal(request->method, SLICE_LITERAL("POST"))) {
		refuse(call, 405, "allow", may_get ? SLICE_LITERAL("GET, POST") : SLICE_LITERAL("POST"));
	} else if (!rpc_wire_choose(call, request)) {
		refuse_content_type(call);
	} else {
		rpc_call_limit_body(call);
		begin_protocol(call, request);
	}
	return true;
}

/* What stands for the message in the body: itself, or `plain`. False: the call has failed. */
static bool decompress(struct rpc_call *call, bool compressed, struct slice *message)
{
	if (!compressed)
		return true;
	if (call->request_compression == NULL) {
		rpc_call_interrupt(call, ERROR_INTERNAL, "a message is marked as compressed, and no compression was named");
		return false;
	}
	if (message->size == 0) /* some clients' way to say nothing */
		return true;
	buffer_clear(&call->plain);
	enum error error = call->request_compression->decompress(*message, &call->plain);
	*message = buffer_slice(&call->plain);
	if (error == ERROR_TOO_LARGE)
		fail_too_large(call);
	else if (error != ERROR_OK)
		rpc_call_interrupt(call, error, "a message can't be decompressed");
	return error == ERROR_OK;
}

/* Into the arena. NULL: the call has failed. */
static void *decode(struct rpc_call *call, struct slice message, struct arena *arena)
{
	struct error_note note = {""};
	const struct message_type *type = call->method->type->request;
	void *request = arena_alloc(arena, message_type_size(type));
	enum error error = ERROR_NO_MEMORY;
	if (request != NULL)
		error = call->codec->decode(type, message, arena, request, &note);
	if (error == ERROR_OK)
		return request;
	interrupt_noted(call, error, &note);
	return NULL;
}

static void take_message(struct rpc_call *call, bool compressed, struct slice message)
{
	const struct rpc_method *method = call->method;
	bool streams = rpc_call_client_streams(call);
	if (call->request != NULL) {
		rpc_call_interrupt(call, ERROR_UNIMPLEMENTED, "this method takes one message, and more came");
		return;
	}
	if (!decompress(call, compressed, &message))
		return;
	if (streams)
		arena_reset(&call->message_arena);
	void *request = decode(call, message, streams ? &call->message_arena : &call->arena);
	if (request == NULL)
		return;
	if (streams)
		method->receive(call, request, method->context);
	else
		call->request = request;
}

/* The next whole message, if there is one. */
static bool take_envelope(struct rpc_call *call)
{
	size_t left = call->body.size - call->taken;
	if (left < RPC_ENVELOPE_BYTES)
		return false;
	const uint8_t *at = call->body.data + call->taken;
	size_t size = (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4];
	if ((at[0] & ~1) != 0) {
		rpc_call_interrupt(call, ERROR_INVALID_ARGUMENT, "a message has flags that are not known");
		return false;
	}
	if (size > rpc_call_config(call)->max_message_bytes) {
		fail_too_large(call);
		return false;
	}
	if (left - RPC_ENVELOPE_BYTES < size)
		return false;
	call->taken += RPC_ENVELOPE_BYTES + size;
	call->messages++;
	take_message(call, at[0] & 1, slice_make(at + RPC_ENVELOPE_BYTES, size));
	return true;
}

static bool may_take(const struct rpc_call *call)
{
	return !call->released && call->exchange != NULL && !call->paused;
}

/* Whatever came last was the last. */
static void end_input(struct rpc_call *call)
{
	const struct rpc_method *method = call->method;
	if (call->body.size > call->taken || call->text_size > 0) {
		rpc_call_interrupt(call, ERROR_INVALID_ARGUMENT, "the request ends within a message");
	} else if (rpc_call_client_streams(call)) {
		method->receive(call, NULL, method->context);
	} else if (call->request == NULL) {
		rpc_call_interrupt(call, ERROR_UNIMPLEMENTED, "the request has no message");
	} else {
		rpc_call_set_state(call, CALL_HANDLING);
		method->handle(call, call->request, method->context);
	}
}

/* Hands out what has come. The method may answer meanwhile. */
static void dispatch(struct rpc_call *call)
{
	if (call->dispatching)
		return;
	call->dispatching = true;
	while (may_take(call) && take_envelope(call))
		;
	if (!call->released && rpc_call_client_streams(call)) {
		buffer_consume(&call->body, call->taken);
		call->taken = 0;
	}
	if (may_take(call) && call->input_ended) {
		call->input_ended = false; /* told once */
		end_input(call);
	}
	call->dispatching = false;
	if (call->released)
		rpc_call_release(call);
}

/* Whole quanta of four characters, each of which may be padded: messages are encoded one by one. */
static enum error append_text(struct rpc_call *call, struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		uint8_t bytes[8];
		size_t size;
		call->text[call->text_size++] = text.data[i];
		if (call->text_size < sizeof call->text)
			continue;
		call->text_size = 0;
		enum error error = base64_decode(slice_make(call->text, sizeof call->text), bytes, &size);
		if (error == ERROR_OK)
			error = buffer_append(&call->body, bytes, size);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

void rpc_call_data(struct rpc_call *call, struct slice bytes)
{
	assert(call->state == CALL_RECEIVING || call->state == CALL_HANDLING);
	if (bytes.size == 0)
		return;
	if (call->get) {
		rpc_call_interrupt(call, ERROR_INVALID_ARGUMENT, "a GET has no body: the message is in the query");
		return;
	}
	enum error error = call->protocol->text ? append_text(call, bytes) : buffer_append(&call->body, bytes.data, bytes.size);
	if (error == ERROR_TOO_LARGE)
		fail_too_large(call);
	else if (error != ERROR_OK)
		rpc_call_interrupt(call, error, NULL);
	else if (call->protocol->enveloped)
		dispatch(call);
}

void rpc_call_end(struct rpc_call *call)
{
	const struct rpc_method *method = call->method;
	call->input_ended = true;
	if (call->protocol->enveloped) {
		dispatch(call);
		return;
	}
	struct slice message = buffer_slice(&call->body);
	if (!decompress(call, call->request_compression != NULL, &message))
		return;
	void *request = decode(call, message, &call->arena);
	if (request == NULL)
		return;
	rpc_call_set_state(call, CALL_HANDLING);
	method->handle(call, request, method->context);
}

void rpc_call_pause(struct rpc_call *call)
{
	call->paused = true;
}

void rpc_call_resume(struct rpc_call *call)
{
	if (!call->paused)
		return;
	call->paused = false;
	if (call->exchange == NULL)
		return;
	call->exchange->transport->resume(call->exchange);
	dispatch(call);
}

bool rpc_call_paused(const struct rpc_call *call)
{
	return call->paused;
}

uint64_t rpc_call_message_begun(const struct rpc_call *call)
{
	bool within = call->body.size > call->taken || call->text_size > 0;
	return within && !call->paused ? call->messages + 1 : 0;
}

void rpc_call_refuse(struct rpc_call *call, enum error error, const char *message)
{
	rpc_call_interrupt(call, error, message);
}

size_t rpc_call_held_bytes(const struct rpc_call *call)
{
	return call->body.size + call->plain.size;
}

void rpc_call_writable(struct rpc_call *call)
{
	const struct rpc_method *method = call->method;
	if (call->state == CALL_HANDLING && method->writable != NULL)
		method->writable(call, method->context);
}

void rpc_call_woken(struct rpc_call *call)
{
	const struct rpc_method *method = call->method;
	if (call->state == CALL_HANDLING && method->wake != NULL)
		method->wake(call, method->context);
}
