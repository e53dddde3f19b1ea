/* Every I/O call made to fail once. Each time the files are copied as they then are, which is what a crash would leave: opened
 * again, the copy must show what was reported. OK: the batch is there, whole. IN_DOUBT: whole or not at all. Any other error: not
 * at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/sqlite/sqlite.h"
#include "faulty_vfs.h"
#include "folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct folder folder, copy, template;
static struct data_directory *directory;
static struct ledger *ledger;
static struct log_reader *reader; /* open as in pingd: so the WAL stays when the ledger closes its connection */

static void copy_file(const char *from, const char *to, const char *name)
{
	char path[128], block[65536];
	snprintf(path, sizeof path, "%s/%s", from, name);
	FILE *source = fopen(path, "rb");
	if (source == NULL)
		return;
	snprintf(path, sizeof path, "%s/%s", to, name);
	FILE *target = fopen(path, "wb");
	assert_non_null(target);
	for (size_t size; (size = fread(block, 1, sizeof block, source)) > 0;)
		assert_int_equal(fwrite(block, 1, size, target), size);
	fclose(source);
	assert_int_equal(fclose(target), 0);
}

/* As a crash leaves them: without the shared memory. */
static void copy_files(const char *from, const char *to)
{
	static const char *const names[] = {"ledger.db", "ledger.db-wal", "metrics.db", "metrics.db-wal"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		copy_file(from, to, names[i]);
}

static void open_ledger(void)
{
	assert_int_equal(data_directory_open(folder.path, &directory, NULL), ERROR_OK);
	assert_int_equal(sqlite_ledger_open(directory, &ledger, NULL), ERROR_OK);
	assert_int_equal(sqlite_log_open(directory, &reader, NULL), ERROR_OK);
}

static void close_ledger(void)
{
	reader->vtable->close(reader);
	ledger->vtable->close(ledger);
	data_directory_close(directory);
}

/* `count` pings spread over the levels of the roll-up; with keys, of every second one. */
static enum error append(size_t count, int64_t apart_ms, const char *key)
{
	struct ledger_ping *pings = calloc(count, sizeof *pings);
	for (size_t i = 0; i < count; i++) {
		pings[i].pinged_at_ms = 1 + (int64_t)i * apart_ms;
		pings[i].client.bytes[0] = (uint8_t)i;
		pings[i].client.bytes[1] = (uint8_t)(i >> 8);
		pings[i].key = i % 2 == 0 ? slice_from_string(key) : slice_make(NULL, 0);
	}
	enum error error = ledger->vtable->append(ledger, pings, count, NULL);
	free(pings);
	return error;
}

static int64_t count_in(const char *path)
{
	struct ledger_reader *counter;
	struct error_note note = {""};
	int64_t rows = -1, rolled_up = -1;
	if (sqlite_ledger_reader_open(path, &counter, &note) != ERROR_OK)
		fail_msg("%s", note.text);
	assert_int_equal(counter->vtable->count_rows(counter, &rows, &rolled_up, NULL), ERROR_OK);
	counter->vtable->close(counter);
	assert_int_equal(rolled_up, rows);
	return rows;
}

static int64_t count_in_a_crash_now(void)
{
	folder_make(&copy);
	copy_files(folder.path, copy.path);
	int64_t rows = count_in(copy.path);
	folder_remove(&copy);
	return rows;
}

static void assert_as_reported(enum error error, int64_t before, int64_t added, int64_t found)
{
	bool all = found == before + added, nothing = found == before;
	if (error == ERROR_OK ? !all : error == ERROR_IN_DOUBT ? !all && !nothing : !nothing)
		fail_msg("%s, but of %lld + %lld rows there are %lld", error_name(error), (long long)before, (long long)added,
			 (long long)found);
}

/* Appends `count` pings with the n-th call failing; false when fewer calls were made. */
static bool append_with_fault(struct faults set, size_t count, int64_t apart_ms)
{
	int64_t before = count_in(folder.path);
	faults_set(set);
	enum error error = append(count, apart_ms, "second");
	struct faults done = faults;
	faults_set((struct faults){0});
	assert_as_reported(error, before, (int64_t)count, count_in_a_crash_now());
	assert_int_equal(append(3, 1, "third"), ERROR_OK);
	int64_t found = count_in(folder.path);
	assert_as_reported(error, before + 3, (int64_t)count, found);
	assert_int_equal(count_in_a_crash_now(), found);
	return done.calls >= set.after;
}

static void each_call_of_an_append_fails_once(struct faults set)
{
	bool reached = true;
	long failed = 0;
	for (set.after = 1; reached; set.after++, failed++) {
		folder_make(&folder);
		open_ledger();
		assert_int_equal(append(20, 1000, "first"), ERROR_OK);
		reached = append_with_fault(set, 50, 100000);
		int64_t found = count_in(folder.path);
		close_ledger();
		assert_int_equal(count_in(folder.path), found);
		folder_remove(&folder);
	}
	assert_true(failed > 1);
}

static void a_failed_call_of_an_append_is_reported_as_what_it_left(void **state)
{
	(void)state;
	each_call_of_an_append_fails_once((struct faults){.kinds = FAULT_ANY});
}

static void a_full_disk_at_any_call_of_an_append_is_reported_as_what_it_left(void **state)
{
	(void)state;
	each_call_of_an_append_fails_once((struct faults){.kinds = FAULT_WRITE, .disk_full = true});
}

static void a_disk_that_stays_broken_is_reported_as_what_it_left(void **state)
{
	(void)state;
	each_call_of_an_append_fails_once((struct faults){.kinds = FAULT_ANY, .for_ever = true});
}

/* A template just short of a checkpoint: the append that follows makes one. */
static void make_template(void)
{
	folder_make(&folder);
	folder_make(&template);
	open_ledger();
	char path[128];
	snprintf(path, sizeof path, "%s/ledger.db-wal", folder.path);
	/* A commit takes under 20 pages of WAL here; the checkpoint is due at 4,000. */
	for (long size = 0; size < (4000 - 20) * 4120L;) {
		assert_int_equal(append(1, 1, ""), ERROR_OK);
		FILE *wal = fopen(path, "rb");
		assert_int_equal(fseek(wal, 0, SEEK_END), 0);
		size = ftell(wal);
		fclose(wal);
	}
	copy_files(folder.path, template.path);
	close_ledger();
	folder_remove(&folder);
}

static void each_call_of_a_checkpoint_fails_once(struct faults set)
{
	bool reached = true;
	long failed = 0;
	make_template();
	/* Hundreds of calls, most of them alike: the first ones, then some of each part. */
	for (set.after = 1; reached; set.after += failed++ < 10 ? 1 : 29) {
		folder_make(&folder);
		copy_files(template.path, folder.path);
		open_ledger();
		reached = append_with_fault(set, 3000, INT64_C(2000000));
		close_ledger();
		folder_remove(&folder);
	}
	folder_remove(&template);

	assert_true(failed > 15);
}

static void a_failed_checkpoint_loses_nothing(void **state)
{
	(void)state;
	each_call_of_a_checkpoint_fails_once((struct faults){.kinds = FAULT_ANY});
	each_call_of_a_checkpoint_fails_once((struct faults){.kinds = FAULT_ANY, .for_ever = true});
}

static void a_checkpoint_on_a_full_disk_loses_nothing(void **state)
{
	(void)state;
	each_call_of_a_checkpoint_fails_once((struct faults){.kinds = FAULT_WRITE, .disk_full = true, .for_ever = true});
}

static void a_full_disk_refuses_pings_until_there_is_space_again(void **state)
{
	(void)state;
	struct error_note note = {""};
	struct ledger_ping ping = {.pinged_at_ms = 1};
	folder_make(&folder);
	open_ledger();
	assert_int_equal(append(20, 1000, "first"), ERROR_OK);
	faults_set((struct faults){.kinds = FAULT_WRITE, .after = 1, .for_ever = true, .disk_full = true});
	for (int i = 0; i < 5; i++) {
		assert_int_equal(ledger->vtable->append(ledger, &ping, 1, &note), ERROR_DISK_FULL);
		assert_int_equal(ledger->vtable->probe(ledger, NULL), ERROR_DISK_FULL);
	}
	assert_non_null(strstr(note.text, folder.path));
	faults_set((struct faults){0});
	assert_int_equal(count_in_a_crash_now(), 20);
	assert_int_equal(ledger->vtable->probe(ledger, NULL), ERROR_OK);
	assert_int_equal(ledger->vtable->append(ledger, &ping, 1, NULL), ERROR_OK);
	assert_int_equal(count_in(folder.path), 21);
	close_ledger();
	folder_remove(&folder);
}

static void a_sync_that_fails_in_a_commit_leaves_the_batch_in_doubt(void **state)
{
	(void)state;
	struct ledger_ping ping = {.pinged_at_ms = 1};
	folder_make(&folder);
	open_ledger();
	assert_int_equal(append(20, 1000, "first"), ERROR_OK);
	faults_set((struct faults){.kinds = FAULT_SYNC, .after = 1});
	assert_int_equal(ledger->vtable->append(ledger, &ping, 1, NULL), ERROR_IN_DOUBT);
	faults_set((struct faults){0});
	assert_int_equal(count_in_a_crash_now(), 21); /* so it cannot be called "not kept" */
	close_ledger();
	folder_remove(&folder);
}

static void a_reader_that_failed_reads_again(void **state)
{
	(void)state;
	struct ledger_reader *counter;
	struct log_event event;
	int64_t rows, rolled_up;
	folder_make(&folder);
	open_ledger();
	assert_int_equal(append(20, 1000, "first"), ERROR_OK);
	assert_int_equal(sqlite_ledger_reader_open(folder.path, &counter, NULL), ERROR_OK);
	assert_int_equal(reader->vtable->poll(reader, 0, &event, NULL), ERROR_OK);
	long failed = 0;
	for (long after = 1; after < 30; after++) {
		assert_int_equal(append(1, 1, ""), ERROR_OK);
		faults_set((struct faults){.kinds = FAULT_READ, .after = after});
		enum error polled = reader->vtable->poll(reader, 0, &event, NULL);
		enum error counted = counter->vtable->count_rows(counter, &rows, &rolled_up, NULL);
		faults_set((struct faults){0});
		failed += (polled != ERROR_OK) + (counted != ERROR_OK);
		if (polled != ERROR_OK)
			assert_int_equal(reader->vtable->poll(reader, 0, &event, NULL), ERROR_OK);
		assert_int_equal(event.kind, LOG_BATCH);
		if (counted != ERROR_OK)
			assert_int_equal(counter->vtable->count_rows(counter, &rows, &rolled_up, NULL), ERROR_OK);
		assert_int_equal(rows, 20 + after);
	}
	assert_true(failed > 0);
	counter->vtable->close(counter);
	close_ledger();
	folder_remove(&folder);
}

/* ——— the store ——— */

static const uint8_t identity[16] = "the log of tests";

static enum error write_metrics(struct store *store, int64_t position)
{
	struct address client = {{1}};
	struct window_row window = {client, 0, position, 1, position, position};
	struct day_row day = {client, 0, position, position};
	struct client_row row = {client, 1, position};
	struct activity_row activity = {.client = client, .count = position, .due_ms = 1};
	struct engine_dirty dirty = {.windows = &window,
				     .window_count = 1,
				     .days = &day,
				     .day_count = 1,
				     .clients = &row,
				     .client_count = 1,
				     .activities = &activity,
				     .activity_count = 1,
				     .position = position};
	return store->vtable->write(store, 0, &dirty, position, NULL);
}

/* The position, which all rows must agree with. */
static int64_t position_in(const char *path)
{
	struct store_reader *metrics;
	struct address client = {{1}};
	struct window_row window;
	struct day_row day;
	struct client_row row;
	struct store_totals totals;
	size_t count;
	assert_int_equal(sqlite_store_reader_open(path, &metrics, NULL), ERROR_OK);
	assert_int_equal(metrics->vtable->totals(metrics, 1, &totals, NULL), ERROR_OK);
	assert_int_equal(metrics->vtable->list_windows(metrics, &client, 0, 0, &window, 1, &count, NULL), ERROR_OK);
	assert_int_equal(window.count, totals.position);
	assert_int_equal(metrics->vtable->list_days(metrics, &client, 0, 0, &day, 1, &count, NULL), ERROR_OK);
	assert_int_equal(day.total, totals.position);
	assert_int_equal(metrics->vtable->get_client(metrics, &client, &row, NULL), ERROR_OK);
	assert_int_equal(row.last_ms, totals.position);
	metrics->vtable->close(metrics);
	return totals.position;
}

static void a_failed_write_of_metrics_leaves_rows_and_position_together(void **state)
{
	(void)state;
	bool reached = true;
	long failed = 0;
	for (long after = 1; reached; after++, failed++) {
		struct store *store;
		int64_t position;
		folder_make(&folder);
		folder_make(&copy);
		assert_int_equal(data_directory_open(folder.path, &directory, NULL), ERROR_OK);
		assert_int_equal(sqlite_store_open(directory, &store, NULL), ERROR_OK);
		assert_int_equal(store->vtable->take(store, 0, identity, &position, NULL), ERROR_OK);
		assert_int_equal(write_metrics(store, 10), ERROR_OK);
		faults_set((struct faults){.kinds = FAULT_ANY, .after = after});
		enum error error = write_metrics(store, 20);
		reached = faults.calls >= after;
		faults_set((struct faults){0});
		copy_files(folder.path, copy.path);
		position = position_in(copy.path);
		assert_true(position == 20 || (position == 10 && error != ERROR_OK));
		assert_int_equal(write_metrics(store, 20), ERROR_OK);
		assert_int_equal(position_in(folder.path), 20);
		store->vtable->close(store);
		data_directory_close(directory);
		folder_remove(&copy);
		folder_remove(&folder);
	}
	assert_true(failed > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_call_of_an_append_is_reported_as_what_it_left),
		cmocka_unit_test(a_full_disk_at_any_call_of_an_append_is_reported_as_what_it_left),
		cmocka_unit_test(a_disk_that_stays_broken_is_reported_as_what_it_left),
		cmocka_unit_test(a_failed_checkpoint_loses_nothing),
		cmocka_unit_test(a_checkpoint_on_a_full_disk_loses_nothing),
		cmocka_unit_test(a_full_disk_refuses_pings_until_there_is_space_again),
		cmocka_unit_test(a_sync_that_fails_in_a_commit_leaves_the_batch_in_doubt),
		cmocka_unit_test(a_reader_that_failed_reads_again),
		cmocka_unit_test(a_failed_write_of_metrics_leaves_rows_and_position_together),
	};
	faulty_vfs_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
