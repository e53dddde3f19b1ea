#include "adapter.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapter/sqlite/sqlite.h"

/* A process that crashes leaves its files to the next one; the connections are closed all the same, for there is one real process
 * alone. What a real kill -9 does is tested elsewhere. */
struct sqlite_adapter {
	struct adapter adapter;
	struct world *world;
	struct data_directory *directory;
	char path[256];
};

static void must_be_ok(const struct world *world, const char *what, enum error error, const struct error_note *note)
{
	if (error != ERROR_OK)
		world_fail(world, "%s: %s: %s", what, error_name(error), note->text);
}

static void sqlite_begin(struct adapter *adapter, struct ledger **ret_ledger, struct log_reader **ret_log,
			 struct store **ret_store)
{
	struct sqlite_adapter *sqlite = (struct sqlite_adapter *)adapter;
	struct error_note note = {0};
	must_be_ok(sqlite->world, "directory", data_directory_open(sqlite->path, &sqlite->directory, &note), &note);
	must_be_ok(sqlite->world, "ledger", sqlite_ledger_open(sqlite->directory, ret_ledger, &note), &note);
	must_be_ok(sqlite->world, "log", sqlite_log_open(sqlite->directory, ret_log, &note), &note);
	must_be_ok(sqlite->world, "store", sqlite_store_open(sqlite->directory, ret_store, &note), &note);
}

static void sqlite_end(struct adapter *adapter)
{
	data_directory_close(((struct sqlite_adapter *)adapter)->directory);
}

/* The files and the folder; there are no folders in it. */
static void remove_folder(const char *path)
{
	DIR *folder = opendir(path);
	if (folder == NULL)
		return;
	for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
		unlinkat(dirfd(folder), entry->d_name, 0);
	closedir(folder);
	rmdir(path);
}

static void sqlite_destroy(struct adapter *adapter)
{
	struct sqlite_adapter *sqlite = (struct sqlite_adapter *)adapter;
	adapter->ledger_reader->vtable->close(adapter->ledger_reader);
	adapter->store_reader->vtable->close(adapter->store_reader);
	remove_folder(sqlite->path);
	free(sqlite);
}

/* The first process makes the files, so that there is something to read. */
static void make_files(struct sqlite_adapter *sqlite)
{
	struct ledger *ledger;
	struct log_reader *log;
	struct store *store;
	struct error_note note = {0};
	sqlite_begin(&sqlite->adapter, &ledger, &log, &store);
	log->vtable->close(log);
	store->vtable->close(store);
	ledger->vtable->close(ledger);
	sqlite_end(&sqlite->adapter);
	must_be_ok(sqlite->world, "ledger reader", sqlite_ledger_reader_open(sqlite->path, &sqlite->adapter.ledger_reader, &note),
		   &note);
	must_be_ok(sqlite->world, "store reader", sqlite_store_reader_open(sqlite->path, &sqlite->adapter.store_reader, &note),
		   &note);
}

struct adapter *sqlite_adapter_create(struct world *world)
{
	struct sqlite_adapter *sqlite = calloc(1, sizeof *sqlite);
	if (sqlite == NULL)
		abort();
	const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
	snprintf(sqlite->path, sizeof sqlite->path, "%s/ping-sim-XXXXXX", folder);
	if (mkdtemp(sqlite->path) == NULL)
		world_fail(world, "cannot make %s", sqlite->path);
	sqlite->world = world;
	sqlite->adapter = (struct adapter){.begin = sqlite_begin, .end = sqlite_end, .destroy = sqlite_destroy};
	make_files(sqlite);
	return &sqlite->adapter;
}
