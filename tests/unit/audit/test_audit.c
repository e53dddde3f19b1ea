#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "audit/audit.h"
#include "base/random.h"
#include "unit/query/fake_ledger.h"
#include "unit/query/fake_store.h"

#define DAY_MS	INT64_C(86400000)
#define BASE_MS INT64_C(1728864000000) /* 2024-10-14 */
#define NOW_MS	(BASE_MS + 10 * DAY_MS)
#define HOUR_MS INT64_C(3600000)

enum { POSITION = 100 };

struct fixture {
	struct fake_ledger *ledger;
	struct fake_store *store;
	struct audit_options options;
	struct audit_report report;
	struct error_note note;
	void (*on_pause)(struct fixture *fixture); /* what changes between the looks */
	int pauses;
};

static void pause_between(void *context)
{
	struct fixture *f = context;
	f->pauses++;
	if (f->on_pause != NULL)
		f->on_pause(f);
}

static int set_up(void **state)
{
	static struct fixture fixture;
	fixture = (struct fixture){.ledger = fake_ledger_create(), .store = fake_store_create()};
	fixture.options = (struct audit_options){
		.now_ms = NOW_MS, .max_examples = AUDIT_MAX_EXAMPLES, .pause = pause_between, .context = &fixture};
	fixture.store->position = POSITION;
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	fake_ledger_destroy(f->ledger);
	fake_store_destroy(f->store);
	return 0;
}

static struct day_row *find_day(struct fake_store *store, const struct address *client, int64_t start_ms)
{
	for (size_t i = 0; i < store->day_count; i++)
		if (address_equal(&store->days[i].client, client) && store->days[i].start_ms == start_ms)
			return &store->days[i];
	struct day_row *day = &store->days[store->day_count++];
	*day = (struct day_row){.client = *client, .start_ms = start_ms};
	return day;
}

static struct client_row *find_client(struct fake_store *store, const struct address *client, int64_t first_ms)
{
	for (size_t i = 0; i < store->client_count; i++)
		if (address_equal(&store->clients[i].client.client, client))
			return &store->clients[i].client;
	struct client_row *row = &store->clients[store->client_count++].client;
	*row = (struct client_row){.client = *client, .first_ms = first_ms};
	return row;
}

/* The rows that the ledger's sums up to the store's position make. */
static void fill_store(struct fixture *f)
{
	struct fake_store *store = f->store;
	for (size_t i = 0; i < f->ledger->count; i++) {
		const struct ledger_sum *sum = &f->ledger->sums[i];
		if (sum->position > store->position)
			continue;
		store->windows[store->window_count++] = (struct window_row){.client = sum->client,
									    .start_ms = sum->window_start_ms,
									    .count = sum->count,
									    .first_ms = sum->first_ms,
									    .last_ms = sum->last_ms,
									    .position = sum->position};
		struct day_row *day = find_day(store, &sum->client, day_start_of(sum->window_start_ms));
		day->total += sum->count;
		day->position = sum->position > day->position ? sum->position : day->position;
		struct client_row *client = find_client(store, &sum->client, sum->first_ms);
		client->first_ms = sum->first_ms < client->first_ms ? sum->first_ms : client->first_ms;
		client->last_ms = sum->last_ms > client->last_ms ? sum->last_ms : client->last_ms;
	}
}

/* Clients 1 to 4, each with three windows on each of two days. */
static void fill(struct fixture *f)
{
	int64_t position = 1;
	for (unsigned client = 1; client <= 4; client++)
		for (int day = 0; day < 2; day++)
			for (int window = 0; window < 3; window++)
				fake_ledger_add(f->ledger, fake_client(client), BASE_MS + day * DAY_MS + window * WINDOW_MS,
						10 + window)
					->position = position++;
	fill_store(f);
}

static struct window_row *window_of(struct fixture *f, unsigned number, int64_t start_ms)
{
	struct address client = fake_client(number);
	for (size_t i = 0; i < f->store->window_count; i++)
		if (f->store->windows[i].start_ms == start_ms && address_equal(&f->store->windows[i].client, &client))
			return &f->store->windows[i];
	fail_msg("no such window");
	return NULL;
}

static void run(struct fixture *f)
{
	assert_int_equal(audit_run(&f->ledger->reader, &f->store->reader, &f->options, &f->report, &f->note), ERROR_OK);
}

