#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buffer.h"

/* An allocation of half the address space fails; a sanitizer is not to stop at it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void assert_holds(const struct buffer *buffer, const char *wanted)
{
	assert_true(slice_equal_string(buffer_slice(buffer), wanted));
}

static void what_is_appended_stands_one_behind_the_other(void **state)
{
	(void)state;
	struct buffer buffer;
	buffer_init(&buffer, 100);
	assert_int_equal(buffer_append(&buffer, "a\0b", 3), ERROR_OK);
	assert_int_equal(buffer_append_byte(&buffer, 'c'), ERROR_OK);
	assert_int_equal(buffer_append_string(&buffer, "de"), ERROR_OK);
	assert_int_equal(buffer_append_format(&buffer, "%d-%s", 7, "f"), ERROR_OK);
	assert_true(slice_equal(buffer_slice(&buffer), SLICE_LITERAL("a\0bcde7-f")));
	buffer_release(&buffer);
}

static void it_grows_past_its_first_block(void **state)
{
	(void)state;
	struct buffer buffer;
	buffer_init(&buffer, SIZE_MAX);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(buffer_append_format(&buffer, "%04d", i), ERROR_OK);
	assert_int_equal(buffer.size, 40000);
	assert_memory_equal(buffer.data + 4 * 1234, "1234", 4);
	buffer_release(&buffer);
}

static void the_limit_can_be_reached_but_not_passed(void **state)
{
	(void)state;
	struct buffer buffer;
	buffer_init(&buffer, 5);
	assert_int_equal(buffer_append_string(&buffer, "123456"), ERROR_TOO_LARGE);
	assert_int_equal(buffer_append_string(&buffer, "123"), ERROR_OK);
	assert_int_equal(buffer_append_format(&buffer, "%d", 456), ERROR_TOO_LARGE);
	assert_holds(&buffer, "123");
	assert_int_equal(buffer_append_format(&buffer, "%d", 45), ERROR_OK);
	assert_holds(&buffer, "12345");
	assert_int_equal(buffer_append_byte(&buffer, '6'), ERROR_TOO_LARGE);
	assert_int_equal(buffer_append_string(&buffer, ""), ERROR_OK);
	assert_int_equal(buffer_append_format(&buffer, "%s", ""), ERROR_OK);
	assert_holds(&buffer, "12345");
	buffer_release(&buffer);
}

static void nothing_can_be_appended_to_a_buffer_without_room(void **state)
{
	(void)state;
	struct buffer buffer;
	buffer_init(&buffer, 0);
	assert_int_equal(buffer_append(&buffer, NULL, 0), ERROR_OK);
	assert_int_equal(buffer_append_format(&buffer, "%s", ""), ERROR_OK);
	assert_int_equal(buffer_append_byte(&buffer, 'x'), ERROR_TOO_LARGE);
	assert_null(buffer.data);
}

static void a_growth_that_fails_leaves_it_as_it_was(void **state)
{
	(void)state;
	struct buffer buffer;
	buffer_init(&buffer, SIZE_MAX);
	assert_int_equal(buffer_append_string(&buffer, "abc"), ERROR_OK);
	assert_int_equal(buffer_reserve(&buffer, SIZE_MAX / 2), ERROR_NO_MEMORY);
	assert_int_equal(buffer_reserve(&buffer, SIZE_MAX - 3), ERROR_NO_MEMORY);
	assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), ERROR_TOO_LARGE);
	assert_holds(&buffer, "abc");
	assert_int_equal(buffer_append_string(&buffer, "def"), ERROR_OK);
	assert_holds(&buffer, "abcdef");
	buffer_release(&buffer);
}

static void what_is_consumed_leaves_the_rest_in_front(void **state)
{
	(void)state;
	struct buffer buffer;
	buffer_init(&buffer, 100);
	buffer_consume(&buffer, 5);
	assert_int_equal(buffer_append_string(&buffer, "abcdef"), ERROR_OK);
	buffer_consume(&buffer, 0);
	buffer_consume(&buffer, 2);
	assert_holds(&buffer, "cdef");
	buffer_consume(&buffer, 100);
	assert_int_equal(buffer.size, 0);
	buffer_release(&buffer);
}

static void clearing_keeps_the_memory_and_releasing_the_limit(void **state)
{
	(void)state;
	struct buffer buffer;
	buffer_init(&buffer, 3);
	assert_int_equal(buffer_append_string(&buffer, "abc"), ERROR_OK);
	buffer_clear(&buffer);
	assert_true(buffer.size == 0 && buffer.capacity >= 3);
	buffer_release(&buffer);
	assert_int_equal(buffer.capacity, 0);
	assert_int_equal(buffer_append_string(&buffer, "abcd"), ERROR_TOO_LARGE);
	assert_int_equal(buffer_append_string(&buffer, "abc"), ERROR_OK);
	buffer_release(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_appended_stands_one_behind_the_other),
		cmocka_unit_test(it_grows_past_its_first_block),
		cmocka_unit_test(the_limit_can_be_reached_but_not_passed),
		cmocka_unit_test(nothing_can_be_appended_to_a_buffer_without_room),
		cmocka_unit_test(a_growth_that_fails_leaves_it_as_it_was),
		cmocka_unit_test(what_is_consumed_leaves_the_rest_in_front),
		cmocka_unit_test(clearing_keeps_the_memory_and_releasing_the_limit),
	};
	return cmocka_run_group_tests_name("base/buffer", tests, NULL, NULL);
}
