#include "rpc/protocol.h"

static enum error encode_binary(const struct message_type *type, const void *message, struct buffer *output,
				struct error_note *note)
{
	(void)note;
	return message_encode_binary(type, message, output);
}

const struct rpc_codec rpc_codecs[] = {
	{"proto", message_decode_binary, encode_binary},
	{"json", message_decode_json, message_encode_json},
};
const size_t rpc_codec_count = sizeof rpc_codecs / sizeof rpc_codecs[0];

const struct rpc_protocol *const rpc_protocols[] = {&rpc_connect_unary, &rpc_connect_stream, &rpc_grpc, &rpc_grpc_web,
						    &rpc_grpc_web_text};
const size_t rpc_protocol_count = sizeof rpc_protocols / sizeof rpc_protocols[0];

enum error rpc_envelope_open(struct buffer *body, uint8_t flags)
{
	const uint8_t envelope[RPC_ENVELOPE_BYTES] = {flags};
	return buffer_append(body, envelope, sizeof envelope);
}

void rpc_envelope_close(struct buffer *body, size_t from)
{
	uint8_t *size = body->data + from + 1;
	size_t bytes = body->size - from - RPC_ENVELOPE_BYTES;
	for (size_t i = 0; i < 4; i++)
		size[i] = (uint8_t)(bytes >> 8 * (3 - i));
}
