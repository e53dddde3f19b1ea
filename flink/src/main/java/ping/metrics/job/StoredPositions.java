package ping.metrics.job;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;
import org.apache.kafka.common.TopicPartition;
import ping.metrics.core.Positions;
import ping.metrics.store.MetricsStore;
import ping.metrics.store.PartitionRows;

/**
 * Where a job begins that has no state: behind what the store says is applied, whichever engine
 * applied it; at the log's start where the store is empty. What was removed in between, or a log
 * that ends before, is an error, never a silent gap.
 */
@SuppressWarnings("deprecation") // the connector still asks in these words
public final class StoredPositions implements OffsetsInitializer {
  private static final long serialVersionUID = 1;

  private final MetricsStore store;
  private final long logEpoch;

  /** Of a store, with the log in its life {@code logEpoch}. */
  public StoredPositions(MetricsStore store, long logEpoch) {
    this.store = store;
    this.logEpoch = logEpoch;
  }

  /**
   * Takes nothing and changes nothing: whether the metrics can go on from where they are.
   *
   * @param partitions whose bounds are to be looked at
   * @throws IllegalStateException they can't
   */
  public void check(Collection<TopicPartition> partitions, PartitionOffsetsRetriever retriever)
      throws IOException {
    try (PartitionRows rows = store.openPartitions()) {
      Map<Integer, Long> positions = rows.positions();
      if (!isFresh(rows, positions)) {
        offsets(partitions, positions, retriever);
      }
    }
  }

  @Override
  public Map<TopicPartition, Long> getPartitionOffsets(
      Collection<TopicPartition> partitions, PartitionOffsetsRetriever retriever) {
    try (PartitionRows rows = store.openPartitions()) {
      rows.takeAll();
      Map<Integer, Long> positions = rows.positions();
      return isFresh(rows, positions)
          ? begin(rows, retriever.beginningOffsets(partitions))
          : offsets(partitions, positions, retriever);
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  private static boolean isFresh(PartitionRows rows, Map<Integer, Long> positions)
      throws IOException {
    return positions.values().stream().allMatch(position -> position == Positions.NONE)
        && rows.isEmpty();
  }

  private Map<TopicPartition, Long> offsets(
      Collection<TopicPartition> partitions,
      Map<Integer, Long> positions,
      PartitionOffsetsRetriever retriever) {
    Map<TopicPartition, Long> starts = retriever.beginningOffsets(partitions);
    Map<TopicPartition, Long> ends = retriever.endOffsets(partitions);
    Map<TopicPartition, Long> offsets = new HashMap<>();
    for (TopicPartition partition : partitions) {
      long position = positions.getOrDefault(partition.partition(), Positions.NONE);
      offsets.put(
          partition, offset(partition, position, starts.get(partition), ends.get(partition)));
    }
    return offsets;
  }

  /**
   * An empty store is of the log as it is now. What was removed before was never in it, and it says
   * so from the start: else that would look as if it had been missed.
   */
  private Map<TopicPartition, Long> begin(PartitionRows rows, Map<TopicPartition, Long> starts)
      throws IOException {
    for (Map.Entry<TopicPartition, Long> start : starts.entrySet()) {
      if (start.getValue() > 0) {
        rows.commit(start.getKey().partition(), Positions.of(logEpoch, start.getValue() - 1));
      }
    }
    return starts;
  }

  private long offset(TopicPartition partition, long position, long start, long end) {
    long epoch = position == Positions.NONE ? logEpoch : Positions.epoch(position);
    if (epoch > logEpoch) {
      throw new IllegalStateException(
          "the metrics are at log epoch "
              + epoch
              + ", configured is "
              + logEpoch
              + ": set --log-epoch to the publishers'");
    }
    boolean nothing = position == Positions.NONE || epoch < logEpoch;
    long next = nothing ? 0 : Positions.offset(position) + 1;
    if (next < start) {
      throw new IllegalStateException(
          partition
              + " begins at offset "
              + start
              + ", but the metrics are at "
              + next
              + ": what lay between was removed (retention); they must be made anew from the ledger");
    }
    if (next > end) {
      throw new IllegalStateException(
          partition
              + " ends at offset "
              + end
              + ", but the metrics are at "
              + next
              + ": the topic was made anew, or has lost events; follow the procedure of --log-epoch");
    }
    return next;
  }

  @Override
  public OffsetResetStrategy getAutoOffsetResetStrategy() {
    return OffsetResetStrategy.NONE;
  }
}
