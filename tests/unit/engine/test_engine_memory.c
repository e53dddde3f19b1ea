/* Out of memory at any allocation: the engine says so, and goes on once there is memory again. Linked with --wrap for the
 * allocators. */
#include "engine/engine.h"
#include "unit/engine/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>

#define NOW_MS INT64_C(1728926331123)
enum { EVENTS = 5000, BATCH = 500, CLIENTS = 2000, MOST_ALLOCATIONS = 1000 };

static int left = INT_MAX; /* allocations until one fails */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails(void)
{
	return left != INT_MAX && left-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

static struct rows store, expected;
static struct engine_event events[EVENTS];
static unsigned failures;

static struct address client_of(unsigned n)
{
	return address_from_ipv4((const uint8_t[4]){10, 0, (uint8_t)(n >> 8), (uint8_t)n});
}

static void supply_nothing(struct engine *engine)
{
	struct engine_missing missing;
	while (engine_next_missing(engine, &missing)) {
		if (missing.kind == ENGINE_MISSING_CLIENT)
			engine_supply_client(engine, &missing.client, NULL, NULL, 0);
		else if (missing.kind == ENGINE_MISSING_WINDOW)
			engine_supply_window(engine, &missing.client, missing.start_ms, NULL);
		else
			engine_supply_day(engine, &missing.client, missing.start_ms, NULL);
	}
}

/* Each call that fails is made again, with memory. */
static void drive_through_failures(struct engine *engine)
{
	for (size_t next = 0, taken = 0; next < EVENTS; next += taken) {
		size_t count = EVENTS - next < BATCH ? EVENTS - next : BATCH;
		enum error error;
		while ((error = engine_offer(engine, &events[next], count, NOW_MS, &taken)) != ERROR_OK) {
			assert_int_equal(error, ERROR_NO_MEMORY);
			failures++;
		}
		supply_nothing(engine);
		engine_apply(engine);
	}
}

static void collect_through_failures(struct engine *engine, struct engine_dirty *dirty)
{
	enum error error;
	while ((error = engine_collect_dirty(engine, dirty)) != ERROR_OK) {
		assert_int_equal(error, ERROR_NO_MEMORY);
		failures++;
	}
	rows_write(&store, dirty, NULL);
	engine_written(engine);
}

/* The allocation number `n` of this life fails; false when there were fewer. */
static bool one_life(int n)
{
	struct engine *engine = NULL;
	struct engine_dirty dirty;
	store = (struct rows){0};
	left = n;
	enum error error;
	while ((error = engine_create(&(struct engine_config){0}, POSITION_NONE, &engine)) != ERROR_OK) {
		assert_int_equal(error, ERROR_NO_MEMORY);
		assert_null(engine);
		failures++;
	}
	drive_through_failures(engine);
	collect_through_failures(engine, &dirty);
	bool failed = left < 0;
	left = INT_MAX;
	rows_assert_equal(&store, &expected, true);
	engine_destroy(engine);
	return failed;
}

static void any_one_allocation_may_fail(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EVENTS; i++) {
		events[i] = (struct engine_event){client_of(i % CLIENTS), NOW_MS - i, i};
		rows_count(&expected, &events[i]);
	}
	int n = 0;
	while (one_life(n)) {
		n++;
		assert_true(n < MOST_ALLOCATIONS);
	}
	assert_true(n > 20);
	/* Where an offer had taken events already, it takes fewer and says OK. */
	assert_true(failures > 10);
	print_message("# %d allocations, %u errors\n", n, failures);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_one_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
