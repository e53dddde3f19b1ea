/* The Connect protocol (connectrpc.com/docs/protocol). Unary ("Unary-Request", "Unary-Get-Request"): the body is the message, the
 * HTTP status is the outcome, and an error is JSON whatever the codec. Streams ("Streaming-Request"): enveloped messages under
 * status 200, the last of which is the outcome, as JSON. */
#include "base/base64.h"
#include "base/json.h"
#include "base/utf8.h"
#include "rpc/protocol.h"
#include "rpc/query.h"

enum { TIMEOUT_MAX_DIGITS = 10, SHOWN_BYTES = 40, FLAG_END_STREAM = 2 };

static int shown(struct slice text)
{
	return text.size > SHOWN_BYTES ? SHOWN_BYTES : (int)text.size;
}

static enum error check_version(const struct slice *version, const char *wanted, struct error_note *note)
{
	if (version == NULL || slice_equal_string(*version, wanted))
		return ERROR_OK;
	return error_noted(note, ERROR_INVALID_ARGUMENT, "Connect protocol version \"%.*s\" is not supported; send %s",
			   shown(*version), (const char *)version->data, wanted);
}

static enum error read_timeout(struct rpc_call *call, const struct slice *timeout, struct error_note *note)
{
	if (timeout == NULL)
		return ERROR_OK;
	int64_t timeout_ms = 0;
	bool fine = timeout->size > 0 && timeout->size <= TIMEOUT_MAX_DIGITS;
	for (size_t i = 0; fine && i < timeout->size; i++) {
		uint8_t c = timeout->data[i];
		fine = c >= '0' && c <= '9';
		timeout_ms = timeout_ms * 10 + (c - '0');
	}
	if (!fine)
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "Connect-Timeout-Ms \"%.*s\" is not a number of milliseconds of at most 10 digits",
				   shown(*timeout), (const char *)timeout->data);
	call->timeout_us = timeout_ms * 1000;
	rpc_call_set_timeout(call, call->timeout_us);
	return ERROR_OK;
}

/* NULL: there is no such parameter. */
static const struct slice *parameter(struct slice query, const char *name, struct slice *space)
{
	return query_find(query, name, space) ? space : NULL;
}

static enum error decode_base64(struct rpc_call *call, struct slice *bytes)
{
	size_t size;
	uint8_t *data = arena_alloc(&call->arena, base64_decoded_bound(bytes->size));
	enum error error = data == NULL ? ERROR_NO_MEMORY : base64_decode(*bytes, data, &size);
	if (error == ERROR_OK)
		*bytes = slice_make(data, size);
	return error;
}

static enum error read_message_of_get(struct rpc_call *call, struct slice query, struct error_note *note)
{
	struct slice text, bytes, base64;
	if (!query_find(query, "message", &text))
		return error_noted(note, ERROR_INVALID_ARGUMENT, "the query has no parameter \"message\"");
	enum error error = query_decode(text, &call->arena, &bytes);
	if (error == ERROR_OK && query_find(query, "base64", &base64) && slice_equal_string(base64, "1"))
		error = decode_base64(call, &bytes);
	if (error == ERROR_MALFORMED)
		return error_noted(note, error, "the query's parameter \"message\" is not well encoded");
	return error != ERROR_OK ? error : buffer_append(&call->body, bytes.data, bytes.size);
}

static enum error begin_unary(struct rpc_call *call, const struct rpc_request *request, struct error_note *note)
{
	struct slice version, encoding;
	enum error error;
	if (call->get)
		error = check_version(parameter(request->query, "connect", &version), "v1", note);
	else
		error = check_version(rpc_request_header(request, "connect-protocol-version"), "1", note);
	if (error == ERROR_OK)
		error = rpc_compression_find(call->get ? parameter(request->query, "compression", &encoding)
						       : rpc_request_header(request, "content-encoding"),
					     &call->request_compression, note);
	if (error == ERROR_OK)
		error = read_timeout(call, rpc_request_header(request, "connect-timeout-ms"), note);
	if (error == ERROR_OK && call->get)
		error = read_message_of_get(call, request->query, note);
	call->response_compression = rpc_compression_choose(rpc_request_header(request, "accept-encoding"));
	return error;
}

