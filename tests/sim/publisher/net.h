/* What lies between a process and its servers: requests that fail, replies that are lost, requests that are carried out long
 * after their sender gave up, outages, and the process' own end in any of its calls.
 */
#ifndef PING_SIM_PUBLISHER_NET_H
#define PING_SIM_PUBLISHER_NET_H

#include "../world.h"
#include "port/publish.h"
#include "safeguard.h"

enum { LOG_EPOCH = 1, SLOTS = 6, PARTITIONS = 3 };

/* A process, as the servers' models see it. */
struct process {
	bool dead;
};

struct net {
	struct world *world;
	enum safeguard without;
	bool quiet; /* nothing goes wrong any more */
	bool loss;  /* the ledger may lose its newest batches: a failover to an asynchronous standby */
	uint32_t fail_once_in, crash_once_in;
	bool doubled; /* the last request is carried out now, and arrives once more later */
	int64_t down_until_us[2];
	uint64_t crashes, failures;
};

enum server { POSTGRES, KAFKA };

enum fate {
	CARRIED_OUT,
	REFUSED,    /* known: not carried out */
	REPLY_LOST, /* carried out */
	VANISHED,   /* not carried out, which the sender does not know */
	LATE,	    /* not yet carried out, which the sender does not know */
};

/* The next request's. A process that is dead, or dies in this call, never sees the reply. */
enum fate net_request(struct net *net, enum server server, struct process *process);
/* What a sender is told of a fate; OK: as the server says. */
enum error net_reply(enum fate fate, bool in_doubt, struct error_note *note);

#endif
