/* The driver between log, engines and store, one behaviour at a time, on a clock that stands still until told. */
#include "stream/stream.h"
#include "unit/engine/rows.h"
#include "unit/stream/fake_log.h"
#include "unit/stream/fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#define NOW_MS	INT64_C(1728926331123)
#define OPEN_MS window_start_of(NOW_MS)
#define DAY_MS	INT64_C(86400000)

struct still_clock {
	struct clock clock;
	int64_t wall_ms, monotonic_us;
};

static int64_t still_wall_ms(struct clock *clock)
{
	return ((struct still_clock *)clock)->wall_ms;
}

static int64_t still_monotonic_us(struct clock *clock)
{
	return ((struct still_clock *)clock)->monotonic_us;
}

static struct still_clock still;
static struct random_seeded seeded;
static struct fake_log log_;
static struct fake_reader reader;
static struct fake_database database;
static struct fake_store store;
static struct stream *stream;
static struct error_note note;
static struct stream_status status;
static size_t seen_windows, seen_writes;

/* What the ports answer while it isn't DONE or OK. */
static enum fake_store_call bad_call;
static enum fake_fate bad_fate;
static enum fake_log_call bad_log_call;
static enum error bad_log_error;

static enum fake_fate store_fate(void *context, enum fake_store_call call)
{
	(void)context;
	return call == bad_call ? bad_fate : FAKE_DONE;
}

static enum error log_fault(void *context, enum fake_log_call call)
{
	(void)context;
	return call == bad_log_call ? bad_log_error : ERROR_OK;
}

static void on_written(void *context, const struct engine_dirty *dirty)
{
	assert_ptr_equal(context, &seen_writes);
	seen_windows += dirty->window_count;
	seen_writes++;
}

static enum error try_to_create(struct stream_config config)
{
	struct stream_ports ports = {&reader.reader, &store.store, &still.clock, &seeded.random, on_written, &seen_writes, NULL};
	return stream_create(&config, &ports, &stream, &note);
}

static void create(struct stream_config config)
{
	stream_destroy(stream);
	assert_int_equal(try_to_create(config), ERROR_OK);
}

