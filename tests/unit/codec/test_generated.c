#include "codec_test.h"

#include "ping/v1/ping.pb.h"

static void types_have_their_names_and_sizes(void **state)
{
	(void)state;
	assert_string_equal(message_type_name(&ping_v1_ping_request_type), "ping.v1.PingRequest");
	assert_string_equal(message_type_name(&test_everything_v1_names_inner_http_info_type),
			    "test.everything.v1.Names.Inner.HTTPInfo");
	assert_int_equal(message_type_size(&ping_v1_ping_request_type), sizeof(struct ping_v1_ping_request));
}

static void enums_carry_their_package(void **state)
{
	(void)state;
	assert_int_equal(PING_V1_CLIENT_ORDER_CLIENT_IP, 3);
	assert_int_equal(TEST_EVERYTHING_V1_COLOR_BEYOND, -7);
	assert_int_equal(TEST_EVERYTHING_V1_NAMES_INNER_KIND_FIRST, 1);
	assert_int_equal(sizeof(enum test_everything_v1_color), sizeof(int32_t));
}

static void members_follow_the_conventions(void **state)
{
	(void)state;
	struct ping_v1_activity activity = {
		.has_avg_interval_ms = true, .avg_interval_ms = 0.5, .window_counts = {.items = NULL, .count = 0}};
	struct test_everything_v1_oneof oneof = {.which_register = 20, .register_.default_ = 5};
	struct test_everything_v1_names names = {
		.int_ = 1, .struct_ = {NULL, 0}, .switch_ = {.items = (bool[]){true}, .count = 1}};
	struct test_everything_v1_maps maps = {
		.strings = {.items = (struct test_everything_v1_maps_strings_entry[]){{.key = {NULL, 0}}}, .count = 1}};
	assert_true(activity.has_avg_interval_ms && oneof.register_.default_ == 5 && names.switch_.items[0] &&
		    maps.strings.count == 1);
}

static void methods_have_their_path_types_and_idempotency(void **state)
{
	(void)state;
	const struct method_type *ping = &ping_v1_ping_service_ping_method, *count = &ping_v1_ping_service_ping_count_method;
	assert_string_equal(ping->name, "Ping");
	assert_string_equal(ping->path, "/ping.v1.PingService/Ping");
	assert_ptr_equal(ping->request, &ping_v1_ping_request_type);
	assert_ptr_equal(ping->response, &ping_v1_ping_response_type);
	assert_false(ping->no_side_effects);
	assert_true(count->no_side_effects);
	assert_true(test_everything_v1_everything_service_get_method.no_side_effects);
	assert_false(test_everything_v1_everything_service_put_method.no_side_effects);
	assert_ptr_equal(test_everything_v1_everything_service_put_method.response, &google_protobuf_empty_type);
}

static void methods_say_which_side_streams(void **state)
{
	(void)state;
	const struct method_type *get = &test_everything_v1_everything_service_get_method;
	const struct method_type *watch = &test_everything_v1_everything_service_watch_method;
	const struct method_type *collect = &test_everything_v1_everything_service_collect_method;
	const struct method_type *talk = &test_everything_v1_everything_service_talk_method;
	assert_true(!get->client_streaming && !get->server_streaming);
	assert_true(!watch->client_streaming && watch->server_streaming);
	assert_true(collect->client_streaming && !collect->server_streaming);
	assert_true(talk->client_streaming && talk->server_streaming);
	assert_true(ping_v1_metrics_service_watch_window_stats_method.server_streaming);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_have_their_names_and_sizes),
		cmocka_unit_test(enums_carry_their_package),
		cmocka_unit_test(members_follow_the_conventions),
		cmocka_unit_test(methods_have_their_path_types_and_idempotency),
		cmocka_unit_test(methods_say_which_side_streams),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
