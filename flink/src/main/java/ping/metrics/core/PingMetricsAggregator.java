package ping.metrics.core;

/**
 * How an event gets into a row, and which of two states of a row is right (docs/SEMANTICS.md,
 * "Exactly once, by position"): an event that is not newer than the row's position is in it
 * already; of two states of one row the one with the newer position is right. So any replay, in
 * whatever order the states come, leaves the same rows.
 */
public final class PingMetricsAggregator {
  private PingMetricsAggregator() {}

  /** Puts the event in, but where it is in already: then false. */
  static boolean add(OpenWindow window, Ping ping) {
    if (ping.position() <= window.position) {
      return false;
    }
    long ms = ping.pingedAtMs();
    window.firstMs = window.count == 0 ? ms : Math.min(window.firstMs, ms);
    window.lastMs = Math.max(window.lastMs, ms);
    window.count++;
    window.position = ping.position();
    return true;
  }

  /** As above, of a day. */
  static boolean add(OpenDay day, Ping ping) {
    if (ping.position() <= day.position) {
      return false;
    }
    day.total++;
    day.position = ping.position();
    return true;
  }

  /** The window as the row is, where that one is newer. */
  static void renew(OpenWindow window, WindowRow row) {
    if (row.position() > window.position) {
      window.set(row);
    }
  }

  /** As above, of a day. */
  static void renew(OpenDay day, DayRow row) {
    if (row.position() > day.position) {
      day.set(row);
    }
  }

  /** The newer of two states of one window; either may be null. */
  public static WindowRow newer(WindowRow a, WindowRow b) {
    return a == null || (b != null && b.position() > a.position()) ? b : a;
  }
}
