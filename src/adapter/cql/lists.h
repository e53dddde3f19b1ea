/* The clients in the order of one of their lists: 64 shards, merged as they are read.
 *
 *   shard 0  ─► [ some entries ] ─┐
 *     ⋮                           ├─► the least (rank, address) of all ─► cql_list_next
 *   shard 63 ─► [ some entries ] ─┘
 *
 * Entries may be left over from a crash: a client's row tells (rows.h).
 */
#ifndef PING_ADAPTER_CQL_LISTS_H
#define PING_ADAPTER_CQL_LISTS_H

#include "adapter/cql/rows.h"

struct cql_list;

struct cql_list_entry {
	int64_t rank;
	struct address client;
};

/* `statement` is "SELECT rank, address … WHERE shard = ? AND list = ? AND (rank, address) > (?, ?) LIMIT ?". From the first entry
 * behind `after` on; NULL: from the first. about: entries that will be wanted. NO_MEMORY. */
enum error cql_list_create(struct cql_connection *connection, size_t statement, int8_t list, const struct cql_list_entry *after,
			   size_t about, struct cql_list **ret_list);
void cql_list_destroy(struct cql_list *list);
/* END after the last. */
enum error cql_list_next(struct cql_list *list, struct cql_list_entry *ret_entry, struct error_note *note);

#endif
