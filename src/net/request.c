#include "net/request.h"

#include "codec/forwarded.h"

void request_finished(struct request *request)
{
	timer_disarm(&request->timer);
	timer_disarm(&request->wake_timer);
}

void request_responded(struct request *request, const struct rpc_response *response)
{
	if (!response->open)
		request_finished(request);
	unsigned hundreds = response->status / 100;
	worker_count(request->connection->worker, COUNTER_RESPONSES + (hundreds < 6 ? hundreds : 0));
}

static void deadline_passed(struct timer *timer)
{
	struct request *request = (struct request *)((char *)timer - offsetof(struct request, timer));
	rpc_call_expire(request->exchange.call);
}

static void wake_passed(struct timer *timer)
{
	struct request *request = (struct request *)((char *)timer - offsetof(struct request, wake_timer));
	rpc_call_woken(request->exchange.call);
}

void request_wake(struct rpc_exchange *exchange, int64_t due_us)
{
	struct request *request = (struct request *)exchange;
	loop_timer_arm(request->connection->worker->loop, &request->wake_timer, due_us);
}

enum error request_open(struct request *request, struct connection *connection, const struct rpc_transport *transport)
{
	*request = (struct request){
		.exchange = {.transport = transport},
		.connection = connection,
		.timer = {.fire = deadline_passed},
		.wake_timer = {.fire = wake_passed},
		.head.body_bytes = -1,
	};
	return rpc_call_create(connection->worker->pool, &request->exchange);
}

static bool grow_headers(struct request *request)
{
	size_t capacity = request->header_capacity == 0 ? 16 : request->header_capacity * 2;
	if (capacity > REQUEST_MAX_HEADERS)
		return false;
	struct rpc_header *headers = arena_alloc_array(rpc_call_arena(request->exchange.call), capacity, sizeof *headers);
	if (headers == NULL)
		return false;
	if (request->head.header_count > 0)
		memcpy(headers, request->headers, request->head.header_count * sizeof *headers);
	request->head.headers = request->headers = headers;
	request->header_capacity = capacity;
	return true;
}

static void set_path(struct request *request, struct slice path)
{
	const uint8_t *query = path.size == 0 ? NULL : memchr(path.data, '?', path.size);
	request->head.path = path;
	if (query == NULL)
		return;
	request->head.path.size = (size_t)(query - path.data);
	request->head.query = slice_make(query + 1, path.size - request->head.path.size - 1);
}

static bool add_header(struct request *request, struct slice name, struct slice value)
{
	/* RFC 9113, 6.5.2: how SETTINGS_MAX_HEADER_LIST_SIZE is counted. */
	request->header_bytes += name.size + value.size + 32;
	if (request->header_bytes > request->connection->worker->shared->config.max_header_bytes)
		return false;
	bool pseudo = name.size > 0 && name.data[0] == ':';
	bool method = pseudo && slice_equal(name, SLICE_LITERAL(":method"));
	if (pseudo && !method && !slice_equal(name, SLICE_LITERAL(":path")))
		return true;
	uint8_t *copy = arena_alloc(rpc_call_arena(request->exchange.call), name.size + value.size);
	if (copy == NULL)
		return false;
	memcpy(copy, name.data, name.size);
	for (size_t i = 0; request->any_case && i < name.size; i++)
		copy[i] = copy[i] >= 'A' && copy[i] <= 'Z' ? copy[i] | 0x20 : copy[i];
	if (value.size > 0)
		memcpy(copy + name.size, value.data, value.size);
	struct slice kept = slice_make(copy + name.size, value.size);
	if (method) {
		request->head.method = kept;
		request->is_head = slice_equal(kept, SLICE_LITERAL("HEAD"));
	} else if (pseudo) {
		set_path(request, kept);
	} else {
		if (request->head.header_count == request->header_capacity && !grow_headers(request))
			return false;
		request->headers[request->head.header_count++] = (struct rpc_header){slice_make(copy, name.size), kept};
	}
	return true;
}

void request_add_header(struct request *request, struct slice name, struct slice value)
{
	if (!request->too_large && !add_header(request, name, value))
		request->too_large = true;
}

/* The call was none: it gives its memory back, then the page goes out. */
static void respond_page(struct request *request, const struct http_response *page)
{
	struct rpc_header headers[HTTP_RESPONSE_MAX_HEADERS + 2];
	size_t count = 0;
	for (; count < page->header_count; count++)
		headers[count] = page->headers[count];
	if (page->content_type != NULL)
		headers[count++] = (struct rpc_header){SLICE_LITERAL("content-type"), slice_from_string(page->content_type)};
	if (page->status == 405)
		headers[count++] = (struct rpc_header){SLICE_LITERAL("allow"), SLICE_LITERAL("GET, HEAD")};
	rpc_call_abandon(request->exchange.call);
	struct rpc_response response = {.status = page->status, .headers = headers, .header_count = count, .body = page->body};
	request->exchange.transport->respond(&request->exchange, &response);
}

static void respond_status(struct request *request, unsigned status)
{
	struct buffer *body = &request->connection->worker->page;
	buffer_clear(body);
	struct slice text = http_status_text(status);
	if (buffer_append(body, text.data, text.size) != ERROR_OK || buffer_append_byte(body, '\n') != ERROR_OK)
		buffer_clear(body);
	respond_page(request,
		     &(struct http_response){.status = status, .content_type = "text/plain; charset=utf-8", .body = body});
}

