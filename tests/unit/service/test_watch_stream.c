#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_call.h"
#include "ping/v1/ping.pb.h"
#include "service/watch_stream.h"

enum { BEAT_MS = 5000 };

struct fixture {
	struct random_seeded random;
	struct watch_endpoint endpoint;
	struct rpc_method method;
	struct rpc_call *call;
	int messages, rows;
	int64_t last_count;
};

static void count_message(void *context, const void *message)
{
	struct fixture *f = context;
	const struct ping_v1_watch_window_stats_response *response = message;
	f->messages++;
	f->rows += (int)response->window_stats.count;
	if (response->window_stats.count > 0)
		f->last_count = response->window_stats.items[response->window_stats.count - 1].ping_count;
}

static int set_up(void **state)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;
	fixture = (struct fixture){.endpoint = {.clock = clock_system(), .heartbeat_ms = BEAT_MS}};
	*state = f;
	random_seeded_init(&f->random, 1);
	f->method = watch_method(&f->endpoint);
	f->call = fake_call_create("203.0.113.7");
	fake_call_stream(f->call, count_message, f);
	return watch_hub_create(&f->random.random, &f->endpoint.hub) != ERROR_OK;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	while (fake_call_run(f->call))
		;
	if (fake_call_answers(f->call) == 0)
		f->method.canceled(f->call, f->method.context);
	assert_int_equal(fake_call_answers(f->call), 1);
	assert_int_equal(watch_hub_count(f->endpoint.hub), 0);
	fake_call_destroy(f->call);
	watch_hub_destroy(f->endpoint.hub);
	return 0;
}

static void watch_these(struct fixture *f, struct slice *clients, size_t count)
{
	struct ping_v1_watch_window_stats_request request = {.client_ips = {clients, count}};
	f->method.handle(f->call, &request, f->method.context);
}

static void watch(struct fixture *f)
{
	watch_these(f, NULL, 0);
}

static void publish(struct fixture *f, uint8_t client, int64_t window, int64_t count)
{
	struct window_row row = {
		.client = address_from_ipv4((uint8_t[]){10, 0, 0, client}), .start_ms = window * WINDOW_MS, .count = count};
	watch_publish(f->endpoint.hub, &row, 1);
}

static void it_says_at_once_that_it_watches(void **state)
{
	struct fixture *f = *state;
	watch(f);
	assert_int_equal(f->messages, 1);
	assert_int_equal(f->rows, 0);
	assert_int_equal(fake_call_wake_ms(f->call), BEAT_MS);
	assert_int_equal(watch_hub_count(f->endpoint.hub), 1);
}

static void rows_come_as_they_change(void **state)
{
	struct fixture *f = *state;
	watch(f);
	publish(f, 1, 0, 5);
	publish(f, 2, 0, 6);
	assert_true(fake_call_run(f->call));
	assert_int_equal(f->messages, 2); /* both in one */
	assert_int_equal(f->rows, 2);
	publish(f, 1, 0, 7);
	assert_true(fake_call_run(f->call));
	assert_int_equal(f->last_count, 7);
	assert_false(fake_call_run(f->call));
}

static void only_the_clients_that_are_named_come(void **state)
{
	struct fixture *f = *state;
	watch_these(f, (struct slice[]){SLICE_LITERAL("10.0.0.2"), SLICE_LITERAL("::ffff:10.0.0.3")}, 2);
	for (uint8_t i = 1; i < 10; i++)
		publish(f, i, 0, i);
	fake_call_run(f->call);
	assert_int_equal(f->rows, 2);
	assert_int_equal(f->last_count, 3);
}

static void a_client_that_has_enough_is_given_the_newest_later(void **state)
{
	struct fixture *f = *state;
	fake_call_set_room(f->call, 1); /* full with the first message */
	watch(f);
	for (int i = 1; i <= 1000; i++) {
		publish(f, 1, 0, i);
		fake_call_run(f->call);
	}
	assert_int_equal(f->messages, 1);
	fake_call_set_room(f->call, 100);
	f->method.writable(f->call, f->method.context);
	assert_int_equal(f->messages, 2);
	assert_int_equal(f->rows, 1);
	assert_int_equal(f->last_count, 1000);
}

