/* Work that is handed to another thread. A task is embedded in what it works on; an executor runs it once, on its own thread.
 */
#ifndef PING_BASE_TASK_H
#define PING_BASE_TASK_H

struct task {
	struct task *next; /* the executor's */
	void (*run)(struct task *task);
};

struct executor {
	/* Safe from any thread; never fails, never blocks for long; order is kept among tasks of one thread. */
	void (*post)(struct executor *executor, struct task *task);
};

static inline void executor_post(struct executor *executor, struct task *task)
{
	executor->post(executor, task);
}

#endif
