#include "app/publishers.h"

#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WAIT_MS = 1000 };

enum trouble { TROUBLE_NONE, TROUBLE_LEDGER, TROUBLE_LOG };

struct member {
	struct publishers *publishers;
	size_t number;
	bool takes_pings; /* neither a rescuer nor an outbox's carrier */
	struct slot_ledger *ledger;
	struct publish_log *log;
	struct publisher *publisher;
	pthread_t thread;
	bool runs;
	/* The publishers' lock guards these: as of the last step. */
	enum trouble trouble;
	char text[HEALTH_DETAIL_SIZE];
};

struct publishers {
	struct health *health;
	pthread_mutex_t lock;
	size_t count; /* of members: those who take pings, a carrier for each (outbox), a rescuer (but under ordered) */
	struct member members[];
};

/* Which of the two the publisher was talking to when it failed. */
static enum trouble trouble_in(enum publisher_state state)
{
	switch (state) {
	case PUBLISHER_FENCING:
	case PUBLISHER_LOOKING:
	case PUBLISHER_REPRODUCING:
	case PUBLISHER_REPUBLISHING:
	case PUBLISHER_PRODUCING:
	case PUBLISHER_PUBLISHING:
	case PUBLISHER_ABORTING:
		return TROUBLE_LOG;
	default:
		return TROUBLE_LEDGER;
	}
}

/* One publisher in trouble of several degrades; all of them: down. Under the lock. */
static void set_health(struct publishers *publishers, enum trouble trouble, const char *dependency)
{
	size_t troubled = 0, members = 0;
	const char *text = NULL;
	for (size_t i = 0; i < publishers->count; i++) {
		const struct member *member = &publishers->members[i];
		if (!member->takes_pings)
			continue;
		members++;
		if (member->trouble == trouble) {
			troubled++;
			text = member->text;
		}
	}
	health_set(publishers->health, dependency,
		   troubled == 0	 ? HEALTH_OK
		   : troubled == members ? HEALTH_DOWN
					 : HEALTH_DEGRADED,
		   text);
}

static void note_status(struct member *member)
{
	struct publishers *publishers = member->publishers;
	struct publisher_status status = publisher_status(member->publisher);
	/* On the way to being ready what was known last still stands. */
	enum trouble trouble = status.ready		  ? TROUBLE_NONE
			       : status.error != ERROR_OK ? trouble_in(status.state)
							  : member->trouble;
	pthread_mutex_lock(&publishers->lock);
	if (trouble != member->trouble || status.error != ERROR_OK) {
		member->trouble = trouble;
		snprintf(member->text, sizeof member->text, "%s", status.error_text);
		set_health(publishers, TROUBLE_LEDGER, "ledger");
		set_health(publishers, TROUBLE_LOG, "log");
	}
	pthread_mutex_unlock(&publishers->lock);
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
	if (news == PUBLISHER_CHANGED) {
		crash_where_a_test_says(status->state);
		log_event(LOG_DEBUG, lines[news].message, log_int("publisher", (int64_t)member->number),
			  log_int("slot", status->slot), log_text("state", publisher_state_text(status->state)));
		return;
	}
	log_limited(lines[news].level, lines[news].message, log_int("publisher", (int64_t)member->number),
		    log_int("slot", status->slot), log_text("state", publisher_state_text(status->state)), log_error(error),
		    log_text("detail", text));
}

static void *member_main(void *context)
{
	struct member *member = context;
	while (!publisher_ended(member->publisher)) {
		bool stepped = publisher_step(member->publisher);
		note_status(member);
		if (!stepped)
			publisher_wait(member->publisher, WAIT_MS);
	}
	return NULL;
}

static enum error open_member(struct member *member, const struct pingd_config *config, struct backend *backend,
			      struct ingest *ingest, struct publisher *carries_for, struct error_note *note)
{
	static const enum publisher_mode modes[] = {[PINGD_PUBLISH_TRANSACTIONAL] = PUBLISHER_TRANSACTIONAL,
						    [PINGD_PUBLISH_ORDERED] = PUBLISHER_ORDERED,
						    [PINGD_PUBLISH_OUTBOX] = PUBLISHER_OUTBOX};
	const struct publisher_config settings = {
		.mode = modes[config->publish],
		.rescuer = !member->takes_pings && carries_for == NULL,
		.carries_for = carries_for,
		.max_batch = (size_t)config->ingest_batch,
		.idempotency_retention_ms = config->idempotency_retention_ms,
		.patience_ms = config->default_timeout_ms,
		.tell = tell,
		.context = member,
	};
	enum error error = backend_open_slot_ledger(backend, &member->ledger, note);
	if (error == ERROR_OK)
		error = backend_open_publish_log(backend, &member->log, note);
	return error == ERROR_OK ? publisher_create(&settings, ingest, member->ledger, member->log, clock_system(),
						    random_system(), &member->publisher)
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

enum error publishers_start(const struct pingd_config *config, struct backend *backend, struct ingest *ingest,
			    struct health *health, struct publishers **ret_publishers, struct error_note *note)
{
	size_t takers = (size_t)config->publishers, carriers = config->publish == PINGD_PUBLISH_OUTBOX ? takers : 0;
	/* Without slots there is nothing to rescue. */
	size_t count = takers + carriers + (config->publish == PINGD_PUBLISH_ORDERED ? 0 : 1);
	struct publishers *publishers = calloc(1, sizeof *publishers + count * sizeof publishers->members[0]);
	if (publishers == NULL)
		return ERROR_NO_MEMORY;
	publishers->health = health;
	publishers->count = count;
	pthread_mutex_init(&publishers->lock, NULL);
	enum error error = ERROR_OK;
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		struct member *member = &publishers->members[i];
		*member = (struct member){.publishers = publishers,
					  .number = i,
					  .takes_pings = i < takers,
					  .trouble = TROUBLE_LOG,
					  .text = "starting"};
		bool carries = i >= takers && i < takers + carriers;
		error = open_member(member, config, backend, ingest, carries ? publishers->members[i - takers].publisher : NULL,
				    note);
	}
	for (size_t i = 0; i < count && error == ERROR_OK; i++) {
		struct member *member = &publishers->members[i];
		member->runs = pthread_create(&member->thread, NULL, member_main, member) == 0;
		error = member->runs ? ERROR_OK : ERROR_RESOURCE_EXHAUSTED;
	}
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
	/* A carrier goes before the one that it carries for. */
	for (size_t i = publishers->count; i-- > 0;)
		close_member(&publishers->members[i]);
	pthread_mutex_destroy(&publishers->lock);
	free(publishers);
}

struct publishers_totals publishers_totals(struct publishers *publishers)
{
	struct publishers_totals totals = {0};
	for (size_t i = 0; i < publishers->count; i++) {
		struct publisher_status status = publisher_status(publishers->members[i].publisher);
		totals.count += publishers->members[i].takes_pings;
		totals.ready += publishers->members[i].takes_pings && status.ready;
		totals.batches += status.batches;
		totals.failed += status.failed;
		totals.unknown += status.unknown;
		totals.aborted += status.aborted;
		totals.recovered += status.recovered;
		totals.fenced += status.fenced;
	}
	return totals;
}
