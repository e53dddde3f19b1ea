/* The publisher's state machine, against a ledger and a log that write down what they are asked and answer as they are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <pthread.h>

#include "ingest/publisher.h"

#define START_MS INT64_C(1728926331000)

enum { MAX_PINGS = 16, MAX_ANSWERS = 8 };

/* Errors for the next calls to one function; OK behind the last. */
struct script {
	enum error errors[MAX_ANSWERS];
	size_t next, count;
};

static struct {
	struct script take, renew, settle, claim, commit, insert, commit_inserted, read_batches, set_positions, release;
	struct script open, check, newest_errors, find, produce, log_commit, log_abort;
	int64_t newest;
	int64_t after;			/* of the newest record; 0: it has no batch */
	size_t not_found;		/* rows with a position, from the first on, whose events find does not see */
	int64_t position;		/* of the rows that are read; 0: none */
	struct publish_record produced; /* record of the last transaction */
	struct publish_slot slot;	/* the row */
	int64_t settled_batch;		/* that settle finds; 0: the row's */
	int64_t missing[4];		/* batches with rows */
	size_t missing_rows;		/* in each; 0: one */
	bool released_finished;
	enum publish_take take_which;
	bool first_is_other; /* the first claim was another batch's, with this: */
	int64_t first_pinged_at_ms;
	char calls[2048]; /* in order: "take open newest …" */
	int64_t committed_batch;
	size_t produced_count, committed_count;
	struct ledger_ping committed[MAX_PINGS];
} fake;

static int64_t wall_ms, monotonic_us;
static struct random_seeded randomness;
static struct ingest *ingest;
static struct publisher *publisher, *carrier;
static char news[2048];

static void call(const char *name)
{
	size_t length = strlen(fake.calls);
	snprintf(fake.calls + length, sizeof fake.calls - length, "%s%s", length > 0 ? " " : "", name);
}

static enum error answer(struct script *script, const char *name, struct error_note *note)
{
	call(name);
	enum error error = script->next < script->count ? script->errors[script->next++] : ERROR_OK;
	return error == ERROR_OK ? error : error_noted(note, error, "%s said so", name);
}

#define will(function, ...) \
	(fake.function =    \
		 (struct script){.errors = {__VA_ARGS__}, .count = sizeof((enum error[]){__VA_ARGS__}) / sizeof(enum error)})

static enum error fake_take(struct slot_ledger *ledger, enum publish_take which, struct publish_slot *ret_slot,
			    struct error_note *note)
{
	(void)ledger;
	enum error error = answer(&fake.take, "take", note);
	fake.take_which = which;
	fake.slot.epoch += error == ERROR_OK;
	if (error == ERROR_OK)
		*ret_slot = fake.slot;
	return error;
}

static enum error fake_renew(struct slot_ledger *ledger, const struct publish_slot *slot, struct error_note *note)
{
	(void)ledger;
	assert_int_equal(slot->epoch, fake.slot.epoch);
	return answer(&fake.renew, "renew", note);
}

static enum error fake_release(struct slot_ledger *ledger, const struct publish_slot *slot, bool finished,
			       struct error_note *note)
{
	(void)ledger;
	(void)slot;
	fake.released_finished = finished;
	return answer(&fake.release, "release", note);
}

static enum error fake_settle(struct slot_ledger *ledger, struct publish_slot *slot, struct error_note *note)
{
	(void)ledger;
	enum error error = answer(&fake.settle, "settle", note);
	if (error != ERROR_OK)
		return error;
	fake.slot.epoch++;
	if (fake.settled_batch != 0)
		fake.slot.batch_seq = fake.settled_batch;
	*slot = fake.slot;
	return error;
}

static enum error fake_claim(struct slot_ledger *ledger, struct publish_claim *claims, size_t count, struct error_note *note)
{
	(void)ledger;
	for (size_t i = 0; i < count; i++) {
		claims[i].claimed = i > 0 || !fake.first_is_other;
		claims[i].first_pinged_at_ms = fake.first_pinged_at_ms;
	}
	return answer(&fake.claim, "claim", note);
}

static void note_rows(const struct ledger_ping *rows, size_t count)
{
	fake.committed_count = count;
	memcpy(fake.committed, rows, count * sizeof *rows);
}

static enum error fake_commit(struct slot_ledger *ledger, const struct publish_slot *slot, int64_t batch,
			      const struct ledger_ping *rows, size_t count, struct error_note *note)
{
	(void)ledger;
	fake.committed_batch = batch;
	note_rows(rows, count);
	enum error error = answer(&fake.commit, "commit", note);
	if (error == ERROR_OK && slot != NULL) {
		assert_int_equal(slot->epoch, fake.slot.epoch);
		fake.slot.batch_seq = batch;
	}
	return error;
}

static enum error fake_insert(struct slot_ledger *ledger, const struct ledger_ping *rows, size_t count, struct error_note *note)
{
	(void)ledger;
	(void)rows;
	(void)count;
	return answer(&fake.insert, "insert", note);
}

static enum error fake_commit_inserted(struct slot_ledger *ledger, const struct ledger_ping *rows, size_t count,
				       struct error_note *note)
{
	(void)ledger;
	note_rows(rows, count);
	return answer(&fake.commit_inserted, "commit-inserted", note);
}

static void fake_abandon(struct slot_ledger *ledger)
{
	(void)ledger;
	call("abandon");
}

static enum error fake_read_batches(struct slot_ledger *ledger, const struct publish_slot *slot, int64_t after, size_t enough,
				    struct publish_run *ret_run, void (*visit)(void *context, const struct ledger_ping *row),
				    void *context, struct error_note *note)
{
	(void)ledger;
	enum error error = answer(&fake.read_batches, "read", note);
	if (error != ERROR_OK)
		return error;
	struct publish_run run = {0};
	size_t rows = 0;
	for (size_t i = 0; i < 4 && rows < enough; i++) {
		if (fake.missing[i] <= after || fake.missing[i] > slot->batch_seq)
			continue;
		for (size_t row = 0; row < (fake.missing_rows > 0 ? fake.missing_rows : 1); row++, rows++)
			visit(context, &(struct ledger_ping){.pinged_at_ms = START_MS,
							     .position = fake.position > 0 ? fake.position : -1});
		run.last = fake.missing[i];
		run.batches++;
	}
	*ret_run = run;
	return run.batches > 0 ? ERROR_OK : ERROR_NOT_FOUND;
}

