#include "statement.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* What is left of a text, and the word at its head. */
struct reader {
	const char *text, *at;
	char word[VALUE_MAX * 2 + 4];
};

_Noreturn void cass_fail(const char *text, const char *why)
{
	fprintf(stderr, "the simulator's Cassandra: %s in: %s\n", why, text);
	abort();
}

static void skip_blanks(struct reader *reader)
{
	for (;;) {
		while (isspace((unsigned char)*reader->at))
			reader->at++;
		if (strncmp(reader->at, "--", 2) != 0)
			return;
		reader->at += strcspn(reader->at, "\n");
	}
}

/* The next word: a name or number, a 'text' (its quote stays at its head), or one or two signs. Empty at the end. */
static const char *next(struct reader *reader)
{
	skip_blanks(reader);
	const char *from = reader->at, *to = from;
	if (*from == '\'') {
		to = from + 1 + strcspn(from + 1, "'");
		reader->at = to + 1;
	} else {
		while (isalnum((unsigned char)*to) || *to == '_' || *to == '.')
			to++;
		if (to == from && (*from == '<' || *from == '>') && from[1] == '=')
			to += 2;
		else if (to == from && *from != 0)
			to++;
		reader->at = to;
	}
	size_t size = (size_t)(to - from);
	if (size >= sizeof reader->word)
		cass_fail(reader->text, "a word is too long");
	memcpy(reader->word, from, size);
	reader->word[size] = 0;
	return reader->word;
}

static bool is(const struct reader *reader, const char *word)
{
	return strcasecmp(reader->word, word) == 0;
}

/* Takes the words where they come next. */
static bool accept(struct reader *reader, const char *word)
{
	const char *before = reader->at;
	next(reader);
	if (is(reader, word))
		return true;
	reader->at = before;
	return false;
}

static void expect(struct reader *reader, const char *word)
{
	if (!accept(reader, word)) {
		char why[80];
		snprintf(why, sizeof why, "no %s where one is expected", word);
		cass_fail(reader->text, why);
	}
}

