#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdatomic.h>

#include "fake_clock.h"
#include "service/workers.h"
#include "unit/query/fake_ledger.h"
#include "unit/query/fake_store.h"

enum { OBSERVED_MAX = 16 };

struct fixture {
	struct fake_clock clock;
	struct fake_ledger *ledger;
	struct fake_store *store;
	_Atomic int store_opens, store_closes;
	_Atomic enum error store_open_error;
	struct workers *workers;
	struct {
		const char *port;
		enum error error;
	} observed[OBSERVED_MAX]; /* in order, where there is one worker */
	_Atomic int observed_count;
};

static enum error open_ledger(void *context, struct ledger_reader **ret_reader, struct error_note *note)
{
	(void)note;
	*ret_reader = &((struct fixture *)context)->ledger->reader;
	return ERROR_OK;
}

static enum error open_store(void *context, struct store_reader **ret_reader, struct error_note *note)
{
	struct fixture *f = context;
	f->store_opens++;
	if (f->store_open_error != ERROR_OK)
		return error_noted(note, f->store_open_error, "cannot open");
	*ret_reader = &f->store->reader;
	return ERROR_OK;
}

static void observe(void *context, const char *port, enum error error, const struct error_note *note)
{
	(void)note;
	struct fixture *f = context;
	int place = f->observed_count++;
	if (place < OBSERVED_MAX) {
		f->observed[place].port = port;
		f->observed[place].error = error;
	}
}

static int set_up(void **state)
{
	static struct fixture fixture;
	fixture = (struct fixture){.ledger = fake_ledger_create(), .store = fake_store_create()};
	fake_clock_init(&fixture.clock, 1000);
	*state = &fixture;
	return fixture.ledger == NULL || fixture.store == NULL;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	workers_destroy(f->workers);
	fake_ledger_destroy(f->ledger);
	fake_store_destroy(f->store);
	return 0;
}

static void start(struct fixture *f, size_t threads, size_t max_queue, bool with_store)
{
	struct workers_config config = {
		.threads = threads,
		.max_queue = max_queue,
		.clock = &f->clock.clock,
		.open_ledger = open_ledger,
		.open_store = with_store ? open_store : NULL,
		.observe = observe,
		.context = f,
	};
	assert_int_equal(workers_create(&config, &f->workers), ERROR_OK);
}

struct job {
	struct work work;
	bool wants_ledger;
	_Atomic bool canceled;
	int fail_times; /* runs that fail as the store does */
	enum error fail_with;
	sem_t *begun, *go; /* NULL: does not wait */
	int runs, dones;
	enum error error;
	struct error_note note;
	sem_t ended;
};

static enum error run_job(struct work *work, struct readers *readers, struct error_note *note)
{
	struct job *job = (struct job *)work;
	job->runs++;
	if (job->begun != NULL) {
		sem_post(job->begun);
		sem_wait(job->go);
	}
	struct ledger_reader *ledger;
	struct store_reader *store;
	enum error error = job->wants_ledger ? readers_ledger(readers, &ledger, note) : readers_store(readers, &store, note);
	if (error == ERROR_OK && job->fail_times-- > 0)
		error = error_noted(note, job->fail_with, "planted");
	return error;
}

static void job_done(struct work *work, enum error error, const struct error_note *note)
{
	struct job *job = (struct job *)work;
	job->dones++;
	job->error = error;
	job->note = *note;
	sem_post(&job->ended);
}

static bool job_canceled(const struct work *work)
{
	return ((const struct job *)work)->canceled;
}

static void job_init(struct job *job)
{
	*job = (struct job){.work = {.run = run_job, .done = job_done, .canceled = job_canceled}};
	sem_init(&job->ended, 0, 0);
}

static void job_wait(struct job *job)
{
	sem_wait(&job->ended);
	assert_int_equal(job->dones, 1);
	sem_destroy(&job->ended);
}

static enum error run_one(struct fixture *f, struct job *job)
{
	assert_int_equal(workers_submit(f->workers, &job->work), ERROR_OK);
	job_wait(job);
	return job->error;
}

