#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "audit/positions.h"

#include <stdio.h>
#include <stdlib.h>

/* Clients with an even last byte belong to partition 0, the others to 1. */
enum { PARTITIONS = 2, MAX = 64 };

struct fake_event {
	struct log_place place;
	int32_t partition;
};

struct fixture {
	struct ledger_positions ledger;
	struct log_positions log;
	/* What is there: rows in order, those without a position last; events in order of each partition. */
	struct position_row rows[MAX];
	struct fake_event events[MAX];
	size_t row_count, event_count;
	struct position_apart apart;
	int64_t published; /* by slot 0 */
	struct log_bounds bounds[PARTITIONS];
	/* What happens meanwhile. */
	void (*on_snapshot)(struct fixture *fixture); /* right after it was taken */
	void (*on_pause)(struct fixture *fixture);
	void (*on_event)(struct fixture *fixture); /* before the first event is read */

	struct position_row snapshot[MAX];
	size_t snapshot_count;
	bool snapshot_read;
	size_t next_event[PARTITIONS];
	struct log_bounds *reading;
	int64_t from;
	int snapshots, pauses;
	struct positions_options options;
	struct positions_report report;
	struct error_note note;
};

static struct uuid id_of(unsigned number)
{
	struct uuid id = {{0}};
	snprintf((char *)id.bytes, sizeof id.bytes, "id%u", number);
	return id;
}

static struct address client_of(unsigned number)
{
	const uint8_t bytes[4] = {10, 0, 0, (uint8_t)number};
	return address_from_ipv4(bytes);
}

