#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_call.h"
#include "grpc/health/v1/health.pb.h"
#include "service/health_check.h"

#define SERVING	    GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_SERVING
#define NOT_SERVING GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_NOT_SERVING
#define UNKNOWN	    GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_SERVICE_UNKNOWN

struct fixture {
	struct health *health;
	struct health_endpoint endpoint;
	struct rpc_method watch;
	struct rpc_call *call;
	int told[8], count;
};

static void note_status(void *context, const void *message)
{
	struct fixture *f = context;
	assert_true(f->count < 8);
	f->told[f->count++] = (int)((const struct grpc_health_v1_health_check_response *)message)->status;
}

static int set_up(void **state)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;
	fixture = (struct fixture){.call = fake_call_create("203.0.113.7")};
	*state = f;
	fake_call_stream(f->call, note_status, f);
	if (health_create(clock_system(), &f->health) != ERROR_OK)
		return -1;
	f->endpoint.health = f->health;
	f->watch = health_watch_method(&f->endpoint);
	health_add(f->health, "ledger", true);
	health_add(f->health, "store", false);
	health_set(f->health, "ledger", HEALTH_OK, NULL);
	health_set(f->health, "store", HEALTH_OK, NULL);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	fake_call_destroy(f->call);
	health_destroy(f->health);
	return 0;
}

static void start(struct fixture *f, const char *service)
{
	struct grpc_health_v1_health_check_request *request = arena_alloc(rpc_call_arena(f->call), sizeof *request);
	request->service = slice_from_string(service);
	f->watch.handle(f->call, request, f->watch.context);
}

static void look(struct fixture *f)
{
	assert_int_equal(fake_call_wake_ms(f->call), HEALTH_WATCH_MS);
	f->watch.wake(f->call, f->watch.context);
}

static void a_service_serves_while_what_it_needs_is_up(void **state)
{
	struct fixture *f = *state;
	assert_true(health_serves(f->health, NULL));
	assert_true(health_serves(f->health, "store"));
	health_set(f->health, "store", HEALTH_DEGRADED, "slow");
	assert_true(health_serves(f->health, "store"));
	health_set(f->health, "store", HEALTH_DOWN, "gone");
	assert_true(health_serves(f->health, NULL));
	assert_false(health_serves(f->health, "store"));
	health_set(f->health, "store", HEALTH_OK, NULL);
	health_set(f->health, "ledger", HEALTH_DOWN, "gone");
	assert_false(health_serves(f->health, NULL));
	assert_false(health_serves(f->health, "store"));
	assert_false(health_serves(f->health, "what is not there"));
}

static void a_check_of_what_there_is_not_is_not_found(void **state)
{
	struct fixture *f = *state;
	struct grpc_health_v1_health_check_request request = {.service = SLICE_LITERAL("ping.v1.NoService")};
	struct rpc_method check = health_check_method(&f->endpoint);
	check.handle(f->call, &request, check.context);
	assert_int_equal(fake_call_error(f->call), ERROR_NOT_FOUND);
}

static size_t list(struct fixture *f, int ret_statuses[3])
{
	struct rpc_method method = health_list_method(&f->endpoint);
	method.handle(f->call, &(struct grpc_health_v1_health_list_request){0}, method.context);
	const struct grpc_health_v1_health_list_response *response = fake_call_response(f->call);
	assert_non_null(response);
	assert_true(response->statuses.count <= 3);
	for (size_t i = 0; i < response->statuses.count; i++)
		ret_statuses[i] = (int)response->statuses.items[i].value->status;
	assert_true(slice_equal_string(response->statuses.items[0].key, ""));
	return response->statuses.count;
}

static void a_list_has_every_service(void **state)
{
	struct fixture *f = *state;
	int statuses[3];
	health_set(f->health, "store", HEALTH_DOWN, "gone");
	assert_int_equal(list(f, statuses), 3);
	assert_int_equal(statuses[0], SERVING);
	assert_int_equal(statuses[1], SERVING);
	assert_int_equal(statuses[2], NOT_SERVING);
}

static void a_process_without_the_api_knows_of_itself_alone(void **state)
{
	struct fixture *f = *state;
	int statuses[3];
	f->endpoint.bare = true;
	assert_int_equal(list(f, statuses), 1);
	assert_int_equal(statuses[0], SERVING);
	start(f, "ping.v1.PingService");
	assert_int_equal(f->told[0], UNKNOWN);
	f->watch.canceled(f->call, f->watch.context);
}

static void a_watch_tells_each_change(void **state)
{
	struct fixture *f = *state;
	start(f, "ping.v1.MetricsService");
	look(f);
	look(f);
	assert_int_equal(f->count, 1);
	health_set(f->health, "store", HEALTH_DOWN, "gone");
	look(f);
	look(f);
	health_set(f->health, "store", HEALTH_OK, NULL);
	look(f);
	assert_int_equal(f->count, 3);
	assert_int_equal(f->told[0], SERVING);
	assert_int_equal(f->told[1], NOT_SERVING);
	assert_int_equal(f->told[2], SERVING);
	assert_int_equal(fake_call_answers(f->call), 0);
	f->watch.canceled(f->call, f->watch.context);
}

static void a_watch_of_what_there_is_not_stays(void **state)
{
	struct fixture *f = *state;
	start(f, "other");
	look(f);
	assert_int_equal(f->count, 1);
	assert_int_equal(f->told[0], UNKNOWN);
	assert_int_equal(fake_call_answers(f->call), 0);
	f->watch.canceled(f->call, f->watch.context);
}

static void a_process_that_is_about_to_end_serves_no_more(void **state)
{
	struct fixture *f = *state;
	start(f, "");
	health_drain(f->health);
	look(f);
	assert_int_equal(f->count, 2);
	assert_int_equal(f->told[1], NOT_SERVING);
	assert_int_equal(fake_call_error(f->call), ERROR_SHUTTING_DOWN);
	struct buffer page;
	unsigned status;
	buffer_init(&page, 4096);
	assert_int_equal(health_render_json(f->health, &page, &status), ERROR_OK);
	assert_int_equal(status, 503);
	assert_memory_equal(page.data, "{\"status\":\"draining\"", 20);
	buffer_release(&page);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_service_serves_while_what_it_needs_is_up),
		TEST(a_check_of_what_there_is_not_is_not_found),
		TEST(a_list_has_every_service),
		TEST(a_process_without_the_api_knows_of_itself_alone),
		TEST(a_watch_tells_each_change),
		TEST(a_watch_of_what_there_is_not_stays),
		TEST(a_process_that_is_about_to_end_serves_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
