/* Which clients were seen: 16 bytes each, more or less, as only a hash of each is kept. Two in 2^64 may be taken for one. */
#ifndef PING_AUDIT_CLIENT_SET_H
#define PING_AUDIT_CLIENT_SET_H

#include "base/address.h"
#include "base/error.h"

struct client_set {
	uint64_t *hashes; /* 0: free */
	size_t count, capacity;
};

/* NO_MEMORY. *ret_new (NULL: not wanted): it was not in. */
enum error client_set_add(struct client_set *set, const struct address *client, bool *ret_new);
void client_set_release(struct client_set *set);

#endif
