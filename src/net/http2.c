#include "net/http2.h"

#include <assert.h>
#include <stdlib.h>

enum {
	WINDOW_STREAM_BYTES = 256 << 10,
	WINDOW_SESSION_BYTES = 1 << 20,
	QUEUE_MAX_FRAMES = 1024, /* queued while the peer takes no bytes; then nothing is read */
	KEPT_BODY_BYTES = 4096,
	DRAIN_WAIT_MS = 1000, /* for the peer's answer to the first GOAWAY */
};

static const unsigned next_states[STREAM_STATES] = {
	[STREAM_HEAD] = 1 << STREAM_BODY,
	[STREAM_BODY] = 1 << STREAM_WAITING | 1 << STREAM_ANSWERING,
	[STREAM_WAITING] = 1 << STREAM_ANSWERING,
};

void http2_set_state(struct stream *stream, enum stream_state state)
{
	assert(next_states[stream->state] >> state & 1);
	stream->state = state;
}

static struct stream *stream_new(struct worker *worker)
{
	struct stream *stream = worker->free_streams;
	if (stream != NULL) {
		worker->free_streams = stream->next;
		worker->free_stream_count--;
		return stream;
	}
	stream = calloc(1, sizeof *stream);
	if (stream == NULL)
		return NULL;
	buffer_init(&stream->body, SIZE_MAX);
	buffer_init(&stream->trailers, SIZE_MAX);
	return stream;
}

static void stream_free(struct stream *stream)
{
	buffer_release(&stream->body);
	buffer_release(&stream->trailers);
	free(stream);
}

static void stream_recycle(struct worker *worker, struct stream *stream)
{
	if (worker->free_stream_count == HTTP2_FREE_STREAMS) {
		stream_free(stream);
		return;
	}
	if (stream->body.capacity > KEPT_BODY_BYTES)
		buffer_release(&stream->body);
	buffer_clear(&stream->body);
	buffer_clear(&stream->trailers);
	stream->next = worker->free_streams;
	worker->free_streams = stream;
	worker->free_stream_count++;
}

void http2_free_streams(struct worker *worker)
{
	while (worker->free_streams != NULL) {
		struct stream *stream = worker->free_streams;
		worker->free_streams = stream->next;
		stream_free(stream);
	}
}

static void stream_close(struct stream *stream)
{
	struct http2 *session = stream->session;
	if (session->current == stream)
		session->current = NULL;
	*stream->link = stream->next;
	if (stream->next != NULL)
		stream->next->link = stream->link;
	session->buffered_bytes -= stream->counted_bytes;
	session->starved_count -= stream->starved;
	timer_disarm(&stream->stall);
	request_close(&stream->request);
	stream_recycle(session->connection->worker, stream);
}

void http2_count(struct stream *stream)
{
	const struct rpc_call *call = stream->request.exchange.call;
	size_t bytes = stream->body.size + (call == NULL ? 0 : rpc_call_held_bytes(call));
	stream->session->buffered_bytes += bytes - stream->counted_bytes;
	stream->counted_bytes = bytes;
	connection_count(stream->session->connection);
}

void http2_consume(struct stream *stream, size_t bytes)
{
	nghttp2_session *nghttp2 = stream->session->nghttp2;
	const struct rpc_call *call = stream->request.exchange.call;
	bool paused = call != NULL && rpc_call_paused(call);
	if (!paused && stream->unconsumed_bytes == 0) {
		nghttp2_session_consume(nghttp2, stream->id, bytes);
		return;
	}
	nghttp2_session_consume_connection(nghttp2, bytes);
	stream->unconsumed_bytes += bytes;
	if (paused)
		return;
	nghttp2_session_consume_stream(nghttp2, stream->id, stream->unconsumed_bytes);
	stream->unconsumed_bytes = 0;
}

/* NULL: there is none, or none any more. */
static struct stream *find_stream(struct http2 *session, int32_t id)
{
	if (session->current == NULL || session->current->id != id)
		session->current = nghttp2_session_get_stream_user_data(session->nghttp2, id);
	return session->current;
}

/* Of what the guard says. False: the connection ends. */
static bool permit(struct http2 *session, bool permitted)
{
	if (permitted || session->over)
		return !session->over;
	session->over = true;
	nghttp2_session_terminate_session(session->nghttp2, NGHTTP2_ENHANCE_YOUR_CALM);
	return false;
}

