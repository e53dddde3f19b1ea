/* What makes the metrics exact, each to be left out by the simulator (tests/sim/cql), which must see the difference. Builds
 * without test hooks leave nothing out.
 */
#ifndef PING_ADAPTER_CQL_SAFEGUARD_H
#define PING_ADAPTER_CQL_SAFEGUARD_H

#include <stdbool.h>

enum cql_safeguard {
	CQL_WITH_ALL,
	CQL_RESERVATION,    /* else rows are written at the clock's time */
	CQL_FLOOR,	    /* else a new owner begins at the clock's time, within its reservation */
	CQL_CEILING,	    /* else an owner writes above its reservation */
	CQL_COUNTERS_FIRST, /* else the position is committed before counters follow */
	CQL_VERIFY_READ,    /* else what was added to a counter is believed, and added again after a timeout */
};

#ifdef PING_TEST_HOOKS
extern enum cql_safeguard cql_left_out;
static inline bool cql_leaves_out(enum cql_safeguard safeguard)
{
	return cql_left_out == safeguard;
}
#else
static inline bool cql_leaves_out(enum cql_safeguard safeguard)
{
	(void)safeguard;
	return false;
}
#endif

#endif
