/* HTTP/1.1 (RFC 9112): one request in work at a time; pipelined ones wait in the connection's input.
 *
 *           first byte        its end         the body's end        respond
 *   BETWEEN ──────────► HEAD ────────► BODY ────────────────► WAITING ────────► BETWEEN
 *                                       │ respond
 *                                       └───────► REST ── the body's end ─────► BETWEEN
 *   from any of them ─► OVER: wrong, late, answered with "connection: close", or more of a body is to come than is worth reading
 */
#include <assert.h>
#include <stdlib.h>

#include "codec/http1.h"
#include "net/request.h"

enum {
	REST_MAX_BYTES = 64 << 10,    /* of a body that is read though the answer is out; with more to come the connection ends */
	OUTPUT_MAX_BYTES = 256 << 10, /* waiting to be written; then no further pipelined request is begun */
	STREAM_MAX_BYTES = 64 << 10,  /* waiting to be written; then a stream's method is to wait */
	RESPONSE_MAX_HEADERS = 72,
};

enum http1_state { HTTP1_BETWEEN, HTTP1_IN_HEAD, HTTP1_IN_BODY, HTTP1_WAITING, HTTP1_REST, HTTP1_OVER, HTTP1_STATES };

struct http1 {
	struct request request;
	struct http1_parser *parser;
	struct connection *connection;
	enum http1_state state;
	bool continue_wanted; /* the client holds the body back until it is asked for */
	bool begun;	      /* the answer, in pieces */
	bool keep_alive;      /* behind it */
	bool chunked;	      /* it is; otherwise it ends with the connection */
	bool starved;	      /* its method waits for room */
};

static const unsigned next_states[HTTP1_STATES] = {
	[HTTP1_BETWEEN] = 1 << HTTP1_IN_HEAD | 1 << HTTP1_OVER,
	[HTTP1_IN_HEAD] = 1 << HTTP1_IN_BODY | 1 << HTTP1_OVER,
	[HTTP1_IN_BODY] = 1 << HTTP1_WAITING | 1 << HTTP1_REST | 1 << HTTP1_OVER,
	[HTTP1_WAITING] = 1 << HTTP1_BETWEEN | 1 << HTTP1_OVER,
	[HTTP1_REST] = 1 << HTTP1_BETWEEN | 1 << HTTP1_OVER,
};

static void expect_input(struct http1 *session)
{
	const struct server_config *config = &session->connection->worker->shared->config;
	int64_t timeouts_ms[HTTP1_STATES] = {
		[HTTP1_BETWEEN] = config->idle_timeout_ms,
		[HTTP1_IN_HEAD] = config->header_timeout_ms,
		[HTTP1_REST] = config->body_timeout_ms,
		/* IN_BODY and WAITING: the request has its own timer. */
	};
	connection_expect(session->connection, timeouts_ms[session->state]);
}

static void set_state(struct http1 *session, enum http1_state state)
{
	assert(next_states[session->state] >> state & 1);
	session->state = state;
	expect_input(session);
}

static void end_connection(struct http1 *session)
{
	set_state(session, HTTP1_OVER);
	request_close(&session->request);
	connection_finish(session->connection);
}

static bool may_keep_alive(const struct http1 *session, const struct http1_request *head)
{
	bool little_left =
		session->request.ended || (!head->chunked && head->content_length <= REST_MAX_BYTES && !session->continue_wanted);
	return head->keep_alive && little_left && !session->connection->draining && !session->connection->input_ended;
}

