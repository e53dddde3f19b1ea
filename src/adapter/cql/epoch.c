/* The procedure of log-epoch (docs/OPERATIONS.md), seen from the store: the topic was made anew, perhaps with another number of
 * partitions, and the first engine that comes with a greater log_epoch moves all of engine_writers to the new log.
 *
 *   old log, epoch e ──► every row fenced: no owner, version + 1 ──► every row of the new log, at "all of the epochs before e +
 * 1", reserved as far as any owner before may still write
 *
 * A client may have changed partition. So no row of the metrics is written before all partitions are fenced, and each new owner
 * writes above the reservations of all of them. What dies in the middle is done by the next one, from the start.
 */
#include "adapter/cql/writers.h"
#include "port/positions.h"

#include <stdlib.h>

enum { ATTEMPTS = 8 };

struct entry {
	struct cql_store *store;
	const uint8_t *log_identity;
	struct cql_writer *writers; /* by number; `found` tells which there are */
	size_t count;
};

int64_t cql_log_start(const struct cql_store *store)
{
	return position_make(store->store.log_epoch, 0) - 1;
}

static bool is_of_log(const struct entry *entry, const struct cql_writer *writer)
{
	return memcmp(writer->topic_id, entry->log_identity, sizeof writer->topic_id) == 0;
}

/* Rows that are listed say how many there may be. One that is just being made is seen when it is asked for alone. */
static enum error list(struct entry *entry, bool *ret_any, struct error_note *note)
{
	struct cql_request request = {0};
	struct pc_result *rows;
	cql_call(&request, CQL_LIST_WRITERS);
	enum error error = cql_ask(entry->store->connection, &request, &rows, note);
	if (error != ERROR_OK)
		return error;
	for (size_t i = 0; i < pc_result_rows(rows); i++) {
		struct cql_writer writer = cql_read_writer(rows, i);
		int32_t least = writer.number < writer.partition_count ? writer.partition_count : writer.number + 1;
		if (least > 0 && (size_t)least > entry->count)
			entry->count = (size_t)least;
	}
	entry->writers = calloc(entry->count + 1, sizeof *entry->writers);
	for (size_t i = 0; i < pc_result_rows(rows) && entry->writers != NULL; i++) {
		struct cql_writer writer = cql_read_writer(rows, i);
		if (writer.number >= 0)
			entry->writers[writer.number] = writer;
	}
	*ret_any = pc_result_rows(rows) > 0;
	pc_result_free(rows);
	return entry->writers == NULL ? ERROR_NO_MEMORY : ERROR_OK;
}

static enum error find_any_row(struct cql_store *store, bool *ret_any, struct error_note *note)
{
	struct cql_request request = {0};
	struct pc_result *rows;
	cql_call(&request, CQL_ANY_DAY);
	enum error error = cql_ask(store->connection, &request, &rows, note);
	if (error != ERROR_OK)
		return error;
	*ret_any = pc_result_rows(rows) > 0;
	pc_result_free(rows);
	return ERROR_OK;
}

/* Positions of no partition, but rows with positions: they are of a store whose engine_writers is lost. Or of another engine that
 * has just begun: it was in engine_writers before it wrote them, so it is when they are there. */
static enum error refuse_orphans(struct entry *entry, struct error_note *note)
{
	bool any_row, any_writer = false;
	enum error error = find_any_row(entry->store, &any_row, note);
	if (error != ERROR_OK || !any_row)
		return error;
	free(entry->writers);
	entry->writers = NULL;
	error = list(entry, &any_writer, note);
	return error != ERROR_OK || any_writer
		       ? error
		       : error_noted(note, ERROR_FAILED_PRECONDITION,
				     "there are metrics, but table engine_writers is empty, and nothing tells how far they go: "
				     "bring it back from a backup, or use another keyspace");
}

/* ─── May it be entered? ────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error refuse_log(const struct cql_store *store, int64_t epoch, struct error_note *note)
{
	if (epoch > store->store.log_epoch)
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "the metrics are at log epoch %lld of another log, configured is %d: set --log-epoch to the "
				   "publishers'",
				   (long long)epoch, (int)store->store.log_epoch);
	return error_noted(note, ERROR_FAILED_PRECONDITION,
			   "the metrics were made from another log than this one: the topic was made anew, which is a procedure "
			   "(drain, count, log-epoch + 1); or use another keyspace");
}

/* A row of this log. */
static enum error check_same(const struct entry *entry, const struct cql_writer *writer, struct error_note *note)
{
	const struct cql_store *store = entry->store;
	if (writer->partition_count != store->partition_count)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"the metrics were made from a log of %d partitions, it has %d now: growing is a procedure (drain, "
			"count, log-epoch + 1)",
			(int)writer->partition_count, (int)store->partition_count);
	if (writer->position >= 0 && writer->position != cql_log_start(store) &&
	    position_epoch(writer->position) < store->store.log_epoch)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"log-epoch is %d, but the topic is the one that the metrics were made from at %lld: its events would "
			"count twice; set --log-epoch back, or make the topic anew as the procedure says",
			(int)store->store.log_epoch, (long long)position_epoch(writer->position));
	return ERROR_OK;
}

/* A row of another log, that an engine may still be at. */
static enum error check_other(const struct entry *entry, const struct cql_writer *writer, struct error_note *note)
{
	int64_t age_ms = clock_wall_ms(entry->store->clock) - writer->heartbeat_ms;
	if (writer->has_owner && age_ms < CQL_HEARTBEAT_FRESH_MS)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"an engine fills these metrics from the log before this one, and was heard of %d s ago: let it "
			"come to the log's end, stop it, and start this one a minute later",
			(int)(age_ms / 1000));
	return ERROR_OK;
}

