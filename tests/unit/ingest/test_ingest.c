/* Group commit, against a ledger that remembers what it was asked and answers as it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <limits.h>
#include <pthread.h>

#include "base/timestamp.h"
#include "ingest/ingest.h"

enum { MAX_KEPT = 250000 };
#define START_MS INT64_C(1728926331000)
#define DAY_MS	 INT64_C(86400000)

struct fake_ledger {
	struct ledger ledger;
	struct ledger_ping *kept;
	size_t kept_count, appends, last_count;
	enum error append_error, last_id_error, prune_error;
	struct uuid last_id;
	enum error results[4]; /* of the first pings of each batch */
	void (*during_append)(void);
	/* prune_keys */
	size_t prunes, prune_max, old_keys;
	int64_t prune_before_ms;
};

static struct fake_ledger fake;
static struct ingest *ingest;
static struct random_seeded randomness;
static int64_t wall_ms, monotonic_us;

static enum error fake_append(struct ledger *ledger, struct ledger_ping *pings, size_t count, struct error_note *note)
{
	assert_ptr_equal(ledger, &fake.ledger);
	fake.appends++;
	fake.last_count = count;
	if (fake.during_append != NULL)
		fake.during_append();
	if (fake.append_error != ERROR_OK)
		return error_noted(note, fake.append_error, "the ledger's reason");
	for (size_t i = 0; i < count; i++) {
		pings[i].result = i < 4 ? fake.results[i] : ERROR_OK;
		pings[i].duplicate = pings[i].key.size > 0;
		pings[i].position = -1;
		if (pings[i].result != ERROR_OK || pings[i].duplicate)
			continue;
		pings[i].position = (int64_t)fake.kept_count;
		fake.kept[fake.kept_count++] = pings[i];
	}
	return ERROR_OK;
}

static enum error fake_last_id(struct ledger *ledger, struct uuid *ret_id, struct error_note *note)
{
	(void)ledger;
	if (fake.last_id_error != ERROR_OK)
		return error_noted(note, fake.last_id_error, "no last id");
	*ret_id = fake.last_id;
	return ERROR_OK;
}

static enum error fake_prune_keys(struct ledger *ledger, int64_t before_ms, size_t max, size_t *ret_removed,
				  struct error_note *note)
{
	(void)ledger;
	(void)note;
	fake.prunes++;
	fake.prune_max = max;
	fake.prune_before_ms = before_ms;
	if (fake.prune_error != ERROR_OK)
		return fake.prune_error;
	*ret_removed = fake.old_keys < max ? fake.old_keys : max;
	fake.old_keys -= *ret_removed;
	return ERROR_OK;
}

static const struct ledger_vtable fake_vtable = {.append = fake_append, .last_id = fake_last_id, .prune_keys = fake_prune_keys};

static int64_t test_wall_ms(struct clock *clock)
{
	(void)clock;
	return wall_ms;
}

static int64_t test_monotonic_us(struct clock *clock)
{
	(void)clock;
	return monotonic_us;
}

static struct clock test_clock = {test_wall_ms, test_monotonic_us};

/* A ping and what it was answered. */
struct submitted {
	struct ingest_ping ping;
	int done;
	enum error error;
	char note[256];
};

static void remember(struct ingest_ping *ping, enum error error, const struct error_note *note)
{
	struct submitted *submitted = (struct submitted *)ping;
	submitted->done++;
	submitted->error = error;
	snprintf(submitted->note, sizeof submitted->note, "%s", note == NULL ? "" : note->text);
}

static void fill(struct submitted *submitted)
{
	*submitted = (struct submitted){.ping.done = remember};
	submitted->ping.ping.client = address_from_ipv4((const uint8_t[]){203, 0, 113, 7});
	submitted->ping.ping.pinged_at_ms = START_MS;
	submitted->ping.ping.received_at_ms = wall_ms;
}

static enum error submit(struct submitted *submitted)
{
	fill(submitted);
	return ingest_submit(ingest, &submitted->ping);
}

static void submit_all(struct submitted *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(submit(&all[i]), ERROR_OK);
}

