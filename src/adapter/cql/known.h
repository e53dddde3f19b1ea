/* What the store knows of rows that it alone changes, so that it needn't read them before each write: of a client what its lists
 * hang on, of a day its counter. A place each in a table of fixed size (3 MiB together); who comes to another's place takes it.
 * Forgotten whenever it might not be so any more: when a partition is taken, after a write that failed.
 */
#ifndef PING_ADAPTER_CQL_KNOWN_H
#define PING_ADAPTER_CQL_KNOWN_H

#include "adapter/cql/rows.h"

struct cql_known;

/* NO_MEMORY. */
enum error cql_known_create(struct cql_known **ret_known);
void cql_known_destroy(struct cql_known *known);
void cql_known_forget(struct cql_known *known);

/* False: not known. */
bool cql_known_client(const struct cql_known *known, const struct address *client, struct cql_client *ret_client);
void cql_know_client(struct cql_known *known, const struct cql_client *client);
bool cql_known_counter(const struct cql_known *known, const struct address *client, int64_t day_ms, int64_t *ret_counter);
void cql_know_counter(struct cql_known *known, const struct address *client, int64_t day_ms, int64_t counter);

#endif
