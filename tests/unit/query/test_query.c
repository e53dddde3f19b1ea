#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "fake_store.h"
#include "query/activity.h"
#include "query/page_token.h"
#include "query/query.h"

#define NOW_MS	INT64_C(1728926331000)
#define OPEN_MS INT64_C(1728926100000)
#define DAY_MS	INT64_C(86400000)

struct fixture {
	struct fake_store *store;
	struct store_reader *reader;
	struct arena arena;
	struct error_note note;
};

static int set_up(void **state)
{
	static struct fixture fixture;
	fixture = (struct fixture){.store = fake_store_create()};
	fixture.reader = &fixture.store->reader;
	arena_init(&fixture.arena, 64 << 20);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	fake_store_destroy(f->store);
	arena_release(&f->arena);
	return 0;
}

static void expect_invalid(struct fixture *f, enum error error, const char *field)
{
	assert_int_equal(error, ERROR_INVALID_ARGUMENT);
	assert_memory_equal(f->note.text, field, strlen(field));
}

static struct query_window_page windows(struct fixture *f, const struct query_rows_request *request)
{
	struct query_window_page page;
	assert_int_equal(query_list_windows(f->reader, request, &f->arena, &page, &f->note), ERROR_OK);
	return page;
}

static void windows_come_newest_first_page_by_page_each_once(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 25; i++)
		fake_store_add_window(f->store, 1, i * WINDOW_MS, i + 1);
	fake_store_add_window(f->store, 2, 3 * WINDOW_MS, 99);
	struct query_rows_request request = {.client = fake_client(1), .page_size = 10};
	int64_t expected = 25;
	static const size_t sizes[] = {10, 10, 5};
	for (int i = 0; i < 3; i++) {
		struct query_window_page page = windows(f, &request);
		assert_int_equal(page.count, sizes[i]);
		for (size_t row = 0; row < page.count; row++)
			assert_int_equal(page.rows[row].count, expected--);
		assert_int_equal(page.next_page_token.size > 0, i < 2);
		request.page_token = page.next_page_token;
	}
}

static void a_page_that_holds_the_last_row_has_no_token(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 10; i++)
		fake_store_add_window(f->store, 1, i * WINDOW_MS, 1);
	struct query_rows_request request = {.client = fake_client(1), .page_size = 10};
	struct query_window_page page = windows(f, &request);
	assert_int_equal(page.count, 10);
	assert_int_equal(page.next_page_token.size, 0);
}

static void a_range_is_start_in_end_out_on_every_page(void **state)
{
	struct fixture *f = *state;
	for (int i = 1; i <= 9; i++)
		fake_store_add_window(f->store, 1, i * WINDOW_MS, i);
	struct query_rows_request request = {
		.client = fake_client(1), .start_ms = 3 * WINDOW_MS, .end_ms = 7 * WINDOW_MS, .page_size = 3};
	struct query_window_page page = windows(f, &request);
	assert_int_equal(page.rows[0].count, 6);
	request.page_token = page.next_page_token;
	page = windows(f, &request);
	assert_int_equal(page.count, 1);
	assert_int_equal(page.rows[0].count, 3);
}

static void an_unknown_client_has_empty_lists(void **state)
{
	struct fixture *f = *state;
	struct query_rows_request request = {.client = fake_client(1)};
	assert_int_equal(windows(f, &request).count, 0);
	struct query_day_page page;
	assert_int_equal(query_list_days(f->reader, &request, &f->arena, &page, &f->note), ERROR_OK);
	assert_int_equal(page.count, 0);
	assert_int_equal(page.next_page_token.size, 0);
}

static void days_come_newest_first_page_by_page(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 3; i++)
		fake_store_add_day(f->store, 1, i * DAY_MS, i + 1);
	struct query_rows_request request = {.client = fake_client(1), .page_size = 2};
	struct query_day_page page;
	assert_int_equal(query_list_days(f->reader, &request, &f->arena, &page, &f->note), ERROR_OK);
	assert_int_equal(page.count, 2);
	assert_int_equal(page.rows[0].total, 3);
	request.page_token = page.next_page_token;
	assert_int_equal(query_list_days(f->reader, &request, &f->arena, &page, &f->note), ERROR_OK);
	assert_int_equal(page.count, 1);
	assert_int_equal(page.rows[0].total, 1);
}

