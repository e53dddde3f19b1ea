#include "model_log.h"

#include <stdlib.h>
#include <string.h>

struct model_log {
	struct log_reader reader;
	const struct model_ledger *data;
	struct model_log_config config;
	bool assigned, sought;
	int64_t position;
	struct engine_event *events; /* max_batch */
	size_t given;		     /* of them, by the last poll */
};

static struct model_log *called(struct log_reader *reader)
{
	struct model_log *log = (struct model_log *)reader;
	memset(log->events, 0x5a, log->given * sizeof *log->events);
	log->given = 0;
	return log;
}

static void fill_batch(struct model_log *log, struct log_event *event)
{
	const struct rowset *rows = &log->data->rows;
	size_t max = log->config.max_batch;
	if (log->config.chance != NULL)
		max = 1 + random_below(log->config.chance, max);
	size_t index = rowset_lower_bound(rows, &(struct model_ledger_row){.position = log->position + 1});
	size_t count = 0;
	for (; index < rows->count && count < max; index++, count++) {
		const struct model_ledger_row *row = rowset_at(rows, index);
		log->events[count] = (struct engine_event){row->client, row->pinged_at_ms, row->position};
		event->newest_received_ms = row->received_at_ms;
		log->position = row->position;
	}
	event->kind = count > 0 ? LOG_BATCH : LOG_IDLE;
	event->events = log->events;
	event->count = log->given = count;
	event->applied_position = log->position;
	event->end_position = log->data->end_position;
}

static enum error model_poll(struct log_reader *reader, int timeout_ms, struct log_event *ret_event, struct error_note *note)
{
	(void)timeout_ms;
	(void)note;
	struct model_log *log = called(reader);
	struct log_event event = {.kind = LOG_IDLE, .end_position = log->data->end_position};
	if (!log->assigned) {
		event.kind = LOG_ASSIGNED;
		log->assigned = true;
		log->sought = false;
	} else if (log->sought) {
		fill_batch(log, &event);
	}
	*ret_event = event;
	return ERROR_OK;
}

static enum error model_seek(struct log_reader *reader, int32_t partition, int64_t position, struct error_note *note)
{
	struct model_log *log = called(reader);
	if (partition != 0 || !log->assigned)
		return error_noted(note, ERROR_INVALID_ARGUMENT, "partition %d is not assigned", (int)partition);
	if (position > log->data->end_position)
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "the store is ahead of the log: another log was used; run pingctl rebuild");
	log->position = position;
	log->sought = true;
	return ERROR_OK;
}

static enum error model_commit(struct log_reader *reader, int32_t partition, int64_t position, struct error_note *note)
{
	(void)reader;
	(void)partition;
	(void)position;
	(void)note;
	return ERROR_OK;
}

static enum error model_identity(struct log_reader *reader, uint8_t ret_identity[16], struct error_note *note)
{
	(void)note;
	memcpy(ret_identity, ((struct model_log *)reader)->data->identity, 16);
	return ERROR_OK;
}

static void model_close(struct log_reader *reader)
{
	free(((struct model_log *)reader)->events);
	free(reader);
}

static const struct log_reader_vtable vtable = {
	.poll = model_poll, .seek = model_seek, .commit = model_commit, .identity = model_identity, .close = model_close};

struct log_reader *model_log_open(const struct model_ledger *data, const struct model_log_config *config)
{
	struct model_log *log = calloc(1, sizeof *log);
	struct engine_event *events = calloc(config->max_batch, sizeof *events);
	if (log == NULL || events == NULL)
		abort();
	*log = (struct model_log){.reader.vtable = &vtable, .data = data, .config = *config, .events = events};
	return &log->reader;
}
