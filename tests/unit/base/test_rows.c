/* Rows that are gathered, put in order, and found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rows.h"

#include <stdlib.h>

struct row {
	struct rows_key key;
	int number;
};

static struct address client(int number)
{
	const uint8_t ip[4] = {10, 0, 0, (uint8_t)number};
	return address_from_ipv4(ip);
}

/* Clients 1 to 99 but for those that 3 divides, each with starts 0, 10 and 20; added in another order. */
static void fill(void *items, size_t *ret_count)
{
	ROWS(struct row) rows = {0};
	bool failed = false;
	for (int i = 0; i < 300; i++) {
		int number = i * 7 % 100, start_ms = i % 3 * 10;
		const struct row row = {{client(number), start_ms}, number * 100 + start_ms};
		if (number % 3 != 0)
			ROWS_ADD(&rows, row, &failed);
	}
	assert_false(failed);
	assert_in_range(rows.count, 65, rows.capacity); /* it has grown */
	rows_sort(rows.items, rows.count, sizeof *rows.items, rows_compare_keys);
	*(struct row **)items = rows.items;
	*ret_count = rows.count;
}

static void rows_are_found_by_client_and_start(void **state)
{
	(void)state;
	struct row *rows;
	size_t count, found = 0;
	fill(&rows, &count);
	for (int number = 0; number <= 100; number++) {
		size_t end, first = 0;
		struct address one = client(number);
		first = rows_of_client(rows, count, sizeof *rows, &one, &end);
		found += end - first;
		for (size_t i = first; i < end; i++)
			assert_int_equal(rows[i].number / 100, number);
		assert_true(first == 0 || rows[first - 1].number / 100 < number);
		assert_true(end == count || rows[end].number / 100 > number);
		for (int64_t start_ms = -10; start_ms <= 30; start_ms += 10) {
			const struct row *row = rows_find(rows, count, sizeof *rows, &(struct rows_key){one, start_ms});
			assert_true(row == NULL || row->number == number * 100 + start_ms);
			assert_true(row != NULL || first == end || start_ms < 0 || start_ms > 20);
		}
	}
	assert_int_equal(found, count);
	free(rows);
}

static void of_no_rows_none_is_found(void **state)
{
	(void)state;
	struct address one = client(1);
	size_t end = 1;
	rows_sort(NULL, 0, sizeof(struct row), rows_compare_keys);
	assert_null(rows_find(NULL, 0, sizeof(struct row), &(struct rows_key){one, 0}));
	assert_int_equal(rows_of_client(NULL, 0, sizeof(struct row), &one, &end), 0);
	assert_int_equal(end, 0);
}

static void what_there_is_no_memory_for_is_left_out_and_told(void **state)
{
	(void)state;
	size_t capacity = SIZE_MAX / 2;
	bool failed = false;
	char kept;
	assert_ptr_equal(rows_grow(&kept, capacity, &capacity, sizeof(struct row), &failed), &kept);
	assert_true(failed);
	assert_int_equal(capacity, SIZE_MAX / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_found_by_client_and_start),
		cmocka_unit_test(of_no_rows_none_is_found),
		cmocka_unit_test(what_there_is_no_memory_for_is_left_out_and_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
