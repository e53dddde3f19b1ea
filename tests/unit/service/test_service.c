#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_call.h"
#include "fake_clock.h"
#include "grpc/health/v1/health.pb.h"
#include "ping/v1/ping.pb.h"
#include "query/activity.h"
#include "service/service.h"
#include "unit/query/fake_ledger.h"
#include "unit/query/fake_store.h"

#define NOW_MS	INT64_C(1728926331000)
#define OPEN_MS INT64_C(1728926100000)
#define DAY_MS	INT64_C(1728864000000) /* 2024-10-14 */

struct fixture {
	struct pipeline_status_source status;
	struct fake_clock clock;
	struct fake_ledger *ledger;
	struct fake_store *store;
	struct workers *workers;
	struct health *health;
	struct service *service;
	struct rpc_call *call;
	int store_opens; /* by the one worker */
};

static enum error open_ledger(void *context, struct ledger_reader **ret_reader, struct error_note *note)
{
	(void)note;
	*ret_reader = &((struct fixture *)context)->ledger->reader;
	return ERROR_OK;
}

static enum error open_store(void *context, struct store_reader **ret_reader, struct error_note *note)
{
	(void)note;
	((struct fixture *)context)->store_opens++;
	*ret_reader = &((struct fixture *)context)->store->reader;
	return ERROR_OK;
}

static void read_status(struct pipeline_status_source *source, struct pipeline_status *status)
{
	(void)source;
	status->version = "1.2.3";
	status->ledger = "sqlite";
	status->lag_events = 17;
	status->newest_applied_ms = NOW_MS - 1;
	status->dead_letters = 2;
	status->has_engine = true;
	status->partitions[0] = (struct pipeline_partition){.partition = 5, .lag_events = 17, .applied_events = 100};
	status->partition_count = 1;
	status->cache_hit_ratio = 0.75;
	status->rebalanced_partitions = 3;
}

static int start(void **state, bool with_store)
{
	static struct fixture fixture;
	fixture = (struct fixture){.status.read = read_status,
				   .ledger = fake_ledger_create(),
				   .store = fake_store_create(),
				   .call = fake_call_create("203.0.113.7")};
	struct fixture *f = &fixture;
	*state = f;
	fake_clock_init(&f->clock, NOW_MS);
	struct workers_config workers = {.threads = 1,
					 .clock = &f->clock.clock,
					 .open_ledger = open_ledger,
					 .open_store = with_store ? open_store : NULL,
					 .context = f};
	if (workers_create(&workers, &f->workers) != ERROR_OK || health_create(&f->clock.clock, &f->health) != ERROR_OK)
		return -1;
	struct service_config config = {
		.clock = &f->clock.clock, .workers = f->workers, .health = f->health, .status = &f->status};
	return service_create(&config, &f->service) != ERROR_OK;
}

static int set_up(void **state)
{
	return start(state, true);
}

static int set_up_without_store(void **state)
{
	return start(state, false);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	workers_destroy(f->workers);
	service_destroy(f->service);
	health_destroy(f->health);
	fake_call_destroy(f->call);
	fake_ledger_destroy(f->ledger);
	fake_store_destroy(f->store);
	return 0;
}

static const struct rpc_method *find(struct fixture *f, const struct method_type *type)
{
	size_t count;
	const struct rpc_method *methods = service_methods(f->service, &count);
	for (size_t i = 0; i < count; i++)
		if (methods[i].type == type)
			return &methods[i];
	fail_msg("no method %s", type->name);
	return NULL;
}

/* The response, or NULL where the call failed. */
static const void *ask(struct fixture *f, const struct method_type *type, const void *request)
{
	const struct rpc_method *method = find(f, type);
	method->handle(f->call, request, method->context);
	fake_call_wait(f->call);
	assert_int_equal(fake_call_answers(f->call), 1);
	return fake_call_error(f->call) == ERROR_OK ? fake_call_response(f->call) : NULL;
}

static void expect_invalid(struct fixture *f, const struct method_type *type, const void *request, const char *field)
{
	assert_null(ask(f, type, request));
	assert_int_equal(fake_call_error(f->call), ERROR_INVALID_ARGUMENT);
	assert_memory_equal(fake_call_message(f->call), field, strlen(field));
}

