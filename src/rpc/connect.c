/* The Connect protocol, unary (connectrpc.com/docs/protocol, "Unary-Request", "Unary-Get-Request"): the body is the message, the
 * HTTP status is the outcome, and an error is JSON whatever the codec. */
#include "base/base64.h"
#include "base/json.h"
#include "base/utf8.h"
#include "rpc/protocol.h"
#include "rpc/query.h"

enum { TIMEOUT_MAX_DIGITS = 10, SHOWN_BYTES = 40 };

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

static enum error check_compression(const struct slice *encoding, struct error_note *note)
{
	if (encoding == NULL || encoding->size == 0 || slice_equal_string(*encoding, "identity"))
		return ERROR_OK;
	return error_noted(note, ERROR_UNIMPLEMENTED, "unknown compression \"%.*s\": supported encodings are identity",
			   shown(*encoding), (const char *)encoding->data);
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
	rpc_call_set_timeout(call, timeout_ms);
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

static enum error connect_begin(struct rpc_call *call, const struct rpc_request *request, struct error_note *note)
{
	struct slice version, encoding;
	enum error error;
	if (call->get)
		error = check_version(parameter(request->query, "connect", &version), "v1", note);
	else
		error = check_version(rpc_request_header(request, "connect-protocol-version"), "1", note);
	if (error == ERROR_OK)
		error = check_compression(call->get ? parameter(request->query, "compression", &encoding)
						    : rpc_request_header(request, "content-encoding"),
					  note);
	if (error == ERROR_OK)
		error = read_timeout(call, rpc_request_header(request, "connect-timeout-ms"), note);
	if (error == ERROR_OK && call->get)
		error = read_message_of_get(call, request->query, note);
	return error;
}

static void connect_reply(struct rpc_call *call, struct buffer *body)
{
	char type[64], *end = stpcpy(stpcpy(type, call->protocol->prefix), call->codec->name);
	if (call->charset)
		end = stpcpy(end, "; charset=utf-8");
	struct rpc_header header = {SLICE_LITERAL("content-type"), slice_make(type, (size_t)(end - type))};
	rpc_call_respond(call, 200, &header, 1, body);
}

/* A message may quote bytes of the caller's, or have been cut within a character. */
static enum error append_message(struct rpc_call *call, struct buffer *body, const char *message)
{
	struct slice text = slice_from_string(message);
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

static void connect_fail(struct rpc_call *call, enum error error, const char *message, struct buffer *body)
{
	static const struct rpc_header header = {{(const uint8_t *)"content-type", 12},
						 {(const uint8_t *)"application/json", 16}};
	enum error failed = buffer_append_format(body, "{\"code\":\"%s\"", error_connect_code(error));
	if (failed == ERROR_OK && message[0] != 0)
		failed = buffer_append_string(body, ",\"message\":");
	if (failed == ERROR_OK && message[0] != 0)
		failed = append_message(call, body, message);
	if (failed == ERROR_OK)
		failed = buffer_append_byte(body, '}');
	if (failed != ERROR_OK)
		buffer_clear(body); /* out of memory: the status alone has to do */
	rpc_call_respond(call, error_http_status(error), &header, 1, body);
}

const struct rpc_protocol rpc_connect_unary = {
	.prefix = "application/",
	.get_codec_parameter = "encoding",
	.begin = connect_begin,
	.reply = connect_reply,
	.fail = connect_fail,
};
