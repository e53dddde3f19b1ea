#include "adapter/cql/safeguard.h"
#include "adapter/cql/writers.h"

#include <stdlib.h>

/* How long a reservation reaches ahead, and how often a lightweight transaction that met another is tried again. */
#define RESERVED_US INT64_C(30000000)
enum { ATTEMPTS = 8 };

struct cql_partition *cql_find_partition(struct cql_store *store, int32_t number)
{
	for (size_t i = 0; i < store->count; i++)
		if (store->partitions[i]->number == number)
			return store->partitions[i];
	return NULL;
}

void cql_forget(struct cql_store *store, struct cql_partition *partition)
{
	for (size_t i = 0; i < store->count; i++)
		if (store->partitions[i] == partition)
			store->partitions[i] = store->partitions[--store->count];
	cql_merging_destroy(partition->merging);
	free(partition);
}

static int64_t now_us(const struct cql_store *store)
{
	return clock_wall_ms(store->clock) * 1000;
}

/* ─── Taking ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A row that was moved to this log, or made of it, is never another's again. */
static enum error check_log(const struct cql_writer *writer, const uint8_t log_identity[16], struct error_note *note)
{
	return !writer->found || memcmp(writer->topic_id, log_identity, sizeof writer->topic_id) == 0
		       ? ERROR_OK
		       : error_noted(note, ERROR_FAILED_PRECONDITION,
				     "another engine moved the metrics to another log: which one is it, and is --log-epoch the "
				     "publishers'?");
}

/* What an owner from now on may use, beyond what one before may have used. */
static int64_t reservation_after(const struct cql_store *store, const struct cql_writer *writer)
{
	int64_t now = now_us(store);
	return (now > writer->reserved_us ? now : writer->reserved_us) + RESERVED_US;
}

static enum error send_take(struct cql_store *store, int32_t number, const struct cql_writer *writer, int64_t reserved_us,
			    const uint8_t log_identity[16], struct error_note *note)
{
	struct cql_request request = {0};
	int64_t now = now_us(store);
	cql_call(&request, writer->found ? CQL_TAKE : CQL_TAKE_FIRST);
	if (writer->found) {
		cql_put_bytes(&request, store->owner, sizeof store->owner);
		cql_put_bigint(&request, writer->version + 1);
		cql_put_bigint(&request, reserved_us);
		cql_put_bigint(&request, now / 1000);
		cql_put_int(&request, number);
		cql_put_bigint(&request, writer->version);
	} else {
		cql_put_int(&request, number);
		cql_put_bytes(&request, store->owner, sizeof store->owner);
		cql_put_bigint(&request, reserved_us);
		cql_put_bytes(&request, log_identity, 16);
		cql_put_int(&request, store->partition_count);
		cql_put_bigint(&request, writer->reserved_us > 0 ? cql_log_start(store) : POSITION_NONE);
		cql_put_bigint(&request, now / 1000);
	}
	return cql_transact(store, &request, note);
}

static bool is_ours(const struct cql_store *store, const struct cql_writer *writer)
{
	return writer->has_owner && memcmp(writer->owner, store->owner, sizeof store->owner) == 0;
}

/* From `old`, as the row was found, to `taken`, as it is with us as its owner. Several that try at once take turns: the last one
 * has it. */
static enum error become_owner(struct cql_store *store, int32_t number, const uint8_t log_identity[16],
			       struct cql_writer *ret_old, struct cql_writer *ret_taken, struct error_note *note)
{
	struct cql_writer old = {0}, now = {0};
	int64_t reserved_us = 0;
	enum error error = cql_enter_log(store, log_identity, &reserved_us, note);
	if (error == ERROR_OK)
		error = cql_find_writer(store, number, &old, note);
	for (int attempt = 0; attempt < ATTEMPTS && error == ERROR_OK; attempt++) {
		if (!old.found && store->store.log_epoch > 0)
			old.reserved_us = reserved_us; /* its clients may have been other partitions', in the log before */
		error = check_log(&old, log_identity, note);
		if (error == ERROR_OK)
			error = cql_refuse_kind(store, &old, note);
		if (error == ERROR_OK)
			error = send_take(store, number, &old, reservation_after(store, &old), log_identity, note);
		if (error == ERROR_OK)
			error = cql_find_writer(store, number, &now, note);
		if (error == ERROR_OK && is_ours(store, &now) && now.version == old.version + 1) {
			*ret_old = old;
			*ret_taken = now;
			return ERROR_OK;
		}
		old = now;
	}
	return error != ERROR_OK ? error
				 : error_noted(note, ERROR_UNAVAILABLE, "partition %d: others take it all the time; trying again",
					       (int)number);
}

