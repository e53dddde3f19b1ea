#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/publishers_health.h"
#include "unit/service/fake_clock.h"

#include <stdio.h>

/* Two publishers; with an outbox two carriers; a rescuer. */
struct fixture {
	struct fake_clock clock;
	struct health *health;
	struct publishers_health *publishers;
};

static void set_up(struct fixture *f, enum publisher_mode mode)
{
	static const enum publishers_role outbox[] = {PUBLISHERS_TAKER, PUBLISHERS_TAKER, PUBLISHERS_CARRIER, PUBLISHERS_CARRIER,
						      PUBLISHERS_RESCUER};
	static const enum publishers_role others[] = {PUBLISHERS_TAKER, PUBLISHERS_TAKER, PUBLISHERS_RESCUER};
	fake_clock_init(&f->clock, 1000);
	assert_int_equal(health_create(&f->clock.clock, &f->health), ERROR_OK);
	const struct publishers_health_config config = {.mode = mode,
							.slots = 32,
							.roles = mode == PUBLISHER_OUTBOX ? outbox : others,
							.count = mode == PUBLISHER_OUTBOX ? 5 : 3};
	assert_int_equal(publishers_health_create(&config, f->health, &f->publishers), ERROR_OK);
	publishers_health_prepared(f->publishers, PUBLISHERS_LEDGER);
	publishers_health_prepared(f->publishers, PUBLISHERS_LOG);
}

static void tear_down(struct fixture *f)
{
	publishers_health_destroy(f->publishers);
	health_destroy(f->health);
}

static void is_well(struct fixture *f, size_t member)
{
	const struct publisher_status status = {.state = PUBLISHER_READY, .ready = true};
	publishers_health_note(f->publishers, member, &status, NULL);
}

static void fails(struct fixture *f, size_t member, enum publisher_state state, enum error error, const char *text)
{
	struct publisher_status status = {.state = state, .error = error};
	snprintf(status.error_text, sizeof status.error_text, "%s", text);
	publishers_health_note(f->publishers, member, &status, &state);
}

static struct health_dependency find(struct fixture *f, const char *name)
{
	struct health_dependency all[HEALTH_MAX_DEPENDENCIES];
	size_t count = health_snapshot(f->health, all);
	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i].name, name) == 0)
			return all[i];
	return (struct health_dependency){.name = NULL};
}

static void assert_state(struct fixture *f, const char *name, enum health_state state, const char *text)
{
	struct health_dependency found = find(f, name);
	assert_non_null(found.name);
	assert_int_equal(found.state, state);
	if (text == NULL)
		assert_string_equal(found.detail, "");
	else if (strstr(found.detail, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, found.detail);
}

static unsigned http_status(struct fixture *f)
{
	struct buffer output;
	unsigned status = 0;
	buffer_init(&output, 1 << 16);
	assert_int_equal(health_render_json(f->health, &output, &status), ERROR_OK);
	buffer_release(&output);
	return status;
}

static void it_begins_as_down(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, PUBLISHER_TRANSACTIONAL);
	assert_state(&f, "publisher-slots", HEALTH_DOWN, "starting");
	assert_int_equal(http_status(&f), 503);
	tear_down(&f);
	set_up(&f, PUBLISHER_ORDERED);
	assert_state(&f, "log", HEALTH_DOWN, "starting");
	assert_int_equal(http_status(&f), 503);
	tear_down(&f);
}

static void one_publisher_that_is_well_makes_it_degraded_all_make_it_well(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, PUBLISHER_TRANSACTIONAL);
	is_well(&f, 0);
	assert_state(&f, "publisher-slots", HEALTH_DEGRADED, "starting");
	assert_int_equal(http_status(&f), 200);
	is_well(&f, 1);
	assert_state(&f, "ledger", HEALTH_OK, NULL);
	assert_state(&f, "log", HEALTH_OK, NULL);
	assert_state(&f, "publisher-slots", HEALTH_OK, NULL);
	tear_down(&f);
}

static void the_state_says_whose_trouble_it_is(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, PUBLISHER_TRANSACTIONAL);
	for (size_t i = 0; i < 2; i++)
		fails(&f, i, PUBLISHER_TAKING, ERROR_UNAVAILABLE, "no route");
	assert_state(&f, "ledger", HEALTH_DOWN, "no route");
	assert_state(&f, "log", HEALTH_OK, NULL);
	for (size_t i = 0; i < 2; i++)
		fails(&f, i, PUBLISHER_FENCING, ERROR_UNAVAILABLE, "no broker");
	assert_state(&f, "ledger", HEALTH_OK, NULL);
	assert_state(&f, "log", HEALTH_DOWN, "no broker");
	assert_int_equal(http_status(&f), 503);
	tear_down(&f);
}