static void make_ingest(const struct ingest_config *config)
{
	ingest_destroy(ingest);
	ingest = NULL;
	assert_int_equal(ingest_create_simple(config, &fake.ledger, &test_clock, &randomness.random, &ingest, NULL), ERROR_OK);
}

static int set_up(void **state)
{
	(void)state;
	struct ledger_ping *kept = fake.kept != NULL ? fake.kept : malloc(MAX_KEPT * sizeof *fake.kept);
	assert_non_null(kept);
	fake = (struct fake_ledger){.ledger.vtable = &fake_vtable, .kept = kept};
	random_seeded_init(&randomness, 1);
	wall_ms = START_MS;
	monotonic_us = 0;
	make_ingest(&(struct ingest_config){0});
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ingest_destroy(ingest);
	ingest = NULL;
	return 0;
}

static int free_kept(void **state)
{
	(void)state;
	free(fake.kept);
	return 0;
}

static void a_ping_is_kept_and_then_answered_once(void **state)
{
	(void)state;
	struct submitted one;
	submit_all(&one, 1);
	assert_int_equal(one.done, 0);
	assert_true(ingest_step(ingest));
	assert_int_equal(one.done, 1);
	assert_int_equal(one.error, ERROR_OK);
	assert_int_equal(one.ping.ping.position, 0);
	assert_memory_equal(&one.ping.ping.id, &fake.kept[0].id, sizeof one.ping.ping.id);
	assert_true(address_equal(&one.ping.ping.client, &fake.kept[0].client));
	assert_false(ingest_step(ingest));
	assert_int_equal(fake.appends, 1);
}

static struct submitted latecomers[3];

static void submit_latecomers(void)
{
	fake.during_append = NULL;
	submit_all(latecomers, 3);
}

static void a_batch_forms_while_the_one_before_it_commits(void **state)
{
	(void)state;
	struct submitted first;
	submit_all(&first, 1);
	fake.during_append = submit_latecomers;
	assert_true(ingest_step(ingest));
	assert_int_equal(fake.last_count, 1);
	assert_true(ingest_step(ingest));
	assert_int_equal(fake.last_count, 3);
	assert_false(ingest_step(ingest));
}

static void a_batch_holds_at_most_max_batch(void **state)
{
	(void)state;
	make_ingest(&(struct ingest_config){.max_batch = 4});
	struct submitted pings[9];
	submit_all(pings, 9);
	assert_true(ingest_step(ingest));
	assert_int_equal(fake.last_count, 4);
	ingest_wait(ingest, 1000000); /* returns at once: five still wait */
	assert_true(ingest_step(ingest));
	assert_true(ingest_step(ingest));
	assert_int_equal(fake.last_count, 1);
	assert_false(ingest_step(ingest));
}

static void assert_ids_increase_with_positions(void)
{
	for (size_t i = 1; i < fake.kept_count; i++)
		assert_true(memcmp(&fake.kept[i - 1].id, &fake.kept[i].id, sizeof fake.kept[i].id) < 0);
}

static void ids_increase_with_positions_also_when_the_clock_steps_back(void **state)
{
	(void)state;
	make_ingest(&(struct ingest_config){.max_batch = 10});
	struct submitted pings[100];
	submit_all(pings, 100);
	while (ingest_step(ingest))
		wall_ms -= 60000;
	assert_int_equal(fake.kept_count, 100);
	assert_ids_increase_with_positions();
}

static void ids_go_on_above_the_ledgers_last_one(void **state)
{
	(void)state;
	struct uuid_generator ahead;
	uuid_generator_init(&ahead, &randomness.random, &(struct uuid){0});
	fake.last_id = uuid_generate(&ahead, wall_ms + 3600000);
	make_ingest(&(struct ingest_config){0});
	struct submitted one;
	submit_all(&one, 1);
	assert_true(ingest_step(ingest));
	assert_true(memcmp(&fake.last_id, &fake.kept[0].id, sizeof fake.last_id) < 0);
}

static void a_ledger_that_cannot_say_its_last_id_is_no_start(void **state)
{
	(void)state;
	fake.last_id_error = ERROR_IO;
	struct ingest *none = NULL;
	struct error_note note;
	const struct ingest_config config = {0};
	assert_int_equal(ingest_create_simple(&config, &fake.ledger, &test_clock, &randomness.random, &none, &note), ERROR_IO);
	assert_string_equal(note.text, "no last id");
	assert_null(none);
}

