/* Engines on the real server: each reads all partitions of a fake log, and has a store of its own. */
#ifndef PING_TEST_CQL_ENGINES_H
#define PING_TEST_CQL_ENGINES_H

#include "stream/stream.h"
#include "unit/stream/fake_log.h"

enum { ENGINES_PARTITIONS = 2 };

struct engine_process {
	struct fake_reader reader;
	struct store *store;
	struct stream *stream;
};

/* The store is the engine's from now on. rebuild_source: NULL: none. */
void engine_start(struct engine_process *engine, struct fake_log *log, struct store *store, struct random *random,
		  struct rebuild_source *rebuild_source);
/* As by a kill: nothing is flushed. */
void engine_end(struct engine_process *engine);
/* A tenth of a second passes. It may find itself fenced; any other error fails the test. */
void engine_step(struct engine_process *engine);
/* Whether all partitions are its own, and stored up to their ends. */
bool engine_is_at_end(const struct engine_process *engine);

#endif
