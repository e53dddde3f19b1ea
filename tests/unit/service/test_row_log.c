#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "service/row_log.h"

enum { MAX_ROWS = 64, CLIENTS = 100, STEPS = 200000, BUDGET = 1 << 20 };

static const uint8_t key[16] = {1};

static struct window_row row_of(unsigned number, int64_t count)
{
	return (struct window_row){.client = address_from_ipv4((uint8_t[]){10, 0, (uint8_t)(number >> 8), (uint8_t)number}),
				   .count = count};
}

static void add(struct row_log *log, unsigned number, int64_t count)
{
	struct window_row row = row_of(number, count);
	row_log_add(log, &row);
}

static void all_readers_are_given_the_same_rows(void **state)
{
	(void)state;
	size_t budget = BUDGET;
	struct row_log log;
	struct window_row rows[MAX_ROWS];
	bool lost;
	row_log_init(&log, MAX_ROWS, key, &budget);
	uint64_t one = log.next, two = log.next;
	add(&log, 1, 1);
	add(&log, 2, 2);
	assert_int_equal(row_log_read(&log, &one, rows, 1, &lost), 1);
	assert_int_equal(rows[0].count, 1);
	add(&log, 1, 3);
	assert_int_equal(row_log_read(&log, &one, rows, MAX_ROWS, &lost), 2);
	assert_int_equal(rows[0].count, 2);
	assert_int_equal(rows[1].count, 3);
	assert_int_equal(row_log_read(&log, &two, rows, MAX_ROWS, &lost), 2);
	assert_int_equal(rows[0].count, 2);
	assert_int_equal(row_log_read(&log, &two, rows, MAX_ROWS, &lost), 0);
	assert_false(lost);
	row_log_release(&log);
	assert_int_equal(budget, BUDGET);
}

static void without_budget_everything_is_lost_and_then_it_goes_on(void **state)
{
	(void)state;
	size_t budget = 4000;
	struct row_log log;
	struct window_row rows[MAX_ROWS];
	bool lost = false;
	row_log_init(&log, MAX_ROWS, key, &budget);
	uint64_t cursor = log.next;
	for (unsigned i = 0; i < MAX_ROWS; i++)
		add(&log, i, 1);
	row_log_read(&log, &cursor, rows, MAX_ROWS, &lost);
	assert_true(lost);
	add(&log, 1, 2);
	assert_int_equal(row_log_read(&log, &cursor, rows, MAX_ROWS, &lost), 1);
	assert_false(lost);
	row_log_release(&log);
	assert_int_equal(budget, 4000);
}

/* A reader that keeps what it is given has the newest of every window, or was told that it has lost some. */
static void a_reader_is_never_behind_without_being_told(void **state)
{
	(void)state;
	size_t budget = BUDGET;
	struct row_log log;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 7);
	row_log_init(&log, MAX_ROWS, key, &budget);
	int64_t newest[CLIENTS] = {0}, seen[CLIENTS] = {0};
	uint64_t cursor = log.next;
	unsigned losses = 0;
	for (int64_t step = 1; step <= STEPS; step++) {
		/* Now few clients and now many, so that it is full of the dead as well as of the living. */
		unsigned spread = step / 5000 % 2 == 0 ? 10 : CLIENTS;
		unsigned number = (unsigned)(random_u64(&seeded.random) % spread);
		newest[number] = step;
		add(&log, number, step);
		if (random_u64(&seeded.random) % 40 != 0)
			continue;
		struct window_row rows[8];
		bool lost;
		size_t count;
		while ((count = row_log_read(&log, &cursor, rows, 8, &lost)) > 0)
			for (size_t i = 0; i < count; i++)
				seen[rows[i].client.bytes[15]] = rows[i].count;
		losses += lost;
		if (lost)
			memcpy(seen, newest, sizeof seen); /* it read the lists again */
		assert_memory_equal(seen, newest, sizeof seen);
		assert_true(log.living <= MAX_ROWS && log.capacity <= 2 * MAX_ROWS);
	}
	assert_true(losses > 0);
	row_log_release(&log);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_readers_are_given_the_same_rows),
		cmocka_unit_test(without_budget_everything_is_lost_and_then_it_goes_on),
		cmocka_unit_test(a_reader_is_never_behind_without_being_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
