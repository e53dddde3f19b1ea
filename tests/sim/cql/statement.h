/* CQL as text, as much of it as the adapter for ScyllaDB speaks: tables as the migrations make them, statements as the adapter
 * prepares them. What is read here and not understood ends the program, so that nothing is simulated that isn't there.
 */
#ifndef PING_SIM_CQL_STATEMENT_H
#define PING_SIM_CQL_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../rowset.h"

enum { VALUE_MAX = 64, COLUMNS_MAX = 16, KEYS_MAX = 4, CONDITIONS_MAX = 6 };

enum cass_type { TYPE_INT8, TYPE_INT16, TYPE_INT32, TYPE_INT64, TYPE_DATE, TYPE_DOUBLE, TYPE_TEXT, TYPE_BLOB };

/* As the wire has it. */
struct cass_value {
	int32_t size; /* −1: null */
	uint8_t data[VALUE_MAX];
};

struct cass_column {
	char name[32];
	enum cass_type type;
	bool counter;
};

struct cass_table {
	char name[32];
	struct cass_column columns[COLUMNS_MAX];
	size_t column_count;
	size_t keys[KEYS_MAX]; /* columns: those of the partition, then those of the clustering */
	size_t key_count, partition_count;
	bool descending[KEYS_MAX];
	struct rowset rows; /* of struct cass_row *, by key */
};

enum cass_verb { VERB_SELECT, VERB_INSERT, VERB_UPDATE, VERB_DELETE, VERB_TRUNCATE };
enum cass_function { FUNCTION_NONE, FUNCTION_WRITETIME, FUNCTION_TTL, FUNCTION_NUMBER, FUNCTION_COUNT, FUNCTION_MAX };
enum cass_operator { OPERATOR_EQUAL, OPERATOR_LESS, OPERATOR_NOT_MORE, OPERATOR_MORE, OPERATOR_NOT_LESS };

/* A value that is bound (index), or stands in the text. */
struct cass_term {
	bool set, bound;
	size_t index;
	struct cass_value literal;
};

struct cass_item {
	enum cass_function function;
	size_t column;
};

struct cass_assignment {
	size_t column;
	int sign; /* 0: the value; 1, −1: a counter, by so much more or less */
	struct cass_term term;
};

/* One column, or a tuple of them. */
struct cass_condition {
	enum cass_operator operator;
	size_t columns[2], count;
	struct cass_term terms[2];
};

struct cass_statement {
	char *text;
	struct cass_table *table;
	enum cass_verb verb;
	struct cass_item items[COLUMNS_MAX];
	size_t item_count;
	bool distinct, ascending, ordered;
	struct cass_assignment assignments[COLUMNS_MAX];
	size_t assignment_count;
	struct cass_condition conditions[CONDITIONS_MAX];
	size_t condition_count;
	struct cass_term ttl, timestamp, limit;
	bool if_not_exists;
	struct cass_assignment if_equal; /* where its term is set */
	size_t bound_count;
};

struct cass_schema {
	struct cass_table tables[16];
	size_t table_count;
};

/* CREATE TABLE and ALTER TABLE … ADD, several with ';' between. */
void cass_define(struct cass_schema *schema, const char *text);
void cass_parse(struct cass_schema *schema, const char *text, struct cass_statement *ret_statement);
/* What ends the program. */
_Noreturn void cass_fail(const char *text, const char *why);

#endif
