package ping.metrics.job;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import ping.metrics.core.Positions;
import ping.metrics.store.PartitionRows;

/**
 * Moves the position of a partition that nothing happens in to the end of its events, past what is
 * none of them: so that lag reads 0 when there is none.
 */
final class RestingPartitions implements AutoCloseable {
  private final PartitionRows rows;
  private final LogTail.Look look;
  private final Map<Integer, Long> before = new HashMap<>();

  RestingPartitions(PartitionRows rows, LogTail tail) {
    this.rows = rows;
    look = tail.open();
  }

  /** Those whose position is the one of the last time. */
  void advance(DueScan[] scans) throws IOException {
    if (scans.length == 0) {
      return;
    }
    Map<Integer, Long> positions = rows.positions();
    for (DueScan scan : scans) {
      long position = positions.getOrDefault(scan.partition(), Positions.NONE);
      Long last = before.put(scan.partition(), position);
      if (position == Positions.NONE || last == null || last != position) {
        continue;
      }
      long end = look.beforeNext(scan.partition(), position);
      if (end > position) {
        rows.commit(scan.partition(), end);
      }
    }
  }

  @Override
  public void close() {
    look.close();
  }
}
