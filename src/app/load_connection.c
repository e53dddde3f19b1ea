#include "app/load_connection.h"

#include "base/buffer.h"

#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_SIZE = 64 << 10, OUTPUT_LIMIT = 1 << 20, OUTPUT_ENOUGH = 64 << 10 };

struct load_connection {
	const struct load_target *target;
	void (*done)(void *context, struct load_request *request, enum load_result result);
	void *context;
	enum load_connection_state state;
	int socket, error_number;
	nghttp2_session *session;
	struct tls_session *tls;	      /* from when the socket is connected; NULL: none */
	struct buffer output;		      /* of the session, not sealed yet */
	struct load_request *oldest, *newest; /* in flight, in the order of sending */
};

/* ─── The address ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error look_up(const char *port, struct load_target *target, struct error_note *note)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int code = getaddrinfo(target->host, port, &hints, &found);
	if (code != 0)
		return error_noted(note, ERROR_UNAVAILABLE, "%s: %s", target->host, gai_strerror(code));
	memcpy(&target->address, found->ai_addr, found->ai_addrlen);
	target->address_size = found->ai_addrlen;
	freeaddrinfo(found);
	return ERROR_OK;
}

static void copy_host(struct load_target *target, const char *host)
{
	size_t length = strlen(host);
	bool brackets = host[0] == '[' && length > 2; /* of IPv6 */
	snprintf(target->host, sizeof target->host, "%.*s", (int)(brackets ? length - 2 : length), host + brackets);
}

enum error load_target_resolve(const char *url, const struct tls_files *files, int64_t timeout_ms, struct load_target *ret_target,
			       struct error_note *note)
{
	char *scheme = NULL, *host = NULL, *port = NULL;
	struct load_target target = {0};
	enum error error = ERROR_INVALID_ARGUMENT;
	CURLU *parts = curl_url();
	if (parts == NULL)
		return ERROR_NO_MEMORY;
	if (curl_url_set(parts, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
		error_noted(note, error, "expected http://HOST:PORT or https://HOST:PORT, found \"%s\"", url);
		goto out;
	}
	snprintf(target.authority, sizeof target.authority, "%.255s:%.8s", host, port);
	snprintf(target.timeout_ms, sizeof target.timeout_ms, "%lld", (long long)timeout_ms);
	copy_host(&target, host);
	error = look_up(port, &target, note);
	if (error == ERROR_OK && strcmp(scheme, "https") == 0)
		error = tls_create(TLS_CLIENT, files, &target.tls, note);
	if (error == ERROR_OK)
		*ret_target = target;
out:
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parts);
	return error;
}

void load_target_release(struct load_target *target)
{
	tls_destroy(target->tls);
	target->tls = NULL;
}

/* ─── Requests in flight ────────────────────────────────────────────────────────────────────────────────────────────── */

static void link_newest(struct load_connection *connection, struct load_request *request)
{
	request->newer = NULL;
	request->older = connection->newest;
	*(connection->newest == NULL ? &connection->oldest : &connection->newest->newer) = request;
	connection->newest = request;
}

static void finish(struct load_connection *connection, struct load_request *request, enum load_result result)
{
	*(request->older == NULL ? &connection->oldest : &request->older->newer) = request->newer;
	*(request->newer == NULL ? &connection->newest : &request->newer->older) = request->older;
	connection->done(connection->context, request, result);
}

/* ─── What nghttp2 asks and tells ───────────────────────────────────────────────────────────────────────────────────── */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
		     const uint8_t *value, size_t value_size, uint8_t flags, void *context)
{
	(void)flags;
	(void)context;
	struct load_request *request = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (request == NULL || name_size != 7 || memcmp(name, ":status", 7) != 0 || value_size != 3)
		return 0;
	request->status = (unsigned)(value[0] - '0') * 100 + (unsigned)(value[1] - '0') * 10 + (unsigned)(value[2] - '0');
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t size, void *context)
{
	(void)flags;
	(void)context;
	struct load_request *request = nghttp2_session_get_stream_user_data(session, stream_id);
	if (request == NULL)
		return 0;
	size_t room = LOAD_ANSWER_SIZE - request->answer_size, taken = size < room ? size : room;
	memcpy(request->answer + request->answer_size, data, taken);
	request->answer_size += taken;
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *context)
{
	struct load_connection *connection = context;
	struct load_request *request = nghttp2_session_get_stream_user_data(session, stream_id);
	if (request == NULL)
		return 0;
	bool answered = error_code == NGHTTP2_NO_ERROR && request->status != 0;
	finish(connection, request,
	       answered				      ? LOAD_ANSWERED
	       : error_code == NGHTTP2_REFUSED_STREAM ? LOAD_NOT_TAKEN
						      : LOAD_UNKNOWN);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	(void)session;
	struct load_connection *connection = context;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		connection->state = LOAD_DRAINING;
	return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t stream_id, uint8_t *target, size_t size, uint32_t *flags,
			 nghttp2_data_source *source, void *context)
{
	(void)session;
	(void)stream_id;
	(void)context;
	struct load_request *request = source->ptr;
	size_t left = request->body_size - request->body_sent, taken = size < left ? size : left;
	memcpy(target, request->body + request->body_sent, taken);
	request->body_sent += taken;
	if (request->body_sent == request->body_size)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)taken;
}

