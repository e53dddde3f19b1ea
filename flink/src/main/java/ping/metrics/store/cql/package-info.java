/**
 * The metrics in ScyllaDB, or in any server that speaks CQL v4: the tables and columns of the
 * native engine (docs/SCYLLADB.md).
 */
package ping.metrics.store.cql;