static int setup(void **state)
{
	(void)state;
	still = (struct still_clock){{still_wall_ms, still_monotonic_us}, NOW_MS, 0};
	random_seeded_init(&seeded, 1);
	fake_log_init(&log_);
	fake_reader_init(&reader, &log_);
	reader.fault = log_fault;
	fake_database_init(&database);
	fake_store_init(&store, &database);
	store.fate = store_fate;
	bad_fate = FAKE_DONE;
	bad_log_error = ERROR_OK;
	seen_windows = seen_writes = 0;
	note = (struct error_note){""};
	create((struct stream_config){0});
	fake_reader_assign(&reader, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stream_destroy(stream);
	stream = NULL;
	fake_reader_release(&reader);
	fake_log_release(&log_);
	fake_database_release(&database);
	return 0;
}

static void pass(int64_t ms)
{
	still.wall_ms += ms;
	still.monotonic_us += ms * 1000;
}

static void step(void)
{
	assert_int_equal(stream_step(stream, 100, &note), ERROR_OK);
}

static void steps(int count)
{
	for (int i = 0; i < count; i++)
		step();
}

/* Lets the flush interval pass. */
static void flush(void)
{
	pass(500);
	step();
}

static void ping(unsigned client, int64_t pinged_at_ms)
{
	struct address address = rows_address(client);
	fake_log_append(&log_, 0, &address, pinged_at_ms, NOW_MS);
}

static int64_t stored_count(unsigned client, int64_t start_ms)
{
	struct address address = rows_address(client);
	const struct fake_row *row = fake_database_find(&database, FAKE_WINDOW, &address, start_ms);
	return row == NULL ? 0 : row->row.window.count;
}

static const struct activity_row *stored_activity(unsigned client)
{
	struct address address = rows_address(client);
	const struct fake_row *row = fake_database_find(&database, FAKE_ACTIVITY, &address, 0);
	return row == NULL ? NULL : &row->row.activity;
}

static void crash_and_restart(void)
{
	create((struct stream_config){0});
	fake_reader_release(&reader);
	fake_reader_init(&reader, &log_);
	reader.fault = log_fault;
	fake_store_init(&store, &database);
	store.fate = store_fate;
	fake_reader_assign(&reader, 0);
	step();
}

static void the_log_becomes_rows_and_the_position_follows(void **state)
{
	(void)state;
	ping(1, OPEN_MS + 1);
	ping(1, OPEN_MS + 2);
	ping(2, OPEN_MS + 3);
	steps(2);
	flush();
	assert_int_equal(stored_count(1, OPEN_MS), 2);
	assert_int_equal(stored_count(2, OPEN_MS), 1);
	assert_int_equal(stored_activity(1)->count, 2);
	assert_int_equal(database.partitions[0].position, fake_log_end(&log_, 0));
	assert_int_equal(reader.committed[0], fake_log_end(&log_, 0));
}

static void rows_are_written_once_the_flush_interval_has_passed(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	steps(2);
	pass(499);
	step();
	assert_int_equal(stored_count(1, OPEN_MS), 0);
	pass(1);
	step();
	assert_int_equal(stored_count(1, OPEN_MS), 1);
}

static enum error each_poll_takes_a_second(void *context, enum fake_log_call call)
{
	(void)context;
	if (call == FAKE_POLL)
		pass(1000);
	return ERROR_OK;
}

static void finishing_works_off_what_is_left_while_there_is_time(void **state)
{
	(void)state;
	step(); /* its partition */
	reader.fault = each_poll_takes_a_second;
	for (unsigned i = 0; i < 1000; i++)
		ping(1, OPEN_MS);
	assert_int_equal(stream_finish(stream, 3000, &note), ERROR_OK);
	assert_int_equal(stored_count(1, OPEN_MS), 300); /* a hundred in a step: the rest is for whoever goes on */
	assert_int_equal(reader.committed[0], database.partitions[0].position);
	assert_int_equal(stream_finish(stream, 30000, &note), ERROR_OK);
	assert_int_equal(stored_count(1, OPEN_MS), 1000);
}

static void finishing_ends_where_the_store_is_away(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	steps(2);
	pass(500);
	bad_call = FAKE_WRITE;
	bad_fate = FAKE_REFUSED;
	uint64_t writes = store.calls[FAKE_WRITE];
	assert_int_equal(stream_finish(stream, 30000, &note), ERROR_UNAVAILABLE);
	assert_int_equal(store.calls[FAKE_WRITE], writes + 1);
}

static void far_behind_activities_that_are_due_wait_for_the_next_flush(void **state)
{
	(void)state;
	ping(2, OPEN_MS - 287 * WINDOW_MS);
	steps(2);
	flush();
	assert_non_null(stored_activity(2));
	still.wall_ms += WINDOW_MS; /* its only window has left */
	for (unsigned i = 0; i < 60000; i++)
		ping(1, OPEN_MS);
	for (int i = 0; i < 15; i++) {
		pass(1000);
		step();
	}
	assert_int_equal(stored_count(1, OPEN_MS), 0);
	assert_non_null(stored_activity(2));
	pass(20000);
	steps(2);
	assert_in_range(stored_count(1, OPEN_MS), 1000, 3000);
	assert_null(stored_activity(2));
}

static void the_flush_interval_is_at_most_half_of_the_staleness_allowed(void **state)
{
	(void)state;
	create((struct stream_config){.flush_interval_ms = 5000, .max_staleness_ms = 600});
	ping(1, OPEN_MS);
	steps(2);
	pass(300);
	step();
	assert_int_equal(stored_count(1, OPEN_MS), 1);
}

static void waiting_for_the_log_ends_when_a_flush_is_due(void **state)
{
	(void)state;
	steps(2);
	ping(1, OPEN_MS);
	step();
	pass(200);
	assert_int_equal(stream_step(stream, 10000, &note), ERROR_OK);
	assert_int_equal(reader.last_timeout_ms, 300);
}

static void a_partition_far_behind_is_written_less_often_until_it_has_caught_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 60000; i++)
		ping(1, OPEN_MS);
	steps(2);
	pass(19999);
	step();
	assert_int_equal(stored_count(1, OPEN_MS), 0);
	pass(1);
	step();
	assert_in_range(stored_count(1, OPEN_MS), 100, 300);
	reader.max_batch = 55000;
	step();
	pass(500);
	reader.max_batch = 1000;
	step(); /* some thousand are left, but not for long */
	assert_in_range(stored_count(1, OPEN_MS), 100, 300);
	reader.max_batch = 60000;
	step();
	step();
	assert_int_equal(stored_count(1, OPEN_MS), 60000);
}

static void a_partition_that_stays_a_little_behind_is_written(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 60000; i++)
		ping(1, OPEN_MS);
	steps(2);
	reader.max_batch = 55000;
	step();
	reader.max_batch = 1;
	pass(10001);
	step();
	assert_in_range(stored_count(1, OPEN_MS), 55000, 55999);
}

