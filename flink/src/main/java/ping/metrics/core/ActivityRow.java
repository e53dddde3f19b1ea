package ping.metrics.core;

/**
 * A row of activity_24h, beside its client: its windows in [startMs, startMs + 24 h), exact until
 * {@code dueMs}, when a window leaves at the old end or one that lay in the future opens. dueMs 0
 * (then count is 0 too): silent, no such row is kept.
 *
 * @param startMs {@link Windows#activityStartOf} as it is seen from
 * @param count pings in those windows
 * @param activeWindows windows with pings
 * @param firstMs the earliest of those pings; 0 where there is none
 * @param lastMs the latest
 * @param busiestStartMs the window with most pings, the newest of equals
 * @param busiestCount its pings
 * @param busiestFirstMs its earliest
 * @param busiestLastMs its latest
 * @param dueMs when it must be derived again; 0: never
 */
public record ActivityRow(
    long startMs,
    long count,
    int activeWindows,
    long firstMs,
    long lastMs,
    long busiestStartMs,
    long busiestCount,
    long busiestFirstMs,
    long busiestLastMs,
    long dueMs) {
  /** Average interval in ms; null where there is none. */
  public Double averageIntervalMs() {
    return WindowRow.averageIntervalMs(count, firstMs, lastMs);
  }
}
