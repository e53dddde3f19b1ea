/* An event loop: one thread, its sockets, timers and tasks; loops share nothing.
 *
 *   one turn:  wait ─► sockets that are ready ─► posted tasks ─► timers due ─► deferred tasks ─► (again)
 *
 * Deferred tasks end the turn: a connection that has something to say defers one task, and what a whole turn made for it leaves
 * in one system call.
 *
 * epoll(7) itself and not libuv: this program runs on Linux alone and needs three things of a loop, which are these 200 lines.
 * libuv would add a dependency, an allocation and a callback for every write, and a loop whose turns are not ours to shape.
 *
 * Everything here is for the loop's own thread, but for loop_executor's post.
 */
#ifndef PING_NET_LOOP_H
#define PING_NET_LOOP_H

#include "base/clock.h"
#include "base/error.h"
#include "base/task.h"
#include "net/timer.h"

struct loop;

/* Embedded in what owns the file descriptor. */
struct loop_watch {
	int fd;
	void (*ready)(struct loop_watch *watch, uint32_t events); /* EPOLLIN | … */
};

enum error loop_create(struct clock *clock, struct loop **ret_loop);
/* Nothing may post any more. Tasks that were posted but did not run are dropped. */
void loop_destroy(struct loop *loop);
/* Turns until loop_quit. */
void loop_run(struct loop *loop);
void loop_quit(struct loop *loop);

/* Safe from any thread: a stack without locks (Treiber 1986), taken whole; the loop is woken only when it sleeps, by who
 * finds the stack empty. */
struct executor *loop_executor(struct loop *loop);
/* Runs the task at the end of this turn; deferred by a deferred task: of the next turn, which then does not wait. */
void loop_defer(struct loop *loop, struct task *task);

/* Level-triggered. Watch functions may add any watch, but remove only their own; timers and tasks remove any. ERROR_NO_MEMORY. */
enum error loop_watch_add(struct loop *loop, struct loop_watch *watch, uint32_t events);
void loop_watch_change(struct loop *loop, struct loop_watch *watch, uint32_t events);
void loop_watch_remove(struct loop *loop, struct loop_watch *watch);

void loop_timer_arm(struct loop *loop, struct timer *timer, int64_t due_us);
/* Monotonic microseconds at the start of this turn. */
int64_t loop_now_us(const struct loop *loop);

#endif
