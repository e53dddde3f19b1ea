/* What the requests have in common, checked. Every error is INVALID_ARGUMENT; its note names the request's field, what was given
 * and what is taken.
 */
#ifndef PING_QUERY_REQUEST_H
#define PING_QUERY_REQUEST_H

#include "base/address.h"

enum { QUERY_PAGE_DEFAULT = 100, QUERY_PAGE_MAX = 1000 };

/* Any textual form of an address, in the field client_ip. */
enum error query_parse_client(struct slice text, struct address *ret_client, struct error_note *note);
/* [start, end), end 0: open. */
enum error query_check_range(int64_t start_ms, int64_t end_ms, struct error_note *note);
/* 0: the default; more than the most is taken as the most. */
enum error query_page_size(int32_t asked, size_t *ret_size, struct error_note *note);

#endif