static void every_method_of_all_services_has_a_handler(void **state)
{
	struct fixture *f = *state;
	static const struct method_type *const types[] = {
		&ping_v1_ping_service_ping_method,
		&ping_v1_ping_service_ping_count_method,
		&ping_v1_metrics_service_list_window_stats_method,
		&ping_v1_metrics_service_list_daily_stats_method,
		&ping_v1_metrics_service_get_activity_method,
		&ping_v1_metrics_service_list_clients_method,
		&ping_v1_metrics_service_watch_window_stats_method,
		&ping_v1_metrics_service_get_pipeline_status_method,
		&grpc_health_v1_health_check_method,
		&grpc_health_v1_health_list_method,
		&grpc_health_v1_health_watch_method,
	};
	size_t count;
	service_methods(f->service, &count);
	assert_int_equal(count, sizeof types / sizeof types[0]);
	for (size_t i = 0; i < count; i++)
		assert_non_null(find(f, types[i])->handle);
}

static void ping_count_counts_all_without_a_range(void **state)
{
	struct fixture *f = *state;
	fake_ledger_add(f->ledger, fake_client(1), OPEN_MS, 5);
	fake_ledger_add(f->ledger, fake_client(2), OPEN_MS + WINDOW_MS, 7);
	const struct ping_v1_ping_count_response *response =
		ask(f, &ping_v1_ping_service_ping_count_method, &(struct ping_v1_ping_count_request){0});
	assert_non_null(response);
	assert_int_equal(response->ping_count, 12);
}

static void ping_count_counts_in_a_range(void **state)
{
	struct fixture *f = *state;
	fake_ledger_add(f->ledger, fake_client(1), OPEN_MS, 5);
	fake_ledger_add(f->ledger, fake_client(2), OPEN_MS + WINDOW_MS, 7);
	struct ping_v1_time_range range = {.start = OPEN_MS, .end = OPEN_MS + WINDOW_MS};
	const struct ping_v1_ping_count_response *response =
		ask(f, &ping_v1_ping_service_ping_count_method, &(struct ping_v1_ping_count_request){.time_range = &range});
	assert_int_equal(response->ping_count, 5);
}

static void ping_count_refuses_a_range_that_ends_before_it_starts(void **state)
{
	struct fixture *f = *state;
	struct ping_v1_time_range range = {.start = 2, .end = 1};
	expect_invalid(f, &ping_v1_ping_service_ping_count_method, &(struct ping_v1_ping_count_request){.time_range = &range},
		       "time_range.start");
}

static void windows_are_told_in_full(void **state)
{
	struct fixture *f = *state;
	fake_store_add_window(f->store, 1, OPEN_MS, 4);
	fake_store_add_window(f->store, 1, OPEN_MS - WINDOW_MS, 1);
	const struct ping_v1_list_window_stats_response *response =
		ask(f, &ping_v1_metrics_service_list_window_stats_method,
		    &(struct ping_v1_list_window_stats_request){.client_ip = SLICE_LITERAL("::ffff:10.0.0.1")});
	assert_int_equal(response->window_stats.count, 2);
	assert_int_equal(response->next_page_token.size, 0);
	const struct ping_v1_window_stats *open = &response->window_stats.items[0], *closed = &response->window_stats.items[1];
	assert_true(slice_equal_string(open->client_ip, "10.0.0.1"));
	assert_int_equal(open->window_start_ms, OPEN_MS);
	assert_int_equal(open->window_end_ms, OPEN_MS + WINDOW_MS);
	assert_int_equal(open->ping_count, 4);
	assert_true(open->has_avg_interval_ms && open->avg_interval_ms > 0.999 && open->avg_interval_ms < 1.001);
	assert_int_equal(open->first_ping_ms, OPEN_MS);
	assert_int_equal(open->last_ping_ms, OPEN_MS + 3);
	assert_true(open->open);
	assert_false(closed->open);
	assert_false(closed->has_avg_interval_ms);
}

static void windows_page_with_the_tokens_given(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 3; i++)
		fake_store_add_window(f->store, 1, OPEN_MS - i * WINDOW_MS, 1);
	struct ping_v1_list_window_stats_request request = {.client_ip = SLICE_LITERAL("10.0.0.1"), .page_size = 2};
	const struct ping_v1_list_window_stats_response *response =
		ask(f, &ping_v1_metrics_service_list_window_stats_method, &request);
	assert_int_equal(response->window_stats.count, 2);
	struct rpc_call *first = f->call;
	request.page_token = response->next_page_token;
	f->call = fake_call_create("203.0.113.7");
	response = ask(f, &ping_v1_metrics_service_list_window_stats_method, &request);
	assert_int_equal(response->window_stats.count, 1);
	fake_call_destroy(first);
}

