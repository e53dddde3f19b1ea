/* One seed: clients, the real ingest, stream and engine, an adapter under them, faults between; step by step, then quiet, then
 * everything is held against the truth.
 */
#ifndef PING_SIM_RUN_H
#define PING_SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "mutation.h"

struct run_options {
	uint64_t steps;
	bool sqlite; /* else the models */
	const struct mutation *mutation;
	bool trace;
	const char *replay; /* the command that replays a run, but for the seed */
};

/* Without options. */
struct run_defaults {
	uint64_t seeds, steps;
};
extern const struct run_defaults run_defaults;

struct run_result {
	uint64_t hash; /* of all that happened */
	uint64_t pings, rows_checked, crashes, failures;
};

/* Ends the process with code 1 when a promise was broken. */
struct run_result run_seed(uint64_t seed, const struct run_options *options);

#endif