static void many_that_have_just_come_are_no_backlog(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 60000; i++)
		ping(1, OPEN_MS);
	steps(2);
	pass(500);
	step();
	assert_in_range(stored_count(1, OPEN_MS), 100, 300);
}

static void much_that_is_dirty_is_written_at_once(void **state)
{
	(void)state;
	create((struct stream_config){.max_dirty_rows = 30});
	for (unsigned i = 0; i < 10; i++)
		ping(i, OPEN_MS);
	steps(2);
	assert_int_equal(stored_count(9, OPEN_MS), 1);
}

static void a_batch_larger_than_the_cache_goes_through_it_in_rounds(void **state)
{
	(void)state;
	create((struct stream_config){.engine.max_rows = 9});
	for (unsigned i = 0; i < 80; i++)
		ping(i, OPEN_MS);
	steps(2);
	flush();
	for (unsigned i = 0; i < 80; i++)
		assert_int_equal(stored_count(i, OPEN_MS), 1);
	assert_int_equal(database.partitions[0].position, 80);
}

static size_t rows_after_many_clients(int32_t partitions, unsigned first)
{
	for (unsigned i = 0; i < 100; i++) {
		struct address address = rows_address(first + i);
		fake_log_append(&log_, (int32_t)i % partitions, &address, OPEN_MS, NOW_MS);
	}
	steps(4);
	flush();
	stream_status(stream, &status);
	return status.engine.rows;
}

static void the_rows_of_all_partitions_together_stay_below_the_limit(void **state)
{
	(void)state;
	create((struct stream_config){.engine.max_rows = 60});
	steps(1);
	assert_in_range(rows_after_many_clients(1, 0), 58, 60);
	fake_reader_assign(&reader, 1);
	steps(1);
	assert_in_range(rows_after_many_clients(2, 100), 56, 60);
	fake_reader_revoke(&reader, 1);
	steps(1);
	assert_in_range(rows_after_many_clients(1, 200), 58, 60);
}

static void a_round_reads_each_kind_of_row_in_one_call(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++)
		ping(i, OPEN_MS - 400 * WINDOW_MS);
	steps(2);
	assert_int_equal(store.calls[FAKE_READ_WINDOWS], 1);
	assert_int_equal(store.calls[FAKE_READ_DAYS], 1);
	assert_int_equal(store.calls[FAKE_READ_CLIENTS], 1);
}

static void after_a_crash_what_was_not_stored_is_replayed(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	steps(2);
	flush();
	ping(1, OPEN_MS + 1);
	step();
	crash_and_restart();
	step();
	flush();
	assert_int_equal(stored_count(1, OPEN_MS), 2);
	stream_status(stream, &status);
	assert_int_equal(status.engine.applied, 1);
}

static void a_position_that_moves_without_events_is_stored_too(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	steps(2);
	flush();
	fake_log_append_marker(&log_, 0);
	step();
	flush();
	assert_int_equal(database.partitions[0].position, 2);
	assert_int_equal(reader.committed[0], 2);
	stream_status(stream, &status);
	assert_int_equal(status.lag_events, 0);
}

static void when_nothing_happens_nothing_is_written(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	steps(2);
	for (int i = 0; i < 10; i++)
		flush();
	assert_int_equal(store.calls[FAKE_WRITE], 1);
}

static void fails(enum fake_store_call call, enum fake_fate fate)
{
	bad_call = call;
	bad_fate = fate;
	enum error error = ERROR_OK;
	for (int i = 0; i < 4 && error == ERROR_OK; i++) {
		error = stream_step(stream, 100, &note);
		pass(500);
	}
	assert_int_equal(error, ERROR_UNAVAILABLE);
	stream_status(stream, &status);
	assert_int_equal(status.state, STREAM_RETRYING);
	assert_string_equal(status.note.text, "the store does not answer");
	bad_fate = FAKE_DONE;
	pass(5000);
	steps(4);
	flush();
	stream_status(stream, &status);
	assert_int_equal(status.state, STREAM_RUNNING);
}

static void whatever_call_of_the_store_fails_no_ping_is_lost_or_doubled(void **state)
{
	static const enum fake_store_call calls[] = {FAKE_TAKE, FAKE_READ_WINDOWS, FAKE_READ_DAYS, FAKE_READ_CLIENTS, FAKE_WRITE};
	static const enum fake_fate fates[] = {FAKE_REFUSED, FAKE_REPLY_LOST, FAKE_LATE};
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		for (size_t j = 0; j < sizeof fates / sizeof fates[0]; j++) {
			ping(1, OPEN_MS);
			ping(2, OPEN_MS - 400 * WINDOW_MS);
			fails(calls[i], fates[j]);
			assert_int_equal(stored_count(1, OPEN_MS), 1);
			assert_int_equal(stored_count(2, OPEN_MS - 400 * WINDOW_MS), 1);
			while (database.late_count > 0)
				fake_database_land(&database, 0);
			assert_int_equal(stored_count(1, OPEN_MS), 1);
			assert_int_equal(database.partitions[0].position, 2);
			teardown(state);
			setup(state);
		}
	}
}