static void a_token_is_good_for_its_own_query_alone(void **state)
{
	struct fixture *f = *state;
	for (int i = 1; i <= 5; i++)
		fake_store_add_window(f->store, 1, i * WINDOW_MS, 1);
	const struct query_rows_request first = {.client = fake_client(1), .end_ms = 9 * WINDOW_MS, .page_size = 2};
	struct slice token = windows(f, &first).next_page_token;
	struct query_window_page page;
	struct query_rows_request other = first;
	other.page_token = token;
	other.page_size = 5;
	assert_int_equal(windows(f, &other).count, 3);
	other.client = fake_client(2);
	expect_invalid(f, query_list_windows(f->reader, &other, &f->arena, &page, &f->note), "page_token");
	other.client = fake_client(1);
	other.end_ms = 0;
	expect_invalid(f, query_list_windows(f->reader, &other, &f->arena, &page, &f->note), "page_token");
	other.end_ms = first.end_ms;
	struct query_day_page days;
	expect_invalid(f, query_list_days(f->reader, &other, &f->arena, &days, &f->note), "page_token");
}

/* A range that ends at 0 would be open. */
static void a_token_that_was_made_up_does_not_widen_the_range(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 3; i++)
		fake_store_add_window(f->store, 1, i * WINDOW_MS, 1);
	struct query_rows_request request = {.client = fake_client(1), .end_ms = WINDOW_MS};
	uint64_t fingerprint = page_fingerprint_number(0, 'w');
	fingerprint = page_fingerprint(fingerprint, request.client.bytes, sizeof request.client.bytes);
	fingerprint = page_fingerprint_number(fingerprint, request.start_ms);
	fingerprint = page_fingerprint_number(fingerprint, request.end_ms);
	struct query_window_page page;
	for (int64_t start_ms = 0; start_ms >= -1; start_ms--) {
		const struct page_place place = {.value = start_ms, .client = request.client};
		request.page_token = page_token_make(fingerprint, &place, &f->arena);
		expect_invalid(f, query_list_windows(f->reader, &request, &f->arena, &page, &f->note),
			       "page_token: outside time_range");
	}
}

static void the_stores_error_is_handed_on(void **state)
{
	struct fixture *f = *state;
	f->store->fail = ERROR_UNAVAILABLE;
	struct query_rows_request request = {.client = fake_client(1)};
	struct query_window_page page;
	assert_int_equal(query_list_windows(f->reader, &request, &f->arena, &page, &f->note), ERROR_UNAVAILABLE);
	struct query_activity activity;
	struct address client = fake_client(1);
	assert_int_equal(query_get_activity(f->reader, &client, NOW_MS, &f->arena, &activity, &f->note), ERROR_UNAVAILABLE);
	struct query_client_page clients;
	assert_int_equal(
		query_list_clients(f->reader, &(struct query_clients_request){.now_ms = NOW_MS}, &f->arena, &clients, &f->note),
		ERROR_UNAVAILABLE);
}

static void an_arena_at_its_limit_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct arena small;
	arena_init(&small, 100);
	struct query_rows_request request = {.client = fake_client(1)};
	struct query_window_page page;
	assert_int_equal(query_list_windows(f->reader, &request, &small, &page, &f->note), ERROR_NO_MEMORY);
	arena_release(&small);
}

static struct query_activity activity_of(struct fixture *f, unsigned number)
{
	struct query_activity activity;
	struct address client = fake_client(number);
	assert_int_equal(query_get_activity(f->reader, &client, NOW_MS, &f->arena, &activity, &f->note), ERROR_OK);
	return activity;
}

static void an_activity_is_read_from_the_windows(void **state)
{
	struct fixture *f = *state;
	fake_store_add_window(f->store, 1, OPEN_MS, 4);
	fake_store_add_window(f->store, 1, OPEN_MS - WINDOW_MS, 6);
	fake_store_add_window(f->store, 1, OPEN_MS - 288 * WINDOW_MS, 100);
	fake_store_add_window(f->store, 1, OPEN_MS + WINDOW_MS, 100);
	struct query_activity activity = activity_of(f, 1);
	assert_int_equal(activity.row.count, 10);
	assert_int_equal(activity.row.busiest_count, 6);
	assert_int_equal(activity.counts[287], 4);
	assert_int_equal(activity.counts[286], 6);
}

static void an_unknown_client_has_an_activity_of_0(void **state)
{
	struct fixture *f = *state;
	struct query_activity activity = activity_of(f, 1);
	assert_int_equal(activity.row.count, 0);
	assert_int_equal(activity.row.first_ms, 0);
	assert_int_equal(activity.row.start_ms, activity_start_of(NOW_MS));
	for (size_t i = 0; i < ACTIVITY_WINDOWS; i++)
		assert_int_equal(activity.counts[i], 0);
}

static void a_silent_client_shows_first_and_last_of_all_time(void **state)
{
	struct fixture *f = *state;
	fake_store_add_client(f->store, 1, 1000, NOW_MS - 2 * DAY_MS);
	struct query_activity activity = activity_of(f, 1);
	assert_int_equal(activity.row.count, 0);
	assert_int_equal(activity.row.first_ms, 1000);
	assert_int_equal(activity.row.last_ms, NOW_MS - 2 * DAY_MS);
}

