/* What lies in raw-pings-dead, for people: listed, and put back where it can be.
 *
 *   raw-pings-dead ─ each record once, however often it was written ─► visit
 *                  └ an event that lay in the wrong partition ─► raw-pings, and how far this has come ─► one transaction
 *
 * How far replays have come is the offset of the group ping-dead-letters, which has no members.
 */
#include "adapter/kafka/committed.h"
#include "base/hash.h"
#include "event/event.h"

#include <stdlib.h>

#define GROUP	       "ping-dead-letters"
#define TRANSACTION_ID "ping-dead-letters"
enum { TIMEOUT_MS = 120000, CALL_MS = 15000, SOME = 500 /* in a transaction */ };

/* Whose record it was: place and content, as a topic that was made anew has the same places. */
struct seen {
	uint64_t *hashes;
	size_t count, capacity;
};

struct letters {
	const struct kafka_config *config;
	struct committed committed;
	bool (*visit)(void *context, const struct kafka_letter *letter);
	void *context;
	struct seen seen;
	int32_t partition;	 /* of raw-pings-dead, that is being read */
	int64_t replayed_before; /* its letters before this offset were replayed or could not be */
	/* Of a replay. */
	struct client_state producer_state;
	rd_kafka_t *producer; /* NULL: only listed */
	rd_kafka_consumer_group_metadata_t *group;
	size_t in_transaction;
	struct kafka_replay *replay;
};

/* ─── Letters ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Open addressing, at most half full; 0 is a free place. */
static void put_hash(struct seen *seen, uint64_t hash)
{
	size_t at = (size_t)hash & (seen->capacity - 1);
	while (seen->hashes[at] != 0)
		at = (at + 1) & (seen->capacity - 1);
	seen->hashes[at] = hash;
	seen->count++;
}

static bool reserve_hash(struct seen *seen)
{
	if (2 * (seen->count + 1) <= seen->capacity)
		return true;
	struct seen grown = {.capacity = seen->capacity == 0 ? 256 : seen->capacity * 2};
	grown.hashes = calloc(grown.capacity, sizeof *grown.hashes);
	if (grown.hashes == NULL)
		return false;
	for (size_t i = 0; i < seen->capacity; i++)
		if (seen->hashes[i] != 0)
			put_hash(&grown, seen->hashes[i]);
	free(seen->hashes);
	*seen = grown;
	return true;
}

/* True where it was not seen before. */
static bool is_first(struct seen *seen, uint64_t hash, enum error *error)
{
	if (!reserve_hash(seen)) {
		*error = ERROR_NO_MEMORY;
		return false;
	}
	hash = hash == 0 ? 1 : hash;
	for (size_t at = (size_t)hash & (seen->capacity - 1); seen->hashes[at] != 0; at = (at + 1) & (seen->capacity - 1))
		if (seen->hashes[at] == hash)
			return false;
	put_hash(seen, hash);
	return true;
}

static struct slice header(const rd_kafka_message_t *message, const char *name)
{
	rd_kafka_headers_t *headers;
	const void *value;
	size_t size;
	if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
	    rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return (struct slice){0};
	return slice_make(value, size);
}

static int64_t number(struct slice text)
{
	int64_t value = 0;
	if (text.size == 0 || text.size > 18)
		return -1;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return -1;
		value = value * 10 + (text.data[i] - '0');
	}
	return value;
}

static uint64_t identity(const struct kafka_letter *letter)
{
	static const uint8_t key[16] = "only a checksum";
	const uint64_t parts[] = {(uint64_t)letter->partition, (uint64_t)letter->offset,
				  hash_keyed(key, letter->key.data, letter->key.size),
				  hash_keyed(key, letter->value.data, letter->value.size)};
	return hash_keyed(key, parts, sizeof parts);
}

/* *ret_event where its value is one. */
static struct kafka_letter read_letter(const rd_kafka_message_t *message, struct event *ret_event)
{
	struct kafka_letter letter = {
		.partition = (int32_t)number(header(message, "partition")),
		.offset = number(header(message, "offset")),
		.written_ms = rd_kafka_message_timestamp(message, NULL),
		.reason = header(message, "reason"),
		.key = slice_make(message->key, message->key_len),
		.value = slice_make(message->payload, message->len),
	};
	letter.curable = event_decode(letter.value, ret_event, NULL) == ERROR_OK;
	return letter;
}

