#include "other.h"

static void write_rows(struct store *store, struct truth *truth, int64_t from, int64_t to)
{
	struct truth_rows rows;
	truth_rows_init(&rows);
	truth_rows_between(truth, from, to, clock_wall_ms(&truth->world->clock), &rows);
	const struct engine_dirty dirty = {.windows = (const void *)rows.windows.rows,
					   .window_count = rows.windows.count,
					   .days = (const void *)rows.days.rows,
					   .day_count = rows.days.count,
					   .clients = (const void *)rows.clients.rows,
					   .client_count = rows.clients.count,
					   .activities = (const void *)rows.activities.rows,
					   .activity_count = rows.activities.count,
					   .position = to};
	enum error error = store->vtable->write(store, 0, &dirty, to, NULL);
	if (error != ERROR_OK)
		world_fail(truth->world, "the other process cannot write: %s", error_name(error));
	truth_check_write(truth, &dirty, to);
	truth_rows_release(&rows);
}

int64_t other_process_works(struct adapter *adapter, struct truth *truth, int64_t store_position)
{
	struct store *store = adapter->open_other_store(adapter);
	uint8_t identity[16];
	int64_t from, to = world_between(truth->world, store_position, truth_end(truth));
	adapter->identity(adapter, identity);
	enum error error = store->vtable->take(store, 0, identity, &from, NULL);
	if (error != ERROR_OK || from != store_position)
		world_fail(truth->world, "the other process cannot take the partition: %s", error_name(error));
	world_trace(truth->world, "another process", from, to);
	write_rows(store, truth, from, to);
	store->vtable->close(store);
	return to;
}
