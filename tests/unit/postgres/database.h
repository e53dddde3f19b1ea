/* A schema of one's own in the server that PING_TEST_POSTGRES names (tests/tools/postgres.py starts it). */
#ifndef PING_TESTS_POSTGRES_DATABASE_H
#define PING_TESTS_POSTGRES_DATABASE_H

#include "adapter/postgres/postgres.h"

struct database {
	char url[512];
	char schema[32];
	struct postgres_config config;
};

/* A new schema, empty; `migrated`: with what pingd makes in it. Asserts that it succeeds. */
void database_make(struct database *database, bool migrated);
void database_drop(struct database *database);
/* Statements, on a connection of their own. */
void database_execute(const struct database *database, const char *text);
/* The first column of the first row as a number. */
long long database_number(const struct database *database, const char *text);

#endif