static void work_is_run_once_with_its_reader(void **state)
{
	struct fixture *f = *state;
	start(f, 1, 0, true);
	struct job job;
	job_init(&job);
	assert_int_equal(run_one(f, &job), ERROR_OK);
	assert_int_equal(job.runs, 1);
	job_init(&job);
	assert_int_equal(run_one(f, &job), ERROR_OK);
	assert_int_equal(f->store_opens, 1);
}

static void each_thread_opens_a_reader_of_its_own(void **state)
{
	struct fixture *f = *state;
	start(f, 2, 0, true);
	sem_t begun, go;
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	struct job jobs[2];
	for (int i = 0; i < 2; i++) {
		job_init(&jobs[i]);
		jobs[i].begun = &begun;
		jobs[i].go = &go;
		assert_int_equal(workers_submit(f->workers, &jobs[i].work), ERROR_OK);
	}
	/* Both run at once. */
	sem_wait(&begun);
	sem_wait(&begun);
	sem_post(&go);
	sem_post(&go);
	job_wait(&jobs[0]);
	job_wait(&jobs[1]);
	assert_int_equal(f->store_opens, 2);
}

static void a_full_queue_refuses_at_once(void **state)
{
	struct fixture *f = *state;
	start(f, 1, 2, true);
	sem_t begun, go;
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	struct job busy, waiting[2], more;
	job_init(&busy);
	busy.begun = &begun;
	busy.go = &go;
	assert_int_equal(workers_submit(f->workers, &busy.work), ERROR_OK);
	sem_wait(&begun);
	for (int i = 0; i < 2; i++) {
		job_init(&waiting[i]);
		assert_int_equal(workers_submit(f->workers, &waiting[i].work), ERROR_OK);
	}
	job_init(&more);
	assert_int_equal(workers_submit(f->workers, &more.work), ERROR_QUEUE_FULL);
	sem_post(&go);
	job_wait(&busy);
	job_wait(&waiting[0]);
	job_wait(&waiting[1]);
	assert_int_equal(more.dones, 0);
	assert_int_equal(run_one(f, &more), ERROR_OK);
}

static void canceled_work_is_not_begun(void **state)
{
	struct fixture *f = *state;
	start(f, 1, 0, true);
	struct job job;
	job_init(&job);
	job.canceled = true;
	assert_int_equal(run_one(f, &job), ERROR_CANCELED);
	assert_int_equal(job.runs, 0);
	assert_int_equal(f->store_opens, 0);
}

static void a_reader_that_fails_is_opened_again_and_the_work_run_once_more(void **state)
{
	struct fixture *f = *state;
	start(f, 1, 0, true);
	struct job job;
	job_init(&job);
	job.fail_times = 1;
	job.fail_with = ERROR_IO;
	assert_int_equal(run_one(f, &job), ERROR_OK);
	assert_int_equal(job.runs, 2);
	assert_int_equal(f->store_opens, 2);
}

static void it_is_run_twice_at_most(void **state)
{
	struct fixture *f = *state;
	start(f, 1, 0, true);
	struct job job;
	job_init(&job);
	job.fail_times = 9;
	job.fail_with = ERROR_UNAVAILABLE;
	assert_int_equal(run_one(f, &job), ERROR_UNAVAILABLE);
	assert_int_equal(job.runs, 2);
	assert_string_equal(job.note.text, "planted");
}

static void other_errors_are_the_answer_and_keep_the_reader(void **state)
{
	struct fixture *f = *state;
	start(f, 1, 0, true);
	struct job job;
	job_init(&job);
	job.fail_times = 1;
	job.fail_with = ERROR_INVALID_ARGUMENT;
	assert_int_equal(run_one(f, &job), ERROR_INVALID_ARGUMENT);
	assert_int_equal(job.runs, 1);
	job_init(&job);
	assert_int_equal(run_one(f, &job), ERROR_OK);
	assert_int_equal(f->store_opens, 1);
}

