#include "adapter/cql/client_rows.h"
#include "adapter/cql/store.h"

#include "adapter/cql/rebuilds.h"

/* A rebuild by the partition's owner: its request, rows as they are, and rows that should not be. */

enum { DONE_TTL_S = 86400 };

/* ─── The request ───────────────────────────────────────────────────────────────────────────────────────────────────── */

struct finding {
	int32_t partition;
	bool found;
	struct rebuild_request request;
};

static void ask_requests(void *context, size_t i, struct cql_request *request)
{
	(void)i;
	cql_call(request, CQL_LIST_REBUILDS);
	cql_put_int(request, ((const struct finding *)context)->partition);
}

/* In order of id: of time. */
static enum error answer_requests(void *context, size_t i, const struct pc_result *rows, bool last, struct error_note *note)
{
	(void)i;
	(void)last;
	(void)note;
	struct finding *finding = context;
	for (size_t row = 0; row < pc_result_rows(rows) && !finding->found; row++) {
		cql_read_rebuild(rows, row, &finding->request);
		finding->found = finding->request.state != REBUILD_DONE;
	}
	return finding->found ? ERROR_END : ERROR_OK;
}

enum error cql_find_rebuild(struct store *base, int32_t partition, struct rebuild_request *ret_request, struct error_note *note)
{
	struct cql_store *store = (struct cql_store *)base;
	struct finding finding = {.partition = partition};
	const struct cql_round round = {1, ask_requests, answer_requests, &finding};
	enum error error = cql_run(store->connection, &round, note);
	if (error != ERROR_OK)
		return error;
	*ret_request = finding.request;
	return finding.found ? ERROR_OK : ERROR_NOT_FOUND;
}

static enum error find_owned(struct cql_store *store, int32_t number, struct cql_partition **ret_partition,
			     struct error_note *note)
{
	*ret_partition = cql_find_partition(store, number);
	return *ret_partition != NULL ? ERROR_OK : error_noted(note, ERROR_FENCED, "partition %d was not taken", (int)number);
}

/* Under a timestamp of the partition's: what an owner before us still writes lies below. */
enum error cql_put_rebuild(struct store *base, const struct rebuild_request *rebuild, struct error_note *note)
{
	struct cql_store *store = (struct cql_store *)base;
	struct cql_partition *partition;
	struct cql_request request = {0};
	struct pc_result *rows;
	int64_t timestamp_us = 0;
	enum error error = find_owned(store, rebuild->partition, &partition, note);
	if (error == ERROR_OK)
		error = cql_next_timestamp(store, partition, &timestamp_us, note);
	if (error != ERROR_OK)
		return error;
	cql_call(&request, CQL_PUT_REBUILD);
	cql_put_rebuild_columns(&request, rebuild);
	cql_put_int(&request, rebuild->state == REBUILD_DONE ? DONE_TTL_S : 0);
	cql_put_bigint(&request, timestamp_us);
	error = cql_ask(store->connection, &request, &rows, note);
	if (error == ERROR_OK)
		pc_result_free(rows);
	return error;
}

/* ─── Rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* What somebody wrote with a later timestamp is seen here, so that we write above it. */
enum error cql_store_read_rows(struct store *base, const struct address *clients, size_t count, const struct store_rows *rows,
			       struct error_note *note)
{
	static const struct cql_client_statements statements = {CQL_COUNTERS_OF, CQL_WINDOWS_OF, CQL_DAYS_OF, CQL_FIND_CLIENT};
	struct cql_store *store = (struct cql_store *)base;
	cql_known_forget(store->known); /* what is known of them may not be so */
	return cql_read_client_rows(store->connection, &statements, clients, count, rows, &store->seen_us, note);
}

/* ─── Rows that should not be ───────────────────────────────────────────────────────────────────────────────────────── */

struct removing {
	const struct store_removal *removal;
	int64_t timestamp_us;
};

static void drop_client(const struct removing *removing, const struct client_row *row, struct cql_request *request)
{
	const int8_t lists[] = {CQL_LIST_ALL, CQL_LIST_BY_LAST};
	for (size_t i = 0; i < sizeof lists; i++) {
		cql_call(request, CQL_DROP_LISTED);
		cql_put_bigint(request, removing->timestamp_us);
		cql_put_int16(request, cql_shard_of(&row->client));
		cql_put_int8(request, lists[i]);
		cql_put_bigint(request, lists[i] == CQL_LIST_ALL ? 0 : -row->last_ms);
		cql_put_address(request, &row->client);
	}
}

static void ask_removal(void *context, size_t i, struct cql_request *request)
{
	const struct removing *removing = context;
	const struct store_removal *removal = removing->removal;
	if (i < removal->window_count) {
		cql_call(request, CQL_DROP_WINDOW);
		cql_put_bigint(request, removing->timestamp_us);
		cql_put_address_text(request, &removal->windows[i].client);
		cql_put_bigint(request, removal->windows[i].start_ms);
	} else if (i - removal->window_count < removal->day_count) {
		const struct day_row *day = &removal->days[i - removal->window_count];
		cql_call(request, CQL_DROP_DAY);
		cql_put_bigint(request, removing->timestamp_us);
		cql_put_address_text(request, &day->client);
		cql_put_date(request, day->start_ms);
	} else {
		drop_client(removing, &removal->clients[i - removal->window_count - removal->day_count], request);
	}
}

/* Counters take no value: they come to 0 by adding, while their day's row still tells that they are ours. */
static enum error empty_counters(struct cql_store *store, struct cql_partition *partition, const struct store_removal *removal,
				 struct error_note *note)
{
	enum { SOME = 64 };
	struct day_row days[SOME];
	enum error error = removal->day_count == 0 ? ERROR_OK : cql_confirm(store, partition, note);
	for (size_t done = 0; done < removal->day_count && error == ERROR_OK;) {
		size_t count = 0;
		for (; count < SOME && done < removal->day_count; count++, done++) {
			days[count] = removal->days[done];
			days[count].total = 0;
		}
		error = cql_follow_counters(store, days, count, note);
	}
	return error;
}

enum error cql_remove(struct store *base, int32_t number, const struct store_removal *removal, struct error_note *note)
{
	struct cql_store *store = (struct cql_store *)base;
	struct cql_partition *partition;
	struct removing removing = {.removal = removal};
	const struct cql_round round = {removal->window_count + removal->day_count + removal->client_count, ask_removal, NULL,
					&removing};
	enum error error = find_owned(store, number, &partition, note);
	if (error == ERROR_OK)
		error = empty_counters(store, partition, removal, note);
	if (error == ERROR_OK)
		error = cql_next_timestamp(store, partition, &removing.timestamp_us, note);
	if (error == ERROR_OK)
		error = cql_run(store->connection, &round, note);
	cql_known_forget(store->known);
	return error;
}
