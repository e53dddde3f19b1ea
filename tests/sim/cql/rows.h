/* What must be, counted from the log's events alone, the plain way, and held against the server's rows: all along, as a reader
 * would see each, and at the end through the real reader.
 *
 *   a row        is exactly the events up to its own position, its position one of them
 *   behind       no row is at less than the position that its partition is committed at
 *   backward     a row only goes back, for a moment, where another process writes over what a zombie has written meanwhile; where
 *                there are no zombies, never
 *   committed    a partition's position never goes back
 *   the end      every row, client and counter is what the whole log says; lists and activities too
 */
#ifndef PING_SIM_CQL_ROWS_H
#define PING_SIM_CQL_ROWS_H

#include "../rowset.h"
#include "net.h"
#include "port/store.h"
#include "unit/stream/fake_log.h"

struct rows {
	struct world *world;
	const struct cassandra *cassandra;
	const struct fake_log *log;
	int32_t partition_count;
	bool zombies;
	struct rowset series; /* as a reader sees each row now */
	int64_t committed[FAKE_LOG_PARTITIONS];
	uint64_t checked;
};

void rows_init(struct rows *rows, struct world *world, struct cassandra *cassandra, const struct fake_log *log,
	       int32_t partition_count);
void rows_release(struct rows *rows);
/* Which partition a client's events are in. */
int32_t rows_partition_of(const struct address *client, int32_t partition_count);
/* All is quiet, and the engines have come to the log's end. activities: clocks were near enough to each other for those. */
void rows_check_end(struct rows *rows, struct store_reader *reader, bool activities);

#endif
