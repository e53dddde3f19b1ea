#include "adapter/cql/store.h"

#include <stdlib.h>

/* How long a reservation reaches ahead, and how often a lightweight transaction that met another is tried again. */
#define RESERVED_US INT64_C(30000000)
enum { ATTEMPTS = 8, HEARTBEAT_FRESH_MS = 60000 };

/* A row of engine_writers. */
struct writer {
	bool found, has_owner;
	bool native;
	char kind[24];
	uint8_t owner[CQL_OWNER_SIZE];
	uint8_t topic_id[16];
	int64_t version, reserved_us, position, heartbeat_ms;
	int32_t number, partition_count;
};

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
	free(partition);
}

static int64_t now_us(const struct cql_store *store)
{
	return clock_wall_ms(store->clock) * 1000;
}

static bool read_bytes(const struct pc_result *rows, size_t row, size_t column, uint8_t ret_bytes[16])
{
	struct slice bytes = cql_get_slice(rows, row, column);
	if (bytes.size != 16)
		return false;
	memcpy(ret_bytes, bytes.data, 16);
	return true;
}

static struct writer read_writer(const struct pc_result *rows, size_t row)
{
	struct writer writer = {.found = true, .position = POSITION_NONE};
	cql_get_int(rows, row, 0, &writer.number);
	struct slice kind = cql_get_slice(rows, row, 1);
	size_t size = kind.size < sizeof writer.kind ? kind.size : sizeof writer.kind - 1;
	memcpy(writer.kind, kind.data == NULL ? (const uint8_t *)"" : kind.data, size);
	writer.native = slice_equal_string(kind, "native");
	writer.has_owner = read_bytes(rows, row, 2, writer.owner);
	cql_get_bigint(rows, row, 3, &writer.version);
	cql_get_bigint(rows, row, 4, &writer.reserved_us);
	read_bytes(rows, row, 5, writer.topic_id);
	cql_get_int(rows, row, 6, &writer.partition_count);
	cql_get_bigint(rows, row, 7, &writer.position);
	cql_get_bigint(rows, row, 8, &writer.heartbeat_ms);
	return writer;
}

/* As it is, a lightweight transaction under way included. */
static enum error find_writer(struct cql_store *store, int32_t number, struct writer *ret_writer, struct error_note *note)
{
	struct cql_request request = {0};
	struct pc_result *rows;
	cql_call(&request, CQL_FIND_WRITER);
	cql_put_int(&request, number);
	enum error error = cql_ask(store->connection, &request, &rows, note);
	if (error != ERROR_OK)
		return error;
	*ret_writer = pc_result_rows(rows) > 0 ? read_writer(rows, 0) : (struct writer){.position = POSITION_NONE};
	pc_result_free(rows);
	return ERROR_OK;
}

/* Sends a lightweight transaction; what became of it is read from the row, so its own answer and errors that may have many causes
 * are left aside, unless nothing can be done about them. */
static enum error transact(struct cql_store *store, const struct cql_request *request, struct error_note *note)
{
	struct pc_result *rows;
	enum error error = cql_ask(store->connection, request, &rows, note);
	if (error == ERROR_OK)
		pc_result_free(rows);
	return error == ERROR_UNAVAILABLE ? ERROR_OK : error;
}

/* ─── Taking ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error refuse(struct cql_store *store, const struct writer *writer, const uint8_t log_identity[16],
			 struct error_note *note)
{
	int64_t age_ms = clock_wall_ms(store->clock) - writer->heartbeat_ms;
	if (memcmp(writer->topic_id, log_identity, 16) != 0)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"the metrics were made from another log than this one: the topic was made anew, which is a procedure "
			"(drain, count, log-epoch + 1); or use another keyspace");
	if (writer->partition_count != store->partition_count)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"the metrics were made from a log of %d partitions, it has %d now: growing is a procedure (drain, "
			"count, log-epoch + 1)",
			(int)writer->partition_count, (int)store->partition_count);
	if (!writer->native && age_ms < HEARTBEAT_FRESH_MS)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"another kind of engine (%s) fills these metrics and was heard of %d s ago: stop it, and start this "
			"one a minute later",
			writer->kind, (int)(age_ms / 1000));
	return ERROR_OK;
}

/* Positions of no partition, but rows with positions: they are of a store whose engine_writers is lost. */
static enum error refuse_orphans(struct cql_store *store, struct error_note *note)
{
	struct cql_request request = {0};
	struct pc_result *rows;
	cql_call(&request, CQL_ANY_DAY);
	enum error error = cql_ask(store->connection, &request, &rows, note);
	if (error != ERROR_OK)
		return error;
	bool any = pc_result_rows(rows) > 0;
	pc_result_free(rows);
	return !any ? ERROR_OK
		    : error_noted(note, ERROR_FAILED_PRECONDITION,
				  "there are metrics, but table engine_writers is empty, and nothing tells how far they go: "
				  "bring it back "
				  "from a backup, or use another keyspace");
}