/* ─── The ledger ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error fake_slots(struct ledger_positions *ledger, int32_t *ret_slots, size_t max, size_t *ret_count,
			     struct error_note *note)
{
	(void)ledger;
	(void)note;
	assert_true(max > 0);
	ret_slots[0] = 0;
	*ret_count = 1;
	return ERROR_OK;
}

static enum error fake_begin(struct ledger_positions *ledger, int64_t from, const int64_t *published, size_t slot_count,
			     struct position_apart *ret_apart, struct error_note *note)
{
	struct fixture *f = (struct fixture *)ledger;
	(void)note;
	assert_int_equal(slot_count, 1);
	assert_int_equal(published[0], f->published);
	f->from = from;
	memcpy(f->snapshot, f->rows, sizeof f->rows);
	f->snapshot_count = f->row_count;
	f->snapshot_read = false;
	f->snapshots++;
	*ret_apart = f->apart;
	if (f->on_snapshot != NULL)
		f->on_snapshot(f);
	return ERROR_OK;
}

static enum error fake_next_rows(struct ledger_positions *ledger, const struct position_row **ret_rows, size_t *ret_count,
				 struct error_note *note)
{
	struct fixture *f = (struct fixture *)ledger;
	(void)note;
	*ret_rows = f->snapshot;
	*ret_count = f->snapshot_read ? 0 : f->snapshot_count;
	f->snapshot_read = true;
	return ERROR_OK;
}

static void fake_end_rows(struct ledger_positions *ledger)
{
	(void)ledger;
}

static enum error fake_find(struct ledger_positions *ledger, const struct uuid *id, struct position_row *ret_row,
			    struct error_note *note)
{
	struct fixture *f = (struct fixture *)ledger;
	(void)note;
	for (size_t i = 0; i < f->row_count; i++)
		if (memcmp(f->rows[i].id.bytes, id->bytes, sizeof id->bytes) == 0) {
			*ret_row = f->rows[i];
			return ERROR_OK;
		}
	return ERROR_NOT_FOUND;
}

/* ─── The log ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct fixture *of_log(const struct log_positions *log)
{
	return (struct fixture *)((char *)(uintptr_t)log - offsetof(struct fixture, log));
}

static enum error fake_published(struct log_positions *log, int32_t slot, int64_t *ret_batch, struct error_note *note)
{
	(void)note;
	assert_int_equal(slot, 0);
	if (of_log(log)->published < 0)
		return ERROR_NOT_FOUND;
	*ret_batch = of_log(log)->published;
	return ERROR_OK;
}

static int32_t fake_partition_count(const struct log_positions *log)
{
	(void)log;
	return PARTITIONS;
}

static int32_t fake_partition_of(const struct log_positions *log, const struct address *client)
{
	(void)log;
	return client->bytes[15] % PARTITIONS;
}

static enum error fake_bounds(struct log_positions *log, struct log_bounds *ret_bounds, struct error_note *note)
{
	(void)note;
	memcpy(ret_bounds, of_log(log)->bounds, sizeof of_log(log)->bounds);
	return ERROR_OK;
}

static enum error fake_begin_events(struct log_positions *log, struct log_bounds *bounds, struct error_note *note)
{
	struct fixture *f = of_log(log);
	(void)note;
	f->reading = bounds;
	memset(f->next_event, 0, sizeof f->next_event);
	if (f->on_event != NULL)
		f->on_event(f);
	return ERROR_OK;
}

static enum error fake_next_event(struct log_positions *log, int32_t partition, struct log_place *ret_place,
				  struct error_note *note)
{
	struct fixture *f = of_log(log);
	(void)note;
	for (size_t *next = &f->next_event[partition]; *next < f->event_count; ++*next) {
		const struct fake_event *event = &f->events[*next];
		if (event->partition != partition || event->place.position < f->reading[partition].start)
			continue;
		if (event->place.position >= f->reading[partition].shown_end)
			break;
		*ret_place = event->place;
		++*next;
		return ERROR_OK;
	}
	return ERROR_END;
}

static void fake_end_events(struct log_positions *log)
{
	of_log(log)->reading = NULL;
}

/* ─── What is there ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static void pause_between(void *context)
{
	struct fixture *f = context;
	f->pauses++;
	if (f->on_pause != NULL)
		f->on_pause(f);
}

static int set_up(void **state)
{
	static const struct ledger_positions_vtable ledger = {
		.slots = fake_slots, .begin = fake_begin, .next = fake_next_rows, .end = fake_end_rows, .find = fake_find};
	static const struct log_positions_vtable log = {.published = fake_published,
							.partition_count = fake_partition_count,
							.partition_of = fake_partition_of,
							.bounds = fake_bounds,
							.begin = fake_begin_events,
							.next = fake_next_event,
							.end = fake_end_events};
	static struct fixture fixture;
	fixture = (struct fixture){
		.ledger.vtable = &ledger,
		.log.vtable = &log,
		.bounds = {{0, 1000, 1000}, {0, 1000, 1000}},
		.published = 5,
		.options = {.max_examples = POSITIONS_MAX_EXAMPLES, .pause = pause_between, .context = &fixture}};
	*state = &fixture;
	return 0;
}

/* In batch 5, the newest that is published, unless said otherwise. */
static struct position_row *add_row(struct fixture *f, unsigned number, int64_t position)
{
	struct position_row *row = &f->rows[f->row_count++];
	*row = (struct position_row){
		.id = id_of(number), .client = client_of(number), .position = position, .slot = 0, .batch = 5};
	return row;
}

static struct fake_event *add_event(struct fixture *f, unsigned number, int64_t position)
{
	struct fake_event *event = &f->events[f->event_count++];
	*event = (struct fake_event){{.position = position, .has_id = true, .id = id_of(number)}, (int32_t)(number % PARTITIONS)};
	return event;
}

static struct position_row *add_both(struct fixture *f, unsigned number, int64_t position)
{
	add_event(f, number, position);
	return add_row(f, number, position);
}

static void audit(struct fixture *f)
{
	enum error error = positions_audit(&f->ledger, &f->log, &f->options, &f->report, &f->note);
	if (error != ERROR_OK)
		fail_msg("%s: %s", error_name(error), f->note.text);
}

static void assert_differences(struct fixture *f, int64_t rows, int64_t events)
{
	audit(f);
	assert_int_equal(f->report.kinds[POSITIONS_ROWS].differences, rows);
	assert_int_equal(f->report.kinds[POSITIONS_EVENTS].differences, events);
	assert_int_equal(positions_differences(&f->report), rows + events);
}

static void assert_checked(struct fixture *f, int64_t rows, int64_t events)
{
	assert_int_equal(f->report.kinds[POSITIONS_ROWS].checked, rows);
	assert_int_equal(f->report.kinds[POSITIONS_EVENTS].checked, events);
}