static void expect_only(struct fixture *f, enum audit_kind kind, int64_t differences)
{
	run(f);
	for (int i = 0; i < AUDIT_KIND_COUNT; i++)
		assert_int_equal(f->report.kinds[i].differences, i == (int)kind ? differences : 0);
	assert_int_equal(audit_differences(&f->report), differences);
}

static void expect_none(struct fixture *f)
{
	expect_only(f, AUDIT_WINDOWS, 0);
}

static void expect_text(struct fixture *f, const char *text)
{
	assert_true(f->report.example_count > 0);
	assert_string_equal(f->report.examples[0].text, text);
}

static void equal_rows_are_no_difference_and_all_were_checked(void **state)
{
	struct fixture *f = *state;
	fill(f);
	expect_none(f);
	assert_int_equal(f->report.position, POSITION);
	assert_int_equal(f->report.kinds[AUDIT_WINDOWS].checked, 24);
	assert_int_equal(f->report.kinds[AUDIT_DAYS].checked, 8);
	assert_int_equal(f->report.kinds[AUDIT_CLIENTS].checked, 4);
	assert_int_equal(f->report.kinds[AUDIT_ROLLUP].checked, 8 * 33);
	assert_int_equal(f->pauses, 0);
}

static void an_empty_ledger_and_an_empty_store_are_equal(void **state)
{
	struct fixture *f = *state;
	f->store->position = POSITION_NONE;
	expect_none(f);
	assert_int_equal(f->report.kinds[AUDIT_WINDOWS].checked, 0);
}

static void what_the_ledger_has_beyond_the_position_does_not_count(void **state)
{
	struct fixture *f = *state;
	fill(f);
	fake_ledger_add(f->ledger, fake_client(9), BASE_MS, 5)->position = POSITION + 1;
	expect_none(f);
	assert_int_equal(f->report.kinds[AUDIT_WINDOWS].checked, 24);
}

static void a_wrong_count_is_found_and_told_with_both_values(void **state)
{
	struct fixture *f = *state;
	fill(f);
	window_of(f, 2, BASE_MS + WINDOW_MS)->count++;
	expect_only(f, AUDIT_WINDOWS, 1);
	expect_text(f, "client 10.0.0.2, window 2024-10-14T00:05:00Z: "
		       "ledger 11 (first 2024-10-14T00:05:00Z, last 2024-10-14T00:05:00.01Z, position 8), "
		       "store 12 (first 2024-10-14T00:05:00Z, last 2024-10-14T00:05:00.01Z, position 8)");
	assert_int_equal(f->report.examples[0].kind, AUDIT_WINDOWS);
	assert_int_equal(f->report.examples[0].start_ms, BASE_MS + WINDOW_MS);
	assert_int_equal(f->report.examples[0].client.bytes[15], 2);
}

static void a_wrong_first_or_last_of_a_window_is_found(void **state)
{
	struct fixture *f = *state;
	fill(f);
	window_of(f, 1, BASE_MS)->first_ms++;
	window_of(f, 4, BASE_MS + DAY_MS)->last_ms--;
	expect_only(f, AUDIT_WINDOWS, 2);
}

static void a_position_behind_its_newest_event_or_beyond_the_stores_is_found(void **state)
{
	struct fixture *f = *state;
	fill(f);
	window_of(f, 2, BASE_MS)->position--;
	window_of(f, 3, BASE_MS)->position = POSITION + 1;
	window_of(f, 4, BASE_MS)->position = POSITION;
	expect_only(f, AUDIT_WINDOWS, 2);
}

static void a_missing_window_is_found_wherever_it_is(void **state)
{
	struct fixture *f = *state;
	fill(f);
	*window_of(f, 1, BASE_MS) = f->store->windows[--f->store->window_count];
	*window_of(f, 2, BASE_MS + WINDOW_MS) = f->store->windows[--f->store->window_count];
	*window_of(f, 4, BASE_MS + DAY_MS + 2 * WINDOW_MS) = f->store->windows[--f->store->window_count];
	expect_only(f, AUDIT_WINDOWS, 3);
	expect_text(f, "client 10.0.0.1, window 2024-10-14T00:00:00Z: "
		       "ledger 10 (first 2024-10-14T00:00:00Z, last 2024-10-14T00:00:00.009Z, position 1), store nothing");
}

