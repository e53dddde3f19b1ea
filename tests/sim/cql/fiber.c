#include "fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK_SIZE = 1 << 19 };

struct fiber {
	ucontext_t here, caller;
	void (*run)(void *context);
	void *context;
	char *stack;
	bool ended;
#ifdef WITH_ASAN
	void *fake_stack, *caller_fake_stack;
	const void *caller_bottom;
	size_t caller_size;
#endif
};

static struct fiber *current;

/* The sanitizer must know which stack is in use. */
static void leave_caller(struct fiber *fiber)
{
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(&fiber->caller_fake_stack, fiber->stack, STACK_SIZE);
#else
	(void)fiber;
#endif
}

static void enter_caller(struct fiber *fiber)
{
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(fiber->caller_fake_stack, NULL, NULL);
#else
	(void)fiber;
#endif
}

static void leave_fiber(struct fiber *fiber)
{
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(fiber->ended ? NULL : &fiber->fake_stack, fiber->caller_bottom, fiber->caller_size);
#else
	(void)fiber;
#endif
}

static void enter_fiber(struct fiber *fiber)
{
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(fiber->fake_stack, &fiber->caller_bottom, &fiber->caller_size);
#else
	(void)fiber;
#endif
}

static void begin(void)
{
	struct fiber *fiber = current;
	enter_fiber(fiber);
	fiber->run(fiber->context);
	fiber->ended = true;
	leave_fiber(fiber);
	swapcontext(&fiber->here, &fiber->caller);
}

struct fiber *fiber_create(void (*run)(void *context), void *context)
{
	struct fiber *fiber = calloc(1, sizeof *fiber);
	char *stack = malloc(STACK_SIZE);
	if (fiber == NULL || stack == NULL || getcontext(&fiber->here) != 0)
		abort();
	fiber->run = run;
	fiber->context = context;
	fiber->stack = stack;
	fiber->here.uc_stack.ss_sp = stack;
	fiber->here.uc_stack.ss_size = STACK_SIZE;
	makecontext(&fiber->here, begin, 0);
	return fiber;
}

void fiber_destroy(struct fiber *fiber)
{
	if (fiber == NULL)
		return;
	free(fiber->stack);
	free(fiber);
}

void fiber_resume(struct fiber *fiber)
{
	if (fiber->ended)
		return;
	current = fiber;
	leave_caller(fiber);
	swapcontext(&fiber->caller, &fiber->here);
	enter_caller(fiber);
	current = NULL;
}

void fiber_yield(void)
{
	struct fiber *fiber = current;
	if (fiber == NULL)
		return;
	leave_fiber(fiber);
	swapcontext(&fiber->here, &fiber->caller);
	enter_fiber(fiber);
}

bool fiber_ended(const struct fiber *fiber)
{
	return fiber->ended;
}