static enum error begin_stream(struct rpc_call *call, const struct rpc_request *request, struct error_note *note)
{
	enum error error = check_version(rpc_request_header(request, "connect-protocol-version"), "1", note);
	if (error == ERROR_OK)
		error = rpc_compression_find(rpc_request_header(request, "connect-content-encoding"), &call->request_compression,
					     note);
	if (error == ERROR_OK)
		error = read_timeout(call, rpc_request_header(request, "connect-timeout-ms"), note);
	call->response_compression = rpc_compression_choose(rpc_request_header(request, "connect-accept-encoding"));
	return error;
}

/* A message may quote bytes of the caller's, or have been cut within a character. */
static enum error append_text(struct rpc_call *call, struct buffer *body, struct slice text)
{
	if (!utf8_valid(text)) {
		uint8_t *ascii = arena_alloc(&call->arena, text.size);
		if (ascii == NULL)
			return ERROR_NO_MEMORY;
		for (size_t i = 0; i < text.size; i++)
			ascii[i] = text.data[i] < 0x80 ? text.data[i] : '?';
		text.data = ascii;
	}
	return json_append_string(body, text);
}

static enum error append_details(struct rpc_call *call, struct buffer *body)
{
	enum error error = buffer_append_string(body, ",\"details\":[");
	for (const struct rpc_detail *detail = call->details; error == ERROR_OK && detail != NULL; detail = detail->next) {
		error = buffer_append_string(body, detail == call->details ? "{\"type\":" : ",{\"type\":");
		if (error == ERROR_OK)
			error = append_text(call, body, detail->type_name);
		if (error == ERROR_OK)
			error = buffer_append_string(body, ",\"value\":\"");
		if (error == ERROR_OK)
			error = base64_append(body, detail->message, false);
		if (error == ERROR_OK)
			error = buffer_append_string(body, "\"}");
	}
	return error != ERROR_OK ? error : buffer_append_byte(body, ']');
}

/* {"code": …, "message": …, "details": …} */
static enum error append_error(struct rpc_call *call, enum error error, const char *message, struct buffer *body)
{
	enum error failed = buffer_append_format(body, "{\"code\":\"%s\"", error_connect_code(error));
	if (failed == ERROR_OK && message[0] != 0)
		failed = buffer_append_string(body, ",\"message\":");
	if (failed == ERROR_OK && message[0] != 0)
		failed = append_text(call, body, slice_from_string(message));
	if (failed == ERROR_OK && call->details != NULL)
		failed = append_details(call, body);
	return failed != ERROR_OK ? failed : buffer_append_byte(body, '}');
}

/* Trailers stand in the head, under names of their own. */
static void add_trailers(struct rpc_call *call, struct rpc_fields *head)
{
	for (size_t i = 0; i < call->trailers.count; i++) {
		const struct rpc_header *trailer = &call->trailers.items[i];
		uint8_t *name = arena_alloc(&call->arena, trailer->name.size + 8);
		if (name == NULL)
			return;
		memcpy(name, "trailer-", 8);
		memcpy(name + 8, trailer->name.data, trailer->name.size);
		rpc_fields_add(head, slice_make(name, trailer->name.size + 8), trailer->value);
	}
}

