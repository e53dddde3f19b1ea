/** What the job wants of the store of the metrics, whichever it is. */
package ping.metrics.store;
