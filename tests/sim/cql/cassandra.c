#include "cassandra.h"

#include <stdlib.h>
#include <string.h>

#include "cql_migrations.h"

static int compare_rows(const void *a, const void *b)
{
	const struct cass_row *x = *(const struct cass_row *const *)a, *y = *(const struct cass_row *const *)b;
	size_t size = x->key_size < y->key_size ? x->key_size : y->key_size;
	int order = memcmp(x->key, y->key, size);
	return order != 0 ? order : (x->key_size > y->key_size) - (x->key_size < y->key_size);
}

static int compare_statements(const void *a, const void *b)
{
	return strcmp((*(const struct cass_statement *const *)a)->text, (*(const struct cass_statement *const *)b)->text);
}

void cassandra_init(struct cassandra *cassandra)
{
	static const char *const migrations[] = {sql_0001_rfc, sql_0002_positions, sql_0003_clients, sql_0004_rebuilds,
						 sql_0005_inherited};
	*cassandra = (struct cassandra){0};
	rowset_init(&cassandra->statements, sizeof(struct cass_statement *), compare_statements);
	for (size_t i = 0; i < sizeof migrations / sizeof *migrations; i++)
		cass_define(&cassandra->schema, migrations[i]);
	for (size_t i = 0; i < cassandra->schema.table_count; i++)
		rowset_init(&cassandra->schema.tables[i].rows, sizeof(struct cass_row *), compare_rows);
}

static void empty_table(struct cass_table *table)
{
	for (size_t i = 0; i < table->rows.count; i++)
		free(*(struct cass_row **)rowset_at(&table->rows, i));
	table->rows.count = 0;
}

void cassandra_empty(struct cassandra *cassandra)
{
	for (size_t i = 0; i < cassandra->schema.table_count; i++)
		empty_table(&cassandra->schema.tables[i]);
}

void cassandra_release(struct cassandra *cassandra)
{
	cassandra_empty(cassandra);
	for (size_t i = 0; i < cassandra->schema.table_count; i++)
		rowset_release(&cassandra->schema.tables[i].rows);
	for (size_t i = 0; i < cassandra->statements.count; i++) {
		struct cass_statement *statement = *(struct cass_statement **)rowset_at(&cassandra->statements, i);
		free(statement->text);
		free(statement);
	}
	rowset_release(&cassandra->statements);
}

const struct cass_statement *cassandra_prepare(struct cassandra *cassandra, const char *text)
{
	struct cass_statement named = {.text = (char *)(uintptr_t)text}, *statement = &named;
	struct cass_statement **found = rowset_find(&cassandra->statements, &statement);
	if (found != NULL)
		return *found;
	statement = malloc(sizeof *statement);
	if (statement == NULL)
		abort();
	cass_parse(&cassandra->schema, text, statement);
	rowset_put(&cassandra->statements, &statement);
	return statement;
}

/* ─── Keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_signed(enum cass_type type)
{
	return type <= TYPE_INT64;
}

static int compare_values(enum cass_type type, const struct cass_value *a, const struct cass_value *b)
{
	int32_t size = a->size < b->size ? a->size : b->size;
	if (is_signed(type) && size > 0 && ((a->data[0] ^ b->data[0]) & 0x80) != 0)
		return (a->data[0] & 0x80) != 0 ? -1 : 1;
	int order = size <= 0 ? 0 : memcmp(a->data, b->data, (size_t)size);
	return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

/* Bytes that order as the values do: of a partition's columns each with its size before it, which orders them somehow. */
static void add_to_key(struct cass_row *row, const struct cass_table *table, size_t index, const struct cass_value *value)
{
	const struct cass_column *column = &table->columns[table->keys[index]];
	uint8_t *at = row->key + row->key_size;
	if (value->size < 0)
		cass_fail(table->name, "a null in a key");
	if (index < table->partition_count) {
		*at++ = (uint8_t)value->size;
		row->key_size++;
	}
	memcpy(at, value->data, (size_t)value->size);
	if (is_signed(column->type))
		at[0] ^= 0x80;
	for (int32_t i = 0; i < value->size && table->descending[index]; i++)
		at[i] = (uint8_t)~at[i];
	row->key_size = (uint16_t)(row->key_size + value->size);
	if (index + 1 == table->partition_count)
		row->partition_size = row->key_size;
}