static void a_ledger_that_is_not_there_yet_is_waited_for_and_what_comes_is_refused(void **state)
{
	(void)state;
	ingest_destroy(ingest);
	ingest = NULL;
	fake.last_id_error = ERROR_UNAVAILABLE;
	struct error_note note;
	const struct ingest_config config = {0};
	assert_int_equal(ingest_create_waiting(&config, &fake.ledger, &test_clock, &randomness.random, &ingest), ERROR_OK);
	assert_int_equal(ingest_begin(ingest, &note), ERROR_UNAVAILABLE);
	struct submitted early, later;
	submit_all(&early, 1);
	assert_int_equal(ingest_refuse(ingest, ERROR_UNAVAILABLE, &note), 1);
	assert_int_equal(early.done, 1);
	assert_int_equal(early.error, ERROR_UNAVAILABLE);
	fake.last_id_error = ERROR_OK;
	assert_int_equal(ingest_begin(ingest, &note), ERROR_OK);
	submit_all(&later, 1);
	assert_int_equal(ingest_refuse(ingest, ERROR_UNAVAILABLE, &note), 0);
	assert_true(ingest_step(ingest));
	assert_int_equal(later.error, ERROR_OK);
}

static void a_full_queue_says_so_at_once(void **state)
{
	(void)state;
	make_ingest(&(struct ingest_config){.max_queue = 2});
	struct submitted pings[3];
	submit_all(pings, 2);
	assert_int_equal(submit(&pings[2]), ERROR_QUEUE_FULL);
	assert_int_equal(ingest_stats(ingest).rejected, 1);
	assert_int_equal(ingest_stats(ingest).depth, 2);
	assert_true(ingest_step(ingest));
	assert_int_equal(pings[2].done, 0);
	assert_int_equal(submit(&pings[2]), ERROR_OK);
	assert_true(ingest_step(ingest));
	assert_int_equal(pings[2].done, 1);
}

static void what_no_ledger_takes_never_gets_into_a_batch(void **state)
{
	(void)state;
	static const uint8_t key[129];
	struct submitted bad;
	fill(&bad);
	bad.ping.ping.key = slice_make(key, 129);
	assert_int_equal(ingest_submit(ingest, &bad.ping), ERROR_INVALID_ARGUMENT);
	static const int64_t times_ms[] = {INT64_MIN, -1, 0, TIMESTAMP_MAX_MS + 1, INT64_MAX};
	for (size_t i = 0; i < sizeof times_ms / sizeof times_ms[0]; i++) {
		fill(&bad);
		bad.ping.ping.pinged_at_ms = times_ms[i];
		assert_int_equal(ingest_submit(ingest, &bad.ping), ERROR_INVALID_ARGUMENT);
	}
	assert_false(ingest_step(ingest));
	assert_int_equal(bad.done, 0);
}

static void one_refused_ping_fails_no_neighbour(void **state)
{
	(void)state;
	fake.results[1] = ERROR_KEY_REUSED;
	fake.results[2] = ERROR_UNAVAILABLE;
	struct submitted pings[5];
	submit_all(pings, 4);
	fill(&pings[4]);
	pings[4].ping.ping.key = SLICE_LITERAL("again");
	assert_int_equal(ingest_submit(ingest, &pings[4].ping), ERROR_OK);
	assert_true(ingest_step(ingest));
	assert_int_equal(pings[0].error, ERROR_OK);
	assert_int_equal(pings[1].error, ERROR_KEY_REUSED);
	assert_int_equal(pings[2].error, ERROR_UNAVAILABLE);
	assert_int_equal(pings[3].error, ERROR_OK);
	assert_int_equal(pings[4].error, ERROR_OK);
	struct ingest_stats stats = ingest_stats(ingest);
	assert_int_equal(stats.accepted, 2);
	assert_int_equal(stats.duplicates, 2);
	assert_int_equal(stats.failed, 1);
	assert_int_equal(stats.failed_batches, 0);
}

