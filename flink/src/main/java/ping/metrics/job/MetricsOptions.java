package ping.metrics.job;

import java.io.Serializable;

/**
 * How clients' metrics are kept.
 *
 * @param flushIntervalMs how often changed rows go to the sink
 * @param allowedLatenessMs how long a row that does not change stays in state
 * @param windowRetentionMs windows that ended longer ago aren't written; 0: for ever
 * @param maxClients clients of a task that are at hand without a look into its state
 */
public record MetricsOptions(
    long flushIntervalMs, long allowedLatenessMs, long windowRetentionMs, int maxClients)
    implements Serializable {
  /** Clients at hand where nobody says otherwise. */
  public static final int DEFAULT_MAX_CLIENTS = 50_000;
}
