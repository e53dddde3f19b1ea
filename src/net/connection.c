#include "net/connection.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/proxy_protocol.h"

enum {
	LINGER_MS = 1000,
	LINGER_MAX_BYTES = 16 << 20, /* who sends a whole body before it reads must come to read why it was refused */
	ROUNDS_PER_TURN = 16,	     /* of filling and writing `output`; then the others' turn comes */
	KEPT_OUTPUT_BYTES = 4096,
	KEPT_SEALED_BYTES = 512, /* a small answer; what the handshake took goes */
};

static const unsigned next_states[CONNECTION_STATES] = {
	[CONNECTION_SPEAKING] = 1 << CONNECTION_FINISHING | 1 << CONNECTION_CLOSED,
	[CONNECTION_FINISHING] = 1 << CONNECTION_LINGERING | 1 << CONNECTION_CLOSED,
	[CONNECTION_LINGERING] = 1 << CONNECTION_CLOSED,
};

static void set_state(struct connection *connection, enum connection_state state)
{
	assert(next_states[connection->state] >> state & 1);
	connection->state = state;
}

void connection_settle_later(struct connection *connection)
{
	if (connection->settling)
		return;
	connection->settling = true;
	loop_defer(connection->worker->loop, &connection->settle);
}

void connection_resume(struct connection *connection)
{
	connection->resumed = true;
	connection_settle_later(connection);
}

static void arm_timer(struct connection *connection)
{
	int64_t due_us = connection->read_expires_us < connection->write_expires_us ? connection->read_expires_us
										    : connection->write_expires_us;
	/* Only ever moved forward: a timer that fires early looks again. */
	if (due_us != INT64_MAX && (!timer_armed(&connection->timer) || due_us < connection->timer.due_us))
		loop_timer_arm(connection->worker->loop, &connection->timer, due_us);
}

void connection_expect(struct connection *connection, int64_t timeout_ms)
{
	connection->read_timeout_ms = timeout_ms;
	connection->read_expires_us = timeout_ms == 0 ? INT64_MAX : loop_now_us(connection->worker->loop) + timeout_ms * 1000;
	arm_timer(connection);
}

static void timer_fired(struct timer *timer)
{
	struct connection *connection = (struct connection *)((char *)timer - offsetof(struct connection, timer));
	int64_t now_us = loop_now_us(connection->worker->loop);
	if (now_us >= connection->write_expires_us) {
		worker_count(connection->worker, COUNTER_TIMEOUTS);
		connection_close(connection);
	} else if (now_us >= connection->read_expires_us) {
		connection->read_expires_us = INT64_MAX;
		if (connection->state == CONNECTION_SPEAKING)
			connection->speaker->expired(connection);
		else
			connection_close(connection);
	}
	if (connection->state != CONNECTION_CLOSED)
		arm_timer(connection);
}

void connection_speak(struct connection *connection, const struct speaker *speaker, void *session)
{
	connection->speaker = speaker;
	connection->session = session;
}

void connection_finish(struct connection *connection)
{
	if (connection->state != CONNECTION_SPEAKING)
		return;
	set_state(connection, CONNECTION_FINISHING);
	connection->read_expires_us = INT64_MAX;
	connection_settle_later(connection);
}

void connection_close(struct connection *connection)
{
	if (connection->state == CONNECTION_CLOSED)
		return;
	set_state(connection, CONNECTION_CLOSED);
	timer_disarm(&connection->timer);
	loop_watch_remove(connection->worker->loop, &connection->watch);
	close(connection->watch.fd);
	connection->speaker->release(connection);
	connection_settle_later(connection); /* where it is freed */
}

void connection_drain(struct connection *connection)
{
	if (connection->draining || connection->state != CONNECTION_SPEAKING)
		return;
	connection->draining = true;
	connection->speaker->drain(connection);
	connection_settle_later(connection);
}

static void leave_peer(struct connection *connection)
{
	if (connection->counted)
		peer_counts_leave(connection->worker->shared->peers, &connection->peer);
	connection->counted = false;
}