static void a_failed_batch_fails_each_of_its_pings_and_not_the_next(void **state)
{
	(void)state;
	struct submitted pings[3];
	submit_all(pings, 2);
	fake.append_error = ERROR_DISK_FULL;
	assert_true(ingest_step(ingest));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pings[i].done, 1);
		assert_int_equal(pings[i].error, ERROR_DISK_FULL);
		assert_string_equal(pings[i].note, "the ledger's reason");
	}
	fake.append_error = ERROR_OK;
	submit_all(&pings[2], 1);
	assert_true(ingest_step(ingest));
	assert_int_equal(pings[2].error, ERROR_OK);
	struct ingest_stats stats = ingest_stats(ingest);
	assert_int_equal(stats.failed, 2);
	assert_int_equal(stats.failed_batches, 1);
	assert_int_equal(stats.batches, 2);
	assert_int_equal(stats.depth, 0);
}

static void an_outcome_not_known_is_passed_on_as_such(void **state)
{
	(void)state;
	struct submitted one;
	submit_all(&one, 1);
	fake.append_error = ERROR_IN_DOUBT;
	assert_true(ingest_step(ingest));
	assert_int_equal(one.error, ERROR_IN_DOUBT);
}

static void free_itself(struct ingest_ping *ping, enum error error, const struct error_note *note)
{
	(void)error;
	(void)note;
	free(ping);
}

static void a_ping_may_be_freed_when_done(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct submitted *ping = malloc(sizeof *ping);
		assert_non_null(ping);
		fill(ping);
		ping->ping.done = free_itself;
		assert_int_equal(ingest_submit(ingest, &ping->ping), ERROR_OK);
	}
	assert_true(ingest_step(ingest));
	assert_int_equal(ingest_stats(ingest).accepted, 3);
}

static void after_close_what_waits_is_still_carried_out(void **state)
{
	(void)state;
	struct submitted pings[2];
	submit_all(pings, 1);
	ingest_close(ingest);
	ingest_wait(ingest, 1000000);
	assert_int_equal(submit(&pings[1]), ERROR_SHUTTING_DOWN);
	assert_true(ingest_step(ingest));
	assert_int_equal(pings[0].error, ERROR_OK);
	assert_int_equal(pings[1].done, 0);
}

static void pass_minutes(int64_t minutes)
{
	wall_ms += minutes * 60000;
	monotonic_us += minutes * 60000000;
}

static void keys_are_pruned_once_a_minute_a_day_after_they_were_received(void **state)
{
	(void)state;
	ingest_step(ingest);
	assert_int_equal(fake.prunes, 0);
	pass_minutes(1);
	ingest_step(ingest);
	ingest_step(ingest);
	assert_int_equal(fake.prunes, 1);
	assert_int_equal(fake.prune_before_ms, wall_ms - DAY_MS);
	pass_minutes(1);
	ingest_step(ingest);
	assert_int_equal(fake.prunes, 2);
}

static void many_old_keys_go_in_small_steps_until_none_is_left(void **state)
{
	(void)state;
	fake.old_keys = 2500;
	pass_minutes(1);
	for (int i = 0; i < 5; i++)
		ingest_step(ingest);
	assert_int_equal(fake.prune_max, 1000);
	assert_int_equal(fake.prunes, 3);
	assert_int_equal(fake.old_keys, 0);
}

static void pruning_keeps_up_with_full_batches(void **state)
{
	(void)state;
	static struct submitted pings[4096];
	fake.old_keys = 1000000;
	pass_minutes(1);
	submit_all(pings, 4096);
	assert_true(ingest_step(ingest));
	assert_int_equal(fake.prune_max, 5096);
}

static void a_clock_set_forward_makes_no_key_old(void **state)
{
	(void)state;
	pass_minutes(1);
	int64_t honest_ms = wall_ms;
	wall_ms += 10 * DAY_MS;
	ingest_step(ingest);
	assert_int_equal(fake.prune_before_ms, honest_ms - DAY_MS);
}