/* ─── Tables ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct cass_table *find_table(struct cass_schema *schema, struct reader *reader)
{
	next(reader);
	for (size_t i = 0; i < schema->table_count; i++)
		if (is(reader, schema->tables[i].name))
			return &schema->tables[i];
	cass_fail(reader->text, "an unknown table");
}

static size_t find_column(const struct cass_table *table, struct reader *reader)
{
	next(reader);
	for (size_t i = 0; i < table->column_count; i++)
		if (is(reader, table->columns[i].name))
			return i;
	cass_fail(reader->text, "an unknown column");
}

static void add_column(struct cass_table *table, struct reader *reader)
{
	static const struct {
		const char *name;
		enum cass_type type;
	} types[] = {{"tinyint", TYPE_INT8},	{"smallint", TYPE_INT16}, {"int", TYPE_INT32}, {"bigint", TYPE_INT64},
		     {"timestamp", TYPE_INT64}, {"counter", TYPE_INT64},  {"date", TYPE_DATE}, {"double", TYPE_DOUBLE},
		     {"text", TYPE_TEXT},	{"blob", TYPE_BLOB}};
	if (table->column_count == COLUMNS_MAX)
		cass_fail(reader->text, "too many columns");
	struct cass_column *column = &table->columns[table->column_count++];
	snprintf(column->name, sizeof column->name, "%.31s", next(reader));
	next(reader);
	column->counter = is(reader, "counter");
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (is(reader, types[i].name)) {
			column->type = types[i].type;
			return;
		}
	cass_fail(reader->text, "an unknown type");
}

static void add_key(struct cass_table *table, struct reader *reader)
{
	if (table->key_count == KEYS_MAX)
		cass_fail(reader->text, "too many columns in the key");
	table->keys[table->key_count++] = find_column(table, reader);
}

static void read_primary_key(struct cass_table *table, struct reader *reader)
{
	expect(reader, "KEY");
	expect(reader, "(");
	bool several = accept(reader, "(");
	do
		add_key(table, reader);
	while (several && accept(reader, ","));
	if (several)
		expect(reader, ")");
	table->partition_count = table->key_count;
	while (accept(reader, ","))
		add_key(table, reader);
	expect(reader, ")");
}

static void read_columns(struct cass_table *table, struct reader *reader)
{
	expect(reader, "(");
	do {
		if (accept(reader, "PRIMARY")) {
			read_primary_key(table, reader);
			continue;
		}
		add_column(table, reader);
		if (accept(reader, "PRIMARY")) {
			expect(reader, "KEY");
			table->keys[table->key_count++] = table->column_count - 1;
			table->partition_count = 1;
		}
	} while (accept(reader, ","));
	expect(reader, ")");
}

static void read_order(struct cass_table *table, struct reader *reader)
{
	for (; *next(reader) != 0 && !is(reader, ";");) {
		if (!is(reader, "CLUSTERING"))
			continue;
		expect(reader, "ORDER");
		expect(reader, "BY");
		expect(reader, "(");
		for (size_t i = table->partition_count; i < table->key_count; i++) {
			if (find_column(table, reader) != table->keys[i])
				cass_fail(reader->text, "another order than the key's");
			next(reader);
			table->descending[i] = is(reader, "DESC");
			accept(reader, ",");
		}
		expect(reader, ")");
	}
}

void cass_define(struct cass_schema *schema, const char *text)
{
	struct reader reader = {.text = text, .at = text};
	while (*next(&reader) != 0) {
		if (is(&reader, "ALTER")) {
			expect(&reader, "TABLE");
			struct cass_table *table = find_table(schema, &reader);
			expect(&reader, "ADD");
			add_column(table, &reader);
			expect(&reader, ";");
			continue;
		}
		if (!is(&reader, "CREATE") || schema->table_count == sizeof schema->tables / sizeof *schema->tables)
			cass_fail(text, "neither CREATE nor ALTER");
		struct cass_table *table = &schema->tables[schema->table_count++];
		expect(&reader, "TABLE");
		expect(&reader, "IF");
		expect(&reader, "NOT");
		expect(&reader, "EXISTS");
		snprintf(table->name, sizeof table->name, "%.31s", next(&reader));
		read_columns(table, &reader);
		read_order(table, &reader);
	}
}

/* ─── Terms ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void put_integer(struct cass_value *value, int64_t number, int32_t size)
{
	value->size = size;
	for (int32_t i = 0; i < size; i++)
		value->data[i] = (uint8_t)((uint64_t)number >> 8 * (size - 1 - i));
}

/* '2024-10-14'. */
static int64_t day_of(const char *text)
{
	struct tm tm = {0};
	return strptime(text, "%Y-%m-%d", &tm) == NULL ? 0 : timegm(&tm) / 86400;
}

