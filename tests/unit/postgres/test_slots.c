/* PostgreSQL's slot_ledger keeps the contract of every slot_ledger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/slot_contract.h"
#include "database.h"

static struct database database;

static void begin(struct slot_contract *contract)
{
	(void)contract;
	database_make(&database, true);
	database.config.lock_timeout_ms = 100;
	database.config.lease_ms = 600000;
}

static void end(struct slot_contract *contract)
{
	(void)contract;
	database_drop(&database);
}

static struct slot_ledger *open_ledger(struct slot_contract *contract)
{
	(void)contract;
	struct slot_ledger *ledger;
	assert_int_equal(postgres_slot_ledger_open(&database.config, &ledger), ERROR_OK);
	return ledger;
}

static void expire(struct slot_contract *contract)
{
	(void)contract;
	database_execute(&database, "UPDATE publisher_slots SET lease_until = clock_timestamp() - interval '1 s' WHERE held");
}

static int64_t count_rows(struct slot_contract *contract, bool with_position)
{
	(void)contract;
	return database_number(&database, with_position ? "SELECT count(position) FROM pings" : "SELECT count(*) FROM pings");
}

int main(void)
{
	struct slot_contract contract = {
		.begin = begin, .end = end, .open = open_ledger, .expire = expire, .count_rows = count_rows};
	return slot_contract_run(&contract);
}