static void keys_can_be_kept_longer_but_not_less_than_a_day(void **state)
{
	(void)state;
	make_ingest(&(struct ingest_config){.idempotency_retention_ms = 3 * DAY_MS});
	pass_minutes(1);
	ingest_step(ingest);
	assert_int_equal(fake.prune_before_ms, wall_ms - 3 * DAY_MS);
	make_ingest(&(struct ingest_config){.idempotency_retention_ms = 1});
	pass_minutes(1);
	ingest_step(ingest);
	assert_int_equal(fake.prune_before_ms, wall_ms - DAY_MS);
}

static void a_failure_to_prune_harms_nobody_and_is_tried_again(void **state)
{
	(void)state;
	struct submitted one;
	fake.prune_error = ERROR_DISK_FULL;
	pass_minutes(1);
	submit_all(&one, 1);
	assert_true(ingest_step(ingest));
	assert_int_equal(one.error, ERROR_OK);
	pass_minutes(1);
	ingest_step(ingest);
	assert_int_equal(fake.prunes, 2);
}

enum { THREADS = 4, PINGS_PER_THREAD = 20000 };
static struct submitted threads_pings[THREADS][PINGS_PER_THREAD];

static void *submit_many(void *context)
{
	struct submitted *pings = context;
	for (size_t i = 0; i < PINGS_PER_THREAD; i++) {
		fill(&pings[i]);
		while (ingest_submit(ingest, &pings[i].ping) == ERROR_QUEUE_FULL)
			sched_yield();
	}
	return NULL;
}

static void *publish(void *context)
{
	(void)context;
	for (size_t done = 0; done < (size_t)THREADS * PINGS_PER_THREAD; done += ingest_step(ingest) ? fake.last_count : 0)
		ingest_wait(ingest, 1000000);
	return NULL;
}

