#include "adapter/kafka/placed.h"

#include <stdlib.h>

#include "adapter/kafka/committed.h"
#include "adapter/kafka/topic.h"
#include "event/event.h"

/* Transactions of others may have to end first: Kafka takes up to 20 s for one that was left open. */
enum { TIMEOUT_MS = 25000 };

struct place {
	int32_t partition;
	int64_t offset;
	struct ledger_ping *row;
	bool seen;
};

/* Of one partition, ordered by offset. */
struct stretch {
	struct place *places;
	size_t count;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *first = a, *second = b;
	if (first->partition != second->partition)
		return first->partition < second->partition ? -1 : 1;
	return (first->offset > second->offset) - (first->offset < second->offset);
}

static int32_t partition_of(const struct kafka_config *config, const struct ledger_ping *row)
{
	char key[ADDRESS_TEXT_SIZE];
	address_format(&row->client, key);
	return event_partition(slice_from_string(key), config->partitions);
}

static enum error visit(void *context, const rd_kafka_message_t *message, struct error_note *note)
{
	(void)note;
	struct stretch *stretch = context;
	struct place wanted = {.partition = stretch->places[0].partition, .offset = message->offset};
	struct place *place = bsearch(&wanted, stretch->places, stretch->count, sizeof wanted, compare_places);
	rd_kafka_headers_t *headers;
	const void *id;
	size_t size;
	if (place != NULL && rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
	    rd_kafka_header_get_last(headers, "id", &id, &size) == RD_KAFKA_RESP_ERR_NO_ERROR)
		place->seen = size == sizeof place->row->id.bytes && memcmp(id, place->row->id.bytes, size) == 0;
	return ERROR_OK;
}

/* low, end: what the partition holds, be it committed or not. */
static enum error check_stretch(struct committed *committed, struct stretch *stretch, int64_t low, int64_t end,
				struct error_note *note)
{
	const struct place *places = stretch->places;
	int64_t from = places[0].offset, to = places[stretch->count - 1].offset + 1;
	from = from < low ? low : from;
	to = to > end ? end : to;
	enum error error = committed_read(committed, KAFKA_TOPIC_EVENTS, places[0].partition, from, to, visit, stretch, note);
	for (size_t i = 0; i < stretch->count && error == ERROR_OK; i++)
		if (!places[i].seen && places[i].offset >= low)
			places[i].row->position = -1;
	return error;
}

/* bounds: of each partition its low, then of each its end. */
static enum error check_all(struct committed *committed, int64_t *bounds, struct place *places, size_t count,
			    struct error_note *note)
{
	int32_t partitions = committed->client_state.config->partitions;
	int64_t *low = bounds, *end = bounds + partitions;
	enum error error = topic_offsets(&committed->client_state, committed->client, KAFKA_TOPIC_EVENTS, partitions, TOPIC_START,
					 low, note);
	if (error == ERROR_OK)
		error = topic_offsets(&committed->client_state, committed->client, KAFKA_TOPIC_EVENTS, partitions, TOPIC_END, end,
				      note);
	for (size_t i = 0, next; i < count && error == ERROR_OK; i = next) {
		int32_t partition = places[i].partition;
		for (next = i + 1; next < count && places[next].partition == partition; next++)
			continue;
		error = check_stretch(committed, &(struct stretch){&places[i], next - i}, low[partition], end[partition], note);
	}
	return error;
}

static enum error look_for(const struct kafka_config *config, struct place *places, size_t count, struct error_note *note)
{
	struct committed committed;
	int64_t *bounds = calloc((size_t)config->partitions, 2 * sizeof *bounds);
	if (bounds == NULL)
		return ERROR_NO_MEMORY;
	enum error error = committed_open(&committed, config, "cannot look for the newest batch's events", TIMEOUT_MS, note);
	if (error == ERROR_OK) {
		error = check_all(&committed, bounds, places, count, note);
		committed_close(&committed);
	}
	free(bounds);
	return error;
}

enum error placed_check(const struct kafka_config *config, struct ledger_ping *rows, size_t count, struct error_note *note)
{
	struct place *places = calloc(count + 1, sizeof *places);
	if (places == NULL)
		return ERROR_NO_MEMORY;
	size_t used = 0;
	for (size_t i = 0; i < count; i++)
		if (rows[i].position >= 0 && position_epoch(rows[i].position) == config->log_epoch)
			places[used++] = (struct place){partition_of(config, &rows[i]), position_offset(rows[i].position),
							&rows[i], false};
	qsort(places, used, sizeof *places, compare_places);
	enum error error = used == 0 ? ERROR_OK : look_for(config, places, used, note);
	free(places);
	return error;
}