static void a_log_that_fails_is_asked_again(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	steps(1);
	bad_log_call = FAKE_POLL;
	bad_log_error = ERROR_IO;
	assert_int_equal(stream_step(stream, 100, &note), ERROR_IO);
	assert_string_equal(note.text, "the log says IO");
	bad_log_error = ERROR_OK;
	pass(100);
	step();
	flush();
	assert_int_equal(stored_count(1, OPEN_MS), 1);
}

static void the_pause_between_tries_doubles_up_to_5_seconds_and_nothing_is_called_in_it(void **state)
{
	(void)state;
	static const int pauses_ms[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
	bad_call = FAKE_TAKE;
	bad_fate = FAKE_REFUSED;
	for (size_t i = 0; i < sizeof pauses_ms / sizeof pauses_ms[0]; i++) {
		assert_int_equal(stream_step(stream, 100, &note), ERROR_UNAVAILABLE);
		assert_int_equal(stream_pause_ms(stream), pauses_ms[i]);
		pass(pauses_ms[i] - 1);
		note.text[0] = '\0';
		assert_int_equal(stream_step(stream, 100, &note), ERROR_UNAVAILABLE);
		assert_string_equal(note.text, "the store does not answer");
		assert_int_equal(store.calls[FAKE_TAKE], i + 1);
		pass(1);
		assert_int_equal(stream_pause_ms(stream), 0);
	}
	bad_fate = FAKE_DONE;
	step();
	assert_int_equal(stream_pause_ms(stream), 0);
}

static void the_status_says_since_when_it_retries(void **state)
{
	(void)state;
	bad_call = FAKE_TAKE;
	bad_fate = FAKE_REFUSED;
	pass(7);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(stream_step(stream, 100, &note), ERROR_UNAVAILABLE);
		pass(5000);
	}
	stream_status(stream, &status);
	assert_string_equal(stream_state_name(status.state), "retrying");
	assert_int_equal(status.since_ms, NOW_MS + 7);
	bad_fate = FAKE_DONE;
	step();
	stream_status(stream, &status);
	assert_string_equal(stream_state_name(status.state), "running");
	assert_int_equal(status.error, ERROR_OK);
	assert_int_equal(status.since_ms, still.wall_ms);
}

static void assert_stopped(enum error error, const char *text)
{
	assert_int_equal(stream_step(stream, 100, &note), error);
	assert_string_equal(note.text, text);
	stream_status(stream, &status);
	assert_string_equal(stream_state_name(status.state), "stopped");
	uint64_t takes = store.calls[FAKE_TAKE];
	pass(3600000);
	assert_int_equal(stream_step(stream, 100, &note), error);
	assert_int_equal(store.calls[FAKE_TAKE], takes);
	assert_true(stream_pause_ms(stream) > 0);
}

static void metrics_of_another_log_stop_it(void **state)
{
	(void)state;
	step();
	memcpy(log_.identity, "another log", 12);
	fake_reader_assign(&reader, 0);
	assert_stopped(ERROR_FAILED_PRECONDITION, "the metrics came from another log; rebuild");
}

static void a_log_that_begins_behind_the_position_stops_it(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	fake_log_trim(&log_, 0, 1);
	assert_stopped(ERROR_DATA_LOSS, "the log begins behind the store's position; rebuild");
}

static void events_removed_before_they_were_read_stop_it(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	step();
	step();
	ping(1, OPEN_MS + 1);
	fake_log_trim(&log_, 0, fake_log_end(&log_, 0));
	assert_stopped(ERROR_DATA_LOSS, "events were removed before they were read; rebuild");
}

