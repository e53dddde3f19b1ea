#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/timed_ports.h"
#include "unit/service/fake_clock.h"

/* Ports whose every call takes 7 µs and fails, each with an error of its own. */
enum { TOOK_US = 7 };
static struct fake_clock clock_;
static bool ledger_closed, log_closed, abandoned;

static enum error slowly(enum error error)
{
	clock_.now_us += TOOK_US;
	return error;
}

static enum error fake_take(struct slot_ledger *ledger, enum publish_take which, struct publish_slot *ret_slot,
			    struct error_note *note)
{
	(void)ledger, (void)which, (void)note;
	ret_slot->slot = 5;
	return slowly(ERROR_RESOURCE_EXHAUSTED);
}

static enum error fake_renew(struct slot_ledger *ledger, const struct publish_slot *slot, struct error_note *note)
{
	(void)ledger, (void)slot;
	return slowly(error_noted(note, ERROR_FENCED, "renew"));
}

static enum error fake_release(struct slot_ledger *ledger, const struct publish_slot *slot, bool finished,
			       struct error_note *note)
{
	(void)ledger, (void)slot, (void)finished, (void)note;
	return slowly(ERROR_ABORTED);
}

static enum error fake_settle(struct slot_ledger *ledger, struct publish_slot *slot, struct error_note *note)
{
	(void)ledger, (void)slot, (void)note;
	return slowly(ERROR_IN_DOUBT);
}

static enum error fake_claim(struct slot_ledger *ledger, struct publish_claim *claims, size_t count, struct error_note *note)
{
	(void)ledger, (void)claims, (void)count, (void)note;
	return slowly(ERROR_DISK_FULL);
}

static enum error fake_commit(struct slot_ledger *ledger, const struct publish_slot *slot, int64_t batch,
			      const struct ledger_ping *rows, size_t count, struct error_note *note)
{
	(void)ledger, (void)slot, (void)batch, (void)rows, (void)count, (void)note;
	return slowly(ERROR_OK);
}

static enum error fake_insert(struct slot_ledger *ledger, const struct ledger_ping *rows, size_t count, struct error_note *note)
{
	(void)ledger, (void)rows, (void)count, (void)note;
	return slowly(ERROR_IO);
}

static void fake_abandon(struct slot_ledger *ledger)
{
	(void)ledger;
	abandoned = true;
}

static enum error fake_read(struct slot_ledger *ledger, const struct publish_slot *slot, int64_t after, size_t enough,
			    struct publish_run *ret_run, void (*visit)(void *context, const struct ledger_ping *row),
			    void *context, struct error_note *note)
{
	(void)ledger, (void)slot, (void)after, (void)enough, (void)ret_run, (void)visit, (void)context, (void)note;
	return slowly(ERROR_NOT_FOUND);
}

static enum error fake_move(struct slot_ledger *ledger, const struct publish_slot *slot, const struct ledger_ping *rows,
			    size_t count, struct error_note *note)
{
	(void)ledger, (void)slot, (void)rows, (void)count, (void)note;
	return slowly(ERROR_CORRUPT);
}

static enum error fake_prune(struct slot_ledger *ledger, int64_t retention_ms, size_t max, size_t *ret_removed,
			     struct error_note *note)
{
	(void)ledger, (void)retention_ms, (void)note;
	*ret_removed = max;
	return slowly(ERROR_OK);
}

static void fake_close_ledger(struct slot_ledger *ledger)
{
	(void)ledger;
	ledger_closed = true;
}

static enum error fake_open(struct publish_log *log, int32_t slot, struct error_note *note)
{
	(void)log, (void)slot, (void)note;
	return slowly(ERROR_FAILED_PRECONDITION);
}

static enum error fake_end(struct publish_log *log, struct error_note *note)
{
	(void)log, (void)note;
	return slowly(ERROR_FENCED);
}

static void fake_close_log(struct publish_log *log)
{
	(void)log;
	log_closed = true;
}

/* What was told last. */
static struct {
	enum timed_call call;
	size_t rows;
	int64_t took_us;
	enum error error;
	int times;
} told;

static void on_called(void *context, enum timed_call call, size_t rows, int64_t took_us, enum error error)
{
	assert_ptr_equal(context, &told);
	told.call = call;
	told.rows = rows;
	told.took_us = took_us;
	told.error = error;
	told.times++;
}

static const struct timed_ports_observer observer = {on_called, &told};

static void assert_told(enum timed_call call, size_t rows, enum error error, enum error returned)
{
	assert_int_equal(returned, error);
	assert_int_equal(told.error, error);
	assert_int_equal(told.call, call);
	assert_int_equal(told.rows, rows);
	assert_int_equal(told.took_us, TOOK_US);
	assert_int_equal(told.times, 1);
	told.times = 0;
}

