/* rollup_decompose: each value of the range lies in exactly one of its buckets, and no other value does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "base/rollup.h"

#define MAX_MS INT64_C(253402300799999)

/* The ranges as intervals of values, which must tile [start, end) when put in order. */
static void assert_tiles(int64_t start, int64_t end)
{
	struct rollup_range ranges[ROLLUP_MAX_RANGES];
	size_t count = rollup_decompose(start, end, ranges);
	assert_true(count <= ROLLUP_MAX_RANGES);
	int64_t at = start;
	for (size_t joined = 0; joined < count; joined++) {
		size_t next = 0;
		while (next < count && ranges[next].first << (ranges[next].level * ROLLUP_BITS) != at)
			next++;
		assert_true(next < count);
		assert_true(ranges[next].first < ranges[next].end);
		at = ranges[next].end << (ranges[next].level * ROLLUP_BITS);
	}
	assert_true(at == (end > start ? end : start));
}

/* At most 2 × 1,023 buckets a level, but the top one, whose width alone bounds it. */
static void assert_few(int64_t start, int64_t end)
{
	struct rollup_range ranges[ROLLUP_MAX_RANGES];
	size_t count = rollup_decompose(start, end, ranges);
	int64_t buckets[ROLLUP_LEVELS] = {0};
	for (size_t i = 0; i < count; i++)
		buckets[ranges[i].level] += ranges[i].end - ranges[i].first;
	for (int level = 0; level < ROLLUP_LEVELS; level++)
		assert_true(buckets[level] <= 2 * ((1 << ROLLUP_BITS) - 1));
}

static void an_empty_range_has_no_buckets(void **state)
{
	(void)state;
	struct rollup_range ranges[ROLLUP_MAX_RANGES];
	assert_int_equal(rollup_decompose(0, 0, ranges), 0);
	assert_int_equal(rollup_decompose(1728926331000, 1728926331000, ranges), 0);
	assert_int_equal(rollup_decompose(10, 9, ranges), 0);
}

static void an_aligned_range_is_one_bucket(void **state)
{
	(void)state;
	for (int level = 0; level < ROLLUP_LEVELS; level++) {
		struct rollup_range ranges[ROLLUP_MAX_RANGES];
		int64_t width = INT64_C(1) << (level * ROLLUP_BITS);
		assert_int_equal(rollup_decompose(7 * width, 8 * width, ranges), 1);
		assert_int_equal(ranges[0].level, level);
		assert_int_equal(ranges[0].first, 7);
		assert_int_equal(ranges[0].end, 8);
	}
}

static void ranges_around_the_edges_of_buckets_are_tiled(void **state)
{
	(void)state;
	for (int level = 1; level < ROLLUP_LEVELS; level++) {
		int64_t width = INT64_C(1) << (level * ROLLUP_BITS);
		for (int64_t a = -2; a <= 2; a++)
			for (int64_t b = -2; b <= 2; b++) {
				assert_tiles(width + a, 3 * width + b);
				assert_tiles(width + a, width + 2 + b);
				assert_few(width + a, 3 * width + b);
			}
	}
	assert_tiles(0, MAX_MS + 1);
	assert_few(1, MAX_MS);
}

static void random_ranges_are_tiled_by_few_buckets(void **state)
{
	(void)state;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 1);
	for (int i = 0; i < 100000; i++) {
		/* Of every magnitude: uniform ones would all be long. */
		int64_t start = (int64_t)random_below(&seeded.random, (uint64_t)MAX_MS >> random_below(&seeded.random, 47));
		int64_t length = (int64_t)random_below(&seeded.random, (uint64_t)MAX_MS >> random_below(&seeded.random, 47));
		int64_t end = start + length > MAX_MS ? MAX_MS : start + length;
		assert_tiles(start, end);
		assert_few(start, end);
	}
}

static void every_value_is_in_one_bucket_of_the_range_or_in_none(void **state)
{
	(void)state;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 2);
	for (int i = 0; i < 200; i++) {
		int64_t start = (int64_t)random_below(&seeded.random, 4000);
		int64_t end = start + (int64_t)random_below(&seeded.random, 9000);
		struct rollup_range ranges[ROLLUP_MAX_RANGES];
		size_t count = rollup_decompose(start, end, ranges);
		for (int64_t value = 0; value < 14000; value++) {
			int found = 0;
			for (size_t k = 0; k < count; k++) {
				int64_t bucket = rollup_bucket(value, ranges[k].level);
				found += bucket >= ranges[k].first && bucket < ranges[k].end;
			}
			assert_int_equal(found, value >= start && value < end);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_range_has_no_buckets),
		cmocka_unit_test(an_aligned_range_is_one_bucket),
		cmocka_unit_test(ranges_around_the_edges_of_buckets_are_tiled),
		cmocka_unit_test(random_ranges_are_tiled_by_few_buckets),
		cmocka_unit_test(every_value_is_in_one_bucket_of_the_range_or_in_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