static void a_fenced_partition_is_dropped_and_the_others_go_on(void **state)
{
	(void)state;
	fake_reader_assign(&reader, 1);
	steps(2);
	struct fake_store successor;
	fake_store_init(&successor, &database);
	int64_t position;
	assert_int_equal(successor.store.vtable->take(&successor.store, 0, log_.identity, &position, NULL), ERROR_OK);
	ping(1, OPEN_MS);
	struct address other = rows_address(2);
	fake_log_append(&log_, 1, &other, OPEN_MS, NOW_MS);
	steps(2);
	pass(500);
	enum error first = stream_step(stream, 100, &note), second = stream_step(stream, 100, &note);
	assert_true(first == ERROR_FENCED || second == ERROR_FENCED);
	ping(1, OPEN_MS);
	steps(2);
	flush();
	assert_int_equal(stored_count(1, OPEN_MS), 0);
	assert_int_equal(stored_count(2, OPEN_MS), 1);
	stream_status(stream, &status);
	assert_int_equal(status.state, STREAM_RUNNING);
	assert_int_equal(status.error, ERROR_FENCED);
	assert_int_equal(status.fenced, 1);
	assert_int_equal(status.partition_count, 1);

	fake_reader_assign(&reader, 0);
	steps(2);
	flush();
	assert_int_equal(stored_count(1, OPEN_MS), 2);
	stream_status(stream, &status);
	assert_int_equal(status.error, ERROR_OK);
}

/* Partition 0 is taken as by an engine that slept in the middle of taking it, when it was its own; then a ping comes, and the
 * stream hears of it. */
static void lose_to_a_sleeper(struct fake_store *sleeper)
{
	int64_t position;
	steps(2);
	fake_store_init(sleeper, &database);
	assert_int_equal(sleeper->store.vtable->take(&sleeper->store, 0, log_.identity, &position, NULL), ERROR_OK);
	ping(1, OPEN_MS);
	steps(2);
	pass(500);
	assert_int_equal(stream_step(stream, 100, &note), ERROR_FENCED);
}

static void a_partition_that_the_log_does_not_take_away_is_taken_again(void **state)
{
	(void)state;
	struct fake_store sleeper;
	lose_to_a_sleeper(&sleeper);
	ping(1, OPEN_MS);
	pass(4000);
	steps(4);
	stream_status(stream, &status);
	assert_int_equal(status.fenced, 1);
	assert_int_equal(status.partition_count, 0); /* who was assigned it anew has the time to hear so */

	pass(1500);
	steps(4);
	flush();
	stream_status(stream, &status);
	assert_int_equal(status.partition_count, 1);
	assert_int_equal(status.error, ERROR_OK);
	assert_int_equal(stored_count(1, OPEN_MS), 2);
}

static void a_fenced_partition_that_the_log_takes_away_is_not_taken_again(void **state)
{
	(void)state;
	struct fake_store sleeper;
	lose_to_a_sleeper(&sleeper);
	fake_reader_lose(&reader, 0);
	pass(20000);
	steps(4);
	stream_status(stream, &status);
	assert_int_equal(status.fenced, 1);
	assert_int_equal(status.assigned, 1);
	assert_int_equal(status.partition_count, 0);
}

static void assert_waits(void)
{
	assert_int_equal(stream_step(stream, 100, &note), ERROR_HELD);
	assert_string_equal(note.text, "another kind is at work");
	stream_status(stream, &status);
	assert_string_equal(stream_state_name(status.state), "waiting");
	assert_int_equal(status.partition_count, 0);
	assert_int_equal(stream_pause_ms(stream), 1000);
}

static void while_another_kind_of_engine_is_at_work_it_is_no_reader_of_the_log(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	database.held = true;
	for (int i = 0; i < 100; i++) {
		assert_waits();
		pass(1000);
	}
	assert_int_equal(reader.queued, 0);
	assert_int_equal(store.calls[FAKE_TAKE], 0);

	database.held = false;
	fake_reader_assign(&reader, 0); /* as to any that joins */
	steps(2);
	flush();
	assert_int_equal(stored_count(1, OPEN_MS), 1);
	stream_status(stream, &status);
	assert_int_equal(status.state, STREAM_RUNNING);
	assert_int_equal(status.error, ERROR_OK);
}

static void another_kind_that_comes_while_partitions_are_taken_has_them_all(void **state)
{
	(void)state;
	fake_reader_assign(&reader, 1);
	ping(1, OPEN_MS);
	step();
	database.held = true;
	assert_waits();
	assert_int_equal(reader.leaves, 1);
	assert_int_equal(database.writes, 0);
	pass(1000);
	assert_waits();
}

static void a_partition_that_another_kind_has_taken_makes_it_wait(void **state)
{
	(void)state;
	step();
	struct fake_store successor;
	fake_store_init(&successor, &database);
	int64_t position;
	assert_int_equal(successor.store.vtable->take(&successor.store, 0, log_.identity, &position, NULL), ERROR_OK);
	database.held = true;
	ping(1, OPEN_MS);
	step();
	pass(500);
	assert_int_equal(stream_step(stream, 100, &note), ERROR_FENCED);
	assert_waits();
	assert_int_equal(reader.leaves, 1);

	database.held = false;
	pass(20000);
	steps(4);
	stream_status(stream, &status);
	assert_int_equal(status.state, STREAM_RUNNING);
	assert_int_equal(status.partition_count, 0); /* the log gives it, when it is joined again */
}

