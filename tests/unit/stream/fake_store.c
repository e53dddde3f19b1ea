#include "unit/stream/fake_store.h"

#include <assert.h>
#include <stdlib.h>

void fake_database_init(struct fake_database *database)
{
	*database = (struct fake_database){0};
	for (int i = 0; i < FAKE_STORE_PARTITIONS; i++)
		database->partitions[i].position = POSITION_NONE;
}

void fake_database_release(struct fake_database *database)
{
	for (size_t i = 0; i < database->late_count; i++)
		free(database->late[i].rows);
	free(database->late);
	free(database->rows);
	*database = (struct fake_database){0};
}

static int compare(const struct fake_row *row, enum fake_row_kind kind, const struct address *client, int64_t start_ms)
{
	if (row->kind != kind)
		return row->kind < kind ? -1 : 1;
	int order = address_compare(&row->client, client);
	return order != 0 ? order : (row->start_ms > start_ms) - (row->start_ms < start_ms);
}

/* The first row that isn't before the key. */
static size_t lower_bound(const struct fake_database *database, enum fake_row_kind kind, const struct address *client,
			  int64_t start_ms)
{
	size_t low = 0, high = database->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(&database->rows[middle], kind, client, start_ms) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct fake_row *fake_database_find(const struct fake_database *database, enum fake_row_kind kind,
					  const struct address *client, int64_t start_ms)
{
	size_t at = lower_bound(database, kind, client, start_ms);
	if (at == database->count || compare(&database->rows[at], kind, client, start_ms) != 0)
		return NULL;
	const struct fake_row *row = &database->rows[at];
	return kind == FAKE_ACTIVITY && row->row.activity.due_ms == 0 ? NULL : row;
}

/* The greater timestamp wins. */
static void put(struct fake_database *database, const struct fake_row *row)
{
	size_t at = lower_bound(database, row->kind, &row->client, row->start_ms);
	if (at < database->count && compare(&database->rows[at], row->kind, &row->client, row->start_ms) == 0) {
		if (row->timestamp > database->rows[at].timestamp)
			database->rows[at] = *row;
		return;
	}
	if (database->count == database->capacity) {
		database->capacity = database->capacity == 0 ? 64 : database->capacity * 2;
		database->rows = realloc(database->rows, database->capacity * sizeof *database->rows);
		assert(database->rows != NULL);
	}
	memmove(&database->rows[at + 1], &database->rows[at], (database->count - at) * sizeof *row);
	database->rows[at] = *row;
	database->count++;
}

static void carry_out(struct fake_database *database, const struct fake_late *write)
{
	for (size_t i = 0; i < write->count; i++)
		put(database, &write->rows[i]);
	if (database->partitions[write->partition].owner == write->owner &&
	    write->position > database->partitions[write->partition].position)
		database->partitions[write->partition].position = write->position;
}

void fake_database_land(struct fake_database *database, size_t index)
{
	struct fake_late write = database->late[index];
	database->late[index] = database->late[--database->late_count];
	carry_out(database, &write);
	free(write.rows);
}

static enum fake_fate fate(struct fake_store *fake, enum fake_store_call call)
{
	fake->calls[call]++;
	return fake->fate == NULL ? FAKE_DONE : fake->fate(fake->context, call);
}

static enum error outcome(enum fake_fate fate, struct error_note *note)
{
	return fate == FAKE_DONE ? ERROR_OK : error_noted(note, ERROR_UNAVAILABLE, "the store does not answer");
}

static enum error held(struct store *store, struct error_note *note)
{
	return !((struct fake_store *)store)->database->held ? ERROR_OK
							     : error_noted(note, ERROR_HELD, "another kind is at work");
}

static enum error take(struct store *store, int32_t partition, const uint8_t log_identity[16], int64_t *ret_position,
		       struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)store;
	struct fake_database *database = fake->database;
	enum fake_fate what = fate(fake, FAKE_TAKE);
	if (what == FAKE_REFUSED || what == FAKE_LATE)
		return outcome(what, note);
	if (database->held)
		return held(store, note);
	if (database->partitions[partition].owner != 0 &&
	    memcmp(database->partitions[partition].log_identity, log_identity, 16) != 0)
		return error_noted(note, ERROR_FAILED_PRECONDITION, "the metrics came from another log; rebuild");
	memcpy(database->partitions[partition].log_identity, log_identity, 16);
	database->partitions[partition].owner = fake->owner_of[partition] = ++database->owners;
	if (what == FAKE_DONE)
		*ret_position = database->partitions[partition].position;
	return outcome(what, note);
}