static void assert_example(struct fixture *f, size_t index, const char *part)
{
	assert_true(index < f->report.example_count);
	if (strstr(f->report.examples[index].text, part) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", part, f->report.examples[index].text);
}

/* ─── Tests ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void an_empty_ledger_and_an_empty_log_agree(void **state)
{
	struct fixture *f = *state;
	assert_differences(f, 0, 0);
	assert_checked(f, 0, 0);
	assert_int_equal(f->pauses, 0);
}

static void rows_with_their_events_agree_whatever_lies_between(void **state)
{
	struct fixture *f = *state;
	add_both(f, 2, 10);
	add_both(f, 3, 10); /* the other partition's offset 10 */
	add_both(f, 4, 11);
	add_both(f, 6, 900);
	assert_differences(f, 0, 0);
	assert_checked(f, 4, 4);
	assert_int_equal(f->snapshots, 1);
}

static void an_event_without_row_is_a_difference(void **state)
{
	struct fixture *f = *state;
	add_both(f, 2, 10);
	add_event(f, 4, 11);
	add_event(f, 3, 5); /* in a partition where no row is */
	assert_differences(f, 0, 2);
	assert_checked(f, 1, 3);
	assert_int_equal(f->pauses, 1);
	assert_example(f, 0, "at position 11 (partition 0, offset 11): no row has this id");
	assert_example(f, 1, "at position 5 (partition 1, offset 5): no row has this id");
}

static void a_published_row_without_event_is_a_difference(void **state)
{
	struct fixture *f = *state;
	add_both(f, 2, 10);
	add_row(f, 4, 11);
	add_both(f, 6, 12);
	assert_differences(f, 1, 0);
	assert_example(f, 0,
		       "client 10.0.0.4, of batch 5 of slot 0, with position 11 (partition 0, offset 11): no such event there");
}

static void a_row_at_anothers_event_differs_and_the_event_too(void **state)
{
	struct fixture *f = *state;
	add_event(f, 4, 10);
	add_row(f, 2, 10);
	assert_differences(f, 1, 1);
}

static void two_rows_at_one_event_are_one_too_many(void **state)
{
	struct fixture *f = *state;
	add_row(f, 4, 10);
	add_both(f, 2, 10);
	assert_differences(f, 1, 0);
}

static void a_row_that_says_another_position_differs_on_both_sides(void **state)
{
	struct fixture *f = *state;
	add_event(f, 2, 10);
	add_row(f, 2, 20);
	assert_differences(f, 1, 1);
	assert_example(f, 0, "its row, client 10.0.0.2, of batch 5 of slot 0, has position 20");
}

static void an_event_behind_its_rows_position_differs_on_both_sides(void **state)
{
	struct fixture *f = *state;
	add_row(f, 2, 10);
	add_event(f, 2, 20);
	assert_differences(f, 1, 1);
}

static void a_row_beyond_the_end_is_a_difference(void **state)
{
	struct fixture *f = *state;
	add_row(f, 2, 1000);
	assert_differences(f, 1, 0);
}

static void a_published_row_without_position_is_a_difference(void **state)
{
	struct fixture *f = *state;
	add_both(f, 2, 10);
	add_row(f, 4, -1);
	assert_differences(f, 1, 0);
	assert_example(f, 0, "with no position");
}

static void an_event_that_is_there_twice_is_one_too_many(void **state)
{
	struct fixture *f = *state;
	add_both(f, 2, 10);
	add_event(f, 2, 30);
	assert_differences(f, 0, 1);
	assert_example(f, 0, "at position 30 (partition 0, offset 30): its row");
}

static void an_event_in_another_partition_than_its_clients_is_a_difference(void **state)
{
	struct fixture *f = *state;
	add_event(f, 2, 10)->partition = 1;
	add_row(f, 2, 10);
	assert_differences(f, 1, 1);
}

static void rows_of_batches_that_are_not_published_are_pending(void **state)
{
	struct fixture *f = *state;
	add_row(f, 2, 10)->batch = 6;
	add_row(f, 4, -1)->batch = 7;
	add_row(f, 6, -1)->slot = 3; /* of which nothing is published */
	assert_differences(f, 0, 0);
	assert_int_equal(f->report.pending, 3);
	assert_checked(f, 0, 0);
}