static void a_commit_that_the_log_refuses_is_counted_and_said_again(void **state)
{
	(void)state;
	bad_log_call = FAKE_COMMIT;
	bad_log_error = ERROR_UNAVAILABLE;
	ping(1, OPEN_MS);
	steps(2);
	flush();
	assert_int_equal(database.partitions[0].position, 1);
	assert_int_equal(reader.committed[0], POSITION_NONE);
	stream_status(stream, &status);
	assert_int_equal(status.commit_failures, 1);
	assert_int_equal(status.state, STREAM_RUNNING);
	bad_log_error = ERROR_OK;
	ping(1, OPEN_MS);
	step();
	flush();
	assert_int_equal(reader.committed[0], 2);
}

static void a_revoked_partition_is_flushed_and_forgotten(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	steps(2);
	fake_reader_revoke(&reader, 0);
	step();
	assert_int_equal(stored_count(1, OPEN_MS), 1);
	assert_int_equal(reader.committed[0], 1);
	stream_status(stream, &status);
	assert_int_equal(status.partition_count, 0);
	assert_int_equal(status.engine.applied, 1);
}

static void a_revoked_partition_is_forgotten_also_when_it_cannot_be_flushed(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	steps(2);
	bad_call = FAKE_WRITE;
	bad_fate = FAKE_REFUSED;
	fake_reader_revoke(&reader, 0);
	assert_int_equal(stream_step(stream, 100, &note), ERROR_UNAVAILABLE);
	pass(100);
	step();
	assert_int_equal(store.calls[FAKE_WRITE], 1);
	stream_status(stream, &status);
	assert_int_equal(status.partition_count, 0);
}

static void a_lost_partition_is_forgotten_without_a_write(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	steps(2);
	fake_reader_lose(&reader, 0);
	step();
	flush();
	assert_int_equal(store.calls[FAKE_WRITE], 0);
	stream_status(stream, &status);
	assert_int_equal(status.partition_count, 0);
}

static void a_partition_assigned_again_starts_from_what_is_stored(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	steps(2);
	fake_reader_assign(&reader, 0);
	step();
	stream_status(stream, &status);
	assert_int_equal(status.partition_count, 1);
	assert_int_equal(status.partitions[0].applied_position, POSITION_NONE);
	step();
	flush();
	assert_int_equal(stored_count(1, OPEN_MS), 1);
}

static void activities_that_are_due_are_derived_again_while_it_idles(void **state)
{
	(void)state;
	ping(1, OPEN_MS - 200 * WINDOW_MS);
	ping(1, OPEN_MS);
	ping(2, OPEN_MS - 200 * WINDOW_MS);
	steps(2);
	flush();
	assert_int_equal(stored_activity(1)->count, 2);
	pass(100 * WINDOW_MS);
	steps(2);
	assert_int_equal(stored_activity(1)->count, 1);
	assert_int_equal(stored_activity(1)->start_ms, activity_start_of(still.wall_ms));
	assert_null(stored_activity(2));
	stream_status(stream, &status);
	assert_int_equal(status.refreshed, 2);
}

static void many_due_activities_take_many_steps(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 600; i++) {
		struct address client = address_from_ipv4((const uint8_t[4]){10, 0, (uint8_t)(i >> 8), (uint8_t)i});
		fake_log_append(&log_, 0, &client, OPEN_MS, NOW_MS);
	}
	steps(8);
	flush();
	pass(DAY_MS + WINDOW_MS);
	step();
	stream_status(stream, &status);
	assert_int_equal(status.refreshed, 256);
	steps(6);
	stream_status(stream, &status);
	assert_int_equal(status.refreshed, 600);
	for (size_t i = 0; i < database.count; i++)
		assert_true(database.rows[i].kind != FAKE_ACTIVITY || database.rows[i].row.activity.due_ms == 0);
}

static void a_refresh_whose_reads_fail_is_finished_later(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	steps(2);
	flush();
	pass(DAY_MS + WINDOW_MS);
	bad_call = FAKE_READ_CLIENTS;
	bad_fate = FAKE_REFUSED;
	assert_int_equal(stream_step(stream, 100, &note), ERROR_UNAVAILABLE);
	bad_fate = FAKE_DONE;
	ping(1, still.wall_ms);
	pass(100);
	steps(2);
	flush();
	assert_int_equal(stored_activity(1)->count, 1);
	assert_int_equal(stored_count(1, window_start_of(still.wall_ms - 600)), 1);
}