static enum error read_windows(struct store *store, struct window_row *rows, size_t count, struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)store;
	enum fake_fate what = fate(fake, FAKE_READ_WINDOWS);
	for (size_t i = 0; i < count && what == FAKE_DONE; i++) {
		const struct fake_row *found = fake_database_find(fake->database, FAKE_WINDOW, &rows[i].client, rows[i].start_ms);
		if (found != NULL)
			rows[i] = found->row.window;
	}
	return outcome(what, note);
}

static enum error read_days(struct store *store, struct day_row *rows, size_t count, struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)store;
	enum fake_fate what = fate(fake, FAKE_READ_DAYS);
	for (size_t i = 0; i < count && what == FAKE_DONE; i++) {
		const struct fake_row *found = fake_database_find(fake->database, FAKE_DAY, &rows[i].client, rows[i].start_ms);
		if (found != NULL)
			rows[i] = found->row.day;
	}
	return outcome(what, note);
}

typedef void visit_client(void *context, const struct address *client, const struct client_row *row,
			  const struct window_row *windows, size_t window_count);

static void read_client(const struct fake_database *database, const struct address *client, int64_t start_ms, visit_client *visit,
			void *context)
{
	size_t first = lower_bound(database, FAKE_WINDOW, client, start_ms), last = first;
	while (last < database->count && database->rows[last].kind == FAKE_WINDOW &&
	       address_equal(&database->rows[last].client, client))
		last++;
	struct window_row *windows = malloc((last - first + 1) * sizeof *windows);
	assert(windows != NULL);
	for (size_t i = first; i < last; i++)
		windows[i - first] = database->rows[i].row.window;
	const struct fake_row *row = fake_database_find(database, FAKE_CLIENT, client, 0);
	visit(context, client, row == NULL ? NULL : &row->row.client, windows, last - first);
	free(windows);
}

/* Without a reply only some of the clients were visited. */
static enum error read_clients(struct store *store, const struct address *clients, size_t count, int64_t start_ms,
			       visit_client *visit, void *context, struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)store;
	enum fake_fate what = fate(fake, FAKE_READ_CLIENTS);
	size_t visited = what == FAKE_DONE ? count : what == FAKE_REPLY_LOST ? count / 2 : 0;
	for (size_t i = 0; i < visited; i++)
		read_client(fake->database, &clients[i], start_ms, visit, context);
	return outcome(what, note);
}

static enum error list_due(struct store *store, int32_t partition, int64_t now_ms, struct address *ret_clients, size_t max,
			   size_t *ret_count, struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)store;
	enum fake_fate what = fate(fake, FAKE_LIST_DUE);
	if (what != FAKE_DONE)
		return outcome(what, note);
	size_t count = 0;
	for (size_t i = 0; i < fake->database->count && count < max; i++) {
		const struct fake_row *row = &fake->database->rows[i];
		if (row->kind == FAKE_ACTIVITY && row->partition == partition && row->row.activity.due_ms != 0 &&
		    row->row.activity.due_ms <= now_ms)
			ret_clients[count++] = row->client;
	}
	*ret_count = count;
	return ERROR_OK;
}

