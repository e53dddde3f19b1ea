#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/ledger_contract.h"

#include "base/random.h"
#include "base/timestamp.h"
#include "engine/row.h"

#include <stdlib.h>

#define NOW_MS INT64_C(1728926331000)

static struct ledger_contract *suite;
static struct random_seeded seeded;
static uint64_t ids;

static struct address client(unsigned number)
{
	const uint8_t bytes[4] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
	return address_from_ipv4(bytes);
}

static struct uuid new_id(void)
{
	struct uuid id = {.bytes = {[6] = 0x70}};
	ids++;
	for (int i = 0; i < 8; i++)
		id.bytes[15 - i] = (uint8_t)(ids >> (8 * i));
	return id;
}

static struct ledger_ping ping(unsigned number, int64_t pinged_at_ms, const char *key)
{
	return (struct ledger_ping){
		.id = new_id(),
		.client = client(number),
		.pinged_at_ms = pinged_at_ms,
		.received_at_ms = NOW_MS,
		.key = slice_from_string(key),
		.result = ERROR_INTERNAL,
		.position = -7,
	};
}

static void append(struct ledger_ping *pings, size_t count)
{
	struct error_note note = {""};
	enum error error = suite->ledger->vtable->append(suite->ledger, pings, count, &note);
	if (error != ERROR_OK)
		fail_msg("append: %s: %s", error_name(error), note.text);
}

static struct ledger_ping append_one(unsigned number, int64_t pinged_at_ms, const char *key)
{
	struct ledger_ping one = ping(number, pinged_at_ms, key);
	append(&one, 1);
	return one;
}

static struct ledger_reader *open_reader(void)
{
	if (suite->open_reader == NULL)
		skip();
	return suite->open_reader(suite);
}

static int64_t count_with(struct ledger_reader *reader, int64_t start_ms, int64_t end_ms)
{
	struct error_note note = {""};
	int64_t count = -1;
	enum error error = reader->vtable->count(reader, start_ms, end_ms, &count, &note);
	if (error != ERROR_OK)
		fail_msg("count: %s: %s", error_name(error), note.text);
	return count;
}

static int64_t count(int64_t start_ms, int64_t end_ms)
{
	struct ledger_reader *reader = open_reader();
	int64_t found = count_with(reader, start_ms, end_ms);
	reader->vtable->close(reader);
	return found;
}

static void a_new_ledger_is_empty(void **state)
{
	(void)state;
	struct uuid id, none = {0};
	assert_int_equal(suite->ledger->vtable->last_id(suite->ledger, &id, NULL), ERROR_OK);
	assert_memory_equal(id.bytes, none.bytes, sizeof id.bytes);
	assert_int_equal(count(0, 0), 0);
	assert_int_equal(count(NOW_MS, NOW_MS + 1), 0);
}

static void each_ping_becomes_one_row_with_a_growing_position(void **state)
{
	(void)state;
	struct ledger_ping pings[200];
	int64_t before = -1;
	for (int batch = 0; batch < 3; batch++) {
		for (unsigned i = 0; i < 200; i++)
			pings[i] = ping(i % 7, NOW_MS + i, "");
		append(pings, 200);
		for (int i = 0; i < 200; i++) {
			assert_int_equal(pings[i].result, ERROR_OK);
			assert_false(pings[i].duplicate);
			if (suite->no_positions) {
				assert_int_equal(pings[i].position, -1);
				continue;
			}
			assert_true(pings[i].position > before);
			before = pings[i].position;
		}
	}
	assert_int_equal(count(0, 0), 600);
}

static void rows_and_positions_survive_a_restart(void **state)
{
	(void)state;
	struct ledger_ping first = append_one(1, NOW_MS, "");
	suite->reopen(suite);
	struct ledger_ping second = append_one(1, NOW_MS, "");
	assert_true(suite->no_positions || second.position > first.position);
	assert_int_equal(count(0, 0), 2);
}

static void the_last_id_is_the_greatest_ever_kept(void **state)
{
	(void)state;
	struct ledger_ping lower = ping(4, NOW_MS, "");
	struct ledger_ping pings[3] = {ping(1, NOW_MS, ""), ping(2, NOW_MS, ""), ping(3, NOW_MS, "")};
	struct uuid greatest = pings[2].id, last;
	pings[2].id = pings[0].id;
	pings[0].id = greatest;
	append(pings, 3);
	append(&lower, 1);
	assert_int_equal(suite->ledger->vtable->last_id(suite->ledger, &last, NULL), ERROR_OK);
	assert_memory_equal(last.bytes, greatest.bytes, sizeof last.bytes);
	suite->reopen(suite);
	assert_int_equal(suite->ledger->vtable->last_id(suite->ledger, &last, NULL), ERROR_OK);
	assert_memory_equal(last.bytes, greatest.bytes, sizeof last.bytes);
}