static void windows_past_their_retention_are_pruned_in_small_steps(void **state)
{
	(void)state;
	create((struct stream_config){.engine.window_retention_ms = 10 * DAY_MS});
	for (unsigned i = 0; i < 300; i++)
		ping(1, OPEN_MS - i * WINDOW_MS);
	steps(4);
	flush();
	pass(12 * DAY_MS);
	step();
	stream_status(stream, &status);
	assert_int_equal(status.pruned, 256);
	assert_int_equal(stream_step(stream, 0, NULL), ERROR_OK); /* too soon */
	stream_status(stream, &status);
	assert_int_equal(status.pruned, 256);
	assert_int_equal(stream_step(stream, 1000, NULL), ERROR_OK);
	assert_in_range(reader.last_timeout_ms, 1, 20);
	pass(20);
	step();
	stream_status(stream, &status);
	assert_int_equal(status.pruned, 300);
	assert_int_equal(stored_count(1, OPEN_MS), 0);
}

static int sweeps;
static bool sweep_is_urgent;
static int sweep_ms;

static bool sweep_for_a_time(void *context)
{
	(void)context;
	sweeps++;
	pass(sweep_ms);
	return sweep_is_urgent;
}

static void make_sweeps_take(int ms, bool urgent)
{
	store.swept = sweep_for_a_time;
	sweep_ms = ms;
	sweep_is_urgent = urgent;
	steps(2);
}

static void sweep_step(int timeout_ms, int want)
{
	sweeps = 0;
	assert_int_equal(stream_step(stream, timeout_ms, &note), ERROR_OK);
	assert_int_equal(sweeps, want);
}

static void a_sweep_in_a_hurry_takes_a_part_of_the_time_and_less_of_it_while_events_wait(void **state)
{
	(void)state;
	make_sweeps_take(20, false);
	pass(1000);
	sweep_step(0, 1);
	sweep_step(0, 0); /* once a second */
	pass(1000);
	sweep_is_urgent = true;
	sweep_step(0, 3); /* 50 ms and what is begun */
	sweep_step(1000, 0);
	assert_int_equal(reader.last_timeout_ms, 60); /* nothing waits: as long as it took */
	pass(60);
	reader.max_batch = 1;
	for (int i = 0; i < 4; i++)
		ping(1, OPEN_MS + i);
	sweep_step(0, 3); /* pings wait in the log */
	pass(539);
	sweep_step(0, 0);
	pass(1);
	sweep_is_urgent = false;
	sweep_step(0, 1);
	pass(999);
	sweep_step(0, 0);
}

/* The store was away meanwhile. */
static void behind_a_page_that_took_long_the_next_one_is_not_far(void **state)
{
	(void)state;
	make_sweeps_take(36000, true);
	reader.max_batch = 1;
	for (int i = 0; i < 20; i++)
		ping(1, OPEN_MS + i);
	pass(20000);
	sweep_step(0, 1);
	pass(9999);
	sweep_step(0, 0);
	pass(1);
	sweep_step(0, 1);
}

static void what_was_written_is_shown_to_whoever_watches(void **state)
{
	(void)state;
	ping(1, OPEN_MS);
	ping(2, OPEN_MS);
	steps(2);
	assert_int_equal(seen_writes, 0);
	flush();
	assert_int_equal(seen_writes, 1);
	assert_int_equal(seen_windows, 2);
}

static void the_status_tells_positions_and_lag(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 150; i++)
		ping(1, OPEN_MS);
	steps(2);
	stream_status(stream, &status);
	assert_int_equal(status.partition_count, 1);
	assert_int_equal(status.partitions[0].applied_position, 100);
	assert_int_equal(status.partitions[0].stored_position, POSITION_NONE);
	assert_int_equal(status.partitions[0].end_position, 150);
	assert_int_equal(status.lag_events, 50);
	assert_int_equal(status.newest_applied_ms, NOW_MS);
	assert_int_equal(status.engine.applied, 100);
	step();
	stream_status(stream, &status);
	assert_int_equal(status.lag_events, 0);
}

static void *ask_for_the_status(void *context)
{
	struct stream_status mine;
	(void)context;
	for (int i = 0; i < 1000; i++) {
		stream_status(stream, &mine);
		assert_int_equal(mine.state, STREAM_RUNNING);
	}
	return NULL;
}

