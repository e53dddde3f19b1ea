package ping.metrics.store.cql;

import com.datastax.oss.driver.api.core.CqlSession;
import java.io.IOException;
import ping.metrics.store.Lanes;
import ping.metrics.store.MetricsStore;
import ping.metrics.store.PartitionRows;
import ping.metrics.store.RowReader;
import ping.metrics.store.RowWriter;

/** The metrics in a keyspace whose tables pingctl made. */
public final class CqlMetricsStore implements MetricsStore {
  private static final long serialVersionUID = 1;

  private final CqlUrl url;
  private final byte[] topicId;
  private final long logEpoch;
  private final int partitions;
  private final long windowRetentionMs;

  /**
   * Of a log.
   *
   * @param topicId which log: Kafka's id of the topic
   * @param logEpoch the topic's place among those that were made anew
   * @param partitions of the log
   * @param windowRetentionMs 0: for ever
   */
  public CqlMetricsStore(
      CqlUrl url, byte[] topicId, long logEpoch, int partitions, long windowRetentionMs) {
    this.url = url;
    this.topicId = topicId.clone();
    this.logEpoch = logEpoch;
    this.partitions = partitions;
    this.windowRetentionMs = windowRetentionMs;
  }

  private interface Opener<T> {
    T open(CqlSession session, Statements statements) throws IOException, InterruptedException;
  }

  private <T> T open(Opener<T> opener) throws IOException, InterruptedException {
    CqlSession session = Sessions.acquire(url);
    boolean fine = false;
    try {
      T opened = opener.open(session, new Statements(session));
      fine = true;
      return opened;
    } finally {
      if (!fine) {
        Sessions.release(url);
      }
    }
  }

  private <T> T openQuickly(Opener<T> opener) throws IOException {
    try {
      return open(opener);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private EngineWriters writers(CqlSession session, Statements statements) {
    return new EngineWriters(session, statements, topicId, logEpoch, partitions);
  }

  @Override
  public RowReader openReader() throws IOException {
    return openQuickly((session, statements) -> new CqlRowReader(url, session, statements));
  }

  @Override
  public RowWriter openWriter(Lanes lanes) throws IOException, InterruptedException {
    return open(
        (session, statements) ->
            new CqlRowWriter(
                url,
                session,
                statements,
                writers(session, statements),
                lanes,
                partitions,
                windowRetentionMs));
  }

  @Override
  public PartitionRows openPartitions() throws IOException {
    return openQuickly(
        (session, statements) ->
            new CqlPartitionRows(
                url, session, statements, writers(session, statements), partitions));
  }
}
