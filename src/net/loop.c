#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_PER_TURN = 256, LONGEST_WAIT_MS = 60000 };

struct loop {
	struct executor executor;
	struct clock *clock;
	int epoll_fd;
	struct loop_watch wake;	       /* an eventfd */
	_Atomic(struct task *) posted; /* newest first */
	atomic_bool asleep;	       /* waits, or is about to */
	struct task *deferred, **deferred_end;
	int64_t now_us;
	bool quit;
	struct timer_wheel timers;
};

/* The order of all threads' accesses to `posted` and `asleep` is one (both are sequentially consistent): either this thread sees
 * the loop asleep, or the loop sees the task before it sleeps. */
static void loop_post(struct executor *executor, struct task *task)
{
	struct loop *loop = (struct loop *)((char *)executor - offsetof(struct loop, executor));
	struct task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
	do
		task->next = head;
	while (!atomic_compare_exchange_weak(&loop->posted, &head, task));
	/* Not empty before: whoever filled it sees to the waking. The task is the loop's now. */
	if (head == NULL && atomic_load(&loop->asleep))
		(void)!write(loop->wake.fd, &(uint64_t){1}, sizeof(uint64_t));
}

static void wake_ready(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	(void)!read(watch->fd, &(uint64_t){0}, sizeof(uint64_t));
}

enum error loop_create(struct clock *clock, struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof *loop);
	if (loop == NULL)
		return ERROR_NO_MEMORY;
	*loop = (struct loop){
		.executor = {loop_post},
		.clock = clock,
		.epoll_fd = epoll_create1(EPOLL_CLOEXEC),
		.wake = {eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), wake_ready},
		.deferred_end = &loop->deferred,
		.now_us = clock_monotonic_us(clock),
	};
	timer_wheel_init(&loop->timers, loop->now_us);
	if (loop->epoll_fd < 0 || loop->wake.fd < 0 || loop_watch_add(loop, &loop->wake, EPOLLIN) != ERROR_OK) {
		loop_destroy(loop);
		return ERROR_IO;
	}
	*ret_loop = loop;
	return ERROR_OK;
}

void loop_destroy(struct loop *loop)
{
	if (loop == NULL)
		return;
	if (loop->wake.fd >= 0)
		close(loop->wake.fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop);
}

struct executor *loop_executor(struct loop *loop)
{
	return &loop->executor;
}

static void run_tasks(struct task *task)
{
	while (task != NULL) {
		struct task *next = task->next;
		task->run(task);
		task = next;
	}
}

static void run_posted(struct loop *loop)
{
	struct task *newest = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire), *oldest = NULL;
	while (newest != NULL) {
		struct task *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	run_tasks(oldest);
}

static void run_deferred(struct loop *loop)
{
	struct task *first = loop->deferred;
	loop->deferred = NULL;
	loop->deferred_end = &loop->deferred;
	run_tasks(first);
}

void loop_defer(struct loop *loop, struct task *task)
{
	task->next = NULL;
	*loop->deferred_end = task;
	loop->deferred_end = &task->next;
}

static int wait_ms(const struct loop *loop)
{
	if (loop->deferred != NULL)
		return 0;
	int64_t due_us = timer_wheel_next_us(&loop->timers);
	if (due_us == INT64_MAX)
		return LONGEST_WAIT_MS;
	int64_t left_us = due_us - clock_monotonic_us(loop->clock);
	if (left_us <= 0)
		return 0;
	return left_us >= LONGEST_WAIT_MS * INT64_C(1000) ? LONGEST_WAIT_MS : (int)((left_us + 999) / 1000);
}

void loop_run(struct loop *loop)
{
	struct epoll_event events[EVENTS_PER_TURN];
	while (!loop->quit) {
		atomic_store(&loop->asleep, true);
		int timeout_ms = atomic_load(&loop->posted) != NULL ? 0 : wait_ms(loop);
		int count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, timeout_ms);
		atomic_store(&loop->asleep, false);
		assert(count >= 0 || errno == EINTR);
		loop->now_us = clock_monotonic_us(loop->clock);
		for (int i = 0; i < count; i++) {
			struct loop_watch *watch = events[i].data.ptr;
			watch->ready(watch, events[i].events);
		}
		run_posted(loop);
		timer_wheel_advance(&loop->timers, loop->now_us);
		run_deferred(loop);
	}
	loop->quit = false;
}

void loop_quit(struct loop *loop)
{
	loop->quit = true;
}

enum error loop_watch_add(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};
	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) == 0 ? ERROR_OK : ERROR_NO_MEMORY;
}

void loop_watch_change(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};
	int result = epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
	assert(result == 0);
	(void)result;
}

void loop_watch_remove(struct loop *loop, struct loop_watch *watch)
{
	int result = epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	assert(result == 0);
	(void)result;
}

void loop_timer_arm(struct loop *loop, struct timer *timer, int64_t due_us)
{
	timer_arm(&loop->timers, timer, due_us);
}

int64_t loop_now_us(const struct loop *loop)
{
	return loop->now_us;
}