/* ─── Putting back ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error failed(struct letters *letters, const char *what, rd_kafka_error_t *problem, struct error_note *note)
{
	return problem == NULL ? ERROR_OK : client_failed_by(&letters->producer_state, letters->producer, what, problem, note);
}

/* Its own headers, without ours. */
static rd_kafka_headers_t *own_headers(const rd_kafka_message_t *message)
{
	static const char *const ours[] = {"reason", "partition", "offset"};
	rd_kafka_headers_t *all;
	if (rd_kafka_message_headers(message, &all) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	rd_kafka_headers_t *headers = rd_kafka_headers_copy(all);
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		rd_kafka_header_remove(headers, ours[i]);
	return headers;
}

/* Where its client's events belong, under the key that they have. */
static enum error put_back(struct letters *letters, const rd_kafka_message_t *message, const struct event *event,
			   struct error_note *note)
{
	char key[ADDRESS_TEXT_SIZE];
	size_t size = address_format(&event->client, key);
	if (letters->in_transaction == 0) {
		enum error error =
			failed(letters, "cannot begin a transaction", rd_kafka_begin_transaction(letters->producer), note);
		if (error != ERROR_OK)
			return error;
	}
	rd_kafka_headers_t *headers = own_headers(message);
	rd_kafka_resp_err_t code = rd_kafka_producev(
		letters->producer, RD_KAFKA_V_TOPIC(KAFKA_TOPIC_EVENTS),
		RD_KAFKA_V_PARTITION(event_partition(slice_make(key, size), letters->config->partitions)),
		RD_KAFKA_V_KEY(key, size), RD_KAFKA_V_VALUE(message->payload, message->len), RD_KAFKA_V_HEADERS(headers),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK), RD_KAFKA_V_END);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		if (headers != NULL)
			rd_kafka_headers_destroy(headers);
		return client_failed(&letters->producer_state, letters->producer, "cannot write to " KAFKA_TOPIC_EVENTS, code,
				     note);
	}
	letters->in_transaction++;
	return ERROR_OK;
}

/* What was put back, and that everything before `next_offset` is seen to: both or neither. */
static enum error end_transaction(struct letters *letters, int64_t next_offset, struct error_note *note)
{
	if (letters->in_transaction == 0)
		return ERROR_OK;
	rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(offsets, KAFKA_TOPIC_DEAD, letters->partition)->offset = next_offset;
	rd_kafka_error_t *problem = rd_kafka_send_offsets_to_transaction(letters->producer, offsets, letters->group, CALL_MS);
	rd_kafka_topic_partition_list_destroy(offsets);
	if (problem == NULL)
		problem = rd_kafka_commit_transaction(letters->producer, CALL_MS);
	if (problem == NULL) {
		letters->replay->replayed += (int64_t)letters->in_transaction;
		letters->in_transaction = 0;
		return ERROR_OK;
	}
	return failed(letters, "cannot put letters back", problem, note);
}

static enum error see(void *context, const rd_kafka_message_t *message, struct error_note *note)
{
	struct letters *letters = context;
	struct event event;
	struct kafka_letter letter = read_letter(message, &event);
	enum error error = ERROR_OK;
	letter.replayed = letter.curable && message->offset < letters->replayed_before;
	if (!is_first(&letters->seen, identity(&letter), &error))
		return error;
	if (letters->producer == NULL)
		return letters->visit(letters->context, &letter) ? ERROR_OK : ERROR_CANCELED;
	letters->replay->already += letter.replayed;
	letters->replay->hopeless += !letter.curable;
	if (!letter.curable || letter.replayed)
		return ERROR_OK;
	error = put_back(letters, message, &event, note);
	return error == ERROR_OK && letters->in_transaction >= SOME ? end_transaction(letters, message->offset + 1, note) : error;
}