/* A lane's row becomes this kind's, if it isn't yet. What it reserves stays as it is, and is the most that its owner may have
 * used: *floor_us is no less. */
static enum error take_lane(struct cql_store *store, int32_t number, const uint8_t log_identity[16], int64_t *floor_us,
			    struct error_note *note)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		struct cql_writer lane = {0};
		enum error error = cql_find_writer(store, number, &lane, note);
		if (error != ERROR_OK)
			return error;
		if (lane.reserved_us > *floor_us)
			*floor_us = lane.reserved_us;
		if (!lane.found || lane.native)
			return ERROR_OK;
		error = send_take(store, number, &lane, lane.reserved_us, log_identity, note);
		if (error != ERROR_OK)
			return error;
	}
	return error_noted(note, ERROR_UNAVAILABLE, "lane %d of the Flink job: others take it all the time; trying again",
			   (int)(-1 - number));
}

/* The Flink job writes as the owner of lanes of clients, whose rows have the numbers below 0. To be called when a partition is
 * taken already: a task of the job takes its lanes first and then looks whether the partitions are still the job's, so one that
 * comes later than this writes nothing. Floor: above it lies nothing that a lane's owner may still write. */
static enum error take_lanes(struct cql_store *store, const uint8_t log_identity[16], int64_t *floor_us, struct error_note *note)
{
	struct cql_request request = {0};
	struct pc_result *rows;
	cql_call(&request, CQL_LIST_WRITERS);
	enum error error = cql_ask(store->connection, &request, &rows, note);
	if (error != ERROR_OK)
		return error;
	for (size_t i = 0; i < pc_result_rows(rows) && error == ERROR_OK; i++) {
		const struct cql_writer writer = cql_read_writer(rows, i);
		if (writer.number >= 0)
			continue;
		if (writer.reserved_us > *floor_us)
			*floor_us = writer.reserved_us;
		if (!writer.native)
			error = take_lane(store, writer.number, log_identity, floor_us, note);
	}
	pc_result_free(rows);
	return error;
}

static enum error add_partition(struct cql_store *store, const struct cql_partition *partition)
{
	struct cql_partition *copy = malloc(sizeof *copy);
	struct cql_partition **partitions = reallocarray(store->partitions, store->count + 1, sizeof *partitions);
	if (partitions != NULL)
		store->partitions = partitions;
	if (copy == NULL || partitions == NULL) {
		free(copy);
		return ERROR_NO_MEMORY;
	}
	*copy = *partition;
	store->partitions[store->count++] = copy;
	return ERROR_OK;
}

enum error cql_take(struct store *base, int32_t number, const uint8_t log_identity[16], int64_t *ret_position,
		    struct error_note *note)
{
	struct cql_store *store = (struct cql_store *)base;
	struct cql_partition *before = cql_find_partition(store, number);
	struct cql_writer old = {0}, taken = {0};
	if (before != NULL)
		cql_forget(store, before);
	cql_known_forget(store->known);
	enum error error = become_owner(store, number, log_identity, &old, &taken, note);
	if (error == ERROR_OK && old.has_owner) /* who gives a partition back has nothing under way */
		cql_doubt(store);
	int64_t floor_us = old.reserved_us; /* whatever an owner before us may still write lies below */
	if (error == ERROR_OK)
		error = take_lanes(store, log_identity, &floor_us, note);
	if (error != ERROR_OK)
		return error;
	const struct cql_partition partition = {
		.number = number,
		.version = taken.version,
		.reserved_us = taken.reserved_us,
		.timestamp_us = cql_leaves_out(CQL_FLOOR) ? 0 : floor_us,
		.position = taken.position,
		.committed_us = clock_monotonic_us(store->clock),
	};
	error = add_partition(store, &partition);
	if (error == ERROR_OK)
		*ret_position = partition.position;
	return error;
}

