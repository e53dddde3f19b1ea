#include "ingest/ingest.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/timestamp.h"
#include "ingest/wait.h"

enum {
	MAX_QUEUE_DEFAULT = 65536,
	MAX_BATCH_DEFAULT = 4096,
	PRUNE_MAX = 1000, /* keys a step */
	/* A batch of so many has paid for its transaction: what that costs whatever is in it, some milliseconds of CPU in pingd,
	 * ledger and log together, is no more than what its pings cost. */
	PAYING_BATCH = 256,
	/* Clients that were just answered ask again within it. */
	PATIENCE_ALONE_US = 2000,
	/* A few transactions: they mostly end before, and who ends one goes on with what was gathered meanwhile. */
	PATIENCE_BESIDE_US = 20000,
	USUAL_FADES = 64, /* a batch takes one part in so many from what is usual */
};
#define RETENTION_LEAST_MS INT64_C(86400000)
#define PRUNE_INTERVAL_US  INT64_C(60000000)

struct queue {
	struct ingest_ping *first, **last; /* last: where the next one is hung */
};

struct ingest {
	struct ledger *ledger;
	struct clock *clock;
	size_t max_queue, max_batch;

	pthread_mutex_t mutex; /* guards the following */
	pthread_cond_t wake;   /* a publisher that is ready */
	pthread_cond_t refuse; /* one that is not, when none is */
	struct queue submitted;
	unsigned ready, sleeping; /* publishers */
	bool closed;
	size_t out;    /* of those in stats.depth: taken */
	size_t usual;  /* how many were inside at once when batches were taken: the most, fading */
	size_t enough; /* for a batch, so that nobody waits for more */
	struct ingest_stats stats;

	pthread_mutex_t taking; /* guards the following; locked before the other */
	struct queue taken;	/* moved here from `submitted` in one go, so that loops never wait for a walk along the list */

	/* The simple path's own. */
	struct random *random;
	struct uuid_generator ids;
	struct ledger_ping *batch; /* max_batch of them */
	struct {
		int64_t retention_ms;
		int64_t start_wall_ms, start_us;
		int64_t due_us; /* of the next round */
	} keys;
};