static const struct cass_value *value_of(const struct cass_term *term, const struct cass_value *bound)
{
	return term->bound ? &bound[term->index] : &term->literal;
}

static int64_t number_of(const struct cass_value *value)
{
	if (value->size <= 0)
		return 0;
	uint64_t number = (value->data[0] & 0x80) != 0 ? UINT64_MAX : 0;
	for (int32_t i = 0; i < value->size; i++)
		number = number << 8 | value->data[i];
	return (int64_t)number;
}

static void put_number(struct cass_value *value, int64_t number)
{
	value->size = 8;
	for (int i = 0; i < 8; i++)
		value->data[i] = (uint8_t)((uint64_t)number >> 8 * (7 - i));
}

/* What the statement says the key's column is; NULL: not that it is one value. */
static const struct cass_value *said_of_key(const struct cass_statement *statement, size_t index, const struct cass_value *bound)
{
	size_t column = statement->table->keys[index];
	for (size_t i = 0; i < statement->assignment_count && statement->verb == VERB_INSERT; i++)
		if (statement->assignments[i].column == column)
			return value_of(&statement->assignments[i].term, bound);
	for (size_t i = 0; i < statement->condition_count; i++) {
		const struct cass_condition *condition = &statement->conditions[i];
		if (condition->operator== OPERATOR_EQUAL && condition->count == 1 && condition->columns[0] == column)
			return value_of(&condition->terms[0], bound);
	}
	return NULL;
}