static struct query_client_page clients(struct fixture *f, const struct query_clients_request *request)
{
	struct query_client_page page;
	assert_int_equal(query_list_clients(f->reader, request, &f->arena, &page, &f->note), ERROR_OK);
	return page;
}

/* With one window, and the activity that the engine would have made of it at made_ms. */
static void add_active(struct fixture *f, unsigned number, int64_t start_ms, int64_t count, int64_t made_ms)
{
	fake_store_add_window(f->store, number, start_ms, count);
	struct store_client *client = fake_store_add_client(f->store, number, start_ms, start_ms + count - 1);
	activity_derive(&client->client.client, made_ms, &f->store->windows[f->store->window_count - 1], 1, &client->activity,
			NULL);
}

static void expect_order(struct fixture *f, enum store_client_order order, const unsigned *numbers, size_t count)
{
	struct query_clients_request request = {.order = order, .now_ms = NOW_MS, .page_size = 2};
	size_t seen = 0;
	do {
		struct query_client_page page = clients(f, &request);
		for (size_t i = 0; i < page.count; i++) {
			assert_true(seen < count);
			struct address expected = fake_client(numbers[seen++]);
			assert_true(address_equal(&page.clients[i].row.client, &expected));
		}
		request.page_token = page.next_page_token;
	} while (request.page_token.size > 0);
	assert_int_equal(seen, count);
}

static void clients_page_by_each_order(void **state)
{
	struct fixture *f = *state;
	add_active(f, 5, OPEN_MS - WINDOW_MS, 10, NOW_MS);
	add_active(f, 4, OPEN_MS - 9 * WINDOW_MS, 10, NOW_MS);
	add_active(f, 3, OPEN_MS, 7, NOW_MS);
	fake_store_add_client(f->store, 2, 1000, 2000);
	fake_store_add_client(f->store, 1, 1000, 3000);
	expect_order(f, STORE_ORDER_PING_COUNT, (const unsigned[]){4, 5, 3, 1, 2}, 5);
	expect_order(f, STORE_ORDER_LAST_PING, (const unsigned[]){3, 5, 4, 1, 2}, 5);
	expect_order(f, STORE_ORDER_CLIENT_IP, (const unsigned[]){1, 2, 3, 4, 5}, 5);
}

static void a_prefix_of_the_canonical_text_chooses_clients(void **state)
{
	struct fixture *f = *state;
	fake_store_add_client(f->store, 1, 1, 2);
	fake_store_add_client(f->store, 12, 1, 2);
	fake_store_add_client(f->store, 2, 1, 2);
	struct query_clients_request request = {
		.order = STORE_ORDER_CLIENT_IP, .prefix = SLICE_LITERAL("10.0.0.1"), .now_ms = NOW_MS, .page_size = 1};
	struct query_client_page page = clients(f, &request);
	assert_int_equal(page.clients[0].row.client.bytes[15], 1);
	request.page_token = page.next_page_token;
	page = clients(f, &request);
	assert_int_equal(page.clients[0].row.client.bytes[15], 12);
	assert_int_equal(page.next_page_token.size, 0);
	request.prefix = SLICE_LITERAL("10");
	expect_invalid(f, query_list_clients(f->reader, &request, &f->arena, &page, &f->note), "page_token");
}

static void a_token_of_another_order_is_refused(void **state)
{
	struct fixture *f = *state;
	fake_store_add_client(f->store, 1, 1, 2);
	fake_store_add_client(f->store, 2, 1, 2);
	struct query_clients_request request = {.order = STORE_ORDER_CLIENT_IP, .now_ms = NOW_MS, .page_size = 1};
	struct query_client_page page = clients(f, &request);
	request.page_token = page.next_page_token;
	request.order = STORE_ORDER_LAST_PING;
	expect_invalid(f, query_list_clients(f->reader, &request, &f->arena, &page, &f->note), "page_token");
}

static void a_row_that_is_not_due_is_shown_without_reading_windows(void **state)
{
	struct fixture *f = *state;
	add_active(f, 1, OPEN_MS, 7, NOW_MS);
	fake_store_add_client(f->store, 2, 1000, 2000);
	struct query_client_page page = clients(f, &(struct query_clients_request){.now_ms = NOW_MS});
	assert_int_equal(f->store->window_reads, 0);
	assert_int_equal(page.clients[0].row.count, 7);
	assert_null(page.clients[0].counts);
	assert_int_equal(page.clients[1].row.last_ms, 2000);
}

