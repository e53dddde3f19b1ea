#include "service/workers.h"

#include <pthread.h>
#include <stdlib.h>

enum { WORKERS_MAX_THREADS = 64, WORKERS_THREADS = 2, WORKERS_MAX_QUEUE = 1024, WORK_ATTEMPTS = 2, REOPEN_AFTER_US = 1000000 };

/* An open that failed is the answer until then. */
struct open_failure {
	enum error error;
	struct error_note note;
	int64_t until_us;
};

struct readers {
	const struct workers_config *config;
	struct ledger_reader *ledger;
	struct store_reader *store;
	struct open_failure ledger_failure, store_failure;
	const char *last_port; /* what run asked for last */
};

struct worker {
	pthread_t thread;
	struct workers *workers;
	struct readers readers;
};

struct workers {
	struct workers_config config;
	struct worker *threads;
	size_t thread_count;
	pthread_mutex_t mutex; /* guards the following */
	pthread_cond_t wake;
	struct work *first, **end;
	size_t waiting;
	bool closing;
};

static const char ledger_port[] = "ledger", store_port[] = "store";

static void observe(const struct readers *readers, enum error error, const struct error_note *note)
{
	if (readers->config->observe != NULL)
		readers->config->observe(readers->config->context, readers->last_port, error, note);
}

static bool still_failed(const struct readers *readers, const struct open_failure *failure, struct error_note *note)
{
	if (failure->error == ERROR_OK || clock_monotonic_us(readers->config->clock) >= failure->until_us)
		return false;
	if (note != NULL)
		*note = failure->note;
	return true;
}

static enum error settle_open(struct readers *readers, struct open_failure *failure, enum error error, struct error_note *note)
{
	/* What isn't there yet is for whoever makes it, and not what the query asked for. */
	if (error == ERROR_NOT_FOUND)
		error = ERROR_UNAVAILABLE;
	failure->error = error;
	failure->until_us = clock_monotonic_us(readers->config->clock) + REOPEN_AFTER_US;
	if (note != NULL)
		*note = failure->note;
	observe(readers, error, &failure->note);
	return error;
}

enum error readers_ledger(struct readers *readers, struct ledger_reader **ret_reader, struct error_note *note)
{
	struct open_failure *failure = &readers->ledger_failure;
	readers->last_port = ledger_port;
	if (readers->ledger == NULL) {
		if (still_failed(readers, failure, note))
			return failure->error;
		failure->note.text[0] = '\0';
		enum error error = readers->config->open_ledger(readers->config->context, &readers->ledger, &failure->note);
		error = settle_open(readers, failure, error, note);
		if (error != ERROR_OK)
			return error;
	}
	*ret_reader = readers->ledger;
	return ERROR_OK;
}

enum error readers_store(struct readers *readers, struct store_reader **ret_reader, struct error_note *note)
{
	struct open_failure *failure = &readers->store_failure;
	if (readers->config->open_store == NULL)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"this server has no metrics: it only keeps and counts pings; configure a store (--store) for them");
	readers->last_port = store_port;
	if (readers->store == NULL) {
		if (still_failed(readers, failure, note))
			return failure->error;
		failure->note.text[0] = '\0';
		enum error error = readers->config->open_store(readers->config->context, &readers->store, &failure->note);
		error = settle_open(readers, failure, error, note);
		if (error != ERROR_OK)
			return error;
	}
	*ret_reader = readers->store;
	return ERROR_OK;
}

static void close_ledger(struct readers *readers)
{
	if (readers->ledger != NULL)
		readers->ledger->vtable->close(readers->ledger);
	readers->ledger = NULL;
}

static void close_store(struct readers *readers)
{
	if (readers->store != NULL)
		readers->store->vtable->close(readers->store);
	readers->store = NULL;
}

void readers_failed(struct readers *readers, enum error error, const struct error_note *note)
{
	/* An open that failed was told already. */
	if (readers->last_port == ledger_port && readers->ledger != NULL) {
		observe(readers, error, note);
		close_ledger(readers);
	} else if (readers->last_port == store_port && readers->store != NULL) {
		observe(readers, error, note);
		close_store(readers);
	}
}

