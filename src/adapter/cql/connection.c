#include "adapter/cql/connection.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_PAGE_SIZE = 1000, TEXT_SIZE = 512, CONNECT_TIMEOUT_MS = 5000 };

/* A request under way. */
struct slot {
	struct cql_connection *connection;
	size_t index;		  /* which of the round's */
	struct pc_result *result; /* its answer, when it has come */
	struct slot *next;	  /* free, or answered */
};

struct cql_connection {
	const struct cql_config *config;
	const struct cql_statement *texts;
	size_t statement_count;
	bool keyspace;
	struct pc_session *session; /* NULL: not connected */
	struct pc_statement **statements;

	struct slot slots[CQL_IN_FLIGHT];
	struct slot *free;
	size_t under_way;

	pthread_mutex_t lock; /* guards the following */
	pthread_cond_t came;
	struct slot *answered, **answered_end;
};

const char *cql_client_text(void)
{
	static char text[48];
	if (text[0] == 0)
		snprintf(text, sizeof text, "scylla driver %s", pc_version());
	return text;
}

enum error cql_check_build(struct error_note *note)
{
	(void)note;
	return ERROR_OK;
}

/* ─── Life ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum error cql_connection_create(const struct cql_config *config, const struct cql_statement *statements, size_t count,
				 bool keyspace, struct cql_connection **ret_connection)
{
	struct cql_connection *connection = calloc(1, sizeof *connection);
	struct pc_statement **prepared = calloc(count == 0 ? 1 : count, sizeof *prepared);
	if (connection == NULL || prepared == NULL) {
		free(connection);
		free(prepared);
		return ERROR_NO_MEMORY;
	}
	connection->config = config;
	connection->texts = statements;
	connection->statement_count = count;
	connection->statements = prepared;
	connection->keyspace = keyspace;
	connection->answered_end = &connection->answered;
	for (size_t i = 0; i < CQL_IN_FLIGHT; i++) {
		connection->slots[i] = (struct slot){.connection = connection, .next = connection->free};
		connection->free = &connection->slots[i];
	}
	pthread_mutex_init(&connection->lock, NULL);
	pthread_cond_init(&connection->came, NULL);
	*ret_connection = connection;
	return ERROR_OK;
}

static void disconnect(struct cql_connection *connection)
{
	for (size_t i = 0; i < connection->statement_count; i++) {
		pc_statement_free(connection->statements[i]);
		connection->statements[i] = NULL;
	}
	pc_disconnect(connection->session);
	connection->session = NULL;
}

void cql_connection_destroy(struct cql_connection *connection)
{
	if (connection == NULL)
		return;
	disconnect(connection);
	pthread_cond_destroy(&connection->came);
	pthread_mutex_destroy(&connection->lock);
	free(connection->statements);
	free(connection);
}

static enum error error_of(enum pc_status status)
{
	switch (status) {
	case PC_OK:
		return ERROR_OK;
	case PC_UNAUTHENTICATED:
		return ERROR_UNAUTHENTICATED;
	case PC_DENIED:
		return ERROR_PERMISSION_DENIED;
	case PC_EXISTS:
		return ERROR_ALREADY_EXISTS;
	case PC_INVALID:
		return ERROR_FAILED_PRECONDITION;
	case PC_UNAVAILABLE:
	case PC_UNKNOWN:
	case PC_FULL:
		break;
	}
	return ERROR_UNAVAILABLE;
}

/* What a person is told: where, what, and the way out where one is known. */
static enum error told(const struct cql_connection *connection, enum pc_status status, const char *text, struct error_note *note)
{
	const struct cql_config *config = connection->config;
	const char *points = (const char *)config->contact_points.data;
	switch (status) {
	case PC_UNAUTHENTICATED:
		return error_noted(note, ERROR_UNAUTHENTICATED,
				   "ScyllaDB at %.60s refuses user \"%.40s\" or its password: %.100s", points,
				   config->user == NULL ? "" : config->user, text);
	case PC_DENIED:
		return error_noted(note, ERROR_PERMISSION_DENIED, "ScyllaDB at %.60s: user \"%.40s\" may not: %.100s", points,
				   config->user == NULL ? "" : config->user, text);
	case PC_INVALID:
		return error_noted(note, ERROR_FAILED_PRECONDITION,
				   "keyspace %s is not as this version needs it (pingctl migrate makes it so): %.150s",
				   config->keyspace, text);
	default:
		return error_noted(note, error_of(status), "ScyllaDB at %.60s: %.180s", points, text);
	}
}

