/* The ledger's sums, pulled one by one: the ledger pushes them at a visitor, and so does the store, and two that push cannot be
 * joined. So the ledger's run has a thread of its own, a few batches ahead at most.
 *
 *   ledger->sum_windows ─► batch ─► [ batch ] ─► batch ─► sum_stream_next
 */
#ifndef PING_AUDIT_SUM_STREAM_H
#define PING_AUDIT_SUM_STREAM_H

#include "port/ledger.h"

struct sum_stream;

/* The ledger is the stream's until it is closed. NO_MEMORY, RESOURCE_EXHAUSTED (no thread). */
enum error sum_stream_open(struct ledger_reader *ledger, int64_t up_to, struct sum_stream **ret_stream);
/* END after the last. The ledger's error; INTERNAL where its order is broken. */
enum error sum_stream_next(struct sum_stream *stream, struct ledger_sum *ret_sum, struct error_note *note);
/* Also before the end. NULL: nothing. */
void sum_stream_close(struct sum_stream *stream);

#endif