static size_t held_bytes(const struct connection *connection)
{
	size_t bytes = connection->input.size + connection->output.size;
	if (connection->tls != NULL)
		bytes += tls_session_output(connection->tls)->size;
	return connection->state == CONNECTION_CLOSED ? bytes : bytes + connection->speaker->held(connection);
}

static void count(struct connection *connection, size_t bytes)
{
	if (bytes != connection->counted_bytes)
		atomic_fetch_add_explicit(&connection->worker->shared->held_bytes, bytes - connection->counted_bytes,
					  memory_order_relaxed);
	connection->counted_bytes = bytes;
}

void connection_count(struct connection *connection)
{
	size_t bytes = held_bytes(connection);
	if (bytes >= connection->counted_bytes + CONNECTION_SHARE_BYTES)
		count(connection, bytes);
}

bool connection_has_room(struct connection *connection, size_t bytes)
{
	struct server_shared *shared = connection->worker->shared;
	if (atomic_load_explicit(&shared->held_bytes, memory_order_relaxed) <= shared->config.max_held_bytes)
		return true;
	bool room = held_bytes(connection) + bytes <= CONNECTION_SHARE_BYTES;
	if (!room)
		worker_count(connection->worker, COUNTER_CROWDED);
	return room;
}

static void connection_free(struct connection *connection)
{
	count(connection, 0);
	*connection->link = connection->next;
	if (connection->next != NULL)
		connection->next->link = connection->link;
	leave_peer(connection);
	worker_count(connection->worker, COUNTER_CLOSED);
	atomic_fetch_sub_explicit(&connection->worker->shared->connection_count, 1, memory_order_relaxed);
	buffer_release(&connection->input);
	buffer_release(&connection->output);
	tls_session_destroy(connection->tls);
	free(connection);
}

/* Gives the speaker what it has not taken yet and `fresh` behind it, and keeps what it leaves. */
static void take_input(struct connection *connection, struct slice fresh)
{
	struct buffer *kept = &connection->input;
	bool joined = kept->size > 0;
	if (joined && buffer_append(kept, fresh.data, fresh.size) != ERROR_OK) {
		connection_close(connection);
		return;
	}
	struct slice bytes = joined ? buffer_slice(kept) : fresh;
	size_t taken = 0;
	while (taken < bytes.size && connection->state == CONNECTION_SPEAKING) {
		const struct speaker *speaker = connection->speaker;
		size_t count = speaker->receive(connection, slice_make(bytes.data + taken, bytes.size - taken));
		taken += count;
		if (count == 0 && speaker == connection->speaker)
			break;
	}
	if (connection->state != CONNECTION_SPEAKING)
		taken = bytes.size;
	if (joined)
		buffer_consume(kept, taken);
	else if (taken < bytes.size && buffer_append(kept, bytes.data + taken, bytes.size - taken) != ERROR_OK)
		connection_close(connection);
	if (kept->size == 0)
		buffer_release(kept);
}

static void read_end(struct connection *connection)
{
	connection->input_ended = true;
	if (connection->state == CONNECTION_LINGERING)
		connection_close(connection);
	else if (connection->state == CONNECTION_SPEAKING)
		connection->speaker->input_ended(connection);
	if (connection->state != CONNECTION_CLOSED)
		connection_settle_later(connection);
}

/* A client that speaks HTTP where TLS is spoken is told so in its own words. */
static void fail_handshake(struct connection *connection, struct slice sealed)
{
	static const char answer[] = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n"
				     "content-length: 35\r\n\r\nthis port speaks TLS: use https://\n";
	bool http = !connection->tls_open && sealed.size > 0 && sealed.data[0] >= 'A' && sealed.data[0] <= 'Z';
	worker_count(connection->worker, COUNTER_TLS_FAILURES);
	log_limited(LOG_INFO, "TLS failed", log_address("peer", &connection->peer),
		    log_text("reason", http ? "plain HTTP" : tls_session_reason(connection->tls)));
	struct buffer *output = tls_session_output(connection->tls);
	if (http) {
		buffer_clear(output); /* the alert */
		buffer_append(output, answer, sizeof answer - 1);
	}
	connection_finish(connection);
}

