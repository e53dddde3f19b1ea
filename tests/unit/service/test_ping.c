#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "base/timestamp.h"
#include "fake_call.h"
#include "fake_clock.h"
#include "service/ping.h"
#include "service/ping_check.h"

#define NOW_MS	INT64_C(1728926331000)
#define SKEW_MS INT64_C(300000)

/* Keeps the last ping; one key counts as known. */
struct kept_ledger {
	struct ledger ledger;
	struct ledger_ping last;
	size_t count;
	enum error fail;
};

static enum error append(struct ledger *ledger, struct ledger_ping *pings, size_t count, struct error_note *note)
{
	struct kept_ledger *kept = (struct kept_ledger *)ledger;
	if (kept->fail != ERROR_OK)
		return error_noted(note, kept->fail, "/secret/path: planted");
	for (size_t i = 0; i < count; i++) {
		pings[i].duplicate = slice_equal_string(pings[i].key, "known");
		pings[i].result = slice_equal_string(pings[i].key, "reused") ? ERROR_KEY_REUSED : ERROR_OK;
		pings[i].position = (int64_t)++kept->count;
		kept->last = pings[i];
	}
	return ERROR_OK;
}

static enum error last_id(struct ledger *ledger, struct uuid *ret_id, struct error_note *note)
{
	(void)ledger;
	(void)note;
	*ret_id = (struct uuid){0};
	return ERROR_OK;
}

static enum error prune_keys(struct ledger *ledger, int64_t before_ms, size_t max, size_t *ret_removed, struct error_note *note)
{
	(void)ledger;
	(void)before_ms;
	(void)max;
	(void)note;
	*ret_removed = 0;
	return ERROR_OK;
}

static void close_kept(struct ledger *ledger)
{
	(void)ledger;
}

struct fixture {
	struct fake_clock clock;
	struct random_seeded random;
	struct kept_ledger ledger;
	struct ingest *ingest;
	struct rate rate;
	struct ping_endpoint endpoint;
	struct rpc_call *call;
};

static int set_up(void **state)
{
	static const struct ledger_vtable vtable = {
		.append = append, .last_id = last_id, .prune_keys = prune_keys, .close = close_kept};
	static struct fixture fixture;
	fixture = (struct fixture){.ledger = {.ledger.vtable = &vtable}, .call = fake_call_create("203.0.113.7")};
	struct fixture *f = &fixture;
	fake_clock_init(&f->clock, NOW_MS);
	random_seeded_init(&f->random, 1);
	struct ingest_config config = {.max_queue = 1};
	*state = f;
	if (ingest_create_simple(&config, &f->ledger.ledger, &f->clock.clock, &f->random.random, &f->ingest, NULL) != ERROR_OK)
		return -1;
	f->endpoint = (struct ping_endpoint){&f->clock.clock, f->ingest, SKEW_MS, &f->rate};
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	ingest_destroy(f->ingest);
	fake_call_destroy(f->call);
	return 0;
}

static enum error check(int64_t timestamp_ms, size_t key_size, struct error_note *note)
{
	static const uint8_t key[200];
	struct ping_v1_ping_request request = {.timestamp_ms = timestamp_ms, .idempotency_key = slice_make(key, key_size)};
	return ping_check(&request, NOW_MS, SKEW_MS, note);
}

static void any_past_time_and_up_to_the_skew_ahead_is_taken(void **state)
{
	(void)state;
	assert_int_equal(check(1, 0, NULL), ERROR_OK);
	assert_int_equal(check(NOW_MS, 0, NULL), ERROR_OK);
	assert_int_equal(check(NOW_MS + SKEW_MS, 128, NULL), ERROR_OK);
}

static void a_refusal_names_field_value_and_limit(void **state)
{
	(void)state;
	static const struct {
		int64_t timestamp_ms;
		size_t key_size;
		const char *text[3];
	} cases[] = {
		{0, 0, {"timestamp_ms", "required", "greater than 0"}},
		{-5, 0, {"timestamp_ms", "-5", "greater than 0"}},
		{INT64_MIN, 0, {"timestamp_ms", "-9223372036854775808", "greater than 0"}},
		{TIMESTAMP_MAX_MS + 1, 0, {"timestamp_ms", "253402300800000", "9999-12-31"}},
		{INT64_MAX, 0, {"timestamp_ms", "9223372036854775807", "9999-12-31"}},
		{NOW_MS + SKEW_MS + 1, 0, {"timestamp_ms", "1728926631001", "300000 ms ahead"}},
		{NOW_MS, 129, {"idempotency_key", "129", "128"}},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct error_note note = {""};
		assert_int_equal(check(cases[i].timestamp_ms, cases[i].key_size, &note), ERROR_INVALID_ARGUMENT);
		for (int part = 0; part < 3; part++)
			assert_non_null(strstr(note.text, cases[i].text[part]));
	}
}

static void the_end_of_time_is_a_limit_of_its_own(void **state)
{
	(void)state;
	struct ping_v1_ping_request request = {.timestamp_ms = TIMESTAMP_MAX_MS};
	assert_int_equal(ping_check(&request, TIMESTAMP_MAX_MS, SKEW_MS, NULL), ERROR_OK);
	request.timestamp_ms++;
	assert_int_equal(ping_check(&request, TIMESTAMP_MAX_MS, SKEW_MS, NULL), ERROR_INVALID_ARGUMENT);
}