static enum error start_session(struct load_connection *connection)
{
	static const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
	nghttp2_session_callbacks *callbacks;
	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return ERROR_NO_MEMORY;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	int code = nghttp2_session_client_new(&connection->session, callbacks, connection);
	nghttp2_session_callbacks_del(callbacks);
	if (code == 0)
		code = nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings, 1);
	return code == 0 ? ERROR_OK : ERROR_NO_MEMORY;
}

/* ─── The connection ────────────────────────────────────────────────────────────────────────────────────────────────── */

enum error load_connection_create(const struct load_target *target,
				  void (*done)(void *context, struct load_request *request, enum load_result result),
				  void *context, struct load_connection **ret_connection)
{
	struct load_connection *connection = calloc(1, sizeof *connection);
	if (connection == NULL)
		return ERROR_NO_MEMORY;
	*connection = (struct load_connection){.target = target, .done = done, .context = context, .socket = -1};
	buffer_init(&connection->output, OUTPUT_LIMIT);
	*ret_connection = connection;
	return ERROR_OK;
}

void load_connection_destroy(struct load_connection *connection)
{
	if (connection == NULL)
		return;
	load_connection_close(connection);
	buffer_release(&connection->output);
	free(connection);
}

enum load_connection_state load_connection_state(const struct load_connection *connection)
{
	return connection->state;
}

int load_connection_errno(const struct load_connection *connection)
{
	return connection->error_number;
}

void load_connection_close(struct load_connection *connection)
{
	nghttp2_session_del(connection->session);
	connection->session = NULL;
	tls_session_destroy(connection->tls);
	connection->tls = NULL;
	if (connection->socket >= 0)
		close(connection->socket);
	connection->socket = -1;
	connection->state = LOAD_CLOSED;
	buffer_clear(&connection->output);
	while (connection->oldest != NULL)
		finish(connection, connection->oldest, LOAD_UNKNOWN);
}

static void fail(struct load_connection *connection, int error_number)
{
	connection->error_number = error_number;
	load_connection_close(connection);
}

enum error load_connection_open(struct load_connection *connection)
{
	const struct load_target *target = connection->target;
	int yes = 1;
	connection->error_number = 0;
	connection->socket = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connection->socket < 0) {
		connection->error_number = errno;
		return ERROR_IO;
	}
	setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	connection->state = LOAD_CONNECTING;
	if (connect(connection->socket, (const struct sockaddr *)&target->address, target->address_size) != 0 &&
	    errno != EINPROGRESS)
		fail(connection, errno);
	return ERROR_OK;
}