static void the_status_can_be_asked_for_by_any_thread(void **state)
{
	(void)state;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, ask_for_the_status, NULL), 0);
	for (unsigned i = 0; i < 200; i++) {
		ping(i % 5, OPEN_MS);
		flush();
	}
	pthread_join(thread, NULL);
	stream_status(stream, &status);
	assert_int_equal(status.engine.applied, 200);
}

static void a_flush_on_demand_writes_everything(void **state)
{
	(void)state;
	fake_reader_assign(&reader, 1);
	ping(1, OPEN_MS);
	struct address other = rows_address(2);
	fake_log_append(&log_, 1, &other, OPEN_MS, NOW_MS);
	steps(4);
	assert_int_equal(stream_flush(stream, &note), ERROR_OK);
	assert_int_equal(stored_count(1, OPEN_MS), 1);
	assert_int_equal(stored_count(2, OPEN_MS), 1);
	assert_int_equal(reader.committed[0], 1);
	assert_int_equal(reader.committed[1], 1);
}

static void a_retention_that_cuts_into_the_24_hours_is_refused(void **state)
{
	(void)state;
	stream_destroy(stream);
	stream = NULL;
	assert_int_equal(try_to_create((struct stream_config){.engine.window_retention_ms = DAY_MS}), ERROR_INVALID_ARGUMENT);
	assert_non_null(strstr(note.text, "25 hours"));
	assert_null(stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_log_becomes_rows_and_the_position_follows),
		TEST(rows_are_written_once_the_flush_interval_has_passed),
		TEST(finishing_works_off_what_is_left_while_there_is_time),
		TEST(finishing_ends_where_the_store_is_away),
		TEST(far_behind_activities_that_are_due_wait_for_the_next_flush),
		TEST(the_flush_interval_is_at_most_half_of_the_staleness_allowed),
		TEST(waiting_for_the_log_ends_when_a_flush_is_due),
		TEST(a_partition_far_behind_is_written_less_often_until_it_has_caught_up),
		TEST(a_partition_that_stays_a_little_behind_is_written),
		TEST(many_that_have_just_come_are_no_backlog),
		TEST(much_that_is_dirty_is_written_at_once),
		TEST(a_batch_larger_than_the_cache_goes_through_it_in_rounds),
		TEST(the_rows_of_all_partitions_together_stay_below_the_limit),
		TEST(a_round_reads_each_kind_of_row_in_one_call),
		TEST(after_a_crash_what_was_not_stored_is_replayed),
		TEST(a_position_that_moves_without_events_is_stored_too),
		TEST(when_nothing_happens_nothing_is_written),
		TEST(whatever_call_of_the_store_fails_no_ping_is_lost_or_doubled),
		TEST(a_log_that_fails_is_asked_again),
		TEST(the_pause_between_tries_doubles_up_to_5_seconds_and_nothing_is_called_in_it),
		TEST(the_status_says_since_when_it_retries),
		TEST(metrics_of_another_log_stop_it),
		TEST(a_log_that_begins_behind_the_position_stops_it),
		TEST(events_removed_before_they_were_read_stop_it),
		TEST(a_fenced_partition_is_dropped_and_the_others_go_on),
		TEST(a_partition_that_the_log_does_not_take_away_is_taken_again),
		TEST(a_fenced_partition_that_the_log_takes_away_is_not_taken_again),
		TEST(while_another_kind_of_engine_is_at_work_it_is_no_reader_of_the_log),
		TEST(another_kind_that_comes_while_partitions_are_taken_has_them_all),
		TEST(a_partition_that_another_kind_has_taken_makes_it_wait),
		TEST(a_commit_that_the_log_refuses_is_counted_and_said_again),
		TEST(a_revoked_partition_is_flushed_and_forgotten),
		TEST(a_revoked_partition_is_forgotten_also_when_it_cannot_be_flushed),
		TEST(a_lost_partition_is_forgotten_without_a_write),
		TEST(a_partition_assigned_again_starts_from_what_is_stored),
		TEST(activities_that_are_due_are_derived_again_while_it_idles),
		TEST(many_due_activities_take_many_steps),
		TEST(a_refresh_whose_reads_fail_is_finished_later),
		TEST(windows_past_their_retention_are_pruned_in_small_steps),
		TEST(a_sweep_in_a_hurry_takes_a_part_of_the_time_and_less_of_it_while_events_wait),
		TEST(behind_a_page_that_took_long_the_next_one_is_not_far),
		TEST(what_was_written_is_shown_to_whoever_watches),
		TEST(the_status_tells_positions_and_lag),
		TEST(the_status_can_be_asked_for_by_any_thread),
		TEST(a_flush_on_demand_writes_everything),
		TEST(a_retention_that_cuts_into_the_24_hours_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