static void a_list_wants_an_address(void **state)
{
	struct fixture *f = *state;
	expect_invalid(f, &ping_v1_metrics_service_list_window_stats_method,
		       &(struct ping_v1_list_window_stats_request){.client_ip = SLICE_LITERAL("here")}, "client_ip: \"here\"");
}

static void a_list_refuses_a_made_up_token(void **state)
{
	struct fixture *f = *state;
	expect_invalid(f, &ping_v1_metrics_service_list_daily_stats_method,
		       &(struct ping_v1_list_daily_stats_request){.client_ip = SLICE_LITERAL("10.0.0.1"),
								  .page_token = SLICE_LITERAL("x")},
		       "page_token");
}

static void days_are_told_as_dates(void **state)
{
	struct fixture *f = *state;
	fake_store_add_day(f->store, 1, DAY_MS, 42);
	const struct ping_v1_list_daily_stats_response *response =
		ask(f, &ping_v1_metrics_service_list_daily_stats_method,
		    &(struct ping_v1_list_daily_stats_request){.client_ip = SLICE_LITERAL("10.0.0.1")});
	assert_int_equal(response->daily_stats.count, 1);
	assert_true(slice_equal_string(response->daily_stats.items[0].day, "2024-10-14"));
	assert_true(slice_equal_string(response->daily_stats.items[0].client_ip, "10.0.0.1"));
	assert_int_equal(response->daily_stats.items[0].total_pings, 42);
}

static const struct ping_v1_activity *activity(struct fixture *f)
{
	const struct ping_v1_get_activity_response *response =
		ask(f, &ping_v1_metrics_service_get_activity_method,
		    &(struct ping_v1_get_activity_request){.client_ip = SLICE_LITERAL("10.0.0.1")});
	assert_non_null(response);
	return response->activity;
}

static void an_activity_is_told_with_its_busiest_window_and_counts(void **state)
{
	struct fixture *f = *state;
	fake_store_add_window(f->store, 1, OPEN_MS, 2);
	fake_store_add_window(f->store, 1, OPEN_MS - 2 * WINDOW_MS, 3);
	const struct ping_v1_activity *got = activity(f);
	assert_int_equal(got->ping_count, 5);
	assert_int_equal(got->active_windows, 2);
	assert_true(got->has_avg_interval_ms);
	assert_int_equal(got->busiest_window->window_start_ms, OPEN_MS - 2 * WINDOW_MS);
	assert_int_equal(got->busiest_window->ping_count, 3);
	assert_int_equal(got->busiest_window->last_ping_ms, OPEN_MS - 2 * WINDOW_MS + 2);
	assert_int_equal(got->window_counts.count, 288);
	assert_int_equal(got->window_counts.items[285], 3);
	assert_int_equal(got->start_ms, activity_start_of(NOW_MS));
}

static void an_unknown_client_has_an_activity_of_0(void **state)
{
	struct fixture *f = *state;
	const struct ping_v1_activity *got = activity(f);
	assert_true(slice_equal_string(got->client_ip, "10.0.0.1"));
	assert_int_equal(got->ping_count, 0);
	assert_null(got->busiest_window);
	assert_false(got->has_avg_interval_ms);
	assert_int_equal(got->window_counts.count, 288);
	assert_int_equal(got->start_ms, activity_start_of(NOW_MS));
}

static void clients_come_with_counts_only_when_asked(void **state)
{
	struct fixture *f = *state;
	fake_store_add_client(f->store, 1, 1000, 2000);
	struct ping_v1_list_clients_request request = {.order_by = PING_V1_CLIENT_ORDER_CLIENT_IP};
	const struct ping_v1_list_clients_response *response = ask(f, &ping_v1_metrics_service_list_clients_method, &request);
	assert_int_equal(response->clients.count, 1);
	assert_int_equal(response->clients.items[0].last_ping_ms, 2000);
	assert_int_equal(response->clients.items[0].window_counts.count, 0);
	fake_call_destroy(f->call);
	f->call = fake_call_create("203.0.113.7");
	request.include_window_counts = true;
	response = ask(f, &ping_v1_metrics_service_list_clients_method, &request);
	assert_int_equal(response->clients.items[0].window_counts.count, 288);
}

static void an_order_that_is_none_is_refused(void **state)
{
	struct fixture *f = *state;
	expect_invalid(f, &ping_v1_metrics_service_list_clients_method,
		       &(struct ping_v1_list_clients_request){.order_by = (enum ping_v1_client_order)9}, "order_by: 9");
}

