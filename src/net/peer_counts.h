/* Inside src/net: how many connections each address has, over all workers. An IPv6 client is its /64: it owns all of that.
 * Any thread; a lock is held for a look into a hash table.
 */
#ifndef PING_NET_PEER_COUNTS_H
#define PING_NET_PEER_COUNTS_H

#include <stdbool.h>

#include "base/address.h"

struct peer_counts;

/* `limit` of one address; 0: none. `expected`: about how many addresses at most. ERROR_NO_MEMORY. */
enum error peer_counts_create(unsigned limit, unsigned expected, struct peer_counts **ret_counts);
void peer_counts_destroy(struct peer_counts *counts);
/* False: the address has as many as it may, or there is no memory; nothing is counted. */
bool peer_counts_enter(struct peer_counts *counts, const struct address *address);
/* One that has entered. */
void peer_counts_leave(struct peer_counts *counts, const struct address *address);

#endif
