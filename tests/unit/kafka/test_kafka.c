#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/kafka/kafka.h"
#include "adapter/kafka/slot_record.h"

static void assert_brokers(const char *url, const char *expected)
{
	const char *brokers = NULL;
	struct error_note note = {""};
	enum error error = kafka_url_parse(url, &brokers, &note);
	if (expected == NULL) {
		assert_int_equal(error, ERROR_MALFORMED);
		assert_true(note.text[0] != 0);
		assert_null(brokers);
	} else {
		assert_int_equal(error, ERROR_OK);
		assert_string_equal(brokers, expected);
	}
}

static void a_url_names_one_broker_or_several(void **state)
{
	(void)state;
	assert_brokers("kafka://127.0.0.1:9092", "127.0.0.1:9092");
	assert_brokers("kafka://a.example:9092,b.example:9093", "a.example:9092,b.example:9093");
	assert_brokers("kafka://[::1]:9092", "[::1]:9092");
	assert_brokers("kafka://a,[::1]", "a,[::1]");
}

static void a_url_that_names_anything_else_is_refused(void **state)
{
	(void)state;
	assert_brokers("kafka://", NULL);
	assert_brokers("kafka://host:", NULL);
	assert_brokers("kafka://host:0", NULL);
	assert_brokers("kafka://host:65536", NULL);
	assert_brokers("kafka://host:123456", NULL);
	assert_brokers("kafka://host:9092,", NULL);
	assert_brokers("kafka://:9092", NULL);
	assert_brokers("kafka://::1:9092", NULL);
	assert_brokers("kafka://[::1", NULL);
	assert_brokers("kafka://[]:1", NULL);
	assert_brokers("kafka://[::1]9092", NULL);
	assert_brokers("kafka://user:secret@host:9092", NULL);
	assert_brokers("kafka://host:9092/topic", NULL);
	assert_brokers("http://host:9092", NULL);
}

#define TOPIC	    "c0ffee00-1234-4321-8765-0123456789ab"
#define OTHER_TOPIC "c0ffee00-1234-4321-8765-0123456789ac"

static enum error decode(const char *text, struct slot_record *ret_record)
{
	return slot_record_decode(slice_from_string(text), ret_record);
}

static void a_slots_record_is_read_as_it_was_written(void **state)
{
	(void)state;
	const struct slot_record records[] = {{0, {0, 0}, ""}, {1, {42, 41}, TOPIC}, {32767, {INT64_MAX, INT64_MAX}, TOPIC}};
	for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
		char text[SLOT_RECORD_SIZE];
		struct slot_record read;
		size_t size = slot_record_encode(&records[i], text);
		assert_int_equal(slot_record_decode(slice_make(text, size), &read), ERROR_OK);
		assert_int_equal(read.log_epoch, records[i].log_epoch);
		assert_int_equal(read.batches.batch, records[i].batches.batch);
		assert_int_equal(read.batches.after, records[i].batches.after);
		assert_string_equal(read.topic, records[i].topic);
		assert_true(size < SLOT_RECORD_SIZE);
	}
	char text[SLOT_RECORD_SIZE];
	slot_record_encode(&records[0], text);
	assert_string_equal(text, "{\"log_epoch\":0,\"batch\":0,\"after\":0}");
	slot_record_encode(&records[1], text);
	assert_string_equal(text, "{\"log_epoch\":1,\"batch\":42,\"after\":41,\"topic\":\"" TOPIC "\"}");
}

static void a_slots_record_may_have_members_of_a_newer_version(void **state)
{
	(void)state;
	struct slot_record record;
	assert_int_equal(decode("{\"host\":{\"name\":[1,2]}, \"batch\":7, \"log_epoch\":1}", &record), ERROR_OK);
	assert_int_equal(record.batches.batch, 7);
}

static void a_slots_record_of_an_older_version_is_of_one_batch(void **state)
{
	(void)state;
	struct slot_record record;
	assert_int_equal(decode("{\"log_epoch\":1,\"batch\":7}", &record), ERROR_OK);
	assert_int_equal(record.batches.after, 6);
	assert_string_equal(record.topic, "");
	assert_int_equal(decode("{\"log_epoch\":1,\"batch\":0}", &record), ERROR_OK);
	assert_int_equal(record.batches.after, 0);
}

static void a_topic_made_anew_and_a_greater_epoch_go_together(void **state)
{
	(void)state;
	static const struct {
		struct slot_record record, own;
		const char *words; /* of the refusal; NULL: it may go on */
	} cases[] = {
		{{1, {7, 6}, TOPIC}, {1, {7, 6}, TOPIC}, NULL},
		{{1, {7, 6}, TOPIC}, {2, {7, 6}, OTHER_TOPIC}, NULL},
		{{1, {7, 6}, ""}, {1, {7, 6}, TOPIC}, NULL},
		{{1, {7, 6}, ""}, {2, {7, 6}, TOPIC}, NULL},
		{{1, {7, 6}, TOPIC}, {2, {7, 6}, ""}, NULL},
		{{2, {7, 6}, ""}, {1, {7, 6}, ""}, "slot 3 was written under log epoch 2, this pingd has log epoch 1"},
		{{2, {7, 6}, TOPIC}, {1, {7, 6}, OTHER_TOPIC}, "slot 3 was written under log epoch 2"},
		{{1, {7, 6}, TOPIC}, {1, {7, 6}, OTHER_TOPIC}, "made anew behind slot 3's batch 7, and --log-epoch is still 1"},
		{{1, {7, 6}, TOPIC}, {2, {7, 6}, TOPIC}, "set --log-epoch to 1"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error_note note = {""};
		enum error error = slot_record_check(&cases[i].record, &cases[i].own, 3, &note);
		assert_int_equal(error, cases[i].words == NULL ? ERROR_OK : ERROR_FAILED_PRECONDITION);
		if (cases[i].words != NULL)
			assert_non_null(strstr(note.text, cases[i].words));
	}
}

static void what_is_no_slots_record_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {"",
					    "x",
					    "[]",
					    "[1]",
					    "{}",
					    "{\"log_epoch\":1}",
					    "{\"batch\":1}",
					    "{\"log_epoch\":1,\"batch\":-1}",
					    "{\"log_epoch\":1,\"batch\":1.5}",
					    "{\"log_epoch\":1,\"batch\":\"1\"}",
					    "{\"log_epoch\":1,\"batch\":1,\"after\":2}",
					    "{\"log_epoch\":1,\"batch\":1,\"topic\":1}",
					    "{\"log_epoch\":1,\"batch\":1,\"topic\":\"" TOPIC "0\"}",
					    "{\"log_epoch\":1,\"batch\":1}}"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct slot_record record = {11, {12, 13}, ""};
		assert_int_equal(decode(texts[i], &record), ERROR_MALFORMED);
		assert_int_equal(record.log_epoch, 11);
		assert_int_equal(record.batches.batch, 12);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_url_names_one_broker_or_several),
		cmocka_unit_test(a_url_that_names_anything_else_is_refused),
		cmocka_unit_test(a_slots_record_is_read_as_it_was_written),
		cmocka_unit_test(a_slots_record_may_have_members_of_a_newer_version),
		cmocka_unit_test(a_slots_record_of_an_older_version_is_of_one_batch),
		cmocka_unit_test(a_topic_made_anew_and_a_greater_epoch_go_together),
		cmocka_unit_test(what_is_no_slots_record_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
