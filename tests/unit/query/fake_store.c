#include "fake_store.h"

#include <stdlib.h>

struct address fake_client(unsigned number)
{
	return address_from_ipv4((uint8_t[]){10, 0, (uint8_t)(number >> 8), (uint8_t)number});
}

void fake_store_add_window(struct fake_store *fake, unsigned client, int64_t start_ms, int64_t count)
{
	fake->windows[fake->window_count++] = (struct window_row){.client = fake_client(client),
								  .start_ms = start_ms,
								  .count = count,
								  .first_ms = start_ms,
								  .last_ms = start_ms + count - 1,
								  .position = 1};
}

void fake_store_add_day(struct fake_store *fake, unsigned client, int64_t start_ms, int64_t total)
{
	fake->days[fake->day_count++] =
		(struct day_row){.client = fake_client(client), .start_ms = start_ms, .total = total, .position = 1};
}

struct store_client *fake_store_add_client(struct fake_store *fake, unsigned client, int64_t first_ms, int64_t last_ms)
{
	struct store_client *added = &fake->clients[fake->client_count++];
	*added = (struct store_client){
		.client = {.client = fake_client(client), .first_ms = first_ms, .last_ms = last_ms},
		.activity = {.client = fake_client(client)},
	};
	return added;
}

static bool in_range(const struct address *a, const struct address *b, int64_t at_ms, int64_t start_ms, int64_t end_ms)
{
	return address_equal(a, b) && at_ms >= start_ms && (end_ms == 0 || at_ms < end_ms);
}

static int newest_window_first(const void *a, const void *b)
{
	int64_t left = ((const struct window_row *)a)->start_ms, right = ((const struct window_row *)b)->start_ms;
	return (left < right) - (left > right);
}

static enum error list_windows(struct store_reader *reader, const struct address *client, int64_t start_ms, int64_t end_ms,
			       struct window_row *ret_rows, size_t max, size_t *ret_count, struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)reader;
	fake->window_reads++;
	if (fake->fail != ERROR_OK)
		return error_noted(note, fake->fail, "planted");
	qsort(fake->windows, fake->window_count, sizeof fake->windows[0], newest_window_first);
	size_t count = 0;
	for (size_t i = 0; i < fake->window_count && count < max; i++)
		if (in_range(&fake->windows[i].client, client, fake->windows[i].start_ms, start_ms, end_ms))
			ret_rows[count++] = fake->windows[i];
	*ret_count = count;
	return ERROR_OK;
}

static int newest_day_first(const void *a, const void *b)
{
	int64_t left = ((const struct day_row *)a)->start_ms, right = ((const struct day_row *)b)->start_ms;
	return (left < right) - (left > right);
}

static enum error list_days(struct store_reader *reader, const struct address *client, int64_t start_ms, int64_t end_ms,
			    struct day_row *ret_rows, size_t max, size_t *ret_count, struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)reader;
	if (fake->fail != ERROR_OK)
		return error_noted(note, fake->fail, "planted");
	qsort(fake->days, fake->day_count, sizeof fake->days[0], newest_day_first);
	size_t count = 0;
	for (size_t i = 0; i < fake->day_count && count < max; i++)
		if (in_range(&fake->days[i].client, client, fake->days[i].start_ms, start_ms, end_ms))
			ret_rows[count++] = fake->days[i];
	*ret_count = count;
	return ERROR_OK;
}

static int greatest_client_first(const void *a, const void *b)
{
	const struct store_client *left = a, *right = b;
	if (left->order_value != right->order_value)
		return left->order_value > right->order_value ? -1 : 1;
	return address_compare(&left->client.client, &right->client.client);
}

static int64_t order_value(const struct store_client *client, enum store_client_order order)
{
	switch (order) {
	case STORE_ORDER_PING_COUNT:
		return client->activity.count;
	case STORE_ORDER_LAST_PING:
		return client->client.last_ms;
	case STORE_ORDER_CLIENT_IP:
		break;
	}
	return 0;
}

static bool on_page(const struct store_client *client, const struct store_client_page *page)
{
	char text[ADDRESS_TEXT_SIZE];
	size_t length = address_format(&client->client.client, text);
	if (page->prefix.size > length || (page->prefix.size > 0 && memcmp(text, page->prefix.data, page->prefix.size) != 0))
		return false;
	struct store_client last = {.order_value = page->after_value, .client.client = page->after_client};
	return !page->after || greatest_client_first(client, &last) > 0;
}

