#include "adapter/kafka/slot_record.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

size_t slot_record_encode(const struct slot_record *record, char ret_value[SLOT_RECORD_SIZE])
{
	const char *before = record->topic[0] != '\0' ? ",\"topic\":\"" : "", *behind = record->topic[0] != '\0' ? "\"" : "";
	return (size_t)snprintf(ret_value, SLOT_RECORD_SIZE,
				"{\"log_epoch\":%" PRId64 ",\"batch\":%" PRId64 ",\"after\":%" PRId64 "%s%s%s}",
				record->log_epoch, record->batches.batch, record->batches.after, before, record->topic, behind);
}

static enum error read_topic(struct json *json, char ret_topic[UUID_TEXT_SIZE])
{
	struct json_string text;
	enum error error = json_read_string(json, &text);
	if (error != ERROR_OK || text.escaped || text.raw.size >= UUID_TEXT_SIZE)
		return ERROR_MALFORMED;
	snprintf(ret_topic, UUID_TEXT_SIZE, "%.*s", (int)text.raw.size, (const char *)text.raw.data);
	return ERROR_OK;
}

static enum error read_member(struct json *json, struct json_string *name, struct slot_record *record)
{
	int64_t *member = slice_equal_string(name->raw, "log_epoch") ? &record->log_epoch
			  : slice_equal_string(name->raw, "batch")   ? &record->batches.batch
			  : slice_equal_string(name->raw, "after")   ? &record->batches.after
								     : NULL;
	struct slice number;
	if (slice_equal_string(name->raw, "topic"))
		return read_topic(json, record->topic);
	if (member == NULL)
		return json_skip(json);
	enum error error = json_read_number(json, &number);
	return error == ERROR_OK ? json_number_to_int64(number, member) : error;
}

enum error slot_record_decode(struct slice value, struct slot_record *ret_record)
{
	struct slot_record record = {-1, {-1, -1}, ""};
	struct json json;
	struct json_string name;
	bool more = false;
	json_init(&json, value);
	enum error error = json_peek(&json) == JSON_OBJECT ? json_enter(&json) : ERROR_MALFORMED;
	while (error == ERROR_OK && (error = json_next_member(&json, &name, &more)) == ERROR_OK && more)
		error = read_member(&json, &name, &record);
	if (error == ERROR_OK)
		error = json_finish(&json);
	struct publish_record *batches = &record.batches;
	if (error != ERROR_OK || record.log_epoch < 0 || batches->batch < 0)
		return ERROR_MALFORMED;
	if (batches->after < 0)
		batches->after = batches->batch > 0 ? batches->batch - 1 : 0;
	if (batches->after > batches->batch)
		return ERROR_MALFORMED;
	*ret_record = record;
	return ERROR_OK;
}

enum error slot_record_check(const struct slot_record *record, const struct slot_record *own, int32_t slot,
			     struct error_note *note)
{
	if (record->log_epoch > own->log_epoch)
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "Kafka's slot %d was written under log epoch %" PRId64 ", this pingd has log epoch %" PRId64
				   ": set --log-epoch to that of the others",
				   (int)slot, record->log_epoch, own->log_epoch);
	if (record->topic[0] == '\0' || own->topic[0] == '\0')
		return ERROR_OK;
	bool same_epoch = record->log_epoch == own->log_epoch, same_topic = strcmp(record->topic, own->topic) == 0;
	if (same_epoch == same_topic)
		return ERROR_OK;
	return same_epoch ? error_noted(note, ERROR_FAILED_PRECONDITION,
					"Kafka: raw-pings was made anew behind slot %d's batch %" PRId64
					", and --log-epoch is still %" PRId64
					": follow the procedure of log-epoch (drain, count, log-epoch + 1)",
					(int)slot, record->batches.batch, own->log_epoch)
			  : error_noted(note, ERROR_FAILED_PRECONDITION,
					"Kafka: slot %d wrote to this raw-pings under log epoch %" PRId64
					", this pingd has log epoch %" PRId64
					", which a topic that is made anew has: set --log-epoch to %" PRId64
					", or follow the procedure of log-epoch",
					(int)slot, record->log_epoch, own->log_epoch, record->log_epoch);
}