/* The partition has no row: the others must be of this log too. */
static enum error check_others(struct cql_store *store, const uint8_t log_identity[16], struct error_note *note)
{
	struct cql_request request = {0};
	struct pc_result *rows;
	cql_call(&request, CQL_LIST_WRITERS);
	enum error error = cql_ask(store->connection, &request, &rows, note);
	if (error != ERROR_OK)
		return error;
	bool none = pc_result_rows(rows) == 0;
	for (size_t i = 0; i < pc_result_rows(rows) && error == ERROR_OK; i++) {
		const struct writer writer = read_writer(rows, i);
		error = refuse(store, &writer, log_identity, note);
	}
	pc_result_free(rows);
	return error == ERROR_OK && none ? refuse_orphans(store, note) : error;
}

/* What an owner from now on may use, beyond what one before may have used. */
static int64_t reservation_after(const struct cql_store *store, const struct writer *writer)
{
	int64_t now = now_us(store);
	return (now > writer->reserved_us ? now : writer->reserved_us) + RESERVED_US;
}

static enum error send_take(struct cql_store *store, int32_t number, const struct writer *writer, int64_t reserved_us,
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
		cql_put_bigint(&request, now / 1000);
	}
	return transact(store, &request, note);
}

static bool is_ours(const struct cql_store *store, const struct writer *writer)
{
	return writer->has_owner && memcmp(writer->owner, store->owner, sizeof store->owner) == 0;
}

/* From `old`, as the row was found, to `taken`, as it is with us as its owner. Several that try at once take turns: the last one
 * has it. */
static enum error become_owner(struct cql_store *store, int32_t number, const uint8_t log_identity[16], struct writer *ret_old,
			       struct writer *ret_taken, struct error_note *note)
{
	struct writer old = {0}, now = {0};
	enum error error = find_writer(store, number, &old, note);
	for (int attempt = 0; attempt < ATTEMPTS && error == ERROR_OK; attempt++) {
		error = old.found ? refuse(store, &old, log_identity, note) : check_others(store, log_identity, note);
		if (error == ERROR_OK)
			error = send_take(store, number, &old, reservation_after(store, &old), log_identity, note);
		if (error == ERROR_OK)
			error = find_writer(store, number, &now, note);
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
		struct writer lane = {0};
		enum error error = find_writer(store, number, &lane, note);
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
		const struct writer writer = read_writer(rows, i);
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
	struct writer old = {0}, taken = {0};
	if (before != NULL)
		cql_forget(store, before);
	cql_known_forget(store->known);
	enum error error = become_owner(store, number, log_identity, &old, &taken, note);
	int64_t floor_us = old.reserved_us; /* whatever an owner before us may still write lies below */
	if (error == ERROR_OK)
		error = take_lanes(store, log_identity, &floor_us, note);
	if (error != ERROR_OK)
		return error;
	const struct cql_partition partition = {
		.number = number,
		.version = taken.version,
		.reserved_us = taken.reserved_us,
		.timestamp_us = floor_us,
		.position = taken.position,
		.committed_us = clock_monotonic_us(store->clock),
	};
	error = add_partition(store, &partition);
	if (error == ERROR_OK)
		*ret_position = partition.position;
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
	struct writer writer;
	enum error error = find_writer(store, partition->number, &writer, note);
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
	return transact(store, &request, note);
}

enum error cql_commit(struct cql_store *store, struct cql_partition *partition, int64_t position, struct error_note *note)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		int64_t now = now_us(store), used_us = partition->timestamp_us;
		int64_t reserved_us = (now > used_us ? now : used_us) + RESERVED_US;
		struct writer writer;
		if (reserved_us < partition->reserved_us)
			reserved_us = partition->reserved_us;
		enum error error = send_commit(store, partition, position, reserved_us, note);
		if (error == ERROR_OK)
			error = find_writer(store, partition->number, &writer, note);
		if (error != ERROR_OK)
			return error;
		if (!is_ours(store, &writer))
			return lose(store, partition, note);
		bool done =
			writer.version > partition->version && writer.position == position && writer.reserved_us >= reserved_us;
		partition->version = writer.version;
		partition->reserved_us = writer.reserved_us;
		partition->position = writer.position;
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
	if (store->seen_us > partition->timestamp_us)
		partition->timestamp_us = store->seen_us;
	if (now > partition->timestamp_us && now < partition->reserved_us)
		partition->timestamp_us = now; /* so that WRITETIME means something to people */
	enum error error = ERROR_OK;
	if (partition->timestamp_us >= partition->reserved_us)
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
	transact(store, &request, NULL);
	cql_forget(store, partition);
}