static enum error fake_set_positions(struct slot_ledger *ledger, const struct publish_slot *slot, const struct ledger_ping *rows,
				     size_t count, struct error_note *note)
{
	(void)ledger;
	(void)count;
	assert_int_equal(slot->epoch, fake.slot.epoch);
	assert_int_equal(rows[0].position, 1000);
	return answer(&fake.set_positions, "move", note);
}

static enum error fake_prune_keys(struct slot_ledger *ledger, int64_t retention_ms, size_t max, size_t *ret_removed,
				  struct error_note *note)
{
	(void)ledger;
	(void)max;
	(void)note;
	assert_int_equal(retention_ms, 86400000);
	call("prune");
	*ret_removed = 0;
	return ERROR_OK;
}

static const struct slot_ledger_vtable ledger_vtable = {
	.take = fake_take,
	.renew = fake_renew,
	.release = fake_release,
	.settle = fake_settle,
	.claim = fake_claim,
	.commit = fake_commit,
	.insert = fake_insert,
	.commit_inserted = fake_commit_inserted,
	.abandon = fake_abandon,
	.read_batches = fake_read_batches,
	.set_positions = fake_set_positions,
	.prune_keys = fake_prune_keys,
};
static struct slot_ledger ledger = {&ledger_vtable};

static enum error fake_open(struct publish_log *log, int32_t slot, struct error_note *note)
{
	(void)log;
	(void)slot;
	return answer(&fake.open, "open", note);
}

/* Not written down: it asks nobody. */
static enum error fake_check(struct publish_log *log, struct error_note *note)
{
	(void)log;
	enum error error = fake.check.next < fake.check.count ? fake.check.errors[fake.check.next++] : ERROR_OK;
	return error == ERROR_OK ? error : error_noted(note, error, "check said so");
}

static enum error fake_newest(struct publish_log *log, struct publish_record *ret_record, struct error_note *note)
{
	(void)log;
	enum error error = answer(&fake.newest_errors, "newest", note);
	if (error == ERROR_OK)
		*ret_record = (struct publish_record){fake.newest, fake.after > 0 ? fake.after : fake.newest};
	return error;
}

static enum error fake_find(struct publish_log *log, struct ledger_ping *rows, size_t count, struct error_note *note)
{
	(void)log;
	for (size_t i = 0, missing = 0; i < count && missing < fake.not_found; i++) {
		missing += rows[i].position >= 0;
		rows[i].position = -1;
	}
	return answer(&fake.find, "find", note);
}

static enum error fake_produce(struct publish_log *log, const struct publish_record *record, struct ledger_ping *rows,
			       size_t count, struct error_note *note)
{
	(void)log;
	fake.produced = record != NULL ? *record : (struct publish_record){0};
	fake.produced_count = count;
	for (size_t i = 0; i < count; i++)
		rows[i].position = 1000 + (int64_t)i;
	return answer(&fake.produce, "produce", note);
}

static enum error fake_log_commit(struct publish_log *log, struct error_note *note)
{
	(void)log;
	enum error error = answer(&fake.log_commit, "publish", note);
	if (error == ERROR_OK)
		fake.newest = fake.produced.batch;
	return error;
}

static enum error fake_abort(struct publish_log *log, struct error_note *note)
{
	(void)log;
	return answer(&fake.log_abort, "abort", note);
}

static const struct publish_log_vtable log_vtable = {
	.open = fake_open,
	.check = fake_check,
	.newest = fake_newest,
	.find = fake_find,
	.produce = fake_produce,
	.commit = fake_log_commit,
	.abort = fake_abort,
};
static struct publish_log log_port = {&log_vtable};

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

struct submitted {
	struct ingest_ping ping;
	int done;
	enum error error;
	char note[256];
};

static struct submitted pings[MAX_PINGS];

static void remember(struct ingest_ping *ping, enum error error, const struct error_note *note)
{
	struct submitted *submitted = (struct submitted *)ping;
	submitted->done++;
	submitted->error = error;
	snprintf(submitted->note, sizeof submitted->note, "%s", note == NULL ? "" : note->text);
}

static struct submitted *submit_at(size_t index, const char *key, int64_t pinged_at_ms)
{
	struct submitted *submitted = &pings[index];
	*submitted = (struct submitted){.ping.done = remember};
	submitted->ping.ping.client = address_from_ipv4((const uint8_t[]){203, 0, 113, 7});
	submitted->ping.ping.pinged_at_ms = pinged_at_ms;
	submitted->ping.ping.received_at_ms = wall_ms;
	if (key != NULL)
		submitted->ping.ping.key = slice_from_string(key);
	assert_int_equal(ingest_submit(ingest, &submitted->ping), ERROR_OK);
	return submitted;
}

static struct submitted *submit(size_t index)
{
	return submit_at(index, NULL, START_MS);
}

static void hear(void *context, enum publisher_news what, const struct publisher_status *status, enum error error,
		 const char *text)
{
	static const char *const names[] = {"", "taken", "fenced", "trouble", "failed", "unknown", "recovered", "ledger-lost"};
	(void)context;
	(void)status;
	(void)error;
	(void)text;
	size_t length = strlen(news);
	if (what != PUBLISHER_CHANGED)
		snprintf(news + length, sizeof news - length, "%s%s", length > 0 ? " " : "", names[what]);
}