static void without_a_record_of_the_slot_nothing_is_published(void **state)
{
	struct fixture *f = *state;
	f->published = -1;
	add_row(f, 2, 10)->batch = 1;
	assert_differences(f, 0, 0);
	assert_int_equal(f->report.pending, 1);
}

static void a_pending_row_whose_event_shows_is_as_good_as_any(void **state)
{
	struct fixture *f = *state;
	add_both(f, 2, 10)->batch = 6;
	assert_differences(f, 0, 0);
	assert_checked(f, 1, 1);
	assert_int_equal(f->report.pending, 0);
}

static void a_row_of_no_batch_has_its_event_too(void **state)
{
	struct fixture *f = *state;
	add_both(f, 2, 10)->slot = -1;
	add_row(f, 4, 11)->slot = -1;
	assert_differences(f, 1, 0);
	assert_example(f, 0, "of no batch");
}

static void a_row_behind_what_readers_see_is_pending(void **state)
{
	struct fixture *f = *state;
	f->bounds[0] = (struct log_bounds){0, 50, 100};
	add_both(f, 2, 49);
	add_both(f, 4, 50);
	add_row(f, 6, 99);
	assert_differences(f, 0, 0);
	assert_int_equal(f->report.pending, 2);
}

static void what_others_wrote_is_apart(void **state)
{
	struct fixture *f = *state;
	f->apart.others = 7;
	add_both(f, 2, 10);
	add_event(f, 4, 11)->place.has_id = false;
	add_event(f, 3, 11)->place.has_id = false;
	assert_differences(f, 0, 0);
	assert_checked(f, 1, 1);
	assert_int_equal(f->report.others_rows, 7);
	assert_int_equal(f->report.others_events, 2);
}

static void a_row_at_an_event_of_others_is_a_difference(void **state)
{
	struct fixture *f = *state;
	add_event(f, 2, 10)->place.has_id = false;
	add_row(f, 2, 10);
	assert_differences(f, 1, 0);
}

static void rows_before_the_logs_start_are_gone(void **state)
{
	struct fixture *f = *state;
	f->bounds[0].start = 100;
	f->bounds[1].start = 200;
	f->apart.gone = 3;
	add_row(f, 3, 150);
	add_both(f, 2, 160);
	add_both(f, 5, 200);
	assert_differences(f, 0, 0);
	assert_checked(f, 2, 2);
	assert_int_equal(f->report.gone, 4);
	assert_int_equal(f->from, 100);
}

static struct uuid id_at(int64_t unix_ms)
{
	struct uuid id = id_of(2);
	for (int i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)(unix_ms >> (40 - 8 * i));
	return id;
}

static void events_of_days_that_the_ledger_dropped_are_apart(void **state)
{
	struct fixture *f = *state;
	f->apart.dropped_until_ms = 1700000000000;
	add_event(f, 2, 10)->place.id = id_at(1699999999999);
	add_event(f, 2, 11)->place.id = id_at(1700000000000 + 3599999); /* waited, or its clock is ahead */
	add_event(f, 2, 12)->place.id = id_at(1700000000000 + 3600000);
	assert_differences(f, 0, 1);
	assert_checked(f, 0, 1);
	assert_int_equal(f->report.dropped, 2);
	f->apart.dropped_until_ms = 0;
	assert_differences(f, 0, 3);
	assert_int_equal(f->report.dropped, 0);
}

static void remove_the_oldest(struct fixture *f)
{
	f->reading[0].start = 20;
}

static void events_that_are_removed_meanwhile_are_gone(void **state)
{
	struct fixture *f = *state;
	add_both(f, 2, 10);
	add_both(f, 4, 20);
	f->on_event = remove_the_oldest;
	assert_differences(f, 0, 0);
	assert_int_equal(f->report.gone, 1);
	assert_checked(f, 1, 1);
}

static void publish_more(struct fixture *f)
{
	f->bounds[0].shown_end = f->bounds[0].end = 1010 + f->snapshots;
	add_event(f, (unsigned)(20 + 2 * f->snapshots), 1000 + f->snapshots);
}

static void events_newer_than_the_snapshot_are_no_difference(void **state)
{
	struct fixture *f = *state;
	add_both(f, 2, 10);
	f->on_snapshot = publish_more;
	assert_differences(f, 0, 0);
	assert_checked(f, 1, 1);
}

