/* Safeguards of the publisher's, left out one at a time in the models of its servers: seeds must find each of them. */
#include "../mutation.h"

#include <string.h>

#include "safeguard.h"

struct left_out {
	struct mutation mutation;
	enum safeguard without;
};

static const struct left_out mutations[] = {
	{{"none", "nothing is left out"}, WITH_ALL},
	{{"raise", "the slot's UPDATE does not raise when the epoch is another's: the rows are kept"}, WITHOUT_RAISE},
	{{"epoch", "taking a slot leaves its epoch as it was"}, WITHOUT_EPOCH},
	{{"epoch-in-republish", "positions are moved whatever the epoch"}, WITHOUT_EPOCH_IN_REPUBLISH},
	{{"returning", "batch_seq is read by a statement of its own before the epoch's UPDATE"}, WITHOUT_RETURNING},
	{{"newest-after-open", "the newest record, and which events are there, is read before init_transactions"},
	 WITHOUT_NEWEST_AFTER_OPEN},
	{{"row-lock", "after an unknown COMMIT the slot is read by a plain SELECT"}, WITHOUT_ROW_LOCK},
	{{"max", "a ledger that lost batches goes on with numbers that the log has already"}, WITHOUT_MAX},
	{{"doubt", "an unknown COMMIT is taken for a failure"}, WITHOUT_DOUBT},
	{{"fenced-in-settle", "who was fenced while COMMIT's outcome was unknown takes it for a failure"},
	 WITHOUT_FENCED_IN_SETTLE},
	{{"aborted-commit", "a transaction that the log aborted is taken for published"}, WITHOUT_ABORTED_COMMIT},
	{{"key-locks", "a key that another transaction has claimed can be claimed, too"}, WITHOUT_KEY_LOCKS},
	{{"order-in-republish", "of the batches that are missing the newest is published first"}, WITHOUT_ORDER_IN_REPUBLISH},
	{{"whole-batches", "the last of the batches that are published together is cut off where there are rows enough"},
	 WITHOUT_WHOLE_BATCHES},
	{{"sweep", "opening a slot's producer leaves open what a dying broker took for ended"}, WITHOUT_SWEEP},
	{{"find", "every event of the newest transaction is taken for visible"}, WITHOUT_FIND},
	{{"after", "a record is taken for one of a single batch"}, WITHOUT_AFTER},
	{{"check", "a producer goes on although its broker was down"}, WITHOUT_CHECK},
};

enum safeguard mutation_safeguard(const struct mutation *mutation)
{
	return ((const struct left_out *)mutation)->without;
}

const struct mutation *mutation_at(size_t index)
{
	return index < sizeof mutations / sizeof mutations[0] ? &mutations[index].mutation : NULL;
}