/* ─── What a reader sees ────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_alive(const struct cassandra *cassandra, const struct cass_row *row, const struct cass_cell *cell)
{
	return cell->set && cell->value.size >= 0 && cell->timestamp_us > row->deleted_us &&
	       (cell->expires_us == 0 || cell->expires_us > cassandra->now_us);
}

static bool is_key(const struct cass_table *table, size_t column)
{
	for (size_t i = 0; i < table->key_count; i++)
		if (table->keys[i] == column)
			return true;
	return false;
}

static bool is_there(const struct cassandra *cassandra, const struct cass_table *table, const struct cass_row *row)
{
	if (row->marker_us > row->deleted_us && (row->marker_expires_us == 0 || row->marker_expires_us > cassandra->now_us))
		return true;
	for (size_t i = 0; i < table->column_count; i++)
		if (!is_key(table, i) && is_alive(cassandra, row, &row->cells[i]))
			return true;
	return false;
}

const struct cass_table *cassandra_table(const struct cassandra *cassandra, const char *name)
{
	for (size_t i = 0; i < cassandra->schema.table_count; i++)
		if (strcmp(cassandra->schema.tables[i].name, name) == 0)
			return &cassandra->schema.tables[i];
	cass_fail(name, "no such table");
}

const struct cass_value *cassandra_see(const struct cassandra *cassandra, const struct cass_table *table,
				       const struct cass_row *row, const char *column)
{
	for (size_t i = 0; i < table->column_count; i++)
		if (strcmp(table->columns[i].name, column) == 0)
			return is_key(table, i) || is_alive(cassandra, row, &row->cells[i]) ? &row->cells[i].value : NULL;
	cass_fail(column, "no such column");
}

int64_t cassandra_number(const struct cassandra *cassandra, const struct cass_table *table, const struct cass_row *row,
			 const char *column, int64_t none)
{
	const struct cass_value *value = cassandra_see(cassandra, table, row, column);
	return value == NULL ? none : number_of(value);
}

/* ─── Changes ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct cass_row *find_row(const struct cass_statement *statement, const struct cass_value *bound)
{
	struct cass_table *table = statement->table;
	struct cass_row key = {.key_size = 0}, *row = &key;
	const struct cass_value *values[KEYS_MAX];
	for (size_t i = 0; i < table->key_count; i++) {
		values[i] = said_of_key(statement, i, bound);
		if (values[i] == NULL)
			cass_fail(statement->text, "a write that does not name its row");
		add_to_key(row, table, i, values[i]);
	}
	struct cass_row **found = rowset_find(&table->rows, &row);
	if (found != NULL)
		return *found;
	row = malloc(sizeof *row);
	if (row == NULL)
		abort();
	*row = key;
	row->marker_us = row->deleted_us = INT64_MIN;
	for (size_t i = 0; i < table->key_count; i++)
		row->cells[table->keys[i]] = (struct cass_cell){.value = *values[i], .set = true};
	rowset_put(&table->rows, &row);
	return row;
}

static void write_cell(struct cass_row *row, size_t column, const struct cass_cell *cell, int writer)
{
	struct cass_cell *old = &row->cells[column];
	if (old->set &&
	    (cell->timestamp_us < old->timestamp_us ||
	     (cell->timestamp_us == old->timestamp_us &&
	      (old->value.size < 0 || (cell->value.size >= 0 && compare_values(TYPE_BLOB, &cell->value, &old->value) <= 0)))))
		return;
	*old = *cell;
	row->writer = writer;
}

static void count_on(struct cass_row *row, const struct cass_assignment *assignment, const struct cass_value *value)
{
	struct cass_cell *cell = &row->cells[assignment->column];
	int64_t number = (cell->set ? number_of(&cell->value) : 0) + assignment->sign * number_of(value);
	cell->set = true;
	put_number(&cell->value, number);
}

static void assign(const struct cassandra *cassandra, const struct cass_statement *statement, const struct cass_value *bound,
		   int64_t timestamp_us, struct cass_row *row, int writer)
{
	int64_t ttl_s = statement->ttl.set ? number_of(value_of(&statement->ttl, bound)) : 0;
	int64_t expires_us = ttl_s == 0 ? 0 : cassandra->now_us + ttl_s * 1000000;
	for (size_t i = 0; i < statement->assignment_count; i++) {
		const struct cass_assignment *assignment = &statement->assignments[i];
		const struct cass_value *value = value_of(&assignment->term, bound);
		const struct cass_cell cell = {*value, timestamp_us, expires_us, true};
		if (assignment->sign != 0)
			count_on(row, assignment, value);
		else if (!is_key(statement->table, assignment->column))
			write_cell(row, assignment->column, &cell, writer);
	}
	if (statement->verb == VERB_INSERT && timestamp_us >= row->marker_us) {
		row->marker_us = timestamp_us;
		row->marker_expires_us = expires_us;
	}
}

/* Whether a lightweight transaction's condition holds. */
static bool holds(const struct cassandra *cassandra, const struct cass_statement *statement, const struct cass_value *bound,
		  const struct cass_row *row)
{
	if (statement->if_not_exists)
		return !is_there(cassandra, statement->table, row);
	if (!statement->if_equal.term.set || cassandra->without_conditions)
		return true;
	const struct cass_cell *cell = &row->cells[statement->if_equal.column];
	const struct cass_value *value = value_of(&statement->if_equal.term, bound);
	return is_alive(cassandra, row, cell) && cell->value.size == value->size &&
	       memcmp(cell->value.data, value->data, (size_t)value->size) == 0;
}

static struct cass_value *add_answer_row(struct cass_answer *answer)
{
	if (answer->rows == answer->capacity) {
		answer->capacity = answer->capacity == 0 ? 4 : 2 * answer->capacity;
		answer->values = reallocarray(answer->values, answer->capacity * answer->columns, sizeof *answer->values);
		if (answer->values == NULL)
			abort();
	}
	return &answer->values[answer->rows++ * answer->columns];
}