/* ─── Connecting ────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* How many nodes the datacenter has of a text like "dc1=3,dc2=3"; NULL: all of them. *ret_count: datacenters. */
static int count_nodes(const char *datacenters, const char *name, int *ret_count)
{
	int nodes = 0, count = 0;
	for (const char *at = datacenters; *at != 0; count++) {
		const char *end = at + strcspn(at, ","), *equals = memrchr(at, '=', (size_t)(end - at));
		if (equals != NULL &&
		    (name == NULL || (strlen(name) == (size_t)(equals - at) && memcmp(at, name, strlen(name)) == 0)))
			nodes += (int)strtol(equals + 1, NULL, 10);
		at = *end == 0 ? end : end + 1;
	}
	*ret_count = count;
	return nodes;
}

int cql_local_nodes(struct cql_connection *connection)
{
	char datacenters[TEXT_SIZE] = "";
	int count;
	pc_datacenters(connection->session, datacenters, sizeof datacenters);
	return count_nodes(datacenters, connection->config->datacenter, &count);
}

/* LOCAL_QUORUM is of the datacenter of whoever is asked: it must always be the same one. */
static enum error check_datacenter(struct cql_connection *connection, struct error_note *note)
{
	const char *name = connection->config->datacenter;
	char datacenters[TEXT_SIZE] = "";
	int count;
	pc_datacenters(connection->session, datacenters, sizeof datacenters);
	int nodes = count_nodes(datacenters, name, &count);
	if (name == NULL && count > 1)
		return error_noted(
			note, ERROR_FAILED_PRECONDITION,
			"the cluster has several datacenters (%.100s): say which is near with ?datacenter=NAME in --store",
			datacenters);
	if (name != NULL && nodes == 0)
		return error_noted(note, ERROR_FAILED_PRECONDITION, "the cluster has no datacenter \"%.60s\", it has %.100s",
				   name, datacenters);
	return ERROR_OK;
}

static enum error prepare(struct cql_connection *connection, struct error_note *note)
{
	char text[TEXT_SIZE] = "";
	for (size_t i = 0; i < connection->statement_count; i++) {
		const struct cql_statement *statement = &connection->texts[i];
		enum pc_status status = pc_prepare(connection->session, statement->text, statement->traits,
						   statement->page_size == 0 ? DEFAULT_PAGE_SIZE : statement->page_size,
						   &connection->statements[i], text, sizeof text);
		if (status != PC_OK)
			return told(connection, status, text, note);
	}
	return ERROR_OK;
}

enum error cql_connect(struct cql_connection *connection, struct error_note *note)
{
	if (connection->session != NULL)
		return ERROR_OK;
	const struct cql_config *config = connection->config;
	const struct pc_options options = {
		.contact_points = (const char *)config->contact_points.data,
		.keyspace = connection->keyspace ? config->keyspace : NULL,
		.user = config->user,
		.password = config->password,
		.local_datacenter = config->datacenter,
		.tls = config->tls,
		.tls_ca = config->tls_ca,
		.tls_cert = config->tls_cert,
		.tls_key = config->tls_key,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.request_timeout_ms = config->timeout_ms,
		.max_in_flight = CQL_IN_FLIGHT,
	};
	char text[TEXT_SIZE] = "";
	enum pc_status status = pc_connect(&options, &connection->session, text, sizeof text);
	if (status != PC_OK)
		return told(connection, status, text, note);
	enum error error = check_datacenter(connection, note);
	if (error == ERROR_OK)
		error = prepare(connection, note);
	if (error != ERROR_OK)
		disconnect(connection);
	return error;
}

enum error cql_connect_patiently(struct cql_connection *connection, struct error_note *note)
{
	enum { ATTEMPTS = 50, POLL_MS = 200 };
	enum error error = ERROR_OK;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		error = cql_connect(connection, note);
		if (error != ERROR_FAILED_PRECONDITION)
			break;
		clock_sleep_ms(POLL_MS);
	}
	return error;
}

enum error cql_run_text(struct cql_connection *connection, const char *text, struct error_note *note)
{
	char why[TEXT_SIZE] = "";
	enum error error = cql_connect(connection, note);
	if (error != ERROR_OK)
		return error;
	enum pc_status status = pc_run(connection->session, text, why, sizeof why);
	if (status == PC_INVALID)
		return error_noted(note, ERROR_FAILED_PRECONDITION, "\"%.60s…\": %.160s", text, why);
	return status == PC_OK ? ERROR_OK : told(connection, status, why, note);
}

