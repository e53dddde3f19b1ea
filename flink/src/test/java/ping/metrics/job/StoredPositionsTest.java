package ping.metrics.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer.PartitionOffsetsRetriever;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;
import ping.metrics.core.DayRow;
import ping.metrics.core.Positions;

/** Where a job without state begins. */
class StoredPositionsTest {
  private static final TopicPartition ZERO = new TopicPartition("raw-pings", 0);
  private static final TopicPartition ONE = new TopicPartition("raw-pings", 1);

  private final MemoryStore store = new MemoryStore("stored positions");

  /** A log whose partitions have the same bounds. */
  private record Bounds(long start, long end) implements PartitionOffsetsRetriever {
    private static Map<TopicPartition, Long> all(Collection<TopicPartition> partitions, long at) {
      Map<TopicPartition, Long> offsets = new HashMap<>();
      partitions.forEach(partition -> offsets.put(partition, at));
      return offsets;
    }

    @Override
    public Map<TopicPartition, Long> committedOffsets(Collection<TopicPartition> partitions) {
      throw new AssertionError("the store is right, not the group's offset");
    }

    @Override
    public Map<TopicPartition, Long> endOffsets(Collection<TopicPartition> partitions) {
      return all(partitions, end);
    }

    @Override
    public Map<TopicPartition, Long> beginningOffsets(Collection<TopicPartition> partitions) {
      return all(partitions, start);
    }

    @Override
    public Map<TopicPartition, OffsetAndTimestamp> offsetsForTimes(
        Map<TopicPartition, Long> timestamps) {
      throw new AssertionError("no clock decides what counts");
    }
  }

  private Map<TopicPartition, Long> offsets(long logEpoch, long start, long end) {
    return new StoredPositions(store, logEpoch)
        .getPartitionOffsets(List.of(ZERO, ONE), new Bounds(start, end));
  }

  @Test
  void anEmptyStoreBeginsAtTheLogsStartAndRemembersIt() {
    assertThat(offsets(2, 70, 90)).isEqualTo(Map.of(ZERO, 70L, ONE, 70L));
    assertThat(store.tables().positions)
        .isEqualTo(Map.of(0, Positions.of(2, 69), 1, Positions.of(2, 69)));
    assertThat(offsets(2, 70, 90)).isEqualTo(Map.of(ZERO, 70L, ONE, 70L));
  }

  @Test
  void rowsOfATaskThatDiedBeforeItsFirstCheckpointAreMadeAgainFromAWholeLogAlone() {
    store.tables().days.put("a day", new DayRow(0, 1, 1));
    assertThat(offsets(2, 0, 90)).isEqualTo(Map.of(ZERO, 0L, ONE, 0L));
    assertThatThrownBy(() -> offsets(2, 1, 90)).hasMessageContaining("the metrics are at 0");
  }

  @Test
  void behindWhatIsApplied() {
    store.tables().positions.put(0, Positions.of(2, 41));
    store.tables().positions.put(1, Positions.of(2, 9));
    assertThat(offsets(2, 0, 42)).isEqualTo(Map.of(ZERO, 42L, ONE, 10L));
  }

  @Test
  void theNextEpochsLogFromItsStart() {
    store.tables().positions.put(0, Positions.of(2, 41));
    store.tables().positions.put(1, Positions.of(3, 4));
    assertThat(offsets(3, 0, 5)).isEqualTo(Map.of(ZERO, 0L, ONE, 5L));
  }

  @Test
  void aPartitionThatNothingIsAppliedOfIsReadWhole() {
    store.tables().positions.put(0, Positions.of(0, 41));
    assertThat(offsets(0, 0, 90)).isEqualTo(Map.of(ZERO, 42L, ONE, 0L));
  }

  @Test
  void whatWasRemovedUnreadIsAnError() {
    store.tables().positions.put(0, 41L);
    store.tables().positions.put(1, 41L);
    assertThatThrownBy(() -> offsets(0, 50, 90)).hasMessageContaining("was removed (retention)");
    store.tables().positions.remove(1);
    assertThatThrownBy(() -> offsets(0, 42, 90))
        .hasMessageContaining("raw-pings-1 begins at offset 42, but the metrics are at 0");
  }

  @Test
  void aLogThatEndsBeforeOrAnEarlierEpochIsAnError() {
    store.tables().positions.put(0, 41L);
    store.tables().positions.put(1, 41L);
    assertThatThrownBy(() -> offsets(0, 0, 41)).hasMessageContaining("has lost events");
    store.tables().positions.put(1, Positions.of(4, 0));
    assertThatThrownBy(() -> offsets(0, 0, 90)).hasMessageContaining("set --log-epoch");
  }
}
