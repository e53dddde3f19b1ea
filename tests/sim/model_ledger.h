/* A ledger in memory that keeps the ledger port's contract to the letter. The data outlive the processes that open them.
 */
#ifndef PING_SIM_MODEL_LEDGER_H
#define PING_SIM_MODEL_LEDGER_H

#include "base/random.h"
#include "port/ledger.h"
#include "rowset.h"

struct model_ledger_row {
	int64_t position;
	struct uuid id;
	struct address client;
	int64_t pinged_at_ms, received_at_ms;
};

struct model_ledger {
	struct rowset rows; /* of model_ledger_row, by position */
	struct rowset keys;
	struct random *gaps; /* now and then skips a position, as other logs do; NULL: none is skipped */
	int64_t end_position;
	uint8_t identity[16]; /* of the log that its rows are */
};

/* identity_of: what the log's identity is made from. */
void model_ledger_init(struct model_ledger *data, struct random *gaps, uint8_t identity_of);
void model_ledger_release(struct model_ledger *data);

/* Freed by their close. */
struct ledger *model_ledger_open(struct model_ledger *data);
struct ledger_reader *model_ledger_open_reader(struct model_ledger *data);

#endif
