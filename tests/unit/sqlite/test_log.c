/* SQLite's log, which is its ledger, keeps the contract of every log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/sqlite/sqlite.h"
#include "contract/log_contract.h"
#include "folder.h"

#include <stdlib.h>

static struct folder folder;
static struct data_directory *directory;
static struct ledger *ledger;

static void append(struct log_contract *contract, const struct address *client, int64_t first_ms, int64_t received_ms,
		   size_t count)
{
	(void)contract;
	struct ledger_ping *pings = calloc(count, sizeof *pings);
	for (size_t i = 0; i < count; i++) {
		pings[i].client = *client;
		pings[i].pinged_at_ms = first_ms + (int64_t)i;
		pings[i].received_at_ms = received_ms;
	}
	assert_int_equal(ledger->vtable->append(ledger, pings, count, NULL), ERROR_OK);
	free(pings);
}

static void begin(struct log_contract *contract)
{
	folder_make(&folder);
	assert_int_equal(data_directory_open(folder.path, &directory, NULL), ERROR_OK);
	assert_int_equal(sqlite_ledger_open(directory, &ledger, NULL), ERROR_OK);
	assert_int_equal(sqlite_log_open(directory, &contract->log, NULL), ERROR_OK);
}

static void end(struct log_contract *contract)
{
	contract->log->vtable->close(contract->log);
	ledger->vtable->close(ledger);
	data_directory_close(directory);
	folder_remove(&folder);
}

static void reopen(struct log_contract *contract)
{
	contract->log->vtable->close(contract->log);
	assert_int_equal(sqlite_log_open(directory, &contract->log, NULL), ERROR_OK);
}

static void replace(struct log_contract *contract)
{
	end(contract);
	begin(contract);
}

int main(void)
{
	struct log_contract contract = {.begin = begin, .end = end, .append = append, .reopen = reopen, .replace = replace};
	return log_contract_run(&contract);
}
