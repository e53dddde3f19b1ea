#include "adapter/kafka/slot_record.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>

size_t slot_record_encode(const struct slot_record *record, char ret_value[SLOT_RECORD_SIZE])
{
	return (size_t)snprintf(ret_value, SLOT_RECORD_SIZE,
				"{\"log_epoch\":%" PRId64 ",\"batch\":%" PRId64 ",\"after\":%" PRId64 "}", record->log_epoch,
				record->batches.batch, record->batches.after);
}

static enum error read_member(struct json *json, struct json_string *name, struct slot_record *record)
{
	int64_t *member = slice_equal_string(name->raw, "log_epoch") ? &record->log_epoch
			  : slice_equal_string(name->raw, "batch")   ? &record->batches.batch
			  : slice_equal_string(name->raw, "after")   ? &record->batches.after
								     : NULL;
	struct slice number;
	if (member == NULL)
		return json_skip(json);
	enum error error = json_read_number(json, &number);
	return error == ERROR_OK ? json_number_to_int64(number, member) : error;
}

enum error slot_record_decode(struct slice value, struct slot_record *ret_record)
{
	struct slot_record record = {-1, {-1, -1}};
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
