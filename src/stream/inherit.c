#include "stream/inherit.h"

enum error inherit_find(struct store *store, struct log_reader *log, int32_t partition, int64_t *ret_until,
			struct error_note *note)
{
	*ret_until = INHERIT_NOTHING;
	if (store->vtable->find_inherited == NULL || log->vtable->end == NULL)
		return ERROR_OK;
	enum error error = store->vtable->find_inherited(store, partition, note);
	if (error == ERROR_OK)
		error = log->vtable->end(log, partition, ret_until, note);
	return error == ERROR_NOT_FOUND ? ERROR_OK : error;
}

enum error inherit_step(struct store *store, int32_t partition, struct engine *engine, int64_t now_ms, int64_t *ret_until,
			void (*on_written)(void *context, const struct engine_dirty *dirty), void *context,
			struct error_note *note)
{
	struct store_merge merge = {0};
	enum error error = store->vtable->merge_inherited(store, partition, &merge, note);
	engine_forget(engine, merge.clients, merge.client_count);
	if (error != ERROR_OK)
		return error;
	if (on_written != NULL)
		on_written(context, &merge.dirty);
	for (size_t i = 0; i < merge.client_count && error == ERROR_OK; i++)
		error = engine_refresh_activity(engine, &merge.clients[i], now_ms);
	if (!merge.more)
		*ret_until = INHERIT_NOTHING;
	return error;
}
