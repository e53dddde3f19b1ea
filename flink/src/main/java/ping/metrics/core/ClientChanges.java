package ping.metrics.core;

import java.util.List;

/**
 * What of a client is to be written: rows as they are now.
 *
 * @param client whose
 * @param windows of window_stats
 * @param days of daily_totals, which the counters of daily_stats follow
 * @param row of clients; null: as it is
 * @param activity of activity_24h; null: as it is; with dueMs 0 the row goes
 * @param listedDueMs the entry of activity_due that asked for the activity, which goes; 0: none
 * @param writtenUs WRITETIME of the newest row that this came from: ours must be above; 0: none was
 *     read
 * @param receivedMs when the log took the oldest event in it; 0: none
 */
public record ClientChanges(
    Address client,
    List<WindowRow> windows,
    List<DayRow> days,
    ClientRow row,
    ActivityRow activity,
    long listedDueMs,
    long writtenUs,
    long receivedMs) {
  /** Whether there is nothing to write. */
  public boolean isEmpty() {
    return windows.isEmpty() && days.isEmpty() && row == null && activity == null;
  }

  /** Rows to write. */
  public int size() {
    return windows.size() + days.size() + (row == null ? 0 : 1) + (activity == null ? 0 : 1);
  }
}
