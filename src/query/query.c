#include "query/query.h"

#include "engine/activity.h"
#include "query/activity.h"
#include "query/page_token.h"
#include "query/request.h"

#include <stdlib.h>

/* Part of the fingerprints: a token of one list is none of another. */
enum list_kind { LIST_WINDOWS = 'w', LIST_DAYS = 'd', LIST_CLIENTS = 'c' };

struct row_range {
	int64_t start_ms, end_ms;
	size_t max;
	uint64_t fingerprint;
};

/* The request as a range that begins where the page before ended: rows come newest first, so its last start is the new end. */
static enum error resolve_rows(enum list_kind kind, const struct query_rows_request *request, struct row_range *ret_range,
			       struct error_note *note)
{
	struct row_range range = {.start_ms = request->start_ms, .end_ms = request->end_ms};
	enum error error = query_check_range(request->start_ms, request->end_ms, note);
	if (error == ERROR_OK)
		error = query_page_size(request->page_size, &range.max, note);
	if (error != ERROR_OK)
		return error;
	range.fingerprint = page_fingerprint_number(0, kind);
	range.fingerprint = page_fingerprint(range.fingerprint, request->client.bytes, sizeof request->client.bytes);
	range.fingerprint = page_fingerprint_number(range.fingerprint, request->start_ms);
	range.fingerprint = page_fingerprint_number(range.fingerprint, request->end_ms);
	if (request->page_token.size > 0) {
		struct page_place place;
		error = page_token_parse(request->page_token, range.fingerprint, &place, note);
		if (error != ERROR_OK)
			return error;
		/* A place at the start has nothing behind it, so no token is made for it; as an end, 0 would be open. */
		if (place.value <= request->start_ms)
			return error_noted(note, ERROR_INVALID_ARGUMENT, "page_token: outside time_range");
		range.end_ms = place.value;
	}
	*ret_range = range;
	return ERROR_OK;
}

/* One row more than the page was asked for. *count becomes the page's; true: there are more. */
static bool cut_page(size_t *count, size_t max)
{
	bool more = *count > max;
	if (more)
		*count = max;
	return more;
}

static enum error make_token(uint64_t fingerprint, int64_t value, const struct address *client, struct arena *arena,
			     struct slice *ret_token)
{
	struct page_place place = {.value = value, .client = *client};
	*ret_token = page_token_make(fingerprint, &place, arena);
	return ret_token->data == NULL ? ERROR_NO_MEMORY : ERROR_OK;
}

enum error query_list_windows(struct store_reader *reader, const struct query_rows_request *request, struct arena *arena,
			      struct query_window_page *ret_page, struct error_note *note)
{
	struct row_range range;
	enum error error = resolve_rows(LIST_WINDOWS, request, &range, note);
	if (error != ERROR_OK)
		return error;
	struct query_window_page page = {.rows = arena_alloc_array(arena, range.max + 1, sizeof *page.rows)};
	if (page.rows == NULL)
		return ERROR_NO_MEMORY;
	error = reader->vtable->list_windows(reader, &request->client, range.start_ms, range.end_ms, page.rows, range.max + 1,
					     &page.count, note);
	if (error == ERROR_OK && cut_page(&page.count, range.max))
		error = make_token(range.fingerprint, page.rows[page.count - 1].start_ms, &request->client, arena,
				   &page.next_page_token);
	if (error == ERROR_OK)
		*ret_page = page;
	return error;
}

enum error query_list_days(struct store_reader *reader, const struct query_rows_request *request, struct arena *arena,
			   struct query_day_page *ret_page, struct error_note *note)
{
	struct row_range range;
	enum error error = resolve_rows(LIST_DAYS, request, &range, note);
	if (error != ERROR_OK)
		return error;
	struct query_day_page page = {.rows = arena_alloc_array(arena, range.max + 1, sizeof *page.rows)};
	if (page.rows == NULL)
		return ERROR_NO_MEMORY;
	error = reader->vtable->list_days(reader, &request->client, range.start_ms, range.end_ms, page.rows, range.max + 1,
					  &page.count, note);
	if (error == ERROR_OK && cut_page(&page.count, range.max))
		error = make_token(range.fingerprint, page.rows[page.count - 1].start_ms, &request->client, arena,
				   &page.next_page_token);
	if (error == ERROR_OK)
		*ret_page = page;
	return error;
}

/* Room for the windows of 24 hours, used for one client after another. */
static struct window_row *alloc_windows(struct arena *arena)
{
	return arena_alloc_array(arena, ACTIVITY_WINDOWS, sizeof(struct window_row));
}

static int64_t *alloc_counts(struct arena *arena)
{
	return arena_alloc_array(arena, ACTIVITY_WINDOWS, sizeof(int64_t));
}

static enum error derive_from_store(struct store_reader *reader, const struct address *client, int64_t now_ms,
				    struct window_row *windows, struct query_activity *activity, struct error_note *note)
{
	size_t count = 0;
	enum error error =
		reader->vtable->list_windows(reader, client, activity_start_of(now_ms), window_start_of(now_ms) + WINDOW_MS,
					     windows, ACTIVITY_WINDOWS, &count, note);
	if (error == ERROR_OK)
		activity_derive(client, now_ms, windows, count, &activity->row, activity->counts);
	return error;
}

