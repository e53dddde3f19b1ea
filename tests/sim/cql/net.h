/* What lies between processes and the server (cassandra.h), below the driver's C interface (ping_cql.h), which driver.c has here
 * in the place of the real one: requests that are refused, whose answer is lost, that are carried out long after they were given
 * up, twice or never; processes that stand still, or die, in any of them.
 */
#ifndef PING_SIM_CQL_NET_H
#define PING_SIM_CQL_NET_H

#include "../world.h"
#include "cassandra.h"

/* A process, as the server knows it. */
struct net_process {
	int number;
	bool dead; /* what it still does has no effect and reaches nobody */
};

enum { NET_AIR_MAX = 256 };

struct net {
	struct world *world;
	struct cassandra cassandra;
	bool quiet;			/* nothing goes wrong any more */
	bool late;			/* what is not known may still be carried out, much later */
	uint32_t fail_once_in;		/* requests */
	uint32_t counter_fails_once_in; /* of those that add to a counter */
	uint32_t crash_once_in;		/* the process dies in it */
	int64_t down_until_us;
	struct net_process *current; /* who connects */
	struct rowset air;	     /* what is still to be carried out */
	uint64_t requests, failures, crashes;
	/* Before each request: who asks may stand still here. */
	void (*pause)(void *context, struct net_process *process);
	void *context;
};

/* The one that the driver speaks to, until net_release. */
void net_init(struct net *net, struct world *world);
void net_release(struct net *net);
/* Carries out one of the requests that are in the air. False: there is none. */
bool net_land(struct net *net);

#endif
