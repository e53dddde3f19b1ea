#include "app/publishers.h"

#include "app/preparation.h"
#include "app/publishers_health.h"
#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	WAIT_MS = 1000,
	START_PATIENCE_MS = 2000, /* how long the start waits for servers, so that what is configured wrongly ends it */
};

enum { LEDGER, LOG, PREPARATIONS };

/* One of the two systems, until it is there and as it should be. */
struct system {
	struct publishers *publishers;
	enum publishers_part part;
	enum error (*prepare)(struct backend *backend, struct error_note *note);
};

struct member {
	struct publishers *publishers;
	size_t number;
	enum publishers_role role;
	struct slot_ledger *ledger;
	struct publish_log *log;
	struct publisher *publisher;
	pthread_t thread;
	bool runs;
	atomic_ullong retries;
	/* Its thread's own. */
	bool failed;			/* an attempt, in this step … */
	enum publisher_state failed_in; /* … in this state */
	int64_t troubled_since_us;	/* 0: it is well */
};

struct publishers {
	struct publishers_health *health;
	struct publishers_observer observer;
	struct backend *backend;
	struct ingest *ingest;
	struct system systems[PREPARATIONS];
	struct preparation *preparations[PREPARATIONS];
	bool outbox;
	size_t count; /* of members: those who take pings, a carrier for each (outbox), a rescuer (but under ordered) */
	struct member members[];
};

static void note_status(struct member *member)
{
	struct publisher_status status = publisher_status(member->publisher);
	publishers_health_note(member->publishers->health, member->number, &status, member->failed ? &member->failed_in : NULL);
	member->failed = false;
	bool well = status.ready || (member->role != PUBLISHERS_TAKER && status.error == ERROR_OK);
	if (!well || member->troubled_since_us == 0)
		return;
	int64_t took_us = clock_monotonic_us(clock_system()) - member->troubled_since_us;
	member->troubled_since_us = 0;
	log_limited(LOG_INFO, "a publisher is well again", log_int("publisher", (int64_t)member->number),
		    log_text("role", publishers_role_text(member->role)), log_int("slot", status.slot),
		    log_int("after_s", (took_us + 500000) / 1000000));
}

static void note_trouble(struct member *member, enum publisher_state state)
{
	atomic_fetch_add(&member->retries, 1);
	member->failed = true;
	member->failed_in = state;
	if (member->troubled_since_us == 0)
		member->troubled_since_us = clock_monotonic_us(clock_system());
}

#ifdef PING_TEST_HOOKS
/* PING_CRASH_AT=committing:3 ends this process as a power cut would, when a publisher enters that state for the third time. */
static void crash_where_a_test_says(enum publisher_state state)
{
	static atomic_long entered;
	const char *where = getenv("PING_CRASH_AT"), *name = publisher_state_text(state);
	size_t length = strlen(name);
	if (where != NULL && strncmp(where, name, length) == 0 && where[length] == ':' &&
	    atomic_fetch_add(&entered, 1) + 1 == strtol(where + length + 1, NULL, 10))
		kill(getpid(), SIGKILL);
}
#else
static void crash_where_a_test_says(enum publisher_state state)
{
	(void)state;
}
#endif

static void tell(void *context, enum publisher_news news, const struct publisher_status *status, enum error error,
		 const char *text)
{
	static const struct {
		enum log_level level;
		const char *message;
	} lines[] = {
		[PUBLISHER_CHANGED] = {LOG_DEBUG, "publisher"},
		[PUBLISHER_TAKEN] = {LOG_INFO, "a publisher took a slot"},
		[PUBLISHER_FENCED] = {LOG_WARN, "another owner took a publisher's slot"},
		[PUBLISHER_TROUBLE] = {LOG_WARN, "a publisher is in trouble and tries again"},
		[PUBLISHER_FAILED] = {LOG_ERROR, "a batch failed; its pings were told"},
		[PUBLISHER_UNKNOWN] = {LOG_ERROR, "a batch's outcome is not known; its pings were told"},
		[PUBLISHER_RECOVERED] = {LOG_INFO, "batches that were left unfinished are published"},
		[PUBLISHER_LEDGER_LOST] = {LOG_ERROR, "the ledger lacks batches that the log has: see the audit"},
	};
	struct member *member = context;
	if (news == PUBLISHER_TROUBLE)
		note_trouble(member, status->state);
	if (news == PUBLISHER_CHANGED) {
		crash_where_a_test_says(status->state);
		log_event(LOG_DEBUG, lines[news].message, log_int("publisher", (int64_t)member->number),
			  log_int("slot", status->slot), log_text("state", publisher_state_text(status->state)));
		return;
	}
	log_limited(lines[news].level, lines[news].message, log_int("publisher", (int64_t)member->number),
		    log_text("role", publishers_role_text(member->role)), log_int("slot", status->slot),
		    log_text("state", publisher_state_text(status->state)), log_error(error), log_text("detail", text));
}