static void keep_the_row(struct fixture *f)
{
	add_row(f, 4, 11);
}

static void a_difference_that_settles_is_none(void **state)
{
	struct fixture *f = *state;
	add_both(f, 2, 10);
	add_event(f, 4, 11);
	f->on_pause = keep_the_row;
	assert_differences(f, 0, 0);
	assert_int_equal(f->pauses, 1);
	assert_checked(f, 2, 2);
}

static void move_the_row(struct fixture *f)
{
	f->rows[0].position = 21;
}

static void a_row_that_differs_elsewhere_meanwhile_is_not_the_same_difference(void **state)
{
	struct fixture *f = *state;
	add_row(f, 2, 20);
	f->on_pause = move_the_row;
	assert_differences(f, 0, 0);
	assert_int_equal(f->snapshots, 2);
}

static void leak_more(struct fixture *f)
{
	for (unsigned number = 20; number < 30; number += 2)
		add_event(f, number, number);
}

static void what_the_second_look_alone_finds_is_not_reported(void **state)
{
	struct fixture *f = *state;
	add_event(f, 4, 11);
	f->on_pause = leak_more;
	assert_differences(f, 0, 1);
	assert_int_equal(f->report.example_count, 1);
	assert_checked(f, 0, 6);
}

static void past_the_suspects_that_are_remembered_the_second_look_counts(void **state)
{
	struct fixture *f = *state;
	f->options.max_suspects = 3;
	leak_more(f);
	assert_differences(f, 0, 5);
}

static void no_more_examples_than_asked_for(void **state)
{
	struct fixture *f = *state;
	f->options.max_examples = 2;
	leak_more(f);
	assert_differences(f, 0, 5);
	assert_int_equal(f->report.example_count, 2);
}

static void an_order_that_is_broken_is_an_error(void **state)
{
	struct fixture *f = *state;
	add_both(f, 2, 10);
	add_both(f, 4, 9);
	assert_int_equal(positions_audit(&f->ledger, &f->log, &f->options, &f->report, &f->note), ERROR_INTERNAL);
	f->row_count = 0;
	assert_int_equal(positions_audit(&f->ledger, &f->log, &f->options, &f->report, &f->note), ERROR_INTERNAL);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_ledger_and_an_empty_log_agree),
		TEST(rows_with_their_events_agree_whatever_lies_between),
		TEST(an_event_without_row_is_a_difference),
		TEST(a_published_row_without_event_is_a_difference),
		TEST(a_row_at_anothers_event_differs_and_the_event_too),
		TEST(two_rows_at_one_event_are_one_too_many),
		TEST(a_row_that_says_another_position_differs_on_both_sides),
		TEST(an_event_behind_its_rows_position_differs_on_both_sides),
		TEST(a_row_beyond_the_end_is_a_difference),
		TEST(a_published_row_without_position_is_a_difference),
		TEST(an_event_that_is_there_twice_is_one_too_many),
		TEST(an_event_in_another_partition_than_its_clients_is_a_difference),
		TEST(rows_of_batches_that_are_not_published_are_pending),
		TEST(without_a_record_of_the_slot_nothing_is_published),
		TEST(a_pending_row_whose_event_shows_is_as_good_as_any),
		TEST(a_row_of_no_batch_has_its_event_too),
		TEST(a_row_behind_what_readers_see_is_pending),
		TEST(what_others_wrote_is_apart),
		TEST(a_row_at_an_event_of_others_is_a_difference),
		TEST(rows_before_the_logs_start_are_gone),
		TEST(events_of_days_that_the_ledger_dropped_are_apart),
		TEST(events_that_are_removed_meanwhile_are_gone),
		TEST(events_newer_than_the_snapshot_are_no_difference),
		TEST(a_difference_that_settles_is_none),
		TEST(a_row_that_differs_elsewhere_meanwhile_is_not_the_same_difference),
		TEST(what_the_second_look_alone_finds_is_not_reported),
		TEST(past_the_suspects_that_are_remembered_the_second_look_counts),
		TEST(no_more_examples_than_asked_for),
		TEST(an_order_that_is_broken_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