static void a_window_too_many_is_found_wherever_it_is(void **state)
{
	struct fixture *f = *state;
	fill(f);
	fake_store_add_window(f->store, 0, BASE_MS, 1);
	fake_store_add_window(f->store, 2, BASE_MS + 7 * WINDOW_MS, 1);
	fake_store_add_window(f->store, 200, BASE_MS, 1);
	expect_only(f, AUDIT_WINDOWS, 3);
	assert_int_equal(f->report.kinds[AUDIT_WINDOWS].checked, 27);
	expect_text(f, "client 10.0.0.0, window 2024-10-14T00:00:00Z: ledger nothing, "
		       "store 1 (first 2024-10-14T00:00:00Z, last 2024-10-14T00:00:00Z, position 1)");
}

static void a_wrong_missing_or_additional_day_is_found(void **state)
{
	struct fixture *f = *state;
	fill(f);
	struct address client = fake_client(1);
	find_day(f->store, &client, BASE_MS)->total--;
	f->store->days[f->store->day_count - 1] = (struct day_row){.client = fake_client(7), .start_ms = BASE_MS, .total = 1};
	expect_only(f, AUDIT_DAYS, 3);
	expect_text(f, "client 10.0.0.1, day of 2024-10-14T00:00:00Z: ledger 33 (position 3), store 32 (position 3)");
}

static void a_wrong_position_of_a_day_is_found(void **state)
{
	struct fixture *f = *state;
	fill(f);
	f->store->days[0].position = 0;
	f->store->days[3].position = POSITION + 1;
	expect_only(f, AUDIT_DAYS, 2);
}

static void a_wrong_missing_or_additional_client_is_found(void **state)
{
	struct fixture *f = *state;
	fill(f);
	f->store->clients[0].client.first_ms++;
	f->store->clients[1].client.last_ms++;
	f->store->clients[2].client.client = fake_client(77);
	expect_only(f, AUDIT_CLIENTS, 4);
	expect_text(f, "client 10.0.0.1: ledger first 2024-10-14T00:00:00Z, last 2024-10-15T00:10:00.011Z, "
		       "store first 2024-10-14T00:00:00.001Z, last 2024-10-15T00:10:00.011Z");
}

static void a_roll_up_that_is_not_the_rows_is_found(void **state)
{
	struct fixture *f = *state;
	fill(f);
	f->ledger->rolled_up = -2;
	expect_only(f, AUDIT_ROLLUP, 1);
	expect_text(f, "ledger: 264 rows, 262 in its roll-up");
}

static void an_empty_store_misses_everything(void **state)
{
	struct fixture *f = *state;
	fill(f);
	f->store->window_count = f->store->day_count = f->store->client_count = 0;
	run(f);
	assert_int_equal(f->report.kinds[AUDIT_WINDOWS].differences, 24);
	assert_int_equal(f->report.kinds[AUDIT_DAYS].differences, 8);
	assert_int_equal(f->report.kinds[AUDIT_CLIENTS].differences, 4);
}

static void an_empty_ledger_finds_every_row_too_many(void **state)
{
	struct fixture *f = *state;
	fill(f);
	f->ledger->count = 0;
	run(f);
	assert_int_equal(f->report.kinds[AUDIT_WINDOWS].differences, 24);
	assert_int_equal(f->report.kinds[AUDIT_DAYS].differences, 8);
	assert_int_equal(f->report.kinds[AUDIT_CLIENTS].differences, 4);
}

static void a_damaged_row_of_any_value_is_told(void **state)
{
	struct fixture *f = *state;
	fill(f);
	*window_of(f, 1, BASE_MS) = (struct window_row){
		.client = fake_client(1), .start_ms = INT64_MIN, .count = INT64_MAX, .first_ms = INT64_MIN, .last_ms = INT64_MAX};
	run(f);
	assert_int_equal(f->report.kinds[AUDIT_WINDOWS].differences, 2);
	assert_non_null(strstr(f->report.examples[0].text, "9223372036854775807"));
}

static void repair_count(struct fixture *f)
{
	window_of(f, 2, BASE_MS)->count--;
}

static void what_is_gone_when_looked_at_again_is_no_difference(void **state)
{
	struct fixture *f = *state;
	fill(f);
	window_of(f, 2, BASE_MS)->count++;
	f->on_pause = repair_count;
	expect_none(f);
	assert_int_equal(f->pauses, 1);
	assert_int_equal(f->report.example_count, 0);
}

static void damage_another(struct fixture *f)
{
	window_of(f, 1, BASE_MS)->count++;
	window_of(f, 3, BASE_MS)->count++;
	f->store->days[0].total++;
	f->ledger->rolled_up = 1;
}

