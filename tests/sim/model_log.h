/* The log that a model ledger's rows are, read through the log port: partition 0, assigned at the first poll. With `chance` it
 * also does what a log of several readers may do: takes the partition away and gives it back.
 */
#ifndef PING_SIM_MODEL_LOG_H
#define PING_SIM_MODEL_LOG_H

#include "model_ledger.h"
#include "port/log.h"

struct model_log_config {
	size_t max_batch;
	struct random *chance;	      /* of batch sizes and rebalances; NULL: full batches, no rebalance */
	uint32_t polls_per_rebalance; /* about; 0: never */
};

/* Freed by its close. The data must outlive it. */
struct log_reader *model_log_open(const struct model_ledger *data, const struct model_log_config *config);

#endif
