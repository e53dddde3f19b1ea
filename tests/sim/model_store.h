/* A store in memory that keeps the store port's contract to the letter: each write is one transaction. The data outlive the
 * processes that open them; a crash of the machine may lose the newest transactions since the last sync, the newest first.
 */
#ifndef PING_SIM_MODEL_STORE_H
#define PING_SIM_MODEL_STORE_H

#include "port/store.h"
#include "rowset.h"

enum model_store_table { STORE_WINDOWS, STORE_DAYS, STORE_CLIENTS, STORE_ACTIVITIES, STORE_PARTITIONS, STORE_TABLES };

struct model_store {
	struct rowset tables[STORE_TABLES];
	struct rowset undo;   /* what to put back, the newest last */
	int64_t transactions; /* since the last sync */
	int64_t owners;	      /* ever: each taking makes a new one */
};

void model_store_init(struct model_store *data);
void model_store_release(struct model_store *data);
/* All transactions up to now survive a crash of the machine. */
void model_store_sync(struct model_store *data);
/* Undoes the newest `count` transactions (at most those since the last sync). */
void model_store_lose(struct model_store *data, int64_t count);

/* Freed by their close. */
struct store *model_store_open(struct model_store *data);
struct store_reader *model_store_open_reader(struct model_store *data);

#endif
