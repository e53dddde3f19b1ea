/* Page tokens: where the next page begins, opaque to clients, in URL-safe base64 (RFC 4648, section 5).
 *
 *   version 1 | fingerprint of the query 8 | value 8 | client 16   = 33 bytes, 44 characters, never padded
 *
 * The fingerprint is made of all that chooses and orders the rows, so that the token of another query is told from one of this.
 * It is no secret and no signature: whoever makes a token up gets a page of their own query that begins elsewhere.
 */
#ifndef PING_QUERY_PAGE_TOKEN_H
#define PING_QUERY_PAGE_TOKEN_H

#include "base/address.h"
#include "base/arena.h"

struct page_place {
	int64_t value; /* of the last row: a window's or day's start, or what clients are ordered by */
	struct address client;
};

/* FNV-1a, 64 bit (Fowler, Noll, Vo), over one part after another; begin with 0. */
uint64_t page_fingerprint(uint64_t fingerprint, const void *data, size_t size);
uint64_t page_fingerprint_number(uint64_t fingerprint, int64_t number);

/* data == NULL: out of memory. */
struct slice page_token_make(uint64_t fingerprint, const struct page_place *place, struct arena *arena);
/* INVALID_ARGUMENT, naming page_token, for anything but a token made with this fingerprint. */
enum error page_token_parse(struct slice token, uint64_t fingerprint, struct page_place *ret_place, struct error_note *note);

#endif
