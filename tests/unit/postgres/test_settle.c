/* Settling a batch whose owner's old connection is still at it: what it does in the end is what settling tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "database.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>

static struct database database;
static struct slot_ledger *ledger;
static struct publish_slot slot;
static PGconn *old; /* the connection that was given up, as the server still has it */

static ExecStatusType on_old(const char *text)
{
	PGresult *result = PQexec(old, text);
	ExecStatusType status = PQresultStatus(result);
	PQclear(result);
	return status;
}

/* The batch 1 of the slot, without its COMMIT. */
static void begin_batch_on_old(void)
{
	char text[256];
	snprintf(text, sizeof text,
		 "BEGIN; SELECT publisher_slot_move(%d, %lld, 1, gen_random_uuid(), '10 s');"
		 "INSERT INTO pings (pinged_at, client_ip, slot, batch_seq) VALUES (now(), '10.0.0.1', %d, 1)",
		 slot.slot, (long long)slot.epoch, slot.slot);
	assert_int_equal(on_old(text), PGRES_COMMAND_OK);
}

static void *settle(void *context)
{
	*(enum error *)context = ledger->vtable->settle(ledger, &slot, NULL);
	return NULL;
}

/* Settles in a thread; ends the old transaction only once that waits for it. */
static void settle_over(const char *end)
{
	enum { TRIES = 3000 };
	pthread_t thread;
	enum error error = ERROR_INTERNAL;
	begin_batch_on_old();
	assert_int_equal(pthread_create(&thread, NULL, settle, &error), 0);
	int waiting = 0;
	for (int i = 0; i < TRIES && waiting == 0; i++) {
		clock_sleep_ms(10);
		waiting = (int)database_number(&database, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
							  " AND query LIKE 'UPDATE publisher_slots%'");
	}
	assert_int_equal(waiting, 1);
	on_old(end);
	pthread_join(thread, NULL);
	assert_int_equal(error, ERROR_OK);
}

static void a_transaction_that_commits_at_last_is_waited_for_and_told(void **state)
{
	(void)state;
	settle_over("COMMIT");
	assert_int_equal(slot.batch_seq, 1);
	assert_int_equal(database_number(&database, "SELECT count(*) FROM pings"), 1);
}

static void a_transaction_that_ends_without_is_told_too(void **state)
{
	(void)state;
	settle_over("ROLLBACK");
	assert_int_equal(slot.batch_seq, 0);
	assert_int_equal(database_number(&database, "SELECT count(*) FROM pings"), 0);
}

static void what_comes_late_from_the_old_connection_raises(void **state)
{
	(void)state;
	struct publish_slot before = slot;
	assert_int_equal(ledger->vtable->settle(ledger, &slot, NULL), ERROR_OK);
	char text[128];
	snprintf(text, sizeof text, "SELECT publisher_slot_move(%d, %lld, 1, gen_random_uuid(), '10 s')", before.slot,
		 (long long)before.epoch);
	assert_int_equal(on_old(text), PGRES_FATAL_ERROR);
}

static void a_frozen_transaction_is_ended_by_the_server(void **state)
{
	(void)state;
	on_old("SET idle_in_transaction_session_timeout = 1000");
	begin_batch_on_old();
	assert_int_equal(ledger->vtable->settle(ledger, &slot, NULL), ERROR_OK);
	assert_int_equal(slot.batch_seq, 0);
	assert_int_equal(on_old("COMMIT"), PGRES_FATAL_ERROR);
}

static int begin(void **state)
{
	(void)state;
	database_make(&database, true);
	assert_int_equal(postgres_slot_ledger_open(&database.config, &ledger), ERROR_OK);
	assert_int_equal(ledger->vtable->take(ledger, PUBLISH_TAKE_ANY, &slot, NULL), ERROR_OK);
	old = PQconnectdb(database.url);
	assert_int_equal(PQstatus(old), CONNECTION_OK);
	return 0;
}

static int end(void **state)
{
	(void)state;
	PQfinish(old);
	ledger->vtable->close(ledger);
	database_drop(&database);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_transaction_that_commits_at_last_is_waited_for_and_told),
		TEST(a_transaction_that_ends_without_is_told_too),
		TEST(what_comes_late_from_the_old_connection_raises),
		TEST(a_frozen_transaction_is_ended_by_the_server),
	};
	return cmocka_run_group_tests_name("settle", tests, NULL, NULL);
}
