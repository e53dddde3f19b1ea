#include "net/http2_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct http2_guard guard;

static int setup(void **state)
{
	(void)state;
	http2_guard_init(&guard, 0);
	guard.credit = 0;
	return 0;
}

static bool receive(uint8_t type, size_t length, uint8_t flags, int64_t now_us)
{
	return http2_guard_frame(&guard, &(nghttp2_frame_hd){.type = type, .length = length, .flags = flags}, now_us);
}

static unsigned count_permitted(uint8_t type, size_t length, uint8_t flags)
{
	unsigned count = 0;
	while (count < 100000 && receive(type, length, flags, 0))
		count++;
	return count;
}

static void a_bucket_of_tokens_is_spent_by_floods(void **state)
{
	(void)state;
	static const uint8_t types[] = {NGHTTP2_SETTINGS, NGHTTP2_RST_STREAM,	 NGHTTP2_CONTINUATION,	  NGHTTP2_PING,
					NGHTTP2_PRIORITY, NGHTTP2_WINDOW_UPDATE, NGHTTP2_PRIORITY_UPDATE, NGHTTP2_GOAWAY,
					NGHTTP2_HEADERS};
	for (size_t i = 0; i < sizeof types; i++) {
		setup(NULL);
		assert_int_equal(count_permitted(types[i], 8, 0), HTTP2_GUARD_TOKENS);
	}
	setup(NULL);
	assert_int_equal(count_permitted(NGHTTP2_DATA, 0, 0), HTTP2_GUARD_TOKENS);
}

static void data_is_free(void **state)
{
	(void)state;
	assert_int_equal(count_permitted(NGHTTP2_DATA, 1, 0), 100000);
	assert_int_equal(count_permitted(NGHTTP2_DATA, 0, NGHTTP2_FLAG_END_STREAM), 100000);
}

static void padding_does_not_hide_an_empty_frame(void **state)
{
	(void)state;
	nghttp2_data hidden = {.hd = {.length = 256}, .padlen = 256}, full = {.hd = {.length = 256}, .padlen = 255};
	for (int i = 0; i < HTTP2_GUARD_TOKENS; i++)
		assert_true(http2_guard_data(&guard, &hidden, 0));
	assert_false(http2_guard_data(&guard, &hidden, 0));
	assert_true(http2_guard_data(&guard, &full, 0));
	hidden.hd.flags = NGHTTP2_FLAG_END_STREAM;
	assert_true(http2_guard_data(&guard, &hidden, 0));
}

static void tokens_come_back_with_time_up_to_the_buckets_size(void **state)
{
	(void)state;
	count_permitted(NGHTTP2_SETTINGS, 0, 0);
	assert_false(receive(NGHTTP2_SETTINGS, 0, 0, 9999));
	assert_true(receive(NGHTTP2_SETTINGS, 0, 0, 10000)); /* 100 a second */
	assert_false(receive(NGHTTP2_SETTINGS, 0, 0, 10000));
	unsigned count = 0;
	while (receive(NGHTTP2_SETTINGS, 0, 0, INT64_C(3600000000)))
		count++;
	assert_int_equal(count, HTTP2_GUARD_TOKENS);
}

static void work_pays_for_what_belongs_to_it(void **state)
{
	(void)state;
	for (int i = 0; i < 10 * HTTP2_GUARD_TOKENS; i++) {
		http2_guard_earn(&guard, HTTP2_GUARD_PER_DATA);
		assert_true(receive(NGHTTP2_WINDOW_UPDATE, 4, 0, 0));
		assert_true(receive(NGHTTP2_WINDOW_UPDATE, 4, 0, 0));
		assert_true(receive(NGHTTP2_PING, 8, 0, 0));
	}
	assert_int_equal(guard.tokens, HTTP2_GUARD_TOKENS);
	/* and not for resets, nor without end */
	assert_in_range(guard.credit, 1, HTTP2_GUARD_CREDIT);
	assert_int_equal(count_permitted(NGHTTP2_RST_STREAM, 4, 0), HTTP2_GUARD_TOKENS);
}

static void a_head_may_be_four_times_as_large_as_is_taken(void **state)
{
	(void)state;
	http2_guard_begin_head(&guard);
	for (int i = 0; i < 40; i++) /* 100 bytes each, with the 32 that a field counts more */
		assert_true(http2_guard_field(&guard, 8, 60, 1000));
	assert_false(http2_guard_field(&guard, 1000, 1000, 1000));
	http2_guard_begin_head(&guard);
	assert_true(http2_guard_field(&guard, 1000, 1000, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_bucket_of_tokens_is_spent_by_floods, setup),
		cmocka_unit_test_setup(data_is_free, setup),
		cmocka_unit_test_setup(padding_does_not_hide_an_empty_frame, setup),
		cmocka_unit_test_setup(tokens_come_back_with_time_up_to_the_buckets_size, setup),
		cmocka_unit_test_setup(work_pays_for_what_belongs_to_it, setup),
		cmocka_unit_test_setup(a_head_may_be_four_times_as_large_as_is_taken, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
