/* What the two files contain: numbered migrations, forward only, each a transaction. `PRAGMA user_version` is the number of those
 * applied; `PRAGMA application_id` tells our files from others.
 */
#ifndef PING_ADAPTER_SQLITE_SCHEMA_H
#define PING_ADAPTER_SQLITE_SCHEMA_H

#include "base/error.h"

#include <sqlite3.h>
#include <stdint.h>

struct schema {
	const char *file;	 /* its name in the data directory */
	const char *what;	 /* "ledger": for notes */
	const char *damaged;	 /* the way out of a damaged file, for notes */
	const char *synchronous; /* PRAGMA synchronous of the writer */
	int32_t application_id;
	int version; /* how many migrations there are */
	const char *const *migrations;
};

extern const struct schema schema_ledger;
extern const struct schema schema_metrics;

#endif