static void read_blob(struct cass_value *value, const char *digits, const struct reader *reader)
{
	value->size = (int32_t)(strlen(digits) / 2);
	if (value->size > VALUE_MAX)
		cass_fail(reader->text, "a value is too long");
	for (int32_t i = 0; i < value->size; i++) {
		const char pair[3] = {digits[2 * i], digits[2 * i + 1], 0};
		value->data[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
}

static void read_literal(struct cass_value *value, enum cass_type type, struct reader *reader)
{
	static const int32_t sizes[] = {[TYPE_INT8] = 1, [TYPE_INT16] = 2, [TYPE_INT32] = 4, [TYPE_INT64] = 8};
	bool negative = is(reader, "-");
	if (negative)
		next(reader);
	const char *word = reader->word;
	if (is(reader, "null")) {
		value->size = -1;
	} else if (type == TYPE_TEXT && *word == '\'' && strlen(word + 1) <= VALUE_MAX) {
		value->size = (int32_t)strlen(word + 1);
		memcpy(value->data, word + 1, (size_t)value->size);
	} else if (type == TYPE_DATE && *word == '\'') {
		put_integer(value, day_of(word + 1) + (INT64_C(1) << 31), 4);
	} else if (type == TYPE_BLOB && strncmp(word, "0x", 2) == 0) {
		read_blob(value, word + 2, reader);
	} else if (type <= TYPE_INT64 && isdigit((unsigned char)*word)) {
		int64_t number = strtoll(word, NULL, 10);
		put_integer(value, negative ? -number : number, sizes[type]);
	} else if (type == TYPE_DOUBLE && isdigit((unsigned char)*word)) {
		double number = strtod(word, NULL);
		int64_t bits;
		memcpy(&bits, &number, sizeof bits);
		put_integer(value, bits, 8);
	} else {
		cass_fail(reader->text, "a value that is not understood");
	}
}

static struct cass_term read_term(struct cass_statement *statement, enum cass_type type, struct reader *reader)
{
	struct cass_term term = {.set = true};
	next(reader);
	term.bound = is(reader, "?");
	if (term.bound)
		term.index = statement->bound_count++;
	else
		read_literal(&term.literal, type, reader);
	return term;
}

static enum cass_type type_of(const struct cass_statement *statement, size_t column)
{
	return statement->table->columns[column].type;
}

/* ─── Clauses ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static enum cass_operator read_operator(struct reader *reader)
{
	static const char *const signs[] = {[OPERATOR_EQUAL] = "=",
					    [OPERATOR_LESS] = "<",
					    [OPERATOR_NOT_MORE] = "<=",
					    [OPERATOR_MORE] = ">",
					    [OPERATOR_NOT_LESS] = ">="};
	next(reader);
	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
		if (is(reader, signs[i]))
			return (enum cass_operator)i;
	cass_fail(reader->text, "an unknown operator");
}

static void read_condition(struct cass_statement *statement, struct reader *reader)
{
	if (statement->condition_count == CONDITIONS_MAX)
		cass_fail(reader->text, "too many conditions");
	struct cass_condition *condition = &statement->conditions[statement->condition_count++];
	bool tuple = accept(reader, "(");
	do
		condition->columns[condition->count++] = find_column(statement->table, reader);
	while (tuple && condition->count < 2 && accept(reader, ","));
	if (tuple)
		expect(reader, ")");
	condition->operator= read_operator(reader);
	if (tuple)
		expect(reader, "(");
	for (size_t i = 0; i < condition->count; i++) {
		condition->terms[i] = read_term(statement, type_of(statement, condition->columns[i]), reader);
		if (i + 1 < condition->count)
			expect(reader, ",");
	}
	if (tuple)
		expect(reader, ")");
}

static void read_where(struct cass_statement *statement, struct reader *reader)
{
	if (!accept(reader, "WHERE"))
		return;
	do
		read_condition(statement, reader);
	while (accept(reader, "AND"));
}

static void read_using(struct cass_statement *statement, struct reader *reader)
{
	if (!accept(reader, "USING"))
		return;
	do {
		next(reader);
		if (is(reader, "TTL"))
			statement->ttl = read_term(statement, TYPE_INT32, reader);
		else if (is(reader, "TIMESTAMP"))
			statement->timestamp = read_term(statement, TYPE_INT64, reader);
		else
			cass_fail(reader->text, "an unknown USING");
	} while (accept(reader, "AND"));
}

static void read_item(struct cass_statement *statement, struct reader *reader)
{
	static const struct {
		const char *head;
		enum cass_function function;
	} functions[] = {{"count(", FUNCTION_COUNT},
			 {"writetime(", FUNCTION_WRITETIME},
			 {"max(", FUNCTION_MAX},
			 {"cast(ttl(", FUNCTION_TTL},
			 {"cast(", FUNCTION_NUMBER}};
	struct cass_item item = {.function = FUNCTION_NONE};
	if (statement->item_count == COLUMNS_MAX)
		cass_fail(reader->text, "too many columns");
	skip_blanks(reader);
	for (size_t i = 0; i < sizeof functions / sizeof *functions && item.function == FUNCTION_NONE; i++)
		if (strncmp(reader->at, functions[i].head, strlen(functions[i].head)) == 0) {
			item.function = functions[i].function;
			reader->at += strlen(functions[i].head);
		}
	if (item.function == FUNCTION_COUNT)
		next(reader);
	else
		item.column = find_column(statement->table, reader);
	statement->items[statement->item_count++] = item;
	while (accept(reader, ")") || accept(reader, "AS") || accept(reader, "bigint"))
		;
}

static void read_select(struct cass_schema *schema, struct cass_statement *statement, struct reader *reader)
{
	statement->verb = VERB_SELECT;
	statement->distinct = accept(reader, "DISTINCT");
	struct reader items = *reader; /* whose names the table says */
	while (!accept(reader, "FROM"))
		if (*next(reader) == 0)
			cass_fail(reader->text, "a SELECT without FROM");
	statement->table = find_table(schema, reader);
	do
		read_item(statement, &items);
	while (accept(&items, ","));
	read_where(statement, reader);
	if (accept(reader, "ORDER")) {
		expect(reader, "BY");
		find_column(statement->table, reader);
		statement->ordered = true;
		statement->ascending = accept(reader, "ASC");
	}
	if (accept(reader, "LIMIT"))
		statement->limit = read_term(statement, TYPE_INT32, reader);
}

static void read_insert(struct cass_schema *schema, struct cass_statement *statement, struct reader *reader)
{
	statement->verb = VERB_INSERT;
	expect(reader, "INTO");
	statement->table = find_table(schema, reader);
	expect(reader, "(");
	do {
		if (statement->assignment_count == COLUMNS_MAX)
			cass_fail(reader->text, "too many columns");
		statement->assignments[statement->assignment_count++].column = find_column(statement->table, reader);
	} while (accept(reader, ","));
	expect(reader, ")");
	expect(reader, "VALUES");
	expect(reader, "(");
	for (size_t i = 0; i < statement->assignment_count; i++) {
		struct cass_assignment *assignment = &statement->assignments[i];
		assignment->term = read_term(statement, type_of(statement, assignment->column), reader);
		expect(reader, i + 1 < statement->assignment_count ? "," : ")");
	}
	if (accept(reader, "IF")) {
		expect(reader, "NOT");
		expect(reader, "EXISTS");
		statement->if_not_exists = true;
	}
	read_using(statement, reader);
}

static void read_assignment(struct cass_statement *statement, struct reader *reader)
{
	struct cass_assignment *assignment = &statement->assignments[statement->assignment_count++];
	assignment->column = find_column(statement->table, reader);
	expect(reader, "=");
	if (statement->table->columns[assignment->column].counter) {
		find_column(statement->table, reader);
		next(reader);
		assignment->sign = is(reader, "-") ? -1 : 1;
	}
	assignment->term = read_term(statement, type_of(statement, assignment->column), reader);
}

static void read_update(struct cass_schema *schema, struct cass_statement *statement, struct reader *reader)
{
	statement->verb = VERB_UPDATE;
	statement->table = find_table(schema, reader);
	read_using(statement, reader);
	expect(reader, "SET");
	do
		read_assignment(statement, reader);
	while (accept(reader, ","));
	read_where(statement, reader);
	if (accept(reader, "IF")) {
		statement->if_equal.column = find_column(statement->table, reader);
		expect(reader, "=");
		statement->if_equal.term = read_term(statement, type_of(statement, statement->if_equal.column), reader);
	}
}

void cass_parse(struct cass_schema *schema, const char *text, struct cass_statement *ret_statement)
{
	struct reader reader = {.text = text, .at = text};
	*ret_statement = (struct cass_statement){.text = strdup(text)};
	if (ret_statement->text == NULL)
		abort();
	next(&reader);
	if (is(&reader, "SELECT")) {
		read_select(schema, ret_statement, &reader);
	} else if (is(&reader, "INSERT")) {
		read_insert(schema, ret_statement, &reader);
	} else if (is(&reader, "UPDATE")) {
		read_update(schema, ret_statement, &reader);
	} else if (is(&reader, "DELETE")) {
		ret_statement->verb = VERB_DELETE;
		expect(&reader, "FROM");
		ret_statement->table = find_table(schema, &reader);
		read_using(ret_statement, &reader);
		read_where(ret_statement, &reader);
	} else if (is(&reader, "TRUNCATE")) {
		ret_statement->verb = VERB_TRUNCATE;
		ret_statement->table = find_table(schema, &reader);
	} else {
		cass_fail(text, "an unknown statement");
	}
	if (*next(&reader) != 0 && !is(&reader, ";"))
		cass_fail(text, "something behind the statement's end");
}
