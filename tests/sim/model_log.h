/* The log that a model ledger's rows are, read through the log port: partition 0, assigned at the first poll. A batch that is
 * used after the next poll or seek is found to be rubbish.
 */
#ifndef PING_SIM_MODEL_LOG_H
#define PING_SIM_MODEL_LOG_H

#include "model_ledger.h"
#include "port/log.h"

struct model_log_config {
	size_t max_batch;
	struct random *chance; /* of batch sizes; NULL: full ones */
};

/* Freed by its close. The data must outlive it. */
struct log_reader *model_log_open(const struct model_ledger *data, const struct model_log_config *config);

#endif