static int64_t now_us(const struct http2 *session)
{
	return loop_now_us(session->connection->worker->loop);
}

/* What made the server refuse or reset. */
static bool spend_token(struct http2 *session)
{
	return permit(session, http2_guard_spend(&session->guard, now_us(session)));
}

static int result_of(bool permitted)
{
	return permitted ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE; /* nothing more is read */
}

static int on_begin_frame(nghttp2_session *nghttp2, const nghttp2_frame_hd *header, void *user_data)
{
	struct http2 *session = user_data;
	if (header->type == NGHTTP2_PRIORITY &&
	    header->stream_id == 0) /* RFC 9113, 6.3; priorities are not used, so skipped unread */
		nghttp2_session_terminate_session(nghttp2, NGHTTP2_PROTOCOL_ERROR);
	return result_of(permit(session, http2_guard_frame(&session->guard, header, now_us(session))));
}

static void expect_request(struct http2 *session)
{
	const struct server_config *config = &session->connection->worker->shared->config;
	connection_expect(session->connection, session->streams == NULL ? config->idle_timeout_ms : 0);
}

static int on_begin_headers(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user_data)
{
	struct http2 *session = user_data;
	struct worker *worker = session->connection->worker;
	const struct server_config *config = &worker->shared->config;
	connection_expect(session->connection, config->header_timeout_ms);
	http2_guard_begin_head(&session->guard);
	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (session->buffered_bytes > config->max_buffered_bytes) {
		nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
		return result_of(spend_token(session));
	}
	struct stream *stream = stream_new(worker);
	if (stream == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (request_open(&stream->request, session->connection, &http2_transport) != ERROR_OK) {
		stream_recycle(worker, stream);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	stream->state = STREAM_HEAD;
	stream->session = session;
	stream->id = frame->hd.stream_id;
	stream->counted_bytes = stream->unconsumed_bytes = 0;
	http2_answer_init(stream);
	stream->next = session->streams;
	stream->link = &session->streams;
	if (stream->next != NULL)
		stream->next->link = &stream->next;
	session->streams = session->current = stream;
	nghttp2_session_set_stream_user_data(nghttp2, stream->id, stream);
	worker_count(worker, COUNTER_REQUESTS_HTTP2);
	http2_guard_earn(&session->guard, HTTP2_GUARD_PER_STREAM);
	return 0;
}

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
		     const uint8_t *value, size_t value_size, uint8_t flags, void *user_data)
{
	(void)nghttp2;
	(void)flags;
	struct http2 *session = user_data;
	const struct server_config *config = &session->connection->worker->shared->config;
	if (!permit(session, http2_guard_field(&session->guard, name_size, value_size, config->max_header_bytes)))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	struct stream *stream = find_stream(session, frame->hd.stream_id);
	/* A trailer field is nothing to any method. */
	if (stream != NULL && stream->state == STREAM_HEAD)
		request_add_header(&stream->request, slice_make(name, name_size), slice_make(value, value_size));
	return 0;
}

static void end_request(struct stream *stream)
{
	if (stream->request.ended)
		return;
	if (stream->state == STREAM_BODY)
		http2_set_state(stream, STREAM_WAITING);
	request_end(&stream->request);
}

static void on_stream_frame(struct stream *stream, const nghttp2_frame *frame)
{
	if (stream->state == STREAM_HEAD) {
		http2_set_state(stream, STREAM_BODY);
		request_begin(&stream->request);
	}
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		end_request(stream);
}

static void say_last(struct http2 *session);

static int on_frame_recv(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user_data)
{
	(void)nghttp2;
	struct http2 *session = user_data;
	struct stream *stream;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		expect_request(session);
		/* fallthrough */
	case NGHTTP2_DATA:
		stream = find_stream(session, frame->hd.stream_id);
		if (stream != NULL)
			on_stream_frame(stream, frame);
		break;
	case NGHTTP2_PING:
		if (frame->hd.flags & NGHTTP2_FLAG_ACK)
			say_last(session);
		break;
	case NGHTTP2_SETTINGS:
		if (!session->greeted)
			expect_request(session);
		session->greeted = true;
		break;
	default:
		break;
	}
	if (frame->hd.type != NGHTTP2_DATA)
		return 0;
	return result_of(permit(session, http2_guard_data(&session->guard, &frame->data, now_us(session))));
}