/* ─── Rounds ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* On a thread of the driver's. */
static void on_done(void *context, struct pc_result *result)
{
	struct slot *slot = context;
	struct cql_connection *connection = slot->connection;
	slot->result = result;
	slot->next = NULL;
	pthread_mutex_lock(&connection->lock);
	*connection->answered_end = slot;
	connection->answered_end = &slot->next;
	pthread_cond_signal(&connection->came);
	pthread_mutex_unlock(&connection->lock);
}

/* All that has come, waiting for one. */
static struct slot *wait_for_answers(struct cql_connection *connection)
{
	pthread_mutex_lock(&connection->lock);
	while (connection->answered == NULL)
		pthread_cond_wait(&connection->came, &connection->lock);
	struct slot *slots = connection->answered;
	connection->answered = NULL;
	connection->answered_end = &connection->answered;
	pthread_mutex_unlock(&connection->lock);
	return slots;
}

static enum error send(struct cql_connection *connection, size_t index, const struct cql_request *request,
		       const struct pc_result *after, struct error_note *note)
{
	struct pc_call calls[CQL_MAX_CALLS];
	struct slot *slot = connection->free;
	for (size_t i = 0; i < request->call_count; i++)
		calls[i] = (struct pc_call){connection->statements[request->calls[i].statement],
					    &request->cells[request->calls[i].first], request->calls[i].count};
	connection->free = slot->next;
	connection->under_way++;
	slot->index = index;
	enum pc_status status = pc_execute(connection->session, calls, request->call_count, after, on_done, slot);
	if (status == PC_OK)
		return ERROR_OK;
	connection->under_way--;
	slot->next = connection->free;
	connection->free = slot;
	return told(connection, status, "too many requests at once", note);
}

/* Hands the answer over and asks for its next page. */
static enum error take_answer(struct cql_connection *connection, const struct cql_round *round, struct slot *slot, bool going,
			      struct error_note *note)
{
	struct pc_result *result = slot->result;
	size_t index = slot->index;
	slot->next = connection->free;
	connection->free = slot;
	connection->under_way--;
	enum pc_status status = pc_result_status(result);
	enum error error = status == PC_OK ? ERROR_OK : told(connection, status, pc_result_text(result), note);
	bool more = pc_result_more(result);
	if (error == ERROR_OK && going && round->answer != NULL)
		error = round->answer(round->context, index, result, !more, note);
	if (error == ERROR_OK && going && more) {
		struct cql_request request = {0};
		round->ask(round->context, index, &request);
		error = send(connection, index, &request, result, note);
	}
	pc_result_free(result);
	return error == ERROR_END ? ERROR_OK : error;
}

static enum error take_answers(struct cql_connection *connection, const struct cql_round *round, enum error error,
			       struct error_note *note)
{
	struct slot *slot = wait_for_answers(connection);
	while (slot != NULL) {
		struct slot *next = slot->next;
		enum error other = take_answer(connection, round, slot, error == ERROR_OK, error == ERROR_OK ? note : NULL);
		if (error == ERROR_OK)
			error = other;
		slot = next;
	}
	return error;
}

enum error cql_run(struct cql_connection *connection, const struct cql_round *round, struct error_note *note)
{
	enum error error = round->count == 0 ? ERROR_OK : cql_connect(connection, note);
	for (size_t next = 0; (error == ERROR_OK && next < round->count) || connection->under_way > 0;) {
		struct cql_request request = {0};
		if (error != ERROR_OK || next == round->count || connection->free == NULL) {
			error = take_answers(connection, round, error, note);
			continue;
		}
		round->ask(round->context, next, &request);
		if (request.call_count > 0)
			error = send(connection, next, &request, NULL, note);
		next++;
	}
	return error;
}

enum error cql_ask_page(struct cql_connection *connection, const struct cql_request *request, const struct pc_result *after,
			struct pc_result **ret_rows, struct error_note *note)
{
	enum error error = cql_connect(connection, note);
	if (error == ERROR_OK)
		error = send(connection, 0, request, after, note);
	if (error != ERROR_OK)
		return error;
	struct slot *slot = wait_for_answers(connection);
	struct pc_result *result = slot->result;
	slot->next = connection->free;
	connection->free = slot;
	connection->under_way--;
	enum pc_status status = pc_result_status(result);
	if (status != PC_OK) {
		error = told(connection, status, pc_result_text(result), note);
		pc_result_free(result);
		return error;
	}
	*ret_rows = result;
	return ERROR_OK;
}

enum error cql_ask(struct cql_connection *connection, const struct cql_request *request, struct pc_result **ret_rows,
		   struct error_note *note)
{
	return cql_ask_page(connection, request, NULL, ret_rows, note);
}
