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

const struct rpc_protocol *const rpc_protocols[] = {&rpc_connect_unary};
const size_t rpc_protocol_count = sizeof rpc_protocols / sizeof rpc_protocols[0];