static void a_repeated_key_is_the_same_ping(void **state)
{
	(void)state;
	assert_false(append_one(1, NOW_MS, "k").duplicate);
	for (int restart = 0; restart < 2; restart++) {
		struct ledger_ping again = append_one(1, NOW_MS, "k");
		assert_int_equal(again.result, ERROR_OK);
		assert_true(again.duplicate);
		assert_int_equal(again.position, -1);
		suite->reopen(suite);
	}
	assert_int_equal(count(0, 0), 1);
}

static void of_a_key_within_a_batch_the_first_counts(void **state)
{
	(void)state;
	struct ledger_ping pings[4] = {
		ping(1, NOW_MS, "k"),
		ping(1, NOW_MS, "k"),
		ping(1, NOW_MS + 1, "k"),
		ping(2, NOW_MS, "k"),
	};
	append(pings, 4);
	assert_int_equal(pings[0].result, ERROR_OK);
	assert_false(pings[0].duplicate);
	assert_true(suite->no_positions || pings[0].position >= 0);
	assert_int_equal(pings[1].result, ERROR_OK);
	assert_true(pings[1].duplicate);
	assert_int_equal(pings[1].position, -1);
	assert_int_equal(pings[2].result, ERROR_KEY_REUSED);
	assert_int_equal(pings[2].position, -1);
	assert_int_equal(pings[3].result, ERROR_OK);
	assert_false(pings[3].duplicate);
	assert_int_equal(count(0, 0), 2);
}

static void a_key_with_another_time_is_refused_and_its_neighbours_are_not(void **state)
{
	(void)state;
	append_one(1, NOW_MS, "k");
	struct ledger_ping pings[3] = {ping(1, NOW_MS, ""), ping(1, NOW_MS + 1, "k"), ping(1, NOW_MS, "other")};
	append(pings, 3);
	assert_int_equal(pings[0].result, ERROR_OK);
	assert_int_equal(pings[1].result, ERROR_KEY_REUSED);
	assert_int_equal(pings[2].result, ERROR_OK);
	assert_int_equal(count(0, 0), 3);
}

static void keys_of_two_clients_are_two_keys(void **state)
{
	(void)state;
	append_one(1, NOW_MS, "k");
	assert_false(append_one(2, NOW_MS + 1, "k").duplicate);
}

static void any_bytes_of_any_size_are_a_key(void **state)
{
	(void)state;
	const uint8_t zeros[128] = {0};
	for (size_t size = 1; size <= sizeof zeros; size++) {
		struct ledger_ping one = ping(1, NOW_MS, "");
		one.key = slice_make(zeros, size);
		append(&one, 1);
		assert_false(one.duplicate);
	}
	struct ledger_ping again = ping(1, NOW_MS, "");
	again.key = slice_make(zeros, 2);
	append(&again, 1);
	assert_true(again.duplicate);
}

static void a_batch_of_duplicates_alone_adds_nothing(void **state)
{
	(void)state;
	append_one(1, NOW_MS, "k");
	struct ledger_ping pings[2] = {ping(1, NOW_MS, "k"), ping(1, NOW_MS, "k")};
	append(pings, 2);
	assert_true(pings[0].duplicate && pings[1].duplicate);
	assert_int_equal(count(0, 0), 1);
}

static void pruned_keys_are_free_again_the_oldest_first(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct ledger_ping one = ping(i, NOW_MS, "k");
		one.received_at_ms = NOW_MS + i;
		append(&one, 1);
	}
	size_t removed = 99;
	struct ledger *ledger = suite->ledger;
	assert_int_equal(ledger->vtable->prune_keys(ledger, NOW_MS + 3, 2, &removed, NULL), ERROR_OK);
	assert_int_equal(removed, 2);
	assert_true(append_one(2, NOW_MS, "k").duplicate);
	assert_int_equal(ledger->vtable->prune_keys(ledger, NOW_MS + 3, 10, &removed, NULL), ERROR_OK);
	assert_int_equal(removed, 1);
	assert_int_equal(ledger->vtable->prune_keys(ledger, NOW_MS + 3, 10, &removed, NULL), ERROR_OK);
	assert_int_equal(removed, 0);
	assert_false(append_one(2, NOW_MS, "k").duplicate);
	assert_true(append_one(3, NOW_MS, "k").duplicate);
	assert_int_equal(count(0, 0), 6);
}

static void a_range_takes_its_start_and_leaves_its_end(void **state)
{
	(void)state;
	append_one(1, NOW_MS, "");
	append_one(1, NOW_MS + 1, "");
	append_one(1, NOW_MS + 1, "");
	assert_int_equal(count(NOW_MS, NOW_MS + 1), 1);
	assert_int_equal(count(NOW_MS + 1, NOW_MS + 2), 2);
	assert_int_equal(count(NOW_MS, 0), 3);
	assert_int_equal(count(NOW_MS + 1, 0), 2);
	assert_int_equal(count(0, NOW_MS), 0);
	assert_int_equal(count(0, NOW_MS + 1), 1);
}

