/* Kafka as the publisher sees it, in memory: partitions whose records become visible or are aborted with their transaction, a
 * transactional id for each slot with its producer epoch, the transaction timeout, commits that are carried out late, ends that a
 * broker's death leaves out in some partitions, and a record for each slot. It keeps publish_log's contract to the letter, but
 * for the safeguard that is left out.
 */
#ifndef PING_SIM_PUBLISHER_KAFKA_H
#define PING_SIM_PUBLISHER_KAFKA_H

#include "postgres.h"

enum record_state { RECORD_OPEN, RECORD_VISIBLE, RECORD_ABORTED, RECORD_MARKER };

struct kafka_record {
	enum record_state state;
	int32_t slot;
	uint32_t ping;
	struct uuid id;
	uint64_t end; /* of its transaction: which one it was of all */
};

struct kafka_partition {
	struct kafka_record records[MAX_PINGS];
	uint32_t count;
};

enum { MAX_OPEN = 4096, TRANSACTION_TIMEOUT_MS = 10000 };

struct kafka_producer {
	uint32_t epoch;
	uint64_t transaction; /* open; 0: none */
	int64_t since_us;
	struct publish_record record; /* its record; batch −1: it has none yet */
	struct publish_record newest; /* committed; batch −1: none */
	struct publish_record before; /* the newest one before the last transaction */
	struct kafka_record *open[MAX_OPEN];
	uint32_t open_count;
	bool touched[PARTITIONS];
	bool fresh;	  /* the last transaction has ended, and nothing was begun since: a dying broker may leave its end out */
	bool record_seen; /* by a reader: so its partition has the end */
	/* What has no end, until the producer's next end comes to the same partition. */
	struct kafka_record *left[MAX_OPEN];
	uint32_t left_count;
};

struct kafka_late {
	int32_t slot;
	uint32_t epoch;
	uint64_t transaction;
};

struct kafka {
	struct net *net;
	struct postgres *postgres; /* for the one safeguard that is known from there */
	struct kafka_partition partitions[PARTITIONS];
	struct kafka_producer producers[SLOTS];
	uint64_t transactions, ends; /* ever */
	struct kafka_late late[64];
	size_t late_count;
	uint64_t timeouts;
	uint64_t broker_crashes;
};

void kafka_init(struct kafka *kafka, struct net *net, struct postgres *postgres);

struct publish_log *kafka_connect(struct kafka *kafka, struct process *process);
/* One late commit is carried out, if it still can. False: there is none. */
bool kafka_land(struct kafka *kafka);
/* The only broker dies and comes back, in the middle of ending the last transactions: it takes them for ended, although some
 * partitions never got the end. Clients lose their connections. */
void kafka_crash(struct kafka *kafka);
/* Transactions that have been open for too long are aborted. */
void kafka_end_old_transactions(struct kafka *kafka);

static inline uint32_t kafka_partition_of(uint32_t ping)
{
	return ping % 61 % PARTITIONS;
}
/* NULL: not such a position. */
const struct kafka_record *kafka_at(const struct kafka *kafka, uint32_t ping, int64_t position);

#endif
