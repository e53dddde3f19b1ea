/* The event loop: tasks, timers and descriptors, each on the loop's own thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/loop.h"

enum { THREADS = 4, TASKS = 5000 };

static struct loop *loop;

static int setup(void **state)
{
	(void)state;
	return loop_create(clock_system(), &loop) == ERROR_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_destroy(loop);
	return 0;
}

struct numbered {
	struct task task;
	int thread, number;
};

static int next_number[THREADS], ran, out_of_order;

static void run_numbered(struct task *task)
{
	struct numbered *numbered = (struct numbered *)task;
	out_of_order += next_number[numbered->thread]++ != numbered->number;
	if (++ran == THREADS * TASKS)
		loop_quit(loop);
	free(numbered);
}

static void *post_many(void *argument)
{
	for (int i = 0; i < TASKS; i++) {
		struct numbered *numbered = malloc(sizeof *numbered);
		if (numbered == NULL)
			abort();
		*numbered = (struct numbered){{.run = run_numbered}, *(int *)argument, i};
		executor_post(loop_executor(loop), &numbered->task);
	}
	return NULL;
}

static void what_many_threads_post_runs_once_and_in_each_threads_order(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	int numbers[THREADS];
	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, &numbers[i]), 0);
	}
	loop_run(loop);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(ran, THREADS * TASKS);
	assert_int_equal(out_of_order, 0);
}

static char trace[16];
static size_t traced;

static void trace_step(char step)
{
	trace[traced++] = step;
}

static struct task deferred_again, deferred, posted;

static void run_deferred_again(struct task *task)
{
	(void)task;
	trace_step('n');
	loop_quit(loop);
}

static void run_deferred(struct task *task)
{
	(void)task;
	trace_step('d');
	loop_defer(loop, &deferred_again);
}

static void run_posted(struct task *task)
{
	(void)task;
	loop_defer(loop, &deferred);
	trace_step('p');
}

static void timer_due(struct timer *timer)
{
	(void)timer;
	trace_step('t');
}

static void a_turn_ends_with_the_deferred_tasks_and_what_they_defer_is_the_next_turns(void **state)
{
	(void)state;
	struct timer timer = {.fire = timer_due};
	posted.run = run_posted;
	deferred.run = run_deferred;
	deferred_again.run = run_deferred_again;
	loop_timer_arm(loop, &timer, 0);
	executor_post(loop_executor(loop), &posted);
	/* A millisecond passes before the first turn, so that the timer is due in it. */
	for (int64_t until_us = loop_now_us(loop) + 1500; clock_monotonic_us(clock_system()) < until_us;)
		;
	loop_run(loop);
	assert_string_equal(trace, "ptdn");
}

static int readable_calls;
static int pipe_fds[2];

static void pipe_readable(struct loop_watch *watch, uint32_t events)
{
	assert_true(events & EPOLLIN);
	char byte;
	assert_int_equal(read(watch->fd, &byte, 1), 1);
	if (++readable_calls == 2) {
		loop_watch_remove(loop, watch);
		loop_quit(loop);
	}
}

static void a_watch_is_told_until_it_is_removed(void **state)
{
	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(write(pipe_fds[1], "ab", 2), 2);
	struct loop_watch watch = {pipe_fds[0], pipe_readable};
	assert_int_equal(loop_watch_add(loop, &watch, EPOLLIN), ERROR_OK);
	loop_run(loop);
	assert_int_equal(readable_calls, 2);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_many_threads_post_runs_once_and_in_each_threads_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_turn_ends_with_the_deferred_tasks_and_what_they_defer_is_the_next_turns, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_watch_is_told_until_it_is_removed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
