#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "net/http2_memory.h"

enum { FRAME_BYTES = 16394, PAGE_BYTES = 4096 };

struct fixture {
	struct http2_memory memory;
	nghttp2_mem *mem;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	http2_memory_init(&f->memory);
	f->mem = &f->memory.mem;
	*state = f;
	return f->memory.slot == NULL;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	http2_memory_release(&f->memory);
	free(f);
	return 0;
}

static size_t offset_of(const struct fixture *f, const void *block)
{
	return (size_t)((const uint8_t *)block - f->memory.slot);
}

static void session_table_and_frame_share_pages(void **state)
{
	struct fixture *f = *state;
	uint8_t *session = f->mem->calloc(1, 2928, f->mem->mem_user_data);
	uint8_t *frame = f->mem->realloc(NULL, FRAME_BYTES, f->mem->mem_user_data);
	uint8_t *table = f->mem->calloc(256, 16, f->mem->mem_user_data);
	assert_int_equal(offset_of(f, session), 0);
	assert_int_equal(offset_of(f, table), 2928);
	assert_true(offset_of(f, frame) >= 2928 + 4096 && offset_of(f, frame) < 2 * PAGE_BYTES);
	memset(frame, 1, FRAME_BYTES);
	memset(session, 2, 2928);
	for (size_t i = 0; i < 4096; i++)
		assert_int_equal(table[i], 0);
	assert_int_equal(frame[0], 1);
}

static void what_is_small_or_too_much_is_mallocs(void **state)
{
	struct fixture *f = *state;
	void *blocks[] = {
		f->mem->malloc(100, f->mem->mem_user_data),
		f->mem->malloc(8000, f->mem->mem_user_data),
		f->mem->malloc(40000, f->mem->mem_user_data),
		f->mem->calloc(1000, 100, f->mem->mem_user_data),
	};
	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
		assert_true((uintptr_t)blocks[i] - (uintptr_t)f->memory.slot >= 24 << 10);
		f->mem->free(blocks[i], f->mem->mem_user_data); /* or a sanitizer finds it */
	}
	assert_null(f->mem->calloc(SIZE_MAX / 2, 16, f->mem->mem_user_data));
}

static void a_second_frame_is_mallocs(void **state)
{
	struct fixture *f = *state;
	void *first = f->mem->malloc(FRAME_BYTES, f->mem->mem_user_data);
	void *second = f->mem->malloc(FRAME_BYTES, f->mem->mem_user_data);
	assert_true(first != second);
	f->mem->free(first, f->mem->mem_user_data);
	f->mem->free(second, f->mem->mem_user_data);
}

static void what_grows_out_of_the_slot_keeps_its_bytes(void **state)
{
	struct fixture *f = *state;
	uint8_t *block = f->mem->malloc(3000, f->mem->mem_user_data);
	memset(block, 7, 3000);
	uint8_t *grown = f->mem->realloc(block, 50000, f->mem->mem_user_data);
	assert_true(grown != block);
	for (size_t i = 0; i < 3000; i++)
		assert_int_equal(grown[i], 7);
	grown = f->mem->realloc(grown, 60000, f->mem->mem_user_data);
	assert_int_equal(grown[2999], 7);
	f->mem->free(grown, f->mem->mem_user_data);
}

static void without_fresh_pages_everything_is_mallocs(void **state)
{
	struct fixture *f = *state;
	http2_memory_release(&f->memory);
	void *block = f->mem->malloc(FRAME_BYTES, f->mem->mem_user_data);
	assert_non_null(block);
	f->mem->free(block, f->mem->mem_user_data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(session_table_and_frame_share_pages),
		TEST(what_is_small_or_too_much_is_mallocs),
		TEST(a_second_frame_is_mallocs),
		TEST(what_grows_out_of_the_slot_keeps_its_bytes),
		TEST(without_fresh_pages_everything_is_mallocs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
