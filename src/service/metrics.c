#include "service/metrics.h"

#include "query/query.h"
#include "query/request.h"
#include "service/answer.h"
#include "service/convert.h"

#include <stdio.h>
#include <string.h>

/* One question between request and answer, in the call's arena. */
struct question {
	struct work work;
	struct task task;
	struct rpc_call *call;
	const struct question_endpoint *endpoint;
	const void *request;
	const void *response;
	enum error error;
	struct error_note note;
};

static struct question *question_of_work(const struct work *work)
{
	return (struct question *)work;
}

static enum error run(struct work *work, struct readers *readers, struct error_note *note)
{
	struct question *question = question_of_work(work);
	enum error error = question->endpoint->answer(question, readers, note);
	if (error == ERROR_OK)
		rpc_call_prepare(question->call, question->response);
	return error;
}

static bool canceled(const struct work *work)
{
	return rpc_call_canceled(question_of_work(work)->call);
}

/* On the call's thread. */
static void answer(struct task *task)
{
	struct question *question = (struct question *)((char *)task - offsetof(struct question, task));
	if (question->error == ERROR_OK)
		rpc_call_reply(question->call, question->response);
	else
		answer_error(question->call, question->error, &question->note);
}

static void done(struct work *work, enum error error, const struct error_note *note)
{
	struct question *question = question_of_work(work);
	question->error = error;
	question->note = *note;
	question->task.run = answer;
	executor_post(rpc_call_executor(question->call), &question->task);
}

void question_handle(struct rpc_call *call, const void *request, void *context)
{
	const struct question_endpoint *endpoint = context;
	struct question *question = arena_alloc(rpc_call_arena(call), sizeof *question);
	if (question == NULL) {
		rpc_call_fail(call, ERROR_NO_MEMORY, NULL);
		return;
	}
	*question = (struct question){
		.work = {.run = run, .done = done, .canceled = canceled}, .call = call, .endpoint = endpoint, .request = request};
	enum error error = workers_submit(endpoint->shared->workers, &question->work);
	if (error != ERROR_OK)
		rpc_call_fail(call, error, NULL);
}

static struct arena *arena_of(const struct question *question)
{
	return rpc_call_arena(question->call);
}

static int64_t now_of(const struct question *question)
{
	return clock_wall_ms(question->endpoint->shared->clock);
}

static struct ping_v1_time_range range_of(const struct ping_v1_time_range *range)
{
	return range != NULL ? *range : (struct ping_v1_time_range){0};
}

enum error answer_ping_count(struct question *question, struct readers *readers, struct error_note *note)
{
	const struct ping_v1_ping_count_request *request = question->request;
	struct ping_v1_time_range range = range_of(request->time_range);
	struct ping_v1_ping_count_response *response = arena_alloc(arena_of(question), sizeof *response);
	if (response == NULL)
		return ERROR_NO_MEMORY;
	struct ledger_reader *ledger;
	enum error error = query_check_range(range.start, range.end, note);
	if (error == ERROR_OK)
		error = readers_ledger(readers, &ledger, note);
	if (error == ERROR_OK)
		error = ledger->vtable->count(ledger, range.start, range.end, &response->ping_count, note);
	question->response = response;
	return error;
}

enum error answer_list_window_stats(struct question *question, struct readers *readers, struct error_note *note)
{
	const struct ping_v1_list_window_stats_request *request = question->request;
	struct arena *arena = arena_of(question);
	struct ping_v1_time_range range = range_of(request->time_range);
	struct query_rows_request query = {
		.start_ms = range.start, .end_ms = range.end, .page_size = request->page_size, .page_token = request->page_token};
	struct store_reader *store;
	struct query_window_page page;
	enum error error = readers_store(readers, &store, note);
	if (error == ERROR_OK)
		error = query_parse_client(request->client_ip, &query.client, note);
	if (error == ERROR_OK)
		error = query_list_windows(store, &query, arena, &page, note);
	if (error != ERROR_OK)
		return error;

	struct slice client_ip = convert_client(&query.client, arena);
	struct ping_v1_list_window_stats_response *response = arena_alloc(arena, sizeof *response);
	struct ping_v1_window_stats *items = arena_alloc_array(arena, page.count, sizeof *items);
	if (client_ip.data == NULL || response == NULL || items == NULL)
		return ERROR_NO_MEMORY;
	int64_t now_ms = now_of(question);
	for (size_t i = 0; i < page.count; i++)
		items[i] = convert_window(&page.rows[i], client_ip, now_ms);
	response->window_stats.items = items;
	response->window_stats.count = page.count;
	response->next_page_token = page.next_page_token;
	question->response = response;
	return ERROR_OK;
}

