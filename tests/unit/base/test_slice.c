#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/slice.h"

static void two_slices_are_equal_by_their_bytes(void **state)
{
	(void)state;
	assert_true(slice_equal(SLICE_LITERAL("a\0b"), slice_make("a\0b", 3)));
	assert_false(slice_equal(SLICE_LITERAL("a\0b"), SLICE_LITERAL("a\0c")));
	assert_false(slice_equal_string(SLICE_LITERAL("ab"), "abc"));
	assert_true(slice_equal(slice_make(NULL, 0), SLICE_LITERAL("")));
}

static void case_may_be_ignored_but_not_length(void **state)
{
	(void)state;
	assert_true(slice_equal_ignoring_case(SLICE_LITERAL("Keep-Alive"), "keep-alive"));
	assert_false(slice_equal_ignoring_case(SLICE_LITERAL("keep"), "keep-alive"));
	assert_false(slice_equal_ignoring_case(SLICE_LITERAL("keep-alive, x"), "keep-alive"));
}

static void trimming_takes_blanks_at_the_ends_alone(void **state)
{
	(void)state;
	assert_true(slice_equal_string(slice_trim(SLICE_LITERAL("\t a b\t ")), "a b"));
	assert_true(slice_equal_string(slice_trim(SLICE_LITERAL("a\n")), "a\n"));
	assert_int_equal(slice_trim(SLICE_LITERAL(" \t ")).size, 0);
	assert_int_equal(slice_trim(slice_make(NULL, 0)).size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_slices_are_equal_by_their_bytes),
		cmocka_unit_test(case_may_be_ignored_but_not_length),
		cmocka_unit_test(trimming_takes_blanks_at_the_ends_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
