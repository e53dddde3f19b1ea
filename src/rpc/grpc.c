/* gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md) and gRPC-Web (PROTOCOL-WEB.md): enveloped messages under status 200; the outcome
 * is in the trailers, which gRPC-Web writes into a last envelope, for browsers can't read others. */
#include "base/base64.h"
#include "rpc/protocol.h"

enum { TIMEOUT_MAX_DIGITS = 8, FLAG_TRAILERS = 0x80, SHOWN_BYTES = 40 };

/* "100m": of hours, minutes, seconds, milli-, micro- and nanoseconds. */
static enum error read_timeout(struct rpc_call *call, const struct slice *text, struct error_note *note)
{
	static const char units[] = "HMSmun";
	static const int64_t unit_ns[] = {3600000000000, 60000000000, 1000000000, 1000000, 1000, 1};
	if (text == NULL)
		return ERROR_OK;
	int64_t count = 0;
	bool fine = text->size > 1 && text->size <= TIMEOUT_MAX_DIGITS + 1;
	for (size_t i = 0; fine && i < text->size - 1; i++) {
		fine = text->data[i] >= '0' && text->data[i] <= '9';
		count = count * 10 + (text->data[i] - '0');
	}
	const char *unit = fine && text->data[text->size - 1] != 0 ? strchr(units, text->data[text->size - 1]) : NULL;
	if (unit == NULL)
		return error_noted(note, ERROR_INVALID_ARGUMENT,
				   "grpc-timeout \"%.*s\" is not at most 8 digits and one of HMSmun",
				   text->size > SHOWN_BYTES ? SHOWN_BYTES : (int)text->size, (const char *)text->data);
	int64_t each_ns = unit_ns[unit - units];
	call->timeout_us = each_ns >= 1000 ? count * (each_ns / 1000) : count / 1000;
	rpc_call_set_timeout(call, call->timeout_us);
	return ERROR_OK;
}

static enum error grpc_begin(struct rpc_call *call, const struct rpc_request *request, struct error_note *note)
{
	enum error error = rpc_compression_find(rpc_request_header(request, "grpc-encoding"), &call->request_compression, note);
	if (error == ERROR_OK)
		error = read_timeout(call, rpc_request_header(request, "grpc-timeout"), note);
	call->response_compression = rpc_compression_choose(rpc_request_header(request, "grpc-accept-encoding"));
	return error;
}

static void grpc_head(struct rpc_call *call, struct rpc_fields *fields)
{
	rpc_fields_add(fields, SLICE_LITERAL("content-type"), rpc_call_content_type(call));
	if (call->response_compression != NULL)
		rpc_fields_add(fields, SLICE_LITERAL("grpc-encoding"), slice_from_string(call->response_compression->name));
}

/* Percent-encoding of what is not printable ASCII. Empty: out of memory. */
static struct slice encode_message(struct arena *arena, const char *message)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t size = strlen(message), used = 0;
	uint8_t *text = arena_alloc(arena, 3 * size);
	if (text == NULL)
		return SLICE_LITERAL("");
	for (size_t i = 0; i < size; i++) {
		uint8_t c = (uint8_t)message[i];
		if (c >= 0x20 && c <= 0x7e && c != '%') {
			text[used++] = c;
			continue;
		}
		text[used++] = '%';
		text[used++] = (uint8_t)digits[c >> 4];
		text[used++] = (uint8_t)digits[c & 15];
	}
	return slice_make(text, used);
}

static enum error append_varint(struct buffer *output, uint64_t value)
{
	uint8_t bytes[10];
	size_t size = 0;
	for (; value >= 0x80; value >>= 7)
		bytes[size++] = (uint8_t)(value | 0x80);
	bytes[size++] = (uint8_t)value;
	return buffer_append(output, bytes, size);
}

static enum error append_field(struct buffer *output, unsigned number, struct slice bytes)
{
	enum error error = append_varint(output, number << 3 | 2);
	if (error == ERROR_OK)
		error = append_varint(output, bytes.size);
	return error != ERROR_OK ? error : buffer_append(output, bytes.data, bytes.size);
}

/* google.protobuf.Any { type_url = 1, value = 2 } */
static enum error append_any(struct buffer *output, const struct rpc_detail *detail)
{
	static const char host[] = "type.googleapis.com/";
	struct buffer url, any;
	buffer_init(&url, SIZE_MAX);
	buffer_init(&any, SIZE_MAX);
	enum error error = buffer_append_string(&url, host);
	if (error == ERROR_OK)
		error = buffer_append(&url, detail->type_name.data, detail->type_name.size);
	if (error == ERROR_OK)
		error = append_field(&any, 1, buffer_slice(&url));
	if (error == ERROR_OK)
		error = append_field(&any, 2, detail->message);
	if (error == ERROR_OK)
		error = append_field(output, 3, buffer_slice(&any));
	buffer_release(&url);
	buffer_release(&any);
	return error;
}

