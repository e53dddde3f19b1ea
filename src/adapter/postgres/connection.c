#include "adapter/postgres/connection.h"

#include "base/clock.h"
#include "base/random.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	STATEMENT_TIMEOUT_MS = 15000,
	LOCK_TIMEOUT_MS = 2000,
	IDLE_IN_TRANSACTION_TIMEOUT_MS = 20000,
	LEASE_MS = 10000,
	GRACE_MS = 5000, /* that the server has to say that a statement took too long */
	PAUSE_LEAST_MS = 50,
	PAUSE_MOST_MS = 2000,
	FRAME_STEPS = 3, /* BEGIN, the timeouts, COMMIT */
	SETUP_SIZE = 256,
};

struct pg_connection {
	struct postgres_config config;
	PGconn *handle; /* NULL: closed */
	bool in_transaction, take_time;
	char setup[2][SETUP_SIZE]; /* the timeouts of a transaction; [1]: without one for statements */
	char sqlstate[6];
	/* After a failed attempt to connect: the answer until then. */
	int failures;
	int64_t pause_until_us;
	struct error_note why;
};

/* ─── Errors ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* By SQLSTATE or its class ("57"). FENCED, FAILED_PRECONDITION: raised by the schema's own functions. */
static const struct {
	const char *sqlstate;
	enum error error;
	bool reconnect; /* this server, or this session, is of no use any more */
} meanings[] = {
	{"PF001", ERROR_FENCED, false},		  {"PF002", ERROR_FAILED_PRECONDITION, false},
	{"25006", ERROR_UNAVAILABLE, true},					       /* read only: a standby now */
	{"53100", ERROR_DISK_FULL, false},	  {"55P03", ERROR_UNAVAILABLE, false}, /* lock_timeout */
	{"57014", ERROR_UNAVAILABLE, false},	  {"57", ERROR_UNAVAILABLE, true},     /* shut down, starting up */
	{"40", ERROR_UNAVAILABLE, false},	  {"53", ERROR_UNAVAILABLE, false},
	{"55", ERROR_UNAVAILABLE, false},	  {"58", ERROR_IO, false},
	{"08", ERROR_UNAVAILABLE, true},	  {"25", ERROR_UNAVAILABLE, true},
	{"XX001", ERROR_CORRUPT, false},	  {"XX002", ERROR_CORRUPT, false},
	{"3D", ERROR_FAILED_PRECONDITION, true},  {"3F", ERROR_FAILED_PRECONDITION, false},
	{"42", ERROR_FAILED_PRECONDITION, false}, /* no such table, no privilege */
};

/* What became of the statements of one run. */
struct outcome {
	enum error error;
	bool lost; /* the connection; what the server had been told to do may be done */
};

static void copy_line(char *target, size_t size, const char *text)
{
	size_t length = 0;
	for (; *text != 0 && length + 1 < size; text++)
		target[length++] = (*text == '\n' || *text == '\t') ? ' ' : *text;
	while (length > 0 && target[length - 1] == ' ')
		length--;
	target[length] = 0;
}

static enum error note_text(struct error_note *note, enum error error, const char *what, const char *detail)
{
	char line[200];
	copy_line(line, sizeof line, detail == NULL ? "" : detail);
	return error_noted(note, error, "%s: %s", what, line);
}

static void close_handle(struct pg_connection *connection)
{
	PQfinish(connection->handle);
	connection->handle = NULL;
	connection->in_transaction = false;
}

static struct outcome lost(struct pg_connection *connection, struct error_note *note, const char *detail)
{
	note_text(note, ERROR_UNAVAILABLE, "the connection to PostgreSQL was lost", detail);
	close_handle(connection);
	return (struct outcome){.error = ERROR_UNAVAILABLE, .lost = true};
}

/* An error that came as a message. Where it ends the session (a pooler's does, and says nothing of what the server did) and all
 * statements had been carried out, only the COMMIT can be what it hit. */
