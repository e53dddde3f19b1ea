/* Derives every row of the metrics again from the ledger and compares (semantics, "Audit and rebuild"). Runs while everything
 * runs: the store's rows stand at a position, and of the ledger only the rows up to it count.
 *
 *   ledger ── sums by (client, window), up to the position ──┐   windows as they are, days and clients added up on the way
 *                                                            ├─► merge-join by (client, start) ─► differences
 *   store ── scan: windows, then days, then clients ─────────┘
 *
 * Memory doesn't grow with either: both are streams in the same order. For that the ledger's sums are read three times, once a
 * kind, as the store brings days and clients only after all windows. Its reader makes them before the store's snapshot begins,
 * which so is open only for as long as the comparison takes.
 *
 * A difference counts only if it is still there when looked at again: where a first look finds any, a second one follows, and
 * what both found is reported.
 */
#ifndef PING_AUDIT_AUDIT_H
#define PING_AUDIT_AUDIT_H

#include "port/ledger.h"
#include "port/store.h"

enum audit_kind {
	AUDIT_WINDOWS, /* count, first, last, position; missing ones, and ones too many */
	AUDIT_DAYS,    /* total: the sum of the ledger's windows */
	AUDIT_CLIENTS, /* first and last of all time */
	AUDIT_ROLLUP,  /* the ledger's rows, one by one, against its own roll-up */
	AUDIT_KIND_COUNT,
};

enum { AUDIT_MAX_EXAMPLES = 100, AUDIT_TEXT_SIZE = 384 };

struct audit_options {
	int64_t now_ms;
	int64_t window_retention_ms; /* 0: for ever */
	size_t max_examples;	     /* at most AUDIT_MAX_EXAMPLES */
	size_t max_suspects; /* differences of the first look that are remembered (32 bytes each); 0: 65,536. Past them, those of
			      * the second look count as they are */
	/* Between the looks: long enough for what is under way to settle. NULL: at once. */
	void (*pause)(void *context);
	void *context;
};

struct audit_example {
	enum audit_kind kind;
	struct address client;	    /* all zero: of no client */
	int64_t start_ms;	    /* of the window or day */
	char text[AUDIT_TEXT_SIZE]; /* names client, window or day, and both values */
};

struct audit_report {
	int64_t position; /* that the store's rows stand at */
	struct {
		int64_t checked; /* rows that either side has */
		int64_t differences;
	} kinds[AUDIT_KIND_COUNT];
	int64_t expired; /* windows past their retention: a difference only where the store counts more than the ledger */
	size_t example_count;
	struct audit_example examples[AUDIT_MAX_EXAMPLES];
};

/* "windows", "days", "clients", "roll-up" */
const char *audit_kind_name(enum audit_kind kind);
/* Over all kinds. */
int64_t audit_differences(const struct audit_report *report);

/* ERROR_OK whatever it found. The readers' errors; NO_MEMORY; RESOURCE_EXHAUSTED (no thread); INTERNAL where a reader's order is
 * broken. Blocks. The ledger's reader is used on another thread meanwhile, by one at a time. */
enum error audit_run(struct ledger_reader *ledger, struct store_reader *store, const struct audit_options *options,
		     struct audit_report *ret_report, struct error_note *note);

#endif
