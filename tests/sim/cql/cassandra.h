/* A server that speaks CQL, as one sees it through quorums: tables of cells, of each cell the value with the greatest timestamp,
 * whatever the order that writes came in (of equal ones a deletion, else the greater value); TTL by the server's clock;
 * lightweight transactions, one after the other; counters, which know neither timestamps nor TTL. No failures: those are the
 * net's (net.h).
 */
#ifndef PING_SIM_CQL_CASSANDRA_H
#define PING_SIM_CQL_CASSANDRA_H

#include "statement.h"

struct cass_cell {
	struct cass_value value;
	int64_t timestamp_us;
	int64_t expires_us; /* 0: never */
	bool set;	    /* it was ever written; a deletion is the value null */
};

struct cass_row {
	uint16_t key_size, partition_size;
	uint8_t key[3 * VALUE_MAX];	      /* orders as the table does */
	struct cass_cell cells[COLUMNS_MAX];  /* those of the key too, for ever */
	int64_t marker_us, marker_expires_us; /* INSERT's */
	int64_t deleted_us;		      /* what is not later is gone */
	int writer;			      /* whose the last cell was that won */
};

struct cassandra {
	struct cass_schema schema;
	struct rowset statements; /* of struct cass_statement *: each text is read once */
	int64_t now_us;		  /* the server's clock */
	int64_t last_us;	  /* the timestamp that was given last where a statement names none */
	bool without_conditions;  /* a test's: IF column = … always holds */
	/* After each change of a row. NULL: not wanted. */
	void (*changed)(void *context, const struct cass_table *table, const struct cass_row *row);
	void *context;
};

/* The answer to one statement. */
struct cass_answer {
	struct cass_value *values; /* of rows × columns */
	size_t rows, columns, capacity;
	bool more;    /* rows behind these: go on behind last_key */
	size_t given; /* rows on this page and those before */
	uint16_t last_key_size;
	uint8_t last_key[3 * VALUE_MAX];
};

void cassandra_init(struct cassandra *cassandra);
void cassandra_release(struct cassandra *cassandra);
/* No row in any table. */
void cassandra_empty(struct cassandra *cassandra);
/* Lives as long as the server. */
const struct cass_statement *cassandra_prepare(struct cassandra *cassandra, const char *text);
/* Rows behind `after` (NULL: from the first), page_size at most. *ret_answer is to be released. writer: who asks. */
void cassandra_execute(struct cassandra *cassandra, const struct cass_statement *statement, const struct cass_value *bound,
		       size_t page_size, const struct cass_answer *after, int writer, struct cass_answer *ret_answer);
void cass_answer_release(struct cass_answer *answer);

const struct cass_table *cassandra_table(const struct cassandra *cassandra, const char *name);
/* The cell as a reader sees it; NULL: nothing. */
const struct cass_value *cassandra_see(const struct cassandra *cassandra, const struct cass_table *table,
				       const struct cass_row *row, const char *column);
/* Of an integer or a counter; `none` where there is nothing. */
int64_t cassandra_number(const struct cassandra *cassandra, const struct cass_table *table, const struct cass_row *row,
			 const char *column, int64_t none);

#endif
