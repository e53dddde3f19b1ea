#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/log_contract.h"

#include <pthread.h>

#define NOW_MS INT64_C(1728926331000)
/* Longer than a test may run: who is not woken fails by that. */
enum { LONG_MS = 3600000 };

static struct log_contract *suite;

static struct address client(unsigned number)
{
	const uint8_t bytes[4] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
	return address_from_ipv4(bytes);
}

static void append(unsigned number, int64_t first_ms, size_t count)
{
	struct address address = client(number);
	suite->append(suite, &address, first_ms, NOW_MS, count);
}

static struct log_event poll_log(int timeout_ms)
{
	struct error_note note = {""};
	struct log_event event;
	enum error error = suite->log->vtable->poll(suite->log, timeout_ms, &event, &note);
	if (error != ERROR_OK)
		fail_msg("poll: %s: %s", error_name(error), note.text);
	return event;
}

static void seek(int64_t position)
{
	assert_int_equal(suite->log->vtable->seek(suite->log, 0, position, NULL), ERROR_OK);
}

static void assign_from(int64_t position)
{
	assert_int_equal(poll_log(LONG_MS).kind, LOG_ASSIGNED);
	seek(position);
}

/* A batch may bring nothing but that the partition has moved on: past what is no event. */
static void assert_no_more_events(void)
{
	struct log_event event;
	while ((event = poll_log(suite->settle_ms)).kind == LOG_BATCH)
		assert_int_equal(event.count, 0);
	assert_int_equal(event.kind, LOG_IDLE);
}

/* Reads `count` events of the client, whose times and positions must grow; the position of the last. */
static int64_t read_events(unsigned number, int64_t first_ms, size_t count)
{
	struct address address = client(number);
	int64_t position = POSITION_NONE;
	for (size_t seen = 0; seen < count;) {
		struct log_event event = poll_log(LONG_MS);
		assert_int_equal(event.kind, LOG_BATCH);
		assert_int_equal(event.partition, 0);
		assert_true(event.count <= count - seen);
		for (size_t i = 0; i < event.count; i++, seen++) {
			assert_true(address_equal(&event.events[i].client, &address));
			assert_int_equal(event.events[i].pinged_at_ms, first_ms + (int64_t)seen);
			assert_true(event.events[i].position > position);
			position = event.events[i].position;
		}
		assert_true(event.applied_position >= position);
		assert_true(event.end_position >= event.applied_position);
		if (event.count > 0 && !suite->own_clock)
			assert_int_equal(event.newest_received_ms, NOW_MS);
		assert_int_equal(event.newest_received_ms > 0, event.count > 0);
	}
	return position;
}

static void the_partition_is_assigned_once_and_first(void **state)
{
	(void)state;
	append(1, NOW_MS, 1);
	struct log_event event = poll_log(LONG_MS);
	assert_int_equal(event.kind, LOG_ASSIGNED);
	assert_int_equal(event.partition, 0);
	seek(POSITION_NONE);
	assert_int_equal(poll_log(LONG_MS).kind, LOG_BATCH);
	assert_no_more_events();
}

static void an_empty_log_is_idle(void **state)
{
	(void)state;
	assign_from(POSITION_NONE);
	assert_int_equal(poll_log(0).kind, LOG_IDLE);
	assert_int_equal(poll_log(1).kind, LOG_IDLE);
}

static void events_come_in_order_each_once(void **state)
{
	(void)state;
	assign_from(POSITION_NONE);
	append(1, NOW_MS, 100);
	append(1, NOW_MS + 100, 1);
	append(1, NOW_MS + 101, 50);
	read_events(1, NOW_MS, 151);
	assert_no_more_events();
	append(1, NOW_MS + 500, 3);
	read_events(1, NOW_MS + 500, 3);
}

static void more_than_fits_a_batch_comes_in_several(void **state)
{
	(void)state;
	assign_from(POSITION_NONE);
	append(1, NOW_MS, 20000);
	read_events(1, NOW_MS, 20000);
	assert_no_more_events();
}