static struct outcome failed(struct pg_connection *connection, const PGresult *result, bool all_carried_out,
			     struct error_note *note)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	if (sqlstate == NULL)
		return lost(connection, note, PQresultErrorMessage(result));
	snprintf(connection->sqlstate, sizeof connection->sqlstate, "%s", sqlstate);
	bool ends = severity != NULL && strcmp(severity, "ERROR") != 0;
	if (ends && (all_carried_out || strncmp(sqlstate, "57P", 3) != 0))
		return lost(connection, note, message);
	struct outcome outcome = {.error = ERROR_INTERNAL};
	bool reconnect = ends;
	for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
		if (strncmp(sqlstate, meanings[i].sqlstate, strlen(meanings[i].sqlstate)) != 0)
			continue;
		outcome.error = meanings[i].error;
		reconnect |= meanings[i].reconnect;
		break;
	}
	char what[40];
	snprintf(what, sizeof what, "PostgreSQL (%s)", sqlstate);
	note_text(note, outcome.error, what, message);
	if (reconnect)
		close_handle(connection);
	return outcome;
}

/* ─── Connecting ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void ignore_notice(void *context, const PGresult *result)
{
	(void)context;
	(void)result;
}

/* libpq's own words on a URL that it cannot read may repeat it, password and all. */
static bool is_readable(const char *url)
{
	char *ignored = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &ignored);
	PQconninfoFree(options);
	PQfreemem(ignored);
	return options != NULL;
}

static enum error remember_failure(struct pg_connection *connection, struct error_note *note)
{
	int64_t pause_ms = PAUSE_LEAST_MS;
	for (int i = 0; i < connection->failures && pause_ms < PAUSE_MOST_MS; i++)
		pause_ms *= 2;
	pause_ms = pause_ms < PAUSE_MOST_MS ? pause_ms : PAUSE_MOST_MS;
	pause_ms = pause_ms / 2 + (int64_t)random_below(random_system(), (uint64_t)pause_ms / 2 + 1);
	connection->failures++;
	connection->pause_until_us = clock_monotonic_us(clock_system()) + pause_ms * 1000;
	note_text(&connection->why, ERROR_UNAVAILABLE, "cannot connect to PostgreSQL", PQerrorMessage(connection->handle));
	close_handle(connection);
	if (note != NULL)
		*note = connection->why;
	return ERROR_UNAVAILABLE;
}

/* What stands before dbname, the URL may say otherwise. */
static const char *const keywords[] = {"fallback_application_name",
				       "connect_timeout",
				       "target_session_attrs",
				       "tcp_user_timeout",
				       "dbname",
				       "client_encoding",
				       NULL};
enum { KEYWORDS = sizeof keywords / sizeof keywords[0] };

static void fill_values(const struct postgres_config *config, const char *ret_values[KEYWORDS])
{
	const char *const values[KEYWORDS] = {config->application_name, "5", "read-write", "20000", config->url, "UTF8", NULL};
	memcpy(ret_values, values, sizeof values);
}

/* Words of libpq's own (certificate, read-only), or of a server that has no place (those in English: another server's words end
 * the program, and whoever starts it again tries again). PQping alone knows a server that is starting up from one that says no.
 */
bool postgres_is_refused(const struct postgres_config *config, const struct error_note *note)
{
	static const char *const passing[] = {"read-only", "too many", "remaining connection slots", "no more connections", NULL};
	if (strstr(note->text, "certificate") != NULL)
		return true;
	for (const char *const *word = passing; *word != NULL; word++)
		if (strstr(note->text, *word) != NULL)
			return false;
	const char *values[KEYWORDS];
	fill_values(config, values);
	return strstr(note->text, "cannot connect") != NULL && PQpingParams(keywords, values, 1) == PQPING_OK;
}

static enum error open_handle(struct pg_connection *connection, struct error_note *note)
{
	const char *values[KEYWORDS];
	fill_values(&connection->config, values);
	if (connection->failures > 0 && clock_monotonic_us(clock_system()) < connection->pause_until_us) {
		if (note != NULL)
			*note = connection->why;
		return ERROR_UNAVAILABLE;
	}
	if (!is_readable(connection->config.url))
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "the ledger's URL is not one that libpq can read: "
				   "postgres://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE, "
				   "with special characters as %%XX");
	connection->handle = PQconnectdbParams(keywords, values, 1);
	if (connection->handle == NULL)
		return ERROR_NO_MEMORY;
	bool connected = PQstatus(connection->handle) == CONNECTION_OK && PQsetnonblocking(connection->handle, 1) == 0;
	const struct postgres_observer *observer = &connection->config.observer;
	if (observer->connected != NULL)
		observer->connected(observer->context, connected);
	if (!connected)
		return remember_failure(connection, note);
	PQsetNoticeReceiver(connection->handle, ignore_notice, NULL);
	connection->failures = 0;
	return ERROR_OK;
}