static void change(struct cassandra *cassandra, const struct cass_statement *statement, const struct cass_value *bound,
		   int writer, struct cass_answer *ret_answer)
{
	struct cass_row *row = find_row(statement, bound);
	bool transaction = statement->if_not_exists || statement->if_equal.term.set;
	bool done = !transaction || holds(cassandra, statement, bound, row);
	if (transaction) {
		ret_answer->columns = 1;
		struct cass_value *applied = add_answer_row(ret_answer);
		applied->size = 1;
		applied->data[0] = done;
	}
	if (!done)
		return;
	cassandra->last_us = cassandra->last_us < cassandra->now_us ? cassandra->now_us : cassandra->last_us + 1;
	int64_t timestamp_us = statement->timestamp.set ? number_of(value_of(&statement->timestamp, bound)) : cassandra->last_us;
	if (statement->verb == VERB_DELETE) {
		if (timestamp_us > row->deleted_us)
			row->deleted_us = timestamp_us;
	} else {
		assign(cassandra, statement, bound, timestamp_us, row, writer);
	}
	if (cassandra->changed != NULL)
		cassandra->changed(cassandra->context, statement->table, row);
}

/* ─── Questions ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool fits(const struct cass_statement *statement, const struct cass_value *bound, const struct cass_row *row)
{
	for (size_t i = 0; i < statement->condition_count; i++) {
		const struct cass_condition *condition = &statement->conditions[i];
		int order = 0;
		for (size_t k = 0; k < condition->count && order == 0; k++)
			order = compare_values(statement->table->columns[condition->columns[k]].type,
					       &row->cells[condition->columns[k]].value, value_of(&condition->terms[k], bound));
		bool good = condition->operator== OPERATOR_EQUAL      ? order == 0
			    : condition->operator== OPERATOR_LESS     ? order < 0
			    : condition->operator== OPERATOR_NOT_MORE ? order <= 0
			    : condition->operator== OPERATOR_MORE     ? order > 0
								      : order >= 0;
		if (!good)
			return false;
	}
	return true;
}

/* The rows of the partition that is asked for, or of all: [*ret_first, *ret_end). */
static void find_range(const struct cass_statement *statement, const struct cass_value *bound, size_t *ret_first, size_t *ret_end)
{
	const struct cass_table *table = statement->table;
	struct cass_row key = {.key_size = 0}, *row = &key;
	*ret_first = 0;
	*ret_end = table->rows.count;
	for (size_t i = 0; i < table->partition_count; i++) {
		const struct cass_value *value = said_of_key(statement, i, bound);
		if (value == NULL)
			return;
		add_to_key(row, table, i, value);
	}
	*ret_first = rowset_lower_bound(&table->rows, &row);
	for (*ret_end = *ret_first; *ret_end < table->rows.count; (*ret_end)++) {
		const struct cass_row *other = *(struct cass_row **)rowset_at(&table->rows, *ret_end);
		if (other->partition_size != key.key_size || memcmp(other->key, key.key, key.key_size) != 0)
			return;
	}
}

static void answer_item(const struct cassandra *cassandra, const struct cass_statement *statement, const struct cass_row *row,
			const struct cass_item *item, struct cass_value *ret_value)
{
	const struct cass_cell *cell = &row->cells[item->column];
	bool alive = is_key(statement->table, item->column) || is_alive(cassandra, row, cell);
	if (!alive)
		ret_value->size = -1;
	else if (item->function == FUNCTION_WRITETIME)
		put_number(ret_value, cell->timestamp_us);
	else if (item->function == FUNCTION_TTL)
		put_number(ret_value, (cell->expires_us - cassandra->now_us) / 1000000);
	else if (item->function == FUNCTION_NUMBER)
		put_number(ret_value, number_of(&cell->value));
	else
		*ret_value = cell->value;
}