static void the_first_and_the_last_time_are_counted(void **state)
{
	(void)state;
	append_one(1, 1, "");
	append_one(1, TIMESTAMP_MAX_MS, "");
	assert_int_equal(count(0, 0), 2);
	assert_int_equal(count(1, 2), 1);
	assert_int_equal(count(2, 0), 1);
	assert_int_equal(count(TIMESTAMP_MAX_MS, 0), 1);
	assert_int_equal(count(1, TIMESTAMP_MAX_MS), 1);
	assert_int_equal(count(1, TIMESTAMP_MAX_MS + 1), 2);
}

enum { MANY = 3000 };

/* Times of every scale: many in one millisecond, in one second, in a day, in eight thousand years. */
static int64_t random_time(void)
{
	static const int64_t spread[] = {1, 3, 1000, 5000, 86400000, TIMESTAMP_MAX_MS - NOW_MS};
	int64_t width = spread[random_below(&seeded.random, 6)];
	int64_t time = NOW_MS - width / 2 + (int64_t)random_below(&seeded.random, (uint64_t)width);
	return time < 1 ? 1 : time > TIMESTAMP_MAX_MS ? TIMESTAMP_MAX_MS : time;
}

static void append_many(struct ledger_ping pings[MANY], unsigned clients)
{
	for (int i = 0; i < MANY; i++)
		pings[i] = ping((unsigned)random_below(&seeded.random, clients), random_time(), "");
	for (size_t done = 0; done < MANY;) {
		size_t part = 1 + random_below(&seeded.random, 700);
		part = part < MANY - done ? part : MANY - done;
		append(pings + done, part);
		done += part;
	}
}

static void a_count_equals_the_rows_one_by_one_for_any_range(void **state)
{
	(void)state;
	struct ledger_ping *pings = calloc(MANY, sizeof *pings);
	append_many(pings, 50);
	struct ledger_reader *reader = open_reader();
	for (int i = 0; i < 2000; i++) {
		int64_t a = random_time(), b = random_time();
		int64_t start = a < b ? a : b, end = a < b ? b : a, expected = 0;
		for (int k = 0; k < MANY; k++)
			expected += pings[k].pinged_at_ms >= start && pings[k].pinged_at_ms < end;
		assert_int_equal(count_with(reader, start, end), expected);
	}
	int64_t rows = 0, rolled_up = 0;
	assert_int_equal(reader->vtable->count_rows(reader, &rows, &rolled_up, NULL), ERROR_OK);
	assert_int_equal(rows, MANY);
	assert_int_equal(rolled_up, MANY);
	reader->vtable->close(reader);
	free(pings);
}

struct visited {
	struct ledger_sum sums[MANY];
	size_t count, stop_after;
};

static bool visit(void *context, const struct ledger_sum *sum)
{
	struct visited *visited = context;
	visited->sums[visited->count++] = *sum;
	return visited->count != visited->stop_after;
}

static struct ledger_sum expected_sum(const struct ledger_ping *pings, const struct ledger_sum *of, int64_t up_to)
{
	struct ledger_sum sum = {.client = of->client, .window_start_ms = of->window_start_ms, .position = -1};
	for (int i = 0; i < MANY; i++) {
		const struct ledger_ping *one = &pings[i];
		if (one->position > up_to || !address_equal(&one->client, &of->client) ||
		    window_start_of(one->pinged_at_ms) != of->window_start_ms)
			continue;
		sum.first_ms = sum.count == 0 || one->pinged_at_ms < sum.first_ms ? one->pinged_at_ms : sum.first_ms;
		sum.last_ms = one->pinged_at_ms > sum.last_ms ? one->pinged_at_ms : sum.last_ms;
		sum.position = one->position > sum.position ? one->position : sum.position;
		sum.count++;
	}
	return sum;
}

static bool in_order(const struct ledger_sum *a, const struct ledger_sum *b)
{
	int order = address_compare(&a->client, &b->client);
	return order < 0 || (order == 0 && a->window_start_ms < b->window_start_ms);
}

