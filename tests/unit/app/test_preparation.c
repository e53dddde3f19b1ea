#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/preparation.h"
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

enum { PATIENCE_MS = 120000 };

/* Fails `failures` times, then says `last`. */
struct server {
	int failures;
	enum error last;
	atomic_int attempts, told, ended;
};

static enum error attempt(void *context, struct error_note *note)
{
	struct server *server = context;
	int number = atomic_fetch_add(&server->attempts, 1);
	return error_noted(note, number < server->failures ? ERROR_UNAVAILABLE : server->last, "attempt %d", number);
}

static void told(void *context, enum error error, bool ended, const struct error_note *note)
{
	struct server *server = context;
	assert_true(note->text[0] != 0);
	assert_true(ended || error == ERROR_UNAVAILABLE);
	atomic_fetch_add(&server->told, 1);
	atomic_fetch_add(&server->ended, ended);
}

static struct preparation *start(struct server *server)
{
	struct preparation *preparation = NULL;
	const struct preparation_config config = {.what = "server", .attempt = attempt, .told = told, .context = server};
	assert_int_equal(preparation_start(&config, &preparation), ERROR_OK);
	return preparation;
}

static void it_is_tried_until_it_is_done(void **state)
{
	(void)state;
	struct server server = {.failures = 3, .last = ERROR_OK};
	struct preparation *preparation = start(&server);
	assert_int_equal(preparation_wait(&preparation, 1, PATIENCE_MS, NULL), ERROR_OK);
	assert_int_equal(server.attempts, 4);
	assert_int_equal(server.told, 4);
	assert_int_equal(server.ended, 1);
	preparation_stop(preparation);
}

static void what_only_a_person_can_mend_ends_it(void **state)
{
	(void)state;
	struct server server = {.failures = 1, .last = ERROR_SCHEMA_NEWER};
	struct preparation *preparation = start(&server);
	struct error_note note;
	assert_int_equal(preparation_wait(&preparation, 1, PATIENCE_MS, &note), ERROR_SCHEMA_NEWER);
	assert_string_equal(note.text, "attempt 1");
	assert_int_equal(server.attempts, 2);
	preparation_stop(preparation);
}

static void one_that_failed_counts_more_than_one_that_still_waits(void **state)
{
	(void)state;
	struct server away = {.failures = INT32_MAX}, wrong = {.last = ERROR_FAILED_PRECONDITION};
	struct preparation *both[] = {start(&away), start(&wrong)};
	assert_int_equal(preparation_wait(&both[1], 1, PATIENCE_MS, NULL), ERROR_FAILED_PRECONDITION);
	struct error_note note;
	assert_int_equal(preparation_wait(both, 2, 0, &note), ERROR_FAILED_PRECONDITION);
	assert_string_equal(note.text, "attempt 0");
	assert_int_equal(preparation_wait(both, 1, 0, &note), ERROR_UNAVAILABLE);
	preparation_stop(both[0]);
	preparation_stop(both[1]);
}

struct submitted {
	struct ingest_ping ping;
	atomic_int error;
};

static void remember(struct ingest_ping *ping, enum error error, const struct error_note *note)
{
	assert_non_null(note);
	atomic_store(&((struct submitted *)ping)->error, (int)error);
}

static void *await_main(void *context)
{
	static bool done;
	void **arguments = context;
	done = preparation_await((struct preparation *const *)&arguments[0], 1, arguments[1]);
	return &done;
}

static void pings_are_refused_while_it_lasts_and_a_close_ends_the_wait(void **state)
{
	(void)state;
	struct server away = {.failures = INT32_MAX};
	struct ingest *ingest;
	assert_int_equal(ingest_create(&(struct ingest_config){0}, clock_system(), &ingest), ERROR_OK);
	void *arguments[] = {start(&away), ingest};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, await_main, arguments), 0);
	struct submitted ping = {.ping = {.ping = {.pinged_at_ms = 1}, .done = remember}, .error = -1};
	assert_int_equal(ingest_submit(ingest, &ping.ping), ERROR_OK);
	for (int left_ms = PATIENCE_MS; atomic_load(&ping.error) == -1 && left_ms > 0; left_ms--)
		clock_sleep_ms(1);
	assert_int_equal(ping.error, ERROR_UNAVAILABLE);
	ingest_close(ingest);
	void *done;
	assert_int_equal(pthread_join(thread, &done), 0);
	assert_false(*(bool *)done);
	preparation_stop(arguments[0]);
	assert_int_equal(ingest_stats(ingest).depth, 0);
	ingest_destroy(ingest);
}

int main(void)
{
	/* Its lines are not the test's. */
	const struct log_config log = {
		.level = LOG_ERROR, .clock = clock_system(), .fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
	log_configure(&log);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_tried_until_it_is_done),
		cmocka_unit_test(what_only_a_person_can_mend_ends_it),
		cmocka_unit_test(one_that_failed_counts_more_than_one_that_still_waits),
		cmocka_unit_test(pings_are_refused_while_it_lasts_and_a_close_ends_the_wait),
	};
	return cmocka_run_group_tests_name("app/preparation", tests, NULL, NULL);
}
