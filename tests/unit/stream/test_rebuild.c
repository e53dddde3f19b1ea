/* Rebuilds between batches: rows that somebody damaged become a plain count of the log again, while more comes in, whoever fails
 * or dies on the way.
 *
 * usage: test-stream-rebuild [SEED]
 */
#include "stream/stream.h"
#include "unit/engine/rows.h"
#include "unit/stream/fake_rebuild.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>

#define START_MS INT64_C(1728926331123)
#define HOUR_MS	 INT64_C(3600000)
enum { SEEDS = 200, STEPS = 150, DAMAGED = 60, PARTITIONS = 2, CLIENTS = 6 };

static struct {
	struct clock clock;
	int64_t wall_ms, monotonic_us;
	struct random_seeded seeded;
	struct fake_log log;
	struct fake_database database;
	struct fake_requests requests;
	struct fake_reader reader;
	struct fake_store store;
	struct fake_source source;
	struct stream *stream;
	unsigned trouble; /* in 100 calls */
	struct rows expected;
} world;
static uint64_t only_seed;

static unsigned below(unsigned bound)
{
	return (unsigned)random_below(&world.seeded.random, bound);
}

static int64_t wall_ms(struct clock *clock)
{
	(void)clock;
	return world.wall_ms;
}

static int64_t monotonic_us(struct clock *clock)
{
	(void)clock;
	return world.monotonic_us;
}

static enum fake_fate store_fate(void *context, enum fake_store_call call)
{
	(void)context;
	(void)call;
	return below(100) < world.trouble ? (enum fake_fate)(FAKE_REFUSED + below(2)) : FAKE_DONE;
}

static void end_process(void)
{
	stream_destroy(world.stream);
	fake_reader_release(&world.reader);
	world.stream = NULL;
}

static void start_process(bool with_ledger)
{
	if (world.stream != NULL)
		end_process();
	fake_reader_init(&world.reader, &world.log);
	world.reader.max_batch = 1 + below(20);
	fake_store_init(&world.store, &world.database);
	fake_store_add_rebuilds(&world.store, &world.requests);
	world.store.fate = store_fate;
	const struct stream_config config = {.engine.max_rows = 1000, .max_dirty_rows = 1 + below(100)};
	const struct stream_ports ports = {.log = &world.reader.reader,
					   .store = &world.store.store,
					   .clock = &world.clock,
					   .random = &world.seeded.random,
					   .rebuild_source = with_ledger ? &world.source.source : NULL};
	assert_int_equal(stream_create(&config, &ports, &world.stream, NULL), ERROR_OK);
	for (int32_t partition = 0; partition < PARTITIONS; partition++)
		fake_reader_assign(&world.reader, partition);
}

static void begin(uint64_t seed)
{
	random_seeded_init(&world.seeded, seed);
	world.clock = (struct clock){wall_ms, monotonic_us};
	world.wall_ms = START_MS;
	world.monotonic_us = 0;
	world.trouble = 0;
	world.expected = (struct rows){0};
	world.requests = (struct fake_requests){0};
	fake_log_init(&world.log);
	fake_database_init(&world.database);
	fake_source_init(&world.source, &world.log, &world.database);
	start_process(true);
}

static int end(void **state)
{
	(void)state;
	if (world.stream == NULL)
		return 0;
	end_process();
	fake_log_release(&world.log);
	fake_database_release(&world.database);
	return 0;
}

static void ping(unsigned client, int64_t pinged_at_ms)
{
	struct engine_event event = {rows_address(client), pinged_at_ms, 0};
	int32_t partition = (int32_t)(client % PARTITIONS);
	event.position = fake_log_append(&world.log, partition, &event.client, event.pinged_at_ms, world.wall_ms);
	rows_count(&world.expected, &event);
}

static void produce(void)
{
	for (unsigned n = below(6); n > 0; n--)
		ping(below(CLIENTS), world.wall_ms - (below(4) > 0 ? (int64_t)below(600000) : (int64_t)below(40) * HOUR_MS));
	if (below(4) == 0)
		fake_log_append_marker(&world.log, (int32_t)below(PARTITIONS));
}

