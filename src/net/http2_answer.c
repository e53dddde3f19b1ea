/* What an HTTP/2 stream sends: the head, the body as far as the peer's window goes, the trailers. */
#include <assert.h>

#include "net/http2.h"

enum {
	DECIMAL_SIZE = 20,
	STREAM_MAX_BYTES = 64 << 10, /* not sent yet; then a stream's method is to wait */
	STREAM_LOW_BYTES = 16 << 10, /* then it goes on */
};

/* The peer does not read its answer, or does not end a request that is answered. */
static void answer_stalled(struct timer *timer)
{
	struct stream *stream = (struct stream *)((char *)timer - offsetof(struct stream, stall));
	nghttp2_submit_rst_stream(stream->session->nghttp2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
	connection_settle_later(stream->session->connection);
}

void http2_answer_init(struct stream *stream)
{
	stream->stall = (struct timer){.fire = answer_stalled};
	stream->finished = stream->starved = false;
	stream->body_sent = 0;
}

static void expect_progress(struct stream *stream)
{
	struct worker *worker = stream->session->connection->worker;
	loop_timer_arm(worker->loop, &stream->stall, loop_now_us(worker->loop) + worker->shared->config.write_timeout_ms * 1000);
}

static nghttp2_nv make_field(struct slice name, struct slice value)
{
	return (nghttp2_nv){(uint8_t *)name.data, (uint8_t *)value.data, name.size, value.size, NGHTTP2_NV_FLAG_NONE};
}

/* By a name that is static and in lower case: it is neither copied nor looked through. */
static nghttp2_nv named(struct slice name, struct slice value)
{
	nghttp2_nv field = make_field(name, value);
	field.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME;
	return field;
}

/* They wait for the body: two sizes, name and value, each behind the other. False: out of memory. */
static bool keep_trailers(struct stream *stream, const struct rpc_header *trailers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const size_t sizes[2] = {trailers[i].name.size, trailers[i].value.size};
		if (buffer_append(&stream->trailers, sizes, sizeof sizes) != ERROR_OK ||
		    buffer_append(&stream->trailers, trailers[i].name.data, sizes[0]) != ERROR_OK ||
		    buffer_append(&stream->trailers, trailers[i].value.data, sizes[1]) != ERROR_OK)
			return false;
	}
	return true;
}

static void submit_trailers(struct stream *stream)
{
	nghttp2_nv fields[HTTP2_MAX_FIELDS];
	size_t count = 0;
	const uint8_t *at = stream->trailers.data, *end = at + stream->trailers.size;
	for (; at < end && count < HTTP2_MAX_FIELDS; count++) {
		size_t sizes[2];
		memcpy(sizes, at, sizeof sizes);
		at += sizeof sizes;
		fields[count] = make_field(slice_make(at, sizes[0]), slice_make(at + sizes[0], sizes[1]));
		at += sizes[0] + sizes[1];
	}
	nghttp2_submit_trailer(stream->session->nghttp2, stream->id, fields, count);
}

