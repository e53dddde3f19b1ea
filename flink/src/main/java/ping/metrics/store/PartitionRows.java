package ping.metrics.store;

import java.io.IOException;
import java.util.List;
import java.util.Map;

/**
 * The rows of engine_writers that stand for the partitions of the log: that this kind of engine
 * fills the metrics, and how far they go. One thread at a time.
 */
public interface PartitionRows extends AutoCloseable {
  /**
   * Takes every partition's row for this kind of engine, which keeps engines of the other kind out.
   *
   * @throws IOException another kind was heard of less than a minute ago, the metrics are of
   *     another log, or the store fails
   */
  void takeAll() throws IOException;

  /**
   * How far each partition is applied; {@code Positions.NONE}: nothing of it is known to be.
   *
   * @throws IOException there are metrics, but no engine's rows; or the store fails
   */
  Map<Integer, Long> positions() throws IOException;

  /** Whether there are no metrics at all. */
  boolean isEmpty() throws IOException;

  /**
   * Everything up to the position is in the store. Says that this engine lives, too.
   *
   * @throws FencedException another kind has taken it
   */
  void commit(int partition, long position) throws IOException;

  /** This engine has stopped in good order: another kind need not wait. */
  void release(int partition) throws IOException;

  /**
   * Entries of activity_due of a partition that are due by {@code nowMs}, of the bucket that {@code
   * bucketMs} lies in.
   */
  List<Due> due(int partition, long bucketMs, long nowMs, int max) throws IOException;

  @Override
  void close();
}