/* What was idle and has something to read has been told goodbye. Found out now, nothing is in doubt. */
static bool is_alive(struct pg_connection *connection)
{
	struct pollfd fd = {.fd = PQsocket(connection->handle), .events = POLLIN};
	enum { READS_MAX = 8 };
	for (int i = 0; i < READS_MAX && poll(&fd, 1, 0) > 0; i++)
		if (!PQconsumeInput(connection->handle))
			return false;
	return PQstatus(connection->handle) == CONNECTION_OK;
}

static enum error connect(struct pg_connection *connection, struct error_note *note)
{
	connection->sqlstate[0] = 0;
	if (connection->handle != NULL && is_alive(connection))
		return ERROR_OK;
	if (connection->in_transaction) {
		lost(connection, note, "while a transaction was open");
		return ERROR_UNAVAILABLE;
	}
	close_handle(connection);
	return open_handle(connection, note);
}

static void write_setup(struct pg_connection *connection, int which, int statement_timeout_ms)
{
	snprintf(connection->setup[which], SETUP_SIZE,
		 "SELECT set_config('statement_timeout', '%d', true), set_config('lock_timeout', '0', true),"
		 " set_config('idle_in_transaction_session_timeout', '%d', true)",
		 statement_timeout_ms, statement_timeout_ms == 0 ? 0 : connection->config.idle_in_transaction_timeout_ms);
}

static int or_default(int value, int initial)
{
	return value > 0 ? value : initial;
}

enum error pg_connection_create(const struct postgres_config *config, struct pg_connection **ret_connection)
{
	struct pg_connection *connection = calloc(1, sizeof *connection);
	if (connection == NULL)
		return ERROR_NO_MEMORY;
	connection->config = (struct postgres_config){
		.url = config->url,
		.application_name = config->application_name != NULL ? config->application_name : "ping",
		.statement_timeout_ms = or_default(config->statement_timeout_ms, STATEMENT_TIMEOUT_MS),
		.lock_timeout_ms = or_default(config->lock_timeout_ms, LOCK_TIMEOUT_MS),
		.idle_in_transaction_timeout_ms =
			or_default(config->idle_in_transaction_timeout_ms, IDLE_IN_TRANSACTION_TIMEOUT_MS),
		.lease_ms = or_default(config->lease_ms, LEASE_MS),
		.slots = or_default(config->slots, INT_MAX),
		.observer = config->observer,
	};
	write_setup(connection, 0, connection->config.statement_timeout_ms);
	write_setup(connection, 1, 0);
	*ret_connection = connection;
	return ERROR_OK;
}

void pg_connection_destroy(struct pg_connection *connection)
{
	if (connection == NULL)
		return;
	close_handle(connection);
	free(connection);
}

const struct postgres_config *pg_connection_config(const struct pg_connection *connection)
{
	return &connection->config;
}

/* ─── Running ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int64_t deadline_us(const struct pg_connection *connection)
{
	if (connection->take_time)
		return INT64_MAX;
	int64_t timeout_ms = connection->config.statement_timeout_ms + GRACE_MS;
	return clock_monotonic_us(clock_system()) + timeout_ms * 1000;
}

/* Sends what is left to send and waits for a result, NULL between those of two statements. False: lost, or too late. */
static bool next_result(PGconn *handle, int64_t until_us, PGresult **ret_result)
{
	for (;;) {
		int unsent = PQflush(handle);
		if (unsent < 0)
			break;
		if (!PQisBusy(handle)) {
			*ret_result = PQgetResult(handle);
			return true;
		}
		int64_t left_ms = until_us == INT64_MAX ? -1 : (until_us - clock_monotonic_us(clock_system())) / 1000 + 1;
		if (left_ms <= 0 && until_us != INT64_MAX)
			return false;
		struct pollfd fd = {.fd = PQsocket(handle), .events = (short)(unsent > 0 ? POLLIN | POLLOUT : POLLIN)};
		if (poll(&fd, 1, (int)left_ms) < 0 && errno != EINTR)
			return false;
		if ((fd.revents & ~POLLOUT) != 0 && !PQconsumeInput(handle))
			break;
	}
	/* libpq makes a result of what went wrong. */
	*ret_result = PQgetResult(handle);
	return *ret_result != NULL;
}

