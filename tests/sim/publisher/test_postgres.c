/* The simulator's PostgreSQL keeps the contract that the real one keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/slot_contract.h"
#include "postgres.h"

static struct world world;
static struct net net;
static struct postgres postgres;
static struct process process;

static void begin(struct slot_contract *contract)
{
	(void)contract;
	world_init(&world, 1, "", false);
	net = (struct net){.world = &world, .quiet = true};
	postgres_init(&postgres, &net);
}

static void end(struct slot_contract *contract)
{
	(void)contract;
	postgres_release(&postgres);
}

static struct slot_ledger *open_ledger(struct slot_contract *contract)
{
	(void)contract;
	return postgres_connect(&postgres, &process);
}

static void expire(struct slot_contract *contract)
{
	(void)contract;
	world_pass(&world, (LEASE_MS + 1) * INT64_C(1000));
}

static int64_t count_rows(struct slot_contract *contract, bool with_position)
{
	(void)contract;
	int64_t count = 0;
	for (uint32_t i = 0; i < postgres.row_count; i++)
		count += !with_position || postgres.rows[i].position >= 0;
	return count;
}

int main(void)
{
	return slot_contract_run(&(struct slot_contract){begin, end, open_ledger, expire, count_rows});
}