static void handle(struct fixture *f, const struct ping_v1_ping_request *request)
{
	ping_handle(f->call, request, &f->endpoint);
}

/* The rate over the ten seconds that end with this one. */
static double rate(struct fixture *f)
{
	return rate_per_second(&f->rate, f->clock.now_us + 1000000);
}

static void a_ping_is_kept_before_it_is_answered(void **state)
{
	struct fixture *f = *state;
	struct ping_v1_ping_request request = {.timestamp_ms = 1728926331123 - 1000, .idempotency_key = SLICE_LITERAL("k1")};
	handle(f, &request);
	assert_int_equal(fake_call_answers(f->call), 0);
	assert_true(ingest_step(f->ingest));
	fake_call_wait(f->call);
	assert_int_equal(fake_call_error(f->call), ERROR_OK);
	struct address client = address_from_ipv4((uint8_t[]){203, 0, 113, 7});
	assert_true(address_equal(&f->ledger.last.client, &client));
	assert_int_equal(f->ledger.last.pinged_at_ms, request.timestamp_ms);
	assert_int_equal(f->ledger.last.received_at_ms, NOW_MS);
	assert_true(slice_equal_string(f->ledger.last.key, "k1"));
	assert_true(rate(f) > 0.09);
}

static void an_invalid_ping_is_refused_at_once_and_not_kept(void **state)
{
	struct fixture *f = *state;
	handle(f, &(struct ping_v1_ping_request){.timestamp_ms = -1});
	assert_int_equal(fake_call_answers(f->call), 1);
	assert_int_equal(fake_call_error(f->call), ERROR_INVALID_ARGUMENT);
	assert_memory_equal(fake_call_message(f->call), "timestamp_ms: -1", 16);
	assert_false(ingest_step(f->ingest));
}

static void a_full_queue_is_answered_at_once(void **state)
{
	struct fixture *f = *state;
	struct rpc_call *second = fake_call_create("203.0.113.8");
	struct ping_v1_ping_request request = {.timestamp_ms = NOW_MS};
	handle(f, &request);
	ping_handle(second, &request, &f->endpoint);
	assert_int_equal(fake_call_answers(second), 1);
	assert_string_equal(error_connect_code(fake_call_error(second)), "resource_exhausted");
	assert_true(ingest_step(f->ingest));
	fake_call_wait(f->call);
	fake_call_destroy(second);
}

static void while_shutting_down_it_is_unavailable(void **state)
{
	struct fixture *f = *state;
	ingest_close(f->ingest);
	handle(f, &(struct ping_v1_ping_request){.timestamp_ms = NOW_MS});
	assert_int_equal(fake_call_error(f->call), ERROR_SHUTTING_DOWN);
}

static void the_ledgers_failure_is_told_without_its_details(void **state)
{
	struct fixture *f = *state;
	f->ledger.fail = ERROR_DISK_FULL;
	handle(f, &(struct ping_v1_ping_request){.timestamp_ms = NOW_MS});
	assert_true(ingest_step(f->ingest));
	fake_call_wait(f->call);
	assert_int_equal(fake_call_error(f->call), ERROR_DISK_FULL);
	assert_string_equal(fake_call_message(f->call), error_text(ERROR_DISK_FULL));
	assert_true(rate(f) < 0.01);
}

static void a_known_key_is_answered_and_not_counted_again(void **state)
{
	struct fixture *f = *state;
	handle(f, &(struct ping_v1_ping_request){.timestamp_ms = NOW_MS, .idempotency_key = SLICE_LITERAL("known")});
	assert_true(ingest_step(f->ingest));
	fake_call_wait(f->call);
	assert_int_equal(fake_call_error(f->call), ERROR_OK);
	assert_true(rate(f) < 0.01);
}

static void a_key_of_another_ping_already_exists(void **state)
{
	struct fixture *f = *state;
	handle(f, &(struct ping_v1_ping_request){.timestamp_ms = NOW_MS, .idempotency_key = SLICE_LITERAL("reused")});
	assert_true(ingest_step(f->ingest));
	fake_call_wait(f->call);
	assert_string_equal(error_connect_code(fake_call_error(f->call)), "already_exists");
}

static void without_memory_nothing_is_kept(void **state)
{
	struct fixture *f = *state;
	fake_call_limit_arena(f->call, 10);
	handle(f, &(struct ping_v1_ping_request){.timestamp_ms = NOW_MS});
	assert_int_equal(fake_call_error(f->call), ERROR_NO_MEMORY);
	assert_false(ingest_step(f->ingest));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(any_past_time_and_up_to_the_skew_ahead_is_taken),
		TEST(a_refusal_names_field_value_and_limit),
		TEST(the_end_of_time_is_a_limit_of_its_own),
		TEST(a_ping_is_kept_before_it_is_answered),
		TEST(an_invalid_ping_is_refused_at_once_and_not_kept),
		TEST(a_full_queue_is_answered_at_once),
		TEST(while_shutting_down_it_is_unavailable),
		TEST(the_ledgers_failure_is_told_without_its_details),
		TEST(a_known_key_is_answered_and_not_counted_again),
		TEST(a_key_of_another_ping_already_exists),
		TEST(without_memory_nothing_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