static void every_call_of_the_ledger_is_passed_on_and_told(void **state)
{
	(void)state;
	static const struct slot_ledger_vtable vtable = {
		.take = fake_take,
		.renew = fake_renew,
		.release = fake_release,
		.settle = fake_settle,
		.claim = fake_claim,
		.commit = fake_commit,
		.insert = fake_insert,
		.commit_inserted = fake_insert,
		.abandon = fake_abandon,
		.read_batches = fake_read,
		.set_positions = fake_move,
		.prune_keys = fake_prune,
		.close = fake_close_ledger,
	};
	struct slot_ledger inner = {&vtable}, *ledger;
	assert_int_equal(timed_slot_ledger_create(&inner, &clock_.clock, &observer, &ledger), ERROR_OK);
	const struct slot_ledger_vtable *timed = ledger->vtable;
	struct publish_slot slot = {0};
	struct publish_run run;
	struct ledger_ping row = {0};
	struct error_note note = {0};
	size_t removed = 0;
	assert_told(TIMED_LEDGER_TAKE, 0, ERROR_RESOURCE_EXHAUSTED, timed->take(ledger, PUBLISH_TAKE_ANY, &slot, &note));
	assert_int_equal(slot.slot, 5);
	assert_told(TIMED_LEDGER_RENEW, 0, ERROR_FENCED, timed->renew(ledger, &slot, &note));
	assert_string_equal(note.text, "renew");
	assert_told(TIMED_LEDGER_RELEASE, 0, ERROR_ABORTED, timed->release(ledger, &slot, true, &note));
	assert_told(TIMED_LEDGER_SETTLE, 0, ERROR_IN_DOUBT, timed->settle(ledger, &slot, &note));
	assert_told(TIMED_LEDGER_CLAIM, 0, ERROR_DISK_FULL, timed->claim(ledger, NULL, 0, &note));
	assert_told(TIMED_LEDGER_INSERT, 0, ERROR_IO, timed->insert(ledger, &row, 1, &note));
	assert_told(TIMED_LEDGER_COMMIT, 1, ERROR_OK, timed->commit(ledger, &slot, 2, &row, 1, &note));
	assert_told(TIMED_LEDGER_COMMIT, 3, ERROR_IO, timed->commit_inserted(ledger, &row, 3, &note));
	assert_told(TIMED_LEDGER_READ_BATCHES, 0, ERROR_NOT_FOUND,
		    timed->read_batches(ledger, &slot, 0, 1, &run, NULL, NULL, &note));
	assert_told(TIMED_LEDGER_SET_POSITIONS, 0, ERROR_CORRUPT, timed->set_positions(ledger, &slot, &row, 1, &note));
	assert_told(TIMED_LEDGER_PRUNE_KEYS, 0, ERROR_OK, timed->prune_keys(ledger, 0, 9, &removed, &note));
	assert_int_equal(removed, 9);
	timed->abandon(ledger);
	assert_true(abandoned);
	timed->close(ledger);
	assert_true(ledger_closed);
}

static enum error fake_check(struct publish_log *log, struct error_note *note)
{
	(void)log, (void)note;
	return ERROR_UNAVAILABLE;
}

static enum error fake_newest(struct publish_log *log, struct publish_record *ret_record, struct error_note *note)
{
	(void)log, (void)note;
	*ret_record = (struct publish_record){42, 40};
	return slowly(ERROR_OK);
}

static enum error fake_find(struct publish_log *log, struct ledger_ping *rows, size_t count, struct error_note *note)
{
	(void)log, (void)count, (void)note;
	rows->position = -1;
	return slowly(ERROR_OK);
}

static enum error fake_produce(struct publish_log *log, const struct publish_record *record, struct ledger_ping *rows,
			       size_t count, struct error_note *note)
{
	(void)log, (void)record, (void)count, (void)note;
	rows->position = 17;
	return slowly(ERROR_OK);
}

static void every_call_of_the_log_is_passed_on_and_told(void **state)
{
	(void)state;
	static const struct publish_log_vtable vtable = {
		.open = fake_open,
		.check = fake_check,
		.newest = fake_newest,
		.find = fake_find,
		.produce = fake_produce,
		.commit = fake_end,
		.abort = fake_end,
		.close = fake_close_log,
	};
	struct publish_log inner = {&vtable}, *log;
	assert_int_equal(timed_publish_log_create(&inner, &clock_.clock, &observer, &log), ERROR_OK);
	struct ledger_ping row = {0};
	struct error_note note = {0};
	struct publish_record newest = {0};
	assert_told(TIMED_LOG_OPEN, 0, ERROR_FAILED_PRECONDITION, log->vtable->open(log, 0, &note));
	assert_told(TIMED_LOG_NEWEST, 0, ERROR_OK, log->vtable->newest(log, &newest, &note));
	assert_int_equal(newest.batch, 42);
	assert_int_equal(newest.after, 40);
	assert_int_equal(log->vtable->check(log, &note), ERROR_UNAVAILABLE);
	assert_told(TIMED_LOG_FIND, 0, ERROR_OK, log->vtable->find(log, &row, 1, &note));
	assert_int_equal(row.position, -1);
	assert_told(TIMED_LOG_PRODUCE, 1, ERROR_OK, log->vtable->produce(log, &newest, &row, 1, &note));
	assert_int_equal(row.position, 17);
	assert_told(TIMED_LOG_COMMIT, 0, ERROR_FENCED, log->vtable->commit(log, &note));
	assert_told(TIMED_LOG_ABORT, 0, ERROR_FENCED, log->vtable->abort(log, &note));
	log->vtable->close(log);
	assert_true(log_closed);
}

static void each_call_has_a_port_and_a_name(void **state)
{
	(void)state;
	assert_string_equal(timed_call_port(TIMED_LEDGER_COMMIT), "ledger");
	assert_string_equal(timed_call_name(TIMED_LEDGER_COMMIT), "commit");
	assert_string_equal(timed_call_port(TIMED_LOG_PRODUCE), "log");
	assert_string_equal(timed_call_name(TIMED_LOG_PRODUCE), "produce");
}

int main(void)
{
	fake_clock_init(&clock_, 1000);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_of_the_ledger_is_passed_on_and_told),
		cmocka_unit_test(every_call_of_the_log_is_passed_on_and_told),
		cmocka_unit_test(each_call_has_a_port_and_a_name),
	};
	return cmocka_run_group_tests_name("app/timed_ports", tests, NULL, NULL);
}