static void note_handshake(struct connection *connection)
{
	if (connection->tls_open || !tls_session_is_open(connection->tls))
		return;
	connection->tls_open = true;
	worker_count(connection->worker, COUNTER_TLS_HANDSHAKES);
}

/* Opens what came, all of it. `sealed` does not lie in `opened`. */
static void take_sealed(struct connection *connection, struct slice sealed)
{
	struct worker *worker = connection->worker;
	tls_session_feed(connection->tls, sealed);
	while (connection->state == CONNECTION_SPEAKING) {
		size_t count;
		enum tls_result result = tls_session_read(connection->tls, worker->opened, sizeof worker->opened, &count);
		note_handshake(connection);
		if (result == TLS_BYTES) {
			take_input(connection, slice_make(worker->opened, count));
			continue;
		}
		if (result == TLS_END)
			read_end(connection);
		else if (result == TLS_FAILED)
			fail_handshake(connection, sealed);
		return;
	}
}

static void take_bytes(struct connection *connection, struct slice bytes)
{
	if (connection->tls != NULL)
		take_sealed(connection, bytes);
	else
		take_input(connection, bytes);
}

/* A trusted proxy may say first for whom it connects: before TLS. */
static void take_preamble(struct connection *connection, struct slice fresh)
{
	struct proxy_protocol header;
	struct buffer kept = connection->input;
	bool joined = kept.size > 0;
	if (joined && buffer_append(&kept, fresh.data, fresh.size) != ERROR_OK) {
		connection_close(connection);
		return;
	}
	struct slice bytes = joined ? buffer_slice(&kept) : fresh;
	enum error error = proxy_protocol_parse(bytes, &header);
	if (error == ERROR_END) {
		connection->input = kept;
		if (!joined && buffer_append(&connection->input, fresh.data, fresh.size) != ERROR_OK)
			connection_close(connection);
		return;
	}
	buffer_init(&connection->input, SIZE_MAX);
	connection->may_be_proxied = false;
	size_t size = error == ERROR_OK ? header.size : 0;
	if (error == ERROR_OK && header.has_source && !connection_set_peer(connection, &header.source))
		connection_close(connection);
	else if (bytes.size > size)
		take_bytes(connection, slice_make(bytes.data + size, bytes.size - size));
	buffer_release(&kept);
}

static void read_some(struct connection *connection)
{
	struct worker *worker = connection->worker;
	ssize_t count = recv(connection->watch.fd, worker->input, sizeof worker->input, 0);
	if (count == 0) {
		read_end(connection);
	} else if (count < 0) {
		if (errno != EAGAIN && errno != EINTR)
			connection_close(connection);
	} else if (connection->state == CONNECTION_SPEAKING) {
		struct slice bytes = slice_make(worker->input, (size_t)count);
		if (connection->may_be_proxied)
			take_preamble(connection, bytes);
		else
			take_bytes(connection, bytes);
		connection_settle_later(connection);
	} else {
		connection->lingered_bytes += (size_t)count;
		if (connection->lingered_bytes > LINGER_MAX_BYTES)
			connection_close(connection);
	}
}

/* Returns how many bytes the socket took, less when it would block. Closes the connection on an error. */
static size_t send_some(struct connection *connection, struct slice bytes)
{
	ssize_t count = send(connection->watch.fd, bytes.data, bytes.size, MSG_NOSIGNAL);
	if (count < 0 && errno != EAGAIN && errno != EINTR) {
		connection_close(connection);
		return 0;
	}
	size_t sent = count < 0 ? 0 : (size_t)count;
	connection->blocked = sent < bytes.size;
	struct worker *worker = connection->worker;
	if (!connection->blocked)
		connection->write_expires_us = INT64_MAX;
	else if (sent > 0 || connection->write_expires_us == INT64_MAX)
		connection->write_expires_us = loop_now_us(worker->loop) + worker->shared->config.write_timeout_ms * 1000;
	if (connection->blocked)
		arm_timer(connection);
	return sent;
}