static void make(enum publisher_mode mode, bool rescuer, struct publish_log *log)
{
	const struct ingest_config ingest_config = {0};
	const struct publisher_config config = {.mode = mode, .rescuer = rescuer, .max_batch = MAX_PINGS, .tell = hear};
	assert_int_equal(ingest_create(&ingest_config, &test_clock, &ingest), ERROR_OK);
	assert_int_equal(publisher_create(&config, ingest, &ledger, log, &test_clock, &randomness.random, &publisher), ERROR_OK);
}

/* The front and its carrier. */
static void make_outbox(void)
{
	make(PUBLISHER_OUTBOX, false, NULL);
	const struct publisher_config config = {
		.mode = PUBLISHER_OUTBOX, .max_batch = MAX_PINGS, .tell = hear, .carries_for = publisher};
	assert_int_equal(publisher_create(&config, ingest, &ledger, &log_port, &test_clock, &randomness.random, &carrier),
			 ERROR_OK);
}

static enum publisher_state state(void)
{
	return publisher_status(publisher).state;
}

/* Until it has nothing to do. */
static void run(void)
{
	for (int steps = 0; steps < 100; steps++)
		if (!publisher_step(publisher) && (carrier == NULL || !publisher_step(carrier)))
			return;
	fail();
}

/* Until the back-off is over, and then. */
static void run_later(void)
{
	monotonic_us += 6000000;
	run();
}

static void forget_calls(void)
{
	fake.calls[0] = 0;
	news[0] = 0;
}

static void become_ready(enum publisher_mode mode)
{
	fake.slot.batch_seq = fake.newest = 7;
	make(mode, false, &log_port);
	run();
	assert_int_equal(state(), PUBLISHER_READY);
	forget_calls();
}

static int set_up(void **unused)
{
	(void)unused;
	memset(&fake, 0, sizeof fake);
	fake.slot = (struct publish_slot){.slot = 3, .epoch = 40, .taken_us = START_MS * 1000};
	wall_ms = START_MS;
	monotonic_us = 1000000;
	random_seeded_init(&randomness, 1);
	forget_calls();
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	publisher_destroy(carrier);
	publisher_destroy(publisher);
	ingest_destroy(ingest);
	publisher = carrier = NULL;
	ingest = NULL;
	return 0;
}

#define assert_calls(text) assert_string_equal(fake.calls, text)
#define assert_answered(submitted, expected) \
	(assert_int_equal((submitted)->done, 1), assert_string_equal(error_name((submitted)->error), error_name(expected)))

/* Taking a slot */

static void takes_a_slot_fences_and_reads_the_newest_record_in_that_order(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = fake.newest = 7;
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	assert_calls("take open newest");
	struct publisher_status status = publisher_status(publisher);
	assert_true(status.ready);
	assert_int_equal(status.slot, 3);
	assert_int_equal(status.epoch, 41);
	assert_int_equal(status.newest, 7);
}

static void a_slot_that_was_never_used_gets_its_first_record(void **unused)
{
	(void)unused;
	will(newest_errors, ERROR_NOT_FOUND);
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	assert_calls("take open newest produce publish newest");
	assert_int_equal(fake.produced.batch, 0);
	assert_int_equal(fake.produced_count, 0);
	assert_int_equal(state(), PUBLISHER_READY);
}

static void a_first_record_that_readers_do_not_see_is_published_again(void **unused)
{
	(void)unused;
	will(newest_errors, ERROR_NOT_FOUND, ERROR_NOT_FOUND);
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	assert_calls("take open newest produce publish newest produce publish newest");
	assert_int_equal(state(), PUBLISHER_READY);
}

static void batches_without_any_record_are_those_of_another_log(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = 7;
	will(newest_errors, ERROR_NOT_FOUND);
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	struct publisher_status status = publisher_status(publisher);
	assert_false(status.ready);
	assert_int_equal(status.error, ERROR_FAILED_PRECONDITION);
	assert_non_null(strstr(status.error_text, "log_epoch"));
}

static void without_a_free_slot_it_is_not_ready_and_says_so(void **unused)
{
	(void)unused;
	will(take, ERROR_RESOURCE_EXHAUSTED);
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_UNAVAILABLE);
	assert_string_equal(ping->note, "take said so");
	assert_string_equal(publisher_status(publisher).error_text, "take said so");
	run_later();
	assert_int_equal(state(), PUBLISHER_READY);
	assert_int_equal(publisher_status(publisher).error, ERROR_OK);
}

static void pings_that_come_while_it_waits_to_try_again_are_refused_at_once(void **unused)
{
	(void)unused;
	will(open, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE);
	fake.slot.batch_seq = fake.newest = 7;
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_UNAVAILABLE);
	assert_calls("take open");
}

static void missing_batches_are_published_again_together(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = 9;
	fake.newest = 6;
	fake.missing[0] = 7;
	fake.missing[1] = 9;
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	assert_calls("take open newest read produce move publish");
	assert_int_equal(fake.newest, 9);
	assert_string_equal(news, "taken recovered");
	assert_int_equal(publisher_status(publisher).recovered, 2);
}

static void missing_batches_are_published_again_in_order_no_more_together_than_one_may_be_large(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = 9;
	fake.newest = 6;
	fake.missing[0] = 7;
	fake.missing[1] = 9;
	fake.missing_rows = MAX_PINGS;
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	assert_calls("take open newest read produce move publish read produce move publish");
	assert_int_equal(fake.newest, 9);
	assert_string_equal(news, "taken recovered recovered");
	assert_int_equal(publisher_status(publisher).recovered, 2);
}

static void set_newest_transaction(int64_t batch, int64_t after)
{
	fake.slot.batch_seq = fake.newest = batch;
	fake.after = after;
	fake.missing[0] = after + 1;
	fake.missing[1] = batch;
	fake.position = 500;
}

static void the_events_of_the_newest_transaction_are_looked_for(void **unused)
{
	(void)unused;
	set_newest_transaction(9, 6);
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	assert_calls("take open newest read find");
	assert_string_equal(news, "taken");
	assert_false(publisher_status(publisher).behind);
}

