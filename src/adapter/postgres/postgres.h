/* The PostgreSQL adapter (14 and newer, through libpq): the ledger, alone or as one half of a publisher's batch.
 *
 *   ledger        rows without positions: PostgreSQL alone               ─┐
 *   slot_ledger   rows, positions and the slot's row in one transaction  ─┼─► pings ── triggers ─► ping_counts
 *   reader        PingCount from the roll-up; sums for the audit         ◄┤
 *   positions     rows by position, for the audit                        ◄┘
 *
 * Each is one thread's and has one connection, made when it is first needed and made anew when it was lost (after a pause that
 * grows, with jitter; until then UNAVAILABLE at once). All of it works through a pooler in transaction mode: no prepared
 * statements, nothing set beyond a transaction, no session locks.
 */
#ifndef PING_ADAPTER_POSTGRES_POSTGRES_H
#define PING_ADAPTER_POSTGRES_POSTGRES_H

#include "port/ledger.h"
#include "port/positions.h"
#include "port/publish.h"

/* What happens to the connections. On the thread that uses one; quick, without calls back. */
struct postgres_observer {
	void (*connected)(void *context, bool succeeded); /* an attempt to connect, the first one included; NULL: nobody asks */
	void *context;
};

/* 0: the default. */
struct postgres_config {
	const char *url; /* postgres://…, or libpq's keywords; several hosts, sslmode and all else as libpq has it */
	const char *application_name;	    /* NULL: "ping"; what the URL says counts more */
	int statement_timeout_ms;	    /* 15 s; the client itself gives up 5 s later */
	int lock_timeout_ms;		    /* for idempotency keys: 2 s */
	int idle_in_transaction_timeout_ms; /* how long a frozen process can hold locks: 20 s */
	int lease_ms;			    /* of a publisher slot: 10 s */
	int slots;			    /* how many publisher slots there are to be; 0: as many as the table has */
	struct postgres_observer observer;
};

enum postgres_migrate { POSTGRES_MIGRATE_AUTO, POSTGRES_MIGRATE_CHECK, POSTGRES_MIGRATE_OFF };

struct postgres_schema {
	int version, wanted; /* the database's and this program's */
};

/* Brings the schema up to date (AUTO), or looks whether it is (CHECK, or another program's doing it meanwhile).
 * And adds publisher slots that the table lacks (AUTO). FAILED_PRECONDITION: it is older, or a table pings is there that is not
 * ours, or slots were in use that are not to be; SCHEMA_NEWER; UNAVAILABLE. Blocks as long as it takes: the rows of a table that
 * was there before are counted, while others go on writing. `told` (NULL: not wanted) is called before each step. */
enum error postgres_migrate(const struct postgres_config *config, enum postgres_migrate mode,
			    void (*told)(void *context, int version, const char *name), void *context,
			    struct postgres_schema *ret_schema, struct error_note *note);

/* After an UNAVAILABLE: whether it is for a person to help, not for time: the server is up and refuses us (password, no such
 * database), or shows a certificate that we refuse. Asks the server once. */
bool postgres_is_refused(const struct postgres_config *config, const struct error_note *note);

/* The config's texts must outlive what is opened. Nothing is connected yet. NO_MEMORY. */
enum error postgres_ledger_open(const struct postgres_config *config, struct ledger **ret_ledger);
enum error postgres_slot_ledger_open(const struct postgres_config *config, struct slot_ledger **ret_ledger);
enum error postgres_ledger_reader_open(const struct postgres_config *config, struct ledger_reader **ret_reader);
enum error postgres_positions_open(const struct postgres_config *config, struct ledger_positions **ret_ledger);

/* Drops days whose end is older than that, oldest first, each after its sums were kept; up to one that has to stay. `told` is
 * told of each; false: enough. Of several at the same time one does it. FAILED_PRECONDITION: the table has no days; UNAVAILABLE.
 * Blocks as long as it takes to add up a day; who writes pings never waits for longer than a tenth of a second. */
enum error postgres_drop_days(const struct postgres_config *config, int64_t retention_ms,
			      bool (*told)(void *context, const struct ledger_day *day), void *context, struct error_note *note);

#endif
