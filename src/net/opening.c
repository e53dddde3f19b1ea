/* The first bytes of a connection: they say which protocol is spoken. */
#include "net/connection.h"

/* RFC 9113, 3.4. */
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum { DRAIN_WAIT_MS = 1000 };

/* The preface, or what was agreed on by ALPN: then anything else than that is the protocol's own error. False: not known yet. */
static bool find_protocol(const struct connection *connection, struct slice bytes, bool *ret_http2)
{
	size_t size = sizeof preface - 1;
	size_t common = bytes.size < size ? bytes.size : size;
	struct slice agreed = {NULL, 0};
	if (connection->tls != NULL)
		agreed = tls_session_protocol(connection->tls);
	*ret_http2 = agreed.size > 0 ? slice_equal(agreed, SLICE_LITERAL("h2")) : memcmp(bytes.data, preface, common) == 0;
	return agreed.size > 0 || !*ret_http2 || common == size;
}

static size_t opening_receive(struct connection *connection, struct slice bytes)
{
	bool http2;
	if (!find_protocol(connection, bytes, &http2))
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

static size_t opening_held(const struct connection *connection)
{
	(void)connection;
	return 0;
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
	.held = opening_held,
	.release = opening_release,
};