static enum error write_head(struct http1 *session, const struct rpc_response *response, uint64_t length)
{
	struct http1_field fields[RESPONSE_MAX_HEADERS + 1 + CORS_MAX_FIELDS];
	struct rpc_header cors[CORS_MAX_FIELDS];
	size_t count = 0;
	for (; count < response->header_count && count < RESPONSE_MAX_HEADERS; count++)
		fields[count] = (struct http1_field){response->headers[count].name, response->headers[count].value};
	fields[count++] = (struct http1_field){SLICE_LITERAL("date"), worker_date(session->connection->worker)};
	size_t cors_count = cors_fields(&session->request.cors, cors);
	for (size_t i = 0; i < cors_count; i++)
		fields[count++] = (struct http1_field){cors[i].name, cors[i].value};
	const struct http1_request *head = http1_parser_request(session->parser);
	struct http1_response written = {
		.status = response->status,
		.minor_version = head == NULL ? 1 : head->minor_version,
		.keep_alive = session->keep_alive,
		.content_length = length,
		.fields = fields,
		.field_count = count,
	};
	return http1_write_head(&written, &session->connection->output);
}

static bool write_response(struct http1 *session, const struct rpc_response *response, bool keep_alive)
{
	struct buffer *output = &session->connection->output;
	session->keep_alive = keep_alive;
	/* RFC 9110, 8.6: a length beside 304 would be that of the 200. */
	uint64_t length = response->status == 304 ? HTTP1_NO_LENGTH : response->body->size;
	return write_head(session, response, length) == ERROR_OK &&
	       (session->request.is_head || buffer_append(output, response->body->data, response->body->size) == ERROR_OK);
}

static bool write_piece(struct http1 *session, struct slice bytes)
{
	struct buffer *output = &session->connection->output;
	enum error error = session->chunked ? http1_write_chunk(bytes, output) : buffer_append(output, bytes.data, bytes.size);
	return error == ERROR_OK;
}

static bool write_trailers(struct http1 *session, const struct rpc_header *trailers, size_t count)
{
	struct http1_field fields[RESPONSE_MAX_HEADERS];
	size_t taken = 0;
	for (; taken < count && taken < RESPONSE_MAX_HEADERS; taken++)
		fields[taken] = (struct http1_field){trailers[taken].name, trailers[taken].value};
	return !session->chunked || http1_write_end(fields, taken, &session->connection->output) == ERROR_OK;
}

/* The answer is complete, or can't be. */
static void end_answer(struct http1 *session, bool fine)
{
	connection_count(session->connection);
	session->begun = false;
	if (!fine || !session->keep_alive)
		end_connection(session);
	else
		set_state(session, session->state == HTTP1_WAITING ? HTTP1_BETWEEN : HTTP1_REST);
	connection_resume(session->connection);
}

/* Out of memory within an answer: the connection ends, though not below the method that sends. */
static void go_on(struct http1 *session, bool fine)
{
	connection_count(session->connection);
	if (!fine)
		connection_expect(session->connection, 1);
	connection_settle_later(session->connection);
}

/* A body whose length is not known yet, or that has trailers; HTTP/1.0 knows of no chunks. */
static void respond_in_pieces(struct http1 *session, const struct rpc_response *response)
{
	session->chunked = http1_parser_request(session->parser)->minor_version > 0;
	session->keep_alive = session->chunked && may_keep_alive(session, http1_parser_request(session->parser));
	session->starved = false;
	session->begun = true;
	bool fine = write_head(session, response, session->chunked ? HTTP1_CHUNKED : HTTP1_NO_LENGTH) == ERROR_OK &&
		    write_piece(session, buffer_slice(response->body));
	if (response->open)
		go_on(session, fine);
	else
		end_answer(session, fine && write_trailers(session, response->trailers, response->trailer_count));
}

static void respond(struct rpc_exchange *exchange, const struct rpc_response *response)
{
	struct http1 *session = (struct http1 *)exchange;
	request_responded(&session->request, response);
	if (response->open || response->trailer_count > 0) {
		respond_in_pieces(session, response);
		return;
	}
	bool keep_alive = may_keep_alive(session, http1_parser_request(session->parser));
	end_answer(session, write_response(session, response, keep_alive));
}

