/* PostgreSQL's ledger keeps the contract of every ledger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/ledger_contract.h"
#include "database.h"

static struct database database;

static void open_ledger(struct ledger_contract *contract)
{
	assert_int_equal(postgres_ledger_open(&database.config, &contract->ledger), ERROR_OK);
}

static void begin(struct ledger_contract *contract)
{
	database_make(&database, true);
	open_ledger(contract);
}

static void end(struct ledger_contract *contract)
{
	contract->ledger->vtable->close(contract->ledger);
	database_drop(&database);
}

static void reopen(struct ledger_contract *contract)
{
	contract->ledger->vtable->close(contract->ledger);
	open_ledger(contract);
}

static struct ledger_reader *open_reader(struct ledger_contract *contract)
{
	(void)contract;
	struct ledger_reader *reader;
	assert_int_equal(postgres_ledger_reader_open(&database.config, &reader), ERROR_OK);
	return reader;
}

int main(void)
{
	struct ledger_contract contract = {
		.begin = begin, .end = end, .reopen = reopen, .open_reader = open_reader, .no_positions = true};
	return ledger_contract_run(&contract);
}
