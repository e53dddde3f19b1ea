#include "unit/stream/fake_log.h"

#include <assert.h>
#include <stdlib.h>

void fake_log_init(struct fake_log *log)
{
	*log = (struct fake_log){.identity = "the first log"};
	for (int i = 0; i < FAKE_LOG_PARTITIONS; i++)
		log->partitions[i] = (struct fake_log_partition){.next_position = 1, .start_position = POSITION_NONE};
}

void fake_log_release(struct fake_log *log)
{
	for (int i = 0; i < FAKE_LOG_PARTITIONS; i++) {
		free(log->partitions[i].events);
		free(log->partitions[i].received_ms);
	}
	*log = (struct fake_log){0};
}

int64_t fake_log_append(struct fake_log *log, int32_t partition, const struct address *client, int64_t pinged_at_ms,
			int64_t received_ms)
{
	struct fake_log_partition *p = &log->partitions[partition];
	if (p->count == p->capacity) {
		p->capacity = p->capacity == 0 ? 64 : p->capacity * 2;
		p->events = realloc(p->events, p->capacity * sizeof *p->events);
		p->received_ms = realloc(p->received_ms, p->capacity * sizeof *p->received_ms);
		assert(p->events != NULL && p->received_ms != NULL);
	}
	p->events[p->count] = (struct engine_event){*client, pinged_at_ms, p->next_position++};
	p->received_ms[p->count] = received_ms;
	return p->events[p->count++].position;
}

void fake_log_append_marker(struct fake_log *log, int32_t partition)
{
	log->partitions[partition].next_position++;
}

int64_t fake_log_end(const struct fake_log *log, int32_t partition)
{
	return log->partitions[partition].next_position - 1;
}

void fake_log_trim(struct fake_log *log, int32_t partition, int64_t position)
{
	log->partitions[partition].start_position = position;
}

static enum error fault(struct fake_reader *fake, enum fake_log_call call, struct error_note *note)
{
	enum error error = fake->fault == NULL ? ERROR_OK : fake->fault(fake->context, call);
	return error == ERROR_OK ? error : error_noted(note, error, "the log says %s", error_name(error));
}

static void forget_batch(struct fake_reader *fake)
{
	if (fake->batch != NULL)
		memset(fake->batch, 0xa5, fake->batch_count * sizeof *fake->batch);
	free(fake->batch);
	fake->batch = NULL;
}

static bool next_batch(struct fake_reader *fake, int32_t number, struct log_event *ret_event)
{
	const struct fake_log_partition *p = &fake->log->partitions[number];
	size_t max = fake->max_batch == 0 ? 100 : fake->max_batch, next = fake->partitions[number].next;
	size_t count = p->count - next < max ? p->count - next : max;
	int64_t end = fake_log_end(fake->log, number);
	int64_t applied = next + count == p->count ? end : p->events[next + count - 1].position;
	if (!fake->partitions[number].sought || applied <= fake->partitions[number].told_position)
		return false;
	if (count > 0) {
		fake->batch = malloc(count * sizeof *fake->batch);
		assert(fake->batch != NULL);
		memcpy(fake->batch, &p->events[next], count * sizeof *fake->batch);
		fake->batch_count = count;
	}
	fake->partitions[number].next += count;
	fake->partitions[number].told_position = applied;
	*ret_event = (struct log_event){
		LOG_BATCH, number, fake->batch, count, applied, end, count > 0 ? p->received_ms[next + count - 1] : 0};
	return true;
}

/* What it would read next is deleted. */
static bool is_cut_off(const struct fake_reader *fake, int32_t number)
{
	const struct fake_log_partition *p = &fake->log->partitions[number];
	size_t next = fake->partitions[number].next;
	return fake->partitions[number].sought && next < p->count && p->events[next].position <= p->start_position;
}