/* What is sealed goes out. False: not all of it. */
static bool send_sealed(struct connection *connection)
{
	struct buffer *sealed = connection->tls == NULL ? NULL : tls_session_output(connection->tls);
	if (sealed == NULL || sealed->size == 0)
		return true;
	buffer_consume(sealed, send_some(connection, buffer_slice(sealed)));
	if (sealed->size > 0)
		return false;
	if (sealed->capacity > KEPT_SEALED_BYTES)
		buffer_release(sealed);
	return true;
}

/* Returns how many bytes are on their way; the rest comes when not blocked. Closes the connection on an error. */
static size_t write_some(struct connection *connection, struct slice bytes)
{
	if (connection->tls == NULL)
		return send_some(connection, bytes);
	if (!send_sealed(connection))
		return 0;
	size_t count = bytes.size < WORKER_OUTPUT_BYTES ? bytes.size : WORKER_OUTPUT_BYTES;
	if (tls_session_write(connection->tls, slice_make(bytes.data, count)) != ERROR_OK) {
		connection_close(connection);
		return 0;
	}
	send_sealed(connection);
	return count;
}

static void write_kept(struct connection *connection)
{
	struct buffer *output = &connection->output;
	connection->output_sent += write_some(
		connection, slice_make(output->data + connection->output_sent, output->size - connection->output_sent));
	if (connection->output_sent < output->size)
		return;
	connection->output_sent = 0;
	buffer_clear(output);
	if (output->capacity > KEPT_OUTPUT_BYTES)
		buffer_release(output);
}

/* Writes what the speaker makes; keeps what the socket leaves. False: there was nothing. */
static bool write_fresh(struct connection *connection)
{
	struct buffer *fresh = &connection->worker->output;
	buffer_clear(fresh);
	connection->speaker->produce(connection, fresh);
	if (fresh->size == 0 || connection->state == CONNECTION_CLOSED)
		return connection->output.size > 0;
	size_t sent = write_some(connection, buffer_slice(fresh));
	if (connection->state != CONNECTION_CLOSED && sent < fresh->size &&
	    buffer_append(&connection->output, fresh->data + sent, fresh->size - sent) != ERROR_OK)
		connection_close(connection);
	return true;
}

static void write_all(struct connection *connection)
{
	for (int round = 0; round < ROUNDS_PER_TURN; round++) {
		if (connection->state > CONNECTION_FINISHING || connection->blocked || !send_sealed(connection))
			return;
		if (connection->output.size > 0)
			write_kept(connection);
		else if (!write_fresh(connection))
			return;
	}
	connection->resumed = true; /* there may be more: the next turn */
}

/* False: the peer does not take it yet. */
static bool end_tls(struct connection *connection)
{
	if (connection->tls != NULL && !connection->tls_closed) {
		connection->tls_closed = true;
		tls_session_close(connection->tls);
	}
	return send_sealed(connection);
}

static void linger(struct connection *connection)
{
	if (!end_tls(connection) || connection->state == CONNECTION_CLOSED)
		return;
	if (connection->input_ended || shutdown(connection->watch.fd, SHUT_WR) != 0) {
		connection_close(connection);
		return;
	}
	set_state(connection, CONNECTION_LINGERING);
	connection_expect(connection, LINGER_MS);
}

static void update_events(struct connection *connection)
{
	bool speaking = connection->state == CONNECTION_SPEAKING;
	bool read = connection->state == CONNECTION_LINGERING ||
		    (speaking && !connection->input_ended && connection->speaker->wants_input(connection, connection->blocked));
	uint32_t events = (read ? EPOLLIN : 0U) | (connection->blocked ? EPOLLOUT : 0U);
	/* What is expected has its time from when it can be read: it may lie in the socket since long. */
	if ((events & ~connection->events & EPOLLIN) != 0 && connection->read_expires_us != INT64_MAX)
		connection_expect(connection, connection->read_timeout_ms);
	if (events != connection->events)
		loop_watch_change(connection->worker->loop, &connection->watch, events);
	connection->events = events;
}

