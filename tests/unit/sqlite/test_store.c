/* SQLite's store keeps the contract of every store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/sqlite/sqlite.h"
#include "contract/store_contract.h"
#include "folder.h"

static struct folder folder;
static struct data_directory *directory;

static void open_store(struct store_contract *contract)
{
	assert_int_equal(data_directory_open(folder.path, &directory, NULL), ERROR_OK);
	assert_int_equal(sqlite_store_open(directory, &contract->store, NULL), ERROR_OK);
	assert_int_equal(sqlite_store_reader_open(folder.path, &contract->reader, NULL), ERROR_OK);
}

static void close_store(struct store_contract *contract)
{
	contract->reader->vtable->close(contract->reader);
	contract->store->vtable->close(contract->store);
	data_directory_close(directory);
}

static void begin(struct store_contract *contract)
{
	folder_make(&folder);
	open_store(contract);
}

static void end(struct store_contract *contract)
{
	close_store(contract);
	folder_remove(&folder);
}

static void reopen(struct store_contract *contract)
{
	close_store(contract);
	open_store(contract);
}

int main(void)
{
	struct store_contract contract = {.begin = begin, .end = end, .reopen = reopen};
	return store_contract_run(&contract);
}