/* *ret_moves: there are rows of a log before. */
static enum error check(const struct entry *entry, bool *ret_moves, struct error_note *note)
{
	int64_t epoch = -1;
	enum error error = ERROR_OK;
	*ret_moves = false;
	for (size_t i = 0; i < entry->count && error == ERROR_OK; i++) {
		const struct cql_writer *writer = &entry->writers[i];
		if (!writer->found)
			continue;
		if (writer->position >= 0 && position_epoch(writer->position) > epoch)
			epoch = position_epoch(writer->position);
		error = cql_refuse_kind(entry->store, writer, note);
		if (!is_of_log(entry, writer))
			*ret_moves = true;
		else if (error == ERROR_OK)
			error = check_same(entry, writer, note);
	}
	const int64_t log_epoch = entry->store->store.log_epoch;
	if (error == ERROR_OK && *ret_moves && (log_epoch == 0 || epoch >= log_epoch))
		return refuse_log(entry->store, epoch, note);
	for (size_t i = 0; i < entry->count && error == ERROR_OK; i++)
		if (entry->writers[i].found && !is_of_log(entry, &entry->writers[i]))
			error = check_other(entry, &entry->writers[i], note);
	return error;
}

/* ─── Entering it ───────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Whoever owned it changes its row no more. */
static enum error fence(const struct entry *entry, struct cql_writer *writer, struct error_note *note)
{
	enum error error = cql_find_writer(entry->store, writer->number, writer, note);
	for (int attempt = 0; attempt < ATTEMPTS && error == ERROR_OK; attempt++) {
		if (!writer->found || is_of_log(entry, writer))
			return ERROR_OK;
		struct cql_request request = {0};
		int64_t version = writer->version;
		cql_call(&request, CQL_RELEASE);
		cql_put_bigint(&request, version + 1);
		cql_put_int(&request, writer->number);
		cql_put_bigint(&request, version);
		error = cql_transact(entry->store, &request, note);
		if (error == ERROR_OK)
			error = cql_find_writer(entry->store, writer->number, writer, note);
		if (error == ERROR_OK && writer->version == version + 1 && !writer->has_owner)
			return ERROR_OK;
	}
	return error != ERROR_OK ? error : error_noted(note, ERROR_UNAVAILABLE, "others take the partitions; trying again");
}

static enum error fence_all(const struct entry *entry, int64_t *ret_reserved_us, struct error_note *note)
{
	enum error error = ERROR_OK;
	*ret_reserved_us = 0;
	for (size_t i = 0; i < entry->count && error == ERROR_OK; i++) {
		entry->writers[i].number = (int32_t)i;
		error = fence(entry, &entry->writers[i], note);
		if (entry->writers[i].reserved_us > *ret_reserved_us)
			*ret_reserved_us = entry->writers[i].reserved_us;
	}
	return error;
}

/* From what was fenced. *ret_done: nobody came in between. */
static enum error move(const struct entry *entry, struct cql_writer *writer, int64_t reserved_us, bool *ret_done,
		       struct error_note *note)
{
	*ret_done = !writer->found || (is_of_log(entry, writer) && writer->reserved_us >= reserved_us);
	if (*ret_done)
		return ERROR_OK;
	struct cql_request request = {0};
	cql_call(&request, CQL_ENTER_LOG);
	cql_put_bigint(&request, writer->version + 1);
	cql_put_bigint(&request, reserved_us);
	cql_put_bytes(&request, entry->log_identity, sizeof writer->topic_id);
	cql_put_int(&request, entry->store->partition_count);
	cql_put_bigint(&request, cql_log_start(entry->store));
	cql_put_int(&request, writer->number);
	cql_put_bigint(&request, writer->version);
	enum error error = cql_transact(entry->store, &request, note);
	if (error == ERROR_OK)
		error = cql_find_writer(entry->store, writer->number, writer, note);
	if (error == ERROR_OK)
		*ret_done = is_of_log(entry, writer) && writer->reserved_us >= reserved_us;
	return error;
}

static enum error enter(const struct entry *entry, struct error_note *note)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		int64_t reserved_us;
		bool done = true;
		enum error error = fence_all(entry, &reserved_us, note);
		for (size_t i = 0; i < entry->count && error == ERROR_OK && done; i++)
			error = move(entry, &entry->writers[i], reserved_us, &done, note);
		if (error != ERROR_OK || done)
			return error;
	}
	return error_noted(note, ERROR_UNAVAILABLE, "others take the partitions of the new log too; trying again");
}

static enum error enter_if_needed(struct entry *entry, struct error_note *note)
{
	bool any, moves = false;
	enum error error = list(entry, &any, note);
	if (error == ERROR_OK && !any)
		error = refuse_orphans(entry, note);
	if (error == ERROR_OK)
		error = check(entry, &moves, note);
	return error == ERROR_OK && moves ? enter(entry, note) : error;
}

/* Every row of this log began above all reservations of the log before, and they only grow: so whichever has least is no less
 * than those, and does not grow with each partition that is taken. */
static int64_t reserved_at_entry(const struct entry *entry)
{
	int64_t least_us = 0;
	for (size_t i = 0; i < entry->count; i++) {
		const struct cql_writer *writer = &entry->writers[i];
		if (writer->found && is_of_log(entry, writer) && (least_us == 0 || writer->reserved_us < least_us))
			least_us = writer->reserved_us;
	}
	return least_us;
}

enum error cql_enter_log(struct cql_store *store, const uint8_t log_identity[16], int64_t *ret_reserved_us,
			 struct error_note *note)
{
	struct entry entry = {.store = store, .log_identity = log_identity};
	enum error error = enter_if_needed(&entry, note);
	*ret_reserved_us = error == ERROR_OK ? reserved_at_entry(&entry) : 0;
	free(entry.writers);
	return error;
}