static void carry_out(struct readers *readers, struct work *work)
{
	struct error_note note = {""};
	enum error error = ERROR_CANCELED;
	for (int attempt = 0; attempt < WORK_ATTEMPTS && !work->canceled(work); attempt++) {
		error = work->run(work, readers, &note);
		if (error != ERROR_UNAVAILABLE && error != ERROR_IO)
			break;
		readers_failed(readers, error, &note);
	}
	work->done(work, error, &note);
}

/* NULL: closing, and nothing waits. */
static struct work *next_work(struct workers *workers)
{
	pthread_mutex_lock(&workers->mutex);
	while (workers->first == NULL && !workers->closing)
		pthread_cond_wait(&workers->wake, &workers->mutex);
	struct work *work = workers->first;
	if (work != NULL) {
		workers->first = work->next;
		if (workers->first == NULL)
			workers->end = &workers->first;
		workers->waiting--;
	}
	pthread_mutex_unlock(&workers->mutex);
	return work;
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;
	struct work *work;
	while ((work = next_work(worker->workers)) != NULL)
		carry_out(&worker->readers, work);
	close_ledger(&worker->readers);
	close_store(&worker->readers);
	return NULL;
}

enum error workers_submit(struct workers *workers, struct work *work)
{
	enum error error = ERROR_OK;
	pthread_mutex_lock(&workers->mutex);
	if (workers->closing) {
		error = ERROR_SHUTTING_DOWN;
	} else if (workers->waiting >= workers->config.max_queue) {
		error = ERROR_QUEUE_FULL;
	} else {
		work->next = NULL;
		*workers->end = work;
		workers->end = &work->next;
		workers->waiting++;
		pthread_cond_signal(&workers->wake);
	}
	pthread_mutex_unlock(&workers->mutex);
	return error;
}

static enum error start_threads(struct workers *workers)
{
	for (size_t i = 0; i < workers->config.threads; i++) {
		struct worker *worker = &workers->threads[i];
		*worker = (struct worker){.workers = workers, .readers.config = &workers->config};
		if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
			return ERROR_RESOURCE_EXHAUSTED;
		workers->thread_count++;
	}
	return ERROR_OK;
}

static void workers_free(struct workers *workers)
{
	free(workers->threads);
	free(workers);
}

enum error workers_create(const struct workers_config *config, struct workers **ret_workers)
{
	if (config->threads > WORKERS_MAX_THREADS)
		return ERROR_INVALID_ARGUMENT;
	struct workers *workers = calloc(1, sizeof *workers);
	if (workers == NULL)
		return ERROR_NO_MEMORY;
	workers->config = *config;
	if (workers->config.threads == 0)
		workers->config.threads = WORKERS_THREADS;
	if (workers->config.max_queue == 0)
		workers->config.max_queue = WORKERS_MAX_QUEUE;
	workers->end = &workers->first;
	workers->threads = calloc(workers->config.threads, sizeof *workers->threads);
	if (workers->threads == NULL || pthread_mutex_init(&workers->mutex, NULL) != 0) {
		workers_free(workers);
		return ERROR_NO_MEMORY;
	}
	if (pthread_cond_init(&workers->wake, NULL) != 0) {
		pthread_mutex_destroy(&workers->mutex);
		workers_free(workers);
		return ERROR_NO_MEMORY;
	}
	enum error error = start_threads(workers);
	if (error == ERROR_OK)
		*ret_workers = workers;
	else
		workers_destroy(workers);
	return error;
}

void workers_destroy(struct workers *workers)
{
	if (workers == NULL)
		return;
	pthread_mutex_lock(&workers->mutex);
	workers->closing = true;
	pthread_cond_broadcast(&workers->wake);
	pthread_mutex_unlock(&workers->mutex);
	for (size_t i = 0; i < workers->thread_count; i++)
		pthread_join(workers->threads[i].thread, NULL);
	pthread_cond_destroy(&workers->wake);
	pthread_mutex_destroy(&workers->mutex);
	workers_free(workers);
}