static void those_that_are_missing_are_published_again_under_its_record(void **unused)
{
	(void)unused;
	set_newest_transaction(9, 6);
	fake.not_found = 1;
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	assert_calls("take open newest read find produce move publish");
	assert_int_equal(fake.produced.batch, 9);
	assert_int_equal(fake.produced.after, 6);
	assert_int_equal(fake.produced_count, 1);
	assert_string_equal(news, "taken recovered");
}

static void a_published_row_that_lost_its_position_is_not_published_again(void **unused)
{
	(void)unused;
	set_newest_transaction(9, 6);
	fake.position = 0;
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	assert_calls("take open newest read find");
}

static void events_of_a_missing_batch_that_are_there_are_not_published_again(void **unused)
{
	(void)unused;
	set_newest_transaction(9, 8);
	fake.newest = fake.after = 8;
	fake.missing_rows = 3;
	fake.not_found = 2;
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	assert_calls("take open newest read find produce move publish");
	assert_int_equal(fake.produced_count, 2);
	assert_int_equal(fake.produced.batch, 9);
	assert_int_equal(fake.produced.after, 8);
}

static void while_events_can_not_be_looked_for_the_slot_is_not_used(void **unused)
{
	(void)unused;
	set_newest_transaction(9, 6);
	will(find, ERROR_UNAVAILABLE);
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	assert_calls("take open newest read find");
	assert_false(publisher_status(publisher).ready);
	assert_true(publisher_status(publisher).behind);
	run_later();
	assert_non_null(strstr(fake.calls, "read find renew read find"));
	assert_true(publisher_status(publisher).ready);
}

static void after_an_outage_it_opens_anew_before_the_next_batch_and_no_ping_fails(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(check, ERROR_UNAVAILABLE);
	struct submitted *ping = submit(0);
	run();
	assert_calls("settle open newest produce commit publish");
	assert_answered(ping, ERROR_OK);
}

static void positions_in_doubt_begin_the_recovery_anew_under_another_epoch(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = fake.missing[0] = 7;
	fake.newest = 6;
	will(set_positions, ERROR_IN_DOUBT);
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	assert_calls("take open newest read produce move settle open newest read produce move publish");
}

static void who_is_fenced_while_it_recovers_publishes_nothing(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = fake.missing[0] = 7;
	fake.newest = 6;
	will(set_positions, ERROR_FENCED);
	will(take, ERROR_OK, ERROR_RESOURCE_EXHAUSTED);
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	assert_calls("take open newest read produce move take");
	assert_int_equal(publisher_status(publisher).slot, PUBLISH_NO_SLOT);
}

static void a_ledger_that_lost_batches_is_said_loudly_and_goes_on_above_both(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = 7;
	fake.newest = 12;
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_OK);
	assert_int_equal(fake.committed_batch, 13);
	assert_string_equal(news, "taken ledger-lost");
	assert_int_equal(publisher_status(publisher).lost, 1);
}

/* A batch */

static void a_batch_is_produced_committed_published_and_then_answered(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	struct submitted *a = submit(0), *b = submit(1);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(a->done, 0);
		publisher_step(publisher);
	}
	assert_calls("produce commit publish");
	assert_answered(a, ERROR_OK);
	assert_answered(b, ERROR_OK);
	assert_int_equal(fake.committed_batch, 8);
	assert_int_equal(fake.committed_count, 2);
	assert_int_equal(fake.committed[1].position, 1001);
	assert_true(memcmp(&fake.committed[0].id, &fake.committed[1].id, sizeof(struct uuid)) < 0);
	assert_int_equal(ingest_stats(ingest).accepted, 2);
	assert_int_equal(ingest_stats(ingest).depth, 0);
}

static void ids_go_on_above_the_slots_last(void **unused)
{
	(void)unused;
	memset(&fake.slot.last_id, 0x77, sizeof fake.slot.last_id);
	become_ready(PUBLISHER_TRANSACTIONAL);
	submit(0);
	run();
	assert_true(memcmp(&fake.committed[0].id, &fake.slot.last_id, sizeof(struct uuid)) > 0);
}

static void what_the_log_refuses_is_rolled_back_in_both(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(produce, ERROR_UNAVAILABLE);
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_UNAVAILABLE);
	assert_calls("produce abandon abort");
	assert_int_equal(state(), PUBLISHER_READY);
}

static void what_the_ledger_refuses_is_aborted_in_the_log(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(commit, ERROR_DISK_FULL);
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_DISK_FULL);
	assert_calls("produce commit abort renew");
}

static void a_ledger_that_failed_is_asked_something_small_before_the_next_batch(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(commit, ERROR_UNAVAILABLE);
	will(renew, ERROR_UNAVAILABLE);
	submit(0);
	run();
	assert_false(publisher_status(publisher).ready);
	struct submitted *ping = submit(1);
	run();
	assert_answered(ping, ERROR_UNAVAILABLE);
	run_later();
	assert_true(publisher_status(publisher).ready);
}

static void an_abort_that_fails_opens_anew_under_another_epoch(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(produce, ERROR_UNAVAILABLE);
	will(log_abort, ERROR_UNAVAILABLE);
	submit(0);
	run();
	assert_int_equal(state(), PUBLISHER_SETTLING);
	run_later();
	assert_calls("produce abandon abort settle open newest");
}

static void an_unknown_commit_that_was_kept_is_published_and_answered(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(commit, ERROR_IN_DOUBT);
	fake.settled_batch = 8;
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_OK);
	assert_calls("produce commit settle publish");
}

static void an_unknown_commit_that_was_not_kept_is_a_failure(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(commit, ERROR_IN_DOUBT);
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_UNAVAILABLE);
	assert_calls("produce commit settle abort");
}

static void a_number_whose_outcome_was_unknown_is_not_used_again(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(commit, ERROR_IN_DOUBT);
	submit(0);
	run();
	submit(1);
	run();
	assert_int_equal(fake.committed_batch, 9);
}

