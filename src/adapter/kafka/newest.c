#include "adapter/kafka/newest.h"

#include "adapter/kafka/committed.h"
#include "adapter/kafka/topic.h"

#include <stdlib.h>

enum {
	TIMEOUT_MS = 15000,
	FIRST_STRIDE = 64, /* a batch takes two offsets, its record's and its marker's: the newest is nearly always in here */
	STRIDE_FACTOR = 64,
};

struct search {
	int32_t slot;
	bool found;
	struct slot_record newest;
};

static enum error take(void *context, const rd_kafka_message_t *message, struct error_note *note)
{
	struct search *search = context;
	struct slot_record record;
	/* Nobody but publishers writes here; what isn't theirs must not be taken for "none". */
	if (slot_record_decode(slice_make(message->payload, message->len), &record) != ERROR_OK)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"Kafka: %s, partition %d, offset %lld is not a publisher's record: another program writes there",
			KAFKA_TOPIC_SLOTS, (int)search->slot, (long long)message->offset);
	search->newest = record;
	search->found = true;
	return ERROR_OK;
}

/* From the end backwards, in growing strides: what compaction has not seen yet can be long. */
static enum error search_backwards(struct search *search, struct committed *committed, struct error_note *note)
{
	int64_t low, end;
	enum error error = committed_bounds(committed, KAFKA_TOPIC_SLOTS, search->slot, &low, &end, note);
	if (error != ERROR_OK)
		return error;
	int64_t before = end;
	for (int64_t stride = FIRST_STRIDE; error == ERROR_OK && !search->found && before > low; stride *= STRIDE_FACTOR) {
		int64_t from = before - low > stride ? before - stride : low;
		error = committed_read(committed, KAFKA_TOPIC_SLOTS, search->slot, from, before, take, search, note);
		before = from;
	}
	return error != ERROR_OK || search->found ? error : ERROR_NOT_FOUND;
}

enum error newest_read(const struct kafka_config *config, int32_t slot, struct slot_record *ret_record, struct error_note *note)
{
	struct search search = {.slot = slot};
	struct committed committed;
	enum error error = committed_open(&committed, config, "cannot read the slot's newest batch", TIMEOUT_MS, note);
	if (error != ERROR_OK)
		return error;
	error = search_backwards(&search, &committed, note);
	committed_close(&committed);
	if (error == ERROR_OK)
		*ret_record = search.newest;
	return error;
}

enum error newest_visit(const struct kafka_config *config,
			enum error (*visit)(void *context, int32_t slot, const struct slot_record *record,
					    struct error_note *note),
			void *context, struct error_note *note)
{
	struct committed committed;
	int64_t *ends = calloc((size_t)config->slots, sizeof *ends);
	if (ends == NULL)
		return ERROR_NO_MEMORY;
	enum error error = committed_open(&committed, config, "cannot read the slots' newest batches", TIMEOUT_MS, note);
	if (error != ERROR_OK)
		goto free_ends;
	error = topic_offsets(&committed.client_state, committed.client, KAFKA_TOPIC_SLOTS, config->slots, TOPIC_SHOWN_END, ends,
			      note);
	for (int32_t slot = 0; slot < config->slots && error == ERROR_OK; slot++) {
		struct search search = {.slot = slot};
		if (ends[slot] == 0)
			continue;
		error = search_backwards(&search, &committed, note);
		if (error == ERROR_OK)
			error = visit(context, slot, &search.newest, note);
		else if (error == ERROR_NOT_FOUND)
			error = ERROR_OK;
	}
	committed_close(&committed);
free_ends:
	free(ends);
	return error;
}