static bool send_step(PGconn *handle, const char *text, const struct pg_parameters *parameters)
{
	const char *values[PG_MAX_PARAMETERS];
	int lengths[PG_MAX_PARAMETERS], formats[PG_MAX_PARAMETERS], count = parameters == NULL ? 0 : parameters->count;
	for (int i = 0; i < count; i++) {
		const struct buffer *data = &parameters->data[i];
		values[i] = parameters->null[i] ? NULL : data->size == 0 ? "" : (const char *)data->data;
		lengths[i] = (int)data->size;
		formats[i] = 1;
	}
	return PQsendQueryParams(handle, text, count, count == 0 ? NULL : parameters->types, values, lengths, formats, 1) == 1;
}

struct frame {
	struct pg_step steps[FRAME_STEPS + PG_MAX_STEPS];
	size_t count, first; /* first: where the caller's begin */
};

static bool send_frame(struct pg_connection *connection, const struct frame *frame)
{
	if (PQenterPipelineMode(connection->handle) != 1)
		return false;
	for (size_t i = 0; i < frame->count; i++)
		if (!send_step(connection->handle, frame->steps[i].text, frame->steps[i].parameters))
			return false;
	return true;
}

static bool is_good(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

/* Everything up to the pipeline's end. The first error counts, also one that comes behind the last statement: that is the
 * commit's.
 */
static struct outcome receive_frame(struct pg_connection *connection, struct frame *frame, struct error_note *note)
{
	struct outcome outcome = {.error = ERROR_OK};
	int64_t until_us = deadline_us(connection);
	size_t done = 0;
	for (;;) {
		PGresult *result = NULL;
		if (!next_result(connection->handle, until_us, &result))
			return outcome.error != ERROR_OK ? outcome : lost(connection, note, "no answer in time");
		ExecStatusType status = result == NULL ? PGRES_EMPTY_QUERY : PQresultStatus(result);
		if (result != NULL && is_good(result) && done < frame->count && outcome.error == ERROR_OK)
			frame->steps[done++].result = result;
		else if (result != NULL) {
			if (status == PGRES_FATAL_ERROR && outcome.error == ERROR_OK)
				outcome = failed(connection, result, done == frame->count, note);
			PQclear(result);
		}
		if (connection->handle == NULL || status == PGRES_PIPELINE_SYNC)
			return outcome;
		if (result == NULL && PQstatus(connection->handle) == CONNECTION_BAD)
			return outcome.error != ERROR_OK ? outcome : lost(connection, note, PQerrorMessage(connection->handle));
	}
}

/* A COMMIT of a transaction that had failed is a ROLLBACK, and no error. */
static bool was_rolled_back(const struct frame *frame)
{
	const struct pg_step *last = &frame->steps[frame->count - 1];
	return strcmp(last->text, "COMMIT") == 0 && strcmp(PQcmdStatus(last->result), "COMMIT") != 0;
}

static struct outcome run_frame(struct pg_connection *connection, struct frame *frame, struct error_note *note)
{
	if (!send_frame(connection, frame)) {
		/* Without the pipeline's end the server commits nothing. */
		struct outcome outcome = lost(connection, note, PQerrorMessage(connection->handle));
		outcome.lost = false;
		return outcome;
	}
	if (PQpipelineSync(connection->handle) != 1)
		return lost(connection, note, PQerrorMessage(connection->handle));
	struct outcome outcome = receive_frame(connection, frame, note);
	if (outcome.error == ERROR_OK && was_rolled_back(frame))
		outcome.error = error_noted(note, ERROR_UNAVAILABLE, "PostgreSQL rolled the transaction back");
	if (connection->handle != NULL && PQexitPipelineMode(connection->handle) != 1)
		close_handle(connection);
	return outcome;
}

static void clear_frame(struct frame *frame)
{
	pg_clear_results(frame->steps, frame->count);
}

void pg_clear_results(struct pg_step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		PQclear(steps[i].result);
		steps[i].result = NULL;
	}
}

static bool lacks_memory(const struct pg_step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (steps[i].parameters != NULL && steps[i].parameters->failed)
			return true;
	return false;
}

