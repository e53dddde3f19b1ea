/* What a scylla:// URL says (cql.h). */
#ifndef PING_ADAPTER_CQL_CONFIG_H
#define PING_ADAPTER_CQL_CONFIG_H

#include "adapter/cql/cql.h"

#include <stdint.h>

enum { CQL_KEYSPACE_SIZE = 49 };

/* Texts are the config's own; NULL: not said. */
struct cql_config {
	struct buffer contact_points; /* "HOST:PORT,…", ended by a zero byte */
	char *user, *password;
	char keyspace[CQL_KEYSPACE_SIZE]; /* "metrics" where the URL names none */
	char *datacenter, *replication, *keyspace_options;
	bool tls;
	char *tls_ca, *tls_cert, *tls_key;
	uint32_t timeout_ms;
};

#endif