/* count(*) or max(column) over all that fits. */
static bool aggregates(const struct cass_statement *statement)
{
	return statement->item_count == 1 &&
	       (statement->items[0].function == FUNCTION_COUNT || statement->items[0].function == FUNCTION_MAX);
}

static void aggregate(const struct cassandra *cassandra, const struct cass_statement *statement, const struct cass_row *row,
		      struct cass_answer *answer)
{
	struct cass_value value, *sum = answer->values;
	if (statement->items[0].function == FUNCTION_COUNT) {
		put_number(sum, number_of(sum) + 1);
		return;
	}
	answer_item(cassandra, statement, row, &statement->items[0], &value);
	if (value.size > 0 && (sum->size < 0 || number_of(&value) > number_of(sum)))
		*sum = value;
}

static int compare_with_key(const struct cass_row *row, const uint8_t *key, size_t key_size)
{
	size_t size = row->key_size < key_size ? row->key_size : key_size;
	int order = memcmp(row->key, key, size);
	return order != 0 ? order : (row->key_size > key_size) - (row->key_size < key_size);
}

/* Whether it is the partition that the row before was of, which SELECT DISTINCT shows once. */
static bool is_repeated(const struct cass_statement *statement, const struct cass_row *before, const struct cass_row *row)
{
	return statement->distinct && before != NULL && before->partition_size == row->partition_size &&
	       memcmp(before->key, row->key, row->partition_size) == 0;
}

static void ask(const struct cassandra *cassandra, const struct cass_statement *statement, const struct cass_value *bound,
		size_t page_size, const struct cass_answer *after, struct cass_answer *answer)
{
	size_t first, end;
	const struct cass_table *table = statement->table;
	const struct cass_row *before = NULL;
	bool backward = statement->ordered && statement->ascending == table->descending[table->partition_count];
	size_t limit = statement->limit.set ? (size_t)number_of(value_of(&statement->limit, bound)) : SIZE_MAX;
	answer->columns = statement->item_count;
	answer->given = after == NULL ? 0 : after->given;
	if (aggregates(statement))
		put_number(add_answer_row(answer), 0);
	if (aggregates(statement) && statement->items[0].function == FUNCTION_MAX)
		answer->values->size = -1;
	find_range(statement, bound, &first, &end);
	for (size_t i = 0; i < end - first; i++) {
		const struct cass_row *row = *(struct cass_row **)rowset_at(&table->rows, backward ? end - 1 - i : first + i);
		int order = after == NULL ? 0 : compare_with_key(row, after->last_key, after->last_key_size);
		if ((after != NULL && (backward ? order >= 0 : order <= 0)) || !is_there(cassandra, table, row) ||
		    !fits(statement, bound, row) || is_repeated(statement, before, row))
			continue;
		before = row;
		if (aggregates(statement)) {
			aggregate(cassandra, statement, row, answer);
			continue;
		}
		if (answer->given == limit)
			return;
		if (answer->rows == page_size) {
			answer->more = true;
			return;
		}
		struct cass_value *values = add_answer_row(answer);
		for (size_t k = 0; k < statement->item_count; k++)
			answer_item(cassandra, statement, row, &statement->items[k], &values[k]);
		answer->given++;
		answer->last_key_size = row->key_size;
		memcpy(answer->last_key, row->key, row->key_size);
	}
}

void cassandra_execute(struct cassandra *cassandra, const struct cass_statement *statement, const struct cass_value *bound,
		       size_t page_size, const struct cass_answer *after, int writer, struct cass_answer *ret_answer)
{
	*ret_answer = (struct cass_answer){0};
	if (statement->verb == VERB_SELECT)
		ask(cassandra, statement, bound, page_size, after, ret_answer);
	else if (statement->verb == VERB_TRUNCATE)
		empty_table(statement->table);
	else
		change(cassandra, statement, bound, writer, ret_answer);
}

void cass_answer_release(struct cass_answer *answer)
{
	free(answer->values);
	answer->values = NULL;
}
