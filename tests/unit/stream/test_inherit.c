#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stream/inherit.h"

#define NOW_MS INT64_C(1728926331000)

static struct address one_client;

/* As where the store went away in the middle of the write. */
static enum error merge_half(struct store *store, int32_t partition, struct store_merge *ret_merge, struct error_note *note)
{
	(void)store;
	(void)partition;
	*ret_merge = (struct store_merge){.clients = &one_client, .client_count = 1};
	return error_noted(note, ERROR_UNAVAILABLE, "away");
}

/* The rows that the next ping of the client asks for. */
static size_t ping(struct engine *engine, int64_t position)
{
	const struct engine_event event = {.client = one_client, .pinged_at_ms = NOW_MS, .position = position};
	struct engine_missing missing;
	size_t taken, asked = 0;
	assert_int_equal(engine_offer(engine, &event, 1, NOW_MS, &taken), ERROR_OK);
	for (; engine_next_missing(engine, &missing); asked++)
		if (missing.kind == ENGINE_MISSING_CLIENT)
			engine_supply_client(engine, &missing.client, NULL, NULL, 0);
		else
			engine_supply_day(engine, &missing.client, missing.start_ms, NULL);
	engine_apply(engine);
	return asked;
}

static void what_a_merge_may_have_written_is_read_again_also_when_it_failed(void **state)
{
	(void)state;
	static const struct store_vtable vtable = {.merge_inherited = merge_half};
	struct store store = {.vtable = &vtable};
	struct engine *engine;
	struct engine_dirty dirty;
	int64_t until = 5;
	one_client = address_from_ipv4((const uint8_t[4]){10, 0, 0, 1});
	assert_int_equal(engine_create(&(struct engine_config){0}, POSITION_NONE, &engine), ERROR_OK);
	assert_int_equal(ping(engine, 1), 2);
	assert_int_equal(ping(engine, 2), 0);
	assert_int_equal(engine_collect_dirty(engine, &dirty), ERROR_OK);
	engine_written(engine);
	assert_int_equal(inherit_step(&store, 0, engine, NOW_MS, &until, NULL, NULL, NULL), ERROR_UNAVAILABLE);
	assert_int_equal(until, 5); /* it is to be done again */
	assert_int_equal(ping(engine, 3), 2);
	engine_destroy(engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_merge_may_have_written_is_read_again_also_when_it_failed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
