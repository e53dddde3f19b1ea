#include "adapter/cql/store.h"

/* What a process that was stopped adds to a counter long after it was followed, nothing can keep out: here it is found, page
 * after page of daily_totals, however old the day is. This thread writes the totals of its partitions, so that they stay as they
 * are read. */

enum { PAGE = 64 };

/* What was under way to the store when its sender died lands within seconds, or when a node is there again. From then on the
 * sweep is in a hurry, until a whole round found nothing left; with so many rows that this takes long, it goes on slowly. */
#define LATE_US	  INT64_C(10000000)
#define URGENT_US INT64_C(600000000)

struct page {
	struct cql_store *store;
	struct day_row days[PAGE];
	size_t count;
	bool differs[PAGE];
};

/* The next days whose partitions are ours; at the end it begins anew. */
static enum error read_days(struct page *page, struct error_note *note)
{
	struct cql_store *store = page->store;
	struct cql_request request = {0};
	struct pc_result *rows;
	cql_call(&request, CQL_ALL_DAYS);
	enum error error = cql_ask_page(store->connection, &request, store->swept, &rows, note);
	pc_result_free(store->swept);
	store->swept = NULL;
	if (error != ERROR_OK)
		return error;
	for (size_t row = 0; row < pc_result_rows(rows) && page->count < PAGE; row++) {
		struct day_row *day = &page->days[page->count];
		*day = (struct day_row){0};
		if (address_parse(cql_get_slice(rows, row, 0), &day->client) != ERROR_OK ||
		    !cql_get_date(rows, row, 1, &day->start_ms) || !cql_get_bigint(rows, row, 2, &day->total))
			continue;
		page->count += cql_find_partition(store, store->partition_of(&day->client, store->partition_count)) != NULL;
	}
	if (pc_result_more(rows))
		store->swept = rows;
	else
		pc_result_free(rows);
	return ERROR_OK;
}

static void ask_counter(void *context, size_t i, struct cql_request *request)
{
	const struct page *page = context;
	cql_call(request, CQL_FIND_COUNTER);
	cql_put_address_text(request, &page->days[i].client);
	cql_put_date(request, page->days[i].start_ms);
}

static enum error answer_counter(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct page *page = context;
	int64_t counter = 0;
	if (pc_result_rows(rows) > 0)
		cql_get_bigint(rows, 0, 0, &counter);
	page->differs[i] = counter != page->days[i].total;
	return ERROR_OK;
}

/* Those that differ, of partitions that still are ours. */
static enum error repair(struct page *page, size_t *ret_repaired, struct error_note *note)
{
	struct cql_store *store = page->store;
	size_t count = 0;
	for (size_t i = 0; i < page->count; i++) {
		if (!page->differs[i])
			continue;
		struct cql_partition *partition =
			cql_find_partition(store, store->partition_of(&page->days[i].client, store->partition_count));
		enum error error = partition == NULL ? ERROR_FENCED : cql_confirm(store, partition, note);
		if (error == ERROR_FENCED)
			continue; /* its new owner will come by */
		if (error != ERROR_OK)
			return error;
		page->days[count++] = page->days[i];
	}
	enum error error = count == 0 ? ERROR_OK : cql_follow_counters(store, page->days, count, note);
	if (error == ERROR_OK)
		*ret_repaired = count;
	return error;
}

void cql_doubt(struct cql_store *store)
{
	store->doubted_us = clock_monotonic_us(store->clock);
}

/* Behind a page. */
static bool is_urgent(struct cql_store *store)
{
	int64_t since_us = store->doubted_us + LATE_US, now_us = clock_monotonic_us(store->clock);
	if (store->swept == NULL && store->swept_from_us >= since_us)
		store->doubted_us = 0;
	return store->doubted_us != 0 && now_us >= since_us && now_us < since_us + URGENT_US;
}

enum error cql_sweep(struct store *base, size_t *ret_repaired, bool *ret_urgent, struct error_note *note)
{
	struct cql_store *store = (struct cql_store *)base;
	struct page page = {.store = store};
	*ret_repaired = 0;
	*ret_urgent = false;
	if (store->partition_of == NULL || store->count == 0)
		return ERROR_OK;
	if (store->swept == NULL)
		store->swept_from_us = clock_monotonic_us(store->clock);
	enum error error = read_days(&page, note);
	const struct cql_round round = {page.count, ask_counter, answer_counter, &page};
	if (error == ERROR_OK)
		error = cql_run(store->connection, &round, note);
	if (error == ERROR_OK)
		error = repair(&page, ret_repaired, note);
	if (error == ERROR_OK)
		*ret_urgent = is_urgent(store);
	else
		cql_doubt(store); /* the page is left out of this round */
	return error;
}
