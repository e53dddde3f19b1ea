/* A publisher's two ports that tell how long each call took and how it ended, so that the publisher itself needs no clock for its
 * numbers. Everything is passed through as it is; check, which asks nobody, is not
 * timed.
 */
#ifndef PING_APP_TIMED_PORTS_H
#define PING_APP_TIMED_PORTS_H

#include "base/clock.h"
#include "port/publish.h"

/* X(name, port, call): as metrics have them */
#define TIMED_CALLS(X)                                     \
	X(LEDGER_TAKE, "ledger", "take")                   \
	X(LEDGER_RENEW, "ledger", "renew")                 \
	X(LEDGER_RELEASE, "ledger", "release")             \
	X(LEDGER_SETTLE, "ledger", "settle")               \
	X(LEDGER_CLAIM, "ledger", "claim")                 \
	X(LEDGER_INSERT, "ledger", "insert")               \
	X(LEDGER_COMMIT, "ledger", "commit")               \
	X(LEDGER_READ_BATCHES, "ledger", "read_batches")   \
	X(LEDGER_SET_POSITIONS, "ledger", "set_positions") \
	X(LEDGER_PRUNE_KEYS, "ledger", "prune_keys")       \
	X(LOG_OPEN, "log", "open")                         \
	X(LOG_NEWEST, "log", "newest")                     \
	X(LOG_FIND, "log", "find")                         \
	X(LOG_PRODUCE, "log", "produce")                   \
	X(LOG_COMMIT, "log", "commit")                     \
	X(LOG_ABORT, "log", "abort")

enum timed_call {
#define TIMED_CALL_ENUM(name, port, call) TIMED_##name,
	TIMED_CALLS(TIMED_CALL_ENUM)
#undef TIMED_CALL_ENUM
		TIMED_CALL_COUNT,
};

/* "ledger" or "log"; "take", … Static. */
const char *timed_call_port(enum timed_call call);
const char *timed_call_name(enum timed_call call);

struct timed_ports_observer {
	/* On the publisher's thread, after each call. rows: of a produce or a commit of the ledger's, else 0. */
	void (*called)(void *context, enum timed_call call, size_t rows, int64_t took_us, enum error error);
	void *context;
};

/* `inner` is closed with what is made; after an error it is still the caller's. NO_MEMORY. */
enum error timed_slot_ledger_create(struct slot_ledger *inner, struct clock *clock, const struct timed_ports_observer *observer,
				    struct slot_ledger **ret_ledger);
enum error timed_publish_log_create(struct publish_log *inner, struct clock *clock, const struct timed_ports_observer *observer,
				    struct publish_log **ret_log);

#endif