void http2_refuse_rest(struct stream *stream)
{
	if (!stream->request.ended)
		nghttp2_submit_rst_stream(stream->session->nghttp2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
}

static void end_body(struct stream *stream, uint32_t *flags)
{
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (stream->trailers.size == 0) {
		http2_refuse_rest(stream);
		return;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	submit_trailers(stream);
}

static ssize_t read_body(nghttp2_session *nghttp2, int32_t id, uint8_t *output, size_t size, uint32_t *flags,
			 nghttp2_data_source *source, void *user_data)
{
	(void)nghttp2;
	(void)id;
	(void)user_data;
	struct stream *stream = source->ptr;
	size_t left = stream->body.size - stream->body_sent;
	size_t count = left < size ? left : size;
	if (count > 0)
		memcpy(output, stream->body.data + stream->body_sent, count);
	stream->body_sent += count;
	if (count < left) {
		expect_progress(stream);
	} else if (stream->finished) {
		end_body(stream, flags);
	} else {
		timer_disarm(&stream->stall);
		buffer_clear(&stream->body);
		stream->body_sent = 0;
		http2_count(stream);
		if (count == 0)
			return NGHTTP2_ERR_DEFERRED;
	}
	return (ssize_t)count;
}

/* As "%zu", which takes 400 instructions more. */
static struct slice write_decimal(char text[DECIMAL_SIZE], size_t value)
{
	char *at = text + DECIMAL_SIZE;
	do
		*--at = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	return slice_make(at, (size_t)(text + DECIMAL_SIZE - at));
}

static void submit_head(struct stream *stream, const struct rpc_response *response, size_t body_bytes)
{
	struct http2 *session = stream->session;
	nghttp2_nv fields[HTTP2_MAX_FIELDS + 3 + CORS_MAX_FIELDS];
	struct rpc_header cors[CORS_MAX_FIELDS];
	size_t count = 0;
	char length[DECIMAL_SIZE];
	fields[count++] = named(SLICE_LITERAL(":status"), slice_make(http_status_text(response->status).data, 3));
	for (size_t i = 0; i < response->header_count && i < HTTP2_MAX_FIELDS; i++)
		fields[count++] = make_field(response->headers[i].name, response->headers[i].value);
	size_t cors_count = cors_fields(&stream->request.cors, cors);
	for (size_t i = 0; i < cors_count; i++)
		fields[count++] = named(cors[i].name, cors[i].value);
	if (stream->finished && stream->trailers.size == 0 && response->status != 304)
		fields[count++] = named(SLICE_LITERAL("content-length"), write_decimal(length, body_bytes));
	fields[count++] = named(SLICE_LITERAL("date"), worker_date(session->connection->worker));
	bool has_body = stream->body.size > 0 || !stream->finished || stream->trailers.size > 0;
	nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_body};
	if (nghttp2_submit_response(session->nghttp2, stream->id, fields, count, has_body ? &provider : NULL) != 0)
		nghttp2_submit_rst_stream(session->nghttp2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
}

static void respond(struct rpc_exchange *exchange, const struct rpc_response *response)
{
	struct stream *stream = (struct stream *)exchange;
	struct buffer *body = response->body, swapped = stream->body;
	request_responded(&stream->request, response);
	stream->body = *body;
	*body = swapped;
	stream->finished = !response->open;
	bool fine = keep_trailers(stream, response->trailers, response->trailer_count);
	http2_set_state(stream, STREAM_ANSWERING);
	size_t body_bytes = stream->body.size;
	if (stream->request.is_head)
		buffer_clear(&stream->body);
	submit_head(stream, response, body_bytes);
	if (!fine)
		nghttp2_submit_rst_stream(stream->session->nghttp2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
	expect_progress(stream);
	http2_count(stream);
	connection_settle_later(stream->session->connection);
}

static size_t waiting_bytes(const struct stream *stream)
{
	return stream->body.size - stream->body_sent;
}

/* Behind what is waiting; the memory of what was sent is used again. */
static void append_body(struct stream *stream, struct slice bytes)
{
	struct http2 *session = stream->session;
	if (stream->body_sent >= STREAM_MAX_BYTES) {
		buffer_consume(&stream->body, stream->body_sent);
		stream->body_sent = 0;
	}
	if (waiting_bytes(stream) == 0)
		expect_progress(stream);
	stream->body.limit = SIZE_MAX;
	if (buffer_append(&stream->body, bytes.data, bytes.size) != ERROR_OK)
		nghttp2_submit_rst_stream(session->nghttp2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
	http2_count(stream);
	nghttp2_session_resume_data(session->nghttp2, stream->id);
	connection_settle_later(session->connection);
}

static void set_starved(struct stream *stream, bool starved)
{
	stream->session->starved_count += (size_t)starved - (size_t)stream->starved;
	stream->starved = starved;
}

static bool send_piece(struct rpc_exchange *exchange, struct slice bytes)
{
	struct stream *stream = (struct stream *)exchange;
	if (bytes.size > 0)
		append_body(stream, bytes);
	set_starved(stream, waiting_bytes(stream) >= STREAM_MAX_BYTES);
	return !stream->starved;
}

static void finish(struct rpc_exchange *exchange, struct slice bytes, const struct rpc_header *trailers, size_t count)
{
	struct stream *stream = (struct stream *)exchange;
	request_finished(&stream->request);
	set_starved(stream, false);
	stream->finished = true;
	if (!keep_trailers(stream, trailers, count))
		nghttp2_submit_rst_stream(stream->session->nghttp2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
	append_body(stream, bytes);
}

static void resume(struct rpc_exchange *exchange)
{
	http2_consume((struct stream *)exchange, 0);
	connection_settle_later(((struct stream *)exchange)->session->connection);
}

void http2_feed(struct http2 *session)
{
	for (struct stream *stream = session->streams, *next; stream != NULL; stream = next) {
		next = stream->next;
		if (!stream->starved || waiting_bytes(stream) > STREAM_LOW_BYTES)
			continue;
		set_starved(stream, false);
		rpc_call_writable(stream->request.exchange.call);
	}
}

const struct rpc_transport http2_transport = {
	.respond = respond,
	.send = send_piece,
	.finish = finish,
	.resume = resume,
	.wake = request_wake,
	.has_room = request_has_room,
};