static void who_is_fenced_with_a_commit_unknown_never_says_unavailable(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(commit, ERROR_IN_DOUBT);
	will(settle, ERROR_FENCED);
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_IN_DOUBT);
	assert_string_equal(news, "fenced unknown taken");
}

static void who_is_told_fenced_by_the_commit_itself_knows_that_nothing_was_kept(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(commit, ERROR_FENCED);
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_UNAVAILABLE);
	assert_calls("produce commit take open newest");
}

static void pings_in_doubt_wait_while_the_ledger_cannot_be_asked_but_not_for_ever(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(commit, ERROR_IN_DOUBT);
	will(settle, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE);
	fake.settled_batch = 8;
	struct submitted *ping = submit(0);
	run();
	assert_int_equal(ping->done, 0);
	assert_int_equal(state(), PUBLISHER_SETTLING);
	monotonic_us += 31000000;
	publisher_step(publisher);
	assert_answered(ping, ERROR_IN_DOUBT);
	run_later();
	assert_calls("produce commit settle settle settle publish");
	assert_int_equal(ping->done, 1);
}

static void it_sleeps_until_the_next_try(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	monotonic_us += 2999000; /* just before a renewal */
	will(commit, ERROR_IN_DOUBT);
	will(settle, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE);
	submit(0);
	for (int tries = 0; tries < 5; tries++) {
		run();
		int64_t due_us = publisher_due_us(publisher);
		assert_true(due_us > monotonic_us && due_us <= monotonic_us + 5000000);
		monotonic_us = due_us;
	}
}

static void a_transaction_that_the_log_aborted_is_published_again_under_a_new_epoch_before_the_answer(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(log_commit, ERROR_ABORTED);
	fake.missing[0] = 8;
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_OK);
	assert_calls("produce commit publish settle open newest read produce move publish");
	assert_int_equal(publisher_status(publisher).aborted, 1);
}

static void an_unknown_publish_that_took_place_is_not_made_again(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(log_commit, ERROR_IN_DOUBT);
	struct submitted *ping = submit(0);
	for (int i = 0; i < 4; i++)
		publisher_step(publisher);
	fake.newest = 8;
	run();
	assert_answered(ping, ERROR_OK);
	assert_calls("produce commit publish settle open newest");
}

static void who_is_fenced_before_it_could_publish_does_not_know(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(log_commit, ERROR_FENCED);
	will(settle, ERROR_FENCED);
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_IN_DOUBT);
}

/* Keys */

static void keys_are_claimed_before_anything_is_produced(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	struct submitted *keyed = submit_at(0, "k", START_MS), *plain = submit(1);
	run();
	assert_calls("claim produce commit publish");
	assert_answered(keyed, ERROR_OK);
	assert_answered(plain, ERROR_OK);
	assert_int_equal(fake.committed_count, 2);
}

static void a_key_that_another_batch_was_first_with_is_answered_and_not_produced(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	fake.first_is_other = true;
	fake.first_pinged_at_ms = START_MS;
	struct submitted *same = submit_at(0, "k", START_MS), *differs = submit_at(1, "k", START_MS + 1), *plain = submit(2);
	run();
	assert_answered(same, ERROR_OK);
	assert_true(same->ping.ping.duplicate);
	assert_answered(differs, ERROR_KEY_REUSED);
	assert_answered(plain, ERROR_OK);
	assert_int_equal(fake.committed_count, 1);
	assert_int_equal(ingest_stats(ingest).duplicates, 2);
}

static void a_batch_of_duplicates_alone_ends_its_transaction(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	fake.first_is_other = true;
	fake.first_pinged_at_ms = START_MS;
	struct submitted *ping = submit_at(0, "k", START_MS);
	run();
	assert_answered(ping, ERROR_OK);
	assert_calls("claim abandon");
	assert_int_equal(state(), PUBLISHER_READY);
}

static void a_keys_repetitions_in_a_batch_share_its_fate(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	struct submitted *first = submit_at(0, "k", START_MS), *again = submit_at(1, "k", START_MS),
			 *differs = submit_at(2, "k", START_MS + 1);
	run();
	assert_answered(first, ERROR_OK);
	assert_false(first->ping.ping.duplicate);
	assert_answered(again, ERROR_OK);
	assert_true(again->ping.ping.duplicate);
	assert_answered(differs, ERROR_KEY_REUSED);
	assert_int_equal(fake.committed_count, 1);
	will(produce, ERROR_UNAVAILABLE);
	first = submit_at(0, "l", START_MS);
	differs = submit_at(1, "l", START_MS + 1);
	submit(2); /* as many as before: nobody waits for more */
	run();
	assert_answered(first, ERROR_UNAVAILABLE);
	assert_answered(differs, ERROR_UNAVAILABLE);
}

static void a_lock_timeout_fails_the_keyed_pings_alone(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(claim, ERROR_ABORTED);
	struct submitted *keyed = submit_at(0, "k", START_MS), *plain = submit(1);
	run();
	assert_answered(keyed, ERROR_UNAVAILABLE);
	assert_answered(plain, ERROR_OK);
	assert_calls("claim produce commit publish");
}

static void old_keys_are_forgotten_once_a_minute(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_ORDERED);
	monotonic_us += 61000000;
	run();
	assert_calls("prune");
	run();
	assert_calls("prune");
}

/* The lease */

static void the_lease_is_renewed_when_nothing_else_does_it(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	assert_true(publisher_due_us(publisher) <= monotonic_us + 3000000);
	monotonic_us += 3000000;
	run();
	assert_calls("renew");
	monotonic_us += 2000000;
	submit(0);
	run();
	monotonic_us += 2000000;
	run();
	assert_calls("renew produce commit publish");
}

static void the_lease_is_renewed_while_the_log_is_away(void **unused)
{
	(void)unused;
	will(open, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE);
	fake.slot.batch_seq = fake.newest = 7;
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	run();
	run_later();
	assert_calls("take open renew open");
}