static void sums_by_window_are_exact_and_in_order(void **state)
{
	(void)state;
	if (suite->no_positions) /* sums are of rows that have one */
		return;
	struct ledger_ping *pings = calloc(MANY, sizeof *pings);
	struct visited *visited = calloc(1, sizeof *visited);
	append_many(pings, 300);
	struct ledger_reader *reader = open_reader();
	int64_t up_to = pings[MANY / 2].position, total = 0;
	assert_int_equal(reader->vtable->sum_windows(reader, up_to, visit, visited, NULL), ERROR_OK);
	for (size_t i = 0; i < visited->count; i++) {
		const struct ledger_sum *sum = &visited->sums[i];
		struct ledger_sum expected = expected_sum(pings, sum, up_to);
		assert_int_equal(sum->count, expected.count);
		assert_int_equal(sum->first_ms, expected.first_ms);
		assert_int_equal(sum->last_ms, expected.last_ms);
		assert_int_equal(sum->position, expected.position);
		assert_true(i == 0 || in_order(sum - 1, sum));
		total += sum->count;
	}
	assert_int_equal(total, MANY / 2 + 1);
	reader->vtable->close(reader);
	free(visited);
	free(pings);
}

static void sums_asked_for_again_are_those_of_their_own_position(void **state)
{
	(void)state;
	if (suite->no_positions) /* sums are of rows that have one */
		return;
	struct visited *visited = calloc(1, sizeof *visited);
	struct ledger_reader *reader = open_reader();
	int64_t positions[4];
	for (unsigned i = 0; i < 4; i++) {
		append_one(1, NOW_MS + i, "");
		visited->count = 0;
		assert_int_equal(reader->vtable->sum_windows(reader, INT64_MAX, visit, visited, NULL), ERROR_OK);
		assert_int_equal(visited->sums[0].count, i + 1);
		assert_int_equal(visited->sums[0].last_ms, NOW_MS + i);
		positions[i] = visited->sums[0].position;
	}
	for (unsigned i = 4; i-- > 0;) {
		visited->count = 0;
		assert_int_equal(reader->vtable->sum_windows(reader, positions[i], visit, visited, NULL), ERROR_OK);
		assert_int_equal(visited->sums[0].count, i + 1);
		assert_int_equal(visited->sums[0].position, positions[i]);
	}
	reader->vtable->close(reader);
	free(visited);
}

static void a_visitor_that_returns_false_ends_the_sums(void **state)
{
	(void)state;
	if (suite->no_positions) /* sums are of rows that have one */
		return;
	struct visited *visited = calloc(1, sizeof *visited);
	for (unsigned i = 0; i < 5; i++)
		append_one(i, NOW_MS, "");
	struct ledger_reader *reader = open_reader();
	for (size_t stop = 1; stop <= 3; stop++) {
		visited->count = 0;
		visited->stop_after = stop;
		assert_int_equal(reader->vtable->sum_windows(reader, INT64_MAX, visit, visited, NULL), ERROR_OK);
		assert_int_equal(visited->count, stop);
	}
	reader->vtable->close(reader);
	free(visited);
}

static void an_open_reader_sees_what_is_appended(void **state)
{
	(void)state;
	struct ledger_reader *reader = open_reader();
	for (int i = 1; i <= 5; i++) {
		append_one(1, NOW_MS, "");
		assert_int_equal(count_with(reader, 0, 0), i);
	}
	reader->vtable->close(reader);
}

static void a_probe_changes_nothing(void **state)
{
	(void)state;
	append_one(1, NOW_MS, "k");
	for (int i = 0; i < 3; i++)
		assert_int_equal(suite->ledger->vtable->probe(suite->ledger, NULL), ERROR_OK);
	assert_true(append_one(1, NOW_MS, "k").duplicate);
	assert_int_equal(count(0, 0), 1);
}

static int begin(void **state)
{
	(void)state;
	random_seeded_init(&seeded, 1);
	ids = 0;
	suite->begin(suite);
	return 0;
}

static int end(void **state)
{
	(void)state;
	suite->end(suite);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int ledger_contract_run(struct ledger_contract *contract)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_ledger_is_empty),
		TEST(each_ping_becomes_one_row_with_a_growing_position),
		TEST(rows_and_positions_survive_a_restart),
		TEST(the_last_id_is_the_greatest_ever_kept),
		TEST(a_repeated_key_is_the_same_ping),
		TEST(of_a_key_within_a_batch_the_first_counts),
		TEST(a_key_with_another_time_is_refused_and_its_neighbours_are_not),
		TEST(keys_of_two_clients_are_two_keys),
		TEST(any_bytes_of_any_size_are_a_key),
		TEST(a_batch_of_duplicates_alone_adds_nothing),
		TEST(pruned_keys_are_free_again_the_oldest_first),
		TEST(a_probe_changes_nothing),
		TEST(a_range_takes_its_start_and_leaves_its_end),
		TEST(the_first_and_the_last_time_are_counted),
		TEST(a_count_equals_the_rows_one_by_one_for_any_range),
		TEST(sums_by_window_are_exact_and_in_order),
		TEST(sums_asked_for_again_are_those_of_their_own_position),
		TEST(a_visitor_that_returns_false_ends_the_sums),
		TEST(an_open_reader_sees_what_is_appended),
	};
	suite = contract;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
