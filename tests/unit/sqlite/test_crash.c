/* kill -9 in mid-append, many times over one ledger: what was acknowledged is there, and batches are there whole or not at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/sqlite/sqlite.h"
#include "base/random.h"
#include "folder.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CRASHES = 15, BATCH = 37 };

static struct folder folder;

/* Appends until it is killed; a byte to the pipe after each batch that was acknowledged. */
static void append_for_ever(int acknowledged)
{
	struct ledger_ping pings[BATCH] = {0};
	struct data_directory *directory;
	struct ledger *ledger;
	if (data_directory_open(folder.path, &directory, NULL) != ERROR_OK ||
	    sqlite_ledger_open(directory, &ledger, NULL) != ERROR_OK)
		_exit(1);
	for (int64_t time_ms = 1;; time_ms += 1000) {
		for (int i = 0; i < BATCH; i++)
			pings[i].pinged_at_ms = time_ms + i * 50;
		if (ledger->vtable->append(ledger, pings, BATCH, NULL) != ERROR_OK || write(acknowledged, "x", 1) != 1)
			_exit(1);
	}
}

/* Lets a child append, kills it once `batches` are acknowledged, and counts those that were by then. */
static int64_t crash_after(int64_t batches)
{
	int acknowledged[2];
	assert_int_equal(pipe(acknowledged), 0);
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test fails */
		close(acknowledged[0]);
		append_for_ever(acknowledged[1]);
	}
	close(acknowledged[1]);
	int64_t count = 0;
	char byte;
	while (count < batches && read(acknowledged[0], &byte, 1) == 1)
		count++;
	kill(child, SIGKILL);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	while (read(acknowledged[0], &byte, 1) == 1)
		count++;
	close(acknowledged[0]);
	return count;
}

static void acknowledged_batches_survive_and_no_batch_is_there_in_part(void **state)
{
	(void)state;
	struct random_seeded seeded;
	random_seeded_init(&seeded, 5);
	folder_make(&folder);
	int64_t known = 0;
	for (int crash = 0; crash < CRASHES; crash++) {
		known += BATCH * crash_after(1 + (int64_t)random_below(&seeded.random, 60));
		struct ledger_reader *reader;
		int64_t rows, rolled_up, counted;
		/* A reader before any writer: it finds the WAL as the crash left it. */
		assert_int_equal(sqlite_ledger_reader_open(folder.path, &reader, NULL), ERROR_OK);
		assert_int_equal(reader->vtable->count_rows(reader, &rows, &rolled_up, NULL), ERROR_OK);
		assert_int_equal(reader->vtable->count(reader, 0, 0, &counted, NULL), ERROR_OK);
		reader->vtable->close(reader);
		assert_int_equal(rolled_up, rows);
		assert_int_equal(counted, rows);
		assert_int_equal(rows % BATCH, 0);
		/* One batch may be durable whose acknowledgement was not sent. */
		assert_true(rows == known || rows == known + BATCH);
		known = rows;
	}
	folder_remove(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acknowledged_batches_survive_and_no_batch_is_there_in_part),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
