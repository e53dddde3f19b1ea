package ping.metrics.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.Map;
import org.junit.jupiter.api.Test;
import ping.metrics.core.Positions;

/** Positions of partitions that nothing happens in. */
class RestingPartitionsTest {
  private final MemoryStore store = new MemoryStore("resting partitions");
  private final Map<Integer, Long> positions = store.tables().positions;
  private final DueScan[] scans = DueScan.of(3, 0, 1, 0);
  private long markers;

  private RestingPartitions open() {
    LogTail.Look look =
        new LogTail.Look() {
          @Override
          public long beforeNext(int partition, long position) {
            return position + markers;
          }

          @Override
          public void close() {}
        };
    return new RestingPartitions(store.openPartitions(), () -> look);
  }

  @Test
  void passWhatIsNoEventOnceTheyRest() throws IOException {
    markers = 2;
    positions.put(0, Positions.of(1, 7));
    try (RestingPartitions resting = open()) {
      resting.advance(scans);
      assertThat(positions).isEqualTo(Map.of(0, Positions.of(1, 7)));
      resting.advance(scans);
      assertThat(positions).isEqualTo(Map.of(0, Positions.of(1, 9)));
    }
  }

  @Test
  void areLeftAloneWhileTheyMove() throws IOException {
    markers = 2;
    try (RestingPartitions resting = open()) {
      for (long position = 1; position < 9; position += 2) {
        positions.put(1, position);
        resting.advance(scans);
        assertThat(positions).isEqualTo(Map.of(1, position));
      }
    }
  }

  @Test
  void stayWhereEventsFollow() throws IOException {
    positions.put(2, 7L);
    try (RestingPartitions resting = open()) {
      resting.advance(scans);
      resting.advance(scans);
    }
    assertThat(positions).isEqualTo(Map.of(2, 7L));
  }
}
