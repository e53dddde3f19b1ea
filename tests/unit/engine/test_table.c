/* The engine's hash table against a plain array of what should be in it. */
#include "engine/table.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { REFS = 600, STEPS = 20000, SEEDS = 20 };

struct model {
	uint32_t tags[REFS];
	bool present[REFS];
};

static bool table_has(const struct table *table, uint32_t tag, uint32_t ref)
{
	uint32_t at = tag, found;
	while ((found = table_next(table, tag, &at)) != TABLE_NONE)
		if (found == ref)
			return true;
	return false;
}

static void assert_same(const struct table *table, const struct model *model)
{
	uint32_t count = 0;
	for (uint32_t ref = 0; ref < REFS; ref++) {
		assert_int_equal(table_has(table, model->tags[ref], ref), model->present[ref]);
		count += model->present[ref];
	}
	assert_int_equal(table->count, count);
}

/* Few different tags, so that runs are long, wrap round the end, and equal tags meet. */
static void random_steps(uint64_t seed)
{
	struct random_seeded random;
	random_seeded_init(&random, seed);
	struct model model = {0};
	struct table table;
	assert_int_equal(table_init(&table), ERROR_OK);
	uint64_t spread = random_below(&random.random, 2) ? 24 : UINT32_MAX;
	for (int step = 0; step < STEPS; step++) {
		uint32_t ref = (uint32_t)random_below(&random.random, REFS);
		if (model.present[ref]) {
			table_remove(&table, model.tags[ref], ref);
			model.present[ref] = false;
		} else if (random_below(&random.random, 3) > 0) {
			model.tags[ref] = UINT32_MAX - (uint32_t)random_below(&random.random, spread);
			assert_int_equal(table_reserve(&table, 1), ERROR_OK);
			table_insert(&table, model.tags[ref], ref);
			model.present[ref] = true;
		}
		if (step % 500 == 0)
			assert_same(&table, &model);
	}
	assert_same(&table, &model);
	table_release(&table);
}

static void it_holds_what_a_plain_array_holds(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		print_message("# seed %llu\n", (unsigned long long)seed);
		random_steps(seed);
	}
}

static void it_is_never_more_than_three_quarters_full(void **state)
{
	(void)state;
	struct table table;
	assert_int_equal(table_init(&table), ERROR_OK);
	for (uint32_t ref = 0; ref < 5000; ref++) {
		assert_int_equal(table_reserve(&table, 1), ERROR_OK);
		table_insert(&table, ref * 2654435761u, ref);
		assert_true(table.count * 4 <= (table.mask + 1) * 3);
	}
	table_release(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_holds_what_a_plain_array_holds),
		cmocka_unit_test(it_is_never_more_than_three_quarters_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
