#include "stream/dropped.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void each_is_due_once_and_not_early(void **state)
{
	(void)state;
	struct dropped dropped = {0};
	int32_t number = -1;
	dropped_add(&dropped, 3, 1000);
	dropped_add(&dropped, 4, 2000);
	assert_false(dropped_take_due(&dropped, 1000 + DROPPED_RETAKE_US - 1, &number));
	assert_true(dropped_take_due(&dropped, 1000 + DROPPED_RETAKE_US, &number));
	assert_int_equal(number, 3);
	assert_false(dropped_take_due(&dropped, 1000 + DROPPED_RETAKE_US, &number));
	assert_true(dropped_take_due(&dropped, 2000 + DROPPED_RETAKE_US, &number));
	assert_int_equal(number, 4);
	assert_int_equal(dropped.count, 0);
}

static void what_is_dropped_again_waits_anew_and_what_is_removed_is_never_due(void **state)
{
	(void)state;
	struct dropped dropped = {0};
	int32_t number;
	dropped_add(&dropped, 3, 0);
	dropped_add(&dropped, 3, 10);
	dropped_add(&dropped, 4, 0);
	dropped_remove(&dropped, 4);
	dropped_remove(&dropped, 5);
	assert_false(dropped_take_due(&dropped, DROPPED_RETAKE_US, &number));
	assert_true(dropped_take_due(&dropped, DROPPED_RETAKE_US + 10, &number));
	assert_int_equal(number, 3);
	assert_false(dropped_take_due(&dropped, INT64_MAX, &number));
}

static void no_more_are_held_than_there_is_room_for(void **state)
{
	(void)state;
	struct dropped dropped = {0};
	for (int32_t i = 0; i < DROPPED_MAX + 5; i++)
		dropped_add(&dropped, i, 0);
	assert_int_equal(dropped.count, DROPPED_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_is_due_once_and_not_early),
					   cmocka_unit_test(what_is_dropped_again_waits_anew_and_what_is_removed_is_never_due),
					   cmocka_unit_test(no_more_are_held_than_there_is_room_for)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
