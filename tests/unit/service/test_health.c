#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

#include "fake_clock.h"
#include "service/health.h"

struct fixture {
	struct fake_clock clock;
	struct health *health;
	struct buffer output;
};

static int set_up(void **state)
{
	static struct fixture fixture;
	fake_clock_init(&fixture.clock, 1000);
	buffer_init(&fixture.output, 1 << 16);
	*state = &fixture;
	return health_create(&fixture.clock.clock, &fixture.health) != ERROR_OK ||
	       health_add(fixture.health, "ledger", true) != ERROR_OK || health_add(fixture.health, "store", false) != ERROR_OK;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	health_destroy(f->health);
	buffer_release(&f->output);
	return 0;
}

static struct health_dependency dependency(struct fixture *f, size_t index)
{
	struct health_dependency all[HEALTH_MAX_DEPENDENCIES];
	assert_true(health_snapshot(f->health, all) > index);
	return all[index];
}

static void a_dependency_begins_as_down_and_starting(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(dependency(f, 0).name, "ledger");
	assert_int_equal(dependency(f, 0).state, HEALTH_DOWN);
	assert_string_equal(dependency(f, 0).detail, "starting");
	assert_int_equal(dependency(f, 0).since_ms, 1000);
}

static void since_is_when_the_state_last_became_another(void **state)
{
	struct fixture *f = *state;
	f->clock.now_ms = 2000;
	health_set(f->health, "store", HEALTH_DEGRADED, "slow");
	f->clock.now_ms = 3000;
	health_set(f->health, "store", HEALTH_DEGRADED, "slower");
	assert_int_equal(dependency(f, 1).since_ms, 2000);
	assert_string_equal(dependency(f, 1).detail, "slower");
	f->clock.now_ms = 4000;
	health_set(f->health, "store", HEALTH_OK, NULL);
	assert_int_equal(dependency(f, 1).since_ms, 4000);
	assert_string_equal(dependency(f, 1).detail, "");
}

static void a_name_that_was_not_added_is_ignored(void **state)
{
	struct fixture *f = *state;
	health_set(f->health, "kafka", HEALTH_OK, NULL);
	assert_int_equal(dependency(f, 0).state, HEALTH_DOWN);
	assert_int_equal(dependency(f, 1).state, HEALTH_DOWN);
}

static void there_is_a_most(void **state)
{
	struct fixture *f = *state;
	for (int i = 2; i < HEALTH_MAX_DEPENDENCIES; i++)
		assert_int_equal(health_add(f->health, "more", false), ERROR_OK);
	assert_int_equal(health_add(f->health, "more", false), ERROR_RESOURCE_EXHAUSTED);
}

static void expect_status(struct fixture *f, unsigned http_status, const char *status)
{
	unsigned got = 0;
	buffer_clear(&f->output);
	assert_int_equal(health_render_json(f->health, &f->output, &got), ERROR_OK);
	assert_int_equal(got, http_status);
	json_t *json = json_loadb((const char *)f->output.data, f->output.size, 0, NULL);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "status")), status);
	assert_int_equal(json_array_size(json_object_get(json, "dependencies")), 2);
	json_decref(json);
}

static void only_something_required_that_is_down_is_a_503(void **state)
{
	struct fixture *f = *state;
	expect_status(f, 503, "unavailable");
	health_set(f->health, "ledger", HEALTH_OK, NULL);
	expect_status(f, 200, "degraded");
	health_set(f->health, "store", HEALTH_OK, NULL);
	expect_status(f, 200, "ok");
	health_set(f->health, "ledger", HEALTH_DEGRADED, "disk nearly full");
	expect_status(f, 200, "degraded");
	health_set(f->health, "ledger", HEALTH_DOWN, "disk full");
	expect_status(f, 503, "unavailable");
}

static void the_json_has_one_line_a_dependency(void **state)
{
	struct fixture *f = *state;
	health_set(f->health, "ledger", HEALTH_OK, NULL);
	unsigned status;
	assert_int_equal(health_render_json(f->health, &f->output, &status), ERROR_OK);
	assert_int_equal(buffer_append_byte(&f->output, 0), ERROR_OK);
	assert_string_equal((const char *)f->output.data,
			    "{\"status\":\"degraded\",\"dependencies\":[\n"
			    "{\"name\":\"ledger\",\"state\":\"ok\",\"since_ms\":1000,\"detail\":\"\"},\n"
			    "{\"name\":\"store\",\"state\":\"down\",\"since_ms\":1000,\"detail\":\"starting\"}\n"
			    "]}\n");
}

static void any_detail_is_valid_json_and_plain_text(void **state)
{
	struct fixture *f = *state;
	health_set(f->health, "ledger", HEALTH_OK, "\"C:\\\" \xff\xc3\n");
	assert_string_equal(dependency(f, 0).detail, "\"C:\\\" ???");
	expect_status(f, 200, "degraded");
	char text[1000];
	memset(text, '"', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	health_set(f->health, "ledger", HEALTH_OK, text);
	assert_int_equal(strlen(dependency(f, 0).detail), HEALTH_DETAIL_SIZE - 1);
	expect_status(f, 200, "degraded");
}

static void a_full_buffer_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct buffer tiny;
	buffer_init(&tiny, 100);
	unsigned status = 0;
	assert_int_equal(health_render_json(f->health, &tiny, &status), ERROR_TOO_LARGE);
	assert_int_equal(status, 0);
	buffer_release(&tiny);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_dependency_begins_as_down_and_starting),	     TEST(since_is_when_the_state_last_became_another),
		TEST(a_name_that_was_not_added_is_ignored),	     TEST(there_is_a_most),
		TEST(only_something_required_that_is_down_is_a_503), TEST(the_json_has_one_line_a_dependency),
		TEST(any_detail_is_valid_json_and_plain_text),	     TEST(a_full_buffer_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
