/* SQLite's ledger keeps the contract of every ledger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/sqlite/sqlite.h"
#include "contract/ledger_contract.h"
#include "folder.h"

static struct folder folder;
static struct data_directory *directory;

static void open_ledger(struct ledger_contract *contract)
{
	assert_int_equal(data_directory_open(folder.path, &directory, NULL), ERROR_OK);
	assert_int_equal(sqlite_ledger_open(directory, &contract->ledger, NULL), ERROR_OK);
}

static void close_ledger(struct ledger_contract *contract)
{
	contract->ledger->vtable->close(contract->ledger);
	data_directory_close(directory);
}

static void begin(struct ledger_contract *contract)
{
	folder_make(&folder);
	open_ledger(contract);
}

static void end(struct ledger_contract *contract)
{
	close_ledger(contract);
	folder_remove(&folder);
}

static void reopen(struct ledger_contract *contract)
{
	close_ledger(contract);
	open_ledger(contract);
}

static struct ledger_reader *open_reader(struct ledger_contract *contract)
{
	(void)contract;
	struct ledger_reader *reader;
	assert_int_equal(sqlite_ledger_reader_open(folder.path, &reader, NULL), ERROR_OK);
	return reader;
}

int main(void)
{
	struct ledger_contract contract = {.begin = begin, .end = end, .reopen = reopen, .open_reader = open_reader};
	return ledger_contract_run(&contract);
}
