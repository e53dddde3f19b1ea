/* Compares ledger and log where they are two systems (semantics, "Publishing", "Audit and rebuild"): each row that is published
 * has its event where its position says, and each event has its row. Runs while everything runs.
 *
 *   log ── what each slot has published, and the ends ─┐ first: what is in the log by then …
 *   ledger ── a snapshot of the rows, by position ─────┤ … is in the ledger by now
 *   log ── the ends again, then all events ────────────┴─► merge, a partition at a time as the rows come ─► differences
 *
 * A publisher commits its rows before their events are shown. So an event before the ends of the first step has its row in the
 * snapshot, and a row whose batch was published by then has its event. What is on its way is no difference: events behind those
 * ends, rows of later batches (pending), and rows whose events an open transaction still hides.
 *
 * Memory doesn't grow with either. A difference counts only if it is still there when looked at again: where a first look finds
 * any, a second one follows, and what both found is reported.
 */
#ifndef PING_AUDIT_POSITIONS_H
#define PING_AUDIT_POSITIONS_H

#include "port/positions.h"

enum positions_kind {
	POSITIONS_ROWS,	  /* rows without events: published, and no event with that id at the row's position */
	POSITIONS_EVENTS, /* events without rows: no row has the event's id, or its row says another position */
	POSITIONS_KIND_COUNT,
};

enum { POSITIONS_MAX_EXAMPLES = 100, POSITIONS_TEXT_SIZE = 384 };

struct positions_options {
	size_t max_examples; /* at most POSITIONS_MAX_EXAMPLES */
	size_t max_suspects; /* differences of the first look that are remembered (40 bytes each); 0: 65,536. Past them, those of
			      * the second look count as they are */
	/* Between the looks: long enough for what is under way to settle. NULL: at once. */
	void (*pause)(void *context);
	void *context;
};

struct positions_example {
	enum positions_kind kind;
	char text[POSITIONS_TEXT_SIZE]; /* names id, place, and what is wrong */
};

struct positions_report {
	struct {
		int64_t checked;
		int64_t differences;
	} kinds[POSITIONS_KIND_COUNT];
	/* Apart, and no differences: */
	int64_t pending;       /* rows that are not in the log yet, or not shown yet */
	int64_t others_rows;   /* struct position_apart */
	int64_t others_events; /* without an id */
	int64_t gone;	 /* rows whose events the log no longer holds: older than its retention, or of an earlier log epoch */
	int64_t dropped; /* events whose rows the ledger no longer holds: older than its retention */
	size_t example_count;
	struct positions_example examples[POSITIONS_MAX_EXAMPLES];
};

/* "rows without events", "events without rows" */
const char *positions_kind_name(enum positions_kind kind);
/* Over both kinds. */
int64_t positions_differences(const struct positions_report *report);

/* ERROR_OK whatever it found. The ports' errors; NO_MEMORY; INTERNAL where an order is broken. Blocks. */
enum error positions_audit(struct ledger_positions *ledger, struct log_positions *log, const struct positions_options *options,
			   struct positions_report *ret_report, struct error_note *note);

#endif