static void finish_unary(struct rpc_call *call, enum error error, const char *message, struct buffer *body)
{
	struct rpc_fields head, none;
	head.count = none.count = 0;
	if (error == ERROR_OK) {
		rpc_fields_add(&head, SLICE_LITERAL("content-type"), rpc_call_content_type(call));
		if (call->compressed)
			rpc_fields_add(&head, SLICE_LITERAL("content-encoding"),
				       slice_from_string(call->response_compression->name));
	} else {
		rpc_fields_add(&head, SLICE_LITERAL("content-type"), SLICE_LITERAL("application/json"));
		if (append_error(call, error, message, body) != ERROR_OK)
			buffer_clear(body); /* out of memory: the status alone has to do */
	}
	rpc_fields_add_metadata(&head, &call->headers);
	add_trailers(call, &head);
	rpc_call_respond(call, error_http_status(error), &head, body, &none);
}

static void head_of_stream(struct rpc_call *call, struct rpc_fields *fields)
{
	rpc_fields_add(fields, SLICE_LITERAL("content-type"), rpc_call_content_type(call));
	if (call->response_compression != NULL)
		rpc_fields_add(fields, SLICE_LITERAL("connect-content-encoding"),
			       slice_from_string(call->response_compression->name));
}

/* "name": [value, …] of the trailer at `index` and all behind it with its name; nothing when one before it had the name. */
static enum error append_trailer(struct rpc_call *call, size_t index, struct buffer *body, bool *first)
{
	const struct rpc_header *trailers = call->trailers.items;
	struct slice name = trailers[index].name;
	for (size_t i = 0; i < index; i++)
		if (slice_equal(trailers[i].name, name))
			return ERROR_OK;
	enum error error = *first ? ERROR_OK : buffer_append_byte(body, ',');
	*first = false;
	if (error == ERROR_OK)
		error = append_text(call, body, name);
	if (error == ERROR_OK)
		error = buffer_append_string(body, ":[");
	for (size_t i = index; error == ERROR_OK && i < call->trailers.count; i++) {
		if (!slice_equal(trailers[i].name, name))
			continue;
		if (i > index)
			error = buffer_append_byte(body, ',');
		if (error == ERROR_OK)
			error = append_text(call, body, trailers[i].value);
	}
	return error != ERROR_OK ? error : buffer_append_byte(body, ']');
}

/* {"error": {…}, "metadata": {…}} */
static enum error append_end(struct rpc_call *call, enum error error, const char *message, struct buffer *body)
{
	bool first = true;
	enum error failed = buffer_append_byte(body, '{');
	if (failed == ERROR_OK && error != ERROR_OK)
		failed = buffer_append_string(body, "\"error\":");
	if (failed == ERROR_OK && error != ERROR_OK)
		failed = append_error(call, error, message, body);
	if (call->trailers.count > 0) {
		if (failed == ERROR_OK)
			failed = buffer_append_string(body, error != ERROR_OK ? ",\"metadata\":{" : "\"metadata\":{");
		for (size_t i = 0; failed == ERROR_OK && i < call->trailers.count; i++)
			failed = append_trailer(call, i, body, &first);
		if (failed == ERROR_OK)
			failed = buffer_append_byte(body, '}');
	}
	return failed != ERROR_OK ? failed : buffer_append_byte(body, '}');
}

static void finish_stream(struct rpc_call *call, enum error error, const char *message, struct buffer *body)
{
	struct rpc_fields none;
	none.count = 0;
	size_t from = body->size;
	enum error failed = rpc_envelope_open(body, FLAG_END_STREAM);
	if (failed == ERROR_OK)
		failed = append_end(call, error, message, body);
	if (failed == ERROR_OK)
		rpc_envelope_close(body, from);
	else
		body->size = from; /* out of memory: an end that is missing is an error to the client */
	rpc_call_conclude(call, body, &none);
}

const struct rpc_protocol rpc_connect_unary = {
	.prefix = "application/",
	.unary = true,
	.get_codec_parameter = "encoding",
	.begin = begin_unary,
	.finish = finish_unary,
};

const struct rpc_protocol rpc_connect_stream = {
	.prefix = "application/connect+",
	.streams = true,
	.enveloped = true,
	.begin = begin_stream,
	.head = head_of_stream,
	.finish = finish_stream,
};
