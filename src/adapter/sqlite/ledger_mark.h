/* Whether the ledger beside the metrics still holds what they were made from. Its identity doesn't tell: an older copy that was
 * put back has the same, and gives the positions behind it a second time. So the metrics keep the id of the ping at their
 * position.
 *
 *   ledger.db   … 48 49 50 51 52 ─── metrics.db: position 52, id of that ping
 *          copy … 48 49 50 51'52'53' ─ another id at 52: not what the metrics were made from
 */
#ifndef PING_ADAPTER_SQLITE_LEDGER_MARK_H
#define PING_ADAPTER_SQLITE_LEDGER_MARK_H

#include "adapter/sqlite/database.h"
#include "base/uuid.h"

struct ledger_mark {
	struct database database;
	bool open; /* false: the log of these metrics isn't the ledger beside them, there is nothing to compare */
};

/* Opens the ledger in the directory for reading where there is one and it is this log. */
enum error ledger_mark_open(struct ledger_mark *mark, const char *directory, const uint8_t log_identity[16],
			    struct error_note *note);
/* The id at the position; *ret_found false where there is none, or nothing to compare. */
enum error ledger_mark_read(struct ledger_mark *mark, int64_t position, struct uuid *ret_id, bool *ret_found,
			    struct error_note *note);
void ledger_mark_close(struct ledger_mark *mark);

#endif
