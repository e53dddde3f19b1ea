/* Inside src/net: which pages of other origins may call (Fetch Standard, 3.2: CORS), without credentials: no cookie, no client
 * certificate is ever asked for. It is for the RPC methods alone, not for the operators' pages.
 *
 *   OPTIONS, Origin, Access-Control-Request-Method ─► 200, who may, what may be sent     (the browser asks; it keeps the answer 2
 * h) POST or GET, Origin                            ─► the answer, who may read it, and all its headers
 */
#ifndef PING_NET_CORS_H
#define PING_NET_CORS_H

#include "rpc/server.h"

enum { CORS_MAX_FIELDS = 5 };

struct cors {
	const char *const *origins; /* "https://app.example.com", or "*": any. Must outlive the server */
	size_t count;		    /* 0: none may */
};

/* What answers say of who may read them. */
struct cors_answer {
	const char *origin; /* one of the configured; NULL: nobody of another origin */
	bool preflight, varies;
};

struct cors_answer cors_judge(const struct cors *cors, const struct rpc_request *request);
/* Static fields for the answer's head, CORS_MAX_FIELDS at most; returns how many. */
size_t cors_fields(const struct cors_answer *answer, struct rpc_header ret_fields[CORS_MAX_FIELDS]);

#endif
