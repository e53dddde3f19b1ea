#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/slot_contract.h"

#define NOW_MS INT64_C(1728926331000)

enum { ROWS = 5 };

static struct slot_contract *suite;
static struct slot_ledger *a, *b; /* of two publishers */
static uint64_t ids;

static struct ledger_ping row(int64_t position)
{
	const uint8_t client[4] = {10, 0, 0, (uint8_t)ids};
	struct ledger_ping row = {.id.bytes = {[6] = 0x70},
				  .client = address_from_ipv4(client),
				  .pinged_at_ms = NOW_MS - (int64_t)ids,
				  .received_at_ms = NOW_MS + (int64_t)ids,
				  .position = position};
	ids++;
	for (int i = 0; i < 8; i++)
		row.id.bytes[15 - i] = (uint8_t)(ids >> (8 * i));
	return row;
}

static void make_rows(struct ledger_ping rows[ROWS], int64_t first_position)
{
	for (int i = 0; i < ROWS; i++)
		rows[i] = row(first_position < 0 ? -1 : first_position + i);
}

#define assert_error(call, expected) assert_string_equal(error_name(call), error_name(expected))
#define assert_ok(call)		     assert_error(call, ERROR_OK)

static struct publish_slot take(struct slot_ledger *ledger, enum publish_take which)
{
	struct publish_slot slot = {.slot = -7};
	assert_ok(ledger->vtable->take(ledger, which, &slot, NULL));
	return slot;
}

static enum error try_commit(struct slot_ledger *ledger, const struct publish_slot *slot, int64_t batch, int64_t position)
{
	struct ledger_ping rows[ROWS];
	make_rows(rows, position);
	return ledger->vtable->commit(ledger, slot, batch, rows, ROWS, NULL);
}

/* The slot as it is after the batch. */
static void commit(struct slot_ledger *ledger, struct publish_slot *slot, int64_t batch, int64_t position)
{
	struct ledger_ping rows[ROWS];
	make_rows(rows, position);
	assert_ok(ledger->vtable->commit(ledger, slot, batch, rows, ROWS, NULL));
	slot->batch_seq = batch;
	slot->last_id = rows[ROWS - 1].id;
}

struct read {
	struct ledger_ping rows[2 * ROWS];
	size_t count;
	struct publish_run run;
};

static void visit(void *context, const struct ledger_ping *row)
{
	struct read *read = context;
	assert_true(read->count < 2 * ROWS);
	read->rows[read->count++] = *row;
}

static enum error read_batches(struct slot_ledger *ledger, const struct publish_slot *slot, int64_t after, size_t enough,
			       struct read *ret_read)
{
	*ret_read = (struct read){.run.last = -1};
	return ledger->vtable->read_batches(ledger, slot, after, enough, &ret_read->run, visit, ret_read, NULL);
}

static enum error read_batch(struct slot_ledger *ledger, const struct publish_slot *slot, int64_t after, struct read *ret_read)
{
	return read_batches(ledger, slot, after, 1, ret_read);
}

static void a_slot_that_was_never_used_is_empty(void **state)
{
	(void)state;
	const struct uuid none = {0};
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY);
	struct read read;
	assert_true(slot.slot >= 0);
	assert_true(slot.epoch > 0);
	assert_int_equal(slot.batch_seq, 0);
	assert_memory_equal(slot.last_id.bytes, none.bytes, sizeof none.bytes);
	assert_error(read_batch(a, &slot, 0, &read), ERROR_NOT_FOUND);
}

static void a_slot_has_one_owner(void **state)
{
	(void)state;
	struct publish_slot first = take(a, PUBLISH_TAKE_ANY), second = take(b, PUBLISH_TAKE_ANY);
	assert_int_not_equal(first.slot, second.slot);
	struct publish_slot none;
	assert_error(b->vtable->take(b, PUBLISH_TAKE_DEAD, &none, NULL), ERROR_RESOURCE_EXHAUSTED);
}

static void slots_run_out(void **state)
{
	(void)state;
	struct publish_slot slot;
	enum error error = ERROR_OK;
	int taken = 0;
	for (; error == ERROR_OK && taken < 1000; taken++)
		error = a->vtable->take(a, PUBLISH_TAKE_ANY, &slot, NULL);
	assert_error(error, ERROR_RESOURCE_EXHAUSTED);
	assert_true(taken > 3);
}

