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

struct rpc_compression {
	const char *name; /* "gzip" */
	enum error (*compress)(struct slice input, struct buffer *output);
	/* Appends up to output's limit. MALFORMED, TOO_LARGE, NO_MEMORY. */
	enum error (*decompress)(struct slice input, struct buffer *output);
};

enum { RPC_MAX_FIELDS = 64, RPC_ENVELOPE_BYTES = 5 };

/* A list that is written once; what does not fit is left out. */
struct rpc_fields {
	size_t count;
	struct rpc_header items[RPC_MAX_FIELDS];
};

static inline void rpc_fields_add(struct rpc_fields *fields, struct slice name, struct slice value)
{
	if (fields->count < RPC_MAX_FIELDS)
		fields->items[fields->count++] = (struct rpc_header){name, value};
}

struct rpc_protocol {
	const char *prefix;  /* of the content type */
	const char *bare;    /* the content type without a codec, which is then the first; NULL: none */
	bool unary, streams; /* the methods it is for */
	bool enveloped;	     /* each message has five bytes before it: flags and size */
	bool text;	     /* the body is base64 */
	/* The query parameter that names the codec of a GET; NULL: this protocol knows no GET. */
	const char *get_codec_parameter;
	/* What the head says beside method and codec: version, compression, timeout. For a GET also the message, into call->body.
	 */
	enum error (*begin)(struct rpc_call *call, const struct rpc_request *request, struct error_note *note);
	/* The head of an answer that has messages, without the method's own headers. */
	void (*head)(struct rpc_call *call, struct rpc_fields *fields);
	/* The end of the answer, by rpc_call_conclude or rpc_call_respond. `body` holds the message of an answer that has one
	 * alone, or nothing. OK, or an error and its message. */
	void (*finish)(struct rpc_call *call, enum error error, const char *message, struct buffer *body);
};

extern const struct rpc_codec rpc_codecs[];
extern const size_t rpc_codec_count;
extern const struct rpc_protocol *const rpc_protocols[];
extern const size_t rpc_protocol_count;
extern const struct rpc_protocol rpc_connect_unary, rpc_connect_stream, rpc_grpc, rpc_grpc_web, rpc_grpc_web_text;
extern const struct rpc_compression rpc_compressions[];
extern const size_t rpc_compression_count;

enum rpc_call_state { CALL_FREE, CALL_CREATED, CALL_RECEIVING, CALL_HANDLING, CALL_DETACHED, CALL_STATES };

struct rpc_metadata {
	struct rpc_header *items;
	size_t count, capacity;
};

struct rpc_detail {
	struct slice type_name, message;
	struct rpc_detail *next;
};

struct rpc_call {
	enum rpc_call_state state;
	bool get;     /* a GET: the message is in the query, there is no body */
	bool charset; /* the content type named its charset, and so does the answer's */
	bool head_sent, compressed;
	bool input_ended, paused;
	bool dispatching, released; /* released while its messages are being handed out: freed behind that */
	atomic_bool canceled;
	struct rpc_pool *pool;
	struct rpc_call *next_free;
	struct rpc_exchange *exchange; /* NULL: FREE or DETACHED */
	const struct rpc_method *method;
	const struct rpc_protocol *protocol;
	const struct rpc_codec *codec;
	const struct rpc_compression *request_compression, *response_compression; /* NULL: identity */
	int64_t begun_us, deadline_us, timeout_us;
	struct address client;
	const struct rpc_header *request_headers;
	size_t request_header_count;
	struct slice query;
	struct arena arena;
	struct arena message_arena; /* for one message of a client that streams */
	struct buffer body;	    /* the request's, from `taken` on not looked at */
	size_t taken;
	uint64_t messages;   /* taken */
	struct buffer plain; /* the request, decompressed */
	uint8_t text[4];     /* the base64 that is not a whole quantum yet */
	size_t text_size;
	void *request; /* decoded, of a client that does not stream */
	struct rpc_metadata headers, trailers;
	struct rpc_detail *details, **details_end;
	void *data;
	struct {
		bool done, compressed;
		enum error error;
		struct error_note note;
		struct buffer body;
	} prepared; /* the answer, encoded already */
};

/* For protocols: the ways out. */
/* An answer that is all in one: status, head, body. */
void rpc_call_respond(struct rpc_call *call, unsigned status, const struct rpc_fields *head, struct buffer *body,
		      const struct rpc_fields *trailers);
/* The end of an answer whose head may be out already, or goes out with status 200 now. */
void rpc_call_conclude(struct rpc_call *call, struct buffer *body, const struct rpc_fields *trailers);
/* What is appended between the two is one envelope's; `from` is the body's size before. */
enum error rpc_envelope_open(struct buffer *body, uint8_t flags);
void rpc_envelope_close(struct buffer *body, size_t from);
/* The deadline that is `timeout_us` from the call's begin, within the configured bounds. */
void rpc_call_set_timeout(struct rpc_call *call, int64_t timeout_us);
void rpc_fields_add_metadata(struct rpc_fields *fields, const struct rpc_metadata *metadata);
/* "application/json", with the charset if the request's had one. In the call's arena; empty: out of memory. */
struct slice rpc_call_content_type(struct rpc_call *call);
/* By header: what the request is compressed with, UNIMPLEMENTED if not known; and what of `accept` is known, or NULL. */
enum error rpc_compression_find(const struct slice *name, const struct rpc_compression **ret_compression,
				struct error_note *note);
const struct rpc_compression *rpc_compression_choose(const struct slice *accept);

/* Inside the runtime: the call's two sides meet in these. */
/* Back into the pool. */
void rpc_call_release(struct rpc_call *call);
/* The exchange and the call part. */
struct rpc_exchange *rpc_call_detach(struct rpc_call *call);
void rpc_call_set_state(struct rpc_call *call, enum rpc_call_state state);
void rpc_call_tell_finished(struct rpc_call *call, enum error error);
struct buffer *rpc_call_response_buffer(struct rpc_call *call);
/* Answers an error; the call is detached, and the caller's to release. */
void rpc_call_answer_error(struct rpc_call *call, enum error error, const char *message);
/* Answers an error that is not the method's, which is told where it has the call. */
void rpc_call_interrupt(struct rpc_call *call, enum error error, const char *message);
const struct rpc_config *rpc_call_config(const struct rpc_call *call);
/* The method that has this path, or NULL. */
const struct rpc_method *rpc_server_find(const struct rpc_server *server, struct slice path);
void rpc_call_limit_body(struct rpc_call *call);
struct rpc_server *rpc_call_server(const struct rpc_call *call);
struct executor *rpc_pool_executor(struct rpc_pool *pool);
/* Protocol and codec by content type or query; false: refused by HTTP's own means. */
bool rpc_wire_choose(struct rpc_call *call, const struct rpc_request *request);
/* Whether it is a call in gRPC's manner, of whatever method; chosen as above then. */
bool rpc_wire_choose_grpc(struct rpc_call *call, const struct rpc_request *request);
/* "application/json, …": what the method takes. Returns its size. */
size_t rpc_wire_list(const struct rpc_method *method, char *list, size_t size);

#endif
