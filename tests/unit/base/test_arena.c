#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static bool all_zero(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] != 0)
			return false;
	return true;
}

static void what_it_gives_is_aligned_zeroed_and_apart(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 1 << 20);
	uint8_t *given[200];
	for (size_t i = 0; i < 200; i++) {
		given[i] = arena_alloc(&arena, i);
		assert_non_null(given[i]);
		assert_int_equal((uintptr_t)given[i] % 16, 0);
		assert_true(all_zero(given[i], i));
		memset(given[i], (int)i, i);
	}
	for (size_t i = 0; i < 200; i++)
		for (size_t j = 0; j < i; j++)
			assert_int_equal(given[i][j], i);
	arena_release(&arena);
}

static void a_request_larger_than_a_block_gets_one_of_its_own(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 1 << 20);
	uint8_t *large = arena_alloc(&arena, 100000);
	assert_non_null(large);
	assert_true(all_zero(large, 100000));
	assert_non_null(arena_alloc(&arena, 10));
	arena_release(&arena);
}

static void the_limit_counts_what_was_asked_for(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 100);
	assert_null(arena_alloc(&arena, 101));
	assert_non_null(arena_alloc(&arena, 60));
	assert_null(arena_alloc(&arena, 41));
	assert_non_null(arena_alloc(&arena, 40));
	assert_null(arena_alloc(&arena, 1));
	assert_non_null(arena_alloc(&arena, 0));
	arena_release(&arena);
}

static void memory_that_does_not_exist_is_null(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, SIZE_MAX);
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_null(arena_alloc(&arena, SIZE_MAX / 2));
	assert_null(arena_alloc_array(&arena, SIZE_MAX / 2, 3));
	assert_null(arena_copy(&arena, slice_make("", SIZE_MAX)).data);
	assert_non_null(arena_alloc_array(&arena, 3, 5));
	arena_release(&arena);
}

static void a_copy_ends_in_a_nul(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 100);
	struct slice copy = arena_copy(&arena, slice_make("abcdef", 3)), nothing = arena_copy(&arena, slice_make(NULL, 0));
	assert_int_equal(copy.size, 3);
	assert_string_equal((const char *)copy.data, "abc");
	assert_string_equal((const char *)nothing.data, "");
	arena_release(&arena);
}

static void after_a_reset_all_of_it_can_be_given_again_zeroed(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 20000);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 20; i++) {
			uint8_t *data = arena_alloc(&arena, 1000);
			assert_non_null(data);
			assert_true(all_zero(data, 1000));
			memset(data, 0xff, 1000);
		}
		assert_null(arena_alloc(&arena, 1));
		arena_reset(&arena);
	}
	uint8_t *large = arena_alloc(&arena, 10000);
	assert_non_null(large);
	arena_reset(&arena);
	assert_int_equal(arena.used, 0);
	arena_release(&arena);
	assert_null(arena.head);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_gives_is_aligned_zeroed_and_apart),
		cmocka_unit_test(a_request_larger_than_a_block_gets_one_of_its_own),
		cmocka_unit_test(the_limit_counts_what_was_asked_for),
		cmocka_unit_test(memory_that_does_not_exist_is_null),
		cmocka_unit_test(a_copy_ends_in_a_nul),
		cmocka_unit_test(after_a_reset_all_of_it_can_be_given_again_zeroed),
	};
	return cmocka_run_group_tests_name("base/arena", tests, NULL, NULL);
}
