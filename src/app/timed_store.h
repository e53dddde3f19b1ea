/* A store, as the engine's driver sees it, that tells how long each call took, how many rows it was about, and how it ended.
 * Everything is passed through as it is.
 */
#ifndef PING_APP_TIMED_STORE_H
#define PING_APP_TIMED_STORE_H

#include "base/clock.h"
#include "port/store.h"

/* X(name, call): as metrics have them */
#define STORE_CALLS(X)                    \
	X(TAKE, "take")                   \
	X(READ_WINDOWS, "read_windows")   \
	X(READ_DAYS, "read_days")         \
	X(READ_CLIENTS, "read_clients")   \
	X(LIST_DUE, "list_due")           \
	X(WRITE, "write")                 \
	X(PRUNE_WINDOWS, "prune_windows") \
	X(SWEEP, "sweep")                 \
	X(READ_ROWS, "read_rows")         \
	X(REMOVE, "remove")

enum store_call {
#define STORE_CALL_ENUM(name, call) STORE_CALL_##name,
	STORE_CALLS(STORE_CALL_ENUM)
#undef STORE_CALL_ENUM
		STORE_CALL_COUNT,
};

/* "take", … Static. */
const char *store_call_name(enum store_call call);

struct store_observer {
	/* On the driver's thread, after each call. rows: that were asked for, or written. */
	void (*called)(void *context, enum store_call call, size_t rows, int64_t took_us, enum error error);
	void *context;
};

/* `inner` is closed with what is made; after an error it is still the caller's. NO_MEMORY. */
enum error timed_store_create(struct store *inner, struct clock *clock, const struct store_observer *observer,
			      struct store **ret_store);

#endif
