/* What --version says of the allocator is what the program has. */
#include "app/allocator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static void its_name_is_that_of_the_library_that_malloc_comes_from(void **state)
{
	(void)state;
	Dl_info where = {0};
	void *(*allocate)(size_t size) = malloc;
	void *address;
	memcpy(&address, &allocate, sizeof address);
	assert_int_not_equal(dladdr(address, &where), 0);
	assert_int_equal(strstr(where.dli_fname, "jemalloc") != NULL, strncmp(allocator_text(), "jemalloc ", 9) == 0);
}

static void it_is_named_in_one_short_line(void **state)
{
	(void)state;
	assert_in_range(strlen(allocator_text()), 10, 31);
	assert_null(strchr(allocator_text(), '\n'));
	assert_null(strchr(allocator_text(), '-'));
	assert_string_equal(allocator_text(), allocator_text());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_name_is_that_of_the_library_that_malloc_comes_from),
		cmocka_unit_test(it_is_named_in_one_short_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