static void *member_main(void *context)
{
	struct member *member = context;
	struct publishers *publishers = member->publishers;
	char name[32]; /* for who looks at threads: at most 15 characters of it count */
	snprintf(name, sizeof name, "%.10s-%zu", publishers_role_text(member->role), member->number);
	pthread_setname_np(pthread_self(), name);
	bool ledger_alone = publishers->outbox && member->role == PUBLISHERS_TAKER;
	if (!preparation_await(publishers->preparations, ledger_alone ? LEDGER + 1 : PREPARATIONS, publishers->ingest))
		return NULL;
	while (!publisher_ended(member->publisher)) {
		bool stepped = publisher_step(member->publisher);
		note_status(member);
		if (!stepped)
			publisher_wait(member->publisher, WAIT_MS);
	}
	return NULL;
}

static enum publisher_mode mode_of(const struct pingd_config *config)
{
	static const enum publisher_mode modes[] = {[PINGD_PUBLISH_TRANSACTIONAL] = PUBLISHER_TRANSACTIONAL,
						    [PINGD_PUBLISH_ORDERED] = PUBLISHER_ORDERED,
						    [PINGD_PUBLISH_OUTBOX] = PUBLISHER_OUTBOX};
	return modes[config->publish];
}

/* With what measures around it; else it is closed. */
static enum error open_ledger(struct member *member, struct error_note *note)
{
	struct slot_ledger *inner;
	enum error error = backend_open_slot_ledger(member->publishers->backend, &inner, note);
	if (error != ERROR_OK)
		return error;
	error = timed_slot_ledger_create(inner, clock_system(), &member->publishers->observer.ports, &member->ledger);
	if (error != ERROR_OK)
		inner->vtable->close(inner);
	return error;
}

static enum error open_log(struct member *member, struct error_note *note)
{
	struct publish_log *inner;
	enum error error = backend_open_publish_log(member->publishers->backend, &inner, note);
	if (error != ERROR_OK)
		return error;
	error = timed_publish_log_create(inner, clock_system(), &member->publishers->observer.ports, &member->log);
	if (error != ERROR_OK)
		inner->vtable->close(inner);
	return error;
}

static enum error open_member(struct member *member, const struct pingd_config *config, struct publisher *carries_for,
			      struct error_note *note)
{
	const struct publisher_config settings = {
		.mode = mode_of(config),
		.rescuer = member->role == PUBLISHERS_RESCUER,
		.carries_for = carries_for,
		.max_batch = (size_t)config->ingest_batch,
		.idempotency_retention_ms = config->idempotency_retention_ms,
		.patience_ms = config->default_timeout_ms,
		.tell = tell,
		.context = member,
	};
	enum error error = open_ledger(member, note);
	if (error == ERROR_OK)
		error = open_log(member, note);
	return error == ERROR_OK ? publisher_create(&settings, member->publishers->ingest, member->ledger, member->log,
						    clock_system(), random_system(), &member->publisher)
				 : error;
}

static void close_member(struct member *member)
{
	if (member->publisher != NULL)
		publisher_destroy(member->publisher);
	if (member->log != NULL)
		member->log->vtable->close(member->log);
	if (member->ledger != NULL)
		member->ledger->vtable->close(member->ledger);
}

/* First those who take pings, then a carrier for each (outbox), then a rescuer: without slots there is nothing to rescue. */
static size_t takers_of(const struct pingd_config *config)
{
	return (size_t)config->publishers;
}

size_t publishers_count(const struct pingd_config *config)
{
	return takers_of(config) * (config->publish == PINGD_PUBLISH_OUTBOX ? 2 : 1) + (config->publish != PINGD_PUBLISH_ORDERED);
}

enum publishers_role publishers_role(const struct pingd_config *config, size_t number)
{
	if (number < takers_of(config))
		return PUBLISHERS_TAKER;
	return config->publish == PINGD_PUBLISH_OUTBOX && number < 2 * takers_of(config) ? PUBLISHERS_CARRIER
											 : PUBLISHERS_RESCUER;
}

static enum error create(const struct pingd_config *config, const struct publishers_observer *observer, struct health *health,
			 struct publishers **ret_publishers)
{
	enum publishers_role roles[2 * PINGD_MAX_PUBLISHERS + 1];
	size_t count = publishers_count(config);
	struct publishers *publishers = calloc(1, sizeof *publishers + count * sizeof publishers->members[0]);
	if (publishers == NULL)
		return ERROR_NO_MEMORY;
	publishers->observer = *observer;
	publishers->outbox = config->publish == PINGD_PUBLISH_OUTBOX;
	publishers->count = count;
	publishers->systems[LEDGER] = (struct system){publishers, PUBLISHERS_LEDGER, backend_prepare_ledger};
	publishers->systems[LOG] = (struct system){publishers, PUBLISHERS_LOG, backend_prepare_log};
	for (size_t i = 0; i < count; i++) {
		roles[i] = publishers_role(config, i);
		publishers->members[i] = (struct member){.publishers = publishers, .number = i, .role = roles[i]};
	}
	const struct publishers_health_config health_config = {
		.mode = mode_of(config), .slots = config->publisher_slots, .roles = roles, .count = count};
	enum error error = publishers_health_create(&health_config, health, &publishers->health);
	if (error != ERROR_OK) {
		free(publishers);
		return error;
	}
	*ret_publishers = publishers;
	return ERROR_OK;
}