static void an_open_that_failed_is_the_answer_for_a_second(void **state)
{
	struct fixture *f = *state;
	start(f, 1, 0, true);
	f->store_open_error = ERROR_UNAVAILABLE;
	struct job job;
	for (int i = 0; i < 3; i++) {
		job_init(&job);
		assert_int_equal(run_one(f, &job), ERROR_UNAVAILABLE);
		assert_string_equal(job.note.text, "cannot open");
	}
	assert_int_equal(f->store_opens, 1);
	f->store_open_error = ERROR_OK;
	f->clock.now_us += 999999;
	job_init(&job);
	assert_int_equal(run_one(f, &job), ERROR_UNAVAILABLE);
	f->clock.now_us += 1;
	job_init(&job);
	assert_int_equal(run_one(f, &job), ERROR_OK);
}

static void a_store_that_is_not_there_yet_is_unavailable(void **state)
{
	struct fixture *f = *state;
	start(f, 1, 0, true);
	f->store_open_error = ERROR_NOT_FOUND;
	struct job job;
	job_init(&job);
	assert_int_equal(run_one(f, &job), ERROR_UNAVAILABLE);
}

static void a_store_that_is_away_does_not_touch_the_ledger(void **state)
{
	struct fixture *f = *state;
	start(f, 1, 0, true);
	f->store_open_error = ERROR_UNAVAILABLE;
	struct job ledger, store;
	job_init(&ledger);
	ledger.wants_ledger = true;
	assert_int_equal(run_one(f, &ledger), ERROR_OK);
	job_init(&store);
	assert_int_equal(run_one(f, &store), ERROR_UNAVAILABLE);
	job_init(&ledger);
	ledger.wants_ledger = true;
	assert_int_equal(run_one(f, &ledger), ERROR_OK);
	/* The ledger was opened once, the store could not be. */
	assert_int_equal(f->observed_count, 2);
	assert_string_equal(f->observed[0].port, "ledger");
	assert_int_equal(f->observed[0].error, ERROR_OK);
	assert_string_equal(f->observed[1].port, "store");
	assert_int_equal(f->observed[1].error, ERROR_UNAVAILABLE);
}

static void who_observes_hears_of_failures_and_of_recovery(void **state)
{
	struct fixture *f = *state;
	start(f, 1, 0, true);
	struct job job;
	job_init(&job);
	job.fail_times = 1;
	job.fail_with = ERROR_IO;
	assert_int_equal(run_one(f, &job), ERROR_OK);
	assert_int_equal(f->observed_count, 3);
	assert_int_equal(f->observed[0].error, ERROR_OK);
	assert_int_equal(f->observed[1].error, ERROR_IO);
	assert_int_equal(f->observed[2].error, ERROR_OK);
}

static void without_a_store_the_answer_names_what_to_configure(void **state)
{
	struct fixture *f = *state;
	start(f, 1, 0, false);
	struct job job;
	job_init(&job);
	assert_int_equal(run_one(f, &job), ERROR_FAILED_PRECONDITION);
	assert_non_null(strstr(job.note.text, "--store"));
}

static void destroy_carries_out_what_waits(void **state)
{
	struct fixture *f = *state;
	start(f, 2, 0, true);
	static struct job jobs[500];
	for (int i = 0; i < 500; i++) {
		job_init(&jobs[i]);
		assert_int_equal(workers_submit(f->workers, &jobs[i].work), ERROR_OK);
	}
	workers_destroy(f->workers);
	f->workers = NULL;
	for (int i = 0; i < 500; i++) {
		assert_int_equal(jobs[i].dones, 1);
		assert_int_equal(jobs[i].error, ERROR_OK);
		sem_destroy(&jobs[i].ended);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(work_is_run_once_with_its_reader),
		TEST(each_thread_opens_a_reader_of_its_own),
		TEST(a_full_queue_refuses_at_once),
		TEST(canceled_work_is_not_begun),
		TEST(a_reader_that_fails_is_opened_again_and_the_work_run_once_more),
		TEST(it_is_run_twice_at_most),
		TEST(other_errors_are_the_answer_and_keep_the_reader),
		TEST(an_open_that_failed_is_the_answer_for_a_second),
		TEST(a_store_that_is_not_there_yet_is_unavailable),
		TEST(a_store_that_is_away_does_not_touch_the_ledger),
		TEST(who_observes_hears_of_failures_and_of_recovery),
		TEST(without_a_store_the_answer_names_what_to_configure),
		TEST(destroy_carries_out_what_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