static void none_that_is_well_makes_it_down_whatever_the_trouble_of_each(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, PUBLISHER_TRANSACTIONAL);
	fails(&f, 0, PUBLISHER_LOOKING, ERROR_UNAVAILABLE, "no leader");
	assert_state(&f, "publisher-slots", HEALTH_DOWN, "starting");
	assert_state(&f, "log", HEALTH_DOWN, "no leader");
	assert_int_equal(http_status(&f), 503);
	fails(&f, 1, PUBLISHER_TAKING, ERROR_UNAVAILABLE, "no route");
	assert_state(&f, "ledger", HEALTH_DOWN, "no route");
	assert_state(&f, "log", HEALTH_DOWN, "no leader");
	assert_int_equal(http_status(&f), 503);
	is_well(&f, 1);
	assert_state(&f, "ledger", HEALTH_OK, NULL);
	assert_state(&f, "log", HEALTH_DEGRADED, "no leader");
	assert_int_equal(http_status(&f), 200);
	tear_down(&f);
}

static void without_a_slot_it_is_not_ready_and_names_the_way_out(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, PUBLISHER_TRANSACTIONAL);
	for (size_t i = 0; i < 2; i++)
		fails(&f, i, PUBLISHER_TAKING, ERROR_RESOURCE_EXHAUSTED, "every publisher slot is held");
	assert_state(&f, "publisher-slots", HEALTH_DOWN,
		     "each of the 32 publisher slots is held by another process: raise publisher-slots");
	assert_state(&f, "ledger", HEALTH_OK, NULL);
	assert_int_equal(http_status(&f), 503);
	/* On the way to being ready what was known last still stands. */
	const struct publisher_status recovering = {.state = PUBLISHER_RECOVERING, .slot = 3, .error = ERROR_RESOURCE_EXHAUSTED};
	publishers_health_note(f.publishers, 0, &recovering, NULL);
	assert_state(&f, "publisher-slots", HEALTH_DOWN, "each of the 32");
	is_well(&f, 0);
	assert_state(&f, "publisher-slots", HEALTH_DEGRADED, "each of the 32");
	assert_int_equal(http_status(&f), 200);
	tear_down(&f);
}

static void an_outbox_stays_ready_while_its_carriers_cannot_publish(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, PUBLISHER_OUTBOX);
	is_well(&f, 0);
	is_well(&f, 1);
	for (size_t i = 2; i < 4; i++)
		fails(&f, i, PUBLISHER_FENCING, ERROR_UNAVAILABLE, "no broker");
	assert_state(&f, "log", HEALTH_DOWN, "no broker");
	assert_state(&f, "publisher-slots", HEALTH_OK, NULL);
	assert_int_equal(http_status(&f), 200);
	const struct publisher_status carrying = {.state = PUBLISHER_RECOVERING};
	for (size_t i = 2; i < 4; i++)
		publishers_health_note(f.publishers, i, &carrying, NULL);
	assert_state(&f, "log", HEALTH_OK, NULL);
	tear_down(&f);
}

static void an_outbox_whose_slots_were_never_used_needs_the_log_once(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, PUBLISHER_OUTBOX);
	for (size_t i = 0; i < 2; i++)
		fails(&f, i, PUBLISHER_LOOKING, ERROR_UNAVAILABLE, "no broker");
	assert_state(&f, "publisher-slots", HEALTH_DOWN, "first use needs the log: no broker");
	assert_int_equal(http_status(&f), 503);
	tear_down(&f);
}

static void a_rescuers_trouble_is_nobodys_health(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, PUBLISHER_TRANSACTIONAL);
	is_well(&f, 0);
	is_well(&f, 1);
	fails(&f, 2, PUBLISHER_TAKING, ERROR_UNAVAILABLE, "no route");
	assert_state(&f, "ledger", HEALTH_OK, NULL);
	tear_down(&f);
}

static void without_slots_there_is_no_such_dependency(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, PUBLISHER_ORDERED);
	assert_null(find(&f, "publisher-slots").name);
	is_well(&f, 0);
	is_well(&f, 1);
	assert_int_equal(http_status(&f), 200);
	tear_down(&f);
}

static void what_is_not_prepared_is_down_whatever_publishers_say(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, PUBLISHER_OUTBOX);
	publishers_health_wait(f.publishers, PUBLISHERS_LOG, "cannot reach the cluster");
	is_well(&f, 0);
	is_well(&f, 1);
	assert_state(&f, "log", HEALTH_DOWN, "cannot reach the cluster");
	assert_state(&f, "ledger", HEALTH_OK, NULL);
	assert_int_equal(http_status(&f), 200);
	publishers_health_prepared(f.publishers, PUBLISHERS_LOG);
	assert_state(&f, "log", HEALTH_OK, NULL);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_begins_as_down),
		cmocka_unit_test(one_publisher_that_is_well_makes_it_degraded_all_make_it_well),
		cmocka_unit_test(the_state_says_whose_trouble_it_is),
		cmocka_unit_test(none_that_is_well_makes_it_down_whatever_the_trouble_of_each),
		cmocka_unit_test(without_a_slot_it_is_not_ready_and_names_the_way_out),
		cmocka_unit_test(an_outbox_stays_ready_while_its_carriers_cannot_publish),
		cmocka_unit_test(an_outbox_whose_slots_were_never_used_needs_the_log_once),
		cmocka_unit_test(a_rescuers_trouble_is_nobodys_health),
		cmocka_unit_test(without_slots_there_is_no_such_dependency),
		cmocka_unit_test(what_is_not_prepared_is_down_whatever_publishers_say),
	};
	return cmocka_run_group_tests_name("app/publishers_health", tests, NULL, NULL);
}
