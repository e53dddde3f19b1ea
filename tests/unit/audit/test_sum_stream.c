#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "audit/sum_stream.h"
#include "unit/query/fake_ledger.h"
#include "unit/query/fake_store.h"

static int set_up(void **state)
{
	*state = fake_ledger_create();
	return *state == NULL;
}

static int tear_down(void **state)
{
	fake_ledger_destroy(*state);
	return 0;
}

static struct sum_stream *stream_of(struct fake_ledger *ledger)
{
	struct sum_stream *stream = NULL;
	assert_int_equal(sum_stream_open(&ledger->reader, 1, &stream), ERROR_OK);
	return stream;
}

static void an_empty_ledger_ends_at_once(void **state)
{
	struct sum_stream *stream = stream_of(*state);
	struct ledger_sum sum;
	assert_int_equal(sum_stream_next(stream, &sum, NULL), ERROR_END);
	sum_stream_close(stream);
}

static void every_sum_comes_once_in_order_whatever_their_number(void **state)
{
	struct fake_ledger *ledger = *state;
	static const size_t counts[] = {1, 255, 256, 257, 512, 513, 5000};
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		while (ledger->count < counts[i])
			fake_ledger_add(ledger, fake_client(1), (int64_t)ledger->count * WINDOW_MS, 1);
		struct sum_stream *stream = stream_of(ledger);
		struct ledger_sum sum;
		for (size_t at = 0; at < counts[i]; at++) {
			assert_int_equal(sum_stream_next(stream, &sum, NULL), ERROR_OK);
			assert_int_equal(sum.window_start_ms, (int64_t)at * WINDOW_MS);
		}
		assert_int_equal(sum_stream_next(stream, &sum, NULL), ERROR_END);
		assert_int_equal(sum_stream_next(stream, &sum, NULL), ERROR_END);
		sum_stream_close(stream);
	}
}

static void it_may_be_closed_before_its_end(void **state)
{
	struct fake_ledger *ledger = *state;
	for (int i = 0; i < 5000; i++)
		fake_ledger_add(ledger, fake_client(1), i * WINDOW_MS, 1);
	struct ledger_sum sum;
	struct sum_stream *stream = stream_of(ledger);
	sum_stream_close(stream);
	stream = stream_of(ledger);
	for (int i = 0; i < 300; i++)
		assert_int_equal(sum_stream_next(stream, &sum, NULL), ERROR_OK);
	sum_stream_close(stream);
	sum_stream_close(NULL);
}

static void the_ledgers_error_comes_with_its_note(void **state)
{
	struct fake_ledger *ledger = *state;
	ledger->fail = ERROR_CORRUPT;
	struct sum_stream *stream = stream_of(ledger);
	struct ledger_sum sum;
	struct error_note note = {""};
	assert_int_equal(sum_stream_next(stream, &sum, &note), ERROR_CORRUPT);
	assert_string_equal(note.text, "planted");
	sum_stream_close(stream);
}

static void sums_out_of_order_are_an_error(void **state)
{
	struct fake_ledger *ledger = *state;
	ledger->unordered = true;
	fake_ledger_add(ledger, fake_client(1), WINDOW_MS, 1);
	fake_ledger_add(ledger, fake_client(1), 0, 1);
	struct sum_stream *stream = stream_of(ledger);
	struct ledger_sum sum;
	assert_int_equal(sum_stream_next(stream, &sum, NULL), ERROR_OK);
	assert_int_equal(sum_stream_next(stream, &sum, NULL), ERROR_INTERNAL);
	sum_stream_close(stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(an_empty_ledger_ends_at_once),    TEST(every_sum_comes_once_in_order_whatever_their_number),
		TEST(it_may_be_closed_before_its_end), TEST(the_ledgers_error_comes_with_its_note),
		TEST(sums_out_of_order_are_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
