/* Where a run's data lie: in the models, or in real SQLite files. They outlive the processes that open them.
 */
#ifndef PING_SIM_ADAPTER_H
#define PING_SIM_ADAPTER_H

#include "port/ledger.h"
#include "port/log.h"
#include "port/store.h"
#include "world.h"

struct adapter {
	/* A process begins and ends. What `begin` gives is its to close before `end`. */
	void (*begin)(struct adapter *adapter, struct ledger **ret_ledger, struct log_reader **ret_log, struct store **ret_store);
	void (*end)(struct adapter *adapter);
	/* Readers see the data as they are, process or not. */
	struct ledger_reader *ledger_reader;
	struct store_reader *store_reader;
	/* Everything up to now survives a crash of the machine. NULL: no such crash with this adapter. */
	void (*sync)(struct adapter *adapter);
	/* The machine crashes: the store may lose what was not synced. The position that is left. */
	int64_t (*lose)(struct adapter *adapter);
	/* The store as another process sees it, whose to close it is. NULL: there can be no other one. */
	struct store *(*open_other_store)(struct adapter *adapter);
	void (*identity)(struct adapter *adapter, uint8_t ret_log_identity[16]);
	void (*destroy)(struct adapter *adapter);
};

struct adapter *model_adapter_create(struct world *world);
/* In a new folder under /dev/shm (or TMPDIR), removed by destroy: what a run that failed leaves can be looked into. */
struct adapter *sqlite_adapter_create(struct world *world);

#endif
