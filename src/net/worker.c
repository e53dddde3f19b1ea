#include "net/worker.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "net/connection.h"
#include "net/http2.h"

enum {
	ACCEPTS_PER_TURN = 64,
	ACCEPT_PAUSE_MS = 50,
	QUIT_POLL_MS = 5,
};

static struct address address_from_socket(const struct sockaddr_storage *storage)
{
	struct address address = {{0}};
	if (storage->ss_family == AF_INET)
		return address_from_ipv4((const uint8_t *)&((const struct sockaddr_in *)storage)->sin_addr);
	if (storage->ss_family == AF_INET6)
		memcpy(address.bytes, &((const struct sockaddr_in6 *)storage)->sin6_addr, sizeof address.bytes);
	return address;
}

/* Level-triggered readiness would spin while nothing can be accepted: look away for a moment. */
static void pause_accepting(struct listener *listener, const char *reason)
{
	struct worker *worker = listener->worker;
	unsigned open = atomic_load_explicit(&worker->shared->connection_count, memory_order_relaxed);
	log_limited(LOG_WARN, "accepting no connections for a moment", log_text("reason", reason), log_int("connections", open));
	worker_count(worker, COUNTER_ACCEPT_PAUSES);
	loop_watch_change(worker->loop, &listener->watch, 0);
	loop_timer_arm(worker->loop, &listener->resume, loop_now_us(worker->loop) + ACCEPT_PAUSE_MS * 1000);
}

static void resume_accepting(struct timer *timer)
{
	struct listener *listener = (struct listener *)((char *)timer - offsetof(struct listener, resume));
	loop_watch_change(listener->worker->loop, &listener->watch, EPOLLIN);
}

static void leave_place(struct server_shared *shared)
{
	atomic_fetch_sub_explicit(&shared->connection_count, 1, memory_order_relaxed);
}

/* A place among max_connections, before the connection is there: other loops accept at the same time. */
static bool take_place(struct server_shared *shared)
{
	if (atomic_fetch_add_explicit(&shared->connection_count, 1, memory_order_relaxed) < shared->config.max_connections)
		return true;
	leave_place(shared);
	return false;
}

/* False: nothing more for now. */
static bool accept_one(struct listener *listener)
{
	struct worker *worker = listener->worker;
	struct sockaddr_storage peer;
	if (!take_place(worker->shared)) {
		pause_accepting(listener, "max_connections is reached");
		return false;
	}
	int fd = accept4(listener->watch.fd, (struct sockaddr *)&peer, &(socklen_t){sizeof peer}, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		leave_place(worker->shared);
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_accepting(listener, strerror(errno));
		return errno == ECONNABORTED || errno == EINTR;
	}
	struct address address = address_from_socket(&peer);
	if (connection_create(worker, fd, &address, listener->tls) != ERROR_OK) /* the peer sees it closed */
		leave_place(worker->shared);
	return true;
}

static void accept_ready(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++)
		if (!accept_one((struct listener *)watch))
			return;
}

static void close_listeners(struct worker *worker)
{
	for (size_t i = 0; i < worker->listener_count; i++) {
		struct listener *listener = &worker->listeners[i];
		timer_disarm(&listener->resume);
		loop_watch_remove(worker->loop, &listener->watch);
		close(listener->watch.fd);
	}
	worker->listener_count = 0;
}

/* A method may still have a call whose connection is closed; it answers by the loop. */
static void quit_when_done(struct timer *timer)
{
	struct worker *worker = (struct worker *)((char *)timer - offsetof(struct worker, quit_timer));
	if (worker->connections == NULL && rpc_pool_live(worker->pool) == 0)
		loop_quit(worker->loop);
	else
		loop_timer_arm(worker->loop, timer, loop_now_us(worker->loop) + QUIT_POLL_MS * 1000);
}

static void close_connections(struct timer *timer)
{
	struct worker *worker = (struct worker *)((char *)timer - offsetof(struct worker, drain_timer));
	for (struct connection *connection = worker->connections; connection != NULL; connection = connection->next)
		connection_close(connection);
}

