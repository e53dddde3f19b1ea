#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "database.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static PGresult *execute(const char *url, const char *text, PGconn **ret_connection)
{
	PGconn *connection = PQconnectdb(url);
	if (PQstatus(connection) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(connection));
	PGresult *result = PQexec(connection, text);
	ExecStatusType status = PQresultStatus(result);
	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		fail_msg("%s: %s", text, PQresultErrorMessage(result));
	*ret_connection = connection;
	return result;
}

static void run(const char *url, const char *text)
{
	PGconn *connection;
	PGresult *result = execute(url, text, &connection);
	PQclear(result);
	PQfinish(connection);
}

void database_execute(const struct database *database, const char *text)
{
	run(database->url, text);
}

long long database_number(const struct database *database, const char *text)
{
	PGconn *connection;
	PGresult *result = execute(database->url, text, &connection);
	long long number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	PQfinish(connection);
	return number;
}

void database_make(struct database *database, bool migrated)
{
	static int number;
	char text[128];
	const char *server = getenv("PING_TEST_POSTGRES");
	if (server == NULL)
		fail_msg("run this by tests/tools/postgres.py");
	snprintf(database->schema, sizeof database->schema, "t%d_%d", (int)getpid(), ++number);
	snprintf(text, sizeof text, "CREATE SCHEMA %s", database->schema);
	run(server, text);
	snprintf(database->url, sizeof database->url, "%s?options=-csearch_path%%3D%s", server, database->schema);
	database->config = (struct postgres_config){.url = database->url};
	struct error_note note = {""};
	if (migrated && postgres_migrate(&database->config, POSTGRES_MIGRATE_AUTO, NULL, NULL, NULL, &note) != ERROR_OK)
		fail_msg("migrate: %s", note.text);
}

void database_drop(struct database *database)
{
	char text[128];
	snprintf(text, sizeof text, "SET client_min_messages = warning; DROP SCHEMA %s CASCADE", database->schema);
	run(getenv("PING_TEST_POSTGRES"), text);
}
