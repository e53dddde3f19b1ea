#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/store_contract.h"

#include "unit/cql/server.h"

static void open_store(struct store_contract *contract)
{
	contract->store = server_open_store();
	contract->reader = server_open_reader();
}

static void close_store(struct store_contract *contract)
{
	contract->reader->vtable->close(contract->reader);
	contract->store->vtable->close(contract->store);
}

static void begin(struct store_contract *contract)
{
	server_empty();
	open_store(contract);
}

static void end(struct store_contract *contract)
{
	close_store(contract);
}

static void reopen(struct store_contract *contract)
{
	close_store(contract);
	open_store(contract);
}

int main(void)
{
	struct store_contract contract = {.begin = begin, .end = end, .reopen = reopen, .distributed = true};
	server_prepare();
	int failed = store_contract_run(&contract);
	server_end();
	return failed;
}
