/**
 * What is true of pings and their metrics whoever computes them: events, positions, rows and how
 * they merge. Nothing here knows of Flink, Kafka or a database. docs/SEMANTICS.md is the contract;
 * the vectors in tests/vectors hold this package and the native engine to it alike.
 */
package ping.metrics.core;
