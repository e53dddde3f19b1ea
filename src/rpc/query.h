/* The query of a URL (RFC 3986, 3.4) as forms write it (WHATWG URL,
 * application/x-www-form-urlencoded). Pure: what is decoded lies in the arena.
 */
#ifndef PING_RPC_QUERY_H
#define PING_RPC_QUERY_H

#include "base/arena.h"
#include "base/slice.h"

/* The first parameter of this name (compared undecoded), as it stands in the query. False: there is none. */
bool query_find(struct slice query, const char *name, struct slice *ret_value);
/* %XX and '+'. ERROR_MALFORMED, ERROR_NO_MEMORY. */
enum error query_decode(struct slice text, struct arena *arena, struct slice *ret_bytes);

#endif
