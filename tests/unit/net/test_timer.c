/* The timer wheel, alone and against a plain list of due times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "net/timer.h"

enum { COUNT = 64, NEVER = -1 };

struct probe {
	struct timer timer;
	int64_t fired_us; /* NEVER */
	int fires;
};

static struct timer_wheel wheel;
static struct probe probes[COUNT];
static int64_t now_us;

static void note_fire(struct timer *timer)
{
	struct probe *probe = (struct probe *)timer;
	probe->fired_us = now_us;
	probe->fires++;
}

static int setup(void **state)
{
	(void)state;
	now_us = 1000000;
	timer_wheel_init(&wheel, now_us);
	for (int i = 0; i < COUNT; i++)
		probes[i] = (struct probe){.timer.fire = note_fire, .fired_us = NEVER};
	return 0;
}

static void advance_to(int64_t us)
{
	now_us = us;
	timer_wheel_advance(&wheel, us);
}

static void a_timer_fires_once_when_it_is_due_and_not_before(void **state)
{
	(void)state;
	timer_arm(&wheel, &probes[0].timer, 1050000);
	advance_to(1049000);
	assert_int_equal(probes[0].fires, 0);
	assert_true(timer_armed(&probes[0].timer));
	advance_to(1050000);
	assert_int_equal(probes[0].fires, 1);
	assert_false(timer_armed(&probes[0].timer));
	advance_to(9000000);
	assert_int_equal(probes[0].fires, 1);
}

static void a_timer_of_a_later_round_waits_for_its_round(void **state)
{
	(void)state;
	int64_t due_us = 1000000 + 3 * TIMER_SLOTS * INT64_C(1000) + 5000;
	timer_arm(&wheel, &probes[0].timer, due_us);
	for (int64_t us = 1000000; us < due_us; us += 700000)
		advance_to(us);
	assert_int_equal(probes[0].fires, 0);
	advance_to(due_us);
	assert_int_equal(probes[0].fires, 1);
}

static void a_timer_that_is_overdue_when_armed_fires_at_the_next_tick(void **state)
{
	(void)state;
	timer_arm(&wheel, &probes[0].timer, 5);
	assert_int_equal(timer_wheel_next_us(&wheel), 1001000);
	advance_to(1001000);
	assert_int_equal(probes[0].fires, 1);
}

static void a_disarmed_timer_does_not_fire(void **state)
{
	(void)state;
	timer_arm(&wheel, &probes[0].timer, 1002000);
	timer_arm(&wheel, &probes[1].timer, 1002000);
	timer_disarm(&probes[0].timer);
	advance_to(1010000);
	assert_int_equal(probes[0].fires, 0);
	assert_int_equal(probes[1].fires, 1);
}

static void arming_again_moves_a_timer(void **state)
{
	(void)state;
	timer_arm(&wheel, &probes[0].timer, 1002000);
	timer_arm(&wheel, &probes[0].timer, 1008000);
	advance_to(1007000);
	assert_int_equal(probes[0].fires, 0);
	advance_to(1008000);
	assert_int_equal(probes[0].fires, 1);
}

static void rearm_and_disarm(struct timer *timer)
{
	note_fire(timer);
	timer_arm(&wheel, timer, now_us + 3000);
	timer_disarm(&probes[1].timer);
	timer_disarm(&probes[2].timer);
}

static void a_firing_timer_may_arm_itself_and_disarm_its_neighbours(void **state)
{
	(void)state;
	for (int i = 2; i >= 0; i--) /* all in one slot, the first one on top */
		timer_arm(&wheel, &probes[i].timer, 1002000);
	probes[0].timer.fire = rearm_and_disarm;
	advance_to(1002000);
	assert_int_equal(probes[0].fires + probes[1].fires + probes[2].fires, 1);
	advance_to(1005000);
	assert_int_equal(probes[0].fires, 2);
}

static void without_timers_nothing_is_due(void **state)
{
	(void)state;
	assert_int_equal(timer_wheel_next_us(&wheel), INT64_MAX);
}

/* Random arming, disarming and advancing; each timer's due time is also kept in an array, and that is what must have happened. */
static void any_sequence_fires_what_a_plain_list_would(void **state)
{
	(void)state;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 7);
	int64_t due_us[COUNT];
	for (int i = 0; i < COUNT; i++)
		due_us[i] = NEVER;
	for (int step = 0; step < 20000; step++) {
		size_t i = (size_t)random_below(&seeded.random, COUNT);
		if (random_below(&seeded.random, 4) == 0) {
			timer_disarm(&probes[i].timer);
			due_us[i] = NEVER;
		} else {
			due_us[i] = now_us + 1000 + (int64_t)random_below(&seeded.random, 12000000);
			timer_arm(&wheel, &probes[i].timer, due_us[i]);
		}
		if (random_below(&seeded.random, 3) != 0)
			continue;
		int64_t next_us = timer_wheel_next_us(&wheel), to_us = now_us + (int64_t)random_below(&seeded.random, 300000);
		for (int k = 0; k < COUNT; k++) {
			assert_true(due_us[k] == NEVER || next_us <= due_us[k] + 1000); /* never woken too late */
			probes[k].fired_us = NEVER;
		}
		advance_to(to_us);
		for (int k = 0; k < COUNT; k++) {
			bool fired = probes[k].fired_us != NEVER;
			bool must = due_us[k] != NEVER && due_us[k] <= to_us / 1000 * 1000;
			assert_false(fired && (due_us[k] == NEVER || due_us[k] > to_us));
			assert_true(fired || !must);
			if (fired)
				due_us[k] = NEVER;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_timer_fires_once_when_it_is_due_and_not_before, setup),
		cmocka_unit_test_setup(a_timer_of_a_later_round_waits_for_its_round, setup),
		cmocka_unit_test_setup(a_timer_that_is_overdue_when_armed_fires_at_the_next_tick, setup),
		cmocka_unit_test_setup(a_disarmed_timer_does_not_fire, setup),
		cmocka_unit_test_setup(arming_again_moves_a_timer, setup),
		cmocka_unit_test_setup(a_firing_timer_may_arm_itself_and_disarm_its_neighbours, setup),
		cmocka_unit_test_setup(without_timers_nothing_is_due, setup),
		cmocka_unit_test_setup(any_sequence_fires_what_a_plain_list_would, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