static enum error poll(struct log_reader *reader, int timeout_ms, struct log_event *ret_event, struct error_note *note)
{
	struct fake_reader *fake = (struct fake_reader *)reader;
	forget_batch(fake);
	fake->last_timeout_ms = timeout_ms;
	enum error error = fault(fake, FAKE_POLL, note);
	if (error != ERROR_OK)
		return error;
	if (fake->queued > 0) {
		*ret_event = fake->queue[0];
		memmove(fake->queue, fake->queue + 1, --fake->queued * sizeof *fake->queue);
		return ERROR_OK;
	}
	for (int i = 0; i < FAKE_LOG_PARTITIONS; i++) {
		fake->turn = (fake->turn + 1) % FAKE_LOG_PARTITIONS;
		if (is_cut_off(fake, fake->turn))
			return error_noted(note, ERROR_DATA_LOSS, "events were removed before they were read; rebuild");
		if (next_batch(fake, fake->turn, ret_event))
			return ERROR_OK;
	}
	*ret_event = (struct log_event){.kind = LOG_IDLE};
	return ERROR_OK;
}

static enum error seek(struct log_reader *reader, int32_t partition, int64_t position, struct error_note *note)
{
	struct fake_reader *fake = (struct fake_reader *)reader;
	forget_batch(fake);
	enum error error = fault(fake, FAKE_SEEK, note);
	if (error != ERROR_OK)
		return error;
	const struct fake_log_partition *p = &fake->log->partitions[partition];
	if (position < p->start_position)
		return error_noted(note, ERROR_DATA_LOSS, "the log begins behind the store's position; rebuild");
	size_t next = 0;
	while (next < p->count && p->events[next].position <= position)
		next++;
	fake->partitions[partition].next = next;
	fake->partitions[partition].sought = true;
	fake->partitions[partition].told_position = position;
	return ERROR_OK;
}

static enum error start(struct log_reader *reader, int32_t partition, int64_t *ret_position, struct error_note *note)
{
	(void)note;
	*ret_position = ((struct fake_reader *)reader)->log->partitions[partition].start_position;
	return ERROR_OK;
}

static enum error end(struct log_reader *reader, int32_t partition, int64_t *ret_position, struct error_note *note)
{
	(void)note;
	*ret_position = fake_log_end(((struct fake_reader *)reader)->log, partition);
	return ERROR_OK;
}

static enum error commit(struct log_reader *reader, int32_t partition, int64_t position, struct error_note *note)
{
	struct fake_reader *fake = (struct fake_reader *)reader;
	forget_batch(fake);
	enum error error = fault(fake, FAKE_COMMIT, note);
	if (error == ERROR_OK)
		fake->committed[partition] = position;
	return error;
}

static enum error identity(struct log_reader *reader, uint8_t ret_identity[16], struct error_note *note)
{
	struct fake_reader *fake = (struct fake_reader *)reader;
	forget_batch(fake);
	enum error error = fault(fake, FAKE_IDENTITY, note);
	if (error == ERROR_OK)
		memcpy(ret_identity, fake->log->identity, 16);
	return error;
}

static void leave(struct log_reader *reader)
{
	struct fake_reader *fake = (struct fake_reader *)reader;
	forget_batch(fake);
	fake->queued = 0;
	fake->leaves++;
	for (int i = 0; i < FAKE_LOG_PARTITIONS; i++)
		fake->partitions[i].assigned = fake->partitions[i].sought = false;
}

static void close_reader(struct log_reader *reader)
{
	fake_reader_release((struct fake_reader *)reader);
}

void fake_reader_init(struct fake_reader *reader, struct fake_log *log)
{
	static const struct log_reader_vtable vtable = {poll, seek, commit, identity, close_reader, start, leave, end};
	*reader = (struct fake_reader){.reader.vtable = &vtable, .log = log};
	for (int i = 0; i < FAKE_LOG_PARTITIONS; i++)
		reader->committed[i] = POSITION_NONE;
}

void fake_reader_release(struct fake_reader *reader)
{
	forget_batch(reader);
}

static void enqueue(struct fake_reader *reader, enum log_event_kind kind, int32_t partition)
{
	assert(reader->queued < FAKE_LOG_QUEUE);
	reader->queue[reader->queued++] = (struct log_event){.kind = kind, .partition = partition};
	reader->partitions[partition].assigned = kind == LOG_ASSIGNED;
	reader->partitions[partition].sought = false;
}

void fake_reader_assign(struct fake_reader *reader, int32_t partition)
{
	enqueue(reader, LOG_ASSIGNED, partition);
}

void fake_reader_revoke(struct fake_reader *reader, int32_t partition)
{
	enqueue(reader, LOG_REVOKED, partition);
}

void fake_reader_lose(struct fake_reader *reader, int32_t partition)
{
	enqueue(reader, LOG_LOST, partition);
}
