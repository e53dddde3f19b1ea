package ping.metrics.core;

/**
 * How an event gets into a row, and which of two states of a row is right (docs/SEMANTICS.md,
 * "Exactly once, by position"): an event that is not newer than the row's position is in it
 * already; of two states of one row the one with the newer position is right. So any replay, in
 * whatever order the states come, leaves the same rows.
 */
public final class PingMetricsAggregator {
  private PingMetricsAggregator() {}

  /** Whether the event is in the row already; a row that is null holds nothing. */
  public static boolean isIn(WindowRow row, Ping ping) {
    return row != null && ping.position() <= row.position();
  }

  /** As above, of a day. */
  public static boolean isIn(DayRow row, Ping ping) {
    return row != null && ping.position() <= row.position();
  }

  /** The window's row with the event in it. */
  public static WindowRow add(WindowRow row, Ping ping) {
    long ms = ping.pingedAtMs();
    if (row == null) {
      return new WindowRow(Windows.startOf(ms), 1, ms, ms, ping.position());
    }
    if (isIn(row, ping)) {
      return row;
    }
    return new WindowRow(
        row.startMs(),
        row.count() + 1,
        Math.min(row.firstMs(), ms),
        Math.max(row.lastMs(), ms),
        ping.position());
  }

  /** The day's row with the event in it. */
  public static DayRow add(DayRow row, Ping ping) {
    if (row == null) {
      return new DayRow(Windows.dayStartOf(ping.pingedAtMs()), 1, ping.position());
    }
    return isIn(row, ping) ? row : new DayRow(row.startMs(), row.total() + 1, ping.position());
  }

  /** The newer of two states of one window; either may be null. */
  public static WindowRow newer(WindowRow a, WindowRow b) {
    return a == null || (b != null && b.position() > a.position()) ? b : a;
  }

  /** The newer of two states of one day; either may be null. */
  public static DayRow newer(DayRow a, DayRow b) {
    return a == null || (b != null && b.position() > a.position()) ? b : a;
  }
}
