/* Fibers: each process of a simulation has a stack of its own and gives way in the middle of a call, as SIGSTOP would stop it
 * there; who goes on, and when, is the simulator's to choose. One thread runs them all, so a seed's run is always the same.
 *
 *   fiber_resume ──► the fiber runs ──► fiber_yield ──► back, behind fiber_resume
 */
#ifndef PING_SIM_CQL_FIBER_H
#define PING_SIM_CQL_FIBER_H

#include <stdbool.h>

struct fiber;

/* Runs nothing yet. Out of memory ends the program. */
struct fiber *fiber_create(void (*run)(void *context), void *context);
/* It has ended, or never began: what stands on its stack is not cleaned up. */
void fiber_destroy(struct fiber *fiber);
/* Until it yields, or ends. */
void fiber_resume(struct fiber *fiber);
/* To whoever resumed the fiber that calls; nothing outside of one. */
void fiber_yield(void);
bool fiber_ended(const struct fiber *fiber);

#endif
