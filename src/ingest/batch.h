/* The pings that a publisher has in its hands: numbered, their keys settled among themselves, laid side by side as rows; each is
 * answered once.
 *
 *   take ─► claims (one for each key) ─► answer_duplicates │ answer_keyed ─► make_rows ─► answer
 */
#ifndef PING_INGEST_BATCH_H
#define PING_INGEST_BATCH_H

#include "ingest/ingest.h"
#include "port/publish.h"

struct batch_keyed;

struct batch {
	struct ingest *ingest;
	size_t max;
	struct ingest_ping **pings; /* NULL: answered */
	size_t count;
	int32_t *claim_of; /* a ping's, by index; −1: it has no key */
	struct publish_claim *claims;
	size_t claim_count;
	struct batch_keyed *keyed;
	/* What goes into ledger and log, ordered by id. */
	struct ledger_ping *rows;
	size_t row_count, row_capacity;
	/* Answers on their way. */
	struct ingest_ping *answered;
	struct ingest_outcome outcome;
};

/* NO_MEMORY. */
enum error batch_init(struct batch *batch, struct ingest *ingest, size_t max);
void batch_release(struct batch *batch);

/* The next pings of the queue, each with an id, and a claim for each key among them: the first ping of a key stands for all. */
size_t batch_take(struct batch *batch, struct uuid_generator *ids, int64_t now_ms);
/* After the claim: of keys that another batch was first with. */
void batch_answer_duplicates(struct batch *batch);
/* All pings that have a key, with a failure. */
void batch_answer_keyed(struct batch *batch, enum error error, const struct error_note *note);
/* The rows of all pings that are not answered. */
void batch_make_rows(struct batch *batch);
/* All that are left. error OK: the rows are kept. */
void batch_answer(struct batch *batch, enum error error, const struct error_note *note);

void batch_clear_rows(struct batch *batch);
/* Keeps those without a position. */
void batch_drop_placed_rows(struct batch *batch);
/* NO_MEMORY. */
enum error batch_add_row(struct batch *batch, const struct ledger_ping *row);

#endif