static struct buffer *empty_page(struct request *request)
{
	struct buffer *body = &request->connection->worker->page;
	buffer_clear(body);
	return body;
}

static bool is_at(const struct http_route *route, struct slice path)
{
	size_t size = strlen(route->path);
	if (route->path[size - 1] != '*')
		return slice_equal(path, slice_make(route->path, size));
	return path.size >= size - 1 && memcmp(path.data, route->path, size - 1) == 0;
}

static void serve_page(struct request *request)
{
	request->cors.origin = NULL;
	const struct server_config *config = &request->connection->worker->shared->config;
	const struct http_route *route = NULL;
	for (size_t i = 0; route == NULL && i < config->route_count; i++)
		if (is_at(&config->routes[i], request->head.path))
			route = &config->routes[i];
	if (route == NULL) {
		respond_status(request, 404);
	} else if (!request->is_head && !slice_equal(request->head.method, SLICE_LITERAL("GET"))) {
		respond_status(request, 405);
	} else {
		struct http_response response = {.status = 200, .body = &request->connection->worker->page};
		buffer_clear(response.body);
		route->handle(route->context, &request->head, &response);
		respond_page(request, &response);
	}
}

static void arm_timer(struct request *request)
{
	if (request->exchange.call == NULL)
		return;
	struct worker *worker = request->connection->worker;
	int64_t due_us = rpc_call_deadline_us(request->exchange.call);
	int64_t body_due_us = loop_now_us(worker->loop) + worker->shared->config.body_timeout_ms * 1000;
	/* A client that streams ends when it likes, but not within a message. */
	bool waits = !rpc_call_client_streams(request->exchange.call) || request->message != 0;
	if (!request->ended && waits && body_due_us < due_us)
		due_us = body_due_us;
	if (due_us != INT64_MAX)
		loop_timer_arm(worker->loop, &request->timer, due_us);
	else
		timer_disarm(&request->timer);
}

static struct address find_client(const struct request *request)
{
	const struct connection *connection = request->connection;
	if (!connection->trusts_peer)
		return connection->peer;
	const struct server_config *config = &connection->worker->shared->config;
	struct forwarded forwarded;
	forwarded_init(&forwarded, &connection->peer, config->trusted_proxies, config->trusted_proxy_count);
	for (size_t i = request->head.header_count; i > 0; i--)
		forwarded_take_field(&forwarded, request->headers[i - 1].name, request->headers[i - 1].value);
	return *forwarded_client(&forwarded);
}

bool request_has_room(struct rpc_exchange *exchange, size_t bytes)
{
	struct request *request = (struct request *)exchange;
	return connection_has_room(request->connection, bytes);
}

void request_begin(struct request *request)
{
	request->begun = true;
	request->head.client = find_client(request);
	request->cors = cors_judge(&request->connection->worker->shared->config.cors, &request->head);
	if (request->too_large)
		respond_status(request, 431);
	else if (request->cors.preflight)
		respond_page(request, &(struct http_response){.status = 200, .body = empty_page(request)});
	else if (!rpc_call_begin(request->exchange.call, &request->head))
		serve_page(request);
	else
		arm_timer(request);
}

/* Another message of a stream is on its way, or none: its time begins. */
static void look_at_message(struct request *request)
{
	uint64_t message = rpc_call_client_streams(request->exchange.call) ? rpc_call_message_begun(request->exchange.call) : 0;
	if (message == request->message)
		return;
	request->message = message;
	arm_timer(request);
}

void request_data(struct request *request, struct slice bytes)
{
	if (request->exchange.call == NULL)
		return;
	if (!connection_has_room(request->connection, bytes.size)) {
		rpc_call_refuse(request->exchange.call, ERROR_RESOURCE_EXHAUSTED,
				"the server holds as many requests as it may; try again later");
		return;
	}
	rpc_call_data(request->exchange.call, bytes);
	if (request->exchange.call != NULL)
		look_at_message(request);
}

void request_end(struct request *request)
{
	request->ended = true;
	if (request->exchange.call == NULL)
		return;
	rpc_call_end(request->exchange.call);
	arm_timer(request);
}

void request_close(struct request *request)
{
	request_finished(request);
	if (request->exchange.call != NULL)
		rpc_call_abandon(request->exchange.call);
}

struct slice http_status_text(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} table[] = {
		{200, "200 OK"},
		{204, "204 No Content"},
		{304, "304 Not Modified"},
		{400, "400 Bad Request"},
		{401, "401 Unauthorized"},
		{403, "403 Forbidden"},
		{404, "404 Not Found"},
		{405, "405 Method Not Allowed"},
		{408, "408 Request Timeout"},
		{409, "409 Conflict"},
		{411, "411 Length Required"},
		{413, "413 Content Too Large"},
		{414, "414 URI Too Long"},
		{415, "415 Unsupported Media Type"},
		{417, "417 Expectation Failed"},
		{429, "429 Too Many Requests"},
		{431, "431 Request Header Fields Too Large"},
		{499, "499 Client Closed Request"},
		{500, "500 Internal Server Error"},
		{501, "501 Not Implemented"},
		{503, "503 Service Unavailable"},
		{504, "504 Gateway Timeout"},
		{505, "505 HTTP Version Not Supported"},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].status == status)
			return slice_from_string(table[i].text);
	return SLICE_LITERAL("500 Internal Server Error");
}
