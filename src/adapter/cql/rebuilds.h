/* Requests of rebuilds as table rebuild_requests has them, for who asks and for who carries them out. */
#ifndef PING_ADAPTER_CQL_REBUILDS_H
#define PING_ADAPTER_CQL_REBUILDS_H

#include "adapter/cql/connection.h"
#include "port/rebuild.h"

#define REBUILD_COLUMNS "partition, id, asked, client, day, state, place, clients, rows_made, corrected, put_off, updated, note"

void cql_read_rebuild(const struct pc_result *rows, size_t row, struct rebuild_request *ret_request);
/* The columns' values, in their order. */
void cql_put_rebuild_columns(struct cql_request *request, const struct rebuild_request *rebuild);

#endif
