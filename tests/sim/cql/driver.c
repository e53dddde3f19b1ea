/* The driver's C interface over the simulated server: an answer is there before pc_execute returns, for whatever may happen
 * meanwhile happened in it. */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ping_cql.h>

static struct net *net;

struct pc_session {
	struct net_process *process;
};

struct pc_statement {
	const struct cass_statement *statement;
	bool idempotent;
	size_t page_size;
};

struct pc_result {
	enum pc_status status;
	struct cass_answer answer;
};

/* Statements with their values: one request, and what is kept of one that is late. */
enum { CALLS_MAX = 16, BOUND_MAX = 16 };
struct call {
	const struct cass_statement *statement;
	struct cass_value bound[BOUND_MAX];
};
struct request {
	int writer;
	size_t count, page_size;
	bool reads, idempotent, counts; /* counts: adds to a counter */
	struct call calls[CALLS_MAX];
};

void net_init(struct net *made, struct world *world)
{
	*made = (struct net){.world = world};
	cassandra_init(&made->cassandra);
	rowset_init(&made->air, sizeof(struct request), NULL);
	net = made;
}

void net_release(struct net *made)
{
	cassandra_release(&made->cassandra);
	rowset_release(&made->air);
	net = NULL;
}

/* ─── Fates ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum fate {
	CARRIED_OUT,
	CARRIED_OUT_TWICE, /* now, and once more later */
	REFUSED,	   /* known: not carried out */
	ANSWER_LOST,	   /* carried out, which the sender does not know */
	LATE,		   /* not yet carried out, the same */
	NEVER,
};

static enum fate unknown_fate(void)
{
	static const enum fate fates[] = {ANSWER_LOST, NEVER, LATE};
	return fates[random_below(world_random(net->world), net->late ? 3 : 2)];
}

static enum fate draw_fate(struct net_process *process, const struct request *request)
{
	if (process->dead)
		return NEVER;
	if (net->quiet)
		return CARRIED_OUT;
	if (world_once_in(net->world, net->crash_once_in)) {
		process->dead = true;
		net->crashes++;
		world_trace(net->world, "dies in a request", process->number, 0);
		return unknown_fate();
	}
	if (net->world->true_us < net->down_until_us) {
		net->failures++;
		return world_once_in(net->world, 4) ? unknown_fate() : REFUSED;
	}
	if (!world_once_in(net->world, request->counts ? net->counter_fails_once_in : net->fail_once_in))
		return net->late && request->idempotent && world_once_in(net->world, 50) ? CARRIED_OUT_TWICE : CARRIED_OUT;
	net->failures++;
	return world_once_in(net->world, 4) ? REFUSED : unknown_fate();
}

static void carry_out(const struct request *request, const struct cass_answer *after, struct cass_answer *ret_answer)
{
	struct cass_answer answer = {0};
	net->cassandra.now_us = world_true_ms(net->world) * 1000 + net->world->true_us % 1000;
	for (size_t i = 0; i < request->count; i++) {
		cass_answer_release(&answer);
		cassandra_execute(&net->cassandra, request->calls[i].statement, request->calls[i].bound, request->page_size,
				  after, request->writer, &answer);
	}
	*ret_answer = answer;
}

static void keep_in_air(const struct request *request)
{
	if (!request->reads && net->air.count < NET_AIR_MAX)
		rowset_append(&net->air, request);
}

bool net_land(struct net *landing)
{
	if (landing->air.count == 0)
		return false;
	size_t index = (size_t)random_below(world_random(landing->world), landing->air.count);
	struct request request = *(struct request *)rowset_at(&landing->air, index);
	struct cass_answer answer;
	rowset_remove(&landing->air, index);
	world_trace(landing->world, "lands late", request.writer, (int64_t)landing->air.count);
	carry_out(&request, NULL, &answer);
	cass_answer_release(&answer);
	return true;
}

