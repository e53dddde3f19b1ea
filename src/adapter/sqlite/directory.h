/* The data directory: where the embedded files lie, and the lock that keeps a second process out.
 *
 *   DIR/lock         flock(2), held while open; the holder's PID in it
 *   DIR/ledger.db    every ping (WAL, synchronous=FULL)
 *   DIR/metrics.db   what the engine derived from it (WAL, synchronous=NORMAL)
 */
#ifndef PING_ADAPTER_SQLITE_DIRECTORY_H
#define PING_ADAPTER_SQLITE_DIRECTORY_H

#include "adapter/sqlite/tail.h"
#include "base/error.h"

struct data_directory;

/* Makes the directory (0700) and its parents where they are missing, and locks it. LOCKED: another process has it, whose PID is
 * in the note. READ_ONLY, IO, DISK_FULL: the note names the path and the way out. Must outlive what is opened in it. */
enum error data_directory_open(const char *path, struct data_directory **ret_directory, struct error_note *note);
void data_directory_close(struct data_directory *directory);
const char *data_directory_path(const struct data_directory *directory);
/* The end of the log, as this process's ledger moves it on. */
struct log_tail *data_directory_tail(struct data_directory *directory);

#endif
