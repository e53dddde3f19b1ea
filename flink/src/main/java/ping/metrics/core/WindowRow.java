package ping.metrics.core;

/**
 * A row of window_stats, beside its client: absolute, so writing it twice changes nothing.
 *
 * @param startMs the window's start
 * @param count pings in it, 1 or more
 * @param firstMs the earliest pinged_at
 * @param lastMs the latest pinged_at
 * @param position of the newest event in it
 */
public record WindowRow(long startMs, long count, long firstMs, long lastMs, long position) {
  /** The window's end. */
  public long endMs() {
    return startMs + Windows.SIZE_MS;
  }

  /** Average interval in ms; null where there is none. */
  public Double averageIntervalMs() {
    return averageIntervalMs(count, firstMs, lastMs);
  }

  /** (last − first) / (count − 1) in ms; null when count &lt; 2. */
  static Double averageIntervalMs(long count, long firstMs, long lastMs) {
    return count < 2 ? null : (double) (lastMs - firstMs) / (double) (count - 1);
  }
}