/* ─── Sessions ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum pc_status pc_connect(const struct pc_options *options, struct pc_session **ret_session, char *ret_text, size_t text_size)
{
	(void)options;
	struct pc_session *session = calloc(1, sizeof *session);
	if (session == NULL)
		abort();
	session->process = net->current;
	if (session->process->dead || (!net->quiet && net->world->true_us < net->down_until_us)) {
		free(session);
		snprintf(ret_text, text_size, "nobody answers");
		return PC_UNAVAILABLE;
	}
	*ret_session = session;
	return PC_OK;
}

void pc_disconnect(struct pc_session *session)
{
	free(session);
}

void pc_datacenters(struct pc_session *session, char *ret_text, size_t text_size)
{
	(void)session;
	snprintf(ret_text, text_size, "dc1=3");
}

enum pc_status pc_run(struct pc_session *session, const char *text, char *ret_error, size_t error_size)
{
	(void)ret_error;
	(void)error_size;
	struct request request = {.writer = session->process->number, .count = 1};
	struct cass_answer answer;
	request.calls[0].statement = cassandra_prepare(&net->cassandra, text);
	carry_out(&request, NULL, &answer);
	cass_answer_release(&answer);
	return PC_OK;
}

enum pc_status pc_prepare(struct pc_session *session, const char *text, unsigned traits, int32_t page_size,
			  struct pc_statement **ret_statement, char *ret_error, size_t error_size)
{
	(void)session;
	(void)ret_error;
	(void)error_size;
	struct pc_statement *statement = calloc(1, sizeof *statement);
	if (statement == NULL)
		abort();
	statement->statement = cassandra_prepare(&net->cassandra, text);
	statement->idempotent = (traits & PC_IDEMPOTENT) != 0;
	statement->page_size = (size_t)page_size;
	*ret_statement = statement;
	return PC_OK;
}

void pc_statement_free(struct pc_statement *statement)
{
	free(statement);
}

const char *pc_version(void)
{
	return "simulated";
}

/* ─── Requests ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void copy_call(struct call *call, const struct pc_call *from)
{
	call->statement = from->statement->statement;
	if (from->count != call->statement->bound_count || from->count > BOUND_MAX)
		cass_fail(call->statement->text, "another number of values");
	for (size_t i = 0; i < from->count; i++) {
		const struct pc_cell *cell = &from->cells[i];
		if (cell->size < -1 || cell->size > VALUE_MAX)
			cass_fail(call->statement->text, "a value that is too long, or left out");
		call->bound[i].size = cell->size;
		if (cell->size > 0)
			memcpy(call->bound[i].data, cell->data, (size_t)cell->size);
	}
}

static void copy_request(struct request *request, const struct pc_session *session, const struct pc_call *calls, size_t count)
{
	if (count == 0 || count > CALLS_MAX)
		cass_fail("a batch", "too many statements");
	request->writer = session->process->number;
	request->count = count;
	request->page_size = calls[0].statement->page_size;
	request->idempotent = true;
	request->counts = false;
	request->reads = calls[0].statement->statement->verb == VERB_SELECT;
	for (size_t i = 0; i < count; i++) {
		request->idempotent &= calls[i].statement->idempotent;
		request->counts |= calls[i].statement->statement->assignments[0].sign != 0;
		copy_call(&request->calls[i], &calls[i]);
	}
}

enum pc_status pc_execute(struct pc_session *session, const struct pc_call *calls, size_t count, const struct pc_result *after,
			  pc_done done, void *context)
{
	struct request request;
	struct pc_result *result = calloc(1, sizeof *result);
	if (result == NULL)
		abort();
	copy_request(&request, session, calls, count);
	net->requests++;
	if (net->pause != NULL)
		net->pause(net->context, session->process);
	enum fate fate = draw_fate(session->process, &request);
	if (fate == CARRIED_OUT || fate == CARRIED_OUT_TWICE || fate == ANSWER_LOST)
		carry_out(&request, after == NULL ? NULL : &after->answer, &result->answer);
	if (fate == CARRIED_OUT_TWICE || fate == LATE)
		keep_in_air(&request);
	result->status = fate == CARRIED_OUT || fate == CARRIED_OUT_TWICE ? PC_OK : fate == REFUSED ? PC_UNAVAILABLE : PC_UNKNOWN;
	if (session->process->dead)
		result->status = PC_UNKNOWN;
	done(context, result);
	return PC_OK;
}

enum pc_status pc_result_status(const struct pc_result *result)
{
	return result->status;
}

const char *pc_result_text(const struct pc_result *result)
{
	return result->status == PC_OK ? "" : result->status == PC_UNKNOWN ? "a timeout" : "overloaded";
}

size_t pc_result_rows(const struct pc_result *result)
{
	return result->answer.rows;
}

size_t pc_result_columns(const struct pc_result *result)
{
	return result->answer.columns;
}

struct pc_cell pc_result_cell(const struct pc_result *result, size_t row, size_t column)
{
	const struct cass_value *value = &result->answer.values[row * result->answer.columns + column];
	return (struct pc_cell){value->size < 0 ? NULL : value->data, value->size};
}

bool pc_result_more(const struct pc_result *result)
{
	return result->answer.more;
}

void pc_result_free(struct pc_result *result)
{
	if (result == NULL)
		return;
	cass_answer_release(&result->answer);
	free(result);
}