static void a_batch_is_read_back_as_it_was_written(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY);
	struct ledger_ping rows[ROWS];
	struct read read;
	make_rows(rows, 100);
	rows[1].client = (struct address){{0x20, 1, 0xd, 0xb8, [15] = 1}};
	rows[2].position = -1;
	assert_ok(a->vtable->commit(a, &slot, 1, rows, ROWS, NULL));
	slot.batch_seq = 1;
	assert_ok(read_batch(b, &slot, 0, &read));
	assert_int_equal(read.run.last, 1);
	assert_int_equal(read.count, ROWS);
	for (int i = 0; i < ROWS; i++) {
		assert_memory_equal(read.rows[i].id.bytes, rows[i].id.bytes, sizeof rows[i].id.bytes);
		assert_true(address_equal(&read.rows[i].client, &rows[i].client));
		assert_int_equal(read.rows[i].pinged_at_ms, rows[i].pinged_at_ms);
		assert_int_equal(read.rows[i].received_at_ms, rows[i].received_at_ms);
		assert_int_equal(read.rows[i].position, rows[i].position);
	}
}

static void batches_are_read_one_by_one_over_gaps_up_to_the_slots_newest(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY), other = take(b, PUBLISH_TAKE_ANY);
	struct read read;
	commit(a, &slot, 2, -1);
	commit(b, &other, 3, -1);
	commit(a, &slot, 7, -1);
	assert_ok(read_batch(a, &slot, 0, &read));
	assert_int_equal(read.run.last, 2);
	assert_ok(read_batch(a, &slot, 2, &read));
	assert_int_equal(read.run.last, 7);
	assert_int_equal(read.count, ROWS);
	assert_error(read_batch(a, &slot, 7, &read), ERROR_NOT_FOUND);
	slot.batch_seq = 6;
	assert_error(read_batch(a, &slot, 2, &read), ERROR_NOT_FOUND);
}

static void batches_are_read_together_until_they_have_rows_enough(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY), other = take(b, PUBLISH_TAKE_ANY);
	struct read read;
	commit(a, &slot, 2, -1);
	commit(b, &other, 3, -1);
	commit(a, &slot, 7, -1);
	commit(a, &slot, 8, -1);
	assert_ok(read_batches(a, &slot, 0, ROWS, &read));
	assert_int_equal(read.run.last, 2);
	assert_ok(read_batches(a, &slot, 0, ROWS + 1, &read)); /* never a part of one */
	assert_int_equal(read.run.last, 7);
	assert_int_equal(read.run.batches, 2);
	assert_int_equal(read.count, 2 * ROWS);
	for (int i = 1; i < 2 * ROWS; i++)
		assert_true(memcmp(&read.rows[i - 1].id, &read.rows[i].id, sizeof(struct uuid)) < 0);
	assert_ok(read_batches(a, &slot, 7, 1000, &read));
	assert_int_equal(read.run.last, 8);
	assert_int_equal(read.run.batches, 1);
	slot.batch_seq = 7;
	assert_ok(read_batches(a, &slot, 0, 1000, &read));
	assert_int_equal(read.run.last, 7);
}

static void a_dead_slot_is_taken_with_what_it_had_come_to(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY);
	commit(a, &slot, 1, 100);
	suite->expire(suite);
	struct publish_slot taken = take(b, PUBLISH_TAKE_DEAD);
	assert_int_equal(taken.slot, slot.slot);
	assert_true(taken.epoch > slot.epoch);
	assert_true(slot.taken_us > NOW_MS * 1000);
	assert_true(taken.taken_us >= slot.taken_us);
	assert_int_equal(taken.batch_seq, 1);
	assert_memory_equal(taken.last_id.bytes, slot.last_id.bytes, sizeof slot.last_id.bytes);
}

static void the_owner_before_can_do_nothing_any_more(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY), before = slot;
	struct ledger_ping rows[ROWS];
	make_rows(rows, 100);
	assert_ok(a->vtable->commit(a, &slot, 1, rows, ROWS, NULL));
	suite->expire(suite);
	struct publish_slot taken = take(b, PUBLISH_TAKE_DEAD);
	assert_error(try_commit(a, &before, 2, 200), ERROR_FENCED);
	assert_error(a->vtable->renew(a, &before, NULL), ERROR_FENCED);
	for (int i = 0; i < ROWS; i++)
		rows[i].position = 300;
	assert_error(a->vtable->set_positions(a, &before, rows, ROWS, NULL), ERROR_FENCED);
	assert_error(a->vtable->release(a, &before, true, NULL), ERROR_FENCED);
	assert_error(a->vtable->settle(a, &before, NULL), ERROR_FENCED);
	assert_int_equal(suite->count_rows(suite, false), ROWS);
	struct read read;
	assert_ok(read_batch(b, &taken, 0, &read));
	assert_int_equal(read.rows[0].position, 100);
	assert_ok(b->vtable->renew(b, &taken, NULL));
}

static void a_renewed_slot_is_alive(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY), none;
	suite->expire(suite);
	assert_ok(a->vtable->renew(a, &slot, NULL));
	assert_error(b->vtable->take(b, PUBLISH_TAKE_DEAD, &none, NULL), ERROR_RESOURCE_EXHAUSTED);
}