static void frame_add(struct frame *frame, const char *text)
{
	frame->steps[frame->count++] = (struct pg_step){.text = text};
}

/* A transaction's first frame sets its timeouts. */
static void frame_fill(struct frame *frame, const struct pg_connection *connection, const struct pg_step *steps, size_t count,
		       bool begins, bool commits)
{
	if (begins)
		frame_add(frame, "BEGIN ISOLATION LEVEL READ COMMITTED");
	if (!connection->in_transaction)
		frame_add(frame, connection->setup[connection->take_time]);
	frame->first = frame->count;
	for (size_t i = 0; i < count; i++)
		frame->steps[frame->count++] = steps[i];
	if (commits && connection->in_transaction)
		frame_add(frame, "COMMIT");
}

static enum error run(struct pg_connection *connection, struct pg_step *steps, size_t count, enum pg_effect effect, bool begins,
		      bool commits, struct error_note *note)
{
	enum error error = lacks_memory(steps, count) ? ERROR_NO_MEMORY : connect(connection, note);
	if (error != ERROR_OK) {
		pg_abandon(connection);
		return error;
	}
	struct frame frame = {.count = 0};
	frame_fill(&frame, connection, steps, count, begins, commits);
	struct outcome outcome = run_frame(connection, &frame, note);
	if (outcome.error == ERROR_OK) {
		connection->in_transaction = begins || (connection->in_transaction && !commits);
		connection->take_time &= connection->in_transaction;
		for (size_t i = 0; i < count; i++) {
			steps[i].result = frame.steps[frame.first + i].result;
			frame.steps[frame.first + i].result = NULL;
		}
	}
	clear_frame(&frame);
	if (outcome.error == ERROR_OK)
		return ERROR_OK;
	pg_abandon(connection);
	return outcome.lost && effect == PG_COMMITS ? ERROR_IN_DOUBT : outcome.error;
}

enum error pg_run(struct pg_connection *connection, struct pg_step *steps, size_t count, enum pg_effect effect,
		  struct error_note *note)
{
	return run(connection, steps, count, effect, false, false, note);
}

enum error pg_run_begin(struct pg_connection *connection, struct pg_step *steps, size_t count, struct error_note *note)
{
	return run(connection, steps, count, PG_HARMLESS, !connection->in_transaction, false, note);
}

enum error pg_run_commit(struct pg_connection *connection, struct pg_step *steps, size_t count, struct error_note *note)
{
	return run(connection, steps, count, PG_COMMITS, false, true, note);
}

bool pg_in_transaction(const struct pg_connection *connection)
{
	return connection->in_transaction;
}

void pg_abandon(struct pg_connection *connection)
{
	connection->take_time = false;
	if (connection->handle == NULL)
		return;
	if (PQtransactionStatus(connection->handle) == PQTRANS_IDLE) {
		connection->in_transaction = false;
		return;
	}
	struct frame frame = {.count = 0};
	frame_add(&frame, "ROLLBACK");
	struct outcome outcome = run_frame(connection, &frame, NULL);
	clear_frame(&frame);
	connection->in_transaction = false;
	if (outcome.error != ERROR_OK || (connection->handle != NULL && PQtransactionStatus(connection->handle) != PQTRANS_IDLE))
		close_handle(connection);
}

void pg_take_time(struct pg_connection *connection)
{
	connection->take_time = true;
}

enum error pg_script(struct pg_connection *connection, const char *text, struct error_note *note)
{
	enum error error = connect(connection, note);
	if (error != ERROR_OK)
		return error;
	struct outcome outcome = {.error = ERROR_OK};
	if (PQsendQuery(connection->handle, text) != 1)
		outcome = lost(connection, note, PQerrorMessage(connection->handle));
	while (connection->handle != NULL) {
		PGresult *result = NULL;
		if (!next_result(connection->handle, INT64_MAX, &result)) {
			outcome = lost(connection, note, PQerrorMessage(connection->handle));
			break;
		}
		if (result == NULL)
			break;
		if (PQresultStatus(result) == PGRES_FATAL_ERROR && outcome.error == ERROR_OK)
			outcome = failed(connection, result, false, note);
		PQclear(result);
	}
	pg_abandon(connection);
	return outcome.error;
}

const char *pg_sqlstate(const struct pg_connection *connection)
{
	return connection->sqlstate;
}