static void queue_clear(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void queue_push(struct queue *queue, struct ingest_ping *ping)
{
	ping->next = NULL;
	*queue->last = ping;
	queue->last = &ping->next;
}

static struct ingest_ping *queue_pop(struct queue *queue)
{
	struct ingest_ping *ping = queue->first;
	queue->first = ping->next;
	if (queue->first == NULL)
		queue->last = &queue->first;
	return ping;
}

static void queue_move(struct queue *from, struct queue *to)
{
	if (from->first == NULL)
		return;
	*to->last = from->first;
	to->last = from->last;
	queue_clear(from);
}

static bool init_threading(struct ingest *ingest)
{
	return wait_init(&ingest->wake) && wait_init(&ingest->refuse) && pthread_mutex_init(&ingest->mutex, NULL) == 0 &&
	       pthread_mutex_init(&ingest->taking, NULL) == 0;
}

enum error ingest_create(const struct ingest_config *config, struct clock *clock, struct ingest **ret_ingest)
{
	struct ingest *ingest = calloc(1, sizeof *ingest);
	if (ingest == NULL)
		return ERROR_NO_MEMORY;
	ingest->clock = clock;
	ingest->max_queue = config->max_queue != 0 ? config->max_queue : MAX_QUEUE_DEFAULT;
	ingest->max_batch = config->max_batch != 0 ? config->max_batch : MAX_BATCH_DEFAULT;
	if (!init_threading(ingest)) {
		free(ingest);
		return ERROR_NO_MEMORY;
	}
	queue_clear(&ingest->submitted);
	queue_clear(&ingest->taken);
	*ret_ingest = ingest;
	return ERROR_OK;
}

enum error ingest_create_waiting(const struct ingest_config *config, struct ledger *ledger, struct clock *clock,
				 struct random *random, struct ingest **ret_ingest)
{
	struct ingest *ingest;
	enum error error = ingest_create(config, clock, &ingest);
	if (error != ERROR_OK)
		return error;
	ingest->ledger = ledger;
	ingest->random = random;
	ingest->batch = calloc(ingest->max_batch, sizeof *ingest->batch);
	if (ingest->batch == NULL) {
		ingest_destroy(ingest);
		return ERROR_NO_MEMORY;
	}
	int64_t retention_ms = config->idempotency_retention_ms;
	ingest->keys.retention_ms = retention_ms > RETENTION_LEAST_MS ? retention_ms : RETENTION_LEAST_MS;
	ingest->keys.start_wall_ms = clock_wall_ms(clock);
	ingest->keys.start_us = clock_monotonic_us(clock);
	ingest->keys.due_us = ingest->keys.start_us + PRUNE_INTERVAL_US;
	*ret_ingest = ingest;
	return ERROR_OK;
}

enum error ingest_begin(struct ingest *ingest, struct error_note *note)
{
	struct uuid last;
	enum error error = ingest->ledger->vtable->last_id(ingest->ledger, &last, note);
	if (error != ERROR_OK)
		return error;
	uuid_generator_init(&ingest->ids, ingest->random, &last);
	ingest_set_ready(ingest, true);
	return ERROR_OK;
}

enum error ingest_create_simple(const struct ingest_config *config, struct ledger *ledger, struct clock *clock,
				struct random *random, struct ingest **ret_ingest, struct error_note *note)
{
	struct ingest *ingest;
	enum error error = ingest_create_waiting(config, ledger, clock, random, &ingest);
	if (error != ERROR_OK)
		return error;
	error = ingest_begin(ingest, note);
	if (error != ERROR_OK) {
		ingest_destroy(ingest);
		return error;
	}
	*ret_ingest = ingest;
	return ERROR_OK;
}

void ingest_destroy(struct ingest *ingest)
{
	if (ingest == NULL)
		return;
	pthread_mutex_destroy(&ingest->taking);
	pthread_mutex_destroy(&ingest->mutex);
	pthread_cond_destroy(&ingest->refuse);
	pthread_cond_destroy(&ingest->wake);
	free(ingest->batch);
	free(ingest);
}

static size_t waiting(const struct ingest *ingest)
{
	return ingest->stats.depth - ingest->out;
}

static bool gathers(const struct ingest *ingest)
{
	return !ingest->closed && waiting(ingest) > 0 && waiting(ingest) < ingest->enough;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* An equal part for each publisher, and not less than pays. An eighth may be late: nobody waits for the last. */
static void reckon_enough(struct ingest *ingest)
{
	size_t expected = ingest->usual - ingest->usual / 8;
	size_t part = ingest->ready > 1 ? expected / ingest->ready : expected;
	size_t paying = smaller(expected, PAYING_BATCH);
	ingest->enough = smaller(part > paying ? part : paying, ingest->max_batch);
}

static void count_out(struct ingest *ingest, size_t count)
{
	ingest->out += count;
	if (count == 0)
		return;
	ingest->usual -= (ingest->usual + USUAL_FADES - 1) / USUAL_FADES;
	if (ingest->usual < ingest->stats.depth)
		ingest->usual = ingest->stats.depth;
	reckon_enough(ingest);
}

enum error ingest_submit(struct ingest *ingest, struct ingest_ping *ping)
{
	/* What a ledger could refuse must not get into a batch, where it would fail its neighbours. */
	const struct ledger_ping *content = &ping->ping;
	if (content->key.size > LEDGER_KEY_MAX || content->pinged_at_ms < 1 || content->pinged_at_ms > TIMESTAMP_MAX_MS)
		return ERROR_INVALID_ARGUMENT;
	enum error error = ERROR_OK;
	bool wake = false, refuse = false;
	pthread_mutex_lock(&ingest->mutex);
	if (ingest->closed) {
		error = ERROR_SHUTTING_DOWN;
	} else if (ingest->stats.depth >= ingest->max_queue) {
		ingest->stats.rejected++;
		error = ERROR_QUEUE_FULL;
	} else {
		queue_push(&ingest->submitted, ping);
		ingest->stats.depth++;
		refuse = ingest->ready == 0;
		/* The first, so that somebody begins to gather, and those that come when there are enough. */
		wake = !refuse && ingest->sleeping > 0 && (waiting(ingest) == 1 || !gathers(ingest));
	}
	pthread_mutex_unlock(&ingest->mutex);
	if (wake)
		pthread_cond_signal(&ingest->wake);
	if (refuse)
		pthread_cond_broadcast(&ingest->refuse);
	return error;
}

size_t ingest_take(struct ingest *ingest, size_t max, struct ingest_ping **ret_first)
{
	struct queue batch;
	queue_clear(&batch);
	size_t count = 0;
	pthread_mutex_lock(&ingest->taking);
	if (ingest->taken.first == NULL) {
		pthread_mutex_lock(&ingest->mutex);
		queue_move(&ingest->submitted, &ingest->taken);
		pthread_mutex_unlock(&ingest->mutex);
	}
	for (; count < max && ingest->taken.first != NULL; count++)
		queue_push(&batch, queue_pop(&ingest->taken));
	pthread_mutex_lock(&ingest->mutex);
	count_out(ingest, count);
	pthread_mutex_unlock(&ingest->mutex);
	pthread_mutex_unlock(&ingest->taking);
	*ret_first = batch.first;
	return count;
}

void ingest_count(struct ingest *ingest, const struct ingest_outcome *outcome)
{
	pthread_mutex_lock(&ingest->mutex);
	struct ingest_stats *stats = &ingest->stats;
	stats->accepted += outcome->accepted;
	stats->duplicates += outcome->duplicates;
	stats->failed += outcome->failed;
	stats->batches += outcome->batches;
	stats->failed_batches += outcome->failed_batches;
	size_t done = outcome->accepted + outcome->duplicates + outcome->failed;
	stats->depth -= done;
	ingest->out -= done;
	pthread_mutex_unlock(&ingest->mutex);
}

void ingest_set_ready(struct ingest *ingest, bool ready)
{
	pthread_mutex_lock(&ingest->mutex);
	if (ready)
		ingest->ready++;
	else
		ingest->ready--;
	reckon_enough(ingest);
	pthread_mutex_unlock(&ingest->mutex);
}

/* All that wait, if nobody is ready: in one step, so that none is taken behind the back of one who just became so. */
static size_t take_strays(struct ingest *ingest, struct queue *strays)
{
	queue_clear(strays);
	pthread_mutex_lock(&ingest->taking);
	pthread_mutex_lock(&ingest->mutex);
	size_t count = ingest->ready == 0 ? waiting(ingest) : 0;
	if (count > 0) {
		queue_move(&ingest->taken, strays);
		queue_move(&ingest->submitted, strays);
	}
	ingest->out += count;
	pthread_mutex_unlock(&ingest->mutex);
	pthread_mutex_unlock(&ingest->taking);
	return count;
}

size_t ingest_refuse(struct ingest *ingest, enum error error, const struct error_note *note)
{
	struct queue strays;
	size_t count = take_strays(ingest, &strays);
	if (count == 0)
		return 0;
	ingest_count(ingest, &(struct ingest_outcome){.failed = count});
	for (struct ingest_ping *ping = strays.first, *next; ping != NULL; ping = next) {
		next = ping->next;
		ping->done(ping, error, note);
	}
	return count;
}

/* Numbers the pings and lays them side by side for the ledger. */
static size_t take_batch(struct ingest *ingest, struct ingest_ping **ret_first)
{
	size_t count = ingest_take(ingest, ingest->max_batch, ret_first);
	int64_t now_ms = clock_wall_ms(ingest->clock);
	struct ledger_ping *row = ingest->batch;
	for (struct ingest_ping *ping = *ret_first; ping != NULL; ping = ping->next) {
		ping->ping.id = uuid_generate(&ingest->ids, now_ms);
		*row++ = ping->ping;
	}
	return count;
}

static void count_batch(struct ingest *ingest, size_t count, enum error error)
{
	struct ingest_outcome outcome = {.batches = 1, .failed_batches = error != ERROR_OK};
	for (size_t i = 0; error == ERROR_OK && i < count; i++) {
		const struct ledger_ping *ping = &ingest->batch[i];
		outcome.accepted += ping->result == ERROR_OK && !ping->duplicate;
		outcome.duplicates += ping->result == ERROR_KEY_REUSED || (ping->result == ERROR_OK && ping->duplicate);
	}
	outcome.failed = count - outcome.accepted - outcome.duplicates;
	ingest_count(ingest, &outcome);
}

static void carry_out(struct ingest *ingest, struct ingest_ping *first, size_t count)
{
	struct error_note note = {0};
	enum error error = ingest->ledger->vtable->append(ingest->ledger, ingest->batch, count, &note);
	count_batch(ingest, count, error);
	for (size_t i = 0; i < count; i++) {
		struct ingest_ping *ping = first;
		first = first->next;
		ping->ping = ingest->batch[i];
		/* From here on it may be gone. */
		if (error == ERROR_OK)
			ping->done(ping, ping->ping.result, NULL);
		else
			ping->done(ping, error, &note);
	}
}

/* A round of pruning begins at most once a minute and goes on with each step until nothing old is left. A step forgets more than
 * the batch beside it can have added, so keys can't pile up. */
static void prune_keys(struct ingest *ingest, size_t batch_count)
{
	int64_t now_us = clock_monotonic_us(ingest->clock);
	if (now_us < ingest->keys.due_us)
		return;
	/* A clock that is set forward must not make keys old: time passes as the monotonic clock says. */
	int64_t now_ms = ingest->keys.start_wall_ms + (now_us - ingest->keys.start_us) / 1000;
	int64_t wall_ms = clock_wall_ms(ingest->clock);
	int64_t before_ms = (wall_ms < now_ms ? wall_ms : now_ms) - ingest->keys.retention_ms;
	size_t max = PRUNE_MAX + batch_count, removed = 0;
	enum error error = ingest->ledger->vtable->prune_keys(ingest->ledger, before_ms, max, &removed, NULL);
	/* A failure costs room alone; the next round makes up for it. */
	if (error != ERROR_OK || removed < max)
		ingest->keys.due_us = now_us + PRUNE_INTERVAL_US;
}

bool ingest_step(struct ingest *ingest)
{
	struct ingest_ping *first;
	size_t count = take_batch(ingest, &first);
	if (count > 0)
		carry_out(ingest, first, count);
	prune_keys(ingest, count);
	return count > 0;
}

static bool anything_taken(struct ingest *ingest)
{
	pthread_mutex_lock(&ingest->taking);
	bool any = ingest->taken.first != NULL;
	pthread_mutex_unlock(&ingest->taking);
	return any;
}

void ingest_wait(struct ingest *ingest, int timeout_ms)
{
	if (anything_taken(ingest))
		return;
	struct timespec deadline = wait_deadline(timeout_ms);
	int result = 0;
	pthread_mutex_lock(&ingest->mutex);
	ingest->sleeping++;
	while (result == 0 && ingest->submitted.first == NULL && !ingest->closed)
		result = pthread_cond_timedwait(&ingest->wake, &ingest->mutex, &deadline);
	ingest->sleeping--;
	pthread_mutex_unlock(&ingest->mutex);
}

int64_t ingest_patience_us(struct ingest *ingest)
{
	pthread_mutex_lock(&ingest->mutex);
	int64_t patience_us = ingest->out > 0 ? PATIENCE_BESIDE_US : PATIENCE_ALONE_US;
	if (!gathers(ingest))
		patience_us = 0;
	pthread_mutex_unlock(&ingest->mutex);
	return patience_us;
}

void ingest_wait_gathered(struct ingest *ingest, int timeout_ms)
{
	struct timespec deadline = wait_deadline(timeout_ms);
	int result = 0;
	pthread_mutex_lock(&ingest->mutex);
	ingest->sleeping++;
	while (result == 0 && gathers(ingest))
		result = pthread_cond_timedwait(&ingest->wake, &ingest->mutex, &deadline);
	ingest->sleeping--;
	pthread_mutex_unlock(&ingest->mutex);
}

/* Something waits, and nobody will carry it out. */
static bool has_strays(const struct ingest *ingest)
{
	return ingest->ready == 0 && ingest->submitted.first != NULL;
}

void ingest_wait_unready(struct ingest *ingest, bool for_pings, int timeout_ms)
{
	struct timespec deadline = wait_deadline(timeout_ms);
	int result = 0;
	pthread_mutex_lock(&ingest->mutex);
	while (result == 0 && !ingest->closed && !(for_pings && has_strays(ingest)))
		result = pthread_cond_timedwait(&ingest->refuse, &ingest->mutex, &deadline);
	pthread_mutex_unlock(&ingest->mutex);
}

void ingest_close(struct ingest *ingest)
{
	pthread_mutex_lock(&ingest->mutex);
	ingest->closed = true;
	pthread_mutex_unlock(&ingest->mutex);
	pthread_cond_broadcast(&ingest->wake);
	pthread_cond_broadcast(&ingest->refuse);
}

bool ingest_closed(struct ingest *ingest)
{
	pthread_mutex_lock(&ingest->mutex);
	bool closed = ingest->closed;
	pthread_mutex_unlock(&ingest->mutex);
	return closed;
}

struct ingest_stats ingest_stats(struct ingest *ingest)
{
	pthread_mutex_lock(&ingest->mutex);
	struct ingest_stats stats = ingest->stats;
	pthread_mutex_unlock(&ingest->mutex);
	return stats;
}
