/* The models keep the contracts that the real adapters keep: the simulator is no better than they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>
#include <time.h>

#include "contract/ledger_contract.h"
#include "contract/log_contract.h"
#include "contract/store_contract.h"
#include "model_ledger.h"
#include "model_log.h"
#include "model_store.h"

static struct model_ledger ledger_data;
static struct model_store store_data;

static void open_ledger(struct ledger_contract *contract)
{
	contract->ledger = model_ledger_open(&ledger_data);
}

static void begin_ledger(struct ledger_contract *contract)
{
	model_ledger_init(&ledger_data, NULL, 1);
	open_ledger(contract);
}

static void end_ledger(struct ledger_contract *contract)
{
	contract->ledger->vtable->close(contract->ledger);
	model_ledger_release(&ledger_data);
}

static void reopen_ledger(struct ledger_contract *contract)
{
	contract->ledger->vtable->close(contract->ledger);
	open_ledger(contract);
}

static struct ledger_reader *open_ledger_reader(struct ledger_contract *contract)
{
	(void)contract;
	return model_ledger_open_reader(&ledger_data);
}

/* The models know neither threads nor time: for the suite, one that polls again and again, under a lock. */
static struct log_reader *inner_log, waiting_log;
static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static uint8_t log_number;

static enum error waiting_poll(struct log_reader *reader, int timeout_ms, struct log_event *ret_event, struct error_note *note)
{
	(void)reader;
	for (int waited_ms = 0;; waited_ms++) {
		pthread_mutex_lock(&log_mutex);
		enum error error = inner_log->vtable->poll(inner_log, 0, ret_event, note);
		pthread_mutex_unlock(&log_mutex);
		if (error != ERROR_OK || ret_event->kind != LOG_IDLE || waited_ms >= timeout_ms)
			return error;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

static enum error waiting_seek(struct log_reader *reader, int32_t partition, int64_t position, struct error_note *note)
{
	(void)reader;
	return inner_log->vtable->seek(inner_log, partition, position, note);
}

static enum error waiting_commit(struct log_reader *reader, int32_t partition, int64_t position, struct error_note *note)
{
	(void)reader;
	return inner_log->vtable->commit(inner_log, partition, position, note);
}

static enum error waiting_identity(struct log_reader *reader, uint8_t ret_identity[16], struct error_note *note)
{
	(void)reader;
	return inner_log->vtable->identity(inner_log, ret_identity, note);
}

static void open_log(struct log_contract *contract)
{
	static const struct log_reader_vtable vtable = {
		.poll = waiting_poll, .seek = waiting_seek, .commit = waiting_commit, .identity = waiting_identity};
	inner_log = model_log_open(&ledger_data, &(struct model_log_config){.max_batch = 1000});
	waiting_log.vtable = &vtable;
	contract->log = &waiting_log;
}

static void begin_log(struct log_contract *contract)
{
	model_ledger_init(&ledger_data, NULL, ++log_number);
	open_log(contract);
}

static void end_log(struct log_contract *contract)
{
	(void)contract;
	inner_log->vtable->close(inner_log);
	model_ledger_release(&ledger_data);
}

static void append_to_log(struct log_contract *contract, const struct address *client, int64_t first_ms, int64_t received_ms,
			  size_t count)
{
	(void)contract;
	struct ledger_ping *pings = calloc(count, sizeof *pings);
	assert_non_null(pings);
	for (size_t i = 0; i < count; i++)
		pings[i] = (struct ledger_ping){
			.client = *client, .pinged_at_ms = first_ms + (int64_t)i, .received_at_ms = received_ms};
	pthread_mutex_lock(&log_mutex);
	struct ledger *ledger = model_ledger_open(&ledger_data);
	assert_int_equal(ledger->vtable->append(ledger, pings, count, NULL), ERROR_OK);
	ledger->vtable->close(ledger);
	pthread_mutex_unlock(&log_mutex);
	free(pings);
}

static void reopen_log(struct log_contract *contract)
{
	inner_log->vtable->close(inner_log);
	open_log(contract);
}

static void replace_log(struct log_contract *contract)
{
	end_log(contract);
	begin_log(contract);
}

static void open_store(struct store_contract *contract)
{
	contract->store = model_store_open(&store_data);
	contract->reader = model_store_open_reader(&store_data);
}

static void close_store(struct store_contract *contract)
{
	contract->store->vtable->close(contract->store);
	contract->reader->vtable->close(contract->reader);
}

static void begin_store(struct store_contract *contract)
{
	model_store_init(&store_data);
	open_store(contract);
}

static void end_store(struct store_contract *contract)
{
	close_store(contract);
	model_store_release(&store_data);
}

static void reopen_store(struct store_contract *contract)
{
	close_store(contract);
	open_store(contract);
}

/* What no adapter's suite can ask for: a crash of the machine. */
static void write_count(struct store *store, int64_t count)
{
	const struct window_row window = {.start_ms = WINDOW_MS, .count = count, .first_ms = 1, .last_ms = 2, .position = count};
	const struct engine_dirty dirty = {.windows = &window, .window_count = 1};
	assert_int_equal(store->vtable->write(store, 0, &dirty, count, NULL), ERROR_OK);
}

static int64_t read_count(struct store *store)
{
	struct window_row row = {.start_ms = WINDOW_MS};
	assert_int_equal(store->vtable->read_windows(store, &row, 1, NULL), ERROR_OK);
	return row.count;
}

static void a_lost_transaction_leaves_the_store_as_before_it(void **state)
{
	(void)state;
	static const uint8_t log_identity[16];
	int64_t position;
	model_store_init(&store_data);
	struct store *store = model_store_open(&store_data);
	assert_int_equal(store->vtable->take(store, 0, log_identity, &position, NULL), ERROR_OK);
	write_count(store, 1);
	model_store_sync(&store_data);
	write_count(store, 2);
	write_count(store, 3);
	model_store_lose(&store_data, 1);
	assert_int_equal(read_count(store), 2);
	model_store_lose(&store_data, 100);
	assert_int_equal(read_count(store), 1);
	assert_int_equal(store->vtable->take(store, 0, log_identity, &position, NULL), ERROR_OK);
	assert_int_equal(position, 1);
	store->vtable->close(store);
	model_store_release(&store_data);
}

static void a_store_that_was_taken_over_is_fenced(void **state)
{
	(void)state;
	static const uint8_t log_identity[16];
	int64_t position;
	model_store_init(&store_data);
	struct store *old = model_store_open(&store_data), *new = model_store_open(&store_data);
	assert_int_equal(old->vtable->take(old, 0, log_identity, &position, NULL), ERROR_OK);
	assert_int_equal(new->vtable->take(new, 0, log_identity, &position, NULL), ERROR_OK);
	assert_int_equal(old->vtable->write(old, 0, &(struct engine_dirty){0}, 1, NULL), ERROR_FENCED);
	write_count(new, 1);
	old->vtable->close(old);
	new->vtable->close(new);
	model_store_release(&store_data);
}

int main(int argc, char **argv)
{
	struct ledger_contract ledgers = {
		.begin = begin_ledger, .end = end_ledger, .reopen = reopen_ledger, .open_reader = open_ledger_reader};
	struct log_contract logs = {
		.begin = begin_log, .end = end_log, .append = append_to_log, .reopen = reopen_log, .replace = replace_log};
	struct store_contract stores = {.begin = begin_store, .end = end_store, .reopen = reopen_store};
	const struct CMUnitTest crashes[] = {cmocka_unit_test(a_lost_transaction_leaves_the_store_as_before_it),
					     cmocka_unit_test(a_store_that_was_taken_over_is_fenced)};
	const char *which = argc > 1 ? argv[1] : "";
	if (strcmp(which, "ledger") == 0)
		return ledger_contract_run(&ledgers);
	if (strcmp(which, "log") == 0)
		return log_contract_run(&logs);
	if (strcmp(which, "store") == 0)
		return store_contract_run(&stores);
	return cmocka_run_group_tests(crashes, NULL, NULL);
}