static bool send_piece(struct rpc_exchange *exchange, struct slice bytes)
{
	struct http1 *session = (struct http1 *)exchange;
	struct connection *connection = session->connection;
	go_on(session, write_piece(session, bytes));
	session->starved = connection->output.size - connection->output_sent >= STREAM_MAX_BYTES;
	return !session->starved;
}

static void finish(struct rpc_exchange *exchange, struct slice bytes, const struct rpc_header *trailers, size_t count)
{
	struct http1 *session = (struct http1 *)exchange;
	request_finished(&session->request);
	session->starved = false;
	end_answer(session, write_piece(session, bytes) && write_trailers(session, trailers, count));
}

static void resume(struct rpc_exchange *exchange)
{
	connection_resume(((struct http1 *)exchange)->connection);
}

static const struct rpc_transport transport = {
	.respond = respond,
	.send = send_piece,
	.finish = finish,
	.resume = resume,
	.wake = request_wake,
	.has_room = request_has_room,
};

/* To what is no request, or not in time. */
static void refuse(struct http1 *session, unsigned status, const char *reason)
{
	struct worker *worker = session->connection->worker;
	struct buffer *body = &worker->page;
	static const struct rpc_header type = {{(const uint8_t *)"content-type", 12},
					       {(const uint8_t *)"text/plain; charset=utf-8", 25}};
	buffer_clear(body);
	if (buffer_append_format(body, "%s\n", reason) != ERROR_OK)
		buffer_clear(body);
	session->request.is_head = false;
	worker_count(worker, COUNTER_RESPONSES + status / 100);
	write_response(session, &(struct rpc_response){.status = status, .headers = &type, .header_count = 1, .body = body},
		       false);
	end_connection(session);
}

static void begin_request(struct http1 *session)
{
	const struct http1_request *head = http1_parser_request(session->parser);
	struct connection *connection = session->connection;
	struct request *request = &session->request;
	worker_count(connection->worker, COUNTER_REQUESTS_HTTP1);
	if (request_open(request, connection, &transport) != ERROR_OK) {
		refuse(session, 503, "out of memory");
		return;
	}
	request->any_case = true;
	request_add_header(request, SLICE_LITERAL(":method"), head->method);
	request_add_header(request, SLICE_LITERAL(":path"), head->path);
	request->head.query = head->query;
	for (size_t i = 0; i < head->field_count; i++) {
		struct http1_field field = http1_request_field(head, i);
		request_add_header(request, field.name, field.value);
	}
	session->continue_wanted = head->expect_continue;
	uint64_t length = head->content_length < INT64_MAX ? head->content_length : INT64_MAX;
	request->head.body_bytes = head->chunked ? -1 : (int64_t)length;
	set_state(session, HTTP1_IN_BODY);
	request_begin(request);
	if (session->state != HTTP1_IN_BODY || !session->continue_wanted)
		return;
	session->continue_wanted = false;
	if (buffer_append_string(&connection->output, "HTTP/1.1 100 Continue\r\n\r\n") != ERROR_OK)
		end_connection(session);
}

static void end_request(struct http1 *session)
{
	if (session->state == HTTP1_REST) {
		set_state(session, HTTP1_BETWEEN);
		return;
	}
	set_state(session, HTTP1_WAITING);
	request_end(&session->request);
}

static bool takes_input(const struct http1 *session)
{
	bool paused = session->request.exchange.call != NULL && rpc_call_paused(session->request.exchange.call);
	return session->state != HTTP1_WAITING && session->state != HTTP1_OVER && !paused &&
	       session->connection->state == CONNECTION_SPEAKING && session->connection->output.size < OUTPUT_MAX_BYTES;
}

