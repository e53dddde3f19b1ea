/* What rows of metrics are of, as the first member of what is kept of them in a rowset: by kind, client and start. */
#ifndef PING_SIM_SERIES_H
#define PING_SIM_SERIES_H

#include "base/address.h"

enum series_kind { SERIES_WINDOW, SERIES_DAY, SERIES_CLIENT };

struct series_key {
	enum series_kind kind;
	struct address client;
	int64_t start_ms;
};

static inline int series_compare(const void *a, const void *b)
{
	const struct series_key *x = a, *y = b;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	int order = address_compare(&x->client, &y->client);
	return order != 0 ? order : (x->start_ms > y->start_ms) - (x->start_ms < y->start_ms);
}

#endif