static struct fake_late make_write(struct fake_store *fake, int32_t partition, const struct engine_dirty *dirty, int64_t position)
{
	size_t total = dirty->window_count + dirty->day_count + dirty->client_count + dirty->activity_count, count = 0;
	struct fake_row *rows = calloc(total + 1, sizeof *rows);
	assert(rows != NULL);
	uint64_t owner = fake->owner_of[partition], timestamp = owner << 32 | ++fake->database->writes;
	for (size_t i = 0; i < dirty->window_count; i++)
		rows[count++] = (struct fake_row){.kind = FAKE_WINDOW,
						  .client = dirty->windows[i].client,
						  .start_ms = dirty->windows[i].start_ms,
						  .row.window = dirty->windows[i]};
	for (size_t i = 0; i < dirty->day_count; i++)
		rows[count++] = (struct fake_row){.kind = FAKE_DAY,
						  .client = dirty->days[i].client,
						  .start_ms = dirty->days[i].start_ms,
						  .row.day = dirty->days[i]};
	for (size_t i = 0; i < dirty->client_count; i++)
		rows[count++] = (struct fake_row){
			.kind = FAKE_CLIENT, .client = dirty->clients[i].client, .row.client = dirty->clients[i]};
	for (size_t i = 0; i < dirty->activity_count; i++)
		rows[count++] = (struct fake_row){
			.kind = FAKE_ACTIVITY, .client = dirty->activities[i].client, .row.activity = dirty->activities[i]};
	for (size_t i = 0; i < count; i++) {
		rows[i].timestamp = timestamp;
		rows[i].partition = partition;
	}
	return (struct fake_late){rows, count, partition, owner, position};
}

static void keep_late(struct fake_database *database, const struct fake_late *write)
{
	database->late = realloc(database->late, (database->late_count + 1) * sizeof *database->late);
	assert(database->late != NULL);
	database->late[database->late_count++] = *write;
}

static enum error write_rows(struct store *store, int32_t partition, const struct engine_dirty *dirty, int64_t position,
			     struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)store;
	enum fake_fate what = fate(fake, FAKE_WRITE);
	if (what == FAKE_REFUSED)
		return outcome(what, note);
	if (what != FAKE_LATE && fake->database->partitions[partition].owner != fake->owner_of[partition])
		return error_noted(note, ERROR_FENCED, "partition %d has another owner", (int)partition);
	struct fake_late write = make_write(fake, partition, dirty, position);
	if (what == FAKE_LATE) {
		keep_late(fake->database, &write);
	} else {
		carry_out(fake->database, &write);
		free(write.rows);
	}
	return outcome(what, note);
}

static enum error prune_windows(struct store *store, int64_t before_ms, size_t max, size_t *ret_removed, struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)store;
	struct fake_database *database = fake->database;
	enum fake_fate what = fate(fake, FAKE_PRUNE);
	if (what != FAKE_DONE)
		return outcome(what, note);
	size_t kept = 0, removed = 0;
	for (size_t i = 0; i < database->count; i++) {
		const struct fake_row *row = &database->rows[i];
		if (row->kind == FAKE_WINDOW && row->start_ms + WINDOW_MS < before_ms && removed < max)
			removed++;
		else
			database->rows[kept++] = *row;
	}
	database->count = kept;
	*ret_removed = removed;
	return ERROR_OK;
}

static enum error sweep(struct store *store, size_t *ret_repaired, bool *ret_urgent, struct error_note *note)
{
	struct fake_store *fake = (struct fake_store *)store;
	(void)note;
	*ret_repaired = 0;
	*ret_urgent = fake->swept != NULL && fake->swept(fake->context);
	return ERROR_OK;
}

static void close_store(struct store *store)
{
	(void)store;
}

void fake_store_init(struct fake_store *store, struct fake_database *database)
{
	static const struct store_vtable vtable = {
		.take = take,
		.read_windows = read_windows,
		.read_days = read_days,
		.read_clients = read_clients,
		.list_due = list_due,
		.write = write_rows,
		.prune_windows = prune_windows,
		.sweep = sweep,
		.close = close_store,
		.held = held,
	};
	*store = (struct fake_store){.store.vtable = &vtable, .database = database};
}