enum error answer_list_daily_stats(struct question *question, struct readers *readers, struct error_note *note)
{
	const struct ping_v1_list_daily_stats_request *request = question->request;
	struct arena *arena = arena_of(question);
	struct ping_v1_time_range range = range_of(request->time_range);
	struct query_rows_request query = {
		.start_ms = range.start, .end_ms = range.end, .page_size = request->page_size, .page_token = request->page_token};
	struct store_reader *store;
	struct query_day_page page;
	enum error error = readers_store(readers, &store, note);
	if (error == ERROR_OK)
		error = query_parse_client(request->client_ip, &query.client, note);
	if (error == ERROR_OK)
		error = query_list_days(store, &query, arena, &page, note);
	if (error != ERROR_OK)
		return error;

	struct slice client_ip = convert_client(&query.client, arena);
	struct ping_v1_list_daily_stats_response *response = arena_alloc(arena, sizeof *response);
	struct ping_v1_daily_stats *items = arena_alloc_array(arena, page.count, sizeof *items);
	if (client_ip.data == NULL || response == NULL || items == NULL)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < page.count && error == ERROR_OK; i++)
		error = convert_day(&page.rows[i], client_ip, arena, &items[i]);
	response->daily_stats.items = items;
	response->daily_stats.count = page.count;
	response->next_page_token = page.next_page_token;
	question->response = response;
	return error;
}

enum error answer_get_activity(struct question *question, struct readers *readers, struct error_note *note)
{
	const struct ping_v1_get_activity_request *request = question->request;
	struct arena *arena = arena_of(question);
	int64_t now_ms = now_of(question);
	struct address client;
	struct store_reader *store;
	struct query_activity activity;
	enum error error = readers_store(readers, &store, note);
	if (error == ERROR_OK)
		error = query_parse_client(request->client_ip, &client, note);
	if (error == ERROR_OK)
		error = query_get_activity(store, &client, now_ms, arena, &activity, note);
	if (error != ERROR_OK)
		return error;

	struct ping_v1_get_activity_response *response = arena_alloc(arena, sizeof *response);
	struct ping_v1_activity *message = arena_alloc(arena, sizeof *message);
	if (response == NULL || message == NULL)
		return ERROR_NO_MEMORY;
	response->activity = message;
	question->response = response;
	return convert_activity(&activity, now_ms, arena, message);
}

static enum error resolve_order(enum ping_v1_client_order asked, enum store_client_order *ret_order, struct error_note *note)
{
	switch (asked) {
	case PING_V1_CLIENT_ORDER_UNSPECIFIED:
	case PING_V1_CLIENT_ORDER_PING_COUNT:
		*ret_order = STORE_ORDER_PING_COUNT;
		return ERROR_OK;
	case PING_V1_CLIENT_ORDER_LAST_PING:
		*ret_order = STORE_ORDER_LAST_PING;
		return ERROR_OK;
	case PING_V1_CLIENT_ORDER_CLIENT_IP:
		*ret_order = STORE_ORDER_CLIENT_IP;
		return ERROR_OK;
	}
	return error_noted(note, ERROR_INVALID_ARGUMENT, "order_by: %d is no order; ping count 1, last ping 2 or client ip 3",
			   (int)asked);
}

enum error answer_list_clients(struct question *question, struct readers *readers, struct error_note *note)
{
	const struct ping_v1_list_clients_request *request = question->request;
	struct arena *arena = arena_of(question);
	struct query_clients_request query = {
		.prefix = request->prefix,
		.now_ms = now_of(question),
		.page_size = request->page_size,
		.page_token = request->page_token,
		.counts = request->include_window_counts,
	};
	struct store_reader *store;
	struct query_client_page page;
	enum error error = readers_store(readers, &store, note);
	if (error == ERROR_OK)
		error = resolve_order(request->order_by, &query.order, note);
	if (error == ERROR_OK)
		error = query_list_clients(store, &query, arena, &page, note);
	if (error != ERROR_OK)
		return error;

	struct ping_v1_list_clients_response *response = arena_alloc(arena, sizeof *response);
	struct ping_v1_activity *items = arena_alloc_array(arena, page.count, sizeof *items);
	if (response == NULL || items == NULL)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < page.count && error == ERROR_OK; i++)
		error = convert_activity(&page.clients[i], query.now_ms, arena, &items[i]);
	response->clients.items = items;
	response->clients.count = page.count;
	response->next_page_token = page.next_page_token;
	question->response = response;
	return error;
}

/* A status that fails while a part is down would be of no use: without a store its numbers are 0, and the dependencies say why.
 */
static struct store_totals read_totals(struct readers *readers, struct metrics_context *shared)
{
	struct store_totals totals = {0};
	struct error_note note = {""};
	struct store_reader *store;
	if (readers_store(readers, &store, &note) != ERROR_OK)
		return totals;
	enum error error = totals_read(&shared->totals, store, shared->clock, &totals, &note);
	if (error != ERROR_OK)
		readers_failed(readers, error, &note);
	return totals;
}