static void a_commit_renews_the_lease(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY), none;
	suite->expire(suite);
	commit(a, &slot, 1, -1);
	assert_error(b->vtable->take(b, PUBLISH_TAKE_DEAD, &none, NULL), ERROR_RESOURCE_EXHAUSTED);
}

static void a_finished_slot_is_free_and_taken_before_an_unused_one(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY), none;
	commit(a, &slot, 4, -1);
	assert_ok(a->vtable->release(a, &slot, true, NULL));
	assert_error(b->vtable->take(b, PUBLISH_TAKE_DEAD, &none, NULL), ERROR_RESOURCE_EXHAUSTED);
	struct publish_slot taken = take(b, PUBLISH_TAKE_ANY);
	assert_int_equal(taken.slot, slot.slot);
	assert_int_equal(taken.batch_seq, 4);
	assert_true(taken.epoch > slot.epoch);
}

static void an_unfinished_slot_is_dead_and_taken_before_a_free_one(void **state)
{
	(void)state;
	struct publish_slot free_one = take(b, PUBLISH_TAKE_ANY), slot = take(a, PUBLISH_TAKE_ANY);
	assert_ok(b->vtable->release(b, &free_one, true, NULL));
	assert_ok(a->vtable->release(a, &slot, false, NULL));
	assert_int_equal(take(b, PUBLISH_TAKE_ANY).slot, slot.slot);
}

static void settling_tells_what_is_committed_and_shuts_out_the_rest(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY), before = slot, settled = slot;
	commit(a, &slot, 1, 100);
	assert_ok(b->vtable->settle(b, &settled, NULL));
	assert_true(settled.epoch > before.epoch);
	assert_int_equal(settled.slot, before.slot);
	assert_int_equal(settled.batch_seq, 1);
	assert_memory_equal(settled.last_id.bytes, slot.last_id.bytes, sizeof slot.last_id.bytes);
	assert_error(try_commit(a, &before, 2, 200), ERROR_FENCED);
	assert_error(b->vtable->settle(b, &before, NULL), ERROR_FENCED);
	commit(b, &settled, 2, 200);
}

static void positions_change_by_id(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY);
	struct ledger_ping rows[ROWS];
	make_rows(rows, -1);
	assert_ok(a->vtable->commit(a, &slot, 1, rows, ROWS, NULL));
	slot.batch_seq = 1;
	for (int i = 0; i < ROWS; i++)
		rows[i].position = 500 - i;
	assert_ok(a->vtable->set_positions(a, &slot, rows, ROWS, NULL));
	struct read read;
	assert_ok(read_batch(a, &slot, 0, &read));
	for (int i = 0; i < ROWS; i++)
		assert_int_equal(read.rows[i].position, 500 - i);
}

static struct publish_claim claim(uint8_t client, const char *key, int64_t pinged_at_ms)
{
	return (struct publish_claim){.client = address_from_ipv4((const uint8_t[]){10, 0, 0, client}),
				      .key = slice_from_string(key),
				      .pinged_at_ms = pinged_at_ms,
				      .received_at_ms = NOW_MS};
}

static void a_claimed_key_stands_once_its_batch_is_committed(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY);
	struct publish_claim claims[] = {claim(2, "z", NOW_MS), claim(1, "k", NOW_MS), claim(1, "a", NOW_MS)};
	assert_ok(a->vtable->claim(a, claims, 3, NULL));
	assert_true(claims[0].claimed && claims[1].claimed && claims[2].claimed);
	commit(a, &slot, 1, -1);
	struct publish_claim again[] = {claim(1, "k", NOW_MS + 5), claim(1, "z", NOW_MS), claim(2, "z", NOW_MS)};
	assert_ok(b->vtable->claim(b, again, 3, NULL));
	assert_false(again[0].claimed);
	assert_int_equal(again[0].first_pinged_at_ms, NOW_MS);
	assert_true(again[1].claimed);
	assert_false(again[2].claimed);
	b->vtable->abandon(b);
}

static void an_abandoned_claim_leaves_nothing(void **state)
{
	(void)state;
	struct publish_claim one = claim(1, "k", NOW_MS);
	assert_ok(a->vtable->claim(a, &one, 1, NULL));
	a->vtable->abandon(a);
	a->vtable->abandon(a);
	assert_ok(b->vtable->claim(b, &one, 1, NULL));
	assert_true(one.claimed);
}

static void a_key_that_another_transaction_holds_aborts_the_claim(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY);
	struct publish_claim held = claim(1, "k", NOW_MS), wanted[] = {claim(1, "a", NOW_MS), claim(1, "k", NOW_MS)};
	assert_ok(a->vtable->claim(a, &held, 1, NULL));
	assert_error(b->vtable->claim(b, wanted, 2, NULL), ERROR_ABORTED);
	commit(a, &slot, 1, -1);
	assert_ok(b->vtable->claim(b, wanted, 2, NULL));
	assert_true(wanted[0].claimed);
	assert_false(wanted[1].claimed);
}

