/* Timers of one loop: a hashed wheel (Varghese and Lauck 1987, scheme 6). Arming and disarming are O(1) and cannot fail, as a
 * timer is embedded in what it times; most are disarmed before they fire.
 *
 *   slot = due millisecond mod 4096      a slot holds all rounds; a timer of a later round is looked at and put back
 *   ┌──┬──┬──┬──┬─ … ─┐
 *   │  │ ●│  │ ●│     │                  bitmap: which slots may hold something, to find the next one to wake for
 *   └──┴─┼┴──┴─┼┴─ … ─┘
 *        ▼     ▼
 *      timer  timer ─► timer
 */
#ifndef PING_NET_TIMER_H
#define PING_NET_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
	struct timer *next;
	struct timer **link; /* what points here; NULL: not armed */
	int64_t due_us;
	void (*fire)(struct timer *timer);
};

enum { TIMER_SLOTS = 4096 };

struct timer_wheel {
	struct timer *slots[TIMER_SLOTS];
	uint64_t occupied[TIMER_SLOTS / 64];
	int64_t tick; /* all due up to this millisecond have fired */
};

/* Monotonic microseconds, as everywhere here. */
void timer_wheel_init(struct timer_wheel *wheel, int64_t now_us);
/* Fires once at due_us or up to a millisecond later; armed already: moved. */
void timer_arm(struct timer_wheel *wheel, struct timer *timer, int64_t due_us);
void timer_disarm(struct timer *timer);
static inline bool timer_armed(const struct timer *timer)
{
	return timer->link != NULL;
}
/* Nothing fires before this time; it may be too early, never too late. INT64_MAX: nothing is armed. */
int64_t timer_wheel_next_us(const struct timer_wheel *wheel);
/* Fires what is due. A timer's function may arm and disarm any timer, and free its own. */
void timer_wheel_advance(struct timer_wheel *wheel, int64_t now_us);

#endif
