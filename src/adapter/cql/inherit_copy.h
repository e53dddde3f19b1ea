/* Puts aside what somebody had in the RFC's tables before the first engine came (semantics, "Exactly once, by position"): to be
 * merged into the rows by inherited.c. */
#ifndef PING_ADAPTER_CQL_INHERIT_COPY_H
#define PING_ADAPTER_CQL_INHERIT_COPY_H

#include "adapter/cql/config.h"
#include "base/error.h"

struct cql_inherit_copy {
	int64_t now_ms, window_retention_ms; /* 0: for ever */
	/* Before each page: an error ends it. */
	enum error (*check)(void *context, struct error_note *note);
	void *context;
};

/* The schema must be there. Does nothing where an engine has been. May be done again. The connection's errors, and check's. */
enum error cql_copy_inherited(const struct cql_config *config, const struct cql_inherit_copy *copy, int64_t *ret_windows,
			      int64_t *ret_days, struct error_note *note);

#endif