/* Who is silent still shows when it was first and last heard. */
static void show_all_time(struct activity_row *activity, const struct client_row *client)
{
	activity->first_ms = client->first_ms;
	activity->last_ms = client->last_ms;
}

enum error query_get_activity(struct store_reader *reader, const struct address *client, int64_t now_ms, struct arena *arena,
			      struct query_activity *ret_activity, struct error_note *note)
{
	struct window_row *windows = alloc_windows(arena);
	struct query_activity activity = {.counts = alloc_counts(arena)};
	if (windows == NULL || activity.counts == NULL)
		return ERROR_NO_MEMORY;
	enum error error = derive_from_store(reader, client, now_ms, windows, &activity, note);
	if (error == ERROR_OK && activity.row.count == 0) {
		struct client_row row;
		error = reader->vtable->get_client(reader, client, &row, note);
		if (error == ERROR_OK)
			show_all_time(&activity.row, &row);
		else if (error == ERROR_NOT_FOUND)
			error = ERROR_OK;
	}
	if (error == ERROR_OK)
		*ret_activity = activity;
	return error;
}

/* Nothing is read for the silent. A materialised row is exact, from the windows that it was made of, until it is due; one that
 * was never made (due_ms 0) is due. */
static enum error show_client(struct store_reader *reader, const struct store_client *client, int64_t now_ms,
			      struct window_row *windows, struct query_activity *activity, struct error_note *note)
{
	const struct activity_row *row = &client->activity;
	int64_t start_ms = activity_start_of(now_ms);
	bool exact = row->due_ms != 0 && !activity_stale(row, now_ms);
	enum error error = ERROR_OK;
	if (client->client.last_ms < start_ms)
		activity_derive(&client->client.client, now_ms, NULL, 0, &activity->row, activity->counts);
	else if (activity->counts != NULL || !exact)
		error = derive_from_store(reader, &client->client.client, now_ms, windows, activity, note);
	else
		activity->row = *row;
	activity->row.client = client->client.client;
	activity->row.start_ms = start_ms;
	if (activity->row.count == 0)
		show_all_time(&activity->row, &client->client);
	return error;
}

static int compare_by_count(const void *a, const void *b)
{
	const struct activity_row *left = &((const struct query_activity *)a)->row;
	const struct activity_row *right = &((const struct query_activity *)b)->row;
	if (left->count != right->count)
		return left->count > right->count ? -1 : 1;
	return address_compare(&left->client, &right->client);
}

static enum error resolve_clients(const struct query_clients_request *request, struct store_client_page *ret_page,
				  uint64_t *ret_fingerprint, struct error_note *note)
{
	struct store_client_page page = {.order = request->order, .prefix = request->prefix, .now_ms = request->now_ms};
	enum error error = query_page_size(request->page_size, &page.max, note);
	if (error != ERROR_OK)
		return error;
	uint64_t fingerprint = page_fingerprint_number(0, LIST_CLIENTS);
	fingerprint = page_fingerprint_number(fingerprint, request->order);
	fingerprint = page_fingerprint(fingerprint, request->prefix.data, request->prefix.size);
	if (request->page_token.size > 0) {
		struct page_place place;
		error = page_token_parse(request->page_token, fingerprint, &place, note);
		if (error != ERROR_OK)
			return error;
		page.after = true;
		page.after_value = place.value;
		page.after_client = place.client;
	}
	*ret_page = page;
	*ret_fingerprint = fingerprint;
	return ERROR_OK;
}

static enum error show_clients(struct store_reader *reader, const struct query_clients_request *request,
			       const struct store_client *found, struct arena *arena, struct query_client_page *page,
			       struct error_note *note)
{
	struct window_row *windows = alloc_windows(arena);
	if (windows == NULL)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < page->count; i++) {
		if (request->counts && (page->clients[i].counts = alloc_counts(arena)) == NULL)
			return ERROR_NO_MEMORY;
		enum error error = show_client(reader, &found[i], request->now_ms, windows, &page->clients[i], note);
		if (error != ERROR_OK)
			return error;
	}
	if (request->order == STORE_ORDER_PING_COUNT)
		qsort(page->clients, page->count, sizeof *page->clients, compare_by_count);
	return ERROR_OK;
}

enum error query_list_clients(struct store_reader *reader, const struct query_clients_request *request, struct arena *arena,
			      struct query_client_page *ret_page, struct error_note *note)
{
	struct store_client_page range;
	uint64_t fingerprint;
	enum error error = resolve_clients(request, &range, &fingerprint, note);
	if (error != ERROR_OK)
		return error;
	size_t max = range.max++;
	struct store_client *found = arena_alloc_array(arena, range.max, sizeof *found);
	struct query_client_page page = {.clients = arena_alloc_array(arena, max, sizeof *page.clients)};
	if (found == NULL || page.clients == NULL)
		return ERROR_NO_MEMORY;
	error = reader->vtable->list_clients(reader, &range, found, &page.count, note);
	if (error == ERROR_OK && cut_page(&page.count, max)) {
		const struct store_client *last = &found[page.count - 1];
		error = make_token(fingerprint, last->order_value, &last->client.client, arena, &page.next_page_token);
	}
	if (error == ERROR_OK)
		error = show_clients(reader, request, found, arena, &page, note);
	if (error == ERROR_OK)
		*ret_page = page;
	return error;
}