static void settle(struct task *task)
{
	struct connection *connection = (struct connection *)((char *)task - offsetof(struct connection, settle));
	if (connection->resumed) {
		connection->resumed = false;
		if (connection->state == CONNECTION_SPEAKING && connection->input.size > 0)
			take_input(connection, slice_make(NULL, 0));
	}
	write_all(connection);
	if (connection->state == CONNECTION_FINISHING && !connection->blocked && !connection->resumed)
		linger(connection);
	connection->settling = false;
	if (connection->state == CONNECTION_CLOSED) {
		connection_free(connection);
		return;
	}
	count(connection, held_bytes(connection));
	update_events(connection);
	if (connection->resumed)
		connection_settle_later(connection);
}

/* Settled here and not at the turn's end with all the others: the peer works on its answers while the next connection is served.
 */
static void ready(struct loop_watch *watch, uint32_t events)
{
	struct connection *connection = (struct connection *)watch;
	bool deferred = connection->settling;
	connection->settling = true;
	if (events & EPOLLERR || (events & EPOLLHUP && !(connection->events & EPOLLIN)))
		connection_close(connection);
	else if (events & (EPOLLIN | EPOLLHUP))
		read_some(connection);
	if (events & EPOLLOUT)
		connection->blocked = false;
	if (!deferred)
		settle(&connection->settle);
}

bool connection_set_peer(struct connection *connection, const struct address *peer)
{
	const struct server_config *config = &connection->worker->shared->config;
	leave_peer(connection);
	connection->peer = *peer;
	connection->trusts_peer = false;
	for (size_t i = 0; i < config->trusted_proxy_count && !connection->trusts_peer; i++)
		connection->trusts_peer = address_network_contains(&config->trusted_proxies[i], peer);
	if (connection->trusts_peer) /* it brings others */
		return true;
	connection->counted = peer_counts_enter(connection->worker->shared->peers, peer);
	if (!connection->counted) {
		char text[ADDRESS_TEXT_SIZE];
		address_format(peer, text);
		log_limited(LOG_WARN, "a connection refused: its address has max_connections_per_address",
			    log_text("address", text));
		worker_count(connection->worker, COUNTER_REFUSED);
	}
	return connection->counted;
}

enum error connection_create(struct worker *worker, int fd, const struct address *peer, struct tls *tls)
{
	struct connection *connection = calloc(1, sizeof *connection);
	enum error error = ERROR_NO_MEMORY;
	if (connection == NULL)
		goto fail;
	*connection = (struct connection){
		.watch = {fd, ready},
		.settle.run = settle,
		.timer.fire = timer_fired,
		.worker = worker,
		.speaker = &speaker_opening,
		.events = EPOLLIN,
		.read_expires_us = INT64_MAX,
		.write_expires_us = INT64_MAX,
	};
	error = connection_set_peer(connection, peer) ? ERROR_OK : ERROR_RESOURCE_EXHAUSTED;
	connection->may_be_proxied = connection->trusts_peer;
	buffer_init(&connection->input, SIZE_MAX);
	buffer_init(&connection->output, SIZE_MAX);
	if (error == ERROR_OK && tls != NULL)
		error = tls_session_create(tls, NULL, &connection->tls);
	if (error == ERROR_OK)
		error = loop_watch_add(worker->loop, &connection->watch, EPOLLIN);
	if (error != ERROR_OK)
		goto fail;
	connection->next = worker->connections;
	connection->link = &worker->connections;
	if (connection->next != NULL)
		connection->next->link = &connection->next;
	worker->connections = connection;
	worker_count(worker, COUNTER_ACCEPTED);
	connection_expect(connection, worker->shared->config.header_timeout_ms);
	return ERROR_OK;
fail:
	if (connection != NULL) {
		leave_peer(connection);
		tls_session_destroy(connection->tls);
	}
	free(connection);
	close(fd);
	return error;
}
