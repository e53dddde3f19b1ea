/* Which protocol and codec a request speaks: by its content type, or for a GET by its query. */
#include <assert.h>
#include <stdio.h>
#include <strings.h>

#include "rpc/protocol.h"
#include "rpc/query.h"

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

static bool serves(const struct rpc_protocol *protocol, const struct rpc_method *method)
{
	return is_streaming(method) ? protocol->streams : protocol->unary;
}

/* The codec that this content type names of this protocol, or NULL. */
static const struct rpc_codec *match(const struct rpc_protocol *protocol, struct slice type)
{
	size_t prefix = strlen(protocol->prefix);
	if (protocol->bare != NULL && slice_equal_ignoring_case(type, protocol->bare))
		return &rpc_codecs[0];
	if (type.size <= prefix || strncasecmp((const char *)type.data, protocol->prefix, prefix) != 0)
		return NULL;
	return find_codec(slice_make(type.data + prefix, type.size - prefix));
}

static bool choose_of_post(struct rpc_call *call, const struct rpc_request *request)
{
	const struct slice *header = rpc_request_header(request, "content-type");
	struct slice type;
	if (header == NULL || header->size == 0 || !split_content_type(*header, &type, &call->charset))
		return false;
	for (size_t i = 0; i < rpc_protocol_count; i++) {
		const struct rpc_protocol *protocol = rpc_protocols[i];
		if (!serves(protocol, call->method))
			continue;
		call->protocol = protocol;
		call->codec = match(protocol, type);
		if (call->codec != NULL)
			return true;
	}
	return false;
}

bool rpc_wire_choose_grpc(struct rpc_call *call, const struct rpc_request *request)
{
	const struct slice *header = rpc_request_header(request, "content-type");
	struct slice type;
	if (!slice_equal(request->method, SLICE_LITERAL("POST")) || header == NULL || header->size == 0 ||
	    !split_content_type(*header, &type, &call->charset))
		return false;
	for (size_t i = 0; i < rpc_protocol_count; i++) {
		call->protocol = rpc_protocols[i];
		call->codec = call->protocol->bare == NULL ? NULL : match(call->protocol, type);
		if (call->codec != NULL)
			return true;
	}
	return false;
}

static bool choose_of_get(struct rpc_call *call, const struct rpc_request *request)
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

bool rpc_wire_choose(struct rpc_call *call, const struct rpc_request *request)
{
	return (call->get ? choose_of_get : choose_of_post)(call, request);
}

size_t rpc_wire_list(const struct rpc_method *method, char *list, size_t size)
{
	size_t used = 0;
	for (size_t i = 0; i < rpc_protocol_count; i++)
		for (size_t j = 0; j < rpc_codec_count; j++) {
			if (!serves(rpc_protocols[i], method))
				continue;
			int length = snprintf(list + used, size - used, "%s%s%s", used > 0 ? ", " : "", rpc_protocols[i]->prefix,
					      rpc_codecs[j].name);
			assert(length > 0 && (size_t)length < size - used);
			used += (size_t)length;
		}
	return used;
}

struct slice rpc_call_content_type(struct rpc_call *call)
{
	char *type = arena_alloc(&call->arena, 80), *end = type;
	if (type == NULL)
		return SLICE_LITERAL("");
	end = stpcpy(stpcpy(end, call->protocol->prefix), call->codec->name);
	if (call->charset)
		end = stpcpy(end, "; charset=utf-8");
	return slice_make(type, (size_t)(end - type));
}

void rpc_fields_add_metadata(struct rpc_fields *fields, const struct rpc_metadata *metadata)
{
	for (size_t i = 0; i < metadata->count; i++)
		rpc_fields_add(fields, metadata->items[i].name, metadata->items[i].value);
}