static void begin_drain(struct task *task)
{
	struct worker *worker = (struct worker *)((char *)task - offsetof(struct worker, drain));
	atomic_store(&worker->drain_posted, false); /* first: a timeout set from now on is posted anew */
	int64_t timeout_us = atomic_load(&worker->drain_timeout_ms) * 1000;
	int64_t now_us = loop_now_us(worker->loop);
	for (size_t i = 0; i < worker->listener_count; i++)
		accept_ready(&worker->listeners[i].watch, 0); /* who is connected already is served */
	close_listeners(worker);
	for (struct connection *connection = worker->connections; connection != NULL; connection = connection->next)
		connection_drain(connection);
	loop_timer_arm(worker->loop, &worker->drain_timer, now_us + timeout_us);
	loop_timer_arm(worker->loop, &worker->quit_timer, now_us);
}

void worker_post_drain(struct worker *worker, int64_t timeout_ms)
{
	atomic_store(&worker->drain_timeout_ms, timeout_ms);
	if (!atomic_exchange(&worker->drain_posted, true))
		executor_post(loop_executor(worker->loop), &worker->drain);
}

static enum error add_listener(struct worker *worker, int fd)
{
	const struct server_config *config = &worker->shared->config;
	struct listener *listener = &worker->listeners[worker->listener_count];
	*listener = (struct listener){.watch = {fd, accept_ready}, .resume.fire = resume_accepting, .worker = worker};
	if (worker->listener_count < config->address_count - config->plain_count)
		listener->tls = config->tls;
	enum error error = loop_watch_add(worker->loop, &listener->watch, EPOLLIN);
	if (error == ERROR_OK)
		worker->listener_count++;
	return error;
}

enum error worker_create(struct server_shared *shared, const int *fds, size_t count, struct worker **ret_worker)
{
	struct worker *worker = calloc(1, sizeof *worker);
	enum error error = ERROR_NO_MEMORY;
	size_t added = 0;
	if (worker == NULL)
		goto fail;
	worker->shared = shared;
	worker->drain.run = begin_drain;
	worker->drain_timer.fire = close_connections;
	worker->quit_timer.fire = quit_when_done;
	worker->date_s = -1;
	buffer_init(&worker->output, SIZE_MAX);
	buffer_init(&worker->page, SIZE_MAX);
	worker->listeners = calloc(count, sizeof *worker->listeners);
	if (worker->listeners == NULL)
		goto fail;
	error = loop_create(shared->config.clock, &worker->loop);
	if (error == ERROR_OK)
		error = rpc_pool_create(shared->rpc, loop_executor(worker->loop), &worker->pool);
	for (; error == ERROR_OK && added < count; added++)
		error = add_listener(worker, fds[added]);
	if (error != ERROR_OK)
		goto fail;
	*ret_worker = worker;
	return ERROR_OK;
fail:
	for (size_t i = worker == NULL ? 0 : worker->listener_count; i < count; i++)
		close(fds[i]);
	worker_destroy(worker);
	return error;
}

static void *run_worker(void *argument)
{
	struct worker *worker = argument;
	loop_run(worker->loop);
	return NULL;
}

enum error worker_start(struct worker *worker)
{
	return pthread_create(&worker->thread, NULL, run_worker, worker) == 0 ? ERROR_OK : ERROR_NO_MEMORY;
}

void worker_join(struct worker *worker)
{
	pthread_join(worker->thread, NULL);
}

void worker_destroy(struct worker *worker)
{
	if (worker == NULL)
		return;
	close_listeners(worker);
	http2_free_streams(worker);
	rpc_pool_destroy(worker->pool);
	loop_destroy(worker->loop);
	buffer_release(&worker->output);
	buffer_release(&worker->page);
	free(worker->listeners);
	free(worker);
}

struct slice worker_date(struct worker *worker)
{
	/* A look at the wall clock a turn is enough. */
	int64_t now_us = loop_now_us(worker->loop);
	if (now_us != worker->date_us) {
		worker->date_us = now_us;
		time_t now_s = (time_t)(clock_wall_ms(worker->shared->config.clock) / 1000);
		if (now_s != worker->date_s) {
			struct tm parts;
			worker->date_s = now_s;
			gmtime_r(&now_s, &parts);
			/* The C locale's names, which are HTTP's: the program never calls setlocale for LC_TIME. */
			strftime(worker->date, sizeof worker->date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
		}
	}
	return slice_make(worker->date, DATE_SIZE - 1);
}
