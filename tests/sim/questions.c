#include "questions.h"

#include "query/query.h"

enum { ARENA_LIMIT = 16 << 20 };

struct question {
	struct truth *truth;
	struct world *world;
	struct ledger_reader *ledger;
	struct store_reader *store;
	struct address client;
	int64_t now_ms;
	int64_t position; /* that the store stands at */
	struct arena arena;
};

static void must_be_ok(const struct question *question, const char *what, enum error error)
{
	if (error != ERROR_OK)
		world_fail(question->world, "%s: %s", what, error_name(error));
}

/* Mostly open at one end, sometimes between two times of the last days. */
static void choose_range(struct world *world, int64_t now_ms, int64_t *ret_start_ms, int64_t *ret_end_ms)
{
	*ret_start_ms = world_once_in(world, 2) ? 0 : now_ms - world_between(world, 0, INT64_C(3) * 86400000);
	*ret_end_ms = world_once_in(world, 2) ? 0 : *ret_start_ms + world_between(world, 0, INT64_C(2) * 86400000);
}

static void ask_count(struct question *question)
{
	int64_t start_ms, end_ms, count;
	choose_range(question->world, question->now_ms, &start_ms, &end_ms);
	must_be_ok(question, "count", question->ledger->vtable->count(question->ledger, start_ms, end_ms, &count, NULL));
	int64_t should = truth_count(question->truth, start_ms, end_ms);
	if (count != should)
		world_fail(question->world, "the count is %lld, should be %lld", (long long)count, (long long)should);
}

static struct query_rows_request rows_request(struct question *question)
{
	struct query_rows_request request = {.client = question->client,
					     .page_size = (int32_t)world_between(question->world, 0, 20)};
	choose_range(question->world, question->now_ms, &request.start_ms, &request.end_ms);
	return request;
}

static void ask_windows(struct question *question)
{
	struct query_rows_request request = rows_request(question);
	struct rowset rows;
	rowset_init(&rows, sizeof(struct window_row), NULL);
	do {
		struct query_window_page page;
		must_be_ok(question, "list of windows",
			   query_list_windows(question->store, &request, &question->arena, &page, NULL));
		for (size_t i = 0; i < page.count; i++)
			rowset_append(&rows, &page.rows[i]);
		request.page_token = page.next_page_token;
	} while (request.page_token.size > 0);
	truth_check_windows(question->truth, &request.client, request.start_ms, request.end_ms, question->position,
			    (const void *)rows.rows, rows.count);
	rowset_release(&rows);
}

static void ask_days(struct question *question)
{
	struct query_rows_request request = rows_request(question);
	struct rowset rows;
	rowset_init(&rows, sizeof(struct day_row), NULL);
	do {
		struct query_day_page page;
		must_be_ok(question, "list of days", query_list_days(question->store, &request, &question->arena, &page, NULL));
		for (size_t i = 0; i < page.count; i++)
			rowset_append(&rows, &page.rows[i]);
		request.page_token = page.next_page_token;
	} while (request.page_token.size > 0);
	truth_check_days(question->truth, &request.client, request.start_ms, request.end_ms, question->position,
			 (const void *)rows.rows, rows.count);
	rowset_release(&rows);
}

/* An answer about 24 hours. Who was silent in them is shown with the first and last ping of all time. */
static void check_activity(struct question *question, const struct query_activity *answer)
{
	struct activity_row row = answer->row;
	int64_t sum = 0;
	for (int i = 0; answer->counts != NULL && i < ACTIVITY_WINDOWS; i++)
		sum += answer->counts[i];
	if (answer->counts != NULL && sum != row.count)
		world_fail(question->world, "the windows' counts add up to %lld, the activity says %lld", (long long)sum,
			   (long long)row.count);
	struct client_row client = {0};
	if (row.count == 0) {
		truth_client(question->truth, &row.client, question->position, &client);
		if (row.first_ms != client.first_ms || row.last_ms != client.last_ms)
			world_fail(question->world, "a silent client's first and last ping are wrong");
		row.first_ms = row.last_ms = 0;
	}
	truth_check_activity(question->truth, &row, question->now_ms, question->position);
}

static void ask_activity(struct question *question)
{
	struct query_activity answer;
	must_be_ok(question, "activity",
		   query_get_activity(question->store, &question->client, question->now_ms, &question->arena, &answer, NULL));
	if (!question->truth->torn)
		check_activity(question, &answer);
}

static void ask_clients(struct question *question)
{
	struct query_clients_request request = {
		.order = (enum store_client_order)world_between(question->world, STORE_ORDER_PING_COUNT, STORE_ORDER_CLIENT_IP),
		.now_ms = question->now_ms,
		.page_size = (int32_t)world_between(question->world, 0, 5),
		.counts = world_once_in(question->world, 2)};
	do {
		struct query_client_page page;
		must_be_ok(question, "list of clients",
			   query_list_clients(question->store, &request, &question->arena, &page, NULL));
		for (size_t i = 0; !question->truth->torn && i < page.count; i++)
			check_activity(question, &page.clients[i]);
		request.page_token = page.next_page_token;
	} while (request.page_token.size > 0);
}

void questions_ask(struct truth *truth, const struct clients *clients, struct ledger_reader *ledger, struct store_reader *store)
{
	static void (*const asks[])(struct question * question) = {ask_count, ask_windows, ask_days, ask_activity, ask_clients};
	struct question question = {.truth = truth,
				    .world = truth->world,
				    .ledger = ledger,
				    .store = store,
				    .now_ms = clock_wall_ms(&truth->world->clock)};
	question.client =
		*clients_address(clients, (size_t)world_between(question.world, 0, (int64_t)clients_count(clients) - 1));
	arena_init(&question.arena, ARENA_LIMIT);
	struct store_totals totals;
	must_be_ok(&question, "totals", store->vtable->totals(store, question.now_ms, &totals, NULL));
	question.position = totals.position;
	asks[world_between(question.world, 0, 4)](&question);
	arena_release(&question.arena);
}