/* google.rpc.Status { code = 1, message = 2, details = 3 }, in base64. Empty: out of memory. */
static struct slice encode_status(struct rpc_call *call, enum error error, const char *message)
{
	struct buffer status, text;
	buffer_init(&status, SIZE_MAX);
	buffer_init(&text, SIZE_MAX);
	enum error failed = append_varint(&status, 1 << 3);
	if (failed == ERROR_OK)
		failed = append_varint(&status, error_grpc_code(error));
	if (failed == ERROR_OK)
		failed = append_field(&status, 2, slice_from_string(message));
	for (const struct rpc_detail *detail = call->details; failed == ERROR_OK && detail != NULL; detail = detail->next)
		failed = append_any(&status, detail);
	if (failed == ERROR_OK)
		failed = base64_append(&text, buffer_slice(&status), false);
	struct slice kept = failed == ERROR_OK ? arena_copy(&call->arena, buffer_slice(&text)) : slice_make(NULL, 0);
	buffer_release(&status);
	buffer_release(&text);
	return kept;
}

static void build_trailers(struct rpc_call *call, enum error error, const char *message, struct rpc_fields *fields)
{
	static const char codes[][3] = {"0", "1",  "2",	 "3",  "4",  "5",  "6",	 "7", "8",
					"9", "10", "11", "12", "13", "14", "15", "16"};
	rpc_fields_add(fields, SLICE_LITERAL("grpc-status"), slice_from_string(codes[error_grpc_code(error)]));
	if (message[0] != 0)
		rpc_fields_add(fields, SLICE_LITERAL("grpc-message"), encode_message(&call->arena, message));
	if (call->details != NULL)
		rpc_fields_add(fields, SLICE_LITERAL("grpc-status-details-bin"), encode_status(call, error, message));
	rpc_fields_add_metadata(fields, &call->trailers);
}

static void grpc_finish(struct rpc_call *call, enum error error, const char *message, struct buffer *body)
{
	struct rpc_fields trailers, head;
	head.count = trailers.count = 0;
	bool only = !call->head_sent && body->size == 0 && call->headers.count == 0 && error != ERROR_OK;
	if (!only) {
		build_trailers(call, error, message, &trailers);
		rpc_call_conclude(call, body, &trailers);
		return;
	}
	/* "Trailers-Only" */
	rpc_fields_add(&head, SLICE_LITERAL("content-type"), rpc_call_content_type(call));
	build_trailers(call, error, message, &head);
	rpc_call_respond(call, 200, &head, body, &trailers);
}

static enum error append_trailer_lines(const struct rpc_fields *trailers, struct buffer *body)
{
	enum error error = ERROR_OK;
	for (size_t i = 0; error == ERROR_OK && i < trailers->count; i++) {
		const struct rpc_header *trailer = &trailers->items[i];
		error = buffer_reserve(body, trailer->name.size + trailer->value.size + 4);
		if (error != ERROR_OK)
			break;
		buffer_append(body, trailer->name.data, trailer->name.size);
		buffer_append(body, ": ", 2);
		buffer_append(body, trailer->value.data, trailer->value.size);
		buffer_append(body, "\r\n", 2);
	}
	return error;
}

static void grpc_web_finish(struct rpc_call *call, enum error error, const char *message, struct buffer *body)
{
	struct rpc_fields trailers, none;
	trailers.count = none.count = 0;
	size_t from = body->size;
	build_trailers(call, error, message, &trailers);
	enum error failed = rpc_envelope_open(body, FLAG_TRAILERS);
	if (failed == ERROR_OK)
		failed = append_trailer_lines(&trailers, body);
	if (failed == ERROR_OK)
		rpc_envelope_close(body, from);
	else
		body->size = from; /* out of memory: an end that is missing is an error to the client */
	rpc_call_conclude(call, body, &none);
}

const struct rpc_protocol rpc_grpc = {
	.prefix = "application/grpc+",
	.bare = "application/grpc",
	.unary = true,
	.streams = true,
	.enveloped = true,
	.begin = grpc_begin,
	.head = grpc_head,
	.finish = grpc_finish,
};

const struct rpc_protocol rpc_grpc_web = {
	.prefix = "application/grpc-web+",
	.bare = "application/grpc-web",
	.unary = true,
	.streams = true,
	.enveloped = true,
	.begin = grpc_begin,
	.head = grpc_head,
	.finish = grpc_web_finish,
};

const struct rpc_protocol rpc_grpc_web_text = {
	.prefix = "application/grpc-web-text+",
	.bare = "application/grpc-web-text",
	.unary = true,
	.streams = true,
	.enveloped = true,
	.text = true,
	.begin = grpc_begin,
	.head = grpc_head,
	.finish = grpc_web_finish,
};