static void handle_event(struct http1 *session, enum http1_event event, struct slice body)
{
	switch (event) {
	case HTTP1_MORE:
		break;
	case HTTP1_HEAD:
		begin_request(session);
		break;
	case HTTP1_BODY:
		request_data(&session->request, body);
		connection_count(session->connection);
		break;
	case HTTP1_END:
		end_request(session);
		break;
	case HTTP1_ERROR:
		worker_count(session->connection->worker, COUNTER_PROTOCOL_ERRORS);
		if (session->state == HTTP1_REST || session->begun)
			end_connection(session); /* the answer is out already, or has begun */
		else
			refuse(session, http1_parser_status(session->parser), http1_parser_reason(session->parser));
		break;
	}
}

static size_t http1_receive(struct connection *connection, struct slice bytes)
{
	struct http1 *session = connection->session;
	struct slice input = bytes;
	enum http1_event event = HTTP1_END;
	while (event != HTTP1_MORE && takes_input(session) &&
	       (input.size > 0 || session->state == HTTP1_IN_BODY || session->state == HTTP1_REST)) {
		struct slice body;
		event = http1_parser_next(session->parser, &input, &body);
		if (session->state == HTTP1_BETWEEN && !http1_parser_is_between(session->parser))
			set_state(session, HTTP1_IN_HEAD);
		handle_event(session, event, body);
	}
	return bytes.size - input.size;
}

/* All output went straight to the connection's; when that is written, what waited for it goes on. */
static void http1_produce(struct connection *connection, struct buffer *output)
{
	struct http1 *session = connection->session;
	(void)output;
	if (session->starved) {
		session->starved = false;
		rpc_call_writable(session->request.exchange.call);
	}
	if (connection->input.size > 0 && takes_input(session))
		connection_resume(connection);
}

static bool http1_wants_input(struct connection *connection, bool blocked)
{
	/* While a request is in work one more read is taken: it may be the peer's end. */
	return !blocked && connection->input.size == 0;
}

static void http1_input_ended(struct connection *connection)
{
	struct http1 *session = connection->session;
	/* Half closed: a request that is complete gets its answer; but a stream's may have no end, and nobody is there to read
	 * it. */
	if (session->begun || (session->state != HTTP1_WAITING && session->state != HTTP1_OVER))
		end_connection(session);
}

static void http1_expired(struct connection *connection)
{
	struct http1 *session = connection->session;
	/* While the peer takes no bytes none of its own are read: that it takes some in time is the connection's to see. What was
	 * read may wait for its turn. */
	if (connection->blocked || connection->resumed) {
		expect_input(session);
		return;
	}
	worker_count(connection->worker, COUNTER_TIMEOUTS);
	if (session->state == HTTP1_IN_HEAD)
		refuse(session, 408, "the request's head did not come in time");
	else
		end_connection(session);
}

static void http1_drain(struct connection *connection)
{
	struct http1 *session = connection->session;
	if (session->state == HTTP1_BETWEEN)
		end_connection(session);
}

static size_t http1_held(const struct connection *connection)
{
	const struct http1 *session = connection->session;
	const struct rpc_call *call = session->request.exchange.call;
	return call == NULL ? 0 : rpc_call_held_bytes(call);
}

static void http1_release(struct connection *connection)
{
	struct http1 *session = connection->session;
	request_close(&session->request);
	http1_parser_destroy(session->parser);
	free(session);
}

static const struct speaker speaker_http1 = {
	.receive = http1_receive,
	.produce = http1_produce,
	.wants_input = http1_wants_input,
	.input_ended = http1_input_ended,
	.expired = http1_expired,
	.drain = http1_drain,
	.held = http1_held,
	.release = http1_release,
};

enum error http1_open(struct connection *connection)
{
	struct http1 *session = calloc(1, sizeof *session);
	if (session == NULL)
		return ERROR_NO_MEMORY;
	/* A body's length is the RPC runtime's to judge, in its own words. */
	if (http1_parser_create(UINT64_MAX, &session->parser) != ERROR_OK) {
		free(session);
		return ERROR_NO_MEMORY;
	}
	session->connection = connection;
	session->state = HTTP1_BETWEEN;
	connection_speak(connection, &speaker_http1, session);
	return ERROR_OK;
}
