/* What can be left out in the models of PostgreSQL and Kafka, to see that seeds find it. */
#ifndef PING_SIM_PUBLISHER_SAFEGUARD_H
#define PING_SIM_PUBLISHER_SAFEGUARD_H

#include "../mutation.h"

enum safeguard {
	WITH_ALL,
	WITHOUT_RAISE,
	WITHOUT_EPOCH,
	WITHOUT_EPOCH_IN_REPUBLISH,
	WITHOUT_RETURNING,
	WITHOUT_NEWEST_AFTER_OPEN,
	WITHOUT_ROW_LOCK,
	WITHOUT_MAX,
	WITHOUT_DOUBT,
	WITHOUT_FENCED_IN_SETTLE,
	WITHOUT_ABORTED_COMMIT,
	WITHOUT_KEY_LOCKS,
	WITHOUT_ORDER_IN_REPUBLISH,
	WITHOUT_WHOLE_BATCHES,
};

enum safeguard mutation_safeguard(const struct mutation *mutation);

#endif
