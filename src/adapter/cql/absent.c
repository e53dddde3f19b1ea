/* In place of all that talks, in a build without the driver. */
#include "adapter/cql/cql.h"

const char *cql_client_text(void)
{
	return "no ScyllaDB: its driver was not there when this was built (make drivers)";
}

enum error cql_check_build(struct error_note *note)
{
	return error_noted(note, ERROR_UNIMPLEMENTED,
			   "this pingd was built without ScyllaDB, for its driver was not there: run `make drivers` (it takes "
			   "Rust 1.88), then `make build`");
}

enum error cql_migrate(const struct cql_config *config, const struct cql_migration *migration, struct cql_schema *ret_schema,
		       struct error_note *note)
{
	(void)config;
	(void)migration;
	(void)ret_schema;
	return cql_check_build(note);
}

enum error cql_store_open(const struct cql_store_config *config, struct store **ret_store)
{
	(void)config;
	(void)ret_store;
	return cql_check_build(NULL);
}

enum error cql_store_reader_open(const char *url, struct store_reader **ret_reader, struct error_note *note)
{
	(void)url;
	(void)ret_reader;
	return cql_check_build(note);
}

enum error cql_rebuild_requests_open(const char *url, struct rebuild_requests **ret_requests, struct error_note *note)
{
	(void)url;
	(void)ret_requests;
	return cql_check_build(note);
}
