/* Compares ledger and metrics where each row stands at a position of its own, as several engines fill the store while everything
 * runs (semantics, "Audit and rebuild"): a row holds every ping of the ledger's up to the row's position, and none is missing
 * that is at or before the position of its partition.
 *
 *   ledger ── sums by (client, window), of all that is there ──┐ some clients at a time: equal where the row is as new
 *   store ── the rows of those clients, in whatever order ─────┴─► suspects: other, older, newer, not there
 *   store ── who has rows, and isn't in the ledger ────────────► suspects
 *
 *   suspects ─► partitions' positions, then the rows, then the ledger up to each row's position ─► differences
 *
 * What is behind a row's position is on its way and no difference. A counter must say what its day's total says once the
 * partition's position has passed that total. A difference counts only if it is still there when looked at again, after a pause.
 * Memory: 16 bytes a client, and the rows of some clients.
 */
#ifndef PING_AUDIT_METRICS_H
#define PING_AUDIT_METRICS_H

#include "audit/audit.h"

enum metrics_kind { METRICS_WINDOWS, METRICS_DAYS, METRICS_COUNTERS, METRICS_CLIENTS, METRICS_KIND_COUNT };

struct metrics_options {
	int64_t now_ms;
	int64_t window_retention_ms; /* 0: for ever */
	size_t partition_count;	     /* of the log */
	int32_t (*partition_of)(const struct address *client, int32_t partition_count);
	size_t max_examples; /* at most AUDIT_MAX_EXAMPLES */
	/* Before differences are looked at again. NULL: at once. */
	void (*pause)(void *context);
	void *context;
};

struct metrics_report {
	struct {
		int64_t checked, differences;
	} kinds[METRICS_KIND_COUNT];
	int64_t expired; /* windows past their retention: not compared */
	int64_t others;	 /* rows without a position: of tables that somebody else filled */
	size_t example_count;
	struct audit_example examples[AUDIT_MAX_EXAMPLES]; /* .kind: enum metrics_kind */
};

/* "windows", "days", "counters", "clients" */
const char *metrics_kind_name(enum metrics_kind kind);
int64_t metrics_differences(const struct metrics_report *report);

/* ERROR_OK whatever it found. `sums` and `keys` are two readers of one ledger: the first is read on a thread of its own
 * meanwhile. The readers' errors; NO_MEMORY; RESOURCE_EXHAUSTED (no thread). Blocks. */
enum error metrics_audit(struct ledger_reader *sums, struct ledger_reader *keys, struct store_reader *store,
			 const struct metrics_options *options, struct metrics_report *ret_report, struct error_note *note);

#endif