/* Where a head or trailers end the answer: nghttp2 drops what waits behind a reset, so that comes after them. */
static int on_frame_sent(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user_data)
{
	(void)nghttp2;
	struct http2 *session = user_data;
	if (frame->hd.type == NGHTTP2_DATA)
		http2_guard_earn(&session->guard, HTTP2_GUARD_PER_DATA);
	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
		worker_count(session->connection->worker, COUNTER_PROTOCOL_ERRORS);
	if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	struct stream *stream = find_stream(session, frame->hd.stream_id);
	if (stream != NULL)
		http2_refuse_rest(stream);
	return 0;
}

static int on_data_chunk(nghttp2_session *nghttp2, uint8_t flags, int32_t id, const uint8_t *data, size_t size, void *user_data)
{
	(void)flags;
	struct http2 *session = user_data;
	struct stream *stream = find_stream(session, id);
	if (stream == NULL || request_answered(&stream->request)) {
		nghttp2_session_consume(nghttp2, id, size);
		return 0;
	}
	if (session->buffered_bytes > session->connection->worker->shared->config.max_buffered_bytes) {
		nghttp2_session_consume_connection(nghttp2, size);
		nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, id, NGHTTP2_ENHANCE_YOUR_CALM);
		return 0;
	}
	request_data(&stream->request, slice_make(data, size));
	http2_count(stream);
	http2_consume(stream, size);
	return 0;
}

static int on_stream_close(nghttp2_session *nghttp2, int32_t id, uint32_t error_code, void *user_data)
{
	(void)nghttp2;
	struct http2 *session = user_data;
	struct stream *stream = find_stream(session, id);
	/* A body longer than it was announced is reset by nghttp2, which tells of it here alone. */
	if (error_code == NGHTTP2_PROTOCOL_ERROR)
		spend_token(session);
	if (stream == NULL)
		return 0;
	stream_close(stream);
	if (session->streams == NULL)
		expect_request(session);
	return 0;
}

static int on_invalid_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, int error, void *user_data)
{
	(void)nghttp2;
	(void)frame;
	(void)error;
	expect_request(user_data);
	return result_of(spend_token(user_data));
}

enum error http2_shared_create(nghttp2_session_callbacks **ret_callbacks, nghttp2_option **ret_options)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *options;
	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return ERROR_NO_MEMORY;
	if (nghttp2_option_new(&options) != 0) {
		nghttp2_session_callbacks_del(callbacks);
		return ERROR_NO_MEMORY;
	}
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
	nghttp2_option_set_max_outbound_ack(options, HTTP2_MAX_ACKS);
	nghttp2_option_set_no_closed_streams(options, 1);
	nghttp2_option_set_no_auto_window_update(options, 1);
#ifdef PING_NGHTTP2_LIMITS_RESETS
	/* Its own bound would say INTERNAL_ERROR; the guard's is stricter on bursts that cost, and says what it is. */
	nghttp2_option_set_stream_reset_rate_limit(options, 1 << 30, 1 << 30);
#endif
	*ret_callbacks = callbacks;
	*ret_options = options;
	return ERROR_OK;
}

/* What libnghttp2 will not read on from; most it answers itself, by a GOAWAY. */
static void give_up(struct http2 *session, ssize_t error)
{
	/* Else more acknowledgements are asked for, or more CONTINUATION frames sent, than anybody needs. */
	bool lost = error == NGHTTP2_ERR_NOMEM || error == NGHTTP2_ERR_BAD_CLIENT_MAGIC;
	nghttp2_session_terminate_session(session->nghttp2, lost ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_ENHANCE_YOUR_CALM);
	connection_finish(session->connection);
}

static size_t http2_receive(struct connection *connection, struct slice bytes)
{
	struct http2 *session = connection->session;
	ssize_t result = nghttp2_session_mem_recv(session->nghttp2, bytes.data, bytes.size);
	if (result < 0)
		give_up(session, result);
	return bytes.size;
}

