#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <string.h>

#include "base/random.h"

/* The reference values of xoshiro256** 1.0 from this state, and of splitmix64 from this seed. */
static void a_seed_gives_the_published_sequence(void **state)
{
	(void)state;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 1234567);
	assert_int_equal(seeded.state[0], UINT64_C(6457827717110365317));
	assert_int_equal(seeded.state[1], UINT64_C(3203168211198807973));
	assert_int_equal(seeded.state[2], UINT64_C(9817491932198370423));
	assert_int_equal(seeded.state[3], UINT64_C(4593380528125082431));
	memcpy(seeded.state, (const uint64_t[4]){1, 2, 3, 4}, sizeof seeded.state);
	assert_int_equal(random_u64(&seeded.random), 11520);
	assert_int_equal(random_u64(&seeded.random), 0);
	assert_int_equal(random_u64(&seeded.random), 1509978240);
	assert_int_equal(random_u64(&seeded.random), UINT64_C(1215971899390074240));
}

static void one_seed_is_one_sequence(void **state)
{
	(void)state;
	struct random_seeded one, same, other;
	random_seeded_init(&one, 7);
	random_seeded_init(&same, 7);
	random_seeded_init(&other, 8);
	unsigned differences = 0;
	for (int i = 0; i < 100; i++) {
		uint64_t value = random_u64(&one.random);
		assert_int_equal(value, random_u64(&same.random));
		differences += value != random_u64(&other.random);
	}
	assert_int_equal(differences, 100);
}

static void a_fill_of_any_size_touches_all_of_it_and_no_more(void **state)
{
	(void)state;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 7);
	for (size_t size = 0; size < 40; size++) {
		uint8_t seen[41] = {0}, data[41];
		for (int round = 0; round < 20; round++) {
			memset(data, 0, sizeof data);
			random_fill(&seeded.random, data, size);
			for (size_t i = 0; i < sizeof data; i++)
				seen[i] |= data[i];
		}
		for (size_t i = 0; i < sizeof seen; i++)
			assert_int_equal(seen[i] != 0, i < size);
	}
}

struct scripted {
	struct random random;
	const uint64_t *next;
};

static void scripted_fill(struct random *random, void *data, size_t size)
{
	struct scripted *scripted = (struct scripted *)random;
	assert_int_equal(size, sizeof *scripted->next);
	memcpy(data, scripted->next++, size);
}

static uint64_t below_from(const uint64_t *draws, uint64_t bound)
{
	struct scripted scripted = {.random = {scripted_fill}, .next = draws};
	return random_below(&scripted.random, bound);
}

/* 2⁶⁴ leaves 1 over 3: without drawing one of its values again, one result would come more often. */
static void a_draw_that_would_favour_some_results_is_drawn_again(void **state)
{
	(void)state;
	assert_int_equal(below_from((const uint64_t[]){0, 5}, 3), 2);
	assert_int_equal(below_from((const uint64_t[]){1}, 3), 1);
	assert_int_equal(below_from((const uint64_t[]){UINT64_MAX}, 3), 0);
	assert_int_equal(below_from((const uint64_t[]){0}, 4), 0);
	uint64_t half = UINT64_C(1) << 63;
	assert_int_equal(below_from((const uint64_t[]){0, half - 2, half - 1}, half + 1), half - 1);
}

static void below_reaches_every_value_and_none_beyond(void **state)
{
	(void)state;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 7);
	unsigned seen[10] = {0};
	for (int i = 0; i < 10000; i++) {
		uint64_t value = random_below(&seeded.random, 10);
		assert_true(value < 10);
		seen[value]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(seen[i], 850, 1150);
	assert_int_equal(random_below(&seeded.random, 1), 0);
}

static void the_systems_differs_each_time(void **state)
{
	(void)state;
	uint8_t one[1000], other[1000];
	random_fill(random_system(), one, sizeof one);
	random_fill(random_system(), other, sizeof other);
	assert_memory_not_equal(one, other, sizeof one);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static void the_systems_gives_nothing_out_twice(void **state)
{
	(void)state;
	enum { DRAWS = 10000, LARGE = 1000 };
	static uint64_t drawn[DRAWS];
	uint8_t large[LARGE], zero[LARGE] = {0};
	for (size_t i = 0; i < DRAWS; i++) {
		drawn[i] = random_u64(random_system());
		random_fill(random_system(), large, i % 7); /* so that a draw is not always a whole number of them from the end */
	}
	qsort(drawn, DRAWS, sizeof drawn[0], compare);
	for (size_t i = 1; i < DRAWS; i++)
		assert_true(drawn[i - 1] < drawn[i]);
	memset(large, 0, sizeof large);
	random_fill(random_system(), large, sizeof large);
	assert_memory_not_equal(large + LARGE / 2, zero, LARGE / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seed_gives_the_published_sequence),
		cmocka_unit_test(one_seed_is_one_sequence),
		cmocka_unit_test(a_fill_of_any_size_touches_all_of_it_and_no_more),
		cmocka_unit_test(a_draw_that_would_favour_some_results_is_drawn_again),
		cmocka_unit_test(below_reaches_every_value_and_none_beyond),
		cmocka_unit_test(the_systems_differs_each_time),
		cmocka_unit_test(the_systems_gives_nothing_out_twice),
	};
	return cmocka_run_group_tests_name("base/random", tests, NULL, NULL);
}