static enum error open_members(struct publishers *publishers, const struct pingd_config *config, struct error_note *note)
{
	enum error error = ERROR_OK;
	for (size_t i = 0; i < publishers->count && error == ERROR_OK; i++) {
		struct member *member = &publishers->members[i];
		bool carries = member->role == PUBLISHERS_CARRIER;
		error = open_member(member, config, carries ? publishers->members[i - takers_of(config)].publisher : NULL, note);
	}
	return error;
}

static enum error prepare(void *context, struct error_note *note)
{
	struct system *system = context;
	return system->prepare(system->publishers->backend, note);
}

static void on_prepared(void *context, enum error error, bool ended, const struct error_note *note)
{
	struct system *system = context;
	struct publishers *publishers = system->publishers;
	if (error == ERROR_OK)
		publishers_health_prepared(publishers->health, system->part);
	else
		publishers_health_wait(publishers->health, system->part, note->text);
	if (error != ERROR_OK && ended)
		publishers->observer.failed(publishers->observer.ports.context, error, note);
}

static enum error start_preparations(struct publishers *publishers)
{
	static const char *const names[] = {[LEDGER] = "ledger", [LOG] = "log"};
	for (size_t i = 0; i < PREPARATIONS; i++) {
		const struct preparation_config config = {
			.what = names[i], .attempt = prepare, .told = on_prepared, .context = &publishers->systems[i]};
		enum error error = preparation_start(&config, &publishers->preparations[i]);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

static enum error start_threads(struct publishers *publishers)
{
	for (size_t i = 0; i < publishers->count; i++) {
		struct member *member = &publishers->members[i];
		member->runs = pthread_create(&member->thread, NULL, member_main, member) == 0;
		if (!member->runs)
			return ERROR_RESOURCE_EXHAUSTED;
	}
	return ERROR_OK;
}

static enum error start(struct publishers *publishers, const struct pingd_config *config, struct error_note *note)
{
	enum error error = open_members(publishers, config, note);
	if (error == ERROR_OK)
		error = start_preparations(publishers);
	if (error == ERROR_OK)
		error = start_threads(publishers);
	if (error != ERROR_OK)
		return error;
	/* A server that is away is waited for behind the start. */
	error = preparation_wait(publishers->preparations, PREPARATIONS, START_PATIENCE_MS, note);
	return error == ERROR_UNAVAILABLE ? ERROR_OK : error;
}

enum error publishers_start(const struct pingd_config *config, struct backend *backend, struct ingest *ingest,
			    const struct publishers_observer *observer, struct health *health, struct publishers **ret_publishers,
			    struct error_note *note)
{
	struct publishers *publishers;
	enum error error = create(config, observer, health, &publishers);
	if (error != ERROR_OK)
		return error;
	publishers->backend = backend;
	publishers->ingest = ingest;
	error = start(publishers, config, note);
	if (error != ERROR_OK) {
		ingest_close(ingest);
		publishers_stop(publishers);
		return error;
	}
	*ret_publishers = publishers;
	return ERROR_OK;
}

void publishers_stop(struct publishers *publishers)
{
	for (size_t i = 0; i < publishers->count; i++)
		if (publishers->members[i].runs)
			pthread_join(publishers->members[i].thread, NULL);
	for (size_t i = 0; i < PREPARATIONS; i++)
		preparation_stop(publishers->preparations[i]);
	/* A carrier goes before the one that it carries for. */
	for (size_t i = publishers->count; i-- > 0;)
		close_member(&publishers->members[i]);
	publishers_health_destroy(publishers->health);
	free(publishers);
}

struct publisher_status publishers_status(struct publishers *publishers, size_t number)
{
	return publisher_status(publishers->members[number].publisher);
}

struct publishers_totals publishers_totals(struct publishers *publishers)
{
	struct publishers_totals totals = {0};
	for (size_t i = 0; i < publishers->count; i++) {
		struct publisher_status status = publisher_status(publishers->members[i].publisher);
		bool takes_pings = publishers->members[i].role == PUBLISHERS_TAKER;
		totals.count += takes_pings;
		totals.ready += takes_pings && status.ready;
		totals.batches += status.batches;
		totals.failed += status.failed;
		totals.unknown += status.unknown;
		totals.aborted += status.aborted;
		totals.recovered += status.recovered;
		totals.fenced += status.fenced;
		totals.lost += status.lost;
		totals.retries += atomic_load(&publishers->members[i].retries);
	}
	return totals;
}