static void what_only_the_second_look_finds_is_no_difference_yet(void **state)
{
	struct fixture *f = *state;
	fill(f);
	window_of(f, 2, BASE_MS)->count++;
	f->on_pause = damage_another;
	expect_only(f, AUDIT_WINDOWS, 1);
	assert_int_equal(f->report.examples[0].client.bytes[15], 2);
}

static void past_what_is_remembered_the_second_look_counts(void **state)
{
	struct fixture *f = *state;
	fill(f);
	for (size_t i = 0; i < f->store->window_count; i++)
		f->store->windows[i].count++;
	f->options.max_suspects = 3;
	expect_only(f, AUDIT_WINDOWS, 24);
}

static void all_differences_are_counted_and_some_shown(void **state)
{
	struct fixture *f = *state;
	fill(f);
	for (size_t i = 0; i < f->store->window_count; i++)
		f->store->windows[i].count++;
	f->options.max_examples = 5;
	expect_only(f, AUDIT_WINDOWS, 24);
	assert_int_equal(f->report.example_count, 5);
}

/* A window that ended `age_ms` ago. */
static int64_t add_old(struct fixture *f, unsigned client, int64_t age_ms)
{
	int64_t start_ms = NOW_MS - age_ms - WINDOW_MS;
	fake_ledger_add(f->ledger, fake_client(client), start_ms, 5)->position = 50;
	return start_ms;
}

static void a_window_past_its_retention_may_be_gone(void **state)
{
	struct fixture *f = *state;
	f->options.window_retention_ms = 30 * DAY_MS;
	fill(f);
	size_t kept = f->store->window_count;
	add_old(f, 5, 31 * DAY_MS);
	add_old(f, 6, 30 * DAY_MS - HOUR_MS);
	for (size_t i = 24; i < f->ledger->count; i++) {
		const struct ledger_sum *sum = &f->ledger->sums[i];
		*find_day(f->store, &sum->client, day_start_of(sum->window_start_ms)) = (struct day_row){
			.client = sum->client, .start_ms = day_start_of(sum->window_start_ms), .total = 5, .position = 50};
		find_client(f->store, &sum->client, sum->first_ms)->last_ms = sum->last_ms;
	}
	assert_int_equal(f->store->window_count, kept);
	expect_none(f);
	assert_int_equal(f->report.expired, 2);
	assert_int_equal(f->report.kinds[AUDIT_WINDOWS].checked, 24);
}

static void a_window_within_its_retention_may_not_be_gone(void **state)
{
	struct fixture *f = *state;
	f->options.window_retention_ms = 30 * DAY_MS;
	add_old(f, 5, 30 * DAY_MS - HOUR_MS - WINDOW_MS);
	fill_store(f);
	f->store->window_count = 0;
	expect_only(f, AUDIT_WINDOWS, 1);
}

static void a_window_past_its_retention_may_lack_late_pings_but_not_have_more(void **state)
{
	struct fixture *f = *state;
	f->options.window_retention_ms = 30 * DAY_MS;
	int64_t start_ms = add_old(f, 5, 31 * DAY_MS);
	fill_store(f);
	struct window_row *window = window_of(f, 5, start_ms);
	window->count = 4;
	window->last_ms--;
	window->position = 3;
	expect_none(f);
	window->count = 6;
	expect_only(f, AUDIT_WINDOWS, 1);
}

static void pruned_windows_still_count_in_days_and_clients(void **state)
{
	struct fixture *f = *state;
	f->options.window_retention_ms = 30 * DAY_MS;
	add_old(f, 5, 31 * DAY_MS);
	run(f);
	assert_int_equal(f->report.kinds[AUDIT_WINDOWS].differences, 0);
	assert_int_equal(f->report.kinds[AUDIT_DAYS].differences, 1);
	assert_int_equal(f->report.kinds[AUDIT_CLIENTS].differences, 1);
}

static void a_readers_error_ends_it_and_leaves_the_report(void **state)
{
	struct fixture *f = *state;
	fill(f);
	f->report.position = 77;
	f->ledger->fail = ERROR_IO;
	assert_int_equal(audit_run(&f->ledger->reader, &f->store->reader, &f->options, &f->report, &f->note), ERROR_IO);
	assert_string_equal(f->note.text, "planted");
	f->ledger->fail = ERROR_OK;
	f->store->fail = ERROR_CORRUPT;
	assert_int_equal(audit_run(&f->ledger->reader, &f->store->reader, &f->options, &f->report, &f->note), ERROR_CORRUPT);
	assert_int_equal(f->report.position, 77);
}