static void who_finds_its_lease_gone_takes_another_slot(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(renew, ERROR_FENCED);
	run_later();
	assert_calls("renew take open newest");
	assert_int_equal(publisher_status(publisher).fenced, 1);
}

/* The end */

static void a_clean_stop_carries_out_what_waits_and_frees_the_slot(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	struct submitted *ping = submit(0);
	ingest_close(ingest);
	run();
	assert_answered(ping, ERROR_OK);
	assert_calls("produce commit publish release");
	assert_true(fake.released_finished);
	assert_true(publisher_ended(publisher));
}

static void a_stop_in_trouble_leaves_a_dead_slot_and_answers_all(void **unused)
{
	(void)unused;
	become_ready(PUBLISHER_TRANSACTIONAL);
	will(commit, ERROR_IN_DOUBT);
	will(settle, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE);
	struct submitted *ping = submit(0);
	run();
	ingest_close(ingest);
	run();
	assert_answered(ping, ERROR_IN_DOUBT);
	assert_false(fake.released_finished);
	assert_true(publisher_ended(publisher));
}

static void a_stop_before_there_is_a_slot_refuses_what_waits(void **unused)
{
	(void)unused;
	make(PUBLISHER_TRANSACTIONAL, false, &log_port);
	struct submitted *ping = submit(0);
	ingest_close(ingest);
	run();
	assert_answered(ping, ERROR_SHUTTING_DOWN);
	assert_calls("");
}

/* A rescuer */

static void a_rescuer_finishes_dead_slots_and_takes_no_pings(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = fake.missing[0] = 7;
	fake.newest = 6;
	will(take, ERROR_OK, ERROR_RESOURCE_EXHAUSTED);
	make(PUBLISHER_TRANSACTIONAL, true, &log_port);
	struct submitted *ping = submit(0);
	run();
	assert_calls("take open newest read produce move publish release take");
	assert_int_equal(fake.take_which, PUBLISH_TAKE_DEAD);
	assert_true(fake.released_finished);
	assert_int_equal(ping->done, 0);
	assert_false(publisher_status(publisher).ready);
	assert_int_equal(publisher_status(publisher).error, ERROR_OK);
	publisher_destroy(publisher);
	publisher = NULL;
}

/* outbox */

static void an_outbox_answers_after_the_ledger_and_its_carrier_publishes_behind(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = fake.newest = 7;
	make_outbox();
	run();
	assert_calls("take open newest");
	forget_calls();
	fake.missing[0] = 8;
	struct submitted *ping = submit(0);
	publisher_step(publisher);
	publisher_step(publisher);
	assert_answered(ping, ERROR_OK);
	assert_calls("commit");
	assert_int_equal(fake.committed_batch, 8);
	assert_int_equal(fake.committed[0].position, -1);
	run();
	assert_calls("commit read produce move publish");
	assert_false(publisher_status(publisher).behind);
	assert_false(publisher_status(carrier).ready);
}

static void an_outbox_fails_no_ping_while_the_log_is_away(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = 7;
	will(open, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE);
	make_outbox();
	for (size_t i = 0; i < 4; i++) {
		struct submitted *ping = submit(i);
		run();
		assert_answered(ping, ERROR_OK);
	}
	assert_true(publisher_status(publisher).ready);
	assert_true(publisher_status(publisher).behind);
	assert_int_equal(publisher_status(carrier).error, ERROR_UNAVAILABLE);
}

static void an_outbox_that_cannot_ask_the_log_numbers_its_first_batch_above_whatever_the_log_has(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = 7;
	will(open, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE);
	make_outbox();
	submit(0);
	run();
	assert_int_equal(fake.committed_batch, START_MS * 1000 + 1);
	submit(1);
	run();
	assert_int_equal(fake.committed_batch, START_MS * 1000 + 2);
}

static void an_outbox_catches_up_when_the_log_is_back(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = fake.newest = 7;
	fake.missing[0] = START_MS * 1000 + 1;
	will(open, ERROR_UNAVAILABLE);
	make_outbox();
	run();
	submit(0);
	run();
	forget_calls();
	run_later();
	assert_calls("renew open newest read produce move publish");
	assert_false(publisher_status(publisher).behind);
}

static void an_outbox_first_takes_a_record_for_a_slot_that_was_never_used(void **unused)
{
	(void)unused;
	will(open, ERROR_UNAVAILABLE);
	will(newest_errors, ERROR_NOT_FOUND);
	make_outbox();
	run();
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_UNAVAILABLE);
	run_later();
	assert_true(publisher_status(publisher).ready);
	assert_int_equal(fake.produced.batch, 0);
}

static void a_carrier_settles_when_no_batch_is_at_work_and_the_front_goes_on_under_the_new_epoch(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = fake.newest = 7;
	make_outbox();
	run();
	forget_calls();
	fake.missing[0] = 8;
	will(log_commit, ERROR_IN_DOUBT);
	submit(0);
	publisher_step(publisher);
	publisher_step(publisher);
	for (int i = 0; i < 4; i++) /* read … publish */
		publisher_step(carrier);
	submit(1);
	publisher_step(publisher); /* it is inside now */
	publisher_step(carrier);
	assert_calls("commit read produce move publish");
	publisher_step(publisher);
	publisher_step(publisher); /* the carrier comes first */
	publisher_step(carrier);
	assert_calls("commit read produce move publish commit settle");
	fake.newest = 8;
	submit(2);
	run();
	assert_int_equal(fake.committed_batch, 10);
}

static void a_front_that_settles_does_not_end_its_carrier(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = 8;
	fake.newest = 7;
	fake.missing[0] = 8;
	make_outbox();
	will(commit, ERROR_IN_DOUBT);
	will(set_positions, ERROR_FENCED);
	submit(0);
	run();
	assert_int_equal(publisher_status(publisher).fenced, 0);
	assert_int_equal(publisher_status(carrier).fenced, 0);
	assert_false(publisher_status(publisher).behind);
}