#define HEADER(name, value, size, flags)                                                             \
	{                                                                                            \
		(uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1, size, \
			NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE | (flags)       \
	}
#define LITERAL(name, value) HEADER(name, value, sizeof(value) - 1, 0)

enum error load_connection_submit(struct load_connection *connection, struct load_request *request, int64_t now_us)
{
	const struct load_target *target = connection->target;
	const char *scheme = target->tls == NULL ? "http" : "https";
	const nghttp2_nv headers[] = {
		LITERAL(":method", "POST"),
		HEADER(":scheme", scheme, strlen(scheme), 0),
		LITERAL(":path", "/ping.v1.PingService/Ping"),
		HEADER(":authority", target->authority, strlen(target->authority), 0),
		LITERAL("content-type", "application/proto"),
		LITERAL("connect-protocol-version", "1"),
		HEADER("connect-timeout-ms", target->timeout_ms, strlen(target->timeout_ms), 0),
		HEADER("x-forwarded-for", request->client, strlen(request->client), NGHTTP2_NV_FLAG_NO_INDEX),
	};
	request->status = 0;
	request->answer_size = request->body_sent = 0;
	request->sent_us = now_us;
	nghttp2_data_provider body = {.source = {.ptr = request}, .read_callback = read_body};
	request->stream_id =
		nghttp2_submit_request(connection->session, NULL, headers, sizeof headers / sizeof headers[0], &body, request);
	if (request->stream_id < 0)
		return request->stream_id == NGHTTP2_ERR_NOMEM ? ERROR_NO_MEMORY : ERROR_UNAVAILABLE;
	link_newest(connection, request);
	return ERROR_OK;
}

static struct buffer *unsent(const struct load_connection *connection)
{
	return connection->tls == NULL ? (struct buffer *)&connection->output : tls_session_output(connection->tls);
}

int load_connection_poll(const struct load_connection *connection, short *ret_events)
{
	bool unconnected = connection->state == LOAD_CONNECTING && connection->tls == NULL;
	*ret_events = (short)(unconnected || unsent(connection)->size > 0 ? POLLIN | POLLOUT : POLLIN);
	return connection->socket;
}

static bool finish_connecting(struct load_connection *connection)
{
	const struct load_target *target = connection->target;
	int error_number = 0;
	socklen_t size = sizeof error_number;
	getsockopt(connection->socket, SOL_SOCKET, SO_ERROR, &error_number, &size);
	if (error_number == 0 && start_session(connection) != ERROR_OK)
		error_number = ENOMEM;
	if (error_number == 0 && target->tls != NULL &&
	    tls_session_create(target->tls, target->host, &connection->tls) != ERROR_OK)
		error_number = ENOMEM;
	if (error_number != 0) {
		fail(connection, error_number);
		return false;
	}
	if (connection->tls == NULL)
		connection->state = LOAD_OPEN;
	return true;
}

/* 0, or the errno of what is wrong. */
static int take_plain(struct load_connection *connection, const uint8_t *data, size_t size)
{
	return nghttp2_session_mem_recv(connection->session, data, size) == (ssize_t)size ? 0 : EPROTO;
}

static int take_sealed(struct load_connection *connection, const uint8_t *data, size_t size)
{
	uint8_t plain[READ_SIZE];
	size_t count;
	enum tls_result result;
	tls_session_feed(connection->tls, slice_make(data, size));
	while ((result = tls_session_read(connection->tls, plain, sizeof plain, &count)) == TLS_BYTES)
		if (take_plain(connection, plain, count) != 0)
			return EPROTO;
	if (connection->state == LOAD_CONNECTING && tls_session_is_open(connection->tls))
		connection->state = LOAD_OPEN;
	return result == TLS_MORE ? 0 : EPROTO;
}

/* false: the connection is closed. */
static bool read_some(struct load_connection *connection)
{
	uint8_t data[READ_SIZE];
	ssize_t size = recv(connection->socket, data, sizeof data, 0);
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (size <= 0) {
		fail(connection, size < 0 ? errno : 0);
		return false;
	}
	int error_number = (connection->tls == NULL ? take_plain : take_sealed)(connection, data, (size_t)size);
	if (error_number != 0)
		fail(connection, error_number);
	return error_number == 0;
}

/* Collects what the session has to say, up to a packet's worth many times over. */
static bool collect(struct load_connection *connection)
{
	const uint8_t *data;
	ssize_t size = 0;
	while (connection->output.size < OUTPUT_ENOUGH && (size = nghttp2_session_mem_send(connection->session, &data)) > 0)
		if (buffer_append(&connection->output, data, (size_t)size) != ERROR_OK)
			size = -1;
	if (size < 0 || connection->tls == NULL)
		return size >= 0;
	struct slice plain = buffer_slice(&connection->output);
	bool sealed = tls_session_write(connection->tls, plain) == ERROR_OK;
	buffer_clear(&connection->output);
	return sealed;
}

static bool write_some(struct load_connection *connection)
{
	struct buffer *output = unsent(connection);
	bool may_speak = connection->state != LOAD_CONNECTING && output->size < OUTPUT_ENOUGH;
	bool fine = !may_speak || collect(connection);
	ssize_t sent = 0;
	if (fine && output->size > 0)
		sent = send(connection->socket, output->data, output->size, MSG_NOSIGNAL);
	if (!fine || (sent < 0 && errno != EAGAIN && errno != EINTR)) {
		fail(connection, fine ? errno : ENOMEM);
		return false;
	}
	if (sent > 0)
		buffer_consume(output, (size_t)sent);
	return true;
}

void load_connection_turn(struct load_connection *connection, short events)
{
	if (connection->state == LOAD_CLOSED)
		return;
	if (connection->state == LOAD_CONNECTING && connection->tls == NULL &&
	    ((events & (POLLOUT | POLLERR | POLLHUP)) == 0 || !finish_connecting(connection)))
		return;
	if ((events & (POLLIN | POLLERR | POLLHUP)) != 0 && !read_some(connection))
		return;
	if (!write_some(connection))
		return;
	if (connection->state == LOAD_DRAINING && connection->oldest == NULL)
		fail(connection, 0);
}

void load_connection_expire(struct load_connection *connection, int64_t before_us)
{
	if (connection->oldest != NULL && connection->oldest->sent_us < before_us)
		fail(connection, ETIMEDOUT);
}