enum error cql_held(struct store *base, struct error_note *note)
{
	struct cql_store *store = (struct cql_store *)base;
	struct cql_request request = {0};
	struct pc_result *rows;
	cql_call(&request, CQL_LIST_WRITERS);
	enum error error = cql_ask(store->connection, &request, &rows, note);
	if (error != ERROR_OK)
		return error;
	for (size_t i = 0; i < pc_result_rows(rows) && error == ERROR_OK; i++) {
		const struct cql_writer writer = cql_read_writer(rows, i);
		if (writer.number >= 0)
			error = cql_refuse_kind(store, &writer, note);
	}
	pc_result_free(rows);
	return error;
}

/* ─── Keeping ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error lose(struct cql_store *store, struct cql_partition *partition, struct error_note *note)
{
	enum error error = error_noted(note, ERROR_FENCED, "another engine has taken partition %d", (int)partition->number);
	cql_forget(store, partition);
	return error;
}

enum error cql_confirm(struct cql_store *store, struct cql_partition *partition, struct error_note *note)
{
	struct cql_writer writer;
	enum error error = cql_find_writer(store, partition->number, &writer, note);
	return error == ERROR_OK && !is_ours(store, &writer) ? lose(store, partition, note) : error;
}

static enum error send_commit(struct cql_store *store, const struct cql_partition *partition, int64_t position,
			      int64_t reserved_us, struct error_note *note)
{
	struct cql_request request = {0};
	cql_call(&request, CQL_COMMIT);
	cql_put_bigint(&request, partition->version + 1);
	cql_put_bigint(&request, position);
	cql_put_bigint(&request, reserved_us);
	cql_put_bigint(&request, now_us(store) / 1000);
	cql_put_int(&request, partition->number);
	cql_put_bigint(&request, partition->version);
	return cql_transact(store, &request, note);
}

enum error cql_commit(struct cql_store *store, struct cql_partition *partition, int64_t position, struct error_note *note)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		int64_t now = now_us(store), used_us = partition->timestamp_us;
		int64_t reserved_us = (now > used_us ? now : used_us) + RESERVED_US;
		struct cql_writer writer;
		if (reserved_us < partition->reserved_us)
			reserved_us = partition->reserved_us;
		enum error error = send_commit(store, partition, position, reserved_us, note);
		if (error == ERROR_OK)
			error = cql_find_writer(store, partition->number, &writer, note);
		if (error != ERROR_OK)
			return error;
		if (!is_ours(store, &writer))
			return lose(store, partition, note);
		bool done =
			writer.version > partition->version && writer.position >= position && writer.reserved_us >= reserved_us;
		partition->version = writer.version;
		partition->reserved_us = writer.reserved_us;
		partition->position = writer.position;
		if (position < writer.position) /* an earlier commit of ours, whose answer was lost */
			position = writer.position;
		if (done) {
			partition->committed_us = clock_monotonic_us(store->clock);
			return ERROR_OK;
		}
	}
	return error_noted(note, ERROR_UNAVAILABLE, "the position of partition %d could not be written", (int)partition->number);
}

enum error cql_next_timestamp(struct cql_store *store, struct cql_partition *partition, int64_t *ret_timestamp_us,
			      struct error_note *note)
{
	int64_t now = now_us(store);
	if (cql_leaves_out(CQL_RESERVATION)) {
		*ret_timestamp_us = now;
		return ERROR_OK;
	}
	if (store->seen_us > partition->timestamp_us && !cql_leaves_out(CQL_FLOOR))
		partition->timestamp_us = store->seen_us;
	if (now > partition->timestamp_us && (now < partition->reserved_us || cql_leaves_out(CQL_CEILING)))
		partition->timestamp_us = now; /* so that WRITETIME means something to people */
	enum error error = ERROR_OK;
	if (partition->timestamp_us >= partition->reserved_us && !cql_leaves_out(CQL_CEILING))
		error = cql_commit(store, partition, partition->position, note);
	if (error == ERROR_OK)
		*ret_timestamp_us = ++partition->timestamp_us;
	return error;
}

void cql_release(struct store *base, int32_t number)
{
	struct cql_store *store = (struct cql_store *)base;
	struct cql_partition *partition = cql_find_partition(store, number);
	if (partition == NULL)
		return;
	struct cql_request request = {0};
	cql_call(&request, CQL_RELEASE);
	cql_put_bigint(&request, partition->version + 1);
	cql_put_int(&request, number);
	cql_put_bigint(&request, partition->version);
	cql_transact(store, &request, NULL);
	cql_forget(store, partition);
}