static void what_a_carrier_finds_lost_its_front_gives_up(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = 8;
	fake.newest = 7;
	fake.missing[0] = 8;
	make_outbox();
	will(set_positions, ERROR_FENCED);
	will(settle, ERROR_FENCED);
	will(take, ERROR_OK, ERROR_RESOURCE_EXHAUSTED);
	run();
	assert_int_equal(publisher_status(publisher).fenced, 1);
	assert_int_equal(publisher_status(publisher).slot, PUBLISH_NO_SLOT);
	assert_int_equal(publisher_status(carrier).slot, PUBLISH_NO_SLOT);
}

static void a_stopped_outbox_lets_its_carrier_finish(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = fake.newest = 7;
	make_outbox();
	run();
	forget_calls();
	fake.missing[0] = 8;
	submit(0);
	ingest_close(ingest);
	for (int i = 0; i < 20; i++) {
		publisher_step(publisher);
		publisher_step(carrier);
	}
	assert_calls("commit read produce move publish release");
	assert_true(fake.released_finished);
	assert_true(publisher_ended(publisher) && publisher_ended(carrier));
}

static void a_stopped_outbox_that_is_behind_leaves_a_dead_slot(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = 7;
	will(open, ERROR_UNAVAILABLE);
	make_outbox();
	run();
	ingest_close(ingest);
	run();
	assert_calls("take open release");
	assert_false(fake.released_finished);
}

/* ordered */

static void ordered_inserts_produces_and_commits(void **unused)
{
	(void)unused;
	make(PUBLISHER_ORDERED, false, &log_port);
	struct submitted *ping = submit_at(0, "k", START_MS);
	run();
	assert_answered(ping, ERROR_OK);
	assert_calls("open claim insert produce commit-inserted");
	assert_int_equal(fake.committed[0].position, 1000);
}

static void ordered_publishes_nothing_that_could_not_be_inserted(void **unused)
{
	(void)unused;
	make(PUBLISHER_ORDERED, false, &log_port);
	will(insert, ERROR_UNAVAILABLE);
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_UNAVAILABLE);
	assert_calls("open insert");
}

static void ordered_cannot_call_a_failure_what_is_in_the_log(void **unused)
{
	(void)unused;
	make(PUBLISHER_ORDERED, false, &log_port);
	will(commit_inserted, ERROR_UNAVAILABLE);
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_IN_DOUBT);
	will(produce, ERROR_IN_DOUBT);
	ping = submit(0);
	run();
	assert_answered(ping, ERROR_IN_DOUBT);
	will(produce, ERROR_UNAVAILABLE);
	ping = submit(0);
	run();
	assert_answered(ping, ERROR_UNAVAILABLE);
}

static void without_a_log_a_batch_is_one_transaction(void **unused)
{
	(void)unused;
	make(PUBLISHER_ORDERED, false, NULL);
	struct submitted *ping = submit(0);
	run();
	assert_answered(ping, ERROR_OK);
	will(commit, ERROR_UNAVAILABLE);
	ping = submit(0);
	run();
	assert_answered(ping, ERROR_UNAVAILABLE);
	assert_calls("commit commit");
}

/* Beside another publisher */

#define ALONE_US  INT64_C(2000)
#define BESIDE_US INT64_C(20000)

static struct ingest_ping *others;

static void make_beside_a_batch_of_three(void)
{
	make(PUBLISHER_ORDERED, false, NULL);
	run();
	ingest_set_ready(ingest, true);
	for (size_t i = 0; i < 3; i++)
		submit(i);
	assert_int_equal(ingest_take(ingest, 3, &others), 3);
}

static void end_others(void)
{
	ingest_count(ingest, &(struct ingest_outcome){.accepted = 3, .batches = 1});
}

static void a_ping_behind_anothers_batch_waits_for_more_a_moment(void **unused)
{
	(void)unused;
	make_beside_a_batch_of_three();
	struct submitted *ping = submit(3);
	run();
	assert_int_equal(ping->done, 0);
	assert_int_equal(publisher_due_us(publisher), monotonic_us + BESIDE_US);
	monotonic_us += BESIDE_US - 1;
	run();
	assert_int_equal(ping->done, 0);
	monotonic_us++;
	run();
	assert_answered(ping, ERROR_OK);
	ping = submit(4); /* the next one's moment begins anew */
	run();
	assert_int_equal(ping->done, 0);
	monotonic_us += BESIDE_US;
	run();
	assert_answered(ping, ERROR_OK);
	assert_calls("commit commit");
	end_others();
}

static void as_many_as_usually_come_together_go_at_once(void **unused)
{
	(void)unused;
	make_beside_a_batch_of_three();
	struct submitted *first = submit(3);
	run();
	submit(4);
	run();
	assert_int_equal(first->done, 0);
	submit(5);
	run();
	assert_answered(first, ERROR_OK);
	assert_calls("commit");
	end_others();
}

static void the_moment_is_short_once_the_others_batch_is_done(void **unused)
{
	(void)unused;
	make_beside_a_batch_of_three();
	struct submitted *ping = submit(3);
	run();
	end_others();
	run();
	assert_int_equal(ping->done, 0);
	assert_int_equal(publisher_due_us(publisher), monotonic_us + ALONE_US);
	monotonic_us += ALONE_US;
	run();
	assert_answered(ping, ERROR_OK);
	assert_calls("commit");
}

static void it_ends_when_the_queue_is_closed(void **unused)
{
	(void)unused;
	make_beside_a_batch_of_three();
	struct submitted *ping = submit(3);
	run();
	assert_int_equal(ping->done, 0);
	ingest_close(ingest);
	run();
	assert_answered(ping, ERROR_OK);
	end_others();
}

/* Threads */

static void *run_thread(void *context)
{
	struct publisher *mine = context;
	while (!publisher_ended(mine))
		if (!publisher_step(mine))
			publisher_wait(mine, 1000);
	return NULL;
}