static void steps(int count)
{
	for (int i = 0; i < count; i++) {
		stream_step(world.stream, 0, NULL);
		world.wall_ms += 100;
		world.monotonic_us += 100000;
	}
}

static void ask(int32_t partition, const struct address *client, int64_t day_ms)
{
	struct rebuild_request *request = &world.requests.requests[world.requests.count++];
	*request = (struct rebuild_request){
		.id.bytes = {(uint8_t)world.requests.count}, .partition = partition, .day_ms = day_ms, .asked_ms = world.wall_ms};
	request->of_client = client != NULL;
	if (client != NULL)
		request->client = *client;
}

static void ask_all(void)
{
	for (int32_t partition = 0; partition < PARTITIONS; partition++)
		ask(partition, NULL, REBUILD_EVERY_DAY);
}

static bool all_done(void)
{
	for (size_t i = 0; i < world.requests.count; i++)
		if (world.requests.requests[i].state != REBUILD_DONE)
			return false;
	return true;
}

/* A row that is wrong, gone or too many. */
static void damage(void)
{
	unsigned client = below(CLIENTS + 2);
	struct fake_row row = {.client = rows_address(client), .partition = (int32_t)(client % PARTITIONS)};
	if (below(3) == 0 && world.database.count > 0) {
		const struct fake_row gone = world.database.rows[below((unsigned)world.database.count)];
		if (gone.kind != FAKE_ACTIVITY) /* those are found by their due alone */
			fake_database_drop(&world.database, gone.kind, &gone.client, gone.start_ms);
		return;
	}
	int64_t at_ms = world.wall_ms - (int64_t)below(40) * HOUR_MS;
	switch (below(3)) {
	case 0:
		row.kind = FAKE_WINDOW;
		row.start_ms = window_start_of(at_ms);
		row.row.window = (struct window_row){row.client, row.start_ms, 1 + below(9), at_ms, at_ms + 1, below(200)};
		break;
	case 1:
		row.kind = FAKE_DAY;
		row.start_ms = day_start_of(at_ms);
		row.row.day = (struct day_row){row.client, row.start_ms, 1 + below(9), below(200)};
		break;
	default:
		row.kind = FAKE_CLIENT;
		row.row.client = (struct client_row){row.client, at_ms, at_ms + 5};
	}
	fake_database_put(&world.database, row);
}

static void stored_rows(struct rows *rows)
{
	*rows = (struct rows){0};
	for (size_t i = 0; i < world.database.count; i++) {
		const struct fake_row *row = &world.database.rows[i];
		if (row->kind == FAKE_CLIENT)
			rows->clients[rows->client_count++] = row->row.client;
		else if (row->kind == FAKE_DAY)
			rows->days[rows->day_count++] = row->row.day;
		else if (row->kind == FAKE_WINDOW)
			rows->windows[rows->window_count++] = row->row.window;
		else if (row->row.activity.due_ms != 0)
			rows->activities[rows->activity_count++] = row->row.activity;
	}
}

static void check(void)
{
	static struct rows stored;
	stored_rows(&stored);
	rows_assert_equal(&stored, &world.expected, true);
	rows_assert_activities(&stored);
}

static bool caught_up(void)
{
	for (int32_t partition = 0; partition < PARTITIONS; partition++)
		if (fake_log_end(&world.log, partition) > 0 &&
		    world.database.partitions[partition].position != fake_log_end(&world.log, partition))
			return false;
	return true;
}

static void settle(void)
{
	world.trouble = 0;
	world.source.trouble = 0;
	for (int i = 0; i < 200 && !(all_done() && caught_up()); i++)
		steps(20);
	assert_true(all_done());
	assert_true(caught_up());
}