static void http2_produce(struct connection *connection, struct buffer *output)
{
	struct http2 *session = connection->session;
	if (session->starved_count > 0)
		http2_feed(session);
	while (output->size < WORKER_OUTPUT_BYTES) {
		const uint8_t *data;
		ssize_t size = nghttp2_session_mem_send(session->nghttp2, &data);
		if (size < 0 || (size > 0 && buffer_append(output, data, (size_t)size) != ERROR_OK)) {
			connection_close(connection);
			return;
		}
		if (size == 0)
			break;
	}
	/* After a GOAWAY, when the last stream is done. */
	if (!nghttp2_session_want_read(session->nghttp2) && !nghttp2_session_want_write(session->nghttp2))
		connection_finish(connection);
}

static bool http2_wants_input(struct connection *connection, bool blocked)
{
	struct http2 *session = connection->session;
	return !blocked || nghttp2_session_get_outbound_queue_size(session->nghttp2) < QUEUE_MAX_FRAMES;
}

/* Idle, or a head that does not end. */
static void http2_expired(struct connection *connection)
{
	struct http2 *session = connection->session;
	worker_count(connection->worker, COUNTER_TIMEOUTS);
	nghttp2_session_terminate_session(session->nghttp2, NGHTTP2_NO_ERROR);
	connection_finish(connection);
}

/* The second GOAWAY: what came until now is answered, nothing after. */
static void say_last(struct http2 *session)
{
	if (!session->draining || session->said_last)
		return;
	session->said_last = true;
	timer_disarm(&session->drain_timer);
	nghttp2_submit_goaway(session->nghttp2, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session->nghttp2),
			      NGHTTP2_NO_ERROR, NULL, 0);
	connection_settle_later(session->connection);
}

static void drain_waited(struct timer *timer)
{
	say_last((struct http2 *)((char *)timer - offsetof(struct http2, drain_timer)));
}

/* RFC 9113, 6.8: a first GOAWAY without a limit, a round trip (a PING) for what is on its way, then the one that counts. */
static void http2_drain(struct connection *connection)
{
	struct http2 *session = connection->session;
	session->draining = true;
	nghttp2_submit_shutdown_notice(session->nghttp2);
	nghttp2_submit_ping(session->nghttp2, NGHTTP2_FLAG_NONE, NULL);
	loop_timer_arm(connection->worker->loop, &session->drain_timer,
		       loop_now_us(connection->worker->loop) + DRAIN_WAIT_MS * 1000);
}

static size_t http2_held(const struct connection *connection)
{
	return ((const struct http2 *)connection->session)->buffered_bytes;
}

static void http2_release(struct connection *connection)
{
	struct http2 *session = connection->session;
	timer_disarm(&session->drain_timer);
	while (session->streams != NULL)
		stream_close(session->streams);
	nghttp2_session_del(session->nghttp2);
	http2_memory_release(&session->memory);
	free(session);
}

static const struct speaker speaker_http2 = {
	.receive = http2_receive,
	.produce = http2_produce,
	.wants_input = http2_wants_input,
	.input_ended = connection_close,
	.expired = http2_expired,
	.drain = http2_drain,
	.held = http2_held,
	.release = http2_release,
};

enum error http2_open(struct connection *connection)
{
	struct server_shared *shared = connection->worker->shared;
	struct http2 *session = calloc(1, sizeof *session);
	if (session == NULL)
		return ERROR_NO_MEMORY;
	*session = (struct http2){
		.connection = connection,
		.drain_timer.fire = drain_waited,
	};
	http2_guard_init(&session->guard, now_us(session));
	http2_memory_init(&session->memory);
	if (nghttp2_session_server_new3(&session->nghttp2, shared->http2_callbacks, session, shared->http2_options,
					&session->memory.mem) != 0) {
		http2_memory_release(&session->memory);
		free(session);
		return ERROR_NO_MEMORY;
	}
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, shared->config.max_streams},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_STREAM_BYTES},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)shared->config.max_header_bytes},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};
	connection_speak(connection, &speaker_http2, session);
	if (nghttp2_submit_settings(session->nghttp2, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof settings[0]) != 0 ||
	    nghttp2_session_set_local_window_size(session->nghttp2, NGHTTP2_FLAG_NONE, 0, WINDOW_SESSION_BYTES) != 0)
		return ERROR_NO_MEMORY;
	connection_expect(connection, shared->config.header_timeout_ms); /* until its SETTINGS, the rest of the preface */
	return ERROR_OK;
}