static void a_full_page_of_clients_with_counts_fits_in_4_mb(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 1001; i++)
		fake_store_add_client(f->store, i, 1000, NOW_MS);
	fake_call_limit_arena(f->call, 4 << 20);
	const struct ping_v1_list_clients_response *response =
		ask(f, &ping_v1_metrics_service_list_clients_method,
		    &(struct ping_v1_list_clients_request){.page_size = 5000, .include_window_counts = true});
	assert_non_null(response);
	assert_int_equal(response->clients.count, 1000);
	assert_true(response->next_page_token.size > 0);
}

static void a_store_that_is_down_is_unavailable_without_details(void **state)
{
	struct fixture *f = *state;
	f->store->fail = ERROR_IO;
	assert_null(ask(f, &ping_v1_metrics_service_get_activity_method,
			&(struct ping_v1_get_activity_request){.client_ip = SLICE_LITERAL("10.0.0.1")}));
	assert_string_equal(error_connect_code(fake_call_error(f->call)), "unavailable");
	assert_string_equal(fake_call_message(f->call), error_text(ERROR_IO));
}

static void a_canceled_call_is_not_begun(void **state)
{
	struct fixture *f = *state;
	fake_call_cancel(f->call);
	assert_null(ask(f, &ping_v1_metrics_service_get_activity_method,
			&(struct ping_v1_get_activity_request){.client_ip = SLICE_LITERAL("10.0.0.1")}));
	assert_int_equal(fake_call_error(f->call), ERROR_CANCELED);
	assert_int_equal(f->store->window_reads, 0);
}

static void without_a_store_the_lists_name_what_to_configure(void **state)
{
	struct fixture *f = *state;
	assert_null(ask(f, &ping_v1_metrics_service_list_clients_method, &(struct ping_v1_list_clients_request){0}));
	assert_int_equal(fake_call_error(f->call), ERROR_FAILED_PRECONDITION);
	assert_non_null(strstr(fake_call_message(f->call), "--store"));
}

static void without_metrics_of_its_own_there_is_nothing_to_watch(void **state)
{
	struct fixture *f = *state;
	assert_null(ask(f, &ping_v1_metrics_service_watch_window_stats_method, &(struct ping_v1_watch_window_stats_request){0}));
	assert_int_equal(fake_call_error(f->call), ERROR_UNIMPLEMENTED);
	assert_non_null(strstr(fake_call_message(f->call), "ListWindowStats"));
}

static const struct ping_v1_get_pipeline_status_response *status(struct fixture *f)
{
	const struct ping_v1_get_pipeline_status_response *response =
		ask(f, &ping_v1_metrics_service_get_pipeline_status_method, &(struct ping_v1_get_pipeline_status_request){0});
	assert_non_null(response);
	return response;
}

static void the_status_brings_source_totals_and_health_together(void **state)
{
	struct fixture *f = *state;
	fake_store_add_window(f->store, 1, OPEN_MS, 1);
	fake_store_add_client(f->store, 1, 1, 2);
	fake_store_add_client(f->store, 2, 1, 2)->activity.count = 1;
	assert_int_equal(health_add(f->health, "ledger", true), ERROR_OK);
	assert_int_equal(health_add(f->health, "store", false), ERROR_OK);
	health_set(f->health, "ledger", HEALTH_OK, NULL);
	f->clock.now_ms += 5;
	health_set(f->health, "store", HEALTH_DEGRADED, "slow");
	const struct ping_v1_get_pipeline_status_response *got = status(f);
	assert_true(slice_equal_string(got->version, "1.2.3"));
	assert_true(slice_equal_string(got->ledger, "sqlite"));
	assert_true(slice_equal_string(got->engine, ""));
	assert_int_equal(got->lag_events, 17);
	assert_int_equal(got->newest_applied_ms, NOW_MS - 1);
	assert_int_equal(got->dead_letters, 2);
	assert_int_equal(got->open_windows, 1);
	assert_int_equal(got->active_clients, 1);
	assert_int_equal(got->clients, 2);
	assert_non_null(got->engine_figures);
	assert_int_equal(got->engine_figures->partitions.count, 1);
	assert_int_equal(got->engine_figures->partitions.items[0].partition, 5);
	assert_int_equal(got->engine_figures->partitions.items[0].applied_events, 100);
	assert_true(got->engine_figures->cache_hit_ratio == 0.75);
	assert_int_equal(got->engine_figures->rebalanced_partitions, 3);
	assert_int_equal(got->dependencies.count, 2);
	assert_int_equal(got->dependencies.items[0].state, PING_V1_DEPENDENCY_STATE_OK);
	const struct ping_v1_dependency *store = &got->dependencies.items[1];
	assert_true(slice_equal_string(store->name, "store"));
	assert_int_equal(store->state, PING_V1_DEPENDENCY_STATE_DEGRADED);
	assert_true(slice_equal_string(store->detail, "slow"));
	assert_int_equal(store->since_ms, NOW_MS + 5);
}

