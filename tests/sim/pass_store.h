/* A store that passes each call on to the one inside: what stands between takes the place of single calls. */
#ifndef PING_SIM_PASS_STORE_H
#define PING_SIM_PASS_STORE_H

#include "port/store.h"

/* The first member of what wraps. */
struct pass_store {
	struct store store;
	struct store *inner;
	struct store_vtable vtable; /* the store's: of the wrapper to fill */
};

enum error pass_take(struct store *store, int32_t partition, const uint8_t log_identity[16], int64_t *ret_position,
		     struct error_note *note);
enum error pass_read_windows(struct store *store, struct window_row *rows, size_t count, struct error_note *note);
enum error pass_read_days(struct store *store, struct day_row *rows, size_t count, struct error_note *note);
enum error pass_read_clients(struct store *store, const struct address *clients, size_t count, int64_t start_ms,
			     void (*visit)(void *context, const struct address *client, const struct client_row *row,
					   const struct window_row *windows, size_t window_count),
			     void *context, struct error_note *note);
enum error pass_list_due(struct store *store, int32_t partition, int64_t now_ms, struct address *ret_clients, size_t max,
			 size_t *ret_count, struct error_note *note);
enum error pass_write(struct store *store, int32_t partition, const struct engine_dirty *dirty, int64_t position,
		      struct error_note *note);
enum error pass_prune_windows(struct store *store, int64_t before_ms, size_t max, size_t *ret_removed, struct error_note *note);
/* Closes the inner one, and frees the outer one. */
void pass_store_close(struct store *store);

#endif
