/* Inside src/rpc: how the runtime, the protocols and the codecs meet. A content type is a protocol's prefix and a codec's name:
 * "application/" "json". A protocol more is a row of rpc_protocols and a source file; the runtime does not change.
 */
#ifndef PING_RPC_PROTOCOL_H
#define PING_RPC_PROTOCOL_H

#include <stdatomic.h>

#include "rpc/server.h"

struct rpc_codec {
	const char *name; /* "json" */
	enum error (*decode)(const struct message_type *type, struct slice input, struct arena *arena, void *ret_message,
			     struct error_note *note);
	enum error (*encode)(const struct message_type *type, const void *message, struct buffer *output,
			     struct error_note *note);
};

struct rpc_protocol {
	const char *prefix; /* of the content type */
	bool streaming;	    /* for methods with a stream, or for those without */
	/* The query parameter that names the codec of a GET; NULL: this protocol knows no GET. */
	const char *get_codec_parameter;
	/* What the head says beside method and codec: version, compression, timeout. For a GET also the message, into call->body.
	 */
	enum error (*begin)(struct rpc_call *call, const struct rpc_request *request, struct error_note *note);
	/* The answer: the encoded message, or an error. `body` is the message, or empty and to be filled. */
	void (*reply)(struct rpc_call *call, struct buffer *body);
	void (*fail)(struct rpc_call *call, enum error error, const char *message, struct buffer *body);
};

extern const struct rpc_codec rpc_codecs[];
extern const size_t rpc_codec_count;
extern const struct rpc_protocol *const rpc_protocols[];
extern const size_t rpc_protocol_count;
extern const struct rpc_protocol rpc_connect_unary;

enum rpc_call_state { CALL_FREE, CALL_CREATED, CALL_RECEIVING, CALL_HANDLING, CALL_DETACHED, CALL_STATES };

struct rpc_call {
	enum rpc_call_state state;
	bool get;     /* a GET: the message is in the query, there is no body */
	bool charset; /* the content type named its charset, and so does the answer's */
	atomic_bool canceled;
	struct rpc_pool *pool;
	struct rpc_call *next_free;
	struct rpc_exchange *exchange; /* NULL: FREE or DETACHED */
	const struct rpc_method *method;
	const struct rpc_protocol *protocol;
	const struct rpc_codec *codec;
	int64_t begun_us, deadline_us;
	struct address client;
	struct arena arena;
	struct buffer body; /* the request's */
	struct {
		bool done;
		enum error error;
		struct error_note note;
		struct buffer body;
	} prepared; /* the answer, encoded already */
};

/* For protocols: the one way out. */
void rpc_call_respond(struct rpc_call *call, unsigned status, const struct rpc_header *headers, size_t count,
		      struct buffer *body);
/* The deadline that is `timeout_ms` from the call's begin, within the configured bounds. */
void rpc_call_set_timeout(struct rpc_call *call, int64_t timeout_ms);

#endif