static void the_threads_of_an_outbox_bring_all_into_both(void **unused)
{
	(void)unused;
	fake.slot.batch_seq = fake.newest = 7;
	make_outbox();
	publisher_step(publisher); /* the fakes are not made for two threads: the carrier alone runs in another */
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, run_thread, carrier), 0);
	while (publisher_status(carrier).newest < 7)
		publisher_wait(publisher, 1);
	ingest_close(ingest);
	run_thread(publisher);
	pthread_join(thread, NULL);
	assert_true(publisher_ended(carrier));
}

static void status_can_be_read_while_its_thread_works(void **unused)
{
	(void)unused;
	make(PUBLISHER_ORDERED, false, NULL);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, run_thread, publisher), 0);
	for (size_t i = 0; i < MAX_PINGS; i++) {
		submit(i);
		publisher_status(publisher);
	}
	ingest_close(ingest);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < MAX_PINGS; i++)
		assert_answered(&pings[i], ERROR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(takes_a_slot_fences_and_reads_the_newest_record_in_that_order),
		TEST(a_slot_that_was_never_used_gets_its_first_record),
		TEST(a_first_record_that_readers_do_not_see_is_published_again),
		TEST(batches_without_any_record_are_those_of_another_log),
		TEST(without_a_free_slot_it_is_not_ready_and_says_so),
		TEST(pings_that_come_while_it_waits_to_try_again_are_refused_at_once),
		TEST(missing_batches_are_published_again_together),
		TEST(missing_batches_are_published_again_in_order_no_more_together_than_one_may_be_large),
		TEST(positions_in_doubt_begin_the_recovery_anew_under_another_epoch),
		TEST(the_events_of_the_newest_transaction_are_looked_for),
		TEST(those_that_are_missing_are_published_again_under_its_record),
		TEST(a_published_row_that_lost_its_position_is_not_published_again),
		TEST(events_of_a_missing_batch_that_are_there_are_not_published_again),
		TEST(while_events_can_not_be_looked_for_the_slot_is_not_used),
		TEST(after_an_outage_it_opens_anew_before_the_next_batch_and_no_ping_fails),
		TEST(who_is_fenced_while_it_recovers_publishes_nothing),
		TEST(a_ledger_that_lost_batches_is_said_loudly_and_goes_on_above_both),
		TEST(a_batch_is_produced_committed_published_and_then_answered),
		TEST(ids_go_on_above_the_slots_last),
		TEST(what_the_log_refuses_is_rolled_back_in_both),
		TEST(what_the_ledger_refuses_is_aborted_in_the_log),
		TEST(a_ledger_that_failed_is_asked_something_small_before_the_next_batch),
		TEST(an_abort_that_fails_opens_anew_under_another_epoch),
		TEST(an_unknown_commit_that_was_kept_is_published_and_answered),
		TEST(an_unknown_commit_that_was_not_kept_is_a_failure),
		TEST(a_number_whose_outcome_was_unknown_is_not_used_again),
		TEST(who_is_fenced_with_a_commit_unknown_never_says_unavailable),
		TEST(who_is_told_fenced_by_the_commit_itself_knows_that_nothing_was_kept),
		TEST(pings_in_doubt_wait_while_the_ledger_cannot_be_asked_but_not_for_ever),
		TEST(it_sleeps_until_the_next_try),
		TEST(a_transaction_that_the_log_aborted_is_published_again_under_a_new_epoch_before_the_answer),
		TEST(an_unknown_publish_that_took_place_is_not_made_again),
		TEST(who_is_fenced_before_it_could_publish_does_not_know),
		TEST(keys_are_claimed_before_anything_is_produced),
		TEST(a_key_that_another_batch_was_first_with_is_answered_and_not_produced),
		TEST(a_batch_of_duplicates_alone_ends_its_transaction),
		TEST(a_keys_repetitions_in_a_batch_share_its_fate),
		TEST(a_lock_timeout_fails_the_keyed_pings_alone),
		TEST(old_keys_are_forgotten_once_a_minute),
		TEST(the_lease_is_renewed_when_nothing_else_does_it),
		TEST(the_lease_is_renewed_while_the_log_is_away),
		TEST(who_finds_its_lease_gone_takes_another_slot),
		TEST(a_clean_stop_carries_out_what_waits_and_frees_the_slot),
		TEST(a_stop_in_trouble_leaves_a_dead_slot_and_answers_all),
		TEST(a_stop_before_there_is_a_slot_refuses_what_waits),
		TEST(a_rescuer_finishes_dead_slots_and_takes_no_pings),
		TEST(an_outbox_answers_after_the_ledger_and_its_carrier_publishes_behind),
		TEST(an_outbox_fails_no_ping_while_the_log_is_away),
		TEST(an_outbox_that_cannot_ask_the_log_numbers_its_first_batch_above_whatever_the_log_has),
		TEST(an_outbox_catches_up_when_the_log_is_back),
		TEST(an_outbox_first_takes_a_record_for_a_slot_that_was_never_used),
		TEST(a_carrier_settles_when_no_batch_is_at_work_and_the_front_goes_on_under_the_new_epoch),
		TEST(a_front_that_settles_does_not_end_its_carrier),
		TEST(what_a_carrier_finds_lost_its_front_gives_up),
		TEST(a_stopped_outbox_lets_its_carrier_finish),
		TEST(a_stopped_outbox_that_is_behind_leaves_a_dead_slot),
		TEST(ordered_inserts_produces_and_commits),
		TEST(ordered_publishes_nothing_that_could_not_be_inserted),
		TEST(ordered_cannot_call_a_failure_what_is_in_the_log),
		TEST(without_a_log_a_batch_is_one_transaction),
		TEST(a_ping_behind_anothers_batch_waits_for_more_a_moment),
		TEST(as_many_as_usually_come_together_go_at_once),
		TEST(the_moment_is_short_once_the_others_batch_is_done),
		TEST(it_ends_when_the_queue_is_closed),
		TEST(the_threads_of_an_outbox_bring_all_into_both),
		TEST(status_can_be_read_while_its_thread_works),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
