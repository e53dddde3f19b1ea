/** The Flink job of Ping: the metrics that pingd's own engine makes, at cluster scale. */
package ping.metrics;