static void many_threads_submit_and_each_ping_is_kept_once_in_its_threads_order(void **state)
{
	(void)state;
	make_ingest(&(struct ingest_config){.max_queue = 5000, .max_batch = 777});
	pthread_t publisher, threads[THREADS];
	assert_int_equal(pthread_create(&publisher, NULL, publish, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, submit_many, threads_pings[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_join(publisher, NULL);
	assert_int_equal(fake.kept_count, THREADS * PINGS_PER_THREAD);
	assert_ids_increase_with_positions();
	for (int thread = 0; thread < THREADS; thread++) {
		int64_t newest = -1;
		for (size_t i = 0; i < PINGS_PER_THREAD; i++) {
			const struct submitted *ping = &threads_pings[thread][i];
			assert_int_equal(ping->done, 1);
			assert_int_equal(ping->error, ERROR_OK);
			assert_true(ping->ping.ping.position > newest);
			newest = ping->ping.ping.position;
		}
	}
	struct ingest_stats stats = ingest_stats(ingest);
	assert_int_equal(stats.accepted, THREADS * PINGS_PER_THREAD);
	assert_int_equal(stats.depth, 0);
}

static void *wait_long(void *context)
{
	(void)context;
	ingest_wait(ingest, 1000000);
	return NULL;
}

static void a_submit_and_a_close_wake_the_publisher(void **state)
{
	(void)state;
	pthread_t publisher;
	struct submitted one;
	assert_int_equal(pthread_create(&publisher, NULL, wait_long, NULL), 0);
	submit_all(&one, 1);
	pthread_join(publisher, NULL);
	assert_true(ingest_step(ingest));
	assert_int_equal(pthread_create(&publisher, NULL, wait_long, NULL), 0);
	ingest_close(ingest);
	pthread_join(publisher, NULL);
}

static void a_wait_ends_at_its_timeout(void **state)
{
	(void)state;
	ingest_wait(ingest, 0);
	ingest_wait(ingest, 1);
	assert_false(ingest_step(ingest));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* The queue, as several publishers share it */

static void make_queue_with(size_t max_batch, unsigned publishers)
{
	const struct ingest_config config = {.max_batch = max_batch};
	ingest_destroy(ingest);
	ingest = NULL;
	assert_int_equal(ingest_create(&config, &test_clock, &ingest), ERROR_OK);
	for (unsigned i = 0; i < publishers; i++)
		ingest_set_ready(ingest, true);
}

static void make_queue(void)
{
	make_queue_with(0, 0);
}

static void publishers_take_the_oldest_first_and_each_ping_once(void **state)
{
	(void)state;
	struct submitted all[5];
	struct ingest_ping *first;
	make_queue();
	submit_all(all, 5);
	assert_int_equal(ingest_take(ingest, 3, &first), 3);
	assert_ptr_equal(first, &all[0].ping);
	assert_ptr_equal(first->next->next, &all[2].ping);
	assert_null(first->next->next->next);
	assert_int_equal(ingest_take(ingest, 3, &first), 2);
	assert_ptr_equal(first, &all[3].ping);
	assert_int_equal(ingest_take(ingest, 3, &first), 0);
	assert_int_equal(ingest_stats(ingest).depth, 5);
	ingest_count(ingest, &(struct ingest_outcome){.accepted = 3, .duplicates = 1, .failed = 1, .batches = 2});
	assert_int_equal(ingest_stats(ingest).depth, 0);
	assert_int_equal(ingest_stats(ingest).accepted, 3);
}

static void pings_are_refused_only_while_no_publisher_is_ready(void **state)
{
	(void)state;
	struct submitted one;
	struct error_note note = {"the reason"};
	make_queue();
	assert_int_equal(submit(&one), ERROR_OK);
	ingest_set_ready(ingest, true);
	assert_int_equal(ingest_refuse(ingest, ERROR_UNAVAILABLE, &note), 0);
	assert_int_equal(one.done, 0);
	ingest_set_ready(ingest, false);
	assert_int_equal(ingest_refuse(ingest, ERROR_UNAVAILABLE, &note), 1);
	assert_int_equal(one.done, 1);
	assert_int_equal(one.error, ERROR_UNAVAILABLE);
	assert_string_equal(one.note, "the reason");
	assert_int_equal(ingest_stats(ingest).failed, 1);
	assert_int_equal(ingest_stats(ingest).depth, 0);
}

static void those_that_a_publisher_left_are_refused_with_what_came_later(void **state)
{
	(void)state;
	struct submitted all[6];
	struct ingest_ping *first;
	make_queue_with(0, 1);
	submit_all(all, 5);
	assert_int_equal(ingest_take(ingest, 2, &first), 2);
	submit_all(&all[5], 1);
	ingest_set_ready(ingest, false);
	assert_int_equal(ingest_refuse(ingest, ERROR_UNAVAILABLE, NULL), 4);
	for (int i = 0; i < 6; i++)
		assert_int_equal(all[i].done, i >= 2);
	assert_int_equal(ingest_stats(ingest).depth, 2);
	assert_int_equal(ingest_refuse(ingest, ERROR_UNAVAILABLE, NULL), 0);
	ingest_count(ingest, &(struct ingest_outcome){.accepted = 2, .batches = 1});
	assert_int_equal(ingest_stats(ingest).depth, 0);
}

/* All that wait go out, and those before them with them come to an end. */
static void end_all(void)
{
	struct ingest_ping *first;
	ingest_take(ingest, SIZE_MAX, &first);
	ingest_count(ingest, &(struct ingest_outcome){.failed = ingest_stats(ingest).depth});
	assert_int_equal(ingest_stats(ingest).depth, 0);
}

/* A batch of so many, and its end. */
static void carry(size_t count)
{
	struct submitted *all = calloc(count, sizeof *all);
	assert_non_null(all);
	submit_all(all, count);
	end_all();
	free(all);
}

/* Another publisher's batch of three, and what comes behind it. */
static void be_two_with_three_on_their_way(struct submitted all[3])
{
	struct ingest_ping *first;
	make_queue_with(0, 2);
	submit_all(all, 3);
	assert_int_equal(ingest_take(ingest, 3, &first), 3);
	assert_int_equal(ingest_patience_us(ingest), 0);
}

/* How many have to wait until nobody waits for more. */
static size_t enough(void)
{
	struct submitted *more = calloc(1000, sizeof *more);
	assert_non_null(more);
	size_t count = 0;
	do
		submit_all(&more[count], 1);
	while (++count < 1000 && ingest_patience_us(ingest) > 0);
	end_all();
	free(more);
	return count;
}

static void a_publisher_gathers_as_many_as_usually_come_together(void **state)
{
	(void)state;
	struct submitted out[3], more[3];
	be_two_with_three_on_their_way(out);
	submit_all(more, 2);
	assert_true(ingest_patience_us(ingest) > 0);
	submit_all(&more[2], 1);
	assert_int_equal(ingest_patience_us(ingest), 0);
	end_all();
}

static void an_eighth_may_be_late(void **state)
{
	(void)state;
	make_queue_with(0, 2);
	carry(160);
	assert_int_equal(enough(), 140);
}

static void of_a_batch_that_pays_each_publisher_gathers_its_part(void **state)
{
	(void)state;
	static const struct {
		unsigned publishers;
		size_t usual, enough;
	} cases[] = {{1, 800, 700}, {2, 800, 350}, {3, 800, 256}, {4, 800, 256}, {2, 256, 224}, {2, 288, 252}, {2, 320, 256}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		make_queue_with(0, cases[i].publishers);
		carry(cases[i].usual);
		assert_int_equal(enough(), cases[i].enough);
	}
}

static void one_publisher_more_or_less_changes_the_part(void **state)
{
	(void)state;
	struct submitted more[300];
	make_queue_with(0, 1);
	carry(800);
	submit_all(more, 300);
	assert_true(ingest_patience_us(ingest) > 0);
	ingest_set_ready(ingest, true);
	ingest_set_ready(ingest, true);
	assert_int_equal(ingest_patience_us(ingest), 0);
	ingest_set_ready(ingest, false);
	assert_true(ingest_patience_us(ingest) > 0);
	end_all();
}

static void nobody_waits_behind_a_full_batch(void **state)
{
	(void)state;
	make_queue_with(100, 1);
	carry(800);
	assert_int_equal(enough(), 100);
}

static void one_at_a_time_waits_for_nothing(void **state)
{
	(void)state;
	make_queue_with(0, 2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(enough(), 1);
}

static void what_was_usual_is_forgotten(void **state)
{
	(void)state;
	make_queue_with(0, 2);
	carry(800);
	for (int i = 0; i < 64; i++)
		carry(1);
	size_t then = enough();
	assert_in_range(then, 128, 255);
	for (int i = 0; i < 500; i++)
		carry(1);
	assert_int_equal(enough(), 1);
}

static void what_is_refused_is_not_usual(void **state)
{
	(void)state;
	struct submitted all[200];
	make_queue_with(0, 0);
	submit_all(all, 200);
	assert_int_equal(ingest_refuse(ingest, ERROR_UNAVAILABLE, NULL), 200);
	ingest_set_ready(ingest, true);
	assert_int_equal(enough(), 1);
}

static void patience_is_longer_beside_a_batch_and_ends_with_the_queue(void **state)
{
	(void)state;
	struct submitted out[3], more[1];
	be_two_with_three_on_their_way(out);
	submit_all(more, 1);
	int64_t beside_us = ingest_patience_us(ingest);
	ingest_count(ingest, &(struct ingest_outcome){.accepted = 3, .batches = 1});
	int64_t alone_us = ingest_patience_us(ingest);
	assert_true(alone_us > 0);
	assert_true(beside_us > alone_us);
	ingest_close(ingest);
	assert_int_equal(ingest_patience_us(ingest), 0);
	end_all();
}

/* One that is not woken never returns. */
static void *wait_for_one(void *unused)
{
	(void)unused;
	ingest_wait(ingest, INT_MAX);
	return NULL;
}

static void who_sleeps_is_woken_by_one_ping_beside_a_batch(void **state)
{
	(void)state;
	struct submitted out[3], more[1];
	for (int round = 0; round < 30; round++) {
		pthread_t thread;
		be_two_with_three_on_their_way(out);
		assert_int_equal(pthread_create(&thread, NULL, wait_for_one, NULL), 0);
		for (int j = 0; j < round % 3; j++)
			sched_yield();
		submit_all(more, 1);
		pthread_join(thread, NULL);
		end_all();
	}
}

static void *wait_until_gathered(void *unused)
{
	(void)unused;
	ingest_wait(ingest, INT_MAX);
	while (ingest_patience_us(ingest) > 0)
		ingest_wait_gathered(ingest, INT_MAX);
	return NULL;
}

static void who_gathers_is_woken_when_there_are_enough(void **state)
{
	(void)state;
	for (int round = 0; round < 30; round++) {
		struct submitted out[3], more[3];
		pthread_t thread;
		be_two_with_three_on_their_way(out);
		assert_int_equal(pthread_create(&thread, NULL, wait_until_gathered, NULL), 0);
		for (size_t i = 0; i < 3; i++) {
			submit_all(&more[i], 1);
			for (int j = 0; j < round % 3; j++)
				sched_yield();
		}
		pthread_join(thread, NULL);
		end_all();
	}
}

static void *wait_unready(void *for_pings)
{
	ingest_wait_unready(ingest, for_pings != NULL, 60000);
	return NULL;
}

static void a_ping_that_nobody_will_carry_out_wakes_who_can_refuse_it(void **state)
{
	(void)state;
	struct submitted one;
	pthread_t refuser, other;
	make_queue();
	assert_int_equal(pthread_create(&refuser, NULL, wait_unready, &one), 0);
	assert_int_equal(pthread_create(&other, NULL, wait_unready, NULL), 0);
	assert_int_equal(submit(&one), ERROR_OK);
	pthread_join(refuser, NULL);
	ingest_close(ingest);
	pthread_join(other, NULL);
	assert_int_equal(ingest_refuse(ingest, ERROR_SHUTTING_DOWN, NULL), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_ping_is_kept_and_then_answered_once),
		TEST(a_batch_forms_while_the_one_before_it_commits),
		TEST(a_batch_holds_at_most_max_batch),
		TEST(ids_increase_with_positions_also_when_the_clock_steps_back),
		TEST(ids_go_on_above_the_ledgers_last_one),
		TEST(a_ledger_that_cannot_say_its_last_id_is_no_start),
		TEST(a_ledger_that_is_not_there_yet_is_waited_for_and_what_comes_is_refused),
		TEST(a_full_queue_says_so_at_once),
		TEST(what_no_ledger_takes_never_gets_into_a_batch),
		TEST(one_refused_ping_fails_no_neighbour),
		TEST(a_failed_batch_fails_each_of_its_pings_and_not_the_next),
		TEST(an_outcome_not_known_is_passed_on_as_such),
		TEST(a_ping_may_be_freed_when_done),
		TEST(after_close_what_waits_is_still_carried_out),
		TEST(keys_are_pruned_once_a_minute_a_day_after_they_were_received),
		TEST(many_old_keys_go_in_small_steps_until_none_is_left),
		TEST(pruning_keeps_up_with_full_batches),
		TEST(a_clock_set_forward_makes_no_key_old),
		TEST(keys_can_be_kept_longer_but_not_less_than_a_day),
		TEST(a_failure_to_prune_harms_nobody_and_is_tried_again),
		TEST(many_threads_submit_and_each_ping_is_kept_once_in_its_threads_order),
		TEST(a_submit_and_a_close_wake_the_publisher),
		TEST(publishers_take_the_oldest_first_and_each_ping_once),
		TEST(a_publisher_gathers_as_many_as_usually_come_together),
		TEST(an_eighth_may_be_late),
		TEST(of_a_batch_that_pays_each_publisher_gathers_its_part),
		TEST(one_publisher_more_or_less_changes_the_part),
		TEST(nobody_waits_behind_a_full_batch),
		TEST(one_at_a_time_waits_for_nothing),
		TEST(what_was_usual_is_forgotten),
		TEST(what_is_refused_is_not_usual),
		TEST(patience_is_longer_beside_a_batch_and_ends_with_the_queue),
		TEST(who_sleeps_is_woken_by_one_ping_beside_a_batch),
		TEST(who_gathers_is_woken_when_there_are_enough),
		TEST(pings_are_refused_only_while_no_publisher_is_ready),
		TEST(those_that_a_publisher_left_are_refused_with_what_came_later),
		TEST(a_ping_that_nobody_will_carry_out_wakes_who_can_refuse_it),
		TEST(a_wait_ends_at_its_timeout),
	};
	return cmocka_run_group_tests(tests, NULL, free_kept);
}
