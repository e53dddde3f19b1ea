#include "adapter/cql/reader.h"

#include <stdlib.h>

/* A page of clients: entries of a list in its order, then for some of them at once what their rows say. What a crash left in a
 * list is belied by the client's row and left out; a client that moved up meanwhile is shown where it is now. */

enum { SOME = 128 };

struct candidate {
	struct cql_list_entry entry;
	struct cql_client client;
	struct activity_row activity;
	bool known;
};

struct page {
	struct cql_reader *reader;
	const struct store_client_page *page;
	struct store_client *clients; /* found so far */
	size_t count;
	int8_t list; /* that is read */
	struct candidate candidates[SOME];
	size_t candidate_count;
};

/* ─── What the rows say ─────────────────────────────────────────────────────────────────────────────────────────────── */

static void ask_candidate(void *context, size_t i, struct cql_request *request)
{
	const struct page *page = context;
	const struct address *client = &page->candidates[i / 2].entry.client;
	cql_call(request, i % 2 == 0 ? CQL_READ_CLIENT : CQL_READ_ACTIVITY);
	if (i % 2 == 0) {
		cql_put_client_key(request, client);
	} else {
		cql_put_address_text(request, client);
	}
}

static enum error answer_candidate(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct page *page = context;
	struct candidate *candidate = &page->candidates[i / 2];
	if (pc_result_rows(rows) == 0)
		return ERROR_OK;
	if (i % 2 == 0)
		candidate->known = cql_read_client(rows, 0, &candidate->client, NULL);
	else
		cql_read_activity(rows, 0, &candidate->entry.client, &candidate->activity);
	return ERROR_OK;
}

static int64_t value_of(const struct page *page, const struct candidate *candidate)
{
	switch (page->page->order) {
	case STORE_ORDER_PING_COUNT:
		return candidate->client.ping_count;
	case STORE_ORDER_LAST_PING:
		return candidate->client.row.last_ms;
	default:
		return 0;
	}
}

static bool is_behind(const struct store_client_page *page, int64_t value, const struct address *client)
{
	return !page->after || value < page->after_value ||
	       (value == page->after_value && address_compare(client, &page->after_client) > 0);
}

static bool is_there(const struct page *page, const struct address *client)
{
	for (size_t i = 0; i < page->count; i++)
		if (address_equal(&page->clients[i].client.client, client))
			return true;
	return false;
}

static bool fits(const struct page *page, const struct candidate *candidate)
{
	int64_t value = value_of(page, candidate), listed = -candidate->entry.rank;
	if (!candidate->known)
		return false;
	if (page->list == CQL_LIST_ALL) /* by address; or the silent ones, behind all others */
		return page->page->order != STORE_ORDER_PING_COUNT || value == 0;
	return value == listed ? !is_there(page, &candidate->entry.client)
			       : value > listed && is_behind(page->page, value, &candidate->entry.client) &&
					 !is_there(page, &candidate->entry.client);
}

static enum error settle_candidates(struct page *page, struct error_note *note)
{
	const struct cql_round round = {2 * page->candidate_count, ask_candidate, answer_candidate, page};
	enum error error = cql_run(page->reader->connection, &round, note);
	for (size_t i = 0; i < page->candidate_count && error == ERROR_OK && page->count < page->page->max; i++) {
		const struct candidate *candidate = &page->candidates[i];
		if (!fits(page, candidate))
			continue;
		struct store_client *client = &page->clients[page->count++];
		*client = (struct store_client){.client = candidate->client.row,
						.activity = candidate->activity,
						.order_value = value_of(page, candidate)};
		client->activity.client = candidate->entry.client;
	}
	page->candidate_count = 0;
	return error;
}

/* ─── Through a list ────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool matches(const struct store_client_page *page, const struct address *client)
{
	char text[ADDRESS_TEXT_SIZE];
	size_t size = address_format(client, text);
	return page->prefix.size <= size &&
	       memcmp(text, page->prefix.data == NULL ? (const uint8_t *)"" : page->prefix.data, page->prefix.size) == 0;
}

/* Fills the page from the list, from behind `after` on (NULL: from its begin). */
static enum error read_list(struct page *page, int8_t which, const struct cql_list_entry *after, struct error_note *note)
{
	struct cql_list *list;
	size_t wanted = page->page->max - page->count;
	page->list = which;
	enum error error = cql_list_create(page->reader->connection, CQL_READ_LIST, which, after, wanted, &list);
	if (error != ERROR_OK)
		return error;
	while (error == ERROR_OK && page->count < page->page->max) {
		struct candidate *candidate = &page->candidates[page->candidate_count];
		*candidate = (struct candidate){0};
		error = cql_list_next(list, &candidate->entry, note);
		if (error == ERROR_OK && matches(page->page, &candidate->entry.client))
			page->candidate_count++;
		bool enough = page->candidate_count == SOME || page->candidate_count >= page->page->max - page->count;
		if ((error == ERROR_OK && enough) || (error == ERROR_END && page->candidate_count > 0)) {
			enum error settled = settle_candidates(page, note);
			if (settled != ERROR_OK)
				error = settled;
		}
	}
	cql_list_destroy(list);
	return error == ERROR_END ? ERROR_OK : error;
}

static int compare_clients(const void *a, const void *b)
{
	const struct store_client *left = a, *right = b;
	if (left->order_value != right->order_value)
		return left->order_value > right->order_value ? -1 : 1;
	return address_compare(&left->client.client, &right->client.client);
}

static enum error read_page(struct page *page, struct error_note *note)
{
	const struct store_client_page *asked = page->page;
	struct cql_list_entry after = {.rank = -asked->after_value, .client = asked->after_client};
	const struct cql_list_entry *from = asked->after ? &after : NULL;
	if (asked->order == STORE_ORDER_LAST_PING)
		return read_list(page, CQL_LIST_BY_LAST, from, note);
	if (asked->order == STORE_ORDER_CLIENT_IP) {
		after.rank = 0;
		return read_list(page, CQL_LIST_ALL, from, note);
	}
	enum error error = ERROR_OK;
	bool silent = asked->after && asked->after_value == 0; /* the page goes on among those */
	if (!silent)
		error = read_list(page, CQL_LIST_BY_COUNT, from, note);
	return error == ERROR_OK && page->count < asked->max ? read_list(page, CQL_LIST_ALL, silent ? from : NULL, note) : error;
}

enum error cql_list_clients(struct store_reader *base, const struct store_client_page *asked, struct store_client *ret_clients,
			    size_t *ret_count, struct error_note *note)
{
	struct page *page = calloc(1, sizeof *page);
	if (page == NULL)
		return ERROR_NO_MEMORY;
	page->reader = (struct cql_reader *)base;
	page->page = asked;
	page->clients = ret_clients;
	enum error error = read_page(page, note);
	if (error == ERROR_OK) {
		qsort(ret_clients, page->count, sizeof *ret_clients, compare_clients);
		*ret_count = page->count;
	}
	free(page);
	return error;
}
