#include "adapter/cql/reader.h"

#include <stdlib.h>

/* Everything, client after client in the order of their list, some at once. There is no snapshot: each row says how far it is. A
 * row of a client that no list has is not seen. */

enum { SOME = 32 };

struct scanning {
	struct cql_reader *reader;
	const struct store_scan *scan;
	bool going;
	size_t statement;
	struct address clients[SOME];
	size_t client_count;
	struct {
		struct window_row *windows;
		struct day_row *days;
		size_t count, capacity;
		struct client_row client;
	} rows[SOME];
};

static void ask_rows(void *context, size_t i, struct cql_request *request)
{
	const struct scanning *scanning = context;
	cql_call(request, scanning->statement);
	if (scanning->statement == CQL_READ_CLIENT) {
		cql_put_client_key(request, &scanning->clients[i]);
	} else {
		cql_put_address_text(request, &scanning->clients[i]);
	}
}

static enum error reserve(void *array, size_t *capacity, size_t needed, size_t size)
{
	void *items;
	memcpy(&items, array, sizeof items);
	if (needed <= *capacity)
		return ERROR_OK;
	items = reallocarray(items, needed, size);
	if (items == NULL)
		return ERROR_NO_MEMORY;
	memcpy(array, &items, sizeof items);
	*capacity = needed;
	return ERROR_OK;
}

static enum error answer_rows(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)last;
	(void)note;
	struct scanning *scanning = context;
	const struct address *client = &scanning->clients[i];
	size_t count = scanning->rows[i].count, needed = count + pc_result_rows(rows);
	enum error error = ERROR_OK;
	if (scanning->statement == CQL_SCAN_WINDOWS)
		error = reserve(&scanning->rows[i].windows, &scanning->rows[i].capacity, needed, sizeof(struct window_row));
	else if (scanning->statement == CQL_SCAN_DAYS)
		error = reserve(&scanning->rows[i].days, &scanning->rows[i].capacity, needed, sizeof(struct day_row));
	for (size_t row = 0; row < pc_result_rows(rows) && error == ERROR_OK; row++) {
		struct cql_client found;
		bool fits = true;
		if (scanning->statement == CQL_SCAN_WINDOWS) {
			cql_read_window(rows, row, client, &scanning->rows[i].windows[count], &fits, NULL);
			fits = true;
		} else if (scanning->statement == CQL_SCAN_DAYS) {
			cql_read_day(rows, row, client, &scanning->rows[i].days[count], NULL);
		} else {
			fits = cql_read_client(rows, row, &found, NULL);
			scanning->rows[i].client = found.row;
		}
		count += fits;
	}
	scanning->rows[i].count = count;
	return error;
}

static void show_rows(struct scanning *scanning)
{
	const struct store_scan *scan = scanning->scan;
	for (size_t i = 0; i < scanning->client_count; i++)
		for (size_t k = 0; k < scanning->rows[i].count && scanning->going; k++)
			scanning->going = scanning->statement == CQL_SCAN_WINDOWS
						  ? scan->window(scan->context, &scanning->rows[i].windows[k])
					  : scanning->statement == CQL_SCAN_DAYS
						  ? scan->day(scan->context, &scanning->rows[i].days[k])
						  : scan->client(scan->context, &scanning->rows[i].client);
}

static enum error read_some(struct scanning *scanning, struct error_note *note)
{
	for (size_t i = 0; i < SOME; i++)
		scanning->rows[i].count = 0;
	const struct cql_round round = {scanning->client_count, ask_rows, answer_rows, scanning};
	enum error error = cql_run(scanning->reader->connection, &round, note);
	if (error == ERROR_OK)
		show_rows(scanning);
	scanning->client_count = 0;
	return error;
}

static enum error scan_kind(struct scanning *scanning, size_t statement, struct error_note *note)
{
	struct cql_list *list;
	scanning->statement = statement;
	enum error error =
		cql_list_create(scanning->reader->connection, CQL_READ_LIST, CQL_LIST_ALL, NULL, SOME * CQL_SHARDS, &list);
	if (error != ERROR_OK)
		return error;
	while (error == ERROR_OK && scanning->going) {
		struct cql_list_entry entry;
		error = cql_list_next(list, &entry, note);
		if (error == ERROR_OK)
			scanning->clients[scanning->client_count++] = entry.client;
		if ((error == ERROR_OK && scanning->client_count == SOME) || (error == ERROR_END && scanning->client_count > 0)) {
			enum error read = read_some(scanning, note);
			if (read != ERROR_OK)
				error = read;
		}
	}
	scanning->client_count = 0;
	cql_list_destroy(list);
	return error == ERROR_END ? ERROR_OK : error;
}

static void release_rows(struct scanning *scanning)
{
	for (size_t i = 0; i < SOME; i++) {
		free(scanning->rows[i].windows);
		free(scanning->rows[i].days);
		scanning->rows[i].windows = NULL;
		scanning->rows[i].days = NULL;
		scanning->rows[i].capacity = 0;
	}
}

enum error cql_scan(struct store_reader *base, const struct store_scan *scan, struct error_note *note)
{
	static const size_t kinds[] = {CQL_SCAN_WINDOWS, CQL_SCAN_DAYS, CQL_READ_CLIENT};
	struct scanning *scanning = calloc(1, sizeof *scanning);
	if (scanning == NULL)
		return ERROR_NO_MEMORY;
	scanning->reader = (struct cql_reader *)base;
	scanning->scan = scan;
	int64_t position = POSITION_NONE;
	enum error error = cql_read_position(scanning->reader, &position, note);
	if (error == ERROR_OK)
		scanning->going = scan->begin(scan->context, position);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && error == ERROR_OK && scanning->going; i++) {
		error = scan_kind(scanning, kinds[i], note);
		release_rows(scanning); /* the capacity is of one kind's rows */
	}
	free(scanning);
	return error;
}