static enum error convert_health(struct health *health, struct arena *arena,
				 struct ping_v1_get_pipeline_status_response *response)
{
	struct health_dependency dependencies[HEALTH_MAX_DEPENDENCIES];
	size_t count = health_snapshot(health, dependencies);
	struct ping_v1_dependency *items = arena_alloc_array(arena, count, sizeof *items);
	if (items == NULL)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < count; i++) {
		enum error error = convert_dependency(&dependencies[i], arena, &items[i]);
		if (error != ERROR_OK)
			return error;
	}
	response->dependencies.items = items;
	response->dependencies.count = count;
	return ERROR_OK;
}

static enum error convert_engine(const struct pipeline_status *status, struct arena *arena,
				 struct ping_v1_get_pipeline_status_response *response)
{
	if (!status->has_engine)
		return ERROR_OK;
	struct ping_v1_engine_figures *figures = arena_alloc(arena, sizeof *figures);
	struct ping_v1_partition_figures *items = arena_alloc_array(arena, status->partition_count, sizeof *items);
	if (figures == NULL || items == NULL)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < status->partition_count; i++) {
		const struct pipeline_partition *partition = &status->partitions[i];
		items[i] = (struct ping_v1_partition_figures){.partition = partition->partition,
							      .lag_events = partition->lag_events,
							      .applied_events = partition->applied_events,
							      .newest_applied_ms = partition->newest_applied_ms};
	}
	*figures = (struct ping_v1_engine_figures){.cache_hit_ratio = status->cache_hit_ratio,
						   .rows_per_flush = status->rows_per_flush,
						   .store_read_ms = status->store_read_ms,
						   .store_write_ms = status->store_write_ms,
						   .rebalanced_partitions = status->rebalanced_partitions,
						   .repaired_rows = status->repaired_rows};
	figures->partitions.items = items;
	figures->partitions.count = status->partition_count;
	response->engine_figures = figures;
	return ERROR_OK;
}

static enum error convert_owner(const struct store_engine *engine, struct arena *arena,
				struct ping_v1_get_pipeline_status_response *response)
{
	if (engine->kind[0] == 0)
		return ERROR_OK;
	struct ping_v1_engine_owner *owner = arena_alloc(arena, sizeof *owner);
	char *kind = arena_alloc(arena, sizeof engine->kind), *text = arena_alloc(arena, 2 * sizeof engine->owner + 3);
	if (owner == NULL || kind == NULL || text == NULL)
		return ERROR_NO_MEMORY;
	memcpy(kind, engine->kind, sizeof engine->kind);
	memcpy(text, engine->has_owner ? "0x" : "\0\0", 3);
	for (size_t i = 0; i < sizeof engine->owner && engine->has_owner; i++)
		snprintf(&text[2 + 2 * i], 3, "%02x", engine->owner[i]);
	*owner = (struct ping_v1_engine_owner){
		.kind = slice_from_string(kind), .heartbeat_ms = engine->heartbeat_ms, .owner = slice_from_string(text)};
	response->engine_owner = owner;
	return ERROR_OK;
}

/* This process's own, where it fills the store; else whoever was heard of. */
static void name_engine(const struct store_engine *engine, int64_t now_ms, struct ping_v1_get_pipeline_status_response *response)
{
	if (response->engine.size == 0 && response->engine_owner != NULL && now_ms - engine->heartbeat_ms < STORE_ENGINE_FRESH_MS)
		response->engine = response->engine_owner->kind;
}

enum error answer_get_pipeline_status(struct question *question, struct readers *readers, struct error_note *note)
{
	(void)note;
	struct metrics_context *shared = question->endpoint->shared;
	struct ping_v1_get_pipeline_status_response *response = arena_alloc(arena_of(question), sizeof *response);
	if (response == NULL)
		return ERROR_NO_MEMORY;
	struct store_totals totals = read_totals(readers, shared);
	struct pipeline_status status = {.version = "", .ledger = "", .log = "", .store = "", .engine = ""};
	shared->status->read(shared->status, &status);
	*response = (struct ping_v1_get_pipeline_status_response){
		.version = slice_from_string(status.version),
		.ledger = slice_from_string(status.ledger),
		.log = slice_from_string(status.log),
		.store = slice_from_string(status.store),
		.engine = slice_from_string(status.engine),
		.lag_events = status.lag_events,
		.newest_applied_ms = status.newest_applied_ms,
		.dead_letters = status.dead_letters,
		.open_windows = totals.open_windows,
		.active_clients = totals.active_clients,
		.clients = totals.clients,
		.pings_per_second = rate_per_second(shared->rate, clock_monotonic_us(shared->clock)),
	};
	question->response = response;
	enum error error = convert_engine(&status, arena_of(question), response);
	if (error == ERROR_OK)
		error = convert_owner(&totals.engine, arena_of(question), response);
	name_engine(&totals.engine, clock_wall_ms(shared->clock), response);
	return error == ERROR_OK ? convert_health(shared->health, arena_of(question), response) : error;
}