static enum error list_clients(struct store_reader *reader, const struct store_client_page *page,
			       struct store_client *ret_clients, size_t *ret_count, struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)reader;
	if (fake->fail != ERROR_OK)
		return error_noted(note, fake->fail, "planted");
	for (size_t i = 0; i < fake->client_count; i++)
		fake->clients[i].order_value = order_value(&fake->clients[i], page->order);
	qsort(fake->clients, fake->client_count, sizeof fake->clients[0], greatest_client_first);
	size_t count = 0;
	for (size_t i = 0; i < fake->client_count && count < page->max; i++)
		if (on_page(&fake->clients[i], page))
			ret_clients[count++] = fake->clients[i];
	*ret_count = count;
	return ERROR_OK;
}

static enum error get_client(struct store_reader *reader, const struct address *client, struct client_row *ret_row,
			     struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)reader;
	if (fake->fail != ERROR_OK)
		return error_noted(note, fake->fail, "planted");
	for (size_t i = 0; i < fake->client_count; i++) {
		if (address_equal(&fake->clients[i].client.client, client)) {
			*ret_row = fake->clients[i].client;
			return ERROR_OK;
		}
	}
	return ERROR_NOT_FOUND;
}

static enum error totals(struct store_reader *reader, int64_t now_ms, struct store_totals *ret_totals, struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)reader;
	if (fake->fail != ERROR_OK)
		return error_noted(note, fake->fail, "planted");
	struct store_totals sums = {.position = fake->position, .clients = (int64_t)fake->client_count, .engine = fake->engine};
	for (size_t i = 0; i < fake->client_count; i++)
		sums.active_clients += fake->clients[i].activity.count > 0;
	for (size_t i = 0; i < fake->window_count; i++)
		sums.open_windows += fake->windows[i].start_ms + WINDOW_MS > now_ms;
	*ret_totals = sums;
	return ERROR_OK;
}

static int by_key(const struct address *a, int64_t a_ms, const struct address *b, int64_t b_ms)
{
	int order = address_compare(a, b);
	return order != 0 ? order : (a_ms > b_ms) - (a_ms < b_ms);
}

static int window_by_key(const void *a, const void *b)
{
	const struct window_row *left = a, *right = b;
	return by_key(&left->client, left->start_ms, &right->client, right->start_ms);
}

static int day_by_key(const void *a, const void *b)
{
	const struct day_row *left = a, *right = b;
	return by_key(&left->client, left->start_ms, &right->client, right->start_ms);
}

static int client_by_key(const void *a, const void *b)
{
	const struct store_client *left = a, *right = b;
	return address_compare(&left->client.client, &right->client.client);
}

static enum error scan(struct store_reader *reader, const struct store_scan *scan, struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)reader;
	if (fake->fail != ERROR_OK)
		return error_noted(note, fake->fail, "planted");
	if (fake->on_scan != NULL)
		fake->on_scan(fake->context);
	if (!fake->unordered)
		qsort(fake->windows, fake->window_count, sizeof fake->windows[0], window_by_key);
	qsort(fake->days, fake->day_count, sizeof fake->days[0], day_by_key);
	qsort(fake->clients, fake->client_count, sizeof fake->clients[0], client_by_key);
	if (!scan->begin(scan->context, fake->position))
		return ERROR_OK;
	for (size_t i = 0; i < fake->window_count; i++)
		if (!scan->window(scan->context, &fake->windows[i]))
			return ERROR_OK;
	for (size_t i = 0; i < fake->day_count; i++)
		if (!scan->day(scan->context, &fake->days[i]))
			return ERROR_OK;
	for (size_t i = 0; i < fake->client_count; i++)
		if (!scan->client(scan->context, &fake->clients[i].client))
			return ERROR_OK;
	return ERROR_OK;
}

static void close_fake(struct store_reader *reader)
{
	(void)reader;
}

struct fake_store *fake_store_create(void)
{
	static const struct store_reader_vtable vtable = {
		.list_windows = list_windows,
		.list_days = list_days,
		.list_clients = list_clients,
		.get_client = get_client,
		.totals = totals,
		.scan = scan,
		.close = close_fake,
	};
	struct fake_store *fake = calloc(1, sizeof *fake);
	if (fake != NULL)
		*fake = (struct fake_store){.reader.vtable = &vtable, .position = 1};
	return fake;
}

void fake_store_destroy(struct fake_store *fake)
{
	free(fake);
}
