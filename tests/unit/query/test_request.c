#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "query/page_token.h"
#include "query/request.h"

static void expect_invalid(enum error error, const struct error_note *note, const char *field)
{
	assert_int_equal(error, ERROR_INVALID_ARGUMENT);
	assert_memory_equal(note->text, field, strlen(field));
}

static void a_page_size_of_0_is_100_and_more_than_1000_is_1000(void **state)
{
	(void)state;
	static const struct {
		int32_t asked;
		size_t got;
	} cases[] = {{0, 100}, {1, 1}, {999, 999}, {1000, 1000}, {1001, 1000}, {INT32_MAX, 1000}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		size_t size = 7;
		assert_int_equal(query_page_size(cases[i].asked, &size, NULL), ERROR_OK);
		assert_int_equal(size, cases[i].got);
	}
}

static void a_negative_page_size_is_refused_by_name(void **state)
{
	(void)state;
	struct error_note note;
	size_t size = 7;
	expect_invalid(query_page_size(-1, &size, &note), &note, "page_size: -1");
	assert_int_equal(size, 7);
}

static void a_range_may_be_open_or_empty(void **state)
{
	(void)state;
	assert_int_equal(query_check_range(0, 0, NULL), ERROR_OK);
	assert_int_equal(query_check_range(5, 0, NULL), ERROR_OK);
	assert_int_equal(query_check_range(5, 5, NULL), ERROR_OK);
	assert_int_equal(query_check_range(0, INT64_MAX, NULL), ERROR_OK);
}

static void a_range_that_ends_before_it_starts_or_is_negative_is_refused_by_name(void **state)
{
	(void)state;
	struct error_note note;
	expect_invalid(query_check_range(6, 5, &note), &note, "time_range.start: 6");
	expect_invalid(query_check_range(-1, 0, &note), &note, "time_range.start: -1");
	expect_invalid(query_check_range(0, -2, &note), &note, "time_range.end: -2");
}

static void a_client_is_taken_in_any_form_and_refused_by_name(void **state)
{
	(void)state;
	struct address plain, mapped;
	assert_int_equal(query_parse_client(slice_from_string("203.0.113.7"), &plain, NULL), ERROR_OK);
	assert_int_equal(query_parse_client(slice_from_string("::FFFF:cb00:7107"), &mapped, NULL), ERROR_OK);
	assert_true(address_equal(&plain, &mapped));
	struct error_note note;
	expect_invalid(query_parse_client(slice_from_string("nowhere"), &plain, &note), &note, "client_ip: \"nowhere\"");
	expect_invalid(query_parse_client(slice_from_string(""), &plain, &note), &note, "client_ip: required");
}

static struct slice make_token(struct arena *arena, uint64_t fingerprint, int64_t value)
{
	struct page_place place = {.value = value, .client = address_from_ipv4((uint8_t[]){192, 0, 2, 1})};
	struct slice token = page_token_make(fingerprint, &place, arena);
	assert_non_null(token.data);
	return token;
}

static void a_token_brings_its_place_back(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 1 << 20);
	static const int64_t values[] = {0, 1, -1, INT64_MAX, INT64_MIN, 1728926100000};
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct page_place place;
		assert_int_equal(page_token_parse(make_token(&arena, 42, values[i]), 42, &place, NULL), ERROR_OK);
		assert_true(place.value == values[i]);
		assert_true(address_is_ipv4(&place.client));
		assert_int_equal(place.client.bytes[15], 1);
	}
	arena_release(&arena);
}

static void a_token_is_safe_in_a_url(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 1 << 20);
	for (int64_t value = -500; value < 500; value++) {
		struct slice token = make_token(&arena, (uint64_t)value * UINT64_C(0x9e3779b97f4a7c15), value);
		for (size_t i = 0; i < token.size; i++)
			assert_non_null(
				strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", token.data[i]));
	}
	arena_release(&arena);
}

static void a_token_of_another_query_is_refused_by_name(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 1 << 20);
	struct page_place place;
	struct error_note note;
	expect_invalid(page_token_parse(make_token(&arena, 42, 1), 43, &place, &note), &note, "page_token: of another query");
	arena_release(&arena);
}

static void a_malformed_token_is_refused_by_name(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 1 << 20);
	struct slice good = make_token(&arena, 42, 1);
	struct page_place place;
	struct error_note note;
	for (size_t size = 0; size < good.size; size++)
		expect_invalid(page_token_parse(slice_make(good.data, size), 42, &place, &note), &note,
			       "page_token: not a token");
	char text[45];
	for (size_t i = 0; i < good.size; i++) {
		memcpy(text, good.data, 45);
		text[i] = "=. \0\xff"[i % 5];
		expect_invalid(page_token_parse(slice_make(text, 44), 42, &place, &note), &note, "page_token: not a token");
	}
	memcpy(text, good.data, 45);
	text[0] = 'B';
	expect_invalid(page_token_parse(slice_make(text, 44), 42, &place, &note), &note, "page_token: of another version");
	arena_release(&arena);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_size_of_0_is_100_and_more_than_1000_is_1000),
		cmocka_unit_test(a_negative_page_size_is_refused_by_name),
		cmocka_unit_test(a_range_may_be_open_or_empty),
		cmocka_unit_test(a_range_that_ends_before_it_starts_or_is_negative_is_refused_by_name),
		cmocka_unit_test(a_client_is_taken_in_any_form_and_refused_by_name),
		cmocka_unit_test(a_token_brings_its_place_back),
		cmocka_unit_test(a_token_is_safe_in_a_url),
		cmocka_unit_test(a_token_of_another_query_is_refused_by_name),
		cmocka_unit_test(a_malformed_token_is_refused_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
