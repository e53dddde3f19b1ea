#include "audit/sum_stream.h"

#include <pthread.h>
#include <stdlib.h>

enum { BATCH_SIZE = 256 };

struct batch {
	struct ledger_sum sums[BATCH_SIZE];
	size_t count;
};

struct sum_stream {
	struct ledger_reader *ledger;
	int64_t up_to;
	pthread_t thread;
	struct batch filling; /* the thread's */
	struct batch reading; /* the caller's, as all up to the mutex */
	size_t read;
	struct ledger_sum last;
	bool any;

	pthread_mutex_t mutex; /* guards the following */
	pthread_cond_t changed;
	struct batch offered; /* count 0: room for the next */
	bool ended, stopped;
	enum error error;
	struct error_note note;
};

/* False: the caller wants no more. */
static bool offer(struct sum_stream *stream)
{
	pthread_mutex_lock(&stream->mutex);
	while (stream->offered.count > 0 && !stream->stopped)
		pthread_cond_wait(&stream->changed, &stream->mutex);
	bool wanted = !stream->stopped;
	if (wanted)
		stream->offered = stream->filling;
	pthread_cond_signal(&stream->changed);
	pthread_mutex_unlock(&stream->mutex);
	stream->filling.count = 0;
	return wanted;
}

static bool visit(void *context, const struct ledger_sum *sum)
{
	struct sum_stream *stream = context;
	stream->filling.sums[stream->filling.count++] = *sum;
	return stream->filling.count < BATCH_SIZE || offer(stream);
}

static void *stream_main(void *argument)
{
	struct sum_stream *stream = argument;
	struct error_note note = {""};
	enum error error = stream->ledger->vtable->sum_windows(stream->ledger, stream->up_to, visit, stream, &note);
	if (error == ERROR_OK && stream->filling.count > 0)
		offer(stream);
	pthread_mutex_lock(&stream->mutex);
	stream->ended = true;
	stream->error = error;
	stream->note = note;
	pthread_cond_signal(&stream->changed);
	pthread_mutex_unlock(&stream->mutex);
	return NULL;
}

static void stream_free(struct sum_stream *stream)
{
	pthread_cond_destroy(&stream->changed);
	pthread_mutex_destroy(&stream->mutex);
	free(stream);
}

enum error sum_stream_open(struct ledger_reader *ledger, int64_t up_to, struct sum_stream **ret_stream)
{
	struct sum_stream *stream = calloc(1, sizeof *stream);
	if (stream == NULL)
		return ERROR_NO_MEMORY;
	stream->ledger = ledger;
	stream->up_to = up_to;
	pthread_mutex_init(&stream->mutex, NULL);
	pthread_cond_init(&stream->changed, NULL);
	if (pthread_create(&stream->thread, NULL, stream_main, stream) != 0) {
		stream_free(stream);
		return ERROR_RESOURCE_EXHAUSTED;
	}
	*ret_stream = stream;
	return ERROR_OK;
}

/* END, or the ledger's error, once all that was offered is read. */
static enum error take(struct sum_stream *stream, struct error_note *note)
{
	enum error error = ERROR_OK;
	pthread_mutex_lock(&stream->mutex);
	while (stream->offered.count == 0 && !stream->ended)
		pthread_cond_wait(&stream->changed, &stream->mutex);
	if (stream->offered.count > 0) {
		stream->reading = stream->offered;
		stream->read = 0;
		stream->offered.count = 0;
		pthread_cond_signal(&stream->changed);
	} else {
		error = stream->error == ERROR_OK ? ERROR_END : error_noted(note, stream->error, "%s", stream->note.text);
	}
	pthread_mutex_unlock(&stream->mutex);
	return error;
}

static bool in_order(const struct ledger_sum *before, const struct ledger_sum *after)
{
	int order = address_compare(&before->client, &after->client);
	return order < 0 || (order == 0 && before->window_start_ms < after->window_start_ms);
}

enum error sum_stream_next(struct sum_stream *stream, struct ledger_sum *ret_sum, struct error_note *note)
{
	enum error error = stream->read < stream->reading.count ? ERROR_OK : take(stream, note);
	if (error != ERROR_OK)
		return error;
	const struct ledger_sum *sum = &stream->reading.sums[stream->read++];
	if (stream->any && !in_order(&stream->last, sum))
		return error_noted(note, ERROR_INTERNAL, "the ledger's sums are not in order");
	stream->last = *sum;
	stream->any = true;
	*ret_sum = *sum;
	return ERROR_OK;
}

void sum_stream_close(struct sum_stream *stream)
{
	if (stream == NULL)
		return;
	pthread_mutex_lock(&stream->mutex);
	stream->stopped = true;
	pthread_cond_signal(&stream->changed);
	pthread_mutex_unlock(&stream->mutex);
	pthread_join(stream->thread, NULL);
	stream_free(stream);
}