static void the_end_is_known_before_it_is_reached(void **state)
{
	(void)state;
	append(1, NOW_MS, 20000);
	assign_from(POSITION_NONE);
	struct log_event event = poll_log(LONG_MS);
	int64_t end = event.end_position;
	while (event.kind == LOG_BATCH) {
		assert_int_equal(event.end_position, end);
		if (event.applied_position == end)
			break;
		event = poll_log(LONG_MS);
	}
	assert_int_equal(event.applied_position, end);
}

static void reading_goes_on_behind_the_position_sought(void **state)
{
	(void)state;
	append(1, NOW_MS, 10);
	assign_from(POSITION_NONE);
	struct log_event event = poll_log(LONG_MS);
	assert_int_equal(event.count, 10);
	int64_t fourth = event.events[3].position;
	seek(fourth);
	read_events(1, NOW_MS + 4, 6);
	suite->reopen(suite);
	assign_from(fourth);
	read_events(1, NOW_MS + 4, 6);
}

static void at_its_end_the_log_has_nothing_more(void **state)
{
	(void)state;
	append(1, NOW_MS, 10);
	assign_from(POSITION_NONE);
	int64_t last = read_events(1, NOW_MS, 10);
	suite->reopen(suite);
	assign_from(last);
	assert_no_more_events();
}

static void a_position_beyond_the_end_is_refused_with_a_way_out(void **state)
{
	(void)state;
	append(1, NOW_MS, 10);
	assign_from(POSITION_NONE);
	int64_t end = poll_log(LONG_MS).end_position;
	struct error_note note = {""};
	assert_int_equal(suite->log->vtable->seek(suite->log, 0, end + 1, &note), ERROR_FAILED_PRECONDITION);
	assert_true(note.text[0] != 0);
	seek(end);
}

static void a_commit_changes_nothing_for_the_reader(void **state)
{
	(void)state;
	append(1, NOW_MS, 10);
	assign_from(POSITION_NONE);
	assert_int_equal(suite->log->vtable->commit(suite->log, 0, POSITION_NONE, NULL), ERROR_OK);
	int64_t last = read_events(1, NOW_MS, 10);
	assert_int_equal(suite->log->vtable->commit(suite->log, 0, last, NULL), ERROR_OK);
	assert_no_more_events();
}

static void the_identity_stays_until_the_log_is_made_anew(void **state)
{
	(void)state;
	uint8_t first[16], second[16];
	assert_int_equal(suite->log->vtable->identity(suite->log, first, NULL), ERROR_OK);
	suite->reopen(suite);
	assert_int_equal(suite->log->vtable->identity(suite->log, second, NULL), ERROR_OK);
	assert_memory_equal(first, second, sizeof first);
	suite->replace(suite);
	assert_int_equal(suite->log->vtable->identity(suite->log, second, NULL), ERROR_OK);
	assert_memory_not_equal(first, second, sizeof first);
}

static void *append_from_a_thread(void *context)
{
	(void)context;
	append(1, NOW_MS, 3);
	return NULL;
}

static void a_waiting_poll_wakes_when_events_come(void **state)
{
	(void)state;
	assign_from(POSITION_NONE);
	for (int i = 0; i < 20; i++) {
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, append_from_a_thread, NULL), 0);
		read_events(1, NOW_MS, 3);
		assert_int_equal(pthread_join(thread, NULL), 0);
	}
}

static int begin(void **state)
{
	(void)state;
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

int log_contract_run(struct log_contract *contract)
{
	const struct CMUnitTest tests[] = {
		TEST(the_partition_is_assigned_once_and_first), TEST(an_empty_log_is_idle),
		TEST(events_come_in_order_each_once),		TEST(more_than_fits_a_batch_comes_in_several),
		TEST(the_end_is_known_before_it_is_reached),	TEST(reading_goes_on_behind_the_position_sought),
		TEST(at_its_end_the_log_has_nothing_more),	TEST(a_position_beyond_the_end_is_refused_with_a_way_out),
		TEST(a_commit_changes_nothing_for_the_reader),	TEST(the_identity_stays_until_the_log_is_made_anew),
		TEST(a_waiting_poll_wakes_when_events_come),
	};
	suite = contract;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
