package ping.metrics.job;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import ping.metrics.core.Windows;
import ping.metrics.store.Due;
import ping.metrics.store.PartitionRows;

/**
 * Goes through the buckets of activity_due of one partition, from the oldest that may hold any to
 * the one of now, then stays with the newest two, and begins anew every minute. What was handled is
 * gone from there.
 */
final class DueScan {
  /** Rows live for 24 hours after their newest window: no older due is to be found. */
  private static final long OLDEST_MS = 25 * 3_600_000L;

  private static final int BUCKETS_AT_ONCE = 32;
  private static final long ROUND_MS = 60_000;

  private final int partition;
  private long bucketMs;
  private long roundMs;

  private DueScan(int partition, long nowMs) {
    this.partition = partition;
    bucketMs = Windows.startOf(Math.max(0, nowMs - OLDEST_MS));
    roundMs = nowMs;
  }

  /** Those of a subtask: each partition has one. */
  static DueScan[] of(int partitions, int subtask, int parallelism, long nowMs) {
    return IntStream.range(0, partitions)
        .filter(partition -> partition % parallelism == subtask)
        .mapToObj(partition -> new DueScan(partition, nowMs))
        .toArray(DueScan[]::new);
  }

  int partition() {
    return partition;
  }

  /** The next that are due, about {@code max} at most. */
  List<Due> next(PartitionRows rows, long nowMs, int max) throws IOException {
    long last = Windows.startOf(nowMs);
    if (nowMs - roundMs >= ROUND_MS) {
      roundMs = nowMs;
      bucketMs = Windows.startOf(Math.max(0, nowMs - OLDEST_MS));
    }
    List<Due> found = new ArrayList<>();
    for (int i = 0; i < BUCKETS_AT_ONCE && bucketMs <= last && found.size() < max; i++) {
      List<Due> here = rows.due(partition, bucketMs, nowMs, max);
      found.addAll(here);
      if (here.size() >= max) {
        break; // again next time: there are more
      }
      if (bucketMs == last) {
        bucketMs = last - Windows.SIZE_MS;
        break;
      }
      bucketMs += Windows.SIZE_MS;
    }
    return found;
  }
}