static void run(uint64_t seed)
{
	begin(seed);
	world.source.random = &world.seeded.random;
	world.source.trouble = below(2) * 3;
	world.source.pending_begins = below(3);
	world.trouble = below(3) * 10;
	for (int i = 0; i < STEPS; i++) {
		produce();
		steps((int)below(4));
		if (i > 30 && i < DAMAGED)
			damage();
		if (i == DAMAGED)
			ask_all();
		if (i > DAMAGED && below(40) == 0)
			start_process(true);
	}
	settle();
	check();
	end(NULL);
}

static void whatever_was_damaged_is_a_plain_count_of_the_log_again(void **state)
{
	(void)state;
	for (uint64_t seed = only_seed ? only_seed : 1; seed <= (only_seed ? only_seed : SEEDS); seed++) {
		print_message("# seed %" PRIu64 "\n", seed);
		run(seed);
	}
}

static int64_t stored_count(unsigned client, int64_t start_ms)
{
	struct address of = rows_address(client);
	const struct fake_row *row = fake_database_find(&world.database, FAKE_WINDOW, &of, start_ms);
	return row == NULL ? 0 : row->row.window.count;
}

static void damage_window(unsigned client, int64_t start_ms, int64_t position)
{
	struct address of = rows_address(client);
	const struct fake_row row = {.kind = FAKE_WINDOW,
				     .client = of,
				     .start_ms = start_ms,
				     .partition = (int32_t)(client % PARTITIONS),
				     .row.window = {of, start_ms, 77, start_ms, start_ms + 9, position}};
	fake_database_put(&world.database, row);
}

static void only_what_was_asked_for_is_made_anew(void **state)
{
	(void)state;
	begin(1);
	int64_t today = window_start_of(START_MS), before = window_start_of(START_MS - 24 * HOUR_MS);
	struct address two = rows_address(2);
	for (unsigned client = 0; client < 4; client += 2) {
		ping(client, today);
		ping(client, before);
	}
	steps(50);
	for (unsigned client = 0; client < 4; client += 2) {
		damage_window(client, today, 0);
		damage_window(client, before, 0);
	}
	ask(0, &two, day_start_of(before));
	settle();
	assert_int_equal(stored_count(2, before), 1);
	assert_int_equal(stored_count(2, today), 77);
	assert_int_equal(stored_count(0, before), 77);
	ask(0, &two, REBUILD_EVERY_DAY);
	settle();
	assert_int_equal(stored_count(2, today), 1);
	assert_int_equal(stored_count(0, today), 77);
	assert_int_equal(world.requests.requests[1].clients, 1);
	assert_int_equal(world.requests.requests[1].corrected, 1);
}

static void rows_of_somebody_who_filled_the_tables_before_us_stay(void **state)
{
	(void)state;
	begin(1);
	int64_t start_ms = window_start_of(START_MS);
	ping(0, START_MS);
	steps(50);
	damage_window(0, start_ms - WINDOW_MS, POSITION_NONE);
	damage_window(0, start_ms - 2 * WINDOW_MS, 3);
	damage_window(4, start_ms, POSITION_NONE);
	ask_all();
	settle();
	assert_int_equal(stored_count(0, start_ms), 1);
	assert_int_equal(stored_count(0, start_ms - WINDOW_MS), 77);
	assert_int_equal(stored_count(0, start_ms - 2 * WINDOW_MS), 0);
	assert_int_equal(stored_count(4, start_ms), 77);
}

static void a_client_whose_batch_is_not_in_the_log_for_good_is_put_off(void **state)
{
	(void)state;
	begin(1);
	int64_t start_ms = window_start_of(START_MS);
	world.source.pending_begins = 3;
	ping(0, START_MS);
	ping(2, START_MS);
	steps(50);
	damage_window(0, start_ms, 0);
	damage_window(2, start_ms, 0);
	ask(0, NULL, REBUILD_EVERY_DAY);
	steps(40);
	assert_int_equal(world.requests.requests[0].state, REBUILD_RUNNING);
	assert_int_equal(world.requests.requests[0].put_off, 1);
	assert_int_equal(stored_count(0, start_ms), 77);
	assert_int_equal(stored_count(2, start_ms), 1);
	settle();
	assert_int_equal(stored_count(0, start_ms), 1);
	assert_int_equal(world.requests.requests[0].put_off, 0);
}