/* Asks anew. */
static const struct ping_v1_get_pipeline_status_response *status_at(struct fixture *f, int64_t now_ms)
{
	fake_call_destroy(f->call);
	f->call = fake_call_create("203.0.113.7");
	f->clock.now_ms = now_ms;
	return status(f);
}

static void the_status_names_an_engine_elsewhere_while_it_is_heard_of(void **state)
{
	struct fixture *f = *state;
	assert_null(status(f)->engine_owner);
	f->store->engine = (struct store_engine){
		.kind = "flink", .heartbeat_ms = NOW_MS - 1000, .has_owner = true, .owner = {0x01, 0x23, [15] = 0xff}};
	const struct ping_v1_get_pipeline_status_response *got = status_at(f, NOW_MS);
	assert_true(slice_equal_string(got->engine, "flink"));
	assert_true(slice_equal_string(got->engine_owner->kind, "flink"));
	assert_int_equal(got->engine_owner->heartbeat_ms, NOW_MS - 1000);
	assert_true(slice_equal_string(got->engine_owner->owner, "0x012300000000000000000000000000ff"));
	assert_true(slice_equal_string(status_at(f, NOW_MS + 58999)->engine, "flink"));
	got = status_at(f, NOW_MS + 59000);
	assert_true(slice_equal_string(got->engine, ""));
	assert_true(slice_equal_string(got->engine_owner->kind, "flink"));

	f->store->engine = (struct store_engine){.kind = "flink"};
	got = status_at(f, NOW_MS);
	assert_true(slice_equal_string(got->engine, ""));
	assert_int_equal(got->engine_owner->heartbeat_ms, 0);
	assert_int_equal(got->engine_owner->owner.size, 0);
}

static void the_status_answers_also_while_the_store_is_down(void **state)
{
	struct fixture *f = *state;
	fake_store_add_client(f->store, 1, 1, 2);
	f->store->fail = ERROR_IO;
	assert_int_equal(status(f)->clients, 0);
	fake_call_destroy(f->call);
	f->call = fake_call_create("203.0.113.7");
	f->store->fail = ERROR_OK;
	assert_int_equal(status(f)->clients, 1);
	assert_int_equal(f->store_opens, 2);
}

static void the_status_answers_also_without_a_store(void **state)
{
	struct fixture *f = *state;
	assert_true(slice_equal_string(status(f)->ledger, "sqlite"));
}

#define TEST(name)		 cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_WITHOUT_STORE(name) cmocka_unit_test_setup_teardown(name, set_up_without_store, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(every_method_of_all_services_has_a_handler),
		TEST(ping_count_counts_all_without_a_range),
		TEST(ping_count_counts_in_a_range),
		TEST(ping_count_refuses_a_range_that_ends_before_it_starts),
		TEST(windows_are_told_in_full),
		TEST(windows_page_with_the_tokens_given),
		TEST(a_list_wants_an_address),
		TEST(a_list_refuses_a_made_up_token),
		TEST(days_are_told_as_dates),
		TEST(an_activity_is_told_with_its_busiest_window_and_counts),
		TEST(an_unknown_client_has_an_activity_of_0),
		TEST(clients_come_with_counts_only_when_asked),
		TEST(an_order_that_is_none_is_refused),
		TEST(a_full_page_of_clients_with_counts_fits_in_4_mb),
		TEST(a_store_that_is_down_is_unavailable_without_details),
		TEST(a_canceled_call_is_not_begun),
		TEST_WITHOUT_STORE(without_a_store_the_lists_name_what_to_configure),
		TEST(without_metrics_of_its_own_there_is_nothing_to_watch),
		TEST(the_status_brings_source_totals_and_health_together),
		TEST(the_status_names_an_engine_elsewhere_while_it_is_heard_of),
		TEST(the_status_answers_also_while_the_store_is_down),
		TEST_WITHOUT_STORE(the_status_answers_also_without_a_store),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