static void a_client_that_falls_too_far_behind_is_ended(void **state)
{
	struct fixture *f = *state;
	fake_call_set_room(f->call, 1);
	watch_these(f, (struct slice[]){SLICE_LITERAL("10.0.0.1")}, 1);
	for (int i = 0; i <= WATCH_MAX_OWN_ROWS; i++)
		publish(f, 1, i, 1);
	fake_call_run(f->call);
	assert_int_equal(fake_call_answers(f->call), 0);
	f->method.writable(f->call, f->method.context);
	assert_int_equal(fake_call_answers(f->call), 1);
	assert_int_equal(fake_call_error(f->call), ERROR_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(fake_call_message(f->call), "list the windows again"));
	assert_int_equal(f->rows, 0);
}

static void many_rows_are_sent_in_turns(void **state)
{
	struct fixture *f = *state;
	watch(f);
	for (int i = 0; i < 20000; i++)
		publish(f, (uint8_t)i, i / 256, 1);
	int turns = 0;
	while (fake_call_run(f->call))
		turns++;
	assert_int_equal(f->rows, 20000);
	assert_true(turns > 3 && turns < 10);
}

static void a_heartbeat_comes_when_nothing_else_did(void **state)
{
	struct fixture *f = *state;
	watch(f);
	f->method.wake(f->call, f->method.context);
	assert_int_equal(f->messages, 1); /* the first message was within this beat */
	f->method.wake(f->call, f->method.context);
	assert_int_equal(f->messages, 2);
	publish(f, 1, 0, 1);
	fake_call_run(f->call);
	assert_int_equal(f->messages, 3);
	f->method.wake(f->call, f->method.context);
	assert_int_equal(f->messages, 3);
	assert_int_equal(fake_call_wake_ms(f->call), BEAT_MS);
}

static void no_heartbeats_pile_up_before_a_client_that_reads_nothing(void **state)
{
	struct fixture *f = *state;
	fake_call_set_room(f->call, 1);
	watch(f);
	for (int i = 0; i < 10; i++)
		f->method.wake(f->call, f->method.context);
	assert_int_equal(f->messages, 1);
}

static void a_call_that_is_canceled_waits_for_its_task(void **state)
{
	struct fixture *f = *state;
	watch(f);
	publish(f, 1, 0, 1);
	fake_call_cancel(f->call);
	f->method.canceled(f->call, f->method.context);
	assert_int_equal(fake_call_answers(f->call), 0);
	assert_int_equal(watch_hub_count(f->endpoint.hub), 0);
	assert_true(fake_call_run(f->call));
	assert_int_equal(fake_call_answers(f->call), 1);
	assert_int_equal(fake_call_error(f->call), ERROR_CANCELED);
}

static void the_end_of_the_hub_comes_behind_what_is_pending(void **state)
{
	struct fixture *f = *state;
	watch(f);
	publish(f, 1, 0, 9);
	watch_hub_close(f->endpoint.hub);
	fake_call_run(f->call);
	assert_int_equal(f->last_count, 9);
	assert_int_equal(fake_call_error(f->call), ERROR_SHUTTING_DOWN);
}

static void who_comes_after_the_end_is_told(void **state)
{
	struct fixture *f = *state;
	watch_hub_close(f->endpoint.hub);
	watch(f);
	assert_int_equal(fake_call_error(f->call), ERROR_SHUTTING_DOWN);
}

static void what_is_no_address_is_named(void **state)
{
	struct fixture *f = *state;
	watch_these(f, (struct slice[]){SLICE_LITERAL("10.0.0.1"), SLICE_LITERAL("nobody")}, 2);
	assert_int_equal(fake_call_error(f->call), ERROR_INVALID_ARGUMENT);
	assert_string_equal(fake_call_message(f->call), "client_ips: \"nobody\" is not an IP address");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(it_says_at_once_that_it_watches),
		TEST(rows_come_as_they_change),
		TEST(only_the_clients_that_are_named_come),
		TEST(a_client_that_has_enough_is_given_the_newest_later),
		TEST(a_client_that_falls_too_far_behind_is_ended),
		TEST(many_rows_are_sent_in_turns),
		TEST(a_heartbeat_comes_when_nothing_else_did),
		TEST(no_heartbeats_pile_up_before_a_client_that_reads_nothing),
		TEST(a_call_that_is_canceled_waits_for_its_task),
		TEST(the_end_of_the_hub_comes_behind_what_is_pending),
		TEST(who_comes_after_the_end_is_told),
		TEST(what_is_no_address_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