static void without_a_ledger_who_asks_is_told_so_and_pings_go_on(void **state)
{
	(void)state;
	begin(1);
	start_process(false);
	ask(0, NULL, REBUILD_EVERY_DAY);
	ping(0, START_MS);
	steps(80);
	assert_int_equal(world.requests.requests[0].state, REBUILD_ASKED);
	assert_non_null(strstr(world.requests.requests[0].note.text, "--ledger"));
	assert_int_equal(stored_count(0, window_start_of(START_MS)), 1);
	start_process(true);
	settle();
	assert_string_equal(world.requests.requests[0].note.text, "");
}

static void a_ledger_that_does_not_answer_puts_the_pass_aside_until_it_does(void **state)
{
	(void)state;
	begin(1);
	int64_t start_ms = window_start_of(START_MS);
	struct stream_status status;
	world.source.random = &world.seeded.random;
	world.source.trouble = 100;
	ping(0, START_MS);
	steps(50);
	damage_window(0, start_ms, 0);
	ask(0, NULL, REBUILD_EVERY_DAY);
	steps(40);
	stream_status(world.stream, &status);
	assert_true(status.rebuild.put_aside > 0);
	assert_int_equal(status.rebuild.done, 0);
	assert_false(status.rebuild.running);
	assert_non_null(strstr(world.requests.requests[0].note.text, "the ledger does not answer"));

	settle();
	stream_status(world.stream, &status);
	assert_int_equal(stored_count(0, start_ms), 1);
	assert_int_equal(status.rebuild.done, 1);
	assert_int_equal(status.rebuild.clients, 1);
	assert_true(status.rebuild.corrected >= 1 && status.rebuild.rows >= status.rebuild.corrected);
}

/* An engine was away for longer than the log keeps events; one partition's are still there. */
static void what_the_log_lost_stops_the_engine_until_all_of_it_is_to_be_rebuilt(void **state)
{
	(void)state;
	struct stream_status status;
	struct address zero = rows_address(0);
	begin(1);
	for (int i = 0; i < 20; i++)
		produce();
	steps(50);
	end_process();
	for (int i = 0; i < 20; i++)
		produce();
	int64_t lost = fake_log_end(&world.log, 0);
	for (int i = 0; i < 10; i++)
		produce();
	fake_log_trim(&world.log, 0, lost);
	ask(0, &zero, REBUILD_EVERY_DAY); /* not all of it */
	start_process(true);
	steps(30);
	stream_status(world.stream, &status);
	assert_int_equal(status.state, STREAM_STOPPED);
	assert_int_equal(status.error, ERROR_DATA_LOSS);
	world.requests.requests[0].state = REBUILD_DONE;
	ask_all();
	world.requests.requests[1].state = REBUILD_RUNNING; /* begun before: what was done then lacks what is lost now */
	world.requests.requests[1].has_place = true;
	world.requests.requests[1].place = rows_address(CLIENTS);
	start_process(true);
	settle();
	check();
}

int main(int argc, char **argv)
{
	only_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(only_what_was_asked_for_is_made_anew, end),
		cmocka_unit_test_teardown(rows_of_somebody_who_filled_the_tables_before_us_stay, end),
		cmocka_unit_test_teardown(a_client_whose_batch_is_not_in_the_log_for_good_is_put_off, end),
		cmocka_unit_test_teardown(without_a_ledger_who_asks_is_told_so_and_pings_go_on, end),
		cmocka_unit_test_teardown(a_ledger_that_does_not_answer_puts_the_pass_aside_until_it_does, end),
		cmocka_unit_test_teardown(what_the_log_lost_stops_the_engine_until_all_of_it_is_to_be_rebuilt, end),
		cmocka_unit_test_teardown(whatever_was_damaged_is_a_plain_count_of_the_log_again, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