static void a_fenced_batch_leaves_no_key(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY);
	struct publish_claim one = claim(1, "k", NOW_MS);
	suite->expire(suite);
	take(b, PUBLISH_TAKE_DEAD);
	assert_ok(a->vtable->claim(a, &one, 1, NULL));
	assert_error(try_commit(a, &slot, 1, -1), ERROR_FENCED);
	assert_ok(b->vtable->claim(b, &one, 1, NULL));
	assert_true(one.claimed);
}

static void rows_of_no_slot_are_kept(void **state)
{
	(void)state;
	assert_ok(try_commit(a, NULL, 0, 100));
	assert_int_equal(suite->count_rows(suite, true), ROWS);
}

static void inserted_rows_are_kept_with_their_positions(void **state)
{
	(void)state;
	struct ledger_ping rows[ROWS];
	make_rows(rows, 77);
	assert_ok(a->vtable->insert(a, rows, ROWS, NULL));
	assert_int_equal(suite->count_rows(suite, false), 0);
	assert_ok(a->vtable->commit_inserted(a, rows, ROWS, NULL));
	assert_int_equal(suite->count_rows(suite, true), ROWS);
}

static void inserted_rows_that_are_abandoned_are_not_kept(void **state)
{
	(void)state;
	struct ledger_ping rows[ROWS];
	struct publish_claim one = claim(1, "k", NOW_MS);
	make_rows(rows, 77);
	assert_ok(a->vtable->claim(a, &one, 1, NULL));
	assert_ok(a->vtable->insert(a, rows, ROWS, NULL));
	a->vtable->abandon(a);
	assert_int_equal(suite->count_rows(suite, false), 0);
	assert_ok(try_commit(a, NULL, 0, -1));
	assert_int_equal(suite->count_rows(suite, false), ROWS);
}

static void only_old_keys_are_forgotten(void **state)
{
	(void)state;
	struct publish_slot slot = take(a, PUBLISH_TAKE_ANY);
	struct publish_claim claims[] = {claim(1, "a", NOW_MS), claim(1, "b", NOW_MS), claim(1, "c", NOW_MS),
					 claim(1, "new", NOW_MS)};
	claims[3].received_at_ms = INT64_C(253402300799000);
	assert_ok(a->vtable->claim(a, claims, 4, NULL));
	commit(a, &slot, 1, -1);
	size_t removed = 99;
	assert_ok(b->vtable->prune_keys(b, 1000, 2, &removed, NULL));
	assert_int_equal(removed, 2);
	assert_ok(b->vtable->prune_keys(b, 1000, 2, &removed, NULL));
	assert_int_equal(removed, 1);
	assert_ok(b->vtable->claim(b, claims, 4, NULL));
	assert_true(claims[0].claimed);
	assert_false(claims[3].claimed);
}

static int begin(void **state)
{
	(void)state;
	ids = 0;
	suite->begin(suite);
	a = suite->open(suite);
	b = suite->open(suite);
	return 0;
}

static int end(void **state)
{
	(void)state;
	a->vtable->close(a);
	b->vtable->close(b);
	suite->end(suite);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int slot_contract_run(struct slot_contract *contract)
{
	const struct CMUnitTest tests[] = {
		TEST(a_slot_that_was_never_used_is_empty),
		TEST(a_slot_has_one_owner),
		TEST(slots_run_out),
		TEST(a_batch_is_read_back_as_it_was_written),
		TEST(batches_are_read_one_by_one_over_gaps_up_to_the_slots_newest),
		TEST(batches_are_read_together_until_they_have_rows_enough),
		TEST(a_dead_slot_is_taken_with_what_it_had_come_to),
		TEST(the_owner_before_can_do_nothing_any_more),
		TEST(a_renewed_slot_is_alive),
		TEST(a_commit_renews_the_lease),
		TEST(a_finished_slot_is_free_and_taken_before_an_unused_one),
		TEST(an_unfinished_slot_is_dead_and_taken_before_a_free_one),
		TEST(settling_tells_what_is_committed_and_shuts_out_the_rest),
		TEST(positions_change_by_id),
		TEST(a_claimed_key_stands_once_its_batch_is_committed),
		TEST(an_abandoned_claim_leaves_nothing),
		TEST(a_key_that_another_transaction_holds_aborts_the_claim),
		TEST(a_fenced_batch_leaves_no_key),
		TEST(rows_of_no_slot_are_kept),
		TEST(inserted_rows_are_kept_with_their_positions),
		TEST(inserted_rows_that_are_abandoned_are_not_kept),
		TEST(only_old_keys_are_forgotten),
	};
	suite = contract;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
