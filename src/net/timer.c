#include "net/timer.h"

#include <string.h>

enum { TICK_US = 1000 };

static void list_push(struct timer **head, struct timer *timer)
{
	timer->next = *head;
	timer->link = head;
	if (timer->next != NULL)
		timer->next->link = &timer->next;
	*head = timer;
}

void timer_wheel_init(struct timer_wheel *wheel, int64_t now_us)
{
	memset(wheel, 0, sizeof *wheel);
	wheel->tick = now_us / TICK_US;
}

void timer_arm(struct timer_wheel *wheel, struct timer *timer, int64_t due_us)
{
	timer_disarm(timer);
	timer->due_us = due_us;
	int64_t tick = due_us / TICK_US + (due_us % TICK_US != 0);
	if (tick <= wheel->tick)
		tick = wheel->tick + 1;
	size_t slot = (size_t)(tick % TIMER_SLOTS);
	list_push(&wheel->slots[slot], timer);
	wheel->occupied[slot / 64] |= UINT64_C(1) << slot % 64;
}

void timer_disarm(struct timer *timer)
{
	if (timer->link == NULL)
		return;
	*timer->link = timer->next;
	if (timer->next != NULL)
		timer->next->link = timer->link;
	timer->link = NULL;
	timer->next = NULL;
}

int64_t timer_wheel_next_us(const struct timer_wheel *wheel)
{
	size_t first = (size_t)((wheel->tick + 1) % TIMER_SLOTS);
	for (size_t i = 0; i <= TIMER_SLOTS / 64; i++) {
		size_t word = (first / 64 + i) % (TIMER_SLOTS / 64);
		uint64_t bits = wheel->occupied[word];
		if (i == 0)
			bits &= ~UINT64_C(0) << first % 64;
		if (bits == 0)
			continue;
		size_t slot = word * 64 + (size_t)__builtin_ctzll(bits);
		return (wheel->tick + 1 + (int64_t)((slot - first) % TIMER_SLOTS)) * TICK_US;
	}
	return INT64_MAX;
}

static void visit_slot(struct timer_wheel *wheel, size_t slot, int64_t now_us)
{
	if ((wheel->occupied[slot / 64] >> slot % 64 & 1) == 0)
		return;
	wheel->occupied[slot / 64] &= ~(UINT64_C(1) << slot % 64);
	struct timer *list = wheel->slots[slot];
	wheel->slots[slot] = NULL;
	if (list != NULL)
		list->link = &list;
	while (list != NULL) {
		struct timer *timer = list;
		timer_disarm(timer);
		if (timer->due_us <= now_us)
			timer->fire(timer);
		else
			timer_arm(wheel, timer, timer->due_us);
	}
}

void timer_wheel_advance(struct timer_wheel *wheel, int64_t now_us)
{
	int64_t now_tick = now_us / TICK_US;
	int64_t first = wheel->tick + 1;
	if (now_tick - first >= TIMER_SLOTS)
		first = now_tick - TIMER_SLOTS + 1;
	/* Set first: what a timer arms while firing is of a later tick. */
	if (now_tick > wheel->tick)
		wheel->tick = now_tick;
	for (int64_t tick = first; tick <= now_tick; tick++)
		visit_slot(wheel, (size_t)(tick % TIMER_SLOTS), now_us);
}