/* ─── Partitions ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum error count_partitions(struct letters *letters, int32_t *ret_count, struct error_note *note)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_t *client = letters->committed.client;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(client, KAFKA_TOPIC_DEAD, NULL);
	if (topic == NULL)
		return ERROR_NO_MEMORY;
	rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, topic, &metadata, CALL_MS);
	rd_kafka_topic_destroy(topic);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
		code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
		*ret_count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
		rd_kafka_metadata_destroy(metadata);
	}
	return code == RD_KAFKA_RESP_ERR_NO_ERROR
		       ? ERROR_OK
		       : client_failed(&letters->committed.client_state, client, "cannot read " KAFKA_TOPIC_DEAD, code, note);
}

/* The group's offsets are asked for by a client that is of the group. */
static enum error read_replayed(struct letters *letters, int32_t count, int64_t *ret_offsets, struct error_note *note)
{
	static const struct client_setting settings[] = {{"group.id", GROUP}, {"enable.auto.commit", "false"}, {0}};
	struct client_state state = {.config = letters->config};
	rd_kafka_t *client;
	enum error error = client_create(RD_KAFKA_CONSUMER, &state, settings, NULL, &client, note);
	if (error != ERROR_OK)
		return error;
	rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(count);
	for (int32_t i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(offsets, KAFKA_TOPIC_DEAD, i);
	rd_kafka_resp_err_t code = rd_kafka_committed(client, offsets, CALL_MS);
	for (int32_t i = 0; i < count; i++)
		ret_offsets[i] = offsets->elems[i].offset < 0 ? 0 : offsets->elems[i].offset;
	rd_kafka_topic_partition_list_destroy(offsets);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		error = client_failed(&state, client, "cannot see what was replayed", code, note);
	rd_kafka_destroy(client);
	return error;
}

static enum error read_partition(struct letters *letters, int32_t number, int64_t replayed_before, struct error_note *note)
{
	int64_t low, end;
	letters->partition = number;
	letters->replayed_before = replayed_before;
	enum error error = committed_bounds(&letters->committed, KAFKA_TOPIC_DEAD, number, &low, &end, note);
	if (error == ERROR_OK)
		error = committed_read(&letters->committed, KAFKA_TOPIC_DEAD, number, low, end, see, letters, note);
	return error == ERROR_OK && letters->producer != NULL ? end_transaction(letters, end, note) : error;
}

static enum error read_all(struct letters *letters, struct error_note *note)
{
	int32_t count = 0;
	enum error error = count_partitions(letters, &count, note);
	int64_t *offsets = calloc((size_t)count + 1, sizeof *offsets);
	if (error == ERROR_OK && offsets == NULL)
		error = ERROR_NO_MEMORY;
	if (error == ERROR_OK)
		error = read_replayed(letters, count, offsets, note);
	for (int32_t i = 0; i < count && error == ERROR_OK; i++)
		error = read_partition(letters, i, offsets[i], note);
	free(offsets);
	return error;
}

static enum error run(struct letters *letters, struct error_note *note)
{
	enum error error =
		committed_open(&letters->committed, letters->config, "cannot read " KAFKA_TOPIC_DEAD, TIMEOUT_MS, note);
	if (error != ERROR_OK)
		return error;
	error = read_all(letters, note);
	committed_close(&letters->committed);
	free(letters->seen.hashes);
	return error;
}

enum error kafka_letters_list(const struct kafka_config *config, bool (*visit)(void *context, const struct kafka_letter *letter),
			      void *context, struct error_note *note)
{
	struct letters letters = {.config = config, .visit = visit, .context = context};
	enum error error = run(&letters, note);
	return error == ERROR_CANCELED ? ERROR_OK : error;
}

/* One at a time: the transactional id fences who began before. */
enum error kafka_letters_replay(const struct kafka_config *config, struct kafka_replay *ret_replay, struct error_note *note)
{
	static const struct client_setting settings[] = {{"transactional.id", TRANSACTION_ID}, {0}};
	struct letters letters = {.config = config, .producer_state = {.config = config}, .replay = ret_replay};
	*ret_replay = (struct kafka_replay){0};
	enum error error = client_create(RD_KAFKA_PRODUCER, &letters.producer_state, settings, NULL, &letters.producer, note);
	if (error != ERROR_OK)
		return error;
	letters.group = rd_kafka_consumer_group_metadata_new(GROUP);
	error = failed(&letters, "cannot begin a replay", rd_kafka_init_transactions(letters.producer, CALL_MS), note);
	if (error == ERROR_OK)
		error = run(&letters, note);
	if (letters.in_transaction > 0) {
		rd_kafka_error_t *problem = rd_kafka_abort_transaction(letters.producer, CALL_MS);
		if (problem != NULL)
			rd_kafka_error_destroy(problem);
	}
	rd_kafka_consumer_group_metadata_destroy(letters.group);
	rd_kafka_destroy(letters.producer);
	return error;
}
