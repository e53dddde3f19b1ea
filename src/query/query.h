/* What the query RPCs ask of a store, page by page, in the terms of the rows. Blocks as the reader does; no wire, no clock.
 *
 * All results lie in the arena. Errors: INVALID_ARGUMENT with a note that names the field; NO_MEMORY; the reader's own.
 */
#ifndef PING_QUERY_QUERY_H
#define PING_QUERY_QUERY_H

#include "base/arena.h"
#include "port/store.h"

/* One client's windows or days with start in [start_ms, end_ms), end_ms 0: open. */
struct query_rows_request {
	struct address client;
	int64_t start_ms, end_ms;
	int32_t page_size;	 /* 0: 100; at most 1,000 */
	struct slice page_token; /* size 0: the first page */
};

/* Newest first; an unknown client has none. next_page_token.size 0: the last page. */
struct query_window_page {
	struct window_row *rows;
	size_t count;
	struct slice next_page_token;
};
struct query_day_page {
	struct day_row *rows;
	size_t count;
	struct slice next_page_token;
};

enum error query_list_windows(struct store_reader *reader, const struct query_rows_request *request, struct arena *arena,
			      struct query_window_page *ret_page, struct error_note *note);
enum error query_list_days(struct store_reader *reader, const struct query_rows_request *request, struct arena *arena,
			   struct query_day_page *ret_page, struct error_note *note);

/* A client's last 24 hours. Where row.count is 0, row.first_ms and last_ms are those of all time (0: never seen). */
struct query_activity {
	struct activity_row row;
	int64_t *counts; /* one a window, ACTIVITY_WINDOWS of them, the oldest first; NULL: not asked for */
};

/* With counts, always from the windows. A client that was never seen has an activity of 0. */
enum error query_get_activity(struct store_reader *reader, const struct address *client, int64_t now_ms, struct arena *arena,
			      struct query_activity *ret_activity, struct error_note *note);

struct query_clients_request {
	enum store_client_order order;
	struct slice prefix; /* of the canonical text; size 0: all */
	int64_t now_ms;
	int32_t page_size;
	struct slice page_token;
	bool counts; /* the windows' counts too */
};
struct query_client_page {
	struct query_activity *clients;
	size_t count;
	struct slice next_page_token;
};

/* Pages follow the store's order, which is that of the materialised rows. A row that is past its due time is derived again from
 * the windows, so that what is shown is exact; by ping count, each page is then put in order again by what it shows. */
enum error query_list_clients(struct store_reader *reader, const struct query_clients_request *request, struct arena *arena,
			      struct query_client_page *ret_page, struct error_note *note);

#endif
