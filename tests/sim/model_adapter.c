#include "adapter.h"

#include <stdlib.h>
#include <string.h>

#include "model_ledger.h"
#include "model_log.h"
#include "model_store.h"

struct model_adapter {
	struct adapter adapter;
	struct world *world;
	struct model_ledger ledger;
	struct model_store store;
	struct model_log_config log_config;
};

static void model_begin(struct adapter *adapter, struct ledger **ret_ledger, struct log_reader **ret_log,
			struct store **ret_store)
{
	struct model_adapter *model = (struct model_adapter *)adapter;
	*ret_ledger = model_ledger_open(&model->ledger);
	*ret_log = model_log_open(&model->ledger, &model->log_config);
	*ret_store = model_store_open(&model->store);
}

static void model_end(struct adapter *adapter)
{
	(void)adapter;
}

static void model_sync(struct adapter *adapter)
{
	model_store_sync(&((struct model_adapter *)adapter)->store);
}

static int64_t model_lose(struct adapter *adapter)
{
	struct model_adapter *model = (struct model_adapter *)adapter;
	model_store_lose(&model->store, world_between(model->world, 0, model->store.transactions));
	struct store_totals totals;
	adapter->store_reader->vtable->totals(adapter->store_reader, 0, &totals, NULL);
	return totals.position;
}

static struct store *model_open_other_store(struct adapter *adapter)
{
	return model_store_open(&((struct model_adapter *)adapter)->store);
}

static void model_identity(struct adapter *adapter, uint8_t ret_log_identity[16])
{
	memcpy(ret_log_identity, ((struct model_adapter *)adapter)->ledger.identity, 16);
}

static void model_destroy(struct adapter *adapter)
{
	struct model_adapter *model = (struct model_adapter *)adapter;
	adapter->ledger_reader->vtable->close(adapter->ledger_reader);
	adapter->store_reader->vtable->close(adapter->store_reader);
	model_ledger_release(&model->ledger);
	model_store_release(&model->store);
	free(model);
}

struct adapter *model_adapter_create(struct world *world)
{
	struct model_adapter *model = calloc(1, sizeof *model);
	if (model == NULL)
		abort();
	model->world = world;
	model_ledger_init(&model->ledger, world_once_in(world, 2) ? world_random(world) : NULL, 1);
	model_store_init(&model->store);
	model->log_config =
		(struct model_log_config){.max_batch = (size_t)world_between(world, 1, 64), .chance = world_random(world)};
	model->adapter = (struct adapter){.begin = model_begin,
					  .end = model_end,
					  .ledger_reader = model_ledger_open_reader(&model->ledger),
					  .store_reader = model_store_open_reader(&model->store),
					  .sync = model_sync,
					  .lose = model_lose,
					  .open_other_store = model_open_other_store,
					  .identity = model_identity,
					  .destroy = model_destroy};
	return &model->adapter;
}
