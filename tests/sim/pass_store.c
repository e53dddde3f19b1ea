#include "pass_store.h"

#include <stdlib.h>

static struct store *inner_store(struct store *store)
{
	return ((struct pass_store *)store)->inner;
}

enum error pass_take(struct store *store, int32_t partition, const uint8_t log_identity[16], int64_t *ret_position,
		     struct error_note *note)
{
	return inner_store(store)->vtable->take(inner_store(store), partition, log_identity, ret_position, note);
}

enum error pass_read_windows(struct store *store, struct window_row *rows, size_t count, struct error_note *note)
{
	return inner_store(store)->vtable->read_windows(inner_store(store), rows, count, note);
}

enum error pass_read_days(struct store *store, struct day_row *rows, size_t count, struct error_note *note)
{
	return inner_store(store)->vtable->read_days(inner_store(store), rows, count, note);
}

enum error pass_read_clients(struct store *store, const struct address *clients, size_t count, int64_t start_ms,
			     void (*visit)(void *context, const struct address *client, const struct client_row *row,
					   const struct window_row *windows, size_t window_count),
			     void *context, struct error_note *note)
{
	return inner_store(store)->vtable->read_clients(inner_store(store), clients, count, start_ms, visit, context, note);
}

enum error pass_list_due(struct store *store, int32_t partition, int64_t now_ms, struct address *ret_clients, size_t max,
			 size_t *ret_count, struct error_note *note)
{
	return inner_store(store)->vtable->list_due(inner_store(store), partition, now_ms, ret_clients, max, ret_count, note);
}

enum error pass_write(struct store *store, int32_t partition, const struct engine_dirty *dirty, int64_t position,
		      struct error_note *note)
{
	return inner_store(store)->vtable->write(inner_store(store), partition, dirty, position, note);
}

enum error pass_prune_windows(struct store *store, int64_t before_ms, size_t max, size_t *ret_removed, struct error_note *note)
{
	return inner_store(store)->vtable->prune_windows(inner_store(store), before_ms, max, ret_removed, note);
}

void pass_store_close(struct store *store)
{
	inner_store(store)->vtable->close(inner_store(store));
	free(store);
}