static void rows_out_of_order_are_an_error_not_differences(void **state)
{
	struct fixture *f = *state;
	fill(f);
	struct window_row swapped = f->store->windows[0];
	f->store->windows[0] = f->store->windows[1];
	f->store->windows[1] = swapped;
	f->store->unordered = true;
	assert_int_equal(audit_run(&f->ledger->reader, &f->store->reader, &f->options, &f->report, &f->note), ERROR_INTERNAL);
	assert_string_equal(f->note.text, "the store's windows are not in order");
}

static void was_summed_up(void *context)
{
	const struct fixture *f = context;
	assert_int_equal(f->ledger->runs, 1);
	assert_int_equal(f->ledger->up_to, f->store->position);
}

static void the_ledger_is_summed_up_before_the_stores_snapshot_begins(void **state)
{
	struct fixture *f = *state;
	fill(f);
	f->store->on_scan = was_summed_up;
	f->store->context = f;
	run(f);
	assert_int_equal(f->ledger->runs, 4); /* and read once a kind */
}

static void fill_at_random(struct fixture *f, struct random *random)
{
	f->ledger->count = f->store->window_count = f->store->day_count = f->store->client_count = 0;
	bool used[8][64] = {{false}};
	int64_t count = 1 + (int64_t)random_below(random, 200);
	for (int64_t i = 0; i < count; i++) {
		unsigned client = (unsigned)random_below(random, 8), window = (unsigned)random_below(random, 64);
		if (used[client][window])
			continue;
		used[client][window] = true;
		fake_ledger_add(f->ledger, fake_client(client), BASE_MS + window * 17 * WINDOW_MS,
				1 + (int64_t)random_below(random, 9))
			->position = 1 + (int64_t)random_below(random, 2 * POSITION);
	}
	fill_store(f);
}

static void any_ledger_has_no_difference_and_any_one_damage_is_one(void **state)
{
	struct fixture *f = *state;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 11);
	struct random *random = &seeded.random;
	for (int round = 0; round < 300; round++) {
		fill_at_random(f, random);
		expect_none(f);
		if (f->store->window_count == 0)
			continue;
		struct window_row *window = &f->store->windows[random_below(random, f->store->window_count)];
		if (random_below(random, 2) == 0)
			window->count += 1 + (int64_t)random_below(random, 5);
		else
			*window = f->store->windows[--f->store->window_count];
		expect_only(f, AUDIT_WINDOWS, 1);
		fill_at_random(f, random);
		if (f->store->day_count == 0)
			continue;
		f->store->days[random_below(random, f->store->day_count)].total++;
		expect_only(f, AUDIT_DAYS, 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(equal_rows_are_no_difference_and_all_were_checked),
		TEST(an_empty_ledger_and_an_empty_store_are_equal),
		TEST(what_the_ledger_has_beyond_the_position_does_not_count),
		TEST(a_wrong_count_is_found_and_told_with_both_values),
		TEST(a_wrong_first_or_last_of_a_window_is_found),
		TEST(a_position_behind_its_newest_event_or_beyond_the_stores_is_found),
		TEST(a_missing_window_is_found_wherever_it_is),
		TEST(a_window_too_many_is_found_wherever_it_is),
		TEST(a_wrong_missing_or_additional_day_is_found),
		TEST(a_wrong_position_of_a_day_is_found),
		TEST(a_wrong_missing_or_additional_client_is_found),
		TEST(a_roll_up_that_is_not_the_rows_is_found),
		TEST(an_empty_store_misses_everything),
		TEST(an_empty_ledger_finds_every_row_too_many),
		TEST(a_damaged_row_of_any_value_is_told),
		TEST(what_is_gone_when_looked_at_again_is_no_difference),
		TEST(what_only_the_second_look_finds_is_no_difference_yet),
		TEST(past_what_is_remembered_the_second_look_counts),
		TEST(all_differences_are_counted_and_some_shown),
		TEST(a_window_past_its_retention_may_be_gone),
		TEST(a_window_within_its_retention_may_not_be_gone),
		TEST(a_window_past_its_retention_may_lack_late_pings_but_not_have_more),
		TEST(pruned_windows_still_count_in_days_and_clients),
		TEST(a_readers_error_ends_it_and_leaves_the_report),
		TEST(rows_out_of_order_are_an_error_not_differences),
		TEST(the_ledger_is_summed_up_before_the_stores_snapshot_begins),
		TEST(any_ledger_has_no_difference_and_any_one_damage_is_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
