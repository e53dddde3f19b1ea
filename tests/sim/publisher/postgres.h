/* PostgreSQL as the publisher sees it, in memory: slots, rows, keys, connections with transactions, row locks, and requests that
 * are carried out late. It keeps slot_ledger's contract to the letter, but for the safeguard that is left out.
 *
 * A ping's pinged_at names it: START_MS + its number.
 */
#ifndef PING_SIM_PUBLISHER_POSTGRES_H
#define PING_SIM_PUBLISHER_POSTGRES_H

#include "net.h"

enum { MAX_PINGS = 1 << 16, MAX_KEYS = 1 << 14, KEY_PLACES = 2 * MAX_KEYS, LEASE_MS = 10000, NO_ROW = -1 };
#define START_MS INT64_C(1000000000000)

struct postgres_row {
	struct uuid id;
	uint32_t ping;
	struct address client;
	int64_t pinged_at_ms, received_at_ms;
	int64_t position; /* −1: NULL */
	bool lost;
};

struct postgres_batch {
	int32_t slot;
	int64_t number;
	uint32_t first, count; /* its rows */
	bool lost;
};

struct postgres_slot {
	int64_t epoch, batch_seq;
	struct uuid last_id;
	int64_t lease_until_us; /* 0: free */
};

struct postgres_key {
	struct address client;
	uint8_t bytes[8];
	size_t size; /* of the key; 0: no key yet */
	bool committed;
	int64_t pinged_at_ms, received_at_ms; /* whose it is, or will be */
	uint32_t holder;		      /* transaction that claimed it; 0: none */
};

/* A request that is still on its way, or holds its row's lock and waits for its COMMIT. */
struct postgres_late;

struct postgres {
	struct net *net;
	struct postgres_slot slots[SLOTS];
	struct postgres_row rows[MAX_PINGS];
	uint32_t row_count;
	struct postgres_batch batches[MAX_PINGS];
	uint32_t batch_count;
	int32_t row_of[MAX_PINGS];	      /* by ping; NO_ROW */
	bool lost[MAX_PINGS];		      /* by ping: a row of it was lost once */
	struct postgres_key keys[KEY_PLACES]; /* open addressing */
	uint32_t held[MAX_KEYS];	      /* keys */
	size_t held_count;
	uint32_t transactions; /* ever */
	struct postgres_late *late;
	unsigned sessions; /* server kills idle transactions: those begun before */
	uint64_t takeovers;
};

void postgres_init(struct postgres *postgres, struct net *net);
void postgres_release(struct postgres *postgres);

struct slot_ledger *postgres_connect(struct postgres *postgres, struct process *process);
/* One late request that is due is carried out, or is found to be lost. False: there is none. */
bool postgres_land(struct postgres *postgres, int64_t due_us);
/* idle_in_transaction_session_timeout: every open transaction is rolled back. */
void postgres_end_idle_transactions(struct postgres *postgres);
/* The newest batch of some slot is gone. */
void postgres_lose_newest(struct postgres *postgres);

static inline struct address client_of(uint32_t ping)
{
	return address_from_ipv4((const uint8_t[]){10, 0, 0, (uint8_t)(ping % 61)});
}
static inline uint32_t ping_of(const struct ledger_ping *row)
{
	return (uint32_t)(row->pinged_at_ms - START_MS) % MAX_PINGS;
}

#endif
