/* The embedded adapter: ledger, log and store in two SQLite files of the data directory (directory.h).
 *
 *   ledger ──► ledger.db ──► log      the log is the ledger itself, in the order of its rowids
 *                              │
 *   store  ◄─── engine ◄───────┘      metrics.db; derived, so it may be thrown away: it is filled again
 *
 * One process writes: it has the directory open. Readers open the files by the directory's path and take no lock, in this process
 * or another, also while it writes, also after a crash. Each of them is one thread's; different ones may be used at once.
 */
#ifndef PING_ADAPTER_SQLITE_SQLITE_H
#define PING_ADAPTER_SQLITE_SQLITE_H

#include "adapter/sqlite/directory.h"
#include "port/ledger.h"
#include "port/log.h"
#include "port/store.h"

/* Makes or migrates the file. SCHEMA_NEWER: by a newer version. FAILED_PRECONDITION: somebody else's file. CORRUPT: damaged. The
 * notes name the file and the way out. */
enum error sqlite_ledger_open(struct data_directory *directory, struct ledger **ret_ledger, struct error_note *note);
enum error sqlite_store_open(struct data_directory *directory, struct store **ret_store, struct error_note *note);
/* Wakes at once when the directory's ledger has appended. After sqlite_ledger_open. */
enum error sqlite_log_open(struct data_directory *directory, struct log_reader **ret_log, struct error_note *note);

/* NOT_FOUND: there is no such file yet. FAILED_PRECONDITION: also by an older version, which the next start of pingd migrates. */
enum error sqlite_ledger_reader_open(const char *path, struct ledger_reader **ret_reader, struct error_note *note);
enum error sqlite_store_reader_open(const char *path, struct store_reader **ret_reader, struct error_note *note);

#endif