static void a_row_past_due_is_derived_again(void **state)
{
	struct fixture *f = *state;
	/* The window was in the 24 hours when the row was made, and has left since. */
	add_active(f, 1, OPEN_MS - 288 * WINDOW_MS, 50, NOW_MS - WINDOW_MS);
	f->store->clients[0].client.last_ms = OPEN_MS;
	fake_store_add_window(f->store, 1, OPEN_MS, 1);
	add_active(f, 2, OPEN_MS, 7, NOW_MS);
	struct query_client_page page = clients(f, &(struct query_clients_request){.now_ms = NOW_MS});
	assert_int_equal(page.clients[0].row.count, 7);
	assert_int_equal(page.clients[1].row.count, 1);
	assert_int_equal(page.clients[1].row.start_ms, activity_start_of(NOW_MS));
}

static void a_row_whose_windows_have_all_left_is_silent(void **state)
{
	struct fixture *f = *state;
	add_active(f, 1, OPEN_MS - 288 * WINDOW_MS, 50, NOW_MS - WINDOW_MS);
	struct query_client_page page = clients(f, &(struct query_clients_request){.now_ms = NOW_MS, .counts = true});
	assert_int_equal(page.clients[0].row.count, 0);
	assert_int_equal(page.clients[0].row.first_ms, OPEN_MS - 288 * WINDOW_MS);
	assert_non_null(page.clients[0].counts);
	assert_int_equal(f->store->window_reads, 0);
}

static void a_first_window_that_opened_since_is_found(void **state)
{
	struct fixture *f = *state;
	/* It lay in the future when it was written, so no activity was kept. */
	fake_store_add_window(f->store, 1, OPEN_MS, 3);
	fake_store_add_client(f->store, 1, OPEN_MS, OPEN_MS + 2);
	struct query_client_page page = clients(f, &(struct query_clients_request){.now_ms = NOW_MS});
	assert_int_equal(page.clients[0].row.count, 3);
}

static void with_counts_every_row_comes_from_the_windows(void **state)
{
	struct fixture *f = *state;
	add_active(f, 1, OPEN_MS, 7, NOW_MS);
	struct query_client_page page = clients(f, &(struct query_clients_request){.now_ms = NOW_MS, .counts = true});
	assert_int_equal(page.clients[0].counts[287], 7);
	assert_int_equal(page.clients[0].row.count, 7);
	assert_int_equal(f->store->window_reads, 1);
}

static void every_client_is_on_one_page_whatever_the_counts(void **state)
{
	struct fixture *f = *state;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 7);
	for (unsigned i = 0; i < 500; i++)
		add_active(f, i, OPEN_MS, 1 + (int64_t)random_below(&seeded.random, 5), NOW_MS);
	bool seen[500] = {false};
	struct query_clients_request request = {.now_ms = NOW_MS, .page_size = 7};
	size_t total = 0;
	int64_t last_count = INT64_MAX;
	do {
		struct query_client_page page = clients(f, &request);
		for (size_t i = 0; i < page.count; i++, total++) {
			const uint8_t *bytes = page.clients[i].row.client.bytes;
			unsigned number = (unsigned)bytes[14] << 8 | bytes[15];
			assert_false(seen[number]);
			seen[number] = true;
			assert_true(page.clients[i].row.count <= last_count);
			last_count = page.clients[i].row.count;
		}
		request.page_token = page.next_page_token;
	} while (request.page_token.size > 0);
	assert_int_equal(total, 500);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(windows_come_newest_first_page_by_page_each_once),
		TEST(a_page_that_holds_the_last_row_has_no_token),
		TEST(a_range_is_start_in_end_out_on_every_page),
		TEST(an_unknown_client_has_empty_lists),
		TEST(days_come_newest_first_page_by_page),
		TEST(a_token_is_good_for_its_own_query_alone),
		TEST(a_token_that_was_made_up_does_not_widen_the_range),
		TEST(the_stores_error_is_handed_on),
		TEST(an_arena_at_its_limit_is_an_error),
		TEST(an_activity_is_read_from_the_windows),
		TEST(an_unknown_client_has_an_activity_of_0),
		TEST(a_silent_client_shows_first_and_last_of_all_time),
		TEST(clients_page_by_each_order),
		TEST(a_prefix_of_the_canonical_text_chooses_clients),
		TEST(a_token_of_another_order_is_refused),
		TEST(a_row_that_is_not_due_is_shown_without_reading_windows),
		TEST(a_row_past_due_is_derived_again),
		TEST(a_row_whose_windows_have_all_left_is_silent),
		TEST(a_first_window_that_opened_since_is_found),
		TEST(with_counts_every_row_comes_from_the_windows),
		TEST(every_client_is_on_one_page_whatever_the_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
