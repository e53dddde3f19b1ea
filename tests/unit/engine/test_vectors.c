/* The vectors of tests/vectors, which the Flink job's tests read too: values of records and what they are, streams of records and
 * the rows that they leave, however small the cache and however often it is written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>

#include "event/event.h"
#include "rows.h"

enum { PARTITIONS_MAX = 64, BATCH = 61, TEXT = 256 };

static json_t *load(const char *name)
{
	char path[1024];
	json_error_t why;
	snprintf(path, sizeof path, "%s/%s", getenv("PING_VECTORS"), name);
	json_t *root = json_load_file(path, 0, &why);
	if (root == NULL)
		fail_msg("%s: %s", path, why.text);
	return root;
}

static const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static int64_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static struct address address_of(const json_t *object)
{
	struct address client;
	assert_int_equal(address_parse(slice_from_string(text_of(object, "client")), &client), ERROR_OK);
	return client;
}

/* ─── Values ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct slice value_of(const json_t *one, uint8_t room[TEXT])
{
	const json_t *value = json_object_get(one, "value");
	if (value != NULL)
		return slice_make(json_string_value(value), json_string_length(value));
	const char *hex = text_of(one, "hex");
	size_t size = 0;
	for (unsigned byte; sscanf(hex + 2 * size, "%2x", &byte) == 1; size++)
		room[size] = (uint8_t)byte;
	return slice_make(room, size);
}

static void values_are_what_the_vectors_say(void **state)
{
	(void)state;
	json_t *root = load("decode.json"), *one;
	size_t i;
	json_array_foreach(json_object_get(root, "cases"), i, one)
	{
		uint8_t room[TEXT];
		struct event event;
		struct error_note note = {""};
		const char *reason = text_of(one, "reason");
		enum error error = event_decode(value_of(one, room), &event, &note);
		if (reason != NULL) {
			assert_int_equal(error, ERROR_MALFORMED);
			assert_string_equal(note.text, reason);
			continue;
		}
		struct address client = address_of(one);
		char text[ADDRESS_TEXT_SIZE];
		assert_int_equal(error, ERROR_OK);
		assert_memory_equal(&event.client, &client, sizeof client);
		assert_int_equal(event.pinged_at_ms, number_of(one, "pinged_at_ms"));
		address_format(&event.client, text);
		assert_string_equal(text, text_of(one, "client"));
	}
	assert_true(i > 50);
	json_decref(root);
}

/* ─── Streams ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void read_rows(const json_t *from, struct rows *ret_rows)
{
	json_t *one;
	size_t i;
	*ret_rows = (struct rows){0};
	json_array_foreach(json_object_get(from, "windows"), i, one) ret_rows->windows[ret_rows->window_count++] =
		(struct window_row){address_of(one),	     number_of(one, "start"), number_of(one, "count"),
				    number_of(one, "first"), number_of(one, "last"),  number_of(one, "position")};
	json_array_foreach(json_object_get(from, "days"), i, one) ret_rows->days[ret_rows->day_count++] =
		(struct day_row){address_of(one), number_of(one, "start"), number_of(one, "total"), number_of(one, "position")};
	json_array_foreach(json_object_get(from, "clients"), i, one) ret_rows->clients[ret_rows->client_count++] =
		(struct client_row){address_of(one), number_of(one, "first"), number_of(one, "last")};
}

struct run {
	const json_t *vector;
	struct rows rows;
	struct engine *engines[PARTITIONS_MAX];
	struct engine_event batch[BATCH];
	size_t batch_size;
	int32_t batch_partition;
	size_t dead;
};

static void apply_batch(struct run *run)
{
	rows_drive(&run->rows, run->engines[run->batch_partition], run->batch, run->batch_size, number_of(run->vector, "now"));
	rows_flush(&run->rows, run->engines[run->batch_partition]);
	run->batch_size = 0;
}

static void expect_dead(struct run *run, int32_t partition, int64_t offset, const char *reason)
{
	const json_t *expected = json_object_get(json_object_get(run->vector, "expected"), "dead"), *one;
	size_t i;
	json_array_foreach(expected, i, one)
	{
		if (number_of(one, "partition") != partition || number_of(one, "offset") != offset)
			continue;
		assert_string_equal(reason, text_of(one, "reason"));
		run->dead++;
		return;
	}
	fail_msg("partition %d, offset %lld: %s", (int)partition, (long long)offset, reason);
}

static void take_record(struct run *run, const json_t *record)
{
	int32_t partition = (int32_t)json_integer_value(json_array_get(record, 0));
	int64_t offset = json_integer_value(json_array_get(record, 1));
	const json_t *value = json_array_get(record, 2);
	struct event event;
	struct error_note note = {""};
	char key[ADDRESS_TEXT_SIZE];
	if (event_decode(slice_make(json_string_value(value), json_string_length(value)), &event, &note) != ERROR_OK) {
		expect_dead(run, partition, offset, note.text);
		return;
	}
	size_t size = address_format(&event.client, key);
	if (event_partition(slice_make(key, size), (int32_t)number_of(run->vector, "partitions")) != partition) {
		expect_dead(run, partition, offset, "misplaced");
		return;
	}
	if (run->batch_size == BATCH || (run->batch_size > 0 && run->batch_partition != partition))
		apply_batch(run);
	run->batch_partition = partition;
	run->batch[run->batch_size++] =
		(struct engine_event){event.client, event.pinged_at_ms, number_of(run->vector, "log_epoch") << 48 | offset};
}

static void check_activities(struct run *run)
{
	const json_t *expected = json_object_get(json_object_get(run->vector, "expected"), "activities"), *one;
	size_t i;
	json_array_foreach(expected, i, one)
	{
		struct address client = address_of(one);
		const struct activity_row *row = rows_activity(&run->rows, &client);
		assert_non_null(row);
		assert_int_equal(row->count, number_of(one, "count"));
		assert_int_equal(row->active_windows, number_of(one, "active"));
		assert_int_equal(row->first_ms, number_of(one, "first"));
		assert_int_equal(row->last_ms, number_of(one, "last"));
		assert_int_equal(row->busiest_start_ms, number_of(one, "busiest_start"));
		assert_int_equal(row->busiest_count, number_of(one, "busiest_count"));
		assert_int_equal(row->due_ms, number_of(one, "due"));
	}
}

static void run_vector(const json_t *vector, size_t max_rows)
{
	struct run *run = calloc(1, sizeof *run);
	struct rows *expected = calloc(1, sizeof *expected);
	int32_t partitions = (int32_t)number_of(vector, "partitions");
	struct engine_config config = {.max_rows = max_rows, .window_retention_ms = number_of(vector, "window_retention")};
	json_t *record;
	size_t i;
	run->vector = vector;
	read_rows(json_object_get(vector, "stored"), &run->rows);
	for (int32_t p = 0; p < partitions; p++)
		assert_int_equal(engine_create(&config, POSITION_NONE, &run->engines[p]), ERROR_OK);
	json_array_foreach(json_object_get(vector, "records"), i, record) take_record(run, record);
	if (run->batch_size > 0)
		apply_batch(run);
	read_rows(json_object_get(vector, "expected"), expected);
	rows_assert_equal(&run->rows, expected, true);
	check_activities(run);
	assert_true(run->dead >= json_array_size(json_object_get(json_object_get(vector, "expected"), "dead")));
	for (int32_t p = 0; p < partitions; p++)
		engine_destroy(run->engines[p]);
	free(expected);
	free(run);
}

static void streams_leave_the_rows_of_the_vectors(void **state)
{
	(void)state;
	char folder[1024];
	snprintf(folder, sizeof folder, "%s/streams", getenv("PING_VECTORS"));
	DIR *directory = opendir(folder);
	assert_non_null(directory);
	int count = 0;
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		char name[512];
		snprintf(name, sizeof name, "streams/%s", entry->d_name);
		json_t *vector = load(name);
		print_message("%s\n", name);
		run_vector(vector, 0);
		run_vector(vector, 7);
		json_decref(vector);
		count++;
	}
	closedir(directory);
	assert_true(count >= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_what_the_vectors_say),
		cmocka_unit_test(streams_leave_the_rows_of_the_vectors),
	};
	return cmocka_run_group_tests_name("engine/vectors", tests, NULL, NULL);
}
