/* The first bytes of a connection: they say which protocol is spoken. */
#include "codec/proxy_protocol.h"
#include "net/connection.h"

/* RFC 9113, 3.4. */
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum { DRAIN_WAIT_MS = 1000 };

/* A trusted proxy may say first for whom it connects. True: the protocol's own bytes begin, *ret_size later. */
static bool read_proxy_header(struct connection *connection, struct slice bytes, size_t *ret_size)
{
	struct proxy_protocol header;
	*ret_size = 0;
	if (!connection->may_be_proxied)
		return true;
	enum error error = proxy_protocol_parse(bytes, &header);
	if (error == ERROR_END)
		return false;
	connection->may_be_proxied = false;
	if (error != ERROR_OK)
		return true;
	if (header.has_source && !connection_set_peer(connection, &header.source))
		connection_close(connection);
	*ret_size = header.size;
	return true;
}

static size_t opening_receive(struct connection *connection, struct slice bytes)
{
	size_t header_size;
	if (!read_proxy_header(connection, bytes, &header_size) || header_size > 0)
		return header_size;
	size_t size = sizeof preface - 1;
	size_t common = bytes.size < size ? bytes.size : size;
	bool http2 = memcmp(bytes.data, preface, common) == 0;
	if (http2 && common < size)
		return 0;
	if ((http2 ? http2_open : http1_open)(connection) != ERROR_OK)
		connection_close(connection);
	else if (connection->draining)
		connection->speaker->drain(connection);
	return 0;
}

static void opening_produce(struct connection *connection, struct buffer *output)
{
	(void)connection;
	(void)output;
}

static bool opening_wants_input(struct connection *connection, bool blocked)
{
	(void)connection;
	return !blocked;
}

static void opening_expired(struct connection *connection)
{
	worker_count(connection->worker, COUNTER_TIMEOUTS);
	connection_close(connection);
}

/* Its first request may be on its way. */
static void opening_drain(struct connection *connection)
{
	connection_expect(connection, DRAIN_WAIT_MS);
}

static void opening_release(struct connection *connection)
{
	(void)connection;
}

const struct speaker speaker_opening = {
	.receive = opening_receive,
	.produce = opening_produce,
	.wants_input = opening_wants_input,
	.input_ended = connection_close,
	.expired = opening_expired,
	.drain = opening_drain,
	.release = opening_release,
};
