#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"

static void the_wall_clock_is_in_this_era(void **state)
{
	(void)state;
	int64_t ms = clock_wall_ms(clock_system());
	assert_true(ms > INT64_C(1700000000000) && ms < INT64_C(253402300800000));
}

static void the_monotonic_clock_never_goes_back(void **state)
{
	(void)state;
	int64_t last = clock_monotonic_us(clock_system());
	for (int i = 0; i < 10000; i++) {
		int64_t now = clock_monotonic_us(clock_system());
		assert_true(now >= last);
		last = now;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_wall_clock_is_in_this_era),
		cmocka_unit_test(the_monotonic_clock_never_goes_back),
	};
	return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
